//! Files beside the plan: what the WIT's `workspace` interface and `artifacts.pack` and `save` do.
//!
//! **No symbolic link is followed**, neither at the end of a path nor on the way: a path is physically where it says,
//! so a grant that covers the path covers what it leads to, and no link that somebody swaps in leads elsewhere. `.runner`
//! at the top of the plan's folder is the host's (journals are in it): it is not there for a step, and never packed.
//!
//! **Snapshots.** A step is promised the files as they were when it began. What a [`Snapshot`] has once read, digested
//! or packed, it answers from the store from then on, whatever happens to the file; only what it writes itself shows.
//! So a step sees each file in one state. Copying the whole folder first would cost more than the step: a file that
//! changes between the start of the step and its first look at it is seen as changed.
//!
//! Modes are 0644, 0755 and 0777 for links, whatever the umask of who checked the files out.

use crate::error::escape;
use crate::folder::{Folder, is_executable, kind_of, temp_name};
use crate::pack::{Options, pack_file, pack_folder};
use crate::{Error, Kind, Node, Store, Tree, TreePath};
use runner_model::{Digest, Entry, EntryKind, Failure, FailureKind};
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The largest text that is read.
const READ_MAX: u64 = 1024 * 1024;
/// The host's folder beside the plan.
const HOST: &str = ".runner";

/// A path relative to the plan's folder, normalised: without `.`, empty segments and `..`. `.` is the folder itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkspacePath(Option<TreePath>);

impl WorkspacePath {
    /// The path as text; `.` for the plan's folder.
    pub fn as_str(&self) -> &str {
        self.0.as_ref().map_or(".", TreePath::as_str)
    }

    /// Whether it is `prefix` or below it, segment by segment.
    pub fn is_within(&self, prefix: &Self) -> bool {
        match (&self.0, &prefix.0) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(path), Some(prefix)) => path
                .as_str()
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }
}

impl FromStr for WorkspacePath {
    type Err = Failure;

    /// # Errors
    /// `invalid`: it is empty, absolute, has a `..`, or cannot be a path.
    fn from_str(text: &str) -> Result<Self, Failure> {
        let refuse = |why: &str| {
            Failure::new(
                FailureKind::Invalid,
                format!("`{}` is not a path of the workspace: {why}", text.escape_debug()),
            )
        };
        if text.is_empty() {
            return Err(refuse("it is empty; the plan's folder is `.`"));
        }
        if text.starts_with('/') {
            return Err(refuse("it must be relative to the plan's folder"));
        }
        let segments: Vec<&str> = text.split('/').filter(|segment| !matches!(*segment, "" | ".")).collect();
        if segments.contains(&"..") {
            return Err(refuse("it must not leave the plan's folder, and `..` is not allowed"));
        }
        if segments.is_empty() {
            return Ok(Self(None));
        }
        segments
            .join("/")
            .parse()
            .map(|path| Self(Some(path)))
            .map_err(|bad: crate::BadTreePath| refuse(bad.why()))
    }
}

impl fmt::Display for WorkspacePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_str().escape_debug(), f)
    }
}

impl fmt::Debug for WorkspacePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// The folder of a plan. Checks no grants: who calls it has.
#[derive(Debug, Clone)]
pub struct Workspace {
    folder: Folder,
    store: Arc<Store>,
}

impl Workspace {
    /// The folder in which a plan is.
    ///
    /// # Errors
    /// It is not a folder, or cannot be read.
    pub fn open(folder: &Path, store: Arc<Store>) -> Result<Self, Error> {
        let folder = Folder::open(folder).map_err(Error::io("open the folder of the plan", folder))?;
        Ok(Self { folder, store })
    }

    /// What one invocation sees of it.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { workspace: self.clone(), seen: Mutex::default() }
    }
}

/// The workspace as one invocation sees it. All that fails, fails with the failure that the guest is given.
#[derive(Debug)]
pub struct Snapshot {
    workspace: Workspace,
    seen: Mutex<Seen>,
}

/// What was looked at, by path.
#[derive(Debug, Default)]
struct Seen {
    files: HashMap<WorkspacePath, Node>,
    trees: HashMap<(WorkspacePath, Option<Vec<String>>), Digest>,
}

/// Whether the content of a file that is looked at goes into the store.
#[derive(Debug, Clone, Copy)]
enum Keep {
    Nothing,
    /// It does, and a larger one is refused.
    UpTo(u64),
}

