//! The archives in a folder: `<release>-<UTC time>.tar.zst`, and which of them are too many.

use runner_sdk::layout::ReleaseId;
use runner_sdk::{Entry, ErrorKind, Result, Target};

/// An archive of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Archive {
    pub(crate) name: String,
    pub(crate) release: ReleaseId,
    /// When it was made, as in its name; sorts by time.
    pub(crate) stamp: String,
    pub(crate) size: u64,
}

impl Archive {
    pub(crate) fn new(release: ReleaseId, stamp: String, ending: &str) -> Self {
        Self { name: format!("{release}-{stamp}.{ending}"), release, stamp, size: 0 }
    }

    /// Those in a folder; `None` where there is no folder. Whatever else is in it is nobody's business here, and never removed.
    pub(crate) fn all(target: &Target, folder: &str) -> Result<Option<Vec<Self>>> {
        let entries = match target.read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.is(ErrorKind::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let archives = entries.iter().filter(|entry| entry.is_file());
        let read = |entry: &Entry| Some(Self { size: entry.size, ..Self::read(&entry.name)? });
        Ok(Some(archives.filter_map(read).collect()))
    }

    fn read(name: &str) -> Option<Self> {
        let stem = [".tar.zst", ".tar.gz", ".tar"].iter().find_map(|ending| name.strip_suffix(ending))?;
        let (release, stamp) = stem.rsplit_once('-')?;
        let shape = stamp.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
        if stamp.len() != 16 || !shape {
            return None;
        }
        let release = ReleaseId::new(release).ok()?;
        Some(Self { name: name.to_owned(), release, stamp: stamp.to_owned(), size: 0 })
    }
}

/// Those beyond the newest `keep`, oldest first, without the newest archive of each release in `spared`.
pub(crate) fn surplus<'a>(
    archives: &'a [Archive],
    keep: usize,
    spared: &[Option<ReleaseId>],
) -> Vec<&'a Archive> {
    let mut newest_first: Vec<&Archive> = archives.iter().collect();
    newest_first.sort_by(|a, b| (&b.stamp, &b.name).cmp(&(&a.stamp, &a.name)));
    let newest_of =
        |release: &ReleaseId| newest_first.iter().find(|archive| archive.release == *release).copied();
    let spared: Vec<&Archive> = spared.iter().flatten().filter_map(newest_of).collect();
    let beyond = newest_first.iter().skip(keep).copied().filter(|archive| !spared.contains(archive));
    let mut surplus: Vec<&Archive> = beyond.collect();
    surplus.reverse();
    surplus
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_and_other_files_are_no_archives() {
        for ending in ["tar", "tar.gz", "tar.zst"] {
            let id = ReleaseId::new("4.2-0123456789ab").expect("id");
            let archive = Archive::new(id, "20260224T153145Z".to_owned(), ending);
            assert_eq!(Archive::read(&archive.name), Some(archive));
        }
        for name in [
            "a-20260224T153145Z.zip",
            "a-20260224T153145Z.tar.zst.part",
            "a-2026.tar",
            "notes.tar.gz",
            "20260224T153145Z.tar",
            "-20260224T153145Z.tar",
            "é-20260224T153145Z.tar",
            "a-é0260224T153145Z.tar",
        ] {
            assert_eq!(Archive::read(name), None, "{name}");
        }
    }
}
