//! Writes a configuration file and makes its service use it. The same step is beside this one in other languages.

use runner_sdk::{
    Attributes, Capabilities, Command, Effect, Error, ErrorKind, Request, Result, Secret, ServiceAction, Step, Target,
    info, log, params, timer,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

struct Config;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(transform = params::plain)]
struct Params {
    /// The file to write: absolute.
    file: String,
    /// What it says: a line `name = value` each, in the order of the names.
    settings: BTreeMap<String, String>,
    /// A command that must accept the file, program first. Without, nothing is asked.
    #[serde(default)]
    check: Vec<String>,
    /// The unit to restart when the file is different.
    unit: Option<String>,
    /// The URL that must answer 200 in the end, asked from the target.
    health: Option<String>,
    /// The secret that the URL wants as a bearer token.
    token: Option<String>,
    /// How often to ask.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 100))]
    tries: u32,
}

fn five() -> u32 {
    5
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = params::plain)]
struct Outputs {
    /// Whether the file is different.
    changed: bool,
    /// Of the file.
    digest: String,
    /// How often the URL was asked.
    tries: u32,
}

impl Step for Config {
    const NAME: &'static str = "config";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "writes a configuration file and makes its service use it";
    const CAPABILITIES: Capabilities = Capabilities {
        ssh: &["read:${file}", "write:${file}", "exec-read:${check...}", "service:${unit} restart"],
        http: &["GET ${health} from target"],
        secrets: &["${token}"],
        ..Capabilities::NONE
    };
    type Params = Params;
    type Outputs = Outputs;

    fn run(params: Params) -> Result<Outputs> {
        let target = Target::current();
        info!("`{}` on `{}`: {} settings", params.file, target.name(), params.settings.len());

        let text: String = params.settings.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
        let changed = target.write(&params.file, &text, &Attributes::mode(0o644))?;
        if changed && !params.check.is_empty() {
            Command::new(&params.check, Effect::Read).run(&target)?;
        }
        if changed && let Some(unit) = &params.unit {
            target.service(unit, ServiceAction::Restart)?;
        }
        let tries = match &params.health {
            Some(url) => healthy(url, params.token.as_deref(), params.tries, &target)?,
            None => 0,
        };
        Ok(Outputs { changed, digest: target.digest(&params.file)?, tries })
    }
}

/// Asks until the answer is 200, and says how often it asked.
fn healthy(url: &str, token: Option<&str>, tries: u32, target: &Target) -> Result<u32> {
    let mut request = Request::get(url).via(target).timeout(Duration::from_secs(2));
    if let Some(token) = token {
        request = request.header_secret("authorization", &Secret::get(token)?.wrap("Bearer ", ""));
    }
    let mut last = String::new();
    for i in 1..=tries {
        log::progress(i, tries, "tries");
        last = match request.send() {
            Ok(answer) if answer.status == 200 => return Ok(i),
            Ok(answer) => format!("status {}", answer.status),
            Err(error) if error.is(ErrorKind::Unreachable) || error.is(ErrorKind::Timeout) => error.message,
            Err(error) => return Err(error),
        };
        if i < tries {
            timer::sleep(Duration::from_millis(100))?;
        }
    }
    Err(Error::timeout(format!("`{url}` did not answer 200 (after {tries} tries)")).with_detail(last))
}

runner_sdk::export!(Config);

#[cfg(test)]
mod tests;
