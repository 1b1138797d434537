//! `std/nginx-upstream`: takes targets out of an nginx upstream and puts them back.

mod servers;

use runner_sdk::params::Duration;
use runner_sdk::{
    Attributes, Capabilities, Cluster, Command, Context, Effect, Error, ErrorKind, Result, Service,
    ServiceAction, Standing, Target, timer,
};
use schemars::JsonSchema;
use serde::Deserialize;
use servers::Servers;

/// The cluster.
pub struct NginxUpstream;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
    /// The file on the load balancer with the servers of one upstream, a `server ADDRESS …;` on each line: an absolute
    /// path. It is included in the `upstream` block.
    file: String,
    /// The address that the target has in that file: "${target.address}:8080".
    server: String,
    /// The command that tests the configuration of nginx, as a list of program and arguments.
    #[serde(default = "nginx_t")]
    test: Vec<String>,
    /// The unit of nginx.
    #[serde(default = "nginx")]
    unit: String,
    /// How long to wait after leaving, until requests that go on have ended: nginx does not say how many there are.
    #[serde(default = "ten_seconds")]
    drain: Duration,
}

impl Cluster for NginxUpstream {
    const NAME: &'static str = "nginx-upstream";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "takes targets out of an nginx upstream and puts them back";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities = Capabilities {
        ssh: &["read:${file}", "write:${file}", "exec-read:${test...}", "service:${unit} reload"],
        ..Capabilities::NONE
    };

    type Params = Params;

    fn observe(params: Params) -> Result<Standing> {
        let down = params.servers(&Target::current())?.is_down(&params.server)?;
        Ok(Standing::of(if down { Service::Out } else { Service::In }))
    }

    fn leave(params: Params) -> Result<()> {
        if params.mark(true)? {
            runner_sdk::info!("took `{}` out of `{}`, and wait {}", params.server, params.file, params.drain);
            timer::sleep(params.drain.get())?;
        }
        Ok(())
    }

    fn join(params: Params) -> Result<()> {
        if params.mark(false)? {
            runner_sdk::info!("put `{}` back into `{}`", params.server, params.file);
        }
        Ok(())
    }
}

impl Params {
    fn servers(&self, balancer: &Target) -> Result<Servers> {
        let text = balancer.read(&self.file).hint(|| {
            "it has a `server ADDRESS;` on each line, and is included in the `upstream` block".to_owned()
        })?;
        Ok(Servers::new(&self.file, text))
    }

    /// Marks the server and has nginx take it up; whether there was anything to do.
    fn mark(&self, down: bool) -> Result<bool> {
        if self.test.is_empty() {
            return Err(Error::invalid("`test` names no program"));
        }
        let balancer = Target::current();
        let servers = self.servers(&balancer)?;
        let marked = servers.marked(&self.server, down)?;
        // True also where an earlier try wrote it and got no further.
        if !balancer.write(&self.file, &marked, &Attributes::keep())? {
            return Ok(false);
        }
        let test = Command::new(self.test.clone(), Effect::Read);
        let taken_up = test.run(&balancer).and_then(|_| balancer.service(&self.unit, ServiceAction::Reload));
        match taken_up {
            Ok(()) => Ok(true),
            // After a cancel nothing is written; what the file is then, the journal knows.
            Err(error) if error.is(ErrorKind::Cancelled) => Err(error),
            Err(error) => {
                balancer.write(&self.file, servers.text(), &Attributes::keep()).context(|| {
                    format!("{}; and `{}` could not be put back as it was", error.message, self.file)
                })?;
                Err(error).context(|| format!("`{}` is as it was", self.file))
            }
        }
    }
}

fn nginx_t() -> Vec<String> {
    vec!["nginx".to_owned(), "-t".to_owned()]
}

fn nginx() -> String {
    "nginx".to_owned()
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

runner_sdk::export_cluster!(NginxUpstream);

#[cfg(test)]
mod real;
#[cfg(test)]
mod tests;
