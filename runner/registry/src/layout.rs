//! The layout of a module in a registry: that of the CNCF's Wasm working group, which `wkg` writes too, and the manifests
//! of the OCI's image specification that it is made of.

use crate::{COMPONENT_MAX, Error};
use jiff::Timestamp;
use runner_model::Digest;
use runner_model::oci::Repository;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A manifest.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// A list of manifests.
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// What Docker calls the same two.
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// What manifests are asked for with.
pub(crate) const ANY_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";
/// What is said of a component, for machines.
const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// Nothing: two braces.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// A component.
const WASM: &str = "application/wasm";
/// What it was called before.
const WASM_BEFORE: &str = "application/vnd.wasm.content.layer.v1+wasm";
/// How a file is named when it is pulled.
const TITLE: &str = "org.opencontainers.image.title";

/// What is said of a module that is pushed. The same component with the same metadata has the same manifest digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The module's name: `restart`.
    pub title: String,
    /// Its version, when it has one.
    pub version: Option<String>,
    /// What it does, in a line.
    pub summary: Option<String>,
    /// More annotations: `org.opencontainers.image.source`, `….licenses`.
    pub annotations: BTreeMap<String, String>,
    /// What the component exports: `runner:step/step@0.1.0`.
    pub exports: Vec<String>,
    /// What the component imports.
    pub imports: Vec<String>,
    /// When it was made: what [`source_date_epoch`] says, and never the clock.
    pub created: Timestamp,
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            title: String::new(),
            version: None,
            summary: None,
            annotations: BTreeMap::new(),
            exports: Vec::new(),
            imports: Vec::new(),
            created: Timestamp::UNIX_EPOCH,
        }
    }
}

/// `SOURCE_DATE_EPOCH` is set, and is no time.
#[derive(Debug, thiserror::Error)]
#[error("`SOURCE_DATE_EPOCH` is `{}`, and not a number of seconds since 1970", runner_model::text::shown(.0))]
pub struct BadEpoch(String);

/// The time that `SOURCE_DATE_EPOCH` says; else the start of 1970, so that the same module is the same bytes wherever and
/// whenever it is pushed.
///
/// # Errors
/// It is set, and is no time.
pub fn source_date_epoch() -> Result<Timestamp, BadEpoch> {
    epoch(std::env::var_os("SOURCE_DATE_EPOCH").map(|value| value.to_string_lossy().into_owned()))
}

fn epoch(value: Option<String>) -> Result<Timestamp, BadEpoch> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(Timestamp::UNIX_EPOCH) };
    let seconds = value.parse::<i64>().ok().filter(|seconds| *seconds >= 0);
    seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()).ok_or(BadEpoch(value))
}

/// What a manifest says of something that it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    /// Text, for other algorithms than ours are to be refused by name.
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

impl Descriptor {
    pub(crate) fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes).to_string(),
            size: bytes.len() as u64,
            artifact_type: None,
            annotations: None,
        }
    }

    /// The digest, when it is one that is verified here.
    pub(crate) fn digest(&self) -> Result<Digest, String> {
        self.digest.parse().map_err(|_| {
            let algorithm = self.digest.split(':').next().unwrap_or_default();
            match algorithm {
                "sha256" => "a digest in it is not one".to_owned(),
                other => format!(
                    "it names content by `{}`, and only `sha256` is verified here",
                    crate::error::line(other)
                ),
            }
        })
    }

    pub(crate) fn title(&self) -> Option<&str> {
        self.annotations.as_ref().and_then(|annotations| annotations.get(TITLE)).map(String::as_str)
    }

    pub(crate) fn titled(mut self, title: &str) -> Self {
        self.annotations.get_or_insert_default().insert(TITLE.to_owned(), title.to_owned());
        self
    }
}

/// A manifest, with its fields in the order in which we write them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

/// A list of manifests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    pub(crate) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    #[serde(default)]
    pub(crate) manifests: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

