//! `runner replay`.

use super::args::Replay as Args;
use super::carry_out::{open_store, runtime};
use super::fail::Fail;
use super::load::loader;
use super::runs::{chosen, folder};
use super::{out, out_json, talk};
use crate::history;
use crate::replay::{Act, Compared, Replay, ReplayEnd, Replayed, Which, bundle};
use crate::report::paint::Paint;
use crate::report::table::{Colour, table};
use crate::written::shown;
use runner_artifact::Store;
use runner_journal::{Damage, Record};
use runner_model::Failure;
use runner_model::words::count;
use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Something differs.
const DIFFERS: u8 = 4;

pub(crate) fn run(args: &Args) -> Result<u8, Fail> {
    let source = Source::of(args)?;
    match &source.record.damage {
        None => {}
        Some(torn @ Damage::Torn { .. }) => talk(&format!("{}: {torn}\n", source.name)),
        Some(damage) => return Err(Fail::refused(format_args!("{}: {damage}", source.name))),
    }
    let loader = loader()?;
    let engine = loader.engine().clone();
    let replay = Replay::new(&source.record, Arc::clone(&source.store), &engine, loader).map_err(lost)?;
    let which = Which { step: args.step.clone(), target: args.target.clone() };
    if replay.invocations(&which).next().is_none() {
        return Err(Fail::usage("the run has no such invocation")
            .hint(format_args!("`runner runs show {}` lists them", source.record.header.run)));
    }
    if !replay.has_the_same_engine() {
        let header = &source.record.header;
        talk(&format!(
            "the run had another engine (wasmtime {}): fuel is not compared\n",
            header.engine.wasmtime
        ));
    }
    match &args.module {
        None => runtime()?.block_on(same(args, &replay, &which)),
        Some(file) => {
            let component = std::fs::read(file)
                .map_err(|error| Fail::usage(format_args!("`{}` cannot be read: {error}", shown(file))))?;
            runtime()?.block_on(other(args, &replay, &which, &component))
        }
    }
}

fn lost(failure: Failure) -> Fail {
    Fail::refused(&failure).hint(&failure.detail)
}

/// Where the record comes from.
struct Source {
    name: String,
    record: Record,
    store: Arc<Store>,
    /// What was unpacked; gone when it is dropped.
    _folder: Option<tempfile::TempDir>,
}

impl Source {
    fn of(args: &Args) -> Result<Self, Fail> {
        if let Some(file) = args.run.as_deref().map(Path::new).filter(|file| file.is_file()) {
            return Self::bundle(file);
        }
        let run = chosen(&args.plan, args.run.as_deref())?;
        let past = history::load(&folder(&args.plan), &run);
        let name = shown(&past.journal());
        let record = past.record.map_err(|damage| Fail::refused(format_args!("{name}: {damage}")))?;
        Ok(Self { name, record, store: open_store()?, _folder: None })
    }

    fn bundle(file: &Path) -> Result<Self, Fail> {
        let name = shown(file);
        let cannot =
            |error: &dyn std::fmt::Display| Fail::usage(format_args!("`{name}` cannot be read: {error}"));
        let input = File::open(file).map_err(|error| cannot(&error))?;
        let folder = tempfile::tempdir().map_err(|error| cannot(&error))?;
        let store = Store::open(folder.path().join("store")).map_err(|error| cannot(&error))?;
        let record = bundle::import(input, &store)
            .map_err(|failure| Fail::usage(format_args!("`{name}`: {failure}")).hint(&failure.detail))?;
        Ok(Self { name, record, store: Arc::new(store), _folder: Some(folder) })
    }
}

/// The run again, with its own modules.
async fn same(args: &Args, replay: &Replay, which: &Which) -> Result<u8, Fail> {
    let mut all = Vec::new();
    for key in replay.invocations(which) {
        all.push(replay.invocation(key).await.map_err(lost)?);
    }
    let diverged = all.iter().filter(|one| matches!(one.end, ReplayEnd::Diverged(_))).count();
    if args.json {
        out_json(&Value::from(all.iter().map(as_json).collect::<Vec<_>>()))?;
    } else {
        let rows: Vec<_> = all.iter().map(as_row).collect();
        let mut text = String::new();
        table(&mut text, Paint::NONE, &["step", "on", "attempt", "calls", "fuel", "is"], &rows);
        for one in &all {
            if let ReplayEnd::Diverged(failure) = &one.end {
                text.push_str(&format!("\n{failure}\n{}\n", failure.detail));
            }
        }
        let what = count(all.len(), "invocation");
        match diverged {
            0 => text.push_str(&format!("\n{what} done again: all as recorded\n")),
            some => text.push_str(&format!("\n{what} done again: {some} not as recorded\n")),
        }
        out(&runner_model::text::shown_lines(text.trim_start_matches('\n')))?;
    }
    Ok(if diverged == 0 { 0 } else { DIFFERS })
}

