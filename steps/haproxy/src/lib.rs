//! `std/haproxy`: takes targets out of an HAProxy and puts them back, through its admin socket.

mod admin;
mod gate;

use admin::{Admin, Backends, Word};
use runner_sdk::params::Duration;
use runner_sdk::{Capabilities, Cluster, Error, Result, Standing, Target, run_info};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The cluster.
pub struct Haproxy;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
    /// The admin socket of HAProxy on the load balancer: an absolute path. The acting user must be able to write to it,
    /// and it must be of level `admin`.
    #[serde(default = "socket")]
    socket: String,
    /// The backend that the target is a server of; or a list of them, when the target serves in several.
    backend: Backends,
    /// The name that the target has in HAProxy. Without, its name in the inventory.
    server: Option<Word>,
    /// How long connections have to end when the target leaves.
    #[serde(default = "half_a_minute")]
    timeout: Duration,
    /// What becomes of connections that have not ended by then. "cut": they are cut off. "fail": the target is put back
    /// and the rollout of it fails.
    #[serde(default)]
    on_timeout: OnTimeout,
    /// A file on the load balancer that gets the state of all servers after each change, so that it survives a reload:
    /// an absolute path, the `server-state-file` of HAProxy.
    state_file: Option<String>,
    /// How long the target has to pass the health checks of HAProxy when it joins.
    #[serde(default = "half_a_minute")]
    healthy_within: Duration,
}

/// What becomes of connections that do not end in time.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum OnTimeout {
    /// They are cut off.
    #[default]
    Cut,
    /// The target stays in service.
    Fail,
}

impl Cluster for Haproxy {
    const NAME: &'static str = "haproxy";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str =
        "takes targets out of an HAProxy and puts them back, through its admin socket";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities = Capabilities {
        ssh: &[
            "socket-read:${socket}",
            "socket-leave:${socket}",
            "socket-join:${socket}",
            "write:${state-file}",
        ],
        ..Capabilities::NONE
    };

    type Params = Params;

    fn observe(params: Params) -> Result<Standing> {
        let balancer = Target::current();
        let admin = params.admin(&balancer)?;
        gate::observe(&admin)
    }

    fn leave(params: Params) -> Result<()> {
        let balancer = Target::current();
        let admin = params.admin(&balancer)?;
        gate::leave(&admin, &params)
    }

    fn join(params: Params) -> Result<()> {
        let balancer = Target::current();
        let admin = params.admin(&balancer)?;
        gate::join(&admin, &params)
    }
}

impl Params {
    fn admin<'a>(&'a self, balancer: &'a Target) -> Result<Admin<'a>> {
        let server = match &self.server {
            Some(server) => server.clone(),
            None => {
                let subject = run_info::subject()
                    .ok_or_else(|| Error::invalid("there is no target that this run of it is about"))?;
                Word::read(&subject).map_err(|why| {
                    Error::invalid(format!("the target's name is no name of a server: {why}"))
                        .with_detail("name it: with = { server = \"${target.vars.haproxy-server}\" }")
                })?
            }
        };
        Ok(Admin::new(balancer, &self.socket, &self.backend, server))
    }
}

fn socket() -> String {
    "/run/haproxy/admin.sock".to_owned()
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

runner_sdk::export_cluster!(Haproxy);

#[cfg(test)]
mod real;
#[cfg(test)]
mod tests;
