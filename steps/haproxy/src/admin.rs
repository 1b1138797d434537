//! What is said to HAProxy over its admin socket, and how its answers are read. What comes from there is text of another
//! machine: nothing in it is believed that does not have the form that is documented.

use runner_sdk::{Context, Effect, Error, ErrorKind, Result, Service, Target};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;

/// The name of a backend or a server: nothing that would end a command and begin another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word(String);

const WORD: &str = "^[A-Za-z0-9_.:-]{1,128}$";

impl Word {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
        match !text.is_empty() && text.len() <= 128 && text.chars().all(fits) {
            true => Ok(Self(text.to_owned())),
            false => {
                Err(format!("`{}` has other characters than letters, digits and `_.:-`", text.escape_debug()))
            }
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl JsonSchema for Word {
    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": WORD })
    }
}

/// One backend, or several.
#[derive(Debug, Clone)]
pub(crate) struct Backends(Vec<Word>);

impl<'de> Deserialize<'de> for Backends {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Array(values) => values,
            value => vec![value],
        };
        let word = |value: &serde_json::Value| {
            let text = value.as_str().ok_or_else(|| D::Error::custom("a backend is named by text"))?;
            Word::read(text).map_err(D::Error::custom)
        };
        match words.iter().map(word).collect::<Result<Vec<_>, _>>()? {
            words if words.is_empty() => Err(D::Error::custom("`backend` names at least one backend")),
            words => Ok(Self(words)),
        }
    }
}

impl JsonSchema for Backends {
    fn schema_name() -> Cow<'static, str> {
        "Backends".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let word = json_schema!({ "type": "string", "pattern": WORD });
        json_schema!({ "oneOf": [word, { "type": "array", "items": word, "minItems": 1 }] })
    }
}

/// The states that an administrator can give a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// In service.
    Ready,
    /// No new sessions but those that stick to it.
    Drain,
    /// Out.
    Maint,
}

/// How a server of one backend stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) service: Service,
    pub(crate) healthy: bool,
    pub(crate) connections: u32,
}

/// The admin socket, and the server in each backend.
pub(crate) struct Admin<'a> {
    balancer: &'a Target,
    socket: &'a str,
    backends: &'a [Word],
    server: Word,
}

impl<'a> Admin<'a> {
    pub(crate) fn new(balancer: &'a Target, socket: &'a str, backends: &'a Backends, server: Word) -> Self {
        Self { balancer, socket, backends: &backends.0, server }
    }

