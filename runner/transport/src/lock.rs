//! The lock of a root on a target: who has it, until when by the target's clock, and an epoch that only grows. What a
//! request that writes is refused by is in `prelude/lock.sh`.

use crate::Within;
use crate::machine::{Machine, refusal};
use crate::resume::folders;
use crate::script::{Line, quoted};
use crate::shell::Answer;
use crate::user::{User, odd};
use runner_model::{Acting, Failure, FailureKind, RemotePath, RunId};
use serde::{Deserialize, Serialize};
use std::sync::PoisonError;
use std::time::Duration;

/// The longest text of an owner.
const TEXT_MAX: usize = 4 << 10;

/// Who has a lock, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Owner {
    /// `alice@laptop`.
    pub who: String,
    /// The run that took it.
    pub run: RunId,
    /// The plan's name.
    pub plan: String,
    /// Why it was taken by force.
    pub reason: Option<String>,
}

/// When a lock is taken that is not free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// Never.
    IfFree,
    /// When this same run has it: a resume whose journal proves that the process before is dead.
    OfRun,
    /// Whoever has it: that one's next request that writes is refused.
    ByForce,
}

/// How a lock is to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockRequest {
    /// Who takes it.
    pub owner: Owner,
    /// For how long, from now on by the target's clock, in whole seconds, unless it is renewed.
    pub lease: Duration,
    /// When it is not free.
    pub take: Take,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockAnswer {
    /// It is this run's.
    Taken {
        /// Its number.
        epoch: u64,
    },
    /// Another one has it.
    Held(LockState),
}

/// What is known of a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LockState {
    /// How often it was taken.
    pub epoch: u64,
    /// Who took it last; `None`: what tells cannot be read, and the lock is held all the same.
    pub owner: Option<Owner>,
    /// How many seconds ago, by the target's clock; `None` as above.
    pub since: Option<u64>,
    /// How many seconds of its lease are left, by the target's clock.
    pub left: u64,
    /// It was released.
    pub free: bool,
}

impl LockState {
    /// Nobody may take it but by force.
    pub fn is_held(&self) -> bool {
        !self.free && self.left > 0
    }
}

/// What is in the file beside the epoch.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Holder {
    since: u64,
    #[serde(flatten)]
    owner: Owner,
}

/// The lock that a connection has taken.
#[derive(Debug, Clone)]
pub(crate) struct Fence {
    folder: String,
    epoch: u64,
}

/// Who a line of a holder's file tells of; bounded, since the target may say anything.
fn holder(line: &str) -> Option<Holder> {
    let Holder { since, owner: Owner { who, run, plan, reason } } = serde_json::from_str(line).ok()?;
    let short = |text: String| text.chars().take(TEXT_MAX).collect::<String>();
    let owner = Owner { who: short(who), run, plan: short(plan), reason: reason.map(short) };
    Some(Holder { since, owner })
}

/// Why a request that writes was refused, from the holder's line of the newest epoch.
pub(crate) fn fenced(line: &str) -> String {
    match holder(line) {
        Some(Holder { owner, .. }) => {
            let why = owner.reason.map(|why| format!(": {}", why.escape_debug())).unwrap_or_default();
            format!(
                "{} has taken the lock over with the run {} of `{}`{why}",
                owner.who.escape_debug(),
                owner.run,
                owner.plan.escape_debug()
            )
        }
        None => "the lock of this run was taken over, or is gone".to_owned(),
    }
}

/// `EPOCH NOW UNTIL held|free`, then the holder.
fn state(text: &str) -> Option<LockState> {
    let (first, rest) = text.split_once('\n')?;
    let mut words = first.split(' ');
    let (epoch, now, until, how) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let (epoch, now, until): (u64, u64, u64) = (epoch.parse().ok()?, now.parse().ok()?, until.parse().ok()?);
    let free = match how {
        "free" => true,
        "held" => false,
        _ => return None,
    };
    let known = holder(rest.trim_end_matches('\n'));
    let since = known.as_ref().map(|holder| now.saturating_sub(holder.since));
    Some(LockState {
        epoch,
        owner: known.map(|holder| holder.owner),
        since,
        left: until.saturating_sub(now),
        free,
    })
}

impl Machine {
    /// Script text that tells under which lock a request writes.
    pub(crate) fn fence_for(&self, acting: &Acting) -> String {
        let fence = self.fence.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(Fence { folder, epoch }) = fence else { return String::new() };
        let other = if *acting == Acting::Login { "" } else { "1" };
        format!("LK={}; LE={epoch}; LO={other}; ", quoted(&folder))
    }

    pub(crate) fn epoch(&self) -> Option<u64> {
        self.fence.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|fence| fence.epoch)
    }

    pub(crate) fn share_lock(&self, epoch: u64) -> Result<(), Failure> {
        let folder = self.lock_folder(&format!("share the lock on {}", self.name()))?;
        self.fenced_by(&folder, epoch);
        Ok(())
    }

    fn fenced_by(&self, folder: &RemotePath, epoch: u64) {
        let fence = Fence { folder: format!("{folder}/lock"), epoch };
        *self.fence.lock().unwrap_or_else(PoisonError::into_inner) = Some(fence);
    }

    /// The folder that the run's folder of locks is in.
    fn lock_folder(&self, what: &str) -> Result<RemotePath, Failure> {
        let none = || Failure::new(FailureKind::Other, format!("{what}: no run has begun on the target"));
        self.place().and_then(|place| place.real.parent()?.parent()).ok_or_else(none)
    }
}

