//! Tags, pull and push.

use crate::access::Action;
use crate::cache::Cache;
use crate::connection::{Answer, Ask, Connection, Times};
use crate::credentials::Credentials;
use crate::error::Error;
use crate::layout::{self, ANY_MANIFEST, MANIFEST, Metadata};
use crate::{COMPONENT_MAX, MANIFEST_MAX, TAGS_MAX};
use bytes::Bytes;
use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode};
use runner_model::Digest;
use runner_model::oci::{Reference, Repository, Tag};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The largest page of a list.
const PAGE_MAX: u64 = 4 * 1024 * 1024;
/// The most pages of a list.
const PAGES_MAX: usize = 1000;

/// How a client speaks to registries.
#[derive(Debug)]
pub struct Settings {
    /// Who we are.
    pub credentials: Credentials,
    /// Files of certificates (PEM) of authorities that are trusted beside those of this machine.
    pub authorities: Vec<PathBuf>,
    /// Where answers are kept; `None`: nowhere.
    pub cache: Option<Cache>,
    /// No registry is asked; what is not in the cache is [`Error::Offline`].
    pub offline: bool,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long a registry may say nothing.
    pub idle_timeout: Duration,
    /// How long a pull, a push or another call may take in all.
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            credentials: Credentials::from_environment(),
            authorities: Vec::new(),
            cache: None,
            offline: false,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            timeout: Duration::from_secs(600),
        }
    }
}

/// Whether a tag that names another module may be moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overwrite {
    /// It stays, and the push is refused.
    #[default]
    No,
    /// It names the new module from now on.
    Yes,
}

/// A module that was pulled, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The digest of its component.
    pub digest: Digest,
    /// The component.
    pub component: Bytes,
    /// What its author says about it. Text of a stranger: `runner_model::text::shown` it.
    pub annotations: BTreeMap<String, String>,
}

/// A module that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The tag named it already, and nothing was sent.
    pub unchanged: bool,
}

/// Speaks to registries. Cheap to share behind an `Arc`; every call has its limit of time.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    pub(crate) cache: Option<Arc<Cache>>,
    /// By where a registry is.
    connections: Mutex<HashMap<String, Arc<Connection>>>,
}

impl Client {
    /// A client with these settings. Nobody is spoken to yet.
    ///
    /// # Errors
    /// An authority's file cannot be read.
    pub fn new(mut settings: Settings) -> Result<Self, Error> {
        let cache = settings.cache.take().map(Arc::new);
        let client = Self { settings, cache, connections: Mutex::default() };
        if !client.settings.authorities.is_empty() {
            // Said now, and not when the first registry is asked.
            client.connect("localhost")?;
        }
        Ok(client)
    }

    /// Whether no registry is asked.
    pub fn is_offline(&self) -> bool {
        self.settings.offline
    }

    /// The tags of a repository, sorted. Those under which lists of referrers are kept are not among them.
    ///
    /// # Errors
    /// The registry cannot be asked, or what it answers is no list of tags.
    pub async fn tags(&self, repository: &Repository) -> Result<Vec<Tag>, Error> {
        self.within(repository, self.all_tags(repository)).await
    }

    /// The digest of the manifest that a reference names. Of one with a digest it is that; when it has a tag too, the tag
    /// must still name it.
    ///
    /// # Errors
    /// [`Error::Unknown`]; [`Error::TagMoved`]; the registry cannot be asked.
    pub async fn resolve(&self, reference: &Reference) -> Result<Digest, Error> {
        let repository = reference.repository();
        match (reference.tag(), reference.digest()) {
            (None, Some(digest)) => Ok(*digest),
            (None, None) => Err(crate::NotAReference {
                text: reference.to_string(),
                why: "it says neither a tag nor a digest".to_owned(),
                mend: format!("say which one: `{repository}:1.0`"),
            }
            .into()),
            (Some(tag), wanted) => {
                let is = self.within(repository, self.tagged(repository, tag)).await?;
                let is = is.ok_or_else(|| Error::Unknown {
                    repository: repository.clone(),
                    what: format!("tag `{tag}`"),
                    said: String::new(),
                })?;
                match wanted {
                    Some(was) if *was != is => Err(Error::TagMoved {
                        repository: repository.clone(),
                        tag: tag.clone(),
                        was: *was,
                        is,
                    }),
                    _ => Ok(is),
                }
            }
        }
    }

