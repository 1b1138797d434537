//! `runner resume`.

use super::args::{Assume, Resume};
use super::carry_out::{Order, Resumed, carry_out, engine, open_store, runtime};
use super::fail::Fail;
use super::load::{Checked, Loaded, Programs};
use super::runs::{chosen, folder};
use super::salvage::salvage;
use super::undo::undo;
use super::{talk, warn};
use crate::history;
use crate::host::past::{Continued, PastCall, PastRun};
use crate::written::shown;
use runner_artifact::Store;
use runner_journal::{Damage, Entry, Header, Journal, NotResumed, Record};
use runner_model::lock::LockedEnvironment;
use runner_model::{Digest, EffectClass, EffectKey, Limit, RunId, StepId, Verdict};
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn run(args: &Resume) -> Result<u8, Fail> {
    let run = match args.from_targets {
        false => chosen(&args.plan, args.run.as_deref())?,
        true => salvage(args)?,
    };
    let past = history::load(&folder(&args.plan), &run);
    let file = shown(&past.journal());
    let record = past.record.map_err(|damage| broken(&file, &damage))?;
    whole(&record, &file)?;
    refuse_the_ended(args, &run, &record)?;
    let header = &record.header;
    let loaded = Loaded::read(&args.plan, Some(&header.environment))?;
    let store = open_store()?;
    let checked = check(&loaded, header, &store)?;
    warn(&checked.resolved.warnings);
    let locked = loaded.accepted(&checked.resolved)?;
    same_as_begun(header, &loaded, &checked, &locked)?;

    let before = past_of(&record, &store)?;
    let before = assumptions(args, before)?;
    if !args.undo {
        decided(&before)?;
    }
    let looked = record.last;
    let (journal, record) = Journal::resume(&past.folder, store).map_err(|why| not_resumed(&file, why))?;
    if record.last != looked {
        return Err(Fail::refused(format_args!("somebody else went on with the run {run} meanwhile"))
            .hint("look at what became of it, and try again"));
    }
    if let Some(torn) = &record.damage {
        talk(&format!("{file}: {torn}; nothing that it announced has happened\n"));
    }
    talk(&format!("going on with the run {run}\n"));
    let vars = record.header.vars.clone().into_iter().collect();
    let (journal, verdict) = (Arc::new(journal), record.closed());
    let resumed = Some(Resumed {
        header: record.header,
        journal: Arc::clone(&journal),
        before,
        takes_over: !args.from_targets,
    });
    let order = Order {
        loaded,
        checked,
        locked,
        vars,
        shown: &args.shown,
        resumed,
        dry: false,
        wait: Duration::ZERO,
        back: None,
    };
    let ended = if args.undo { undo(order) } else { carry_out(order) };
    if let (Err(_), Some(verdict)) = (&ended, verdict) {
        // It never began: the run is what it was. Where it did begin, it is closed, or this fails.
        let _ = runtime()?.block_on(journal.close(verdict));
    }
    ended
}

/// Some runs have nothing left to go on with, or to undo.
fn refuse_the_ended(args: &Resume, run: &RunId, record: &Record) -> Result<(), Fail> {
    let why = match (record.closed(), args.undo) {
        (Some(Verdict::Done), false) => "ended well: there is nothing to go on with",
        (Some(Verdict::Done), true) => "ended well, and nothing was kept to undo it with",
        (Some(Verdict::RolledBack), _) => "is undone",
        (None | Some(Verdict::Interrupted | Verdict::Terminated), false) if undo_was_begun(record) => {
            "is undone in part: undo the rest with `--undo`, or begin anew"
        }
        (Some(Verdict::RollbackFailed), false) => {
            "is undone in part: undo the rest with `--undo`, or begin anew"
        }
        _ => return Ok(()),
    };
    Err(Fail::refused(format_args!("the run {run} {why}"))
        .hint(format_args!("`runner report {run}` shows what it did")))
}

fn undo_was_begun(record: &Record) -> bool {
    record.entries.iter().any(|recorded| matches!(recorded.entry, Entry::Undo { .. }))
}

/// The plan, checked as it was when the run began: with the same variables, for the same targets.
fn check(loaded: &Loaded, header: &Header, store: &Store) -> Result<Checked, Fail> {
    let vars: Vec<(String, String)> = header.vars.clone().into_iter().collect();
    let limit = header.limit.as_deref().map(str::parse::<Limit>).transpose().map_err(Fail::internal)?;
    let answer = header.inventory_answer.as_ref().map(|answer| store.read_bytes(&answer.digest, answer.size));
    let answer = answer.transpose().map_err(|error| {
        Fail::refused(format_args!("what the inventory's program said when the run began is lost: {error}"))
    })?;
    let programs = answer.as_deref().map_or(Programs::Accepted, Programs::Answered);
    loaded.check(&vars, limit.as_ref(), programs)
}

