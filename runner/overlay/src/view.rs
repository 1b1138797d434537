//! What is at a place once the changes were made.

use crate::node::{Content, Folder, FolderMetadata, Laid, Metadata, Node};
use crate::reads::{Me, Reads};
use crate::unknown::{conflict, denied, unknown};
use crate::way::readable;
use runner_artifact::{Node as TreeNode, Store, Tree};
use runner_model::{Digest, Entry, EntryKind, Failure, FailureKind, RemotePath, State};
use runner_secret::Vault;
use runner_transport::Within;
use std::sync::Arc;

/// One moment of a machine, as one user sees it.
pub(crate) struct View {
    pub(crate) reads: Arc<Reads>,
    pub(crate) store: Arc<Store>,
    pub(crate) vault: Arc<Vault>,
    /// The release root of the run.
    pub(crate) root: Option<RemotePath>,
    /// What differs.
    pub(crate) tree: Arc<Node>,
}

/// What kind of thing is somewhere.
pub(crate) enum Kind {
    Absent,
    File,
    Folder,
    Link(String),
    Other,
}

/// The places of a request about one real path, which the host found itself.
pub(crate) fn only(path: &RemotePath) -> Within<'_> {
    Within::both(std::slice::from_ref(path))
}

/// Work on the disk of this machine.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::new(FailureKind::Other, error))
}

/// The artifact store failed.
pub(crate) fn stored(what: &str, error: &runner_artifact::Error) -> Failure {
    Failure::new(FailureKind::Other, format!("{what}: {error}")).with_detail(error.mend())
}

impl View {
    /// `VERB /path on TARGET`, which failures begin with.
    pub(crate) fn what(&self, verb: &str, path: &RemotePath) -> String {
        format!("{verb} `{path}` on {}", self.reads.name())
    }

    /// A manifest of the store.
    pub(crate) async fn manifest(&self, what: &str, digest: &Digest) -> Result<Tree, Failure> {
        let (store, digest) = (Arc::clone(&self.store), *digest);
        blocking(move || store.tree(&digest)).await?.map_err(|error| stored(what, &error))
    }

    /// The same node, where it is in a tree that was laid out as what it is there.
    pub(crate) async fn plain(&self, what: &str, node: &Arc<Node>) -> Result<Arc<Node>, Failure> {
        let Node::Laid(laid) = &**node else { return Ok(Arc::clone(node)) };
        let tree = self.manifest(what, &laid.tree).await?;
        Ok(Arc::new(in_tree(&tree, laid)))
    }

    pub(crate) async fn kind(&self, what: &str, node: &Arc<Node>) -> Result<Kind, Failure> {
        match &*self.plain(what, node).await? {
            Node::Real(path) => {
                if self.reads.is_known_folder(path) {
                    return Ok(Kind::Folder);
                }
                Ok(match self.reads.kind(path).await? {
                    None => Kind::Absent,
                    Some(EntryKind::Directory) => {
                        self.reads.know_folder(path);
                        Kind::Folder
                    }
                    Some(EntryKind::File) => Kind::File,
                    Some(EntryKind::Other) => Kind::Other,
                    Some(EntryKind::Symlink) => Kind::Link(readable(what, self.reads.link(path).await?)?),
                })
            }
            Node::Absent | Node::Laid(_) => Ok(Kind::Absent),
            Node::File { .. } => Ok(Kind::File),
            Node::Folder(_) => Ok(Kind::Folder),
            Node::Link { points_to, .. } => Ok(Kind::Link(points_to.clone())),
            Node::Unknown(why) => Err(unknown(what, why)),
        }
    }

    /// What `stat` says.
    pub(crate) async fn entry(
        &self,
        what: &str,
        node: &Arc<Node>,
        name: &str,
    ) -> Result<Option<Entry>, Failure> {
        let named = |entry: Entry| Entry { name: self.vault.hide(name), ..entry };
        Ok(Some(match &*self.plain(what, node).await? {
            Node::Absent | Node::Laid(_) => return Ok(None),
            Node::Real(path) => return Ok(self.reads.look(path).await?.map(named)),
            Node::File { content, metadata } => {
                let size = self.size(what, content).await?;
                named(entry(what, EntryKind::File, size, metadata)?)
            }
            Node::Link { metadata, .. } => named(entry(what, EntryKind::Symlink, 0, metadata)?),
            Node::Folder(Folder { metadata: FolderMetadata::Known(metadata), .. }) => {
                named(entry(what, EntryKind::Directory, 0, metadata)?)
            }
            Node::Folder(Folder { metadata: FolderMetadata::Real(path), .. }) => {
                return Ok(self.reads.look(path).await?.map(named));
            }
            Node::Unknown(why) => return Err(unknown(what, why)),
        }))
    }

    async fn size(&self, what: &str, content: &Content) -> Result<u64, Failure> {
        match content {
            Content::Stored { size, .. } | Content::Secret { size, .. } => Ok(*size),
            Content::Real(path) => Ok(self.reads.look(path).await?.map_or(0, |entry| entry.size)),
            Content::Unknown(why) => Err(unknown(what, why)),
        }
    }

