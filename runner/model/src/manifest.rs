//! What a module says of itself: the JSON that `describe` returns. It comes from whoever wrote the module, so nothing in
//! it is believed before it is checked here.

use crate::grant::{BindError, Capabilities, Capability, GrantError, GrantSet, List, Unfit};
use crate::suggest::closest;
use crate::template::ValueTemplate;
use crate::text::shown;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use std::fmt;

/// The longest manifest that is read: 1 MiB.
pub const MAX_MANIFEST_BYTES: usize = 1024 * 1024;

/// How often a step of the module runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occurs {
    /// Once in a run.
    Once,
    /// Once for each target.
    EachTarget,
}

/// What a module is for: the world of the contract that it exports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// A step of a plan.
    #[default]
    Step,
    /// `[cluster]`: it knows which targets are in service.
    Cluster,
}

impl World {
    /// As in the WIT.
    pub fn word(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Cluster => "cluster",
        }
    }
}

/// What a module says of itself.
///
/// ```
/// let manifest = runner_model::Manifest::parse(r#"{
///     "name": "switch", "version": "0.1.0", "summary": "makes a release the live one", "documentation": "",
///     "parameters": { "type": "object", "properties": { "root": { "type": "string" } }, "required": ["root"] },
///     "outputs": { "type": "object" },
///     "runs": "each-target",
///     "capabilities": { "ssh": ["read:${root}", "write:${root}"] }
/// }"#).unwrap();
/// assert_eq!(manifest.name, "switch");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Value", try_from = "Value")]
pub struct Manifest {
    /// Its name.
    pub name: String,
    /// Its version, for people: what counts is its digest.
    pub version: String,
    /// What it does, in a line.
    pub summary: String,
    /// How to use it, in Markdown.
    pub documentation: String,
    /// The JSON Schema of its parameters.
    pub parameters: Value,
    /// The JSON Schema of its outputs.
    pub outputs: Value,
    /// What it is for. Left out: a step.
    pub world: World,
    /// How often a step of it runs.
    pub runs: Occurs,
    /// What it needs.
    pub capabilities: Capabilities,
}

/// A manifest that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Nobody writes that much.
    #[error("it has {0} bytes, more than the {MAX_MANIFEST_BYTES} that are read")]
    TooLarge(usize),
    /// It is not JSON.
    #[error("it is not JSON: {why}; it begins with `{}`", shown(.begins))]
    NotJson {
        /// Why.
        why: String,
        /// How it begins: of an SDK that could not describe its step, the reason.
        begins: String,
    },
    /// It is JSON, and no object.
    #[error("it is no JSON object")]
    NotAnObject,
    /// A key that must be there is not.
    #[error("the key `{0}` is missing")]
    Missing(&'static str),
    /// A key that does not exist.
    #[error("there is no key `{}`", .key.escape_debug())]
    UnknownKey {
        /// The key, with what it is in.
        key: String,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// A value of the wrong type, or one that makes no sense.
    #[error("`{key}` must be {must_be}")]
    BadValue {
        /// The key, with what it is in.
        key: String,
        /// What its value must be.
        must_be: &'static str,
    },
    /// A capability that is no grant.
    #[error("in `capabilities.{}`: {error}", .list.key())]
    BadGrant {
        /// The list that it is in.
        list: List,
        /// What is wrong.
        error: GrantError,
    },
    /// A capability over a parameter that the schema does not have.
    #[error("the capability `{}` is over the parameter `{}`, which `parameters` does not have", .capability.escape_debug(), .parameter.escape_debug())]
    UnknownParameter {
        /// The capability.
        capability: String,
        /// The parameter.
        parameter: String,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// A capability over a parameter that can never be filled in.
    #[error("the capability `{}` is over the parameter `{parameter}`, which must be {must_be}", .capability.escape_debug())]
    UnfitParameter {
        /// The capability.
        capability: String,
        /// The parameter.
        parameter: String,
        /// What it must be.
        must_be: &'static str,
    },
    /// What should be a JSON Schema is none.
    #[error("`{key}` is no JSON Schema: {why}")]
    BadSchema {
        /// `parameters` or `outputs`.
        key: &'static str,
        /// What is wrong.
        why: String,
    },
}

impl ManifestError {
    /// What helps the module's author.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { suggestion: Some(meant), .. }
            | Self::UnknownParameter { suggestion: Some(meant), .. } => {
                Some(format!("did you mean `{meant}`?"))
            }
            Self::UnknownKey { suggestion: None, .. } => {
                Some("the module may have been built for a newer runner".to_owned())
            }
            Self::BadGrant { error, .. } => error.hint.clone(),
            _ => None,
        }
    }
}

/// How many characters are shown of what is no JSON.
const BEGINS: usize = 200;

