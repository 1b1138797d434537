//! `std/user-command`: runs the commands of a list on the target.

use runner_commands::Planned;
use runner_sdk::{Capabilities, Context, Result, Step, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step.
pub struct UserCommand;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
    /// The commands, in this order.
    #[schemars(length(min = 1, max = 100))]
    commands: Vec<Planned>,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// Whether one was run that does not only read.
    changed: bool,
    /// Those that were run, as numbers in the list that begin with 1.
    ran: Vec<usize>,
}

impl Step for UserCommand {
    const NAME: &'static str = "user-command";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "runs the commands of a list";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities = Capabilities {
        ssh: &[
            "exec-${commands.effect}:${commands.env...} ${commands.argv...}",
            "exec-${commands.effect}:${commands.env...} ${commands.undo...}",
            "exec-read:${commands.env...} ${commands.skip-if...}",
            "read:${commands.directory}",
            "read:${commands.creates}",
        ],
        ..Capabilities::NONE
    };

    type Params = Params;
    type Outputs = Outputs;

    fn run(params: Params) -> Result<Outputs> {
        let number = |index: usize| format!("command {}", index + 1);
        for (index, planned) in params.commands.iter().enumerate() {
            planned.check().context(|| number(index))?;
        }
        let target = Target::current();
        let mut outputs = Outputs { changed: false, ran: Vec::new() };
        for (index, planned) in params.commands.iter().enumerate() {
            if !planned.run(&target).context(|| number(index))?.skipped {
                outputs.changed |= planned.changes();
                outputs.ran.push(index + 1);
            }
        }
        Ok(outputs)
    }
}

runner_sdk::export!(UserCommand);

#[cfg(test)]
mod tests;
