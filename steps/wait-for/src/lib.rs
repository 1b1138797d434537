//! `std/wait-for`: waits until an URL answers, a file is there or gone, a port is listened on, or a service runs.

use runner_conditions::{Condition, HTTP, Look, SSH, check_interval};
use runner_sdk::params::Duration;
use runner_sdk::{Capabilities, Error, Result, Step, Target, timer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step.
pub struct WaitFor;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(extend("additionalProperties" = false, "oneOf" = [
    { "type": "object", "required": ["url"] }, { "type": "object", "required": ["file"] },
    { "type": "object", "required": ["port"] }, { "type": "object", "required": ["service"] },
]))]
pub struct Params {
    #[serde(flatten)]
    look: Look,
    /// How long to wait for it.
    #[serde(default = "one_minute")]
    timeout: Duration,
    /// How long between two looks, at least 100ms.
    #[serde(default = "one_second")]
    interval: Duration,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// How often was looked.
    attempts: u32,
    /// How long it took, in milliseconds.
    waited: u64,
}

impl Step for WaitFor {
    const NAME: &'static str = "wait-for";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "waits until a URL, a file, a port or a service is as it must be";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities = Capabilities { ssh: SSH, http: HTTP, ..Capabilities::NONE };

    type Params = Params;
    type Outputs = Outputs;

    fn run(params: Params) -> Result<Outputs> {
        let (timeout, interval) = (params.timeout, params.interval);
        check_interval(interval)?;
        let condition = Condition::new(params.look)?;
        let target = Target::current();
        let began = timer::now();
        let mut attempts = 0;
        let mut said = String::new();
        loop {
            attempts += 1;
            let Err(last) = condition.look(&target)? else {
                let waited = timer::now().since(began).as_millis();
                runner_sdk::info!("{condition}: as it must be, after {waited} ms");
                return Ok(Outputs { attempts, waited: u64::try_from(waited).unwrap_or(u64::MAX) });
            };
            let left = timeout.get().saturating_sub(timer::now().since(began));
            if left.is_zero() {
                let message = format!("{condition}: {} (after {attempts} looks in {timeout})", last.why);
                return Err(Error::timeout(message).with_detail(last.detail));
            }
            // A line when something is different, and not one for each look.
            if last.why != said {
                runner_sdk::info!("waiting: {}", last.why);
                said = last.why;
            }
            timer::sleep(interval.get().min(left))?;
        }
    }
}

fn one_minute() -> Duration {
    Duration::from_secs(60)
}

fn one_second() -> Duration {
    Duration::from_secs(1)
}

runner_sdk::export!(WaitFor);

#[cfg(test)]
mod tests;
