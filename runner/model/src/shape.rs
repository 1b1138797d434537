//! Whether a JSON value fits a module's JSON Schema, and what does not, in words for people. Values that are known
//! only in the run can be checked around.

use crate::suggest::closest;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value;
use std::collections::BTreeMap;

/// A JSON Schema, ready to check values.
#[derive(Debug, Clone)]
pub struct Shape {
    validator: jsonschema::Validator,
}

/// A schema that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadShape(String);

/// One thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Misfit {
    /// Where in the value, as a JSON pointer.
    pub pointer: String,
    /// What is wrong there.
    pub why: Why,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// A name that must be there is not.
    Missing(String),
    /// One of these names must be there, and none is.
    MissingOneOf(Vec<String>),
    /// Names that are not known, each with what was probably meant.
    Unexpected(Vec<(String, Option<String>)>),
    /// Anything else, as a fragment that fits after the value's name: "must be text, not a number".
    Other {
        /// What is wrong.
        says: String,
        /// What was probably meant.
        meant: Option<String>,
    },
}

/// Values that are not known yet, by their JSON pointers, each with its type as far as that is known.
pub(crate) type Symbolic = BTreeMap<String, Option<JsonType>>;

impl Shape {
    /// A schema of draft 2020-12. Nothing is fetched for it.
    ///
    /// # Errors
    /// It is no schema.
    pub fn new(schema: &Value) -> Result<Self, BadShape> {
        jsonschema::draft202012::options()
            .offline()
            // A module's patterns must match in linear time.
            .with_pattern_options(jsonschema::PatternOptions::regex())
            .build(schema)
            .map(|validator| Self { validator })
            .map_err(|error| BadShape(error.to_string()))
    }

    /// What does not fit; empty when all does.
    pub fn misfits(&self, value: &Value) -> Vec<Misfit> {
        self.misfits_around(value, &Symbolic::new())
    }

    /// The same, with something in the place of each value that is not known yet: of those only the type counts.
    pub(crate) fn misfits_around(&self, value: &Value, symbolic: &Symbolic) -> Vec<Misfit> {
        let mut found: Vec<_> = self
            .validator
            .iter_errors(value)
            .filter_map(|error| explain(&error, symbolic))
            .flatten()
            .collect();
        found.sort();
        found.dedup();
        found
    }
}

/// `None`: it may yet fit, when all values are known.
fn explain(error: &ValidationError<'_>, symbolic: &Symbolic) -> Option<Vec<Misfit>> {
    let pointer = error.instance_path().as_str();
    if let Some(known) = symbolic.get(pointer) {
        let of_type = matches!(error.kind(), ValidationErrorKind::Type { .. }) && known.is_some();
        return of_type.then(|| vec![misfit(error)]);
    }
    let below = format!("{pointer}/");
    let open = symbolic.keys().any(|key| key.starts_with(&below));
    match error.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            alternatives(error, context, symbolic)
        }
        ValidationErrorKind::OneOfMultipleValid { .. } if !open => {
            let says = "fits more than one of the forms that it can have".to_owned();
            Some(vec![Misfit { pointer: pointer.to_owned(), why: Why::Other { says, meant: None } }])
        }
        ValidationErrorKind::OneOfMultipleValid { .. }
        | ValidationErrorKind::Contains
        | ValidationErrorKind::UniqueItems
        | ValidationErrorKind::Not { .. }
        | ValidationErrorKind::Constant { .. }
        | ValidationErrorKind::Enum { .. }
            if open =>
        {
            None
        }
        _ => Some(vec![misfit(error)]),
    }
}

/// Of several forms that a value can have, the one that it was probably meant to have is explained.
fn alternatives(
    error: &ValidationError<'_>,
    context: &[Vec<ValidationError<'static>>],
    symbolic: &Symbolic,
) -> Option<Vec<Misfit>> {
    let pointer = error.instance_path().as_str();
    let constants: Vec<&Value> = context.iter().filter_map(|errors| constant(errors, pointer)).collect();
    if !constants.is_empty() && constants.len() == context.len() {
        let why = one_of(&constants, error.instance());
        return Some(vec![Misfit { pointer: pointer.to_owned(), why }]);
    }
    let names: Vec<String> = context.iter().filter_map(|errors| missing(errors, pointer)).collect();
    if !names.is_empty() && names.len() == context.len() {
        return Some(vec![Misfit { pointer: pointer.to_owned(), why: Why::MissingOneOf(names) }]);
    }
    let mut near = Vec::new();
    for errors in context {
        let misfits: Vec<_> = errors.iter().filter_map(|error| explain(error, symbolic)).flatten().collect();
        if misfits.is_empty() {
            return None;
        }
        // A form of another type altogether was not meant.
        let other_type = |error: &ValidationError<'_>| {
            error.instance_path().as_str() == pointer
                && matches!(error.kind(), ValidationErrorKind::Type { .. })
        };
        if !errors.iter().any(other_type) {
            near.push(misfits);
        }
    }
    match (near.len(), near.pop()) {
        (1, Some(misfits)) => Some(misfits),
        _ => {
            let mut kinds: Vec<String> = Vec::new();
            let mut all = true;
            for errors in context {
                let kind = errors.iter().find_map(wanted_type);
                all &= kind.is_some();
                kinds.extend(kind.filter(|kind| !kinds.contains(kind)));
            }
            let says = if all {
                format!("must be {}, not {}", or(&kinds), kind(error.instance()))
            } else {
                "has none of the forms that it can have".to_owned()
            };
            Some(vec![Misfit { pointer: pointer.to_owned(), why: Why::Other { says, meant: None } }])
        }
    }
}

