//! From TOML to [`InventoryFile`].

use super::{
    BadServiceCommand, ConnectionKind, Group, Inventory, InventoryFile, KeyExchange, ServiceCommand,
    Settings, SshSettings, TargetEntry, host, merge,
};
use crate::diagnostic::{Code, Problems};
use crate::read::{Item, Reader, Table, choice, text_of};
use crate::source::Spanned;
use crate::{GroupName, RemotePath, TargetName, VarName};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The version of the language that is read.
const VERSION: i64 = 1;

/// A file and what it says.
pub(super) struct Parsed {
    pub(super) file: InventoryFile,
    /// In the order of the file, which is the order of the targets.
    pub(super) targets: Vec<Spanned<TargetName>>,
    pub(super) groups: Vec<Spanned<GroupName>>,
}

impl Inventory {
    /// Reads an inventory. `name`: the file as problems name it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Problems> {
        let (inventory, problems) = Self::read(name, bytes);
        problems.or(Some(inventory)).map(|(inventory, _)| inventory)
    }

    /// Reads as much of an inventory as can be read, so that [`check`](crate::check::check) finds what else is wrong.
    /// One that comes with errors is for that alone. `name`: the file as problems name it.
    pub fn read(name: &str, bytes: &[u8]) -> (Self, Problems) {
        let reader = match text_of(name, bytes) {
            Ok(source) => Reader::new(source),
            Err(problems) => return (Self::unread(name), problems),
        };
        let parsed = reader.document("an inventory", file);
        let inventory = parsed.map(|parsed| merge::merge(&reader, &parsed));
        let problems = reader.into_problems();
        let mut inventory = inventory.unwrap_or_else(|| Self::unread(name));
        inventory.has_gaps = problems.has_errors();
        (inventory, problems)
    }
}

pub(super) fn file(reader: &Reader, table: Table<'_>) -> Parsed {
    reader.version(&table, "inventory", VERSION);
    let mut parsed = Parsed {
        file: InventoryFile { inventory: 1, ..Default::default() },
        targets: Vec::new(),
        groups: Vec::new(),
    };
    if let Some(item) = table.take("defaults")
        && let Some(table) = reader.table(&item, "`[defaults]`")
    {
        parsed.file.defaults = settings(reader, &table);
        table.finish(reader, &[]);
    }
    if let Some(item) = table.take("ssh")
        && let Some(table) = reader.table(&item, "`[ssh]`")
    {
        parsed.file.ssh = ssh(reader, &table);
    }
    for entry in table.take("group").iter().flat_map(|item| reader.entries(item)) {
        if let Some(name) = reader.named::<GroupName>(&entry)
            && let Some(table) = reader.table(&entry, "a group")
        {
            let group = group(reader, &table);
            parsed.file.group.insert(name.value.clone(), group);
            parsed.groups.push(name);
        }
    }
    match table.take("target") {
        Some(item) => {
            for entry in reader.entries(&item) {
                if let Some(name) = reader.named::<TargetName>(&entry)
                    && let Some(table) = reader.table(&entry, "a target")
                {
                    let target = target(reader, &table);
                    parsed.file.target.insert(name.value.clone(), target);
                    parsed.targets.push(name);
                }
            }
        }
        None => reader.push(
            reader
                .problem(Code::Missing, table.span, "an inventory needs at least one target")
                .hint("add `[target.web-1]` with `address = \"web-1.example.org\"` and `roles = [\"web\"]`"),
        ),
    }
    table.finish(reader, &[]);
    parsed
}

fn settings(reader: &Reader, table: &Table<'_>) -> Settings {
    Settings {
        user: table.take("user").and_then(|item| reader.parsed(&item, "the name of a user")),
        port: table.take("port").and_then(|item| reader.number(&item, 1, u16::MAX)),
        jump: table.take("jump").and_then(|item| jump(reader, &item)),
        acts_as: table.take("become").and_then(|item| reader.parsed(&item, "the name of a user")),
        root: table.take("root").and_then(|item| root(reader, &item)),
        vars: table.take("vars").map(|item| vars(reader, &item)).unwrap_or_default(),
        service_command: table.take("service-command").and_then(|item| service_command(reader, &item)),
        connection: table.take("connection").and_then(|item| {
            choice(reader, &item, &[("ssh", ConnectionKind::Ssh), ("local", ConnectionKind::Local)])
        }),
    }
}

