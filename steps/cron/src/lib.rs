//! `std/cron`: keeps an entry of cron, in a file of its own.

mod line;
mod schedule;

use runner_sdk::{Attributes, Capabilities, Context, Error, Result, Step, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where Debian's cron and its relatives look; they take no file from there that is not root's.
const SYSTEM: &str = "/etc/cron.d";

/// The step.
pub struct Cron;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend(
    "oneOf" = [{ "type": "object", "required": ["command"] }, { "type": "object", "required": ["absent"] }],
    "dependentRequired" = { "command": ["schedule"], "schedule": ["command"] },
))]
pub struct Params {
    /// The name of the file: letters, digits, `-` and `_`. Cron skips files with any other name.
    #[schemars(regex(pattern = "^[A-Za-z0-9_-]{1,200}$"))]
    name: String,
    /// When: five fields, "30 3 * * mon", or "@reboot", "@hourly", "@daily", "@weekly", "@monthly", "@yearly".
    schedule: Option<String>,
    /// What cron runs, in one line. Cron gives it to a shell; a `%` in it is escaped.
    command: Option<String>,
    /// Who runs it.
    #[serde(default = "root")]
    #[schemars(regex(pattern = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"))]
    user: String,
    /// Variables that it has.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// `true`: there must be no such entry.
    #[schemars(extend("const" = true))]
    absent: Option<bool>,
    /// The folder that cron reads.
    #[serde(default = "system")]
    dir: String,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// Whether the entry is different now.
    changed: bool,
    /// The file that it is in.
    path: String,
}

impl Step for Cron {
    const NAME: &'static str = "cron";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "keeps an entry of cron";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities = Capabilities { ssh: &["write:${dir}/${name}"], ..Capabilities::NONE };

    type Params = Params;
    type Outputs = Outputs;

    fn run(params: Params) -> Result<Outputs> {
        let target = Target::current();
        let path = format!("{}/{}", params.dir.trim_end_matches('/'), params.name);
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if params.name.is_empty() || !params.name.chars().all(plain) {
            return Err(Error::invalid(format!("`{}` cannot be the name of an entry", params.name))
                .with_detail("letters, digits, `-` and `_`: cron skips files with any other name"));
        }
        let on = || format!("on `{}`", target.name());
        if params.absent.is_some() {
            if params.command.is_some() || params.schedule.is_some() {
                return Err(Error::invalid("what is `absent` has no `schedule` and `command`"));
            }
            let changed = target.remove(&path).context(on)?;
            if changed {
                runner_sdk::info!("removed `{path}`");
            }
            return Ok(Outputs { changed, path });
        }
        let (Some(schedule), Some(command)) = (&params.schedule, &params.command) else {
            return Err(Error::invalid("it needs a `schedule` and a `command`, or `absent = true`"));
        };
        let schedule =
            schedule::normal(schedule).map_err(|why| Error::invalid(format!("`schedule`: {why}")))?;
        let text = line::file(&params.name, &schedule, &params.user, command, &params.env)?;
        let owner = (params.dir.trim_end_matches('/') == SYSTEM).then(|| "root".to_owned());
        let attributes = Attributes { mode: Some(0o644), owner, group: None };
        let changed = target.write(&path, &text, &attributes).context(on)?;
        if changed {
            runner_sdk::info!("wrote `{path}`: {schedule} {} {command}", params.user);
        } else {
            runner_sdk::info!("`{path}` is as it must be");
        }
        Ok(Outputs { changed, path })
    }
}

fn root() -> String {
    "root".to_owned()
}

fn system() -> String {
    SYSTEM.to_owned()
}

runner_sdk::export!(Cron);

#[cfg(test)]
mod tests;
