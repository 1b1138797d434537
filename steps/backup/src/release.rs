//! The live release.

use crate::{Outputs, Params, archived};
use runner_sdk::backups::{ARCHIVES, Backup, archive_ending, need_room, surplus};
use runner_sdk::layout::{ReleaseId, Root};
use runner_sdk::params::Size;
use runner_sdk::{Attributes, Entry, Mark, Release, Result, Target, run_info};

pub(crate) fn back_up(target: &Target, root: &Root, params: &Params) -> Result<Outputs> {
    let releases = target.releases(root.path())?;
    let Some(live) = live(target, root, &releases)? else {
        runner_sdk::info!("no release is live on `{}`: nothing to back up", target.name());
        return Ok(Outputs { release: None, archive: None, created: false, removed: Vec::new() });
    };
    if run_info::release_id().as_deref() == Some(live.as_str()) {
        runner_sdk::info!("`{live}` is this run's own release: it stays live, and nothing replaces it");
        let release = Some(live.to_string());
        return Ok(Outputs { release, archive: None, created: false, removed: Vec::new() });
    }
    let folder = params.to.clone().unwrap_or_else(|| format!("{}/backups", root.path()));
    let folder = folder.trim_end_matches('/');
    let found = Backup::all(target, folder, ARCHIVES)?;

    let existing = found
        .iter()
        .flatten()
        .find(|archive| archive.name == live.as_str())
        .map(|archive| archive.file.clone());
    let created = existing.is_none();
    let mut made = None;
    let file = match existing {
        Some(file) => {
            runner_sdk::info!("`{live}` has an archive already: `{folder}/{file}`");
            file
        }
        None => {
            let archive = make(target, root, &live, folder, found.as_deref(), &releases, params.need_free)?;
            let file = archive.file.clone();
            made = Some(archive);
            file
        }
    };

    let archives: Vec<Backup> = found.into_iter().flatten().chain(made).collect();
    let good = last_good(&releases);
    let spared: Vec<&str> = [live.as_str()].into_iter().chain(good).collect();
    let mut removed = Vec::new();
    for archive in surplus(&archives, params.keep.get() as usize, &spared) {
        let path = format!("{folder}/{}", archive.file);
        target.remove(&path)?;
        runner_sdk::info!("removed `{path}`");
        removed.push(path);
    }
    let archive = Some(format!("{folder}/{file}"));
    Ok(Outputs { release: Some(live.to_string()), archive, created, removed })
}

/// Makes the archive beside those that were `found`, if there is a folder; the host reads it back and compares it before it gets its name.
fn make(
    target: &Target,
    root: &Root,
    live: &ReleaseId,
    folder: &str,
    found: Option<&[Backup]>,
    releases: &[Release],
    need_free: Size,
) -> Result<Backup> {
    let source = root.release(live);
    let place = if found.is_some() { folder } else { root.path() };
    let known = releases.iter().find(|release| release.id == live.as_str()).map(|release| release.size);
    let need = expected(target, &source, found.unwrap_or_default(), known)?.max(need_free.get());
    need_room(target, place, folder, &format!("`{live}`"), need)?;
    if found.is_none() {
        target.mkdir(folder, &Attributes::keep())?;
    }
    let mut archive = Backup::new(live.as_str(), archive_ending(target)?);
    let into = format!("{folder}/{}", archive.file);
    archive.size = archived(target, &source, &into, &format!("release `{live}`"))?;
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
fn expected(target: &Target, source: &str, archives: &[Backup], known: Option<u64>) -> Result<u64> {
    if let Some(newest) = archives.iter().max_by(|a, b| a.stamp.cmp(&b.stamp)) {
        return Ok(newest.next_takes());
    }
    match known {
        Some(size) => Ok(size),
        None => size_of(target, source),
    }
}

/// What a folder has in files.
pub(crate) fn size_of(target: &Target, folder: &str) -> Result<u64> {
    let mut total = 0_u64;
    let mut folders = vec![folder.to_owned()];
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

fn last_good(releases: &[Release]) -> Option<&str> {
    let good = releases.iter().filter(|release| release.mark == Mark::Good);
    good.max_by_key(|release| release.sequence).map(|release| release.id.as_str())
}
