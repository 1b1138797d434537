//! Writes files of people so that nobody sees half of one.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Writes the file so that whoever reads it sees the old text or the new one. A link stays one: the file that it leads to
/// is replaced. The mode stays what it is.
pub(super) fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let file = match file.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => file.to_owned(),
        Err(error) => return Err(error),
    };
    let mode = match std::fs::metadata(&file) {
        Ok(metadata) => metadata.permissions().mode() & 0o7777,
        Err(_) => 0o644,
    };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut new = tempfile::Builder::new().prefix(&format!(".{name}.")).tempfile_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    new.as_file().sync_all()?;
    new.persist(&file)?;
    Ok(())
}

/// Writes bytes that were made: whole or not at all, folders as needed.
pub(super) fn write_whole(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut whole = tempfile::NamedTempFile::new_in(folder)?;
    whole.write_all(bytes)?;
    whole.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    whole.persist(file)?;
    Ok(())
}
