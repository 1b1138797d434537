//! The verbs of a target in a run that has secrets: whatever comes back, no value of the run stands in it.
//!
//! What a command prints is hidden while it streams, before it is cut into lines ([`crate::command`]). Bytes that go into
//! the artifact store stay as they are.

use crate::{
    Accounts, Applied, Forward, Intent, Laid, Observed, Output, OutputSink, Target, Undo, Undone, Within,
};
use async_trait::async_trait;
use runner_model::{
    Change, Command, Digest, Entry, Exchange, Failure, Mark, Release, ReleaseId, RemotePath, ServiceAction,
    State, TargetName,
};
use runner_secret::Vault;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A target of a run with secrets.
pub(crate) struct Masked<T> {
    pub(crate) target: T,
    pub(crate) vault: Arc<Vault>,
}

impl<T> Masked<T> {
    fn failure<V>(&self, answer: Result<V, Failure>) -> Result<V, Failure> {
        answer.map_err(|failure| self.vault.hide_failure(failure))
    }

    fn text(&self, answer: Result<String, Failure>) -> Result<String, Failure> {
        self.failure(answer).map(|text| self.vault.hide(text))
    }

    fn entry(&self, entry: Entry) -> Entry {
        Entry { name: self.vault.hide(entry.name), ..entry }
    }

    fn state(&self, state: State) -> State {
        match state {
            State::Symlink { points_to } => State::Symlink { points_to: self.vault.hide(points_to) },
            other => other,
        }
    }
}

#[async_trait]
impl<T: Target> Target for Masked<T> {
    fn name(&self) -> &TargetName {
        self.target.name()
    }

    async fn fact(&self, name: &str) -> Result<String, Failure> {
        self.text(self.target.fact(name).await)
    }

    async fn stat(&self, path: &RemotePath, within: Within<'_>) -> Result<Option<Entry>, Failure> {
        self.failure(self.target.stat(path, within).await).map(|entry| entry.map(|entry| self.entry(entry)))
    }

    async fn read_dir(&self, path: &RemotePath, within: Within<'_>) -> Result<Vec<Entry>, Failure> {
        let entries = self.failure(self.target.read_dir(path, within).await)?;
        Ok(entries.into_iter().map(|entry| self.entry(entry)).collect())
    }

    async fn read_link(&self, path: &RemotePath, within: Within<'_>) -> Result<String, Failure> {
        self.text(self.target.read_link(path, within).await)
    }

    async fn read(&self, path: &RemotePath, within: Within<'_>) -> Result<String, Failure> {
        self.text(self.target.read(path, within).await)
    }

    async fn digest(&self, path: &RemotePath, within: Within<'_>) -> Result<Digest, Failure> {
        self.failure(self.target.digest(path, within).await)
    }

    async fn disk_free(&self, path: &RemotePath, within: Within<'_>) -> Result<u64, Failure> {
        self.failure(self.target.disk_free(path, within).await)
    }

    async fn fetch(&self, path: &RemotePath, within: Within<'_>) -> Result<Digest, Failure> {
        self.failure(self.target.fetch(path, within).await)
    }

    async fn service_is_active(&self, unit: &str) -> Result<bool, Failure> {
        self.failure(self.target.service_is_active(unit).await)
    }

    async fn observe(&self, change: &Change, within: Within<'_>) -> Result<Observed, Failure> {
        let Observed { before, after, folders } = self.failure(self.target.observe(change, within).await)?;
        Ok(Observed { before: self.state(before), after: self.state(after), folders })
    }

    async fn apply(
        &self,
        change: &Change,
        before: &State,
        within: Within<'_>,
        intent: Intent<'_>,
    ) -> Result<Applied, Failure> {
        self.failure(self.target.apply(change, before, within, intent).await)
    }

    async fn undo(&self, undo: &Undo, within: Within<'_>, intent: Intent<'_>) -> Result<Undone, Failure> {
        let undone = self.failure(self.target.undo(undo, within, intent).await)?;
        Ok(match undone {
            Undone::Conflict(state) => Undone::Conflict(self.state(state)),
            other => other,
        })
    }

    async fn note(&self, line: &str) -> Result<(), Failure> {
        self.target.note(line).await
    }

    async fn forget(&self) -> Result<(), Failure> {
        self.failure(self.target.forget().await)
    }

    async fn service(&self, unit: &str, action: ServiceAction, intent: Intent<'_>) -> Result<(), Failure> {
        self.failure(self.target.service(unit, action, intent).await)
    }

    async fn run(
        &self,
        command: &Command,
        within: Within<'_>,
        intent: Option<Intent<'_>>,
        sink: &dyn OutputSink,
        cancel: &CancellationToken,
    ) -> Result<Output, Failure> {
        self.failure(self.target.run(command, within, intent, sink, cancel).await)
    }

    async fn releases(&self, root: &RemotePath, within: Within<'_>) -> Result<Vec<Release>, Failure> {
        self.failure(self.target.releases(root, within).await)
    }

    async fn accounts(&self, root: &RemotePath, within: Within<'_>) -> Result<Accounts, Failure> {
        let Accounts { live, live_since, releases } =
            self.failure(self.target.accounts(root, within).await)?;
        let hide = |text: Option<String>| text.map(|text| self.vault.hide(text));
        let laid = |laid: Laid| Laid { who: hide(laid.who), made_at: hide(laid.made_at), ..laid };
        Ok(Accounts { live, live_since, releases: releases.into_iter().map(laid).collect() })
    }

    async fn keep(
        &self,
        root: &RemotePath,
        release: &ReleaseId,
        text: &str,
        intent: Intent<'_>,
    ) -> Result<(), Failure> {
        self.failure(self.target.keep(root, release, text, intent).await)
    }

    async fn kept(
        &self,
        root: &RemotePath,
        release: &ReleaseId,
        within: Within<'_>,
    ) -> Result<Option<String>, Failure> {
        let kept = self.failure(self.target.kept(root, release, within).await)?;
        Ok(kept.map(|text| self.vault.hide(text)))
    }

    async fn mark(
        &self,
        root: &RemotePath,
        release: &ReleaseId,
        mark: Mark,
        intent: Intent<'_>,
    ) -> Result<(), Failure> {
        self.failure(self.target.mark(root, release, mark, intent).await)
    }

    async fn exchange(
        &self,
        exchange: &Exchange,
        within: Within<'_>,
        intent: Option<Intent<'_>>,
    ) -> Result<String, Failure> {
        self.text(self.target.exchange(exchange, within, intent).await)
    }

    async fn forward(&self, host: &str, port: u16) -> Result<Forward, Failure> {
        self.failure(self.target.forward(host, port).await)
    }
}
