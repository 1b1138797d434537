//! Files that a build makes on its way, below the project's `target`.

use crate::Error;
use std::path::Path;
use walkdir::{DirEntry, WalkDir};

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

/// Copies the files in a folder and below it, but for these names in the folder itself, and for what is hidden or a cache
/// of Python. Links are followed: one that leads nowhere or in a circle has nothing to copy, neither has a pipe, and what lies
/// beside the copy is the build's own.
pub(crate) fn copy(from: &Path, to: &Path, left_out: &[&str]) -> Result<(), Error> {
    let own = to.parent().and_then(|folder| folder.canonicalize().ok());
    let is_own = |entry: &DirEntry| {
        let real = entry.file_type().is_dir().then(|| entry.path().canonicalize().ok()).flatten();
        real.zip(own.as_ref()).is_some_and(|(real, own)| real.starts_with(own))
    };
    let is_wanted = |entry: &DirEntry| {
        let name = entry.file_name().to_str().unwrap_or(".");
        let is_left_out = entry.depth() == 1 && left_out.contains(&name);
        entry.depth() == 0
            || !(name.starts_with('.') || name == "__pycache__" || is_left_out || is_own(entry))
    };
    for entry in WalkDir::new(from).follow_links(true).into_iter().filter_entry(is_wanted) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if error.loop_ancestor().is_some() => continue,
            Err(error) => match error.io_error().map(std::io::Error::kind) {
                Some(std::io::ErrorKind::NotFound) if error.depth() > 0 => continue,
                _ => return Err(Error::Read { path: from.to_owned(), source: error.into() }),
            },
        };
        let target = to.join(entry.path().strip_prefix(from).unwrap_or(entry.path()));
        if entry.file_type().is_dir() {
            make_folder(&target)?;
        } else if entry.file_type().is_file() {
            std::fs::write(&target, read(entry.path())?).map_err(|source| failed(&target, source))?;
        }
    }
    Ok(())
}

fn failed(path: &Path, source: std::io::Error) -> Error {
    Error::Write { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn files_are_copied_and_nothing_that_has_no_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let (from, to) = (folder.path().join("from"), folder.path().join("work/to"));
        for file in ["step.py", "target/made", "more/target/__init__.py", "more/__pycache__/x", ".venv/x"] {
            let file = from.join(file);
            fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            fs::write(file, "x").expect("written");
        }
        symlink("nowhere", from.join("dangling.py")).expect("a link");
        symlink("..", from.join("more/up")).expect("a link");
        symlink("more", from.join("linked")).expect("a link");
        fs::create_dir_all(folder.path().join("work/other")).expect("a folder");
        fs::write(folder.path().join("work/other/made.py"), "x").expect("written");
        symlink("../work", from.join("work")).expect("a link");
        let made = std::process::Command::new("mkfifo").arg(from.join("pipe.py")).status();
        assert!(made.expect("mkfifo").success());
        copy(&from, &to, &["target"]).expect("copied");
        let mut there: Vec<_> = WalkDir::new(&to)
            .into_iter()
            .map(|entry| entry.expect("an entry"))
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| entry.path().strip_prefix(&to).expect("below").display().to_string())
            .collect();
        there.sort();
        assert_eq!(there, ["linked/target/__init__.py", "more/target/__init__.py", "step.py"]);
        assert!(matches!(copy(&from.join("gone"), &to, &[]), Err(Error::Read { .. })));
    }
}
