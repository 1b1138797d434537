//! What a journal is made of. Other versions of the program read it for years: a change that an older reader would
//! not understand is a new [`FORMAT`].

use jiff::Timestamp;
use runner_artifact::Store;
use runner_model::{
    Act, Digest, EffectClass, EffectKey, EnvironmentName, Failure, Mark, PlanName, ReleaseId, RunId, Stamped,
    Standing, State, StepId, TargetName, Verdict,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The version of the format that this crate writes.
pub const FORMAT: u32 = 1;
/// The largest payload that is in the journal itself, in bytes of its JSON.
pub(crate) const INLINE_MAX: usize = 4096;

/// One thing that a run did, or that happened to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Entry {
    /// What is run, with what. The first entry, and only the first.
    Header(Box<Header>),
    /// Something that the reports show; scheduler decisions, cancellations and timeouts among them.
    Event(Box<Stamped>),
    /// What a target said of itself, for what refers to it: asked once in a run.
    Facts {
        /// The target.
        target: TargetName,
        /// The facts, by name.
        facts: Payload,
    },
    /// How the run found a target in its cluster: only who was in service is put back.
    Stood {
        /// The target.
        target: TargetName,
        /// How it stood.
        standing: Standing,
    },
    /// A fresh instance of a module begins.
    InvocationStarted {
        /// The step.
        step: StepId,
        /// The target that it runs for.
        target: TargetName,
        /// 1 for the first try.
        attempt: u32,
        /// The component.
        module: Digest,
        /// What it is given.
        params: Payload,
        /// What else it can learn of the run without a call, and its limits: all that it takes to run it again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<Payload>,
    },
    /// A call that changed nothing, with its answer: a read, or one that was denied.
    Call {
        /// Which.
        key: EffectKey,
        /// What the step wanted it to be.
        class: EffectClass,
        /// The function, as in the WIT: `targets.read`.
        call: String,
        /// What it was given.
        args: Payload,
        /// What it gave.
        answer: Answer,
    },
    /// A call that is going to change something. On the disk before it does, here and on the target.
    Intent {
        /// Which.
        key: EffectKey,
        /// What kind of effect.
        class: EffectClass,
        /// The function, as in the WIT: `targets.write`.
        call: String,
        /// What it was given.
        args: Payload,
        /// What reports show of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        told: Option<Box<Told>>,
        /// What was there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<State>,
        /// What will be there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<State>,
        /// What undoes it, when that is known before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undo: Option<Payload>,
        /// As whom it is done and where it may be: the same hold for its undo.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        acts: Option<Box<Payload>>,
    },
    /// What came of an intent. An intent without one is in doubt.
    Outcome {
        /// The same as of the intent.
        key: EffectKey,
        /// What it gave.
        answer: Answer,
        /// What its undo needs to know beside the intent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left: Option<Box<Left>>,
    },
    /// The host is going to mark the release, at the end of its rollout on a target. On the disk before it does, here and
    /// on the target.
    Mark {
        /// Where.
        target: TargetName,
        /// Which.
        release: ReleaseId,
        /// As what.
        mark: Mark,
    },
    /// What came of a mark. One without is in doubt; it can be made again.
    Marked {
        /// Where.
        target: TargetName,
        /// `null`, or why not.
        answer: Answer,
    },
    /// An instance ended.
    InvocationEnded {
        /// The step.
        step: StepId,
        /// The target that it ran for.
        target: TargetName,
        /// 1 for the first try.
        attempt: u32,
        /// What the module gave out, or why it failed.
        answer: Answer,
        /// Fuel that it used.
        fuel: u64,
    },
    /// A call is answered with an effect of an attempt of which only the effects are known.
    Taken {
        /// The call.
        key: EffectKey,
        /// The effect.
        of: EffectKey,
        /// What it gives.
        answer: Answer,
    },
    /// An effect of the run is going to be undone. On the disk before it is, here and on the target.
    Undo {
        /// Which.
        key: EffectKey,
        /// In words.
        told: Box<Told>,
    },
    /// What came of an undo. One without is in doubt; what is there tells.
    Undone {
        /// The same.
        key: EffectKey,
        /// How it ended.
        end: UndoEnd,
    },
    /// The run ended. Nothing follows but [`Entry::Resumed`].
    Closed {
        /// How.
        verdict: Verdict,
    },
    /// Somebody goes on with the run: all events before are told again from here, as far as they still hold.
    Resumed {
        /// When, by the clock of the machine that it runs on now.
        started: Timestamp,
        /// Bytes of a torn last line that were taken off. It was never durable: nothing that it announced has happened.
        torn: u64,
        /// The journal was lost, and begins anew with what the targets kept of it.
        from_targets: bool,
    },
}

