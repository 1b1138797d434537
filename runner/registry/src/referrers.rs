//! What is attached to a manifest: signatures, statements of a review.
//!
//! A registry that knows referrers keeps the list of them. For one that does not, whoever attaches keeps it, under a tag
//! that is made of the digest: the list is read, added to, written and read again, for another one may do the same at the
//! same time. Registries cannot refuse a write that comes too late, so two who write in the same instant can still lose
//! one; both are there, and attaching again puts it back on the list.

use crate::client::{Client, blocking, check_manifest, unwritable};
use crate::connection::Ask;
use crate::error::{Error, line};
use crate::layout::{self, Descriptor, INDEX, Index, Kind, MANIFEST};
use crate::{FILE_MAX, FILES_MAX, MANIFEST_MAX, REFERRERS_MAX};
use backon::{ExponentialBuilder, Retryable as _};
use bytes::Bytes;
use reqwest::StatusCode;
use runner_model::Digest;
use runner_model::oci::{Repository, Tag};
use std::time::Duration;

/// How often the list is written again when somebody else's write came in between.
const TRIES: usize = 8;
/// The most pages of a list.
const PAGES_MAX: usize = 20;

/// Something that is attached to a manifest, as the registry's list says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// The digest of its manifest.
    pub manifest: Digest,
    /// What it is.
    pub artifact_type: String,
}

/// A file that is to be attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// What it is: `application/json`.
    pub media_type: String,
    /// How it is named when it is pulled.
    pub name: String,
    /// Its content.
    pub content: Bytes,
}

/// What is to be attached to a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// What it is: `application/vnd.example.signature.v1`.
    pub artifact_type: String,
    /// Its files.
    pub files: Vec<File>,
}

/// Something attached that was pulled, verified. All of its text is a stranger's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The digest of its manifest.
    pub manifest: Digest,
    /// What it is.
    pub artifact_type: String,
    /// Its files; one without a name has an empty one.
    pub files: Vec<File>,
}

impl Client {
    /// What is attached to a manifest, first what it has shown before, then what is new, in the
    /// order of the registry's list: what was seen once, such as a revocation, is not taken back by leaving it out. Offline it is
    /// what was seen. The list is the registry's word: it may leave out what it has never shown.
    ///
    /// # Errors
    /// The registry cannot be asked, or what it answers is no list.
    pub async fn referrers(&self, repository: &Repository, subject: &Digest) -> Result<Vec<Referrer>, Error> {
        let list = if self.is_offline() {
            self.seen(repository, subject).await?.ok_or_else(|| Error::Offline {
                what: format!("what is attached to {repository}@{subject}"),
            })?
        } else {
            let now = self.within(repository, self.listed(repository, subject)).await?;
            // As it was seen first: a list could call what it has shown something else later.
            let mut list = self.seen(repository, subject).await?.unwrap_or_default();
            for entry in now {
                if list.iter().all(|seen| seen.digest != entry.digest) {
                    list.push(entry);
                }
            }
            if list.len() > REFERRERS_MAX {
                let why = format!("with what it has shown before it has {}", list.len());
                return Err(Error::bad_answer(repository.registry(), "a list of what is attached", why));
            }
            if let Some(cache) = self.cache.clone() {
                let (repository, subject, list) = (repository.clone(), *subject, list.clone());
                blocking(move || cache.keep_referrers(&repository, &subject, &list)).await?;
            }
            list
        };
        referrers_of(list, repository)
    }

