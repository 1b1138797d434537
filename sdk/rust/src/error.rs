//! The one error of the contract.

use std::fmt;

/// What host calls answer with, and what a step answers with.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, for a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// No grant covers it. The detail is the TOML line that would.
    Denied,
    /// The target or the origin could not be reached.
    Unreachable,
    /// It took longer than allowed.
    Timeout,
    /// No such file, target, secret, artifact or name.
    NotFound,
    /// The world is not as the call needs it: a folder is in the way, a digest differs, a disk is full.
    Conflict,
    /// A command ended with a status that was not accepted. The detail is the end of its stderr.
    CommandFailed,
    /// The arguments make no sense.
    Invalid,
    /// The run was cancelled, or its time is up: hand it on.
    Cancelled,
    /// Anything else.
    Other,
}

/// Why a host call or a step failed. Hand it on with `?` unless you know better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// For a program.
    pub kind: ErrorKind,
    /// One lower-case line that says what failed and names it: "write `/etc/shop.conf`: no grant covers it".
    pub message: String,
    /// What helps to mend it; may be several lines, may be empty.
    pub detail: String,
}

impl Error {
    /// An error without detail.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), detail: String::new() }
    }

    /// The arguments make no sense.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// The world is not as the step needs it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// It took longer than allowed.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Timeout, message)
    }

    /// Anything else.
    pub fn other(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Other, message)
    }

    /// The same with what helps to mend it.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Whether it is of this kind.
    pub fn is(&self, kind: ErrorKind) -> bool {
        self.kind == kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, "\n{}", self.detail) }
    }
}

impl std::error::Error for Error {}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::invalid(error.to_string())
    }
}

/// Says what was being done when a call failed.
pub trait Context<T> {
    /// Puts `what` in front of the message; kind and detail stay, so that a `cancelled` stays one.
    ///
    /// # Errors
    /// The same error, with more to read.
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;

    /// Adds a line that helps to mend it.
    ///
    /// # Errors
    /// The same error, with more to read.
    fn hint(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for Result<T> {
    fn context(self, what: impl FnOnce() -> String) -> Self {
        self.map_err(|error| Error { message: format!("{}: {}", what(), error.message), ..error })
    }

    fn hint(self, what: impl FnOnce() -> String) -> Self {
        self.map_err(|error| {
            let gap = if error.detail.is_empty() { "" } else { "\n" };
            Error { detail: format!("{}{gap}{}", error.detail, what()), ..error }
        })
    }
}
