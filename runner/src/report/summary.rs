//! The end of a run in one screen: what is live where, how long the steps took, what failed and why, what to do next.

use super::account::{Account, Failed, TargetAccount};
use super::paint::Paint;
use super::plain::halted;
use super::words::{count, duration, names, size};
use super::{Reporter, Seal, Sealed, say};
use runner_model::{Event, Failure, Stamped, TargetEnd, Verdict, text};
use std::fmt::Write as _;
use std::io::{self, Write};

/// With more targets than this, those that ended in the same way share a row.
const ROWS: usize = 24;

/// How many lines of a step's stderr are shown.
const STDERR_LINES: usize = 12;

/// Writes the summary when the run has finished.
#[derive(Debug)]
pub struct Summary<W> {
    out: W,
    paint: Paint,
    account: Account,
    seal: Seal,
}

impl<W: Write> Summary<W> {
    pub(super) fn new(out: W, paint: Paint) -> Self {
        Self { out, paint, account: Account::default(), seal: Seal::default() }
    }

    /// Writes there, without colours.
    pub fn without_colours(out: W) -> Self {
        Self::new(out, Paint::NONE)
    }

    /// The same, naming the closed journal.
    #[must_use]
    pub fn sealed_by(self, seal: &Seal) -> Self {
        Self { seal: Seal::clone(seal), ..self }
    }
}

impl<W: Write + Send> Reporter for Summary<W> {
    fn event(&mut self, stamped: &Stamped) -> io::Result<()> {
        self.account.add(&stamped.event);
        if let Event::RunFinished { verdict, .. } = stamped.event {
            say(&mut self.out, &whole(&self.account, verdict, self.paint));
            if let Some(Sealed { file, last_hash }) = self.seal.get() {
                say(&mut self.out, &format!("journal: {} ({last_hash})\n", text::shown(file)));
            }
        }
        Ok(())
    }
}

fn whole(account: &Account, verdict: Verdict, paint: Paint) -> String {
    let mut out = String::new();
    targets(&mut out, account, paint);
    steps(&mut out, account, paint);
    failures(&mut out, account, paint);
    out.push('\n');
    out.push_str(&closing(account, verdict, paint));
    out.push('\n');
    for line in next(account, verdict) {
        let _ = writeln!(out, "{}", text::shown(&line));
    }
    out
}

