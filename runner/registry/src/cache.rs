//! What registries answered, so that it need not be asked for again, or can be had with no network.
//!
//! ```text
//! FOLDER/           0700, the user's own: an artifact store with manifests, components and files, by their digests
//!   referrers/      the lists of what is attached to a manifest, as they were seen
//!   places/         which repository has shown which manifest
//! ```
//!
//! A digest does not say where content is from, and a policy asks for that: a manifest is of the repositories only that have
//! shown it. Content is verified whenever it is read; what is damaged is removed and fetched again. The lists are no more than the
//! registry's word at that time: whoever needs more verifies what is attached.

use crate::REFERRERS_MAX;
use crate::error::Error;
use crate::layout::Descriptor;
use runner_artifact::Store;
use runner_model::Digest;
use runner_model::oci::Repository;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// The form of the lists. What has another one is not read.
const VERSION: u32 = 1;

/// A folder that keeps what registries answered. Safe for several processes at once.
#[derive(Debug)]
pub struct Cache {
    content: Store,
    lists: PathBuf,
    places: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    version: u32,
    repository: String,
    subject: Digest,
    referrers: Vec<Descriptor>,
}

impl Cache {
    /// The cache in this folder, which is made when it is missing.
    ///
    /// # Errors
    /// It cannot be made, is another user's, or others may write to it.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let content = Store::open(folder).map_err(fail)?;
        let (lists, places) = (folder.join("referrers"), folder.join("places"));
        for folder in [&lists, &places] {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(|error| unusable(folder, &error))?;
        }
        Ok(Self { content, lists, places })
    }

    /// A manifest of at most `limit` bytes that this repository has shown, verified; as [`Cache::get`].
    pub(crate) fn manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        match self.place(repository, digest).exists() {
            true => self.get(digest, limit),
            false => Ok(None),
        }
    }

    /// Keeps a manifest that this repository has shown.
    pub(crate) fn keep_manifest(&self, repository: &Repository, bytes: &[u8]) -> Result<(), Error> {
        let file = self.place(repository, &self.put(bytes)?);
        std::fs::write(&file, b"").map_err(|error| unusable(&file, &error))
    }

    fn place(&self, repository: &Repository, digest: &Digest) -> PathBuf {
        self.places.join(Digest::of(format!("{repository}@{digest}")).hex())
    }

    /// Content of at most `limit` bytes, verified; `None` when there is none, or it was damaged and is gone now.
    pub(crate) fn get(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        match self.content.read_bytes(digest, limit) {
            Ok(bytes) => Ok(Some(bytes)),
            // What has more than its manifest says is not what is wanted: the registry's answer tells.
            Err(runner_artifact::Error::Missing(_) | runner_artifact::Error::TooLarge { .. }) => Ok(None),
            Err(runner_artifact::Error::Corrupt { path, why, .. }) => {
                tracing::warn!("`{}` is damaged ({why}) and is removed", path.display());
                std::fs::remove_file(&path).map_err(|error| unusable(&path, &error))?;
                Ok(None)
            }
            Err(error) => Err(fail(error)),
        }
    }

    pub(crate) fn put(&self, bytes: &[u8]) -> Result<Digest, Error> {
        self.content.put_bytes(bytes).map_err(fail)
    }

    fn list(&self, repository: &Repository, subject: &Digest) -> PathBuf {
        let name = Digest::of(format!("{repository}@{subject}"));
        self.lists.join(format!("{}.json", name.hex()))
    }

    /// What was attached to a manifest when it was last asked; `None` when it never was.
    pub(crate) fn referrers(&self, repository: &Repository, subject: &Digest) -> Option<Vec<Descriptor>> {
        let file = self.list(repository, subject);
        let bytes = std::fs::read(&file).ok()?;
        let list = serde_json::from_slice::<List>(&bytes)
            .inspect_err(|error| tracing::warn!("`{}` is damaged: {error}", file.display()))
            .ok()?;
        let fits = list.version == VERSION
            && list.repository == repository.to_string()
            && list.subject == *subject
            && list.referrers.len() <= REFERRERS_MAX;
        fits.then_some(list.referrers)
    }

    pub(crate) fn keep_referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        referrers: &[Descriptor],
    ) -> Result<(), Error> {
        let file = self.list(repository, subject);
        let list = List {
            version: VERSION,
            repository: repository.to_string(),
            subject: *subject,
            referrers: referrers.to_vec(),
        };
        let write = || -> std::io::Result<()> {
            let mut temporary = tempfile::NamedTempFile::new_in(&self.lists)?;
            serde_json::to_writer(&mut temporary, &list)?;
            temporary.flush()?;
            temporary.persist(&file).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|error| unusable(&file, &error))
    }
}