    /// A module by the digest of its manifest: from the cache, else from the registry. Whatever comes is verified, by
    /// the digest that is asked for, and by those that the manifest names.
    ///
    /// # Errors
    /// It is not there, or not what its digest says, or no module; the registry cannot be asked.
    pub async fn pull(&self, repository: &Repository, manifest: &Digest) -> Result<Pulled, Error> {
        self.within(repository, async {
            let bytes = self.manifest(repository, manifest).await?;
            let (parsed, layer, digest) = layout::component_of(&bytes, repository)?;
            let component = self.blob(repository, &digest, layer.size, "component").await?;
            let annotations = parsed.annotations.unwrap_or_default();
            Ok(Pulled { manifest: *manifest, digest, component, annotations })
        })
        .await
    }

    /// Pushes a component under a tag. A tag that names another module is moved only when that is wanted; registries
    /// have no way to do both at once, so one who pushes the same tag in the same moment may still be overtaken.
    ///
    /// # Errors
    /// [`Error::TagTaken`], [`Error::TooLarge`]; the registry cannot be asked, or refuses.
    pub async fn push(
        &self,
        repository: &Repository,
        tag: &Tag,
        component: impl Into<Bytes>,
        metadata: &Metadata,
        overwrite: Overwrite,
    ) -> Result<Pushed, Error> {
        let component: Bytes = component.into();
        if component.len() as u64 > COMPONENT_MAX {
            return Err(Error::TooLarge {
                what: "the component".to_owned(),
                of: Some(component.len() as u64),
                limit: COMPONENT_MAX,
            });
        }
        let written = layout::module(&component, metadata).map_err(|error| unwritable(repository, &error))?;
        let ours = check_manifest(&written.manifest)?;
        self.within(repository, async {
            match self.tagged(repository, tag).await? {
                Some(is) if is == ours => return Ok(Pushed { manifest: ours, unchanged: true }),
                Some(is) if overwrite == Overwrite::No => {
                    return Err(Error::TagTaken {
                        repository: repository.clone(),
                        tag: tag.clone(),
                        is,
                        ours,
                    });
                }
                _ => {}
            }
            self.put_blob(repository, component).await?;
            self.put_blob(repository, written.config.into()).await?;
            self.put_manifest(repository, tag.as_str(), MANIFEST, written.manifest.into()).await?;
            // What others will be told is what counts.
            match self.tagged(repository, tag).await? {
                Some(is) if is == ours => Ok(Pushed { manifest: ours, unchanged: false }),
                Some(is) => {
                    Err(Error::TagMoved { repository: repository.clone(), tag: tag.clone(), was: ours, is })
                }
                None => Err(Error::Unknown {
                    repository: repository.clone(),
                    what: format!("tag `{tag}`, right after it was pushed"),
                    said: String::new(),
                }),
            }
        })
        .await
    }

    /// With the limit of time for all of it.
    pub(crate) async fn within<T>(
        &self,
        repository: &Repository,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let after = self.settings.timeout;
        tokio::time::timeout(after, work).await.unwrap_or_else(|_| {
            Err(Error::Timeout { host: repository.registry().to_owned(), what: "not done".to_owned(), after })
        })
    }

    /// The connection to a registry; `what` is wanted from it.
    pub(crate) fn connection(&self, repository: &Repository, what: &str) -> Result<Arc<Connection>, Error> {
        if self.settings.offline {
            return Err(Error::Offline { what: what.to_owned() });
        }
        self.connect(repository.authority())
    }

