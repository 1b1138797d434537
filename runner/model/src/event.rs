//! The one stream of events of a run. Terminal, plain lines, JSON and the journal only consume it.

use crate::{EnvironmentName, Failure, PlanName, ReleaseId, RunId, StepId, TargetName};
use serde::{Deserialize, Serialize};

/// The parts of a plan, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Once, before any target is touched.
    Prepare,
    /// All targets at full concurrency.
    Stage,
    /// Target by target, batch by batch.
    Rollout,
    /// Once, after the last batch.
    Finish,
    /// Whatever happened.
    Always,
}

impl Phase {
    /// As it is written in a plan.
    pub fn word(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Stage => "stage",
            Self::Rollout => "rollout",
            Self::Finish => "finish",
            Self::Always => "always",
        }
    }
}

/// How much a line of a step's log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// For the author of the step.
    Debug,
    /// What the step is doing.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
}

/// What an invocation did, counted by the host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tally {
    /// Calls that only looked.
    pub reads: u32,
    /// Effects that changed something: a change that found all as it should be is not counted.
    pub changes: u32,
    /// Signals, gates and opaque effects.
    pub signals: u32,
    /// Bytes of artifacts and files sent to the target, compressed as they went.
    pub bytes_sent: u64,
    /// Fuel that the guest used.
    pub fuel: u64,
}

/// How an invocation, or a target, ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum End {
    /// Well.
    Ok,
    /// Not well.
    Failed {
        /// Why.
        failure: Failure,
        /// The tail of what the guest wrote to stderr before it trapped.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        stderr: String,
    },
    /// It was not run, or was stopped.
    Cancelled,
}

/// In what state a target is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum TargetEnd {
    /// All its steps passed.
    Done,
    /// Nothing of the rollout touched it.
    Untouched,
    /// A step failed on it.
    Failed { step: StepId, failure: Failure },
    /// It could not be reached.
    Unreachable { failure: Failure },
    /// The run was cancelled while it was worked on, in this step.
    Stopped { step: Option<StepId> },
}

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Event {
    /// The run begins.
    RunStarted {
        run: RunId,
        plan: PlanName,
        summary: Option<String>,
        environment: EnvironmentName,
        targets: Vec<TargetName>,
        /// Steps per phase, in order.
        steps: Vec<(Phase, Vec<StepId>)>,
    },
    /// A phase begins.
    PhaseStarted { phase: Phase },
    /// A phase ended.
    PhaseFinished { phase: Phase, milliseconds: u64 },
    /// A batch of the rollout begins; `number` counts from 1.
    BatchStarted { number: u32, of: u32, targets: Vec<TargetName> },
    /// A target answered.
    Connected { target: TargetName, milliseconds: u64, live: Option<ReleaseId> },
    /// A target did not.
    Unreachable { target: TargetName, failure: Failure },
    /// The release of this run is known.
    ReleaseNamed { release: ReleaseId },
    /// An invocation begins.
    StepStarted { step: StepId, target: TargetName, attempt: u32 },
    /// An invocation says how far it is; `total` 0: not known.
    Progress { step: StepId, target: TargetName, done: u64, total: u64, what: String },
    /// A line from a step, or from a command that it runs. Control characters are already escaped.
    Log { step: StepId, target: TargetName, level: Level, message: String },
    /// An invocation ended.
    StepFinished { step: StepId, target: TargetName, attempt: u32, end: End, milliseconds: u64, tally: Tally },
    /// An invocation failed and will be tried again after `delay` milliseconds.
    StepRetried { step: StepId, target: TargetName, attempt: u32, failure: Failure, delay: u64 },
    /// A signal came: what runs is finished or stopped, nothing new begins.
    Cancelling,
    /// No further batch begins.
    Halted { failures: u32, allowed: u32 },
    /// In what state a target is left. `live`: what `current` points to now, `None` when there is nothing or it is
    /// not known.
    TargetFinished { target: TargetName, end: TargetEnd, live: Option<ReleaseId> },
    /// The run ended.
    RunFinished { run: RunId, verdict: Verdict, milliseconds: u64 },
}

/// How a run ended; each has its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All went well.
    Done,
    /// A step failed.
    Failed,
    /// Targets were unreachable, and no step failed.
    Unreachable,
    /// SIGINT, Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl Verdict {
    /// The exit code of the process, as documented.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 4,
            Self::Unreachable => 5,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

/// An event and when it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stamped {
    /// Milliseconds since the run began.
    pub at: u64,
    /// What happened.
    #[serde(rename = "what")]
    pub event: Event,
}
