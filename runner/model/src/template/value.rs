//! JSON values whose strings have references in them.

use super::{Lookup, Piece, Reference, Scope, Template, TemplateError, Unresolved, WhyUnresolved};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use std::collections::BTreeMap;
use std::fmt;

/// A JSON value whose strings have references in them: the parameters of a step before they are bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Value", try_from = "Value")]
pub enum ValueTemplate {
    /// Nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    Text(Template),
    /// Values in order.
    Array(Vec<ValueTemplate>),
    /// Values by name; names have no references.
    Object(BTreeMap<String, ValueTemplate>),
}

/// A string in a value that is not well formed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct ValueTemplateError {
    /// Where the string is, as a JSON pointer.
    pub pointer: String,
    /// What is wrong with it.
    pub error: TemplateError,
}

impl ValueTemplate {
    /// Reads the strings of a value.
    ///
    /// # Errors
    /// The first string that is not well formed.
    pub fn parse(value: &Value) -> Result<Self, ValueTemplateError> {
        Ok(match value {
            Value::Null => Self::Null,
            Value::Bool(boolean) => Self::Bool(*boolean),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::Text(
                Template::parse(text)
                    .map_err(|error| ValueTemplateError { pointer: String::new(), error })?,
            ),
            Value::Array(values) => Self::Array(
                values
                    .iter()
                    .enumerate()
                    .map(|(index, value)| {
                        Self::parse(value).map_err(|error| ValueTemplateError {
                            pointer: below(index, &error.pointer),
                            error: error.error,
                        })
                    })
                    .collect::<Result<_, _>>()?,
            ),
            Value::Object(values) => Self::Object(
                values
                    .iter()
                    .map(|(name, value)| match Self::parse(value) {
                        Ok(value) => Ok((name.clone(), value)),
                        Err(error) => Err(ValueTemplateError {
                            pointer: below(name, &error.pointer),
                            error: error.error,
                        }),
                    })
                    .collect::<Result<_, _>>()?,
            ),
        })
    }

    /// A value as it is: a `${` in it is two characters.
    pub fn literal(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(boolean) => Self::Bool(boolean),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Text(Template::literal(text)),
            Value::Array(values) => Self::Array(values.into_iter().map(Self::literal).collect()),
            Value::Object(values) => {
                Self::Object(values.into_iter().map(|(name, value)| (name, Self::literal(value))).collect())
            }
        }
    }

    /// What is referred to, anywhere in the value.
    pub fn references(&self) -> Vec<&Reference> {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) => Vec::new(),
            Self::Text(template) => template.references().collect(),
            Self::Array(values) => values.iter().flat_map(Self::references).collect(),
            Self::Object(values) => values.values().flat_map(Self::references).collect(),
        }
    }

    /// The value under a name; `None` for what is no object or has no such name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(values) => values.get(name),
            _ => None,
        }
    }

    /// Fills in what is known; what is [`Lookup::Symbolic`] stays.
    ///
    /// # Errors
    /// A reference that is unknown, or one inside text whose value is not text.
    pub fn resolve_partly(&self, scope: &dyn Scope) -> Result<Self, Unresolved> {
        self.map(&|template| template.resolve_partly(scope))
    }

    /// Fills in everything.
    ///
    /// # Errors
    /// As [`ValueTemplate::resolve_partly`], and for a reference whose value is not known yet.
    pub fn resolve(&self, scope: &dyn Scope) -> Result<Value, Unresolved> {
        let resolved = self.map(&|template| {
            for (index, piece) in template.pieces().iter().enumerate() {
                if let Piece::Reference(reference) = piece
                    && scope.lookup(reference) == Lookup::Symbolic
                {
                    return Err(template.unresolved(index, reference, WhyUnresolved::Symbolic));
                }
            }
            template.resolve_partly(scope)
        })?;
        Ok(resolved.into_plain())
    }

    /// Puts something in the place of every string.
    fn map(&self, replace: &dyn Fn(&Template) -> Result<Self, Unresolved>) -> Result<Self, Unresolved> {
        let at = |key: &dyn fmt::Display, value: &Self| {
            value.map(replace).map_err(|mut error| {
                error.pointer = below(key, &error.pointer);
                error
            })
        };
        Ok(match self {
            Self::Null | Self::Bool(_) | Self::Number(_) => self.clone(),
            Self::Text(template) => replace(template)?,
            Self::Array(values) => Self::Array(
                values
                    .iter()
                    .enumerate()
                    .map(|(index, value)| at(&index, value))
                    .collect::<Result<_, _>>()?,
            ),
            Self::Object(values) => Self::Object(
                values
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), at(name, value)?)))
                    .collect::<Result<_, _>>()?,
            ),
        })
    }

    /// The value, when no reference is left in it.
    pub fn as_plain(&self) -> Option<Value> {
        self.references().is_empty().then(|| self.clone().into_plain())
    }

    /// The value with its texts unescaped; only called when no reference is left.
    fn into_plain(self) -> Value {
        self.into_value(&|template| template.as_text().map_or_else(|| template.to_string(), str::to_owned))
    }

    fn into_value(self, text: &dyn Fn(&Template) -> String) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(boolean) => Value::Bool(boolean),
            Self::Number(number) => Value::Number(number),
            Self::Text(template) => Value::String(text(&template)),
            Self::Array(values) => values.into_iter().map(|value| value.into_value(text)).collect(),
            Self::Object(values) => Value::Object(
                values.into_iter().map(|(name, value)| (name, value.into_value(text))).collect(),
            ),
        }
    }
}

/// A JSON pointer with one more step in front.
fn below(key: impl fmt::Display, pointer: &str) -> String {
    format!("/{}{pointer}", key.to_string().replace('~', "~0").replace('/', "~1"))
}

impl TryFrom<Value> for ValueTemplate {
    type Error = ValueTemplateError;

    fn try_from(value: Value) -> Result<Self, ValueTemplateError> {
        Self::parse(&value)
    }
}

impl From<ValueTemplate> for Value {
    fn from(template: ValueTemplate) -> Self {
        template.into_value(&Template::to_string)
    }
}
