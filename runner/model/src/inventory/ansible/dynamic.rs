//! The JSON that a dynamic inventory of Ansible's prints for `--list`: groups by name, each with `hosts`, `vars` and
//! `children`, and the variables of hosts in `_meta`.

use super::draft::{Draft, Opaque, Place, Var};
use super::yaml::{Data, Key, Node};
use super::{Whose, draft, made};
use crate::diagnostic::{Code, Problem, Problems};
use crate::inventory::Inventory;
use crate::inventory::answer::{name_of, span};
use crate::source::{Source, Span};
use crate::suggest::closest;
use jsonc_parser::ast::{Object, Value as Json};
use serde_json::Value;
use std::collections::BTreeMap;

const SECTIONS: [&str; 3] = ["hosts", "vars", "children"];

/// The inventory that an answer is.
pub(in crate::inventory) fn inventory(source: Source, root: &Object<'_>) -> (Inventory, Problems) {
    let mut draft = Draft::new(source);
    let hostvars = hostvars(&mut draft, root);
    for entry in root.properties.iter().filter(|entry| entry.name.as_str() != "_meta") {
        let (name, at) = name_of(entry);
        let number = draft.group(name, at);
        group(&mut draft, number, name, &entry.value);
    }
    of_hosts(&mut draft, hostvars);
    draft.finish();
    made(draft, &BTreeMap::<Whose, draft::Vars>::new())
}

/// The variables of all hosts. Without them Ansible would run the program again for every host.
fn hostvars(draft: &mut Draft, root: &Object<'_>) -> Vec<(Key, Node)> {
    let meta = root.properties.iter().find(|entry| entry.name.as_str() == "_meta").map(|entry| &entry.value);
    let hostvars = match meta {
        Some(Json::Object(meta)) => {
            meta.properties.iter().find(|entry| entry.name.as_str() == "hostvars").map(|entry| &entry.value)
        }
        _ => None,
    };
    match hostvars {
        Some(value @ Json::Object(_)) => match node(value).data {
            Data::Mapping(entries) => entries,
            _ => Vec::new(),
        },
        other => {
            let at = other.or(meta).map_or(Span { start: 0, end: 1 }, span);
            draft.report(
                Code::Missing,
                at,
                "the answer has no `_meta` with `hostvars`",
                "let the program print `\"_meta\": {\"hostvars\": {\"web-1\": {…}}}`: it is run once, not once for each host; \
                 for our own language, print `\"inventory\": 1`",
            );
            Vec::new()
        }
    }
}

fn group(draft: &mut Draft, number: usize, name: &str, value: &Json<'_>) {
    let sections = match value {
        Json::Array(_) => return members(draft, number, "hosts", value),
        Json::Object(sections) => sections,
        _ => {
            let message = format!("the group `{}` must be an object or a list of hosts", name.escape_debug());
            draft.report(Code::WrongType, span(value), message, "print `{\"hosts\": [\"web-1\"]}`");
            return;
        }
    };
    for entry in &sections.properties {
        let (section, section_at) = name_of(entry);
        match section {
            "hosts" => members(draft, number, section, &entry.value),
            "children" => {
                for (child, child_at) in texts(draft, section, &entry.value) {
                    let child = draft.group(&child, child_at);
                    draft.child(number, child);
                }
            }
            "vars" => match node(&entry.value).data {
                Data::Mapping(vars) => {
                    for (key, node) in vars {
                        let var = var(draft, &key, &node);
                        draft.group_var(number, &key.name, var);
                    }
                }
                Data::Scalar(Value::Null) => {}
                _ => wrong_vars(draft, name, span(&entry.value)),
            },
            other => {
                let hint = match closest(other, SECTIONS) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => {
                        "a group has `hosts`, `vars` and `children`; variables belong into `vars`".to_owned()
                    }
                };
                let message =
                    format!("unknown key `{}` of the group `{}`", other.escape_debug(), name.escape_debug());
                draft.report(Code::UnknownKey, section_at, message, hint);
            }
        }
    }
}

