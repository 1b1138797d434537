//! What a run did, added up from its events: the summary and the JSON document are two ways to show it.

use super::left::Left;
use super::service;
use runner_model::{
    Difference, EffectEnd, Effected, End, EnvironmentName, Event, Failure, Limited, Phase, PlanName,
    ReleaseId, RunId, Service, StepId, TargetEnd, TargetName, Verdict,
};
use std::collections::BTreeMap;

/// So many differences are kept. What is the same on many targets is one of them.
const DIFFERENCES_MAX: usize = 300;

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) run: Option<RunId>,
    pub(crate) plan: Option<PlanName>,
    pub(crate) environment: Option<EnvironmentName>,
    pub(crate) summary: Option<String>,
    pub(crate) limit: Option<Limited>,
    pub(crate) release: Option<ReleaseId>,
    /// In the order of the inventory.
    pub(crate) targets: Vec<TargetAccount>,
    /// In the order of the plan.
    pub(crate) steps: Vec<StepAccount>,
    pub(crate) phases: Vec<(Phase, u64)>,
    /// In the order in which they came; what passed at a later try is not among them.
    pub(crate) failures: Vec<Failed>,
    pub(crate) halted: Option<(u32, u32)>,
    /// Why nothing was begun, why it was cut short, or why nothing was taken back.
    pub(crate) stopped_by: Vec<String>,
    /// What could not be taken back, and why; without a target: on the runner's own machine.
    pub(crate) not_undone: Vec<(Option<TargetName>, Failure)>,
    /// In the order in which they first came.
    pub(crate) changed: Vec<Changed>,
    /// How many more there were.
    pub(crate) changed_more: usize,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) milliseconds: u64,
    /// Whether a service was asked for anything, or something that nobody can look into was done.
    pub(crate) restarted: bool,
    /// Sent by steps that run here, for whatever target.
    elsewhere: u64,
    places: BTreeMap<TargetName, usize>,
}

/// One target.
#[derive(Debug)]
pub(crate) struct TargetAccount {
    pub(crate) target: TargetName,
    pub(crate) end: Option<TargetEnd>,
    /// What was live when it was connected to; the outer `None`: it never was.
    pub(crate) before: Option<Option<ReleaseId>>,
    pub(crate) live: Option<ReleaseId>,
    /// Whether what is live is known.
    pub(crate) live_known: bool,
    pub(crate) left: Left,
    /// Whether its cluster sends requests to it, as was last heard; `None`: it has none.
    pub(crate) in_service: Option<bool>,
    pub(crate) bytes_sent: u64,
    pub(crate) changes: u64,
    /// The last of its steps that began, `finish` and `always` aside.
    pub(crate) last: Option<StepId>,
}

/// One step on all its targets.
#[derive(Debug)]
pub(crate) struct StepAccount {
    pub(crate) phase: Phase,
    pub(crate) step: StepId,
    /// How long each invocation took, and for which target.
    pub(crate) took: Vec<(u64, TargetName)>,
    pub(crate) changes: u64,
    pub(crate) bytes_sent: u64,
}

/// What steps made different, in the same way on all these targets.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) step: StepId,
    /// The effect, in words.
    pub(crate) what: String,
    pub(crate) difference: Difference,
    pub(crate) targets: Vec<TargetName>,
}

/// A failure that was not mended by a later try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) target: TargetName,
    /// `None`: the target could not be reached.
    pub(crate) step: Option<StepId>,
    pub(crate) attempt: u32,
    pub(crate) failure: Failure,
    pub(crate) stderr: String,
}

impl StepAccount {
    pub(crate) fn total(&self) -> u64 {
        self.took.iter().map(|(took, _)| took).sum()
    }

    /// Of an even number, the upper one of the two in the middle.
    pub(crate) fn median(&self) -> u64 {
        let mut took: Vec<u64> = self.took.iter().map(|(took, _)| *took).collect();
        took.sort_unstable();
        took.get(took.len() / 2).copied().unwrap_or_default()
    }

