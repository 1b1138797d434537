//! `runner check`.

mod preflight;

use super::args::Check;
use super::fail::Fail;
use super::load::{Checked, Loaded, Programs};
use super::{out, permitted, stale, talk, warn};
use crate::written::shown;
use preflight::Preflight;
use runner_model::lock::{Lock, LockedEnvironment};
use serde_json::json;

pub(crate) fn run(args: &Check) -> Result<(), Fail> {
    let loaded = Loaded::read(&args.which.plan, args.which.environment.as_ref())?;
    let checked = loaded.check(&args.which.vars, args.which.limit.as_ref(), Programs::Any)?;
    let resolved = &checked.resolved;
    warn(&resolved.warnings);
    let asked = LockedEnvironment::build(resolved);
    out(&if args.json { as_json(&checked, &asked) } else { as_text(&checked, &asked) })?;
    permitted(loaded.policy.as_ref(), resolved, &asked)?;
    let file = shown(&loaded.written.lock_file());
    Lock::verify(loaded.written.lock()?.as_ref(), resolved, &file)
        .map_err(|why| stale(why, &loaded.written.file))?;
    talk(&format!("`{}` is what the plan asks for\n", file));
    Ok(())
}

/// What the run may touch, for a person: targets, batches, and each step with its grants.
fn as_text(checked: &Checked, asked: &LockedEnvironment) -> String {
    let (resolved, run) = (&checked.resolved, checked.for_run());
    let mut text = format!("{} to {}\n", resolved.plan, resolved.environment);
    if let Some(limited) = &checked.limited {
        let (some, all) = (run.rollout.len(), resolved.rollout.len());
        text.push_str(&format!(
            "  limited to {}: {some} of {all} targets\n",
            limited.limit.to_string().escape_debug()
        ));
    }
    for (number, batch) in run.batches.iter().enumerate() {
        let names: Vec<&str> = batch.iter().map(runner_model::TargetName::as_str).collect();
        text.push_str(&format!("  batch {}: {}\n", number + 1, names.join(" ")));
    }
    for step in &asked.steps {
        let phase = resolved.step(&step.id).map_or("", |step| step.phase.word());
        text.push_str(&format!("\n{phase} {} ({})\n", step.id, step.uses));
        if run.step(&step.id).is_none() {
            text.push_str("  runs on no target that the run is limited to\n");
            continue;
        }
        let grants = step.grants.texts();
        if grants.is_empty() {
            text.push_str("  may touch nothing\n");
        }
        let labels = step.labels();
        for (list, grant) in grants {
            text.push_str(&format!("  {:5} {grant}\n", list.key()));
            for (_, label) in labels.iter().filter(|(labelled, _)| *labelled == grant) {
                text.push_str(&format!("        {}\n", label.escape_debug()));
            }
        }
    }
    text + &preflight(checked, asked).text()
}

fn preflight(checked: &Checked, asked: &LockedEnvironment) -> Preflight {
    let run = checked.for_run();
    Preflight::of(run, asked.steps.iter().filter(|step| run.step(&step.id).is_some()))
}

fn as_json(checked: &Checked, asked: &LockedEnvironment) -> String {
    let (resolved, run) = (&checked.resolved, checked.for_run());
    let steps: Vec<_> = asked
        .steps
        .iter()
        .filter(|step| run.step(&step.id).is_some())
        .map(|step| {
            let phase = resolved.step(&step.id).map(|step| step.phase);
            json!({ "id": step.id, "phase": phase, "uses": step.uses, "grants": step.grants })
        })
        .collect();
    let mut document = json!({
        "plan": resolved.plan,
        "environment": resolved.environment,
        "batches": run.batches,
        "max-failures": resolved.max_failures,
        "steps": steps,
        "in-all": preflight(checked, asked),
    });
    if let Some(limited) = &checked.limited {
        document["limit"] = limited.limit.to_string().into();
    }
    format!("{document:#}\n")
}
