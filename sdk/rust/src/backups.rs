//! Backups in a folder on a target: `<name>-<UTC time>.<ending>`, or a folder `<name>-<UTC time>` with several in it; how
//! much room the next one needs, and which of them are too many.

use crate::params::Size;
use crate::{Entry, Error, ErrorKind, Result, Target, timer};
use serde::{Deserialize, Serialize};

/// How archives end.
pub const ARCHIVES: &[&str] = &["tar.zst", "tar.gz", "tar"];
/// A set of archives is a folder: it ends with nothing.
pub const SETS: &[&str] = &[""];
/// The file in a set that says what is in it. It is written last.
pub const CONTENTS: &str = "backup.json";

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The name of its file or folder.
    pub file: String,
    /// What it is a backup of.
    pub name: String,
    /// When it was made, as in the name of its file; sorts by time.
    pub stamp: String,
    /// In bytes; of a folder, 0.
    pub size: u64,
}

impl Backup {
    /// One that is made now.
    pub fn new(name: &str, ending: &str) -> Self {
        let stamp = timer::now().compact();
        let dot = if ending.is_empty() { "" } else { "." };
        Self { file: format!("{name}-{stamp}{dot}{ending}"), name: name.to_owned(), stamp, size: 0 }
    }

    /// Those in a folder with one of the endings; `None` where there is no folder. Whatever else is in it is nobody's
    /// business here, and never removed.
    ///
    /// # Errors
    /// Those of [`Target::read_dir`].
    pub fn all(target: &Target, folder: &str, endings: &[&str]) -> Result<Option<Vec<Self>>> {
        let entries = match target.read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.is(ErrorKind::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let read = |entry: &Entry| {
            let backup = Self::read(&entry.name, endings)?;
            let folder = backup.file.len() == backup.name.len() + 1 + backup.stamp.len();
            let fits = if folder { entry.is_directory() } else { entry.is_file() };
            fits.then_some(Self { size: entry.size, ..backup })
        };
        Ok(Some(entries.iter().filter_map(read).collect()))
    }

    fn read(file: &str, endings: &[&str]) -> Option<Self> {
        let stem = endings.iter().find_map(|ending| match *ending {
            "" => Some(file),
            ending => file.strip_suffix(ending)?.strip_suffix('.'),
        })?;
        let (name, stamp) = stem.rsplit_once('-')?;
        let shape = stamp.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
        let good = stamp.len() == 16 && shape && is_name(name);
        good.then(|| Self { file: file.to_owned(), name: name.to_owned(), stamp: stamp.to_owned(), size: 0 })
    }

    /// The newest of this name.
    pub fn newest<'a>(backups: &'a [Self], name: &str) -> Option<&'a Self> {
        backups.iter().filter(|backup| backup.name == name).max_by(|a, b| a.stamp.cmp(&b.stamp))
    }

    /// The bytes that the next one takes: somewhat more than this one did.
    pub fn next_takes(&self) -> u64 {
        self.size.saturating_add(self.size / 4)
    }
}

/// Whether it is one plain segment of a path: letters, digits, `-`, `_` and `.`.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// Those beyond the newest `keep`, oldest first, without the newest backup of each name in `spared`.
pub fn surplus<'a>(backups: &'a [Backup], keep: usize, spared: &[&str]) -> Vec<&'a Backup> {
    let mut newest_first: Vec<&Backup> = backups.iter().collect();
    newest_first.sort_by(|a, b| (&b.stamp, &b.file).cmp(&(&a.stamp, &a.file)));
    let newest_of = |name: &&str| newest_first.iter().find(|backup| backup.name == **name).copied();
    let spared: Vec<&Backup> = spared.iter().filter_map(newest_of).collect();
    let beyond = newest_first.iter().skip(keep).copied().filter(|backup| !spared.contains(backup));
    let mut surplus: Vec<&Backup> = beyond.collect();
    surplus.reverse();
    surplus
}

/// Fails where the file system of `place` has less room than a backup of `what` into `folder` needs.
///
/// # Errors
/// `conflict`, and those of [`Target::disk_free`].
pub fn need_room(target: &Target, place: &str, folder: &str, what: &str, need: u64) -> Result<()> {
    let free = target.disk_free(place)?;
    if free >= need {
        return Ok(());
    }
    let (need, free) = (Size::from_bytes(need), Size::from_bytes(free));
    let message = format!("backup of {what} on `{}` needs {need} in `{folder}`; free: {free}", target.name());
    Err(Error::conflict(message).with_detail("free some space there, or name another folder in `to`"))
}