impl Snapshot {
    /// What is at the path; `None` when there is nothing.
    ///
    /// # Errors
    /// `conflict`: a link is on the way. `other`: the operating system refused.
    pub fn stat(&self, path: &WorkspacePath) -> Result<Option<Entry>, Failure> {
        let Some(at) = &path.0 else {
            return Ok(Some(entry(".".to_owned(), FileType::Directory, 0, false)));
        };
        if let Some(Node::File { size, executable, .. }) = self.seen().files.get(path) {
            return Ok(Some(entry(at.name().to_owned(), FileType::RegularFile, *size, *executable)));
        }
        let Some((folder, name)) = self.parent("stat", path)? else { return Ok(None) };
        let stat = folder.stat(&name).map_err(|error| fail("stat", path, error))?;
        Ok(stat.map(|stat| entry_of(name, &stat)))
    }

    /// What is in the folder, sorted by name (bytewise).
    ///
    /// # Errors
    /// `not-found`; `conflict`: it is not a folder; `invalid`: a name is not UTF-8.
    pub fn read_dir(&self, path: &WorkspacePath) -> Result<Vec<Entry>, Failure> {
        let folder = self.folder("list", path)?;
        let names = folder.list().map_err(|error| fail("list", path, error))?;
        let mut entries = Vec::with_capacity(names.len());
        for (name, _) in names {
            let name = name.into_string().map_err(|name: OsString| {
                let name = escape(name.as_ref());
                let message =
                    format!("list `{path}`: the name `{name}` is not UTF-8, and only such names can travel");
                Failure::new(FailureKind::Invalid, message).with_detail("rename it")
            })?;
            if path.0.is_none() && name.eq_ignore_ascii_case(HOST) {
                continue;
            }
            let child: WorkspacePath = match &path.0 {
                Some(folder) => format!("{}/{name}", folder.as_str()).parse()?,
                None => name.parse()?,
            };
            // A name that is gone again was not there.
            entries.extend(self.stat(&child)?);
        }
        Ok(entries)
    }

    /// The text of a file of up to 1 MiB.
    ///
    /// # Errors
    /// `not-found`; `conflict`: it is not a file; `invalid`: it is larger or not UTF-8.
    pub fn read(&self, path: &WorkspacePath) -> Result<String, Failure> {
        let (digest, size) = self.look("read", path, Keep::UpTo(READ_MAX))?;
        if size > READ_MAX {
            return Err(too_large(path, size));
        }
        let bytes = self.workspace.store.read_bytes(&digest, READ_MAX)?;
        String::from_utf8(bytes).map_err(|_| {
            Failure::new(FailureKind::Invalid, format!("read `{path}`: it is not UTF-8")).with_detail(PACK)
        })
    }

    /// The digest of a file's content, or of a folder's manifest: of all that is in it, with nothing excluded.
    ///
    /// # Errors
    /// `not-found`; `conflict`: it is a link or changes; `invalid`: something in it cannot travel.
    pub fn digest(&self, path: &WorkspacePath) -> Result<Digest, Failure> {
        if self.is_folder("digest", path)? {
            self.pack_folder("digest", path, None)
        } else {
            self.look("digest", path, Keep::Nothing).map(|(digest, _)| digest)
        }
    }

    /// Packs a file or a folder into the store. What `exclude` and the `.gitignore` files in the folder name is left
    /// out, see [`Options::exclude`].
    ///
    /// # Errors
    /// As [`Snapshot::digest`]; also when a link leads out of the folder.
    pub fn pack(&self, path: &WorkspacePath, exclude: &[String]) -> Result<Digest, Failure> {
        if self.is_folder("pack", path)? {
            self.pack_folder("pack", path, Some(exclude))
        } else {
            self.look("pack", path, Keep::UpTo(u64::MAX)).map(|(digest, _)| digest)
        }
    }

    /// Makes the file have this text, atomically; folders are made as needed. `true`: it had another.
    ///
    /// # Errors
    /// `conflict`: something else than a file or a link is in the way. `denied`: the path is the host's.
    pub fn write(&self, path: &WorkspacePath, text: &str) -> Result<bool, Failure> {
        let digest = self.workspace.store.put_bytes(text.as_bytes())?;
        self.save_file("write", path, &digest)
    }