impl Index {
    pub(crate) fn empty() -> Self {
        Self {
            schema_version: 2,
            media_type: Some(INDEX.to_owned()),
            manifests: Vec::new(),
            annotations: None,
        }
    }
}

/// What the bytes of a manifest are.
pub(crate) enum Kind {
    Manifest(Box<Manifest>),
    Index(Index),
}

/// Reads the bytes of a manifest. One that is two things at once is none: readers would differ.
pub(crate) fn read(bytes: &[u8]) -> Result<Kind, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shape {
        schema_version: Option<u32>,
        media_type: Option<String>,
        config: Option<serde::de::IgnoredAny>,
        layers: Option<serde::de::IgnoredAny>,
        manifests: Option<serde::de::IgnoredAny>,
    }
    let json = |error: serde_json::Error| match error.classify() {
        serde_json::error::Category::Data => format!("it is no manifest: {error}"),
        _ => "it is not JSON".to_owned(),
    };
    let shape: Shape = serde_json::from_slice(bytes).map_err(json)?;
    if shape.schema_version != Some(2) {
        return Err("its `schemaVersion` is not 2".to_owned());
    }
    let one = shape.config.is_some() || shape.layers.is_some();
    let many = shape.manifests.is_some();
    match (shape.media_type.as_deref(), one, many) {
        (_, true, true) => Err("it is a manifest and a list of manifests at once".to_owned()),
        (None | Some(MANIFEST | DOCKER_MANIFEST), true, _) => {
            serde_json::from_slice(bytes).map(|manifest| Kind::Manifest(Box::new(manifest))).map_err(json)
        }
        (None | Some(INDEX | DOCKER_INDEX), false, true) => {
            serde_json::from_slice(bytes).map(Kind::Index).map_err(json)
        }
        (None, false, false) => Err("it has neither layers nor manifests".to_owned()),
        (Some(MANIFEST | DOCKER_MANIFEST | INDEX | DOCKER_INDEX), ..) => {
            Err("its `mediaType` is not that of its content".to_owned())
        }
        (Some(other), ..) => Err(format!("its `mediaType` is `{}`", crate::error::line(other))),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    created: Timestamp,
    architecture: &'a str,
    os: &'a str,
    layer_digests: [&'a str; 1],
    component: Component<'a>,
}

#[derive(Serialize)]
struct Component<'a> {
    exports: Vec<&'a str>,
    imports: Vec<&'a str>,
}

/// A manifest that was written, with what it names beside its layers.
pub(crate) struct Written {
    pub(crate) manifest: Vec<u8>,
    pub(crate) config: Vec<u8>,
}

/// The manifest of a component.
pub(crate) fn module(component: &[u8], metadata: &Metadata) -> Result<Written, serde_json::Error> {
    let mut layer = Descriptor::of(WASM, component);
    let sorted = |names: &[String]| -> Vec<String> {
        let mut names = names.to_vec();
        names.sort();
        names.dedup();
        names
    };
    let (exports, imports) = (sorted(&metadata.exports), sorted(&metadata.imports));
    let config = serde_json::to_vec(&Config {
        created: metadata.created,
        architecture: "wasm",
        os: "wasip2",
        layer_digests: [&layer.digest],
        component: Component {
            exports: exports.iter().map(String::as_str).collect(),
            imports: imports.iter().map(String::as_str).collect(),
        },
    })?;
    let mut annotations = metadata.annotations.clone();
    annotations.insert("org.opencontainers.image.created".to_owned(), metadata.created.to_string());
    if !metadata.title.is_empty() {
        annotations.insert(TITLE.to_owned(), metadata.title.clone());
        layer = layer.titled(&format!("{}.wasm", file_name(&metadata.title)));
    }
    let more = [("version", &metadata.version), ("description", &metadata.summary)];
    for (key, value) in more {
        if let Some(value) = value {
            annotations.insert(format!("org.opencontainers.image.{key}"), value.clone());
        }
    }
    let manifest = serde_json::to_vec(&Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST.to_owned()),
        artifact_type: None,
        config: Descriptor::of(WASM_CONFIG, &config),
        layers: vec![layer],
        subject: None,
        annotations: Some(annotations),
    })?;
    Ok(Written { manifest, config })
}

