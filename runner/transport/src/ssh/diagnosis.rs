//! Why ssh did not connect, from what it says: there is nothing else to tell it from.

use crate::SshTarget;
use runner_model::{Failure, FailureKind};

/// What was the matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// No such name.
    NotResolved,
    /// Nothing listens there.
    Refused,
    /// No way leads there.
    NoRoute,
    /// Nothing came back in time.
    TimedOut,
    /// The server closed the connection before it had said anything: it has too many.
    TurnedAway,
    /// The key of the host is another than the known one.
    HostKeyChanged,
    /// The key of the host is not known.
    HostKeyUnknown,
    /// The server takes none of the user's keys.
    KeyRefused,
    /// No common algorithm.
    Algorithms,
    /// A jump host failed, or could not reach the target.
    Jump,
    /// The configuration cannot be read.
    Configuration,
    /// Something on this machine.
    Local,
    /// None of these.
    Other,
}

/// A cause, and the words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Diagnosis {
    pub(super) cause: Cause,
    said: String,
    at_jump: bool,
}

impl Diagnosis {
    pub(super) fn new(cause: Cause, said: String) -> Self {
        Self { cause, said, at_jump: false }
    }

    /// Of what ssh logged.
    pub(super) fn of(log: &str) -> Self {
        Self::new(cause(log), log.trim().to_owned())
    }

    /// Of what ssh and the ssh to its jump host printed, where the first knows only that the second ended.
    pub(super) fn of_jump(log: &str) -> Self {
        let of_jump: Vec<&str> = log.lines().filter(|line| !is_blind(line)).collect();
        let cause = match cause(&of_jump.join("\n")) {
            Cause::Other => Cause::Jump,
            cause => cause,
        };
        Self { cause, said: log.trim().to_owned(), at_jump: true }
    }

    pub(super) fn failure(&self, target: &SshTarget) -> Failure {
        let port = target.port.map(|port| format!(" port {port}")).unwrap_or_default();
        let address = &target.address;
        let (why, mend) = match self.cause {
            Cause::NotResolved => (
                "its name cannot be resolved".to_owned(),
                "correct `address` in the inventory, or name it in your ssh configuration".to_owned(),
            ),
            Cause::Refused => (
                "the connection was refused: nothing listens there".to_owned(),
                "start its sshd, or correct `address` and `port` in the inventory".to_owned(),
            ),
            Cause::NoRoute => (
                "no way leads there".to_owned(),
                "is the network up, the VPN connected, the address right?".to_owned(),
            ),
            Cause::TimedOut => (
                "nothing came back in time".to_owned(),
                "is the machine up, and its port open in the firewalls on the way?".to_owned(),
            ),
            Cause::TurnedAway => (
                "its sshd turned the connection away again and again".to_owned(),
                "it has too many connections that are not yet logged in: raise `MaxStartups` in its sshd_config"
                    .to_owned(),
            ),
            Cause::HostKeyChanged => (
                "its host key is not the known one: it was set up anew, or somebody is in between".to_owned(),
                format!(
                    "find out which; then `ssh-keygen -R {address}` and `ssh {address}` once, to see and accept the \
                     new key"
                ),
            ),
            Cause::HostKeyUnknown => (
                "its host key is not known".to_owned(),
                format!("`ssh {address}` once, to see and accept the key, or add it to the known_hosts file"),
            ),
            Cause::KeyRefused => (
                "it took none of the keys".to_owned(),
                "is the right user named, the key in its authorized_keys, the agent running (SSH_AUTH_SOCK)?"
                    .to_owned(),
            ),
            Cause::Algorithms => (
                "ssh and the server have no algorithm in common".to_owned(),
                "leave out `kex = \"fast\"`, or set the algorithms for this host in your ssh configuration".to_owned(),
            ),
            Cause::Jump => (
                "the way through its jump host failed".to_owned(),
                format!("try `ssh -J {} {address}`", target.jump.as_deref().unwrap_or("HOST")),
            ),
            Cause::Configuration => {
                ("ssh cannot read its configuration".to_owned(), "correct the line that it names".to_owned())
            }
            Cause::Local => (
                "ssh could not be run on this machine".to_owned(),
                "install the OpenSSH client (package openssh-client)".to_owned(),
            ),
            Cause::Other => ("ssh failed".to_owned(), format!("try `ssh -v {address}`")),
        };
        let place = if self.at_jump { "on the way over its jump host, " } else { "" };
        let kind = match self.cause {
            Cause::Configuration => FailureKind::Invalid,
            Cause::Local => FailureKind::Other,
            _ => FailureKind::Unreachable,
        };
        let said: String =
            self.said.lines().filter(|line| !line.contains("@@@@")).collect::<Vec<_>>().join("\n");
        let parts = [mend.as_str(), said.trim()];
        let detail = parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("\n");
        Failure::new(kind, format!("connect to {} ({address}{port}): {place}{why}", target.name))
            .with_detail(detail)
    }
}

