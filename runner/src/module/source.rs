//! Where a module's bytes come from, before anything of them is believed.

use super::load::LoadError;
use runner_model::oci::Repository;
use runner_model::{Digest, Pinned};
use std::borrow::Cow;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The largest component that is read. A Python interpreter has 19 MB.
pub const LARGEST: u64 = 256 * 1024 * 1024;

/// A module that nobody has looked at.
#[derive(Debug, Clone)]
pub struct Source {
    /// The component, or what is said to be one.
    pub bytes: Cow<'static, [u8]>,
    /// Of the bytes.
    pub digest: Digest,
    /// Where it comes from.
    pub origin: Origin,
    /// Of a file of another time: where what was said of it then is kept.
    pub said_in: Option<PathBuf>,
}

/// Where a module comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It is a part of the runner.
    Builtin,
    /// A file on this machine.
    File(PathBuf),
    /// A registry.
    Registry {
        /// Where in it.
        repository: Repository,
        /// What the registry has there, under which name.
        pinned: Pinned,
    },
}

impl Source {
    /// What its registry has under which name; `None`: it is from no registry.
    pub fn pinned(&self) -> Option<&Pinned> {
        match &self.origin {
            Origin::Registry { pinned, .. } => Some(pinned),
            Origin::Builtin | Origin::File(_) => None,
        }
    }
}

impl Source {
    /// A standard module; its digest was computed when this binary was built.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn builtin(name: &str) -> Result<Self, LoadError> {
        let module = runner_steps::find(name)
            .ok_or_else(|| LoadError::Unknown { name: name.to_owned(), known: standard().collect() })?;
        // A digest that does not read would be a bug of the build; computing it is always right.
        let digest = module.digest.parse().unwrap_or_else(|_| Digest::of(module.bytes));
        Ok(Self { bytes: Cow::Borrowed(module.bytes), digest, origin: Origin::Builtin, said_in: None })
    }

    /// A component in a file.
    ///
    /// # Errors
    /// It cannot be read, or nobody's component is that large.
    pub fn file(path: &Path) -> Result<Self, LoadError> {
        let failed = |source| LoadError::Read { path: path.to_owned(), source };
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            // A pipe would be waited for.
            return Err(failed(std::io::Error::other("it is not a file")));
        }
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > LARGEST {
            return Err(LoadError::TooLarge { path: path.to_owned() });
        }
        let digest = Digest::of(&bytes);
        let origin = Origin::File(path.to_owned());
        Ok(Self { bytes: Cow::Owned(bytes), digest, origin, said_in: None })
    }
}

/// The names of the standard modules.
pub fn standard() -> impl Iterator<Item = &'static str> {
    runner_steps::MODULES.iter().map(|module| module.name)
}