/// What a change left, as far as it was not known before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Left {
    /// What is there now, where that differs from what the intent expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<State>,
    /// How many folders were made on the way to its path.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub made_folders: u32,
    /// Why there is no copy of what was there, where one was needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_copy: Option<String>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// How the undo of an effect ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum UndoEnd {
    /// What was there before is there again, or what had been asked was asked again.
    Done,
    /// There was nothing to undo: it had never happened.
    Nothing,
    /// It is never undone: a backup, or the folder that one is in.
    Kept,
    /// Somebody changed it since: it was left alone.
    Conflict {
        /// What is the matter.
        why: String,
    },
    /// Only a person can: what there is to do.
    Manual {
        /// In words.
        what: String,
    },
    /// It went wrong.
    Failed {
        /// Why.
        failure: Failure,
    },
}

impl UndoEnd {
    /// In a word, and why; the latter may be empty.
    pub fn word(&self) -> (&'static str, String) {
        match self {
            Self::Done => ("undone", String::new()),
            Self::Nothing => ("nothing to undo", String::new()),
            Self::Kept => ("kept", String::new()),
            Self::Conflict { why } => ("conflict", format!("left alone: {why}")),
            Self::Manual { what } => ("manual", what.clone()),
            Self::Failed { failure } => ("failed", failure.to_string()),
        }
    }

    /// The same as one text.
    pub fn words(&self) -> String {
        let (word, why) = self.word();
        if why.is_empty() { word.to_owned() } else { format!("{word}: {why}") }
    }
}

/// An effect in words, for reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Told {
    /// The machine that it acts on; `None`: the plan's folder, or a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<TargetName>,
    /// What it is to do.
    pub act: Act,
}

/// What a run is an execution of. Together with the recorded answers, enough to do it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Header {
    /// The version of the format: [`FORMAT`].
    pub format: u32,
    /// The run.
    pub run: RunId,
    /// When it began, by the clock of the machine that it runs on.
    pub started: Timestamp,
    /// The plan.
    pub plan: PlanName,
    /// The environment that it releases to.
    pub environment: EnvironmentName,
    /// Of the plan's text.
    pub plan_digest: Digest,
    /// Of the lock's text.
    pub lock_digest: Digest,
    /// Of the grants that count: bound, and cut by lock and policy.
    pub grants_digest: Digest,
    /// Of the inventory's text, or of all the files that it is made of.
    pub inventory_digest: Digest,
    /// What the program said that was asked for the inventory; `None`: the inventory is a file. Whoever goes on with the
    /// run reads this, and asks nobody again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory_answer: Option<InventoryAnswer>,
    /// What `--limit` said; `None`: the run is for all targets of the rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// What `--var` said.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, String>,
    /// What executes the modules.
    pub engine: Engine,
    /// Versions of what else takes part, by name: `runner`, `ssh`.
    pub tools: BTreeMap<String, String>,
    /// What the random numbers of the run come from, in hexadecimal.
    pub seed: String,
}

/// The answer of an inventory program: a file of the artifact store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct InventoryAnswer {
    /// What was run.
    pub argv: Vec<String>,
    /// Of what it printed.
    pub digest: Digest,
    /// Of what it printed, in bytes.
    pub size: u64,
}

/// What executes modules; the same engine, configuration and answers make the same calls, with the same fuel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Engine {
    /// The version of wasmtime.
    pub wasmtime: String,
    /// Of all that configures it.
    pub configuration: Digest,
}

/// A value that goes into a call, or comes out of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Payload {
    /// The value.
    Inline(Value),
    /// Its JSON is this file of the artifact store.
    Stored {
        /// Of the JSON.
        digest: Digest,
        /// Of the JSON, in bytes.
        size: u64,
    },
}

impl Payload {
    /// The value.
    ///
    /// # Errors
    /// It is not in the store any more, or is corrupted there.
    pub fn load(&self, store: &Store) -> Result<Value, Failure> {
        match self {
            Self::Inline(value) => Ok(value.clone()),
            Self::Stored { digest, size } => {
                let json = store.read_bytes(digest, *size)?;
                serde_json::from_slice(&json).map_err(|error| {
                    let message = format!("read the payload `{digest}` of a journal: {error}");
                    Failure::new(runner_model::FailureKind::Other, message)
                })
            }
        }
    }
}

/// What a call gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It went well.
    Ok(Payload),
    /// It did not.
    Failed(Failure),
}
