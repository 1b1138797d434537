//! The way of a target out of its cluster before its rollout, and back after it. Who is in service is asked before the
//! first batch, at every batch and after the last one.

use crate::events::milliseconds;
use crate::shared::Run;
use runner_model::{Event, Failure, FailureKind, Phase, Service, TargetName};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// The rollout of one target, as far as its cluster and its watchdog are concerned.
pub(crate) struct Passage<'a> {
    run: &'a Run,
    target: &'a TargetName,
    /// It was taken out, and is to be put back.
    out: bool,
    armed: bool,
}

/// Why a target does not come through.
pub(crate) enum Barred {
    /// For this reason.
    Failed(Failure),
    /// The run was cancelled.
    Stopped,
}

impl From<Failure> for Barred {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<'a> Passage<'a> {
    pub(crate) fn new(run: &'a Run, target: &'a TargetName) -> Self {
        Self { run, target, out: false, armed: false }
    }

    /// Before the first step. A target on which nothing is expected to change stays in service.
    pub(crate) async fn enter(&mut self) -> Result<(), Barred> {
        if (self.is_gated() || self.run.watched) && !self.run.executor.is_settled(self.target).await {
            self.leave().await?;
        }
        Ok(())
    }

    fn is_gated(&self) -> bool {
        self.run.gate.as_ref().is_some_and(|gate| gate.fleet.contains(self.target))
    }

    /// Takes the target out of service, and arms its watchdog. Whether anything was done.
    pub(crate) async fn leave(&mut self) -> Result<bool, Barred> {
        if self.out || self.armed {
            return Ok(false);
        }
        if self.is_gated() {
            take_out(self.run, self.target, true).await?;
            self.out = true;
        }
        if self.run.watched && self.run.no_return().is_none() {
            self.run.board().touch(self.target);
            self.run.arm(self.target).await?;
            self.armed = true;
        }
        Ok(true)
    }

    /// All steps passed: the target keeps what it got.
    pub(crate) async fn confirm(&mut self) -> Result<(), Failure> {
        if self.armed && self.run.is_armed(self.target) {
            tokio::select! {
                confirmed = self.run.executor.confirm(self.target) => confirmed?,
                () = self.run.brakes.cut(Phase::Rollout).cancelled() => {
                    return Err(Failure::new(FailureKind::Cancelled, "nobody confirmed it"));
                }
            }
            self.run.disarmed(self.target);
        }
        Ok(())
    }

    /// Puts the target back, if the run found it in service; also one that an earlier part of the run took out.
    pub(crate) async fn back(&mut self) -> Result<(), Barred> {
        if !self.is_gated() {
            return Ok(());
        }
        let out = std::mem::take(&mut self.out) || !self.run.serves(self.target);
        if out && self.run.executor.stood(self.target) == Some(Service::In) {
            return put_back(self.run, self.target).await;
        }
        self.run.budget.given_up(self.target);
        Ok(())
    }
}

impl Drop for Passage<'_> {
    /// Whoever waits for it need not any more.
    fn drop(&mut self) {
        if self.out {
            self.run.budget.given_up(self.target);
        }
    }
}

/// Takes a target out of service, as soon as enough others are in it.
/// `unless_halted`: who waited while the run was halted is left as it was.
pub(crate) async fn take_out(run: &Run, target: &TargetName, unless_halted: bool) -> Result<(), Barred> {
    let waits = |in_service: usize, keeps: usize| {
        let count = |count| u32::try_from(count).unwrap_or(u32::MAX);
        let (in_service, keeps) = (count(in_service), count(keeps));
        let fleet = run.gate.as_ref().map_or(0, |gate| gate.fleet.len());
        let (target, fleet) = (target.clone(), count(fleet));
        run.events.send(Event::ServiceAwaited { target, serving: in_service, fleet, keeps });
    };
    let served = tokio::select! {
        biased;
        may = run.budget.leave(target, waits) => may?,
        () = run.brakes.begin(Phase::Rollout).cancelled() => return Err(Barred::Stopped),
    };
    let is_over = unless_halted && run.board().is_halted() && !run.board().is_touched(target);
    if is_over || run.brakes.begin(Phase::Rollout).is_cancelled() {
        match served {
            true => run.budget.back(target),
            false => run.budget.given_up(target),
        }
        return Err(Barred::Stopped);
    }
    let (started, cut) = (Instant::now(), run.brakes.cut(Phase::Rollout));
    let left = run.executor.leave(target, cut.child_token()).await;
    if let Err(failure) = left {
        // Where it stands now only the cluster knows.
        run.budget.given_up(target);
        run.stands(target, false);
        if let Ok(standings) = run.executor.observe(std::slice::from_ref(target)).await {
            run.saw(&standings);
        }
        if !run.serves(target) {
            run.board().touch(target);
        }
        return Err(if cut.is_cancelled() { Barred::Stopped } else { failure.into() });
    }
    run.stands(target, false);
    run.board().touch(target);
    let milliseconds = milliseconds(started);
    run.events.send(Event::ServiceLeft { target: target.clone(), milliseconds });
    Ok(())
}

/// Puts a target back into service.
pub(crate) async fn put_back(run: &Run, target: &TargetName) -> Result<(), Barred> {
    let (started, cut) = (Instant::now(), run.brakes.cut(Phase::Rollout));
    match run.executor.join(target, cut.child_token()).await {
        Ok(()) => {
            run.stands(target, true);
            run.budget.back(target);
            let milliseconds = milliseconds(started);
            run.events.send(Event::ServiceJoined { target: target.clone(), milliseconds });
            Ok(())
        }
        Err(failure) => {
            run.budget.given_up(target);
            Err(if cut.is_cancelled() { Barred::Stopped } else { failure.into() })
        }
    }
}

/// Asks the cluster who is in service. Without an answer no further batch begins.
pub(crate) async fn look(run: &Run) -> bool {
    let Some(gate) = &run.gate else { return true };
    match run.executor.observe(&gate.fleet).await {
        Ok(standings) => {
            run.saw(&standings);
            run.events.send(Event::ServiceObserved { standings });
            true
        }
        Err(failure) => {
            run.events.send(Event::ClusterLost { failure: failure.clone() });
            run.board().cluster_lost(failure);
            false
        }
    }
}

/// After the last batch: whoever was in service must be in it again.
pub(crate) async fn look_again(run: &Run, all: &[TargetName]) {
    if run.gate.is_none() || !look(run).await {
        return;
    }
    let missing: BTreeMap<_, _> = all
        .iter()
        .filter(|target| run.board().is_through(target))
        .filter(|target| run.executor.stood(target) == Some(Service::In) && !run.serves(target))
        .map(|target| {
            (target.clone(), format!("{target} was put back into service, and is not in it any more"))
        })
        .collect();
    for (target, why) in missing {
        run.board().left_cluster(&target, why);
    }
}
