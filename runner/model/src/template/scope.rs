//! Where references find their values, and why one finds none.

use super::Reference;
use serde_json::Value;

/// Where references find their values.
pub trait Scope {
    /// The value of a reference.
    fn lookup(&self, reference: &Reference) -> Lookup;
}

impl<F: Fn(&Reference) -> Lookup> Scope for F {
    fn lookup(&self, reference: &Reference) -> Lookup {
        self(reference)
    }
}

/// What a scope says to a reference.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// Its value.
    Value(Value),
    /// It has a value that is not known yet.
    Symbolic,
    /// It has none.
    Unknown {
        /// What was probably meant, as it stands between the braces.
        suggestion: Option<String>,
    },
}

/// A reference that could not be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`${{{reference}}}` {why}")]
pub struct Unresolved {
    /// Where the string is in the value, as a JSON pointer; empty for a string alone.
    pub pointer: String,
    /// Where the reference begins in the string, in bytes.
    pub offset: usize,
    /// The reference.
    pub reference: Reference,
    /// Why not.
    pub why: WhyUnresolved,
}

/// Why a reference could not be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhyUnresolved {
    /// The scope does not have it.
    #[error("is not known")]
    Unknown {
        /// What was probably meant, as it stands between the braces.
        suggestion: Option<String>,
    },
    /// Its value is known only in the run.
    #[error("is known only while the plan runs")]
    Symbolic,
    /// It stands inside text, and its value is an array, a table or nothing.
    #[error("is {is}, and cannot stand inside text")]
    NotText {
        /// What it is.
        is: &'static str,
    },
}

/// A value as it stands inside text.
pub(crate) fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(boolean) => Some(boolean.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What a value is, for a message.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "a table",
    }
}
