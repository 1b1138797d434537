//! What a step of a test acts in: a machine, files beside a plan, artifacts and secrets, all of which are made for it and
//! gone with it.

use super::Bench;
use super::account::{Account, Made, Planned};
use super::machine::{self, MOMENT, Machine, There};
use super::requests::Requests;
use super::script::Script;
use crate::sandbox::context::{Context, Given, Machines, Marks, RunInfo};
use crate::sandbox::{Ended, Export, Origin};
use async_trait::async_trait;
use runner_artifact::{Store, Workspace, WorkspacePath};
use runner_model::diagnostic::{Code, Problem};
use runner_model::trial::{ArtifactContent, Asks, Trial};
use runner_model::{
    Acting, Digest, Event, Facts, Failure, FailureKind, Level, LockedEnvironment, LockedStep, Problems,
    Resolved, ResolvedStep, Runs, TargetName, VarName,
};
use runner_secret::Vault;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What runs of tests are called.
const RUN: &str = "test";

/// A world, and the step in it.
pub(super) struct World<'t> {
    trial: &'t Trial,
    resolved: Resolved,
    locked: LockedStep,
    target: TargetName,
    pub(super) store: Arc<Store>,
    vault: Arc<Vault>,
    pub(super) script: Arc<Script>,
    machine: Arc<Machine>,
    workspace: Arc<Workspace>,
    marks: Arc<Marks>,
    given: Arc<Given>,
    _place: tempfile::TempDir,
}

/// One attempt.
pub(super) struct Attempt {
    /// How it ended.
    pub(super) result: Result<Value, Failure>,
    /// The step itself gave the end: it was not ended by a limit, a trap or the host.
    pub(super) answered: bool,
    /// What it called.
    pub(super) calls: Vec<Made>,
    /// Which of the planned faults happened.
    pub(super) happened: Vec<bool>,
    /// Its log.
    pub(super) log: Vec<(Level, String)>,
    /// The end of what it said on stderr.
    pub(super) stderr: String,
}

fn internal(error: &dyn std::fmt::Display) -> Problems {
    Problem::with_file(Code::Module, "", format!("a world for the test cannot be made: {error}")).into()
}

impl<'t> World<'t> {
    /// Makes it. Everything that the test says of it is checked on the way.
    pub(super) async fn new(trial: &'t Trial, bench: &Bench) -> Result<Self, Problems> {
        let place = tempfile::tempdir().map_err(|error| internal(&error))?;
        let store = Arc::new(Store::open(place.path().join("store")).map_err(|error| internal(&error))?);
        let artifacts = artifacts(trial, &store)?;
        let manifest = &bench.module.manifest;
        let resolved = trial.resolve(manifest, bench.module.digest, &artifacts)?;
        let locked = LockedEnvironment::build(&resolved);
        let (Some(step), Some(locked)) = (resolved.uses().next(), locked.steps.into_iter().next()) else {
            return Err(internal(&"the test has no step"));
        };
        let target = match &step.runs {
            Runs::Once(target) => Some(target),
            Runs::EachTarget(targets) => targets.first(),
        };
        let Some(target) = target.cloned() else { return Err(internal(&"the step has no target")) };
        let vault = Arc::new(vault(trial)?);
        let script = Arc::new(Script::new(trial));
        let on = trial.acts_on(manifest);
        let parts = (Arc::clone(&store), Arc::clone(&vault), Arc::clone(&script));
        let run = RUN.parse().map_err(|error| internal(&error))?;
        let machine = Arc::new(Machine::new(on.clone(), trial, parts, run));
        let acting = match resolved.acting(step, &on) {
            Acting::Login => None,
            Acting::As(user) => Some(user),
        };
        machine.seed(trial, acting.as_ref()).await.map_err(|failure| {
            Problem::at(
                Code::BadValue,
                &trial.source,
                trial.source.first_line(),
                format!("the target cannot be as it is said: {failure}"),
            )
        })?;
        let plan = place.path().join("plan");
        std::fs::create_dir(&plan).map_err(|error| internal(&error))?;
        let workspace = Workspace::open(&plan, Arc::clone(&store)).map_err(|error| internal(&error))?;
        files(trial, &workspace)?;
        let given = Given::default();
        artifacts.values().for_each(|digest| given.made(*digest));
        artifacts.values().for_each(|digest| given.give_out(&Value::String(digest.to_string())));
        Ok(Self {
            trial,
            locked,
            target,
            store,
            vault,
            script,
            machine,
            workspace: Arc::new(workspace),
            marks: Arc::default(),
            given: Arc::new(given),
            _place: place,
            resolved,
        })
    }

