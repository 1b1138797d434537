//! `std/command`: runs a granted command on the target, for what no typed step does.

use runner_commands::Planned;
use runner_sdk::{Capabilities, Result, Step, Target};
use schemars::JsonSchema;
use serde::Serialize;

/// The step.
pub struct RunCommand;

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// Exit status.
    status: u32,
    /// The first 256 KiB that it printed, without line breaks at the end.
    stdout: String,
    /// Whether it was not run, because there was nothing to do or this is a dry run.
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
            "read:${creates}",
        ],
        ..Capabilities::NONE
    };

    type Params = Planned;
    type Outputs = Outputs;

    fn run(planned: Planned) -> Result<Outputs> {
        let output = planned.run(&Target::current())?;
        Ok(Outputs {
            status: output.status,
            stdout: output.stdout.trim_end_matches(['\r', '\n']).to_owned(),
            skipped: output.skipped,
            changed: !output.skipped && planned.changes(),
        })
    }
}

runner_sdk::export!(RunCommand);

#[cfg(test)]
mod tests;
