//! The operator's policy: a file outside every repository that narrows what any plan may do. It cannot widen anything.
//!
//! ```toml
//! policy = 1
//!
//! [environment.production]
//! allow = { ssh = ["read:/srv", "write:/srv", "service:* reload"], http = ["GET https://shop.example.org/"] }
//! deny  = { ssh = ["write:/srv/shop/shared/keys"] }
//! modules = { registries = ["registry.example.org/team"], vetted-by = ["security@example.org"] }
//!
//! [environment."*"]                # environments without a section of their own
//! deny = { ssh = ["exec-opaque:**"] }
//!
//! [trust]
//! allowed-signers = "allowed_signers"
//! ```
//!
//! - Where there is no file, nothing is narrowed. Where there is one, an environment that it does not speak of is refused:
//!   a misspelled name must not lift the rules.
//! - `allow` left out narrows nothing. Where it is given, a list that is left out in it is empty and denies.
//! - `deny` wins over every `allow`, and the one of `"*"` holds in every environment. It is read more widely than a grant:
//!   the class of an effect, the variables of a command, the folder of its program and where a request is sent from do
//!   not matter, and acting on a whole folder is denied when something below it is.
//! - `modules` says which modules may be used at all, but for the standard ones. Each key in it must be fulfilled, and so
//!   must those of `"*"`, in every environment: a module is judged once by each of the two.
//!
//! ```
//! use runner_model::policy::Policy;
//!
//! let text = "policy = 1\n[environment.production]\ndeny = { ssh = [\"write:/etc\"] }\n";
//! let policy = Policy::parse("policy.toml", text.as_bytes()).unwrap();
//! assert!(policy.environment(&"production".parse().unwrap()).is_ok());
//! assert!(policy.environment(&"staging".parse().unwrap()).is_err());
//! ```

mod modules;
mod read;

pub use modules::{BadRegistry, Ceiling, ModuleRules, RegistryPrefix, SigstoreIdentity, Trust};

use crate::diagnostic::Problems;
use crate::grant::{GrantSet, Lost, lost};
use crate::lock::{LockedEnvironment, LockedStep};
use crate::plan::InventoryCommand;
use crate::read::{Reader, text_of};
use crate::resolved::Resolved;
use crate::{EnvironmentName, Failure, FailureKind, ModuleRef, StepId};
use std::collections::BTreeMap;

/// The version of the language that this runner knows.
const VERSION: i64 = 1;

/// The section of environments that have none of their own.
const ANY: &str = "*";

/// A policy's file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    file: String,
    trust: Trust,
    sections: BTreeMap<String, Section>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Section {
    allow: Option<GrantSet>,
    deny: GrantSet,
    inventory_commands: Option<bool>,
    modules: Option<ModuleRules>,
}

/// What a policy says of one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentPolicy {
    /// The environment.
    pub environment: EnvironmentName,
    /// The policy's file, for messages.
    pub file: String,
    /// What is allowed at most; `None`: `deny` alone counts.
    pub allow: Option<GrantSet>,
    /// What is denied, whatever allows it.
    pub deny: GrantSet,
    /// Whether the inventory may come from a program that runs on this machine.
    pub inventory_commands: bool,
    /// What is asked of modules: by the environment's own section and by that of all. Each must be fulfilled.
    pub modules: Vec<ModuleRules>,
    /// Whom to believe.
    pub trust: Trust,
    /// What vettings let the steps of a module do at most. No file says so: whoever judges the modules puts it here.
    pub ceilings: BTreeMap<ModuleRef, Vec<Ceiling>>,
}

/// A policy that does not speak of an environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the operator's policy in {file} does not speak of the environment `{environment}`")]
pub struct NoSection {
    /// The environment.
    pub environment: EnvironmentName,
    /// The policy's file.
    pub file: String,
}

impl NoSection {
    /// What mends it.
    pub fn hint(&self) -> String {
        let name = self.environment.as_str();
        format!(
            "the operator would have to add `[environment.{name}]`, or `[environment.\"*\"]` for all others"
        )
    }
}