fn members(draft: &mut Draft, group: usize, section: &str, value: &Json<'_>) {
    for (name, at) in texts(draft, section, value) {
        let (number, _) = draft.host(&name, at);
        draft.hosts[number].groups.insert(group);
    }
}

/// A list of names.
fn texts(draft: &mut Draft, section: &str, value: &Json<'_>) -> Vec<(String, Span)> {
    let wrong = |draft: &mut Draft, at: Span| {
        draft.report(
            Code::WrongType,
            at,
            format!("`{section}` must be a list of names"),
            format!("print `\"{section}\": [\"web-1\"]`"),
        );
    };
    let elements = match value {
        Json::Array(array) => &array.elements,
        Json::NullKeyword(_) => return Vec::new(),
        other => {
            wrong(draft, span(other));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for element in elements {
        match element {
            Json::StringLit(text) => found.push((text.value.clone().into_owned(), span(element))),
            other => wrong(draft, span(other)),
        }
    }
    found
}

fn of_hosts(draft: &mut Draft, hostvars: Vec<(Key, Node)>) {
    let mut strangers = Vec::new();
    for (key, node) in hostvars {
        let Some(number) = draft.hosts.iter().position(|host| host.name == key.name) else {
            strangers.push(key);
            continue;
        };
        let Data::Mapping(vars) = node.data else {
            if !node.is_null() {
                wrong_vars(draft, &key.name, node.span);
            }
            continue;
        };
        for (key, node) in vars {
            let var = var(draft, &key, &node);
            draft.hosts[number].vars.insert(key.name, var);
        }
    }
    if let Some(first) = strangers.first() {
        let names: Vec<String> =
            strangers.iter().take(5).map(|key| format!("`{}`", key.name.escape_debug())).collect();
        let more = if strangers.len() > names.len() { " and others" } else { "" };
        let message = format!("`hostvars` has hosts that are in no group: {}{more}", names.join(", "));
        let problem = Problem::at(Code::Unused, &draft.source, first.span, message);
        draft.problems.push(
            problem
                .because("they are left out, as in Ansible")
                .hint("name them in a group, such as `all`")
                .warning(),
        );
    }
}

fn wrong_vars(draft: &mut Draft, of: &str, at: Span) {
    let message = format!("the variables of `{}` must be an object", of.escape_debug());
    draft.report(Code::WrongType, at, message, "print `{\"name\": \"value\"}`");
}

fn var(draft: &Draft, key: &Key, node: &Node) -> Var {
    Var { value: node.json(), place: Place { source: draft.source.clone(), span: key.span } }
}

/// A value as the YAML form has it. A text in which Jinja would see a template is one here too.
fn node(json: &Json<'_>) -> Node {
    let data = match json {
        Json::NullKeyword(_) => Data::Scalar(Value::Null),
        Json::BooleanLit(boolean) => Data::Scalar(Value::Bool(boolean.value)),
        Json::StringLit(text) if draft::is_template(&text.value) => Data::Opaque(Opaque::Template),
        Json::StringLit(text) => Data::Scalar(Value::String(text.value.clone().into_owned())),
        // It was a number for the stricter parser, too.
        Json::NumberLit(number) => Data::Scalar(serde_json::from_str(number.value).unwrap_or(Value::Null)),
        Json::Array(array) => Data::List(array.elements.iter().map(node).collect()),
        Json::Object(object) => match object.properties.as_slice() {
            // How `ansible-inventory` prints what it must not show, and what is no template.
            [only] if only.name.as_str() == "__ansible_vault" => Data::Opaque(Opaque::Vault),
            [only] if only.name.as_str() == "__ansible_unsafe" => match &only.value {
                Json::StringLit(text) => Data::Scalar(Value::String(text.value.clone().into_owned())),
                other => node(other).data,
            },
            entries => {
                let entry = |entry: &jsonc_parser::ast::ObjectProp<'_>| {
                    let (name, at) = name_of(entry);
                    (Key { name: name.to_owned(), span: at, is_text: true }, node(&entry.value))
                };
                Data::Mapping(entries.iter().map(entry).collect())
            }
        },
    };
    Node::new(data, span(json))
}
