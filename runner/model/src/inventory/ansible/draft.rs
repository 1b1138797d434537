//! What an Ansible inventory says, before it is worked out what that means for each host: hosts, groups of groups, and
//! variables with their places.

use crate::diagnostic::{Code, Problem, Problems};
use crate::source::{Source, Span};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The group that every host is in.
pub(super) const ALL: usize = 0;
/// The group of hosts that are in no other one.
pub(super) const UNGROUPED: usize = 1;

/// A place in one of the files.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) source: Source,
    pub(super) span: Span,
}

impl Place {
    pub(super) fn problem(&self, code: Code, message: impl Into<String>) -> Problem {
        Problem::at(code, &self.source, self.span, message)
    }

    /// `group_vars/web.yml:3`
    pub(super) fn line(&self) -> String {
        format!("{}:{}", self.source.name(), self.source.line_and_column(self.span.start).0)
    }
}

/// Why only Ansible knows what a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opaque {
    Vault,
    Template,
    NotJson,
}

impl Opaque {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Vault => "encrypted by `ansible-vault`",
            Self::Template => "a Jinja template",
            Self::NotJson => "no value that JSON has",
        }
    }
}

/// A variable.
#[derive(Debug, Clone)]
pub(super) struct Var {
    pub(super) value: Result<Value, Opaque>,
    pub(super) place: Place,
}

pub(super) type Vars = BTreeMap<String, Var>;

/// Text, which is a template where Jinja would see one.
pub(super) fn of_value(value: Value) -> Result<Value, Opaque> {
    if holds_template(&value) { Err(Opaque::Template) } else { Ok(value) }
}

fn holds_template(value: &Value) -> bool {
    match value {
        Value::String(text) => is_template(text),
        Value::Array(values) => values.iter().any(holds_template),
        Value::Object(entries) => entries.values().any(holds_template),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

pub(super) fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

/// A host as it is written.
#[derive(Debug)]
pub(super) struct DraftHost {
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) vars: Vars,
    /// The groups that name it.
    pub(super) groups: BTreeSet<usize>,
}

/// A group as it is written.
#[derive(Debug)]
pub(super) struct DraftGroup {
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) vars: Vars,
    pub(super) parents: BTreeSet<usize>,
    /// `ansible_group_priority`.
    pub(super) priority: i64,
    /// The longest way from `all`.
    pub(super) depth: usize,
}

/// What has been read so far.
pub(super) struct Draft {
    pub(super) source: Source,
    /// In the order in which they are first named.
    pub(super) hosts: Vec<DraftHost>,
    pub(super) groups: Vec<DraftGroup>,
    pub(super) problems: Problems,
    host_numbers: HashMap<String, usize>,
    group_numbers: HashMap<String, usize>,
}

impl Draft {
    pub(super) fn new(source: Source) -> Self {
        let mut draft = Self {
            source,
            hosts: Vec::new(),
            groups: Vec::new(),
            problems: Problems::new(),
            host_numbers: HashMap::new(),
            group_numbers: HashMap::new(),
        };
        draft.group("all", Span::default());
        draft.group("ungrouped", Span::default());
        draft
    }

    pub(super) fn place(&self, span: Span) -> Place {
        Place { source: self.source.clone(), span }
    }

    /// Reports a problem in the inventory itself.
    pub(super) fn report(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let problem = Problem::at(code, &self.source, span, message).hint(hint);
        self.problems.push(problem);
    }

    pub(super) fn group(&mut self, name: &str, span: Span) -> usize {
        if let Some(number) = self.group_numbers.get(name) {
            return *number;
        }
        let number = self.groups.len();
        self.groups.push(DraftGroup {
            name: name.to_owned(),
            span,
            vars: Vars::new(),
            parents: BTreeSet::new(),
            priority: 1,
            depth: 0,
        });
        self.group_numbers.insert(name.to_owned(), number);
        number
    }

    /// The number of a host, and whether it is named for the first time.
    pub(super) fn host(&mut self, name: &str, span: Span) -> (usize, bool) {
        if let Some(number) = self.host_numbers.get(name) {
            return (*number, false);
        }
        let number = self.hosts.len();
        let host = DraftHost { name: name.to_owned(), span, vars: Vars::new(), groups: BTreeSet::new() };
        self.hosts.push(host);
        self.host_numbers.insert(name.to_owned(), number);
        (number, true)
    }

