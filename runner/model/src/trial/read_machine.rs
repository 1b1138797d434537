//! Reads `[target]`: the machine as the step finds it.

use super::read::{by_path, parsed, plain_texts, string};
use super::{File, Laid, Machine, Unit};
use crate::diagnostic::Code;
use crate::fact::NoFact;
use crate::read::{Item, Reader, Table, choice};
use crate::source::{Span, Spanned};
use crate::{Attributes, Fact, Mark, RemotePath, VarName};
use jsonschema::JsonType;
use serde_json::Value;
use std::collections::BTreeMap;
use toml::de::DeValue;

pub(super) fn machine(reader: &Reader, item: Option<&Item<'_>>) -> Machine {
    let mut machine = Machine {
        name: None,
        user: super::plan::login(),
        root: None,
        files: BTreeMap::new(),
        folders: BTreeMap::new(),
        links: BTreeMap::new(),
        releases: Vec::new(),
        services: BTreeMap::new(),
        facts: BTreeMap::new(),
        vars: BTreeMap::new(),
    };
    let Some(table) = item.and_then(|item| reader.table(item, "`[target]`")) else { return machine };
    machine.name = table.take("name").and_then(|item| reader.parsed(&item, "the name of a target in quotes"));
    if let Some(user) = parsed(reader, &table, "user", "the name of a user in quotes") {
        machine.user = user;
    }
    machine.root = parsed(reader, &table, "root", "an absolute path in quotes");
    machine.files = table.take("files").map(|item| files(reader, &item)).unwrap_or_default();
    for (path, file) in &machine.files {
        if file.text.is_none() {
            let problem = reader.problem(Code::Missing, file.span, format!("the file `{path}` needs `text`"));
            reader.push(problem.hint("add `text = \"…\"`: what it holds"));
        }
    }
    machine.folders = table.take("folders").map(|item| folders(reader, &item)).unwrap_or_default();
    machine.links = table
        .take("links")
        .map(|item| by_path(reader, &item, |entry| reader.string(entry)))
        .unwrap_or_default();
    machine.services = services(reader, &table).into_iter().map(|(unit, is)| (unit, is.value)).collect();
    machine.facts = table.take("facts").map(|item| facts(reader, &item)).unwrap_or_default();
    machine.vars = table.take("vars").map(|item| vars(reader, &item)).unwrap_or_default();
    if let Some(item) = table.take("release") {
        let tables = reader.tables(&item, "a release");
        machine.releases = tables.iter().filter_map(|table| release(reader, table)).collect();
        if machine.root.is_none() {
            let problem = reader.problem(Code::Missing, item.key, "releases need `root`");
            reader.push(
                problem.hint("add `root = \"/srv/app\"` to `[target]`: they are below it, in `releases`"),
            );
        }
    }
    table.finish(reader, &[]);
    once_each(reader, &machine);
    machine
}

/// One path is one thing, and below a file is nothing.
fn once_each(reader: &Reader, machine: &Machine) {
    let mut seen: BTreeMap<&RemotePath, (Span, &str)> = BTreeMap::new();
    let files = machine.files.iter().map(|(path, file)| (path, file.span, "a file"));
    let folders = machine.folders.iter().map(|(path, look)| (path, look.span, "a folder"));
    let links = machine.links.iter().map(|(path, link)| (path, link.span, "a link"));
    for (path, span, is) in files.chain(folders).chain(links) {
        if let Some((first, was)) = seen.insert(path, (span, is)) {
            let problem = reader.problem(Code::Duplicate, span, format!("`{path}` is {was} and {is}"));
            reader.push(problem.also(first, "the first one").hint("keep one of them"));
        }
    }
    for (path, (span, _)) in &seen {
        let above = std::iter::successors(path.parent(), RemotePath::parent);
        let file = above.into_iter().find_map(|above| Some((above.clone(), seen.get(&above)?)));
        if let Some((above, (at, is))) = file.filter(|(_, (_, is))| *is != "a folder") {
            let problem =
                reader.problem(Code::Conflict, *span, format!("`{path}` is below `{above}`, which is {is}"));
            reader.push(problem.also(*at, "here it is"));
        }
    }
}