fn checked(what: &str, request: &LockRequest) -> Result<(), Failure> {
    let Owner { who, plan, reason, .. } = &request.owner;
    let long = [who, plan].into_iter().chain(reason).any(|text| text.len() > TEXT_MAX);
    let seconds = request.lease.as_secs();
    match () {
        () if long => {
            Err(Failure::new(FailureKind::Invalid, format!("{what}: its owner is told in too many words")))
        }
        // A year; more is no lease.
        () if seconds == 0 || seconds > 31_536_000 => {
            Err(Failure::new(FailureKind::Invalid, format!("{what}: a lease takes 1 second to 1 year")))
        }
        () => Ok(()),
    }
}

impl User {
    async fn about_the_lock(&self, what: &str, line: Line) -> Result<Answer, Failure> {
        let held = Within::default().reading();
        let answer = self.call(what, held, None, line, self.machine.limits().verb).await?;
        if answer.status == 0 { Ok(answer) } else { Err(refusal(what, &answer)) }
    }

    pub(crate) async fn do_lock(&self, request: &LockRequest) -> Result<LockAnswer, Failure> {
        let what = format!("take the lock on {}", self.machine.name());
        checked(&what, request)?;
        let folder = self.machine.lock_folder(&what)?;
        let text = serde_json::to_string(&request.owner)
            .map_err(|error| Failure::new(FailureKind::Other, format!("{what}: {error}")))?;
        let take = match request.take {
            Take::IfFree => "if-free",
            Take::OfRun => "of-run",
            Take::ByForce => "by-force",
        };
        let line = Line::new("v_lock")
            .arg(folder.as_str())
            .word(take)
            .arg(request.owner.run.as_str())
            .word(&request.lease.as_secs().to_string())
            .arg(text.strip_prefix('{').unwrap_or(&text));
        let answer = self.about_the_lock(&what, line).await?;
        let text = String::from_utf8_lossy(&answer.out);
        if let Some(epoch) = text.strip_prefix("taken ") {
            let epoch = epoch.trim_end_matches('\n').parse().map_err(|_| odd(&what, &answer))?;
            self.machine.fenced_by(&folder, epoch);
            return Ok(LockAnswer::Taken { epoch });
        }
        let held = text.strip_prefix("held ").and_then(state).ok_or_else(|| odd(&what, &answer))?;
        Ok(LockAnswer::Held(held))
    }

    /// On a channel of its own: a long verb in the shell must not keep a lease from being renewed.
    pub(crate) async fn do_renew(&self, lease: Duration) -> Result<(), Failure> {
        let what = format!("renew the lock on {}", self.machine.name());
        if self.machine.epoch().is_none() {
            return Err(Failure::new(FailureKind::Other, format!("{what}: none was taken")));
        }
        let folder = self.machine.lock_folder(&what)?;
        let seconds = lease.as_secs().max(1).to_string();
        let line = Line::new("v_renew").arg(folder.as_str()).word(&seconds);
        let held = Within::default().reading();
        let answer = self.long(&what, held, None, &line, crate::channel::Input::None).await?;
        if answer.status == 0 { Ok(()) } else { Err(refusal(&what, &answer)) }
    }

    pub(crate) async fn do_release(&self) -> Result<(), Failure> {
        let what = format!("release the lock on {}", self.machine.name());
        if self.machine.epoch().is_none() {
            return Ok(());
        }
        let folder = self.machine.lock_folder(&what)?;
        self.about_the_lock(&what, Line::new("v_release").arg(folder.as_str())).await.map(|_| ())
    }

    pub(crate) async fn do_lock_state(
        &self,
        root: Option<&RemotePath>,
        plan: &str,
    ) -> Result<Option<LockState>, Failure> {
        let what = format!("look at the lock on {}", self.machine.name());
        let facts = self.ready(&what).await?.facts;
        let mut found: Option<LockState> = None;
        for runs in folders(&facts, root, plan) {
            let Some(folder) = runs.parent() else { continue };
            let own = std::slice::from_ref(&folder);
            let within = Within::both(own);
            let line = Line::new("v_locked").arg(folder.as_str());
            let limit = self.machine.limits().verb;
            let answer = self.call(&what, within.reading(), None, line, limit).await?;
            match answer.status {
                0 => {
                    let text = String::from_utf8_lossy(&answer.out);
                    let state = state(&text).ok_or_else(|| odd(&what, &answer))?;
                    if found.as_ref().is_none_or(|found| !found.is_held() && state.is_held()) {
                        found = Some(state);
                    }
                }
                41 => {}
                _ => return Err(refusal(&what, &answer)),
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_target_says_of_a_lock_is_believed_only_when_it_is_whole() {
        let known = "7 100 160 held\n{\"since\":90,\"who\":\"a@b\",\"run\":\"run-1\",\"plan\":\"p\",\"reason\":null}\n";
        let seen = state(known).expect("whole");
        assert_eq!((seen.epoch, seen.since, seen.left, seen.free), (7, Some(10), 60, false));
        assert!(seen.is_held() && seen.owner.is_some_and(|owner| owner.who == "a@b"));
        let unknown = state("7 100 160 held\n\u{fffd}{]\n").expect("a lock all the same");
        assert!(unknown.is_held() && unknown.owner.is_none());
        for lie in
            ["", "7 100", "7 100 160\n", "-1 0 0 held\n", "7 100 99999999999999999999 held\n", "7 1 1 gone\n"]
        {
            assert_eq!(state(lie), None, "{lie:?}");
        }
        assert_eq!(fenced(""), "the lock of this run was taken over, or is gone");
    }
}
