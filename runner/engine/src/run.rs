//! One run from its first event to its last.

use crate::{EventSender, Executor, Signals};
use runner_model::{EnvironmentName, PlanName, ReleaseId, RunId, Schedule, TargetEnd, TargetName, Verdict};
use std::sync::Arc;

/// What a run is called.
#[derive(Debug, Clone)]
pub struct About {
    /// Its id.
    pub run: RunId,
    /// The plan.
    pub plan: PlanName,
    /// What the plan says about itself.
    pub summary: Option<String>,
    /// The environment that it releases to.
    pub environment: EnvironmentName,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// All of it.
    pub verdict: Verdict,
    /// Each target, in the order of the schedule.
    pub targets: Vec<TargetReport>,
}

/// How a run ended on one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetReport {
    /// The target.
    pub target: TargetName,
    /// In what state it is left.
    pub end: TargetEnd,
    /// What is live there; `None` when nothing is or it is not known.
    pub live: Option<ReleaseId>,
}

/// Carries out the schedule and says how it ended. The first event is `RunStarted`, the last one `RunFinished`.
pub async fn run(
    about: About,
    _schedule: Schedule,
    _executor: Arc<dyn Executor>,
    _events: EventSender,
    _signals: Signals,
) -> Report {
    let _ = about;
    Report { verdict: Verdict::Failed, targets: Vec::new() }
}