    /// What was attached to a manifest when the registry was last asked; `None` when it never was, or nothing is kept.
    ///
    /// # Errors
    /// The list that is kept makes no sense.
    pub async fn referrers_seen(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Option<Vec<Referrer>>, Error> {
        let seen = self.seen(repository, subject).await?;
        seen.map(|list| referrers_of(list, repository)).transpose()
    }

    /// Something that is attached to a manifest: from the cache, else from the registry. All of it is verified, and that it
    /// is attached to this manifest and no other.
    ///
    /// # Errors
    /// [`Error::NotAttached`]; it is not there, or not what its digest says; the registry cannot be asked.
    pub async fn pull_referrer(
        &self,
        repository: &Repository,
        subject: &Digest,
        referrer: &Digest,
    ) -> Result<Attached, Error> {
        let refused = |why: String| Error::NotAttached {
            repository: repository.clone(),
            referrer: *referrer,
            subject: *subject,
            why: why.into(),
        };
        self.within(repository, async {
            let bytes = self.manifest(repository, referrer).await?;
            let manifest = match layout::read(&bytes).map_err(refused)? {
                Kind::Manifest(manifest) => *manifest,
                Kind::Index(_) => return Err(refused("it is a list of manifests".to_owned())),
            };
            match manifest.subject.as_ref().map(Descriptor::digest) {
                Some(Ok(is)) if is == *subject => {}
                Some(Ok(is)) => return Err(refused(format!("it is attached to `{is}`"))),
                Some(Err(why)) => return Err(refused(why)),
                None => return Err(refused("it is attached to nothing".to_owned())),
            }
            let layers: Vec<_> =
                manifest.layers.iter().filter(|layer| !layout::is_empty_layer(layer)).collect();
            if layers.len() > FILES_MAX {
                return Err(refused(format!(
                    "it has {} files, and at most {FILES_MAX} are taken",
                    layers.len()
                )));
            }
            let mut files = Vec::new();
            for layer in layers {
                let digest = layer.digest().map_err(refused)?;
                if layer.size > FILE_MAX {
                    let what = format!("a file that is attached to `{repository}@{subject}`");
                    return Err(Error::TooLarge { what, of: Some(layer.size), limit: FILE_MAX });
                }
                files.push(File {
                    media_type: layer.media_type.clone(),
                    name: layer.title().unwrap_or_default().to_owned(),
                    content: self.blob(repository, &digest, layer.size, "file").await?,
                });
            }
            Ok(Attached { manifest: *referrer, artifact_type: layout::artifact_type(&manifest), files })
        })
        .await
    }

    /// Attaches something to a manifest of this repository, and returns the digest of what was attached. The same attached
    /// twice is attached once.
    ///
    /// # Errors
    /// There is no such manifest; [`Error::TooLarge`], [`Error::Contended`]; the registry cannot be asked, or refuses.
    pub async fn attach(
        &self,
        repository: &Repository,
        subject: &Digest,
        attachment: &Attachment,
    ) -> Result<Digest, Error> {
        let too_large = |of: usize, limit: u64, what: &str| Error::TooLarge {
            what: what.to_owned(),
            of: Some(of as u64),
            limit,
        };
        if attachment.files.len() > FILES_MAX {
            return Err(Error::TooManyFiles { of: attachment.files.len() });
        }
        if let Some(file) = attachment.files.iter().find(|file| file.content.len() as u64 > FILE_MAX) {
            return Err(too_large(file.content.len(), FILE_MAX, &format!("`{}`", line(&file.name))));
        }
        self.within(repository, async {
            let target = self.manifest(repository, subject).await?;
            let media_type = match layout::read(&target) {
                Ok(Kind::Manifest(manifest)) => manifest.media_type.unwrap_or_else(|| MANIFEST.to_owned()),
                Ok(Kind::Index(index)) => index.media_type.unwrap_or_else(|| INDEX.to_owned()),
                Err(why) => return Err(Error::bad_answer(repository.registry(), "a manifest", why)),
            };
            let mut layers = Vec::new();
            for file in &attachment.files {
                self.put_blob(repository, file.content.clone()).await?;
                layers.push(Descriptor::of(&file.media_type, &file.content).titled(&file.name));
            }
            let written =
                layout::attachment(Descriptor::of(&media_type, &target), &attachment.artifact_type, &layers)
                    .map_err(|error| unwritable(repository, &error))?;
            let digest = check_manifest(&written.manifest)?;
            self.put_blob(repository, written.config.into()).await?;
            let described = Descriptor {
                artifact_type: Some(attachment.artifact_type.clone()),
                ..Descriptor::of(MANIFEST, &written.manifest)
            };
            let name = digest.to_string();
            if !self.put_manifest(repository, &name, MANIFEST, written.manifest.into()).await? {
                self.enlist(repository, subject, &described).await?;
            }
            Ok(digest)
        })
        .await
    }

    /// Adds to the list that is kept under a tag, until it is there.
    async fn enlist(
        &self,
        repository: &Repository,
        subject: &Digest,
        entry: &Descriptor,
    ) -> Result<(), Error> {
        let tag = Tag::of_referrers(subject);
        let lost = || Error::Contended { repository: repository.clone(), subject: *subject };
        let once = || async {
            let mut index = self.list_of_tag(repository, &tag).await?.unwrap_or_else(Index::empty);
            if index.manifests.iter().any(|there| there.digest == entry.digest) {
                return Ok(());
            }
            index.manifests.push(entry.clone());
            let bytes = serde_json::to_vec(&index).map_err(|error| unwritable(repository, &error))?;
            check_manifest(&bytes)?;
            self.put_manifest(repository, tag.as_str(), INDEX, bytes.into()).await?;
            let after = self.list_of_tag(repository, &tag).await?.unwrap_or_else(Index::empty);
            // Also what was there before must still be: then nobody wrote in between.
            let whole =
                index.manifests.iter().all(|was| after.manifests.iter().any(|is| is.digest == was.digest));
            if whole { Ok(()) } else { Err(lost()) }
        };
        let wait = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(20))
            .with_max_delay(Duration::from_secs(2))
            .with_max_times(TRIES - 1);
        once.retry(wait).when(|error| matches!(error, Error::Contended { .. })).await
    }

