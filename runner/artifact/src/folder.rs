//! A folder by its handle, in which no symbolic link is ever followed: what a name leads to can be swapped while we
//! look, and still nothing outside of the folder is opened.

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// An open folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder(Arc<OwnedFd>);

impl Folder {
    /// Opens a folder by a path of the operating system; links in it are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(Arc::new(rustix::fs::open(path, FOLDER, Mode::empty())?)))
    }

    /// The same folder, with a handle of its own.
    pub(crate) fn reopen(handle: impl AsFd) -> io::Result<Self> {
        Ok(Self(Arc::new(rustix::fs::openat(handle, ".", FOLDER, Mode::empty())?)))
    }

    /// The folder of that name. A link is not one.
    pub(crate) fn folder(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        Ok(Self(Arc::new(rustix::fs::openat(
            &self.0,
            name.as_ref(),
            FOLDER | OFlags::NOFOLLOW,
            Mode::empty(),
        )?)))
    }

    /// The folder of that name, which is made when it is missing.
    pub(crate) fn make_folder(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        match rustix::fs::mkdirat(&self.0, name.as_ref(), Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => self.folder(name),
            Err(error) => Err(error.into()),
        }
    }

    /// The file of that name. A link is refused; a pipe or device is opened without waiting and without effect, for
    /// the caller to look at its type.
    pub(crate) fn file(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.0, name.as_ref(), flags, Mode::empty())?.into())
    }

    /// A new file of that name.
    pub(crate) fn create(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // The width of a mode differs between systems.
        let mode = Mode::from_bits_truncate(mode as _);
        Ok(rustix::fs::openat(&self.0, name.as_ref(), flags, mode)?.into())
    }

    /// What is there; `None`: nothing.
    pub(crate) fn stat(&self, name: impl AsRef<OsStr>) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(&self.0, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What is in it, sorted by name.
    pub(crate) fn list(&self) -> io::Result<Vec<(OsString, FileType)>> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let name = OsString::from_vec(name.to_owned());
            let kind = match entry.file_type() {
                // Some file systems do not say.
                FileType::Unknown => match self.stat(&name)? {
                    Some(stat) => kind_of(&stat),
                    None => continue,
                },
                known => known,
            };
            entries.push((name, kind));
        }
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(entries)
    }

    /// What is written in the link.
    pub(crate) fn read_link(&self, name: impl AsRef<OsStr>) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.0, name.as_ref(), Vec::new())?.into_bytes())
    }

    /// Makes a link.
    pub(crate) fn link(&self, name: impl AsRef<OsStr>, points_to: &str) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(points_to, &self.0, name.as_ref())?)
    }

    /// Renames within the folder, over whatever file or link has the new name.
    pub(crate) fn rename(&self, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from.as_ref(), &self.0, to.as_ref())?)
    }

    /// Lets two names change places, so that at no time there is nothing; in two steps where the file system cannot.
    pub(crate) fn exchange(&self, a: impl AsRef<OsStr>, b: impl AsRef<OsStr>) -> io::Result<()> {
        let (a, b) = (a.as_ref(), b.as_ref());
        match rustix::fs::renameat_with(&self.0, a, &self.0, b, RenameFlags::EXCHANGE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                let aside = temp_name();
                self.rename(b, &aside)?;
                self.rename(a, b)?;
                self.rename(&aside, a)
            }
            done => Ok(done?),
        }
    }

    /// Removes a file or a link.
    pub(crate) fn remove(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name.as_ref(), AtFlags::empty())?)
    }

    /// Removes the folder of that name and all in it; links are removed, not followed.
    pub(crate) fn remove_tree(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        let inner = self.folder(name.as_ref())?;
        for (entry, kind) in inner.list()? {
            match kind {
                FileType::Directory => inner.remove_tree(entry)?,
                _ => inner.remove(entry)?,
            }
        }
        Ok(rustix::fs::unlinkat(&self.0, name.as_ref(), AtFlags::REMOVEDIR)?)
    }

    /// Makes the names in it survive a power failure.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }
}

/// What a stat is of.
pub(crate) fn kind_of(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Whether the owner may execute it: the one bit that no umask takes away.
pub(crate) fn is_executable(stat: &Stat) -> bool {
    stat.st_mode & 0o100 != 0
}

/// A name that nothing has: for what is written and then renamed.
pub(crate) fn temp_name() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!(".runner-tmp-{}-{:x}-{number}", std::process::id(), now.as_nanos())
}
