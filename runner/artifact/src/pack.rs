//! A folder of this machine as a tree, the same for every user, umask, time zone, locale and place.
//!
//! - Content counts, by hash; of the mode only whether the owner may execute it; times and owners do not.
//! - Hidden files are packed like others, `.git` too: what is not wanted is excluded.
//! - Symbolic links stay links and are never followed.
//! - Pipes, sockets, devices, and names that are not UTF-8 are refused, unless they are excluded.
//! - A file that changes while it is read is refused.
//!
//! # What is left out
//!
//! [`Options::exclude`] has the patterns of `.gitignore`, relative to the packed folder, and the last word: `!dist/`
//! packs a folder that a `.gitignore` excludes. Then the `.gitignore` files in the packed folder count, the deepest
//! first; a folder that is excluded is not looked into. No other file counts: none of a parent folder,
//! `.git/info/exclude` or `core.excludesFile`, or two machines would differ. Unlike in git, a pattern also excludes
//! what is already tracked.

use crate::error::escape;
use crate::folder::{Folder, is_executable, kind_of};
use crate::{Error, Node, Store, Tree, TreePath};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use runner_model::Digest;
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::num::NonZero;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// What of a folder is packed, and how.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Patterns of what is left out, in the syntax of `.gitignore`.
    pub exclude: &'a [String],
    /// Whether the `.gitignore` files in the folder count.
    pub gitignore: bool,
    /// Whether links may lead out of the folder, as those of a release on a target do.
    pub any_links: bool,
    /// A name at the top of the folder that is left out whatever else is said: the host's own.
    pub omit: Option<&'a str>,
}

/// Files up to this size are read once, into memory. Larger ones are hashed first, and read again only when the store
/// does not have them.
const SMALL: u64 = 1024 * 1024;
/// The threads that hash. More would not be felt in a pack that takes 100 ms.
const THREADS: usize = 2;
/// So many files go to a thread at once.
const BATCH: usize = 16;
/// The largest `.gitignore` that is read.
const GITIGNORE_MAX: u64 = 1024 * 1024;

/// Packs a folder: its files go into `store` (`None`: they are only hashed), and its tree is returned, which the
/// caller stores when it is to be found there.
///
/// # Errors
/// Something in the folder cannot travel, changed while it was read, or cannot be read or stored.
pub fn pack(folder: impl AsFd, options: &Options<'_>, store: Option<&Store>) -> Result<Tree, Error> {
    let folder = Folder::reopen(folder).map_err(Error::io("open", "."))?;
    pack_folder(folder, options, store)
}

/// Stores a single file, given by its handle; returns what it is. `path` is for messages.
pub(crate) fn pack_file(mut file: File, path: &Path, store: Option<&Store>) -> Result<Node, Error> {
    read_file(&mut file, path, store, &mut Vec::new())
}

pub(crate) fn pack_folder(
    folder: Folder,
    options: &Options<'_>,
    store: Option<&Store>,
) -> Result<Tree, Error> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
    let (sender, receiver) = sync_channel(64);
    let receiver = Mutex::new(receiver);
    let stop = AtomicBool::new(false);
    let (walked, read) = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| read_batches(&receiver, store, &stop))).collect();
        let mut walk = Walk { options, ignores: vec![], entries: vec![], files: vec![], sender, stop: &stop };
        let walked = walk.start(folder);
        let entries = std::mem::take(&mut walk.entries);
        // The channel is closed, so the workers end.
        drop(walk);
        let read: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        (walked.map(|()| entries), read)
    });
    let mut entries = walked?;
    for result in read {
        entries.extend(result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
    }
    let tree = Tree::from_entries(entries)?;
    if !options.any_links {
        tree.check_links()?;
    }
    Ok(tree)
}

/// Files of one folder, to be read.
struct Batch {
    folder: Folder,
    files: Vec<(OsString, TreePath)>,
}

/// Goes through the folders and hands their files to the threads.
struct Walk<'a> {
    options: &'a Options<'a>,
    /// The patterns that count here, weakest first, with the length of the path that they are relative to.
    ignores: Vec<(usize, Gitignore)>,
    entries: Vec<(TreePath, Node)>,
    files: Vec<(OsString, TreePath)>,
    sender: SyncSender<Batch>,
    stop: &'a AtomicBool,
}

