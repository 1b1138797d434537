//! What is sent to lay a tree out: made once, sent to every target that lacks the same files.

use crate::tree::{blocking, stored};
use runner_artifact::{Node, Store, Tree, TreePath, write_tar};
use runner_model::{Digest, Failure, FailureKind, Link};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// How the stream is compressed: the best that the target can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Packing {
    Zstd,
    Plain,
}

impl Packing {
    /// The word that the prelude takes.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Plain => "plain",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    wanted: Digest,
    present: Option<Digest>,
    account: Option<String>,
    packing: Packing,
}

/// A stream that is ready to be sent, more than once.
#[derive(Debug)]
pub(crate) struct Payload {
    file: File,
    path: tempfile::TempPath,
    /// Files that are copied on the target instead.
    pub(crate) copies: usize,
}

impl Payload {
    /// Its bytes, from the beginning.
    pub(crate) fn open(&self) -> std::io::Result<File> {
        File::open(&self.path)
    }

    /// How many bytes are sent.
    pub(crate) fn size(&self) -> u64 {
        self.file.metadata().map_or(0, |meta| meta.len())
    }
}

type Slot = Arc<OnceCell<Result<Arc<Payload>, Failure>>>;

/// Trees with links in them, by the tree and the links.
type Linked = BTreeMap<(Digest, Vec<Link>), Arc<Tree>>;

/// The trees and streams of a run, by what they lead from and to.
#[derive(Debug, Default)]
pub(crate) struct Payloads {
    streams: Mutex<HashMap<Key, Slot>>,
    trees: Mutex<Linked>,
}

impl Payloads {
    /// The tree with these links in place, made once.
    pub(crate) fn tree(
        &self,
        tree: &Digest,
        links: &[Link],
        make: impl FnOnce() -> Result<Tree, Failure>,
    ) -> Result<Arc<Tree>, Failure> {
        let mut trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (*tree, links.to_vec());
        if let Some(known) = trees.get(&key) {
            return Ok(Arc::clone(known));
        }
        let made = Arc::new(make()?);
        trees.insert(key, Arc::clone(&made));
        Ok(made)
    }

    /// The stream that makes `wanted` out of `present`. `account` names the file that gets the manifest.
    pub(crate) async fn get(
        &self,
        what: &str,
        store: &Arc<Store>,
        wanted: &Arc<Tree>,
        present: Option<&Arc<Tree>>,
        account: Option<&str>,
        packing: Packing,
    ) -> Result<Arc<Payload>, Failure> {
        let key = Key {
            wanted: wanted.digest(),
            present: present.map(|tree| tree.digest()),
            account: account.map(str::to_owned),
            packing,
        };
        let slot = {
            let mut slots = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(key).or_default())
        };
        let make = async || {
            let (store, wanted, present) = (Arc::clone(store), Arc::clone(wanted), present.map(Arc::clone));
            let (account, what) = (account.map(str::to_owned), what.to_owned());
            blocking(move || make(&what, &store, &wanted, present.as_deref(), account.as_deref(), packing))
                .await?
                .map(Arc::new)
        };
        slot.get_or_init(make).await.clone()
    }
}

fn make(
    what: &str,
    store: &Store,
    wanted: &Tree,
    present: Option<&Tree>,
    account: Option<&str>,
    packing: Packing,
) -> Result<Payload, Failure> {
    let local = |error: std::io::Error| {
        Failure::new(
            FailureKind::Other,
            format!("{what}: write what is to be sent to a temporary file: {error}"),
        )
        .with_detail("make room there, or name another folder with TMPDIR")
    };
    let text = |text: String| {
        let digest = store.put_bytes(text.as_bytes()).map_err(|error| stored(what, &error))?;
        Ok::<_, Failure>(Node::File { digest, size: text.len() as u64, executable: false })
    };
    let mut copy = String::new();
    let mut copies = 0;
    // The folder itself, for a tree that has nothing else to send.
    let mut entries: Vec<(TreePath, Node)> = vec![(below("", "tree", what)?, Node::Directory)];
    for (path, node) in wanted.entries() {
        // A copy comes from the same path with the same mode. What moved is sent: it is rare, and simpler there.
        if matches!(node, Node::File { .. }) && present.and_then(|tree| tree.get(path.as_str())) == Some(node)
        {
            copy.push_str("./");
            copy.push_str(path.as_str());
            copy.push('\0');
            copies += 1;
        } else {
            entries.push((below("tree", path.as_str(), what)?, node.clone()));
        }
    }
    if copies > 0 {
        entries.push((below("", "copy", what)?, text(copy)?));
    }
    if let Some(id) = account {
        entries.push((below("", &format!("{id}.tree"), what)?, text(wanted.to_text())?));
    }
    let mut file = tempfile::NamedTempFile::with_prefix("runner-").map_err(local)?;
    let parts = entries.iter().map(|(path, node)| (path, node));
    match packing {
        Packing::Zstd => {
            let encoder = zstd::Encoder::new(std::io::BufWriter::new(&mut file), 3).map_err(local)?;
            let encoder = write_tar(store, parts, encoder).map_err(|error| stored(what, &error))?;
            encoder.finish().and_then(|mut out| out.flush()).map_err(local)?;
        }
        Packing::Plain => {
            let out = std::io::BufWriter::new(&mut file);
            let mut out = write_tar(store, parts, out).map_err(|error| stored(what, &error))?;
            out.flush().map_err(local)?;
        }
    }
    file.rewind().map_err(local)?;
    let (file, path) = file.into_parts();
    Ok(Payload { file, path, copies })
}

fn below(folder: &str, path: &str, what: &str) -> Result<TreePath, Failure> {
    let joined = if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") };
    joined.try_into().map_err(|bad| Failure::new(FailureKind::Invalid, format!("{what}: {bad}")))
}
