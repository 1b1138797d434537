//! Artifacts on disk, by digest, shared by all runs of a user.
//!
//! ```text
//! STORE/            0700, owned by the user; refused when anybody else could write to it
//!   blobs/ab/<64 hexadecimal digits>   the content of a file, 0400
//!   trees/ab/<64 hexadecimal digits>   the canonical text of a tree, 0400
//!   tmp/                               what is being written
//! ```
//!
//! Blobs and trees are apart, so that a file whose text happens to be a manifest is not taken for a tree.
//!
//! **Writing.** Everything is written to `tmp/` and renamed into place, so whatever has its name is complete, however
//! many processes write at once. Nothing is synced, for an artifact can be packed or fetched again; after a power
//! failure a blob may be torn, which the check of its length (when it is put again) and of its digest (when it is
//! read) finds. What must survive, such as a payload that a journal entry names, goes through
//! [`Store::put_bytes_synced`].
//!
//! **Reading.** [`Store::read_bytes`], [`Store::tree`] and [`Store::open_verified`] check the digest of what they
//! hand out; a blob that does not have it is named by [`Error::Corrupt`]. Only [`Store::open_file`] does not, for
//! readers whose other end checks.

use crate::{Error, Node, Tree};
use runner_model::Digest;
use sha2::{Digest as _, Sha256};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// What is copied at once.
const CHUNK: usize = 128 * 1024;
/// What in `tmp/` is older was left by a process that died.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// The largest manifest that is read: a million files.
const MANIFEST_MAX: u64 = 256 * 1024 * 1024;

/// A content-addressed store in a folder. Cheap to share behind an `Arc`; safe for several processes at once.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
}

/// What is stored under a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The content of a file.
    File,
    /// The manifest of a folder.
    Tree,
}

impl Kind {
    fn folder(self) -> &'static str {
        match self {
            Self::File => "blobs",
            Self::Tree => "trees",
        }
    }
}

