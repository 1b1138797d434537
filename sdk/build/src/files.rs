//! Files that a build makes on its way, below the project's `target`.

use crate::Error;
use std::path::Path;

/// Makes the folder, empty: what an earlier build left is gone.
pub(crate) fn fresh_folder(path: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(failed(path, source)),
        _ => make_folder(path),
    }
}

pub(crate) fn make_folder(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(|source| failed(path, source))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|source| failed(path, source))
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// Copies what is in a folder and below it, but for names that are not wanted.
pub(crate) fn copy(from: &Path, to: &Path, is_wanted: &dyn Fn(&str) -> bool) -> Result<(), Error> {
    let unreadable = |source| Error::Read { path: from.to_owned(), source };
    make_folder(to)?;
    for entry in std::fs::read_dir(from).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let (name, target) = (entry.file_name(), to.join(entry.file_name()));
        if !name.to_str().is_some_and(is_wanted) {
            continue;
        }
        if entry.path().is_dir() {
            copy(&entry.path(), &target, is_wanted)?;
        } else {
            std::fs::write(&target, read(&entry.path())?).map_err(|source| failed(&target, source))?;
        }
    }
    Ok(())
}

fn failed(path: &Path, source: std::io::Error) -> Error {
    Error::Write { path: path.to_owned(), source }
}
