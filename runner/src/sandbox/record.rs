//! What an invocation asks and is answered, as the account of it has it: in a run the journal, in a replay the one of then.

use super::context::Reach;
use async_trait::async_trait;
use runner_model::{
    Acting, Change, Command, Difference, Digest, EffectClass, EffectKey, Exchange, Failure, Request,
    State as Found, TargetName, UndoKey, UserName,
};
use runner_transport::Applied;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One call of a guest, as it is recorded.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Call {
    /// Names it in the journal.
    pub key: EffectKey,
    /// The function, as `targets.write`.
    pub call: &'static str,
    /// What it does to the world.
    pub class: EffectClass,
    /// The machine that it acts on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<TargetName>,
    /// What it was called with; handles as what they stand for.
    pub arguments: Value,
}

impl Call {
    /// Whether it sends a request.
    pub fn is_request(&self) -> bool {
        self.call.starts_with("http.")
    }

    /// The machine that keeps its intent. A request goes through a machine, and leaves nothing there.
    pub fn kept_by(&self) -> Option<&TargetName> {
        self.on.as_ref().filter(|_| !self.is_request())
    }

    /// The arguments with the machine that they are about, as they are recorded.
    pub fn with_machine(&self) -> Value {
        let mut arguments = self.arguments.clone();
        if let (Value::Object(arguments), Some(on)) = (&mut arguments, &self.on) {
            arguments.insert("on".to_owned(), on.as_str().into());
        }
        arguments
    }
}

/// A mutating effect before it happens.
#[derive(Debug, Clone)]
pub enum Effect {
    /// A typed verb, with what is there and what will be.
    Change {
        /// The verb.
        change: Box<Change>,
        /// What is there.
        before: Box<Found>,
        /// What will be there.
        after: Box<Found>,
        /// The same for people, when they asked for it.
        difference: Option<Difference>,
    },
    /// The init system.
    Service {
        /// Which unit.
        unit: String,
        /// What is asked.
        action: runner_model::ServiceAction,
    },
    /// A command.
    Command(Box<Command>),
    /// A request.
    Request(Box<Request>),
    /// A socket.
    Exchange(Box<Exchange>),
    /// A file of the workspace.
    Workspace {
        /// Where.
        path: String,
        /// What was there.
        before: Option<Digest>,
        /// What will be there.
        after: Digest,
    },
}

/// As whom an effect is done, and where it may be: the same hold for its undo.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Acts {
    /// `None`: whoever logged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// Where its paths may physically be.
    #[serde(default)]
    pub reach: Reach,
    /// How many folders it will make on the way.
    #[serde(default)]
    pub folders: u32,
    /// Under what a copy is kept of what it destroys. Nobody on the target can guess it before it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<UndoKey>,
    /// Of a request: the grants of it and of its undo spell out the address that is connected to.
    #[serde(default)]
    pub named_literally: bool,
    /// Why no copy is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_copy: Option<String>,
}

impl Acts {
    /// As this user.
    pub fn acting(&self) -> Acting {
        self.user.clone().map_or(Acting::Login, Acting::As)
    }
}

/// How an effect ended, as the journal needs to know it.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It was done; the answer that the guest got.
    Done(Value),
    /// The same of a typed verb, with what its undo needs to know.
    Applied(Value, Applied),
    /// It failed.
    Failed(Failure),
    /// Nobody waited for its end: the invocation was given up while it went on.
    Abandoned,
}

/// An intent that is on disk. Whoever holds it tells the end.
pub trait Pending: Send {
    /// The line that goes to the target with the request that acts.
    fn line(&self) -> &str;
    /// Records the end.
    fn end(self: Box<Self>, outcome: Outcome);
}

/// What an earlier part of a run has about a call.
#[derive(Debug)]
pub enum Past {
    /// Nothing: it is made now.
    New,
    /// Its answer.
    Answered(Result<Value, Failure>),
    /// It was about to happen, and nobody knows whether it did.
    InDoubt(Doubt),
}

/// An effect of which only the intent is known.
#[derive(Debug, Clone, Default)]
pub struct Doubt {
    /// What was there, of a typed verb.
    pub before: Option<Found>,
    /// What was to be there.
    pub after: Option<Found>,
    /// Of a file of the workspace: what was there.
    pub replaced: Option<Digest>,
    /// How many folders it was to make.
    pub folders: u32,
    /// What somebody who looked says: it was done, or it was not.
    pub assumed: Option<bool>,
}

/// The account of what an invocation asked and was answered.
#[async_trait]
pub trait Record: Send + Sync {
    /// What an earlier part of the run has about this call. An error ends the invocation: the record has another call in
    /// its place.
    fn past(&self, call: &Call) -> Result<Past, Failure>;
    /// An effect that was in doubt turned out to be done.
    fn settled(&self, call: &Call, answer: Value);
    /// A call that changed nothing, or was refused, with its answer.
    fn looked(&self, call: &Call, answer: &Result<Value, Failure>);
    /// An effect that is about to happen. Returns when that is on disk; no effect without it.
    async fn intend(&self, call: &Call, effect: &Effect, acts: Acts) -> Result<Box<dyn Pending>, Failure>;
}
