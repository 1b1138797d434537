//! What a later runner of the same run finds on a target: its intents, and process groups that nobody waits for.

use crate::Within;
use crate::channel::{Input, end_groups};
use crate::machine::{Facts, Machine, refusal};
use crate::script::Line;
use crate::user::{User, odd};
use runner_model::{Acting, EntryKind, Failure, FailureKind, RemotePath, RunId, UserName};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// More than the intents of any run.
const INTENTS_MAX: usize = 256 << 20;

/// Where the folders of runs may be, the better one first. Where the login user may not write to the root, as when
/// another user owns it, the home serves.
pub(crate) fn folders(
    facts: &Facts,
    root: Option<&RemotePath>,
    plan: &str,
) -> impl Iterator<Item = RemotePath> + use<> {
    let home = facts.get("home").parse::<RemotePath>().ok();
    let in_root = root.and_then(|root| root.join(".runner/runs").ok());
    let in_home = home.and_then(|home| home.join(&format!(".runner/{plan}/runs")).ok());
    [in_root, in_home].into_iter().flatten()
}

impl User {
    pub(crate) async fn do_intents(&self) -> Result<Option<Vec<u8>>, Failure> {
        let what = format!("read the intents of the run on {}", self.machine.name());
        let place = self.machine.place().ok_or_else(|| {
            Failure::new(FailureKind::Other, format!("{what}: no run has begun on the target"))
        })?;
        let line = Line::new("v_read").arg(place.real.as_str()).arg("intents.jsonl");
        let line = line.arg(INTENTS_MAX.to_string());
        let own = std::slice::from_ref(&place.real);
        let answer = self.long(&what, Within::both(own).reading(), None, &line, Input::None).await?;
        match answer.status {
            0 if answer.out.len() >= INTENTS_MAX => {
                Err(Failure::new(FailureKind::Invalid, format!("{what}: they are larger than any should be")))
            }
            0 => Ok(Some(answer.out).filter(|bytes| !bytes.is_empty())),
            41 => Ok(None),
            _ => Err(refusal(&what, &answer)),
        }
    }

    pub(crate) async fn do_runs(&self, root: Option<&RemotePath>, plan: &str) -> Result<Vec<RunId>, Failure> {
        let what = format!("list the runs on {}", self.machine.name());
        let facts = self.ready(&what).await?.facts;
        let mut runs: Vec<RunId> = Vec::new();
        for folder in folders(&facts, root, plan) {
            let own = std::slice::from_ref(&folder);
            match self.entries(&what, &folder, Within::both(own).reading()).await {
                Ok(entries) => {
                    let folders = entries.into_iter().filter(|entry| entry.kind == EntryKind::Directory);
                    runs.extend(folders.filter_map(|entry| entry.name.parse::<RunId>().ok()));
                }
                // There is none, or none that a run of this user could have used.
                Err(failure) if matches!(failure.kind, FailureKind::NotFound | FailureKind::Conflict) => {}
                Err(failure) => return Err(failure),
            }
        }
        // An id sorts by time.
        runs.sort();
        runs.dedup();
        Ok(runs)
    }
}

/// How soon it is looked again whether something lives.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A process group that still lives.
struct Left {
    acting: Acting,
    group: String,
}

impl Machine {
    pub(crate) async fn end_left(self: &Arc<Self>, users: &BTreeSet<UserName>) -> Result<u32, Failure> {
        let what = format!("end what an earlier runner has left on {}", self.name());
        let mut all = self.left(&what).await?;
        all.retain(|left| match &left.acting {
            Acting::Login => true,
            Acting::As(user) => users.contains(user),
        });
        let mut ending = JoinSet::new();
        for Left { acting, group } in &all {
            let (machine, acting, group) = (Arc::clone(self), acting.clone(), group.clone());
            ending.spawn(async move { end_groups(&machine, &acting, &[group]).await });
        }
        // A group that this user may not signal looks as if it were gone, and one that nobody has reaped as if it were
        // not: what lives is looked for instead.
        ending.join_all().await;
        let count = u32::try_from(all.len()).unwrap_or(u32::MAX);
        // What another user runs in such a group, such as a restart that was asked for through sudo, ends by itself.
        let until = Instant::now() + self.limits().service;
        let mut rest = self.alive(&what, all).await?;
        while !rest.is_empty() && Instant::now() < until {
            tokio::time::sleep(LOOK_AGAIN).await;
            rest = self.alive(&what, rest).await?;
        }
        if rest.is_empty() {
            return Ok(count);
        }
        let named = rest.iter().map(|left| match &left.acting {
            Acting::Login => left.group.clone(),
            Acting::As(user) => format!("{} (as `{user}`)", left.group),
        });
        let named = named.collect::<Vec<_>>().join(", ");
        Err(Failure::new(FailureKind::Conflict, format!("{what}: these process groups still run: {named}"))
            .with_detail("end them on the target, for example with `kill -KILL -- -GROUP` as root"))
    }

    /// Those of them of which something lives.
    async fn alive(self: &Arc<Self>, what: &str, groups: Vec<Left>) -> Result<Vec<Left>, Failure> {
        let login = self.login();
        let mut rest = Vec::new();
        for left in groups {
            let line = Line::new("v_alive").word(&left.group);
            let held = Within::default().reading();
            match login.call(what, held, None, line, self.limits().verb).await? {
                answer if answer.status == 0 => rest.push(left),
                _ => {}
            }
        }
        Ok(rest)
    }

    async fn left(self: &Arc<Self>, what: &str) -> Result<Vec<Left>, Failure> {
        let Some(place) = self.place() else { return Ok(vec![]) };
        let login = self.login();
        let uid = login.ready(what).await?.facts.get("uid").to_owned();
        let folder = format!("{}/groups", place.real);
        let line = Line::new("v_left").arg(folder).word(&self.shared.prefix);
        let held = Within::default().reading();
        let answer = login.call(what, held, None, line, self.limits().verb).await?;
        if answer.status != 0 {
            return Err(refusal(what, &answer));
        }
        let text = String::from_utf8_lossy(&answer.out);
        let parse = |line: &str| {
            let mut words = line.split(' ');
            let (owner, user, group) = (words.next()?, words.next()?, words.next()?);
            let acting = if owner == uid { Acting::Login } else { Acting::As(user.parse().ok()?) };
            Some(Left { acting, group: group.to_owned() })
        };
        text.lines().map(|line| parse(line).ok_or_else(|| odd(what, &answer))).collect()
    }
}