impl Walk<'_> {
    fn start(&mut self, folder: Folder) -> Result<(), Error> {
        let exclude = patterns("exclude", self.options.exclude.iter().map(String::as_str))?;
        self.walk(&folder, &mut Vec::new(), &exclude)
    }

    /// `at` is the path of the folder, with a `/` at its end unless it is empty.
    fn walk(&mut self, folder: &Folder, at: &mut Vec<u8>, exclude: &Gitignore) -> Result<(), Error> {
        let entries = folder.list().map_err(|error| reading(error, "list", at))?;
        let known = self.ignores.len();
        let has_gitignore = |(name, kind): &(OsString, FileType)| name == ".gitignore" && kind.is_file();
        if self.options.gitignore && entries.iter().any(has_gitignore) {
            let place = [at.as_slice(), b".gitignore"].concat();
            self.ignores.push((at.len(), read_gitignore(folder, &place)?));
        }
        let length = at.len();
        for (name, kind) in entries {
            if length == 0 && self.options.omit.is_some_and(|omit| name.eq_ignore_ascii_case(omit)) {
                continue;
            }
            at.extend(name.as_encoded_bytes());
            let result = self.entry(folder, name, kind, at, exclude);
            at.truncate(length);
            result?;
        }
        self.flush(folder);
        self.ignores.truncate(known);
        Ok(())
    }

    fn entry(
        &mut self,
        folder: &Folder,
        name: OsString,
        kind: FileType,
        at: &mut Vec<u8>,
        exclude: &Gitignore,
    ) -> Result<(), Error> {
        if self.is_excluded(at, kind.is_dir(), exclude) {
            return Ok(());
        }
        let path: TreePath = std::str::from_utf8(at).map_err(|_| Error::NotUtf8(shown(at)))?.parse()?;
        match kind {
            FileType::RegularFile => {
                self.files.push((name, path));
                if self.files.len() == BATCH {
                    self.flush(folder);
                }
            }
            FileType::Directory => {
                let inner = folder.folder(&name).map_err(|error| reading(error, "open", at))?;
                self.entries.push((path, Node::Directory));
                // What is left of this folder's files would else keep its handle while we are below.
                self.flush(folder);
                at.push(b'/');
                self.walk(&inner, at, exclude)?;
            }
            FileType::Symlink => {
                let points_to =
                    folder.read_link(&name).map_err(|error| reading(error, "read the link", at))?;
                let points_to =
                    String::from_utf8(points_to).map_err(|bad| Error::NotUtf8(shown(bad.as_bytes())))?;
                self.entries.push((path, Node::Symlink { points_to }));
            }
            other => {
                let what = match other {
                    FileType::Fifo => "a named pipe",
                    FileType::Socket => "a socket",
                    _ => "a device",
                };
                return Err(Error::Special { path, what });
            }
        }
        Ok(())
    }

    fn is_excluded(&self, at: &[u8], is_folder: bool, exclude: &Gitignore) -> bool {
        let path = |from: usize| Path::new(OsStr::from_bytes(&at[from..]));
        let ignores = self.ignores.iter().rev().map(|(from, patterns)| (*from, patterns));
        for (from, patterns) in std::iter::once((0, exclude)).chain(ignores) {
            match patterns.matched(path(from), is_folder) {
                Match::None => {}
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
            }
        }
        false
    }

    fn flush(&mut self, folder: &Folder) {
        let files = std::mem::take(&mut self.files);
        if !files.is_empty() && !self.stop.load(Ordering::Relaxed) {
            // A worker never ends before the channel is closed, so this fails only when all of them panicked; then
            // joining them says so.
            let _ = self.sender.send(Batch { folder: folder.clone(), files });
        }
    }
}

fn read_batches(
    batches: &Mutex<Receiver<Batch>>,
    store: Option<&Store>,
    stop: &AtomicBool,
) -> Result<Vec<(TreePath, Node)>, Error> {
    let mut entries = Vec::new();
    let mut failure = None;
    let mut buffer = Vec::new();
    loop {
        let next = batches.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Batch { folder, files }) = next else { break };
        for (name, path) in files {
            // The channel is drained to its end, or the walk would wait for ever.
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let open = folder.file(&name).map_err(|error| reading(error, "open", path.as_str().as_bytes()));
            match open.and_then(|mut file| read_file(&mut file, path.as_ref(), store, &mut buffer)) {
                Ok(node) => entries.push((path, node)),
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    failure = Some(error);
                }
            }
        }
    }
    failure.map_or(Ok(entries), Err)
}

