//! What is known about a run while it goes on: who failed and where, what steps gave out. Plain data, no waiting.

use runner_model::{
    Failure, FailureKind, Phase, ReleaseId, Schedule, StepId, TargetEnd, TargetName, Verdict,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All that is known.
#[derive(Debug)]
pub(crate) struct Board {
    targets: BTreeMap<TargetName, Known>,
    once: BTreeMap<StepId, Value>,
    allowed: u32,
    once_failed: bool,
    step_failed: bool,
    halted: bool,
    named: bool,
    /// A step that acts on targets has begun.
    begun: bool,
    refused: Option<Failure>,
    lost: Option<Failure>,
    rolls_back: bool,
    /// Something that is no target's own could not be undone.
    left: bool,
}

/// What is known about one target.
#[derive(Debug, Default)]
struct Known {
    outputs: BTreeMap<StepId, Value>,
    trouble: Option<Trouble>,
    /// A failure in `finish` or `always`: the rollout of the target is not undone by it.
    late: Option<(StepId, Failure)>,
    stopped: Option<Option<StepId>>,
    /// What became of undoing it.
    undone: Option<Result<(), Failure>>,
    /// A step that runs once passed on it.
    served: bool,
    touched: bool,
    staged: bool,
    rolled_out: bool,
    live: Option<ReleaseId>,
}

#[derive(Debug)]
enum Trouble {
    Unreachable(Failure),
    Step(StepId, Failure),
}

/// That the run goes no further, found out just now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Halt {
    pub(crate) failures: u32,
    pub(crate) allowed: u32,
}

