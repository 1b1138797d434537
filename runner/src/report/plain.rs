//! One line for each thing that happens, for CI logs and pipes: no colours, no cursor, each line with its time, its
//! target and its step, so that `grep` finds all of one target.

use super::{Reporter, say, service};
use runner_model::words::{count, duration, moment, names, size};
use runner_model::{End, Event, Level, Limited, Stamped, StepId, Tally, TargetName, text};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// After so many milliseconds without a line of an invocation its progress is told: CI systems end jobs that are
/// silent for long.
const SILENT_FOR: u64 = 10_000;

/// Writes the lines.
#[derive(Debug)]
pub struct Plain<W> {
    out: W,
    debug: bool,
    /// When an invocation that runs was last heard of.
    heard: BTreeMap<(TargetName, StepId), u64>,
}

impl<W: Write> Plain<W> {
    /// Writes there; `debug`: lines for the authors of steps too.
    pub fn new(out: W, debug: bool) -> Self {
        Self { out, debug, heard: BTreeMap::new() }
    }

    fn note_heard(&mut self, stamped: &Stamped) {
        match &stamped.event {
            Event::StepStarted { step, target, .. }
            | Event::Log { step, target, .. }
            | Event::Progress { step, target, .. } => {
                self.heard.insert((target.clone(), step.clone()), stamped.at);
            }
            Event::StepFinished { step, target, .. } => {
                self.heard.remove(&(target.clone(), step.clone()));
            }
            _ => {}
        }
    }
}

impl<W: Write + Send> Reporter for Plain<W> {
    fn event(&mut self, stamped: &Stamped) -> io::Result<()> {
        match &stamped.event {
            Event::Log { level: Level::Debug, .. } if !self.debug => return Ok(()),
            Event::Progress { step, target, .. } => {
                let heard = self.heard.get(&(target.clone(), step.clone())).copied().unwrap_or_default();
                if stamped.at.saturating_sub(heard) < SILENT_FOR {
                    return Ok(());
                }
            }
            _ => {}
        }
        self.note_heard(stamped);
        let at = moment(stamped.at);
        for line in lines(&stamped.event) {
            say(&mut self.out, &format!("{at:>11}  {}\n", text::shown(&line)));
        }
        Ok(())
    }
}

/// The event in words; most are one line, some are not worth one.
fn lines(event: &Event) -> Vec<String> {
    vec![match event {
        Event::RunStarted { run, plan, summary, environment, limit, targets, .. } => {
            let on = limit.as_ref().map_or_else(|| count(targets.len(), "target"), limited);
            let mut lines = vec![format!("run {run}: {plan} to {environment}, {on}")];
            lines.extend(summary.clone());
            return lines;
        }
        Event::PhaseStarted { phase } => phase.word().to_owned(),
        Event::BatchStarted { number, of, targets } => {
            format!("batch {number} of {of}: {}", names(targets.iter().map(TargetName::as_str)))
        }
        Event::Connected { target, milliseconds, live } => {
            let live =
                live.as_ref().map_or_else(|| "nothing live".to_owned(), |live| format!("live: {live}"));
            format!("{target}  connected in {}, {live}", duration(*milliseconds))
        }
        Event::Unreachable { target, failure } => format!("{target}  unreachable: {failure}"),
        Event::ReleaseNamed { release } => format!("release {release}"),
        Event::StepStarted { step, target, attempt: 1 } => format!("{target}  {step}: started"),
        Event::StepStarted { step, target, attempt } => {
            format!("{target}  {step}: started again (attempt {attempt})")
        }
        Event::Progress { step, target, done, total, what } => {
            format!("{target}  {step}: {}", progress(*done, *total, what))
        }
        Event::Log { step, target, level, message } => format!("{target}  {step}: {}{message}", tag(*level)),
        Event::StepFinished { step, target, end, milliseconds, tally, .. } => {
            let took = duration(*milliseconds);
            match end {
                End::Ok => format!("{target}  {step}: ok in {took}{}", did(tally)),
                End::Failed { failure, .. } => format!("{target}  {step}: failed after {took}: {failure}"),
                End::Cancelled => format!("{target}  {step}: cancelled after {took}"),
                End::Unknown { why } => format!("{target}  {step}: unknown from here: {why}"),
            }
        }
        Event::StepRetried { step, target, delay, .. } => {
            format!("{target}  {step}: trying again in {}", duration(*delay))
        }
        Event::Cancelling => {
            "cancelling: what runs may end, nothing new begins; once more to stop now".to_owned()
        }
        Event::Halted { failures, allowed } => halted(*failures, *allowed),
        Event::LockAwaited { .. }
        | Event::LockRefused { .. }
        | Event::Undone { .. }
        | Event::LockLost { .. }
        | Event::ClusterLost { .. }
        | Event::ServiceObserved { .. }
        | Event::ServiceAwaited { .. }
        | Event::ServiceLeft { .. }
        | Event::ServiceJoined { .. }
        | Event::Paused { .. }
        | Event::RollbackStarted { .. }
        | Event::RollbackOff { .. }
        | Event::TargetRolledBack { .. }
        | Event::RollbackFailed { .. } => return service::words(event).into_iter().collect(),
        // The summary says it.
        Event::PhaseFinished { .. }
        | Event::Effect(_)
        | Event::TargetFinished { .. }
        | Event::RunFinished { .. } => {
            return Vec::new();
        }
    }]
}

