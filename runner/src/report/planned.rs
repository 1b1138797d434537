//! What a dry run found: for each target what would change, in order, and from where on nobody can tell. Targets of which
//! the same is told are told together.

use super::Reporter;
use super::paint::Paint;
use super::summary::difference;
use runner_model::words::{count, names};
use runner_model::{
    Act, EffectEnd, Effected, End, EnvironmentName, Event, Failure, PlanName, ReleaseId, Stamped, StepId,
    TargetName, text,
};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{self, Write};

/// The version of the document.
const VERSION: u32 = 1;

/// Prints it at the end of the run.
pub struct Planned<W> {
    out: W,
    json: bool,
    paint: Paint,
    found: Found,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Found {
    version: u32,
    dry_run: bool,
    plan: Option<PlanName>,
    environment: Option<EnvironmentName>,
    release: Option<ReleaseId>,
    targets: Vec<OnTarget>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct OnTarget {
    target: TargetName,
    does: Vec<Told>,
}

/// One thing that is told of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Told {
    /// This would be done.
    Effect(Box<Effected>),
    /// What the step does from here on nobody can tell.
    Unknown { step: StepId, why: String },
    /// This goes wrong already.
    Failed { step: Option<StepId>, failure: Failure },
}

impl Told {
    /// Whether the same is told, whatever the target is called.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Effect(one), Self::Effect(other)) => {
                let same =
                    (&one.step, one.class, &one.difference) == (&other.step, other.class, &other.difference);
                same && (one.act == other.act
                    || is_archive(&one.act) && numberless(&one.act) == numberless(&other.act))
            }
            // An address is in it.
            (Self::Unknown { step, why }, Self::Unknown { step: other, why: because }) => {
                step == other && without_digits(why) == without_digits(because)
            }
            (one, other) => one == other,
        }
    }
}

/// The name of an archive has the time in it.
fn is_archive(act: &Act) -> bool {
    matches!(act, Act::Change { verb, .. } if verb == "archive")
}

