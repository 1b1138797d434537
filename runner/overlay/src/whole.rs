//! What is in a folder once the changes were made: its entries, and its manifest.

use crate::node::{Below, Content, Folder, FolderMetadata, Metadata, Node};
use crate::unknown::{conflict, denied, failure, missing, unknown};
use crate::view::{View, in_tree, only};
use runner_artifact::{Node as TreeNode, Tree, TreePath};
use runner_model::{Change, Digest, Entry, EntryKind, Failure, FailureKind, RemotePath};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a manifest is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// To be told: folders in it that others may change are refused, as `digest` and `fetch` do.
    Telling,
    /// To be compared: they are not.
    Comparing,
}

/// The entries of a manifest that is being made.
struct Made {
    entries: Vec<(TreePath, TreeNode)>,
    purpose: For,
    /// The path itself says `.runner`.
    own: bool,
    /// The files are to be in the store.
    with_files: bool,
}

fn not_a_folder(what: &str) -> Failure {
    conflict(what, "it is not a folder")
}

impl View {
    /// The entries of a folder, sorted by name, bytewise.
    pub(crate) async fn entries(&self, what: &str, node: &Arc<Node>) -> Result<Vec<Entry>, Failure> {
        let node = self.plain(what, node).await?;
        let folder = match &*node {
            Node::Absent | Node::Laid(_) => return Err(missing(what, "nothing is there")),
            Node::File { .. } | Node::Link { .. } => return Err(not_a_folder(what)),
            Node::Unknown(why) => return Err(unknown(what, why)),
            Node::Real(path) => return self.reads.read_dir(path, only(path)).await,
            Node::Folder(folder) => folder,
        };
        if let FolderMetadata::Known(metadata) = &folder.metadata {
            self.may(what, metadata, 0o1, "no permission to enter it").await?;
            self.may(what, metadata, 0o4, "no permission to read it").await?;
        }
        let mut entries = match &folder.below {
            Below::Nothing => vec![],
            Below::Unknown(why) => return Err(unknown(what, why)),
            Below::Real(path) => self.reads.read_dir(path, only(path)).await?,
            Below::Laid(laid) => {
                let tree = self.manifest(what, &laid.tree).await?;
                let mut entries = vec![];
                for name in names_below(&tree, &laid.at) {
                    let node = Arc::new(in_tree(&tree, &laid.join(&name)));
                    entries.extend(self.entry(what, &node, &name).await?);
                }
                entries
            }
        };
        entries.retain(|entry| !folder.changed.contains_key(&entry.name));
        for (name, node) in &folder.changed {
            entries.extend(self.entry(what, node, name).await?);
        }
        entries.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
        Ok(entries)
    }

    /// The manifest of a folder. `path`: as the request says it.
    pub(crate) async fn manifest_of(
        &self,
        what: &str,
        path: &RemotePath,
        node: &Arc<Node>,
        purpose: For,
        with_files: bool,
    ) -> Result<Tree, Failure> {
        let own = path.segments().any(|segment| segment == ".runner");
        let mut made = Made { entries: vec![], purpose, own, with_files };
        self.gather(what, "", node, &mut made).await?;
        Tree::from_entries(made.entries).map_err(|bad| failure(FailureKind::Invalid, what, &bad.to_string()))
    }

