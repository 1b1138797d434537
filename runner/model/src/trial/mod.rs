//! A test of one step: the parameters that it is given, the machine as it finds it, what answers its commands and requests,
//! what goes wrong, and what is expected of it. What is written in `tests/*.toml` of a step's folder.
//!
//! A test is a plan with one step in it. [`Trial::resolve`] makes that plan, and the rules of plans do the rest: parameters
//! are checked as a plan's are, and grants are bound as a lock would bind them. Problems point into the test's file.

mod plan;
mod read;
mod read_expected;
mod read_machine;
#[cfg(test)]
mod tests;

pub use read::CALLS;

use crate::plan::{AllowTable, LimitsTable, With};
use crate::source::{Source, Span, Spanned};
use crate::{
    Attributes, Fact, FailureKind, Mark, ReleaseId, RemotePath, SecretName, TargetName, UserName, VarName,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// One test.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Its file.
    pub source: Source,
    /// What is called of a module for `[cluster]`; `None`: the test is of a step.
    pub asks: Option<Spanned<Asks>>,
    /// The parameters, as a plan has them.
    pub with: With,
    /// What the step narrows its grants to.
    pub allow: Option<Spanned<AllowTable>>,
    /// What it may use of this machine.
    pub limits: LimitsTable,
    /// The user that it acts as on the target; `None`: whoever logs in.
    pub acts_as: Option<Spanned<UserName>>,
    /// The secrets that it is given, with values that exist only here.
    pub secrets: BTreeMap<SecretName, Given>,
    /// 1 for the first try.
    pub attempt: u32,
    /// The release that the run makes.
    pub release: Option<ReleaseId>,
    /// What was live when it began.
    pub previous: Option<ReleaseId>,
    /// Files beside the plan.
    pub workspace: BTreeMap<String, Spanned<String>>,
    /// Artifacts that earlier steps gave out, by the variables that have their digests.
    pub artifacts: BTreeMap<VarName, Artifact>,
    /// The machine that it acts on.
    pub machine: Machine,
    /// The machine that a cluster is asked about.
    pub subject: TargetName,
    /// What commands answer.
    pub commands: Vec<CommandAnswer>,
    /// What requests are answered with.
    pub requests: Vec<RequestAnswer>,
    /// What sockets answer.
    pub sockets: Vec<SocketAnswer>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// What is expected.
    pub expect: Expect,
}

/// What is called of a module for `[cluster]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// How the target stands.
    Observe,
    /// Take it out.
    Leave,
    /// Put it back.
    Join,
}

/// The value of a secret. It stands in a file that is committed, so that it is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Where its name is written.
    pub name: Span,
    /// The value.
    pub value: Spanned<String>,
}

/// An artifact.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// Where its name is written.
    pub name: Span,
    /// Where it is written.
    pub span: Span,
    /// What it is.
    pub content: ArtifactContent,
}

/// What an artifact is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArtifactContent {
    /// A file with this text.
    File(String),
    /// A tree of files, by their paths.
    Tree(BTreeMap<String, String>),
}

/// A machine, as the step finds it.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its name; `None`: up to where the module runs.
    pub name: Option<Spanned<TargetName>>,
    /// Who logs in.
    pub user: UserName,
    /// The release root.
    pub root: Option<RemotePath>,
    /// Files.
    pub files: BTreeMap<RemotePath, Spanned<File>>,
    /// Folders; those of files and links need not be named.
    pub folders: BTreeMap<RemotePath, Spanned<Attributes>>,
    /// Symbolic links.
    pub links: BTreeMap<RemotePath, Spanned<String>>,
    /// Releases below the root, the oldest first.
    pub releases: Vec<Laid>,
    /// Units.
    pub services: BTreeMap<String, Unit>,
    /// What it says of itself.
    pub facts: BTreeMap<Fact, Value>,
    /// Its variables in the inventory.
    pub vars: BTreeMap<VarName, Value>,
}

