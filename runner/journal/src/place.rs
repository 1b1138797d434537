//! Where the journal of a run is, and what the run is called.

use crate::Error;
use jiff::Timestamp;
use runner_model::RunId;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A new id: the UTC time to the second, so that ids sort by time, and 32 random bits, so that two runs that begin in
/// the same second differ: `20260131-235959-0a1b2c3d`.
///
/// # Panics
/// Never: what it makes is always an id.
pub fn new_run_id() -> RunId {
    run_id_at(Timestamp::now(), rand::random())
}

fn run_id_at(now: Timestamp, random: u32) -> RunId {
    let text = format!("{}-{random:08x}", now.strftime("%Y%m%d-%H%M%S"));
    text.parse().expect("digits, dashes and hexadecimal digits are an id")
}

/// Makes the folder of a run, `<plan folder>/.runner/runs/<run>`, and all above it that is missing, for this user only
/// (0700); `.runner` gets a `.gitignore` that names everything in it.
///
/// # Errors
/// It cannot be made, exists already, or `.runner` is somebody else's or not a folder.
pub fn run_folder(plan: &Path, run: &RunId) -> Result<PathBuf, Error> {
    let host = plan.join(".runner");
    let runs = host.join("runs");
    let folder = runs.join(run.as_str());
    for (path, may_exist) in [(&host, true), (&runs, true), (&folder, false)] {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if may_exist && error.kind() == io::ErrorKind::AlreadyExists => check_own(path)?,
            made => made.map_err(|error| Error::io("make the folder", path, error))?,
        }
    }
    let ignore = host.join(".gitignore");
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&ignore) {
        Ok(mut file) => file.write_all(b"*\n").map_err(|error| Error::io("write", &ignore, error))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Error::io("make", &ignore, error)),
    }
    // A journal whose folder is gone after a power failure is no journal.
    for path in [&runs, &host, &plan.to_owned()] {
        File::open(path)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| Error::io("sync", path, error))?;
    }
    Ok(folder)
}

/// Whoever may write there could change what a run is said to have done.
fn check_own(path: &Path) -> Result<(), Error> {
    let meta = path.symlink_metadata().map_err(|error| Error::io("stat", path, error))?;
    let why = if !meta.is_dir() {
        "it is not a folder; a link to one will not do"
    } else if meta.uid() != rustix::process::geteuid().as_raw() {
        "it belongs to another user"
    } else if meta.permissions().mode() & 0o022 != 0 {
        "others may write to it: chmod go-w it"
    } else {
        return Ok(());
    };
    Err(Error::io("use", path, io::Error::new(io::ErrorKind::PermissionDenied, why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_differ() {
        let at = |text: &str, random| run_id_at(text.parse().expect("a time"), random);
        let early = at("2026-01-31T23:59:59Z", u32::MAX);
        let late = at("2026-02-01T00:00:00.9Z", 0);
        assert_eq!(early.as_str(), "20260131-235959-ffffffff");
        assert_eq!(late.as_str(), "20260201-000000-00000000");
        assert!(early < late);
        assert_ne!(new_run_id(), new_run_id());
    }

    #[test]
    fn the_folder_is_for_this_user_only_and_git_ignores_it() {
        let plan = tempfile::tempdir().expect("a folder");
        let run = new_run_id();
        let folder = run_folder(plan.path(), &run).expect("made");
        let mode = |path: &Path| path.metadata().expect("stat").permissions().mode() & 0o777;
        for path in [&folder, &plan.path().join(".runner"), &plan.path().join(".runner/runs")] {
            assert_eq!(mode(path), 0o700, "{}", path.display());
        }
        let ignore = plan.path().join(".runner/.gitignore");
        assert_eq!(std::fs::read_to_string(ignore).expect("read"), "*\n");
        assert!(run_folder(plan.path(), &run).is_err(), "a run has its folder once");
        run_folder(plan.path(), &new_run_id()).expect("made");
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let plan = tempfile::tempdir().expect("a folder");
        let host = plan.path().join(".runner");
        std::fs::create_dir(&host).expect("made");
        std::fs::set_permissions(&host, std::fs::Permissions::from_mode(0o777)).expect("chmod");
        let error = run_folder(plan.path(), &new_run_id()).expect_err("unsafe").to_string();
        assert!(error.contains("others may write to it"), "{error}");
        std::fs::remove_dir(&host).expect("removed");
        std::os::unix::fs::symlink("/tmp", &host).expect("linked");
        assert!(run_folder(plan.path(), &new_run_id()).is_err());
    }
}
