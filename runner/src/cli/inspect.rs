//! `runner module inspect`.

use super::args::Inspect;
use super::fail::Fail;
use super::load::{loader, registries};
use super::out;
use super::wrap::wrapped;
use crate::module::find::source_of;
use crate::module::load::Module;
use crate::module::reach::Reach;
use crate::module::source::standard;
use runner_model::fields::{Field, fields};
use runner_model::text::{shown, shown_json};
use runner_model::words::size;
use runner_model::{ModuleRef, Occurs};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::path::Path;

pub(crate) fn run(args: &Inspect) -> Result<(), Fail> {
    let (reference, module) = load(&args.module)?;
    out(&if args.json { as_json(&reference, &module) } else { as_text(&reference, &module) })
}

/// The module of this name, and what it is called.
pub(super) fn load(name: &str) -> Result<(ModuleRef, Module), Fail> {
    let reference = reference(name)?;
    let loader = loader()?;
    // A path is relative to the folder that the command is called in: there is no plan.
    let module =
        source_of(&reference, &registries()).and_then(|source| loader.load(&source)).map_err(|error| {
            let message = format!("the module `{}` cannot be used: {error}", shown(&reference.to_string()));
            let fail = match &reference {
                // As all else that a registry refuses.
                ModuleRef::Oci(_) => Fail::refused(message),
                _ => Fail::usage(message),
            };
            fail.hint(error.mend().unwrap_or_default())
        })?;
    Ok((reference, module))
}

/// The module that is meant. A plan may call the standard ones otherwise than `std`; here there is no plan.
pub(super) fn reference(text: &str) -> Result<ModuleRef, Fail> {
    if let Some(name) = text.strip_prefix("std/") {
        return Ok(ModuleRef::Builtin(name.to_owned()));
    }
    text.parse().map_err(|error| {
        let names: Vec<String> = standard().map(|name| format!("`std/{name}`")).collect();
        let hint = if standard().any(|name| name == text) {
            format!("did you mean `std/{text}`?")
        } else if Path::new(text).is_file() {
            format!("did you mean `path:{}`?", shown(text))
        } else {
            format!("standard modules are {}", names.join(", "))
        };
        Fail::usage(error).hint(hint)
    })
}

fn as_text(reference: &ModuleRef, module: &Module) -> String {
    let manifest = &module.manifest;
    let mut text = format!("{} {}: {}\n", manifest.name, manifest.version, manifest.summary);
    let runs = match manifest.runs {
        Occurs::Once => "once",
        Occurs::EachTarget => "on each target",
    };
    let _ = writeln!(text, "  module  {}", shown(&reference.to_string()));
    let _ = writeln!(text, "  digest  {}", module.digest);
    let _ = writeln!(text, "  size    {}", size(module.size as u64));
    let _ = writeln!(text, "  runs    {runs}");

    text.push_str("\nParameters\n");
    list(&mut text, &fields(&manifest.parameters), true);
    text.push_str("\nOutputs\n");
    list(&mut text, &fields(&manifest.outputs), false);

    text.push_str("\nAsks for, and gets what the plan's lock accepts\n");
    let abilities = manifest.capabilities.abilities();
    if abilities.can.is_empty() {
        text.push_str("  nothing\n");
    }
    for line in &abilities.can {
        let _ = writeln!(text, "  {}", shown(line));
    }
    text.push_str("\nCannot, whatever it is granted\n");
    let cannot: Vec<&str> = Reach::of(&module.imports)
        .abilities()
        .into_iter()
        .filter(|(_, can)| !can)
        .map(|(what, _)| what)
        .collect();
    if cannot.is_empty() {
        text.push_str("  its imports leave nothing out\n");
    }
    for what in cannot {
        let _ = writeln!(text, "  {what}");
    }
    if module.imports.wasi {
        text.push_str("\nIts language's runtime imports WASI; there is nothing behind it.\n");
    }
    let documentation = manifest.documentation.trim();
    if !documentation.is_empty() {
        text.push('\n');
        for line in documentation.lines() {
            let _ = writeln!(text, "{}", shown(line));
        }
    }
    text
}

/// A name, its kind and its default in a line, and what it means below.
fn list(text: &mut String, fields: &[Field<'_>], given: bool) {
    if fields.is_empty() {
        text.push_str("  none\n");
    }
    for field in fields {
        let _ = write!(text, "  {}: {}", shown(&field.name), shown(&field.kind));
        match field.default {
            // An output is there in any case.
            _ if !given => {}
            Some(default) => {
                let _ = write!(text, "; default {}", shown(&default.to_string()));
            }
            None if field.required => text.push_str("; required"),
            None => {}
        }
        text.push('\n');
        for line in wrapped(&shown(&field.description.replace('\n', " ")), 90) {
            let _ = writeln!(text, "      {line}");
        }
    }
}

fn as_json(reference: &ModuleRef, module: &Module) -> String {
    let reach: Map<String, Value> = Reach::of(&module.imports)
        .abilities()
        .into_iter()
        .map(|(ability, can)| (ability.to_owned(), can.into()))
        .collect();
    let document = json!({
        "module": reference,
        "digest": module.digest,
        "size": module.size,
        "manifest": module.manifest,
        "imports": module.imports.functions,
        "wasi": module.imports.wasi,
        "can": reach,
    });
    shown_json(&format!("{document:#}\n")).into_owned()
}
