//! A plan that has been checked: every name in it leads somewhere, every parameter fits, every target is there. What
//! is known only in the run, the outputs of steps above all, is filled in by [`Resolved::parameters`].

use crate::diagnostic::Problems;
use crate::grant::{GrantSet, Layers};
use crate::inventory::{SshSettings, Target};
use crate::lock::LockedStep;
use crate::plan::{InventoryCommand, ModuleRef, OnFailure, SecretSource};
use crate::policy::EnvironmentPolicy;
use crate::quantity::{ByteSize, Period};
use crate::release::ReleaseSpec;
use crate::schedule::{Gate, Retry, Runs, Schedule, ScheduledStep};
use crate::template::{Lookup, Reference, ReleaseField, Scope, TargetField, Template, ValueTemplate};
use crate::{
    Acting, Digest, EnvironmentName, Fact, Failure, FailureKind, Manifest, Phase, Pinned, PlanName,
    ReleaseId, RemotePath, RunId, SecretName, StepId, TargetFacts, TargetName, UserName, VarName,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A plan for one environment, checked and bound.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The plan's name.
    pub plan: PlanName,
    /// What the plan says about this version of itself.
    pub summary: Option<String>,
    /// Where it releases to.
    pub environment: EnvironmentName,
    /// The variables, with what `--var` said.
    pub vars: BTreeMap<VarName, Value>,
    /// What `--var` said, for commands that do the same again.
    pub given: BTreeMap<String, String>,
    /// Where the values of secrets come from in this environment; those that no step is given, too.
    pub secrets: BTreeMap<SecretName, SecretSource>,
    /// The release; `None`: the plan has no `[release]`.
    pub release: Option<ReleaseSpec>,
    /// All targets that a step acts on or runs for, `localhost` too where one does.
    pub targets: BTreeMap<TargetName, Target>,
    /// The program that was asked for the inventory; `None`: it is a file.
    pub inventory: Option<InventoryCommand>,
    /// How ssh is run.
    pub ssh: SshSettings,
    /// The targets of the rollout, in the order of the inventory; the one that goes first comes first.
    pub rollout: Vec<TargetName>,
    /// The same in batches.
    pub batches: Vec<Vec<TargetName>>,
    /// How many targets may fail before no further batch begins.
    pub max_failures: u32,
    /// What happens when more fail.
    pub on_failure: OnFailure,
    /// How many targets are in service at least.
    pub min_in_service: usize,
    /// How long to wait between two batches.
    pub pause: Option<Period>,
    /// How long a target waits for the end of its rollout before it takes itself back.
    pub confirm_timeout: Option<Period>,
    /// All steps, by phase and in the order of the plan.
    pub steps: Vec<ResolvedStep>,
    /// Who knows which targets are in service; `None`: nobody does, and no target is taken out.
    pub cluster: Option<ResolvedStep>,
    /// What does not stop the run and should be looked at.
    pub warnings: Problems,
}

/// One step, checked and bound.
#[derive(Debug, Clone)]
pub struct ResolvedStep {
    /// Its id.
    pub id: StepId,
    /// When it runs.
    pub phase: Phase,
    /// The module as the plan writes it: `std/switch`.
    pub uses: String,
    /// The module.
    pub module: ModuleRef,
    /// Of the module's component.
    pub digest: Digest,
    /// What the module says of itself.
    pub manifest: Manifest,
    /// What its registry has under which name; `None`: it is from no registry.
    pub pinned: Option<Pinned>,
    /// The targets that it runs for.
    pub runs: Runs,
    /// The target that it acts on for each of them, where that is another one: the load balancer. Of the cluster, which
    /// is asked at each of its load balancers, there may be several.
    pub on: Vec<TargetName>,
    /// Its parameters. `${var.…}`, `${plan.name}`, `${environment}` and what is known of the release are filled in,
    /// except `${release.root}`, which targets may override.
    pub with: ValueTemplate,
    /// What the module declares, bound to the parameters: once for each distinct release root of the targets that the
    /// step acts on. What is known only in the run is symbolic.
    pub grants: Vec<RootGrants>,
    /// What the step narrows that to; `None`: it does not.
    pub allow: Option<GrantSet>,
    /// The secrets that it is given: what the module calls each, and what the plan calls it.
    pub secrets: BTreeMap<SecretName, SecretName>,
    /// The user that it acts as; `None`: up to the inventory.
    pub acts_as: Option<UserName>,
    /// How it is tried again.
    pub retry: Option<Retry>,
    /// Once it has begun, nothing is rolled back by itself.
    pub no_return: bool,
    /// It also tests a target that was taken back.
    pub after_undo: bool,
    /// What it may use; its `timeout` is in `time`.
    pub limits: Limits,
}

