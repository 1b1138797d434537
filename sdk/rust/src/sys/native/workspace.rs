//! The workspace in memory.

use crate::testing::{digest_of, with};
use crate::{Entry, EntryKind, Error, Result};
use std::collections::BTreeMap;

fn entry(name: &str, kind: EntryKind, size: u64) -> Entry {
    let mode = if kind == EntryKind::File { 0o644 } else { 0o755 };
    Entry { name: name.to_owned(), kind, size, mode, owner: String::new(), group: String::new(), modified: 0 }
}

fn normal(path: &str) -> &str {
    path.trim_start_matches("./").trim_end_matches('/')
}

pub(crate) fn stat(path: &str) -> Result<Option<Entry>> {
    with(|state| {
        state.call("workspace", "stat", path, |granted| granted.file("read", path))?;
        let path = normal(path);
        let name = path.rsplit('/').next().unwrap_or(path);
        if let Some(content) = state.workspace.get(path) {
            return Ok(Some(entry(name, EntryKind::File, content.len() as u64)));
        }
        let prefix = format!("{path}/");
        let folder = path == "." || state.workspace.keys().any(|at| at.starts_with(&prefix));
        Ok(folder.then(|| entry(name, EntryKind::Directory, 0)))
    })
}
pub(crate) fn read_dir(path: &str) -> Result<Vec<Entry>> {
    with(|state| {
        state.call("workspace", "read-dir", path, |granted| granted.file("read", path))?;
        let path = normal(path);
        let prefix = if matches!(path, "" | ".") { String::new() } else { format!("{path}/") };
        let mut found = BTreeMap::new();
        for (at, content) in &state.workspace {
            let Some(rest) = at.strip_prefix(&prefix) else { continue };
            match rest.split_once('/') {
                Some((name, _)) => found.insert(name.to_owned(), entry(name, EntryKind::Directory, 0)),
                None => found.insert(rest.to_owned(), entry(rest, EntryKind::File, content.len() as u64)),
            };
        }
        if found.is_empty() {
            return Err(Error::not_found(format!("`{path}` does not exist")));
        }
        Ok(found.into_values().collect())
    })
}
pub(crate) fn read(path: &str) -> Result<String> {
    with(|state| {
        state.call("workspace", "read", path, |granted| granted.file("read", path))?;
        let content = state.workspace.get(normal(path));
        let content = content.ok_or_else(|| Error::not_found(format!("`{path}` does not exist")))?;
        String::from_utf8(content.clone())
            .map_err(|_| Error::invalid(format!("read `{path}`: it is not UTF-8")))
    })
}
pub(crate) fn digest(path: &str) -> Result<String> {
    with(|state| {
        state.call("workspace", "digest", path, |granted| granted.file("read", path))?;
        let content = state.workspace.get(normal(path));
        content.map(|content| digest_of(content)).ok_or_else(|| Error::not_found(format!("`{path}`")))
    })
}
pub(crate) fn write(path: &str, text: &str) -> Result<bool> {
    with(|state| {
        state.call("workspace", "write", path, |granted| granted.file("write", path))?;
        let before = state.workspace.insert(normal(path).to_owned(), text.as_bytes().to_vec());
        let changed = before.as_deref() != Some(text.as_bytes());
        Ok(state.changed(changed, format!("workspace: write {path}")))
    })
}
