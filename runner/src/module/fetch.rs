//! Modules in registries, for those who wait: which one is meant, its bytes, and what others say of it.
//!
//! What was fetched once is kept by digest, so that a plan whose modules are kept needs no network.

use super::load::LoadError;
use super::source::{Origin, Source};
use runner_model::oci::{OciModule, Reference, Repository, Tag, Wanted};
use runner_model::{Digest, Pinned};
use runner_registry::{
    Attached, Attachment, Cache, Client, Error, File, Metadata, Overwrite, Pushed, Settings,
};
use runner_trust::{Evidence, Signed, Statement};
use semver::Version;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Runtime;

/// What signatures over a component are attached as.
const SIGNATURE: &str = "application/vnd.runner.signature.v1";
/// What statements about a component are attached as: the statement, and a signature over it.
const STATEMENT: &str = "application/vnd.runner.statement.v1";
/// What bundles of Sigstore are attached as begins so, and then comes their version.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
/// The most that is fetched of what others say: whoever may push to a registry may attach to everything in it.
const MOST: usize = 200;
/// The largest signature or statement, in bytes.
const LARGEST_SAID: usize = 64 * 1024;
/// How long all of it may take.
const SAID_WITHIN: Duration = Duration::from_secs(300);
/// How many versions a message names.
const NAMED: usize = 5;

/// Registries, opened when the first one is needed.
pub struct Registries {
    cache: Option<PathBuf>,
    opened: OnceCell<Opened>,
}

/// A client, and who waits for it.
struct Opened {
    runtime: Runtime,
    client: Client,
}

impl Opened {
    fn new(cache: Option<&Path>) -> Result<Self, Error> {
        let cache = cache.map(|folder| Cache::open(&folder.join("registries"))).transpose()?;
        let client = Client::new(Settings { cache, ..Settings::default() })?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::Cache { why: error.to_string(), mend: String::new() })?;
        Ok(Self { runtime, client })
    }
}

impl Registries {
    /// What is fetched is kept below `cache`, the user's folder; `None`: nothing is kept.
    pub fn new(cache: Option<PathBuf>) -> Self {
        Self { cache, opened: OnceCell::new() }
    }

