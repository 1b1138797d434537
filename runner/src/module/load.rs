//! From references to modules that can be run: bytes, digest, compiled code, imports, manifest. Only modules that a
//! plan uses are loaded, all at the same time.

use super::compile::{Compiler, Invalid};
use super::describe::{DescribeError, Descriptions};
use super::imports::{Imports, NotAStep};
use super::shape::NotAComponent;
use super::source::{LARGEST, Source};
use runner_model::{Digest, Manifest, ManifestError, ModuleRef, Pinned};
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
    /// The lock of then does not name it.
    #[error("its lock does not name it")]
    NotLocked,
    /// It is another one today, and the store does not have that of then.
    #[error("that of then, {digest}, is neither what is there now nor in this machine's store")]
    Lost {
        /// Of the component.
        digest: Digest,
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
        Ok(Module { pinned: source.pinned.clone(), ..module })
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
