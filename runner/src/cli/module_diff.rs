//! `runner module diff`: what a newer module asks for, takes and gives out that an older one did not.

use super::args::Diff;
use super::fail::{Fail, REFUSED};
use super::inspect::load;
use super::{out, out_json};
use crate::module::load::Module;
use runner_model::fields::{Field, fields};
use runner_model::text::shown;
use runner_model::words::size;
use runner_model::{Manifest, Occurs};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

pub(crate) fn run(args: &Diff) -> Result<u8, Fail> {
    let ((_, old), (_, new)) = (load(&args.old)?, load(&args.new)?);
    let different = Different::between(&old, &new);
    match args.json {
        true => out_json(&json!({ "old": named(&old), "new": named(&new), "different": different }))?,
        false => out(&as_text(&old, &new, &different))?,
    }
    Ok(if args.check && different.asks_for_more() { REFUSED } else { 0 })
}

/// What is in one of two sets only.
#[derive(Serialize)]
struct Sides {
    added: Vec<String>,
    removed: Vec<String>,
}

impl Sides {
    fn of(old: &BTreeSet<String>, new: &BTreeSet<String>) -> Self {
        let only = |one: &BTreeSet<String>, other| one.difference(other).cloned().collect();
        Self { added: only(new, old), removed: only(old, new) }
    }

    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// All that is different, but for the bytes.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Different {
    capabilities: Sides,
    imports: Sides,
    parameters: Sides,
    outputs: Sides,
}

impl Different {
    fn between(old: &Module, new: &Module) -> Self {
        let imports = |module: &Module| module.imports.functions.iter().cloned().collect();
        let takes = |manifest: &Manifest| described(&manifest.parameters, true);
        let gives = |manifest: &Manifest| described(&manifest.outputs, false);
        Self {
            capabilities: Sides::of(&asked(&old.manifest), &asked(&new.manifest)),
            imports: Sides::of(&imports(old), &imports(new)),
            parameters: Sides::of(&takes(&old.manifest), &takes(&new.manifest)),
            outputs: Sides::of(&gives(&old.manifest), &gives(&new.manifest)),
        }
    }

    /// What a review has to look at: the newer one may do what the older one could not.
    fn asks_for_more(&self) -> bool {
        !self.capabilities.added.is_empty() || !self.imports.added.is_empty()
    }
}

/// What a module asks for, each with the list of grants that it belongs to.
fn asked(manifest: &Manifest) -> BTreeSet<String> {
    manifest.capabilities.iter().map(|asked| format!("{} {asked}", asked.list().key())).collect()
}

/// Each field in a line; `given`: by whoever calls, so that it is told what holds without it.
fn described(schema: &Value, given: bool) -> BTreeSet<String> {
    let line = |field: Field<'_>| {
        let mut line = format!("{}: {}", field.name, field.kind);
        match field.default {
            _ if !given => {}
            Some(default) => line.push_str(&format!("; default {default}")),
            None if field.required => line.push_str("; required"),
            None => {}
        }
        line
    };
    fields(schema).into_iter().map(line).collect()
}

fn named(module: &Module) -> Value {
    let Manifest { name, version, .. } = &module.manifest;
    json!({ "name": name, "version": version, "digest": module.digest, "size": module.size })
}

fn as_text(old: &Module, new: &Module, different: &Different) -> String {
    let (was, is) = (&old.manifest, &new.manifest);
    let mut text = format!("{} {} -> {} {}\n", was.name, was.version, is.name, is.version);
    if old.digest == new.digest {
        text.push_str("the same bytes\n");
        return safe(&text);
    }
    let _ = writeln!(text, "  digest  {} -> {}", old.digest, new.digest);
    let sizes = (old.size as u64, new.size as u64);
    let grown = match sizes {
        (old, new) if new > old => format!("{} more", size(new - old)),
        (old, new) if new < old => format!("{} less", size(old - new)),
        _ => "the same".to_owned(),
    };
    let _ = writeln!(text, "  size    {} -> {} ({grown})", size(sizes.0), size(sizes.1));
    let runs = |manifest: &Manifest| match manifest.runs {
        Occurs::Once => "once",
        Occurs::EachTarget => "on each target",
    };
    if was.runs != is.runs {
        let _ = writeln!(text, "  runs    {} -> {}", runs(was), runs(is));
    }
    let parts = [
        ("Asks for", &different.capabilities),
        ("Imports", &different.imports),
        ("Parameters", &different.parameters),
        ("Outputs", &different.outputs),
    ];
    for (head, sides) in parts.iter().filter(|(_, sides)| !sides.is_empty()) {
        let _ = writeln!(text, "\n{head}");
        for (sign, lines) in [('+', &sides.added), ('-', &sides.removed)] {
            for line in lines {
                let _ = writeln!(text, "  {sign} {line}");
            }
        }
    }
    if parts.iter().all(|(_, sides)| sides.is_empty()) {
        text.push_str("\nwhat it asks for, takes and gives out is the same\n");
    }
    safe(&text)
}

/// What modules say of themselves, as a terminal may have it.
fn safe(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", shown(line))).collect()
}