/// Files, as texts or as tables.
pub(super) fn files(reader: &Reader, item: &Item<'_>) -> BTreeMap<RemotePath, Spanned<File>> {
    by_path(reader, item, |entry| match entry.value {
        DeValue::String(text) => Some(Spanned::new(
            File { text: Some(text.to_string()), attributes: Attributes::default() },
            entry.span,
        )),
        DeValue::Table(_) => {
            let table = reader.table(entry, "a file")?;
            let file = File { text: string(reader, &table, "text"), attributes: attributes(reader, &table) };
            table.finish(reader, &[]);
            Some(Spanned::new(file, entry.span))
        }
        _ => {
            reader
                .wrong_type(entry, "the text of the file, or a table with `text`, `mode`, `owner`, `group`");
            None
        }
    })
}

/// Folders: a list of paths, or a table with who may do what with them.
pub(super) fn folders(reader: &Reader, item: &Item<'_>) -> BTreeMap<RemotePath, Spanned<Attributes>> {
    if let DeValue::Table(_) = item.value {
        return by_path(reader, item, |entry| {
            let table = reader.table(entry, "a folder")?;
            let attributes = attributes(reader, &table);
            table.finish(reader, &[]);
            Some(Spanned::new(attributes, entry.span))
        });
    }
    let paths = reader.list::<RemotePath>(item, "a list of paths, or a table of them");
    let paths = paths.unwrap_or_default().into_iter();
    paths.map(|path| (path.value, Spanned::new(Attributes::default(), path.span))).collect()
}

fn attributes(reader: &Reader, table: &Table<'_>) -> Attributes {
    Attributes {
        mode: table.take("mode").and_then(|item| reader.number(&item, 0, 0o7777)).map(|mode| mode.value),
        owner: name(reader, table, "owner"),
        group: name(reader, table, "group"),
    }
}

fn name(reader: &Reader, table: &Table<'_>, key: &'static str) -> Option<String> {
    parsed::<crate::UserName>(reader, table, key, "a name in quotes").map(|name| name.as_str().to_owned())
}

/// Units, and how they are.
pub(super) fn services(reader: &Reader, table: &Table<'_>) -> BTreeMap<String, Spanned<Unit>> {
    let Some(item) = table.take("services") else { return BTreeMap::new() };
    let unit = |entry: &Item<'_>| Some((entry.name.to_owned(), choice(reader, entry, &Unit::WORDS)?));
    reader.entries(&item).iter().filter_map(unit).collect()
}

fn facts(reader: &Reader, item: &Item<'_>) -> BTreeMap<Fact, Value> {
    let fact = |entry: &Item<'_>| {
        let fact: Fact = match entry.name.parse::<Fact>() {
            Ok(fact) => fact,
            Err(none) => {
                let hint = match none.suggestion() {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("facts are {}", NoFact::known()),
                };
                reader.push(reader.problem(Code::UnknownName, entry.key, none.to_string()).hint(hint));
                return None;
            }
        };
        let (fits, must_be) = match (fact.json_type(), entry.value) {
            (JsonType::Integer, value) => (matches!(value, DeValue::Integer(_)), "a whole number"),
            (JsonType::Boolean, value) => (matches!(value, DeValue::Boolean(_)), "`true` or `false`"),
            (_, value) => (matches!(value, DeValue::String(_)), "a string"),
        };
        if !fits {
            reader.wrong_type(entry, must_be);
            return None;
        }
        Some((fact, reader.json(entry)?))
    };
    reader.entries(item).iter().filter_map(fact).collect()
}

fn vars(reader: &Reader, item: &Item<'_>) -> BTreeMap<VarName, Value> {
    let var = |entry: &Item<'_>| {
        let name = reader.named::<VarName>(entry);
        let value = reader.json(entry);
        Some((name?.value, value?))
    };
    reader.entries(item).iter().filter_map(var).collect()
}

fn release(reader: &Reader, table: &Table<'_>) -> Option<Laid> {
    let id = table
        .require(reader, "id", "\"4.1\"")
        .and_then(|item| reader.parsed(&item, "the id of a release in quotes"));
    let files = table.take("files").map(|item| plain_texts(reader, &item)).unwrap_or_default();
    let mark = table.take("mark").and_then(|item| {
        choice(reader, &item, &[("good", Mark::Good), ("bad", Mark::Bad), ("untried", Mark::Untried)])
    });
    table.finish(reader, &[]);
    Some(Laid { id: id?, files, mark: mark.map_or(Mark::Good, |mark| mark.value) })
}
