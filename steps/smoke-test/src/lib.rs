//! `std/smoke-test`: asks the application over HTTP whether it works.

use runner_conditions::{Expected, From, HTTP, show};
use runner_sdk::params::Duration;
use runner_sdk::{Capabilities, Error, ErrorKind, Request, Result, Step, Target, timer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The wait before the second try; doubled from there on, up to the interval. A service that has just been restarted is
/// often up within milliseconds.
const FIRST_WAIT: Duration = Duration::from_millis(5);

/// The step.
pub struct SmokeTest;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
    /// What to ask for: absolute, http or https.
    url: String,
    /// The address to connect to, with a port or without: "${target.address}". Host, certificate and grant stay the
    /// URL's.
    connect_to: Option<String>,
    /// "target": ask through the target's own connection, so that `127.0.0.1` is the target. Without, the runner asks.
    from: Option<From>,
    /// Headers to send.
    #[serde(default)]
    send_headers: BTreeMap<String, String>,
    /// The status that the answer must have.
    #[serde(default = "ok")]
    status: u16,
    /// The body that it must have; line breaks at the end do not count.
    body: Option<String>,
    /// Text that must be in the body.
    body_contains: Option<String>,
    /// Headers that it must have, with these values.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// How long one try may take.
    #[serde(default = "five_seconds")]
    timeout: Duration,
    /// How long to go on trying.
    #[serde(default = "one_minute")]
    deadline: Duration,
    /// The longest wait between two tries. The first waits are a few milliseconds.
    #[serde(default = "one_second")]
    interval: Duration,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// How many tries it took.
    tries: u32,
    /// The status of the answer.
    status: u16,
}

impl Step for SmokeTest {
    const NAME: &'static str = "smoke-test";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "asks the application over HTTP whether it works";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities = Capabilities { http: HTTP, ..Capabilities::NONE };

    type Params = Params;
    type Outputs = Outputs;

    fn run(params: Params) -> Result<Outputs> {
        let url = &params.url;
        let mut request = Request::get(url).timeout(params.timeout.get());
        for (name, value) in &params.send_headers {
            request = request.header(name, value);
        }
        if let Some(address) = &params.connect_to {
            request = request.connect_to(address);
        }
        if let Some(From::Target) = params.from {
            request = request.via(&Target::current());
        }
        let expected = Expected {
            status: params.status,
            body: params.body,
            body_contains: params.body_contains,
            headers: params.headers,
        };

        let began = timer::now();
        let mut wait = FIRST_WAIT.get();
        let mut tries = 0;
        loop {
            tries += 1;
            let last = match request.send() {
                Ok(answer) => match expected.unmet(&answer) {
                    None => {
                        runner_sdk::info!("`{url}` answered {}", answer.status);
                        return Ok(Outputs { tries, status: answer.status });
                    }
                    Some(why) => Failed { why, detail: show(&answer) },
                },
                // What a restart looks like from outside; all else will not become better.
                Err(Error { kind: ErrorKind::Unreachable | ErrorKind::Timeout, message, detail }) => {
                    Failed { why: message, detail }
                }
                Err(error) => return Err(error),
            };
            let left = params.deadline.get().saturating_sub(timer::now().since(began));
            if left <= wait {
                let message = format!("`{url}`: {} (after {tries} tries in {})", last.why, params.deadline);
                return Err(Error::timeout(message).with_detail(last.detail));
            }
            runner_sdk::debug!("try {tries}: {}", last.why);
            timer::sleep(wait)?;
            wait = (wait * 2).min(params.interval.get()).max(FIRST_WAIT.get());
        }
    }
}

/// What was wrong with the last try.
struct Failed {
    why: String,
    detail: String,
}

fn ok() -> u16 {
    200
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

fn one_minute() -> Duration {
    Duration::from_secs(60)
}

fn one_second() -> Duration {
    Duration::from_secs(1)
}

runner_sdk::export!(SmokeTest);

#[cfg(test)]
mod tests;