fn word(end: &ReplayEnd) -> (&'static str, Colour) {
    match end {
        ReplayEnd::Same => ("as recorded", Colour::None),
        ReplayEnd::Cut => ("as recorded, up to where it was cut off", Colour::None),
        ReplayEnd::Diverged(_) => ("not as recorded", Colour::Bad),
    }
}

fn as_row(one: &Replayed) -> (Vec<String>, Colour) {
    let (step, target, attempt) = &one.key;
    let (is, colour) = word(&one.end);
    let cells = [&step.to_string(), &target.to_string(), &attempt.to_string(), &one.calls.to_string()];
    let cells = cells.into_iter().cloned().chain([one.fuel.to_string(), is.to_owned()]).collect();
    (cells, colour)
}

fn as_json(one: &Replayed) -> Value {
    let (step, target, attempt) = &one.key;
    let (end, differs) = match &one.end {
        ReplayEnd::Same => ("same", None),
        ReplayEnd::Cut => ("cut", None),
        ReplayEnd::Diverged(failure) => ("diverged", Some(failure)),
    };
    json!({
        "step": step, "target": target, "attempt": attempt, "calls": one.calls, "fuel": one.fuel,
        "end": end, "differs": differs,
    })
}

/// Another module over the old record.
async fn other(args: &Args, replay: &Replay, which: &Which, component: &[u8]) -> Result<u8, Fail> {
    let mut all = Vec::new();
    for key in replay.invocations(which) {
        let compared = replay
            .other(key, component)
            .await
            .map_err(|failure| Fail::usage(&failure).detail(&failure.detail))?;
        all.push(compared);
    }
    let differ = all.iter().filter(|one| !one.is_same()).count();
    if args.json {
        out_json(&Value::from(all.iter().map(compared_as_json).collect::<Vec<_>>()))?;
    } else {
        let mut text = String::new();
        all.iter().for_each(|one| compared_as_text(&mut text, one));
        text.push_str(&format!("{differ} of {} differ\n", count(all.len(), "invocation")));
        out(&runner_model::text::shown_lines(&text))?;
    }
    Ok(if differ == 0 { 0 } else { DIFFERS })
}

fn compared_as_text(text: &mut String, one: &Compared) {
    let (step, target, attempt) = &one.key;
    text.push_str(&format!("{step} on {target}, attempt {attempt}"));
    if one.is_same() {
        text.push_str(": the same\n");
        return;
    }
    text.push('\n');
    for act in &one.effects {
        let (sign, what) = match act {
            Act::Same(what) => (' ', what),
            Act::Gone(what) => ('-', what),
            Act::New(what) => ('+', what),
        };
        text.push_str(&format!("  {sign} {what}\n"));
    }
    if let Some(unknown) = &one.unknown {
        text.push_str(&format!("  ? it {unknown}\n"));
    } else if one.recorded.as_ref() != Some(&one.got) {
        text.push_str(&format!(
            "  - ends with {}\n",
            one.recorded.as_deref().unwrap_or("nothing: it was cut off")
        ));
        text.push_str(&format!("  + ends with {}\n", one.got));
    }
}

fn compared_as_json(one: &Compared) -> Value {
    let (step, target, attempt) = &one.key;
    let effects: Vec<Value> = one
        .effects
        .iter()
        .map(|act| match act {
            Act::Same(what) => json!({ "same": what }),
            Act::Gone(what) => json!({ "gone": what }),
            Act::New(what) => json!({ "new": what }),
        })
        .collect();
    json!({
        "step": step, "target": target, "attempt": attempt, "same": one.is_same(), "effects": effects,
        "recorded": one.recorded, "got": one.got, "unknown": one.unknown,
        "fuel": { "recorded": one.fuel.0, "got": one.fuel.1 },
    })
}
