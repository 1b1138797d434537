//! Whether a plan is still what its lock accepted, and what is different.

use super::{Lock, LockedEnvironment, LockedStep};
use crate::grant::List;
use crate::plan::InventoryCommand;
use crate::resolved::Resolved;
use crate::{Digest, EnvironmentName, ModuleRef};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A plan that is not what its lock accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    /// The lock's name.
    pub file: String,
    /// The environment.
    pub environment: EnvironmentName,
    /// Whether there is no lock at all.
    pub no_file: bool,
    /// Whether nothing was ever accepted for this environment.
    pub missing: bool,
    /// What is different, in the order of the plan.
    pub differences: Vec<Difference>,
    /// The command that accepts the plan as it is.
    pub command: String,
}

/// Something that is different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What it is about: "step `switch`".
    pub subject: String,
    /// What the plan asks for and the lock does not have.
    pub added: Vec<String>,
    /// What the lock has and the plan does not ask for any more.
    pub removed: Vec<String>,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.no_file {
            return write!(f, "there is no `{}`: nothing says what the steps may do", self.file);
        }
        if self.missing {
            return write!(f, "`{}` has nothing for the environment `{}`", self.file, self.environment);
        }
        write!(f, "the plan is not what `{}` accepted for `{}`", self.file, self.environment)
    }
}

impl std::error::Error for Stale {}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.subject)?;
        for (sign, texts) in [('+', &self.added), ('-', &self.removed)] {
            for text in texts {
                writeln!(f, "  {sign} {text}")?;
            }
        }
        Ok(())
    }
}

impl Stale {
    /// The differences as lines: the subject, then `+` and `-` below it.
    pub fn details(&self) -> String {
        self.differences.iter().map(Difference::to_string).collect()
    }

    /// The same for a plan in this file, so that the command names it where it is not the usual one.
    #[must_use]
    pub fn of_plan(mut self, plan: &str) -> Self {
        if plan != "plan.toml" {
            self.command = self.command.replacen("runner lock", &format!("runner lock {}", quote(plan)), 1);
        }
        self
    }

    /// How to mend it.
    pub fn hint(&self) -> String {
        let what = if self.missing { "what it writes to" } else { "the difference in" };
        format!("run `{}`, and have {what} `{}` reviewed", self.command, self.file)
    }
}

pub(super) fn verify<'a>(
    lock: Option<&'a Lock>,
    resolved: &Resolved,
    file: &str,
) -> Result<&'a LockedEnvironment, Stale> {
    let stale = |missing, differences| Stale {
        file: file.to_owned(),
        environment: resolved.environment.clone(),
        no_file: lock.is_none(),
        missing,
        differences,
        command: command(&resolved.environment, &resolved.given),
    };
    let Some(locked) = lock.and_then(|lock| lock.environment(&resolved.environment)) else {
        return Err(stale(true, Vec::new()));
    };
    let differences = compare(locked, &LockedEnvironment::build(resolved));
    if differences.is_empty() { Ok(locked) } else { Err(stale(false, differences)) }
}

pub(super) fn verify_inventory(
    lock: Option<&Lock>,
    environment: &EnvironmentName,
    asked: &InventoryCommand,
    given: &BTreeMap<String, String>,
    file: &str,
) -> Result<(), Stale> {
    let locked = lock.and_then(|lock| lock.environment(environment));
    let accepted = locked.and_then(|locked| locked.inventory.as_ref());
    if accepted == Some(asked) {
        return Ok(());
    }
    let mut differences = Vec::new();
    push(&mut differences, INVENTORY.to_owned(), of_inventory(accepted), of_inventory(Some(asked)));
    Err(Stale {
        file: file.to_owned(),
        environment: environment.clone(),
        no_file: lock.is_none(),
        missing: locked.is_none(),
        differences,
        command: command(environment, given),
    })
}

const INVENTORY: &str = "the program that is asked for the inventory";

fn of_inventory(command: Option<&InventoryCommand>) -> BTreeSet<String> {
    let lines = command.into_iter().flat_map(|command| {
        let env = command.env.iter().map(|name| format!("with your `{name}`"));
        env.chain([command.to_string()]).collect::<Vec<_>>()
    });
    lines.collect()
}

/// The command that writes the lock for the plan with the same variables.
fn command(environment: &EnvironmentName, given: &BTreeMap<String, String>) -> String {
    let mut command = format!("runner lock -e {environment}");
    for (name, value) in given {
        command.push_str(" --var ");
        command.push_str(&quote(&format!("{name}={value}")));
    }
    command
}

