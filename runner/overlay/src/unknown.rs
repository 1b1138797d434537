//! What only the real thing could tell.

use runner_model::{Failure, FailureKind};

/// `WHAT: unknown from here: WHY`.
pub(crate) fn unknown(what: &str, why: &str) -> Failure {
    Failure::new(FailureKind::Unknown, format!("{what}: unknown from here: {why}"))
}

/// A failure of this kind, as the real target would say it.
pub(crate) fn failure(kind: FailureKind, what: &str, why: &str) -> Failure {
    Failure::new(kind, format!("{what}: {why}"))
}

/// The world is not as the call needs it.
pub(crate) fn conflict(what: &str, why: &str) -> Failure {
    failure(FailureKind::Conflict, what, why)
}

/// Nothing is there.
pub(crate) fn missing(what: &str, why: &str) -> Failure {
    failure(FailureKind::NotFound, what, why)
}

/// No grant covers where it leads.
pub(crate) fn denied(what: &str, why: &str) -> Failure {
    failure(FailureKind::Denied, what, why)
}
