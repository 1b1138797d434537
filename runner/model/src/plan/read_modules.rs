//! Reads `[modules]`.

use super::module::ModuleSource;
use crate::ModuleName;
use crate::diagnostic::Code;
use crate::oci::{BadModule, OciModule, Reference, Wanted};
use crate::plan::gaps::Names;
use crate::read::{Item, Reader, Table};
use crate::source::Spanned;
use std::collections::BTreeMap;
use toml::de::DeValue;

const FORMS: &str = "`\"builtin\"`, `{ path = \"steps/check.wasm\" }` or `{ oci = \"registry.example.org/steps/check\", version = \"1.2\" }`";

/// `[modules]`: each name with where it comes from.
pub(super) fn modules(
    reader: &Reader,
    item: &Item<'_>,
    gaps: &mut Names,
) -> BTreeMap<ModuleName, Spanned<ModuleSource>> {
    let mut modules = BTreeMap::new();
    if !matches!(item.value, DeValue::Table(_)) {
        gaps.add_all();
    }
    for entry in reader.entries(item) {
        if let (Some(name), Some(source)) = (reader.named::<ModuleName>(&entry), module(reader, &entry)) {
            modules.insert(name.value, Spanned::new(source, entry.span));
        } else {
            gaps.add(entry.name);
        }
    }
    modules
}

fn module(reader: &Reader, entry: &Item<'_>) -> Option<ModuleSource> {
    match entry.value {
        DeValue::String(text) if text == "builtin" => Some(ModuleSource::Builtin),
        DeValue::String(text) => {
            let shown = text.escape_debug();
            let message = format!("`{}` must be {FORMS}, not `{shown}`", entry.name);
            let problem = reader.problem(Code::BadValue, entry.span, message);
            let meant = if text.ends_with(".wasm") {
                Some(format!("{{ path = \"{shown}\" }}"))
            } else if text.contains(['/', ':', '.']) {
                Some(format!("{{ oci = \"{shown}\" }}"))
            } else {
                None
            };
            let hint = meant.map(|meant| format!("write `{} = {meant}`", entry.name));
            reader.push(problem.maybe_hint(hint));
            None
        }
        DeValue::Table(_) => {
            let table = reader.table(entry, "a module")?;
            let before = reader.count();
            let (path, oci, version) = (table.take("path"), table.take("oci"), table.take("version"));
            table.finish(reader, &[]);
            if reader.count() > before {
                return None;
            }
            match (path, oci) {
                (Some(path), None) => {
                    if let Some(version) = version {
                        let problem = reader.problem(
                            Code::Conflict,
                            version.key,
                            "a file has no versions to choose from",
                        );
                        reader.push(problem.hint("remove `version`: the lock pins the file by its digest"));
                        return None;
                    }
                    Some(ModuleSource::Path(reader.line(&path)?.value))
                }
                (None, Some(oci)) => {
                    Some(ModuleSource::Oci(of_registry(reader, entry, &oci, version.as_ref())?))
                }
                (Some(path), Some(_)) => {
                    let message = format!("`{}` comes from a file and from a registry", entry.name);
                    reader.push(
                        reader
                            .problem(Code::Conflict, path.key, message)
                            .hint("remove one of `path` and `oci`"),
                    );
                    None
                }
                (None, None) => {
                    reader.push(missing(reader, entry, &table));
                    None
                }
            }
        }
        _ => {
            reader.wrong_type(entry, FORMS);
            None
        }
    }
}

fn missing(reader: &Reader, entry: &Item<'_>, table: &Table<'_>) -> crate::diagnostic::Problem {
    let message = format!("the module `{}` needs `path` or `oci`", entry.name);
    reader
        .problem(Code::Missing, table.span, message)
        .hint(format!("write `{} = {{ path = \"steps/{0}.wasm\" }}`", entry.name))
}

/// `{ oci = "registry.example.org/team/greet", version = "1.2" }`, or with a tag or a digest in the text.
fn of_registry(
    reader: &Reader,
    entry: &Item<'_>,
    oci: &Item<'_>,
    version: Option<&Item<'_>>,
) -> Option<OciModule> {
    let text = reader.line(oci)?.value;
    let refused = |item: &Item<'_>, error: BadModule| {
        reader.push(reader.problem(Code::BadValue, item.span, error.to_string()).hint(error.mend()));
    };
    let reference: Reference = match text.parse() {
        Ok(reference) => reference,
        Err(error) => {
            refused(oci, error.into());
            return None;
        }
    };
    let says_which = reference.tag().is_some() || reference.digest().is_some();
    let Some(version) = version else {
        if !says_which {
            let message = format!("the module `{}` does not say which version", entry.name);
            let repository = reference.repository();
            reader.push(
                reader
                    .problem(Code::Missing, oci.span, message)
                    .because("the newest one of today is not the newest one of tomorrow")
                    .hint(format!(
                        "write `{} = {{ oci = \"{repository}\", version = \"1.2\" }}`",
                        entry.name
                    )),
            );
            return None;
        }
        return reference.try_into().map_err(|error| refused(oci, error)).ok();
    };
    if says_which {
        let message = format!("`{}` names one module twice: by `version`, and in `oci`", entry.name);
        reader.push(reader.problem(Code::Conflict, version.key, message).hint("remove one of them"));
        return None;
    }
    let requirement = reader.line(version)?.value.parse().map_err(|error| refused(version, error)).ok()?;
    Some(OciModule { repository: reference.repository().clone(), wanted: Wanted::Version(requirement) })
}