/// A grant of a step of which a policy leaves nothing: the step could only fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The step.
    pub step: StepId,
    /// The grant, and why.
    pub lost: Lost,
}

impl EnvironmentPolicy {
    /// One that narrows nothing.
    pub fn open(environment: EnvironmentName, file: impl Into<String>) -> Self {
        Self {
            environment,
            file: file.into(),
            allow: None,
            deny: GrantSet::default(),
            inventory_commands: true,
            modules: Vec::new(),
            trust: Trust::default(),
            ceilings: BTreeMap::new(),
        }
    }

    /// What vettings let the steps of a module do at most; nothing: no vetting was asked for.
    pub fn ceilings_of(&self, module: &ModuleRef) -> &[Ceiling] {
        self.ceilings.get(module).map_or(&[], Vec::as_slice)
    }

    /// Why the inventory may not come from this program, and what mends it; `None`: it may.
    pub fn refuses_command(&self, command: &InventoryCommand) -> Option<Failure> {
        if self.inventory_commands {
            return None;
        }
        let what = format!("run `{command}` for the inventory of `{}`", self.environment);
        let why = format!("{what}: the operator's policy in {} has `inventory-commands = false`", self.file);
        Some(Failure::new(FailureKind::Denied, why).with_detail(
            "name a file: `inventory = \"hosts.json\"`, and let whoever may run the program write it",
        ))
    }

    /// The grants of a locked plan of which this policy, or the ceiling of a vetting, leaves nothing, in the order of the plan. What depends on the
    /// run, or is denied in part, is left to the run.
    pub fn refuses(&self, resolved: &Resolved, locked: &LockedEnvironment) -> Vec<Refused> {
        let of = |step: &LockedStep| {
            let narrowed = resolved.step(&step.id).and_then(|step| step.allow.as_ref());
            let id = step.id.clone();
            let lost = lost(&step.grants, narrowed, self, self.ceilings_of(&step.uses));
            lost.into_iter().map(move |lost| Refused { step: id.clone(), lost })
        };
        locked.steps.iter().flat_map(of).collect()
    }
}

impl From<NoSection> for Failure {
    fn from(error: NoSection) -> Self {
        Self::new(FailureKind::Denied, &error).with_detail(error.hint())
    }
}

impl Policy {
    /// Reads a policy. `name`: the file as messages name it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Problems> {
        let reader = Reader::new(text_of(name, bytes)?);
        let read = reader.document("a policy", read::file);
        let policy = read.map(|(trust, sections)| Self { file: name.to_owned(), trust, sections });
        reader.into_problems().or(policy).map(|(policy, _)| policy)
    }

    /// What it says of an environment.
    ///
    /// # Errors
    /// Nothing at all.
    pub fn environment(&self, environment: &EnvironmentName) -> Result<EnvironmentPolicy, NoSection> {
        let any = self.sections.get(ANY);
        let Some(own) = self.sections.get(environment.as_str()).or(any) else {
            return Err(NoSection { environment: environment.clone(), file: self.file.clone() });
        };
        let mut deny = own.deny.clone();
        if let Some(any) = any {
            deny.ssh.extend(any.deny.ssh.iter().cloned());
            deny.files.extend(any.deny.files.iter().cloned());
            deny.http.extend(any.deny.http.iter().cloned());
            deny.secrets.extend(any.deny.secrets.iter().cloned());
        }
        // Where the section of all stands in for one that is missing, it is asked once.
        let of_all = any.filter(|_| self.sections.contains_key(environment.as_str()));
        let modules = [Some(own), of_all].into_iter().flatten().filter_map(|section| section.modules.clone());
        Ok(EnvironmentPolicy {
            environment: environment.clone(),
            file: self.file.clone(),
            allow: own.allow.clone(),
            deny,
            inventory_commands: own.inventory_commands != Some(false)
                && any.is_none_or(|any| any.inventory_commands != Some(false)),
            modules: modules.collect(),
            trust: self.trust.clone(),
            ceilings: BTreeMap::new(),
        })
    }
}

#[cfg(test)]
mod tests;