    /// The digest of a folder's manifest as a change finds it; `None`: something in it has none.
    pub(crate) async fn found_tree(
        &self,
        what: &str,
        path: &RemotePath,
        node: &Arc<Node>,
    ) -> Result<Option<Digest>, Failure> {
        match self.manifest_of(what, path, node, For::Comparing, false).await {
            Ok(tree) => Ok(Some(tree.digest())),
            Err(failure) if matches!(failure.kind, FailureKind::Invalid | FailureKind::Other) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn gather(&self, what: &str, at: &str, node: &Arc<Node>, made: &mut Made) -> Result<(), Failure> {
        let node = self.plain(what, node).await?;
        match &*node {
            Node::Absent | Node::Laid(_) => Ok(()),
            Node::Unknown(why) => Err(unknown(what, why)),
            Node::Link { points_to, .. } => {
                push(what, at, TreeNode::Symlink { points_to: points_to.clone() }, made)
            }
            Node::File { content, metadata } => {
                match content {
                    Content::Secret { .. } if made.with_files => {
                        return Err(unknown(what, &format!("`{at}` in it would hold a secret")));
                    }
                    Content::Real(path) if made.with_files => {
                        self.reads.fetch(path, only(path)).await?;
                    }
                    _ => {}
                }
                let Some(mode) = metadata.mode else {
                    return Err(unknown(what, &format!("the mode of `{at}` in it")));
                };
                self.may(what, metadata, 0o4, "").await.map_err(|why| not_whole(what, why))?;
                let digest = self.sum(what, content).await?;
                let size = self.entry(what, &node, "").await?.map_or(0, |entry| entry.size);
                push(what, at, TreeNode::File { digest, size, executable: mode & 0o100 != 0 }, made)
            }
            Node::Real(path) => match self.reads.look(path).await? {
                None => Ok(()),
                Some(entry) => self.gather_real(what, at, path, &entry, made).await,
            },
            Node::Folder(folder) => {
                if !at.is_empty() {
                    push(what, at, TreeNode::Directory, made)?;
                }
                self.gather_folder(what, at, folder, made).await
            }
        }
    }

    async fn gather_folder(
        &self,
        what: &str,
        at: &str,
        folder: &Folder,
        made: &mut Made,
    ) -> Result<(), Failure> {
        let metadata = match &folder.metadata {
            FolderMetadata::Known(metadata) => metadata.clone(),
            FolderMetadata::Real(path) => {
                let entry = self.reads.look(path).await?.ok_or_else(|| not_a_folder(what))?;
                let Entry { mode, owner, group, modified, .. } = entry;
                Metadata { mode: Some(mode), owner: Some(owner), group: Some(group), modified }
            }
        };
        match at {
            "" => self.may(what, &metadata, 0o1, "no permission to enter it").await?,
            // Whoever finds nothing in it enters nothing.
            _ if folder.is_certainly_empty() => {}
            _ => self.may(what, &metadata, 0o1, "").await.map_err(|why| not_whole(what, why))?,
        }
        self.may(what, &metadata, 0o4, "").await.map_err(|why| not_whole(what, why))?;
        if made.purpose == For::Telling {
            let shown = format!("the folder `{}` in it", if at.is_empty() { "." } else { at });
            self.closed(what, &shown, &metadata).await?;
        }
        match &folder.below {
            Below::Nothing => {}
            Below::Unknown(why) => return Err(unknown(what, why)),
            Below::Real(path) => {
                for entry in self.reads.read_dir(path, only(path)).await? {
                    if folder.changed.contains_key(&entry.name) {
                        continue;
                    }
                    let real = path.join(&entry.name).map_err(|bad| unknown(what, &bad.to_string()))?;
                    let at = below(at, &entry.name);
                    Box::pin(self.gather_real(what, &at, &real, &entry, made)).await?;
                }
            }
            Below::Laid(laid) => {
                let tree = self.manifest(what, &laid.tree).await?;
                for (path, node) in tree.entries() {
                    let Some(rest) = inside(path.as_str(), &laid.at) else { continue };
                    let first = rest.split('/').next().unwrap_or_default();
                    if !folder.changed.contains_key(first) {
                        push(what, &below(at, rest), node.clone(), made)?;
                    }
                }
            }
        }
        for (name, node) in &folder.changed {
            Box::pin(self.gather(what, &below(at, name), node, made)).await?;
        }
        Ok(())
    }

    async fn gather_real(
        &self,
        what: &str,
        at: &str,
        path: &RemotePath,
        entry: &Entry,
        made: &mut Made,
    ) -> Result<(), Failure> {
        match entry.kind {
            EntryKind::Other => {
                let why = format!("`{}` is neither a file, a folder nor a link", at.escape_debug());
                Err(failure(FailureKind::Invalid, what, &why))
            }
            EntryKind::Symlink => {
                let points_to = self.reads.link(path).await?;
                push(what, at, TreeNode::Symlink { points_to }, made)
            }
            EntryKind::File => {
                let digest = match made.with_files {
                    true => self.reads.fetch(path, only(path)).await,
                    false => self.reads.digest(path, only(path)).await,
                };
                let digest = digest.map_err(|why| not_whole(what, why))?;
                let executable = entry.mode & 0o100 != 0;
                push(what, at, TreeNode::File { digest, size: entry.size, executable }, made)
            }
            EntryKind::Directory => {
                if !at.is_empty() {
                    push(what, at, TreeNode::Directory, made)?;
                }
                let digest = match self.reads.fetch(path, only(path)).await {
                    Ok(digest) => digest,
                    // It may be what others could change, which is no matter for a comparison, or what is the runner's.
                    Err(refused) if refused.kind == FailureKind::Denied && made.purpose == For::Comparing => {
                        self.alone_real(path).await?;
                        return Err(unknown(what, &format!("what is in the folder `{at}` in it")));
                    }
                    Err(failure) => return Err(not_whole(what, failure)),
                };
                let tree = self.manifest(what, &digest).await?;
                for (path, node) in tree.entries() {
                    push(what, &below(at, path.as_str()), node.clone(), made)?;
                }
                Ok(())
            }
        }
    }

    /// Refuses to move or remove what holds something of the runner.
    pub(crate) async fn alone(&self, what: &str, path: &RemotePath, node: &Arc<Node>) -> Result<(), Failure> {
        if path.segments().any(|segment| segment == ".runner") {
            return Ok(());
        }
        self.alone_below(what, node).await
    }

    async fn alone_below(&self, what: &str, node: &Arc<Node>) -> Result<(), Failure> {
        let folder = match &**node {
            Node::Real(path) => return self.alone_real(path).await,
            Node::Folder(folder) => folder,
            _ => return Ok(()),
        };
        if let Below::Real(path) = &folder.below {
            for entry in self.reads.read_dir(path, only(path)).await? {
                if folder.changed.contains_key(&entry.name) {
                    continue;
                }
                own_name(what, &entry.name)?;
                if entry.kind == EntryKind::Directory {
                    let real = path.join(&entry.name).map_err(|bad| unknown(what, &bad.to_string()))?;
                    self.alone_real(&real).await?;
                }
            }
        }
        for (name, node) in &folder.changed {
            if !matches!(**node, Node::Absent) {
                own_name(what, name)?;
            }
            Box::pin(self.alone_below(what, node)).await?;
        }
        Ok(())
    }

    /// What the target says of removing it, which it looks into for that.
    async fn alone_real(&self, path: &RemotePath) -> Result<(), Failure> {
        if self.reads.kind(path).await? != Some(EntryKind::Directory) {
            return Ok(());
        }
        let change = Change::RemoveTree { path: path.clone() };
        self.reads.observe(&change, only(path)).await.map(|_| ())
    }
}

/// Something in a tree may not be read: the listing of all of it fails, not the look at that one thing.
fn not_whole(what: &str, why: Failure) -> Failure {
    match why.kind {
        FailureKind::Conflict => failure(FailureKind::Other, what, "not all of it could be read"),
        _ => why,
    }
}

fn own_name(what: &str, name: &str) -> Result<(), Failure> {
    if name == ".runner" {
        return Err(denied(what, &format!("`{name}` in it belongs to the runner")));
    }
    Ok(())
}

fn below(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}/{name}") }
}

/// The rest of a path below another one.
fn inside<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    if folder.is_empty() {
        return Some(path);
    }
    path.strip_prefix(folder)?.strip_prefix('/')
}

/// The names in a folder of a tree.
fn names_below(tree: &Tree, folder: &str) -> BTreeSet<String> {
    let inner = tree.entries().filter_map(|(path, _)| inside(path.as_str(), folder));
    inner.filter(|rest| !rest.contains('/')).map(str::to_owned).collect()
}

fn push(what: &str, at: &str, node: TreeNode, made: &mut Made) -> Result<(), Failure> {
    if !made.own && at.split('/').any(|segment| segment == ".runner") {
        return Err(denied(what, &format!("`{at}` in it belongs to the runner")));
    }
    let path = TreePath::try_from(at.to_owned())
        .map_err(|bad| failure(FailureKind::Invalid, what, &bad.to_string()))?;
    made.entries.push((path, node));
    Ok(())
}
