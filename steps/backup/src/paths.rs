//! Named paths: one archive for each, all in a folder that gets its name when the last one is made.

use crate::release::size_of;
use crate::{Outputs, Params, archived};
use runner_sdk::backups::{Backup, CONTENTS, Part, SETS, Set, archive_ending, need_room, surplus};
use runner_sdk::params::Name;
use runner_sdk::{Attributes, EntryKind, Error, ErrorKind, Result, Target};

/// What is not whole yet, or never became it.
const PARTIAL: &str = ".partial";

pub(crate) fn back_up(target: &Target, name: &Name, to: &str, params: &Params) -> Result<Outputs> {
    let to = to.trim_end_matches('/');
    let paths = trimmed(&params.paths, to)?;
    let found = Backup::all(target, to, SETS)?;
    let sets: Vec<Backup> = found.iter().flatten().filter(|set| set.name == name.as_str()).cloned().collect();
    let mut kinds = Vec::new();
    for path in &paths {
        match target.stat(path)?.map(|entry| entry.kind) {
            Some(kind @ (EntryKind::Directory | EntryKind::File)) => kinds.push(kind),
            Some(_) => {
                return Err(Error::conflict(format!(
                    "`{path}` on `{}` is neither a folder nor a file",
                    target.name()
                ))
                .with_detail("name what the link points to"));
            }
            None => return Err(Error::not_found(format!("nothing is at `{path}` on `{}`", target.name()))),
        }
    }
    let newest = Backup::newest(&sets, name.as_str());
    let before = match newest {
        Some(newest) => Set::read(target, &format!("{to}/{}", newest.file))?,
        None => None,
    };
    let contents: Vec<Option<String>> = paths.iter().map(|path| content(target, path)).collect();
    if let (Some(newest), Some(before)) = (newest, &before)
        && is_same(before, &paths, &contents)
    {
        let set = format!("{to}/{}", newest.file);
        runner_sdk::info!("nothing has changed since `{set}` was made");
        let removed = prune(target, to, &sets, params)?;
        return Ok(Outputs { release: None, archive: Some(set), created: false, removed });
    }

    let need = expected(target, to, newest, &paths, &kinds)?.max(params.need_free.get());
    need_room(target, to, to, &format!("`{name}`"), need)?;
    if found.is_some() {
        clear(target, to, name)?;
    } else {
        target.mkdir(to, &Attributes::mode(0o700))?;
    }
    let set = Backup::new(name.as_str(), "");
    let partial = format!("{to}/{}{PARTIAL}", set.file);
    target.mkdir(&partial, &Attributes::mode(0o700))?;
    let ending = archive_ending(target)?;
    let mut parts = Vec::new();
    for (number, (path, content)) in (1..).zip(paths.iter().zip(contents)) {
        let archive = format!("{number}.{ending}");
        let into = format!("{partial}/{archive}");
        archived(target, path, &into, &format!("`{path}`"))?;
        parts.push(Part { path: path.clone(), archive, digest: target.digest(&into)?, content });
    }
    let contents = serde_json::to_string_pretty(&Set { backup: 1, name: name.to_string(), parts })?;
    target.write(&format!("{partial}/{CONTENTS}"), &format!("{contents}\n"), &Attributes::mode(0o600))?;
    let path = format!("{to}/{}", set.file);
    target.rename(&partial, &path)?;
    let sets: Vec<Backup> = sets.into_iter().chain([set]).collect();
    let removed = prune(target, to, &sets, params)?;
    Ok(Outputs { release: None, archive: Some(path), created: true, removed })
}

/// The paths without slashes at the end, where no backup would hold another one or itself.
fn trimmed(paths: &[String], to: &str) -> Result<Vec<String>> {
    let paths: Vec<String> = paths.iter().map(|path| path.trim_end_matches('/').to_owned()).collect();
    let within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    for (index, path) in paths.iter().enumerate() {
        if !path.starts_with('/') {
            return Err(Error::invalid(format!(
                "`{path}` cannot be backed up: a path must be absolute, and not `/`"
            )));
        }
        if within(to, path) {
            return Err(Error::invalid(format!(
                "the folder for backups, `{to}`, is in `{path}`, which is backed up"
            )));
        }
        if let Some(other) = paths.iter().take(index).find(|other| within(path, other) || within(other, path))
        {
            return Err(Error::invalid(format!("`{path}` and `{other}` are in each other")));
        }
    }
    Ok(paths)
}

/// The digest of what is there. A folder that others may write to has none, and is archived every time.
fn content(target: &Target, path: &str) -> Option<String> {
    let digest = target.digest(path);
    if let Err(error) = &digest {
        runner_sdk::debug!("whether `{path}` has changed cannot be told: {}", error.message);
    }
    digest.ok()
}

fn is_same(before: &Set, paths: &[String], contents: &[Option<String>]) -> bool {
    before.parts.len() == paths.len()
        && before.parts.iter().zip(paths.iter().zip(contents)).all(|(part, (path, content))| {
            part.path == *path && content.is_some() && part.content == *content
        })
}

/// Bytes that the archives will take: somewhat more than those of the newest set. Without one, at most what the paths
/// have in files; what may not be listed is not counted.
fn expected(
    target: &Target,
    to: &str,
    newest: Option<&Backup>,
    paths: &[String],
    kinds: &[EntryKind],
) -> Result<u64> {
    if let Some(newest) = newest {
        let files = target.read_dir(&format!("{to}/{}", newest.file))?;
        let size = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size));
        return Ok(Backup { size, ..newest.clone() }.next_takes());
    }
    let mut total = 0_u64;
    for (path, kind) in paths.iter().zip(kinds) {
        let size = match kind {
            EntryKind::Directory => size_of(target, path),
            _ => target.stat(path).map(|entry| entry.map_or(0, |entry| entry.size)),
        };
        total = total.saturating_add(match size {
            Ok(size) => size,
            Err(error) if error.is(ErrorKind::Denied) => 0,
            Err(error) => return Err(error),
        });
    }
    Ok(total)
}

/// Removes what an earlier run did not finish.
fn clear(target: &Target, to: &str, name: &Name) -> Result<()> {
    for entry in target.read_dir(to)? {
        let set = entry.name.strip_suffix(PARTIAL).and_then(|set| set.rsplit_once('-'));
        if entry.is_directory() && set.is_some_and(|(of, _)| of == name.as_str()) {
            target.remove_tree(&format!("{to}/{}", entry.name))?;
        }
    }
    Ok(())
}

fn prune(target: &Target, to: &str, sets: &[Backup], params: &Params) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for set in surplus(sets, params.keep.get() as usize, &[]) {
        let path = format!("{to}/{}", set.file);
        target.remove_tree(&path)?;
        runner_sdk::info!("removed `{path}`");
        removed.push(path);
    }
    Ok(removed)
}
