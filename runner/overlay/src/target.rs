//! The verbs of a machine in a dry run.

use crate::Overlay;
use crate::node::{Content, Node};
use crate::reads::Reads;
use crate::unknown::{conflict, failure, missing, unknown};
use crate::view::{View, blocking, stored};
use crate::way::Bounds;
use crate::whole::For;
use async_trait::async_trait;
use runner_model::{
    Change, Command, Digest, Entry, EntryKind, Exchange, Failure, FailureKind, Mark, Release, ReleaseId,
    RemotePath, ServiceAction, State, TargetName,
};
use runner_transport::{
    Accounts, Applied, Forward, Intent, Observed, Output, OutputSink, Target, Undo, Undone, Within,
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The largest file that is read as text.
const TEXT_MAX: u64 = 1 << 20;

/// A target under an overlay, as one user.
pub(crate) struct Over {
    pub(crate) overlay: Arc<Overlay>,
    pub(crate) reads: Arc<Reads>,
}

fn to_read<'a>(within: &Within<'a>) -> Bounds<'a> {
    Bounds { places: within.reads, below: false, own: false }
}

impl Over {
    /// This moment.
    fn view(&self) -> View {
        View {
            reads: Arc::clone(&self.reads),
            store: Arc::clone(&self.overlay.store),
            vault: Arc::clone(&self.overlay.vault),
            root: self.overlay.root.clone(),
            tree: self.overlay.tree(),
        }
    }

    fn what(&self, verb: &str, path: &RemotePath) -> String {
        format!("{verb} `{path}` on {}", self.reads.name())
    }

    /// A request about all below a path.
    async fn about_all(
        &self,
        view: &View,
        what: &str,
        path: &RemotePath,
        within: &Within<'_>,
    ) -> Result<Option<Arc<Node>>, Failure> {
        let place = view.find(what, path, to_read(within)).await?;
        if place.as_it_is() {
            return Ok(None);
        }
        if matches!(view.kind(what, &place.node).await?, crate::view::Kind::Folder) {
            view.find(what, path, Bounds { below: true, ..to_read(within) }).await?;
        }
        view.plain(what, &place.node).await.map(Some)
    }
}

/// Why what is not a regular file is not read.
fn no_file(what: &str, node: &Node) -> Failure {
    match node {
        Node::Absent | Node::Laid(_) => missing(what, "nothing is there"),
        Node::Link { .. } => conflict(what, "it is a symbolic link, which is not followed"),
        Node::Folder(_) => conflict(what, "it is a folder"),
        Node::Unknown(why) => unknown(what, why),
        Node::Real(_) | Node::File { .. } => conflict(what, "it is neither a file nor a folder"),
    }
}

#[async_trait]
impl Target for Over {
    fn name(&self) -> &TargetName {
        self.reads.name()
    }

    async fn fact(&self, name: &str) -> Result<String, Failure> {
        self.reads.fact(name).await
    }

    async fn stat(&self, path: &RemotePath, within: Within<'_>) -> Result<Option<Entry>, Failure> {
        let (what, view) = (self.what("stat", path), self.view());
        if view.tree.is_as_it_is() {
            return self.reads.stat(path, within).await;
        }
        let place = match view.find(&what, path, to_read(&within)).await {
            Ok(place) => place,
            Err(failure) if failure.kind == FailureKind::NotFound => return Ok(None),
            Err(failure) => return Err(failure),
        };
        if place.as_it_is() {
            return self.reads.stat(path, within).await;
        }
        view.entry(&what, &place.node, path.name().unwrap_or("/")).await
    }

    async fn read_dir(&self, path: &RemotePath, within: Within<'_>) -> Result<Vec<Entry>, Failure> {
        let (what, view) = (self.what("list", path), self.view());
        if view.tree.is_as_it_is() {
            return self.reads.read_dir(path, within).await;
        }
        let place = view.find(&what, path, to_read(&within)).await?;
        if place.as_it_is() {
            return self.reads.read_dir(path, within).await;
        }
        view.entries(&what, &place.node).await
    }

    async fn read_link(&self, path: &RemotePath, within: Within<'_>) -> Result<String, Failure> {
        let (what, view) = (self.what("read the link", path), self.view());
        if view.tree.is_as_it_is() {
            return self.reads.read_link(path, within).await;
        }
        let place = view.find(&what, path, to_read(&within)).await?;
        if place.as_it_is() {
            return self.reads.read_link(path, within).await;
        }
        match &*view.plain(&what, &place.node).await? {
            Node::Link { points_to, .. } => Ok(self.overlay.vault.hide(points_to.as_str())),
            Node::Real(real) => self.reads.link(real).await,
            Node::Absent | Node::Laid(_) => Err(missing(&what, "nothing is there")),
            Node::Unknown(why) => Err(unknown(&what, why)),
            Node::File { .. } | Node::Folder(_) => Err(conflict(&what, "it is not a symbolic link")),
        }
    }

