//! Artifacts and secrets in memory.

use crate::testing::{Stored, with};
use crate::{Error, Result};
use std::collections::BTreeMap;

#[derive(Debug)]
pub(crate) struct Artifact(pub(super) String);

pub(crate) fn pack(path: &str, exclude: &[String]) -> Result<Artifact> {
    with(|state| {
        state.call("workspace", "pack", path, |granted| granted.file("read", path))?;
        let root = path.trim_start_matches("./").trim_end_matches('/');
        if let Some(content) = state.workspace.get(root) {
            let file = Stored::File(content.clone());
            return Ok(Artifact(state.store(file)));
        }
        let prefix = if matches!(root, "" | ".") { String::new() } else { format!("{root}/") };
        let excluded = |at: &str| {
            exclude.iter().map(|pattern| pattern.trim_matches('/')).any(|pattern| {
                at == pattern
                    || at.starts_with(&format!("{pattern}/"))
                    || at.split('/').any(|part| part == pattern)
            })
        };
        let files: BTreeMap<String, Vec<u8>> = state
            .workspace
            .iter()
            .filter_map(|(at, content)| Some((at.strip_prefix(&prefix)?.to_owned(), content.clone())))
            .filter(|(at, _)| !excluded(at))
            .collect();
        if files.is_empty() && !prefix.is_empty() {
            return Err(Error::not_found(format!("pack `{path}`: no such file or folder")));
        }
        Ok(Artifact(state.store(Stored::Tree(files))))
    })
}

pub(crate) fn open(digest: &str) -> Result<Artifact> {
    with(|state| {
        state.call("artifacts", "open", digest, |_| Ok(()))?;
        state.artifact(digest).map(|_| Artifact(digest.to_owned()))
    })
}

pub(crate) fn from_bytes(content: &[u8]) -> Result<Artifact> {
    Ok(Artifact(with(|state| state.store(Stored::File(content.to_vec())))))
}

impl Artifact {
    pub(crate) fn digest(&self) -> String {
        self.0.clone()
    }
    pub(crate) fn size(&self) -> u64 {
        with(|state| match state.artifacts.get(&self.0) {
            Some(Stored::File(content)) => content.len() as u64,
            Some(Stored::Tree(files)) => files.values().map(|content| content.len() as u64).sum(),
            None => 0,
        })
    }
    pub(crate) fn bytes(&self) -> Result<Vec<u8>> {
        with(|state| match state.artifact(&self.0)? {
            Stored::File(content) => Ok(content.clone()),
            Stored::Tree(_) => Err(Error::conflict(format!("artifact `{}`: it is a tree", self.0))),
        })
    }
    pub(crate) fn save(&self, path: &str) -> Result<bool> {
        with(|state| {
            state.call("workspace", "save", path, |granted| granted.file("write", path))?;
            let files = match state.artifact(&self.0)?.clone() {
                Stored::File(content) => BTreeMap::from([(path.to_owned(), content)]),
                Stored::Tree(files) => files.into_iter().map(|(at, c)| (format!("{path}/{at}"), c)).collect(),
            };
            let changed = files.iter().any(|(at, content)| state.workspace.get(at) != Some(content));
            state.workspace.extend(files);
            Ok(state.changed(changed, format!("workspace: save {path}")))
        })
    }
}

#[derive(Debug)]
pub(crate) struct Secret(pub(super) String);

pub(crate) fn secret(name: &str) -> Result<Secret> {
    with(|state| {
        state.call("secrets", "get", name, |granted| granted.secret(name))?;
        let value = state.secrets.get(name).cloned();
        value.map(Secret).ok_or_else(|| Error::not_found(format!("secret `{name}`")))
    })
}

impl Secret {
    pub(crate) fn wrap(&self, before: &str, after: &str) -> Self {
        Self(format!("{before}{}{after}", self.0))
    }
    pub(crate) fn append(&self, other: &Self) -> Self {
        Self(format!("{}{}", self.0, other.0))
    }
    pub(crate) fn base64(&self) -> Self {
        Self(encode(&self.0))
    }
    pub(crate) fn url_encode(&self) -> Self {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        let encoded = self.0.bytes().map(|byte| match byte {
            byte if plain(&byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        });
        Self(encoded.collect())
    }
}

/// Base64 with padding.
fn encode(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            encoded.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    encoded
}
