//! Carries out invocations in this process: the one place where the plan, the sandbox, the connections, the store and
//! the journal meet. The engine sees only its trait.

mod after_undo;
mod cluster;
mod dry;
mod events;
mod facts;
mod faults;
mod fleet;
mod gate;
mod http;
mod invoke;
mod kept;
mod leave;
mod lock;
pub mod past;
mod record;
mod releases;
mod rollback;
pub(crate) mod schema;
mod standings;
mod undo;
mod watch;

pub use events::EventJournal;
pub use faults::Faults;
pub use fleet::{Connect, Connections};
pub use http::Requests;
pub(crate) use invoke::limits;
pub use kept::Kept;
pub use lock::Locking;
pub use record::Carried;
pub use rollback::{TakenBack, is_left};
pub use undo::Undoing;

use crate::module::load::Module;
use crate::sandbox::context::{Given, Http, Machines, Marks};
use crate::sandbox::{Origin, Prepared, Sandbox};
use async_trait::async_trait;
use dry::{DryMachines, DryRequests, DryRun};
use fleet::Fleet;
use past::{Continued, PastRun};
use record::JournalRecord;
use runner_artifact::{Store, Workspace};
use runner_engine::{EventSender, Executor, Invocation, Invoked};
use runner_journal::{Header, Journal};
use runner_model::grant::WorkspacePath;
use runner_model::policy::EnvironmentPolicy;
use runner_model::{
    Digest, Failure, FailureKind, LockedEnvironment, Mark, ModuleRef, Phase, ReleaseId, Resolved,
    ResolvedStep, RunId, Runs, Service, Standing, StepId, TargetName,
};
use runner_secret::Vault;
use runner_transport::Executes;
use schema::Schemas;
use serde_json::Value;
use standings::Standings;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// What a run is made of.
pub struct Parts {
    /// The run.
    pub run: RunId,
    /// The plan, checked and bound.
    pub resolved: Arc<Resolved>,
    /// What was accepted for its environment.
    pub locked: LockedEnvironment,
    /// What the operator allows; `None`: there is no policy.
    pub policy: Option<EnvironmentPolicy>,
    /// The modules that the plan uses.
    pub modules: BTreeMap<ModuleRef, Module>,
    /// Where they run.
    pub sandbox: Sandbox,
    /// The values of secrets.
    pub vault: Arc<Vault>,
    /// Where connections come from.
    pub connect: Arc<dyn Connect>,
    /// Artifacts.
    pub store: Arc<Store>,
    /// The plan's folder.
    pub workspace: Workspace,
    /// Files of it that no step may write: the plan, the lock, the inventory.
    pub reserved_files: Vec<WorkspacePath>,
    /// What clocks and random numbers of the run come from; the journal's header has it.
    pub origin: Origin,
    /// What the run executes.
    pub executes: Executes,
    /// What the journal begins with, without the seed.
    pub header: Header,
    /// The record of the run.
    pub journal: Arc<Journal>,
    /// What earlier parts of the run did.
    pub before: Continued,
    /// Faults to inject.
    pub faults: Faults,
    /// The events of the run.
    pub events: EventSender,
    /// Whether events of changes say what they made different.
    pub diff: bool,
    /// Nothing is changed: it is only told what would be.
    pub dry: bool,
    /// How the machines are locked.
    pub locking: Locking,
    /// The texts of the plan and of the lock, which are kept with what goes live.
    pub texts: (String, String),
    /// An older release that is made live again; `None`: the plan makes its own.
    pub again: Option<GoneBack>,
}

/// An older release that is made live again.
pub struct GoneBack {
    /// It, and its artifact.
    pub release: (ReleaseId, Digest),
    /// What the steps before its rollout gave out, for each target.
    pub outputs: BTreeMap<TargetName, BTreeMap<StepId, Value>>,
}

/// A module that is ready to run.
struct Ready {
    prepared: Prepared,
    schemas: Schemas,
}

