//! `runner explain`: a plan in plain sentences, phase by phase, with the commands that do the same by hand.

mod by_hand;
mod shell;

use super::args::Explain;
use super::fail::Fail;
use super::load::{Loaded, Programs};
use super::wrap::wrapped;
use super::{out, warn};
use by_hand::Given;
use runner_model::template::{Reference, ReleaseField};
use runner_model::text::shown;
use runner_model::words::{count, duration, names};
use runner_model::{
    Acting, Limits, ModuleRef, OnFailure, Phase, Resolved, ResolvedStep, Runs, Target, TargetName,
};
use shell::Shell;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How wide sentences are. Commands are not broken: they are to be copied.
const WIDTH: usize = 96;

pub(crate) fn run(args: &Explain) -> Result<(), Fail> {
    let loaded = Loaded::read(&args.which.plan, args.which.environment.as_ref())?;
    let resolved = loaded.check(&args.which.vars, args.which.limit.as_ref(), Programs::Any)?;
    let resolved = resolved.into_run();
    warn(&resolved.warnings);
    let target = match &args.target {
        None => resolved.rollout.first(),
        Some(name) => Some(resolved.rollout.iter().find(|target| *target == name).ok_or_else(|| {
            let known = names(resolved.rollout.iter().map(TargetName::as_str));
            Fail::usage(format_args!("`{name}` is not a target of the rollout"))
                .hint(format_args!("there are {known}"))
        })?),
    };
    out(&explain(&resolved, target))
}

/// The whole text; `example`: the target that commands are for.
fn explain(resolved: &Resolved, example: Option<&TargetName>) -> String {
    let used = RefCell::default();
    let mut body = String::new();
    let mut number = 0;
    for phase in Phase::ALL {
        let steps: Vec<&ResolvedStep> = resolved.steps.iter().filter(|step| step.phase == phase).collect();
        if steps.is_empty() {
            continue;
        }
        body.push('\n');
        for (index, sentence) in sentences(resolved, phase).iter().enumerate() {
            let indent = if index == 0 { "" } else { "  " };
            for line in wrapped(sentence, WIDTH) {
                let _ = writeln!(body, "{indent}{line}");
            }
        }
        if phase == Phase::Rollout {
            explain_cluster(&mut body, resolved, example, &used);
        }
        for step in steps {
            number += 1;
            let title = format!("{number}. `{}`", step.id);
            explain_step(&mut body, resolved, step, &title, example, &used);
        }
    }
    let mut text = format!("{} to {}", resolved.plan, resolved.environment);
    if let Some(summary) = &resolved.summary {
        let _ = write!(text, ": {}", shown(summary));
    }
    text.push('\n');
    if let Some(example) = example {
        let sentence = format!(
            "What is behind `$` does the same by hand, for want of a runner: for `{example}`, and alike for the other targets."
        );
        for line in wrapped(&sentence, WIDTH) {
            let _ = writeln!(text, "{line}");
        }
    }
    for (name, reference) in used.into_inner() {
        let _ = writeln!(text, "  {name}: {}", meaning(&reference));
    }
    text + &body
}

/// What a variable of the commands stands for.
fn meaning(reference: &Reference) -> String {
    match reference {
        Reference::Release(ReleaseField::Id) => {
            "the folder of the release, in `releases/`; by hand, a name that is not there yet".to_owned()
        }
        Reference::Output { step, output } => format!("what the step `{step}` gives out as `{output}`"),
        other => format!("`${{{other}}}`, known only in the run"),
    }
}

/// What a phase is: where, in which order, and what ends it.
fn sentences(resolved: &Resolved, phase: Phase) -> Vec<String> {
    let all = count(resolved.rollout.len(), "target");
    let tolerated = match resolved.max_failures {
        0 => "When one target fails or cannot be reached".to_owned(),
        most => format!("When more than {} fail or cannot be reached", count(most as usize, "target")),
    };
    match phase {
        Phase::Prepare => {
            vec!["Prepare: once, before any target is touched. A step that fails ends the run.".to_owned()]
        }
        Phase::Stage => vec![format!(
            "Stage: on all {all} at the same time, before the first one is rolled out. {tolerated}, the rollout does not begin."
        )],
        Phase::Rollout => {
            let (left, undone) = match resolved.on_failure {
                OnFailure::Stop => ("A target where a step fails stays as it is. ", ""),
                OnFailure::Rollback => ("", ", and what was done is undone, the last batch first"),
            };
            let mut said = vec![format!(
                "Rollout: {all} in {}. In a batch, each target goes through all steps at its own pace; the next batch \
                 begins when all of it are done. {left}{tolerated}, no further batch begins{undone}.",
                match resolved.batches.len() {
                    1 => "1 batch".to_owned(),
                    many => format!("{many} batches, one after the other"),
                }
            )];
            for (index, batch) in resolved.batches.iter().enumerate() {
                let members: Vec<&str> = batch.iter().map(TargetName::as_str).collect();
                said.push(format!("batch {}: {}", index + 1, members.join(", ")));
            }
            said
        }
        Phase::Finish => vec![
            "Finish: once, after the last batch. A run that was stopped before has none of it.".to_owned(),
        ],
        Phase::Always => vec!["Always: once, at the end, whatever happened before.".to_owned()],
    }
}

