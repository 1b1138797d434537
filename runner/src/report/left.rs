//! What a run leaves behind on one machine, from its effects alone: what is not known is told as not known.

use runner_model::words::count;
use runner_model::{Act, EffectEnd, Effected, FailureKind, ReleaseId, ServiceAction};
use std::collections::{BTreeMap, BTreeSet};

/// How many of one kind are named.
const NAMED: usize = 4;

/// Kept up to date with every effect on the machine.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// What was done and stands, in order: the path, and the verb.
    changed: Vec<(String, String)>,
    /// Paths at which nothing was before the run.
    made: BTreeSet<String>,
    /// Per unit the last that was asked of it, and whether that went well.
    services: BTreeMap<String, (ServiceAction, bool)>,
    /// Commands and requests that may have changed something.
    ran: Vec<String>,
    /// What may have happened.
    doubts: Vec<String>,
}

impl Left {
    /// Takes in an effect on this machine.
    pub(crate) fn add(&mut self, effected: &Effected) {
        let words = effected.act.words();
        // A later try settles what an earlier one left open.
        self.doubts.retain(|doubt| *doubt != words);
        match &effected.end {
            EffectEnd::Done => self.done(&effected.act, words),
            EffectEnd::InDoubt => self.doubts.push(words),
            EffectEnd::Planned => {}
            EffectEnd::Failed { failure } => {
                if let Act::Service { unit, action } = &effected.act {
                    self.services.insert(unit.clone(), (*action, false));
                }
                // The machine was not heard of again after it was asked.
                if matches!(
                    failure.kind,
                    FailureKind::Unreachable | FailureKind::Timeout | FailureKind::Cancelled
                ) {
                    self.doubts.push(words);
                }
            }
        }
    }

    fn done(&mut self, act: &Act, words: String) {
        match act {
            Act::Change { verb, path, to, made } => {
                if *made {
                    self.made.insert(path.clone());
                }
                match (verb.as_str(), to) {
                    ("rename", Some(to)) => {
                        self.forget(path);
                        if self.made.remove(path) {
                            self.made.insert(to.clone());
                        }
                        self.changed.push((to.clone(), verb.clone()));
                    }
                    ("remove" | "remove-tree", _) => {
                        self.forget(path);
                        if !self.made.remove(path) {
                            self.changed.push((path.clone(), verb.clone()));
                        }
                    }
                    _ => {
                        if !self.changed.iter().any(|(known, _)| known == path) {
                            self.changed.push((path.clone(), verb.clone()));
                        }
                    }
                }
            }
            Act::Service { unit, action } => {
                self.services.insert(unit.clone(), (*action, true));
            }
            Act::Command { .. } | Act::Request { .. } | Act::Socket { .. } => self.ran.push(words),
            Act::Workspace { .. } => {}
        }
    }

    /// It is as it was before that was done.
    pub(crate) fn undone(&mut self, act: &Act) {
        let words = act.words();
        self.doubts.retain(|doubt| *doubt != words);
        match act {
            Act::Change { path, to, .. } => {
                let path = to.as_ref().unwrap_or(path);
                self.changed.retain(|(known, _)| known != path);
                self.made.remove(path);
            }
            Act::Service { unit, .. } => {
                self.services.remove(unit);
            }
            Act::Command { .. } | Act::Request { .. } | Act::Socket { .. } => {
                if let Some(place) = self.ran.iter().rposition(|ran| *ran == words) {
                    self.ran.remove(place);
                }
            }
            Act::Workspace { .. } => {}
        }
    }

    /// What was done at a path, or below it, no longer counts.
    fn forget(&mut self, path: &str) {
        self.changed.retain(|(known, _)| known != path && !is_below(known, path));
    }

    /// It in lines, for a machine where `live` is live at the end of a run that made `release`.
    pub(crate) fn lines(&self, release: Option<&ReleaseId>, live: Option<&ReleaseId>) -> Vec<String> {
        let mut lines = Vec::new();
        let mut changed = Vec::new();
        let folder = release.map(|release| format!("/releases/{release}"));
        let laid = self.changed.iter().find(|(path, verb)| {
            verb == "unpack" && folder.as_ref().is_some_and(|folder| path.ends_with(folder.as_str()))
        });
        if let (Some((path, _)), Some(release)) = (laid, release)
            && live != Some(release)
        {
            lines.push(format!("release {release} is laid out in {path}, and not live"));
        }
        let root = laid.and_then(|(path, _)| path.strip_suffix(folder.as_deref().unwrap_or_default()));
        for (path, verb) in &self.changed {
            let is_laid = laid.is_some_and(|(laid, _)| laid == path);
            // What `current` says is told as what is live; a folder that something else was put into goes without saying.
            let is_current = release.is_some() && live == release && path.ends_with("/current");
            let is_way = verb == "mkdir"
                && (Some(path.as_str()) == root
                    || self.changed.iter().any(|(other, _)| is_below(other, path)));
            if !(is_laid || is_current || is_way) {
                changed.push(format!("{verb} {path}"));
            }
        }
        let named = |what: &str, all: &[String]| {
            let more = all.len().saturating_sub(NAMED);
            let shown = all.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
            match more {
                0 => format!("{what}: {shown}"),
                more => format!("{what}: {shown} and {more} more, in the journal"),
            }
        };
        if !changed.is_empty() {
            lines.push(named("changed, and stays so", &changed));
        }
        if !self.ran.is_empty() {
            lines.push(named("done, and only you know what it changed", &self.ran));
        }
        for (unit, (action, well)) in &self.services {
            match (action, well) {
                (ServiceAction::Stop, true) => {
                    lines.push(format!("{unit} was stopped, and not started again"));
                }
                (_, true) => {}
                (action, false) => {
                    lines.push(format!("{} of {unit} failed: it may not run", action.word()));
                }
            }
        }
        if !self.doubts.is_empty() {
            let number = count(self.doubts.len(), "effect");
            lines.push(named(&format!("{number} in doubt, done or not"), &self.doubts));
            let writes =
                |doubt: &String| ["write ", "unpack ", "archive "].iter().any(|verb| doubt.starts_with(verb));
            if self.doubts.iter().any(writes) {
                lines.push("what was half written is beside it, in a temporary `.runner-*`".to_owned());
            }
        }
        lines
    }
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_model::{EffectClass, Failure};