/// Carries out the invocations of one run.
pub struct Host {
    run: RunId,
    resolved: Arc<Resolved>,
    locked: LockedEnvironment,
    policy: Option<EnvironmentPolicy>,
    modules: BTreeMap<ModuleRef, Ready>,
    sandbox: Sandbox,
    fleet: Arc<Fleet>,
    machines: Arc<dyn Machines>,
    http: Arc<dyn Http>,
    requests: Arc<Requests>,
    dry: Option<Arc<DryRun>>,
    vault: Arc<Vault>,
    store: Arc<Store>,
    workspace: Workspace,
    reserved_files: Vec<WorkspacePath>,
    origin: Origin,
    journal: Arc<Journal>,
    record: Arc<JournalRecord>,
    events: EventSender,
    diff: bool,
    marks: Arc<Marks>,
    given: Arc<Given>,
    facts: facts::Known,
    before: Continued,
    standings: Arc<Standings>,
    /// Who goes through the gate of a cluster that lets one through at a time.
    gate: tokio::sync::Mutex<()>,
    /// What steps gave out.
    outputs: Mutex<BTreeMap<(StepId, TargetName), Value>>,
    /// Targets that took themselves back when an earlier part of the run was cut off: their rollout is done anew.
    went_back: Mutex<BTreeSet<TargetName>>,
    /// Machines on which something could not be undone; `None`: the plan's folder, and requests.
    stuck: Mutex<BTreeSet<Option<TargetName>>>,
    locking: Locking,
    texts: (String, String),
    /// An older release is made live again.
    goes_back: bool,
    /// What the steps before its rollout gave out.
    given_then: BTreeMap<TargetName, BTreeMap<StepId, Value>>,
    /// The machines that are locked.
    machines_locked: Arc<Mutex<Vec<TargetName>>>,
    /// Held while one of them is asked for its lock.
    asking: Arc<tokio::sync::Mutex<()>>,
    /// The release of this run and its artifact, once it exists.
    release: Mutex<Option<(ReleaseId, Digest)>>,
    /// What was live on each target when it was connected.
    previous: Mutex<BTreeMap<TargetName, ReleaseId>>,
}

impl Host {
    /// Links the modules.
    ///
    /// # Errors
    /// A module does not link although it was checked, or has schemas that are none.
    pub fn new(parts: Parts) -> Result<Self, Failure> {
        let Parts { run, resolved, locked, policy, modules, sandbox, connect, store, .. } = parts;
        let mut ready = BTreeMap::new();
        for (reference, module) in modules {
            let schemas = Schemas::of(&module.manifest)?;
            let prepared = sandbox.prepare(&module.component, module.imports.wasi, module.manifest.world);
            let prepared = prepared.map_err(|error| {
                Failure::new(FailureKind::Other, format_args!("link the module `{reference}`: {error:#}"))
            })?;
            ready.insert(reference, Ready { prepared, schemas });
        }
        let (release, given_then) = match parts.again {
            Some(GoneBack { release, outputs }) => (Some(release), outputs),
            None => (None, BTreeMap::new()),
        };
        let executes = (!parts.dry).then_some(parts.executes);
        let continues = !parts.before.run.order.is_empty();
        let kept_there = (executes, continues);
        let told = (parts.locking.who.clone(), parts.header.started.to_string());
        let fleet = Arc::new(Fleet::new(Arc::clone(&resolved), run.clone(), kept_there, connect, told));
        let real = Arc::new(Requests::new(fleet.clone(), Arc::clone(&store)));
        let dry = parts.dry.then(|| {
            let (resolved, store, vault) =
                (Arc::clone(&resolved), Arc::clone(&store), Arc::clone(&parts.vault));
            Arc::new(DryRun::new(run.clone(), resolved, store, vault))
        });
        let faults = Arc::new(parts.faults);
        let closed = Arc::clone(&fleet);
        faults.closing(move || {
            let fleet = Arc::clone(&closed);
            tokio::spawn(async move { fleet.close().await });
        });
        let (machines, http): (Arc<dyn Machines>, Arc<dyn Http>) = match &dry {
            None => (fleet.clone(), real.clone()),
            Some(dry) => (
                Arc::new(DryMachines { fleet: Arc::clone(&fleet), dry: Arc::clone(dry) }),
                Arc::new(DryRequests { real: real.clone(), dry: Arc::clone(dry) }),
            ),
        };
        Ok(Self {
            machines,
            http,
            requests: real,
            dry,
            record: Arc::new(JournalRecord {
                journal: Arc::clone(&parts.journal),
                vault: Arc::clone(&parts.vault),
                events: parts.events.clone(),
                before: parts.before.clone(),
                dry: parts.dry,
                kept: Mutex::default(),
                taken: Mutex::new(parts.before.run.taken.clone()),
                live: Mutex::default(),
                header: parts.header,
                waiting: Arc::default(),
                faults,
            }),
            vault: parts.vault,
            origin: parts.origin,
            journal: parts.journal,
            workspace: parts.workspace,
            reserved_files: parts.reserved_files,
            events: parts.events,
            diff: parts.diff,
            modules: ready,
            marks: Arc::new(marks_of(&parts.before.run)),
            given: Arc::default(),
            facts: facts::Known::of_before(&parts.before.run),
            standings: Arc::new(Standings::new(
                resolved.cluster.iter().flat_map(|cluster| cluster.runs.targets()).cloned().collect(),
                parts.before.run.stood.clone(),
            )),
            before: parts.before,
            outputs: Mutex::default(),
            went_back: Mutex::default(),
            gate: tokio::sync::Mutex::default(),
            stuck: Mutex::default(),
            locking: parts.locking,
            texts: parts.texts,
            goes_back: release.is_some(),
            given_then,
            machines_locked: Arc::default(),
            asking: Arc::default(),
            release: Mutex::new(release),
            previous: Mutex::default(),
            run,
            resolved,
            locked,
            policy,
            sandbox,
            fleet,
            store,
        })
    }