    pub(crate) fn slowest(&self) -> Option<&(u64, TargetName)> {
        // Of equals the first one, so that it does not depend on who ended last.
        self.took.iter().rev().max_by_key(|(took, _)| *took)
    }
}

impl Account {
    /// Bytes sent to all targets.
    pub(crate) fn bytes_sent(&self) -> u64 {
        self.targets.iter().map(|target| target.bytes_sent).sum::<u64>() + self.elsewhere
    }

    /// What the run leaves behind on a target; nothing where it went through.
    pub(crate) fn left_behind(&self, target: &TargetAccount) -> Vec<String> {
        match target.end {
            Some(TargetEnd::Done | TargetEnd::RolledBack { .. }) => Vec::new(),
            _ => target.left.lines(self.release.as_ref(), target.live.as_ref()),
        }
    }

    fn stands(&mut self, target: &TargetName, in_service: bool) {
        if let Some(known) = self.target(target) {
            known.in_service = Some(in_service);
        }
    }

    fn target(&mut self, target: &TargetName) -> Option<&mut TargetAccount> {
        let place = *self.places.get(target)?;
        self.targets.get_mut(place)
    }

    /// Takes in one event.
    pub(crate) fn add(&mut self, event: &Event) {
        match event {
            Event::RunStarted { run, plan, summary, environment, limit, targets, steps } => {
                self.run = Some(run.clone());
                self.plan = Some(plan.clone());
                self.summary.clone_from(summary);
                self.limit.clone_from(limit);
                self.environment = Some(environment.clone());
                self.places = targets.iter().cloned().zip(0..).collect();
                self.targets = targets.iter().cloned().map(TargetAccount::new).collect();
                for (phase, steps) in steps {
                    self.steps.extend(steps.iter().cloned().map(|step| StepAccount::new(*phase, step)));
                }
            }
            Event::PhaseFinished { phase, milliseconds } => self.phases.push((*phase, *milliseconds)),
            Event::Connected { target, live, .. } => {
                let live = live.clone();
                if let Some(known) = self.target(target) {
                    known.before = Some(live.clone());
                    known.live = live;
                }
            }
            Event::Unreachable { target, failure } => self.failures.push(Failed {
                target: target.clone(),
                step: None,
                attempt: 1,
                failure: failure.clone(),
                stderr: String::new(),
            }),
            Event::ReleaseNamed { release } => self.release = Some(release.clone()),
            Event::StepStarted { step, target, .. } => {
                let late = |known: &StepAccount| known.step == *step && known.phase >= Phase::Finish;
                if !self.steps.iter().any(late)
                    && let Some(known) = self.target(target)
                {
                    known.last = Some(step.clone());
                }
            }
            Event::StepFinished { step, target, attempt, end, milliseconds, tally } => {
                match self.target(target) {
                    Some(known) => {
                        known.bytes_sent += tally.bytes_sent;
                        known.changes += u64::from(tally.changes);
                    }
                    None => self.elsewhere += tally.bytes_sent,
                }
                self.restarted |= tally.signals > 0;
                if let Some(known) = self.steps.iter_mut().find(|known| known.step == *step) {
                    known.took.push((*milliseconds, target.clone()));
                    known.changes += u64::from(tally.changes);
                    known.bytes_sent += tally.bytes_sent;
                }
                if let End::Failed { failure, stderr } = end {
                    self.failures.push(Failed {
                        target: target.clone(),
                        step: Some(step.clone()),
                        attempt: *attempt,
                        failure: failure.clone(),
                        stderr: stderr.clone(),
                    });
                }
            }
            Event::Effect(effected) => self.add_effect(effected),
            Event::StepRetried { step, target, .. } => {
                let same = |failed: &Failed| failed.target == *target && failed.step.as_ref() == Some(step);
                if let Some(place) = self.failures.iter().rposition(same) {
                    self.failures.remove(place);
                }
            }
            Event::Halted { failures, allowed } => self.halted = Some((*failures, *allowed)),
            Event::TargetFinished { target, end, live, live_known } => {
                if let Some(known) = self.target(target) {
                    known.end = Some(end.clone());
                    known.live.clone_from(live);
                    known.live_known = *live_known;
                }
                self.add_untold(target, end);
            }
            Event::RunFinished { verdict, milliseconds, .. } => {
                self.verdict = Some(*verdict);
                self.milliseconds = *milliseconds;
            }
            Event::LockRefused { .. }
            | Event::LockLost { .. }
            | Event::ClusterLost { .. }
            | Event::RollbackOff { .. } => {
                self.stopped_by.extend(service::words(event));
            }
            Event::Undone { on, target, act, stays: None, .. } => {
                if let Some(known) = self.target(on.as_ref().unwrap_or(target)) {
                    known.left.undone(act);
                }
            }
            Event::RollbackFailed { target, failure } => {
                self.not_undone.push((target.clone(), failure.clone()));
            }
            Event::ServiceObserved { standings } => {
                for (target, standing) in standings {
                    self.stands(target, standing.service == Service::In);
                }
            }
            Event::ServiceLeft { target, .. } => self.stands(target, false),
            Event::ServiceJoined { target, .. } => self.stands(target, true),
            Event::LockAwaited { .. }
            | Event::ServiceAwaited { .. }
            | Event::Paused { .. }
            | Event::RollbackStarted { .. }
            | Event::Undone { stays: Some(_), .. }
            | Event::TargetRolledBack { .. }
            | Event::PhaseStarted { .. }
            | Event::BatchStarted { .. }
            | Event::Progress { .. }
            | Event::Log { .. }
            | Event::Cancelling => {}
        }
    }

