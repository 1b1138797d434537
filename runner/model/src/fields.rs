//! What a JSON Schema of parameters or outputs says of each of them, for people: on the terminal and in the book.

use serde_json::Value;

/// A parameter or an output.
#[derive(Debug, Clone, PartialEq)]
pub struct Field<'a> {
    /// Its name; of a field of a table, with that of the table in front: `files.path`, as grants write it.
    pub name: String,
    /// What its value looks like, in Markdown: `whole number`, `` `"start"`, `"stop"` ``.
    pub kind: String,
    /// Whether it must be given.
    pub required: bool,
    /// What holds without it; nothing is not shown.
    pub default: Option<&'a Value>,
    /// What it means.
    pub description: &'a str,
}

/// The properties of a schema of objects, by name, each followed by those of its tables.
///
/// ```
/// # use runner_model::fields::fields;
/// let schema = serde_json::json!({
///     "type": "object",
///     "properties": { "keep": { "type": "integer", "default": 5, "description": "How many are kept." } },
/// });
/// let [keep] = &fields(&schema)[..] else { panic!("one") };
/// assert_eq!((keep.name.as_str(), keep.kind.as_str(), keep.required), ("keep", "whole number", false));
/// assert_eq!((keep.default, keep.description), (Some(&5.into()), "How many are kept."));
/// ```
pub fn fields(schema: &Value) -> Vec<Field<'_>> {
    let mut all = Vec::new();
    collect(schema, schema, "", DEPTH, &mut all);
    all
}

fn collect<'a>(root: &'a Value, table: &'a Value, within: &str, depth: usize, all: &mut Vec<Field<'a>>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    let required: Vec<&str> =
        table["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in table["properties"].as_object().into_iter().flatten() {
        let field = format!("{within}{name}");
        all.push(Field {
            name: field.clone(),
            kind: kind(root, property, DEPTH),
            required: required.contains(&name.as_str()),
            default: property.get("default").filter(|default| !default.is_null()),
            description: property["description"].as_str().unwrap_or_default(),
        });
        let items = property.get("items").unwrap_or(property);
        collect(root, items, &format!("{field}."), depth, all);
    }
}

/// How many references are followed: a schema may lead back to itself.
const DEPTH: usize = 8;

/// A table whose names nobody knows.
const NAMES_AND_VALUES: &str = "names and values";

/// What a value looks like.
fn kind(schema: &Value, property: &Value, depth: usize) -> String {
    let Some(depth) = depth.checked_sub(1) else { return "value".to_owned() };
    if let Some(name) = property["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
        return kind(schema, &schema["$defs"][name], depth);
    }
    if let Some(forms) = property["anyOf"].as_array().or(property["oneOf"].as_array()) {
        let mut kinds: Vec<String> =
            forms.iter().map(|form| kind(schema, form, depth)).filter(|kind| kind != "null").collect();
        kinds.dedup();
        return kinds.join(", ");
    }
    if let Some(word) = property["const"].as_str() {
        return format!("`\"{word}\"`");
    }
    if let Some(words) = property["enum"].as_array() {
        let words = words.iter().filter(|word| !word.is_null());
        return words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    let types: Vec<&str> = match &property["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => {
            several.iter().filter_map(Value::as_str).filter(|one| *one != "null").collect()
        }
        _ => Vec::new(),
    };
    let words = types.into_iter().map(|one| match one {
        "integer" => "whole number".to_owned(),
        "boolean" => "`true` or `false`".to_owned(),
        "array" => match kind(schema, &property["items"], depth) {
            values if values == NAMES_AND_VALUES => format!("list of {values}"),
            one => format!("list of {one}s"),
        },
        "object" if property["properties"].as_object().is_some_and(|names| !names.is_empty()) => {
            "table".to_owned()
        }
        "object" => NAMES_AND_VALUES.to_owned(),
        other => other.to_owned(),
    });
    words.collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_form_of_a_schema_has_words() {
        let schema = json!({
            "properties": {
                "action": { "oneOf": [{ "const": "start" }, { "enum": ["stop", null] }, { "type": "null" }] },
                "all": { "type": "array", "items": { "$ref": "#/$defs/text" } },
                "maybe": { "type": ["boolean", "null"], "default": null },
                "round": { "$ref": "#/$defs/round" },
                "tables": { "type": "array", "items": {
                    "type": "object", "properties": { "path": { "type": "string" } }, "required": ["path"],
                } },
                "vars": { "type": "array", "items": { "type": "object" } },
            },
            "required": ["all"],
            "$defs": { "text": { "type": "string" }, "round": { "$ref": "#/$defs/round" } },
        });
        let said: Vec<String> = fields(&schema)
            .iter()
            .map(|field| format!("{} {} {} {:?}", field.name, field.kind, field.required, field.default))
            .collect();
        assert_eq!(
            said,
            [
                "action `\"start\"`, `\"stop\"` false None",
                "all list of strings true None",
                "maybe `true` or `false` false None",
                "round value false None",
                "tables list of tables false None",
                "tables.path string true None",
                "vars list of names and values false None",
            ]
        );
        assert!(fields(&json!({ "type": "object" })).is_empty());
    }
}
