//! `std/load-test`: sends many requests and measures the answers.

mod report;

use report::Report;
use runner_sdk::params::Duration;
use runner_sdk::{Artifact, Capabilities, Command, Effect, Error, ErrorKind, Result, Step, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step.
pub struct LoadTest;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
    /// What to ask for: absolute, http or https, with a path.
    #[schemars(regex(pattern = "^https?://[^/]+/"))]
    url: String,
    /// How many requests.
    #[schemars(range(min = 1, max = 1_000_000))]
    requests: u32,
    /// How many at a time; not more than `requests`.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1000))]
    concurrency: u32,
    /// How many may fail: no connection, no answer, or a status other than 2xx.
    #[serde(default)]
    max_failed: u64,
    /// 95 of 100 answers must be there within this time.
    p95: Option<Duration>,
    /// At least so many answers a second.
    min_rate: Option<f64>,
    /// How long all of it may take.
    #[serde(default = "five_minutes")]
    timeout: Duration,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// How many requests were answered.
    completed: u64,
    /// How many of the requests failed.
    failed: u64,
    /// Answers a second.
    rate: f64,
    /// Half of the answers were there within so many milliseconds.
    p50: u64,
    /// The same for 95 of 100.
    p95: u64,
    /// The same for 99 of 100.
    p99: u64,
    /// The slowest answer, in milliseconds.
    slowest: u64,
    /// The digest of the whole report, a text.
    report: String,
}

impl Step for LoadTest {
    const NAME: &'static str = "load-test";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "sends many requests and measures the answers";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities = Capabilities {
        ssh: &["exec-read:ab -q -l -r -s 30 -n ${requests} -c ${concurrency} ${url}"],
        ..Capabilities::NONE
    };

    type Params = Params;
    type Outputs = Outputs;

    fn run(params: Params) -> Result<Outputs> {
        let target = Target::current();
        let (requests, concurrency) = (params.requests.to_string(), params.concurrency.to_string());
        if params.concurrency > params.requests {
            let message = format!("`concurrency` is {concurrency}, more than the {requests} `requests`");
            return Err(Error::invalid(message));
        }
        let url = params.url.as_str();
        let argv = ["ab", "-q", "-l", "-r", "-s", "30", "-n", &requests, "-c", &concurrency, url];
        let output = match Command::new(argv, Effect::Read).timeout(params.timeout.get()).run(&target) {
            Err(error) if error.is(ErrorKind::NotFound) => {
                let message = format!("{} (on `{}`)", error.message, target.name());
                return Err(Error::not_found(message).with_detail("install `apache2-utils` there"));
            }
            answer => answer?,
        };
        let measured = Report::read(&output.stdout)?;
        let report = Artifact::from_bytes(output.stdout.as_bytes())?.digest();
        let Report { completed, failed, rate, p50, p95, p99, slowest } = measured;
        // One request can fail in two ways, and is then counted twice.
        let failed = failed.min(u64::from(params.requests));
        runner_sdk::info!(
            "`{url}`: {completed} answers, {failed} failed, {rate} a second; 50 % within {p50} ms, 95 % within {p95} ms, 99 % within {p99} ms"
        );
        let mut wrong = Vec::new();
        if failed > params.max_failed {
            wrong.push(format!("{failed} of {requests} requests failed, and {} may", params.max_failed));
        }
        if let Some(limit) = params.p95.filter(|limit| u128::from(p95) > limit.get().as_millis()) {
            wrong.push(format!("95 % of the answers took up to {p95} ms, and may take {limit}"));
        }
        if let Some(least) = params.min_rate.filter(|least| rate < *least) {
            wrong.push(format!("{rate} answers a second, and {least} must be"));
        }
        if !wrong.is_empty() {
            let message = format!("`{url}` from `{}`: {}", target.name(), wrong.join("; "));
            return Err(Error::other(message).with_detail(output.stdout.trim()));
        }
        Ok(Outputs { completed, failed, rate, p50, p95, p99, slowest, report })
    }
}

fn ten() -> u32 {
    10
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

runner_sdk::export!(LoadTest);

#[cfg(test)]
mod tests;
