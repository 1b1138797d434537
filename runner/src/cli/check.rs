//! `runner check`.

use super::args::Check;
use super::fail::Fail;
use super::load::{self, Loaded, shown};
use super::{out, permitted, stale, talk, warn};
use runner_model::Resolved;
use runner_model::lock::{Lock, LockedEnvironment};
use serde_json::json;

pub(crate) fn run(args: &Check) -> Result<(), Fail> {
    let loaded = Loaded::read(&args.which.plan)?;
    let environment = loaded.environment(args.which.environment.as_ref())?;
    let checked = loaded.check(&environment, &args.which.vars)?;
    let resolved = &checked.resolved;
    warn(&resolved.warnings);
    let asked = LockedEnvironment::build(resolved);
    out(&if args.json { as_json(resolved, &asked) } else { as_text(resolved, &asked) })?;
    permitted(load::policy(&environment)?.as_ref(), resolved, &asked)?;
    let file = shown(&loaded.lock_file());
    Lock::verify(loaded.lock()?.as_ref(), resolved, &file).map_err(|why| stale(why, &loaded.file))?;
    talk(&format!("`{}` is what the plan asks for\n", file));
    Ok(())
}

/// What the run may touch, for a person: targets, batches, and each step with its grants.
fn as_text(resolved: &Resolved, asked: &LockedEnvironment) -> String {
    let mut text = format!("{} to {}\n", resolved.plan, resolved.environment);
    for (number, batch) in resolved.batches.iter().enumerate() {
        let names: Vec<&str> = batch.iter().map(runner_model::TargetName::as_str).collect();
        text.push_str(&format!("  batch {}: {}\n", number + 1, names.join(" ")));
    }
    for step in &asked.steps {
        let phase = resolved.step(&step.id).map_or("", |step| step.phase.word());
        text.push_str(&format!("\n{phase} {} ({})\n", step.id, step.uses));
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
    text
}

fn as_json(resolved: &Resolved, asked: &LockedEnvironment) -> String {
    let steps: Vec<_> = asked
        .steps
        .iter()
        .map(|step| {
            let phase = resolved.step(&step.id).map(|step| step.phase);
            json!({ "id": step.id, "phase": phase, "uses": step.uses, "grants": step.grants })
        })
        .collect();
    let document = json!({
        "plan": resolved.plan,
        "environment": resolved.environment,
        "batches": resolved.batches,
        "max-failures": resolved.max_failures,
        "steps": steps,
    });
    format!("{document:#}\n")
}
