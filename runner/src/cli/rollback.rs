//! `runner rollback`: an older release goes live again, by its own plan and its own lock, which its targets have kept.

use super::args::{Rollback, To};
use super::carry_out::{Back, Order, carry_out, open_store, runtime};
use super::fail::{FAILED, Fail};
use super::load::{Checked, Loaded, Programs};
use super::releases::{looked_at, show};
use super::survey::{Known, survey};
use super::{talk, warn};
use crate::history;
use crate::host::Kept;
use runner_model::words::{count, names};
use runner_model::{Digest, EnvironmentName, Failure, Limit, ReleaseId, TargetName, text};
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::time::Duration;

pub(crate) fn run(args: &Rollback) -> Result<u8, Fail> {
    let loaded = Loaded::read(&args.which.plan, args.which.environment.as_ref())?;
    let checked = loaded.check(&args.which.vars, args.which.limit.as_ref(), Programs::Accepted)?;
    warn(&checked.resolved.warnings);
    let runtime = runtime()?;
    let known = runtime.block_on(survey(&loaded, &checked))?;
    if args.list {
        let seen = runtime.block_on(futures_util::future::join_all(known.into_iter().map(looked_at)));
        return show(&seen, args.shown.json);
    }
    let chosen = runtime.block_on(async {
        let chosen = choose(args, &loaded.environment, &known).await;
        futures_util::future::join_all(known.iter().map(Known::close)).await;
        chosen
    })?;
    drop(runtime);
    for (target, why) in &chosen.left_out {
        talk(&format!("warning: {target} is left as it is: {}\n", text::shown(why)));
    }
    if chosen.groups.is_empty() {
        talk("nothing to go back from: what was asked for is live everywhere\n");
        return Ok(if chosen.left_out.is_empty() { 0 } else { FAILED });
    }
    confirm(args, &loaded, &checked, &chosen)?;
    let mut code = 0;
    for group in chosen.groups.into_values() {
        code = code.max(go_back(args, &loaded, &checked, group)?);
    }
    Ok(if code == 0 && !chosen.left_out.is_empty() { FAILED } else { code })
}

/// Targets that go back to the same release.
struct Group {
    /// What was kept with it, with what each target has of its own.
    kept: BTreeMap<TargetName, Kept>,
}

impl Group {
    fn one(&self) -> Option<&Kept> {
        self.kept.values().next()
    }
}

struct Chosen {
    groups: BTreeMap<ReleaseId, Group>,
    left_out: Vec<(TargetName, String)>,
}

/// Which targets go back to what. Of a release whose tree is not what was laid out none is.
async fn choose(args: &Rollback, environment: &EnvironmentName, known: &[Known]) -> Result<Chosen, Fail> {
    let mut chosen = Chosen { groups: BTreeMap::new(), left_out: Vec::new() };
    let goals: BTreeSet<&ReleaseId> = known.iter().filter_map(|one| Some(&one.previous()?.id)).collect();
    for one in known {
        // Where a rollout ended halfway, those that it never came to have what the others go back to.
        if let (To::Previous, Some(live), true) = (&args.to, one.live(), one.is_good())
            && goals.contains(live)
        {
            talk(&format!("{} stays: others go back to {live}, which is live there\n", one.target));
            continue;
        }
        match wanted(args, environment, one).await {
            Ok(None) => {}
            Ok(Some(kept)) => {
                let group = chosen
                    .groups
                    .entry(kept.release.clone())
                    .or_insert_with(|| Group { kept: BTreeMap::new() });
                group.kept.insert(one.target.clone(), kept);
            }
            // In an emergency those go back that can.
            Err(failure) if args.emergency => chosen.left_out.push((one.target.clone(), failure.to_string())),
            Err(failure) => return Err(Fail::refused(&failure).detail(&failure.detail)),
        }
    }
    if chosen.groups.len() > 1 && !args.emergency {
        let lines: Vec<String> = chosen
            .groups
            .iter()
            .map(|(id, group)| format!("{id}: {}", names(group.kept.keys().map(TargetName::as_str))))
            .collect();
        return Err(Fail::refused("the targets would go back to different releases")
            .detail(lines.join("\n"))
            .hint("name one that all of them have with `--to ID`, or some of the targets with `--limit`"));
    }
    for (id, group) in &chosen.groups {
        let digests: BTreeSet<Digest> = group.kept.values().map(Kept::digest).collect();
        if digests.len() > 1 {
            return Err(Fail::refused(format_args!(
                "the targets do not agree on what was kept with the release `{id}`"
            ))
            .hint("one of them was tampered with, or laid out otherwise: name those that you trust with `--limit`"));
        }
    }
    Ok(chosen)
}

/// What was kept with the release that a target goes back to; `None`: it is live there.
async fn wanted(
    args: &Rollback,
    environment: &EnvironmentName,
    known: &Known,
) -> Result<Option<Kept>, Failure> {
    use runner_model::FailureKind::{Conflict, NotFound};
    let accounts = known.accounts.as_ref().map_err(Clone::clone)?;
    let laid = match &args.to {
        To::Previous => known.previous().ok_or_else(|| {
            let live = known.live().map_or("nothing".to_owned(), ToString::to_string);
            Failure::new(NotFound, format_args!("{} has no good release before `{live}`", known.target))
        })?,
        To::Release(id) => known.release(id).ok_or_else(|| {
            let has: Vec<&str> = accounts.releases.iter().map(|laid| laid.id.as_str()).collect();
            Failure::new(NotFound, format_args!("{} has no release `{id}`", known.target))
                .with_detail(format_args!("it has {}", names(has)))
        })?,
    };
    if laid.live {
        return Ok(None);
    }
    if !known.is_whole(laid).await? {
        let message = format!("the release `{}` on {} is not what was laid out there", laid.id, known.target);
        return Err(Failure::new(Conflict, message)
            .with_detail("somebody changed it since; choose another one with `--to`"));
    }
    let kept = known.kept(&laid.id).await?;
    if kept.artifact != laid.artifact {
        let message =
            format!("what {} has kept with the release `{}` is of another artifact", known.target, laid.id);
        return Err(Failure::new(Conflict, message));
    }
    if kept.environment != *environment {
        let message = format!(
            "what {} has kept with the release `{}` is of the environment `{}`",
            known.target, laid.id, kept.environment
        );
        return Err(Failure::new(Conflict, message)
            .with_detail("somebody may have put it there; choose another release with `--to`"));
    }
    Ok(Some(kept))
}

