//! Parameters and outputs against the schemas of a module's manifest.

use jsonschema::Validator;
use runner_model::{Failure, FailureKind, Manifest};
use serde_json::Value;

/// How many problems are told.
const MOST: usize = 5;

/// The two schemas of a module, compiled once.
#[derive(Debug)]
pub(crate) struct Schemas {
    parameters: Validator,
    outputs: Validator,
}

impl Schemas {
    /// Compiles them.
    ///
    /// # Errors
    /// One of them is no JSON Schema. A manifest that was checked has two.
    pub(crate) fn of(manifest: &Manifest) -> Result<Self, Failure> {
        let compile = |what: &str, schema: &Value| {
            jsonschema::validator_for(schema).map_err(|error| {
                Failure::new(
                    FailureKind::Invalid,
                    format_args!(
                        "the schema of the {what} of module `{}` is not usable: {error}",
                        manifest.name
                    ),
                )
            })
        };
        Ok(Self {
            parameters: compile("parameters", &manifest.parameters)?,
            outputs: compile("outputs", &manifest.outputs)?,
        })
    }

    /// Whether the parameters fit, now that everything in them is known.
    pub(crate) fn check_parameters(&self, who: &str, parameters: &Value) -> Result<(), Failure> {
        check(&self.parameters, parameters).map_err(|problems| {
            Failure::new(
                FailureKind::Invalid,
                format_args!("{who}: the parameters do not fit the module's schema"),
            )
            .with_detail(problems)
        })
    }

    /// What the module returned, when it is what its manifest promises.
    pub(crate) fn outputs(&self, who: &str, text: &str) -> Result<Value, Failure> {
        let garbage = |why: String| {
            let begins: String = text.chars().take(80).collect();
            Failure::new(FailureKind::Other, format_args!("{who} returned outputs that are {why}"))
                .with_detail(format_args!("it begins with `{}`", begins.escape_debug()))
        };
        let outputs: Value =
            serde_json::from_str(text).map_err(|error| garbage(format!("not JSON: {error}")))?;
        if !outputs.is_object() {
            return Err(garbage("no JSON object".to_owned()));
        }
        check(&self.outputs, &outputs).map_err(|problems| {
            Failure::new(
                FailureKind::Other,
                format_args!("{who} returned outputs that do not fit the schema of its own manifest"),
            )
            .with_detail(problems)
        })?;
        Ok(outputs)
    }
}

/// The problems, a line each.
fn check(schema: &Validator, value: &Value) -> Result<(), String> {
    let mut problems: Vec<String> = Vec::new();
    for error in schema.iter_errors(value).take(MOST) {
        let place = error.instance_path().to_string();
        let place = if place.is_empty() { String::new() } else { format!("at `{place}`: ") };
        problems.push(format!("{place}{}", crate::sandbox::text::line(&error.to_string(), 300)));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schemas() -> Schemas {
        let manifest = serde_json::json!({
            "name": "t", "version": "0.1.0", "summary": "for tests", "documentation": "",
            "parameters": { "type": "object", "properties": { "n": { "type": "integer" } }, "additionalProperties": false },
            "outputs": { "type": "object", "properties": { "id": { "type": "string" } }, "required": ["id"] },
            "runs": "once", "capabilities": {},
        });
        Schemas::of(&Manifest::parse(&manifest.to_string()).expect("a manifest")).expect("schemas")
    }

    #[test]
    fn garbage_is_told_apart() {
        let schemas = schemas();
        let message = |text: &str| schemas.outputs("step `s`", text).expect_err(text).message;
        assert!(message("\u{1b}[2J").starts_with("step `s` returned outputs that are not JSON"));
        assert_eq!(message("[1]"), "step `s` returned outputs that are no JSON object");
        assert_eq!(message("{}"), "step `s` returned outputs that do not fit the schema of its own manifest");
        let detail = schemas.outputs("s", "\u{1b}[2J").expect_err("garbage").detail;
        assert_eq!(detail, "it begins with `\\u{1b}[2J`");
        schemas.outputs("s", r#"{"id":"x"}"#).expect("fits");
    }

    #[test]
    fn parameters_say_where_they_do_not_fit() {
        let failure = schemas()
            .check_parameters("step `s`", &serde_json::json!({ "n": "x" }))
            .expect_err("not an integer");
        assert_eq!(failure.kind, FailureKind::Invalid);
        assert!(failure.detail.starts_with("at `/n`: "), "{}", failure.detail);
    }
}
