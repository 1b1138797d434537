//! `runner lock status` and `runner unlock`: who has the lock of the targets, and taking it away.

use super::args::{LockStatus, Unlock, Which};
use super::asked::{AT_ONCE, code};
use super::carry_out::{LEASE, inventory_folder, open_store, runtime, who};
use super::fail::Fail;
use super::load::{Loaded, Programs};
use super::{out, out_json, talk, warn};
use crate::host::{Connect as _, Connections};
use crate::report::paint::Paint;
use crate::report::table::{Colour, table};
use futures_util::{StreamExt as _, stream};
use runner_journal::new_run_id;
use runner_model::words::duration;
use runner_model::{Digest, Failure, FailureKind, Resolved, Target, TargetName, text};
use runner_transport::{
    Connection, Executes, Limits, LockAnswer, LockRequest, LockState, Owner, RunPlace, Take, Transport,
};
use serde_json::json;
use std::sync::Arc;

/// What was learned of each machine, in the order of their names.
type Answers<T> = Vec<(TargetName, Result<T, Failure>)>;

pub(super) fn status(args: &LockStatus) -> Result<u8, Fail> {
    let (resolved, connections) = plan(&args.which)?;
    let answers = runtime()?.block_on(ask_all(&resolved, |target| {
        let (resolved, connections) = (&resolved, &connections);
        async move {
            let connection = connections.connect(target).await?;
            let state = connection.lock_state(resolved.root(&target.name), resolved.plan.as_str()).await;
            connection.close().await;
            state
        }
    }));
    if args.json {
        let one = |(target, answer): &(TargetName, Result<Option<LockState>, Failure>)| match answer {
            Ok(state) => json!({ "target": target, "lock": state.as_ref().map(as_json) }),
            Err(failure) => json!({ "target": target, "failure": failure }),
        };
        out_json(&answers.iter().map(one).collect())?;
    } else {
        let rows: Vec<_> =
            answers.iter().map(|(target, answer)| (row(target, answer), Colour::None)).collect();
        let mut text = String::new();
        table(&mut text, Paint::NONE, &["target", "lock", "by", "plan", "run", "why"], &rows);
        out(text.trim_start_matches('\n'))?;
    }
    Ok(end(&answers))
}

pub(super) fn unlock(args: &Unlock) -> Result<u8, Fail> {
    let (resolved, connections) = plan(&args.which)?;
    let request = LockRequest {
        owner: Owner {
            who: who(),
            run: new_run_id(),
            plan: resolved.plan.to_string(),
            reason: Some(args.reason.clone()),
        },
        lease: LEASE,
        take: Take::ByForce,
    };
    let nothing = Digest::of("");
    let answers = runtime()?.block_on(ask_all(&resolved, |target| {
        let (resolved, connections, request) = (&resolved, &connections, &request);
        async move {
            let connection = connections.connect(target).await?;
            let root = resolved.root(&target.name).cloned();
            let before = connection.lock_state(root.as_ref(), resolved.plan.as_str()).await?;
            let Some(before) = before.filter(LockState::is_held) else {
                connection.close().await;
                return Ok(None);
            };
            // In the folder of the run that has it: one of its own would be taken for the newest run there.
            let run = before.owner.as_ref().map_or_else(new_run_id, |owner| owner.run.clone());
            let place = RunPlace {
                root,
                plan: resolved.plan.to_string(),
                run,
                executes: Executes { plan: nothing, lock: nothing },
                who: String::new(),
                made_at: String::new(),
            };
            let taken = taken_away(&connection, &place, request).await;
            connection.close().await;
            taken.map(|()| Some(before))
        }
    }));
    for (target, answer) in &answers {
        let line = match answer {
            Ok(Some(state)) => format!("{target}: unlocked; {}", words(state)),
            Ok(None) => format!("{target}: nobody had it"),
            Err(failure) => failure.to_string(),
        };
        talk(&format!("{}\n", text::shown(&line)));
    }
    Ok(end(&answers))
}

/// Takes the lock from whoever has it and gives it back.
async fn taken_away(
    connection: &Arc<dyn Connection>,
    place: &RunPlace,
    request: &LockRequest,
) -> Result<(), Failure> {
    connection.begin(place).await?;
    match connection.lock(request).await? {
        LockAnswer::Taken { .. } => connection.release().await,
        LockAnswer::Held(_) => {
            Err(Failure::new(FailureKind::Conflict, "somebody else takes it at this moment"))
        }
    }
}

/// The plan's machines, and how they are reached.
fn plan(which: &Which) -> Result<(Resolved, Connections), Fail> {
    let loaded = Loaded::read(&which.plan, which.environment.as_ref())?;
    let checked = loaded.check(&which.vars, which.limit.as_ref(), Programs::Any)?;
    warn(&checked.resolved.warnings);
    let folder = inventory_folder(&loaded, &checked.resolved);
    let resolved = checked.into_run();
    let transport = Transport::new(open_store()?, Limits::default());
    let connections = Connections::new(transport, resolved.ssh.clone(), folder);
    Ok((resolved, connections))
}

/// Asks all machines that a run would lock.
async fn ask_all<'r, T, F: Future<Output = Result<T, Failure>>>(
    resolved: &'r Resolved,
    ask: impl Fn(&'r Target) -> F,
) -> Answers<T> {
    let targets: Vec<&Target> =
        resolved.machines().into_iter().filter_map(|name| resolved.target(name)).collect();
    let asked = targets.into_iter().map(|target| {
        let answer = ask(target);
        async move { (target.name.clone(), answer.await) }
    });
    stream::iter(asked).buffered(AT_ONCE).collect().await
}

fn row(target: &TargetName, answer: &Result<Option<LockState>, Failure>) -> Vec<String> {
    let mut row = vec![target.to_string()];
    match answer {
        Ok(None) => row.push("never taken".to_owned()),
        Err(failure) => row.extend(["unknown".to_owned(), failure.message.clone()]),
        Ok(Some(state)) => {
            row.push(match (state.free, state.left) {
                (true, _) => "free".to_owned(),
                (false, 0) => "free, never given back".to_owned(),
                (false, left) => format!("held, for {} more", duration(left.saturating_mul(1000))),
            });
            if let Some(owner) = &state.owner {
                row.extend([owner.who.clone(), owner.plan.clone(), owner.run.to_string()]);
                row.extend(owner.reason.clone());
            }
        }
    }
    row
}

fn words(state: &LockState) -> String {
    match &state.owner {
        Some(owner) => format!("{} had it (plan {}, run {})", owner.who, owner.plan, owner.run),
        None => "nobody knows who had it".to_owned(),
    }
}

fn as_json(state: &LockState) -> serde_json::Value {
    json!({
        "held": state.is_held(), "epoch": state.epoch, "owner": state.owner, "since-seconds": state.since,
        "left-seconds": state.left,
    })
}

fn end<T>(answers: &Answers<T>) -> u8 {
    code(answers.iter().filter_map(|(_, answer)| answer.as_ref().err()))
}