    /// All that is on its machine.
    pub(super) async fn there(&self) -> Result<There, Failure> {
        self.machine.there().await
    }

    /// The files beside the plan, as a step would read them.
    pub(super) fn file(&self, path: &str) -> Option<String> {
        let path: WorkspacePath = path.parse().ok()?;
        self.workspace.snapshot().read(&path).ok()
    }

    /// What is hidden, hidden.
    pub(super) fn hide(&self, text: &str) -> String {
        self.vault.hide(text)
    }

    /// What earlier attempts changed counts no more: what comes is another run.
    pub(super) fn forget(&mut self) {
        self.marks = Arc::default();
    }

    /// Runs the step once.
    pub(super) async fn attempt(&self, bench: &Bench, attempt: u32, planned: Vec<Planned>) -> Attempt {
        let cancel = CancellationToken::new();
        let account = Arc::new(Account::new(planned, Arc::clone(&self.script), cancel.clone()));
        let (events, mut receiver) = runner_engine::events();
        let step = self.step();
        let begun = self.begin(bench, attempt, events, (Arc::clone(&account), cancel));
        let (params, context) = match begun {
            Ok(begun) => begun,
            Err(failure) => {
                return Attempt {
                    result: Err(failure),
                    answered: false,
                    calls: vec![],
                    happened: account.happened(),
                    log: vec![],
                    stderr: String::new(),
                };
            }
        };
        let info = context.info.clone();
        let export = match self.trial.asks.as_ref().map(|asks| asks.value) {
            None => Export::Run,
            Some(Asks::Observe) => Export::Observe,
            Some(Asks::Leave) => Export::Leave,
            Some(Asks::Join) => Export::Join,
        };
        let limits = crate::host::limits(step);
        let ended = bench.sandbox.invoke(&bench.prepared, (export, params), context, limits).await;
        let Ended { result, stderr, changed, answered, .. } = ended;
        let who = format!("step `{}` (module `{}`)", step.id, step.uses);
        let result = result.and_then(|text| match export {
            Export::Run => bench.schemas.outputs(&who, &text),
            _ => serde_json::from_str(&text).map_err(|error| Failure::new(FailureKind::Other, error)),
        });
        let result = result.map(|outputs| self.vault.hide_json(outputs));
        if let Ok(outputs) = &result {
            self.given.give_out(outputs);
        }
        self.marks.settle(&info, changed, result.is_ok());
        let mut log = Vec::new();
        while let Some(stamped) = receiver.next().await {
            if let Event::Log { level, message, .. } = stamped.event {
                log.push((level, message));
            }
        }
        Attempt { result, answered, calls: account.calls(), happened: account.happened(), log, stderr }
    }

    fn step(&self) -> &ResolvedStep {
        match self.resolved.uses().next() {
            Some(step) => step,
            None => unreachable!("it was there when the world was made"),
        }
    }

