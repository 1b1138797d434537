//! The end of a run in one screen: what is live where, how long the steps took, what failed and why, what it left behind,
//! what to do next.

use super::account::{Account, Changed, TargetAccount};
use super::paint::Paint;
use super::plain::{halted, limited};
use super::table::{Colour, table};
use super::{Around, Reporter, Sealed, failed, say};
use runner_model::words::{count, duration, names, size};
use runner_model::{Difference, Event, Stamped, TargetEnd, TargetName, Verdict, text};
use std::fmt::Write as _;
use std::io::{self, Write};

/// With more targets than this, those that ended in the same way share a row.
const ROWS: usize = 24;

/// So many things that were left behind are told.
const LEFT: usize = 16;

/// Writes the summary when the run has finished.
#[derive(Debug)]
pub struct Summary<W> {
    out: W,
    paint: Paint,
    account: Account,
    around: Around,
}

impl<W: Write> Summary<W> {
    pub(super) fn new(out: W, paint: Paint) -> Self {
        Self { out, paint, account: Account::default(), around: Around::default() }
    }

    /// Writes there, without colours.
    pub fn without_colours(out: W) -> Self {
        Self::new(out, Paint::NONE)
    }

    /// The same, with what is known beside the events.
    #[must_use]
    pub fn around(self, around: &Around) -> Self {
        Self { around: around.clone(), ..self }
    }
}

impl<W: Write + Send> Reporter for Summary<W> {
    fn event(&mut self, stamped: &Stamped) -> io::Result<()> {
        self.account.add(&stamped.event);
        if let Event::RunFinished { verdict, .. } = stamped.event {
            say(&mut self.out, &whole(&self.account, verdict, &self.around, self.paint));
            if let Some(trace) = &self.around.trace {
                say(&mut self.out, &format!("trace: {trace}\n"));
            }
            if let Some(Sealed { file, last_hash }) = self.around.seal.get() {
                say(&mut self.out, &format!("journal: {} ({last_hash})\n", text::shown(file)));
            }
        }
        Ok(())
    }
}

fn whole(account: &Account, verdict: Verdict, around: &Around, paint: Paint) -> String {
    let mut out = String::new();
    targets(&mut out, account, verdict, paint);
    steps(&mut out, account, paint);
    changes(&mut out, account, paint);
    failed::write(&mut out, account, around.seal.get().map(|sealed| sealed.file.as_str()), paint);
    if verdict != Verdict::Done {
        left_behind(&mut out, account, paint);
    }
    out.push('\n');
    out.push_str(&closing(account, verdict, paint));
    out.push('\n');
    for line in why(account) {
        let _ = writeln!(out, "{}", text::shown(&line));
    }
    next(&mut out, account, verdict, around, paint);
    out
}

