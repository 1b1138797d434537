//! `std/health-file`: takes targets out of service and puts them back by a file that their health check looks at.

use runner_sdk::params::Duration;
use runner_sdk::{
    Attributes, Capabilities, Cluster, Context, Error, Result, Service, Standing, Target, run_info, timer,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The cluster.
pub struct HealthFile;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
    /// The file that the health check of the application looks at: an absolute path on the target itself.
    path: String,
    /// What it means that the file is there. "in": the target serves. "out": it does not.
    #[serde(default)]
    present: Present,
    /// What the file says when it is made.
    #[serde(default)]
    text: String,
    /// How long to wait after leaving: until every load balancer has seen it, and requests that go on have ended.
    #[serde(default = "ten_seconds")]
    drain: Duration,
    /// How long to wait after joining, until every load balancer has seen it.
    #[serde(default = "no_time")]
    settle: Duration,
}

/// What it means that the file is there.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Present {
    /// The target serves.
    #[default]
    In,
    /// It does not.
    Out,
}

impl Cluster for HealthFile {
    const NAME: &'static str = "health-file";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str =
        "takes targets out of service and puts them back by a file that their health check looks at";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities =
        Capabilities { ssh: &["read:${path}", "write:${path}"], ..Capabilities::NONE };

    type Params = Params;

    fn observe(params: Params) -> Result<Standing> {
        let there = params.is_there(&params.target()?)?;
        let serves = there == (params.present == Present::In);
        Ok(Standing::of(if serves { Service::In } else { Service::Out }))
    }

    fn leave(params: Params) -> Result<()> {
        params.make(params.present == Present::Out, params.drain)
    }

    fn join(params: Params) -> Result<()> {
        params.make(params.present == Present::In, params.settle)
    }
}

impl Params {
    /// The file is on the target that it is about, and nowhere else.
    fn target(&self) -> Result<Target> {
        let current = Target::current();
        match run_info::subject() {
            Some(subject) if subject != current.name() => Err(Error::invalid(format!(
                "the health file of `{subject}` is on `{subject}` itself, and this is `{}`",
                current.name()
            ))
            .with_detail("in `[cluster]`, `on` must name the role that the rollout goes to")),
            _ => Ok(current),
        }
    }

    fn is_there(&self, target: &Target) -> Result<bool> {
        match target.stat(&self.path)? {
            None => Ok(false),
            Some(entry) if entry.is_file() => Ok(true),
            Some(_) => Err(Error::conflict(format!("`{}` is something else than a file", self.path))),
        }
    }

    /// Makes the file be there or not, and gives everybody the time to see it.
    fn make(&self, there: bool, wait: Duration) -> Result<()> {
        let target = self.target()?;
        let is_there = self.is_there(&target)?;
        let changed = match (there, is_there) {
            // What somebody else wrote into it means the same.
            (true, true) => return Ok(()),
            (true, false) => target.write(&self.path, &self.text, &Attributes::keep()).hint(|| {
                "its folder must be there: the application's health check looks into it".to_owned()
            })?,
            (false, _) => target.remove(&self.path)?,
        };
        if changed {
            let does = if there { "made" } else { "removed" };
            runner_sdk::info!("{does} `{}`, and wait {wait}", self.path);
            timer::sleep(wait.get())?;
        }
        Ok(())
    }
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn no_time() -> Duration {
    Duration::from_secs(0)
}

runner_sdk::export_cluster!(HealthFile);

#[cfg(test)]
mod tests;
