//! Another version of a module over the record of a run: what it would have done with the same answers. Reads are
//! answered wherever the record has the same one; effects are all taken as done, and compared.

use super::{Replay, about, end};
use crate::host::past::{InvocationKey, PastCall, PastInvocation, called};
use crate::sandbox::record::{Acts, Call, Effect, Past, Pending, Record};
use async_trait::async_trait;
use runner_model::{Failure, FailureKind};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// What two versions of a module do differently in one invocation.
#[derive(Debug)]
pub struct Compared {
    /// Which invocation.
    pub key: InvocationKey,
    /// Effects of the two, in order.
    pub effects: Vec<Act>,
    /// How the recorded one ended; `None`: it was cut off.
    pub recorded: Option<String>,
    /// How the other one ends.
    pub got: String,
    /// What it asks that nobody can answer; it goes no further then.
    pub unknown: Option<String>,
    /// Fuel of the two.
    pub fuel: (Option<u64>, u64),
}

/// One effect in the comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Both have it.
    Same(String),
    /// Only the recorded one has it.
    Gone(String),
    /// Only the other one has it.
    New(String),
}

impl Compared {
    /// Whether the two do the same.
    pub fn is_same(&self) -> bool {
        self.unknown.is_none()
            && self.recorded.as_ref() == Some(&self.got)
            && self.effects.iter().all(|act| matches!(act, Act::Same(_)))
    }
}

impl Replay {
    /// Runs this component in the place of the one that the invocation had.
    ///
    /// # Errors
    /// It is no module, or its schema has no place for the recorded parameters.
    pub async fn other(&self, key: &InvocationKey, component: &[u8]) -> Result<Compared, Failure> {
        let past = self.of(key)?;
        let about = about(key, past)?;
        let ready = self.ready(component)?;
        ready.schemas.check_parameters(&format!("step `{}`", key.0), &past.params)?;
        let record = Arc::new(Lenient::of(past));
        let ended = self.run(&ready.prepared, past.params.to_string(), &about, record.clone()).await;
        let fuel = (past.ended.as_ref().map(|(_, fuel)| *fuel), ended.tally.fuel);
        let who = format!("step `{}` (module `{}`)", key.0, ready.module.manifest.name);
        let result = ended.result.and_then(|text| ready.schemas.outputs(&who, &text));
        let unknown = match &result {
            Err(failure) if failure.kind == FailureKind::Unknown => Some(failure.message.clone()),
            _ => None,
        };
        let got: Vec<String> =
            record.got.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        let before: Vec<String> = past
            .calls
            .values()
            .filter(|call| call.effect.is_some())
            .map(|call| called(&call.call, &call.args))
            .collect();
        Ok(Compared {
            key: key.clone(),
            effects: compare(&before, &got),
            recorded: past.ended.as_ref().map(|(result, _)| end(result)),
            got: end(&result),
            unknown,
            fuel,
        })
    }
}

/// Two lists, as a diff of their lines.
fn compare(before: &[String], after: &[String]) -> Vec<Act> {
    let ops = similar::capture_diff_slices(similar::Algorithm::Myers, before, after);
    let changes = ops.iter().flat_map(|op| op.iter_changes(before, after));
    changes
        .map(|change| match change.tag() {
            similar::ChangeTag::Equal => Act::Same(change.value()),
            similar::ChangeTag::Delete => Act::Gone(change.value()),
            similar::ChangeTag::Insert => Act::New(change.value()),
        })
        .collect()
}

/// Answers from the record whatever is in it, and takes effects as done.
struct Lenient {
    calls: Vec<PastCall>,
    used: Mutex<Vec<bool>>,
    got: Mutex<Vec<String>>,
}

impl Lenient {
    fn of(past: &PastInvocation) -> Self {
        let calls: Vec<PastCall> = past.calls.values().cloned().collect();
        Self { used: Mutex::new(vec![false; calls.len()]), calls, got: Mutex::default() }
    }

    /// The first recorded call like it that was not used yet; of several, the last one again.
    fn find(&self, call: &Call, args: &Value) -> Option<&PastCall> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |at: &usize| self.calls[*at].is(call.call, args);
        let all: Vec<usize> = (0..self.calls.len()).filter(same).collect();
        let at = all.iter().copied().find(|at| !used[*at]).or_else(|| all.last().copied())?;
        used[at] = true;
        self.calls.get(at)
    }
}

#[async_trait]
impl Record for Lenient {
    fn past(&self, call: &Call) -> Result<Past, Failure> {
        let args = call.with_machine();
        let found = self.find(call, &args);
        let was_effect = found.is_some_and(|found| found.effect.is_some());
        // A change that found all as it was to be is in the record as a look.
        let answer = found.and_then(|found| found.answer.clone());
        if call.class.mutates() && (was_effect || found.is_none()) {
            self.got.lock().unwrap_or_else(PoisonError::into_inner).push(called(call.call, &args));
            return Ok(Past::Answered(answer.unwrap_or_else(|| Ok(as_done(call)))));
        }
        match answer {
            Some(answer) => Ok(Past::Answered(answer)),
            None => Err(Failure::new(
                FailureKind::Unknown,
                format_args!("asks what the record has no answer for: {}", called(call.call, &args)),
            )),
        }
    }

    fn settled(&self, _: &Call, _: Value) {}

    fn looked(&self, _: &Call, _: &Result<Value, Failure>) {}

    async fn intend(&self, _: &Call, _: &Effect, _: Acts) -> Result<Box<dyn Pending>, Failure> {
        Err(Failure::new(FailureKind::Unknown, "a replay has no world"))
    }
}

/// What an effect answers that went well.
fn as_done(call: &Call) -> Value {
    match call.call {
        "commands.run" => json!({ "skipped": true }),
        "http.send" => json!({ "status": 204, "headers": [], "body": "", "truncated": false }),
        "targets.service" => Value::Null,
        "targets.archive" => json!(0),
        _ => json!(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_are_compared_in_order() {
        let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let acts = compare(&lines("a b c"), &lines("a c d"));
        let (same, gone, new) = (
            |text: &str| Act::Same(text.to_owned()),
            |text: &str| Act::Gone(text.to_owned()),
            |text: &str| Act::New(text.to_owned()),
        );
        assert_eq!(acts, [same("a"), gone("b"), same("c"), new("d")]);
    }
}