fn group(reader: &Reader, table: &Table<'_>) -> Group {
    let targets = table.require(reader, "targets", "[\"web-1\", \"web-2\"]");
    let group = Group {
        targets: targets.and_then(|item| reader.list(&item, "a list of targets")).unwrap_or_default(),
        roles: table.take("roles").and_then(|item| reader.list(&item, "a list of roles")).unwrap_or_default(),
        labels: table
            .take("labels")
            .and_then(|item| reader.list(&item, "a list of labels"))
            .unwrap_or_default(),
        settings: settings(reader, table),
    };
    table.finish(reader, &[]);
    group
}

fn target(reader: &Reader, table: &Table<'_>) -> TargetEntry {
    let target = TargetEntry {
        address: table.take("address").and_then(|item| reader.parsed(&item, "a host")),
        http_address: table.take("http-address").and_then(|item| reader.parsed(&item, "a host")),
        roles: table.take("roles").and_then(|item| reader.list(&item, "a list of roles")).unwrap_or_default(),
        labels: table
            .take("labels")
            .and_then(|item| reader.list(&item, "a list of labels"))
            .unwrap_or_default(),
        settings: settings(reader, table),
    };
    table.finish(reader, &[]);
    target
}

fn ssh(reader: &Reader, table: &Table<'_>) -> SshSettings {
    let path = |key| {
        let item = table.take(key)?;
        let text = reader.line(&item)?;
        Some(Spanned::new(PathBuf::from(text.value), text.span))
    };
    let settings = SshSettings {
        config: path("config"),
        known_hosts: path("known-hosts"),
        kex: table.take("kex").and_then(|item| {
            choice(reader, &item, &[("default", KeyExchange::Default), ("fast", KeyExchange::Fast)])
        }),
        identity: path("identity"),
    };
    table.finish(reader, &[]);
    settings
}

/// A release root: `releases`, `shared` and `current` are made in it.
fn root(reader: &Reader, item: &Item<'_>) -> Option<Spanned<RemotePath>> {
    let path: Spanned<RemotePath> = reader.parsed(item, "a path on the target")?;
    if path.value == RemotePath::root() {
        let problem = reader.problem(Code::BadValue, item.span, "`/` cannot be the release root");
        reader.push(
            problem
                .because("`releases`, `shared` and `current` are made in it")
                .hint("write `root = \"/srv/shop\"`"),
        );
        return None;
    }
    Some(path)
}

fn jump(reader: &Reader, item: &Item<'_>) -> Option<Spanned<String>> {
    let text = reader.string(item)?;
    match host::check_jump(&text) {
        Ok(()) => Some(text),
        Err(why) => {
            reader.push(
                reader
                    .problem(Code::BadValue, item.span, why)
                    .hint("write `jump = \"user@bastion.example.org:22\"`, and several hops with commas"),
            );
            None
        }
    }
}

fn vars(reader: &Reader, item: &Item<'_>) -> BTreeMap<VarName, Spanned<Value>> {
    let mut vars = BTreeMap::new();
    for entry in reader.entries(item) {
        if let (Some(name), Some(value)) = (reader.named::<VarName>(&entry), reader.json(&entry)) {
            vars.insert(name.value, Spanned::new(value, entry.span));
        }
    }
    vars
}

fn service_command(reader: &Reader, item: &Item<'_>) -> Option<Spanned<ServiceCommand>> {
    let argv: Vec<Spanned<String>> = reader.list(item, "a program and its arguments")?;
    match ServiceCommand::new(argv.iter().map(|argument| argument.value.clone()).collect()) {
        Ok(command) => Some(Spanned::new(command, item.span)),
        Err(why) => {
            let hint = match why {
                BadServiceCommand::Empty => None,
                _ => Some("write `service-command = [\"/srv/app/bin/appctl\", \"${action}\"]`".to_owned()),
            };
            reader.push(reader.problem(Code::BadValue, item.span, why.to_string()).maybe_hint(hint));
            None
        }
    }
}