fn fail(error: runner_artifact::Error) -> Error {
    Error::Cache { why: error.to_string(), mend: error.mend() }
}

fn unusable(path: &Path, error: &std::io::Error) -> Error {
    let why = format!("`{}`: {error}", runner_model::text::shown(&path.to_string_lossy()));
    Error::Cache { why, mend: "name another folder through XDG_CACHE_HOME, or mend this one".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn blob(folder: &Path, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        folder.join("blobs").join(&hex[..2]).join(hex)
    }

    #[test]
    fn what_is_damaged_is_removed_and_never_handed_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(&folder.path().join("cache")).expect("a cache");
        let digest = cache.put(b"component").expect("kept");
        assert_eq!(cache.get(&digest, 100).expect("read"), Some(b"component".to_vec()));
        let file = blob(&folder.path().join("cache"), &digest);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("its mode");
        // Of the same size, which alone would not be seen.
        std::fs::write(&file, b"c0mponent").expect("damage");
        assert_eq!(cache.get(&digest, 100).expect("read"), None);
        assert!(!file.exists());
        cache.put(b"component").expect("kept again");
        assert_eq!(cache.get(&digest, 100).expect("read"), Some(b"component".to_vec()));
    }

    #[test]
    fn a_manifest_is_of_the_repositories_that_have_shown_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(folder.path()).expect("a cache");
        let one: Repository = "evil.example.org/greet".parse().expect("a repository");
        let other: Repository = "registry.example.org/team/greet".parse().expect("a repository");
        cache.keep_manifest(&one, b"{}").expect("kept");
        let digest = Digest::of("{}");
        assert_eq!(cache.manifest(&one, &digest, 100).expect("read"), Some(b"{}".to_vec()));
        assert_eq!(cache.manifest(&other, &digest, 100).expect("read"), None, "it never had it");
        cache.keep_manifest(&other, b"{}").expect("kept");
        assert_eq!(cache.manifest(&other, &digest, 100).expect("read"), Some(b"{}".to_vec()));
    }

    #[test]
    fn lists_belong_to_one_manifest_of_one_repository() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(folder.path()).expect("a cache");
        let one: Repository = "r.example.org/one".parse().expect("a repository");
        let other: Repository = "r.example.org/other".parse().expect("a repository");
        let (subject, list) = (Digest::of("a"), vec![Descriptor::of("x", b"y")]);
        assert_eq!(cache.referrers(&one, &subject), None);
        cache.keep_referrers(&one, &subject, &list).expect("kept");
        assert_eq!(cache.referrers(&one, &subject), Some(list.clone()));
        assert_eq!(cache.referrers(&other, &subject), None);
        std::fs::copy(cache.list(&one, &subject), cache.list(&other, &subject)).expect("a swap");
        assert_eq!(cache.referrers(&other, &subject), None, "a list of another repository");
        std::fs::write(cache.list(&one, &subject), b"{").expect("damage");
        assert_eq!(cache.referrers(&one, &subject), None);
        cache.keep_referrers(&one, &subject, &list).expect("kept again");
        assert_eq!(cache.referrers(&one, &subject), Some(list));
    }

    #[test]
    fn a_folder_of_others_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).expect("its mode");
        let error = Cache::open(folder.path()).expect_err("others may write to it");
        assert!(
            error.to_string().contains("others may write to it") && error.mend().contains("chmod"),
            "{error}"
        );
    }
}