/// The manifest of what is attached to another one.
pub(crate) fn attachment(
    subject: Descriptor,
    artifact_type: &str,
    files: &[Descriptor],
) -> Result<Written, serde_json::Error> {
    let config = b"{}".to_vec();
    let empty = Descriptor::of(EMPTY, &config);
    let manifest = serde_json::to_vec(&Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST.to_owned()),
        artifact_type: Some(artifact_type.to_owned()),
        // The specification wants a layer, be it the empty one.
        layers: if files.is_empty() { vec![empty.clone()] } else { files.to_vec() },
        config: empty,
        subject: Some(subject),
        annotations: None,
    })?;
    Ok(Written { manifest, config })
}

/// A name that is safe for a file, wherever it is pulled.
fn file_name(title: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    title.chars().map(safe).collect::<String>().trim_start_matches('.').to_owned()
}

/// The layer of a module: the one component that a manifest names.
pub(crate) fn component_of(
    bytes: &[u8],
    repository: &Repository,
) -> Result<(Manifest, Descriptor, Digest), Error> {
    let refused =
        |why: String| Error::NotAModule { repository: repository.clone(), manifest: Digest::of(bytes), why };
    let manifest = match read(bytes).map_err(refused)? {
        Kind::Manifest(manifest) => *manifest,
        Kind::Index(_) => {
            return Err(refused("it is a list of manifests, as images for several machines have".to_owned()));
        }
    };
    let layer = match manifest.layers.as_slice() {
        [layer] => layer.clone(),
        layers => return Err(refused(format!("it has {} layers, and a module has one", layers.len()))),
    };
    if ![WASM, WASM_BEFORE].contains(&layer.media_type.as_str()) {
        let kind = crate::error::line(&layer.media_type);
        return Err(refused(format!("its layer is `{kind}`, and not `{WASM}`")));
    }
    let digest = layer.digest().map_err(refused)?;
    if layer.size > COMPONENT_MAX {
        return Err(Error::TooLarge {
            what: format!("the component of `{repository}`"),
            of: Some(layer.size),
            limit: COMPONENT_MAX,
        });
    }
    Ok((manifest, layer, digest))
}

/// The media type of what a referrer is, as its manifest says it.
pub(crate) fn artifact_type(manifest: &Manifest) -> String {
    manifest.artifact_type.clone().unwrap_or_else(|| manifest.config.media_type.clone())
}

