//! Handles on what stays in the host: artifacts and secrets.

use crate::{Result, sys};

/// Content-addressed data in the runner's store: a file, or a tree of files.
#[derive(Debug)]
pub struct Artifact(pub(crate) sys::Artifact);

impl Artifact {
    /// Packs a file or a folder of the workspace, deterministically. `exclude` takes the patterns of `.gitignore`.
    ///
    /// # Errors
    /// `denied`, `not-found`, `invalid`.
    pub fn pack(path: &str, exclude: &[String]) -> Result<Self> {
        sys::pack(path, exclude).map(Self)
    }

    /// An artifact of this run, by the digest that another step gave out.
    ///
    /// # Errors
    /// `not-found`.
    pub fn open(digest: &str) -> Result<Self> {
        sys::open(digest).map(Self)
    }

    /// Stores a file that the step has made, at most 16 MiB.
    ///
    /// # Errors
    /// `invalid` when it is larger.
    pub fn from_bytes(content: &[u8]) -> Result<Self> {
        sys::from_bytes(content).map(Self)
    }

    /// Give this out as an output, and [`Artifact::open`] it in another step.
    pub fn digest(&self) -> String {
        self.0.digest()
    }

    /// In bytes; of a tree, of all its files.
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// The content of a file of up to 16 MiB.
    ///
    /// # Errors
    /// `invalid` when it is larger, `conflict` for a tree.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        self.0.bytes()
    }

    /// Makes a file or folder of the workspace equal to it.
    ///
    /// # Errors
    /// `denied`, `conflict`.
    pub fn save(&self, path: &str) -> Result<bool> {
        self.0.save(path)
    }
}

/// A value that the step may use and never sees. What is made of it is a secret too.
#[derive(Debug)]
pub struct Secret(pub(crate) sys::Secret);

impl Secret {
    /// A secret that the plan gives to this step, by its name.
    ///
    /// # Errors
    /// `denied`, `not-found`.
    pub fn get(name: &str) -> Result<Self> {
        sys::secret(name).map(Self)
    }

    /// With text around it: `token.wrap("Bearer ", "")`.
    #[must_use]
    pub fn wrap(&self, before: &str, after: &str) -> Self {
        Self(self.0.wrap(before, after))
    }

    /// With another one behind it: the lines of an `.env` file.
    #[must_use]
    pub fn append(&self, other: &Self) -> Self {
        Self(self.0.append(&other.0))
    }

    /// In base64, as `authorization: Basic` wants it.
    #[must_use]
    pub fn base64(&self) -> Self {
        Self(self.0.base64())
    }

    /// Percent-encoded, for a part of a URL.
    #[must_use]
    pub fn url_encode(&self) -> Self {
        Self(self.0.url_encode())
    }
}