impl Board {
    pub(crate) fn new<'a>(targets: impl IntoIterator<Item = &'a TargetName>, schedule: &Schedule) -> Self {
        Self {
            targets: targets.into_iter().map(|name| (name.clone(), Known::default())).collect(),
            once: BTreeMap::new(),
            allowed: schedule.max_failures,
            once_failed: false,
            step_failed: false,
            halted: false,
            named: false,
            begun: false,
            refused: None,
            lost: None,
            rolls_back: false,
            left: false,
        }
    }

    /// Whether it is connected to; `localhost` often is not.
    pub(crate) fn is_target(&self, target: &TargetName) -> bool {
        self.targets.contains_key(target)
    }

    /// The outputs that a step on this target may refer to.
    pub(crate) fn outputs(&self, target: &TargetName) -> Arc<BTreeMap<StepId, Value>> {
        let mut outputs = self.once.clone();
        if let Some(known) = self.targets.get(target) {
            outputs.extend(known.outputs.iter().map(|(step, value)| (step.clone(), value.clone())));
        }
        Arc::new(outputs)
    }

    pub(crate) fn passed(&mut self, target: &TargetName, step: &StepId, value: Value) {
        if let Some(known) = self.targets.get_mut(target) {
            known.outputs.insert(step.clone(), value);
        }
    }

    pub(crate) fn passed_once(&mut self, target: &TargetName, step: &StepId, value: Value) {
        self.once.insert(step.clone(), value);
        if let Some(known) = self.targets.get_mut(target) {
            known.served = true;
        }
    }

    /// Says once that the release of the run may be named.
    pub(crate) fn name_release(&mut self, release: Option<ReleaseId>) -> Option<ReleaseId> {
        if self.named {
            return None;
        }
        self.named = release.is_some();
        release
    }

    pub(crate) fn connected(&mut self, target: &TargetName, live: Option<ReleaseId>) {
        if let Some(known) = self.targets.get_mut(target) {
            known.live = live;
        }
    }

    pub(crate) fn unreachable(&mut self, target: &TargetName, failure: Failure) -> Option<Halt> {
        self.trouble(target, Trouble::Unreachable(failure));
        self.halt()
    }

    /// A step failed for this target.
    pub(crate) fn failed(
        &mut self,
        target: &TargetName,
        phase: Phase,
        step: &StepId,
        failure: Failure,
    ) -> Option<Halt> {
        self.step_failed = true;
        if matches!(phase, Phase::Finish | Phase::Always) {
            if let Some(known) = self.targets.get_mut(target) {
                known.late.get_or_insert_with(|| (step.clone(), failure));
            }
            return None;
        }
        self.trouble(target, Trouble::Step(step.clone(), failure));
        self.halt()
    }

    /// A step that runs once did not pass: no target gets past it, whatever `max-failures` allows.
    pub(crate) fn failed_once(&mut self, phase: Phase) {
        match phase {
            // Nothing was begun that could be halted: there is nothing to say beside the failure.
            Phase::Prepare => self.halted = true,
            Phase::Stage | Phase::Rollout => self.once_failed = true,
            Phase::Finish | Phase::Always => {}
        }
    }

    fn trouble(&mut self, target: &TargetName, trouble: Trouble) {
        if let Some(known) = self.targets.get_mut(target) {
            known.trouble.get_or_insert(trouble);
        }
    }

    /// Nothing begins: the targets are locked.
    pub(crate) fn refuse(&mut self, failure: Failure) {
        self.halted = true;
        self.refused = Some(failure);
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Nobody knows who is in service: no further batch begins.
    pub(crate) fn cluster_lost(&mut self, failure: Failure) {
        self.halted = true;
        self.lost.get_or_insert(failure);
    }

    /// Somebody else has the lock.
    pub(crate) fn lock_lost(&mut self) {
        self.halted = true;
        self.step_failed = true;
    }

    /// A target that was put back is not in service.
    pub(crate) fn left_cluster(&mut self, target: &TargetName, why: String) {
        self.step_failed = true;
        if let Some(known) = self.targets.get_mut(target) {
            let failure = Failure::new(FailureKind::Conflict, why);
            known.late.get_or_insert_with(|| (StepId::cluster(), failure));
        }
    }

    /// A step begins that acts on targets.
    pub(crate) fn begin(&mut self) {
        self.begun = true;
    }

    pub(crate) fn was_any_begun(&self) -> bool {
        self.begun
    }

    pub(crate) fn is_through(&self, target: &TargetName) -> bool {
        self.targets.get(target).is_some_and(|known| known.rolled_out)
    }

    pub(crate) fn rollback_begun(&mut self) {
        self.rolls_back = true;
    }

    pub(crate) fn rolled_back(&mut self, target: &TargetName) {
        if let Some(known) = self.targets.get_mut(target) {
            known.undone.get_or_insert(Ok(()));
        }
    }

    pub(crate) fn not_rolled_back(&mut self, target: Option<&TargetName>, failure: Failure) {
        self.left = true;
        if let Some(known) = target.and_then(|target| self.targets.get_mut(target))
            && !matches!(known.undone, Some(Err(_)))
        {
            known.undone = Some(Err(failure));
        }
    }

    /// Says once that the run goes no further.
    pub(crate) fn halt(&mut self) -> Option<Halt> {
        let failures = self.targets.values().filter(|known| known.trouble.is_some()).count();
        let failures = u32::try_from(failures).unwrap_or(u32::MAX);
        if self.halted || !(self.once_failed || failures > self.allowed) {
            return None;
        }
        self.halted = true;
        Some(Halt { failures, allowed: self.allowed })
    }

    /// Whether failures ended the run: more of them than allowed, or no target is left.
    pub(crate) fn is_halted(&self) -> bool {
        let lost = |known: &Known| known.trouble.is_some();
        self.halted || !self.targets.is_empty() && self.targets.values().all(lost)
    }

    /// Whether some target did not answer so far.
    pub(crate) fn misses_targets(&self) -> bool {
        self.targets.values().any(|known| matches!(known.trouble, Some(Trouble::Unreachable(_))))
    }

    /// Whether nothing went wrong on it so far.
    pub(crate) fn is_well(&self, target: &TargetName) -> bool {
        self.targets.get(target).is_none_or(|known| known.trouble.is_none())
    }

    /// A step of the rollout is about to run on it.
    pub(crate) fn touch(&mut self, target: &TargetName) {
        if let Some(known) = self.targets.get_mut(target) {
            known.touched = true;
        }
    }

    pub(crate) fn is_touched(&self, target: &TargetName) -> bool {
        self.targets.get(target).is_some_and(|known| known.touched)
    }

    /// The run was cancelled while it was worked on.
    pub(crate) fn stopped(&mut self, target: &TargetName, step: Option<StepId>) {
        if let Some(known) = self.targets.get_mut(target) {
            known.stopped.get_or_insert(step);
        }
    }

    /// It came to the end of the phase.
    pub(crate) fn through(&mut self, target: &TargetName, phase: Phase) {
        if let Some(known) = self.targets.get_mut(target) {
            match phase {
                Phase::Stage => known.staged = true,
                Phase::Rollout => known.rolled_out = true,
                Phase::Prepare | Phase::Finish | Phase::Always => {}
            }
        }
    }

    /// What was live when it was connected to.
    pub(crate) fn live(&self, target: &TargetName) -> Option<ReleaseId> {
        self.targets.get(target).and_then(|known| known.live.clone())
    }

    /// In what state the target is left. `rolls` and `stages`: whether the schedule has such steps for it.
    pub(crate) fn end(&self, target: &TargetName, stages: bool, rolls: bool) -> TargetEnd {
        let Some(known) = self.targets.get(target) else { return TargetEnd::Untouched };
        match &known.undone {
            Some(Ok(())) => {
                let (step, failure) = match &known.trouble {
                    Some(Trouble::Step(step, failure)) => (Some(step.clone()), Some(failure.clone())),
                    Some(Trouble::Unreachable(failure)) => (None, Some(failure.clone())),
                    None => (None, None),
                };
                return TargetEnd::RolledBack { step, failure };
            }
            Some(Err(failure)) => return TargetEnd::RollbackFailed { failure: failure.clone() },
            None => {}
        }
        match &known.trouble {
            Some(Trouble::Unreachable(failure)) => {
                return TargetEnd::Unreachable { failure: failure.clone() };
            }
            Some(Trouble::Step(step, failure)) => {
                return TargetEnd::Failed { step: step.clone(), failure: failure.clone() };
            }
            None => {}
        }
        let done = if rolls {
            known.rolled_out
        } else {
            let worked = if stages { known.staged } else { known.served };
            worked && !(known.touched && known.stopped.is_some())
        };
        match (&known.late, &known.stopped) {
            (Some((step, failure)), _) if done => {
                TargetEnd::Failed { step: step.clone(), failure: failure.clone() }
            }
            _ if done => TargetEnd::Done,
            (_, stopped) if known.touched => TargetEnd::Stopped { step: stopped.clone().flatten() },
            _ => TargetEnd::Untouched,
        }
    }

    /// How the run ended, when no signal came. Failures within `max-failures` let the run go on, but not end well:
    /// a pipeline must not take a target that is left behind for a success.
    pub(crate) fn verdict(&self) -> Verdict {
        let unreachable = |failure: &Failure| failure.kind == FailureKind::Unreachable;
        if let Some(failure) = &self.refused {
            return if unreachable(failure) { Verdict::Unreachable } else { Verdict::Refused };
        }
        if self.rolls_back {
            return if self.left { Verdict::RollbackFailed } else { Verdict::RolledBack };
        }
        if self.step_failed {
            Verdict::Failed
        } else if let Some(failure) = &self.lost {
            if unreachable(failure) { Verdict::Unreachable } else { Verdict::Failed }
        } else if self.misses_targets() {
            Verdict::Unreachable
        } else {
            Verdict::Done
        }
    }
}