    /// Makes the path have the content of an artifact, a file or a tree, atomically. `true`: it had another. A tree is
    /// not synced to disk file by file.
    ///
    /// # Errors
    /// `not-found`: there is no such artifact. `conflict`: something of another kind is in the way. `invalid`: a link
    /// of the tree leads out of it. `denied`: the path is the host's.
    pub fn save(&self, path: &WorkspacePath, artifact: &Digest) -> Result<bool, Failure> {
        match self.workspace.store.kind(artifact) {
            Some(Kind::Tree) => self.save_tree(path, artifact),
            Some(Kind::File) => self.save_file("save", path, artifact),
            None => Err(Error::Missing(*artifact).into()),
        }
    }

    /// Makes the path be gone: a file, a link, or a folder with all in it. `true`: something was there.
    ///
    /// # Errors
    /// `denied`: the path is the host's.
    pub fn remove(&self, path: &WorkspacePath) -> Result<bool, Failure> {
        let Some((folder, name)) = self.parent("remove", path)? else { return Ok(false) };
        let io = |error| fail("remove", path, error);
        let removed = match folder.stat(&name).map_err(io)?.as_ref().map(kind_of) {
            None => return Ok(false),
            Some(FileType::Directory) => folder.remove_tree(&name),
            Some(_) => folder.remove(&name),
        };
        removed.and_then(|()| folder.sync()).map_err(io)?;
        self.forget(path, None);
        Ok(true)
    }

    fn save_file(&self, what: &'static str, path: &WorkspacePath, digest: &Digest) -> Result<bool, Failure> {
        let store = &self.workspace.store;
        let mut content = store.open_verified(digest)?;
        let size = content.size();
        let (folder, name) = self.make_parent(what, path)?;
        let io = |error| fail(what, path, error);
        match folder.stat(&name).map_err(io)?.as_ref().map(kind_of) {
            None | Some(FileType::Symlink) => {}
            Some(FileType::RegularFile) => {
                let file = folder.file(&name).map_err(io)?;
                let node = pack_file(file, path.as_str().as_ref(), None)?;
                if matches!(node, Node::File { digest: found, .. } if found == *digest) {
                    self.forget(path, Some(node));
                    return Ok(false);
                }
            }
            Some(_) => return Err(conflict(what, path, "a folder is in the way")),
        }
        let temp = temp_name();
        let written = folder.create(&temp, 0o644).and_then(|mut file| {
            io::copy(&mut content, &mut file)?;
            file.sync_all()?;
            folder.rename(&temp, &name)?;
            folder.sync()
        });
        if let Err(error) = written {
            let _ = folder.remove(&temp);
            return Err(io(error));
        }
        self.forget(path, Some(Node::File { digest: *digest, size, executable: false }));
        Ok(true)
    }

    fn save_tree(&self, path: &WorkspacePath, digest: &Digest) -> Result<bool, Failure> {
        let store = &self.workspace.store;
        let tree = store.tree(digest)?;
        tree.check_links().map_err(Error::from)?;
        let (folder, name) = self.make_parent("save", path)?;
        let io = |error| fail("save", path, error);
        let there = folder.stat(&name).map_err(io)?;
        match there.as_ref().map(kind_of) {
            None => {}
            Some(FileType::Directory) => {
                let inner = folder.folder(&name).map_err(io)?;
                let options = Options { any_links: true, ..Options::default() };
                // What cannot be packed differs from what can.
                if pack_folder(inner, &options, None).is_ok_and(|found| found == tree) {
                    return Ok(false);
                }
            }
            Some(_) => return Err(conflict("save", path, "a file or link is in the way")),
        }
        let temp = temp_name();
        let saved = folder.make_folder(&temp).map_err(io).and_then(|inner| {
            lay_out(&inner, &tree, store).map_err(|error| match error.downcast::<Error>() {
                Ok(error) => error.into(),
                Err(error) => io(error),
            })?;
            let placed =
                if there.is_some() { folder.exchange(&temp, &name) } else { folder.rename(&temp, &name) };
            placed.and_then(|()| folder.sync()).map_err(io)
        });
        // Now the old content, or what was laid out before it failed.
        let removed = match folder.stat(&temp) {
            Ok(None) => Ok(()),
            _ => folder.remove_tree(&temp),
        };
        saved?;
        removed.map_err(io)?;
        self.forget(path, None);
        Ok(true)
    }

    /// What is now at the path is what was written there.
    fn forget(&self, path: &WorkspacePath, now: Option<Node>) {
        let mut seen = self.seen();
        seen.files.retain(|at, _| !at.is_within(path));
        seen.trees.retain(|(at, _), _| !at.is_within(path) && !path.is_within(at));
        seen.files.extend(now.map(|node| (path.clone(), node)));
    }

