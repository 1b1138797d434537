//! `std/opcache-reset`: makes the workers of PHP-FPM forget the scripts that they have compiled.

use runner_sdk::layout::Root;
use runner_sdk::params::{Changed, Duration};
use runner_sdk::{
    Attributes, Capabilities, Command, Context, Effect, Error, ErrorKind, Result, Step, Target,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a worker runs; its answer is one of the words of [`State`].
const SCRIPT: &str = "<?php
header('Content-Type: text/plain');
if (!function_exists('opcache_reset')) echo 'off';
elseif (@opcache_reset()) echo 'reset';
else echo ini_get('opcache.restrict_api') ? 'restricted' : 'off';
";

/// The step.
pub struct OpcacheReset;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
    /// Where PHP-FPM listens, as seen from the target: the path of a socket, or "127.0.0.1:9000".
    socket: String,
    /// A path on the target for the script, which is there for a moment: absolute, and in a folder that PHP may read.
    script: String,
    /// The release root; then a release that went live, or that has not proved itself here, is a reason.
    root: Option<Root>,
    /// What earlier steps say about what they changed: "${config.changed}", or a list of such; one that is true is a
    /// reason.
    changed: Option<Changed>,
    /// How long PHP may take.
    #[serde(default = "ten_seconds")]
    timeout: Duration,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// What came of it.
    state: State,
}

/// What came of it.
#[derive(Serialize, JsonSchema, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The cache was reset.
    Reset,
    /// PHP has no opcode cache, or it is off.
    Off,
    /// There was no reason to ask.
    Unchanged,
    /// This is a dry run.
    Skipped,
}

impl Step for OpcacheReset {
    const NAME: &'static str = "opcache-reset";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "makes PHP forget the scripts that it has compiled";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities = Capabilities {
        ssh: &[
            "read:${script}",
            "write:${script}",
            "exec-signal:REQUEST_METHOD=GET SCRIPT_FILENAME=${script} cgi-fcgi -bind -connect ${socket}",
            "read:${root}",
        ],
        ..Capabilities::NONE
    };

    type Params = Params;
    type Outputs = Outputs;

    fn run(params: Params) -> Result<Outputs> {
        let target = Target::current();
        let Some(reason) = reason(&target, &params)? else {
            runner_sdk::info!("no reason to reset the cache");
            return Ok(Outputs { state: State::Unchanged });
        };
        runner_sdk::info!("resetting the cache: {reason}");
        let script = params.script.as_str();
        // It is removed in the end: what somebody else has there is not for us.
        let other = match target.stat(script)? {
            None => false,
            Some(entry) => !entry.is_file() || target.read(script)? != SCRIPT,
        };
        if other {
            let message = format!("`{script}` on `{}` is another file", target.name());
            return Err(Error::conflict(message).with_detail("`script` is a path for this step alone"));
        }
        target.write(script, SCRIPT, &Attributes::mode(0o644))?;
        let answered = ask(&target, &params);
        // Also after a failure, which is what is told then: nobody else is to find it there.
        let removed = target.remove(script);
        let state = answered.context(|| format!("PHP-FPM at `{}` on `{}`", params.socket, target.name()))?;
        removed?;
        if state == State::Off {
            runner_sdk::info!("PHP has no opcode cache, or it is off");
        }
        Ok(Outputs { state })
    }
}

fn reason(target: &Target, params: &Params) -> Result<Option<String>> {
    if params.changed.as_ref().is_some_and(Changed::any) {
        return Ok(Some("an earlier step changed something".to_owned()));
    }
    match &params.root {
        Some(root) => root.unproven(target),
        None if params.changed.is_some() => Ok(None),
        None => Ok(Some("neither `root` nor `changed` says whether there is a reason".to_owned())),
    }
}

fn ask(target: &Target, params: &Params) -> Result<State> {
    let asked = Command::new(["cgi-fcgi", "-bind", "-connect", params.socket.as_str()], Effect::Signal)
        .env("REQUEST_METHOD", "GET")
        .env("SCRIPT_FILENAME", &params.script)
        .timeout(params.timeout.get())
        .repeatable()
        .run(target);
    let output = match asked {
        Err(error) if error.is(ErrorKind::NotFound) => {
            return Err(error).hint(|| "install `libfcgi-bin` there".to_owned());
        }
        answer => answer?,
    };
    if output.skipped {
        return Ok(State::Skipped);
    }
    let answer = output.stdout.replace('\r', "");
    let (head, body) = answer.split_once("\n\n").unwrap_or(("", &answer));
    match body.trim() {
        "reset" => Ok(State::Reset),
        "off" => Ok(State::Off),
        "restricted" => Err(Error::other("`opcache.restrict_api` does not let the script reset the cache")
            .with_detail("name a `script` below the path that the setting has")),
        _ => {
            let status = head.lines().find_map(|line| line.strip_prefix("Status: "));
            let what = match status {
                Some(status) if status.starts_with("403") || status.starts_with("404") => {
                    "it may not read the script, or `open_basedir` and `security.limit_extensions` forbid it"
                }
                _ => "it did not answer as the script does",
            };
            Err(Error::other(what).with_detail(format!("{}\n{}", answer.trim(), output.stderr.trim()).trim()))
        }
    }
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

runner_sdk::export!(OpcacheReset);

#[cfg(test)]
mod tests;
