//! What is looked at on this machine: ssh, keys, the lock, the policy.

use super::findings::{Finding, Findings, Level};
use super::{policy, refused};
use crate::cli::fail::Fail;
use crate::cli::load::{Checked, Loaded};
use crate::cli::{schema, stale};
use crate::written::shown;
use runner_model::Resolved;
use runner_model::inventory::ConnectionKind;
use runner_model::lock::Lock;
use std::process::{Command, Stdio};

pub(super) fn examine(findings: &mut Findings, loaded: &Loaded, checked: &Checked) -> Result<(), Fail> {
    let resolved = &checked.resolved;
    if resolved.targets.values().any(|target| target.connection == ConnectionKind::Ssh) {
        ssh(findings);
        keys(findings, resolved);
    }
    let file = shown(&loaded.written.lock_file());
    let locked = loaded.written.lock().and_then(|lock| {
        Lock::verify(lock.as_ref(), resolved, &file)
            .map(|_| ())
            .map_err(|why| stale(why, &loaded.written.file))
    });
    refused("lock", locked, findings, &format!("`{file}` is what the plan asks for"))?;
    policy(findings, loaded, resolved)?;
    if schema::is_stale(&loaded.written.folder) {
        let folder = shown(&loaded.written.folder);
        let folder = if folder == "." { String::new() } else { format!(" {folder}") };
        let what = "the schemas beside the plan are of another version of the runner";
        let mend = format!("`runner schema --install{folder}`, and commit what it writes");
        findings.add(Finding::new(Level::Warning, "schema", what, mend));
    }
    Ok(())
}

/// What a program prints on both streams, and how it ended; `None`: it is not there.
fn said(program: &str, arguments: &[&str]) -> Option<(Option<i32>, String)> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.code(), String::from_utf8_lossy(&text).trim().to_owned()))
}

fn ssh(findings: &mut Findings) {
    let Some((_, version)) = said("ssh", &["-V"]) else {
        let mend = "install the OpenSSH client (package openssh-client)";
        findings.add(Finding::new(
            Level::Error,
            "ssh",
            "there is no `ssh` in the PATH of this machine",
            mend,
        ));
        return;
    };
    let version = version.lines().next().unwrap_or_default().to_owned();
    let number = version.strip_prefix("OpenSSH_").and_then(|rest| {
        let digits = |text: &str| {
            text.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u32>().ok()
        };
        let (major, minor) = rest.split_once('.')?;
        Some((digits(major)?, digits(minor)?))
    });
    match number {
        Some(number) if number >= (7, 6) => findings.good("ssh", &version),
        Some(_) => {
            let what = format!("{version} is older than what the runner is tested with (7.6)");
            findings.add(Finding::new(Level::Warning, "ssh", what, "install a newer OpenSSH client"));
        }
        None => {
            let what = format!("the `ssh` of this machine is not OpenSSH: it says `{version}`");
            findings.add(Finding::new(
                Level::Warning,
                "ssh",
                what,
                "install the OpenSSH client (package openssh-client)",
            ));
        }
    }
}

/// Whether there is anything to log in with, where the inventory does not say.
fn keys(findings: &mut Findings, resolved: &Resolved) {
    let mut over_ssh = resolved.targets.values().filter(|target| target.connection == ConnectionKind::Ssh);
    if resolved.ssh.identity.is_some() || over_ssh.all(|target| target.identity.is_some()) {
        findings.good("keys", "the inventory names them");
        return;
    }
    let agent = std::env::var_os("SSH_AUTH_SOCK").is_some().then(|| said("ssh-add", &["-l"])).flatten();
    let in_home = std::env::home_dir().is_some_and(|home| {
        let names = ["id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk"];
        names.iter().any(|name| home.join(".ssh").join(name).exists())
    });
    match agent {
        Some((Some(0), keys)) => {
            let count = keys.lines().count();
            findings
                .good("keys", &format!("the agent has {count} {}", if count == 1 { "key" } else { "keys" }));
        }
        _ if in_home => findings.good("keys", "no agent; there are keys in `~/.ssh`"),
        Some((Some(1), _)) => {
            let mend =
                "`ssh-add ~/.ssh/id_ed25519`, or name a key in the inventory: `[ssh] identity = \"…\"`";
            findings.add(Finding::new(
                Level::Warning,
                "keys",
                "the ssh agent has no key, and `~/.ssh` has none",
                mend,
            ));
        }
        Some(_) => {
            let mend = "start one: `eval \"$(ssh-agent)\"`, then `ssh-add`";
            let what = "the ssh agent that SSH_AUTH_SOCK names does not answer, and `~/.ssh` has no key";
            findings.add(Finding::new(Level::Warning, "keys", what, mend));
        }
        None => {
            let mend =
                "start an agent and `ssh-add` a key, or name one in the inventory: `[ssh] identity = \"…\"`";
            let what = "there is neither an ssh agent nor a key in `~/.ssh`";
            findings.add(Finding::new(Level::Warning, "keys", what, mend));
        }
    }
}
