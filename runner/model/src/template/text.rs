//! Strings with references in them: reading, printing, filling in.

use super::scope::{as_text, kind_of};
use super::{BadReference, Lookup, Reference, Scope, Unresolved, ValueTemplate, WhyUnresolved};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A part of a string.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Piece {
    /// Text, unescaped.
    Text(String),
    /// A value to fill in.
    Reference(Reference),
}

/// A string with references in it.
///
/// ```
/// # use runner_model::template::{Reference, Template};
/// let url = Template::parse("http://${target.address}/$${path}").unwrap();
/// assert_eq!(url.references().map(Reference::to_string).collect::<Vec<_>>(), ["target.address"]);
/// assert_eq!(url.to_string(), "http://${target.address}/$${path}");
///
/// let wrong = Template::parse("at ${relase.root").unwrap_err();
/// assert_eq!((wrong.offset, wrong.length), (3, 13));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Template(Vec<Piece>);

/// A string that is not well formed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct TemplateError {
    /// Where the reference begins, in bytes from the start of the string.
    pub offset: usize,
    /// How many bytes of the string are wrong.
    pub length: usize,
    /// What is wrong.
    pub why: WhyNot,
}

/// Why a string is not well formed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhyNot {
    /// There is no `}`.
    #[error("`${{` has no `}}`")]
    NotClosed,
    /// What is between the braces is no reference.
    #[error(transparent)]
    Reference(#[from] BadReference),
}

impl TemplateError {
    /// What helps: the reference that was probably meant, or how to write the text itself.
    pub fn hint(&self) -> String {
        match &self.why {
            WhyNot::NotClosed => "write `$${` for the two characters themselves".to_owned(),
            WhyNot::Reference(reference) => match reference.suggestion() {
                Some(meant) => format!("did you mean `${{{meant}}}`?"),
                None if matches!(reference, BadReference::Fact { .. }) => {
                    format!("facts of a target are {}", crate::NoFact::known())
                }
                None => "a reference is written like `${var.NAME}`, `${release.root}`, `${target.name}` or \
                         `${STEP.OUTPUT}`"
                    .to_owned(),
            },
        }
    }
}

/// What is between two references, or a reference, as it is written. What is in the braces is up to the caller.
pub(crate) enum Token<'a> {
    /// Text, unescaped.
    Text(Cow<'a, str>),
    /// What stands between `${` and `}`, with the offset of the `$`.
    Braces(usize, &'a str),
    /// An offset from which no `}` follows.
    Open(usize),
}

/// Splits a string at its references.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(brace) = rest.find('{') {
        let before = &rest[..brace];
        let dollars = before.len() - before.trim_end_matches('$').len();
        plain.push_str(&before[..brace - dollars]);
        plain.extend(std::iter::repeat_n('$', dollars / 2));
        let after = &rest[brace + 1..];
        if dollars.is_multiple_of(2) {
            plain.push('{');
            rest = after;
            continue;
        }
        if !plain.is_empty() {
            found.push(Token::Text(Cow::Owned(std::mem::take(&mut plain))));
        }
        let offset = text.len() - rest.len() + brace - 1;
        let Some((inside, behind)) = after.split_once('}') else {
            found.push(Token::Open(offset));
            return found;
        };
        found.push(Token::Braces(offset, inside));
        rest = behind;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        found.push(Token::Text(Cow::Owned(plain)));
    }
    found
}

/// Writes text so that [`tokens`] reads it back, whether a reference follows it or not.
pub(crate) fn escape(text: &str, before_reference: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut dollars = 0;
    for c in text.chars() {
        if c == '{' {
            escaped.extend(std::iter::repeat_n('$', dollars));
        }
        dollars = if c == '$' { dollars + 1 } else { 0 };
        escaped.push(c);
    }
    if before_reference {
        escaped.extend(std::iter::repeat_n('$', dollars));
    }
    escaped
}