fn read_file(
    file: &mut File,
    path: &Path,
    store: Option<&Store>,
    buffer: &mut Vec<u8>,
) -> Result<Node, Error> {
    let changed = || Error::Changed(path.to_owned());
    let stat = |file: &File| rustix::fs::fstat(file).map_err(|error| Error::io("stat", path)(error.into()));
    let before = stat(file)?;
    if !kind_of(&before).is_file() {
        return Err(changed());
    }
    let size = u64::try_from(before.st_size).unwrap_or(0);
    let read = Error::io("read", path);
    let digest = if size <= SMALL {
        buffer.clear();
        // One byte more than there should be: a file that grows is seen.
        file.take(size + 1).read_to_end(buffer).map_err(read)?;
        if buffer.len() as u64 != size || is_changed(&before, &stat(file)?) {
            return Err(changed());
        }
        match store {
            Some(store) => store.put_bytes(buffer)?,
            None => Digest::of(&*buffer),
        }
    } else {
        let (digest, length) = hash(file, size + 1, buffer).map_err(read)?;
        if length != size || is_changed(&before, &stat(file)?) {
            return Err(changed());
        }
        if let Some(store) = store
            && !store.has_file(&digest, size)
        {
            file.rewind().map_err(Error::io("read", path))?;
            if store.put_reader(file.take(size + 1))? != (digest, size) {
                return Err(changed());
            }
        }
        digest
    };
    Ok(Node::File { digest, size, executable: is_executable(&before) })
}

fn hash(file: &mut File, limit: u64, buffer: &mut Vec<u8>) -> io::Result<(Digest, u64)> {
    buffer.resize(256 * 1024, 0);
    let mut hasher = Sha256::new();
    let mut length = 0;
    while length < limit {
        match file.read(buffer) {
            Ok(0) => break,
            Ok(read) => {
                hasher.update(&buffer[..read]);
                length += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((Digest::from_bytes(hasher.finalize().into()), length))
}

fn is_changed(before: &Stat, after: &Stat) -> bool {
    let key = |s: &Stat| (s.st_size, s.st_mtime, s.st_mtime_nsec, s.st_ctime, s.st_ctime_nsec, s.st_mode);
    key(before) != key(after)
}

fn read_gitignore(folder: &Folder, place: &[u8]) -> Result<Gitignore, Error> {
    let fail = |error| reading(error, "read", place);
    let file = folder.file(".gitignore").map_err(fail)?;
    let bad = |line: usize, why: &str| Error::Pattern {
        place: format!("{} line {line}", shown(place)),
        pattern: String::new(),
        why: why.to_owned(),
    };
    let mut bytes = Vec::new();
    file.take(GITIGNORE_MAX + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > GITIGNORE_MAX {
        return Err(bad(1, "the file is larger than 1 MiB"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        bad(1 + before.iter().filter(|byte| **byte == b'\n').count(), "it is not UTF-8")
    })?;
    patterns(&shown(place), text.trim_start_matches('\u{feff}').lines())
}

fn patterns<'p>(place: &str, lines: impl Iterator<Item = &'p str>) -> Result<Gitignore, Error> {
    let mut builder = GitignoreBuilder::new("");
    for (index, line) in lines.enumerate() {
        let bad = |error: ignore::Error| Error::Pattern {
            place: format!("{place} line {}", index + 1),
            pattern: line.escape_debug().to_string(),
            why: error.to_string(),
        };
        builder.add_line(None, line).map_err(bad)?;
    }
    builder.build().map_err(|error| Error::Pattern {
        place: place.to_owned(),
        pattern: String::new(),
        why: error.to_string(),
    })
}

/// A failure to open what was just listed: when it is gone or of another kind, it changed.
fn reading(error: io::Error, what: &'static str, at: &[u8]) -> Error {
    let path = PathBuf::from(OsStr::from_bytes(at));
    match Errno::from_io_error(&error) {
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Error::Changed(path),
        _ => Error::Io { what, path, source: error },
    }
}

fn shown(path: &[u8]) -> String {
    escape(Path::new(OsStr::from_bytes(path)))
}

#[cfg(test)]
mod tests;