/// A file, or what is expected of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    /// What it holds; `None`: anything.
    pub text: Option<String>,
    /// Who may do what with it.
    pub attributes: Attributes,
}

/// A release that is laid out.
#[derive(Debug, Clone)]
pub struct Laid {
    /// Its id.
    pub id: Spanned<ReleaseId>,
    /// Its files, by their paths.
    pub files: BTreeMap<String, String>,
    /// Whether it proved itself.
    pub mark: Mark,
}

/// How a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// It runs.
    Active,
    /// It does not.
    Inactive,
    /// It does not, and will not.
    Failing,
}

impl Unit {
    /// The words for them.
    pub const WORDS: [(&'static str, Self); 3] =
        [("active", Self::Active), ("inactive", Self::Inactive), ("failing", Self::Failing)];

    /// As it is written.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, unit)| *unit == self).map_or("", |(word, _)| word)
    }
}

/// What a command answers.
#[derive(Debug, Clone)]
pub struct CommandAnswer {
    /// Where it is written.
    pub span: Span,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// What it must be given to read; `None`: anything.
    pub stdin: Option<String>,
    /// How it ends.
    pub status: u32,
    /// What it prints.
    pub stdout: String,
    /// What it says.
    pub stderr: String,
    /// Files that it leaves.
    pub writes: BTreeMap<RemotePath, String>,
}

/// What a request is answered with.
#[derive(Debug, Clone)]
pub struct RequestAnswer {
    /// Where it is written.
    pub span: Span,
    /// The method.
    pub method: String,
    /// The URL, whole.
    pub url: String,
    /// What it must carry; `None`: anything.
    pub sent: Option<String>,
    /// Headers that it must have, secret ones too.
    pub sent_headers: BTreeMap<String, String>,
    /// The status of the answer.
    pub status: u16,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// What it carries.
    pub body: String,
}

/// What a socket answers.
#[derive(Debug, Clone)]
pub struct SocketAnswer {
    /// Where it is written.
    pub span: Span,
    /// The socket.
    pub path: RemotePath,
    /// What it must be told; `None`: anything.
    pub said: Option<String>,
    /// All that comes back.
    pub answer: String,
}

/// Something that goes wrong.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Where it is written.
    pub span: Span,
    /// The call, as the journal names it.
    pub call: String,
    /// At which call of this name, from 1.
    pub nth: u32,
    /// What happens then.
    pub what: Goes,
}

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goes {
    /// It fails, and was not carried out.
    Fails(FailureKind, String),
    /// It is carried out, and the answer is lost.
    Lost(FailureKind, String),
    /// The run is cancelled before it.
    Cancelled,
}

/// What is expected. What is not named may be as it likes.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// The outputs, exactly.
    pub outputs: Option<Spanned<Value>>,
    /// How it fails; `None`: it ends well.
    pub error: Option<Spanned<ExpectedError>>,
    /// All effects, in order.
    pub calls: Option<Spanned<Vec<String>>>,
    /// Files as they are then.
    pub files: BTreeMap<RemotePath, Spanned<File>>,
    /// Folders as they are then.
    pub folders: BTreeMap<RemotePath, Spanned<Attributes>>,
    /// Links as they are then.
    pub links: BTreeMap<RemotePath, Spanned<String>>,
    /// Paths where nothing is then.
    pub absent: Vec<Spanned<RemotePath>>,
    /// Units as they are then.
    pub services: BTreeMap<String, Spanned<Unit>>,
    /// Files beside the plan as they are then.
    pub workspace: BTreeMap<String, Spanned<String>>,
    /// What the log's lines hold, in order.
    pub log: Vec<Spanned<String>>,
    /// Run once more on what is there then, it does nothing.
    pub again: Option<Spanned<()>>,
}

/// How a step fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedError {
    /// The kind; `None`: any.
    pub kind: Option<FailureKind>,
    /// What its message holds.
    pub message: Option<String>,
}