const KEYS: [&str; 9] =
    ["name", "version", "summary", "documentation", "parameters", "outputs", "world", "runs", "capabilities"];

impl Manifest {
    /// Reads what `describe` returned.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(json: &str) -> Result<Self, ManifestError> {
        if json.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge(json.len()));
        }
        let value: Value = serde_json::from_str(json).map_err(|error| ManifestError::NotJson {
            why: error.to_string(),
            begins: json.chars().take(BEGINS).collect(),
        })?;
        Self::from_value(&value)
    }

    fn from_value(value: &Value) -> Result<Self, ManifestError> {
        let object = value.as_object().ok_or(ManifestError::NotAnObject)?;
        known_keys(object, "", &KEYS)?;
        let parameters = schema(object, "parameters")?;
        let manifest = Self {
            name: name(object)?,
            version: line(object, "version", 64)?,
            summary: line(object, "summary", 200)?,
            documentation: documentation(object)?,
            outputs: schema(object, "outputs")?,
            world: match object.get("world").map(Value::as_str) {
                None | Some(Some("step")) => World::Step,
                Some(Some("cluster")) => World::Cluster,
                Some(_) => return Err(bad("world", "`step` or `cluster`")),
            },
            runs: match object.get("runs").map(Value::as_str) {
                Some(Some("once")) => Occurs::Once,
                Some(Some("each-target")) => Occurs::EachTarget,
                Some(_) => return Err(bad("runs", "`once` or `each-target`")),
                None => return Err(ManifestError::Missing("runs")),
            },
            capabilities: capabilities(object.get("capabilities"), &parameters)?,
            parameters,
        };
        Ok(manifest)
    }
}

impl Manifest {
    /// The parameters with the defaults of the schema, and integers as such, as the step sees them; those of tables in lists and tables too.
    pub fn complete(&self, parameters: &ValueTemplate) -> ValueTemplate {
        let mut complete = parameters.clone();
        fill_in_defaults(&mut complete, &self.parameters);
        complete
    }

    /// Parameters with nothing left to fill in, as the step reads them: what was filled in may be a float as well.
    pub(crate) fn read_by_step(&self, mut parameters: Value) -> Value {
        write_integers(&mut parameters, &self.parameters);
        parameters
    }

    /// The grants that the module needs with these parameters; those that are left out have their defaults.
    ///
    /// # Errors
    /// Values that make no grant.
    pub fn bind(&self, parameters: &ValueTemplate) -> Result<GrantSet, BindError> {
        self.capabilities.bind(&self.complete(parameters))
    }
}

fn fill_in_defaults(value: &mut ValueTemplate, schema: &Value) {
    match value {
        ValueTemplate::Object(given) => {
            for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten()
            {
                if let Some(default) = property.get("default").filter(|default| !default.is_null()) {
                    given.entry(name.clone()).or_insert_with(|| ValueTemplate::literal(default.clone()));
                }
            }
            for (name, value) in given {
                if let Some(property) = of_member(schema, name) {
                    fill_in_defaults(value, property);
                }
            }
        }
        ValueTemplate::Array(values) => {
            let Some(items) = schema.get("items") else { return };
            values.iter_mut().for_each(|value| fill_in_defaults(value, items));
        }
        ValueTemplate::Number(number) => {
            if let Some(whole) = as_integer(number, schema) {
                *number = whole;
            }
        }
        _ => {}
    }
}

/// JSON takes `5.0` for a whole number, and a language's own reader often does not: what the schema calls an integer is
/// bound and given to the step as one.
fn as_integer(number: &Number, schema: &Value) -> Option<Number> {
    let is_type = |name: &str| match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(|one| one == name),
        one => one.is_some_and(|one| one == name),
    };
    let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0)?;
    // No digits are lost: a float that large is a whole number itself.
    let whole: i64 = format!("{float:.0}").parse().ok()?;
    (is_type("integer") && !is_type("number")).then(|| whole.into())
}

fn write_integers(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if let Some(property) = of_member(schema, name) {
                    write_integers(value, property);
                }
            }
        }
        Value::Array(values) => {
            let Some(items) = schema.get("items") else { return };
            values.iter_mut().for_each(|value| write_integers(value, items));
        }
        Value::Number(number) => {
            if let Some(whole) = as_integer(number, schema) {
                *number = whole;
            }
        }
        _ => {}
    }
}

/// The schema of a member of an object: the property of its name, or what is said of all others.
fn of_member<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    let property = schema.get("properties").and_then(|properties| properties.get(name));
    property.or_else(|| schema.get("additionalProperties"))
}

fn bad(key: impl fmt::Display, must_be: &'static str) -> ManifestError {
    ManifestError::BadValue { key: key.to_string(), must_be }
}

