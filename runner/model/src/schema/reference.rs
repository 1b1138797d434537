//! The reference of plan, inventory and policy, as Markdown tables.

use super::{Kind, schema};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// A table of a file: how its heading names it, and its definition in the schema; `None`: the file itself.
type Section = (&'static str, Option<&'static str>);

const PLAN: [Section; 10] = [
    ("The plan", None),
    ("`[environment.NAME]`", Some("Environment")),
    ("`[secrets]` and `[environment.NAME.secrets]`, each name", Some("SecretTable")),
    ("`[release]`", Some("ReleaseTable")),
    ("`[cluster]`", Some("ClusterTable")),
    ("`[strategy]`", Some("Strategy")),
    ("`[limits]`, and `limits` of a step", Some("LimitsTable")),
    ("A step: `[[prepare]]`, `[[stage]]`, `[[rollout]]`, `[[finish]]`, `[[always]]`", Some("Step")),
    ("`retry` of a step", Some("RetryTable")),
    ("`allow` of a step", Some("AllowTable")),
];

const INVENTORY: [Section; 5] = [
    ("The inventory", None),
    ("`[defaults]`", Some("Settings")),
    ("`[ssh]`", Some("SshSettings")),
    ("`[group.NAME]`", Some("Group")),
    ("`[target.NAME]`", Some("TargetEntry")),
];

const POLICY: [Section; 6] = [
    ("The policy", None),
    ("`[environment.NAME]`", Some("PolicySection")),
    ("`allow` and `deny`", Some("AllowTable")),
    ("`modules`", Some("ModulesTable")),
    ("`sigstore` of `modules`", Some("IdentityTable")),
    ("`[trust]`", Some("TrustTable")),
];

/// The order of a file's own keys, where it says more than that of the alphabet.
const ORDER: [&str; 20] = [
    "plan",
    "inventory",
    "policy",
    "name",
    "summary",
    "vars",
    "secrets",
    "modules",
    "environment",
    "release",
    "cluster",
    "strategy",
    "limits",
    "prepare",
    "stage",
    "rollout",
    "finish",
    "always",
    "defaults",
    "ssh",
];

/// The reference of every key of plan, inventory and policy, as Markdown with headings of the second and third level.
pub fn reference_markdown() -> String {
    let mut out = String::new();
    for (kind, file, sections) in [
        (Kind::Plan, "`plan.toml`", &PLAN[..]),
        (Kind::Inventory, "Inventory", &INVENTORY[..]),
        (Kind::Policy, "Policy", &POLICY[..]),
    ] {
        let schema = schema(kind);
        let _ = writeln!(out, "## {file}\n");
        for (heading, definition) in sections {
            let table = definition.map_or(&schema, |name| &schema["$defs"][name]);
            let _ = writeln!(out, "### {heading}\n\n{}\n", text(table));
            section(&mut out, &schema, table, definition.is_none());
        }
    }
    let _ = writeln!(
        out,
        "## Facts of a target\n\nWhat `${{target.facts.NAME}}` can be. Each is asked of the target once in a run.\n\n{}",
        crate::fact::markdown()
    );
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn section(out: &mut String, schema: &Value, table: &Value, is_file: bool) {
    let empty = Map::new();
    let properties = table["properties"].as_object().unwrap_or(&empty);
    let required =
        |key: &str| table["required"].as_array().is_some_and(|keys| keys.iter().any(|one| one == key));
    let mut keys: Vec<&String> = properties.keys().collect();
    let order =
        |key: &str| ORDER.iter().position(|one| *one == key).filter(|_| is_file).unwrap_or(ORDER.len());
    keys.sort_by_key(|key| (order(key), !required(key), (*key).clone()));
    out.push_str("| key | value | |\n| --- | --- | --- |\n");
    for key in keys {
        let property = &properties[key];
        let must = if required(key) { " (required)" } else { "" };
        let _ = writeln!(
            out,
            "| `{key}`{must} | {} | {} |",
            cell(&value(schema, property)),
            cell(&text(property))
        );
    }
    out.push('\n');
}

/// A description on one line.
fn text(schema: &Value) -> String {
    let description = schema["description"].as_str().unwrap_or_default();
    description.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// What a value is, in a few words.
fn value(schema: &Value, property: &Value) -> String {
    if let Some(name) = property["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
        let definition = &schema["$defs"][name];
        return match name {
            "Period" => "time: `\"30s\"`".to_owned(),
            "ByteSize" => "size: `\"64MiB\"`".to_owned(),
            "Goal" => "number, or share: `\"25%\"`".to_owned(),
            "ServiceCommand" => "list of strings".to_owned(),
            "RemotePath" => "absolute path".to_owned(),
            "Host" => "host".to_owned(),
            "InventorySource" => "file, or `{ command = [\"…\"] }`".to_owned(),
            "ModuleSource" => "`\"builtin\"` or `{ path = \"…\" }`".to_owned(),
            _ if name.ends_with("Name") || name == "StepId" => "name".to_owned(),
            _ if definition.get("properties").is_some() => "table".to_owned(),
            _ => value(schema, definition),
        };
    }
    if let Some(constant) = property.get("const") {
        return format!("`{constant}`");
    }
    if let Some(forms) = property["oneOf"].as_array() {
        return forms.iter().map(|form| value(schema, form)).collect::<Vec<_>>().join(" or ");
    }
    match property["type"].as_str() {
        Some("string") => "string".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("integer") => match (property["minimum"].as_u64(), property["maximum"].as_u64()) {
            (Some(min), Some(max)) => format!("{min} to {max}"),
            _ => "whole number".to_owned(),
        },
        Some("array") => match value(schema, &property["items"]).as_str() {
            "table" => "list of tables".to_owned(),
            "name" => "list of names".to_owned(),
            "string" => "list of strings".to_owned(),
            other => format!("list: {other}"),
        },
        Some("object") => {
            let of = property["patternProperties"].as_object().and_then(|patterns| patterns.values().next());
            match of.or_else(|| property.get("additionalProperties")).map(|of| value(schema, of)).as_deref() {
                Some("table") => "a table for each name".to_owned(),
                Some("any value") | None => "names and values".to_owned(),
                Some(other) => format!("names, each with {other}"),
            }
        }
        _ => "any value".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_table_is_in_the_reference() {
        for (kind, sections) in
            [(Kind::Plan, &PLAN[..]), (Kind::Inventory, &INVENTORY), (Kind::Policy, &POLICY)]
        {
            let schema = schema(kind);
            let definitions = schema["$defs"].as_object().expect("definitions").iter();
            let tables: BTreeSet<_> = definitions
                .filter(|(_, one)| one.get("properties").is_some())
                .map(|(name, _)| name.as_str())
                .collect();
            let shown: BTreeSet<_> = sections.iter().filter_map(|(_, definition)| *definition).collect();
            assert_eq!(shown, tables, "{kind:?}");
        }
    }

    #[test]
    fn every_key_is_explained() {
        insta::assert_snapshot!(reference_markdown());
    }
}