    fn begin(
        &self,
        bench: &Bench,
        attempt: u32,
        events: runner_engine::EventSender,
        (account, cancel): (Arc<Account>, CancellationToken),
    ) -> Result<(String, Context), Failure> {
        let step = self.step();
        let run = RUN.parse().map_err(|error| Failure::new(FailureKind::Other, error))?;
        let wanted = self.resolved.facts_of(step, &self.locked);
        let of_target = wanted.into_iter().map(|fact| (fact.clone(), self.machine.fact(&fact))).collect();
        let facts = Facts {
            run: &run,
            release: self.trial.release.as_ref(),
            artifact: None,
            outputs: &BTreeMap::new(),
            target: &of_target,
        };
        let params = self.resolved.parameters(step, &self.target, facts)?;
        bench.schemas.check_parameters(&format!("step `{}`", step.id), &params)?;
        let layers = self.resolved.layers(step, &self.target, facts, &self.locked, None)?;
        let current = step.acts_on(&self.target).clone();
        let variables = self.trial.machine.vars.iter();
        let variables = variables.map(|(name, value)| {
            (name.as_str().to_owned(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        });
        let context = Context {
            info: RunInfo {
                run: run.clone(),
                step: step.id.clone(),
                target: self.target.clone(),
                attempt,
                environment: self.resolved.environment.to_string(),
                release: self.trial.release.clone(),
                previous: self.trial.previous.clone(),
                subject: matches!(step.runs, Runs::EachTarget(_)).then(|| self.target.clone()),
                variables: variables.collect(),
                current: current.clone(),
            },
            module: step.uses.clone(),
            events,
            cancel,
            acting: self.resolved.acting(step, &current),
            machines: Arc::new(One(Arc::clone(&self.machine))),
            origin: Origin { started: Duration::from_millis(MOMENT), seed: RUN.to_owned() },
            record: account,
            marks: Arc::clone(&self.marks),
            given: Arc::clone(&self.given),
            store: Arc::clone(&self.store),
            workspace: Arc::new(self.workspace.snapshot()),
            http: Arc::new(Requests(Arc::clone(&self.script))),
            vault: Arc::clone(&self.vault),
            secrets: self.resolved.secrets_of(step),
            layers: Arc::new(layers),
            gate: None,
            diff: false,
            waits: false,
            rehearsal: None,
        };
        Ok((params.to_string(), context))
    }
}

/// The only machine.
struct One(Arc<Machine>);

#[async_trait]
impl Machines for One {
    fn has(&self, name: &TargetName) -> bool {
        name == self.0.name()
    }

    async fn acting(
        &self,
        name: &TargetName,
        user: &Acting,
    ) -> Result<Arc<dyn runner_transport::Target>, Failure> {
        if !self.has(name) {
            let message = format!("`{name}` is not the machine of the test");
            return Err(Failure::new(FailureKind::Unreachable, message));
        }
        Ok(match user {
            Acting::Login => self.0.acting(None),
            Acting::As(user) => self.0.acting(Some(user)),
        })
    }
}

/// The artifacts of the test, in the store.
fn artifacts(trial: &Trial, store: &Store) -> Result<BTreeMap<VarName, Digest>, Problems> {
    let artifact = |(name, artifact): (&VarName, &runner_model::trial::Artifact)| {
        let made = match &artifact.content {
            ArtifactContent::File(text) => store.put_bytes(text.as_bytes()).map_err(Failure::from),
            ArtifactContent::Tree(files) => machine::tree(store, files),
        };
        let digest = made.map_err(|failure| {
            Problem::at(
                Code::BadValue,
                &trial.source,
                artifact.span,
                format!("the artifact `{name}`: {failure}"),
            )
        })?;
        Ok((name.clone(), digest))
    };
    trial.artifacts.iter().map(artifact).collect()
}

fn vault(trial: &Trial) -> Result<Vault, Problems> {
    let value = |(name, given): (&runner_model::SecretName, &runner_model::trial::Given)| {
        let bytes = zeroize::Zeroizing::new(given.value.as_bytes().to_vec());
        let value = runner_secret::Value::new(bytes).map_err(|bad| {
            let message = format!("the secret `{name}` cannot be this: {bad}");
            Problem::at(Code::BadValue, &trial.source, given.value.span, message)
                .hint("write another value: it exists only in this test")
        })?;
        Ok((name.clone(), value))
    };
    let values = trial.secrets.iter().map(value).collect::<Result<_, Problems>>()?;
    Ok(Vault::new(values))
}

/// The files beside the plan, on the disk of this machine: in a folder of the test's own.
fn files(trial: &Trial, workspace: &Workspace) -> Result<(), Problems> {
    let snapshot = workspace.snapshot();
    for (path, text) in &trial.workspace {
        let wrong = |why: &dyn std::fmt::Display| {
            let message = format!("`{}` cannot be a file beside the plan: {why}", path.escape_debug());
            Problem::at(Code::BadValue, &trial.source, text.span, message)
        };
        let path: WorkspacePath = path.parse().map_err(|bad| wrong(&bad))?;
        snapshot.write(&path, &text.value).map_err(|failure| wrong(&failure))?;
    }
    Ok(())
}