    /// # Errors
    /// The folder cannot be used, or the environment's settings for networks cannot.
    fn opened(&self) -> Result<&Opened, Error> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let opened = Opened::new(self.cache.as_deref())?;
        Ok(self.opened.get_or_init(|| opened))
    }

    /// The module that is meant, as its registry has it now. `before`: which one it was until now. A version that was
    /// published neither changes nor goes away, so one that names something else, and an older one in the place of a newer
    /// one that the plan would still take, is refused unless `may_move` lets it.
    ///
    /// # Errors
    /// There is none, the registry cannot be asked, or it has gone back on what it had.
    pub fn choose(
        &self,
        module: &OciModule,
        before: Option<&Pinned>,
        may_move: bool,
    ) -> Result<Pinned, LoadError> {
        let Opened { runtime, client } = self.opened()?;
        let repository = &module.repository;
        let tag = match &module.wanted {
            Wanted::Manifest(manifest) => return Ok(Pinned { tag: String::new(), manifest: *manifest }),
            Wanted::Tag(tag) => tag.clone(),
            Wanted::Version(requirement) => {
                let tags = runtime.block_on(client.tags(repository))?;
                let newest = requirement.newest(&tags).cloned();
                newest.ok_or_else(|| LoadError::NoVersion {
                    requirement: requirement.to_string(),
                    there: versions(&tags),
                })?
            }
        };
        if let (Some(before), Ok(is), false) = (before, Version::parse(tag.as_str()), may_move)
            && let Ok(was) = Version::parse(&before.tag)
            && module.takes(before)
            && is < was
        {
            return Err(LoadError::Older { was, is });
        }
        let reference = Reference::new(repository.clone(), Some(tag.clone()), None);
        let manifest = runtime.block_on(client.resolve(&reference))?;
        match before {
            Some(before)
                if matches!(module.wanted, Wanted::Version(_))
                    && before.tag == tag.as_str()
                    && before.manifest != manifest
                    && !may_move =>
            {
                Err(Error::TagMoved {
                    repository: repository.clone(),
                    tag,
                    was: before.manifest,
                    is: manifest,
                }
                .into())
            }
            _ => Ok(Pinned { tag: tag.as_str().to_owned(), manifest }),
        }
    }

    /// A module that was chosen: kept, or fetched, and verified by its digests.
    ///
    /// # Errors
    /// It is not there, or not what its digest says.
    pub fn fetch(&self, repository: &Repository, pinned: &Pinned) -> Result<Source, Error> {
        let Opened { runtime, client } = self.opened()?;
        let pulled = runtime.block_on(client.pull(repository, &pinned.manifest))?;
        Ok(Source {
            bytes: Vec::from(pulled.component).into(),
            digest: pulled.digest,
            origin: Origin::Registry { repository: repository.clone(), pinned: pinned.clone() },
            said_in: None,
        })
    }

    /// What others say of a module. `fresh`: the registry is asked; else what was said when it was last asked, if it was.
    /// What makes no sense is left out with a warning: anybody may attach it.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn evidence(
        &self,
        repository: &Repository,
        manifest: &Digest,
        fresh: bool,
    ) -> Result<Evidence, LoadError> {
        let Opened { runtime, client } = self.opened()?;
        let ask = async {
            let seen = match fresh {
                true => None,
                false => client.referrers_seen(repository, manifest).await?,
            };
            let list = match seen {
                Some(seen) => seen,
                None => client.referrers(repository, manifest).await?,
            };
            let ours = |referrer: &&runner_registry::Referrer| {
                let kind = referrer.artifact_type.as_str();
                [SIGNATURE, STATEMENT].contains(&kind) || kind.starts_with(BUNDLE)
            };
            let list: Vec<_> = list.iter().filter(ours).collect();
            if list.len() > MOST {
                return Err(LoadError::TooMuchSaid { count: list.len(), most: MOST });
            }
            let mut evidence = Evidence::default();
            for referrer in list {
                match client.pull_referrer(repository, manifest, &referrer.manifest).await {
                    Ok(attached) => add(&mut evidence, attached),
                    Err(error) if error.is_of_the_content() => {
                        tracing::warn!("what is attached to a module is left out: {error}");
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(evidence)
        };
        runtime.block_on(async {
            tokio::time::timeout(SAID_WITHIN, ask).await.unwrap_or_else(|_| {
                let what = format!("all that is said of {repository}@{manifest} did not come");
                let host = repository.registry().to_owned();
                Err(Error::Timeout { host, what, after: SAID_WITHIN }.into())
            })
        })
    }

    /// Pushes a component under a tag.
    ///
    /// # Errors
    /// The tag names another one and `overwrite` does not let it be moved, or the registry refuses.
    pub fn push(
        &self,
        repository: &Repository,
        tag: &Tag,
        component: Vec<u8>,
        metadata: &Metadata,
        overwrite: Overwrite,
    ) -> Result<Pushed, Error> {
        let Opened { runtime, client } = self.opened()?;
        runtime.block_on(client.push(repository, tag, component, metadata, overwrite))
    }

    /// Attaches a signature over the component to what the registry has.
    ///
    /// # Errors
    /// The registry refuses.
    pub fn attach_signature(
        &self,
        repository: &Repository,
        manifest: &Digest,
        armored: String,
    ) -> Result<Digest, Error> {
        let files = vec![file("module.sig", "application/vnd.runner.sshsig", armored.into_bytes())];
        self.attach(repository, manifest, SIGNATURE, files)
    }

    /// Attaches a statement with its signature.
    ///
    /// # Errors
    /// The registry refuses.
    pub fn attach_statement(
        &self,
        repository: &Repository,
        manifest: &Digest,
        signed: Signed,
    ) -> Result<Digest, Error> {
        let files = vec![
            file("statement.json", "application/vnd.in-toto+json", signed.statement),
            file("statement.json.sig", "application/vnd.runner.sshsig", signed.signature),
        ];
        self.attach(repository, manifest, STATEMENT, files)
    }

    fn attach(
        &self,
        repository: &Repository,
        manifest: &Digest,
        kind: &str,
        files: Vec<File>,
    ) -> Result<Digest, Error> {
        let Opened { runtime, client } = self.opened()?;
        let attachment = Attachment { artifact_type: kind.to_owned(), files };
        runtime.block_on(client.attach(repository, manifest, &attachment))
    }
}

fn file(name: &str, media_type: &str, content: Vec<u8>) -> File {
    File { media_type: media_type.to_owned(), name: name.to_owned(), content: content.into() }
}

/// Sorts what is attached: one thing each. What makes no sense is for the judge to refuse.
fn add(evidence: &mut Evidence, attached: Attached) {
    let small = |file: &&File| file.content.len() <= LARGEST_SAID;
    let named = |name: &str| {
        let file = attached.files.iter().find(|file| file.name == name).filter(small);
        file.map(|file| file.content.to_vec())
    };
    let first = attached.files.first();
    match attached.artifact_type.as_str() {
        SIGNATURE => evidence.signatures.extend(first.filter(small).map(|file| file.content.to_vec())),
        STATEMENT => {
            let signed = Signed {
                statement: named("statement.json").unwrap_or_default(),
                signature: named("statement.json.sig").unwrap_or_default(),
            };
            add_statement(evidence, signed);
        }
        kind if kind.starts_with(BUNDLE) => {
            evidence.bundles.extend(first.map(|file| file.content.to_vec()));
        }
        _ => {}
    }
}

/// A statement, by what it says.
pub fn add_statement(evidence: &mut Evidence, signed: Signed) {
    match Statement::parse(&signed.statement) {
        Ok(Statement::Revocation(_)) => evidence.revocations.push(signed),
        _ => evidence.vettings.push(signed),
    }
}

/// The newest versions among the tags, for a message.
fn versions(tags: &[Tag]) -> Vec<String> {
    let mut versions: Vec<_> = tags.iter().filter_map(|tag| Version::parse(tag.as_str()).ok()).collect();
    versions.sort_by(|a, b| b.cmp(a));
    versions.into_iter().take(NAMED).map(|version| version.to_string()).collect()
}