    /// What the registry's own list has, or that under the tag.
    async fn listed(&self, repository: &Repository, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        const WHAT: &str = "a list of what is attached";
        let connection = self.connection(repository, &format!("{repository}@{subject}"))?;
        let mut url = connection.url(repository, &format!("referrers/{subject}")).await?;
        let mut list = Vec::new();
        for page in 0..PAGES_MAX {
            let ask = Ask::get(repository, url.clone(), INDEX);
            let answer = connection.send(ask.clone()).await?;
            match answer.status() {
                StatusCode::OK => {}
                // It does not know referrers. One that does says so with an empty list.
                StatusCode::NOT_FOUND if page == 0 => {
                    let index = self.list_of_tag(repository, &Tag::of_referrers(subject)).await?;
                    return within_bounds(index.map(|index| index.manifests).unwrap_or_default(), repository);
                }
                _ => return Err(connection.refused(&ask, answer, "list of what is attached").await),
            }
            let host = answer.host().to_owned();
            let next = answer.next_page()?;
            let bytes = answer.read(MANIFEST_MAX, WHAT).await?;
            list.extend(index_of(&bytes, &host)?.manifests);
            list = within_bounds(list, repository)?;
            match next {
                None => return Ok(list),
                Some(next) => url = next,
            }
        }
        Err(Error::bad_answer(
            repository.registry(),
            WHAT,
            format_args!("it has more than {PAGES_MAX} pages"),
        ))
    }

    async fn list_of_tag(&self, repository: &Repository, tag: &Tag) -> Result<Option<Index>, Error> {
        let bytes = self.tagged_manifest(repository, tag).await?;
        bytes.map(|bytes| index_of(&bytes, repository.registry())).transpose()
    }

    async fn seen(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, Error> {
        let Some(cache) = self.cache.clone() else { return Ok(None) };
        let (repository, subject) = (repository.clone(), *subject);
        blocking(move || Ok(cache.referrers(&repository, &subject))).await
    }
}

fn index_of(bytes: &[u8], host: &str) -> Result<Index, Error> {
    const WHAT: &str = "a list of what is attached";
    match layout::read(bytes) {
        Ok(Kind::Index(index)) => Ok(index),
        Ok(Kind::Manifest(_)) => Err(Error::bad_answer(host, WHAT, "it is one manifest")),
        Err(why) => Err(Error::bad_answer(host, WHAT, why)),
    }
}

fn within_bounds(list: Vec<Descriptor>, repository: &Repository) -> Result<Vec<Descriptor>, Error> {
    if list.len() <= REFERRERS_MAX {
        return Ok(list);
    }
    let why = format!("it has more than {REFERRERS_MAX}");
    Err(Error::bad_answer(repository.registry(), "a list of what is attached", why))
}

fn referrers_of(list: Vec<Descriptor>, repository: &Repository) -> Result<Vec<Referrer>, Error> {
    let list = list.into_iter().map(|entry| {
        let manifest = entry
            .digest()
            .map_err(|why| Error::bad_answer(repository.registry(), "a list of what is attached", why))?;
        Ok(Referrer { manifest, artifact_type: entry.artifact_type.unwrap_or_default() })
    });
    list.collect()
}