/// The grants of a step where this is the release root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootGrants {
    /// The release root; `None`: the plan has no `[release]`.
    pub root: Option<RemotePath>,
    /// The grants.
    pub grants: GrantSet,
}

/// What one invocation may use of the runner's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory.
    pub memory: ByteSize,
    /// Instructions, roughly.
    pub fuel: u64,
    /// Wall time of one attempt.
    pub time: Period,
    /// Log lines.
    pub log: ByteSize,
    /// Elements of tables.
    pub table_elements: u32,
    /// Core instances inside the component.
    pub instances: u32,
}

/// Far above what the standard modules need, and far below what hurts.
impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: ByteSize::from_bytes(256 << 20),
            fuel: 20_000_000_000,
            time: Period::from_millis(30 * 60 * 1000),
            log: ByteSize::from_bytes(1 << 20),
            table_elements: 1_000_000,
            instances: 64,
        }
    }
}

/// What is known only while the plan runs.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The run.
    pub run: &'a RunId,
    /// The release that this run makes, once its artifact exists.
    pub release: Option<&'a ReleaseId>,
    /// Its artifact.
    pub artifact: Option<&'a Digest>,
    /// What earlier steps gave out: those that ran once, and those of this target.
    pub outputs: &'a BTreeMap<StepId, Value>,
    /// What the target that the step runs for says of itself: at least what [`Resolved::facts_of`] names.
    pub target: &'a TargetFacts,
}

impl Resolved {
    /// What the engine is told.
    pub fn schedule(&self) -> Schedule {
        let scheduled = |step: &ResolvedStep| ScheduledStep {
            id: step.id.clone(),
            phase: step.phase,
            runs: step.runs.clone(),
            retry: step.retry,
            timeout_ms: Some(step.limits.time.as_millis()),
            no_return: step.no_return,
        };
        Schedule {
            targets: self.rollout.clone(),
            batches: self.batches.clone(),
            steps: self.steps.iter().map(scheduled).collect(),
            max_failures: self.max_failures,
            release: self.release.as_ref().is_some_and(|release| release.artifact.is_some()),
            cluster: self.cluster.as_ref().map(|cluster| Gate {
                fleet: cluster.runs.targets().to_vec(),
                in_service: self.min_in_service,
            }),
            pause_ms: self.pause.map_or(0, |pause| pause.as_millis()),
            on_failure: self.on_failure,
            watched: self.confirm_timeout.is_some() && self.release.is_some(),
        }
    }

    /// The secrets that a step is given, by what its module calls them: the name in the plan, and where it comes from.
    pub fn secrets_of(&self, step: &ResolvedStep) -> BTreeMap<SecretName, (SecretName, String)> {
        let given = step.secrets.iter().filter_map(|(local, name)| {
            let source = self.secrets.get(name)?.to_string();
            Some((local.clone(), (name.clone(), source)))
        });
        given.collect()
    }

    /// Every use of a module: the steps, and the cluster.
    pub fn uses(&self) -> impl Iterator<Item = &ResolvedStep> {
        self.steps.iter().chain(&self.cluster)
    }

    /// The machines that a run acts on and locks. This machine, where steps run once, is none unless it is released to.
    pub fn machines(&self) -> BTreeSet<&TargetName> {
        let acted_on = self.uses().flat_map(|step| step.all_acted_on()).chain(&self.rollout);
        acted_on.filter(|name| self.is_machine(name)).collect()
    }

    /// Whether it is one of them.
    pub fn is_machine(&self, name: &TargetName) -> bool {
        self.target(name).is_some() && (!name.is_localhost() || self.rollout.contains(name))
    }

    /// The step of this id, or the cluster.
    pub fn step(&self, id: &StepId) -> Option<&ResolvedStep> {
        self.uses().find(|step| step.id == *id)
    }

    /// The secrets that steps are given, with the source of each and the steps.
    pub fn given_secrets(&self) -> BTreeMap<&SecretName, (&SecretSource, Vec<&StepId>)> {
        let mut given: BTreeMap<&SecretName, (&SecretSource, Vec<&StepId>)> = BTreeMap::new();
        for step in self.uses() {
            for name in step.secrets.values() {
                if let Some(source) = self.secrets.get(name) {
                    let steps = &mut given.entry(name).or_insert((source, Vec::new())).1;
                    if steps.last() != Some(&&step.id) {
                        steps.push(&step.id);
                    }
                }
            }
        }
        given
    }

    /// The target of this name.
    pub fn target(&self, name: &TargetName) -> Option<&Target> {
        self.targets.get(name)
    }

