//! `std/backup`: archives the live release on the target.

mod archives;

use archives::{Archive, surplus};
use runner_sdk::layout::{ReleaseId, Root};
use runner_sdk::params::Size;
use runner_sdk::{
    Attributes, Capabilities, Context, Entry, Error, Mark, Release, Result, Step, Target, run_info, timer,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// The step.
pub struct Backup;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
    /// The release root, whose live release is archived.
    root: Root,
    /// The folder for archives: an absolute path on the target. Without, `<root>/backups`.
    to: Option<String>,
    /// How many archives are kept, at least 1. That of the live and of the last good release are kept beside them.
    #[serde(default = "five")]
    keep: NonZeroU32,
    /// How much must be free before anything is written, where that is more than the archive is expected to take.
    #[serde(default = "nothing")]
    need_free: Size,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// The release that was live; null when none was.
    release: Option<String>,
    /// Its archive; null when no release was live, or when the live one is the one that this run makes.
    archive: Option<String>,
    /// Whether the archive was made now: it was not when an earlier run made it.
    created: bool,
    /// Archives that were removed, oldest first.
    removed: Vec<String>,
}

impl Step for Backup {
    const NAME: &'static str = "backup";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "archives the live release on the target";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities = Capabilities {
        ssh: &["read:${root}", "write:${root}/backups", "read:${to}", "write:${to}"],
        ..Capabilities::NONE
    };

    type Params = Params;
    type Outputs = Outputs;

    fn run(params: Params) -> Result<Outputs> {
        let target = Target::current();
        let root = &params.root;
        let releases = target.releases(root.path())?;
        let Some(live) = live(&target, root, &releases)? else {
            runner_sdk::info!("no release is live on `{}`: nothing to back up", target.name());
            return Ok(Outputs { release: None, archive: None, created: false, removed: Vec::new() });
        };
        if run_info::release_id().as_deref() == Some(live.as_str()) {
            runner_sdk::info!("`{live}` is this run's own release: it stays live, and nothing replaces it");
            let release = Some(live.to_string());
            return Ok(Outputs { release, archive: None, created: false, removed: Vec::new() });
        }
        let folder = params.to.map_or_else(|| format!("{}/backups", root.path()), trimmed);
        let found = Archive::all(&target, &folder)?;

        let existing = found
            .iter()
            .flatten()
            .find(|archive| archive.release == live)
            .map(|archive| archive.name.clone());
        let created = existing.is_none();
        let mut made = None;
        let name = match existing {
            Some(name) => {
                runner_sdk::info!("`{live}` has an archive already: `{folder}/{name}`");
                name
            }
            None => {
                let archive =
                    make(&target, root, &live, &folder, found.as_deref(), &releases, params.need_free)?;
                let name = archive.name.clone();
                made = Some(archive);
                name
            }
        };

        let archives: Vec<Archive> = found.into_iter().flatten().chain(made).collect();
        let good = last_good(&releases)?;
        let keep = params.keep.get() as usize;
        let mut removed = Vec::new();
        for archive in surplus(&archives, keep, &[Some(live.clone()), good]) {
            let path = format!("{folder}/{}", archive.name);
            target.remove(&path)?;
            runner_sdk::info!("removed `{path}`");
            removed.push(path);
        }
        Ok(Outputs {
            release: Some(live.to_string()),
            archive: Some(format!("{folder}/{name}")),
            created,
            removed,
        })
    }
}

/// Makes the archive beside those that were `found`, if there is a folder; the host reads it back and compares it before it gets its name.
fn make(
    target: &Target,
    root: &Root,
    live: &ReleaseId,
    folder: &str,
    found: Option<&[Archive]>,
    releases: &[Release],
    need_free: Size,
) -> Result<Archive> {
    let source = root.release(live);
    let place = if found.is_some() { folder } else { root.path() };
    let known = releases.iter().find(|release| release.id == live.as_str()).map(|release| release.size);
    let need = expected(target, &source, found.unwrap_or_default(), known)?.max(need_free.get());
    let free = target.disk_free(place)?;
    if free < need {
        let (need, free) = (Size::from_bytes(need), Size::from_bytes(free));
        let message =
            format!("backup of `{live}` on `{}` needs {need} in `{folder}`; free: {free}", target.name());
        return Err(
            Error::conflict(message).with_detail("free some space there, or name another folder in `to`")
        );
    }
    if found.is_none() {
        target.mkdir(folder, &Attributes::keep())?;
    }
    let ending = match (target.has("zstd")?, target.has("gzip")?) {
        (true, _) => "tar.zst",
        (false, true) => "tar.gz",
        (false, false) => "tar",
    };
    let mut archive = Archive::new(live.clone(), timer::now().compact(), ending);
    let into = format!("{folder}/{}", archive.name);
    archive.size = target.archive(&source, &into).context(|| format!("release `{live}` is not backed up"))?;
    runner_sdk::info!("archived `{source}` to `{into}`: {}", Size::from_bytes(archive.size));
    Ok(archive)
}

/// The live release, by the account of releases; one that another tool laid out, by where `current` points.
fn live(target: &Target, root: &Root, releases: &[Release]) -> Result<Option<ReleaseId>> {
    match releases.iter().find(|release| release.live) {
        Some(release) => ReleaseId::new(&release.id).map(Some),
        None => root.live(target),
    }
}

/// Bytes that the archive will take: somewhat more than the newest one takes. Where there is none, at most what the
/// release has in files, as it is `known`, or counted where another tool laid it out.
fn expected(target: &Target, source: &str, archives: &[Archive], known: Option<u64>) -> Result<u64> {
    if let Some(newest) = archives.iter().max_by(|a, b| a.stamp.cmp(&b.stamp)) {
        return Ok(newest.size.saturating_add(newest.size / 4));
    }
    if let Some(size) = known {
        return Ok(size);
    }
    let mut total = 0_u64;
    let mut folders = vec![source.to_owned()];
    while let Some(folder) = folders.pop() {
        for Entry { name, size, kind, .. } in target.read_dir(&folder)? {
            total = total.saturating_add(size);
            if kind == runner_sdk::EntryKind::Directory {
                folders.push(format!("{folder}/{name}"));
            }
        }
    }
    Ok(total)
}

fn last_good(releases: &[Release]) -> Result<Option<ReleaseId>> {
    let good =
        releases.iter().filter(|release| release.mark == Mark::Good).max_by_key(|release| release.sequence);
    good.map(|release| ReleaseId::new(&release.id)).transpose()
}

fn trimmed(path: String) -> String {
    path.trim_end_matches('/').to_owned()
}

fn five() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(4)
}

fn nothing() -> Size {
    Size::from_bytes(0)
}

runner_sdk::export!(Backup);

#[cfg(test)]
mod tests;
