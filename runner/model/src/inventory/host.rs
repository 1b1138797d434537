//! The name of a machine on the network, safe to hand to ssh.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A host name, an IP address or an alias of the ssh configuration. Never an option, never two words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Host(String);

/// Text that is not the name of a machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a host: {why}", .text.escape_debug())]
pub struct BadHost {
    text: String,
    why: &'static str,
}

/// The longest name that the domain name system takes.
const LONGEST: usize = 253;

impl Host {
    /// The machine that the runner runs on.
    pub fn localhost() -> Self {
        Self("localhost".to_owned())
    }

    /// The host as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Host {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        let refuse = |why| Err(BadHost { text: text.to_owned(), why });
        if text.is_empty() {
            return refuse("it is empty");
        }
        if text.starts_with('-') {
            return refuse("it begins with `-`, and ssh would take it for an option");
        }
        if text.len() > LONGEST {
            return refuse("it is longer than 253 characters");
        }
        if text.contains('@') {
            return refuse("the user belongs into the key `user`");
        }
        if text.contains('/') {
            return refuse("a host is wanted, not a URL or a path");
        }
        let port = |(host, port): (&str, &str)| {
            !host.contains(':') && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
        };
        if text.rsplit_once(':').is_some_and(port) {
            return refuse("the port belongs into the key `port`");
        }
        // `:` and `%` are for IPv6 addresses with a zone.
        if text.chars().any(|c| !c.is_ascii_alphanumeric() && !"-._:%".contains(c)) {
            return refuse("only letters, digits, `-`, `_`, `.` and the `:` of IPv6 are allowed");
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Host {
    type Error = BadHost;
    fn try_from(text: String) -> Result<Self, BadHost> {
        text.parse()
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for Host {
    fn schema_name() -> Cow<'static, str> {
        "Host".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^[A-Za-z0-9._:%][A-Za-z0-9._:%\-]{0,252}$",
            "description": "A host name, an IP address, or a `Host` of the ssh configuration."
        })
    }
}

/// A value of `jump`: hosts with commas between them, each with a user in front and a port behind if need be.
pub(super) fn check_jump(text: &str) -> Result<(), String> {
    for hop in text.split(',') {
        let (user, rest) = match hop.split_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, hop),
        };
        if let Some(user) = user {
            user.parse::<crate::UserName>().map_err(|error| error.to_string())?;
        }
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or(port))),
            None => match rest.rsplit_once(':') {
                Some((host, port)) if !host.contains(':') => (host, Some(port)),
                _ => (rest, None),
            },
        };
        host.parse::<Host>().map_err(|error| error.to_string())?;
        if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
            return Err(format!("`{}` has no port from 1 to 65535 behind its `:`", hop.escape_debug()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_never_an_option_and_never_two_words() {
        for text in [
            "",
            "-oProxyCommand=id",
            "a b",
            "a\nb",
            "a\0",
            "a;b",
            "$(id)",
            "user@web",
            "web:22",
            "http://web",
            "`id`",
            "a\u{202e}b",
        ] {
            assert!(text.parse::<Host>().is_err(), "{text:?}");
        }
        for text in ["web-1", "web-1.example.org", "127.0.0.1", "2001:db8::1", "fe80::1%eth0", "_alias"] {
            assert!(text.parse::<Host>().is_ok(), "{text:?}");
        }
    }

    #[test]
    fn a_jump_is_a_list_of_hosts() {
        for text in ["bastion", "deploy@bastion:2222", "a,b@c", "[2001:db8::1]:22", "2001:db8::1"] {
            assert_eq!(check_jump(text), Ok(()), "{text:?}");
        }
        for text in ["", "-x", "a,", "a:0", "a:x", "a b", "-u@host", "[::1]:99999"] {
            assert!(check_jump(text).is_err(), "{text:?}");
        }
    }
}
