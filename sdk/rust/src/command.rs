//! Commands on a target, for what no typed verb does.

use crate::types::{Effect, Output};
use crate::{Artifact, Result, Secret, Target, sys};
use std::time::Duration;

/// A command in the making. Nothing happens, and nothing can fail, before [`Command::run`].
///
/// ```
/// # use runner_sdk::{Command, Effect, Target, testing::{Answer, World}};
/// # use std::time::Duration;
/// # let world = World::new();
/// # world.target("web-1").answer(&["nginx", "-t"], Answer::ok("fine"));
/// # world.enter(|| {
/// let checked = Command::new(["nginx", "-t"], Effect::Read).timeout(Duration::from_secs(5)).run(&Target::current())?;
/// assert_eq!(checked.stdout, "fine");
/// # Ok::<_, runner_sdk::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "nothing happens before `run`"]
pub struct Command(sys::Command);

impl Command {
    /// A program and its arguments; no shell sees them. The environment is PATH, HOME, USER and LANG=C.UTF-8, no more.
    pub fn new(argv: impl IntoIterator<Item = impl Into<String>>, effect: Effect) -> Self {
        let argv: Vec<String> = argv.into_iter().map(Into::into).collect();
        Self(sys::Command::new(&argv, effect))
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Sets a variable; the value never shows in the argument list, the log or the journal.
    pub fn env_secret(mut self, name: &str, value: &Secret) -> Self {
        self.0.env_secret(name, &value.0);
        self
    }

    /// Gives it something to read; without, stdin is empty. Of the four, the last call counts.
    pub fn stdin(mut self, text: &str) -> Self {
        self.0.stdin(text);
        self
    }

    /// The same with a secret.
    pub fn stdin_secret(mut self, content: &Secret) -> Self {
        self.0.stdin_secret(&content.0);
        self
    }

    /// The same with a file.
    pub fn stdin_artifact(mut self, content: &Artifact) -> Self {
        self.0.stdin_artifact(&content.0);
        self
    }

    /// The same with a file on the target; needs the grant `read`.
    pub fn stdin_file(mut self, path: &str) -> Self {
        self.0.stdin_file(path);
        self
    }

    /// Unpacks what [`Command::stdin_file`] names, on the target: its name ends with `.zst` or `.gz`. The run fails with
    /// `conflict` when it is damaged, also where the command ended well.
    pub fn decompress(mut self) -> Self {
        self.0.decompress();
        self
    }

    /// Writes stdout to this file on the target, atomically, when the command ends well; needs the grant `write`, and a
    /// class other than `read`. Its mode is 0o600.
    pub fn stdout_to(mut self, path: &str) -> Self {
        self.0.stdout_to(path);
        self
    }

    /// Packs what [`Command::stdout_to`] gets, on the target: its name ends with `.zst` or `.gz`. The file is read back
    /// before it gets its name.
    pub fn compress(mut self) -> Self {
        self.0.compress();
        self
    }

    /// The working folder; without, the user's home.
    pub fn directory(mut self, path: &str) -> Self {
        self.0.directory(path);
        self
    }

    /// Until the whole process group is killed; without, a minute.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.0.timeout(milliseconds(time));
        self
    }

    /// One more exit status that is not a failure, beside 0.
    pub fn accept(mut self, status: u32) -> Self {
        self.0.accept(status);
        self
    }

    /// A `read` command that is run first: when it ends with 0, the effect is already there and this is skipped. It
    /// makes a command idempotent, and its dry run and resume exact.
    pub fn skip_if(mut self, check: Self) -> Self {
        self.0.skip_if(check.0);
        self
    }

    /// What undoes it. Required for `change`, `leave` and `join`.
    pub fn undo_with(mut self, undo: Self) -> Self {
        self.0.undo_with(undo.0);
        self
    }

    /// All that a `change` leaves is the file of [`Command::stdout_to`], and an undo keeps it: a dump. Takes the place of
    /// [`Command::undo_with`].
    pub fn keep(mut self) -> Self {
        self.0.keep();
        self
    }

    /// Twice is as good as once: a resume in doubt runs it again instead of asking.
    pub fn repeatable(mut self) -> Self {
        self.0.repeatable();
        self
    }

    /// Runs it and waits for its end. May be called more than once.
    ///
    /// # Errors
    /// `command-failed`, `timeout`, `not-found` (no such program), `invalid` (a `change` without its undo), `denied`.
    pub fn run(&self, on: &Target) -> Result<Output> {
        self.0.run(&on.0)
    }
}

/// As the host counts: whole milliseconds, at most some 49 days.
pub(crate) fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