fn known_keys(object: &Map<String, Value>, within: &str, known: &[&str]) -> Result<(), ManifestError> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(ManifestError::UnknownKey {
            key: format!("{within}{key}"),
            suggestion: closest(key, known.iter().copied()).map(|meant| format!("{within}{meant}")),
        }),
    }
}

fn text<'a>(object: &'a Map<String, Value>, key: &'static str) -> Result<&'a str, ManifestError> {
    object.get(key).ok_or(ManifestError::Missing(key))?.as_str().ok_or_else(|| bad(key, "text"))
}

/// The name: what a plan writes behind `/`, and what is printed everywhere.
fn name(object: &Map<String, Value>) -> Result<String, ManifestError> {
    let text = text(object, "name")?;
    text.parse::<crate::ModuleName>()
        .map(|_| text.to_owned())
        .map_err(|_| bad("name", "1 to 64 letters, digits, `-`, `_` or `.`, a letter or a digit first"))
}

/// A line that can be printed as it is.
fn line(object: &Map<String, Value>, key: &'static str, most: usize) -> Result<String, ManifestError> {
    let text = text(object, key)?;
    match text.chars().count() <= most && !text.chars().any(is_harmful) {
        true => Ok(text.to_owned()),
        false => Err(bad(key, "one short line without control characters")),
    }
}

fn documentation(object: &Map<String, Value>) -> Result<String, ManifestError> {
    let text = text(object, "documentation")?;
    match text.chars().any(|c| is_harmful(c) && !matches!(c, '\n' | '\t' | '\r')) {
        false => Ok(text.to_owned()),
        true => Err(bad("documentation", "text without control characters")),
    }
}

/// Whether a terminal would do something else than show the character.
fn is_harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A schema of objects. Nothing is fetched for it, and its patterns match in linear time.
fn schema(object: &Map<String, Value>, key: &'static str) -> Result<Value, ManifestError> {
    let schema = object.get(key).ok_or(ManifestError::Missing(key))?;
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err(bad(format!("{key}.type"), "`object`"));
    }
    jsonschema::draft202012::options()
        .offline()
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .build(schema)
        .map_err(|error| ManifestError::BadSchema { key, why: error.to_string() })?;
    Ok(schema.clone())
}

fn capabilities(value: Option<&Value>, parameters: &Value) -> Result<Capabilities, ManifestError> {
    let Some(value) = value else { return Ok(Capabilities::default()) };
    let object = value.as_object().ok_or_else(|| bad("capabilities", "an object of lists"))?;
    known_keys(object, "capabilities.", &List::ALL.map(List::key))?;
    let mut all = Vec::new();
    for list in List::ALL {
        let Some(value) = object.get(list.key()) else { continue };
        let wrong = || bad(format!("capabilities.{}", list.key()), "a list of texts");
        for text in value.as_array().ok_or_else(wrong)? {
            let text = text.as_str().ok_or_else(wrong)?;
            let capability =
                Capability::parse(list, text).map_err(|error| ManifestError::BadGrant { list, error })?;
            for parameter in capability.holes() {
                parameter.fits(parameters).map_err(|unfit| match unfit {
                    Unfit::Unknown { name, known } => ManifestError::UnknownParameter {
                        capability: text.to_owned(),
                        suggestion: closest(&name, known.iter().map(String::as_str)).map(str::to_owned),
                        parameter: name,
                    },
                    Unfit::Type { must_be } => ManifestError::UnfitParameter {
                        capability: text.to_owned(),
                        parameter: parameter.to_string(),
                        must_be,
                    },
                })?;
            }
            all.push(capability);
        }
    }
    Ok(Capabilities::new(all))
}

impl TryFrom<Value> for Manifest {
    type Error = ManifestError;

    fn try_from(value: Value) -> Result<Self, ManifestError> {
        Self::from_value(&value)
    }
}

impl From<Manifest> for Value {
    fn from(manifest: Manifest) -> Self {
        let mut object = Map::new();
        object.insert("name".to_owned(), manifest.name.into());
        object.insert("version".to_owned(), manifest.version.into());
        object.insert("summary".to_owned(), manifest.summary.into());
        object.insert("documentation".to_owned(), manifest.documentation.into());
        object.insert("parameters".to_owned(), manifest.parameters);
        object.insert("outputs".to_owned(), manifest.outputs);
        if manifest.world != World::Step {
            object.insert("world".to_owned(), manifest.world.word().into());
        }
        let runs = match manifest.runs {
            Occurs::Once => "once",
            Occurs::EachTarget => "each-target",
        };
        object.insert("runs".to_owned(), runs.into());
        object.insert("capabilities".to_owned(), manifest.capabilities.to_json());
        Self::Object(object)
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
