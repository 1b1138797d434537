//! A test as a plan with one step in it: the rules of plans then hold for it as they are.

use super::{Artifact, Given, Machine, Trial};
use crate::check::{LoadedModule, Modules, check};
use crate::diagnostic::{Code, Problem, Problems};
use crate::inventory::{Host, SshSettings};
use crate::manifest::World;
use crate::plan::{
    Environment, Gaps, GivenSecret, InventorySource, LimitsTable, ModuleSource, Plan, SecretEntry,
    SecretSource, Step, Strategy, Variable,
};
use crate::source::{Span, Spanned};
use crate::template::SCOPES;
use crate::{
    Digest, EnvironmentName, Inventory, Manifest, ModuleName, ModuleRef, Occurs, PlanName, Resolved,
    RoleName, StepId, Target, TargetName, UserName, VarName,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// What the environment of a test is called.
const ENVIRONMENT: &str = "test";
/// What stands in for names that the module's own cannot be.
const STEP: &str = "step";
/// The targets that a test is about have this role.
const ROLE: &str = "tested";

/// A name of this file.
fn known<T: FromStr<Err = crate::BadName>>(text: &str) -> T {
    match text.parse() {
        Ok(name) => name,
        Err(bad) => unreachable!("{bad}"),
    }
}

/// The target of a test that does not say.
pub(super) fn web() -> TargetName {
    known("web-1")
}

/// Who logs in where a test does not say.
pub(super) fn login() -> UserName {
    known("deploy")
}

impl Trial {
    /// Whether the test is one for such a module, and what it is called for.
    fn fits(&self, manifest: &Manifest) -> Result<(), Problems> {
        let start = self.source.first_line();
        match (manifest.world, &self.asks) {
            (World::Step, None) | (World::Cluster, Some(_)) => Ok(()),
            (World::Step, Some(asks)) => {
                let message = format!("`asks` makes no sense: `{}` is a step", manifest.name);
                Err(Problem::at(Code::Module, &self.source, asks.span, message)
                    .hint("remove it: a step is only ever run")
                    .into())
            }
            (World::Cluster, None) => {
                let message = format!(
                    "`{}` is a module for `[cluster]`, and the test does not say `asks`",
                    manifest.name
                );
                Err(Problem::at(Code::Module, &self.source, start, message)
                    .hint("add `asks = \"observe\"`, or `\"leave\"` or `\"join\"`")
                    .into())
            }
        }
    }

    /// The machine's name: that of the test; else this machine for a module that runs once, and `web-1` for one that
    /// runs on each target.
    pub fn acts_on(&self, manifest: &Manifest) -> TargetName {
        match (&self.machine.name, manifest.world, manifest.runs) {
            (Some(name), ..) => name.value.clone(),
            (None, World::Cluster, _) => known("lb"),
            (None, _, Occurs::Once) => TargetName::localhost(),
            (None, _, Occurs::EachTarget) => web(),
        }
    }

    /// The plan that the test is, checked for this module. `artifacts`: the digests of those of the test.
    ///
    /// # Errors
    /// What does not fit the module: parameters, grants, references. Places are in the test's file.
    pub fn resolve(
        &self,
        manifest: &Manifest,
        digest: Digest,
        artifacts: &BTreeMap<VarName, Digest>,
    ) -> Result<Resolved, Problems> {
        self.fits(manifest)?;
        let name = ModuleName::from_str(&manifest.name).unwrap_or_else(|_| known(STEP));
        let reference = ModuleRef::Path(format!("{}.wasm", manifest.name));
        let loaded = LoadedModule { digest, manifest: manifest.clone(), pinned: None };
        let modules = Modules {
            loaded: &BTreeMap::from([(reference.clone(), loaded)]),
            failed: &BTreeMap::new(),
            builtin: &[],
        };
        let on = self.acts_on(manifest);
        let plan = self.plan(manifest, &name, &reference, &on, artifacts);
        let inventory = self.inventory(manifest, &on);
        check(&plan, &known(ENVIRONMENT), &inventory, modules, &BTreeMap::new())
    }

    fn plan(
        &self,
        manifest: &Manifest,
        name: &ModuleName,
        reference: &ModuleRef,
        on: &TargetName,
        artifacts: &BTreeMap<VarName, Digest>,
    ) -> Plan {
        let nowhere = Span::default();
        let path = match reference {
            ModuleRef::Path(path) => path.clone(),
            other => other.to_string(),
        };
        let variable = |(name, Artifact { name: at, span, .. }): (&VarName, &Artifact)| {
            let value = Value::String(artifacts.get(name)?.to_string());
            Some((name.clone(), Variable { value, name: *at, span: *span }))
        };
        let secret = |(name, given): (&crate::SecretName, &Given)| {
            let variable = name.as_str().to_ascii_uppercase().replace(['-', '.'], "_");
            (name.clone(), SecretEntry { source: SecretSource::Env { name: variable }, name: given.name })
        };
        let (cluster, prepare, rollout) = match (manifest.world, manifest.runs) {
            (World::Cluster, _) => (Some(self.step(StepId::cluster(), name, Some(on))), vec![], vec![]),
            (World::Step, Occurs::Once) => {
                let there = (!on.is_localhost()).then_some(on);
                (None, vec![self.step(id(name), name, there)], vec![])
            }
            (World::Step, Occurs::EachTarget) => (None, vec![], vec![self.step(id(name), name, None)]),
        };
        Plan {
            source: self.source.clone(),
            plan: 1,
            name: Spanned::new(known::<PlanName>(ENVIRONMENT), nowhere),
            summary: None,
            vars: self.artifacts.iter().filter_map(variable).collect(),
            secrets: self.secrets.iter().map(secret).collect(),
            modules: BTreeMap::from([(name.clone(), Spanned::new(ModuleSource::Path(path), nowhere))]),
            environment: BTreeMap::from([(
                known::<EnvironmentName>(ENVIRONMENT),
                Environment {
                    inventory: InventorySource::File(Spanned::new("inventory.toml".to_owned(), nowhere)),
                    secrets: BTreeMap::new(),
                    span: nowhere,
                },
            )]),
            release: None,
            cluster,
            strategy: Some(Spanned::new(
                Strategy {
                    role: Spanned::new(known::<RoleName>(ROLE), nowhere),
                    first: None,
                    batches: None,
                    pause: None,
                    min_in_service: None,
                    confirm_timeout: None,
                    max_failures: None,
                    on_failure: None,
                },
                nowhere,
            )),
            limits: LimitsTable::default(),
            prepare,
            stage: vec![],
            rollout,
            finish: vec![],
            always: vec![],
            gaps: Gaps::default(),
        }
    }

    fn step(&self, id: StepId, name: &ModuleName, on: Option<&TargetName>) -> Step {
        let first = self.source.first_line();
        let given = |(name, given): (&crate::SecretName, &Given)| {
            let name = Spanned::new(name.clone(), given.name);
            GivenSecret { local: name.clone(), secret: name }
        };
        Step {
            id: Spanned::new(id, first),
            uses: Spanned::new(name.as_str().to_owned(), first),
            with: self.with.clone(),
            on: on.map(|on| Spanned::new(on.as_str().to_owned(), first)),
            once: None,
            timeout: None,
            retry: None,
            acts_as: self.acts_as.clone(),
            secrets: self.secrets.iter().map(given).collect(),
            allow: self.allow.clone(),
            no_return: None,
            after_undo: None,
            limits: self.limits,
            span: first,
        }
    }

    fn inventory(&self, manifest: &Manifest, on: &TargetName) -> Inventory {
        let is_cluster = manifest.world == World::Cluster;
        let machine = target(on, &self.machine, !is_cluster);
        let mut targets = vec![machine];
        if is_cluster && self.subject != *on {
            targets.push(Target { roles: vec![known(ROLE)], ..bare(&self.subject, &self.machine.user) });
        } else if is_cluster {
            targets = vec![target(on, &self.machine, true)];
        } else if manifest.runs == Occurs::Once && !on.is_localhost() {
            // Whoever is released to is somebody else, and never touched.
            targets[0].roles.clear();
        }
        if !targets.iter().any(|target| target.has_role(ROLE)) {
            targets.push(Target { roles: vec![known(ROLE)], ..bare(&other_than(on), &self.machine.user) });
        }
        Inventory {
            source: self.source.clone(),
            targets,
            ssh: SshSettings::default(),
            has_gaps: false,
            left_out: BTreeSet::new(),
        }
    }
}

/// The step is called as its module, where a step can be.
fn id(name: &ModuleName) -> StepId {
    let is_free = !SCOPES.contains(&name.as_str()) && name.as_str() != StepId::cluster().as_str();
    let own = name.as_str().parse().ok().filter(|_| is_free);
    own.unwrap_or_else(|| known(STEP))
}

/// A target beside this one.
fn other_than(on: &TargetName) -> TargetName {
    if *on == web() { known("web-2") } else { web() }
}

fn bare(name: &TargetName, user: &UserName) -> Target {
    let address = name.as_str().parse().unwrap_or_else(|_| Host::localhost());
    Target {
        name: name.clone(),
        address: address.clone(),
        http_address: address,
        user: Some(user.clone()),
        connection: crate::inventory::ConnectionKind::Ssh,
        ..Target::localhost()
    }
}

fn target(name: &TargetName, machine: &Machine, is_tested: bool) -> Target {
    let roles = if is_tested { vec![known(ROLE)] } else { vec![] };
    Target { roles, vars: machine.vars.clone(), root: machine.root.clone(), ..bare(name, &machine.user) }
}