    /// The user that a step acts as on a target: what the step says, else what the inventory says.
    pub fn acting(&self, step: &ResolvedStep, on: &TargetName) -> Acting {
        let inventory = || self.targets.get(on).and_then(|target| target.acts_as.as_ref());
        step.acts_as.as_ref().or_else(inventory).map_or(Acting::Login, |user| Acting::As(user.clone()))
    }

    /// The users that steps may act as on a target, beside whoever logs in.
    pub fn users(&self, on: &TargetName) -> BTreeSet<UserName> {
        let inventory = self.targets.get(on).and_then(|target| target.acts_as.as_ref());
        self.uses().filter_map(|step| step.acts_as.as_ref()).chain(inventory).cloned().collect()
    }

    /// The release root on a target: its own, else the plan's.
    pub fn root(&self, target: &TargetName) -> Option<&RemotePath> {
        let release = self.release.as_ref()?;
        Some(self.targets.get(target).and_then(|target| target.root.as_ref()).unwrap_or(&release.root))
    }

    /// The artifact of this run, once the step that makes it has given it out.
    ///
    /// # Errors
    /// The step gave out something that is no digest.
    pub fn artifact(&self, outputs: &BTreeMap<StepId, Value>) -> Result<Option<Digest>, Failure> {
        let Some(artifact) = self.release.as_ref().and_then(|release| release.artifact.as_ref()) else {
            return Ok(None);
        };
        let Some(outputs) = outputs.get(&artifact.step) else { return Ok(None) };
        let refuse = |what: String| {
            Failure::new(FailureKind::Invalid, format!("`${{{}}}` {what}", artifact.reference()))
        };
        match outputs.get(&artifact.output) {
            Some(Value::String(text)) => {
                text.parse().map(Some).map_err(|error| refuse(format!("is no artifact: {error}")))
            }
            _ => Err(refuse("is no artifact: it must be the digest of one, as text".to_owned())),
        }
    }

    /// The parameters of one invocation: JSON with nothing left to fill in. `target` is the one that the step runs for.
    ///
    /// # Errors
    /// A value that an earlier step was to give out is not there.
    pub fn parameters(
        &self,
        step: &ResolvedStep,
        target: &TargetName,
        facts: Facts<'_>,
    ) -> Result<Value, Failure> {
        let scope = self.scope(step, Some(target), Some(facts));
        let filled_in = step.with.resolve(&scope).map_err(|error| {
            let place =
                if error.pointer.is_empty() { String::new() } else { format!(" at `{}`", error.pointer) };
            Failure::new(
                FailureKind::Invalid,
                format!("the parameters of `{}` cannot be filled in{place}: {error}", step.id),
            )
        })?;
        Ok(step.manifest.read_by_step(filled_in))
    }

    /// The facts that a step refers to, in its parameters and its grants: those of the target that it runs for.
    pub fn facts_of(&self, step: &ResolvedStep, locked: &LockedStep) -> BTreeSet<Fact> {
        let grants =
            step.grants.iter().map(|of_root| &of_root.grants).chain(&step.allow).chain([&locked.grants]);
        let texts = grants.flat_map(GrantSet::texts);
        let in_grants = texts.filter_map(|(_, text)| Template::parse(&text).ok());
        let in_grants = in_grants.flat_map(|template| template.references().cloned().collect::<Vec<_>>());
        let all = step.with.references().into_iter().cloned().chain(in_grants);
        all.filter_map(|reference| match reference {
            Reference::TargetFact(fact) => Some(fact),
            _ => None,
        })
        .collect()
    }

    /// What a step may do for a target: the module's grants, the step's `allow`, the lock, the policy and the ceilings of
    /// vettings, with all of the run filled in. The files of the workspace that no step may write are for the caller to add.
    ///
    /// # Errors
    /// A value of the run makes no grant: it is more than one segment, argument or part of a URL.
    pub fn layers(
        &self,
        step: &ResolvedStep,
        target: &TargetName,
        facts: Facts<'_>,
        locked: &LockedStep,
        policy: Option<EnvironmentPolicy>,
    ) -> Result<Layers, Failure> {
        let scope = self.scope(step, Some(target), Some(facts));
        let fill = |grants: &GrantSet| {
            grants.resolve(&scope).map_err(|error| {
                let failure =
                    Failure::new(FailureKind::Denied, format!("the grants of `{}`: {error}", step.id));
                failure.with_detail(error.hint.unwrap_or_default())
            })
        };
        let root = self.root(step.acts_on(target));
        let own = step.grants.iter().find(|grants| grants.root.as_ref() == root).map(|grants| &grants.grants);
        let reserved = root.map(|root| root.join(".runner")).transpose();
        let ceilings =
            policy.as_ref().map(|policy| policy.ceilings_of(&step.module).to_vec()).unwrap_or_default();
        Ok(Layers {
            manifest: own.map(fill).transpose()?.unwrap_or_default(),
            allow: step.allow.as_ref().map(fill).transpose()?,
            lock: fill(&locked.grants)?,
            policy,
            ceilings,
            reserved: reserved
                .map_err(|error| Failure::new(FailureKind::Invalid, error))?
                .into_iter()
                .collect(),
            reserved_files: Vec::new(),
        })
    }

