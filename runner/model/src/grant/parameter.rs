//! A parameter in a declared grant: how it leads to its value, through tables and through the elements of arrays, and
//! whether a module's schema has it.

use super::words::{Hole, Why};
use crate::template::ValueTemplate;
use serde_json::Value;
use std::fmt;

/// A parameter in a declared grant: `${root}`, `${database.name}`, `${files.path}`, `${argv...}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Parameter {
    path: Vec<Segment>,
    pub(super) spread: bool,
}

/// A step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    /// The value of this name in a table.
    Name(String),
    /// The element of this index of an array; only in what is bound.
    Element(usize),
}

impl Parameter {
    /// The value; `None` when it is missing, or when what it would be in is something else than a table.
    pub(super) fn value<'a>(&self, parameters: &'a ValueTemplate) -> Result<Option<&'a ValueTemplate>, Why> {
        let mut value = parameters;
        for (depth, segment) in self.path.iter().enumerate() {
            let next = match (segment, value) {
                (Segment::Name(name), value) => value.get(name),
                (Segment::Element(index), ValueTemplate::Array(values)) => values.get(*index),
                (Segment::Element(_), _) => None,
            };
            match next {
                Some(next) => value = next,
                None if is_for_the_run(value) => {
                    let (known, wanted) = (dotted(&self.path[..depth]), dotted(&self.path[depth..]));
                    let why =
                        format!("`{known}` is known only in the run, and the grant needs its `{wanted}`");
                    return Err(Why::new(why).hint("write it out in the plan"));
                }
                None => return Ok(None),
            }
        }
        Ok(Some(value).filter(|value| **value != ValueTemplate::Null))
    }

    /// The first array on the way, each of whose elements makes a grant of its own: the parameter that it is, and its
    /// length.
    pub(super) fn array(&self, parameters: &ValueTemplate) -> Option<(Self, usize)> {
        let mut value = parameters;
        for (depth, segment) in self.path.iter().enumerate() {
            value = match (segment, value) {
                (Segment::Name(_), ValueTemplate::Array(values)) => {
                    return Some((Self { path: self.path[..depth].to_vec(), spread: false }, values.len()));
                }
                (Segment::Name(name), value) => value.get(name)?,
                (Segment::Element(index), ValueTemplate::Array(values)) => values.get(*index)?,
                (Segment::Element(_), _) => return None,
            };
        }
        match value {
            ValueTemplate::Array(values) if !self.spread => {
                Some((Self { path: self.path.clone(), spread: false }, values.len()))
            }
            _ => None,
        }
    }

    /// Leads through one element of this array, if it leads through the array.
    pub(super) fn choose(&mut self, array: &Self, index: usize) {
        let depth = array.path.len();
        let through = match self.path.get(depth) {
            None => !self.spread,
            Some(next) => matches!(next, Segment::Name(_)),
        };
        if through && self.path.starts_with(&array.path) {
            self.path.insert(depth, Segment::Element(index));
        }
    }

    /// The value of a name in this table.
    pub(super) fn of_table(&self, name: &str) -> Self {
        let mut path = self.path.clone();
        path.push(Segment::Name(name.to_owned()));
        Self { path, spread: false }
    }

    /// Where it is in the parameters, as a JSON pointer.
    pub(super) fn pointer(&self) -> String {
        let segment = |segment: &Segment| match segment {
            Segment::Name(name) => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
            Segment::Element(index) => format!("/{index}"),
        };
        self.path.iter().map(segment).collect()
    }
}

/// Whether it is a reference that only the run fills in.
fn is_for_the_run(value: &ValueTemplate) -> bool {
    matches!(value, ValueTemplate::Text(text) if text.as_text().is_none())
}

fn dotted(path: &[Segment]) -> String {
    let words = path.iter().map(|segment| match segment {
        Segment::Name(name) => name.clone(),
        Segment::Element(index) => index.to_string(),
    });
    words.collect::<Vec<_>>().join(".")
}

impl Hole for Parameter {
    fn parse(inside: &str) -> Result<Self, Why> {
        let (name, spread) = match inside.strip_suffix("...") {
            Some(name) => (name, true),
            None => (inside, false),
        };
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        match name.split('.').all(is_word) {
            true => {
                let path = name.split('.').map(|name| Segment::Name(name.to_owned())).collect();
                Ok(Self { path, spread })
            }
            false => Err(Why::new(format!("`{}` is not the name of a parameter", inside.escape_debug()))),
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", dotted(&self.path), if self.spread { "..." } else { "" })
    }
}

/// Why a parameter is not what the schema of the parameters says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// There is no such name.
    Unknown {
        /// The parameter, up to the name that is not there.
        name: String,
        /// The names that are there, as far as they are known.
        known: Vec<String>,
    },
    /// Its value could never be filled in.
    Type {
        /// What it must be.
        must_be: &'static str,
    },
}