    /// Gives the lock back, and ends all connections.
    pub async fn close(&self) {
        self.unlock().await;
        self.fleet.close().await;
    }

    /// How many boundaries of effects there were, when they are counted.
    pub fn boundaries(&self) -> Option<u64> {
        self.record.faults.counted()
    }

    fn known_release(&self) -> Option<(ReleaseId, Digest)> {
        self.release.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Names the release, when the outputs have its artifact.
    fn learn_release(&self, outputs: &BTreeMap<StepId, Value>) -> Result<(), Failure> {
        if self.goes_back {
            // It is known from the start; what one target has kept decides nothing for the others.
            return Ok(());
        }
        let Some(artifact) = self.resolved.artifact(outputs)? else { return Ok(()) };
        let Some(release) = &self.resolved.release else { return Ok(()) };
        let id = release.id(&artifact).map_err(|error| Failure::new(FailureKind::Invalid, error))?;
        *self.release.lock().unwrap_or_else(PoisonError::into_inner) = Some((id, artifact));
        Ok(())
    }

    /// What steps gave out so far that one for this target may refer to.
    fn outputs_of(&self, target: &TargetName) -> BTreeMap<StepId, Value> {
        let once = |id: &StepId| self.step(id).is_ok_and(|step| matches!(step.runs, Runs::Once(_)));
        let outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        let known = outputs.iter().filter(|((step, on), _)| on == target || once(step));
        let mut all = self.given_then.get(target).cloned().unwrap_or_default();
        all.extend(known.map(|((step, _), value)| (step.clone(), value.clone())));
        all
    }

    /// Whether nothing is expected to change on a target: what would go live is live and good there, or an earlier part of
    /// the run did it all.
    async fn nothing_is_left(&self, target: &TargetName) -> Result<bool, Failure> {
        let of_target = self.resolved.steps.iter().filter(|step| {
            step.phase == Phase::Rollout
                && matches!(&step.runs, Runs::EachTarget(targets) if targets.contains(target))
        });
        let ended_well = |step: &ResolvedStep| self.before.run.ended_well(&step.id, target);
        if !self.has_gone_back(target) && of_target.clone().all(ended_well) {
            return Ok(true);
        }
        let Some((release, _)) = self.known_release() else { return Ok(false) };
        let releases = self.releases_on(target).await?;
        Ok(releases.iter().any(|known| known.id == release && known.live && known.mark == Mark::Good))
    }

    fn step(&self, id: &StepId) -> Result<&ResolvedStep, Failure> {
        let missing = || Failure::new(FailureKind::Other, format_args!("the plan has no step `{id}`"));
        self.resolved.step(id).ok_or_else(missing)
    }
}

/// What attempts changed that are over: the next one answers `true` for it.
fn marks_of(run: &PastRun) -> Marks {
    let marks = Marks::default();
    for (step, target, changed) in run.changed_before() {
        marks.remember(step, target, changed);
    }
    marks
}

#[async_trait]
impl Executor for Host {
    async fn connect(&self, target: &TargetName) -> Result<Option<ReleaseId>, Failure> {
        self.look_for_watchdog(target).await?;
        let now = self.live_on(target).await?;
        // What the run found when it began, not what it left when it was cut off.
        let live = self.before.run.live.get(target).cloned().unwrap_or_else(|| now.clone());
        self.record.found(target, live.clone());
        self.standings.went_live(target, now);
        if let Some(release) = &live {
            let mut previous = self.previous.lock().unwrap_or_else(PoisonError::into_inner);
            previous.insert(target.clone(), release.clone());
        }
        Ok(live)
    }

