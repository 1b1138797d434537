//! The text of a lock: TOML in one order and one layout, so that a difference in it is a difference in meaning.

use super::{Lock, LockedEnvironment, LockedStep, VERSION};
use std::fmt::Write as _;

const HEADER: &str = "\
# What each step of the plan may do, to be reviewed like code. `runner lock` writes this file; `runner exec` refuses a
# plan that asks for anything else.
";

pub(super) fn lock(lock: &Lock) -> String {
    let mut out = format!("{HEADER}lock = {VERSION}\n");
    for (name, environment) in &lock.environments {
        self::environment(&mut out, name.as_str(), environment);
    }
    out
}

fn environment(out: &mut String, name: &str, environment: &LockedEnvironment) {
    let _ = writeln!(out, "\n[environment.{name}]\ndigest = {}", string(&environment.digest().to_string()));
    if let Some(command) = &environment.inventory {
        let _ = writeln!(out, "inventory-command = {}", list(&command.argv));
        if !command.env.is_empty() {
            let _ = writeln!(out, "inventory-env = {}", list(&command.env));
        }
    }
    if !environment.service_commands.is_empty() {
        out.push_str("service-commands = [\n");
        for command in &environment.service_commands {
            let _ = writeln!(out, "  {},", list(command.written()));
        }
        out.push_str("]\n");
    }
    for step in &environment.steps {
        let _ = writeln!(out, "\n[environment.{name}.step.{}]", step.id);
        self::step(out, step);
    }
    for (module, loaded) in &environment.modules {
        let _ = writeln!(out, "\n[environment.{name}.module.{}]", string(&module.to_string()));
        let _ = writeln!(out, "digest = {}", string(&loaded.digest.to_string()));
        if let Some(pinned) = &loaded.pinned {
            if !pinned.tag.is_empty() {
                let _ = writeln!(out, "tag = {}", string(&pinned.tag));
            }
            let _ = writeln!(out, "oci-manifest = {}", string(&pinned.manifest.to_string()));
        }
        let manifest = serde_json::Value::from(loaded.manifest.clone());
        let _ = writeln!(out, "manifest = '''\n{}\n'''", literal(&format!("{manifest:#}")));
    }
}

fn step(out: &mut String, step: &LockedStep) {
    let _ = writeln!(out, "uses = {}", string(&step.uses.to_string()));
    let labels = step.labels();
    let mut open = None;
    for (list, grant) in step.grants.texts() {
        if open != Some(list) {
            if open.is_some() {
                out.push_str("]\n");
            }
            let _ = writeln!(out, "{} = [", list.key());
            open = Some(list);
        }
        let _ = write!(out, "  {},", string(&grant));
        for (_, label) in labels.iter().filter(|(labelled, _)| *labelled == grant) {
            let _ = write!(out, " # {}", label.escape_debug());
        }
        out.push('\n');
    }
    if open.is_some() {
        out.push_str("]\n");
    }
}

fn list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| string(word)).collect();
    format!("[{}]", words.join(", "))
}

/// A basic string of TOML.
fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_unseen(c) => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// JSON inside a literal string of TOML, which ends at three apostrophes and takes no control characters. They can only
/// be in JSON's own strings, where an escape says the same.
fn literal(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.replace("'''", "''\\u0027").chars() {
        if c != '\n' && is_unseen(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Characters that a review would not see, or see in the wrong place.
fn is_unseen(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn toml_reads_back_what_is_written(text in ".{0,40}") {
            let document: toml::Table = format!("a = {}", string(&text)).parse().expect("TOML");
            prop_assert_eq!(document["a"].as_str(), Some(text.as_str()));
        }

        #[test]
        fn json_survives_in_a_literal(text in "[ -~'\u{7f}\u{9b}\u{202e}é\n]{0,40}") {
            let json = format!("{:#}", serde_json::json!({ "a": text }));
            let document: toml::Table = format!("a = '''\n{}\n'''", literal(&json)).parse().expect("TOML");
            let back: serde_json::Value = serde_json::from_str(document["a"].as_str().expect("text")).expect("JSON");
            prop_assert_eq!(back["a"].as_str(), Some(text.as_str()));
        }
    }
}
