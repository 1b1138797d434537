//! Reads a lock.

use super::{Lock, LockedEnvironment, LockedStep, VERSION};
use crate::diagnostic::{Code, Problems};
use crate::grant::{GrantError, GrantSet};
use crate::inventory::ServiceCommand;
use crate::plan::{InventoryCommand, ModuleRef};
use crate::read::{Item, Reader, Table, text_of};
use crate::{Digest, EnvironmentName, LoadedModule, Manifest, Pinned, StepId};
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

pub(super) fn lock(name: &str, bytes: &[u8]) -> Result<Lock, Problems> {
    let reader = Reader::new(text_of(name, bytes)?);
    let lock = reader.document("a lock", file);
    reader.into_problems().or(lock).map(|(lock, _)| lock)
}

fn file(reader: &Reader, table: Table<'_>) -> Lock {
    reader.version(&table, "lock", VERSION);
    let mut lock = Lock::default();
    for entry in table.take("environment").iter().flat_map(|item| reader.entries(item)) {
        if let Some(name) = reader.named::<EnvironmentName>(&entry)
            && let Some(table) = reader.table(&entry, "an environment")
            && let Some(environment) = environment(reader, &table, &name)
        {
            lock.environments.insert(name.value, environment);
        }
    }
    table.finish(reader, &[]);
    lock
}

fn environment(reader: &Reader, table: &Table<'_>, name: &EnvironmentName) -> Option<LockedEnvironment> {
    let before = reader.count();
    let digest = table.require(reader, "digest", "\"sha256:…\"");
    let digest = digest.and_then(|item| reader.parsed::<Digest>(&item, "a digest"));
    let mut steps = Vec::new();
    for entry in table.take("step").iter().flat_map(|item| reader.entries(item)) {
        if let Some(id) = reader.named::<StepId>(&entry)
            && let Some(table) = reader.table(&entry, "a step")
        {
            steps.extend(step(reader, &table, id.value));
        }
    }
    let mut modules = BTreeMap::new();
    for entry in table.take("module").iter().flat_map(|item| reader.entries(item)) {
        if let Some(name) = reader.named::<ModuleRef>(&entry)
            && let Some(table) = reader.table(&entry, "a module")
            && let Some(module) = module(reader, &table, &name.value)
        {
            modules.insert(name.value, module);
        }
    }
    let service_commands = service_commands(reader, table);
    let inventory = inventory(reader, table);
    table.finish(reader, &[]);
    let environment = LockedEnvironment { inventory, steps, service_commands, modules };
    let digest = digest?;
    // Where something else is wrong, the digest says no more.
    if reader.count() == before && environment.digest() != digest.value {
        reader.push(
            reader
                .problem(Code::Conflict, digest.span, format!("the section of `{name}` was changed by hand"))
                .because("it is not what `runner lock` wrote")
                .hint(format!("run `runner lock -e {name}`, and review what it changes")),
        );
        return None;
    }
    Some(environment)
}

fn inventory(reader: &Reader, table: &Table<'_>) -> Option<InventoryCommand> {
    let words = |key| {
        let item: Item<'_> = table.take(key)?;
        let words = reader.list::<String>(&item, "a list of strings")?;
        Some((item.span, words.into_iter().map(|word| word.value).collect::<Vec<_>>()))
    };
    let env = words("inventory-env").map(|(_, env)| env).unwrap_or_default();
    let (span, argv) = words("inventory-command")?;
    let refuse = |why: crate::plan::BadInventoryCommand| {
        reader.push(reader.problem(Code::BadValue, span, format!("the inventory's command: {why}")));
    };
    InventoryCommand::new(argv, env).map_err(refuse).ok()
}

fn service_commands(reader: &Reader, table: &Table<'_>) -> BTreeSet<ServiceCommand> {
    let item = table.take("service-commands");
    let commands = item.and_then(|item| reader.array(&item, "a list of commands")).unwrap_or_default();
    commands
        .iter()
        .filter_map(|command| {
            let argv = reader.list::<String>(command, "a program and its arguments")?;
            match ServiceCommand::new(argv.into_iter().map(|argument| argument.value).collect()) {
                Ok(command) => Some(command),
                Err(why) => {
                    reader.push(reader.problem(Code::BadValue, command.span, why.to_string()));
                    None
                }
            }
        })
        .collect()
}

fn step(reader: &Reader, table: &Table<'_>, id: StepId) -> Option<LockedStep> {
    let uses = table.require(reader, "uses", "\"builtin:switch\"");
    let uses = uses.and_then(|item| reader.parsed::<ModuleRef>(&item, "a module"));
    let grants = GrantSet {
        ssh: grants(reader, table.take("ssh")),
        files: grants(reader, table.take("files")),
        http: grants(reader, table.take("http")),
        secrets: grants(reader, table.take("secrets")),
    };
    table.finish(reader, &[]);
    let users = grants.ssh.iter().filter(|grant| grant.is_become());
    let users = users.filter_map(|grant| grant.to_string().strip_prefix("as:")?.parse().ok()).collect();
    Some(LockedStep { id, uses: uses?.value, grants, users })
}

fn grants<T: FromStr<Err = GrantError>>(reader: &Reader, item: Option<Item<'_>>) -> Vec<T> {
    let elements = item.and_then(|item| reader.array(&item, "a list of grants")).unwrap_or_default();
    let read = |element: &Item<'_>| match reader.string(element)?.value.parse::<T>() {
        Ok(grant) => Some(grant),
        Err(error) => {
            let problem = reader.problem(Code::BadValue, element.span, error.to_string());
            reader.push(problem.maybe_hint(error.hint));
            None
        }
    };
    elements.iter().filter_map(read).collect()
}

fn module(reader: &Reader, table: &Table<'_>, reference: &ModuleRef) -> Option<LoadedModule> {
    let digest = table.require(reader, "digest", "\"sha256:…\"");
    let digest = digest.and_then(|item| reader.parsed::<Digest>(&item, "a digest"));
    let manifest = table.require(reader, "manifest", "'''{…}'''").and_then(|item| {
        let text = reader.string(&item)?;
        Manifest::parse(&text)
            .map_err(|error| {
                let message = format!("the manifest cannot be used: {error}");
                reader.push(reader.problem(Code::Module, item.span, message).maybe_hint(error.hint()));
            })
            .ok()
    });
    let pinned = match reference {
        ModuleRef::Oci(_) => {
            let oci = table.require(reader, "oci-manifest", "\"sha256:…\"");
            let oci = oci.and_then(|item| reader.parsed::<Digest>(&item, "a digest"));
            let tag = table.take("tag").and_then(|item| reader.line(&item));
            let tag = tag.map(|tag| tag.value).unwrap_or_default();
            oci.map(|manifest| Some(Pinned { tag, manifest: manifest.value }))
        }
        ModuleRef::Builtin(_) | ModuleRef::Path(_) => Some(None),
    };
    table.finish(reader, &[]);
    Some(LoadedModule { digest: digest?.value, manifest: manifest?, pinned: pinned? })
}
