//! Files that people wrote: how they are read, and how messages name them.

use runner_model::Problems;
use runner_model::diagnostic::{Code, Problem};
use runner_model::source::MAX_SOURCE_BYTES;
use std::io::Read as _;
use std::path::Path;

/// A file that a person wrote, with a limit on its size.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Problems> {
    read_or(path, "")
}

/// The same, with what mends it when it cannot be read.
pub(crate) fn read_or(path: &Path, mend: &str) -> Result<Vec<u8>, Problems> {
    let name = shown(path);
    let failed = |why: &dyn std::fmt::Display, mend: &str| {
        let problem = Problem::with_file(Code::Missing, name.clone(), format!("cannot be read: {why}"));
        Problems::from(if mend.is_empty() { problem } else { problem.hint(mend) })
    };
    // Before it is opened: a pipe would be waited for.
    let kind = std::fs::metadata(path).map_err(|error| failed(&error, mend))?.file_type();
    if kind.is_dir() {
        return Err(failed(&"it is a folder", "name the file in it"));
    }
    if !kind.is_file() {
        return Err(failed(&"it is not a file", mend));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| failed(&error, mend))?;
    file.take(MAX_SOURCE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| failed(&error, mend))?;
    if bytes.len() as u64 > MAX_SOURCE_BYTES {
        let size = std::fs::metadata(path).map_or(bytes.len() as u64, |metadata| metadata.len());
        return Err(Problem::too_large(name, size).into());
    }
    Ok(bytes)
}

/// A path as messages name it.
pub(crate) fn shown(path: &Path) -> String {
    let path = path.strip_prefix("./").ok().filter(|rest| !rest.as_os_str().is_empty()).unwrap_or(path);
    path.display().to_string().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_no_file_and_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("plan.toml");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
        assert!(made.success());
        let problems = read(&pipe).expect_err("a pipe");
        assert!(problems.plain().contains("it is not a file"), "{}", problems.plain());
    }
}