/// What takes targets out of service, and puts them back.
fn explain_cluster(
    text: &mut String,
    resolved: &Resolved,
    example: Option<&TargetName>,
    used: &RefCell<BTreeMap<String, Reference>>,
) {
    let Some(cluster) = &resolved.cluster else { return };
    let sentence = "Each target is taken out of service before its first step and put back after its last one, if it was \
                    in service when the run began; meanwhile no other one leaves that `min-in-service` keeps.";
    for line in wrapped(sentence, WIDTH) {
        let _ = writeln!(text, "  {line}");
    }
    explain_step(text, resolved, cluster, "-  The cluster", example, used);
}

fn explain_step(
    text: &mut String,
    resolved: &Resolved,
    step: &ResolvedStep,
    title: &str,
    example: Option<&TargetName>,
    used: &RefCell<BTreeMap<String, Reference>>,
) {
    let mut sentence = format!("{title} ({}) {}", step.uses, step.manifest.summary);
    sentence.push_str(&place(resolved, step));
    let runs_for = match &step.runs {
        Runs::Once(target) => Some(target),
        Runs::EachTarget(targets) => example.filter(|example| targets.contains(example)).or(targets.first()),
    };
    let Some(runs_for) = runs_for else { return };
    let acts_on = step.acts_on(runs_for);
    let acting = resolved.acting(step, acts_on);
    if let Acting::As(user) = &acting {
        let _ = write!(sentence, ", as `{user}`");
    }
    for (index, name) in step.secrets.values().enumerate() {
        let source = resolved.secrets.get(name).map(ToString::to_string).unwrap_or_default();
        let _ = write!(
            sentence,
            "{} the secret `{name}` from `{source}`",
            if index == 0 { ", with" } else { " and" }
        );
    }
    sentence.push('.');
    if let Some(retry) = step.retry {
        let _ = write!(
            sentence,
            " A failure is tried again up to {}, {} apart.",
            count(retry.times as usize, "time"),
            duration(retry.delay_ms)
        );
    }
    if step.limits.time != Limits::default().time {
        let _ = write!(sentence, " An attempt may take {}.", step.limits.time);
    }
    for (index, line) in wrapped(&shown(&sentence), WIDTH).into_iter().enumerate() {
        let _ = writeln!(text, "{}{line}", if index == 0 { "" } else { "   " });
    }

    // What this target settles is filled in; what is known only in the run stays a reference.
    let given = step.with.resolve_partly(&resolved.scope(step, Some(runs_for), None));
    let given = given.unwrap_or_else(|_| step.with.clone());
    for (name, value) in serde_json::Value::from(given.clone()).as_object().into_iter().flatten() {
        // What is empty has no meaning of its own: it is a default.
        if matches!(value.to_string().as_str(), "[]" | "{}" | "null") {
            continue;
        }
        let _ = writeln!(text, "   {} = {}", shown(name), shown(&value.to_string()));
    }
    let ModuleRef::Builtin(module) = &step.module else { return };
    let localhost = Target::localhost();
    let target = resolved.target(acts_on).unwrap_or(&localhost);
    let shell = Shell { target, ssh: &resolved.ssh, acting, used };
    let complete = step.manifest.complete(&given);
    for line in by_hand::lines(module, &Given(&complete), &shell).into_iter().flatten() {
        let line = shown(&line).into_owned();
        let _ = match line.starts_with('#') {
            true => writeln!(text, "   {line}"),
            false => writeln!(text, "   $ {line}"),
        };
    }
}

/// Where a step runs, as it ends its sentence.
fn place(resolved: &Resolved, step: &ResolvedStep) -> String {
    let whom = match &step.runs {
        Runs::Once(target) if target.is_localhost() => ", here".to_owned(),
        Runs::Once(target) => format!(", once, on `{target}`"),
        Runs::EachTarget(targets) if *targets == resolved.rollout => ", on each target".to_owned(),
        Runs::EachTarget(targets) => format!(", on {}", names(targets.iter().map(TargetName::as_str))),
    };
    if step.on.is_empty() {
        return whom;
    }
    let on = names(step.on.iter().map(TargetName::as_str));
    format!("{} acting on {on}", whom.replace(", on ", ", for "))
}
