//! Everything that a run may touch, in one list: the sum of the grants of its steps.

use runner_model::inventory::ConnectionKind;
use runner_model::lock::LockedStep;
use runner_model::{Resolved, Target};
use serde::Serialize;
use std::collections::BTreeSet;

/// What a run may touch, from the grants alone.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Preflight {
    targets: BTreeSet<String>,
    users: BTreeSet<String>,
    reads: BTreeSet<String>,
    writes: BTreeSet<String>,
    services: BTreeSet<String>,
    commands: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    sockets: BTreeSet<String>,
    requests: BTreeSet<String>,
    files: BTreeSet<String>,
    secrets: BTreeSet<String>,
}

impl Preflight {
    /// Of the steps of a run.
    pub(super) fn of<'a>(run: &Resolved, steps: impl Iterator<Item = &'a LockedStep>) -> Self {
        let mut all = Self::default();
        for step in steps {
            for name in run.step(&step.id).iter().flat_map(|step| step.all_acted_on()) {
                all.targets.insert(name.to_string());
                all.users.extend(run.target(name).map(login));
            }
            for (list, grant) in step.grants.texts() {
                all.add(list.key(), &grant);
            }
        }
        for paths in [&mut all.reads, &mut all.writes, &mut all.files] {
            *paths = outermost(paths);
        }
        all
    }

    fn add(&mut self, list: &str, grant: &str) {
        let (kind, rest) = grant.split_once(':').unwrap_or((grant, ""));
        let (place, text) = match (list, kind) {
            ("http", _) => (&mut self.requests, grant),
            ("secrets", _) => (&mut self.secrets, grant),
            ("files", _) => (&mut self.files, grant),
            (_, "read") => (&mut self.reads, rest),
            (_, "write") => (&mut self.writes, rest),
            (_, "service") => (&mut self.services, rest),
            (_, "as") => (&mut self.users, rest),
            (_, "target") => (&mut self.targets, rest),
            (_, socket) if socket.starts_with("socket-") => (&mut self.sockets, grant),
            _ => (&mut self.commands, grant),
        };
        place.insert(text.to_owned());
    }

    /// A line for each kind of thing that there is.
    pub(super) fn text(&self) -> String {
        let mut text = String::from("\nin all\n");
        for (what, things, apart) in [
            ("targets", &self.targets, " "),
            ("users", &self.users, " "),
            ("read", &self.reads, " "),
            ("write", &self.writes, " "),
            ("services", &self.services, "\n"),
            ("commands", &self.commands, "\n"),
            ("sockets", &self.sockets, "\n"),
            ("requests", &self.requests, "\n"),
            ("files here", &self.files, " "),
            ("secrets", &self.secrets, "\n"),
        ] {
            let things: Vec<&str> = things.iter().map(String::as_str).collect();
            let lines = if apart == " " {
                vec![things.join(" ")]
            } else {
                things.iter().map(ToString::to_string).collect()
            };
            for (number, line) in lines.iter().filter(|line| !line.is_empty()).enumerate() {
                text.push_str(&format!("  {:10} {line}\n", if number == 0 { what } else { "" }));
            }
        }
        text
    }
}

/// Who logs in; to this machine nobody has to.
fn login(target: &Target) -> String {
    match (&target.user, target.connection) {
        (_, ConnectionKind::Local) => "whoever runs this".to_owned(),
        (Some(user), _) => user.to_string(),
        (None, _) => "whoever logs in".to_owned(),
    }
}

/// Paths that are below another one say nothing more.
fn outermost(paths: &BTreeSet<String>) -> BTreeSet<String> {
    let is_below = |path: &str, other: &str| {
        path.strip_prefix(other)
            .is_some_and(|rest| rest.starts_with('/') || (other == "/" && !rest.is_empty()))
    };
    paths.iter().filter(|path| !paths.iter().any(|other| is_below(path, other))).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_below_another_one_says_nothing_more() {
        let paths = ["/srv/shop", "/srv/shop/current", "/srv/shop-old", "/etc/a"].map(str::to_owned).into();
        let left: Vec<String> = outermost(&paths).into_iter().collect();
        assert_eq!(left, ["/etc/a", "/srv/shop", "/srv/shop-old"]);
        let all = ["/", "/srv"].map(str::to_owned).into();
        assert_eq!(outermost(&all).len(), 1);
    }

    #[test]
    fn each_grant_is_in_its_place() {
        let mut all = Preflight::default();
        for (list, grant) in [
            ("ssh", "read:/srv"),
            ("ssh", "service:nginx reload"),
            ("ssh", "as:root"),
            ("ssh", "target:lb"),
            ("ssh", "exec-read:ls :x"),
            ("http", "GET http://x/"),
            ("files", "read:app"),
            ("secrets", "db from env A:B"),
        ] {
            all.add(list, grant);
        }
        let lines = [
            "targets    lb",
            "users      root",
            "read       /srv",
            "services   nginx reload",
            "commands   exec-read:ls :x",
            "requests   GET http://x/",
            "files here read:app",
            "secrets    db from env A:B",
        ];
        assert_eq!(all.text(), format!("\nin all\n  {}\n", lines.join("\n  ")));
    }
}
