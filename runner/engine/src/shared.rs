//! What all parts of a run share: what is known, and what holds all of them back.

use crate::board::{Board, Halt};
use crate::brakes::Brakes;
use crate::budget::Budget;
use crate::links::Links;
use crate::once::Once;
use crate::{EventSender, Executor};
use runner_model::{
    Event, Failure, FailureKind, Gate, OnFailure, Phase, Runs, Schedule, ScheduledStep, Standing, StepId,
    TargetName,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// What all parts of a run share.
pub(crate) struct Run {
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) events: EventSender,
    pub(crate) brakes: Brakes,
    pub(crate) links: Links,
    pub(crate) once: BTreeMap<StepId, Once>,
    pub(crate) release: bool,
    pub(crate) gate: Option<Gate>,
    pub(crate) budget: Budget,
    pub(crate) watched: bool,
    pub(crate) on_failure: OnFailure,
    pub(crate) pause: Duration,
    /// Whether the targets are locked; `None`: not yet.
    pub(crate) locked: watch::Sender<Option<bool>>,
    passages: Mutex<Passages>,
    board: Mutex<Board>,
}

/// What is known of the gate and the watchdogs.
#[derive(Default)]
struct Passages {
    serving: BTreeMap<TargetName, bool>,
    armed: BTreeSet<TargetName>,
    no_return: Option<StepId>,
}

impl Run {
    pub(crate) fn new(
        schedule: &Schedule,
        targets: &[TargetName],
        executor: Arc<dyn Executor>,
        events: EventSender,
    ) -> Self {
        Self {
            board: Mutex::new(Board::new(targets, schedule)),
            links: Links::new(targets),
            once: schedule
                .steps
                .iter()
                .filter(|step| matches!(step.runs, Runs::Once(_)))
                .map(|step| (step.id.clone(), Once::default()))
                .collect(),
            brakes: Brakes::default(),
            release: schedule.release,
            budget: Budget::new(schedule.cluster.as_ref().map_or(0, |gate| gate.in_service)),
            gate: schedule.cluster.clone(),
            watched: schedule.watched,
            on_failure: schedule.on_failure,
            pause: Duration::from_millis(schedule.pause_ms),
            locked: watch::Sender::new(None),
            passages: Mutex::new(Passages {
                no_return: begun_without_return(schedule, &*executor),
                ..Passages::default()
            }),
            executor,
            events,
        }
    }

    /// What is known. Never held while waiting.
    pub(crate) fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn passages(&self) -> MutexGuard<'_, Passages> {
        self.passages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cluster said how targets stand.
    pub(crate) fn saw(&self, standings: &BTreeMap<TargetName, Standing>) {
        self.budget.observed(standings);
        let serving = standings.iter().map(|(target, standing)| (target.clone(), !standing.is_out()));
        self.passages().serving.extend(serving);
    }

    /// A target was put into service, or taken out.
    pub(crate) fn stands(&self, target: &TargetName, serves: bool) {
        self.passages().serving.insert(target.clone(), serves);
    }

    /// Whether requests may be sent to it.
    pub(crate) fn serves(&self, target: &TargetName) -> bool {
        self.passages().serving.get(target).copied().unwrap_or(true)
    }

    /// Arms the watchdog of a target.
    pub(crate) async fn arm(&self, target: &TargetName) -> Result<(), Failure> {
        self.executor.arm(target).await?;
        self.passages().armed.insert(target.clone());
        Ok(())
    }

    pub(crate) fn is_armed(&self, target: &TargetName) -> bool {
        self.passages().armed.contains(target)
    }

    pub(crate) fn disarmed(&self, target: &TargetName) {
        self.passages().armed.remove(target);
    }

    /// The step after which there is no return, once it has begun.
    pub(crate) fn no_return(&self) -> Option<StepId> {
        self.passages().no_return.clone()
    }

    /// A step begins: after some there is no return, and no target may take itself back from here on.
    ///
    /// # Errors
    /// A watchdog cannot be disarmed: the step must not begin.
    pub(crate) async fn begins(&self, step: &ScheduledStep) -> Result<(), Failure> {
        if !step.no_return || self.no_return().is_some() {
            return Ok(());
        }
        self.passages().no_return = Some(step.id.clone());
        let armed = self.passages().armed.clone();
        let cut = self.brakes.cut(Phase::Rollout);
        for target in armed {
            tokio::select! {
                disarmed = self.executor.disarm(&target) => disarmed?,
                () = cut.cancelled() => return Err(Failure::new(FailureKind::Cancelled, "it is still armed")),
            }
            self.disarmed(&target);
        }
        Ok(())
    }

    /// Waits until the targets are locked, for a step that acts on one. `false`: they are not, and nothing begins.
    pub(crate) async fn locked(&self, target: &TargetName) -> bool {
        if !self.board().is_target(target) {
            return true;
        }
        let mut locked = self.locked.subscribe();
        tokio::select! {
            biased;
            known = locked.wait_for(Option::is_some) => known.is_ok_and(|known| *known == Some(true)),
            () = self.brakes.begin(Phase::Stage).cancelled() => false,
        }
    }

    /// The run was cancelled before it took the lock: whoever waits for it need not.
    pub(crate) fn forgo_lock(&self) {
        self.executor.forgo_lock();
        self.locked.send_replace(Some(false));
    }

    /// Another run took the lock over: this one may do nothing more.
    pub(crate) fn lost_lock(&self, failure: Failure) {
        self.events.send(Event::LockLost { failure });
        self.board().lock_lost();
        self.brakes.stop();
    }

    /// Whether another step of the phase may begin.
    pub(crate) fn may_begin(&self, phase: Phase) -> bool {
        !self.brakes.begin(phase).is_cancelled()
            && match phase {
                Phase::Prepare | Phase::Stage => !self.board().is_halted(),
                Phase::Rollout | Phase::Finish | Phase::Always => true,
            }
    }

    /// Whether another phase or batch may begin.
    pub(crate) fn goes_on(&self) -> bool {
        !self.brakes.begin(Phase::Rollout).is_cancelled() && !self.board().is_halted()
    }

    pub(crate) fn say_halted(&self, halt: Option<Halt>) {
        if let Some(Halt { failures, allowed }) = halt {
            self.events.send(Event::Halted { failures, allowed });
        }
    }

    /// Names the release as soon as there is one.
    pub(crate) fn name_release(&self) {
        if !self.release {
            return;
        }
        let release = self.executor.release();
        let named = self.board().name_release(release);
        if let Some(release) = named {
            self.events.send(Event::ReleaseNamed { release });
        }
    }
}

/// A step without return that an earlier part of the run has begun.
fn begun_without_return(schedule: &Schedule, executor: &dyn Executor) -> Option<StepId> {
    let mut steps = schedule.steps.iter().filter(|step| step.no_return);
    steps.find(|step| executor.was_begun(&step.id)).map(|step| step.id.clone())
}
