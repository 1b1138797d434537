//! The way of each target through the steps of a phase or a batch. Nothing waits for the slowest target but the end
//! of the phase or the batch.
//!
//! A step that runs once is run by the flow of its own target, if that is in the phase or batch, else by the first
//! flow that comes to it; the other flows wait for it there. It runs once in the whole run: later batches find it done.

use crate::attempts::{Outcome, attempts, words};
use crate::gate::{Barred, Passage};
use crate::once::{OnceEnd, barred};
use crate::shared::Run;
use futures_util::FutureExt as _;
use runner_model::{
    Event, Failure, FailureKind, Level, Mark, Phase, Runs, ScheduledStep, StepId, TargetName,
};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Takes the members through the steps, each on its own, and waits for all of them.
pub(crate) async fn together(
    run: &Arc<Run>,
    phase: Phase,
    steps: Arc<[ScheduledStep]>,
    members: Vec<TargetName>,
) {
    let group = Arc::new(Group { run: run.clone(), phase, steps, members });
    let mut flows = JoinSet::new();
    if group.members.is_empty() {
        // Only steps that run once: they need somebody who comes to them.
        let group = group.clone();
        flows.spawn(async move { group.go(None).await });
    }
    for member in group.members.clone() {
        let group = group.clone();
        flows.spawn(async move { group.go(Some(member)).await });
    }
    while let Some(ended) = flows.join_next().await {
        if let Err(error) = ended
            && let Ok(panic) = error.try_into_panic()
        {
            // Panics of the executor are caught where it is called: this one is a bug of the engine.
            std::panic::resume_unwind(panic);
        }
    }
}

/// The targets that go through a phase or a batch together.
struct Group {
    run: Arc<Run>,
    phase: Phase,
    steps: Arc<[ScheduledStep]>,
    members: Vec<TargetName>,
}

/// How a flow ended.
enum Way {
    Through,
    Barred,
}

impl Group {
    async fn go(&self, member: Option<TargetName>) {
        let way = self.walk(member.as_ref()).await;
        let Some(member) = member else { return };
        match way {
            Way::Through => self.run.board().through(&member, self.phase),
            Way::Barred => self.leave(&member),
        }
    }

    async fn walk(&self, member: Option<&TargetName>) -> Way {
        let run = &self.run;
        if let Some(member) = member
            && !(run.links.up(&run.brakes, member).await && run.locked(member).await)
        {
            return Way::Barred;
        }
        let rolls = |member: &&TargetName| {
            let acts =
                |step: &ScheduledStep| matches!(&step.runs, Runs::EachTarget(all) if all.contains(member));
            self.phase == Phase::Rollout && self.steps.iter().any(acts)
        };
        let mut passage = member.filter(rolls).map(|member| Passage::new(run, member));
        if let (Some(passage), Some(member)) = (&mut passage, member) {
            let entered = passage.enter().await;
            if !self.came_through(member, &StepId::cluster(), entered).await {
                return Way::Barred;
            }
        }
        let mut last = None;
        for step in self.steps.iter() {
            let goes_on = match (&step.runs, member) {
                (Runs::Once(target), _) => self.once(step, target, member).await,
                (Runs::EachTarget(targets), Some(member)) if targets.contains(member) => {
                    last = Some(&step.id);
                    self.each(step, member, passage.as_mut()).await
                }
                (Runs::EachTarget(_), _) => true,
            };
            // In `always`, whatever happened holds for its own steps too.
            if !goes_on && self.phase != Phase::Always {
                return Way::Barred;
            }
        }
        match (member, last, passage) {
            (Some(member), Some(last), Some(passage)) => self.leave_well(member, last, passage).await,
            _ => Way::Through,
        }
    }

    /// All steps of the rollout passed: the target keeps what it got, and goes back into service.
    async fn leave_well(&self, member: &TargetName, last: &StepId, mut passage: Passage<'_>) -> Way {
        if let Err(failure) = passage.confirm().await {
            self.fail(member, last, failure).await;
            return Way::Barred;
        }
        if let Way::Barred = self.mark_good(member, last).await {
            return Way::Barred;
        }
        let back = passage.back().await;
        match self.came_through(member, &StepId::cluster(), back).await {
            true => Way::Through,
            false => Way::Barred,
        }
    }

    /// Whether the target came through the gate; why not is told here.
    async fn came_through(&self, member: &TargetName, step: &StepId, came: Result<(), Barred>) -> bool {
        match came {
            Ok(()) => true,
            Err(Barred::Failed(failure)) => {
                self.fail(member, step, failure).await;
                false
            }
            Err(Barred::Stopped) => {
                self.run.board().stopped(member, None);
                false
            }
        }
    }

    /// A step on the target of the flow. Whether the flow goes on.
    async fn each(
        &self,
        step: &ScheduledStep,
        member: &TargetName,
        passage: Option<&mut Passage<'_>>,
    ) -> bool {
        let run = &self.run;
        if !run.may_begin(self.phase) {
            run.board().stopped(member, None);
            return false;
        }
        if self.phase == Phase::Rollout {
            run.board().touch(member);
        }
        match attempts(run, step, member, passage).await {
            Outcome::Passed(outputs) => {
                run.board().passed(member, &step.id, outputs);
                run.name_release();
                true
            }
            Outcome::Failed(failure) => {
                self.fail(member, &step.id, failure).await;
                false
            }
            Outcome::Stopped { begun } => {
                run.board().stopped(member, begun.then(|| step.id.clone()));
                false
            }
        }
    }

