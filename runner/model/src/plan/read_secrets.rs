//! Reads `[secrets]` and the `secrets` of a step.

use super::secrets::{GivenSecret, SecretEntry, SecretSource};
use crate::SecretName;
use crate::diagnostic::Code;
use crate::plan::gaps::Names;
use crate::read::{Item, Reader};
use crate::source::Spanned;
use std::collections::BTreeMap;
use toml::de::DeValue;

/// `[secrets]`: each name with its source.
pub(super) fn secrets(
    reader: &Reader,
    item: &Item<'_>,
    gaps: &mut Names,
) -> BTreeMap<SecretName, SecretEntry> {
    let mut secrets = BTreeMap::new();
    if !matches!(item.value, DeValue::Table(_)) {
        gaps.add_all();
    }
    for entry in reader.entries(item) {
        match (reader.named::<SecretName>(&entry), source(reader, &entry)) {
            (Some(name), Some(source)) => {
                secrets.insert(name.value, SecretEntry { source, name: name.span });
            }
            _ => gaps.add(entry.name),
        }
    }
    secrets
}

const EXAMPLE: &str =
    "write `{ env = \"DB_PASSWORD\" }`, or `file`, `command`, `age` or `sops` in the place of `env`";

fn source(reader: &Reader, entry: &Item<'_>) -> Option<SecretSource> {
    if matches!(entry.value, DeValue::String(_)) {
        let message = format!("`{}` must say where its value comes from", entry.name);
        let problem = reader.problem(Code::WrongType, entry.span, message);
        reader.push(problem.because("a value must not be in a plan").hint(EXAMPLE));
        return None;
    }
    let table = reader.table(entry, "the source of a secret")?;
    let before = reader.count();
    let key = table.take("key");
    let taken: Vec<(&str, Item<'_>)> =
        SecretSource::KINDS.into_iter().filter_map(|kind| Some((kind, table.take(kind)?))).collect();
    table.finish(reader, &[]);
    let line = |item: &Item<'_>| reader.line(item).map(|text| text.value);
    let [(kind, item)] = taken.as_slice() else {
        if reader.count() == before {
            let (span, message) = match taken.get(1) {
                Some((_, second)) => (second.key, format!("`{}` has two sources", entry.name)),
                None => (entry.span, format!("`{}` has no source", entry.name)),
            };
            reader.push(reader.problem(Code::BadValue, span, message).hint(EXAMPLE));
        }
        return None;
    };
    if let Some(key) = &key
        && !matches!(*kind, "age" | "sops")
    {
        let problem = reader.problem(Code::BadValue, key.key, format!("`key` makes no sense with `{kind}`"));
        reader.push(problem.because("it names a value in an encrypted file").hint("remove it"));
        return None;
    }
    let key = || match &key {
        Some(key) => line(key),
        None => Some(entry.name.to_owned()),
    };
    match *kind {
        "env" => {
            let name = reader.line(item)?;
            if name.contains(['=', '$']) || name.chars().any(char::is_whitespace) {
                let message = format!("`{}` cannot be the name of a variable", name.escape_debug());
                let problem = reader.problem(Code::BadValue, item.span, message);
                reader.push(problem.hint("write the name alone, without `$` and `=`"));
                return None;
            }
            Some(SecretSource::Env { name: name.value })
        }
        "file" => Some(SecretSource::File { path: line(item)? }),
        "command" => {
            let argv = reader
                .list::<String>(item, "a program and its arguments, as in `[\"pass\", \"show\", \"db\"]`")?;
            let argv: Vec<String> = argv.into_iter().map(|argument| argument.value).collect();
            if argv.first().is_none_or(String::is_empty)
                || argv.iter().any(|argument| argument.contains('\0'))
            {
                reader.push(reader.problem(Code::BadValue, item.span, "a command needs a program"));
                return None;
            }
            Some(SecretSource::Command { argv })
        }
        "age" => Some(SecretSource::Age { file: line(item)?, key: key()? }),
        _ => Some(SecretSource::Sops { file: line(item)?, key: key()? }),
    }
}

/// `secrets` of a step: a list of names, or a table from the module's names to the plan's.
pub(super) fn given(reader: &Reader, item: &Item<'_>) -> Vec<GivenSecret> {
    let mut given: Vec<GivenSecret> = Vec::new();
    let mut add = |local: Spanned<SecretName>, secret: Spanned<SecretName>| {
        if given.iter().any(|other| other.local.value == local.value) {
            let message = format!("the secret `{}` is given twice", local.value);
            reader.push(reader.problem(Code::Duplicate, local.span, message).hint("remove one"));
        } else {
            given.push(GivenSecret { local, secret });
        }
    };
    const NAME: &str = "the name of a secret in quotes";
    match item.value {
        DeValue::Table(_) => {
            for entry in reader.entries(item) {
                let local = reader.named::<SecretName>(&entry);
                if let (Some(local), Some(secret)) = (local, reader.parsed(&entry, NAME)) {
                    add(local, secret);
                }
            }
        }
        DeValue::Array(_) => {
            for element in reader.array(item, "a list of names").unwrap_or_default() {
                if let Some(secret) = reader.parsed::<SecretName>(&element, NAME) {
                    add(secret.clone(), secret);
                }
            }
        }
        _ => reader.wrong_type(
            item,
            "a list of names, as in `[\"db-password\"]`, or a table, as in `{ password = \"db-password\" }`",
        ),
    }
    given
}