    async fn read(&self, path: &RemotePath, within: Within<'_>) -> Result<String, Failure> {
        let (what, view) = (self.what("read", path), self.view());
        if view.tree.is_as_it_is() {
            return self.reads.read(path, within).await;
        }
        let place = view.find(&what, path, to_read(&within)).await?;
        if place.as_it_is() {
            return self.reads.read(path, within).await;
        }
        let node = view.plain(&what, &place.node).await?;
        let (content, metadata) = match &*node {
            Node::Real(real) => return self.reads.read(real, crate::view::only(real)).await,
            Node::File { content, metadata } => (content, metadata),
            other => return Err(no_file(&what, other)),
        };
        view.may(&what, metadata, 0o4, "no permission to read it").await?;
        let invalid = |why: &str| {
            failure(FailureKind::Invalid, &what, why).with_detail("use `fetch`, which takes any file")
        };
        match content {
            Content::Real(real) => self.reads.read(real, crate::view::only(real)).await,
            Content::Unknown(why) => Err(unknown(&what, why)),
            Content::Secret { .. } => Err(unknown(&what, "it would hold a secret")),
            Content::Stored { size, .. } if *size > TEXT_MAX => Err(invalid("it is larger than 1 MiB")),
            Content::Stored { digest, .. } => {
                let (store, digest) = (Arc::clone(&self.overlay.store), *digest);
                let bytes = blocking(move || store.read_bytes(&digest, TEXT_MAX)).await?;
                let bytes = bytes.map_err(|error| stored(&what, &error))?;
                let text = String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8"))?;
                Ok(self.overlay.vault.hide(text))
            }
        }
    }

    async fn digest(&self, path: &RemotePath, within: Within<'_>) -> Result<Digest, Failure> {
        let (what, view) = (self.what("compute the digest of", path), self.view());
        if view.tree.is_as_it_is() {
            return self.reads.digest(path, within).await;
        }
        let Some(node) = self.about_all(&view, &what, path, &within).await? else {
            return self.reads.digest(path, within).await;
        };
        match &*node {
            Node::Real(real) => self.reads.digest(real, crate::view::only(real)).await,
            Node::File { content, metadata } => {
                view.may(&what, metadata, 0o4, "no permission to read it").await?;
                view.sum(&what, content).await
            }
            Node::Folder(_) => Ok(view.manifest_of(&what, path, &node, For::Telling, false).await?.digest()),
            other => Err(no_file(&what, other)),
        }
    }

    async fn disk_free(&self, path: &RemotePath, within: Within<'_>) -> Result<u64, Failure> {
        let (what, view) = (self.what("ask for the free space at", path), self.view());
        if view.tree.is_as_it_is() {
            return self.reads.disk_free(path, within).await;
        }
        let (place, names) = view.near(&what, path, to_read(&within)).await?;
        if place.as_it_is() {
            return self.reads.disk_free(path, within).await;
        }
        // What is new is on the file system of the folder that it is in.
        let here = names.len() < 2;
        let mut at = if here { place.path.clone() } else { place.folder.clone() };
        loop {
            let real = match &*view.tree.at(&at) {
                Node::Real(real) if self.reads.kind(real).await? == Some(EntryKind::Directory) => {
                    Some(real.clone())
                }
                Node::Folder(folder) => match &folder.below {
                    crate::node::Below::Real(real) => Some(real.clone()),
                    _ => None,
                },
                _ => None,
            };
            if let Some(real) = real {
                return self.reads.disk_free(&real, crate::view::only(&real)).await;
            }
            at = at.parent().ok_or_else(|| unknown(&what, "no folder there is a real one"))?;
        }
    }

    async fn fetch(&self, path: &RemotePath, within: Within<'_>) -> Result<Digest, Failure> {
        let (what, view) = (self.what("fetch", path), self.view());
        if view.tree.is_as_it_is() {
            return self.reads.fetch(path, within).await;
        }
        let Some(node) = self.about_all(&view, &what, path, &within).await? else {
            return self.reads.fetch(path, within).await;
        };
        let (content, metadata) = match &*node {
            Node::Real(real) => return self.reads.fetch(real, crate::view::only(real)).await,
            Node::File { content, metadata } => (content, metadata),
            Node::Folder(_) => {
                let tree = view.manifest_of(&what, path, &node, For::Telling, true).await?;
                let store = Arc::clone(&self.overlay.store);
                let put = blocking(move || store.put_tree(&tree)).await?;
                return put.map_err(|error| stored(&what, &error));
            }
            other => return Err(no_file(&what, other)),
        };
        view.may(&what, metadata, 0o4, "no permission to read it").await?;
        match content {
            Content::Stored { digest, .. } => Ok(*digest),
            Content::Real(real) => self.reads.fetch(real, crate::view::only(real)).await,
            Content::Secret { .. } => Err(unknown(&what, "it would hold a secret")),
            Content::Unknown(why) => Err(unknown(&what, why)),
        }
    }