impl Store {
    /// Opens the store in this folder, which is made when it is missing (with its parents, all 0700).
    ///
    /// # Errors
    /// The folder cannot be made, is not a folder, belongs to another user, or somebody else may write to it.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        let private = |path: &Path| {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(Error::io("make the folder", path))
        };
        private(&root)?;
        check_owner(&root)?;
        let store = Self { root };
        for folder in ["blobs", "trees", "tmp"] {
            private(&store.root.join(folder))?;
        }
        store.sweep();
        Ok(store)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Stores the content of a file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, Error> {
        self.put(Kind::File, bytes)
    }

    /// The same; returns when it would survive a power failure.
    ///
    /// # Errors
    /// It cannot be written or synced.
    pub fn put_bytes_synced(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = self.put_bytes(bytes)?;
        self.sync(&digest)?;
        Ok(digest)
    }

    /// Makes a file that is stored survive a power failure.
    ///
    /// # Errors
    /// It is not there, or cannot be synced.
    pub fn sync(&self, digest: &Digest) -> Result<(), Error> {
        let path = self.path(Kind::File, digest);
        let sync = |path: &Path| {
            File::open(path).and_then(|file| file.sync_all()).map_err(Error::io("sync to disk", path))
        };
        // The name of a file is in its folder, and the folder's in its own.
        path.ancestors().take_while(|at| at.starts_with(&self.root)).try_for_each(sync)
    }

    /// Stores what the reader gives, to its end; returns its digest and its size.
    ///
    /// # Errors
    /// It cannot be read or written. Then nothing is stored.
    pub fn put_reader(&self, mut reader: impl Read) -> Result<(Digest, u64), Error> {
        let mut temp = self.temp()?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; CHUNK];
        let mut size = 0;
        loop {
            let read = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::io("read what is to be stored as", &temp.path)(error)),
            };
            hasher.update(&buffer[..read]);
            temp.write_all(&buffer[..read])?;
            size += read as u64;
        }
        let digest = Digest::from_bytes(hasher.finalize().into());
        if !self.holds(Kind::File, &digest, size) {
            temp.publish(&self.path(Kind::File, &digest))?;
        }
        Ok((digest, size))
    }

    /// Stores the manifest of a tree. Its files are stored on their own, before or after.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put_tree(&self, tree: &Tree) -> Result<Digest, Error> {
        self.put(Kind::Tree, tree.to_text().as_bytes())
    }

    /// What is stored under the digest; a tree when there are both a tree and a file. `None`: nothing.
    pub fn kind(&self, digest: &Digest) -> Option<Kind> {
        [Kind::Tree, Kind::File].into_iter().find(|kind| self.path(*kind, digest).is_file())
    }

    /// Whether a file or a tree is stored under the digest.
    pub fn has(&self, digest: &Digest) -> bool {
        self.kind(digest).is_some()
    }

    /// Whether a tree is stored under the digest.
    pub fn is_tree(&self, digest: &Digest) -> bool {
        self.kind(digest) == Some(Kind::Tree)
    }

    /// Whether a file of this size is stored under the digest: so not one that a power failure cut short.
    pub fn has_file(&self, digest: &Digest, size: u64) -> bool {
        self.holds(Kind::File, digest, size)
    }

    /// The size of a file, or of all files of a tree, in bytes.
    ///
    /// # Errors
    /// [`Error::Missing`], or a tree is corrupted.
    pub fn size(&self, digest: &Digest) -> Result<u64, Error> {
        match self.kind(digest) {
            Some(Kind::Tree) => self.tree_size(digest),
            _ => self.open_file(digest).map(|(_, size)| size),
        }
    }

    /// The size of all files of a tree, in bytes.
    ///
    /// # Errors
    /// As [`Store::tree`].
    pub fn tree_size(&self, digest: &Digest) -> Result<u64, Error> {
        self.tree(digest).map(|tree| tree.size())
    }

    /// The content of a file of at most `limit` bytes, verified.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::WrongKind`], [`Error::TooLarge`], [`Error::Corrupt`].
    pub fn read_bytes(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, Error> {
        self.read(Kind::File, digest, limit)
    }

    /// A file and its size, as they are on disk: **not verified**. For a reader that checks the digest itself, as a
    /// target does with what it receives.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::WrongKind`].
    pub fn open_file(&self, digest: &Digest) -> Result<(File, u64), Error> {
        self.open_kind(Kind::File, digest)
    }

    /// A file as a reader that fails at its end when the content does not have the digest.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::WrongKind`].
    pub fn open_verified(&self, digest: &Digest) -> Result<Verified, Error> {
        let (file, size) = self.open_file(digest)?;
        Ok(Verified {
            file,
            size,
            left: size,
            hasher: Sha256::new(),
            digest: *digest,
            path: self.path(Kind::File, digest),
        })
    }

    /// A tree, verified.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::WrongKind`], [`Error::Corrupt`].
    pub fn tree(&self, digest: &Digest) -> Result<Tree, Error> {
        Ok(Tree::parse(&self.read(Kind::Tree, digest, MANIFEST_MAX)?)?)
    }

    /// The files of a tree that are not stored, in its order.
    pub fn missing<'t>(&self, tree: &'t Tree) -> Vec<(&'t crate::TreePath, &'t Node)> {
        tree.entries()
            .filter(|(_, node)| {
                matches!(node, Node::File { digest, size, .. } if !self.holds(Kind::File, digest, *size))
            })
            .collect()
    }

    fn path(&self, kind: Kind, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        // Git's fan-out, with the full name kept so that `sha256sum` checks it at a glance.
        let mut path = PathBuf::with_capacity(self.root.as_os_str().len() + 80);
        path.push(&self.root);
        path.push(kind.folder());
        path.push(&hex[..2]);
        path.push(hex);
        path
    }

    fn holds(&self, kind: Kind, digest: &Digest, size: u64) -> bool {
        self.path(kind, digest).metadata().is_ok_and(|found| found.is_file() && found.len() == size)
    }

    fn put(&self, kind: Kind, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(bytes);
        if !self.holds(kind, &digest, bytes.len() as u64) {
            let mut temp = self.temp()?;
            temp.write_all(bytes)?;
            temp.publish(&self.path(kind, &digest))?;
        }
        Ok(digest)
    }

    fn open_kind(&self, kind: Kind, digest: &Digest) -> Result<(File, u64), Error> {
        let path = self.path(kind, digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(match self.kind(digest) {
                    Some(_) => Error::WrongKind {
                        digest: *digest,
                        wanted: if kind == Kind::File { "file" } else { "tree" },
                    },
                    None => Error::Missing(*digest),
                });
            }
            Err(error) => return Err(Error::io("open", path)(error)),
        };
        let size = file.metadata().map_err(Error::io("stat", path))?.len();
        Ok((file, size))
    }

    fn read(&self, kind: Kind, digest: &Digest, limit: u64) -> Result<Vec<u8>, Error> {
        let (file, size) = self.open_kind(kind, digest)?;
        if size > limit {
            return Err(Error::TooLarge { digest: *digest, size, limit });
        }
        let path = self.path(kind, digest);
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.take(limit).read_to_end(&mut bytes).map_err(Error::io("read", &path))?;
        let found = Digest::of(&bytes);
        if found == *digest {
            Ok(bytes)
        } else {
            Err(Error::Corrupt { digest: *digest, path, why: format!("its content has `{found}`") })
        }
    }

    fn temp(&self) -> Result<Temp, Error> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        loop {
            // Two containers that share a cache may have the same process id: then `create_new` says so.
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = self.root.join("tmp").join(format!("{}-{number}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).mode(0o400).open(&path) {
                Ok(file) => return Ok(Temp { path, file, published: false }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io("make", path)(error)),
            }
        }
    }

    /// Removes what dead processes left in `tmp/`. Whatever fails is left for the next time.
    fn sweep(&self) {
        let Ok(entries) = self.root.join("tmp").read_dir() else { return };
        let now = SystemTime::now();
        for entry in entries.flatten() {
            let age =
                entry.metadata().and_then(|m| m.modified()).ok().and_then(|at| now.duration_since(at).ok());
            if age.is_some_and(|age| age > STALE) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// The folder must be the user's own: whoever may write to it decides what is deployed.
fn check_owner(root: &Path) -> Result<(), Error> {
    let meta = root.symlink_metadata().map_err(Error::io("stat", root))?;
    let shown = crate::error::escape(root);
    let unsafe_store = |why: String, mend: String| Error::UnsafeStore { path: root.to_owned(), why, mend };
    let me = rustix::process::geteuid().as_raw();
    if !meta.is_dir() {
        let mend = "name the folder itself, not a link to it".to_owned();
        return Err(unsafe_store("it is not a folder".to_owned(), mend));
    }
    if meta.uid() != me {
        let mend = "name a folder of your own, for example through XDG_CACHE_HOME".to_owned();
        return Err(unsafe_store(format!("it belongs to user {}, and this is user {me}", meta.uid()), mend));
    }
    if meta.permissions().mode() & 0o022 != 0 {
        let why = format!("others may write to it (mode {:04o})", meta.permissions().mode() & 0o7777);
        return Err(unsafe_store(why, format!("chmod 0700 '{shown}'")));
    }
    Ok(())
}

/// A file in `tmp/` that is gone unless it is published.
struct Temp {
    path: PathBuf,
    file: File,
    published: bool,
}

impl Temp {
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(Error::io("write", &self.path))
    }

    fn publish(mut self, to: &Path) -> Result<(), Error> {
        let mut renamed = std::fs::rename(&self.path, to);
        if renamed.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            if let Some(parent) = to.parent() {
                let made = DirBuilder::new().recursive(true).mode(0o700).create(parent);
                made.map_err(Error::io("make the folder", parent))?;
            }
            renamed = std::fs::rename(&self.path, to);
        }
        renamed.map_err(Error::io("rename into place", to))?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.published {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A file of the store that is checked while it is read: the read that would reach its end fails when the content
/// does not have the digest.
#[derive(Debug)]
pub struct Verified {
    file: File,
    size: u64,
    left: u64,
    hasher: Sha256,
    digest: Digest,
    path: PathBuf,
}

impl Verified {
    /// In bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    fn corrupt(&self, why: String) -> io::Error {
        io::Error::other(Error::Corrupt { digest: self.digest, path: self.path.clone(), why })
    }
}

impl Read for Verified {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        let before = self.left;
        self.left = before.checked_sub(read as u64).ok_or_else(|| self.corrupt("it grows".to_owned()))?;
        if read == 0 && !buffer.is_empty() && before > 0 {
            return Err(self.corrupt(format!("{before} bytes are missing at its end")));
        }
        // With the last bytes, not after them: whoever counts bytes never reads again.
        if self.left == 0 && (before > 0 || self.size == 0) {
            let found = Digest::from_bytes(self.hasher.clone().finalize().into());
            if found != self.digest {
                return Err(self.corrupt(format!("its content has `{found}`")));
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{file, tree};

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path().join("store")).expect("a store");
        (folder, store)
    }

    fn overwrite(store: &Store, digest: &Digest, content: &str) {
        let path = store.path(Kind::File, digest);
        std::fs::remove_file(&path).expect("there");
        std::fs::write(&path, content).expect("written");
    }

    #[test]
    fn what_is_put_is_read() {
        let (_folder, store) = store();
        for content in ["", "a", &"long ".repeat(100_000)] {
            let digest = store.put_bytes(content.as_bytes()).expect("put");
            assert_eq!(digest, Digest::of(content));
            assert_eq!(store.put_reader(content.as_bytes()).expect("put"), (digest, content.len() as u64));
            assert_eq!(store.put_bytes_synced(content.as_bytes()).expect("put"), digest);
            assert_eq!(store.read_bytes(&digest, 1 << 20).expect("read"), content.as_bytes());
            let mut read = String::new();
            store.open_verified(&digest).expect("open").read_to_string(&mut read).expect("read");
            assert_eq!(read, content);
            assert_eq!(store.size(&digest).expect("size"), content.len() as u64);
            assert_eq!(store.kind(&digest), Some(Kind::File));
        }
        assert_eq!(store.root().join("tmp").read_dir().expect("tmp").count(), 0);
        let mode = |path: &Path| path.metadata().expect("stat").permissions().mode() & 0o7777;
        assert_eq!(mode(store.root()), 0o700);
        assert_eq!(mode(&store.path(Kind::File, &Digest::of("a"))), 0o400);
    }

    #[test]
    fn a_tree_is_one_only_when_it_was_put_as_one() {
        let (_folder, store) = store();
        let tree = tree([("a", file("abc", false)), ("b", file("abc", true))]);
        let as_file = store.put_bytes(tree.to_text().as_bytes()).expect("put");
        assert!(!store.is_tree(&as_file));
        assert!(matches!(store.tree(&as_file), Err(Error::WrongKind { .. })));
        let digest = store.put_tree(&tree).expect("put");
        assert_eq!(digest, as_file);
        assert!(store.is_tree(&digest));
        assert_eq!(store.tree(&digest).expect("read"), tree);
        assert_eq!(store.tree_size(&digest).expect("size"), 6);
        assert_eq!(store.missing(&tree).len(), 2);
        store.put_bytes(b"abc").expect("put");
        assert!(store.missing(&tree).is_empty());
    }

    #[test]
    fn what_is_not_there_or_too_large_is_told_apart() {
        let (_folder, store) = store();
        let digest = Digest::of("x");
        assert!(matches!(store.read_bytes(&digest, 9), Err(Error::Missing(d)) if d == digest));
        let digest = store.put_bytes(b"0123456789").expect("put");
        assert!(matches!(store.read_bytes(&digest, 9), Err(Error::TooLarge { size: 10, limit: 9, .. })));
    }

    #[test]
    fn a_corrupted_blob_is_named() {
        let (_folder, store) = store();
        let digest = store.put_bytes(b"good").expect("put");
        for bad in ["baad", "bad", "", "goods"] {
            overwrite(&store, &digest, bad);
            let error = store.read_bytes(&digest, 99).expect_err(bad);
            assert!(matches!(&error, Error::Corrupt { digest: d, .. } if *d == digest), "{error}");
            assert!(error.to_string().contains(&digest.hex()) && error.mend().contains("rm -f"), "{error}");
            let error =
                store.open_verified(&digest).expect("open").read_to_end(&mut Vec::new()).expect_err(bad);
            assert!(error.to_string().contains("corrupted"), "{error}");
        }
        // A torn one is mended by putting it again.
        store.put_bytes(b"good").expect("put");
        assert_eq!(store.read_bytes(&digest, 99).expect("mended"), b"good");
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = folder.path().join("open");
        Store::open(&open).expect("fresh");
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o770)).expect("chmod");
        let error = Store::open(&open).expect_err("unsafe");
        assert!(error.to_string().contains("others may write to it (mode 0770)"), "{error}");
        assert!(error.mend().contains("chmod 0700"), "{}", error.mend());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("open", &link).expect("link");
        assert!(matches!(Store::open(&link), Err(Error::UnsafeStore { .. })));
        let foreign = if rustix::process::geteuid().is_root() {
            let foreign = folder.path().join("foreign");
            Store::open(&foreign).expect("fresh");
            std::os::unix::fs::chown(&foreign, Some(12345), None).expect("chown");
            foreign
        } else {
            PathBuf::from("/usr")
        };
        let error = Store::open(&foreign).expect_err("unsafe");
        assert!(error.to_string().contains("it belongs to user"), "{error}");
    }

    #[test]
    fn many_writers_at_once_leave_complete_blobs() {
        let (_folder, store) = store();
        let root = store.root();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let store = Store::open(root).expect("the same store");
                    for n in 0..50 {
                        let content = n.to_string().repeat(10_000);
                        let digest = store.put_bytes(content.as_bytes()).expect("put");
                        assert_eq!(store.read_bytes(&digest, 1 << 20).expect("complete"), content.as_bytes());
                        store.put_reader(content.as_bytes()).expect("put");
                    }
                });
            }
        });
        assert_eq!(store.root().join("tmp").read_dir().expect("tmp").count(), 0);
    }

    #[test]
    fn what_a_dead_process_left_is_swept() {
        let (_folder, store) = store();
        let (old, new) = (store.root().join("tmp/1-1"), store.root().join("tmp/1-2"));
        std::fs::write(&new, "").expect("written");
        let left = File::create(&old).expect("made");
        left.set_modified(SystemTime::now() - STALE - STALE).expect("aged");
        Store::open(store.root()).expect("opened");
        assert!(!old.exists() && new.exists());
    }
}
