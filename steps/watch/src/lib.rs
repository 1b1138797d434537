//! `std/watch`: sees that a URL, a file, a port or a service stays as it must be, for some time.

use runner_conditions::{Condition, HTTP, Look, SSH, check_interval};
use runner_sdk::params::Duration;
use runner_sdk::{Capabilities, Error, Result, Step, Target, timer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step.
pub struct Watch;

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
    /// How long it must stay so.
    r#for: Duration,
    /// How long between two looks, at least 100ms.
    #[serde(default = "five_seconds")]
    interval: Duration,
    /// How many looks may find it otherwise.
    #[serde(default)]
    max_failures: u32,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// How often was looked.
    looks: u32,
    /// How many of the looks found it otherwise.
    failures: u32,
}

impl Step for Watch {
    const NAME: &'static str = "watch";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "sees that a URL, a file, a port or a service stays as it must be";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities = Capabilities { ssh: SSH, http: HTTP, ..Capabilities::NONE };

    type Params = Params;
    type Outputs = Outputs;

    fn run(params: Params) -> Result<Outputs> {
        let (span, interval, allowed) = (params.r#for, params.interval, params.max_failures);
        check_interval(interval)?;
        if interval > span {
            return Err(Error::invalid(format!("`interval` is {interval}, longer than `for`, {span}")));
        }
        let condition = Condition::new(params.look)?;
        let target = Target::current();
        let began = timer::now();
        let mut outputs = Outputs { looks: 0, failures: 0 };
        loop {
            outputs.looks += 1;
            let since = timer::now().since(began);
            if let Err(unmet) = condition.look(&target)? {
                outputs.failures += 1;
                if outputs.failures > allowed {
                    let message = format!(
                        "{condition}: {} (after {} ms; {} of {} looks failed, and {allowed} may)",
                        unmet.why,
                        since.as_millis(),
                        outputs.failures,
                        outputs.looks
                    );
                    return Err(Error::other(message).with_detail(unmet.detail));
                }
                runner_sdk::warn!("{condition}: {}", unmet.why);
            }
            let left = span.get().saturating_sub(timer::now().since(began));
            if left.is_zero() {
                runner_sdk::info!("{condition}: as it must be, for {span}");
                return Ok(outputs);
            }
            timer::sleep(interval.get().min(left))?;
        }
    }
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

runner_sdk::export!(Watch);

#[cfg(test)]
mod tests;