    fn add_effect(&mut self, effected: &Effected) {
        let on = effected.on.as_ref().unwrap_or(&effected.target);
        if let Some(known) = self.target(on) {
            known.left.add(effected);
        }
        let Some(difference) = &effected.difference else { return };
        if !matches!(effected.end, EffectEnd::Done | EffectEnd::Planned) {
            return;
        }
        let what = effected.act.words();
        let same = |known: &&mut Changed| {
            known.step == effected.step && known.what == what && known.difference == *difference
        };
        let full = self.changed.len() >= DIFFERENCES_MAX;
        match self.changed.iter_mut().find(same) {
            Some(known) if known.targets.contains(on) => {}
            Some(known) => {
                known.targets.push(on.clone());
                // As everywhere in the summary, and not as fast as they were.
                known.targets.sort_by_key(|name| self.places.get(name).copied().unwrap_or(usize::MAX));
            }
            None if full => self.changed_more += 1,
            None => self.changed.push(Changed {
                step: effected.step.clone(),
                what,
                difference: difference.clone(),
                targets: vec![on.clone()],
            }),
        }
    }

    /// A target may fail where no invocation did: behind a step that runs once, or when its release is marked. And a
    /// cancellation may come between a failure and the next try.
    fn add_untold(&mut self, target: &TargetName, end: &TargetEnd) {
        let (TargetEnd::Failed { step, failure }
        | TargetEnd::RolledBack { step: Some(step), failure: Some(failure) }) = end
        else {
            return;
        };
        let told = |failed: &Failed| failed.target == *target && failed.step.is_some();
        if !self.failures.iter().any(told) {
            self.failures.push(Failed {
                target: target.clone(),
                step: Some(step.clone()),
                attempt: 1,
                failure: failure.clone(),
                stderr: String::new(),
            });
        }
    }
}

impl TargetAccount {
    fn new(target: TargetName) -> Self {
        Self {
            target,
            end: None,
            before: None,
            live: None,
            live_known: false,
            left: Left::default(),
            in_service: None,
            bytes_sent: 0,
            changes: 0,
            last: None,
        }
    }
}

impl StepAccount {
    fn new(phase: Phase, step: StepId) -> Self {
        Self { phase, step, took: Vec::new(), changes: 0, bytes_sent: 0 }
    }
}
