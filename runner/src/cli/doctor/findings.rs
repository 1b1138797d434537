//! What was found, by problem rather than by target: with ten targets, one sentence says what eight of them lack.

use runner_model::text::shown;
use runner_model::{Resolved, TargetName};
use serde_json::json;
use std::fmt::Write as _;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// It may go well.
    Warning,
    /// A run would be refused, or fail.
    Error,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that is wrong, in one place.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    level: Level,
    area: &'static str,
    what: String,
    mend: String,
    target: Option<(TargetName, String)>,
    unreachable: bool,
}

impl Finding {
    /// Something on this machine. `what`: the same words wherever it is the same.
    pub(super) fn new(
        level: Level,
        area: &'static str,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { level, area, what: what.into(), mend: mend.into(), target: None, unreachable: false }
    }

    /// The same on a target. `detail`: what is different from target to target.
    pub(super) fn on(mut self, target: &TargetName, detail: impl Into<String>) -> Self {
        self.target = Some((target.clone(), detail.into()));
        self
    }

    /// The target did not answer at all.
    pub(super) fn unreachable(mut self) -> Self {
        self.unreachable = true;
        self
    }
}

/// The same problem, wherever it is.
struct Problem {
    first: Finding,
    targets: Vec<(TargetName, String)>,
}

/// All that was found.
#[derive(Default)]
pub(super) struct Findings {
    problems: Vec<Problem>,
    good: Vec<(&'static str, String)>,
    targets: usize,
}

/// The order in which areas are shown.
const AREAS: [&str; 14] = [
    "plan", "schema", "ssh", "keys", "lock", "policy", "reach", "user", "tools", "sudo", "root", "disk",
    "clock", "sshd",
];

fn order(area: &str) -> usize {
    AREAS.iter().position(|known| *known == area).unwrap_or(AREAS.len())
}

impl Findings {
    pub(super) fn add(&mut self, finding: Finding) {
        let same = |problem: &&mut Problem| {
            let first = &problem.first;
            (first.level, first.area, &first.what) == (finding.level, finding.area, &finding.what)
        };
        match self.problems.iter_mut().find(same) {
            Some(problem) => problem.targets.extend(finding.target),
            None => self
                .problems
                .push(Problem { targets: finding.target.iter().cloned().collect(), first: finding }),
        }
    }

    /// What is as it should be.
    pub(super) fn good(&mut self, area: &'static str, what: &str) {
        self.good.push((area, what.to_owned()));
    }

    /// How many targets there are.
    pub(super) fn of_targets(&mut self, count: usize) {
        self.targets = count;
    }

    /// Whether something is wrong there.
    pub(super) fn has(&self, area: &str) -> bool {
        self.problems.iter().any(|problem| problem.first.area == area)
    }

    pub(super) fn worst(&self) -> Option<Level> {
        self.problems.iter().map(|problem| problem.first.level).max()
    }

    pub(super) fn unreachable(&self) -> bool {
        self.problems.iter().any(|problem| problem.first.unreachable)
    }

    fn sorted(&self) -> Vec<&Problem> {
        let mut problems: Vec<&Problem> = self.problems.iter().collect();
        problems.sort_by_key(|problem| (order(problem.first.area), std::cmp::Reverse(problem.first.level)));
        problems
    }

    /// A line for each problem, its targets and what mends it below.
    pub(super) fn text(&self, title: &str) -> String {
        let mut text = format!("{title}\n\n");
        let mut good: Vec<_> = self.good.iter().collect();
        good.sort_by_key(|(area, _)| order(area));
        for (area, what) in good {
            let _ = writeln!(text, "  {:8} {area:7} {}", "ok", shown(what));
        }
        for problem in self.sorted() {
            let Problem { first, targets } = problem;
            let whom = match targets.as_slice() {
                [] => String::new(),
                [(only, detail)] if detail.is_empty() => format!("{only}: "),
                [(only, detail)] => format!("{only} ({}): ", shown(detail)),
                some => format!("{} of {} targets: ", some.len(), self.targets),
            };
            let _ =
                writeln!(text, "\n  {:8} {:7} {whom}{}", first.level.word(), first.area, shown(&first.what));
            if targets.len() > 1 {
                const SHOWN: usize = 20;
                let mut names: Vec<String> = targets
                    .iter()
                    .take(SHOWN)
                    .map(|(name, detail)| match detail.as_str() {
                        "" => name.to_string(),
                        detail => format!("{name} ({})", shown(detail)),
                    })
                    .collect();
                if targets.len() > SHOWN {
                    names.push(format!("and {} more", targets.len() - SHOWN));
                }
                for line in super::super::wrap::wrapped(&names.join(", "), 78) {
                    let _ = writeln!(text, "           {line}");
                }
            }
            // ssh says much when a key has changed; all of it is in the JSON.
            const MOST: usize = 4;
            let lines = first.mend.lines().filter(|line| !line.trim().is_empty() && !line.contains("    @"));
            for (index, line) in lines.take(MOST).enumerate() {
                let word = if index == 0 { "mend: " } else { "      " };
                let _ = writeln!(text, "           {word}{}", shown(line));
            }
        }
        let count = |level| self.problems.iter().filter(|problem| problem.first.level == level).count();
        let (errors, warnings) = (count(Level::Error), count(Level::Warning));
        let plural =
            |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let _ = match (errors, warnings) {
            (0, 0) => writeln!(text, "\nnothing is in the way of a run"),
            (0, _) => writeln!(text, "\n{}: nothing is in the way of a run", plural(warnings, "warning")),
            _ => writeln!(text, "\n{}, {}", plural(errors, "error"), plural(warnings, "warning")),
        };
        text
    }

    /// The same for programs.
    pub(super) fn json(&self, resolved: &Resolved, count: usize) -> String {
        let findings: Vec<_> = self
            .sorted()
            .into_iter()
            .map(|Problem { first, targets }| {
                let targets: Vec<_> =
                    targets.iter().map(|(name, detail)| json!({ "name": name, "detail": detail })).collect();
                json!({
                    "level": first.level.word(), "area": first.area, "what": first.what, "mend": first.mend,
                    "unreachable": first.unreachable, "targets": targets,
                })
            })
            .collect();
        let good: Vec<_> =
            self.good.iter().map(|(area, what)| json!({ "area": area, "what": what })).collect();
        let document = json!({
            "plan": resolved.plan, "environment": resolved.environment, "targets": count,
            "good": good, "findings": findings,
        });
        format!("{}\n", runner_model::text::shown_json(&format!("{document:#}")))
    }
}
