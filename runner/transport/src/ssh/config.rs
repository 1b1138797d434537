//! The configuration file that our ssh reads: what we insist on, then what the user has.

use crate::{Kex, SshTarget};
use runner_model::{Failure, FailureKind};
use std::path::Path;
use std::time::Duration;

/// Refuses what ssh would take for something else.
pub(super) fn check(target: &SshTarget) -> Result<(), Failure> {
    let invalid = |what: &str, text: &str, why: &str| {
        let message = format!("connect to {}: the {what} `{}` {why}", target.name, text.escape_debug());
        Err(Failure::new(FailureKind::Invalid, message).with_detail("correct it in the inventory"))
    };
    let named = [
        ("address", Some(&target.address)),
        ("user", target.user.as_ref()),
        ("jump host", target.jump.as_ref()),
    ];
    for (what, text) in named {
        let Some(text) = text else { continue };
        if text.is_empty() {
            return invalid(what, text, "is empty");
        }
        if text.split(',').any(|part| part.starts_with('-')) {
            return invalid(what, text, "begins with `-`, so ssh would take it for an option");
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || "'\"`$\\;&<>|(){}".contains(c)) {
            return invalid(what, text, "has a character that no name of a host or user has");
        }
    }
    let files = [&target.config, &target.known_hosts, &target.identity];
    for file in files.into_iter().flatten() {
        let Some(text) = file.to_str() else {
            return invalid("file", &file.to_string_lossy(), "has a name that is not UTF-8");
        };
        if text.chars().any(|c| c.is_control() || c == '"') {
            return invalid("file", text, "has a character that ssh's configuration cannot hold");
        }
        if !file.is_file() {
            return invalid("file", text, "is not there");
        }
    }
    Ok(())
}

/// In ssh the first value counts, so ours come first. They hold for jump hosts, too: `ssh -J` hands `-F` on.
pub(super) fn text(target: &SshTarget, limit: Duration) -> String {
    let seconds = limit.as_secs().max(1);
    let mut text = format!(
        "Host *\n\
         BatchMode yes\n\
         StrictHostKeyChecking yes\n\
         ConnectTimeout {seconds}\n\
         ServerAliveInterval 5\n\
         ServerAliveCountMax 3\n\
         LogLevel INFO\n\
         RequestTTY no\n\
         RemoteCommand none\n\
         PermitLocalCommand no\n\
         ClearAllForwardings yes\n\
         UpdateHostKeys no\n"
    );
    if target.kex == Kex::Fast {
        text.push_str("KexAlgorithms curve25519-sha256\n");
    }
    if let Some(file) = &target.known_hosts {
        text.push_str(&format!("UserKnownHostsFile {}\nGlobalKnownHostsFile none\n", quoted(file)));
    }
    if let Some(file) = &target.identity {
        text.push_str(&format!("IdentityFile {}\nIdentitiesOnly yes\n", quoted(file)));
    }
    if let Some(file) = &target.config {
        text.push_str(&format!("Include {}\n", include(file)));
    }
    text.push_str("Include ~/.ssh/config\nInclude /etc/ssh/ssh_config\n");
    text
}

/// In quotes, with the tokens of ssh taken literally, and not relative to a folder of ssh's.
fn quoted(file: &Path) -> String {
    format!("\"{}\"", absolute(file).replace('%', "%%"))
}

/// `Include` takes patterns rather than tokens.
fn include(file: &Path) -> String {
    let mut text = String::from("\"");
    for c in absolute(file).chars() {
        if "*?[]\\".contains(c) {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}

fn absolute(file: &Path) -> String {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(address: &str) -> SshTarget {
        SshTarget {
            name: "web-1".parse().expect("a name"),
            address: address.to_owned(),
            user: None,
            port: None,
            jump: None,
            config: None,
            known_hosts: None,
            identity: None,
            kex: Kex::Default,
            service_command: None,
        }
    }

    #[test]
    fn what_ssh_would_misread_is_refused() {
        for address in ["", "-oProxyCommand=x", "a b", "a\nb", "$(id)", "a'b"] {
            assert_eq!(check(&target(address)).expect_err(address).kind, FailureKind::Invalid);
        }
        for address in ["web-1.example.org", "10.0.0.1", "::1", "deploy@web"] {
            assert_eq!(check(&target(address)), Ok(()));
        }
        let jump = SshTarget { jump: Some("ok,-oX=y".to_owned()), ..target("web") };
        assert!(check(&jump).is_err());
        let file = SshTarget { identity: Some("/no/such/key".into()), ..target("web") };
        assert!(check(&file).expect_err("missing").message.contains("is not there"));
    }

    #[test]
    fn ours_comes_first_and_is_strict() {
        let fast = SshTarget { kex: Kex::Fast, known_hosts: Some("/a b/100%".into()), ..target("web") };
        let text = text(&fast, Duration::from_secs(7));
        let ours = text.find("StrictHostKeyChecking yes").expect("strict");
        assert!(ours < text.find("Include").expect("the user's"));
        assert!(text.contains("ConnectTimeout 7\n") && text.contains("KexAlgorithms curve25519-sha256\n"));
        assert!(text.contains("UserKnownHostsFile \"/a b/100%%\"\n"), "{text}");
    }
}