    fn connect(&self, authority: &str) -> Result<Arc<Connection>, Error> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = connections.get(authority) {
            return Ok(connection.clone());
        }
        let Settings { credentials, authorities, connect_timeout, idle_timeout, timeout, .. } =
            &self.settings;
        let times = Times { connect: *connect_timeout, idle: *idle_timeout, total: *timeout };
        let connection = Arc::new(Connection::new(authority, authorities, credentials, times)?);
        connections.insert(authority.to_owned(), connection.clone());
        Ok(connection)
    }

    async fn all_tags(&self, repository: &Repository) -> Result<Vec<Tag>, Error> {
        #[derive(Deserialize)]
        struct Page {
            // Some registries say `null` for none.
            tags: Option<Vec<String>>,
        }
        const WHAT: &str = "a list of tags";
        let connection = self.connection(repository, &repository.to_string())?;
        let mut url = connection.url(repository, "tags/list?n=1000").await?;
        let mut tags = BTreeSet::new();
        for _ in 0..PAGES_MAX {
            let ask = Ask::get(repository, url.clone(), "application/json");
            let answer = connection.send(ask.clone()).await?;
            if answer.status() != StatusCode::OK {
                return Err(connection.refused(&ask, answer, "tags: there is no such repository").await);
            }
            let host = answer.host().to_owned();
            let next = answer.next_page()?;
            let bytes = answer.read(PAGE_MAX, WHAT).await?;
            let page: Page =
                serde_json::from_slice(&bytes).map_err(|error| Error::bad_answer(&host, WHAT, error))?;
            let before = tags.len();
            for text in page.tags.unwrap_or_default() {
                let tag = text.parse::<Tag>().map_err(|error| Error::bad_answer(&host, WHAT, error))?;
                tags.insert(tag);
            }
            if tags.len() > TAGS_MAX {
                return Err(Error::bad_answer(&host, WHAT, format_args!("it has more than {TAGS_MAX}")));
            }
            match next {
                None => return Ok(tags.into_iter().filter(|tag| !tag.is_of_referrers()).collect()),
                Some(_) if tags.len() == before => {
                    return Err(Error::bad_answer(&host, WHAT, "it goes on and says nothing new"));
                }
                Some(next) => url = next,
            }
        }
        Err(Error::bad_answer(
            repository.registry(),
            WHAT,
            format_args!("it has more than {PAGES_MAX} pages"),
        ))
    }

    /// The manifest that a tag names now, and which is kept; `None` when there is no such tag.
    async fn tagged(&self, repository: &Repository, tag: &Tag) -> Result<Option<Digest>, Error> {
        let Some(bytes) = self.tagged_manifest(repository, tag).await? else { return Ok(None) };
        let digest = Digest::of(&bytes);
        // A page for browsers is no manifest, and has a digest too.
        layout::read(&bytes).map_err(|why| Error::bad_answer(repository.registry(), "a manifest", why))?;
        self.keep_manifest(repository, bytes.into()).await?;
        Ok(Some(digest))
    }

    pub(crate) async fn tagged_manifest(
        &self,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Option<Vec<u8>>, Error> {
        let connection = self.connection(repository, &format!("{repository}:{tag}"))?;
        let url = connection.url(repository, &format!("manifests/{tag}")).await?;
        let ask = Ask::get(repository, url, ANY_MANIFEST);
        let answer = connection.send(ask.clone()).await?;
        match answer.status() {
            StatusCode::OK => answer.read(MANIFEST_MAX, "the manifest").await.map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(connection.refused(&ask, answer, format!("tag `{tag}`")).await),
        }
    }

    /// The bytes of a manifest, verified: from the cache, else from the registry.
    pub(crate) async fn manifest(&self, repository: &Repository, digest: &Digest) -> Result<Bytes, Error> {
        if let Some(cache) = self.cache.clone() {
            let (repository, digest) = (repository.clone(), *digest);
            let kept = blocking(move || cache.manifest(&repository, &digest, MANIFEST_MAX)).await?;
            if let Some(bytes) = kept {
                return Ok(bytes.into());
            }
        }
        let connection = self.connection(repository, &format!("{repository}@{digest}"))?;
        let url = connection.url(repository, &format!("manifests/{digest}")).await?;
        let ask = Ask::get(repository, url, ANY_MANIFEST);
        let answer = connection.send(ask.clone()).await?;
        if answer.status() != StatusCode::OK {
            return Err(connection.refused(&ask, answer, format!("manifest `{digest}`")).await);
        }
        let bytes: Bytes = answer.read(MANIFEST_MAX, "the manifest").await?.into();
        let found = Digest::of(&bytes);
        if found != *digest {
            return Err(Error::ManifestDiffers { repository: repository.clone(), wanted: *digest, found });
        }
        self.keep_manifest(repository, bytes.clone()).await?;
        Ok(bytes)
    }

    /// Content that a manifest names, verified while it is read: from the cache, else from the registry.
    pub(crate) async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: u64,
        what: &'static str,
    ) -> Result<Bytes, Error> {
        let differs = |why: String| Error::LayerDiffers { repository: repository.clone(), what, why };
        if let Some(bytes) = self.kept(digest, size).await? {
            if bytes.len() as u64 != size {
                return Err(differs(format!("`{digest}` has {} bytes, and not {size}", bytes.len())));
            }
            return Ok(bytes);
        }
        let connection = self.connection(repository, &format!("{repository}@{digest}"))?;
        let url = connection.url(repository, &format!("blobs/{digest}")).await?;
        let ask = Ask::get(repository, url, "*/*");
        let mut answer = connection.send(ask.clone()).await?;
        if answer.status() != StatusCode::OK {
            return Err(connection.refused(&ask, answer, format!("{what} `{digest}`")).await);
        }
        if let Some(length) = answer.length().filter(|length| *length != size) {
            return Err(differs(format!("`{digest}` has {length} bytes, and not {size}")));
        }
        let mut hasher = Sha256::new();
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        while let Some(chunk) = answer.chunk().await? {
            if (bytes.len() + chunk.len()) as u64 > size {
                return Err(differs(format!("`{digest}` has more than its {size} bytes")));
            }
            hasher.update(&chunk);
            bytes.extend_from_slice(&chunk);
        }
        if (bytes.len() as u64) < size {
            return Err(differs(format!("`{digest}` has {} bytes, and not {size}", bytes.len())));
        }
        let found = Digest::from_bytes(hasher.finalize().into());
        if found != *digest {
            return Err(differs(format!("wanted `{digest}`, got `{found}`")));
        }
        let bytes = Bytes::from(bytes);
        self.keep(bytes.clone()).await?;
        Ok(bytes)
    }

    /// Uploads content, unless the registry has it.
    pub(crate) async fn put_blob(&self, repository: &Repository, bytes: Bytes) -> Result<(), Error> {
        let digest = Digest::of(&bytes).to_string();
        let connection = self.connection(repository, &digest)?;
        let head = Ask {
            method: Method::HEAD,
            action: Action::Push,
            ..Ask::get(repository, connection.url(repository, &format!("blobs/{digest}")).await?, "*/*")
        };
        if connection.send(head).await?.status() == StatusCode::OK {
            return Ok(());
        }
        let begin = Ask::push(repository, Method::POST, connection.url(repository, "blobs/uploads/").await?);
        let answer = connection.send(begin.clone()).await?;
        if answer.status() != StatusCode::ACCEPTED {
            return Err(connection.refused(&begin, answer, "place for uploads").await);
        }
        let location = location(&answer)?;
        let mut url = connection.lead("an upload", &begin.url, &location)?;
        url.query_pairs_mut().append_pair("digest", &digest);
        let put = Ask::push(repository, Method::PUT, url).with("application/octet-stream", bytes);
        let answer = connection.send(put.clone()).await?;
        if answer.status() != StatusCode::CREATED {
            return Err(connection.refused(&put, answer, "upload under way").await);
        }
        Ok(())
    }

    /// Uploads a manifest under a tag, or its digest. Says whether the registry keeps the list of referrers itself.
    pub(crate) async fn put_manifest(
        &self,
        repository: &Repository,
        name: &str,
        media_type: &'static str,
        bytes: Bytes,
    ) -> Result<bool, Error> {
        let connection = self.connection(repository, name)?;
        let url = connection.url(repository, &format!("manifests/{name}")).await?;
        let ask = Ask::push(repository, Method::PUT, url).with(media_type, bytes);
        let answer = connection.send(ask.clone()).await?;
        if answer.status() != StatusCode::CREATED {
            return Err(connection.refused(&ask, answer, "place for manifests").await);
        }
        Ok(answer.headers().contains_key("oci-subject"))
    }

    /// What the cache has.
    async fn kept(&self, digest: &Digest, limit: u64) -> Result<Option<Bytes>, Error> {
        let Some(cache) = self.cache.clone() else { return Ok(None) };
        let digest = *digest;
        Ok(blocking(move || cache.get(&digest, limit)).await?.map(Bytes::from))
    }

    async fn keep_manifest(&self, repository: &Repository, bytes: Bytes) -> Result<(), Error> {
        let Some(cache) = self.cache.clone() else { return Ok(()) };
        let repository = repository.clone();
        blocking(move || cache.keep_manifest(&repository, &bytes)).await
    }

    async fn keep(&self, bytes: Bytes) -> Result<(), Error> {
        let Some(cache) = self.cache.clone() else { return Ok(()) };
        blocking(move || cache.put(&bytes)).await.map(|_| ())
    }
}

/// Work on files, off the threads that wait for the network.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Error::Cache { why: error.to_string(), mend: String::new() }))
}

/// Its digest, when it is of a size that registries take.
pub(crate) fn check_manifest(bytes: &[u8]) -> Result<Digest, Error> {
    let of = bytes.len() as u64;
    if of > MANIFEST_MAX {
        return Err(Error::TooLarge { what: "the manifest".to_owned(), of: Some(of), limit: MANIFEST_MAX });
    }
    Ok(Digest::of(bytes))
}

pub(crate) fn unwritable(repository: &Repository, error: &serde_json::Error) -> Error {
    Error::bad_answer(repository.registry(), "a manifest to be written", error)
}

fn location(answer: &Answer) -> Result<String, Error> {
    let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    location
        .map(str::to_owned)
        .ok_or_else(|| Error::bad_answer(answer.host(), "a place for an upload", "it does not say where"))
}