    /// The digest and size of a file, as it was when it was first looked at.
    fn look(&self, what: &'static str, path: &WorkspacePath, keep: Keep) -> Result<(Digest, u64), Failure> {
        let store = &*self.workspace.store;
        let known = self.seen().files.get(path).cloned();
        if let Some(Node::File { digest, size, .. }) = known
            && (matches!(keep, Keep::Nothing) || store.has_file(&digest, size))
        {
            return Ok((digest, size));
        }
        let io = |error| fail(what, path, error);
        let (folder, name) = self.parent(what, path)?.ok_or_else(|| absent(what, path))?;
        let stat = folder.stat(&name).map_err(io)?.ok_or_else(|| absent(what, path))?;
        if !kind_of(&stat).is_file() {
            return Err(not_a_file(what, path, &folder, &name, kind_of(&stat)));
        }
        let store = match keep {
            Keep::Nothing => None,
            Keep::UpTo(limit) => {
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                if size > limit {
                    return Err(too_large(path, size));
                }
                Some(store)
            }
        };
        let node = pack_file(folder.file(&name).map_err(io)?, path.as_str().as_ref(), store)?;
        // What was only digested before is not in the store, so it can only be checked that it is still the same.
        if known.is_some_and(|known| known != node) {
            return Err(conflict(what, path, "it changed since this step first looked at it"));
        }
        self.seen().files.insert(path.clone(), node.clone());
        match node {
            Node::File { digest, size, .. } => Ok((digest, size)),
            Node::Directory | Node::Symlink { .. } => Err(absent(what, path)),
        }
    }

    /// `None`: all that is in it, not stored.
    fn pack_folder(
        &self,
        what: &'static str,
        path: &WorkspacePath,
        exclude: Option<&[String]>,
    ) -> Result<Digest, Failure> {
        let key = (path.clone(), exclude.map(<[String]>::to_vec));
        if let Some(digest) = self.seen().trees.get(&key) {
            return Ok(*digest);
        }
        let folder = self.folder(what, path)?;
        let options = Options {
            exclude: exclude.unwrap_or_default(),
            gitignore: exclude.is_some(),
            any_links: exclude.is_none(),
            omit: path.0.is_none().then_some(HOST),
        };
        let store = &*self.workspace.store;
        let digest = match exclude {
            Some(_) => pack_folder(folder, &options, Some(store)).and_then(|tree| store.put_tree(&tree)),
            None => pack_folder(folder, &options, None).map(|tree| tree.digest()),
        }
        .map_err(|error| {
            let failure = Failure::from(error);
            let message = format!("{what} `{path}`: {}", failure.message);
            Failure::new(failure.kind, message).with_detail(failure.detail)
        })?;
        Ok(*self.seen().trees.entry(key).or_insert(digest))
    }

    fn is_folder(&self, what: &'static str, path: &WorkspacePath) -> Result<bool, Failure> {
        match self.stat(path)? {
            Some(entry) => Ok(entry.kind == EntryKind::Directory),
            None => Err(absent(what, path)),
        }
    }

    fn folder(&self, what: &'static str, path: &WorkspacePath) -> Result<Folder, Failure> {
        if path.0.is_none() {
            return Ok(self.workspace.folder.clone());
        }
        let (parent, name) = self.parent(what, path)?.ok_or_else(|| absent(what, path))?;
        parent.folder(name).map_err(|error| fail(what, path, error))
    }

    /// The folder that the path is in, and its name there. `None`: there is no such folder.
    fn parent(&self, what: &'static str, path: &WorkspacePath) -> Result<Option<(Folder, String)>, Failure> {
        self.walk(what, path, |folder, segment| match folder.folder(segment) {
            Ok(folder) => Ok(Some(folder)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fail(what, path, error)),
        })
    }

    /// The same; what is missing is made.
    fn make_parent(&self, what: &'static str, path: &WorkspacePath) -> Result<(Folder, String), Failure> {
        let made = self.walk(what, path, |folder, segment| {
            folder.make_folder(segment).map(Some).map_err(|error| fail(what, path, error))
        })?;
        made.ok_or_else(|| absent(what, path))
    }

