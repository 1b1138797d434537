//! Files that hold a value, or many of them in cipher.

use super::{Fetched, Why};
use runner_secret::LARGEST;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use zeroize::Zeroizing;

/// The content of a file that nobody else may read.
pub(super) fn private(path: &Path) -> Fetched {
    let shown = path.display();
    let cannot = |error: std::io::Error| Why::new(format_args!("`{shown}` cannot be read: {error}"));
    let mut file = std::fs::File::open(path).map_err(cannot)?;
    let meta = file.metadata().map_err(cannot)?;
    if !meta.is_file() {
        return Err(Why::new(format_args!("`{shown}` is not a file")));
    }
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Why::new(format_args!("`{shown}` may be read or written by others (mode {mode:03o})"))
            .hint(format_args!("take it away from them: chmod 600 {shown}")));
    }
    let own = rustix::process::geteuid().as_raw();
    if meta.uid() != own && meta.uid() != 0 {
        return Err(Why::new(format_args!("`{shown}` belongs to another user"))
            .hint(format_args!("make a file of your own: only its owner should be able to change it")));
    }
    let limit = LARGEST as u64 + 3;
    let mut bytes =
        Zeroizing::new(Vec::with_capacity(usize::try_from(meta.len().min(limit)).unwrap_or_default() + 1));
    file.by_ref().take(limit).read_to_end(&mut bytes).map_err(cannot)?;
    Ok(bytes)
}
