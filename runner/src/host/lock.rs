//! The lock of all machines that a run acts on: taken together, kept alive while the run goes on, given back at its end.

use super::Host;
use futures_util::future::join_all;
use runner_model::{Event, Failure, FailureKind, TargetName};
use runner_transport::{Connection, LockAnswer, LockRequest, LockState, Owner, Take};
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How soon a lock that somebody else has is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How long the answer of a machine is waited for that was asked for its lock, at the end of a run.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// How the lock is to be taken.
#[derive(Debug, Clone)]
pub struct Locking {
    /// `alice@laptop`: who others are told about.
    pub who: String,
    /// Why it is taken from others, where it is.
    pub reason: Option<String>,
    /// From whom it may be taken.
    pub take: Take,
    /// How long to wait for those who have it.
    pub wait: Duration,
    /// How long it lasts without a word from its owner, by the target's clock.
    pub lease: Duration,
}

impl Host {
    /// Takes the lock of these machines and of all others that steps act on: in the order of their names, all or none.
    ///
    /// # Errors
    /// `conflict`: somebody else has one of them. `unreachable`: one that steps act on, beside these, does not answer.
    pub(super) async fn lock_all(&self, targets: &[TargetName]) -> Result<(), Failure> {
        if self.dry.is_some() {
            return Ok(());
        }
        self.lock_these(self.to_be_locked(targets)).await
    }

    /// Takes the lock of all machines that answer of those that an earlier part of the run did something to.
    ///
    /// # Errors
    /// Somebody else has one of them.
    pub async fn lock_for_undo(&self) -> Result<(), Failure> {
        let touched: BTreeSet<TargetName> =
            self.before.run.effects.iter().map(|key| key.target.clone()).collect();
        let all = self.to_be_locked(&touched.into_iter().collect::<Vec<_>>());
        let asked = all
            .into_iter()
            .map(|name| async move { self.fleet.connection(&name).await.is_ok().then_some(name) });
        let names = join_all(asked).await.into_iter().flatten().collect();
        self.lock_these(names).await
    }

    async fn lock_these(&self, names: BTreeSet<TargetName>) -> Result<(), Failure> {
        let deadline = tokio::time::Instant::now() + self.locking.wait;
        let mut told = false;
        loop {
            match self.lock_once(&names).await {
                Err(failure)
                    if failure.kind == FailureKind::Conflict && tokio::time::Instant::now() < deadline =>
                {
                    if !std::mem::replace(&mut told, true) {
                        self.events.send(Event::LockAwaited { failure });
                    }
                    tokio::time::sleep(ASK_AGAIN).await;
                }
                locked => {
                    self.fleet.locked(locked.is_ok().then_some(names));
                    return locked;
                }
            }
        }
    }

    async fn lock_once(&self, names: &BTreeSet<TargetName>) -> Result<(), Failure> {
        let request = LockRequest {
            owner: Owner {
                who: self.owner(),
                run: self.run.clone(),
                plan: self.resolved.plan.to_string(),
                reason: self.locking.reason.clone(),
            },
            lease: self.locking.lease,
            take: self.locking.take,
        };
        for (number, name) in names.iter().enumerate() {
            let answer = async {
                let connection = self.fleet.connection(name).await?;
                // Names of one machine share its lock: taken once more, it would be lost to the first of them.
                if number > 0
                    && let Some(epoch) = self.locked_here(name, &*connection).await?
                {
                    connection.share_lock(epoch).await?;
                    return Ok(None);
                }
                self.taken(name, connection, request.clone()).await.map(Some)
            };
            let failure = match answer.await {
                Ok(None | Some(LockAnswer::Taken { .. })) => continue,
                Ok(Some(LockAnswer::Held(state))) => held(name, &state),
                Err(failure) => failure,
            };
            self.unlock().await;
            return Err(failure);
        }
        Ok(())
    }