impl Parameter {
    /// Whether a schema of parameters has it, with a type that can be filled in. What the schema leaves open fits.
    pub(crate) fn fits(&self, schema: &Value) -> Result<(), Unfit> {
        let mut at = forms(schema, schema, DEPTH);
        for (depth, segment) in self.path.iter().enumerate() {
            let Segment::Name(name) = segment else { continue };
            let mut next = Vec::new();
            let mut known: Vec<String> = Vec::new();
            let mut open = false;
            for form in at.drain(..).flat_map(|form| elements(schema, form, DEPTH)) {
                match (form["properties"].as_object(), &form["additionalProperties"]) {
                    (Some(names), _) if names.contains_key(name) => {
                        next.extend(forms(schema, &names[name.as_str()], DEPTH));
                    }
                    (_, rest @ Value::Object(_)) => next.extend(forms(schema, rest, DEPTH)),
                    (Some(names), _) => known.extend(names.keys().cloned()),
                    // A form of text, say, has no names; one that says nothing has any.
                    (None, rest) => {
                        open |= depth > 0
                            && *rest != Value::Bool(false)
                            && type_names(form).is_none_or(|all| all.contains(&"object"));
                    }
                }
            }
            if next.is_empty() {
                let within = if depth == 0 { String::new() } else { dotted(&self.path[..depth]) + "." };
                let known = known.into_iter().map(|name| format!("{within}{name}")).collect();
                return if open {
                    Ok(())
                } else {
                    Err(Unfit::Unknown { name: format!("{within}{name}"), known })
                };
            }
            at = next;
        }
        let can_be = |wanted: &[&str], form: &Value| {
            type_names(form).is_none_or(|types| types.iter().any(|one| wanted.contains(one)))
        };
        let fits = match self.spread {
            true => at.iter().any(|form| can_be(&["array", "object"], form)),
            false => {
                let mut ends = at.iter().flat_map(|form| elements(schema, form, DEPTH));
                ends.any(|form| can_be(&["string", "number", "integer", "boolean"], form))
            }
        };
        match (fits, self.spread) {
            (true, _) => Ok(()),
            (false, true) => Err(Unfit::Type { must_be: "an array, or a table of variables" }),
            (false, false) => {
                Err(Unfit::Type { must_be: "text, a number or a boolean, or an array of such" })
            }
        }
    }
}

/// How deep references, forms and arrays are followed: a schema may lead back to itself.
const DEPTH: usize = 8;

/// The forms that a value can have: the schema itself, or what it refers to or chooses from.
fn forms<'s>(root: &'s Value, schema: &'s Value, depth: usize) -> Vec<&'s Value> {
    let Some(depth) = depth.checked_sub(1) else { return vec![&Value::Bool(true)] };
    let referred = schema["$ref"].as_str().and_then(|path| root.pointer(path.strip_prefix('#')?));
    let chosen = ["anyOf", "oneOf", "allOf"].iter().filter_map(|key| schema[*key].as_array()).flatten();
    let others: Vec<&Value> =
        referred.into_iter().chain(chosen).flat_map(|form| forms(root, form, depth)).collect();
    // Forms that say only which names must be there are about this very table.
    let says = |form: &&Value| {
        ["type", "properties", "items", "const", "enum"].iter().any(|key| form.get(*key).is_some())
    };
    let others: Vec<&Value> = others.into_iter().filter(|form| says(form)).collect();
    match says(&schema) || others.is_empty() {
        true => std::iter::once(schema).chain(others).collect(),
        false => others,
    }
}

/// The form, or those of its elements when it is one of an array.
fn elements<'s>(root: &'s Value, form: &'s Value, depth: usize) -> Vec<&'s Value> {
    match (form.get("items"), depth.checked_sub(1)) {
        (Some(items), Some(depth)) => {
            let each = forms(root, items, DEPTH).into_iter();
            each.flat_map(|form| elements(root, form, depth)).collect()
        }
        _ if type_names(form) == Some(vec!["array"]) => vec![&Value::Bool(true)],
        _ => vec![form],
    }
}

/// The types that a form says it has, without that of nothing.
fn type_names(form: &Value) -> Option<Vec<&str>> {
    match form.get("type")? {
        Value::String(one) => Some(vec![one]),
        Value::Array(several) => {
            Some(several.iter().filter_map(Value::as_str).filter(|one| *one != "null").collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parameter(text: &str) -> Parameter {
        Parameter::parse(text).unwrap_or_else(|why| panic!("{text}: {}", why.why))
    }

    #[test]
    fn a_schema_has_a_parameter_or_says_what_it_has() {
        let schema = json!({
            "type": "object",
            "properties": {
                "root": { "type": "string" },
                "table": { "type": "object" },
                "argv": { "type": "array", "items": { "type": "string" } },
                "env": { "type": "object", "additionalProperties": { "type": "string" } },
                "maybe": { "anyOf": [{ "$ref": "#/$defs/entry" }, { "type": "null" }] },
                "files": { "type": "array", "items": {
                    "type": "object", "additionalProperties": false,
                    "oneOf": [{ "required": ["path"] }, { "required": ["argv"] }],
                    "properties": {
                        "path": { "type": ["string", "null"] },
                        "argv": { "type": ["array", "null"], "items": { "type": "string" } },
                        "more": { "type": "object", "properties": {}, "additionalProperties": false },
                    },
                } },
                "loop": { "$ref": "#/$defs/loop" },
                "any": true,
            },
            "$defs": {
                "entry": { "type": "object", "properties": { "name": { "type": "integer" } } },
                "loop": { "$ref": "#/$defs/loop" },
            },
        });
        for text in [
            "root",
            "argv",
            "argv...",
            "env...",
            "env.A",
            "maybe.name",
            "files.path",
            "files.argv",
            "files.argv...",
            "table.x",
            "loop",
            "loop.x",
            "any",
            "any.x",
            "any...",
        ] {
            assert_eq!(parameter(text).fits(&schema), Ok(()), "{text}");
        }
        for (text, name) in [
            ("rot", "rot"),
            ("root.x", "root.x"),
            ("files.pth", "files.pth"),
            ("maybe.names.x", "maybe.names"),
            ("files.more.x", "files.more.x"),
            ("files.path.x", "files.path.x"),
        ] {
            match parameter(text).fits(&schema) {
                Err(Unfit::Unknown { name: found, .. }) => assert_eq!(found, name),
                other => panic!("{text}: {other:?}"),
            }
        }
        for text in ["files", "env", "table", "maybe", "root...", "files.path..."] {
            assert!(matches!(parameter(text).fits(&schema), Err(Unfit::Type { .. })), "{text}");
        }
    }
}
