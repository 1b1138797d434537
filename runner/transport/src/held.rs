//! The two lists that the paths of one request are held against on the target.

use crate::script::quoted;
use crate::{Places, Within};
use runner_model::{Failure, FailureKind, RemotePath};

/// The places of a request's path, and of its second path where it has one: what is read by a verb that writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held<'a> {
    first: Places<'a>,
    second: Places<'a>,
    /// The request is about all below its path.
    whole: bool,
}

impl<'a> Within<'a> {
    /// For a request whose path is read.
    pub(crate) fn reading(&self) -> Held<'a> {
        Held { first: self.reads, second: self.writes, whole: false }
    }

    /// For a request whose path is written, and whose second path is read.
    pub(crate) fn writing(&self) -> Held<'a> {
        Held { first: self.writes, second: self.reads, whole: false }
    }
}

impl Held<'_> {
    /// The same for a request about all below its path.
    pub(crate) fn whole(self) -> Self {
        Self { whole: true, ..self }
    }

    /// For a request about the second path alone.
    pub(crate) fn turned(self) -> Self {
        Self { first: self.second, second: self.first, ..self }
    }

    /// Script text that sets all lists for one request.
    pub(crate) fn setup(&self) -> String {
        let Self { first, second, .. } = self;
        format!(
            "W={}; WW={}; S={}; {}SX={}; ",
            list(first.granted),
            list(first.written),
            list(second.granted),
            self.exceptions(),
            list(second.except),
        )
    }

    /// Script text that sets what must be looked at even where no link is on the way: an exception may itself be
    /// behind one. A folder `.runner` is told by its name, so only what is about whole trees needs to be told of it.
    pub(crate) fn exceptions(&self) -> String {
        let all = self.first.except.iter().filter(|path| self.whole || path.name() != Some(".runner"));
        let all: Vec<&str> = all.map(RemotePath::as_str).collect();
        if all.is_empty() { String::new() } else { format!("WX={}; ", joined(&all)) }
    }

    /// Refuses a path that no granted prefix covers as it is written. Where links lead is checked on the target.
    pub(crate) fn covers(&self, what: &str, path: &RemotePath) -> Result<(), Failure> {
        covered(what, path, &self.first)
    }

    /// The same for the second path.
    pub(crate) fn covers_second(&self, what: &str, path: &RemotePath) -> Result<(), Failure> {
        covered(what, path, &self.second)
    }
}

fn covered(what: &str, path: &RemotePath, places: &Places<'_>) -> Result<(), Failure> {
    let below = |prefix: &RemotePath| path.is_within(prefix);
    if places.granted.iter().any(below) && !places.except.iter().any(below) {
        return Ok(());
    }
    Err(Failure::new(FailureKind::Denied, format!("{what}: `{path}` is outside of what is granted")))
}

fn list(paths: &[RemotePath]) -> String {
    joined(&paths.iter().map(RemotePath::as_str).collect::<Vec<_>>())
}

fn joined(paths: &[&str]) -> String {
    // No path holds a control character.
    quoted(&paths.join("\t"))
}