    /// Where the references of a step find their values: all of them with a target and facts, fewer without.
    pub fn scope<'a>(
        &'a self,
        step: &'a ResolvedStep,
        target: Option<&'a TargetName>,
        facts: Option<Facts<'a>>,
    ) -> StepScope<'a> {
        let root = target.and_then(|target| self.root(step.acts_on(target)));
        StepScope { resolved: self, root, target: target.and_then(|name| self.targets.get(name)), facts }
    }
}

impl ResolvedStep {
    /// The target that it acts on when it runs for `target`; of several, the first one.
    pub fn acts_on<'a>(&'a self, target: &'a TargetName) -> &'a TargetName {
        self.on.first().unwrap_or(target)
    }

    /// The same step where it acts on one of several targets.
    #[must_use]
    pub fn at(&self, on: Option<&TargetName>) -> Self {
        Self { on: on.cloned().into_iter().collect(), ..self.clone() }
    }

    /// Every target that it acts on, in the order of the inventory.
    pub fn all_acted_on(&self) -> &[TargetName] {
        if self.on.is_empty() { self.runs.targets() } else { &self.on }
    }
}

/// Where the references of a step find their values.
#[derive(Debug, Clone, Copy)]
pub struct StepScope<'a> {
    pub(crate) resolved: &'a Resolved,
    /// The release root where the step acts; `None`: not decided yet.
    pub(crate) root: Option<&'a RemotePath>,
    /// The target that the step runs for; `None`: any.
    pub(crate) target: Option<&'a Target>,
    /// `None`: the run has not begun.
    pub(crate) facts: Option<Facts<'a>>,
}

impl Scope for StepScope<'_> {
    fn lookup(&self, reference: &Reference) -> Lookup {
        const UNKNOWN: Lookup = Lookup::Unknown { suggestion: None };
        // `None` is what cannot be known yet.
        let later = |value: Option<Value>| value.map_or(Lookup::Symbolic, Lookup::Value);
        match reference {
            Reference::Var(name) => {
                let value = self.resolved.vars.iter().find(|(var, _)| var.as_str() == name);
                value.map_or(UNKNOWN, |(_, value)| Lookup::Value(value.clone()))
            }
            Reference::PlanName => Lookup::Value(self.resolved.plan.as_str().into()),
            Reference::Environment => Lookup::Value(self.resolved.environment.as_str().into()),
            Reference::RunId => later(self.facts.map(|facts| facts.run.as_str().into())),
            Reference::Release(field) => {
                let Some(release) = &self.resolved.release else { return UNKNOWN };
                match field {
                    ReleaseField::Root => later(self.root.map(|root| root.as_str().into())),
                    ReleaseField::Shared => Lookup::Value(release.shared.clone().into()),
                    ReleaseField::Keep => Lookup::Value(release.keep.into()),
                    ReleaseField::Id => {
                        later(self.facts.and_then(|f| f.release).map(|id| id.as_str().into()))
                    }
                    ReleaseField::Artifact => {
                        later(self.facts.and_then(|f| f.artifact).map(|digest| digest.to_string().into()))
                    }
                }
            }
            Reference::Target(field) => {
                let Some(target) = self.target else { return Lookup::Symbolic };
                match field {
                    TargetField::Name => Lookup::Value(target.name.as_str().into()),
                    TargetField::Address => Lookup::Value(target.http_address.as_str().into()),
                    TargetField::Host => Lookup::Value(target.address.as_str().into()),
                    TargetField::Port => Lookup::Value(target.port.unwrap_or(SSH_PORT).into()),
                    TargetField::User => {
                        target.user.as_ref().map_or(UNKNOWN, |user| Lookup::Value(user.as_str().into()))
                    }
                }
            }
            Reference::TargetVar(name) => {
                let Some(target) = self.target else { return Lookup::Symbolic };
                let value = target.vars.iter().find(|(var, _)| var.as_str() == name);
                value.map_or(UNKNOWN, |(_, value)| Lookup::Value(value.clone()))
            }
            Reference::TargetFact(fact) => {
                later(self.facts.and_then(|facts| facts.target.get(fact)).cloned())
            }
            Reference::Output { step, output } => {
                let Some(facts) = self.facts else { return Lookup::Symbolic };
                later(facts.outputs.get(step).and_then(|outputs| outputs.get(output)).cloned())
            }
        }
    }
}

/// What ssh takes where nothing else is said.
const SSH_PORT: u16 = 22;
