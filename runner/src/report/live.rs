//! What the live view shows, as plain lines: computed from events and a time, without any terminal.

use super::paint::Paint;
use super::plain::{limited, progress};
use console::truncate_str;
use runner_model::words::{count, moment};
use runner_model::{End, Event, Phase, StepId, TargetName};
use std::collections::BTreeMap;

/// More targets than this are shown as counts, however high the terminal is: nobody reads on while it moves.
const ROWS: usize = 40;

/// The state of the view.
#[derive(Debug, Default)]
pub(super) struct Live {
    title: String,
    phase: Option<Phase>,
    batch: Option<(u32, u32)>,
    targets: Vec<TargetName>,
    rows: BTreeMap<TargetName, Row>,
    /// The steps of the plan, in order.
    steps: Vec<StepId>,
    cancelling: bool,
}

/// What a target does.
#[derive(Debug, Clone)]
struct Row {
    doing: Doing,
    since: u64,
    /// Its last line of log, or how far it is.
    note: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Doing {
    Connecting,
    Ready,
    Running(StepId),
    Retrying(StepId),
    Passed(StepId),
    Failed(StepId),
    Unreachable,
    /// What else it waits for or went through.
    Gate(&'static str),
}

impl Live {
    /// Takes in one event, which happened at that time.
    pub(super) fn add(&mut self, at: u64, event: &Event) {
        match event {
            Event::RunStarted { plan, environment, limit, targets, steps, .. } => {
                let on = limit.as_ref().map(|limit| format!(", {}", limited(limit))).unwrap_or_default();
                self.title = format!("{plan} to {environment}{on}");
                self.targets.clone_from(targets);
                self.steps = steps.iter().flat_map(|(_, steps)| steps).cloned().collect();
                let row = Row { doing: Doing::Connecting, since: at, note: String::new() };
                self.rows = targets.iter().map(|target| (target.clone(), row.clone())).collect();
            }
            Event::PhaseStarted { phase } => {
                self.phase = Some(*phase);
                self.batch = None;
            }
            Event::BatchStarted { number, of, .. } => self.batch = Some((*number, *of)),
            Event::Connected { target, .. } => self.set(target, Doing::Ready, at),
            Event::Unreachable { target, .. } => self.set(target, Doing::Unreachable, at),
            Event::StepStarted { step, target, .. } => self.set(target, Doing::Running(step.clone()), at),
            Event::Progress { step, target, done, total, what } => {
                self.note(step, target, progress(*done, *total, what));
            }
            Event::Log { step, target, message, .. } => self.note(step, target, message.clone()),
            Event::StepFinished { step, target, end, .. } => {
                let doing = match end {
                    End::Ok | End::Unknown { .. } => Doing::Passed(step.clone()),
                    End::Failed { .. } | End::Cancelled => Doing::Failed(step.clone()),
                };
                self.set(target, doing, at);
            }
            Event::StepRetried { step, target, .. } => self.set(target, Doing::Retrying(step.clone()), at),
            Event::Cancelling => self.cancelling = true,
            Event::ServiceAwaited { target, .. } => self.set(target, Doing::Gate("waits for its turn"), at),
            Event::ServiceLeft { target, .. } => self.set(target, Doing::Gate("out of service"), at),
            Event::ServiceJoined { target, .. } => self.set(target, Doing::Gate("back in service"), at),
            Event::RollbackStarted { targets } => {
                self.batch = None;
                for target in targets {
                    self.set(target, Doing::Gate("to be rolled back"), at);
                }
            }
            Event::TargetRolledBack { target, .. } => self.set(target, Doing::Gate("rolled back"), at),
            Event::RollbackFailed { target: Some(target), .. } => {
                self.set(target, Doing::Gate("not rolled back"), at);
            }
            Event::PhaseFinished { .. }
            | Event::LockAwaited { .. }
            | Event::LockRefused { .. }
            | Event::Undone { .. }
            | Event::LockLost { .. }
            | Event::ClusterLost { .. }
            | Event::ServiceObserved { .. }
            | Event::Paused { .. }
            | Event::RollbackOff { .. }
            | Event::RollbackFailed { target: None, .. }
            | Event::ReleaseNamed { .. }
            | Event::Halted { .. }
            | Event::Effect(_)
            | Event::TargetFinished { .. }
            | Event::RunFinished { .. } => {}
        }
    }

    fn set(&mut self, target: &TargetName, doing: Doing, since: u64) {
        // A step that runs here has a row as long as it runs, though here is no target.
        let here = !self.targets.contains(target);
        if here && matches!(doing, Doing::Passed(_) | Doing::Failed(_)) {
            self.rows.remove(target);
        } else {
            self.rows.insert(target.clone(), Row { doing, since, note: String::new() });
        }
    }

    fn note(&mut self, step: &StepId, target: &TargetName, note: String) {
        if let Some(row) = self.rows.get_mut(target)
            && row.doing == Doing::Running(step.clone())
        {
            row.note = note;
        }
    }

    /// The lines for a terminal of this size.
    pub(super) fn lines(&self, now: u64, height: usize, width: usize, paint: Paint) -> Vec<String> {
        // The last line stays free for the cursor, the last column for terminals that wrap too early.
        let (height, width) = (height.saturating_sub(2).max(1), width.saturating_sub(1).max(1));
        let mut lines = vec![self.head(now, paint)];
        if self.rows.len() < height.min(ROWS + 1) {
            lines.extend(self.each(now, paint));
        } else {
            lines.extend(self.counts(now, paint));
        }
        lines.truncate(height);
        lines.into_iter().map(|line| truncate_str(&line, width, "…").into_owned()).collect()
    }

    fn head(&self, now: u64, paint: Paint) -> String {
        let mut head = paint.strong(&self.title);
        if let Some(phase) = self.phase {
            head.push_str("  ");
            head.push_str(phase.word());
        }
        if let Some((number, of)) = self.batch {
            head.push_str(&format!(", batch {number} of {of}"));
        }
        head.push_str(&format!("  {}", moment(now)));
        if self.cancelling {
            head.push_str("  ");
            head.push_str(&paint.doubtful("cancelling"));
        }
        head
    }

    fn each(&self, now: u64, paint: Paint) -> Vec<String> {
        let here = self.rows.keys().filter(|target| !self.targets.contains(target));
        let shown: Vec<&TargetName> = here.chain(&self.targets).collect();
        let name = shown.iter().map(|target| target.as_str().len()).max().unwrap_or_default();
        let step = self.steps.iter().map(|step| step.as_str().len()).max().unwrap_or_default().max(10);
        let line = |target: &TargetName| {
            let row = self.rows.get(target)?;
            let took = || paint.faint(&moment(now.saturating_sub(row.since)));
            let lasting = |what: &str| {
                let note =
                    if row.note.is_empty() { String::new() } else { format!("  {}", paint.faint(&row.note)) };
                format!("{what:step$}  {}{note}", took())
            };
            let doing = match &row.doing {
                Doing::Connecting => lasting("connecting"),
                Doing::Running(step) => lasting(step.as_str()),
                Doing::Retrying(id) => {
                    format!("{:step$}  {}", id.as_str(), paint.doubtful("waits to try again"))
                }
                Doing::Ready => paint.faint("ready"),
                Doing::Gate(what) => paint.faint(what),
                Doing::Passed(id) => format!("{:step$}  {}", id.as_str(), paint.good("ok")),
                Doing::Failed(id) => format!("{:step$}  {}", id.as_str(), paint.bad("failed")),
                Doing::Unreachable => paint.bad("unreachable"),
            };
            Some(format!("  {:name$}  {doing}", target.as_str()))
        };
        shown.into_iter().filter_map(line).collect()
    }

    /// A line for each step with how many targets are where, and the one that has been in it for longest.
    fn counts(&self, now: u64, paint: Paint) -> Vec<String> {
        let many = |wanted: &Doing| self.rows.values().filter(|row| row.doing == *wanted).count();
        let mut lines = Vec::new();
        let mut bare = |wanted: Doing, words: &str| {
            let number = many(&wanted);
            if number > 0 {
                lines.push(format!("  {}", paint.faint(&format!("{} {words}", count(number, "target")))));
            }
        };
        bare(Doing::Connecting, "connecting");
        bare(Doing::Ready, "ready");
        let width = self.steps.iter().map(|step| step.as_str().len()).max().unwrap_or_default();
        for step in &self.steps {
            let mut parts = Vec::new();
            let running = self.rows.iter().filter(|(_, row)| row.doing == Doing::Running(step.clone()));
            if let Some((slowest, row)) = running.clone().min_by_key(|(_, row)| row.since) {
                let longest = moment(now.saturating_sub(row.since));
                parts.push(format!("{} running, {slowest} for {longest}", running.count()));
            }
            let retrying = many(&Doing::Retrying(step.clone()));
            if retrying > 0 {
                parts.push(paint.doubtful(&format!("{retrying} to try again")));
            }
            let passed = many(&Doing::Passed(step.clone()));
            if passed > 0 {
                parts.push(paint.good(&format!("{passed} ok")));
            }
            let failed = many(&Doing::Failed(step.clone()));
            if failed > 0 {
                parts.push(paint.bad(&format!("{failed} failed")));
            }
            if !parts.is_empty() {
                lines.push(format!("  {:width$}  {}", step.as_str(), parts.join(", ")));
            }
        }
        let unreachable = many(&Doing::Unreachable);
        if unreachable > 0 {
            lines.push(format!("  {}", paint.bad(&format!("{} unreachable", count(unreachable, "target")))));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;
    use runner_model::{Stamped, text};

    fn shown(events: &[Stamped], until: u64, now: u64, height: usize, width: usize) -> String {
        let mut live = Live::default();
        events.iter().filter(|event| event.at <= until).for_each(|event| live.add(event.at, &event.event));
        live.lines(now, height, width, Paint::NONE).join("\n")
    }

    #[test]
    fn a_line_per_target_while_they_fit() {
        insta::assert_snapshot!(shown(&fixtures::failed(), 100, 150, 24, 80), @r"
        shop to staging  prepare  0.2 s
          localhost  package     0.1 s
          web-1      connecting  0.2 s
          web-2      connecting  0.2 s
          web-3      connecting  0.2 s
        ");
        insta::assert_snapshot!(shown(&fixtures::failed(), 1950, 12_000, 24, 80), @r"
        shop to staging  stage  12.0 s
          web-1  distribute  ok
          web-2  distribute  10.8 s  3 MiB of 8 MiB
          web-3  distribute  10.8 s
        ");
        insta::assert_snapshot!(shown(&fixtures::failed(), 67_311, 68_000, 24, 80), @r"
        shop to staging  rollout, batch 1 of 2  1 min 8 s
          web-1  smoke-test  waits to try again
          web-2  distribute  ok
          web-3  distribute  ok
        ");
    }

    #[test]
    fn counts_when_they_do_not() {
        insta::assert_snapshot!(shown(&fixtures::fleet(500), 10, 1000, 50, 80), @r"
        shop to staging  rollout, batch 1 of 1  1.0 s
          switch      500 running, web-1 for 1.0 s
        ");
        insta::assert_snapshot!(shown(&fixtures::fleet(500), 2000, 2000, 50, 80), @r"
        shop to staging  rollout, batch 1 of 1  2.0 s
          switch      428 ok, 72 failed
        ");
    }

    #[test]
    fn no_size_of_a_terminal_is_too_small() {
        for (height, width) in [(0, 0), (1, 1), (2, 3), (3, 200), (200, 10)] {
            for event in fixtures::failed() {
                let shown = shown(&fixtures::failed(), event.at, event.at + 5, height, width);
                assert!(shown.lines().count() <= height.saturating_sub(2).max(1));
                assert!(shown.lines().all(|line| line.chars().count() < width.max(2)), "{width}: {shown}");
            }
        }
    }

    #[test]
    fn what_a_hostile_step_says_of_its_progress_is_harmless() {
        let shown = shown(&fixtures::hostile(), 20_000, 20_000, 24, 200);
        assert!(!shown.replace('\n', "").contains(text::is_unsafe), "{shown:?}");
    }
}
