//! A machine with nothing on it but the root folder. What an overlay makes of it is all that the machine of a test is: no
//! byte of this one is ever read.

use async_trait::async_trait;
use runner_artifact::{Node, Store, Tree, TreePath};
use runner_model::{
    Attributes, Change, Command, Digest, Entry, EntryKind, Exchange, Failure, FailureKind, Link, Mark,
    Release, ReleaseId, RemotePath, ServiceAction, State, TargetName,
};
use runner_transport::{
    Accounts, Applied, Forward, Intent, Observed, Output, OutputSink, Target, Undo, Undone, Within,
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The empty machine, as one user.
pub(super) struct Bare {
    pub(super) name: TargetName,
    pub(super) user: String,
    pub(super) store: Arc<Store>,
    /// Bytes that are free.
    pub(super) free: u64,
}

impl Bare {
    fn failure(&self, kind: FailureKind, verb: &str, path: &RemotePath, why: &str) -> Failure {
        Failure::new(kind, format_args!("{verb} `{path}` on {}: {why}", self.name))
    }

    fn missing(&self, verb: &str, path: &RemotePath) -> Failure {
        self.failure(FailureKind::NotFound, verb, path, "nothing is there")
    }

    /// What this machine never does itself: the overlay and the script do.
    fn not_here(&self, what: &str) -> Failure {
        Failure::new(
            FailureKind::Unknown,
            format_args!("{what} on {}: the test has no such machine", self.name),
        )
    }

    fn folder(&self, tree: Option<Digest>, attributes: &Attributes) -> State {
        let Attributes { mode, owner, group } = attributes.clone();
        State::Directory {
            tree,
            mode: mode.unwrap_or(0o755),
            owner: owner.unwrap_or_else(|| self.user.clone()),
            group: group.unwrap_or_else(|| self.user.clone()),
        }
    }

    /// Fails where the folder that a path is in is not there.
    fn in_the_root(&self, change: &Change) -> Result<(), Failure> {
        match change.path().parent() {
            Some(folder) if folder.parent().is_some() => {
                let why = format!("no folder {folder}");
                Err(self.failure(FailureKind::NotFound, change.verb(), change.path(), &why))
            }
            _ => Ok(()),
        }
    }

    /// The manifest of a tree with these links in it, which is in the store then.
    fn with_links(&self, change: &Change, tree: &Digest, links: &[Link]) -> Result<Digest, Failure> {
        let invalid = |why: &dyn std::fmt::Display| {
            self.failure(FailureKind::Invalid, change.verb(), change.path(), &why.to_string())
        };
        let placed = links.iter().map(|link| {
            let path: TreePath = link.path.clone().try_into().map_err(|bad| invalid(&bad))?;
            Ok((path, Node::Symlink { points_to: link.points_to.clone() }))
        });
        let placed: Vec<(TreePath, Node)> = placed.collect::<Result<_, Failure>>()?;
        let covered = |path: &TreePath| {
            placed.iter().any(|(link, _)| {
                let rest = path.as_str().strip_prefix(link.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        let tree = self.store.tree(tree)?;
        let kept = tree.entries().filter(|(path, _)| !covered(path));
        let kept: Vec<_> = kept.map(|(path, node)| (path.clone(), node.clone())).collect();
        let whole = Tree::from_entries(kept.into_iter().chain(placed)).map_err(|bad| invalid(&bad))?;
        Ok(self.store.put_tree(&whole)?)
    }
}

#[async_trait]
impl Target for Bare {
    fn name(&self) -> &TargetName {
        &self.name
    }

    async fn fact(&self, name: &str) -> Result<String, Failure> {
        // The overlay asks for programs, before it packs something; which there are is what the test's facts say.
        match name.strip_prefix("has:") {
            Some(_) => Ok("true".to_owned()),
            None => Err(self.not_here(&format!("ask for the fact `{name}`"))),
        }
    }

    async fn stat(&self, path: &RemotePath, _: Within<'_>) -> Result<Option<Entry>, Failure> {
        Ok(path.parent().is_none().then(|| Entry {
            name: "/".to_owned(),
            kind: EntryKind::Directory,
            size: 0,
            mode: 0o755,
            owner: "root".to_owned(),
            group: "root".to_owned(),
            modified: super::MOMENT,
        }))
    }

    async fn read_dir(&self, path: &RemotePath, _: Within<'_>) -> Result<Vec<Entry>, Failure> {
        if path.parent().is_none() { Ok(vec![]) } else { Err(self.missing("list", path)) }
    }

    async fn read_link(&self, path: &RemotePath, _: Within<'_>) -> Result<String, Failure> {
        Err(self.missing("read the link", path))
    }

    async fn read(&self, path: &RemotePath, _: Within<'_>) -> Result<String, Failure> {
        Err(self.missing("read", path))
    }

    async fn digest(&self, path: &RemotePath, _: Within<'_>) -> Result<Digest, Failure> {
        if path.parent().is_some() {
            return Err(self.missing("compute the digest of", path));
        }
        Ok(Tree::default().digest())
    }

    async fn disk_free(&self, _: &RemotePath, _: Within<'_>) -> Result<u64, Failure> {
        Ok(self.free)
    }

    async fn fetch(&self, path: &RemotePath, _: Within<'_>) -> Result<Digest, Failure> {
        Err(self.missing("fetch", path))
    }

    async fn service_is_active(&self, unit: &str) -> Result<bool, Failure> {
        Err(self.not_here(&format!("ask whether `{unit}` runs")))
    }

    async fn observe(&self, change: &Change, _: Within<'_>) -> Result<Observed, Failure> {
        let before = State::Absent;
        let file = |digest: &Digest, size: u64, attributes: &Attributes, new: u32| State::File {
            digest: *digest,
            size,
            mode: attributes.mode.unwrap_or(new),
            owner: attributes.owner.clone().unwrap_or_else(|| self.user.clone()),
            group: attributes.group.clone().unwrap_or_else(|| self.user.clone()),
        };
        let (before, after, folders) = match change {
            Change::Write { content, size, attributes, .. } => {
                self.in_the_root(change)?;
                (before, file(content, *size, attributes, 0o644), 0)
            }
            Change::Mkdir { path, attributes } => {
                let missing = u32::try_from(path.segments().count()).unwrap_or(u32::MAX);
                (before, self.folder(None, attributes), missing)
            }
            Change::Symlink { points_to, .. } => {
                self.in_the_root(change)?;
                (before, State::Symlink { points_to: points_to.clone() }, 0)
            }
            Change::Remove { .. } | Change::RemoveTree { .. } => (before, State::Absent, 0),
            Change::Unpack { tree, links, attributes, .. } => {
                self.in_the_root(change)?;
                let tree = self.with_links(change, tree, links)?;
                (before, self.folder(Some(tree), attributes), 0)
            }
            Change::WriteSecret { .. } | Change::Unarchive { .. } => {
                return Err(self.not_here(change.verb()));
            }
            Change::Rename { path, .. }
            | Change::SetAttributes { path, .. }
            | Change::Archive { path, .. } => {
                return Err(self.missing(change.verb(), path));
            }
        };
        Ok(Observed { before, after, folders })
    }

    async fn apply(
        &self,
        change: &Change,
        _: &State,
        _: Within<'_>,
        _: Intent<'_>,
    ) -> Result<Applied, Failure> {
        Err(self.not_here(change.verb()))
    }

    async fn undo(&self, _: &Undo, _: Within<'_>, _: Intent<'_>) -> Result<Undone, Failure> {
        Err(self.not_here("undo"))
    }

    async fn note(&self, _: &str) -> Result<(), Failure> {
        Ok(())
    }

    async fn forget(&self) -> Result<(), Failure> {
        Ok(())
    }

    async fn service(&self, unit: &str, _: ServiceAction, _: Intent<'_>) -> Result<(), Failure> {
        Err(self.not_here(unit))
    }

    async fn run(
        &self,
        _: &Command,
        _: Within<'_>,
        _: Option<Intent<'_>>,
        _: &dyn OutputSink,
        _: &CancellationToken,
    ) -> Result<Output, Failure> {
        Err(self.not_here("run a command"))
    }

    async fn releases(&self, _: &RemotePath, _: Within<'_>) -> Result<Vec<Release>, Failure> {
        Ok(vec![])
    }

    async fn accounts(&self, _: &RemotePath, _: Within<'_>) -> Result<Accounts, Failure> {
        Ok(Accounts::default())
    }

    async fn keep(&self, _: &RemotePath, _: &ReleaseId, _: &str, _: Intent<'_>) -> Result<(), Failure> {
        Err(self.not_here("keep"))
    }

    async fn kept(&self, _: &RemotePath, _: &ReleaseId, _: Within<'_>) -> Result<Option<String>, Failure> {
        Ok(None)
    }

    async fn mark(&self, _: &RemotePath, _: &ReleaseId, _: Mark, _: Intent<'_>) -> Result<(), Failure> {
        Err(self.not_here("mark"))
    }

    async fn exchange(&self, _: &Exchange, _: Within<'_>, _: Option<Intent<'_>>) -> Result<String, Failure> {
        Err(self.not_here("ask a socket"))
    }

    async fn forward(&self, _: &str, _: u16) -> Result<Forward, Failure> {
        Err(self.not_here("forward"))
    }
}
