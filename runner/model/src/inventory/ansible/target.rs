//! From hosts with variables to targets: what says how a host is reached, and what is left for `vars`.

use super::Whose;
use super::draft::{Draft, Place, Var, Vars, whole};
use crate::diagnostic::{Code, Problem};
use crate::inventory::{ConnectionKind, Host, ServiceCommand, Target, host};
use crate::suggest::closest;
use crate::{LabelName, RemotePath, RoleName, TargetName, UserName, VarName};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

/// What a variable of ours may be called; Ansible does not look at them.
const OURS: [&str; 5] =
    ["runner_root", "runner_labels", "runner_http_address", "runner_jump", "runner_service_command"];

/// Variables that would change how a host is reached, in a way that this runner does not: what they are called and
/// what to do instead.
const REFUSED: [(&[&str], &str); 4] = [
    (
        &["ansible_password", "ansible_ssh_pass", "ansible_ssh_password"],
        "ssh is asked for no password: let the login user have a key, in an agent or by `ansible_ssh_private_key_file`",
    ),
    (
        &["ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"],
        "sudo is asked without a password: allow it to the login user with `NOPASSWD` in sudoers",
    ),
    (
        &["ansible_ssh_executable", "ansible_become_exe", "ansible_become_flags", "ansible_shell_executable"],
        "remove it: the system's `ssh`, `sudo -n` and `sh` are used",
    ),
    (
        &["ansible_ssh_host_key_checking", "ansible_host_key_checking"],
        "remove it: host keys are always checked",
    ),
];

/// The targets, in the order of the inventory.
pub(super) fn targets(draft: &mut Draft, files: &BTreeMap<Whose, Vars>) -> Vec<Target> {
    let (mut targets, mut left, mut no_roles) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    let mut problems = std::mem::take(&mut draft.problems);
    for host in &draft.hosts {
        let groups = draft.groups_of(host);
        let mut vars = Vars::new();
        let mut add = |more: &Vars| vars.extend(more.iter().map(|(name, var)| (name.clone(), var.clone())));
        groups.iter().for_each(|group| add(&draft.groups[*group].vars));
        // A file's variables win over all that the inventory itself says of groups.
        for group in &groups {
            if let Some(file) = files.get(&Whose::Group(draft.groups[*group].name.clone())) {
                add(file);
            }
        }
        add(&host.vars);
        if let Some(file) = files.get(&Whose::Host(host.name.clone())) {
            add(file);
        }
        let place = Place { source: draft.source.clone(), span: host.span };
        let mut making = Making { problems: &mut problems, vars, place, left: &mut left };
        let names: Vec<String> = groups.iter().map(|group| draft.groups[*group].name.clone()).collect();
        for group in &groups {
            let (name, span) = (&draft.groups[*group].name, draft.groups[*group].span);
            if let Err(why) = name.parse::<RoleName>() {
                no_roles.insert((span, name.clone(), why.to_string()));
            }
        }
        targets.extend(making.target(&host.name, &names));
    }
    for (span, _, why) in no_roles {
        problems.push(
            Problem::at(Code::BadValue, &draft.source, span, format!("{why}: no plan can name this group"))
                .hint("give the group another name where a plan is to release to it")
                .warning(),
        );
    }
    if let Some(problem) = left_out(draft, &left) {
        problems.push(problem);
    }
    draft.problems = problems;
    targets
}

/// Says once which variables are not there.
fn left_out(draft: &Draft, left: &BTreeMap<(String, String), (Place, String)>) -> Option<Problem> {
    const SHOWN: usize = 8;
    let ((_, first), (place, _)) = left.iter().next()?;
    let names: Vec<String> = left
        .iter()
        .map(|((_, name), (place, why))| format!("`{}` ({}, {why})", name.escape_debug(), place.line()))
        .collect();
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("\nand {more} more"),
    };
    let shown = names[..names.len().min(SHOWN)].join("\n");
    let (count, are) = if left.len() == 1 {
        ("a variable".to_owned(), "is")
    } else {
        (format!("{} variables", left.len()), "are")
    };
    let place =
        if place.source.name() == draft.source.name() { place.clone() } else { draft.place((0..0).into()) };
    Some(
        place
            .problem(Code::Unused, format!("{count} of the inventory {are} left out of `vars`"))
            .hint(format!("{shown}{more}\na plan that refers to `${{target.vars.{first}}}` is refused"))
            .warning(),
    )
}

