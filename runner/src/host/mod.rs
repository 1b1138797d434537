//! Carries out invocations in this process: the one place where the plan, the sandbox, the connections, the store and
//! the journal meet. The engine sees only its trait.

mod cluster;
mod dry;
mod events;
mod facts;
mod faults;
mod fleet;
mod gate;
mod http;
mod kept;
mod leave;
mod lock;
pub mod past;
mod record;
mod rollback;
pub(crate) mod schema;
mod standings;
mod undo;
mod watch;

pub use events::EventJournal;
pub use faults::Faults;
pub use fleet::{Connect, Connections};
pub use http::Requests;
pub use kept::Kept;
pub use lock::Locking;
pub use record::Carried;
pub use rollback::{TakenBack, is_left};
pub use undo::Undoing;

use crate::module::load::Module;
use crate::sandbox::context::{Context, Given, Http, Machines, Marks, RunInfo, cancelled};
use crate::sandbox::gate::Gate;
use crate::sandbox::limits::Limits;
use crate::sandbox::{Ended, Export, Origin, Prepared, Sandbox};
use async_trait::async_trait;
use dry::{DryMachines, DryRequests, DryRun};
use fleet::Fleet;
use gate::ServiceGate;
use past::{Continued, PastRun};
use record::JournalRecord;
use runner_artifact::{Store, Workspace};
use runner_engine::{EventSender, Executor, Invocation, Invoked};
use runner_journal::{Header, Journal};
use runner_model::grant::{Layers, WorkspacePath};
use runner_model::policy::EnvironmentPolicy;
use runner_model::{
    Acting, Digest, Facts, Failure, FailureKind, LockedEnvironment, LockedStep, Mark, ModuleRef, Phase,
    Release, ReleaseId, RemotePath, Resolved, ResolvedStep, RunId, Runs, Service, Standing, StepId, Tally,
    TargetName,
};
use runner_secret::Vault;
use runner_transport::{Executes, Intent, Within};
use schema::Schemas;
use serde_json::Value;
use standings::Standings;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
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
    machines_locked: Mutex<Vec<TargetName>>,
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
            machines_locked: Mutex::default(),
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
        let Some(artifact) = self.resolved.artifact(outputs)? else { return Ok(()) };
        let Some(release) = &self.resolved.release else { return Ok(()) };
        let id = release.id(&artifact).map_err(|error| Failure::new(FailureKind::Invalid, error))?;
        *self.release.lock().unwrap_or_else(PoisonError::into_inner) = Some((id, artifact));
        Ok(())
    }

    /// What is live on a target, by the host's own account there.
    async fn live_on(&self, target: &TargetName) -> Result<Option<ReleaseId>, Failure> {
        let releases = self.releases_on(target).await?;
        Ok(releases.into_iter().find(|release| release.live).map(|release| release.id))
    }

    /// The releases on a target; none where the plan has no release root.
    async fn releases_on(&self, target: &TargetName) -> Result<Vec<Release>, Failure> {
        let connection = self.fleet.connection(target).await?;
        let Some(root) = self.resolved.root(target) else { return Ok(Vec::new()) };
        let within = Within::both(std::slice::from_ref(root));
        connection.acting(&Acting::Login).releases(root, within).await
    }

    /// Marks this run's release on a target.
    async fn mark_as(&self, target: &TargetName, mark: Mark) -> Result<(), Failure> {
        if self.dry.is_some() {
            return Ok(());
        }
        let (Some((release, _)), Some(root)) = (self.known_release(), self.resolved.root(target)) else {
            return Ok(());
        };
        let releases = self.releases_on(target).await?;
        if releases.iter().any(|known| known.id == release && known.mark == mark) {
            return Ok(());
        }
        let verbs = self.fleet.connection(target).await?.acting(&Acting::Login);
        let intent = self.record.will_mark(target, &release, mark).await?;
        let marked = verbs.mark(root, &release, mark, Intent::new(&intent)).await;
        self.record.marked(target, &marked);
        if marked.is_ok() && mark == Mark::Good {
            self.keep_with_release(target, root).await?;
        }
        marked
    }

    /// Whoever goes back from a release does not want to come back to it: it is marked bad, until it goes live once more.
    async fn mark_what_was_left(&self, target: &TargetName) -> Result<(), Failure> {
        let left = self.previous.lock().unwrap_or_else(PoisonError::into_inner).get(target).cloned();
        let (Some(left), Some((release, _)), Some(root)) =
            (left, self.known_release(), self.resolved.root(target))
        else {
            return Ok(());
        };
        let releases = self.releases_on(target).await?;
        let of = |id: &ReleaseId| releases.iter().find(|known| known.id == *id);
        let (Some(left), Some(now)) = (of(&left), of(&release)) else { return Ok(()) };
        if left.sequence <= now.sequence || left.mark == Mark::Bad {
            return Ok(());
        }
        let verbs = self.fleet.connection(target).await?.acting(&Acting::Login);
        let intent = self.record.will_mark(target, &left.id, Mark::Bad).await?;
        let marked = verbs.mark(root, &left.id, Mark::Bad, Intent::new(&intent)).await;
        self.record.marked(target, &marked);
        marked
    }

    /// Keeps with a release that proved itself what it takes to make it live again.
    async fn keep_with_release(&self, target: &TargetName, root: &RemotePath) -> Result<(), Failure> {
        let Some(release) = self.known_release() else { return Ok(()) };
        let before =
            |id: &StepId| self.step(id).is_ok_and(|step| matches!(step.phase, Phase::Prepare | Phase::Stage));
        let mut outputs = self.outputs_of(target);
        outputs.retain(|step, _| before(step));
        let id = release.0.clone();
        let environment = self.resolved.environment.clone();
        let kept = Kept::new(release, environment, self.texts.clone(), self.resolved.given.clone(), outputs);
        let verbs = self.fleet.connection(target).await?.acting(&Acting::Login);
        let line = Carried::Kept(id.clone()).line();
        verbs.keep(root, &id, &kept.text(), Intent::new(&line)).await
    }

    /// The invocation with what the steps of an older release had given out, which do not run again.
    fn with_what_was_given_then(&self, invocation: &Invocation) -> Invocation {
        let Some(then) = self.given_then.get(&invocation.target) else { return invocation.clone() };
        let mut outputs = then.clone();
        outputs.extend((*invocation.outputs).clone());
        Invocation { outputs: Arc::new(outputs), ..invocation.clone() }
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

    /// Everything about an invocation that can go wrong before it begins.
    async fn prepare<'a>(
        &'a self,
        step: &'a ResolvedStep,
        invocation: &'a Invocation,
    ) -> Result<Begun<'a>, Failure> {
        if let Some(error) = self.journal.failure() {
            return Err(error.into());
        }
        let Invocation { step: id, target, outputs, .. } = invocation;
        let module = self.modules.get(&step.module).ok_or_else(|| {
            Failure::new(FailureKind::Other, format_args!("the module `{}` was not loaded", step.module))
        })?;
        let params =
            self.with_facts(step, target, outputs, |_, facts| self.resolved.parameters(step, target, facts));
        let params = params.await?;
        module.schemas.check_parameters(&format!("step `{id}`"), &params)?;
        let layers = self.layers(step, target, outputs).await?;
        Ok(Begun { step, module, params, layers, release: self.known_release() })
    }

    fn step(&self, id: &StepId) -> Result<&ResolvedStep, Failure> {
        let missing = || Failure::new(FailureKind::Other, format_args!("the plan has no step `{id}`"));
        self.resolved.step(id).ok_or_else(missing)
    }

    /// What a step may do there, with these outputs of earlier ones.
    async fn layers(
        &self,
        step: &ResolvedStep,
        target: &TargetName,
        outputs: &BTreeMap<StepId, Value>,
    ) -> Result<Layers, Failure> {
        let layers = self.with_facts(step, target, outputs, |locked, facts| {
            self.resolved.layers(step, target, facts, locked, self.policy.clone())
        });
        let mut layers = layers.await?;
        layers.reserved_files.extend(self.reserved_files.iter().cloned());
        Ok(layers)
    }

    /// Does something with all that a step may refer to.
    async fn with_facts<T>(
        &self,
        step: &ResolvedStep,
        target: &TargetName,
        outputs: &BTreeMap<StepId, Value>,
        then: impl FnOnce(&LockedStep, Facts<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let locked = self.locked.step(&step.id).ok_or_else(|| {
            Failure::new(
                FailureKind::Other,
                format_args!("the lock has no grants for the step `{}`", step.id),
            )
        })?;
        self.learn_release(outputs)?;
        let wanted = self.resolved.facts_of(step, locked);
        let of_target = self.facts.of(target, &wanted, &self.fleet, &self.resolved, &self.record).await?;
        let release = self.known_release();
        let facts = Facts {
            run: &self.run,
            release: release.as_ref().map(|(id, _)| id),
            artifact: release.as_ref().map(|(_, artifact)| artifact),
            outputs,
            target: &of_target,
        };
        then(locked, facts)
    }

    fn context(&self, invocation: &Invocation, begun: &Begun<'_>, cancel: CancellationToken) -> Context {
        let target = &invocation.target;
        let step = begun.step;
        let subject = matches!(step.runs, Runs::EachTarget(_)).then(|| target.clone());
        let current = step.acts_on(target).clone();
        let previous = self.previous.lock().unwrap_or_else(PoisonError::into_inner).get(target).cloned();
        let variables = self.resolved.target(target).map(|target| &target.vars).into_iter().flatten();
        Context {
            info: RunInfo {
                run: self.run.clone(),
                step: step.id.clone(),
                target: target.clone(),
                attempt: invocation.attempt,
                environment: self.resolved.environment.to_string(),
                release: begun.release.as_ref().map(|(id, _)| id.clone()),
                previous,
                subject,
                variables: variables
                    .map(|(name, value)| (name.as_str().to_owned(), as_text(value)))
                    .collect(),
                current: current.clone(),
            },
            module: step.uses.clone(),
            events: self.events.clone(),
            cancel,
            acting: self.resolved.acting(step, &current),
            machines: Arc::clone(&self.machines),
            origin: self.origin.clone(),
            record: self.record.clone(),
            marks: Arc::clone(&self.marks),
            given: Arc::clone(&self.given),
            store: Arc::clone(&self.store),
            workspace: Arc::new(self.workspace.snapshot()),
            http: Arc::clone(&self.http),
            vault: Arc::clone(&self.vault),
            secrets: step
                .secrets
                .iter()
                .filter_map(|(local, name)| {
                    let source = self.resolved.secrets.get(name)?.to_string();
                    Some((local.clone(), (name.clone(), source)))
                })
                .collect(),
            layers: Arc::new(begun.layers.clone()),
            gate: None,
            diff: self.diff,
            waits: self.dry.is_none(),
            rehearsal: self.dry.as_ref().map(|dry| Arc::clone(&dry.rehearsal)),
        }
    }

    /// Runs the step and judges what it returned.
    async fn run(&self, invocation: &Invocation, cancel: CancellationToken) -> Invoked {
        let invocation = &self.with_what_was_given_then(invocation);
        let prepared = async { self.prepare(self.step(&invocation.step)?, invocation).await };
        let prepared = tokio::select! {
            prepared = prepared => prepared,
            () = cancel.cancelled() => Err(cancelled()),
        };
        let begun = match prepared {
            Ok(begun) => begun,
            Err(failure) => {
                return match &self.dry {
                    None => failed(failure),
                    Some(dry) => dry
                        .judge_unbegun(invocation.outputs.iter(), failure)
                        .map_or_else(failed, |why| unknown(why, Tally::default())),
                };
            }
        };
        let Called { result, stderr, tally, in_service } =
            self.call(&begun, Export::Run, invocation, cancel).await;
        let current = begun.step.acts_on(&invocation.target);
        let result = match (result, &self.dry) {
            (Err(failure), Some(dry)) => match dry.judge(current, failure, tally) {
                Ok(why) => return unknown(why, tally),
                Err(failure) => Err(failure),
            },
            (result, _) => result,
        };
        Invoked { result, unknown: None, stderr, tally, in_service }
    }

    /// Calls a module, and keeps the account of it.
    async fn call(
        &self,
        begun: &Begun<'_>,
        export: Export,
        invocation: &Invocation,
        cancel: CancellationToken,
    ) -> Called {
        let Invocation { step, target, attempt, .. } = invocation;
        let denied = Arc::new(AtomicBool::new(false));
        let gate = (export == Export::Run && self.resolved.cluster.is_some()).then(|| {
            let (resolved, standings) = (Arc::clone(&self.resolved), Arc::clone(&self.standings));
            let phase = begun.step.phase;
            Arc::new(ServiceGate { resolved, standings, phase, denied: Arc::clone(&denied) }) as Arc<dyn Gate>
        });
        let context = Context { gate, ..self.context(invocation, begun, cancel) };
        let (info, current) = (context.info.clone(), context.info.current.clone());
        let limits = limits(begun.step);
        let about = serde_json::json!({
            "info": info, "limits": limits, "uses": begun.step.uses, "export": export,
        });
        let given = (begun.params.clone(), about);
        self.record.started(step, target, *attempt, begun.step.digest, given);
        let sent_before = self.fleet.bytes_sent(&current);
        let called = (export, begun.params.to_string());
        let Ended { result, stderr, mut tally, changed, time: _ } =
            self.sandbox.invoke(&begun.module.prepared, called, context, limits).await;
        let who = format!("step `{step}` (module `{}`)", begun.step.uses);
        let result = result.and_then(|text| match export {
            Export::Run => begun.module.schemas.outputs(&who, &text),
            _ => serde_json::from_str(&text).map_err(|error| Failure::new(FailureKind::Other, error)),
        });
        let result = result.map(|outputs| self.vault.hide_json(outputs));
        let result = result.and_then(|outputs| {
            if export == Export::Run {
                self.given.give_out(&outputs);
                let of = (step.clone(), target.clone());
                self.outputs.lock().unwrap_or_else(PoisonError::into_inner).insert(of, outputs.clone());
                self.learn_release(&BTreeMap::from([(step.clone(), outputs.clone())]))?;
            }
            Ok(outputs)
        });
        self.marks.settle(&info, changed, result.is_ok());
        tally.bytes_sent = self.fleet.bytes_sent(&current).saturating_sub(sent_before);
        self.record.ended(step, target, *attempt, &result, tally.fuel);
        Called { result, stderr, tally, in_service: denied.load(Ordering::Relaxed) }
    }
}