/// The one value that a form takes.
fn constant<'e>(errors: &'e [ValidationError<'_>], pointer: &str) -> Option<&'e Value> {
    errors.iter().find_map(|error| match error.kind() {
        ValidationErrorKind::Constant { expected_value } if error.instance_path().as_str() == pointer => {
            Some(&**expected_value)
        }
        _ => None,
    })
}

/// The one name that is all that a form lacks.
fn missing(errors: &[ValidationError<'_>], pointer: &str) -> Option<String> {
    match errors {
        [error] if error.instance_path().as_str() == pointer => match error.kind() {
            ValidationErrorKind::Required { property } => property.as_str().map(str::to_owned),
            _ => None,
        },
        _ => None,
    }
}

/// A value that is none of the few that there are.
fn one_of(options: &[&Value], value: &Value) -> Why {
    let texts = options.iter().filter_map(|option| option.as_str());
    let meant = value.as_str().and_then(|text| closest(text, texts)).map(str::to_owned);
    let options: Vec<String> =
        options.iter().filter(|option| !option.is_null()).map(|option| format!("`{option}`")).collect();
    Why::Other { says: format!("must be {}, not {}", or(&options), short(value)), meant }
}

fn wanted_type(error: &ValidationError<'_>) -> Option<String> {
    match error.kind() {
        ValidationErrorKind::Type { kind } => Some(wanted(kind)),
        _ => None,
    }
}

fn misfit(error: &ValidationError<'_>) -> Misfit {
    let value = error.instance();
    let other = |says: String| Why::Other { says, meant: None };
    let why = match error.kind() {
        ValidationErrorKind::Required { property } => {
            Why::Missing(property.as_str().map_or_else(|| property.to_string(), str::to_owned))
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            Why::Unexpected(unexpected.iter().map(|name| (name.clone(), None)).collect())
        }
        ValidationErrorKind::Type { kind: wanted_kind } => {
            other(format!("must be {}, not {}", wanted(wanted_kind), kind(value)))
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<&Value> = options.as_array().map(|all| all.iter().collect()).unwrap_or_default();
            one_of(&options, value)
        }
        ValidationErrorKind::Constant { expected_value } => {
            other(format!("must be `{expected_value}`, not {}", short(value)))
        }
        ValidationErrorKind::Minimum { limit } => {
            other(format!("must be at least {limit}, not {}", short(value)))
        }
        ValidationErrorKind::Maximum { limit } => {
            other(format!("must be at most {limit}, not {}", short(value)))
        }
        ValidationErrorKind::ExclusiveMinimum { limit } => {
            other(format!("must be more than {limit}, not {}", short(value)))
        }
        ValidationErrorKind::ExclusiveMaximum { limit } => {
            other(format!("must be less than {limit}, not {}", short(value)))
        }
        ValidationErrorKind::MinLength { limit: 1 } => other("must not be empty".to_owned()),
        ValidationErrorKind::MinLength { limit } => other(format!("must have at least {limit} characters")),
        ValidationErrorKind::MaxLength { limit } => other(format!("must have at most {limit} characters")),
        ValidationErrorKind::MinItems { limit: 1 } => other("must not be empty".to_owned()),
        ValidationErrorKind::MinItems { limit } => other(format!("must have at least {limit} elements")),
        ValidationErrorKind::MaxItems { limit } => other(format!("must have at most {limit} elements")),
        // Not everybody reads regular expressions, and most of these only want a beginning.
        ValidationErrorKind::Pattern { pattern } if beginning(pattern).is_some() => {
            let begins = beginning(pattern).unwrap_or_default();
            other(format!("must begin with `{begins}`, and {} does not", short(value)))
        }
        ValidationErrorKind::Pattern { pattern } => {
            other(format!("must look like `{pattern}`, and {} does not", short(value)))
        }
        ValidationErrorKind::Format { format } => {
            other(format!("must be a {format}, and {} is none", short(value)))
        }
        ValidationErrorKind::UniqueItems => other("has the same element twice".to_owned()),
        // The library's words, without the value itself, which may be long.
        _ => other(format!("does not fit: {}", error.masked_with("it"))),
    };
    Misfit { pointer: error.instance_path().as_str().to_owned(), why }
}

/// The text that a pattern wants in front, when that is all it wants.
fn beginning(pattern: &str) -> Option<&str> {
    let text = pattern.strip_prefix('^')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_:".contains(c);
    (!text.is_empty() && text.chars().all(plain)).then_some(text)
}

fn wanted(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => type_name(*one).to_owned(),
        TypeKind::Multiple(several) => {
            let names: Vec<String> = several
                .iter()
                .filter(|one| *one != JsonType::Null)
                .map(|one| type_name(one).to_owned())
                .collect();
            or(&names)
        }
    }
}

fn type_name(one: JsonType) -> &'static str {
    match one {
        JsonType::Array => "an array",
        JsonType::Boolean => "`true` or `false`",
        JsonType::Integer => "a whole number",
        JsonType::Null => "nothing",
        JsonType::Number => "a number",
        JsonType::Object => "a table",
        JsonType::String => "text",
    }
}