    /// A step that runs once. Whether the flow goes on.
    async fn once(&self, step: &ScheduledStep, target: &TargetName, member: Option<&TargetName>) -> bool {
        let run = &self.run;
        let Some(once) = run.once.get(&step.id) else { return false };
        // Who waits for its turn to leave the cluster may wait for whoever is here.
        let waits = self.phase == Phase::Rollout && run.gate.is_some() && !run.board().is_touched(target);
        let mine = member == Some(target) || !self.members.contains(target) || waits;
        if mine && once.claim() {
            let end = self.run_once(step, target).await;
            once.end(end);
        }
        let end = tokio::select! {
            biased;
            end = once.ended() => end,
            () = run.brakes.begin(self.phase).cancelled() => OnceEnd::Stopped,
        };
        match end {
            OnceEnd::Passed => return true,
            OnceEnd::Stopped => {
                if let Some(member) = member {
                    run.board().stopped(member, None);
                }
            }
            OnceEnd::Failed => {
                // Who was not touched yet is left as it was.
                let halfway = member.filter(|member| run.board().is_touched(member));
                if let (Phase::Rollout, Some(member)) = (self.phase, halfway) {
                    self.fail(member, &step.id, Failure::new(FailureKind::Conflict, barred(&step.id))).await;
                }
            }
        }
        false
    }

    async fn run_once(&self, step: &ScheduledStep, target: &TargetName) -> OnceEnd {
        let run = &self.run;
        let up = run.links.up(&run.brakes, target).await && run.locked(target).await;
        if !run.may_begin(self.phase) {
            return OnceEnd::Stopped;
        }
        if !up || self.is_lost(target) {
            return self.end_without(target);
        }
        if self.phase == Phase::Rollout {
            run.board().touch(target);
        }
        match attempts(run, step, target, None).await {
            Outcome::Passed(outputs) => {
                run.board().passed_once(target, &step.id, outputs);
                run.name_release();
                OnceEnd::Passed
            }
            Outcome::Failed(failure) => {
                run.board().failed_once(self.phase);
                self.fail(target, &step.id, failure).await;
                OnceEnd::Failed
            }
            Outcome::Stopped { begun } => {
                run.board().stopped(target, begun.then(|| step.id.clone()));
                OnceEnd::Stopped
            }
        }
    }

    /// How a step that runs once ends when its target does not come to it. In `always` that is no failure of its
    /// own; before, no target can go on.
    fn end_without(&self, target: &TargetName) -> OnceEnd {
        let run = &self.run;
        if self.phase == Phase::Always || !self.is_lost(target) {
            return OnceEnd::Stopped;
        }
        let halt = {
            let mut board = run.board();
            board.failed_once(self.phase);
            board.halt()
        };
        run.say_halted(halt);
        OnceEnd::Failed
    }

    /// Whether the target cannot take steps any more. In `always` it must only be reachable.
    fn is_lost(&self, target: &TargetName) -> bool {
        match self.phase {
            Phase::Always => !self.run.links.is_up(target),
            _ => !self.run.board().is_well(target),
        }
    }

    async fn fail(&self, target: &TargetName, step: &StepId, failure: Failure) {
        let run = &self.run;
        let halt = run.board().failed(target, self.phase, step, failure);
        run.say_halted(halt);
        let touched = self.phase == Phase::Rollout && run.board().is_touched(target);
        if touched && let Err(failure) = self.mark(target, Mark::Bad).await {
            // The target has failed already, and an older release is what a rollback takes: worth a word, no more.
            run.events.send(Event::Log {
                step: step.clone(),
                target: target.clone(),
                level: Level::Warn,
                message: format!("failed to mark the release as bad: {failure}"),
            });
        }
    }

    /// All steps of the rollout passed. A mark that cannot be written is a failure: the next rollback and `prune` go
    /// by it.
    async fn mark_good(&self, member: &TargetName, last: &StepId) -> Way {
        match self.mark(member, Mark::Good).await {
            Ok(()) => Way::Through,
            Err(_) if self.run.brakes.halt().is_cancelled() => {
                self.run.board().stopped(member, None);
                Way::Barred
            }
            Err(failure) => {
                let failure =
                    Failure { message: format!("failed to mark the release as good: {failure}"), ..failure };
                let halt = self.run.board().failed(member, self.phase, last, failure);
                self.run.say_halted(halt);
                Way::Barred
            }
        }
    }

    async fn mark(&self, target: &TargetName, mark: Mark) -> Result<(), Failure> {
        let run = &self.run;
        if !run.release || !run.board().is_target(target) || run.executor.release().is_none() {
            return Ok(());
        }
        let marked = AssertUnwindSafe(run.executor.mark(target, mark)).catch_unwind();
        tokio::select! {
            biased;
            marked = marked => marked.unwrap_or_else(|panic| {
                Err(Failure::new(FailureKind::Other, format_args!("a bug of the runner: {}", words(panic.as_ref()))))
            }),
            () = run.brakes.halt().cancelled() => {
                Err(Failure::new(FailureKind::Cancelled, "the run was stopped meanwhile"))
            }
        }
    }

    /// The target goes no further: steps that run once and were waiting for it will not be run by it.
    fn leave(&self, member: &TargetName) {
        for step in self.steps.iter() {
            let Some(once) = self.run.once.get(&step.id) else { continue };
            if matches!(&step.runs, Runs::Once(target) if target == member) && once.claim() {
                once.end(self.end_without(member));
            }
        }
    }
}
