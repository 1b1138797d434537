//! What an inventory means: a target's own key wins over its group's, and that over the default.

use super::read::Parsed;
use super::{ConnectionKind, Group, Host, Inventory, Settings, Target, TargetEntry};
use crate::diagnostic::Code;
use crate::read::Reader;
use crate::source::{Span, Spanned};
use crate::suggest::closest;
use crate::{GroupName, TargetName, VarName};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

pub(super) fn merge(reader: &Reader, parsed: &Parsed) -> Inventory {
    let groups = memberships(reader, parsed);
    let mut targets = Vec::new();
    for name in &parsed.targets {
        if let Some(entry) = parsed.file.target.get(&name.value) {
            let groups = groups.get(&name.value).map_or(&[][..], Vec::as_slice);
            targets.extend(target(reader, name, entry, groups, &parsed.file.defaults));
        }
    }
    same_place(reader, &targets);
    Inventory {
        source: reader.source.clone(),
        targets,
        ssh: parsed.file.ssh.clone(),
        has_gaps: false,
        left_out: Default::default(),
    }
}

type Membership<'a> = (&'a GroupName, &'a Group);

/// The groups of each target, in the order of the file.
fn memberships<'a>(reader: &Reader, parsed: &'a Parsed) -> HashMap<TargetName, Vec<Membership<'a>>> {
    let mut found: HashMap<TargetName, Vec<Membership<'a>>> = HashMap::new();
    for name in &parsed.groups {
        let Some(group) = parsed.file.group.get(&name.value) else { continue };
        let mut seen: HashMap<&TargetName, Span> = HashMap::new();
        for member in &group.targets {
            if let Some(first) = seen.insert(&member.value, member.span) {
                reader.push(
                    reader
                        .problem(
                            Code::Duplicate,
                            member.span,
                            format!("`{}` is twice in this group", member.value),
                        )
                        .also(first, "the first time"),
                );
                continue;
            }
            if !parsed.file.target.contains_key(&member.value) {
                let known = parsed.targets.iter().map(|target| target.as_str());
                let near = closest(member.as_str(), known).map(|near| format!("did you mean `{near}`?"));
                reader.push(
                    reader
                        .problem(
                            Code::UnknownName,
                            member.span,
                            format!("there is no target `{}`", member.value),
                        )
                        .hint(format!("add `[target.{}]` to this inventory", member.value))
                        .maybe_hint(near),
                );
                continue;
            }
            found.entry(member.value.clone()).or_default().push((&name.value, group));
        }
    }
    found
}

fn target(
    reader: &Reader,
    name: &Spanned<TargetName>,
    entry: &TargetEntry,
    groups: &[Membership<'_>],
    defaults: &Settings,
) -> Option<Target> {
    let chosen = Choose { reader, name, own: &entry.settings, groups, defaults };
    let address = match &entry.address {
        Some(address) => address.value.clone(),
        // Every name of a target is a host: a target's name is stricter.
        None => name.as_str().parse::<Host>().ok()?,
    };
    let mut roles: Vec<_> = entry
        .roles
        .iter()
        .chain(groups.iter().flat_map(|(_, group)| &group.roles))
        .map(|r| r.value.clone())
        .collect();
    roles.sort_unstable();
    roles.dedup();
    let mut labels: Vec<_> = entry
        .labels
        .iter()
        .chain(groups.iter().flat_map(|(_, group)| &group.labels))
        .map(|label| label.value.clone())
        .collect();
    labels.sort_unstable();
    labels.dedup();
    let local = if name.is_localhost() { ConnectionKind::Local } else { ConnectionKind::Ssh };
    Some(Target {
        name: name.value.clone(),
        span: name.span,
        http_address: entry.http_address.as_ref().map_or_else(|| address.clone(), |host| host.value.clone()),
        address,
        roles,
        labels,
        groups: groups.iter().map(|(group, _)| group.to_string()).collect(),
        user: chosen.one("user", |settings| settings.user.as_ref()),
        port: chosen.one("port", |settings| settings.port.as_ref()),
        identity: None,
        jump: chosen.one("jump", |settings| settings.jump.as_ref()),
        acts_as: chosen.one("become", |settings| settings.acts_as.as_ref()),
        root: chosen.one("root", |settings| settings.root.as_ref()),
        vars: chosen.vars(),
        service_command: chosen.one("service-command", |settings| settings.service_command.as_ref()),
        connection: chosen.one("connection", |settings| settings.connection.as_ref()).unwrap_or(local),
    })
}

/// The levels that a key of a target can come from.
struct Choose<'a> {
    reader: &'a Reader,
    name: &'a Spanned<TargetName>,
    own: &'a Settings,
    groups: &'a [Membership<'a>],
    defaults: &'a Settings,
}

impl<'a> Choose<'a> {
    fn one<T, F>(&self, key: &str, of: F) -> Option<T>
    where
        T: Clone + PartialEq + 'a,
        F: Fn(&'a Settings) -> Option<&'a Spanned<T>>,
    {
        if let Some(own) = of(self.own) {
            return Some(own.value.clone());
        }
        let mut found: Option<(&GroupName, &Spanned<T>)> = None;
        for (group, settings) in self.groups.iter().map(|(name, group)| (*name, &group.settings)) {
            let Some(value) = of(settings) else { continue };
            match found {
                Some((first, other)) if other.value != value.value => {
                    let target = &self.name.value;
                    self.reader.push(
                        self.reader
                            .problem(
                                Code::Conflict,
                                value.span,
                                format!("the groups `{first}` and `{group}` disagree on `{key}` of target `{target}`"),
                            )
                            .because(format!("`{group}` says this"))
                            .also(other.span, format!("`{first}` says this"))
                            .hint(format!("say `{key}` in `[target.{target}]` itself: it wins over its groups")),
                    );
                }
                Some(_) => {}
                None => found = Some((group, value)),
            }
        }
        found
            .map(|(_, value)| value.value.clone())
            .or_else(|| of(self.defaults).map(|value| value.value.clone()))
    }

    fn vars(&self) -> BTreeMap<VarName, Value> {
        let levels = || self.groups.iter().map(|(_, group)| &group.settings).chain([self.own, self.defaults]);
        let names: std::collections::BTreeSet<&VarName> =
            levels().flat_map(|settings| settings.vars.keys()).collect();
        names
            .into_iter()
            .filter_map(|name| {
                let value = self.one(&format!("vars.{name}"), |settings| settings.vars.get(name))?;
                Some((name.clone(), value))
            })
            .collect()
    }
}

/// Two targets that are the same place would be released to at the same time, by two flows that do not know of each
/// other.
pub(super) fn same_place(reader: &Reader, targets: &[Target]) {
    let mut seen: HashMap<_, &Target> = HashMap::new();
    for target in targets {
        let address = match target.connection {
            // Every local target is this machine, whatever its address.
            ConnectionKind::Local => None,
            ConnectionKind::Ssh => Some((&target.address, target.port, &target.jump)),
        };
        let place = (address, &target.root, &target.user);
        if let Some(other) = seen.insert(place, target) {
            let message = format!("the targets `{}` and `{}` are the same place", other.name, target.name);
            let cause = match target.connection {
                ConnectionKind::Local => "also this machine, with the same `root`",
                ConnectionKind::Ssh => "the same `address`, `port`, `user` and `root`",
            };
            reader.push(
                reader
                    .problem(Code::Duplicate, target.span, message)
                    .because(cause)
                    .also(other.span, "the first one")
                    .hint("remove one of them, or give each its own `root`"),
            );
        }
    }
}