/// What the ssh behind a jump host says when the way there ended.
fn is_blind(line: &str) -> bool {
    line.contains("UNKNOWN port 65535")
        || line.starts_with("kex_exchange_identification")
        || line.starts_with("ssh_exchange_identification")
}

fn cause(log: &str) -> Cause {
    let has = |text: &str| log.contains(text);
    if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        Cause::HostKeyChanged
    } else if has("host key is known for") || has("Host key verification failed") {
        Cause::HostKeyUnknown
    } else if has("Could not resolve hostname") {
        Cause::NotResolved
    } else if has("Bad configuration option")
        || has("terminating, ")
        || has("Bad owner or permissions")
        || has("unsupported option")
        || has("bad configuration")
        || has("Unsupported KEX algorithm")
    {
        Cause::Configuration
    } else if has("no matching ") {
        Cause::Algorithms
    } else if has("Permission denied (")
        || has("Too many authentication failures")
        || has("No more authentication")
    {
        Cause::KeyRefused
    } else if has("UNKNOWN port 65535") {
        Cause::Jump
    } else if has("Connection refused") {
        Cause::Refused
    } else if has("timed out") || has("Timeout, server") {
        Cause::TimedOut
    } else if has("No route to host") || has("Network is unreachable") {
        Cause::NoRoute
    } else if has("exchange_identification") || has("Connection reset by") || has("Connection closed by") {
        Cause::TurnedAway
    } else {
        Cause::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_says_is_told_apart() {
        for (said, expected) in [
            ("ssh: Could not resolve hostname nowhere: Name or service not known", Cause::NotResolved),
            ("ssh: connect to host 127.0.0.1 port 1: Connection refused", Cause::Refused),
            ("ssh: connect to host 10.0.0.1 port 22: Connection timed out", Cause::TimedOut),
            (
                "Connection timed out during banner exchange\nConnection to 1.2.3.4 port 22 timed out",
                Cause::TimedOut,
            ),
            ("ssh: connect to host 1.2.3.4 port 22: No route to host", Cause::NoRoute),
            ("kex_exchange_identification: Connection closed by remote host", Cause::TurnedAway),
            ("kex_exchange_identification: read: Connection reset by peer", Cause::TurnedAway),
            (
                "No ED25519 host key is known for x and you have requested strict checking.\nHost key verification failed.",
                Cause::HostKeyUnknown,
            ),
            (
                "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
                Cause::HostKeyChanged,
            ),
            ("deploy@web: Permission denied (publickey).", Cause::KeyRefused),
            (
                "kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535",
                Cause::Jump,
            ),
            (
                "Unable to negotiate with 1.2.3.4 port 22: no matching key exchange method found.",
                Cause::Algorithms,
            ),
            (
                "/x: line 3: Bad configuration option: foo\n/x: terminating, 1 bad configuration options",
                Cause::Configuration,
            ),
            ("", Cause::Other),
        ] {
            assert_eq!(Diagnosis::of(said).cause, expected, "{said}");
        }
        let jump = "ssh: connect to host j port 22: Connection refused\n\
                    kex_exchange_identification: Connection closed by remote host\n\
                    Connection closed by UNKNOWN port 65535";
        assert_eq!(Diagnosis::of_jump(jump).cause, Cause::Refused);
    }
}