/// What a value is, for a message.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "a whole number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "a table",
    }
}

/// A value as far as it fits into a line.
fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 60 {
        format!("`{}…`", text.chars().take(60).collect::<String>())
    } else {
        format!("`{text}`")
    }
}

/// `a, b or c`
pub(crate) fn or(names: &[String]) -> String {
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => "something else".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn says(schema: Value, value: Value) -> String {
        let misfits = Shape::new(&schema).expect("a schema").misfits(&value);
        misfits.iter().map(|misfit| format!("{}: {:?}\n", misfit.pointer, misfit.why)).collect()
    }

    #[test]
    fn the_form_that_was_meant_is_explained() {
        let schema = json!({
            "type": "object",
            "properties": {
                "text": { "type": ["string", "null"] },
                "maybe": { "anyOf": [
                    { "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] },
                    { "type": "null" },
                ] },
                "either": { "oneOf": [{ "type": "integer" }, { "type": "string" }] },
                "choice": { "enum": ["gzip", "zstd"] },
                "word": { "oneOf": [{ "const": "start", "type": "string" }, { "const": "stop", "type": "string" }] },
            },
            "required": ["must"],
            "additionalProperties": false,
        });
        let value = json!({ "text": 1, "maybe": { "n": "x" }, "either": [], "choice": "gzpi", "more": 1, "word": "strat" });
        insta::assert_snapshot!(says(schema, value), @r#"
        : Missing("must")
        : Unexpected([("more", None)])
        /choice: Other { says: "must be `\"gzip\"` or `\"zstd\"`, not `\"gzpi\"`", meant: Some("gzip") }
        /either: Other { says: "must be a whole number or text, not an array", meant: None }
        /maybe/n: Other { says: "must be a whole number, not text", meant: None }
        /text: Other { says: "must be text, not a whole number", meant: None }
        /word: Other { says: "must be `\"start\"` or `\"stop\"`, not `\"strat\"`", meant: Some("start") }
        "#);
    }

    #[test]
    fn exactly_one_of_several_names_is_asked_for() {
        let schema = json!({
            "type": "object",
            "oneOf": [{ "required": ["content"] }, { "required": ["source"] }, { "required": ["absent"] }],
        });
        assert_eq!(says(schema.clone(), json!({ "source": "x" })), "");
        insta::assert_snapshot!(says(schema.clone(), json!({ "path": "/x" })), @r#": MissingOneOf(["content", "source", "absent"])"#);
        insta::assert_snapshot!(says(schema, json!({ "source": "x", "absent": true })), @r#": Other { says: "fits more than one of the forms that it can have", meant: None }"#);
    }

    #[test]
    fn what_is_not_known_yet_is_checked_around() {
        let schema = json!({
            "type": "object",
            "properties": {
                "digest": { "type": "string", "pattern": "^sha256:" },
                "count": { "type": "integer", "minimum": 5 },
                "list": { "type": "array", "items": { "type": "string" }, "uniqueItems": true },
                "either": { "oneOf": [
                    { "type": "object", "properties": { "a": { "const": 1 } }, "required": ["a"], "additionalProperties": false },
                    { "type": "object", "properties": { "b": { "const": 1 } }, "required": ["b"], "additionalProperties": false },
                ] },
            },
        });
        let shape = Shape::new(&schema).expect("a schema");
        let value = json!({ "digest": "", "count": "", "list": ["", ""], "either": { "a": "" } });
        let symbolic = |count| {
            Symbolic::from([
                ("/digest".to_owned(), Some(JsonType::String)),
                ("/count".to_owned(), count),
                ("/list/0".to_owned(), None),
                ("/list/1".to_owned(), None),
                ("/either/a".to_owned(), None),
            ])
        };
        assert_eq!(shape.misfits_around(&value, &symbolic(None)), []);
        let wrong = shape.misfits_around(&value, &symbolic(Some(JsonType::String)));
        assert_eq!(wrong.len(), 1);
        assert_eq!(wrong[0].pointer, "/count");
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        assert!(Shape::new(&json!({ "type": "nothing" })).is_err());
        assert!(Shape::new(&json!({ "$ref": "https://example.org/schema" })).is_err());
    }
}