/// How a call of a module ended.
struct Called {
    result: Result<Value, Failure>,
    stderr: String,
    tally: Tally,
    /// Something was denied since the target is in service.
    in_service: bool,
}

/// What attempts changed that are over: the next one answers `true` for it.
fn marks_of(run: &PastRun) -> Marks {
    let marks = Marks::default();
    for (step, target, changed) in run.changed_before() {
        marks.remember(step, target, changed);
    }
    marks
}

/// An invocation that may begin.
struct Begun<'a> {
    step: &'a ResolvedStep,
    module: &'a Ready,
    params: Value,
    layers: runner_model::grant::Layers,
    release: Option<(ReleaseId, Digest)>,
}

/// An invocation that did not begin.
fn failed(failure: Failure) -> Invoked {
    Invoked {
        result: Err(failure),
        unknown: None,
        stderr: String::new(),
        tally: Tally::default(),
        in_service: false,
    }
}

/// An invocation of which only the real thing could tell more.
fn unknown(why: String, tally: Tally) -> Invoked {
    Invoked { result: Ok(Value::Null), unknown: Some(why), stderr: String::new(), tally, in_service: false }
}

/// A variable as text: text as it is, all else as JSON.
fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The limits of a step, in the sandbox's own words.
fn limits(step: &ResolvedStep) -> Limits {
    let bytes =
        |size: runner_model::quantity::ByteSize| usize::try_from(size.as_bytes()).unwrap_or(usize::MAX);
    Limits {
        memory: bytes(step.limits.memory),
        fuel: step.limits.fuel,
        time: step.limits.time.as_duration(),
        log: bytes(step.limits.log),
        table_elements: usize::try_from(step.limits.table_elements).unwrap_or(usize::MAX),
        instances: usize::try_from(step.limits.instances).unwrap_or(usize::MAX),
        ..Limits::default()
    }
}

#[async_trait]
impl Executor for Host {
    async fn connect(&self, target: &TargetName) -> Result<Option<ReleaseId>, Failure> {
        self.look_for_watchdog(target).await?;
        let now = self.live_on(target).await?;
        // What the run found when it began, not what it left when it was cut off.
        let live = self.before.run.live.get(target).cloned().unwrap_or(now);
        self.record.found(target, live.clone());
        self.standings.went_live(target, live.clone());
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
