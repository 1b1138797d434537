//! Statements about a module, as in-toto has them: a JSON text that names what it is about by digest, and says one thing of
//! it. What is signed are its bytes as they are, in the namespace `runner-vetting`; they are never written anew.
//!
//! - A [`Vetting`]: somebody read a module, and says what it may be granted at most, and until when that holds.
//! - A [`Revocation`]: somebody who may vet takes a vetting back, or warns of a module.
//!
//! A vetting is called by the digest of its bytes.

mod read;
mod revocation;
mod vetting;

pub use revocation::Revocation;
pub use vetting::Vetting;

use runner_model::Digest;
use runner_model::grant::GrantError;

/// The type of a vetting.
pub(crate) const VETTING: &str = "runner:vetting/v1";
/// The type of a revocation.
pub(crate) const REVOCATION: &str = "runner:revocation/v1";
/// The type of the statement around them.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The longest statement that is read.
const LONGEST: usize = 64 * 1024;

/// The bytes of a statement, and the armored signature over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The statement.
    pub statement: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
}

impl Signed {
    /// What the statement is called.
    pub fn id(&self) -> Digest {
        Digest::of(&self.statement)
    }
}

/// What a statement says.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// Somebody reviewed a module.
    Vetting(Vetting),
    /// Somebody takes a vetting or a module back.
    Revocation(Revocation),
}

impl Statement {
    /// Reads a statement, whichever it is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        match read::kind(bytes)?.as_str() {
            VETTING => Vetting::parse(bytes).map(Self::Vetting),
            REVOCATION => Revocation::parse(bytes).map(Self::Revocation),
            other => Err(StatementError::Predicate { found: other.to_owned(), wanted: None }),
        }
    }
}

/// Why a text is no statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// It is longer than a statement can be.
    #[error("the statement has {0} bytes, more than the 65536 that are read")]
    TooLong(usize),
    /// It is no JSON, or a field is missing, unknown, there twice, or of the wrong type.
    #[error("the statement cannot be read: {0}")]
    Malformed(String),
    /// It is of another kind.
    #[error("`_type` is `{}`, and `https://in-toto.io/Statement/v1` is the one that is known", .0.escape_debug())]
    Type(String),
    /// It says something else.
    #[error("the statement is of the type `{}`, {}", .found.escape_debug(), expected(.wanted))]
    Predicate {
        /// Its type.
        found: String,
        /// The type that is needed; `None`: any that is known.
        wanted: Option<&'static str>,
    },
    /// It is about nothing, or about several things.
    #[error("the statement is about {0} subjects, and not about one")]
    Subjects(usize),
    /// Its subject is named by no digest that is known.
    #[error("the subject has no digest that can be compared: {0}")]
    Subject(String),
    /// A name, a note or a reason that is none.
    #[error("`{field}` {why}")]
    Text {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// It ends before it begins.
    #[error("the vetting expires at {expires}, and was given at {reviewed}")]
    NeverValid {
        /// When it was given.
        reviewed: jiff::Timestamp,
        /// When it ends.
        expires: jiff::Timestamp,
    },
    /// The ceiling has something in it that is no grant.
    #[error("in `ceiling`: {0}")]
    Grant(GrantError),
    /// The ceiling has a reference in it.
    #[error("in `ceiling`: `{}` has a reference, which a plan could fill with anything", .0.escape_debug())]
    Symbolic(String),
}

fn expected(wanted: &Option<&str>) -> String {
    match wanted {
        Some(wanted) => format!("and one of the type `{wanted}` is needed"),
        None => format!("and `{VETTING}` and `{REVOCATION}` are those that are known"),
    }
}

#[cfg(test)]
mod tests;