/// Whether a layer is there only since a manifest must have one.
pub(crate) fn is_empty_layer(layer: &Descriptor) -> bool {
    layer.media_type == EMPTY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        Metadata {
            title: "ops/restart".to_owned(),
            version: Some("1.2.0".to_owned()),
            summary: Some("Restarts a service".to_owned()),
            exports: vec!["b".to_owned(), "a".to_owned(), "a".to_owned()],
            imports: vec!["runner:step/log@0.1.0".to_owned()],
            ..Metadata::default()
        }
    }

    /// What is written here is what others read, and what signatures are for: it must never change by itself.
    #[test]
    fn the_same_module_has_the_same_manifest() {
        let written = module(b"\0asm", &metadata()).expect("a manifest");
        assert_eq!(
            String::from_utf8_lossy(&written.config),
            r#"{"created":"1970-01-01T00:00:00Z","architecture":"wasm","os":"wasip2","layerDigests":["sha256:cd5d4935a48c0672cb06407bb443bc0087aff947c6b864bac886982c73b3027f"],"component":{"exports":["a","b"],"imports":["runner:step/log@0.1.0"]}}"#
        );
        let manifest: serde_json::Value = serde_json::from_slice(&written.manifest).expect("JSON");
        assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
        assert_eq!(manifest["config"]["digest"], Digest::of(&written.config).to_string());
        assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
        assert_eq!(manifest["layers"][0]["annotations"][TITLE], "ops_restart.wasm");
        assert_eq!(manifest["annotations"]["org.opencontainers.image.version"], "1.2.0");
        assert_eq!(
            Digest::of(&written.manifest).to_string(),
            "sha256:6fdee3d0bec26d92428bd4e2881c4df9be8e977ff0f4746996efcf75b45f227f"
        );
    }

    #[test]
    fn the_time_is_what_the_environment_says() {
        assert_eq!(epoch(None).expect("a time"), Timestamp::UNIX_EPOCH);
        assert_eq!(epoch(Some("1700000000".to_owned())).expect("a time").to_string(), "2023-11-14T22:13:20Z");
        for bad in ["-1", "now", "99999999999999999999", "1.5"] {
            assert!(epoch(Some(bad.to_owned())).expect_err(bad).to_string().contains(bad));
        }
    }

    fn refused(manifest: &str) -> String {
        let repository = "r.example.org/x".parse().expect("a repository");
        match component_of(manifest.as_bytes(), &repository).map(|_| ()).expect_err(manifest) {
            Error::NotAModule { why, .. } => why,
            other => other.to_string(),
        }
    }

    #[test]
    fn what_is_no_module_says_what_it_is() {
        let hex = "cd5d4935a48c0672cb06407bb443bc0087aff947c6b864bac886982c73b3027f";
        let config = format!(r#""config":{{"mediaType":"x","digest":"sha256:{hex}","size":1}}"#);
        let with = |layers: &str| format!(r#"{{"schemaVersion":2,{config},"layers":[{layers}]}}"#);
        let layer = |kind: &str, digest: &str, size: &str| {
            format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{size}}}"#)
        };
        let good = format!("sha256:{hex}");
        for (manifest, why) in [
            ("<html>".to_owned(), "it is not JSON"),
            ("[]".to_owned(), "it is no manifest"),
            (r#"{"schemaVersion":1,"fsLayers":[]}"#.to_owned(), "its `schemaVersion` is not 2"),
            (r#"{"schemaVersion":2}"#.to_owned(), "it has neither layers nor manifests"),
            (format!(r#"{{"schemaVersion":2,{config},"layers":[],"manifests":[]}}"#), "at once"),
            (
                format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}",{config},"layers":[]}}"#),
                "is not that of its content",
            ),
            (format!(r#"{{"schemaVersion":2,"mediaType":"a\u001bb",{config},"layers":[]}}"#), "`a\\u{1b}b`"),
            (r#"{"schemaVersion":2,"manifests":[]}"#.to_owned(), "it is a list of manifests"),
            (with(""), "it has 0 layers"),
            (with(&[layer(WASM, &good, "1"), layer(WASM, &good, "1")].join(",")), "it has 2 layers"),
            (with(&layer("application/gzip", &good, "1")), "its layer is `application/gzip`"),
            (with(&layer(WASM, "sha512:00", "1")), "by `sha512`, and only `sha256`"),
            (with(&layer(WASM, "sha256:00", "1")), "a digest in it is not one"),
            (with(&layer(WASM, &good, "-1")), "it is no manifest: invalid value"),
            (with(&layer(WASM, &good, "10000000000")), "10000000000 bytes, and at most 268435456 are taken"),
        ] {
            let said = refused(&manifest);
            assert!(said.contains(why), "{manifest}: {said}");
        }
        let repository = "r.example.org/x".parse().expect("a repository");
        for kind in [WASM, WASM_BEFORE] {
            component_of(with(&layer(kind, &good, "4")).as_bytes(), &repository).expect("a module");
        }
    }
}
