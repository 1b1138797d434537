//! A run as a timeline: the [Trace Event Format](https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU),
//! which Perfetto (<https://ui.perfetto.dev>) and `chrome://tracing` open.

use runner_model::{EffectEnd, End, Event, Stamped, TargetName};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The one process that everything is of.
const RUN: u32 = 1;
/// The row of phases and batches; targets have those behind it, in the order in which they are named.
const OVERVIEW: u32 = 0;

/// The timeline of a run: a row for its phases, and one for each target with its steps and, inside of these, its effects.
pub fn trace(events: &[Stamped]) -> Value {
    let mut rows = Rows::default();
    let mut spans = Vec::new();
    for Stamped { at, event } in events {
        match event {
            Event::RunStarted { plan, environment, targets, .. } => {
                targets.iter().for_each(|target| _ = rows.of(target));
                spans.push(json!({
                    "ph": "M", "pid": RUN, "name": "process_name", "args": { "name": format!("{plan} to {environment}") },
                }));
            }
            Event::PhaseFinished { phase, milliseconds } => {
                spans.push(span(OVERVIEW, phase.word(), "phase", *at, *milliseconds, json!({})));
            }
            Event::StepFinished { step, target, attempt, end, milliseconds, tally } => {
                let how = match end {
                    End::Ok => "ok".to_owned(),
                    End::Failed { failure, .. } => failure.message.clone(),
                    End::Cancelled => "cancelled".to_owned(),
                    End::Unknown { why } => format!("unknown: {why}"),
                };
                let args = json!({ "attempt": attempt, "end": how, "tally": tally });
                spans.push(span(rows.of(target), step.as_str(), "step", *at, *milliseconds, args));
            }
            Event::Effect(effected) => {
                let how = match &effected.end {
                    EffectEnd::Done => "done",
                    EffectEnd::Failed { failure } => &failure.message,
                    EffectEnd::InDoubt => "in doubt",
                    EffectEnd::Planned => "planned",
                };
                let args = json!({ "class": effected.class, "number": effected.number, "end": how });
                let row = rows.of(&effected.target);
                spans.push(span(row, &effected.act.words(), "effect", *at, effected.milliseconds, args));
            }
            Event::Halted { .. } | Event::Cancelling => spans.push(json!({
                "ph": "i", "s": "g", "pid": RUN, "tid": OVERVIEW, "ts": at * 1000,
                "name": if matches!(event, Event::Cancelling) { "cancelling" } else { "halted" },
            })),
            _ => {}
        }
    }
    spans.extend(rows.named());
    json!({ "displayTimeUnit": "ms", "traceEvents": spans })
}

/// Something that took time, and ended at this moment. Times of the format are microseconds.
fn span(row: u32, name: &str, category: &str, end: u64, milliseconds: u64, args: Value) -> Value {
    json!({
        "ph": "X", "pid": RUN, "tid": row, "ts": end.saturating_sub(milliseconds) * 1000, "dur": milliseconds * 1000,
        "name": name, "cat": category, "args": args,
    })
}

/// The rows of targets.
#[derive(Default)]
struct Rows(BTreeMap<TargetName, u32>);

impl Rows {
    fn of(&mut self, target: &TargetName) -> u32 {
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX).saturating_add(OVERVIEW + 1);
        *self.0.entry(target.clone()).or_insert(next)
    }

    fn named(&self) -> impl Iterator<Item = Value> {
        let row = |row: u32, name: &str| json!({ "ph": "M", "pid": RUN, "tid": row, "name": "thread_name", "args": { "name": name } });
        let targets = self.0.iter().map(move |(target, number)| row(*number, target.as_str()));
        std::iter::once(row(OVERVIEW, "run")).chain(targets)
    }
}
