//! Taking a run back, in the run itself or later: from the targets that were touched last to the first one, each out of
//! service meanwhile, and then what was done for all of them.

use super::past::PastRun;
use super::undo::Undoing;
use super::{Carried, Host};
use futures_util::future::join_all;
use runner_engine::Brakes;
use runner_journal::{Record, UndoEnd};
use runner_model::{
    Acting, EffectKey, Event, Failure, FailureKind, Mark, Phase, Runs, Service, StepId, TargetName, Verdict,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A run that was taken back.
#[derive(Debug, Default)]
pub struct TakenBack {
    /// What became of its effects.
    pub effects: Vec<Undoing>,
    /// Targets that could not be taken out of service for it, or failed a test of what is live again, or could not be put
    /// back, and why.
    pub gates: Vec<(TargetName, Failure)>,
}

impl Host {
    /// Undoes all that an earlier part of the run did, and tells of each effect as it comes. After a signal no other one is
    /// begun.
    pub async fn undo(&self, brakes: &Brakes, mut tell: impl FnMut(&Undoing) + Send) -> TakenBack {
        let run = Arc::clone(&self.before.run);
        let tokens = (brakes.begin(Phase::Rollout), brakes.cut(Phase::Rollout));
        let mut back = TakenBack::default();
        let late = |key: &EffectKey| matches!(self.phase_of(&key.step), Some(Phase::Finish | Phase::Always));
        back.effects.extend(self.undo_some(&run, late, tokens, &mut tell).await);
        for target in self.touched(&run) {
            let wanted = |key: &EffectKey| self.is_of_rollout(key, &target);
            if tokens.0.is_cancelled() {
                back.effects.extend(self.undo_some(&run, wanted, tokens, &mut tell).await);
                continue;
            }
            if let Err(failure) = self.out_for_undo(&target, tokens.1).await {
                back.gates.push((target, failure));
                continue;
            }
            let undone = self.undo_some(&run, wanted, tokens, &mut tell).await;
            let left = left(&undone);
            back.effects.extend(undone);
            if !left.is_empty() {
                if self.has_standing(&target) && self.standings.found(&target) == Some(Service::In) {
                    let why = format_args!("{target} stays out of service: not all was undone there");
                    back.gates.push((target.clone(), Failure::new(FailureKind::Conflict, why)));
                }
                continue;
            }
            let tested = self.test_after_undo(&run, &target, tokens.1).await;
            let back_in = match tested {
                Ok(()) => self.back_after_undo(&target, tokens.1).await,
                failed => failed,
            };
            if let Err(failure) = back_in {
                back.gates.push((target, failure));
            }
        }
        let kept_out: BTreeSet<TargetName> = back.gates.iter().map(|(target, _)| target.clone()).collect();
        let rest = |key: &EffectKey| self.is_rest(key) && !late(key) && !kept_out.contains(&key.target);
        back.effects.extend(self.undo_some(&run, rest, tokens, &mut tell).await);
        back
    }

    /// What the run has done so far.
    ///
    /// # Errors
    /// Its journal cannot be read.
    async fn so_far(&self) -> Result<PastRun, Failure> {
        self.journal.sync().await?;
        let path = self.journal.path().to_owned();
        let store = Arc::clone(&self.store);
        let read = tokio::task::spawn_blocking(move || {
            let record = Record::load(&path).map_err(|damage| {
                Failure::new(FailureKind::Other, format_args!("the journal cannot be read: {damage}"))
            })?;
            PastRun::to_go_on_with(&record, &store)
        });
        read.await
            .unwrap_or_else(|error| Err(Failure::new(FailureKind::Other, format_args!("a bug: {error}"))))
    }

    /// Undoes what the rollout of this run did for a target. It is out of service.
    ///
    /// # Errors
    /// Something of it is left: what, line by line, in the detail.
    pub(super) async fn undo_of(&self, target: &TargetName, cut: &CancellationToken) -> Result<(), Failure> {
        let run = self.so_far().await?;
        // One that does not answer is named as that, and not with each thing that is left there. All else hinders no undo.
        if let Err(failure) = self.live_on(target).await
            && failure.kind == FailureKind::Unreachable
        {
            return Err(failure);
        }
        let wanted = |key: &EffectKey| self.is_of_rollout(key, target);
        let undone = self.undo_some(&run, wanted, (cut, cut), &mut |one| self.told(one)).await;
        let mut left = left(&undone);
        if let Err(failure) = self.marked_bad(target).await {
            left.push(format!("mark the release as bad: {failure}"));
        }
        let live = self.live_on(target).await.unwrap_or_default();
        self.standings.went_live(target, live);
        failure_of(left)?;
        self.test_after_undo(&self.so_far().await?, target, cut).await
    }

    /// Tells of an effect that was to be undone.
    fn told(&self, one: &Undoing) {
        let stays = match &one.end {
            UndoEnd::Done | UndoEnd::Nothing => None,
            end => Some(end.words()),
        };
        let (step, target) = (one.key.step.clone(), one.key.target.clone());
        self.events.send(Event::Undone { step, target, on: one.on.clone(), act: one.act.clone(), stays });
    }

    /// Undoes what is left of this run after its targets: what was staged, and what was done once.
    pub(super) async fn undo_of_the_rest(
        &self,
        cut: &CancellationToken,
    ) -> BTreeMap<Option<TargetName>, Failure> {
        let run = match self.so_far().await {
            Ok(run) => run,
            Err(failure) => return BTreeMap::from([(None, failure)]),
        };
        let undone =
            self.undo_some(&run, |key| self.is_rest(key), (cut, cut), &mut |one| self.told(one)).await;
        let mut by_machine: BTreeMap<Option<TargetName>, Vec<Undoing>> = BTreeMap::new();
        for one in undone {
            by_machine.entry(one.on.clone()).or_default().push(one);
        }
        by_machine
            .into_iter()
            .filter_map(|(machine, undone)| Some((machine, failure_of(left(&undone)).err()?)))
            .collect()
    }

    /// A release that was taken back is none to go back to, where it is still there.
    async fn marked_bad(&self, target: &TargetName) -> Result<(), Failure> {
        let Some((release, _)) = self.known_release() else { return Ok(()) };
        match self.releases_on(target).await?.iter().any(|known| known.id == release) {
            true => self.mark_as(target, Mark::Bad).await,
            false => Ok(()),
        }
    }

    /// Takes a target out of service for an undo, if requests are sent to it.
    async fn out_for_undo(&self, target: &TargetName, cut: &CancellationToken) -> Result<(), Failure> {
        if !self.has_standing(target) {
            return Ok(());
        }
        let Some(cluster) = &self.resolved.cluster else { return Ok(()) };
        let fleet = cluster.runs.targets();
        self.standings_of(fleet).await?;
        if !self.standings.serves(target) {
            return Ok(());
        }
        let others = fleet.iter().filter(|other| *other != target && self.standings.serves(other)).count();
        let keeps = self.resolved.min_in_service;
        if others < keeps {
            let message = format!(
                "{target} is not taken out of service: {others} others are in it, and `min-in-service` keeps {keeps}"
            );
            return Err(Failure::new(FailureKind::Conflict, message));
        }
        self.take_out(target, cut).await
    }

    /// Puts it back, if the run had found it in service.
    async fn back_after_undo(&self, target: &TargetName, cut: &CancellationToken) -> Result<(), Failure> {
        match self.has_standing(target) && self.standings.found(target) == Some(Service::In) {
            true => self.put_back(target, cut).await,
            false => Ok(()),
        }
    }

    fn has_standing(&self, target: &TargetName) -> bool {
        self.resolved.cluster.as_ref().is_some_and(|cluster| cluster.runs.targets().contains(target))
    }

    fn phase_of(&self, step: &StepId) -> Option<Phase> {
        self.resolved.step(step).map(|step| step.phase)
    }

    /// Whether an effect was made for each target of the rollout.
    fn is_of_each(&self, key: &EffectKey) -> bool {
        self.resolved
            .step(&key.step)
            .is_some_and(|step| step.phase == Phase::Rollout && matches!(step.runs, Runs::EachTarget(_)))
    }

    fn is_of_rollout(&self, key: &EffectKey, target: &TargetName) -> bool {
        key.target == *target && self.is_of_each(key)
    }

    fn is_rest(&self, key: &EffectKey) -> bool {
        !self.is_of_each(key)
    }

    /// The targets that the rollout did something for, the last one first.
    fn touched(&self, run: &PastRun) -> Vec<TargetName> {
        let mut touched: Vec<TargetName> = Vec::new();
        for key in run.effects.iter().rev().filter(|key| self.is_of_each(key)) {
            if !touched.contains(&key.target) {
                touched.push(key.target.clone());
            }
        }
        touched
    }

    /// Removes what was kept for undoing the run: it ended well, or all is undone. Nobody goes on with it, and the targets
    /// are told so. Answers where that failed.
    pub async fn forget(&self, verdict: Verdict) -> Vec<Failure> {
        let kept = self.record.kept();
        let targets: BTreeSet<_> = kept.iter().map(|(target, _)| target.clone()).collect();
        let line = Carried::Closed(verdict).line();
        let closed = targets.iter().map(|target| {
            let line = &line;
            async move { self.fleet.connection(target).await?.acting(&Acting::Login).note(line).await }
        });
        let forgotten = kept.iter().map(|(target, acting)| async move {
            self.fleet.connection(target).await?.acting(acting).forget().await
        });
        let (closed, forgotten) = tokio::join!(join_all(closed), join_all(forgotten));
        closed.into_iter().chain(forgotten).filter_map(Result::err).collect()
    }
}

/// Whether somebody still has to do something.
pub fn is_left(end: &UndoEnd) -> bool {
    !matches!(end, UndoEnd::Done | UndoEnd::Nothing | UndoEnd::Kept)
}

/// What is left for a person, in words.
fn left(undone: &[Undoing]) -> Vec<String> {
    let left = undone.iter().filter(|one| is_left(&one.end));
    left.map(|one| format!("{}: {}", one.act.words(), one.end.words())).collect()
}

fn failure_of(left: Vec<String>) -> Result<(), Failure> {
    if left.is_empty() {
        return Ok(());
    }
    let message = match left.len() {
        1 => "one thing could not be undone".to_owned(),
        some => format!("{some} things could not be undone"),
    };
    Err(Failure::new(FailureKind::Conflict, message).with_detail(left.join("\n")))
}
