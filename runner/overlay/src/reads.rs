//! The real target, of which only what reads can be reached.
//!
//! This is the one file that holds a [`Target`] to ask, and none of its verbs that write is named in it: what a dry run
//! cannot call, it cannot do by mistake.

use crate::unknown::unknown;
use runner_model::{
    Attributes, Change, Command, Digest, Entry, EntryKind, Exchange, Failure, Release, ReleaseId, RemotePath,
    State, TargetName,
};
use runner_transport::{Accounts, Forward, Observed, Output, OutputSink, Target, Within};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// A name that nobody gives to anything.
const NOBODY: &str = ".runner-dry-run-looks-for-what-is-not-there";

/// Who acts, as the real target names it.
#[derive(Debug, Clone)]
pub(crate) struct Me {
    pub(crate) user: String,
    pub(crate) group: String,
}

impl Me {
    pub(crate) fn is_root(&self) -> bool {
        self.user == "root"
    }
}

/// The verbs of a real target that change nothing, as one user.
pub(crate) struct Reads {
    target: Arc<dyn Target>,
    me: tokio::sync::OnceCell<Me>,
    /// Real folders that were found to be folders on a safe way. Somebody who makes one of them a link during a dry run
    /// is found out by the verb itself.
    folders: Mutex<HashSet<RemotePath>>,
}

impl Reads {
    pub(crate) fn new(target: Arc<dyn Target>) -> Self {
        Self { target, me: tokio::sync::OnceCell::new(), folders: Mutex::default() }
    }

    pub(crate) fn name(&self) -> &TargetName {
        self.target.name()
    }

    pub(crate) async fn fact(&self, name: &str) -> Result<String, Failure> {
        self.target.fact(name).await
    }

    pub(crate) async fn stat(&self, path: &RemotePath, within: Within<'_>) -> Result<Option<Entry>, Failure> {
        self.target.stat(path, within).await
    }

    pub(crate) async fn read_dir(
        &self,
        path: &RemotePath,
        within: Within<'_>,
    ) -> Result<Vec<Entry>, Failure> {
        self.target.read_dir(path, within).await
    }

    pub(crate) async fn read_link(&self, path: &RemotePath, within: Within<'_>) -> Result<String, Failure> {
        self.target.read_link(path, within).await
    }

    pub(crate) async fn read(&self, path: &RemotePath, within: Within<'_>) -> Result<String, Failure> {
        self.target.read(path, within).await
    }

    pub(crate) async fn digest(&self, path: &RemotePath, within: Within<'_>) -> Result<Digest, Failure> {
        self.target.digest(path, within).await
    }

    pub(crate) async fn disk_free(&self, path: &RemotePath, within: Within<'_>) -> Result<u64, Failure> {
        self.target.disk_free(path, within).await
    }

    pub(crate) async fn fetch(&self, path: &RemotePath, within: Within<'_>) -> Result<Digest, Failure> {
        self.target.fetch(path, within).await
    }

    pub(crate) async fn service_is_active(&self, unit: &str) -> Result<bool, Failure> {
        self.target.service_is_active(unit).await
    }

    /// What a change would find and leave: it writes nothing.
    pub(crate) async fn observe(&self, change: &Change, within: Within<'_>) -> Result<Observed, Failure> {
        self.target.observe(change, within).await
    }

    pub(crate) async fn releases(
        &self,
        root: &RemotePath,
        within: Within<'_>,
    ) -> Result<Vec<Release>, Failure> {
        self.target.releases(root, within).await
    }

    pub(crate) async fn accounts(&self, root: &RemotePath, within: Within<'_>) -> Result<Accounts, Failure> {
        self.target.accounts(root, within).await
    }

    pub(crate) async fn kept(
        &self,
        root: &RemotePath,
        release: &ReleaseId,
        within: Within<'_>,
    ) -> Result<Option<String>, Failure> {
        self.target.kept(root, release, within).await
    }

    /// Asks a socket what is declared to read, and never anything else.
    pub(crate) async fn exchange(&self, exchange: &Exchange, within: Within<'_>) -> Result<String, Failure> {
        if exchange.effect.mutates() {
            let why = "it may change something, and nothing that may is asked for in a dry run";
            return Err(unknown("ask a socket", why));
        }
        self.target.exchange(exchange, within, None).await
    }

    pub(crate) async fn forward(&self, host: &str, port: u16) -> Result<Forward, Failure> {
        self.target.forward(host, port).await
    }

    /// Runs a command that is declared to read, and never another; one whose output would go to a file is none.
    pub(crate) async fn run(
        &self,
        command: &Command,
        within: Within<'_>,
        sink: &dyn OutputSink,
        cancel: &CancellationToken,
    ) -> Result<Output, Failure> {
        if command.effect.mutates() || command.stdout_to.is_some() {
            return Err(unknown(
                "run a command",
                "it may write, and nothing that may write runs in a dry run",
            ));
        }
        self.target.run(command, within, None, sink, cancel).await
    }

    /// What is at a real path that the guest may not have named: the host asks, to find out where the guest's own path
    /// leads, and tells the guest no more of it than the verb itself would.
    pub(crate) async fn look(&self, path: &RemotePath) -> Result<Option<Entry>, Failure> {
        self.target.stat(path, Within::both(std::slice::from_ref(path))).await
    }

    /// What is written in a link on the way.
    pub(crate) async fn link(&self, path: &RemotePath) -> Result<String, Failure> {
        self.target.read_link(path, Within::both(std::slice::from_ref(path))).await
    }

    /// Whether it was found to be a folder before.
    pub(crate) fn is_known_folder(&self, path: &RemotePath) -> bool {
        path.parent().is_none() || self.folders.lock().unwrap_or_else(PoisonError::into_inner).contains(path)
    }

    /// Notes that it is one.
    pub(crate) fn know_folder(&self, path: &RemotePath) {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone());
    }

    /// Fails where the real target would not let this user act in the folder.
    pub(crate) async fn enter(&self, folder: &RemotePath) -> Result<(), Failure> {
        let Ok(nobody) = folder.join(NOBODY) else { return Ok(()) };
        if self.is_known_folder(&nobody) {
            return Ok(());
        }
        self.look(&nobody).await?;
        self.know_folder(&nobody);
        Ok(())
    }

    /// Who acts: what the target says of a folder that it would make in its root.
    pub(crate) async fn me(&self, what: &str) -> Result<Me, Failure> {
        let ask = async {
            let root = RemotePath::root();
            let path = root.join(NOBODY).map_err(|bad| unknown(what, &bad.to_string()))?;
            let change = Change::Mkdir { path, attributes: Attributes::default() };
            let seen = self.target.observe(&change, Within::both(&[root])).await?;
            match (seen.before, seen.after) {
                (State::Absent, State::Directory { mode: 0o755, owner: user, group, .. }) => {
                    Ok(Me { user, group })
                }
                _ => Err(unknown(what, "who new files would belong to cannot be told")),
            }
        };
        self.me.get_or_try_init(|| ask).await.cloned()
    }

    /// Whether there is a program of this name.
    pub(crate) async fn has(&self, program: &str) -> Result<bool, Failure> {
        Ok(self.target.fact(&format!("has:{program}")).await? == "true")
    }

    /// The kind of what is at a real path.
    pub(crate) async fn kind(&self, path: &RemotePath) -> Result<Option<EntryKind>, Failure> {
        Ok(self.look(path).await?.map(|entry| entry.kind))
    }
}