fn targets(out: &mut String, account: &Account, verdict: Verdict, paint: Paint) {
    let mut rows: Vec<(Vec<String>, Colour)> = Vec::new();
    let grouped = account.targets.len() > ROWS;
    let mut groups: Vec<(String, String, Colour, Vec<&TargetAccount>)> = Vec::new();
    for target in &account.targets {
        let (state, colour) = state(target);
        let live = live(account, target, verdict);
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

/// What is live on a target; after a failure also whether that is new.
fn live(account: &Account, target: &TargetAccount, verdict: Verdict) -> String {
    let name = target.live.as_ref().map(ToString::to_string);
    match (name, &target.before) {
        (Some(name), _) if verdict == Verdict::Done => name,
        (Some(name), Some(before)) if *before == target.live => format!("{name} (unchanged)"),
        (Some(name), _) if target.live == account.release => format!("{name} (new)"),
        (Some(name), _) => format!("{name} (changed)"),
        (None, _) if target.live_known => "-".to_owned(),
        // Without a release there is nothing that could be live.
        (None, _)
            if account.release.is_none() && !matches!(target.end, Some(TargetEnd::Unreachable { .. })) =>
        {
            "-".to_owned()
        }
        (None, _) => "unknown".to_owned(),
    }
}

/// In what state a target is, in words.
fn state(target: &TargetAccount) -> (String, Colour) {
    match &target.end {
        Some(TargetEnd::Done) => ("done".to_owned(), Colour::Good),
        Some(TargetEnd::Untouched) => ("untouched".to_owned(), Colour::None),
        Some(TargetEnd::Failed { step, .. }) => (format!("failed in {step}"), Colour::Bad),
        Some(TargetEnd::Unreachable { .. }) => ("unreachable".to_owned(), Colour::Bad),
        Some(TargetEnd::RolledBack { step: Some(step), .. }) => {
            (format!("failed in {step}, rolled back"), Colour::Doubtful)
        }
        Some(TargetEnd::RolledBack { step: None, .. }) => ("rolled back".to_owned(), Colour::Doubtful),
        Some(TargetEnd::RollbackFailed { .. }) => ("not rolled back".to_owned(), Colour::Bad),
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

/// What `--diff` asked for.
fn changes(out: &mut String, account: &Account, paint: Paint) {
    for Changed { step, what, difference, targets } in &account.changed {
        let on = names(targets.iter().map(TargetName::as_str));
        let _ = write!(out, "\n{} {}", paint.strong(&format!("changed on {on}:")), text::shown(what));
        let by = paint.faint(&format!("({step})"));
        self::difference(out, paint, &format!(" {by}"), difference);
    }
    if account.changed_more > 0 {
        let more = count(account.changed_more, "more change");
        let _ = writeln!(out, "\n{}", paint.faint(&format!("… {more}: all are in the file of `--events`")));
    }
}

/// What a change made different: the end of a line that names the change, and what belongs below it.
pub(super) fn difference(out: &mut String, paint: Paint, by: &str, difference: &Difference) {
    match difference {
        Difference::Line { line } if line.is_empty() => {
            let _ = writeln!(out, "{by}");
        }
        Difference::Line { line } => {
            let _ = writeln!(out, "{by}\n  {}", text::shown(line));
        }
        Difference::Secret => {
            let _ = writeln!(out, "{by}\n  secret, changed");
        }
        Difference::Hidden { why, before, after } => {
            let before = before.map_or_else(|| "nothing".to_owned(), size);
            let _ = writeln!(out, "{by}\n  {before} became {} ({})", size(*after), why.word());
        }
        Difference::Text { unified, added, removed, left_out } => {
            let _ = writeln!(out, "{by} +{added} -{removed}");
            for line in unified.lines() {
                let line = match line.as_bytes().first() {
                    Some(b'+') => paint.good(line),
                    Some(b'-') => paint.bad(line),
                    Some(b'@') => paint.faint(line),
                    _ => text::shown(line).into_owned(),
                };
                let _ = writeln!(out, "  {line}");
            }
            if *left_out > 0 {
                let more = count(usize::try_from(*left_out).unwrap_or(usize::MAX), "more line");
                let _ = writeln!(out, "  {}", paint.faint(&format!("… {more}, not shown")));
            }
        }
    }
}

/// What the run left on targets that it did not get through.
fn left_behind(out: &mut String, account: &Account, paint: Paint) {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for target in &account.targets {
        for line in account.left_behind(target) {
            match groups.iter_mut().find(|(known, _)| *known == line) {
                Some((_, members)) => members.push(target.target.as_str()),
                None => groups.push((line, vec![target.target.as_str()])),
            }
        }
    }
    if groups.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", paint.strong("left behind"));
    let more = groups.len().saturating_sub(LEFT);
    for (line, members) in groups.into_iter().take(LEFT) {
        let _ = writeln!(out, "  on {}: {}", names(members), text::shown(&line));
    }
    if more > 0 {
        let _ = writeln!(out, "  {}", paint.faint(&format!("… {more} more, in the journal")));
    }
}

/// One line with the verdict.
fn closing(account: &Account, verdict: Verdict, paint: Paint) -> String {
    let took = duration(account.milliseconds);
    let (word, rest) = match verdict {
        Verdict::Done => (paint.good("done"), format!(" in {took}")),
        Verdict::Refused => (paint.bad("not begun"), format!(" after {took}")),
        Verdict::Failed => (paint.bad("failed"), format!(" after {took}")),
        Verdict::Unreachable => (paint.bad("targets unreachable"), format!(" after {took}")),
        Verdict::Interrupted => (paint.doubtful("interrupted"), format!(" after {took}")),
        Verdict::Terminated => (paint.doubtful("terminated"), format!(" after {took}")),
        Verdict::RolledBack => (paint.bad("failed, and rolled back"), format!(" after {took}")),
        Verdict::RollbackFailed => (paint.bad("failed, and so did the rollback"), format!(" after {took}")),
    };
    let place = match (&account.plan, &account.environment) {
        (Some(plan), Some(environment)) => format!("{plan} to {environment}: "),
        _ => String::new(),
    };
    let mut facts = Vec::new();
    if let Some(limit) = &account.limit {
        facts.push(limited(limit));
    }
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
    if let (Verdict::Done, Some(nothing)) = (verdict, nothing_to_change(account, changes)) {
        return format!("{place}{nothing}");
    }
    format!("{place}{word}{rest}; {}", facts.join(", "))
}

/// Of a run that found all as it should be; `None`: it did something, or there is no release that could be live.
fn nothing_to_change(account: &Account, changes: u64) -> Option<String> {
    let release = account.release.as_ref()?;
    let stood = |target: &TargetAccount| {
        target.end == Some(TargetEnd::Done) && target.before.as_ref() == Some(&Some(release.clone()))
    };
    let all = !account.targets.is_empty() && account.targets.iter().all(stood);
    let where_ = if account.limit.is_some() { "wherever this run went" } else { "everywhere" };
    (changes == 0 && all && !account.restarted)
        .then(|| format!("nothing to change: {release} is live and good {where_}"))
}

/// Targets that ended so.
fn ended(account: &Account, wanted: fn(&TargetEnd) -> bool) -> Vec<&TargetName> {
    let targets = account.targets.iter().filter(|target| target.end.as_ref().is_some_and(wanted));
    targets.map(|target| &target.target).collect()
}

fn is_lost(end: &TargetEnd) -> bool {
    match end {
        TargetEnd::Failed { .. } | TargetEnd::Unreachable { .. } | TargetEnd::RollbackFailed { .. } => true,
        TargetEnd::RolledBack { step, .. } => step.is_some(),
        TargetEnd::Done | TargetEnd::Untouched | TargetEnd::Stopped { .. } => false,
    }
}

/// Why it went no further.
fn why(account: &Account) -> Vec<String> {
    let mut lines = account.stopped_by.clone();
    if let Some((failures, allowed)) = account.halted {
        // More may have failed since the run was halted.
        let lost = u32::try_from(ended(account, is_lost).len()).unwrap_or(u32::MAX);
        lines.push(halted(if failures > allowed { lost.max(failures) } else { failures }, allowed));
    }
    for (target, failure) in &account.not_undone {
        let on = target.as_ref().map_or("this machine", TargetName::as_str);
        lines.push(format!("not rolled back on {on}: {failure}"));
        lines.extend(failure.detail.lines().map(|line| format!("  {line}")));
    }
    let stopped = ended(account, |end| matches!(end, TargetEnd::Stopped { .. }));
    if !stopped.is_empty() {
        lines.push(format!(
            "halfway through the rollout: {}",
            names(stopped.into_iter().map(TargetName::as_str))
        ));
    }
    let out = account.targets.iter().filter(|target| target.in_service == Some(false));
    let out: Vec<&str> = out.map(|target| target.target.as_str()).collect();
    if !out.is_empty() {
        lines.push(format!("out of service, and stays so: {}", names(out)));
    }
    lines
}

/// What to do next, in words, and what to type for it.
pub(super) fn commands(account: &Account, verdict: Verdict, around: &Around) -> Vec<(String, String)> {
    let Some(again) = &around.again else { return Vec::new() };
    if verdict == Verdict::Done {
        return Vec::new();
    }
    let mut commands =
        vec![("run it again; what is in place already stays as it is".to_owned(), again.all())];
    let not_done = ended(account, |end| *end != TargetEnd::Done);
    if let Some(line) = again.only(&not_done) {
        commands.push(("only the targets that are not done".to_owned(), line));
    }
    if matches!(verdict, Verdict::Refused | Verdict::RolledBack) {
        return commands;
    }
    if let Some(run) = &account.run {
        commands.push(("go on with it where it stopped".to_owned(), again.resume(run, false)));
        commands.push(("undo what it did".to_owned(), again.resume(run, true)));
    }
    let halfway = |end: &TargetEnd| matches!(end, TargetEnd::Failed { .. } | TargetEnd::Stopped { .. });
    if let Some(target) = ended(account, halfway).first() {
        commands.push(("by hand: what to type for each step".to_owned(), again.by_hand(Some(target))));
    } else if verdict == Verdict::Failed {
        commands.push(("by hand: what to type for each step".to_owned(), again.by_hand(None)));
    }
    commands
}

fn next(out: &mut String, account: &Account, verdict: Verdict, around: &Around, paint: Paint) {
    let first = match verdict {
        Verdict::Done => return,
        Verdict::RolledBack => "all is as it was; mend the cause, then".to_owned(),
        Verdict::Refused => "wait for the other run to end (`exec --wait 10m`); of one that is dead take the lock away (`runner unlock`); then".to_owned(),
        Verdict::Failed | Verdict::RollbackFailed => "mend the cause, then".to_owned(),
        Verdict::Unreachable => {
            let unreachable = ended(account, |end| matches!(end, TargetEnd::Unreachable { .. }));
            let unreachable = names(unreachable.into_iter().map(TargetName::as_str));
            format!("see why `ssh` does not reach {unreachable} as the inventory has it, then")
        }
        Verdict::Interrupted | Verdict::Terminated => "to bring all targets to one state,".to_owned(),
    };
    let commands = commands(account, verdict, around);
    if commands.is_empty() {
        let _ = writeln!(
            out,
            "next: {} run the same command again; what is in place already stays as it is",
            text::shown(&first)
        );
    }
    for (number, (what, line)) in commands.iter().enumerate() {
        match number {
            0 => {
                let _ = writeln!(out, "next: {} {what}", text::shown(&first));
            }
            _ => {
                let _ = writeln!(out, "{what}");
            }
        }
        let _ = writeln!(out, "  {}", paint.strong(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Again, fixtures};

    fn shown(events: &[Stamped]) -> String {
        let mut out = Vec::new();
        let mut summary = Summary::without_colours(&mut out);
        events.iter().for_each(|event| summary.event(event).unwrap());
        String::from_utf8(out).unwrap()
    }

    fn shown_with(events: &[Stamped], around: &Around) -> String {
        let mut out = Vec::new();
        let mut summary = Summary::without_colours(&mut out).around(around);
        events.iter().for_each(|event| summary.event(event).unwrap());
        String::from_utf8(out).unwrap()
    }

    fn around() -> Around {
        let again = Again {
            which: ["plan.toml", "--environment", "staging"].map(str::to_owned).to_vec(),
            limit: None,
            rollout: ["web-1", "web-2", "web-3"].map(|name| name.parse().unwrap()).to_vec(),
        };
        Around { again: Some(again), ..Around::default() }
    }

    #[test]
    fn a_run_that_failed_halfway_says_what_is_left_and_what_to_type() {
        insta::assert_snapshot!(shown_with(&fixtures::left_behind(), &around()));
    }

    #[test]
    fn what_changed_is_shown_once_for_all_targets() {
        insta::assert_snapshot!(shown(&fixtures::changed()));
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
