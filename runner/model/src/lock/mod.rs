//! `plan.lock`: what each step of a plan may do in each environment, as a review accepted it. Without a lock that
//! matches the plan nothing runs.
//!
//! The file is made to be read in a review: TOML, in the order of the plan, the same text for the same plan on every
//! machine. For each environment it holds
//!
//! - each step with its module and its grants, bound to the plan's values. `${target.…}` and the outputs of steps stay
//!   symbolic: each fills one segment or one argument at run time. `become` is there as `as:USER`, and secrets with
//!   where they come from.
//! - the program that is asked for the inventory, where one is: not what it answers;
//! - the service commands of the inventory;
//! - the modules that are used: the digest of the component, its manifest, and of one from a registry the tag and the
//!   digest of what the registry has.

mod compare;
mod read;
mod write;

pub use compare::{Difference, Stale};

use crate::diagnostic::Problems;
use crate::grant::{GrantSet, SshGrant};
use crate::inventory::ServiceCommand;
use crate::plan::{InventoryCommand, ModuleRef};
use crate::resolved::{Resolved, ResolvedStep};
use crate::{Acting, Digest, EnvironmentName, LoadedModule, StepId, UserName};
use std::collections::{BTreeMap, BTreeSet};

/// The version of the format that is written, and the newest that is read.
const VERSION: i64 = 1;

/// A lock file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lock {
    environments: BTreeMap<EnvironmentName, LockedEnvironment>,
}

/// What was accepted for one environment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LockedEnvironment {
    /// The program that is asked for the inventory; `None`: it is a file.
    pub inventory: Option<InventoryCommand>,
    /// The steps, in the order of the plan, and last the cluster.
    pub steps: Vec<LockedStep>,
    /// The service commands of the targets that steps act on, each once.
    pub service_commands: BTreeSet<ServiceCommand>,
    /// The modules.
    pub modules: BTreeMap<ModuleRef, LoadedModule>,
}

/// What was accepted for one step.
#[derive(Debug, Clone, PartialEq)]
pub struct LockedStep {
    /// Its id.
    pub id: StepId,
    /// Its module.
    pub uses: ModuleRef,
    /// Its grants; for every release root that its targets have.
    pub grants: GrantSet,
    /// The users that it acts as, beside whoever logs in.
    users: BTreeSet<UserName>,
}

impl Lock {
    /// Reads a lock. `name`: the file as problems name it.
    ///
    /// # Errors
    /// Everything that is wrong with it. What is wrong with a lock is mended by writing it anew.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Problems> {
        read::lock(name, bytes)
    }

    /// What was accepted for an environment.
    pub fn environment(&self, environment: &EnvironmentName) -> Option<&LockedEnvironment> {
        self.environments.get(environment)
    }

    /// Everything that was accepted, in the order of the environments' names.
    pub fn environments(&self) -> impl Iterator<Item = (&EnvironmentName, &LockedEnvironment)> {
        self.environments.iter()
    }

    /// Accepts this for an environment.
    pub fn set(&mut self, environment: EnvironmentName, locked: LockedEnvironment) {
        self.environments.insert(environment, locked);
    }

    /// Forgets the environments that `keep` does not name: the plan has them no more.
    pub fn retain(&mut self, keep: impl Fn(&EnvironmentName) -> bool) {
        self.environments.retain(|environment, _| keep(environment));
    }

    /// The file's text, the same for the same content.
    pub fn to_toml(&self) -> String {
        write::lock(self)
    }

    /// What was accepted for the environment of a plan, when the plan is still that. `file`: the lock's name.
    ///
    /// # Errors
    /// Every difference, and the command that accepts it. `None` for a lock is a lock that nobody has written.
    pub fn verify<'a>(
        lock: Option<&'a Self>,
        resolved: &Resolved,
        file: &str,
    ) -> Result<&'a LockedEnvironment, Stale> {
        compare::verify(lock, resolved, file)
    }

    /// Whether the program that is asked for the inventory was accepted: for whoever has to run it before there is a
    /// plan to compare. `given`: what `--var` says.
    ///
    /// # Errors
    /// It was not, and the command that accepts it.
    pub fn verify_inventory(
        lock: Option<&Self>,
        environment: &EnvironmentName,
        command: &InventoryCommand,
        given: &BTreeMap<String, String>,
        file: &str,
    ) -> Result<(), Stale> {
        compare::verify_inventory(lock, environment, command, given, file)
    }
}

