//! From what is written to what is meant: every name leads somewhere, every parameter fits, every target is there.
//!
//! Nothing here stops at the first problem. A part that is wrong is reported and left out, and what depends on it is
//! not blamed a second time.

mod cluster;
mod grants;
mod parameters;
mod place;
mod reference;
mod release;
mod rollback;
mod secrets;
mod strategy;
mod vars;

use crate::diagnostic::{Code, Problem, Problems};
use crate::plan::{Environment, ModuleRef, OnFailure, Plan, Step};
use crate::resolved::{Limits, Resolved, ResolvedStep};
use crate::schedule::{Retry, Runs};
use crate::source::Spanned;
use crate::suggest::closest;
use crate::{Digest, EnvironmentName, Inventory, Manifest, Phase, StepId, Target, TargetName};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

/// A module that can be used.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedModule {
    /// Of the component.
    pub digest: Digest,
    /// What it says of itself.
    pub manifest: Manifest,
    /// What its registry had under which name; `None`: it is from no registry.
    pub pinned: Option<Pinned>,
}

/// One module of a registry, for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// Its tag when it was chosen; empty where a plan names the digest.
    pub tag: String,
    /// The digest of the registry's manifest.
    pub manifest: Digest,
}

impl fmt::Display for Pinned {
    /// Its tag; where it has none, its digest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tag.as_str() {
            "" => self.manifest.fmt(f),
            tag => f.write_str(tag),
        }
    }
}

/// What is known of the modules that a plan uses.
#[derive(Debug, Clone, Copy)]
pub struct Modules<'a> {
    /// The modules that can be used: at least those of [`Plan::module_refs`] that are there.
    pub loaded: &'a BTreeMap<ModuleRef, LoadedModule>,
    /// The modules that could not be loaded, and why, as a fragment that fits after "the module cannot be used: ".
    pub failed: &'a BTreeMap<ModuleRef, String>,
    /// The names of the standard modules, for suggestions.
    pub builtin: &'a [&'a str],
}

impl Plan {
    /// The environment of this name.
    ///
    /// # Errors
    /// The plan has none of this name.
    pub fn environment(&self, name: &str) -> Result<(&EnvironmentName, &Environment), Problems> {
        self.environment.iter().find(|(known, _)| known.as_str() == name).ok_or_else(|| {
            let names: Vec<&str> = self.environment.keys().map(EnvironmentName::as_str).collect();
            let hint = match closest(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the plan has {}", list(names)),
            };
            let message = format!("the plan has no environment `{}`", name.escape_debug());
            Problem::with_file(Code::UnknownName, self.source.name(), message).hint(hint).into()
        })
    }

    /// What is wrong with the name of an environment; `None`: it is there, or was reported when it was read.
    pub fn misnamed(&self, name: &str) -> Option<Problems> {
        self.environment(name).err().filter(|_| !self.gaps.environments.has(name))
    }
}

/// Checks a plan for one environment. `given`: what `--var NAME=VALUE` says.
///
/// # Errors
/// Everything that is wrong, in the plan, the inventory and the variables that were given.
pub fn check(
    plan: &Plan,
    environment: &EnvironmentName,
    inventory: &Inventory,
    modules: Modules<'_>,
    given: &BTreeMap<String, String>,
) -> Result<Resolved, Problems> {
    let problems: RefCell<Problems> = RefCell::default();
    let vars = vars::bind(plan, given, &problems);
    problems.borrow_mut().extend(plan.misnamed(environment.as_str()).unwrap_or_default());
    let mut check = Check {
        plan,
        inventory,
        modules,
        problems,
        placed: BTreeMap::new(),
        guesses: inventory.has_gaps,
        resolved: Resolved {
            plan: plan.name.value.clone(),
            summary: plan.summary.as_ref().map(|summary| summary.value.clone()),
            environment: environment.clone(),
            vars,
            given: given.clone(),
            secrets: secrets::sources(plan, environment),
            release: None,
            targets: BTreeMap::new(),
            inventory: plan
                .environment(environment.as_str())
                .ok()
                .and_then(|(_, entry)| Some(entry.inventory.command()?.command.clone())),
            ssh: inventory.ssh.clone(),
            rollout: Vec::new(),
            batches: Vec::new(),
            max_failures: 0,
            on_failure: OnFailure::Stop,
            min_in_service: 0,
            pause: None,
            confirm_timeout: None,
            steps: Vec::new(),
            cluster: None,
            warnings: Problems::new(),
        },
    };
    check.resolved.release = check.release();
    check.strategy();
    check.place_steps();
    check.targets();
    let steps: Vec<_> = plan.steps().map(|(phase, step)| check.step(phase, step)).collect();
    check.resolved.steps = steps.into_iter().flatten().collect();
    check.no_return();
    check.after_undo();
    check.resolved.cluster = plan.cluster.as_ref().and_then(|cluster| check.step(Phase::Rollout, cluster));
    check.confirm_timeout();
    if plan.gaps.is_empty() {
        vars::report_unused(plan, &check.problems);
        secrets::report_unused(plan, environment, &check.problems);
    }
    check.problems.into_inner().or(Some(check.resolved)).map(|(mut resolved, warnings)| {
        resolved.warnings = warnings;
        resolved
    })
}