    /// The digest of what a file holds.
    pub(crate) async fn sum(&self, what: &str, content: &Content) -> Result<Digest, Failure> {
        match content {
            Content::Stored { digest, .. } | Content::Secret { digest, .. } => Ok(*digest),
            Content::Real(path) => self.reads.digest(path, only(path)).await,
            Content::Unknown(why) => Err(unknown(what, why)),
        }
    }

    /// What a change would find; of a folder without what is in it.
    pub(crate) async fn state(&self, what: &str, node: &Arc<Node>) -> Result<State, Failure> {
        let node = self.plain(what, node).await?;
        let Some(Entry { kind, size, mode, owner, group, .. }) = self.entry(what, &node, "").await? else {
            return Ok(State::Absent);
        };
        Ok(match (kind, &*node) {
            (EntryKind::File, Node::File { content, metadata }) => {
                self.may(what, metadata, 0o4, "no permission to read it").await?;
                State::File { digest: self.sum(what, content).await?, size, mode, owner, group }
            }
            (EntryKind::File, Node::Real(path)) => {
                let digest = self.reads.digest(path, only(path)).await?;
                State::File { digest, size, mode, owner, group }
            }
            (EntryKind::Directory, _) => State::Directory { tree: None, mode, owner, group },
            (EntryKind::Symlink, Node::Link { points_to, .. }) => {
                State::Symlink { points_to: self.vault.hide(points_to.as_str()) }
            }
            (EntryKind::Symlink, Node::Real(path)) => {
                State::Symlink { points_to: self.reads.link(path).await? }
            }
            _ => State::Other,
        })
    }

    pub(crate) async fn me(&self, what: &str) -> Result<Me, Failure> {
        self.reads.me(what).await
    }

    /// Fails where a mode keeps the acting user out; `bit` is 4, 2 or 1.
    pub(crate) async fn may(
        &self,
        what: &str,
        metadata: &Metadata,
        bit: u32,
        why: &str,
    ) -> Result<(), Failure> {
        let me = self.me(what).await?;
        if me.is_root() {
            return Ok(());
        }
        let (Some(mode), Some(owner)) = (metadata.mode, &metadata.owner) else {
            return Err(unknown(what, "who may do what with it is not known"));
        };
        if *owner == me.user {
            return if mode & (bit << 6) != 0 { Ok(()) } else { Err(conflict(what, why)) };
        }
        match (mode & (bit << 3) != 0, mode & bit != 0) {
            (true, true) => Ok(()),
            (false, false) => Err(conflict(what, why)),
            _ => Err(unknown(what, "which groups the acting user is in is not known")),
        }
    }

    /// Refuses a folder on the way that would be there and that others could change.
    pub(crate) async fn safe(
        &self,
        what: &str,
        place: &RemotePath,
        metadata: &Metadata,
    ) -> Result<(), Failure> {
        match self.closed(what, &place.to_string(), metadata).await {
            // The shell of the real target remembers which folders it found safe, and does not look again.
            Err(failure) if failure.kind == FailureKind::Denied => Err(unknown(
                what,
                &format!("whether {place}, which others may change, was found safe before"),
            )),
            other => other,
        }
    }

    /// Refuses a folder that others could change.
    pub(crate) async fn closed(&self, what: &str, shown: &str, metadata: &Metadata) -> Result<(), Failure> {
        let me = self.me(what).await?;
        let (Some(mode), Some(owner)) = (metadata.mode, &metadata.owner) else {
            return Err(unknown(what, &format!("who may change {shown} is not known")));
        };
        if owner != "root" && *owner != me.user {
            return Err(unknown(what, &format!("whether {shown}, which belongs to {owner}, is safe")));
        }
        match (mode & 0o1000 != 0, mode & 0o020 != 0, mode & 0o002 != 0) {
            (_, false, false) => Ok(()),
            (false, _, true) => Err(denied(what, &format!("{shown} may be changed by others"))),
            _ => Err(unknown(what, &format!("whether {shown}, with mode {mode:04o}, is safe"))),
        }
    }
}

/// What a tree has at a place of it.
pub(crate) fn in_tree(tree: &Tree, laid: &Laid) -> Node {
    let metadata = |mode| Metadata { mode: Some(mode), ..laid.metadata.clone() };
    let found = if laid.at.is_empty() { Some(&TreeNode::Directory) } else { tree.get(&laid.at) };
    match found {
        None => Node::Absent,
        Some(node @ TreeNode::File { digest, size, .. }) => Node::File {
            content: Content::Stored { digest: *digest, size: *size },
            metadata: metadata(node.mode()),
        },
        Some(node @ TreeNode::Symlink { points_to }) => {
            Node::Link { points_to: points_to.clone(), metadata: metadata(node.mode()) }
        }
        Some(node @ TreeNode::Directory) => Node::Folder(Folder {
            metadata: FolderMetadata::Known(metadata(node.mode())),
            below: crate::node::Below::Laid(laid.clone()),
            changed: Default::default(),
        }),
    }
}

fn entry(what: &str, kind: EntryKind, size: u64, metadata: &Metadata) -> Result<Entry, Failure> {
    let Metadata { mode: Some(mode), owner: Some(owner), group: Some(group), modified } = metadata.clone()
    else {
        return Err(unknown(what, "its mode, owner and group are only known once it is there"));
    };
    Ok(Entry { name: String::new(), kind, size, mode, owner, group, modified })
}