/// A target in the making.
struct Making<'a> {
    problems: &'a mut crate::Problems,
    vars: Vars,
    place: Place,
    /// Variables that are not there, by file and name.
    left: &'a mut BTreeMap<(String, String), (Place, String)>,
}

impl Making<'_> {
    fn target(&mut self, name: &str, groups: &[String]) -> Option<Target> {
        let target_name = match name.parse::<TargetName>() {
            Ok(name) => Some(name),
            Err(why) => {
                let hint =
                    "give it a short name of its own, and say where it is: `web-1 ansible_host=2001:db8::1`";
                self.report(&self.place.clone(), Code::BadValue, why.to_string(), hint);
                None
            }
        };
        self.refused();
        let connection = self.connection(name);
        let address = self.parsed::<Host>(&["ansible_ssh_host", "ansible_host"]);
        let port = self.port();
        let user = self.parsed::<UserName>(&["ansible_ssh_user", "ansible_user"]);
        let key = self.text(&["ansible_ssh_private_key_file", "ansible_private_key_file"]);
        let acts_as = self.acts_as();
        let jump = self.jump();
        let root = self.root();
        let http_address = self.parsed::<Host>(&["runner_http_address"]);
        let labels = self.labels();
        let service_command = self.service_command();
        self.unknown_of_ours();
        let vars = self.rest();
        let name = target_name?;
        let address = match address {
            Some(address) => address,
            // Every name of a target is a host: a target's name is stricter.
            None => name.as_str().parse::<Host>().ok()?,
        };
        let mut roles: Vec<RoleName> = groups.iter().filter_map(|group| group.parse().ok()).collect();
        roles.sort_unstable();
        Some(Target {
            span: self.place.span,
            http_address: http_address.unwrap_or_else(|| address.clone()),
            address,
            roles,
            labels,
            groups: groups.to_vec(),
            user,
            port,
            jump,
            identity: key.map(PathBuf::from),
            acts_as,
            root,
            vars,
            service_command,
            connection,
            name,
        })
    }

    fn report(&mut self, place: &Place, code: Code, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(place.problem(code, message).hint(hint));
    }

    /// Takes the first of these variables that is there, as its value. The others say nothing any more. One that is
    /// null says nothing at all.
    fn take(&mut self, names: &[&str]) -> Option<(String, Value, Place)> {
        let mut found = None;
        for name in names {
            let Some(Var { value, place }) = self.vars.remove(*name) else { continue };
            match value {
                Err(why) => {
                    let message = format!("`{name}` is {}, and it says how the host is reached", why.word());
                    self.report(&place, Code::NotYetSupported, message, "write the value itself");
                }
                Ok(Value::Null) => {}
                Ok(value) if found.is_none() => found = Some(((*name).to_owned(), value, place)),
                Ok(_) => {}
            }
        }
        found
    }

    /// The same, as text.
    fn text(&mut self, names: &[&str]) -> Option<String> {
        let (name, value, place) = self.take(names)?;
        match value {
            Value::String(text) if !text.is_empty() && !text.chars().any(char::is_control) => Some(text),
            // A host called `8` is a number in both forms.
            Value::Number(number) => Some(number.to_string()),
            _ => {
                self.report(
                    &place,
                    Code::WrongType,
                    format!("`{name}` must be one line of text"),
                    "put it into quotes",
                );
                None
            }
        }
    }

    fn parsed<T: FromStr<Err: Display>>(&mut self, names: &[&str]) -> Option<T> {
        let place = names.iter().find_map(|name| Some(self.vars.get(*name)?.place.clone()))?;
        let text = self.text(names)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(why) => {
                let hint = format!("write another value for `{}`", names.last().copied().unwrap_or_default());
                self.report(&place, Code::BadValue, why.to_string(), hint);
                None
            }
        }
    }

    fn refused(&mut self) {
        for (names, hint) in REFUSED {
            for name in names {
                if let Some(var) = self.vars.remove(*name)
                    && !matches!(var.value, Ok(Value::Null))
                {
                    let message = format!("`{name}` cannot be done as it says");
                    self.report(&var.place, Code::NotYetSupported, message, hint);
                }
            }
        }
    }

    fn connection(&mut self, host: &str) -> ConnectionKind {
        let default = if host == "localhost" { ConnectionKind::Local } else { ConnectionKind::Ssh };
        let Some((name, value, place)) = self.take(&["ansible_connection"]) else { return default };
        match value.as_str().map(|text| text.strip_prefix("ansible.builtin.").unwrap_or(text)) {
            Some("local") => ConnectionKind::Local,
            Some("ssh" | "smart" | "paramiko" | "paramiko_ssh") => ConnectionKind::Ssh,
            _ => {
                let message = format!("`{name}` must be `ssh` or `local`, not `{}`", shown(&value));
                let hint = "targets are reached over OpenSSH, or are this machine: keep other hosts in an inventory of their own";
                self.report(&place, Code::NotYetSupported, message, hint);
                default
            }
        }
    }

    fn port(&mut self) -> Option<u16> {
        let (name, value, place) = self.take(&["ansible_ssh_port", "ansible_port"])?;
        let port = whole(&value).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
        if port.is_none() {
            let message = format!("`{name}` must be from 1 to 65535, not `{}`", shown(&value));
            self.report(&place, Code::BadValue, message, "write the port of ssh");
        }
        port
    }

    /// As in Ansible, a user to become counts where there is something to become.
    fn acts_as(&mut self) -> Option<UserName> {
        let wanted = self.take(&["ansible_become"]).is_some_and(|(name, value, place)| {
            let truth = truth(&value);
            if truth.is_none() {
                let message = format!("`{name}` must be true or false, not `{}`", shown(&value));
                self.report(&place, Code::WrongType, message, "write `true` or `false`");
            }
            truth.unwrap_or_default()
        });
        if let Some((name, value, place)) = self.take(&["ansible_become_method"])
            && wanted
            && !matches!(value.as_str(), Some("sudo" | "ansible.builtin.sudo"))
        {
            let message = format!("`{name}` must be `sudo`, not `{}`", shown(&value));
            self.report(
                &place,
                Code::NotYetSupported,
                message,
                "another user is become through `sudo -n` only",
            );
        }
        let user = self.parsed::<UserName>(&["ansible_become_user"]);
        if !wanted {
            return None;
        }
        Some(user.unwrap_or_else(UserName::root))
    }

    /// Arguments of ssh that only name a host to connect through are a jump; others belong into the ssh configuration.
    fn jump(&mut self) -> Option<String> {
        let own_place = self.vars.get("runner_jump").map(|var| var.place.clone());
        let own = self.text(&["runner_jump"]).zip(own_place);
        let mut found = None;
        for name in ["ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args"] {
            let Some((name, value, place)) = self.take(&[name]) else { continue };
            match value.as_str().map(str::trim) {
                Some("") => {}
                Some(text) if jump_of(text).is_some() => found = jump_of(text).map(|jump| (jump, place)),
                _ => {
                    let message = format!("`{name}` has other arguments than a host to connect through");
                    let hint = "write `-J HOST` or `-o ProxyJump=HOST`, and put all else below `Host` in `~/.ssh/config`: it is read";
                    self.report(&place, Code::NotYetSupported, message, hint);
                }
            }
        }
        let (jump, place) = own.or(found)?;
        match host::check_jump(&jump) {
            Ok(()) => Some(jump),
            Err(why) => {
                self.report(
                    &place,
                    Code::BadValue,
                    why,
                    "write `user@bastion.example.org:22`, and several hops with commas",
                );
                None
            }
        }
    }

    fn root(&mut self) -> Option<RemotePath> {
        let place = self.vars.get("runner_root").map(|var| var.place.clone())?;
        let root = self.parsed::<RemotePath>(&["runner_root"])?;
        if root == RemotePath::root() {
            self.report(&place, Code::BadValue, "`/` cannot be the release root", "write `/srv/shop`");
            return None;
        }
        Some(root)
    }

    fn labels(&mut self) -> Vec<LabelName> {
        let Some((name, value, place)) = self.take(&["runner_labels"]) else { return Vec::new() };
        let texts = match &value {
            Value::String(text) => {
                Some(text.split(',').map(|label| label.trim().to_owned()).collect::<Vec<_>>())
            }
            Value::Array(values) => values.iter().map(|value| value.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        let labels = texts.ok_or_else(|| format!("`{name}` must be a list of labels")).and_then(|texts| {
            texts.iter().map(|text| text.parse().map_err(|why: crate::BadName| why.to_string())).collect()
        });
        let mut labels: Vec<LabelName> = labels.unwrap_or_else(|why| {
            self.report(&place, Code::BadValue, why, "write `['canary', 'eu']`");
            Vec::new()
        });
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    fn service_command(&mut self) -> Option<ServiceCommand> {
        let (name, value, place) = self.take(&["runner_service_command"])?;
        let argv = value.as_array().and_then(|values| {
            values.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        let command = argv.ok_or_else(|| format!("`{name}` must be a list: a program and its arguments"));
        match command.and_then(|argv| ServiceCommand::new(argv).map_err(|why| why.to_string())) {
            Ok(command) => Some(command),
            Err(why) => {
                self.report(&place, Code::BadValue, why, "write `['/srv/app/bin/appctl', '${action}']`");
                None
            }
        }
    }

    fn unknown_of_ours(&mut self) {
        let unknown: Vec<String> =
            self.vars.keys().filter(|name| name.starts_with("runner_")).cloned().collect();
        for name in unknown {
            let Some(var) = self.vars.remove(&name) else { continue };
            let hint = match closest(&name, OURS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are `{}`; other variables have other names", OURS.join("`, `")),
            };
            self.report(
                &var.place,
                Code::UnknownName,
                format!("there is no `{}`", name.escape_debug()),
                hint,
            );
        }
    }

    /// What is left, for plans and steps.
    fn rest(&mut self) -> BTreeMap<VarName, Value> {
        let mut vars = BTreeMap::new();
        for (name, var) in std::mem::take(&mut self.vars) {
            let why = match (name.parse::<VarName>(), var.value) {
                (Ok(name), Ok(value)) => {
                    vars.insert(name, value);
                    continue;
                }
                (Ok(_), Err(why)) => why.word().to_owned(),
                (Err(_), _) => "no name that `${target.vars.…}` takes".to_owned(),
            };
            let file = var.place.source.name().to_owned();
            self.left.insert((file, name), (var.place, why));
        }
        vars
    }
}

/// What Ansible takes for true and false.
fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) => number
            .as_i64()
            .and_then(|number| [Some(false), Some(true)].get(usize::try_from(number).ok()?).copied()?),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "1" | "true" | "y" | "t" => Some(true),
            "no" | "off" | "0" | "false" | "n" | "f" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A value in a message.
fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.chars().take(40).collect::<String>().escape_debug().to_string()
}

/// The host that arguments of ssh connect through, when they say nothing else.
fn jump_of(arguments: &str) -> Option<String> {
    let words: Vec<&str> = arguments.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
    let option = |text: &str| {
        let (name, value) = text.split_once('=')?;
        name.eq_ignore_ascii_case("ProxyJump").then(|| value.to_owned())
    };
    match words.as_slice() {
        ["-J", host] => Some((*host).to_owned()),
        ["-o", text] => option(text),
        [word] => match word.strip_prefix("-J") {
            Some(host) if !host.is_empty() => Some(host.to_owned()),
            _ => option(word.strip_prefix("-o")?),
        },
        _ => None,
    }
}
