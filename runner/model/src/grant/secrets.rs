//! `NAME` and `NAME from SOURCE`: the secrets that a step may use.
//!
//! The name is the plan's. In a manifest it is the module's, which the step's `secrets` lead to the plan's, with its
//! source: so the lock has both, and a source that is changed is to be reviewed like any other grant.

use super::bound::{Choice, Named};
use super::words::{Hole, Lexing, Why, Word, words};
use crate::SecretName;
use crate::plan::SecretSource;
use crate::suggest::closest;
use crate::template::{Reference, Scope};
use std::fmt;

impl Named for SecretName {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: crate::BadName| error.to_string())
    }
}

/// The form of a grant before its words are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape<H> {
    pub(super) name: Word<H>,
    pub(super) from: Option<String>,
}

impl<H: Hole> Shape<H> {
    /// Splits a grant.
    pub(super) fn parse(text: &str) -> Result<Self, Why> {
        let (name, from) = match text.split_once(" from ") {
            Some((name, from)) => (name, Some(from.to_owned())),
            None => (text, None),
        };
        if let Some(from) = &from {
            let kind = from.split(' ').next().unwrap_or_default();
            if !SecretSource::KINDS.contains(&kind) {
                let why = Why::new(format!("there is no source `{}`", kind.escape_debug()));
                return Err(match closest(kind, SecretSource::KINDS) {
                    Some(meant) => why.hint(format!("did you mean `{meant}`?")),
                    None => why.hint(format!("a source is one of {}", SecretSource::KINDS.join(", "))),
                });
            }
            if from.chars().any(char::is_control) {
                return Err(Why::new("it has a control character in it"));
            }
        }
        let mut words = words(name, Lexing::Stars)?;
        match (words.pop(), words.is_empty()) {
            (Some(name), true) => Ok(Self { name, from }),
            _ => Err(Why::new("it must be the name of one secret, or `*`")
                .hint("for example `db-password` or `* from command`")),
        }
    }
}

/// Which secrets a step may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Secrets {
    pub(super) name: Choice<SecretName>,
    from: Option<String>,
}

impl Secrets {
    pub(super) fn new(shape: &Shape<Reference>) -> Result<Self, Why> {
        Ok(Self { name: Choice::new(&shape.name)?, from: shape.from.clone() })
    }

    /// The secret of this name, from this source.
    pub(super) fn one(name: SecretName, source: &SecretSource) -> Self {
        Self { name: Choice::Is(super::bound::Bound::Now(name)), from: Some(source.to_string()) }
    }

    /// Whether it is about this secret. A source is covered by its first words: `from command` is any command.
    pub(super) fn covers(&self, name: &SecretName, source: &str) -> bool {
        let begins = |from: &String| {
            source.strip_prefix(from.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        self.name.covers(|granted| granted == name) && self.from.as_ref().is_none_or(begins)
    }

    /// The name and the source, where both are spelled out.
    pub(super) fn spelled_out(&self) -> Option<(&SecretName, &str)> {
        match &self.name {
            Choice::Is(name) => Some((name.now()?, self.from.as_deref()?)),
            Choice::Any => None,
        }
    }

    pub(super) fn resolve(&self, scope: &dyn Scope) -> Result<Self, Why> {
        Ok(Self { name: self.name.resolve(scope)?, from: self.from.clone() })
    }

    pub(super) fn is_symbolic(&self) -> bool {
        matches!(&self.name, Choice::Is(name) if name.now().is_none())
    }
}

impl fmt::Display for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.name, f)?;
        match &self.from {
            Some(from) => write!(f, " from {from}"),
            None => Ok(()),
        }
    }
}
