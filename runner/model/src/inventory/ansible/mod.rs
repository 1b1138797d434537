//! Inventories that people have for Ansible, used as they are.
//!
//! Both static forms are read, [`Form::Ini`] and [`Form::Yaml`], with the files of `group_vars` and `host_vars` beside
//! them. Groups become roles. The variables of a host are worked out with the precedence that Ansible documents, from
//! the one that says least:
//!
//! 1. variables of groups in the inventory: `all`, then groups from the outermost to the innermost;
//! 2. `group_vars/all`;
//! 3. `group_vars/GROUP`, from the outermost to the innermost;
//! 4. variables of the host in the inventory;
//! 5. `host_vars/HOST`.
//!
//! Groups of the same depth go by `ansible_group_priority`, then by name. What says how a host is reached becomes part
//! of the [`Target`](super::Target), and what cannot be done as it says is a problem. All else becomes `vars`; what only
//! Ansible could work out, a vault or a template, is left out of them with a warning, and a plan that refers to it is
//! refused.

mod draft;
pub(super) mod dynamic;
mod ini;
mod literal;
mod range;
mod target;
mod tree;
mod yaml;

use super::{Inventory, SshSettings, merge};
use crate::diagnostic::{Code, Problem, Problems};
use crate::read::{Reader, text_of};
use draft::{Draft, Vars};
use std::collections::BTreeMap;

/// How an inventory is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In our own language.
    Toml,
    /// Ansible's INI form.
    Ini,
    /// Ansible's YAML form, of which JSON is a part.
    Yaml,
}

impl Form {
    /// The form of a file: by its ending, and where that does not say, by its first line.
    pub fn of(name: &str, text: &[u8]) -> Self {
        let file = name.rsplit('/').next().unwrap_or_default();
        match file.rsplit_once('.').map(|(_, ending)| ending) {
            Some("toml") => return Self::Toml,
            Some("yml" | "yaml" | "json") => return Self::Yaml,
            Some("ini") => return Self::Ini,
            _ => {}
        }
        let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let first = lines
            .into_iter()
            .find(|line| !line.is_empty() && !line.starts_with(b"#") && !line.starts_with(b";"));
        match first {
            Some(line)
                if line
                    .strip_prefix(b"inventory")
                    .is_some_and(|l| l.trim_ascii_start().starts_with(b"=")) =>
            {
                Self::Toml
            }
            Some(line) if line == b"---" || line.starts_with(b"{") || line.ends_with(b":") => Self::Yaml,
            _ => Self::Ini,
        }
    }
}

/// Whose variables a file holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// A group's.
    Group(String),
    /// A host's.
    Host(String),
}

/// A file of `group_vars` or `host_vars`.
#[derive(Debug, Clone)]
pub struct VarsFile {
    /// Whose variables it holds.
    pub whose: Whose,
    /// The file as problems name it.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Another file of the same group or host, because of which Ansible does not read this one.
    pub hidden_by: Option<String>,
}

impl Inventory {
    /// Reads as much of an inventory of Ansible's as can be read, as [`Inventory::read`] does for our own. `name`: the
    /// file as problems name it. `vars`: the files beside it, of each group and each host in the order in which they are
    /// read; those of others are not looked at.
    pub fn read_ansible(name: &str, bytes: &[u8], form: Form, vars: &[VarsFile]) -> (Self, Problems) {
        let source = match text_of(name, bytes) {
            Ok(source) => source,
            Err(problems) => return (Self::unread(name), problems),
        };
        if source.text().starts_with("#!") {
            let span = (0..source.text().find('\n').unwrap_or(source.text().len())).into();
            let problem = Problem::at(Code::NotYetSupported, &source, span, "the inventory is a program")
                .hint("name it as one: `inventory = { command = [\"./FILE\", \"--list\"] }`");
            return (Self::unread(name), problem.into());
        }
        let mut draft = Draft::new(source.clone());
        match form {
            Form::Yaml => tree::read(&mut draft),
            Form::Ini | Form::Toml => ini::read(&mut draft),
        }
        draft.finish();
        let files = files(&mut draft, vars);
        made(draft, &files)
    }
}

/// The inventory that a draft is, with what the files beside it say.
fn made(mut draft: Draft, files: &BTreeMap<Whose, Vars>) -> (Inventory, Problems) {
    let reader = Reader::new(draft.source.clone());
    if draft.hosts.is_empty() && !draft.problems.has_errors() {
        let span = (0..0).into();
        reader.push(
            reader
                .problem(Code::Missing, span, "an inventory needs at least one host")
                .hint("write the name of one, below `[web]`"),
        );
    }
    let targets = target::targets(&mut draft, files);
    if !draft.problems.has_errors() {
        merge::same_place(&reader, &targets);
    }
    let mut problems = draft.problems;
    problems.extend(reader.into_problems());
    let has_gaps = problems.has_errors();
    let ssh = SshSettings::default();
    (Inventory { source: draft.source, targets, ssh, has_gaps, left_out: Default::default() }, problems)
}

/// What the files beside the inventory say of its groups and hosts.
fn files(draft: &mut Draft, vars: &[VarsFile]) -> BTreeMap<Whose, Vars> {
    let mut said: BTreeMap<Whose, Vars> = BTreeMap::new();
    for file in vars {
        let is_known = match &file.whose {
            Whose::Group(name) => draft.groups.iter().any(|group| group.name == *name),
            Whose::Host(name) => draft.hosts.iter().any(|host| host.name == *name),
        };
        if !is_known {
            continue;
        }
        if let Some(other) = &file.hidden_by {
            let message = format!("the file is not read, as in Ansible, since there is `{other}`");
            let problem = Problem::with_file(Code::Unused, file.name.clone(), message);
            draft.problems.push(problem.hint("move what it says into the other one").warning());
            continue;
        }
        match text_of(&file.name, &file.bytes) {
            Ok(source) => {
                let read = tree::file_of_vars(draft, &source);
                said.entry(file.whose.clone()).or_default().extend(read);
            }
            Err(problems) => draft.problems.extend(problems),
        }
    }
    said
}

#[cfg(test)]
mod tests;