    fn effected(act: Act, end: EffectEnd) -> Effected {
        Effected {
            step: "a".parse().unwrap(),
            target: "web-1".parse().unwrap(),
            attempt: 1,
            number: 1,
            on: Some("web-1".parse().unwrap()),
            class: EffectClass::Change,
            act,
            end,
            milliseconds: 1,
            difference: None,
        }
    }

    fn change(verb: &str, path: &str, to: Option<&str>, made: bool) -> Act {
        Act::Change { verb: verb.into(), path: path.into(), to: to.map(Into::into), made }
    }

    fn left(effects: impl IntoIterator<Item = (Act, EffectEnd)>, live: &str) -> String {
        let mut left = Left::default();
        effects.into_iter().for_each(|(act, end)| left.add(&effected(act, end)));
        left.lines(Some(&"2".parse().unwrap()), Some(&live.parse().unwrap())).join("\n")
    }

    fn failed(kind: FailureKind) -> EffectEnd {
        EffectEnd::Failed { failure: Failure::new(kind, "no") }
    }

    #[test]
    fn a_release_that_is_laid_out_and_not_live_is_told_and_the_way_to_it_is_not() {
        let effects = || {
            [
                (change("mkdir", "/srv/shop/releases", None, true), EffectEnd::Done),
                (change("unpack", "/srv/shop/releases/2", None, true), EffectEnd::Done),
                (change("symlink", "/srv/shop/current", None, false), EffectEnd::Done),
                (change("write", "/etc/shop.conf", None, false), EffectEnd::Done),
            ]
        };
        insta::assert_snapshot!(left(effects(), "1"), @r"
        release 2 is laid out in /srv/shop/releases/2, and not live
        changed, and stays so: symlink /srv/shop/current, write /etc/shop.conf
        ");
        insta::assert_snapshot!(left(effects(), "2"), @"changed, and stays so: write /etc/shop.conf");
    }

    #[test]
    fn what_was_made_and_taken_away_again_leaves_nothing() {
        let effects = [
            (change("write", "/tmp/a", None, true), EffectEnd::Done),
            (change("rename", "/tmp/a", Some("/tmp/b"), false), EffectEnd::Done),
            (change("remove", "/tmp/b", None, false), EffectEnd::Done),
        ];
        assert_eq!(left(effects, "1"), "");
    }

    #[test]
    fn services_commands_and_doubts_are_told_until_they_are_settled() {
        let stop = || Act::Service { unit: "php-fpm".into(), action: ServiceAction::Stop };
        let start = || Act::Service { unit: "php-fpm".into(), action: ServiceAction::Start };
        let migrate = Act::Command { program: "/usr/bin/migrate".into(), line: "/usr/bin/migrate up".into() };
        let write = || change("write", "/etc/shop.conf", None, false);
        assert_eq!(left([(stop(), EffectEnd::Done), (start(), EffectEnd::Done)], "1"), "");
        let effects = [
            (migrate, EffectEnd::Done),
            (stop(), EffectEnd::Done),
            (write(), failed(FailureKind::Unreachable)),
        ];
        insta::assert_snapshot!(left(effects, "1"), @r"
        done, and only you know what it changed: run /usr/bin/migrate up
        php-fpm was stopped, and not started again
        1 effect in doubt, done or not: write /etc/shop.conf
        what was half written is beside it, in a temporary `.runner-*`
        ");
        let settled = [(write(), EffectEnd::InDoubt), (write(), EffectEnd::Done)];
        assert_eq!(left(settled, "1"), "changed, and stays so: write /etc/shop.conf");
        let refused =
            [(write(), failed(FailureKind::Conflict)), (start(), failed(FailureKind::CommandFailed))];
        assert_eq!(left(refused, "1"), "start of php-fpm failed: it may not run");
    }

    #[test]
    fn what_was_undone_is_not_left() {
        let made = |verb: &str, path: &str| Act::Change {
            verb: verb.to_owned(),
            path: path.to_owned(),
            to: None,
            made: true,
        };
        let restart = Act::Service { unit: "nginx".to_owned(), action: ServiceAction::Restart };
        let failure = Failure::new(FailureKind::Timeout, "late");
        let mut left = Left::default();
        let (laid, kept) = (made("unpack", "/srv/releases/2"), made("archive", "/srv/backups/1.tar"));
        for act in [&laid, &kept] {
            left.add(&effected(act.clone(), EffectEnd::Done));
        }
        left.add(&effected(restart.clone(), EffectEnd::Failed { failure }));
        left.undone(&restart);
        left.undone(&laid);
        assert_eq!(
            left.lines(Some(&"2".parse().unwrap()), None),
            ["changed, and stays so: archive /srv/backups/1.tar"]
        );
    }
}