/// What a run is limited to.
pub(super) fn limited(limit: &Limited) -> String {
    let Limited { pattern, chosen, of } = limit;
    format!("{chosen} of {}, limited by `--limit {pattern}`", count(*of, "target"))
}

/// Why the run goes no further.
pub(super) fn halted(failures: u32, allowed: u32) -> String {
    if failures > allowed {
        let failed = count(usize::try_from(failures).unwrap_or(usize::MAX), "target");
        format!("halted: {failed} failed or unreachable, `max-failures` allows {allowed}")
    } else {
        "halted: a step that runs once for all targets did not pass".to_owned()
    }
}

/// How far an invocation is, in its own unit; bytes in units for people.
pub(super) fn progress(done: u64, total: u64, what: &str) -> String {
    let bytes = what == "bytes";
    let shown = |amount: u64| if bytes { size(amount) } else { amount.to_string() };
    let unit = if bytes { String::new() } else { format!(" {what}") };
    match total {
        0 => format!("{}{unit}", shown(done)),
        _ => format!("{} of {}{unit}", shown(done), shown(total)),
    }
}

/// Words instead of colours.
pub(super) fn tag(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug: ",
        Level::Info => "",
        Level::Warn => "warning: ",
        Level::Error => "error: ",
    }
}

/// What an invocation did, if it is worth a word.
fn did(tally: &Tally) -> String {
    let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let mut did = Vec::new();
    if tally.changes > 0 {
        did.push(count(number(tally.changes), "change"));
    }
    if tally.signals > 0 {
        did.push(count(number(tally.signals), "signal"));
    }
    if tally.bytes_sent > 0 {
        did.push(format!("{} sent", size(tally.bytes_sent)));
    }
    if did.is_empty() { String::new() } else { format!(" ({})", did.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;

    fn shown(events: &[Stamped], debug: bool) -> String {
        let mut out = Vec::new();
        let mut plain = Plain::new(&mut out, debug);
        events.iter().for_each(|event| plain.event(event).unwrap());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_run_that_fails_in_its_first_batch() {
        insta::assert_snapshot!(shown(&fixtures::failed(), false));
    }

    #[test]
    fn a_run_that_is_cancelled() {
        insta::assert_snapshot!(shown(&fixtures::cancelled(), false));
    }

    #[test]
    fn terminal_escapes_of_a_hostile_step_are_written_out() {
        let shown = shown(&fixtures::hostile(), true);
        assert!(!shown.replace('\n', "").contains(text::is_unsafe));
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn long_work_is_heard_of_now_and_then() {
        let progress = |at, done| fixtures::at(at, fixtures::progress("send", "web-1", done));
        let events = [
            fixtures::at(0, fixtures::started("send", "web-1")),
            progress(5_000, 1),
            progress(10_000, 2 << 20),
            progress(19_000, 3 << 20),
            progress(21_000, 4 << 20),
        ];
        insta::assert_snapshot!(shown(&events, false), @r"
              0.0 s  web-1  send: started
             10.0 s  web-1  send: 2 MiB of 8 MiB
             21.0 s  web-1  send: 4 MiB of 8 MiB
        ");
    }
}