/// As a shell needs it.
fn quote(text: &str) -> String {
    if text.chars().all(|c| c.is_ascii_alphanumeric() || "-_=./:@%+,".contains(c)) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The grants that steps would gain because their module is another one now: what a review did not see. What a plan
/// itself asks for anew, in a new step or by another module, is written in the plan.
pub(super) fn gained(locked: &LockedEnvironment, now: &LockedEnvironment) -> Vec<Difference> {
    let mut differences = Vec::new();
    for step in &now.steps {
        let Some(before) = locked.step(&step.id).filter(|before| is_update(&before.uses, &step.uses)) else {
            continue;
        };
        let module = |of: &LockedEnvironment, uses: &ModuleRef| {
            of.modules.get(uses).map(|module| (module.digest, module.manifest.version.clone()))
        };
        let (was, is) = (module(locked, &before.uses), module(now, &step.uses));
        if was.as_ref().map(|(digest, _)| digest) == is.as_ref().map(|(digest, _)| digest) {
            continue;
        }
        let added: Vec<String> = grants(step).difference(&grants(before)).cloned().collect();
        if !added.is_empty() {
            let version = |of: Option<(Digest, String)>| of.map(|(_, version)| version).unwrap_or_default();
            let (was, is) = (version(was), version(is));
            let update = if was == is { format!("{is}, rebuilt") } else { format!("{was} -> {is}") };
            let subject = format!("step `{}`: `{}` {update}", step.id, step.uses);
            differences.push(Difference { subject, added, removed: Vec::new() });
        }
    }
    differences
}

/// Whether a step uses the same module, if perhaps another version of it.
fn is_update(before: &ModuleRef, now: &ModuleRef) -> bool {
    match (before, now) {
        (ModuleRef::Oci(before), ModuleRef::Oci(now)) => before.repository == now.repository,
        _ => before == now,
    }
}

fn compare(locked: &LockedEnvironment, now: &LockedEnvironment) -> Vec<Difference> {
    let mut differences = Vec::new();
    for step in &now.steps {
        let before = locked.step(&step.id);
        let subject = match before {
            Some(_) => format!("step `{}`", step.id),
            None => format!("step `{}` is new", step.id),
        };
        push(&mut differences, subject, before.map(lines).unwrap_or_default(), lines(step));
    }
    for gone in locked.steps.iter().filter(|step| now.step(&step.id).is_none()) {
        push(&mut differences, format!("step `{}` is gone", gone.id), lines(gone), BTreeSet::new());
    }
    push(
        &mut differences,
        INVENTORY.to_owned(),
        of_inventory(locked.inventory.as_ref()),
        of_inventory(now.inventory.as_ref()),
    );
    let commands = |environment: &LockedEnvironment| {
        environment
            .service_commands
            .iter()
            .map(|command| command.written().join(" "))
            .collect::<BTreeSet<_>>()
    };
    push(&mut differences, "service commands of the inventory".to_owned(), commands(locked), commands(now));
    let modules: BTreeSet<_> = locked.modules.keys().chain(now.modules.keys()).collect();
    for module in modules {
        let lines = |environment: &LockedEnvironment| {
            let Some(loaded) = environment.modules.get(module) else { return BTreeSet::new() };
            let manifest = &loaded.manifest;
            let grants =
                manifest.capabilities.iter().map(|one| format!("may ask for {}: {one}", one.list().key()));
            let named = format!("{} {}, {}", manifest.name, manifest.version, loaded.digest);
            let pinned =
                loaded.pinned.as_ref().map(|of| format!("the registry's `{}`, {}", of.tag, of.manifest));
            grants.chain([named]).chain(pinned).collect::<BTreeSet<_>>()
        };
        push(&mut differences, format!("module `{module}`"), lines(locked), lines(now));
    }
    if differences.is_empty() && (locked.digest() != now.digest() || locked.modules != now.modules) {
        differences.push(Difference {
            subject: "the order of steps or grants, or what a module says of itself".to_owned(),
            added: Vec::new(),
            removed: Vec::new(),
        });
    }
    differences
}

fn lines(step: &LockedStep) -> BTreeSet<String> {
    let mut lines = grants(step);
    lines.insert(format!("uses {}", step.uses));
    lines
}

fn grants(step: &LockedStep) -> BTreeSet<String> {
    let of_list = |list: List| match list {
        List::Ssh => "",
        List::Files => "files ",
        List::Http => "http ",
        List::Secrets => "secret ",
    };
    step.grants.texts().into_iter().map(|(list, text)| format!("{}{text}", of_list(list))).collect()
}

fn push(
    differences: &mut Vec<Difference>,
    subject: String,
    before: BTreeSet<String>,
    after: BTreeSet<String>,
) {
    if before != after {
        let added = after.difference(&before).cloned().collect();
        let removed = before.difference(&after).cloned().collect();
        differences.push(Difference { subject, added, removed });
    }
}
