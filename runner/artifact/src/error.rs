//! What can go wrong with artifacts.

use crate::{BadTree, BadTreePath, EscapingLink, TreePath};
use runner_model::{Digest, Failure, FailureKind};
use std::io;
use std::path::{Path, PathBuf};

/// Why something could not be stored, read or packed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("{what} `{}`: {source}", escape(.path))]
    Io {
        /// The verb: "read", "rename".
        what: &'static str,
        /// What it was about.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder of the store could be written to by somebody else.
    #[error("use `{}` as the artifact store: {why}", escape(.path))]
    UnsafeStore {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// A command that mends it.
        mend: String,
    },
    /// Nothing of that digest is in the store.
    #[error("find `{0}` in the artifact store: it is not there")]
    Missing(Digest),
    /// It is in the store, and is something else: a tree, where a file is needed, or the reverse.
    #[error("use `{digest}` as a {wanted}: it is not one")]
    WrongKind {
        /// Of what.
        digest: Digest,
        /// "file" or "tree".
        wanted: &'static str,
    },
    /// What is stored under a digest does not have it.
    #[error("read `{digest}` from the artifact store: `{}` is corrupted: {why}", escape(.path))]
    Corrupt {
        /// Of what.
        digest: Digest,
        /// Where it is.
        path: PathBuf,
        /// What was seen.
        why: String,
    },
    /// It is larger than the caller can take.
    #[error("read `{digest}`: it has {size} bytes, and at most {limit} are allowed")]
    TooLarge {
        /// Of what.
        digest: Digest,
        /// How large it is.
        size: u64,
        /// How large it may be.
        limit: u64,
    },
    /// A manifest is not one.
    #[error(transparent)]
    BadTree(#[from] BadTree),
    /// A path of the folder that is packed cannot be one in a tree.
    #[error(transparent)]
    BadPath(#[from] BadTreePath),
    /// A name, or what a link points to, is not UTF-8. It is given escaped.
    #[error("`{0}` is not UTF-8, and only UTF-8 names can travel: rename or exclude it")]
    NotUtf8(String),
    /// It is neither a file nor a folder nor a link.
    #[error("`{path}` is {what}, and only files, folders and links can travel: exclude it")]
    Special {
        /// Where it is.
        path: TreePath,
        /// What it is, with its article.
        what: &'static str,
    },
    /// It is not what it was a moment ago.
    #[error("`{}` changed while it was read", escape(.0))]
    Changed(PathBuf),
    /// A pattern of what is to be left out makes no sense.
    #[error("read the patterns of {place}: `{pattern}`: {why}")]
    Pattern {
        /// The parameter or file, and the line.
        place: String,
        /// The pattern, escaped.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// A link leads out of its tree.
    #[error(transparent)]
    EscapingLink(#[from] EscapingLink),
}

impl Error {
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }

    /// What helps to mend it; empty when there is nothing to say.
    pub fn mend(&self) -> String {
        match self {
            Self::UnsafeStore { mend, .. } => mend.clone(),
            Self::Corrupt { path, .. } => format!(
                "the disk or another program changed it; remove it and run again: rm -f '{}'",
                escape(path)
            ),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "the disk is full: free some space and run again".to_owned()
            }
            Self::Changed(_) => "run again when nothing writes to it any more, or exclude it".to_owned(),
            _ => String::new(),
        }
    }
}

/// A path for people: nothing in it can reach a terminal as a control character.
pub(crate) fn escape(path: &Path) -> String {
    path.as_os_str().as_encoded_bytes().utf8_chunks().fold(String::new(), |mut text, chunk| {
        text.extend(chunk.valid().escape_debug());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
        text
    })
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Missing(_) => FailureKind::NotFound,
            Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => FailureKind::NotFound,
            Error::WrongKind { .. } | Error::Changed(_) => FailureKind::Conflict,
            Error::TooLarge { .. }
            | Error::BadTree(_)
            | Error::BadPath(_)
            | Error::NotUtf8(_)
            | Error::Special { .. }
            | Error::Pattern { .. }
            | Error::EscapingLink(_) => FailureKind::Invalid,
            Error::Io { .. } | Error::UnsafeStore { .. } | Error::Corrupt { .. } => FailureKind::Other,
        };
        Self::new(kind, &error).with_detail(error.mend())
    }
}
