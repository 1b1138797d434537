//! Files beside the plan, under the folders that are granted (`files = ["read:src"]`), as they were when the step
//! began. Paths are relative to the plan's folder, use `/`, and cannot leave it.

use crate::types::Entry;
use crate::{Result, sys};

/// What is at the path; `None` when there is nothing.
///
/// # Errors
/// `denied`, `invalid`.
pub fn stat(path: &str) -> Result<Option<Entry>> {
    sys::workspace::stat(path)
}

/// What is in the folder, sorted by name (bytewise).
///
/// # Errors
/// `denied`, `not-found`, `conflict`.
pub fn read_dir(path: &str) -> Result<Vec<Entry>> {
    sys::workspace::read_dir(path)
}

/// The text of a file of up to 1 MiB.
///
/// # Errors
/// `denied`, `not-found`; `invalid` when it is larger or not UTF-8: then [`crate::Artifact::pack`].
pub fn read(path: &str) -> Result<String> {
    sys::workspace::read(path)
}

/// Of a file's content, or of a folder's manifest.
///
/// # Errors
/// `denied`, `not-found`.
pub fn digest(path: &str) -> Result<String> {
    sys::workspace::digest(path)
}

/// Makes the file have this text, atomically; folders are made as needed.
///
/// # Errors
/// `denied`, `conflict`.
pub fn write(path: &str, text: &str) -> Result<bool> {
    sys::workspace::write(path, text)
}