impl LockedEnvironment {
    /// What a review would accept of a plan as it is.
    pub fn build(resolved: &Resolved) -> Self {
        let acted_on = resolved.uses().flat_map(ResolvedStep::all_acted_on);
        let targets: BTreeSet<_> =
            acted_on.filter_map(|target| resolved.target(target)).map(|t| &t.name).collect();
        let commands =
            targets.into_iter().filter_map(|target| resolved.target(target)?.service_command.clone());
        Self {
            inventory: resolved.inventory.clone(),
            steps: resolved.uses().map(|step| LockedStep::build(resolved, step)).collect(),
            service_commands: commands.collect(),
            modules: resolved
                .uses()
                .map(|step| {
                    let (digest, manifest) = (step.digest, step.manifest.clone());
                    let module = LoadedModule { digest, manifest, pinned: step.pinned.clone() };
                    (step.module.clone(), module)
                })
                .collect(),
        }
    }

    /// The grants that steps would gain over what this accepted because their module is another one in `now`, a step
    /// each.
    pub fn gained(&self, now: &Self) -> Vec<Difference> {
        compare::gained(self, now)
    }

    /// The step of this id.
    pub fn step(&self, id: &StepId) -> Option<&LockedStep> {
        self.steps.iter().find(|step| step.id == *id)
    }

    /// Names all that was accepted, for the journal and for approvals.
    pub fn digest(&self) -> Digest {
        let steps: Vec<_> = self
            .steps
            .iter()
            .map(|step| {
                let grants: Vec<String> = step
                    .grants
                    .texts()
                    .into_iter()
                    .map(|(list, text)| format!("{}: {text}", list.key()))
                    .collect();
                serde_json::json!([step.id, step.uses, grants])
            })
            .collect();
        let modules: BTreeMap<String, String> = self
            .modules
            .iter()
            .map(|(module, loaded)| {
                let pinned =
                    loaded.pinned.as_ref().map(|pinned| format!(" {}@{}", pinned.tag, pinned.manifest));
                (module.to_string(), format!("{}{}", loaded.digest, pinned.unwrap_or_default()))
            })
            .collect();
        let mut content = serde_json::json!({
            "steps": steps, "modules": modules, "service-commands": self.service_commands,
        });
        if let Some(command) = &self.inventory {
            content["inventory"] = serde_json::json!([command.argv, command.env]);
        }
        Digest::of(content.to_string())
    }
}

impl LockedStep {
    fn build(resolved: &Resolved, step: &ResolvedStep) -> Self {
        let users: BTreeSet<UserName> = step
            .all_acted_on()
            .iter()
            .filter_map(|target| match resolved.acting(step, target) {
                Acting::Login => None,
                Acting::As(user) => Some(user),
            })
            .collect();
        let mut grants = GrantSet::default();
        for of_root in &step.grants {
            add(&mut grants.ssh, &of_root.grants.ssh);
            add(&mut grants.files, &of_root.grants.files);
            add(&mut grants.http, &of_root.grants.http);
            add(&mut grants.secrets, &of_root.grants.secrets);
        }
        grants.ssh.extend(users.iter().map(SshGrant::become_user));
        Self { id: step.id.clone(), uses: step.module.clone(), grants, users }
    }

    /// What a reviewer should know of some of the grants, with the text of each.
    pub fn labels(&self) -> Vec<(String, String)> {
        self.grants.labels(&self.user())
    }

    /// The user that the grants are used as, for a label.
    fn user(&self) -> String {
        let names: Vec<&str> = self.users.iter().map(UserName::as_str).collect();
        if names.is_empty() { "whoever logs in".to_owned() } else { names.join(" and ") }
    }
}

fn add<T: Clone + PartialEq>(to: &mut Vec<T>, from: &[T]) {
    for one in from {
        if !to.contains(one) {
            to.push(one.clone());
        }
    }
}

#[cfg(test)]
mod tests;
