//! `runner runs show`.

use super::args::RunsShow;
use super::fail::Fail;
use super::runs::{chosen, folder};
use super::{out, out_json};
use crate::history::{self, Outline};
use crate::report::paint::Paint;
use crate::report::table::{Colour, table};
use crate::written::shown;
use runner_journal::{Answer, Entry, Record, UndoEnd};
use runner_model::words::duration;
use runner_model::{EffectKey, StepId, TargetName};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) fn run(args: &RunsShow) -> Result<(), Fail> {
    let run = chosen(&args.plan, args.run.as_deref())?;
    let past = history::load(&folder(&args.plan), &run);
    let journal = shown(&past.journal());
    let record = past.record.map_err(|damage| Fail::refused(format_args!("{journal}: {damage}")))?;
    let all = Invocations::of(&record);
    if args.json {
        return out_json(&as_json(&record, &all));
    }
    out(&runner_model::text::shown_lines(&as_text(&record, &all, &journal)))
}

/// What a run's invocations did.
#[derive(Default)]
struct Invocations {
    order: Vec<(StepId, TargetName, u32)>,
    all: BTreeMap<(StepId, TargetName, u32), Invocation>,
    in_doubt: BTreeMap<EffectKey, String>,
    undone: Vec<(EffectKey, String, Option<UndoEnd>)>,
    resumed: Vec<jiff::Timestamp>,
}

#[derive(Default)]
struct Invocation {
    reads: u32,
    effects: u32,
    end: Option<Result<(), String>>,
    fuel: u64,
}

impl Invocations {
    fn of(record: &Record) -> Self {
        let mut all = Self::default();
        for recorded in &record.entries {
            all.add(&recorded.entry);
        }
        all
    }

    fn add(&mut self, entry: &Entry) {
        match entry {
            Entry::InvocationStarted { step, target, attempt, .. } => {
                let key = (step.clone(), target.clone(), *attempt);
                if self.all.insert(key.clone(), Invocation::default()).is_none() {
                    self.order.push(key);
                }
            }
            Entry::Call { key, .. } => self.of_key(key).reads += 1,
            Entry::Intent { key, told, call, .. } => {
                self.of_key(key).effects += 1;
                let what = told.as_ref().map_or_else(|| call.clone(), |told| told.act.words());
                self.in_doubt.insert(key.clone(), what);
            }
            Entry::Outcome { key, .. } | Entry::Taken { of: key, .. } => {
                self.in_doubt.remove(key);
            }
            Entry::InvocationEnded { step, target, attempt, answer, fuel } => {
                let one = self.all.entry((step.clone(), target.clone(), *attempt)).or_default();
                if matches!(answer, Answer::Ok(_)) {
                    let settled = |key: &EffectKey| {
                        key.step == *step && key.target == *target && key.attempt < *attempt
                    };
                    self.in_doubt.retain(|key, _| !settled(key));
                }
                one.fuel = *fuel;
                one.end = Some(match answer {
                    Answer::Ok(_) => Ok(()),
                    Answer::Failed(failure) => Err(failure.message.clone()),
                });
            }
            Entry::Resumed { started, .. } => self.resumed.push(*started),
            Entry::Undo { key, told } => {
                self.undone.retain(|(known, ..)| known != key);
                self.undone.push((key.clone(), told.act.words(), None));
            }
            Entry::Undone { key, end } => {
                let known = self.undone.iter_mut().rev().find(|(known, ..)| known == key);
                if let Some((_, _, known)) = known {
                    *known = Some(end.clone());
                }
            }
            Entry::Header(_)
            | Entry::Event(_)
            | Entry::Facts { .. }
            | Entry::Stood { .. }
            | Entry::Mark { .. }
            | Entry::Marked { .. }
            | Entry::Closed { .. } => {}
        }
    }

    fn of_key(&mut self, key: &EffectKey) -> &mut Invocation {
        let invocation = (key.step.clone(), key.target.clone(), key.attempt);
        if !self.all.contains_key(&invocation) {
            self.order.push(invocation.clone());
        }
        self.all.entry(invocation).or_default()
    }
}

