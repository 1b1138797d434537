//! The one stream of events of a run. Terminal, plain lines, JSON and the journal only consume it.

use crate::{
    Act, Effected, EnvironmentName, Failure, PlanName, ReleaseId, RunId, Standing, StepId, TargetName,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// All of them, in order.
    pub const ALL: [Self; 5] = [Self::Prepare, Self::Stage, Self::Rollout, Self::Finish, Self::Always];

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
    /// What it would do from some call on only the real thing could tell: this is a dry run.
    Unknown {
        /// What would be asked, and why nobody can answer.
        why: String,
    },
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
    Failed {
        /// The step.
        step: StepId,
        /// Why.
        failure: Failure,
    },
    /// It could not be reached.
    Unreachable {
        /// Why.
        failure: Failure,
    },
    /// The run was cancelled while it was worked on.
    Stopped {
        /// The step that was running; `None`: between two steps.
        step: Option<StepId>,
    },
    /// What the run did on it was taken back.
    RolledBack {
        /// The step that failed on it; `None`: it was another target that failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepId>,
        /// Why that step failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// What the run did on it was to be taken back, and not all of it was.
    RollbackFailed {
        /// Why.
        failure: Failure,
    },
}

/// What `--limit` made of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Limited {
    /// As it was given.
    pub pattern: String,
    /// How many targets of the rollout it chose.
    pub chosen: usize,
    /// Of how many.
    pub of: usize,
}

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Event {
    /// The run begins.
    RunStarted {
        /// Its id.
        run: RunId,
        /// What is released.
        plan: PlanName,
        /// The plan's own words.
        summary: Option<String>,
        /// Where to.
        environment: EnvironmentName,
        /// `None`: it is for all targets of the rollout.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<Limited>,
        /// In the order of the inventory.
        targets: Vec<TargetName>,
        /// Steps per phase, in order.
        steps: Vec<(Phase, Vec<StepId>)>,
    },
    /// A phase begins.
    PhaseStarted {
        /// Which.
        phase: Phase,
    },
    /// A phase ended.
    PhaseFinished {
        /// Which.
        phase: Phase,
        /// How long it took.
        milliseconds: u64,
    },
    /// A batch of the rollout begins.
    BatchStarted {
        /// Counts from 1.
        number: u32,
        /// How many there are.
        of: u32,
        /// Who is in it.
        targets: Vec<TargetName>,
    },
    /// A target answered.
    Connected {
        /// Which.
        target: TargetName,
        /// How long it took.
        milliseconds: u64,
        /// What `current` points to.
        live: Option<ReleaseId>,
    },
    /// A target did not answer.
    Unreachable {
        /// Which.
        target: TargetName,
        /// Why.
        failure: Failure,
    },
    /// The release of this run is known.
    ReleaseNamed {
        /// Its id.
        release: ReleaseId,
    },
    /// An invocation begins.
    StepStarted {
        /// The step.
        step: StepId,
        /// The target that it runs for.
        target: TargetName,
        /// 1 for the first try.
        attempt: u32,
    },
    /// An invocation says how far it is.
    Progress {
        /// The step.
        step: StepId,
        /// The target that it runs for.
        target: TargetName,
        /// How much is done.
        done: u64,
        /// Of how much; 0: not known.
        total: u64,
        /// The unit in the plural.
        what: String,
    },
    /// A line from a step, or from a command that it runs.
    Log {
        /// The step.
        step: StepId,
        /// The target that it runs for.
        target: TargetName,
        /// How much it matters.
        level: Level,
        /// The line; control characters are already escaped.
        message: String,
    },
    /// An effect is over.
    Effect(Box<Effected>),
    /// An invocation ended.
    StepFinished {
        /// The step.
        step: StepId,
        /// The target that it ran for.
        target: TargetName,
        /// 1 for the first try.
        attempt: u32,
        /// How.
        end: End,
        /// How long it took.
        milliseconds: u64,
        /// What it did.
        tally: Tally,
    },
    /// An invocation failed and will be tried again.
    StepRetried {
        /// The step.
        step: StepId,
        /// The target that it runs for.
        target: TargetName,
        /// The try that failed.
        attempt: u32,
        /// Why.
        failure: Failure,
        /// Milliseconds until the next try.
        delay: u64,
    },
    /// A signal came: what runs is finished or stopped, nothing new begins.
    Cancelling,
    /// No further batch begins.
    Halted {
        /// Targets that failed or were unreachable.
        failures: u32,
        /// How many may.
        allowed: u32,
    },
    /// Somebody else has the lock of a target: it is waited for.
    LockAwaited {
        /// Who has it.
        failure: Failure,
    },
    /// The targets could not be locked: the run begins nothing on them.
    LockRefused {
        /// Who holds the lock, or why it cannot be taken.
        failure: Failure,
    },
    /// Another run took the lock over: this one may change nothing more.
    LockLost {
        /// By whom.
        failure: Failure,
    },
    /// The cluster said how its targets stand.
    ServiceObserved {
        /// Each target that it knows.
        standings: BTreeMap<TargetName, Standing>,
    },
    /// The cluster cannot be asked who is in service: no further batch begins.
    ClusterLost {
        /// Why.
        failure: Failure,
    },
    /// A target waits with its rollout, since too few others are in service.
    ServiceAwaited {
        /// Which.
        target: TargetName,
        /// How many are in service.
        serving: u32,
        /// Of how many.
        fleet: u32,
        /// How many stay.
        keeps: u32,
    },
    /// A target was taken out of service.
    ServiceLeft {
        /// Which.
        target: TargetName,
        /// How long it took: connections end first.
        milliseconds: u64,
    },
    /// A target was put back into service.
    ServiceJoined {
        /// Which.
        target: TargetName,
        /// How long it took.
        milliseconds: u64,
    },
    /// The next batch waits, as the plan says.
    Paused {
        /// How long.
        milliseconds: u64,
    },
    /// What the run did is taken back.
    RollbackStarted {
        /// The targets that it released to, in the order in which they are taken back.
        targets: Vec<TargetName>,
    },
    /// What the run did stays, though the plan says that it is taken back.
    RollbackOff {
        /// Why.
        why: String,
    },
    /// An effect was to be taken back.
    Undone {
        /// The step that it was made by.
        step: StepId,
        /// For which target.
        target: TargetName,
        /// Where it was made; `None`: here, or nowhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on: Option<TargetName>,
        /// What it was.
        act: Act,
        /// Why it stays; `None`: it is as it was before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stays: Option<String>,
    },
    /// What the run did on a target is taken back.
    TargetRolledBack {
        /// Which.
        target: TargetName,
        /// How long it took, out of service and back.
        milliseconds: u64,
    },
    /// What the run did could not be taken back on one machine.
    RollbackFailed {
        /// Which target; `None`: the runner's own machine.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<TargetName>,
        /// Why.
        failure: Failure,
    },
    /// In what state a target is left.
    TargetFinished {
        /// Which.
        target: TargetName,
        /// The state.
        end: TargetEnd,
        /// What `current` points to now; `None`: nothing, or it is not known.
        live: Option<ReleaseId>,
        /// Whether that is known.
        live_known: bool,
    },
    /// The run ended.
    RunFinished {
        /// Its id.
        run: RunId,
        /// How.
        verdict: Verdict,
        /// How long it took.
        milliseconds: u64,
    },
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
    /// It began nothing: another run holds the lock.
    Refused,
    /// SIGINT, Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// It failed, and what it had done was undone.
    RolledBack,
    /// It failed, and not all that it had done could be undone.
    RollbackFailed,
}

impl Verdict {
    /// The exit code of the process, as documented.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 3,
            Self::Failed => 4,
            Self::Unreachable => 5,
            Self::RolledBack => 6,
            Self::RollbackFailed => 7,
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
