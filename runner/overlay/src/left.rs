//! All that is on a machine once the changes were made: for whoever has made the machine up, and wants to see what became
//! of it. It asks no grant and follows no link.

use crate::Overlay;
use crate::node::{Content, Node};
use crate::reads::Reads;
use crate::view::View;
use runner_model::{Digest, Entry, EntryKind, Failure, RemotePath};
use runner_transport::Target;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// What `stat` says.
    pub entry: Entry,
    /// What a file holds; `None`: it is no file, or nobody knows.
    pub digest: Option<Digest>,
    /// What is written in a link.
    pub points_to: Option<String>,
}

impl Overlay {
    /// Everything below the root of a machine. `root`: its verbs, as a user that may read all.
    ///
    /// # Errors
    /// Of something nobody can tell what it would be.
    pub async fn everything(&self, root: Arc<dyn Target>) -> Result<BTreeMap<RemotePath, Left>, Failure> {
        let view = View {
            reads: Arc::new(Reads::new(root)),
            store: Arc::clone(&self.store),
            vault: Arc::clone(&self.vault),
            root: self.root.clone(),
            tree: self.tree(),
        };
        let mut left = BTreeMap::new();
        let mut folders = vec![RemotePath::root()];
        while let Some(folder) = folders.pop() {
            let what = view.what("list", &folder);
            for entry in view.entries(&what, &view.tree.at(&folder)).await? {
                let path = folder
                    .join(&entry.name)
                    .map_err(|bad| crate::unknown::unknown(&what, &bad.to_string()))?;
                if entry.kind == EntryKind::Directory {
                    folders.push(path.clone());
                }
                let (digest, points_to) = match &*view.plain(&what, &view.tree.at(&path)).await? {
                    Node::File { content: Content::Unknown(_), .. } => (None, None),
                    Node::File { content, .. } => (Some(view.sum(&what, content).await?), None),
                    Node::Link { points_to, .. } => (None, Some(points_to.clone())),
                    _ => (None, None),
                };
                left.insert(path, Left { entry, digest, points_to });
            }
        }
        Ok(left)
    }
}
