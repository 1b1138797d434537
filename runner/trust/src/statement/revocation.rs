//! A revocation: a vetting or a module that counts no more.

use super::{REVOCATION, StatementError, read};
use jiff::Timestamp;
use runner_model::Digest;
use serde::{Deserialize, Serialize};

/// Somebody takes a vetting back, or warns of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The vetting's statement, or the component.
    pub of: Digest,
    /// Why.
    pub reason: String,
    /// When.
    pub revoked_at: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Predicate {
    reason: String,
    revoked_at: Timestamp,
}

impl Revocation {
    /// Reads a revocation.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        let (subject, Predicate { reason, revoked_at }) = read::of_kind(bytes, REVOCATION)?;
        read::text("reason", &reason)?;
        Ok(Self { of: subject.digest, reason, revoked_at })
    }

    /// The text to sign, and to keep as it is.
    ///
    /// # Errors
    /// What could not be read again.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StatementError> {
        let predicate = Predicate { reason: self.reason.clone(), revoked_at: self.revoked_at };
        let bytes = read::write((None, &self.of), REVOCATION, predicate);
        Self::parse(&bytes).map(|_| bytes)
    }
}