fn numberless(act: &Act) -> String {
    without_digits(&act.words())
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

impl<W: Write + Send> Planned<W> {
    /// On this, as text or as JSON.
    pub fn new(out: W, json: bool, colours: bool) -> Self {
        let found = Found { version: VERSION, dry_run: true, ..Found::default() };
        Self { out, json, paint: Paint { colours }, found }
    }

    fn add(&mut self, target: &TargetName, told: Told) {
        let targets = &mut self.found.targets;
        match targets.iter_mut().find(|known| known.target == *target) {
            Some(known) => known.does.push(told),
            None => targets.push(OnTarget { target: target.clone(), does: vec![told] }),
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let groups = self.groups();
        for (members, does) in &groups {
            let _ = writeln!(out, "{}", self.paint.strong(&format!("on {}", names(members.iter().copied()))));
            for told in *does {
                self.told(&mut out, told);
            }
            out.push('\n');
        }
        let all = self.found.targets.iter().flat_map(|target| &target.does);
        let effects = all.clone().filter(|told| matches!(told, Told::Effect(_))).count();
        let unknown = all.filter(|told| matches!(told, Told::Unknown { .. })).count();
        let effects = match effects {
            0 => "nothing would be changed".to_owned(),
            some => format!("{} would come of it", count(some, "effect")),
        };
        let unknown = match unknown {
            0 => String::new(),
            1 => ", and 1 step is unknown from some call on".to_owned(),
            some => format!(", and {some} steps are unknown from some call on"),
        };
        let _ = writeln!(out, "a dry run, and nothing was touched: {effects}{unknown}");
        out
    }

    fn told(&self, out: &mut String, told: &Told) {
        match told {
            Told::Effect(effected) => {
                let _ = write!(out, "  {}: {}", effected.step, effected.act.words());
                match &effected.difference {
                    Some(known) => {
                        let mut lines = String::new();
                        difference(&mut lines, self.paint, "", known);
                        // Below the effect, and deeper than the next one.
                        out.push_str(&lines.trim_end().replace('\n', "\n    "));
                        out.push('\n');
                    }
                    None => out.push('\n'),
                }
            }
            Told::Unknown { step, why } => {
                let line = format!("  {step}: unknown from here: {why}");
                let _ = writeln!(out, "{}", self.paint.doubtful(&line));
            }
            Told::Failed { step, failure } => {
                let step = step.as_ref().map(|step| format!("{step}: ")).unwrap_or_default();
                let _ = writeln!(out, "{}", self.paint.bad(&format!("  {step}fails: {failure}")));
                for line in failure.detail.lines() {
                    let _ = writeln!(out, "    {}", text::shown(line));
                }
            }
        }
    }

    /// Targets of which the same is told, in the order in which the first of each came.
    fn groups(&self) -> Vec<(Vec<&str>, &[Told])> {
        let mut groups: Vec<(Vec<&str>, &[Told])> = Vec::new();
        for OnTarget { target, does } in self.found.targets.iter().filter(|target| !target.does.is_empty()) {
            let same = |other: &[Told]| {
                does.len() == other.len() && does.iter().zip(other).all(|(one, other)| one.is_like(other))
            };
            match groups.iter_mut().find(|(_, other)| same(other)) {
                Some((members, _)) => members.push(target.as_str()),
                None => groups.push((vec![target.as_str()], does)),
            }
        }
        groups
    }
}

impl<W: Write + Send> Reporter for Planned<W> {
    fn event(&mut self, stamped: &Stamped) -> io::Result<()> {
        match &stamped.event {
            Event::RunStarted { plan, environment, targets, .. } => {
                self.found.plan = Some(plan.clone());
                self.found.environment = Some(environment.clone());
                let all = targets.iter().map(|target| OnTarget { target: target.clone(), does: Vec::new() });
                self.found.targets = all.collect();
            }
            Event::ReleaseNamed { release } => self.found.release = Some(release.clone()),
            Event::Effect(effected) if effected.end == EffectEnd::Planned => {
                let on = effected.on.as_ref().unwrap_or(&effected.target).clone();
                self.add(&on, Told::Effect(effected.clone()));
            }
            Event::StepFinished { step, target, end: End::Unknown { why }, .. } => {
                self.add(target, Told::Unknown { step: step.clone(), why: why.clone() });
            }
            Event::StepFinished { step, target, end: End::Failed { failure, .. }, .. } => {
                self.add(target, Told::Failed { step: Some(step.clone()), failure: failure.clone() });
            }
            Event::Unreachable { target, failure } => {
                self.add(target, Told::Failed { step: None, failure: failure.clone() });
            }
            Event::RunFinished { .. } if self.json => {
                let json = serde_json::to_string_pretty(&self.found).map_err(io::Error::other)?;
                writeln!(self.out, "{}", text::shown_json(&json))?;
                self.out.flush()?;
            }
            Event::RunFinished { .. } => {
                let text = self.text();
                self.out.write_all(text.as_bytes())?;
                self.out.flush()?;
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_model::{Difference, EffectClass, Verdict};

    fn name<T: std::str::FromStr>(text: &str) -> T
    where
        T::Err: std::fmt::Debug,
    {
        text.parse().expect(text)
    }

    fn planned(target: &str, path: &str, difference: Difference) -> Event {
        Event::Effect(Box::new(Effected {
            step: name("config"),
            target: name(target),
            attempt: 1,
            number: 1,
            on: Some(name(target)),
            class: EffectClass::Change,
            act: Act::Change { verb: "write".to_owned(), path: path.to_owned(), to: None, made: false },
            end: EffectEnd::Planned,
            milliseconds: 0,
            difference: Some(difference),
        }))
    }

    fn unknown(target: &str, address: &str) -> Event {
        Event::StepFinished {
            step: name("smoke-test"),
            target: name(target),
            attempt: 1,
            end: End::Unknown { why: format!("GET http://{address}/, after restart shop was asked before") },
            milliseconds: 1,
            tally: Default::default(),
        }
    }

    fn shown(events: Vec<Event>) -> String {
        let mut out = Vec::new();
        let mut reporter = Planned::new(&mut out, false, false);
        let targets = ["web-1", "web-2", "web-3"].map(name).to_vec();
        let begin = Event::RunStarted {
            run: name("r-7"),
            plan: name("shop"),
            summary: None,
            environment: name("staging"),
            limit: None,
            targets,
            steps: vec![],
        };
        let end = Event::RunFinished { run: name("r-7"), verdict: Verdict::Done, milliseconds: 5 };
        for event in std::iter::once(begin).chain(events).chain([end]) {
            reporter.event(&Stamped { at: 0, event }).expect("written");
        }
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn what_is_the_same_on_several_targets_is_told_once() {
        let text = |added: &str| Difference::Text {
            unified: format!("@@ -1 +1 @@\n-workers = 2\n+workers = {added}"),
            added: 1,
            removed: 1,
            left_out: 0,
        };
        let told = shown(vec![
            planned("web-1", "/etc/shop.conf", text("4")),
            planned("web-2", "/etc/shop.conf", text("4")),
            planned("web-3", "/etc/shop.conf", text("8")),
            unknown("web-2", "10.0.0.2"),
            unknown("web-1", "10.0.0.1"),
        ]);
        let expected = "on web-1, web-2
  config: write /etc/shop.conf +1 -1
      @@ -1 +1 @@
      -workers = 2
      +workers = 4
  smoke-test: unknown from here: GET http://10.0.0.1/, after restart shop was asked before

on web-3
  config: write /etc/shop.conf +1 -1
      @@ -1 +1 @@
      -workers = 2
      +workers = 8

a dry run, and nothing was touched: 3 effects would come of it, and 2 steps are unknown from some call on
";
        assert_eq!(told, expected);
    }

    #[test]
    fn what_a_module_says_moves_no_cursor() {
        let told =
            shown(vec![planned("web-1", "/srv/\x1b[2Ja", Difference::Line { line: "\x1b[1A".to_owned() })]);
        assert!(told.contains("config: write /srv/") && !told.contains('\x1b'), "{told:?}");
    }

    #[test]
    fn nothing_to_do_is_said() {
        assert_eq!(shown(vec![]), "a dry run, and nothing was touched: nothing would be changed\n");
    }
}