impl Template {
    /// Reads a string.
    ///
    /// # Errors
    /// A `${` without `}`, or with something in between that is no reference.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut template = Self::default();
        for token in tokens(text) {
            match token {
                Token::Text(text) => template.push(Piece::Text(text.into_owned())),
                Token::Braces(offset, inside) => {
                    let reference = inside.parse().map_err(|why: BadReference| TemplateError {
                        offset,
                        length: inside.len() + 3,
                        why: why.into(),
                    })?;
                    template.push(Piece::Reference(reference));
                }
                Token::Open(offset) => {
                    return Err(TemplateError {
                        offset,
                        length: text.len() - offset,
                        why: WhyNot::NotClosed,
                    });
                }
            }
        }
        Ok(template)
    }

    /// Text as it is: a `${` in it is two characters.
    pub fn literal(text: impl Into<String>) -> Self {
        let mut template = Self::default();
        template.push(Piece::Text(text.into()));
        template
    }

    /// The reference alone.
    pub fn reference(reference: Reference) -> Self {
        Self(vec![Piece::Reference(reference)])
    }

    /// Adds a piece; neighbouring texts become one and empty ones vanish, so that equal strings are equal values.
    pub fn push(&mut self, piece: Piece) {
        match (self.0.last_mut(), piece) {
            (_, Piece::Text(text)) if text.is_empty() => {}
            (Some(Piece::Text(last)), Piece::Text(text)) => last.push_str(&text),
            (_, piece) => self.0.push(piece),
        }
    }

    /// The pieces, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// What is referred to, in order, as often as it is written.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Reference(reference) => Some(reference),
        })
    }

    /// The references with the byte range that each has in the printed string.
    pub fn spans(&self) -> impl Iterator<Item = (std::ops::Range<usize>, &Reference)> {
        let mut at = 0;
        self.0.iter().enumerate().filter_map(move |(index, piece)| {
            let start = at;
            at += self.print(index).len();
            match piece {
                Piece::Text(_) => None,
                Piece::Reference(reference) => Some((start..at, reference)),
            }
        })
    }

    /// The text, when no reference is left.
    pub fn as_text(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The reference, when there is nothing else.
    pub fn as_reference(&self) -> Option<&Reference> {
        match self.0.as_slice() {
            [Piece::Reference(reference)] => Some(reference),
            _ => None,
        }
    }

    /// Fills in what is known; what is [`Lookup::Symbolic`] stays.
    ///
    /// # Errors
    /// A reference that is unknown, or one inside text whose value is not text.
    pub fn resolve_partly(&self, scope: &dyn Scope) -> Result<ValueTemplate, Unresolved> {
        if let Some(reference) = self.as_reference() {
            return match scope.lookup(reference) {
                Lookup::Value(value) => Ok(ValueTemplate::literal(value)),
                Lookup::Symbolic => Ok(ValueTemplate::Text(self.clone())),
                Lookup::Unknown { suggestion } => {
                    Err(self.unresolved(0, reference, WhyUnresolved::Unknown { suggestion }))
                }
            };
        }
        let mut resolved = Self::default();
        for (index, piece) in self.0.iter().enumerate() {
            let Piece::Reference(reference) = piece else {
                resolved.push(piece.clone());
                continue;
            };
            match scope.lookup(reference) {
                Lookup::Symbolic => resolved.push(piece.clone()),
                Lookup::Value(value) => match as_text(&value) {
                    Some(text) => resolved.push(Piece::Text(text)),
                    None => {
                        return Err(self.unresolved(
                            index,
                            reference,
                            WhyUnresolved::NotText { is: kind_of(&value) },
                        ));
                    }
                },
                Lookup::Unknown { suggestion } => {
                    return Err(self.unresolved(index, reference, WhyUnresolved::Unknown { suggestion }));
                }
            }
        }
        Ok(ValueTemplate::Text(resolved))
    }

    /// Fills in everything.
    ///
    /// # Errors
    /// As [`Template::resolve_partly`], and for a reference whose value is not known yet.
    pub fn resolve(&self, scope: &dyn Scope) -> Result<Value, Unresolved> {
        ValueTemplate::Text(self.clone()).resolve(scope)
    }

    pub(super) fn unresolved(&self, index: usize, reference: &Reference, why: WhyUnresolved) -> Unresolved {
        Unresolved {
            pointer: String::new(),
            offset: (0..index).map(|piece| self.print(piece).len()).sum(),
            reference: reference.clone(),
            why,
        }
    }

    /// A piece as it is written, in its place.
    fn print(&self, index: usize) -> String {
        match &self.0[index] {
            Piece::Text(text) => escape(text, index + 1 < self.0.len()),
            Piece::Reference(reference) => format!("${{{reference}}}"),
        }
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        Self::parse(&text)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.to_string()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..self.0.len()).try_for_each(|index| f.write_str(&self.print(index)))
    }
}