    fn walk(
        &self,
        what: &'static str,
        path: &WorkspacePath,
        enter: impl Fn(&Folder, &str) -> Result<Option<Folder>, Failure>,
    ) -> Result<Option<(Folder, String)>, Failure> {
        let Some(at) = &path.0 else {
            return Err(conflict(what, path, "it is the folder of the plan"));
        };
        if at.segments().next().is_some_and(|first| first.eq_ignore_ascii_case(HOST)) {
            let message = format!("{what} `{path}`: `{HOST}` beside the plan belongs to the runner");
            return Err(Failure::new(FailureKind::Denied, message));
        }
        let mut folder = self.workspace.folder.clone();
        if let Some(parent) = at.parent() {
            for segment in parent.segments() {
                match enter(&folder, segment)? {
                    Some(inner) => folder = inner,
                    None => return Ok(None),
                }
            }
        }
        Ok(Some((folder, at.name().to_owned())))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // What is in it is whole between any two statements, so a panic elsewhere does no harm.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a tree into an empty folder. Errors of the store come inside of `io::Error`.
fn lay_out(root: &Folder, tree: &Tree, store: &Store) -> io::Result<()> {
    // The folders from the root down to where the last entry was; entries come sorted, so they are few.
    let mut open: Vec<(String, Folder)> = Vec::new();
    for (path, node) in tree.entries() {
        while open.last().is_some_and(|(at, _)| !is_below(path.as_str(), at)) {
            open.pop();
        }
        let folder = match path.parent() {
            None => root.clone(),
            Some(parent) => match open.last() {
                Some((at, folder)) if *at == parent.as_str() => folder.clone(),
                // A sorted list may come back to a folder: `a`, `a-b`, `a/b`.
                _ => parent.segments().try_fold(root.clone(), |folder, segment| folder.folder(segment))?,
            },
        };
        match node {
            Node::Directory => open.push((path.as_str().to_owned(), folder.make_folder(path.name())?)),
            Node::Symlink { points_to } => folder.link(path.name(), points_to)?,
            Node::File { digest, .. } => {
                let mut content = store.open_verified(digest).map_err(io::Error::other)?;
                let mut file = folder.create(path.name(), node.mode())?;
                io::copy(&mut content, &mut file)?;
            }
        }
    }
    Ok(())
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn entry_of(name: String, stat: &Stat) -> Entry {
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    entry(name, kind_of(stat), size, is_executable(stat))
}

fn entry(name: String, kind: FileType, size: u64, executable: bool) -> Entry {
    let (kind, size, mode) = match kind {
        FileType::RegularFile => (EntryKind::File, size, if executable { 0o755 } else { 0o644 }),
        FileType::Directory => (EntryKind::Directory, 0, 0o755),
        FileType::Symlink => (EntryKind::Symlink, 0, 0o777),
        _ => (EntryKind::Other, 0, 0o644),
    };
    Entry { name, kind, size, mode, owner: String::new(), group: String::new(), modified: 0 }
}

fn not_a_file(what: &str, path: &WorkspacePath, folder: &Folder, name: &str, kind: FileType) -> Failure {
    match kind {
        FileType::Directory => conflict(what, path, "it is a folder"),
        FileType::Symlink => {
            let points_to = folder.read_link(name).unwrap_or_default();
            let points_to = String::from_utf8_lossy(&points_to).escape_debug().to_string();
            conflict(
                what,
                path,
                &format!("it is a symbolic link to `{points_to}`, and links are not followed"),
            )
            .with_detail("name the file itself, and grant it")
        }
        _ => conflict(what, path, "it is neither a file nor a folder"),
    }
}

const PACK: &str = "use `pack` for it";

fn too_large(path: &WorkspacePath, size: u64) -> Failure {
    let message = format!("read `{path}`: it has {size} bytes, and at most 1 MiB can be read");
    Failure::new(FailureKind::Invalid, message).with_detail(PACK)
}

fn absent(what: &str, path: &WorkspacePath) -> Failure {
    Failure::new(FailureKind::NotFound, format!("{what} `{path}`: there is no such file or folder"))
}

fn conflict(what: &str, path: &WorkspacePath, why: &str) -> Failure {
    Failure::new(FailureKind::Conflict, format!("{what} `{path}`: {why}"))
}

fn fail(what: &str, path: &WorkspacePath, error: io::Error) -> Failure {
    match Errno::from_io_error(&error) {
        Some(Errno::NOENT) => absent(what, path),
        Some(Errno::LOOP | Errno::NOTDIR) => {
            conflict(what, path, "a part of the path is not a folder; symbolic links are not followed")
        }
        _ => Failure::new(FailureKind::Other, format!("{what} `{path}`: {error}")),
    }
}

#[cfg(test)]
mod tests;
