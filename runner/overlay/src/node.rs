//! What a dry run would have made of the paths of a machine: a tree of what differs, laid over what is there.
//!
//! Places in it are physical: no link is on the way to any. A tree is never changed but replaced, so that whoever looks
//! at one sees one moment.

use runner_model::{Digest, RemotePath};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Mode, owner, group and time of something that is not really there. `None`: only the real thing could tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) mode: Option<u32>,
    pub(crate) owner: Option<String>,
    pub(crate) group: Option<String>,
    /// Milliseconds since 1970-01-01 UTC: when it was recorded.
    pub(crate) modified: u64,
}

/// What a file would hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// This, which is in the artifact store.
    Stored { digest: Digest, size: u64 },
    /// The value of a secret, which is nowhere.
    Secret { digest: Digest, size: u64 },
    /// What a real file holds.
    Real(RemotePath),
    /// Nobody knows, and why.
    Unknown(String),
}

/// A folder, or one below it, of a tree that was laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Laid {
    pub(crate) tree: Digest,
    /// Where in the tree; empty: the tree itself.
    pub(crate) at: String,
    /// Owner, group and time of all in it; the modes are the tree's.
    pub(crate) metadata: Metadata,
}

/// Mode, owner, group and time of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FolderMetadata {
    /// As the real one.
    Real(RemotePath),
    /// So.
    Known(Metadata),
}

/// What is in a folder beside what was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Below {
    Nothing,
    /// What is in a real one.
    Real(RemotePath),
    Laid(Laid),
    /// Nobody knows, and why.
    Unknown(String),
}

/// What is at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Absent,
    /// Whatever is really there, if anything, with nothing changed in it. Elsewhere than at its own place it was renamed.
    Real(RemotePath),
    /// Whatever the tree has there, if anything.
    Laid(Laid),
    File {
        content: Content,
        metadata: Metadata,
    },
    Link {
        points_to: String,
        metadata: Metadata,
    },
    Folder(Folder),
    /// Nobody knows, and why.
    Unknown(String),
}

/// A folder that is new, or in which something was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder {
    pub(crate) metadata: FolderMetadata,
    pub(crate) below: Below,
    /// What was changed.
    pub(crate) changed: BTreeMap<String, Arc<Node>>,
}

impl Folder {
    /// Whether nothing can be in it, whatever the real machine says.
    pub(crate) fn is_certainly_empty(&self) -> bool {
        self.below == Below::Nothing && self.changed.values().all(|node| **node == Node::Absent)
    }
}

impl Laid {
    /// What is in it, by name.
    pub(crate) fn join(&self, name: &str) -> Self {
        let at = if self.at.is_empty() { name.to_owned() } else { format!("{}/{name}", self.at) };
        Self { at, ..self.clone() }
    }
}

impl Below {
    fn child(&self, name: &str) -> Node {
        match self {
            Self::Nothing => Node::Absent,
            Self::Real(path) => real(path, name),
            Self::Laid(laid) => Node::Laid(laid.join(name)),
            Self::Unknown(why) => Node::Unknown(why.clone()),
        }
    }
}

fn real(folder: &RemotePath, name: &str) -> Node {
    match folder.join(name) {
        Ok(path) => Node::Real(path),
        Err(bad) => Node::Unknown(bad.to_string()),
    }
}

impl Node {
    /// The machine as it is.
    pub(crate) fn as_it_is() -> Self {
        Self::Real(RemotePath::root())
    }

    /// Whether nothing was changed.
    pub(crate) fn is_as_it_is(&self) -> bool {
        matches!(self, Self::Real(path) if path.parent().is_none())
    }

    /// Whether it is a folder whose mode, owner or group may be others than those of the real one.
    pub(crate) fn is_dressed(&self) -> bool {
        matches!(self, Self::Folder(Folder { metadata: FolderMetadata::Known(_), .. }))
    }

    /// A folder in which there is nothing.
    pub(crate) fn empty_folder(metadata: Metadata) -> Self {
        Self::Folder(Folder {
            metadata: FolderMetadata::Known(metadata),
            below: Below::Nothing,
            changed: BTreeMap::new(),
        })
    }

    /// What is in it, by name.
    fn child(&self, name: &str) -> Arc<Self> {
        let child = match self {
            Self::Folder(folder) => match folder.changed.get(name) {
                Some(child) => return Arc::clone(child),
                None => folder.below.child(name),
            },
            Self::Real(path) => real(path, name),
            Self::Laid(laid) => Self::Laid(laid.join(name)),
            Self::Unknown(why) => Self::Unknown(why.clone()),
            Self::Absent | Self::File { .. } | Self::Link { .. } => Self::Absent,
        };
        Arc::new(child)
    }

    /// What is at a physical place.
    pub(crate) fn at(self: &Arc<Self>, place: &RemotePath) -> Arc<Self> {
        place.segments().fold(Arc::clone(self), |node, name| node.child(name))
    }

    /// Whether no folder that was made or dressed in it keeps its own owner out.
    pub(crate) fn is_open_to_its_owner(&self) -> bool {
        let Self::Folder(folder) = self else { return true };
        let open = match &folder.metadata {
            FolderMetadata::Real(_) => true,
            FolderMetadata::Known(metadata) => metadata.mode.is_some_and(|mode| mode & 0o700 == 0o700),
        };
        open && folder.changed.values().all(|node| node.is_open_to_its_owner())
    }

    /// This as a folder in which something can be changed; `None`: it is none.
    fn as_folder(&self) -> Option<Folder> {
        match self {
            Self::Folder(folder) => Some(folder.clone()),
            Self::Real(path) => Some(Folder {
                metadata: FolderMetadata::Real(path.clone()),
                below: Below::Real(path.clone()),
                changed: BTreeMap::new(),
            }),
            Self::Laid(laid) => Some(Folder {
                metadata: FolderMetadata::Known(Metadata { mode: Some(0o755), ..laid.metadata.clone() }),
                below: Below::Laid(laid.clone()),
                changed: BTreeMap::new(),
            }),
            Self::Absent | Self::File { .. } | Self::Link { .. } | Self::Unknown(_) => None,
        }
    }

    /// The same with something else at a place whose folder was found to be one; `None`: it is none any more.
    pub(crate) fn with(&self, place: &RemotePath, node: Self) -> Option<Self> {
        let names: Vec<&str> = place.segments().collect();
        self.with_at(&names, node)
    }

    fn with_at(&self, names: &[&str], node: Self) -> Option<Self> {
        let Some((name, rest)) = names.split_first() else { return Some(node) };
        let mut folder = self.as_folder()?;
        let child = self.child(name).with_at(rest, node)?;
        folder.changed.insert((*name).to_owned(), Arc::new(child));
        Some(Self::Folder(folder))
    }
}
