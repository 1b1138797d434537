//! The release that a plan makes: where it goes, and what it is called.

use crate::template::Reference;
use crate::{BadName, Digest, ReleaseId, RemotePath, StepId};

/// What `[release]` says, with everything filled in that is known before the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseSpec {
    /// The release root, where a target has none of its own.
    pub root: RemotePath,
    /// Which output of which step is the artifact; `None`: the plan makes no release of its own.
    pub artifact: Option<ArtifactOutput>,
    /// Files and folders that all releases share, relative, as they are written.
    pub shared: Vec<String>,
    /// How many good releases are kept on a target.
    pub keep: u32,
    /// In front of the id.
    pub version: Option<String>,
}

/// An output of a step that is an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactOutput {
    /// The step; it runs once, in `prepare`.
    pub step: StepId,
    /// The output's name.
    pub output: String,
}

impl ArtifactOutput {
    /// As a reference: `package.artifact`.
    pub fn reference(&self) -> Reference {
        Reference::Output { step: self.step.clone(), output: self.output.clone() }
    }
}

impl ReleaseSpec {
    /// The id of the release that this artifact makes.
    ///
    /// # Errors
    /// The version cannot be a part of a release's name.
    pub fn id(&self, artifact: &Digest) -> Result<ReleaseId, BadName> {
        release_id(self.version.as_deref(), artifact, &self.shared)
    }
}

/// The id of a release: the version and `-` if there is one, then the first 12 digits of the SHA-256 of the canonical
/// JSON `{"artifact":"sha256:…","shared":["config.php","uploads"]}`. The order in which `shared` is written does not
/// count, and neither does writing an entry twice: both make the same release.
///
/// ```
/// # use runner_model::{Digest, release_id};
/// let artifact = Digest::of(b"a tree");
/// let shared = ["uploads".to_owned(), "config.php".to_owned()];
/// let id = release_id(Some("4.2"), &artifact, &shared).unwrap();
/// assert_eq!(id.as_str(), "4.2-5c20def39221");
/// ```
///
/// # Errors
/// The version cannot be a part of a release's name.
pub fn release_id(version: Option<&str>, artifact: &Digest, shared: &[String]) -> Result<ReleaseId, BadName> {
    let mut shared: Vec<&str> = shared.iter().map(|path| path.strip_suffix('/').unwrap_or(path)).collect();
    shared.sort_unstable();
    shared.dedup();
    // Keys in order, no spaces, and the escapes of RFC 8785, which are serde_json's.
    let canonical = serde_json::json!({ "artifact": artifact.to_string(), "shared": shared }).to_string();
    let short = Digest::of(canonical).short();
    match version {
        Some(version) => format!("{version}-{short}").parse(),
        None => short.parse(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_follows_from_artifact_and_shared_alone() {
        let artifact = Digest::of(b"a tree");
        let id = |shared: &[&str]| {
            release_id(None, &artifact, &shared.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
                .expect("an id")
        };
        assert_eq!(id(&["a", "b"]), id(&["b", "a", "b"]));
        assert_ne!(id(&["a"]), id(&[]));
        assert_ne!(id(&[]), release_id(None, &Digest::of(b"other"), &[]).expect("an id"));
        assert_eq!(id(&[]).as_str().len(), 12);
    }

    #[test]
    fn the_json_is_canonical() {
        let artifact = Digest::of(b"a tree");
        let text = format!(r#"{{"artifact":"{artifact}","shared":["a\"b","é"]}}"#);
        let id = release_id(None, &artifact, &["é".to_owned(), "a\"b".to_owned()]).expect("an id");
        assert_eq!(id.as_str(), Digest::of(text).short());
    }

    #[test]
    fn a_version_is_a_part_of_a_name() {
        assert!(release_id(Some("a/b"), &Digest::of(b""), &[]).is_err());
        assert!(release_id(Some(&"4".repeat(52)), &Digest::of(b""), &[]).is_err());
    }
}