/// A check under way.
struct Check<'a> {
    plan: &'a Plan,
    inventory: &'a Inventory,
    modules: Modules<'a>,
    problems: RefCell<Problems>,
    /// Where the steps run, as far as that is clear.
    placed: BTreeMap<StepId, Placed>,
    /// It is not known for sure which targets there are, or which ones are released to. That has been reported.
    guesses: bool,
    /// What is known so far; scopes look things up here.
    resolved: Resolved,
}

/// Where a step runs.
struct Placed {
    phase: Phase,
    module: ModuleRef,
    runs: Runs,
    /// The targets that it acts on in place of those that it runs for.
    on: Vec<TargetName>,
}

impl Placed {
    /// Where it acts when it runs for `target`.
    fn acts_on<'a>(&'a self, target: &'a TargetName) -> impl Iterator<Item = &'a TargetName> {
        let own = self.on.is_empty().then_some(target);
        own.into_iter().chain(&self.on)
    }
}

impl<'a> Check<'a> {
    fn push(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// A problem in the plan.
    fn problem(&self, code: Code, span: crate::source::Span, message: impl Into<String>) -> Problem {
        Problem::at(code, &self.plan.source, span, message)
    }

    fn manifest(&self, module: &ModuleRef) -> Option<&'a Manifest> {
        self.modules.loaded.get(module).map(|loaded| &loaded.manifest)
    }

    /// Whether `--limit` leaves the target out.
    fn is_left_out(&self, name: &TargetName) -> bool {
        self.inventory.left_out.contains(name)
    }

    /// Collects the targets that steps run for or act on.
    fn targets(&mut self) {
        let names = self.placed.values().flat_map(|placed| placed.runs.targets().iter().chain(&placed.on));
        let names: Vec<_> = names.chain(&self.resolved.rollout).cloned().collect();
        for name in names {
            let target = match self.inventory.target(name.as_str()) {
                Some(target) => target.clone(),
                None => Target::localhost(),
            };
            self.resolved.targets.insert(name, target);
        }
    }

    fn step(&self, phase: Phase, step: &Step) -> Option<ResolvedStep> {
        let references = self.references(step);
        let allow = self.allow(step);
        let secrets = self.given_secrets(step);
        let placed = self.placed.get(&step.id.value)?;
        let LoadedModule { digest, manifest, pinned } = self.modules.loaded.get(&placed.module)?;
        if !self.fits_its_place(step, manifest.world) {
            return None;
        }
        let whole = references && !self.plan.gaps.parameters.contains(&step.id.value);
        let with = if whole { self.parameters(step, placed, manifest) } else { None };
        let grants = match (&with, &secrets) {
            (Some(_), Some(secrets)) => self.grants(step, placed, manifest, secrets),
            _ => None,
        };
        Some(ResolvedStep {
            id: step.id.value.clone(),
            phase,
            uses: step.uses.value.clone(),
            module: placed.module.clone(),
            digest: *digest,
            manifest: manifest.clone(),
            pinned: pinned.clone(),
            runs: placed.runs.clone(),
            on: placed.on.clone(),
            with: with?,
            grants: grants?,
            secrets: secrets?,
            allow: allow?,
            acts_as: step.acts_as.as_ref().map(|user| user.value.clone()),
            retry: step.retry.as_ref().map(|retry| Retry {
                times: retry.times.value,
                delay_ms: retry.delay.as_ref().map_or(DEFAULT_DELAY_MS, |delay| delay.as_millis()),
            }),
            no_return: step.no_return.as_ref().is_some_and(|flag| flag.value),
            after_undo: step.after_undo.as_ref().is_some_and(|flag| flag.value),
            limits: self.limits(step),
        })
    }

    /// The step's own limits, else the plan's, else the default ones.
    fn limits(&self, step: &Step) -> Limits {
        fn one<T: Copy>(own: &Option<Spanned<T>>, plan: &Option<Spanned<T>>, default: T) -> T {
            own.as_ref().or(plan.as_ref()).map_or(default, |value| value.value)
        }
        let (own, plan, default) = (&step.limits, &self.plan.limits, Limits::default());
        Limits {
            memory: one(&own.memory, &plan.memory, default.memory),
            fuel: one(&own.fuel, &plan.fuel, default.fuel),
            time: one(&step.timeout.or(own.time), &plan.time, default.time),
            log: one(&own.log, &plan.log, default.log),
            table_elements: one(&own.table_elements, &plan.table_elements, default.table_elements),
            instances: one(&own.instances, &plan.instances, default.instances),
        }
    }
}

/// Between two attempts, where the plan does not say.
const DEFAULT_DELAY_MS: u64 = 1000;

/// Names for a message: `a`, `b` and `c`.
fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => "none".to_owned(),
    }
}