fn as_text(record: &Record, all: &Invocations, journal: &str) -> String {
    let header = &record.header;
    let outline = Outline::of(record);
    let ended = match outline.ending {
        Some(ending) => {
            format!("{} after {}", super::runs::word(ending.verdict), duration(ending.milliseconds))
        }
        None => format!("never; its journal ends after {}", duration(outline.last)),
    };
    let mut lines = vec![
        ("run", header.run.to_string()),
        ("plan", format!("{} to {}", header.plan, header.environment)),
        ("began", header.started.to_string()),
        ("ended", ended),
        ("plan's digest", header.plan_digest.to_string()),
        ("lock's digest", header.lock_digest.to_string()),
        ("inventory's digest", header.inventory_digest.to_string()),
        ("grants' digest", header.grants_digest.to_string()),
        ("engine", format!("wasmtime {}", header.engine.wasmtime)),
        ("journal", journal.to_owned()),
        ("last hash", record.last.to_string()),
    ];
    lines.extend(header.limit.iter().map(|limit| ("limited to", limit.clone())));
    lines.extend(header.vars.iter().map(|(name, value)| ("variable", format!("{name} = {value}"))));
    lines.extend(all.resumed.iter().map(|time| ("gone on with", time.to_string())));
    lines.extend(record.damage.iter().map(|damage| ("damage", damage.to_string())));
    let mut text = String::new();
    for (name, value) in lines {
        text.push_str(&format!("{name:<18}  {value}\n"));
    }
    let rows: Vec<_> = all.order.iter().map(|key| (row(key, &all.all[key]), Colour::None)).collect();
    table(&mut text, Paint::NONE, &["step", "on", "attempt", "reads", "effects", "ended"], &rows);
    if !all.undone.is_empty() {
        text.push_str("\nUndone\n");
        for (key, what, end) in &all.undone {
            let end = match end {
                None => "in doubt".to_owned(),
                Some(end) => end.words(),
            };
            text.push_str(&format!("  step `{}` on {}: {what}: {end}\n", key.step, key.target));
        }
    }
    if !all.in_doubt.is_empty() {
        text.push_str("\nIn doubt: nothing says whether this was done\n");
        for (key, what) in &all.in_doubt {
            text.push_str(&format!("  step `{}` on {}: {what}\n", key.step, key.target));
        }
    }
    text
}

fn row((step, target, attempt): &(StepId, TargetName, u32), one: &Invocation) -> Vec<String> {
    let end = match &one.end {
        None => "never".to_owned(),
        Some(Ok(())) => "well".to_owned(),
        Some(Err(message)) => message.clone(),
    };
    let numbers = [attempt.to_string(), one.reads.to_string(), one.effects.to_string()];
    [step.to_string(), target.to_string()].into_iter().chain(numbers).chain([end]).collect()
}

fn as_json(record: &Record, all: &Invocations) -> Value {
    let invocations: Vec<Value> = all
        .order
        .iter()
        .map(|key| {
            let ((step, target, attempt), one) = (key, &all.all[key]);
            let (ended, failure) = match &one.end {
                None => (false, None),
                Some(Ok(())) => (true, None),
                Some(Err(message)) => (true, Some(message)),
            };
            json!({
                "step": step, "target": target, "attempt": attempt, "reads": one.reads, "effects": one.effects,
                "ended": ended, "failure": failure, "fuel": one.fuel,
            })
        })
        .collect();
    let undone: Vec<Value> = all
        .undone
        .iter()
        .map(|(key, what, end)| json!({ "step": key.step, "target": key.target, "number": key.number, "what": what, "end": end }))
        .collect();
    let in_doubt: Vec<Value> = all
        .in_doubt
        .iter()
        .map(|(key, what)| json!({ "step": key.step, "target": key.target, "number": key.number, "what": what }))
        .collect();
    json!({
        "header": record.header,
        "verdict": Outline::of(record).ending.map(|ending| ending.verdict),
        "resumed": all.resumed,
        "last-hash": record.last,
        "damage": record.damage.as_ref().map(ToString::to_string),
        "invocations": invocations,
        "in-doubt": in_doubt,
        "undone": undone,
    })
}