/// Whether all is what the run was begun with: a record says nothing about another plan.
pub(super) fn same_as_begun(
    header: &Header,
    loaded: &Loaded,
    checked: &Checked,
    locked: &LockedEnvironment,
) -> Result<(), Fail> {
    let lock_file = loaded.written.lock_file();
    let lock = loaded.written.lock_text()?.unwrap_or_default();
    let back = "put it back as it was, or begin anew with `runner exec`";
    let parts = [
        (header.plan_digest == loaded.written.digest, format!("`{}`", shown(&loaded.written.file)), back),
        (header.lock_digest == Digest::of(lock), format!("`{}`", shown(&lock_file)), back),
        (header.inventory_digest == checked.inventory, "the inventory".to_owned(), back),
        (header.grants_digest == locked.digest(), "what the steps may do".to_owned(), back),
        (
            header.engine == engine(loaded),
            format!("the engine (it was wasmtime {})", header.engine.wasmtime),
            "use the runner that began it, or begin anew with `runner exec`",
        ),
    ];
    match parts.into_iter().find(|(same, ..)| !same) {
        None => Ok(()),
        Some((_, what, mend)) => Err(Fail::refused(format_args!(
            "{what} is not what the run {} was begun with, and its record says nothing about it",
            header.run
        ))
        .hint(mend)),
    }
}

fn past_of(record: &Record, store: &Store) -> Result<PastRun, Fail> {
    PastRun::to_go_on_with(record, store).map_err(|failure| {
        Fail::refused(format_args!("a part of the run's record is lost: {failure}"))
            .hint("it is in the artifact store of whoever began the run; `--from-targets` goes on without")
    })
}

/// Of some effects in doubt nothing will tell whether they were done. They are named before anything is touched.
fn decided(before: &Continued) -> Result<(), Fail> {
    let undecided: Vec<String> = before
        .run
        .in_doubt()
        // How a target stands in its cluster is observed.
        .filter(|(key, _)| key.step != StepId::cluster())
        .filter(|(key, call)| only_a_person_knows(call) && before.assumed_of(key).is_none())
        .map(|(key, call)| line(&key, call))
        .collect();
    if undecided.is_empty() {
        return Ok(());
    }
    Err(Fail::undecided("the run was cut off, and nothing tells whether this was done")
        .detail(undecided.join("\n"))
        .hint("look at it, then say `--assume done`, or `--assume not-done` to have it done now; of one alone: `--assume STEP@TARGET=done`"))
}

/// What was said of effects in doubt.
fn assumptions(args: &Resume, run: PastRun) -> Result<Continued, Fail> {
    let mut before = Continued { run: Arc::new(run), ..Continued::default() };
    for Assume { of, done } in &args.assume {
        let Some((step, target)) = of else {
            before.assume = Some(*done);
            continue;
        };
        let is_meant =
            |key: &EffectKey| key.step == *step && target.as_ref().is_none_or(|target| key.target == *target);
        // Of requests the targets know nothing: any of them may be meant.
        if !before.run.from_targets && !before.run.in_doubt().any(|(key, _)| is_meant(&key)) {
            return Err(Fail::usage(format_args!("`--assume`: nothing of step `{step}` is in doubt there"))
                .hint("`runner runs show` lists what is"));
        }
        before.assumed.push((step.clone(), target.clone(), *done));
    }
    if before.run.from_targets && before.assume == Some(true) {
        return Err(Fail::usage("`--assume done` would leave out requests that nobody has sent yet")
            .hint("name the step, and the target where there are several: `--assume STEP@TARGET=done`"));
    }
    Ok(before)
}

fn only_a_person_knows(call: &PastCall) -> bool {
    let is = |name: &str| call.args.get(name).is_some_and(|value| *value == serde_json::Value::Bool(true));
    let decides_itself =
        is("repeatable") || call.args.get("skip-if").is_some() || call.class == EffectClass::Signal;
    let asks = ["commands.run", "sockets.exchange"].contains(&call.call.as_str());
    (asks || call.call.starts_with("http.")) && !decides_itself
}

fn line(key: &EffectKey, call: &PastCall) -> String {
    let told = call.effect.as_ref().and_then(|effect| effect.told.as_ref());
    let what = told.map_or_else(|| call.call.clone(), |told| told.act.words());
    let on = told.and_then(|told| told.on.as_ref()).map(|on| format!(" on {on}")).unwrap_or_default();
    format!("step `{}`: {what}{on}", key.step)
}

/// A journal that is damaged otherwise than by a power failure proves nothing about what follows.
fn whole(record: &Record, file: &str) -> Result<(), Fail> {
    match &record.damage {
        None | Some(Damage::Torn { .. }) => Ok(()),
        Some(damage) => Err(broken(file, damage)),
    }
}

fn broken(file: &str, damage: &Damage) -> Fail {
    Fail::refused(format_args!("{file}: {damage}"))
        .hint("whoever goes on with a run must know all that it did; begin anew with `runner exec`")
}

fn not_resumed(file: &str, why: NotResumed) -> Fail {
    match why {
        NotResumed::Damaged(damage) => broken(file, &damage),
        NotResumed::GoesOn(_) => Fail::refused(why).hint("wait for its end, or interrupt it"),
        NotResumed::Io(error) => Fail::internal(error),
    }
}
