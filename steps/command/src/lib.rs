//! `std/command`: runs a granted command on the target, for what no typed step does.

use runner_sdk::params::Duration;
use runner_sdk::{Capabilities, Command, Context, Effect, Error, Result, Step, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The step.
pub struct RunCommand;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
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
    /// A command that only reads and is run first: when it ends with 0, there is nothing to do.
    skip_if: Option<Vec<String>>,
    /// The command that undoes it. Required for the effects "change", "leave" and "join".
    undo: Option<Vec<String>>,
    /// Twice is as good as once: a resume in doubt runs it again instead of asking.
    #[serde(default)]
    repeatable: bool,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// Exit status.
    status: u32,
    /// The first 256 KiB that it printed, without line breaks at the end.
    stdout: String,
    /// Whether it was not run, because `skip-if` held or this is a dry run.
    skipped: bool,
    /// Whether it may have changed something: it was run, and not only reads.
    changed: bool,
}

impl Step for RunCommand {
    const NAME: &'static str = "command";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "runs a granted command on the target";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities = Capabilities {
        ssh: &[
            "exec-${effect}:${env...} ${argv...}",
            "exec-${effect}:${env...} ${undo...}",
            "exec-read:${env...} ${skip-if...}",
            "read:${directory}",
        ],
        ..Capabilities::NONE
    };

    type Params = Params;
    type Outputs = Outputs;

    fn run(params: Params) -> Result<Outputs> {
        let target = Target::current();
        let Some(program) = params.argv.first().cloned() else {
            return Err(Error::invalid("`argv` is empty: it needs a program"));
        };
        let effect = params.effect;
        if effect.needs_undo() && params.undo.is_none() {
            let message = format!("`{program}`: an effect of class {} needs `undo`", effect.word());
            return Err(Error::invalid(message).with_detail("undo = [\"…\"]"));
        }
        let mut command =
            build(params.argv, effect, params.timeout, params.directory.as_deref(), &params.env);
        if let Some(text) = &params.stdin {
            command = command.stdin(text);
        }
        for status in params.accept {
            command = command.accept(status);
        }
        if let Some(argv) = params.skip_if {
            let check = build(argv, Effect::Read, params.timeout, params.directory.as_deref(), &params.env);
            command = command.skip_if(check);
        }
        if let Some(argv) = params.undo {
            command = command.undo_with(build(
                argv,
                effect,
                params.timeout,
                params.directory.as_deref(),
                &params.env,
            ));
        }
        if params.repeatable {
            command = command.repeatable();
        }

        let output = command.run(&target).context(|| format!("on `{}`", target.name()))?;
        if output.skipped {
            runner_sdk::info!("`{program}` was not run: there is nothing to do");
        }
        Ok(Outputs {
            status: output.status,
            stdout: output.stdout.trim_end_matches(['\r', '\n']).to_owned(),
            skipped: output.skipped,
            changed: !output.skipped && effect != Effect::Read,
        })
    }
}

/// The command, its check and its undo run in the same surroundings.
fn build(
    argv: Vec<String>,
    effect: Effect,
    timeout: Duration,
    directory: Option<&str>,
    env: &BTreeMap<String, String>,
) -> Command {
    let mut command = Command::new(argv, effect).timeout(timeout.get());
    if let Some(directory) = directory {
        command = command.directory(directory);
    }
    for (name, value) in env {
        command = command.env(name, value);
    }
    command
}

fn one_minute() -> Duration {
    Duration::from_secs(60)
}

runner_sdk::export!(RunCommand);

#[cfg(test)]
mod tests;
