//! The YAML form: groups by name, each with `hosts`, `vars` and `children`.

use super::draft::{Draft, Var, Vars};
use super::yaml::{self, Data, Key, Node};
use crate::diagnostic::Code;
use crate::source::Source;
use crate::suggest::closest;
use serde_json::Value;

/// Reads the text of the draft's source.
pub(super) fn read(draft: &mut Draft) {
    let source = draft.source.clone();
    let Some(root) = document(draft, &source) else { return };
    let span = root.span;
    let Data::Mapping(groups) = root.data else {
        let message = format!("an inventory is a mapping of groups, not {}", root.kind());
        draft.report(Code::WrongType, span, message, "write `all:` with `hosts:` below it");
        return;
    };
    if let Some((key, _)) = groups.iter().find(|(key, _)| key.name == "plugin") {
        draft.report(
            Code::NotYetSupported,
            key.span,
            "this is the configuration of an inventory plugin, not an inventory",
            "let `ansible-inventory -i FILE --list --yaml --output hosts.yml` write one, and name that",
        );
        return;
    }
    for (key, node) in &groups {
        group(draft, key, node, None);
    }
}

/// The document of a file, with what is wrong reported.
fn document(draft: &mut Draft, source: &Source) -> Option<Node> {
    let mut warnings = Vec::new();
    let read = yaml::read(source, &mut warnings);
    for warning in warnings {
        draft.problems.push(warning);
    }
    match read {
        Ok(node) => node.filter(|node| !node.is_null()),
        Err(problem) => {
            draft.problems.push(*problem);
            None
        }
    }
}

fn group(draft: &mut Draft, key: &Key, node: &Node, parent: Option<usize>) {
    let number = draft.group(&key.name, key.span);
    if let Some(parent) = parent {
        draft.child(parent, number);
    }
    let sections = match &node.data {
        Data::Mapping(sections) => sections,
        _ if node.is_null() => return,
        _ => {
            let message =
                format!("the group `{}` must be a mapping, not {}", key.name.escape_debug(), node.kind());
            draft.report(
                Code::WrongType,
                node.span,
                message,
                "write `hosts:`, `vars:` or `children:` below it",
            );
            return;
        }
    };
    for (section, node) in sections {
        match section.name.as_str() {
            "vars" => {
                for (name, var) in vars(draft, section, node) {
                    draft.group_var(number, &name, var);
                }
            }
            "children" => {
                for (key, node) in entries(draft, section, node) {
                    group(draft, &key, &node, Some(number));
                }
            }
            "hosts" => {
                for (key, node) in entries(draft, section, node) {
                    if !key.is_text {
                        let message = format!("the name of a host must be text, not `{}`", key.name);
                        draft.report(Code::WrongType, key.span, message, "put it into quotes");
                        continue;
                    }
                    let numbers = draft.members(number, &key.name, key.span);
                    let vars = vars(draft, &key, &node);
                    for host in numbers {
                        draft.hosts[host]
                            .vars
                            .extend(vars.iter().map(|(name, var)| (name.clone(), var.clone())));
                    }
                }
            }
            other => {
                let hint = match closest(other, ["hosts", "vars", "children"]) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => {
                        "a group has `hosts`, `vars` and `children`; variables belong below `vars`".to_owned()
                    }
                };
                let message = format!("unknown key `{}` of a group", other.escape_debug());
                draft.report(Code::UnknownKey, section.span, message, hint);
            }
        }
    }
}

/// The entries of a section. One name alone is a mapping with nothing behind it.
fn entries(draft: &mut Draft, section: &Key, node: &Node) -> Vec<(Key, Node)> {
    match &node.data {
        Data::Mapping(entries) => entries.clone(),
        Data::Scalar(Value::Null) => Vec::new(),
        Data::Scalar(Value::String(name)) => {
            let key = Key { name: name.clone(), span: node.span, is_text: true };
            vec![(key, node.emptied())]
        }
        _ => {
            let message = format!("`{}` must be a mapping, not {}", section.name, node.kind());
            draft.report(
                Code::WrongType,
                section.span,
                message,
                "write one name a line, with a `:` behind it",
            );
            Vec::new()
        }
    }
}

/// The variables of a mapping.
fn vars(draft: &mut Draft, of: &Key, node: &Node) -> Vars {
    let source = draft.source.clone();
    match variables(node, &source) {
        Some(vars) => vars,
        None => {
            let message = format!(
                "the variables of `{}` must be a mapping, not {}",
                of.name.escape_debug(),
                node.kind()
            );
            draft.report(Code::WrongType, node.span, message, "write `name: value` below it");
            Vars::new()
        }
    }
}

/// A node as variables; `None`: it is no mapping.
fn variables(node: &Node, source: &Source) -> Option<Vars> {
    let entries = match &node.data {
        Data::Mapping(entries) => entries,
        Data::Scalar(Value::Null) => return Some(Vars::new()),
        _ => return None,
    };
    let var = |(key, node): &(Key, Node)| {
        let place = super::draft::Place { source: source.clone(), span: key.span };
        (key.name.clone(), Var { value: node.json(), place })
    };
    Some(entries.iter().map(var).collect())
}

/// A file of variables, from `group_vars` or `host_vars`.
pub(super) fn file_of_vars(draft: &mut Draft, source: &Source) -> Vars {
    let Some(node) = document(draft, source) else { return Vars::new() };
    if let Data::Opaque(why) = node.data {
        // Which variables are in it, nobody knows: one of them could say how a host is reached.
        let place = super::draft::Place { source: source.clone(), span: node.span };
        let problem =
            place.problem(Code::NotYetSupported, format!("the whole file is {}: it is left out", why.word()));
        draft.problems.push(
            problem
                .because("what it says of how hosts are reached does not count")
                .hint("encrypt only the secret values in it, with `ansible-vault encrypt_string`, to be rid of this warning")
                .warning(),
        );
        return Vars::new();
    }
    variables(&node, source).unwrap_or_else(|| {
        let place = super::draft::Place { source: source.clone(), span: node.span };
        let problem =
            place.problem(Code::WrongType, format!("a file of variables is a mapping, not {}", node.kind()));
        draft.problems.push(problem.hint("write `name: value`, one a line"));
        Vars::new()
    })
}