/// What the target packs with: `zst`, else `gz`; `None` where it has neither.
///
/// # Errors
/// Those of all verbs.
pub fn packing(target: &Target) -> Result<Option<&'static str>> {
    Ok(match (target.has("zstd")?, target.has("gzip")?) {
        (true, _) => Some("zst"),
        (false, true) => Some("gz"),
        (false, false) => None,
    })
}

/// The ending of an archive that this target makes: `tar.zst`, `tar.gz` or `tar`.
///
/// # Errors
/// Those of all verbs.
pub fn archive_ending(target: &Target) -> Result<&'static str> {
    Ok(match packing(target)? {
        Some("zst") => "tar.zst",
        Some(_) => "tar.gz",
        None => "tar",
    })
}

/// What [`CONTENTS`] says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Set {
    /// The form of this file: 1.
    pub backup: u32,
    /// The name of the backup.
    pub name: String,
    /// What is in it.
    pub parts: Vec<Part>,
}

/// One archive of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Part {
    /// What was archived: an absolute path.
    pub path: String,
    /// The name of the archive.
    pub archive: String,
    /// Of the archive.
    pub digest: String,
    /// Of what was archived; null when it could not be told.
    pub content: Option<String>,
}

impl Set {
    /// Reads the set in this folder; `None` where it is not whole.
    ///
    /// # Errors
    /// `invalid` when its file cannot be read.
    pub fn read(target: &Target, folder: &str) -> Result<Option<Self>> {
        let path = format!("{folder}/{CONTENTS}");
        let text = match target.read(&path) {
            Ok(text) => text,
            Err(error) if error.is(ErrorKind::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let set: Self =
            serde_json::from_str(&text).map_err(|error| Error::invalid(format!("`{path}`: {error}")))?;
        let plain = |part: &Part| is_name(&part.archive) && part.path.starts_with('/');
        match set.backup {
            1 if set.parts.iter().all(plain) => Ok(Some(set)),
            1 => Err(Error::invalid(format!("`{path}`: an archive in it has no plain name"))),
            form => Err(Error::invalid(format!("`{path}`: its form {form} is not known"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    #[test]
    fn a_name_reads_back_and_other_files_are_no_backups() {
        let world = World::new();
        world.set_now(1_771_947_105_000);
        world.enter(|| {
            for ending in ["tar", "tar.gz", "tar.zst", ""] {
                let backup = Backup::new("4.2-0123456789ab", ending);
                assert_eq!(Backup::read(&backup.file, &["tar.zst", "tar.gz", "tar", ""]), Some(backup));
            }
        });
        for name in [
            "a-20260224T153145Z.zip",
            "a-20260224T153145Z.tar.zst.part",
            "a-20260224T153145Z",
            "a-2026.tar",
            "notes.tar.gz",
            "20260224T153145Z.tar",
            "-20260224T153145Z.tar",
            "é-20260224T153145Z.tar",
            "a-é0260224T153145Z.tar",
        ] {
            assert_eq!(Backup::read(name, ARCHIVES), None, "{name}");
        }
        assert_eq!(Backup::read("a-20260224T153145Z.partial", SETS), None);
    }

    #[test]
    fn a_folder_is_no_archive_and_a_file_no_set() {
        let world = World::new();
        let web = world.target("web-1");
        web.dir("/b/a-20260224T153145Z.tar").dir("/b/a-20260224T153146Z");
        web.file("/b/a-20260224T153147Z", "").file("/b/a-20260224T153148Z.tar", "");
        let files = |endings: &[&str]| {
            let found = world.enter(|| Backup::all(&Target::current(), "/b", endings)).expect("listed");
            found.expect("a folder").into_iter().map(|backup| backup.file).collect::<Vec<_>>()
        };
        assert_eq!(files(ARCHIVES), ["a-20260224T153148Z.tar"]);
        assert_eq!(files(SETS), ["a-20260224T153146Z"]);
    }

    #[test]
    fn what_a_set_says_is_checked() {
        let world = World::new();
        let web = world.target("web-1");
        let read = || world.enter(|| Set::read(&Target::current(), "/b"));
        assert_eq!(read().expect("no set"), None);
        for bad in [
            "{",
            r#"{"backup":2,"name":"a","parts":[]}"#,
            r#"{"backup":1,"name":"a","parts":[{"path":"/x","archive":"../x","digest":"","content":null}]}"#,
            r#"{"backup":1,"name":"a","parts":[{"path":"x","archive":"x","digest":"","content":null}]}"#,
        ] {
            web.file("/b/backup.json", bad);
            assert!(read().is_err_and(|error| error.is(ErrorKind::Invalid)), "{bad}");
        }
    }
}