    pub(crate) fn backends(&self) -> &'a [Word] {
        self.backends
    }

    /// For people.
    pub(crate) fn of(&self, backend: &Word) -> String {
        format!("`{backend}/{}` at `{}`", self.server, self.balancer.name())
    }

    fn ask(&self, command: &str, effect: Effect) -> Result<String> {
        self.balancer
            .exchange(self.socket, &format!("{command}\n"), effect)
            .context(|| format!("HAProxy does not answer `{command}`"))
            .map_err(|error| match error.kind {
                ErrorKind::NotFound => error.with_detail(
                    "`socket` must be the path of `stats socket … level admin` in the configuration of HAProxy",
                ),
                _ => error,
            })
    }

    /// The state of all servers, as HAProxy reads it back after a reload.
    pub(crate) fn all_states(&self) -> Result<String> {
        let answer = self.ask("show servers state", Effect::Read)?;
        match answer.starts_with("1\n# ") {
            true => Ok(answer),
            false => Err(self.refused("show servers state", &answer)),
        }
    }

    /// Gives the server a state.
    pub(crate) fn set(&self, backend: &Word, state: State) -> Result<()> {
        let (word, effect) = match state {
            State::Ready => ("ready", Effect::Join),
            State::Drain => ("drain", Effect::Leave),
            State::Maint => ("maint", Effect::Leave),
        };
        self.tell(&format!("set server {backend}/{} state {word}", self.server), effect)
    }

    /// Ends the sessions that the server still has.
    pub(crate) fn cut(&self, backend: &Word) -> Result<()> {
        self.tell(&format!("shutdown sessions server {backend}/{}", self.server), Effect::Leave)
    }

    /// What went well is answered with nothing.
    fn tell(&self, command: &str, effect: Effect) -> Result<()> {
        let answer = self.ask(command, effect)?;
        if answer.trim().is_empty() { Ok(()) } else { Err(self.refused(command, &answer)) }
    }

    /// How the server stands in a backend: what an administrator says of it, and what HAProxy sees.
    pub(crate) fn see(&self, backend: &Word) -> Result<Seen> {
        let command = format!("show servers state {backend}");
        let answer = self.ask(&command, Effect::Read)?;
        let Some(table) = answer.strip_prefix("1\n# ") else { return Err(self.refused(&command, &answer)) };
        let state =
            self.row(backend, table, b' ', ["be_name", "srv_name"], ["srv_admin_state", "srv_admin_state"])?;
        let mask: u32 = state[0].parse().map_err(|_| self.garbled(&command, &answer))?;

        let command = format!("show stat {backend} 4 -1");
        let answer = self.ask(&command, Effect::Read)?;
        let Some(table) = answer.strip_prefix("# ") else { return Err(self.refused(&command, &answer)) };
        let [status, sessions] = self.row(backend, table, b',', ["pxname", "svname"], ["status", "scur"])?;
        let connections = sessions.parse().map_err(|_| self.garbled(&command, &answer))?;
        // From server-t.h: forced, inherited and by name resolution; forced and inherited.
        const MAINT: u32 = 0x01 | 0x02 | 0x20;
        const DRAIN: u32 = 0x08 | 0x10;
        let service = match (mask & MAINT, mask & DRAIN) {
            (0, 0) => Service::In,
            (0, _) => Service::Draining,
            _ => Service::Out,
        };
        let healthy = ["UP", "DRAIN", "no check"].iter().any(|good| status.starts_with(good));
        // Nothing is checked in maintenance: nothing is known against it.
        Ok(Seen { service, healthy: healthy || service == Service::Out, connections })
    }

    /// Two fields of the one row that is about the server. Columns go by their names: their order differs by version.
    fn row(
        &self,
        backend: &Word,
        table: &str,
        delimiter: u8,
        keys: [&str; 2],
        wanted: [&str; 2],
    ) -> Result<[String; 2]> {
        let what = format!("the table of `{backend}`");
        let mut reader =
            csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(table.as_bytes());
        let head = reader.headers().map_err(|_| self.garbled(&what, table))?.clone();
        let column = |name: &str| {
            head.iter().position(|known| known == name).ok_or_else(|| self.garbled(&what, table))
        };
        let (first, second) = (column(keys[0])?, column(keys[1])?);
        let wanted = [column(wanted[0])?, column(wanted[1])?];
        let mut found = None;
        for row in reader.records() {
            let row = row.map_err(|_| self.garbled(&what, table))?;
            if row.get(first) == Some(&*backend.0) && row.get(second) == Some(&*self.server.0) {
                let [Some(one), Some(two)] = wanted.map(|column| row.get(column)) else {
                    return Err(self.garbled(&what, table));
                };
                if found.replace([one.to_owned(), two.to_owned()]).is_some() {
                    return Err(self.garbled(&what, table));
                }
            }
        }
        found.ok_or_else(|| {
            Error::not_found(format!(
                "the backend `{backend}` at `{}` has no server `{}`",
                self.balancer.name(),
                self.server
            ))
            .with_detail("name the server as HAProxy does: with = { server = \"…\" }")
        })
    }

    fn garbled(&self, what: &str, answer: &str) -> Error {
        Error::other(format!(
            "what HAProxy at `{}` answers is not what it documents: {what}",
            self.balancer.name()
        ))
        .with_detail(shown(answer))
    }

    /// HAProxy answers what it does not do with a sentence.
    fn refused(&self, command: &str, answer: &str) -> Error {
        let (says, at) = (shown(answer), self.balancer.name());
        let error =
            |kind, why: &str| Error::new(kind, format!("HAProxy at `{at}` refuses `{command}`: {why}"));
        match says.trim_end_matches('.') {
            "" => error(ErrorKind::Other, "it answers nothing"),
            no if no.starts_with("No such server") => error(ErrorKind::NotFound, "there is no such server")
                .with_detail("name the server as HAProxy does: with = { server = \"…\" }"),
            no if no.starts_with("No such backend")
                || no.starts_with("Can't find backend")
                || no.starts_with("No such proxy") =>
            {
                error(ErrorKind::NotFound, "there is no such backend")
                    .with_detail("name the backend as HAProxy does: with = { backend = \"…\" }")
            }
            no if no.starts_with("Permission denied") => {
                error(ErrorKind::Conflict, "the socket is not of level `admin`")
                    .with_detail("in the configuration of HAProxy: stats socket PATH mode 660 level admin")
            }
            _ => error(ErrorKind::Other, "it says").with_detail(says),
        }
    }
}

/// The beginning of an answer, printable.
fn shown(answer: &str) -> String {
    let plain = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
    answer.trim().chars().take(300).map(plain).collect()
}
