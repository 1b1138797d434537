//! `read:PATH` and `write:PATH` in the workspace: the files beside the plan.

use super::bound::{Bound, Named};
use super::fill::Place;
use super::words::{Hole, Lexing, Why, Word, template, words};
use crate::suggest::closest;
use crate::template::{Reference, Scope};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A path relative to the plan's folder, with `/`, which cannot leave it; `.` is the folder itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct WorkspacePath(String);

/// Text that is not a path in the workspace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a path in the plan's folder: {why}", .text.escape_debug())]
pub struct BadWorkspacePath {
    text: String,
    why: &'static str,
}

impl WorkspacePath {
    /// The path as text; `.` for the folder of the plan.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments from the plan's folder down.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| *segment != ".")
    }

    /// Whether it is `prefix` or below it, segment by segment.
    pub fn is_within(&self, prefix: &Self) -> bool {
        prefix.0 == "."
            || self.0.strip_prefix(&prefix.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The same where a file system takes capital and small letters for the same.
    pub(super) fn is_within_ignoring_case(&self, prefix: &Self) -> bool {
        Self(self.0.to_lowercase()).is_within(&Self(prefix.0.to_lowercase()))
    }
}

impl FromStr for WorkspacePath {
    type Err = BadWorkspacePath;

    fn from_str(text: &str) -> Result<Self, BadWorkspacePath> {
        let refuse = |why| Err(BadWorkspacePath { text: text.chars().take(200).collect(), why });
        if text.is_empty() {
            return refuse("it is empty; `.` is the folder itself");
        }
        if text.starts_with('/') {
            return refuse("it must be relative");
        }
        if text.len() > 4096 || text.chars().any(|c| c.is_control() || c == '\\') {
            return refuse("it is too long, or has control characters or backslashes");
        }
        let mut normal: Vec<&str> = Vec::new();
        for segment in text.split('/') {
            match segment {
                "" | "." => {}
                ".." => return refuse("it leaves the folder with `..`"),
                _ if segment.len() > 255 => return refuse("a segment is too long"),
                segment => normal.push(segment),
            }
        }
        Ok(Self(if normal.is_empty() { ".".to_owned() } else { normal.join("/") }))
    }
}

impl TryFrom<String> for WorkspacePath {
    type Error = BadWorkspacePath;

    fn try_from(text: String) -> Result<Self, BadWorkspacePath> {
        text.parse()
    }
}

impl From<WorkspacePath> for String {
    fn from(path: WorkspacePath) -> Self {
        path.0
    }
}

impl fmt::Display for WorkspacePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Named for WorkspacePath {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: BadWorkspacePath| error.to_string())
    }
}

/// The form of a grant before its words are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape<H> {
    pub(super) write: bool,
    pub(super) path: Word<H>,
}

impl<H: Hole> Shape<H> {
    /// Splits a grant.
    pub(super) fn parse(text: &str) -> Result<Self, Why> {
        let Some((verb, path)) = text.split_once(':') else {
            return Err(
                Why::new("it has no `:` after its verb").hint("for example `read:src` or `write:out`")
            );
        };
        if !matches!(verb, "read" | "write") {
            let why = Why::new(format!("files are read or written, not `{}`", verb.escape_debug()));
            return Err(match closest(verb, ["read", "write"]) {
                Some(meant) => why.hint(format!("did you mean `{meant}:`?")),
                None => why.hint("for example `read:src` or `write:out`"),
            });
        }
        Ok(Self { write: verb == "write", path: words(path, Lexing::One)?.pop().unwrap_or_default() })
    }
}

/// Which files of the workspace a step may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) write: bool,
    pub(super) path: Bound<WorkspacePath>,
}

impl Files {
    pub(super) fn new(shape: &Shape<Reference>) -> Result<Self, Why> {
        Ok(Self { write: shape.write, path: Bound::new(template(&shape.path).unwrap_or_default())? })
    }

    /// Whether it is about this path, to read or to write.
    pub(super) fn covers(&self, write: bool, path: &WorkspacePath) -> bool {
        self.write == write && self.path.now().is_some_and(|prefix| path.is_within(prefix))
    }

    pub(super) fn resolve(&self, scope: &dyn Scope) -> Result<Self, Why> {
        Ok(Self { write: self.write, path: self.path.resolve(scope, Place::Segment)? })
    }

    pub(super) fn is_symbolic(&self) -> bool {
        matches!(self.path, Bound::Later(_))
    }
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", if self.write { "write" } else { "read" }, self.path)
    }
}