    async fn service_is_active(&self, unit: &str) -> Result<bool, Failure> {
        if let Some(why) = self.overlay.moved() {
            return Err(unknown(&format!("ask whether `{unit}` runs on {}", self.reads.name()), &why));
        }
        self.reads.service_is_active(unit).await
    }

    async fn observe(&self, change: &Change, within: Within<'_>) -> Result<Observed, Failure> {
        self.view().observed(change, within).await
    }

    async fn apply(
        &self,
        change: &Change,
        _before: &State,
        within: Within<'_>,
        _intent: Intent<'_>,
    ) -> Result<Applied, Failure> {
        let recorded = self.view().recorded(change, within).await?;
        let what = self.what(change.verb(), change.path());
        let size = recorded.answer;
        self.overlay.record(&what, change, recorded)?;
        Ok(Applied { size, ..Applied::default() })
    }

    async fn undo(&self, undo: &Undo, _within: Within<'_>, _intent: Intent<'_>) -> Result<Undone, Failure> {
        let what = self.what("undo", undo.change.path());
        Err(Failure::new(FailureKind::Unknown, format_args!("{what}: a dry run has nothing to undo")))
    }

    async fn note(&self, _line: &str) -> Result<(), Failure> {
        Ok(())
    }

    async fn forget(&self) -> Result<(), Failure> {
        Ok(())
    }

    async fn service(&self, unit: &str, action: ServiceAction, _intent: Intent<'_>) -> Result<(), Failure> {
        self.overlay.taint(format!("{} {unit} was asked before", action.word()));
        Ok(())
    }

    async fn run(
        &self,
        command: &Command,
        within: Within<'_>,
        _intent: Option<Intent<'_>>,
        sink: &dyn OutputSink,
        cancel: &CancellationToken,
    ) -> Result<Output, Failure> {
        let program = command.argv.first().map(|program| program.escape_debug().to_string());
        let program = program.unwrap_or_default();
        let what = format!("run `{program}` on {}", self.reads.name());
        if command.effect.mutates() {
            self.overlay.taint(format!("`{program}` was to be run before"));
            return Ok(Output { status: 0, stdout: String::new(), stderr: String::new(), truncated: false });
        }
        if let Some(path) = &command.stdout_to {
            return Err(unknown(&what, &format!("its output would be written to `{path}`")));
        }
        if let Some(why) = self.overlay.is_tainted() {
            return Err(unknown(&what, &why));
        }
        self.reads.run(command, within, sink, cancel).await
    }

    async fn releases(&self, root: &RemotePath, within: Within<'_>) -> Result<Vec<Release>, Failure> {
        let accounts = self.overlay.accounts();
        self.view().releases(root, within, &accounts, &self.overlay.run).await
    }

    async fn accounts(&self, root: &RemotePath, within: Within<'_>) -> Result<Accounts, Failure> {
        let made = self.overlay.accounts();
        self.view().accounts(root, within, &made).await
    }

    async fn keep(
        &self,
        _root: &RemotePath,
        _release: &ReleaseId,
        _text: &str,
        _intent: Intent<'_>,
    ) -> Result<(), Failure> {
        Ok(())
    }

    async fn kept(
        &self,
        root: &RemotePath,
        release: &ReleaseId,
        within: Within<'_>,
    ) -> Result<Option<String>, Failure> {
        let made = self.overlay.accounts();
        self.view().kept(root, release, within, &made).await
    }

    async fn mark(
        &self,
        _root: &RemotePath,
        _release: &ReleaseId,
        _mark: Mark,
        _intent: Intent<'_>,
    ) -> Result<(), Failure> {
        Ok(())
    }

    async fn exchange(
        &self,
        exchange: &Exchange,
        within: Within<'_>,
        _intent: Option<Intent<'_>>,
    ) -> Result<String, Failure> {
        if exchange.effect.mutates() {
            self.overlay.taint(format!("the socket `{}` was to be asked before", exchange.path));
            return Ok(String::new());
        }
        if let Some(why) = self.overlay.is_tainted() {
            return Err(unknown(&self.what("ask the socket", &exchange.path), &why));
        }
        self.reads.exchange(exchange, within).await
    }

    async fn forward(&self, host: &str, port: u16) -> Result<Forward, Failure> {
        if let Some(why) = self.overlay.is_tainted() {
            return Err(unknown(&format!("reach {host}:{port} from {}", self.reads.name()), &why));
        }
        self.reads.forward(host, port).await
    }
}
