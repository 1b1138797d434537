//! What `std/command` and `std/user-command` share: a command as a plan says it.

use runner_sdk::params::Duration;
use runner_sdk::{Command, Context, Effect, Error, Output, Result, Target};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A command, its check and its undo.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Planned {
    /// The program and its arguments; no shell sees them.
    #[schemars(length(min = 1))]
    argv: Vec<String>,
    /// What it does to the world. Without, "opaque": it cannot be previewed, undone or resumed.
    #[serde(default)]
    effect: Effect,
    /// Variables, beside PATH, HOME, USER and LANG.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// The working folder, absolute; without, the user's home.
    directory: Option<String>,
    /// What it reads; without, nothing.
    stdin: Option<String>,
    /// How long it may take.
    #[serde(default = "one_minute")]
    timeout: Duration,
    /// Exit statuses beside 0 that are not failures.
    #[serde(default)]
    accept: Vec<u32>,
    /// A path on the target: when something is there, there is nothing to do.
    creates: Option<String>,
    /// A command that only reads and is run first: when it ends with 0, there is nothing to do.
    skip_if: Option<Vec<String>>,
    /// The command that undoes it. Required for the effects "change", "leave" and "join".
    undo: Option<Vec<String>>,
    /// Twice is as good as once: a resume in doubt runs it again instead of asking.
    #[serde(default)]
    repeatable: bool,
}

impl Planned {
    /// The program as people know it.
    pub fn program(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }

    /// Whether it may change something when it is run.
    pub fn changes(&self) -> bool {
        self.effect != Effect::Read
    }

    /// Whether it makes sense, before anything is run.
    ///
    /// # Errors
    /// `invalid`: no program, or a change without its undo.
    pub fn check(&self) -> Result<()> {
        let program = self.program();
        if program.is_empty() {
            return Err(Error::invalid("`argv` is empty: it needs a program"));
        }
        if self.effect.needs_undo() && self.undo.is_none() {
            let message = format!("`{program}`: an effect of class {} needs `undo`", self.effect.word());
            return Err(Error::invalid(message).with_detail("undo = [\"…\"]"));
        }
        Ok(())
    }

    /// Runs it, unless there is nothing to do: then the output says that it was skipped.
    ///
    /// # Errors
    /// Those of [`Planned::check`] and of [`Command::run`].
    pub fn run(&self, target: &Target) -> Result<Output> {
        self.check()?;
        let on = || format!("on `{}`", target.name());
        if let Some(path) = &self.creates
            && target.stat(path).context(on)?.is_some()
        {
            runner_sdk::info!("`{}` was not run: `{path}` is there", self.program());
            return Ok(Output { skipped: true, ..Output::default() });
        }
        let mut command = self.around(&self.argv, self.effect);
        if let Some(text) = &self.stdin {
            command = command.stdin(text);
        }
        for status in &self.accept {
            command = command.accept(*status);
        }
        if let Some(argv) = &self.skip_if {
            command = command.skip_if(self.around(argv, Effect::Read));
        }
        if let Some(argv) = &self.undo {
            command = command.undo_with(self.around(argv, self.effect));
        }
        if self.repeatable {
            command = command.repeatable();
        }
        let output = command.run(target).context(on)?;
        if output.skipped {
            runner_sdk::info!("`{}` was not run: there is nothing to do", self.program());
        }
        Ok(output)
    }

    /// The command, its check and its undo run in the same surroundings.
    fn around(&self, argv: &[String], effect: Effect) -> Command {
        let mut command = Command::new(argv, effect).timeout(self.timeout.get());
        if let Some(directory) = &self.directory {
            command = command.directory(directory);
        }
        for (name, value) in &self.env {
            command = command.env(name, value);
        }
        command
    }
}

fn one_minute() -> Duration {
    Duration::from_secs(60)
}
