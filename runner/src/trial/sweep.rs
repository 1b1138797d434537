//! A sweep over the calls of a good run: each fails once as if the target were gone, each effect loses its answer once, and
//! the run is cancelled once at each. The step must end with an error of the contract, or as the good run did, and a run
//! without a fault must then come to the same end, with nothing left out.

use super::account::{At, Planned};
use super::judge::{effects, told};
use super::machine::There;
use super::world::{Attempt, World};
use super::{Bench, Made, Went};
use runner_model::trial::{Goes, Trial};
use runner_model::{FailureKind, Problems};
use serde_json::Value;

/// What the fault says.
const GONE: &str = "the test lets the target be gone";

/// One fault, and what came of it.
#[derive(Debug, Clone)]
pub struct Row {
    /// At which call, from 1.
    pub number: usize,
    /// What it is.
    pub call: String,
    /// What went wrong with it.
    pub fault: &'static str,
    /// How the step ended.
    pub ended: String,
    /// How it ended afterwards, without a fault.
    pub then: String,
    /// What is wrong with that, as lines; empty: nothing.
    pub wrong: String,
}

/// How the good run ended.
struct Good {
    outputs: Value,
    there: There,
    calls: Vec<Made>,
}

impl Bench {
    /// Sweeps over the calls of a test that ends well; `None`: it is a test of a failure, and has its own.
    ///
    /// # Errors
    /// What is wrong with the test itself.
    pub async fn sweep(&self, trial: &Trial) -> Result<Option<Vec<Row>>, Problems> {
        if trial.expect.error.is_some() || !trial.faults.is_empty() {
            return Ok(None);
        }
        let world = World::new(trial, self).await?;
        let Attempt { result: Ok(outputs), calls, .. } = world.attempt(self, trial.attempt, vec![]).await
        else {
            // The test itself has said so.
            return Ok(None);
        };
        let Ok(there) = world.there().await else { return Ok(None) };
        let good = Good { outputs, there, calls };
        let mut rows = Vec::new();
        for (index, made) in good.calls.iter().enumerate() {
            for (fault, goes) in faults(made) {
                rows.push(self.one(trial, &good, (index + 1, made), fault, goes).await?);
            }
        }
        Ok(Some(rows))
    }

    async fn one(
        &self,
        trial: &Trial,
        good: &Good,
        (number, made): (usize, &Made),
        fault: &'static str,
        goes: Goes,
    ) -> Result<Row, Problems> {
        let world = World::new(trial, self).await?;
        let cancelled = goes == Goes::Cancelled;
        let planned = Planned { at: At::Number(number), goes };
        let first = world.attempt(self, trial.attempt, vec![planned]).await;
        let between = world.there().await.ok();
        let mut row = Row {
            number,
            call: made.shown.clone(),
            fault,
            ended: ended(&first),
            then: "-".to_owned(),
            wrong: wrong_end(&first, between.as_ref(), good, cancelled),
        };
        if !row.wrong.is_empty() {
            return Ok(row);
        }
        if first.result.is_ok() {
            return Ok(row);
        }
        let then = world.attempt(self, trial.attempt.saturating_add(1), vec![]).await;
        row.then = ended(&then);
        row.wrong = wrong_then(&first, &then, world.there().await.ok().as_ref(), good);
        Ok(row)
    }
}

/// What can go wrong with a call.
fn faults(made: &Made) -> Vec<(&'static str, Goes)> {
    let gone = || GONE.to_owned();
    let mut faults = Vec::new();
    // A clock cannot fail.
    if !made.call.starts_with("timer.") {
        faults.push(("unreachable", Goes::Fails(FailureKind::Unreachable, gone())));
    }
    // Of a file of the workspace the answer cannot be lost: it is on this machine.
    if made.went != Went::Looked && !matches!(made.call, "workspace.write" | "artifacts.save") {
        faults.push(("answer lost", Goes::Lost(FailureKind::Unreachable, gone())));
    }
    faults.push(("cancelled", Goes::Cancelled));
    faults
}

fn ended(attempt: &Attempt) -> String {
    match &attempt.result {
        Ok(_) => "well".to_owned(),
        Err(failure) if !attempt.answered && failure.kind != FailureKind::Cancelled => "was ended".to_owned(),
        Err(failure) => failure.kind.word().to_owned(),
    }
}

/// What is wrong with how it ended in the fault.
fn wrong_end(first: &Attempt, there: Option<&There>, good: &Good, cancelled: bool) -> String {
    match &first.result {
        Err(failure) if failure.kind == FailureKind::Unknown => {
            format!("{}\n{}", failure.message, failure.detail)
        }
        Err(failure) if !first.answered => {
            let must =
                if cancelled { "a cancelled step hands the error on" } else { "a step hands errors on" };
            format!("it was ended and gave no error of its own; {must}\n{}", told(failure))
        }
        Err(_) => String::new(),
        Ok(outputs) if *outputs == good.outputs && there == Some(&good.there) => String::new(),
        Ok(outputs) if *outputs != good.outputs => {
            format!("it ended well although the call failed, and gave out {outputs}, not {}", good.outputs)
        }
        Ok(_) => {
            format!(
                "it ended well although the call failed, and left the machine otherwise\n{}",
                differs(there, good)
            )
        }
    }
}

/// What is wrong with the run after it.
fn wrong_then(first: &Attempt, then: &Attempt, there: Option<&There>, good: &Good) -> String {
    match &then.result {
        Err(failure) if failure.kind == FailureKind::Unknown => {
            return format!("tried again: {}\n{}", failure.message, failure.detail);
        }
        Err(failure) => return format!("tried again, it fails\n{}", told(failure)),
        Ok(outputs) if *outputs != good.outputs => {
            return format!("tried again, it gives out {outputs}, not {}", good.outputs);
        }
        Ok(_) => {}
    }
    if there != Some(&good.there) {
        return format!("tried again, it leaves the machine otherwise\n{}", differs(there, good));
    }
    let done: Vec<String> = effects(&first.calls).into_iter().chain(effects(&then.calls)).collect();
    let missing: Vec<String> =
        effects(&good.calls).into_iter().filter(|effect| !done.contains(effect)).collect();
    if missing.is_empty() {
        String::new()
    } else {
        format!("tried again, it leaves out\n{}", missing.join("\n"))
    }
}

/// The first paths and units that differ.
fn differs(there: Option<&There>, good: &Good) -> String {
    let Some(there) = there else { return "nobody can tell what is there then".to_owned() };
    let paths = good.there.files.keys().chain(there.files.keys());
    let mut other: Vec<String> = paths
        .filter(|path| good.there.files.get(*path) != there.files.get(*path))
        .map(|path| {
            format!("{path}: {}", side(good.there.files.contains_key(path), there.files.contains_key(path)))
        })
        .collect();
    other.extend(good.there.services.iter().filter(|(unit, is)| there.services.get(*unit) != Some(*is)).map(
        |(unit, is)| {
            let found = there.services.get(unit).map_or("not known", |is| is.word());
            format!("{unit}: {found}, not {}", is.word())
        },
    ));
    other.sort();
    other.dedup();
    other.truncate(10);
    other.join("\n")
}

fn side(good: bool, there: bool) -> &'static str {
    match (good, there) {
        (true, false) => "missing",
        (false, _) => "left behind",
        (true, true) => "another one",
    }
}