    /// The hosts that a pattern stands for, as members of a group.
    pub(super) fn members(&mut self, group: usize, pattern: &str, span: Span) -> Vec<usize> {
        let (names, port) = match super::range::expand(pattern) {
            Ok(expanded) => expanded,
            Err(why) => {
                let message = format!("the host `{}` {why}", pattern.escape_debug());
                self.report(
                    Code::BadValue,
                    span,
                    message,
                    "write a name, or a range as in `web[01:50].example.org`",
                );
                return Vec::new();
            }
        };
        let mut numbers = Vec::new();
        for name in names {
            let (number, is_new) = self.host(&name, span);
            if let Some(port) = port.filter(|_| is_new) {
                let place = self.place(span);
                self.hosts[number]
                    .vars
                    .insert("ansible_port".to_owned(), Var { value: Ok(port.into()), place });
            }
            self.hosts[number].groups.insert(group);
            numbers.push(number);
        }
        numbers
    }

    /// A variable of a group.
    pub(super) fn group_var(&mut self, group: usize, name: &str, var: Var) {
        if name != "ansible_group_priority" {
            self.groups[group].vars.insert(name.to_owned(), var);
            return;
        }
        match var.value.as_ref().ok().and_then(whole) {
            Some(priority) => self.groups[group].priority = priority,
            None => {
                let problem =
                    var.place.problem(Code::WrongType, "`ansible_group_priority` must be a whole number");
                self.problems.push(problem.hint("write a number: the group with the larger one wins"));
            }
        }
    }

    pub(super) fn child(&mut self, parent: usize, child: usize) {
        // `all` holds every group anyway.
        if child != ALL {
            self.groups[child].parents.insert(parent);
        }
    }

    /// Puts groups without a parent below `all`, and hosts without a group into `ungrouped`; says how deep each group
    /// is. Groups that hold themselves are reported.
    pub(super) fn finish(&mut self) {
        for (number, group) in self.groups.iter_mut().enumerate() {
            if number != ALL && group.parents.is_empty() {
                group.parents.insert(ALL);
            }
        }
        for host in &mut self.hosts {
            if host.groups.iter().any(|group| *group != ALL && *group != UNGROUPED) {
                host.groups.remove(&UNGROUPED);
            } else {
                host.groups.insert(UNGROUPED);
            }
        }
        // In rounds: a group is as deep as its deepest parent and one more. More rounds than groups are a loop.
        for round in 0..=self.groups.len() {
            let mut changed = None;
            for number in 1..self.groups.len() {
                let parents = self.groups[number].parents.iter();
                let depth = parents.map(|parent| self.groups[*parent].depth + 1).max().unwrap_or(1);
                if depth > self.groups[number].depth {
                    self.groups[number].depth = depth;
                    changed = Some(number);
                }
            }
            match changed {
                None => return,
                Some(number) if round == self.groups.len() => {
                    let (name, span) =
                        (self.groups[number].name.escape_debug().to_string(), self.groups[number].span);
                    let message = format!("the group `{name}` is in a loop of groups that hold each other");
                    self.report(
                        Code::Conflict,
                        span,
                        message,
                        "remove one of the groups from `children` of another",
                    );
                    for group in &mut self.groups {
                        group.parents.clear();
                    }
                }
                Some(_) => {}
            }
        }
    }

    /// The groups of a host and all that hold them, from the one that says least to the one that wins.
    pub(super) fn groups_of(&self, host: &DraftHost) -> Vec<usize> {
        let mut found = BTreeSet::from([ALL]);
        let mut open: Vec<usize> = host.groups.iter().copied().collect();
        while let Some(group) = open.pop() {
            if found.insert(group) {
                open.extend(&self.groups[group].parents);
            }
        }
        let mut found: Vec<usize> = found.into_iter().collect();
        found.sort_by_key(|number| {
            let group = &self.groups[*number];
            (group.depth, group.priority, group.name.clone())
        });
        found
    }
}

/// A whole number, also one that is written as text.
pub(super) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
