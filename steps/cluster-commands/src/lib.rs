//! `std/cluster-commands`: takes targets out of service and puts them back by commands on the load balancer.

use runner_sdk::params::Duration;
use runner_sdk::{
    Capabilities, Cluster, Command, Effect, Error, Output, Result, Service, Standing, Target, timer,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration as Time;

/// The cluster.
pub struct ClusterCommands;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
    /// The command that says how the target stands, as a list of program and arguments: ["/opt/lb/bin/lb", "state",
    /// "${target.name}"].
    observe: Vec<String>,
    /// The command that takes it out of service.
    leave: Vec<String>,
    /// The command that puts it back.
    join: Vec<String>,
    /// What the first word on the stdout of `observe` means. Without, the words are "in", "draining" and "out".
    words: Option<Words>,
    /// What the exit status of `observe` means; its stdout means nothing then.
    statuses: Option<Statuses>,
    /// How long it may take the target to be out when it leaves; past it, it is put back.
    #[serde(default = "half_a_minute")]
    timeout: Duration,
    /// How long it may take the target to be in service when it joins.
    #[serde(default = "half_a_minute")]
    healthy_within: Duration,
    /// How long one command may take.
    #[serde(default = "half_a_minute")]
    command_timeout: Duration,
}

/// Words of a program.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Words {
    /// The target is in service.
    r#in: Vec<String>,
    /// It drains.
    #[serde(default)]
    draining: Vec<String>,
    /// It is out.
    out: Vec<String>,
}

/// Exit statuses of a program.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Statuses {
    /// The target is in service.
    r#in: Vec<u32>,
    /// It drains.
    #[serde(default)]
    draining: Vec<u32>,
    /// It is out.
    out: Vec<u32>,
}

impl Cluster for ClusterCommands {
    const NAME: &'static str = "cluster-commands";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str =
        "takes targets out of service and puts them back by commands on the load balancer";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities = Capabilities {
        ssh: &["exec-read:${observe...}", "exec-leave:${leave...}", "exec-join:${join...}"],
        ..Capabilities::NONE
    };

    type Params = Params;

    fn observe(params: Params) -> Result<Standing> {
        params.service(&Target::current()).map(Standing::of)
    }

    fn leave(params: Params) -> Result<()> {
        let balancer = Target::current();
        if params.service(&balancer)? == Service::Out {
            return Ok(());
        }
        params.command(&params.leave, Effect::Leave)?.run(&balancer)?;
        match params.becomes(&balancer, Service::Out, params.timeout) {
            Ok(None) => Ok(()),
            outcome => {
                let error = outcome.err().unwrap_or_else(|| params.late("out", params.timeout));
                params.command(&params.join, Effect::Join)?.run(&balancer)?;
                Err(error)
            }
        }
    }

    fn join(params: Params) -> Result<()> {
        let balancer = Target::current();
        if params.service(&balancer)? != Service::In {
            params.command(&params.join, Effect::Join)?.run(&balancer)?;
        }
        match params.becomes(&balancer, Service::In, params.healthy_within)? {
            None => Ok(()),
            Some(_) => Err(params.late("in service", params.healthy_within)),
        }
    }
}

impl Params {
    fn command(&self, argv: &[String], effect: Effect) -> Result<Command> {
        if argv.is_empty() {
            return Err(Error::invalid("`observe`, `leave` and `join` each name a program"));
        }
        let command = Command::new(argv.to_vec(), effect).timeout(self.command_timeout.get());
        Ok(match effect {
            Effect::Leave => command.undo_with(Command::new(self.join.clone(), Effect::Join)),
            Effect::Join => command.undo_with(Command::new(self.leave.clone(), Effect::Leave)),
            _ => command,
        })
    }

    /// What `observe` says.
    fn service(&self, balancer: &Target) -> Result<Service> {
        let mut command = self.command(&self.observe, Effect::Read)?;
        match (&self.words, &self.statuses) {
            (Some(_), Some(_)) => {
                Err(Error::invalid("`observe` is read by its `words` or by its `statuses`, not both"))
            }
            (words, None) => self.by_word(words.as_ref(), &command.run(balancer)?),
            (None, Some(statuses)) => {
                for status in statuses.r#in.iter().chain(&statuses.draining).chain(&statuses.out) {
                    command = command.accept(*status);
                }
                let status = command.run(balancer)?.status;
                let means = [
                    (Service::In, statuses.r#in.contains(&status)),
                    (Service::Draining, statuses.draining.contains(&status)),
                    (Service::Out, statuses.out.contains(&status)),
                ];
                self.one(&means, &format!("the exit status {status}"))
            }
        }
    }

    fn by_word(&self, words: Option<&Words>, output: &Output) -> Result<Service> {
        let word = output.stdout.split_whitespace().next().unwrap_or_default();
        let means = match words {
            None => [
                (Service::In, word == "in"),
                (Service::Draining, word == "draining"),
                (Service::Out, word == "out"),
            ],
            Some(words) => [
                (Service::In, words.r#in.iter().any(|known| known == word)),
                (Service::Draining, words.draining.iter().any(|known| known == word)),
                (Service::Out, words.out.iter().any(|known| known == word)),
            ],
        };
        let shown: String = word.chars().take(60).collect();
        self.one(&means, &format!("the word `{}`", shown.escape_debug()))
    }

    /// The one state that is meant.
    fn one(&self, means: &[(Service, bool)], what: &str) -> Result<Service> {
        let mut meant = means.iter().filter(|(_, meant)| *meant);
        match (meant.next(), meant.next()) {
            (Some((service, _)), None) => Ok(*service),
            (None, _) => Err(Error::other(format!(
                "`{}` answers with {what}, which means nothing",
                self.observe.join(" ")
            ))
            .with_detail(
                "say what it means: with = { words = { in = [\"up\"], out = [\"down\"] } }, or `statuses`",
            )),
            (Some(_), Some(_)) => Err(Error::invalid(format!("{what} means more than one state"))),
        }
    }

    /// Asks until the target stands so; how it stands when the time is up.
    fn becomes(&self, balancer: &Target, wanted: Service, time: Duration) -> Result<Option<Service>> {
        const PAUSE: Time = Time::from_millis(1000);
        let began = timer::now();
        loop {
            let service = self.service(balancer)?;
            if service == wanted {
                return Ok(None);
            }
            if timer::now().since(began) >= time.get() {
                return Ok(Some(service));
            }
            timer::sleep(PAUSE)?;
        }
    }

    fn late(&self, wanted: &str, time: Duration) -> Error {
        Error::timeout(format!("`{}` does not say that it is {wanted} within {time}", self.observe.join(" ")))
    }
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

runner_sdk::export_cluster!(ClusterCommands);

#[cfg(test)]
mod tests;
