//! Which archive goes where. All of it is found and checked before anything is touched.

use crate::{Params, refused};
use runner_sdk::backups::{ARCHIVES, Backup, SETS, Set};
use runner_sdk::{Error, Result, Target};

/// One archive and the place that it goes to.
pub(crate) struct Item {
    pub(crate) archive: String,
    pub(crate) path: String,
    /// The digest of what was archived, where it is known.
    pub(crate) content: Option<String>,
}

/// What was chosen, and what is put back.
pub(crate) fn chosen(target: &Target, params: &Params) -> Result<(String, Vec<Item>)> {
    match (&params.to, params.paths.is_empty()) {
        (Some(to), true) => {
            let archive = found(target, params, ARCHIVES)?;
            if target.stat(&archive)?.is_none_or(|entry| !entry.is_file()) {
                return Err(Error::not_found(format!("no archive is at `{archive}` on `{}`", target.name())));
            }
            let path = trimmed(to)?;
            Ok((archive.clone(), vec![Item { archive, path, content: None }]))
        }
        (None, false) => {
            let folder = found(target, params, SETS)?;
            let Some(set) = Set::read(target, &folder)? else {
                let message = format!("no whole backup of paths is at `{folder}` on `{}`", target.name());
                return Err(Error::not_found(message));
            };
            let items =
                params.paths.iter().map(|path| item(target, &set, &folder, path)).collect::<Result<_>>()?;
            Ok((folder, items))
        }
        _ => Err(refused()),
    }
}

/// The one that is named, or the newest.
fn found(target: &Target, params: &Params, endings: &[&str]) -> Result<String> {
    match (&params.archive, &params.from, &params.name) {
        (Some(archive), None, None) => trimmed(archive),
        (None, Some(from), Some(name)) => {
            let from = trimmed(from)?;
            let backups = Backup::all(target, &from, endings)?.unwrap_or_default();
            let newest = Backup::newest(&backups, name.as_str());
            newest.map(|backup| format!("{from}/{}", backup.file)).ok_or_else(|| {
                Error::not_found(format!("no backup of `{name}` is in `{from}` on `{}`", target.name()))
            })
        }
        _ => Err(refused()),
    }
}

fn item(target: &Target, set: &Set, folder: &str, path: &str) -> Result<Item> {
    let path = trimmed(path)?;
    let Some(part) = set.parts.iter().find(|part| part.path == path) else {
        let has: Vec<&str> = set.parts.iter().map(|part| part.path.as_str()).collect();
        let message = format!("`{path}` is not in the backup `{folder}`");
        return Err(Error::not_found(message).with_detail(format!("it has {}", has.join(", "))));
    };
    let archive = format!("{folder}/{}", part.archive);
    if target.digest(&archive)? != part.digest {
        return Err(Error::conflict(format!("`{archive}` is damaged: it is not what `backup.json` says")));
    }
    Ok(Item { archive, path, content: part.content.clone() })
}

fn trimmed(path: &str) -> Result<String> {
    let trimmed = path.trim_end_matches('/');
    if trimmed.starts_with('/') {
        Ok(trimmed.to_owned())
    } else {
        Err(Error::invalid(format!("`{path}` must be an absolute path, and not `/`")))
    }
}