    /// Asks one machine for its lock. A machine that was asked may take it even when nobody waits for the answer any
    /// more: whoever gives the locks back waits until it has said so.
    async fn taken(
        &self,
        name: &TargetName,
        connection: Arc<dyn Connection>,
        request: LockRequest,
    ) -> Result<LockAnswer, Failure> {
        let asking = Arc::clone(&self.asking).lock_owned().await;
        let (locked, name) = (Arc::clone(&self.machines_locked), name.clone());
        let asked = tokio::spawn(async move {
            let answer = connection.lock(&request).await?;
            if matches!(answer, LockAnswer::Taken { .. }) {
                locked.lock().unwrap_or_else(PoisonError::into_inner).push(name);
            }
            drop(asking);
            Ok(answer)
        });
        asked.await.unwrap_or_else(|bug| {
            Err(Failure::new(FailureKind::Other, format_args!("locking ended in a bug of the runner: {bug}")))
        })
    }

    /// Whoever has the lock: this process.
    fn owner(&self) -> String {
        format!("{}, process {}", self.locking.who, std::process::id())
    }

    /// The epoch of the lock that this process has of a machine already, under another name.
    async fn locked_here(
        &self,
        name: &TargetName,
        connection: &dyn Connection,
    ) -> Result<Option<u64>, Failure> {
        let state = connection.lock_state(self.resolved.root(name), self.resolved.plan.as_str()).await?;
        let is_ours = |owner: &Owner| owner.run == self.run && owner.who == self.owner();
        let ours = state.filter(|state| state.is_held() && state.owner.as_ref().is_some_and(is_ours));
        Ok(ours.map(|state| state.epoch))
    }

    /// The machines: those that answer, and those that steps act on in place of a target.
    fn to_be_locked(&self, targets: &[TargetName]) -> BTreeSet<TargetName> {
        let beside = self.resolved.uses().flat_map(|step| &step.on);
        targets.iter().chain(beside).filter(|name| self.resolved.is_machine(name)).cloned().collect()
    }

    /// Keeps the lock alive. Comes back only when somebody else has taken it.
    pub async fn kept_until_lost(&self) -> Failure {
        loop {
            tokio::time::sleep(self.locking.lease / 4).await;
            if let Err(failure) = self.renewed().await {
                return failure;
            }
        }
    }

    /// The lease of all locks begins anew.
    ///
    /// # Errors
    /// Somebody else has taken one of them.
    pub(super) async fn renewed(&self) -> Result<(), Failure> {
        let names = self.machines_locked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let renewed = names
            .iter()
            .map(|name| async move { self.fleet.connection(name).await?.renew(self.locking.lease).await });
        for failure in join_all(renewed).await.into_iter().filter_map(Result::err) {
            // Whoever does not answer now may do so the next time: the lease is longer than that.
            match failure.kind {
                FailureKind::Conflict => return Err(failure),
                _ => tracing::debug!("{failure}"),
            }
        }
        Ok(())
    }

    /// Gives the locks back: to the end, also when nobody waits for it any more.
    pub(super) async fn unlock(&self) {
        if tokio::time::timeout(ANSWERED_WITHIN, self.asking.lock()).await.is_err() {
            tracing::warn!("a machine that was asked for its lock does not answer; that lock ends by itself");
        }
        let (fleet, locked) = (Arc::clone(&self.fleet), Arc::clone(&self.machines_locked));
        let given_back = tokio::spawn(async move {
            let names = std::mem::take(&mut *locked.lock().unwrap_or_else(PoisonError::into_inner));
            let fleet = &fleet;
            let released =
                names.iter().map(|name| async move { fleet.connection(name).await?.release().await });
            for failure in join_all(released).await.into_iter().filter_map(Result::err) {
                tracing::warn!("{failure}; the lock ends by itself");
            }
        });
        if let Err(bug) = given_back.await {
            tracing::error!("giving locks back ended in a bug of the runner: {bug}");
        }
    }
}

/// That somebody else has the lock, and what to do about it.
fn held(name: &TargetName, state: &LockState) -> Failure {
    let (who, why) = match &state.owner {
        None => ("somebody".to_owned(), String::new()),
        Some(owner) => {
            let why = owner.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            (format!("{} (plan {}, run {})", owner.who, owner.plan, owner.run), why)
        }
    };
    let message = format!("{name} is locked by {who}{why}; its lease ends in {}s", state.left);
    Failure::new(FailureKind::Conflict, message).with_detail(
        "wait for its end with `--wait 10m`, or, if it is dead, take the lock away with `runner unlock`",
    )
}
