//! What the engine is told to do: which steps, on which targets, in which batches. It is made from a plan that has
//! been checked, and knows nothing of modules, parameters or grants.

use crate::plan::OnFailure;
use crate::{Phase, StepId, TargetName};

/// The order of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Every target of the strategy's role, in the order of the inventory; the one that goes first comes first.
    pub targets: Vec<TargetName>,
    /// The targets of the rollout: each one of `targets` is in exactly one batch, and no batch is empty.
    pub batches: Vec<Vec<TargetName>>,
    /// The steps, by phase, and within a phase in the order of the plan.
    pub steps: Vec<ScheduledStep>,
    /// How many targets may fail, unreachable ones counted, before no further batch begins.
    pub max_failures: u32,
    /// Whether the plan makes a release, so that targets are marked when their rollout steps passed.
    pub release: bool,
    /// Whether targets are taken out of service around their rollout.
    pub cluster: Option<Gate>,
    /// Milliseconds between two batches.
    pub pause_ms: u64,
    /// What becomes of the targets that were touched when the run is halted.
    pub on_failure: OnFailure,
    /// Whether a target that loses the runner takes itself back.
    pub watched: bool,
}

/// How targets leave their cluster and come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// All that the cluster is asked about, also those that are not released to.
    pub fleet: Vec<TargetName>,
    /// How many of them are in service at least, whatever the run does.
    pub in_service: usize,
}

impl Schedule {
    /// The steps of one phase, in order.
    pub fn phase(&self, phase: Phase) -> impl Iterator<Item = &ScheduledStep> {
        self.steps.iter().filter(move |step| step.phase == phase)
    }

    /// The steps of each phase that has any, as [`Event::RunStarted`](crate::Event::RunStarted) carries them.
    pub fn overview(&self) -> Vec<(Phase, Vec<StepId>)> {
        Phase::ALL
            .into_iter()
            .map(|phase| (phase, self.phase(phase).map(|step| step.id.clone()).collect::<Vec<_>>()))
            .filter(|(_, steps)| !steps.is_empty())
            .collect()
    }
}

/// One step and where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledStep {
    /// Its id in the plan.
    pub id: StepId,
    /// When it runs.
    pub phase: Phase,
    /// Where it runs.
    pub runs: Runs,
    /// How often it is tried again; `None`: not at all.
    pub retry: Option<Retry>,
    /// Milliseconds after which one attempt is ended; `None`: only the sandbox's own limit holds.
    pub timeout_ms: Option<u64>,
    /// Once it has begun, nothing is rolled back by itself.
    pub no_return: bool,
}

/// Where a step runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runs {
    /// Once, on this target (`localhost` where the plan names none).
    Once(TargetName),
    /// On each of these, in the order of the inventory. In the rollout a target comes with its batch.
    EachTarget(Vec<TargetName>),
}

impl Runs {
    /// All targets that it runs on.
    pub fn targets(&self) -> &[TargetName] {
        match self {
            Self::Once(target) => std::slice::from_ref(target),
            Self::EachTarget(targets) => targets,
        }
    }
}

/// How an invocation that failed is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Attempts after the first one.
    pub times: u32,
    /// Milliseconds between two attempts.
    pub delay_ms: u64,
}
