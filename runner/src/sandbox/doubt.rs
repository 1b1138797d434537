//! Effects of which only the intent is known: the run was cut off in the middle. What is there now tells whether they
//! were done; where it does not, somebody who looked must say.

use super::record::{Doubt, Effect};
use runner_model::{Act, Change, Digest, Failure, FailureKind, State, TargetName};

/// What became of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Became {
    /// It was done.
    Done,
    /// It was not, or can be done again.
    Undone,
}

impl Doubt {
    /// What became of a typed verb, when this is there now. States are as a record keeps them.
    pub(crate) fn of_change(&self, on: &TargetName, change: &Change, now: &State) -> Result<Became, Failure> {
        if again_is_as_good(change, self.before.as_ref(), now) {
            return Ok(Became::Undone);
        }
        match () {
            () if self.after.as_ref() == Some(now) => Ok(Became::Done),
            () if self.before.as_ref() == Some(now) => Ok(Became::Undone),
            () => self.assumed().ok_or_else(|| {
                undecided(&format!(
                    "{} on {on}: what is there now is neither what was there before nor what was to be there",
                    Act::of_change(change, false).words()
                ))
            }),
        }
    }

    /// What became of a file of the workspace that has this content now, and was to have `after`.
    pub(crate) fn of_file(
        &self,
        path: &str,
        now: Option<&Digest>,
        after: &Digest,
    ) -> Result<Became, Failure> {
        match now {
            Some(now) if now == after => Ok(Became::Done),
            now if now == self.replaced.as_ref() => Ok(Became::Undone),
            _ => self.assumed().ok_or_else(|| {
                undecided(&format!(
                    "write `{path}` in the plan's folder: it is neither what it was nor what it was to be"
                ))
            }),
        }
    }

    /// What became of a command or a request; `again`: it can be done again, or done twice.
    pub(crate) fn of_other(
        &self,
        effect: &Effect,
        on: Option<&TargetName>,
        again: bool,
    ) -> Result<Became, Failure> {
        match self.assumed() {
            _ if again => Ok(Became::Undone),
            Some(became) => Ok(became),
            None => {
                let on = on.map(|on| format!(" on {on}")).unwrap_or_default();
                let act = match effect {
                    Effect::Command(command) => Act::of_command(command),
                    Effect::Request(request) => Act::of_request(request),
                    Effect::Change { change, .. } => Act::of_change(change, false),
                    Effect::Service { unit, action } => Act::Service { unit: unit.clone(), action: *action },
                    Effect::Exchange(exchange) => Act::Socket { path: exchange.path.to_string() },
                    Effect::Workspace { path, .. } => Act::Workspace { path: path.clone() },
                };
                Err(undecided(&format!("{}{on}: nothing tells whether it was done", act.words())))
            }
        }
    }

    /// What somebody who looked says.
    pub(crate) fn assumed(&self) -> Option<Became> {
        self.assumed.map(|done| if done { Became::Done } else { Became::Undone })
    }
}

/// Whether a verb that was cut off may be in the middle, where doing it again leads to the same end.
fn again_is_as_good(change: &Change, before: Option<&State>, now: &State) -> bool {
    match change {
        // Something of the folder may be gone already, and all of it is to be.
        Change::RemoveTree { .. } => matches!(now, State::Directory { .. }),
        // Owners are given one by one.
        Change::Unpack { .. } => matches!(before, Some(State::Directory { .. })),
        // First the owner, then the mode.
        Change::SetAttributes { .. } => matches!(
            (before, now),
            (Some(State::File { .. }), State::File { .. })
                | (Some(State::Directory { .. }), State::Directory { .. })
        ),
        // What is equal is seen when it is unpacked.
        Change::Unarchive { .. } => true,
        _ => false,
    }
}

/// Only a person can tell.
fn undecided(what: &str) -> Failure {
    Failure::new(FailureKind::Unknown, format_args!("in doubt since the run was cut off: {what}")).with_detail(
        "look at it, then go on with `runner resume --assume done` when it was done, or with `--assume not-done` to \
         have it done now",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_model::Attributes;

    fn file(text: &str, mode: u32) -> State {
        let (owner, group) = ("root".to_owned(), "root".to_owned());
        State::File { digest: Digest::of(text), size: text.len() as u64, mode, owner, group }
    }

    fn doubt(before: State, after: State) -> Doubt {
        Doubt { before: Some(before), after: Some(after), ..Doubt::default() }
    }

    #[test]
    fn what_is_there_decides_and_a_person_where_it_does_not() {
        let path = || "/srv/a".parse().expect("a path");
        let write = Change::Write {
            path: path(),
            content: Digest::of("b"),
            size: 1,
            attributes: Attributes::default(),
        };
        let on: TargetName = "web-1".parse().expect("a target");
        let mut doubt = doubt(file("a", 0o644), file("b", 0o644));
        assert_eq!(doubt.of_change(&on, &write, &file("b", 0o644)), Ok(Became::Done));
        assert_eq!(doubt.of_change(&on, &write, &file("a", 0o644)), Ok(Became::Undone));
        let failure = doubt.of_change(&on, &write, &file("c", 0o644)).expect_err("neither");
        assert_eq!(failure.kind, FailureKind::Unknown);
        assert!(
            failure.message.contains("write /srv/a on web-1") && failure.detail.contains("--assume done")
        );
        doubt.assumed = Some(true);
        assert_eq!(doubt.of_change(&on, &write, &file("c", 0o644)), Ok(Became::Done));
    }

    #[test]
    fn a_verb_that_may_be_in_the_middle_is_done_again() {
        let path = || "/srv/a".parse().expect("a path");
        let on: TargetName = "web-1".parse().expect("a target");
        let folder = |tree: &str| State::Directory {
            tree: Some(Digest::of(tree)),
            mode: 0o755,
            owner: "root".to_owned(),
            group: "root".to_owned(),
        };
        let remove = Change::RemoveTree { path: path() };
        let half = doubt(folder("all"), State::Absent);
        assert_eq!(half.of_change(&on, &remove, &folder("half")), Ok(Became::Undone));
        assert_eq!(half.of_change(&on, &remove, &State::Absent), Ok(Became::Done));
        let dress = Change::SetAttributes { path: path(), attributes: Attributes::default() };
        let half = doubt(file("a", 0o644), file("a", 0o600));
        assert_eq!(half.of_change(&on, &dress, &file("a", 0o640)), Ok(Became::Undone));
    }
}
