//! `runner-fleet [--local] HOSTS -- COMMAND…`: runs a command while a fleet is up.
//!
//! The command finds the fleet's files in `FLEET_DIR`: `inventory.toml`, `ssh_config`, `known_hosts`, `hosts.tsv`; each
//! host has `shared/settings.json` in its release root. `--local` makes folders of this machine and no sshd.

use runner_fleet::{Error, Fleet};
use std::process::{Command, ExitCode};

/// The machine cannot have a fleet; callers fall back to something else.
const UNAVAILABLE: u8 = 69;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).collect::<Vec<_>>();
    let local = arguments.first().is_some_and(|word| word == "--local");
    if local {
        arguments.remove(0);
    }
    let hosts = arguments.first().and_then(|word| word.to_str()).and_then(|word| word.parse().ok());
    let rest = arguments.split_off(arguments.len().min(1));
    let command: Vec<_> = rest.into_iter().skip_while(|word| word == "--").collect();
    let (Some(hosts), Some((program, rest))) = (hosts, command.split_first()) else {
        eprintln!("usage: runner-fleet [--local] HOSTS -- COMMAND [ARGUMENT]…");
        return ExitCode::from(2);
    };
    let fleet = match start(hosts, local) {
        Ok(fleet) => fleet,
        Err(error) => {
            eprintln!("runner-fleet: {error}");
            let missing = matches!(error, Error::Missing(_));
            return ExitCode::from(if missing { UNAVAILABLE } else { 1 });
        }
    };
    let ended = Command::new(program).args(rest).env("FLEET_DIR", fleet.folder()).status();
    drop(fleet);
    match ended {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(error) => {
            eprintln!("runner-fleet: failed to run `{}`: {error}", program.display());
            ExitCode::from(127)
        }
    }
}

fn start(hosts: usize, local: bool) -> Result<Fleet, Error> {
    let builder = Fleet::builder(hosts);
    let fleet = if local { builder.local() } else { builder }.start()?;
    for host in fleet.hosts() {
        host.put("shared/settings.json", &format!("{{ \"machine\": \"{}\" }}\n", host.name()))?;
    }
    Ok(fleet)
}
