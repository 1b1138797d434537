//! The verbs behind the trait.

use crate::user::User;
use crate::{Accounts, Applied, Forward, Intent, Observed, Output, OutputSink, Target, Undo, Undone, Within};
use async_trait::async_trait;
use runner_model::{
    Change, Command, Digest, Entry, Exchange, Failure, Mark, Release, ReleaseId, RemotePath, ServiceAction,
    State, TargetName,
};
use tokio_util::sync::CancellationToken;

#[async_trait]
impl Target for User {
    fn name(&self) -> &TargetName {
        self.machine.name()
    }

    async fn fact(&self, name: &str) -> Result<String, Failure> {
        self.do_fact(name).await
    }

    async fn stat(&self, path: &RemotePath, within: Within<'_>) -> Result<Option<Entry>, Failure> {
        self.do_stat(path, within).await
    }

    async fn read_dir(&self, path: &RemotePath, within: Within<'_>) -> Result<Vec<Entry>, Failure> {
        self.do_read_dir(path, within).await
    }

    async fn read_link(&self, path: &RemotePath, within: Within<'_>) -> Result<String, Failure> {
        self.do_read_link(path, within).await
    }

    async fn read(&self, path: &RemotePath, within: Within<'_>) -> Result<String, Failure> {
        self.do_read(path, within).await
    }

    async fn digest(&self, path: &RemotePath, within: Within<'_>) -> Result<Digest, Failure> {
        self.do_digest(path, within).await
    }

    async fn disk_free(&self, path: &RemotePath, within: Within<'_>) -> Result<u64, Failure> {
        self.do_disk_free(path, within).await
    }

    async fn fetch(&self, path: &RemotePath, within: Within<'_>) -> Result<Digest, Failure> {
        self.do_fetch(path, within).await
    }

    async fn service_is_active(&self, unit: &str) -> Result<bool, Failure> {
        self.do_service_is_active(unit).await
    }

    async fn observe(&self, change: &Change, within: Within<'_>) -> Result<Observed, Failure> {
        self.do_observe(change, within).await
    }

    async fn apply(
        &self,
        change: &Change,
        before: &State,
        within: Within<'_>,
        intent: Intent<'_>,
    ) -> Result<Applied, Failure> {
        self.do_apply(change, before, within, intent).await
    }

    async fn undo(&self, undo: &Undo, within: Within<'_>, intent: Intent<'_>) -> Result<Undone, Failure> {
        self.do_undo(undo, within, intent).await
    }

    async fn note(&self, line: &str) -> Result<(), Failure> {
        self.intend(&format!("keep a line of the run on {}", self.machine.name()), Intent::new(line)).await
    }

    async fn forget(&self) -> Result<(), Failure> {
        self.do_forget().await
    }

    async fn service(&self, unit: &str, action: ServiceAction, intent: Intent<'_>) -> Result<(), Failure> {
        self.do_service(unit, action, intent).await
    }

    async fn run(
        &self,
        command: &Command,
        within: Within<'_>,
        intent: Option<Intent<'_>>,
        sink: &dyn OutputSink,
        cancel: &CancellationToken,
    ) -> Result<Output, Failure> {
        self.do_run(command, within, intent, sink, cancel).await
    }

    async fn releases(&self, root: &RemotePath, within: Within<'_>) -> Result<Vec<Release>, Failure> {
        self.do_releases(root, within).await
    }

    async fn accounts(&self, root: &RemotePath, within: Within<'_>) -> Result<Accounts, Failure> {
        self.do_accounts(root, within).await
    }

    async fn keep(
        &self,
        root: &RemotePath,
        release: &ReleaseId,
        text: &str,
        intent: Intent<'_>,
    ) -> Result<(), Failure> {
        self.do_keep(root, release, text, intent).await
    }

    async fn kept(
        &self,
        root: &RemotePath,
        release: &ReleaseId,
        within: Within<'_>,
    ) -> Result<Option<String>, Failure> {
        self.do_kept(root, release, within).await
    }

    async fn mark(
        &self,
        root: &RemotePath,
        release: &ReleaseId,
        mark: Mark,
        intent: Intent<'_>,
    ) -> Result<(), Failure> {
        self.do_mark(root, release, mark, intent).await
    }

    async fn exchange(
        &self,
        exchange: &Exchange,
        within: Within<'_>,
        intent: Option<Intent<'_>>,
    ) -> Result<String, Failure> {
        self.do_socket(exchange, within, intent).await
    }

    async fn forward(&self, host: &str, port: u16) -> Result<Forward, Failure> {
        self.machine.host.forward(host, port).await
    }
}
