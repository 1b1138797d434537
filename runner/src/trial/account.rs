//! The account of one attempt: the calls that the step made, in order, which of them were effects, and where something goes
//! wrong on purpose. In a run this is the journal.

use super::machine::MOMENT;
use super::script::Script;
use crate::sandbox::record::{Acts, Call, Effect, Outcome, Past, Pending, Record};
use async_trait::async_trait;
use runner_model::trial::Goes;
use runner_model::{EffectClass, Failure};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// A call of the step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its name and what it was about: `targets.write /etc/app.conf`.
    pub shown: String,
    /// Its name.
    pub call: &'static str,
    /// What it does to the world.
    pub class: EffectClass,
    /// How it went.
    pub went: Went,
}

/// How a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Went {
    /// It changed nothing, or was refused, or failed before it could.
    Looked,
    /// An effect, of which nobody heard the end.
    Begun,
    /// An effect that was done.
    Done,
    /// An effect that failed, or whose answer was lost.
    Failed,
}

/// Where something goes wrong.
#[derive(Debug, Clone)]
pub(super) enum At {
    /// At the nth call of a name.
    Name(String, u32),
    /// At the nth call.
    Number(usize),
}

/// Something that goes wrong once.
pub(super) struct Planned {
    pub(super) at: At,
    pub(super) goes: Goes,
}

/// The account.
pub(super) struct Account {
    cancel: CancellationToken,
    script: Arc<Script>,
    planned: Vec<Planned>,
    made: Arc<Mutex<Noted>>,
}

/// What is written down.
struct Noted {
    calls: Vec<Made>,
    /// Which of the planned ones happened.
    happened: Vec<bool>,
    /// How far the clock has moved, in milliseconds.
    passed: u64,
    /// The check of a command that was let fail: the sandbox asks whether it was called, and it was not.
    unchecked: Option<Value>,
}

impl Account {
    pub(super) fn new(planned: Vec<Planned>, script: Arc<Script>, cancel: CancellationToken) -> Self {
        let happened = vec![false; planned.len()];
        let made = Noted { calls: Vec::new(), happened, passed: 0, unchecked: None };
        Self { cancel, script, planned, made: Arc::new(Mutex::new(made)) }
    }

    pub(super) fn calls(&self) -> Vec<Made> {
        lock(&self.made).calls.clone()
    }

    /// Which of the planned ones happened.
    pub(super) fn happened(&self) -> Vec<bool> {
        lock(&self.made).happened.clone()
    }
}

fn lock(made: &Mutex<Noted>) -> MutexGuard<'_, Noted> {
    made.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Record for Account {
    fn past(&self, call: &Call) -> Result<Past, Failure> {
        let mut made = lock(&self.made);
        if made.unchecked.take().is_some_and(|check| check == call.arguments) {
            return Ok(Past::New);
        }
        made.calls.push(Made { shown: shown(call), call: call.call, class: call.class, went: Went::Looked });
        self.script.lose(None);
        let number = made.calls.len();
        let of_name = made.calls.iter().filter(|made| made.call == call.call).count();
        for (index, planned) in self.planned.iter().enumerate() {
            let is_here = match &planned.at {
                At::Name(name, nth) => {
                    name == call.call && usize::try_from(*nth).is_ok_and(|nth| nth == of_name)
                }
                At::Number(at) => *at == number,
            };
            if !is_here {
                continue;
            }
            made.happened[index] = true;
            match &planned.goes {
                Goes::Fails(kind, message) => {
                    made.unchecked = call.arguments.get("skip-if").filter(|check| !check.is_null()).cloned();
                    return Ok(Past::Answered(Err(Failure::new(*kind, message))));
                }
                Goes::Lost(kind, message) => self.script.lose(Some(Failure::new(*kind, message))),
                Goes::Cancelled => self.cancel.cancel(),
            }
        }
        match call.call {
            "timer.now" => return Ok(Past::Answered(Ok(json!(MOMENT.saturating_add(made.passed))))),
            "timer.sleep" => {
                made.passed += call.arguments["milliseconds"].as_u64().unwrap_or_default();
            }
            _ => {}
        }
        Ok(Past::New)
    }

    fn settled(&self, _: &Call, _: Value) {}

    fn looked(&self, _: &Call, _: &Result<Value, Failure>) {}

    async fn intend(&self, call: &Call, _: &Effect, _: Acts) -> Result<Box<dyn Pending>, Failure> {
        let at = usize::try_from(call.key.number).unwrap_or(usize::MAX).saturating_sub(1);
        if let Some(made) = lock(&self.made).calls.get_mut(at) {
            made.went = Went::Begun;
        }
        Ok(Box::new(Intended { made: Arc::clone(&self.made), at }))
    }
}

/// An effect that has begun.
struct Intended {
    made: Arc<Mutex<Noted>>,
    at: usize,
}

impl Pending for Intended {
    fn line(&self) -> &str {
        ""
    }

    fn end(self: Box<Self>, outcome: Outcome) {
        let went = match outcome {
            Outcome::Done(_) | Outcome::Applied(..) => Went::Done,
            Outcome::Failed(_) => Went::Failed,
            Outcome::Abandoned => Went::Begun,
        };
        if let Some(made) = lock(&self.made).calls.get_mut(self.at) {
            made.went = went;
        }
    }
}

/// A call in a line, as tests write it.
fn shown(call: &Call) -> String {
    let text = |key: &str| call.arguments.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let about = match call.call {
        "targets.service" => format!("{} {}", text("unit"), text("action")),
        "targets.service-is-active" => text("unit"),
        "targets.rename" => format!("{} -> {}", text("path"), text("to")),
        "targets.symlink" => format!("{} -> {}", text("path"), text("points-to")),
        "targets.archive" => format!("{} -> {}", text("path"), text("into")),
        "targets.unarchive" => format!("{} -> {}", text("archive"), text("path")),
        "targets.named" | "targets.fact" | "secrets.get" => text("name"),
        "commands.run" => {
            let argv = call.arguments.get("argv").and_then(Value::as_array);
            let words = argv.into_iter().flatten().filter_map(Value::as_str);
            let line = shell_words::join(words);
            if line.is_empty() { text("command") } else { line }
        }
        "http.send" | "http.download" => format!("{} {}", text("method"), text("url")),
        "sockets.exchange" => format!("{} {}", text("path"), text("text").trim_end()),
        "releases.all" | "releases.previous" => text("root"),
        "timer.sleep" => call.arguments["milliseconds"].to_string(),
        _ => text("path"),
    };
    let line = format!("{} {about}", call.call);
    crate::sandbox::text::line(line.trim_end(), 2000)
}
