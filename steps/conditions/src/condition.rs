//! What must be so, and how it is looked at.

use crate::{Expected, show};
use runner_sdk::{Command, Effect, Error, ErrorKind, Request, Result, Target};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU16;
use std::time::Duration;

/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What must be so, as a plan says it. Its fields are parameters of a step (`#[serde(flatten)]`).
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Look {
    /// A URL that must answer. One of `url`, `file`, `port` and `service` is given.
    url: Option<String>,
    /// A path on the target.
    file: Option<String>,
    /// A TCP port of the target on which something listens.
    port: Option<NonZeroU16>,
    /// A unit of the init system that must run.
    service: Option<String>,
    /// With `url`: the address to connect to, with a port or without. Host, certificate and grant stay the URL's.
    connect_to: Option<String>,
    /// With `url`: "target" asks through the target's own connection, so that `127.0.0.1` is the target. Without, the
    /// runner asks.
    from: Option<From>,
    /// With `url`: the status that the answer must have; without, 200.
    status: Option<u16>,
    /// With `url`: text that must be in the body.
    body_contains: Option<String>,
    /// With `url`: headers that the answer must have, with these values.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// With `file`: whether it must be "present" or "absent"; without, present.
    state: Option<State>,
    /// With `file`: text that must be in it.
    contains: Option<String>,
}

/// Where a request is sent from, if not from the runner.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum From {
    /// From the target.
    Target,
}

/// How a file must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is there.
    Present,
    /// It is not.
    Absent,
}

/// What must be so, and makes sense.
#[derive(Debug)]
pub enum Condition {
    /// A URL answers.
    Url {
        /// What is asked for.
        url: String,
        /// Where to connect to.
        connect_to: Option<String>,
        /// Where it is sent from.
        from: Option<From>,
        /// What the answer must be like.
        expected: Expected,
    },
    /// A file is there or gone.
    File {
        /// Where.
        path: String,
        /// There or gone.
        state: State,
        /// Text in it.
        contains: Option<String>,
    },
    /// Something listens.
    Port(NonZeroU16),
    /// A service runs.
    Service(String),
}

/// What is not as it must be.
#[derive(Debug)]
pub struct Unmet {
    /// In a few words.
    pub why: String,
    /// What helps to find out more.
    pub detail: String,
}

impl Unmet {
    fn new<T>(why: impl Into<String>) -> Result<T, Self> {
        Err(Self { why: why.into(), detail: String::new() })
    }
}

impl Condition {
    /// Of what the plan says.
    ///
    /// # Errors
    /// `invalid` when it is none, or several, or has something that does not belong to it.
    pub fn new(look: Look) -> Result<Self> {
        let of_url = [
            ("connect-to", look.connect_to.is_some()),
            ("from", look.from.is_some()),
            ("status", look.status.is_some()),
            ("body-contains", look.body_contains.is_some()),
            ("headers", !look.headers.is_empty()),
        ];
        let of_file = [("state", look.state.is_some()), ("contains", look.contains.is_some())];
        let none_of = |names: &[(&str, bool)], what: &str| match names.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((name, _)) => Err(Error::invalid(format!("`{name}` is for a `{what}`"))),
        };
        match (look.url, look.file, look.port, look.service) {
            (Some(url), None, None, None) => {
                none_of(&of_file, "file")?;
                let expected = Expected {
                    body_contains: look.body_contains,
                    headers: look.headers,
                    ..Expected::status(look.status.unwrap_or(200))
                };
                Ok(Self::Url { url, connect_to: look.connect_to, from: look.from, expected })
            }
            (None, Some(path), None, None) => {
                none_of(&of_url, "url")?;
                let state = look.state.unwrap_or(State::Present);
                if state == State::Absent && look.contains.is_some() {
                    return Err(Error::invalid(
                        "a file that is absent has nothing in it that `contains` could be",
                    ));
                }
                Ok(Self::File { path, state, contains: look.contains })
            }
            (None, None, Some(port), None) => {
                none_of(&of_url, "url")?;
                none_of(&of_file, "file")?;
                Ok(Self::Port(port))
            }
            (None, None, None, Some(unit)) => {
                none_of(&of_url, "url")?;
                none_of(&of_file, "file")?;
                Ok(Self::Service(unit))
            }
            _ => Err(Error::invalid("it needs exactly one of `url`, `file`, `port` and `service`")),
        }
    }

    /// Looks once.
    ///
    /// # Errors
    /// What cannot become better with time: a missing grant, a program that is not there.
    pub fn look(&self, target: &Target) -> Result<Result<(), Unmet>> {
        Ok(match self {
            Self::Url { url, connect_to, from, expected } => {
                let mut request = Request::get(url).timeout(PATIENCE);
                if let Some(address) = connect_to {
                    request = request.connect_to(address);
                }
                if let Some(From::Target) = from {
                    request = request.via(target);
                }
                match request.send() {
                    Ok(answer) => match expected.unmet(&answer) {
                        None => Ok(()),
                        Some(why) => Err(Unmet { why, detail: show(&answer) }),
                    },
                    Err(Error { kind: ErrorKind::Unreachable | ErrorKind::Timeout, message, detail }) => {
                        Err(Unmet { why: message, detail })
                    }
                    Err(error) => return Err(error),
                }
            }
            Self::File { path, state, contains } => match (target.stat(path)?, state) {
                (None, State::Absent) => Ok(()),
                (Some(_), State::Absent) => Unmet::new("it is there"),
                (None, State::Present) => Unmet::new("it is not there"),
                (Some(entry), State::Present) => match contains {
                    None => Ok(()),
                    Some(_) if !entry.is_file() => Unmet::new("it is not a file"),
                    Some(text) => match target.read(path) {
                        Ok(found) if found.contains(text.as_str()) => Ok(()),
                        Ok(_) => Unmet::new(format!("`{}` is not in it", text.escape_debug())),
                        // It went in between.
                        Err(error) if error.is(ErrorKind::NotFound) => Unmet::new("it is not there"),
                        Err(error) => return Err(error),
                    },
                },
            },
            // A connection would be accepted by whatever carries it, and disturb what listens.
            Self::Port(port) => {
                let listening =
                    Command::new(["ss", "-Hltn", "sport", "=", &format!(":{port}")], Effect::Read);
                match listening.timeout(PATIENCE).run(target)?.stdout.trim() {
                    "" => Unmet::new("nothing listens"),
                    _ => Ok(()),
                }
            }
            Self::Service(unit) => match target.service_is_active(unit)? {
                true => Ok(()),
                false => Unmet::new("it does not run"),
            },
        })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { url, .. } => write!(f, "`{url}`"),
            Self::File { path, .. } => write!(f, "`{path}`"),
            Self::Port(port) => write!(f, "port {port}"),
            Self::Service(unit) => write!(f, "service `{unit}`"),
        }
    }
}
