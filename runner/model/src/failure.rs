//! The one error of the step contract: what host calls fail with, and what a step fails with.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What went wrong, for a program. The same words as `error-kind` in the WIT, and one that no guest ever sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// No grant covers it.
    Denied,
    /// The target or the origin could not be reached.
    Unreachable,
    /// It took longer than allowed.
    Timeout,
    /// No such file, target, secret, artifact or name.
    NotFound,
    /// The world is not as the call needs it.
    Conflict,
    /// A command ended with a status that was not accepted.
    CommandFailed,
    /// The arguments make no sense.
    Invalid,
    /// The run was cancelled, or its time is up.
    Cancelled,
    /// Nobody can tell: in a dry run only the real thing could, after a crash only a person can. It ends the invocation;
    /// no guest ever sees it.
    Unknown,
    /// Anything else.
    Other,
}

impl FailureKind {
    /// Every kind that a guest can see.
    pub const OF_GUESTS: [Self; 9] = [
        Self::Denied,
        Self::Unreachable,
        Self::Timeout,
        Self::NotFound,
        Self::Conflict,
        Self::CommandFailed,
        Self::Invalid,
        Self::Cancelled,
        Self::Other,
    ];

    /// The word of the contract for it; `unknown` is no word of the contract.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::CommandFailed => "command-failed",
            Self::Invalid => "invalid",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
            Self::Other => "other",
        }
    }
}

/// Why a host call or a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// For a program.
    pub kind: FailureKind,
    /// One lower-case line that says what failed and names it.
    pub message: String,
    /// What helps to mend it; may be several lines, may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Failure {
    /// A failure without detail.
    pub fn new(kind: FailureKind, message: impl fmt::Display) -> Self {
        Self { kind, message: message.to_string(), detail: String::new() }
    }

    /// The same with what helps to mend it.
    #[must_use]
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = detail.to_string();
        self
    }
}