    async fn invoke(&self, invocation: Invocation, cancel: CancellationToken) -> Invoked {
        self.run(&invocation, cancel).await
    }

    fn attempts_over(&self, step: &StepId, target: &TargetName) -> u32 {
        let run = &self.before.run;
        // What is done whatever happened is done again at the end of what goes on: it may have been taken back since.
        match self.resolved.step(step).map(|step| step.phase) {
            Some(Phase::Rollout) if self.has_gone_back(target) => run.last_attempt(step, target),
            Some(Phase::Always) => run.attempts_ended(step, target),
            _ => run.attempts_over(step, target),
        }
    }

    fn was_begun(&self, step: &StepId) -> bool {
        self.before.run.order.iter().any(|(begun, ..)| begun == step)
    }

    async fn mark(&self, target: &TargetName, mark: Mark) -> Result<(), Failure> {
        self.mark_as(target, mark).await?;
        match mark == Mark::Good && self.goes_back {
            true => self.mark_what_was_left(target).await,
            false => Ok(()),
        }
    }

    fn last_known_live(&self, target: &TargetName) -> Option<ReleaseId> {
        self.standings.live(target)
    }

    async fn live(&self, target: &TargetName) -> Result<Option<ReleaseId>, Failure> {
        self.live_on(target).await
    }

    fn release(&self) -> Option<ReleaseId> {
        self.known_release().map(|(release, _)| release)
    }

    async fn lock(&self, targets: &[TargetName]) -> Result<(), Failure> {
        self.lock_all(targets).await
    }

    async fn lock_lost(&self) -> Failure {
        self.kept_until_lost().await
    }

    fn forgo_lock(&self) {
        if self.dry.is_none() {
            self.fleet.locked(None);
        }
    }

    async fn has_lock(&self) -> Result<(), Failure> {
        self.renewed().await
    }

    async fn is_settled(&self, target: &TargetName) -> bool {
        self.nothing_is_left(target).await.unwrap_or_else(|failure| {
            tracing::debug!("{failure}");
            false
        })
    }

    async fn observe(&self, targets: &[TargetName]) -> Result<BTreeMap<TargetName, Standing>, Failure> {
        self.standings_of(targets).await
    }

    fn stood(&self, target: &TargetName) -> Option<Service> {
        self.standings.found(target)
    }

    async fn leave(&self, target: &TargetName, cancel: CancellationToken) -> Result<(), Failure> {
        self.take_out(target, &cancel).await
    }

    async fn join(&self, target: &TargetName, cancel: CancellationToken) -> Result<(), Failure> {
        self.put_back(target, &cancel).await
    }

    async fn arm(&self, target: &TargetName) -> Result<(), Failure> {
        self.watch(target).await
    }

    async fn confirm(&self, target: &TargetName) -> Result<(), Failure> {
        self.confirmed(target).await
    }

    async fn disarm(&self, target: &TargetName) -> Result<(), Failure> {
        self.unwatch(target).await
    }

    async fn undo(&self, target: &TargetName, cancel: CancellationToken) -> Result<(), Failure> {
        self.undo_of(target, &cancel).await
    }

    async fn undo_rest(&self, cancel: CancellationToken) -> BTreeMap<Option<TargetName>, Failure> {
        self.undo_of_the_rest(&cancel).await
    }
}