/// Asks once. What nobody here has accepted before must be accepted by name, or by somebody at the keyboard.
fn confirm(args: &Rollback, loaded: &Loaded, checked: &Checked, chosen: &Chosen) -> Result<(), Fail> {
    let known = known_here(args, loaded, checked)?;
    let mut question = format!("in `{}`\n", loaded.environment);
    for (id, group) in &chosen.groups {
        question.push_str(&format!(
            "{} to {id}: {}\n",
            count(group.kept.len(), "target"),
            names(group.kept.keys().map(TargetName::as_str))
        ));
        let Some(kept) = group.one() else { continue };
        let is_known = known.contains(&Used::then(kept));
        let digest = kept.digest();
        if is_known || args.accept.as_deref().is_some_and(|said| digest.hex().starts_with(said)) {
            continue;
        }
        if args.yes || !std::io::stdin().is_terminal() {
            return Err(Fail::refused(format_args!(
                "the plan, the lock and the variables that the targets have kept with `{id}` were never used here together"
            ))
            .detail("whoever could write to a target could have written them, too")
            .hint(format_args!(
                "compare them with your repository, then say `--accept {}`",
                digest.short()
            )));
        }
        question.push_str(&format!(
            "  its plan, lock and variables, {}, were never used here together: only the targets vouch for them\n",
            digest.short()
        ));
    }
    if args.emergency {
        question
            .push_str("at once, without taking targets out of the cluster; whoever has the lock loses it\n");
    }
    talk(&text::shown(&question));
    if args.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Fail::refused("nobody is there to be asked").hint("say `-y` when that is what you want"));
    }
    let sure = dialoguer::Confirm::new().with_prompt("go back?").default(false).interact().unwrap_or(false);
    if sure { Ok(()) } else { Err(Fail::refused("not confirmed: nothing was done")) }
}

/// What a run was begun with.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Used {
    plan: Digest,
    lock: Digest,
    vars: BTreeMap<String, String>,
}

impl Used {
    fn then(kept: &Kept) -> Self {
        Self { plan: Digest::of(&kept.plan), lock: Digest::of(&kept.lock), vars: kept.vars.clone() }
    }
}

/// What was used here: what the plan of today would use, and what runs did whose journals are here.
fn known_here(args: &Rollback, loaded: &Loaded, checked: &Checked) -> Result<BTreeSet<Used>, Fail> {
    let mut known = BTreeSet::new();
    // A lock that is not that of the plan was used by nobody.
    let lock = loaded.accepted(&checked.resolved).ok().and(loaded.written.lock_text()?);
    if let Some(lock) = lock {
        let vars = args.which.vars.iter().cloned().collect();
        known.insert(Used { plan: loaded.written.digest, lock: Digest::of(lock), vars });
    }
    for run in history::ids(&loaded.written.folder).unwrap_or_default() {
        if let Ok(record) = history::load(&loaded.written.folder, &run).record {
            let header = record.header;
            known.insert(Used { plan: header.plan_digest, lock: header.lock_digest, vars: header.vars });
        }
    }
    Ok(known)
}

/// Makes the release live again on these targets.
fn go_back(args: &Rollback, today: &Loaded, checked: &Checked, group: Group) -> Result<u8, Fail> {
    let Some(kept) = group.one().cloned() else { return Ok(0) };
    let store = open_store()?;
    let loaded = today.of_then(&kept, &store)?;
    let vars: Vec<(String, String)> = kept.vars.clone().into_iter().collect();
    let all: BTreeSet<&TargetName> = checked.resolved.rollout.iter().collect();
    let some = group.kept.len() < all.len();
    let limit = names_of(&group).parse::<Limit>().map_err(Fail::internal)?;
    let then = loaded.check(&vars, some.then_some(&limit), Programs::Accepted)?;
    let locked = loaded.accepted(&then.resolved)?;
    for (target, kept) in &group.kept {
        if then.resolved.artifact(&kept.outputs).map_err(Fail::refused)? != Some(kept.artifact) {
            return Err(Fail::refused(format_args!(
                "what {target} has kept of the steps before the rollout of `{}` is of another artifact",
                kept.release
            ))
            .hint("somebody may have put it there: name the targets that you trust with `--limit`"));
        }
    }
    let outputs = group.kept.into_iter().map(|(target, kept)| (target, kept.outputs)).collect();
    let back = Back {
        release: (kept.release, kept.artifact),
        outputs,
        emergency: args
            .emergency
            .then(|| args.batch.and_then(|batch| usize::try_from(batch).ok()).unwrap_or(usize::MAX)),
        reason: args.reason.clone(),
    };
    carry_out(Order {
        loaded,
        checked: then,
        locked,
        vars,
        shown: &args.shown,
        resumed: None,
        dry: false,
        wait: args.wait.map_or(Duration::ZERO, |wait| wait.as_duration()),
        back: Some(back),
    })
}

fn names_of(group: &Group) -> String {
    group.kept.keys().map(TargetName::as_str).collect::<Vec<_>>().join(",")
}
