//! From references to modules that can be run: bytes, digest, compiled code, imports, manifest. Only modules that a
//! plan uses are loaded, all at the same time.

use super::compile::{Compiler, Invalid};
use super::describe::{DescribeError, Descriptions};
use super::imports::{Imports, NotAStep};
use super::shape::NotAComponent;
use super::source::{LARGEST, Origin, Source};
use runner_model::oci::Repository;
use runner_model::text::shown;
use runner_model::{Digest, Manifest, ManifestError, ModuleRef, Pinned};
use semver::Version;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use wasmtime::component::Component;

/// A module that is whole, fits this runner and says what it is. Not linked yet: that takes a sandbox.
#[derive(Clone)]
pub struct Module {
    /// Names its bytes.
    pub digest: Digest,
    /// Its size.
    pub size: usize,
    /// Its code.
    pub component: Component,
    /// What it imports.
    pub imports: Imports,
    /// What it says of itself.
    pub manifest: Manifest,
    /// What its registry has under which name; `None`: it is from no registry.
    pub pinned: Option<Pinned>,
}

/// Why a module cannot be used: a fragment that fits after its name.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No standard module has this name.
    #[error("there is no standard module `{name}`; there are {}", Names(known))]
    Unknown {
        /// As the plan has it.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// The registry has no version that the plan takes.
    #[error("the registry has no version that fits `{requirement}`; {}", Versions(there))]
    NoVersion {
        /// What the plan takes.
        requirement: String,
        /// The newest that are there.
        there: Vec<String>,
    },
    /// It calls itself otherwise than its registry does.
    #[error("it calls itself `{}`, and `{repository}` is another name", shown(says))]
    OtherName {
        /// Its own name.
        says: String,
        /// Where it is.
        repository: Repository,
    },
    /// It says that it is another version than its tag says.
    #[error("its tag is `{tag}`, and it says itself that it is {}", shown(says))]
    OtherVersion {
        /// Its own version.
        says: String,
        /// The registry's.
        tag: String,
    },
    /// More is attached to it than anybody looks at.
    #[error("{count} signatures and statements are attached to it, and at most {most} are looked at")]
    TooMuchSaid {
        /// How many there are.
        count: usize,
        /// How many are taken.
        most: usize,
    },
    /// Its registry.
    #[error(transparent)]
    Registry(#[from] runner_registry::Error),
    /// The operator's policy does not let it be used.
    #[error(transparent)]
    Refused(#[from] Box<runner_trust::Refusal>),
    /// No lock says which one of its registry is meant.
    #[error("no lock says yet which one it is: `runner lock` asks its registry")]
    NotChosen,
    /// The lock names another one than the plan asks for.
    #[error("the lock has {locked}, and the plan asks for another one")]
    OtherLocked {
        /// What the lock has.
        locked: String,
    },
    /// The lock says of it what cannot be.
    #[error("the lock has the component {locked} for it, and the manifest that it names too has {found}")]
    Contradiction {
        /// The component that the lock names.
        locked: Digest,
        /// The one of the manifest.
        found: Digest,
    },
    /// The newest version of the registry is older than the one that the lock has.
    #[error("the newest version that the registry has is {is}, and the lock has {was}")]
    Older {
        /// What the lock has.
        was: Version,
        /// What the registry has.
        is: Version,
    },
    /// The lock of then does not name it.
    #[error("its lock does not name it")]
    NotLocked,
    /// It is another one today, and the store does not have that of then.
    #[error("that of then, {digest}, is neither what is there now nor in this machine's store")]
    Lost {
        /// Of the component.
        digest: Digest,
    },
    /// What others say of a file lies beside it, and cannot be read.
    #[error("what lies beside it cannot be used: {}", .why.trim_end())]
    Beside {
        /// Which file, and why.
        why: String,
    },
    /// The file is not there, or cannot be read.
    #[error("the file cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Nobody's component is that large.
    #[error("the file has more than {} MiB", LARGEST >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is something else, or only a part of it.
    #[error(transparent)]
    NotAComponent(#[from] NotAComponent),
    /// The engine refuses it.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It is no step, or none for this runner.
    #[error(transparent)]
    NotAStep(#[from] NotAStep),
    /// It does not say what it is.
    #[error(transparent)]
    Describe(#[from] DescribeError),
    /// It is not what it says.
    #[error("its manifest says that it is a {says}, and it exports what a {is} does")]
    OtherWorld {
        /// The world of the manifest.
        says: &'static str,
        /// The world of the exports.
        is: &'static str,
    },
    /// What it says makes no sense.
    #[error("its manifest is not usable: {0}")]
    Manifest(#[from] ManifestError),
}

impl LoadError {
    /// What mends it, where more helps than its message.
    pub fn mend(&self) -> Option<String> {
        match self {
            Self::Registry(error) => Some(error.mend()),
            Self::Refused(refusal) => Some(refusal.hint()),
            Self::OtherName { .. } | Self::OtherVersion { .. } => Some(
                "ask whoever published it: a registry may name what it likes, a signed module may not"
                    .to_owned(),
            ),
            Self::OtherLocked { .. } | Self::Contradiction { .. } => Some(
                "`runner lock` writes the lock anew; if nobody changed the plan, ask who changed the lock".to_owned(),
            ),
            Self::Older { .. } => Some(
                "a version that was published does not go away by itself: ask who runs the registry. To go back to the older \
                 one, `runner lock --update --allow-moved`"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

struct Versions<'a>(&'a [String]);

impl std::fmt::Display for Versions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            [] => f.write_str("it has no version at all"),
            newest => write!(f, "the newest there are {}", newest.join(", ")),
        }
    }
}

struct Names<'a>(&'a [&'static str]);

impl std::fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().enumerate().try_for_each(|(index, name)| {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}`{name}`")
        })
    }
}

/// Loads modules.
#[derive(Debug)]
pub struct Loader {
    compiler: Compiler,
    descriptions: Descriptions,
}

impl Loader {
    /// A loader that keeps what it finds out as these two do.
    pub fn new(compiler: Compiler, descriptions: Descriptions) -> Self {
        Self { compiler, descriptions }
    }

    /// A loader that keeps everything below the user's cache folder; where that is not safe, it says so to the log and
    /// keeps nothing.
    pub fn in_cache(engine: &wasmtime::Engine, cache: Option<&Path>) -> Self {
        let refused =
            |error: super::compile::Refused| tracing::warn!("the cache of modules is not used: {error}");
        let compiler = cache
            .and_then(|cache| Compiler::with_cache(engine, &cache.join("compiled")).map_err(refused).ok())
            .unwrap_or_else(|| Compiler::without_cache(engine));
        let descriptions = cache
            .and_then(|cache| Descriptions::with_cache(&cache.join("described")).map_err(refused).ok())
            .unwrap_or_else(Descriptions::without_cache);
        Self::new(compiler, descriptions)
    }

    /// The engine that they are compiled for.
    pub fn engine(&self) -> &wasmtime::Engine {
        self.compiler.engine()
    }

    /// Loads these modules, each on a thread of its own.
    pub fn load_all(
        &self,
        sources: BTreeMap<ModuleRef, Result<Source, LoadError>>,
    ) -> BTreeMap<ModuleRef, Result<Module, LoadError>> {
        std::thread::scope(|scope| {
            let running: Vec<_> = sources
                .into_iter()
                .map(|(reference, source)| {
                    let load = move || source.and_then(|source| self.load(&source));
                    (reference, scope.spawn(load))
                })
                .collect();
            running
                .into_iter()
                .map(|(reference, thread)| {
                    let loaded = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                    (reference, loaded)
                })
                .collect()
        })
    }

    /// Loads one module.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn load(&self, source: &Source) -> Result<Module, LoadError> {
        let module = self.load_bytes(&source.bytes, source.digest)?;
        if let Origin::Registry { repository, pinned } = &source.origin {
            named_alike(&module.manifest, repository, pinned)?;
        }
        Ok(Module { pinned: source.pinned().cloned(), ..module })
    }

    /// Loads a module from its bytes, whose digest the caller knows.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn load_bytes(&self, bytes: &[u8], digest: Digest) -> Result<Module, LoadError> {
        super::shape::check(bytes)?;
        let component = self.compiler.component(&digest, bytes)?;
        let engine = self.compiler.engine();
        let imports = super::imports::check(engine, &component)?;
        let manifest = self.descriptions.of(&digest, engine, &component, &imports)?;
        if manifest.world != imports.world {
            return Err(LoadError::OtherWorld { says: manifest.world.word(), is: imports.world.word() });
        }
        Ok(Module { digest, size: bytes.len(), component, imports, manifest, pinned: None })
    }
}

/// Whether a module calls itself what its registry calls it. Its own name and version are in the bytes that people sign and
/// that the lock pins; those of a registry are in nobody's hand but the registry's, which could give an older version a
/// newer tag.
fn named_alike(manifest: &Manifest, repository: &Repository, pinned: &Pinned) -> Result<(), LoadError> {
    if manifest.name != repository.name() {
        return Err(LoadError::OtherName { says: manifest.name.clone(), repository: repository.clone() });
    }
    match Version::parse(&pinned.tag) {
        Ok(version) if version.to_string() != manifest.version => {
            Err(LoadError::OtherVersion { says: manifest.version.clone(), tag: pinned.tag.clone() })
        }
        _ => Ok(()),
    }
}
