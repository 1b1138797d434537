//! Taking back what the run did, when too much of it failed: from the last batch to the first, each target out of service
//! meanwhile, and then what was done for all of them.

use crate::events::milliseconds;
use crate::gate::{Barred, put_back, take_out};
use crate::shared::Run;
use runner_model::{Event, Failure, FailureKind, OnFailure, Phase, Service, TargetName};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Undoes the run, if it was halted and the plan says so.
pub(crate) async fn rollback(run: &Arc<Run>, batches: &[Vec<TargetName>]) {
    let is_due = run.on_failure == OnFailure::Rollback
        && run.board().is_halted()
        && run.board().was_any_begun()
        && !run.brakes.begin(Phase::Rollout).is_cancelled();
    if !is_due {
        return;
    }
    if let Some(step) = run.no_return() {
        let why = format!("`{step}` has begun, and after it there is no return");
        run.events.send(Event::RollbackOff { why });
        return;
    }
    // What failed may have failed since another run has taken the targets over.
    if let Err(failure) = run.executor.has_lock().await {
        return run.lost_lock(failure);
    }
    let touched = |batch: &Vec<TargetName>| -> Vec<TargetName> {
        batch.iter().filter(|target| run.board().is_touched(target)).cloned().collect()
    };
    let batches: Vec<Vec<TargetName>> =
        batches.iter().rev().map(touched).filter(|batch| !batch.is_empty()).collect();
    run.events.send(Event::RollbackStarted { targets: batches.concat() });
    run.board().rollback_begun();
    for batch in batches {
        let mut flows = JoinSet::new();
        // Those that are out come back when they are undone: whoever waits to leave waits for them.
        batch.iter().for_each(|target| run.budget.works_on(target));
        for target in batch {
            let run = Arc::clone(run);
            flows.spawn(async move { one(&run, &target).await });
        }
        while flows.join_next().await.is_some() {}
    }
    if run.brakes.begin(Phase::Rollout).is_cancelled() {
        return;
    }
    for (target, failure) in run.executor.undo_rest(run.brakes.cut(Phase::Rollout).child_token()).await {
        run.events.send(Event::RollbackFailed { target: target.clone(), failure: failure.clone() });
        run.board().not_rolled_back(target.as_ref(), failure);
    }
}

/// Undoes what was done for one target.
async fn one(run: &Run, target: &TargetName) {
    if run.brakes.begin(Phase::Rollout).is_cancelled() {
        run.budget.given_up(target);
        return;
    }
    let started = Instant::now();
    match back(run, target).await {
        Ok(()) => {
            run.board().rolled_back(target);
            let (target, milliseconds) = (target.clone(), milliseconds(started));
            run.events.send(Event::TargetRolledBack { target, milliseconds });
        }
        Err(Barred::Stopped) => run.budget.given_up(target),
        Err(Barred::Failed(failure)) => {
            run.budget.given_up(target);
            let failure = left_with(run, target, failure);
            run.board().not_rolled_back(Some(target), failure.clone());
            run.events.send(Event::RollbackFailed { target: Some(target.clone()), failure });
        }
    }
}

/// Whoever cannot be reached is named with what it was left with.
fn left_with(run: &Run, target: &TargetName, failure: Failure) -> Failure {
    if failure.kind != FailureKind::Unreachable {
        return failure;
    }
    let mut left = match run.executor.last_known_live(target) {
        Some(release) => format!("it was left with {release} live"),
        None => "nothing is known to be live there".to_owned(),
    };
    if run.gate.as_ref().is_some_and(|gate| gate.fleet.contains(target)) {
        left.push_str(if run.serves(target) { ", in service" } else { ", out of service" });
    }
    if run.is_armed(target) {
        left.push_str("; it takes itself back when its `confirm-timeout` is over");
    }
    let detail = [failure.detail.as_str(), &left].join("\n");
    failure.with_detail(detail.trim_start())
}

async fn back(run: &Run, target: &TargetName) -> Result<(), Barred> {
    if !run.links.is_up(target) {
        let message = format!("{target} cannot be reached: it is left as it is");
        return Err(Failure::new(FailureKind::Unreachable, message).into());
    }
    let gated = run.gate.as_ref().is_some_and(|gate| gate.fleet.contains(target));
    if gated {
        // Also one that failed may be in service: somebody else put it there, or it never left.
        run.saw(&run.executor.observe(std::slice::from_ref(target)).await?);
        if run.serves(target) {
            take_out(run, target, false).await?;
        }
    }
    let undone = undo(run, target).await;
    if undone.is_ok() && gated && run.executor.stood(target) == Some(Service::In) {
        return put_back(run, target).await;
    }
    if gated {
        run.budget.given_up(target);
    }
    undone
}

async fn undo(run: &Run, target: &TargetName) -> Result<(), Barred> {
    let cut = run.brakes.cut(Phase::Rollout);
    let undone = async {
        if run.is_armed(target) {
            tokio::select! {
                disarmed = run.executor.disarm(target) => disarmed?,
                () = cut.cancelled() => return Err(Failure::new(FailureKind::Cancelled, "it is still armed")),
            }
            run.disarmed(target);
        }
        run.executor.undo(target, cut.child_token()).await
    };
    undone.await.map_err(|failure| if cut.is_cancelled() { Barred::Stopped } else { failure.into() })
}