/// A table with its columns aligned. Cells are plain text; what colours a row is applied to the whole of it.
fn table(out: &mut String, paint: Paint, head: &[&str], rows: &[(Vec<String>, Colour)]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|(cells, _)| cells.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|cell| cell.chars().count())).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &[&str]| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        line.trim_end().to_owned()
    };
    let _ = writeln!(out, "\n{}", paint.faint(&line(head)));
    for (cells, colour) in rows {
        let line = line(&cells.iter().map(String::as_str).collect::<Vec<_>>());
        let line = match colour {
            Colour::Good => paint.good(&line),
            Colour::Bad => paint.bad(&line),
            Colour::Doubtful => paint.doubtful(&line),
            Colour::None => text::shown(&line).into_owned(),
        };
        let _ = writeln!(out, "{line}");
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Colour {
    Good,
    Bad,
    Doubtful,
    None,
}

fn targets(out: &mut String, account: &Account, paint: Paint) {
    let mut rows: Vec<(Vec<String>, Colour)> = Vec::new();
    let grouped = account.targets.len() > ROWS;
    let mut groups: Vec<(String, String, Colour, Vec<&TargetAccount>)> = Vec::new();
    for target in &account.targets {
        let (state, colour) = state(target);
        let live = target.live.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        let same = groups.iter_mut().find(|(of, at, ..)| grouped && state == *of && live == *at);
        match same {
            Some((.., members)) => members.push(target),
            None => groups.push((state, live, colour, vec![target])),
        }
    }
    for (state, live, colour, members) in groups {
        let names = names(members.iter().map(|member| member.target.as_str()));
        let name = if members.len() == 1 { names } else { format!("{}: {names}", members.len()) };
        let sent: u64 = members.iter().map(|member| member.bytes_sent).sum();
        rows.push((vec![name, state, live, if sent == 0 { "-".to_owned() } else { size(sent) }], colour));
    }
    if !rows.is_empty() {
        table(out, paint, &["target", "state", "live", "sent"], &rows);
    }
}

/// In what state a target is, in words.
fn state(target: &TargetAccount) -> (String, Colour) {
    match &target.end {
        Some(TargetEnd::Done) => ("done".to_owned(), Colour::Good),
        Some(TargetEnd::Untouched) => ("untouched".to_owned(), Colour::None),
        Some(TargetEnd::Failed { step, .. }) => (format!("failed in {step}"), Colour::Bad),
        Some(TargetEnd::Unreachable { .. }) => ("unreachable".to_owned(), Colour::Bad),
        Some(TargetEnd::Stopped { step: Some(step) }) => (format!("stopped in {step}"), Colour::Doubtful),
        Some(TargetEnd::Stopped { step: None }) => match &target.last {
            Some(step) => (format!("stopped after {step}"), Colour::Doubtful),
            None => ("stopped".to_owned(), Colour::Doubtful),
        },
        None => ("unknown".to_owned(), Colour::Doubtful),
    }
}

fn steps(out: &mut String, account: &Account, paint: Paint) {
    let rows: Vec<_> = account
        .steps
        .iter()
        .filter(|step| !step.took.is_empty())
        .map(|step| {
            let (max, slowest) = step.slowest().map_or((0, ""), |(took, target)| (*took, target.as_str()));
            let one = step.took.len() == 1;
            let unless_one = |text: String| if one { String::new() } else { text };
            let cells = vec![
                step.step.to_string(),
                step.took.len().to_string(),
                duration(step.total()),
                unless_one(duration(step.median())),
                unless_one(format!("{} on {slowest}", duration(max))),
            ];
            (cells, Colour::None)
        })
        .collect();
    if !rows.is_empty() {
        table(out, paint, &["step", "runs", "total", "median", "slowest"], &rows);
    }
}

/// Failures that say the same are told once, with all their targets.
fn failures(out: &mut String, account: &Account, paint: Paint) {
    let mut groups: Vec<(&Failed, Vec<&str>)> = Vec::new();
    for failed in &account.failures {
        let same = |(first, _): &&mut (&Failed, Vec<&str>)| {
            first.step == failed.step && first.failure == failed.failure && first.stderr == failed.stderr
        };
        match groups.iter_mut().find(same) {
            Some((_, targets)) => targets.push(failed.target.as_str()),
            None => groups.push((failed, vec![failed.target.as_str()])),
        }
    }
    for (failed, targets) in groups {
        let what = match &failed.step {
            Some(step) if failed.attempt > 1 => format!("{step} failed at attempt {}", failed.attempt),
            Some(step) => format!("{step} failed"),
            None => "unreachable".to_owned(),
        };
        let Failure { message, detail, .. } = &failed.failure;
        let _ = write!(out, "\n{} {}", paint.bad(&what), paint.strong(&format!("on {}", names(targets))));
        let _ = writeln!(out, ": {}", text::shown(message));
        for line in detail.lines() {
            let _ = writeln!(out, "  {}", text::shown(line));
        }
        let stderr: Vec<&str> = failed.stderr.lines().collect();
        if !stderr.is_empty() {
            let skipped = stderr.len().saturating_sub(STDERR_LINES);
            let _ = writeln!(out, "  {}", paint.faint("the end of its stderr:"));
            for line in &stderr[skipped..] {
                let _ = writeln!(out, "  | {}", text::shown(line));
            }
        }
    }
}

/// One line with the verdict.
fn closing(account: &Account, verdict: Verdict, paint: Paint) -> String {
    let took = duration(account.milliseconds);
    let (word, rest) = match verdict {
        Verdict::Done => (paint.good("done"), format!(" in {took}")),
        Verdict::Failed => (paint.bad("failed"), format!(" after {took}")),
        Verdict::Unreachable => (paint.bad("targets unreachable"), format!(" after {took}")),
        Verdict::Interrupted => (paint.doubtful("interrupted"), format!(" after {took}")),
        Verdict::Terminated => (paint.doubtful("terminated"), format!(" after {took}")),
    };
    let place = match (&account.plan, &account.environment) {
        (Some(plan), Some(environment)) => format!("{plan} to {environment}: "),
        _ => String::new(),
    };
    let mut facts = Vec::new();
    if let Some(release) = &account.release {
        let live = account.targets.iter().filter(|target| target.live.as_ref() == Some(release)).count();
        facts.push(format!(
            "release {release} is live on {live} of {}",
            count(account.targets.len(), "target")
        ));
    }
    facts.push(match account.bytes_sent() {
        0 => "nothing sent".to_owned(),
        bytes => format!("{} sent", size(bytes)),
    });
    let changes: u64 = account.steps.iter().map(|step| step.changes).sum();
    facts.push(match changes {
        0 => "nothing changed".to_owned(),
        changes => count(usize::try_from(changes).unwrap_or(usize::MAX), "change"),
    });
    format!("{place}{word}{rest}; {}", facts.join(", "))
}

/// What to do next.
fn next(account: &Account, verdict: Verdict) -> Vec<String> {
    let ended = |wanted: fn(&TargetEnd) -> bool| {
        let targets = account.targets.iter().filter(move |target| target.end.as_ref().is_some_and(wanted));
        targets.map(|target| target.target.as_str()).collect::<Vec<_>>()
    };
    let mut lines = Vec::new();
    if let Some((failures, allowed)) = account.halted {
        // More may have failed since the run was halted.
        let lost = ended(|end| matches!(end, TargetEnd::Failed { .. } | TargetEnd::Unreachable { .. }));
        let lost = u32::try_from(lost.len()).unwrap_or(u32::MAX);
        lines.push(halted(if failures > allowed { lost.max(failures) } else { failures }, allowed));
    }
    let stopped = ended(|end| matches!(end, TargetEnd::Stopped { .. }));
    if !stopped.is_empty() {
        lines.push(format!("halfway through the rollout: {}", names(stopped)));
    }
    let unreachable = ended(|end| matches!(end, TargetEnd::Unreachable { .. }));
    match verdict {
        Verdict::Done => {}
        Verdict::Failed => lines.push(
            "next: mend the cause, then run the same command again; what is in place already stays as it is"
                .to_owned(),
        ),
        Verdict::Unreachable => lines.push(format!(
            "next: see why `ssh` does not reach {} as the inventory has it, then run the same command again",
            names(unreachable)
        )),
        Verdict::Interrupted | Verdict::Terminated => lines.push(
            "next: run the same command again to bring all targets to one state; what is in place already stays \
             as it is"
                .to_owned(),
        ),
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;

    fn shown(events: &[Stamped]) -> String {
        let mut out = Vec::new();
        let mut summary = Summary::without_colours(&mut out);
        events.iter().for_each(|event| summary.event(event).unwrap());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_run_that_went_well() {
        insta::assert_snapshot!(shown(&fixtures::done()));
    }

    #[test]
    fn a_run_that_failed_says_why_and_what_is_live_where() {
        insta::assert_snapshot!(shown(&fixtures::failed()));
    }

    #[test]
    fn a_cancelled_run_says_in_what_state_each_target_is() {
        insta::assert_snapshot!(shown(&fixtures::cancelled()));
    }

    #[test]
    fn targets_that_cannot_be_reached() {
        insta::assert_snapshot!(shown(&fixtures::unreachable()));
    }

    #[test]
    fn what_is_the_same_on_many_targets_is_told_once() {
        insta::assert_snapshot!(shown(&fixtures::fleet(500)));
    }

    #[test]
    fn what_a_hostile_step_wrote_is_harmless() {
        let shown = shown(&fixtures::hostile());
        assert!(!shown.replace('\n', "").contains(text::is_unsafe));
        insta::assert_snapshot!(shown);
    }
}
