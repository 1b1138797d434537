//! The executor: phases, batches, targets, retries, cancellation. Knows no wasm and no ssh: both are behind
//! [`Executor`], so that it is tested with neither.

mod attempts;
mod board;
mod brakes;
mod budget;
mod connecting;
mod events;
mod flow;
mod gate;
mod links;
mod once;
mod rollback;
mod run;
mod shared;
mod signals;

use async_trait::async_trait;
use runner_model::{Failure, Mark, ReleaseId, Service, Standing, StepId, Tally, TargetName};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub use brakes::{Brakes, GRACE, LAST_GRACE, SHORT_GRACE};
pub use events::{EventReceiver, EventSender, events};
pub use run::{About, Report, TargetReport, run};
pub use signals::{Signal, Signals};

/// Whoever carries out invocations: this process today, a worker near the targets tomorrow.
///
/// A panic in any of these is caught and counts as a failure.
#[async_trait]
pub trait Executor: Send + Sync + 'static {
    /// Connects to the target and learns what is live there. Retries and deadlines are behind it; dropping the future
    /// gives the attempt up. Called once for each target, before anything else is asked of it.
    async fn connect(&self, target: &TargetName) -> Result<Option<ReleaseId>, Failure>;

    /// Runs one step on one target, once, in a fresh instance. Progress and log lines go straight to the event stream.
    ///
    /// When `cancel` is cancelled, what runs on the target is ended and the invocation comes back soon with
    /// [`FailureKind::Cancelled`](runner_model::FailureKind::Cancelled). The future is dropped only when it does not.
    async fn invoke(&self, invocation: Invocation, cancel: CancellationToken) -> Invoked;

    /// How many attempts at a step are over since an earlier part of the run: the first one now has the next number.
    fn attempts_over(&self, step: &StepId, target: &TargetName) -> u32;

    /// Whether an earlier part of the run has begun the step on any target.
    fn was_begun(&self, step: &StepId) -> bool;

    /// Marks this run's release on the target, when it is there.
    async fn mark(&self, target: &TargetName, mark: Mark) -> Result<(), Failure>;

    /// What is live on the target as far as it was heard of; `None`: nothing, or nobody knows.
    fn last_known_live(&self, target: &TargetName) -> Option<ReleaseId>;

    /// What is live on the target now; `None` when nothing is.
    async fn live(&self, target: &TargetName) -> Result<Option<ReleaseId>, Failure>;

    /// The release of this run, as soon as the artifact exists.
    fn release(&self) -> Option<ReleaseId>;

    /// Takes the lock of these targets, and of all else that the run acts on: of all, or of none. Asked once, when it is
    /// known which targets answer, and before anything is done to any of them.
    async fn lock(&self, targets: &[TargetName]) -> Result<(), Failure>;

    /// Comes back when somebody else has taken the lock: from then on nothing may be done.
    async fn lock_lost(&self) -> Failure;

    /// The lock is not taken any more: no step acts on a target.
    fn forgo_lock(&self);

    /// Fails when the lock is somebody else's by now.
    async fn has_lock(&self) -> Result<(), Failure>;

    /// Whether nothing is expected to change on the target: what would go live is live and good there, or an earlier part
    /// of the run did it all. Then it stays in service, until a step is denied something for that.
    async fn is_settled(&self, target: &TargetName) -> bool;

    /// How targets stand in their cluster.
    async fn observe(&self, targets: &[TargetName]) -> Result<BTreeMap<TargetName, Standing>, Failure>;

    /// How the run found the target, also its earlier parts: only who was in service is put back.
    fn stood(&self, target: &TargetName) -> Option<Service>;

    /// Takes the target out of service. When that fails, it is in service as before, or the failure says otherwise.
    async fn leave(&self, target: &TargetName, cancel: CancellationToken) -> Result<(), Failure>;

    /// Puts the target back into service.
    async fn join(&self, target: &TargetName, cancel: CancellationToken) -> Result<(), Failure>;

    /// From now on the target takes itself back, unless it is disarmed in time.
    async fn arm(&self, target: &TargetName) -> Result<(), Failure>;

    /// The rollout of the target went well, and it can still be reached: it keeps what it got. Fails when it has taken
    /// itself back.
    async fn confirm(&self, target: &TargetName) -> Result<(), Failure>;

    /// The target does not take itself back any more, whatever it did so far.
    async fn disarm(&self, target: &TargetName) -> Result<(), Failure>;

    /// Undoes what the rollout did for the target.
    async fn undo(&self, target: &TargetName, cancel: CancellationToken) -> Result<(), Failure>;

    /// Undoes all else that the run did: what was staged, and what was done once. Answers where something of it is left;
    /// `None`: here.
    async fn undo_rest(&self, cancel: CancellationToken) -> BTreeMap<Option<TargetName>, Failure>;
}

/// One step on one target.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The step.
    pub step: StepId,
    /// The target that the step runs for.
    pub target: TargetName,
    /// 1 for the first try.
    pub attempt: u32,
    /// What earlier steps gave out, by step: of steps that ran once, and of this target's.
    pub outputs: Arc<BTreeMap<StepId, Value>>,
}

/// How an invocation ended.
#[derive(Debug, Clone)]
pub struct Invoked {
    /// The outputs, a JSON object that is valid under the module's schema; or why it failed. Of an invocation of which
    /// only the real thing could tell more: `null`.
    pub result: Result<Value, Failure>,
    /// In a dry run: why nobody can tell what it would do from some call on.
    pub unknown: Option<String>,
    /// The tail of the guest's stderr.
    pub stderr: String,
    /// What it did.
    pub tally: Tally,
    /// It was denied something because its target is in service.
    pub in_service: bool,
}
