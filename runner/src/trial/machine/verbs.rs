//! The verbs of the machine of a test. Files are the overlay's; what an overlay cannot know, since it must be as a real
//! machine would be, is known here: units, commands and sockets answer from the test, and archives hold what they were
//! made of.

use super::{MOMENT, Machine};
use async_trait::async_trait;
use runner_model::trial::Unit;
use runner_model::{
    Attributes, Change, Command, Content, Digest, Entry, EntryKind, Exchange, Fact, Failure, FailureKind,
    Mark, Release, ReleaseId, RemotePath, ServiceAction, State, TargetName,
};
use runner_transport::{
    Accounts, Applied, Forward, Intent, Observed, Output, OutputSink, Target, Undo, Undone, Within,
};
use serde_json::Value;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The verbs as one user.
pub(super) struct Verbs {
    pub(super) over: Arc<dyn Target>,
    pub(super) machine: Arc<Machine>,
}

/// Where a change writes it may look, too.
fn looking(within: Within<'_>) -> Within<'_> {
    Within { reads: within.writes, ..within }
}

fn at_the_moment(entry: Entry) -> Entry {
    Entry { modified: MOMENT, ..entry }
}

impl Verbs {
    fn failure(&self, kind: FailureKind, verb: &str, what: &dyn std::fmt::Display, why: &str) -> Failure {
        Failure::new(kind, format_args!("{verb} `{what}` on {}: {why}", self.machine.name))
    }

    /// The same change, as an overlay takes it. A secret is text like any other here: the store is the test's own, and gone
    /// with it. What a step is answered is masked as in a run.
    async fn plain(&self, change: &Change, within: Within<'_>) -> Result<Change, Failure> {
        let Change::WriteSecret { path, content, attributes } = change else { return Ok(change.clone()) };
        let value = self.machine.vault.reveal(content)?;
        let digest = self.machine.store.put_bytes(value.as_bytes())?;
        let there = self.over.stat(path, looking(within)).await?;
        let is_new = there.is_none_or(|entry| entry.kind != EntryKind::File);
        let mode = attributes.mode.or(is_new.then_some(0o600));
        let attributes = Attributes { mode, ..attributes.clone() };
        Ok(Change::Write { path: path.clone(), content: digest, size: value.len() as u64, attributes })
    }

    /// What an archive holds.
    async fn in_archive(&self, archive: &RemotePath, within: Within<'_>) -> Result<Digest, Failure> {
        let digest = self.over.digest(archive, within).await?;
        let held = self.machine.state().archives.get(&digest).copied();
        held.ok_or_else(|| self.failure(FailureKind::Invalid, "unarchive", archive, "it is no archive"))
    }

    async fn make(&self, change: &Change, within: Within<'_>) -> Result<Applied, Failure> {
        let seen = self.over.observe(change, within).await?;
        self.over.apply(change, &seen.before, within, Intent::new("")).await
    }

    async fn archive(
        &self,
        path: &RemotePath,
        into: &RemotePath,
        within: Within<'_>,
    ) -> Result<Applied, Failure> {
        let held = self.over.fetch(path, within).await?;
        let text = format!("an archive of {held}\n");
        let content = self.machine.store.put_bytes(text.as_bytes())?;
        self.machine.state().archives.insert(content, held);
        let attributes = Attributes { mode: Some(0o600), ..Attributes::default() };
        let size = text.len() as u64;
        self.make(&Change::Write { path: into.clone(), content, size, attributes }, within).await?;
        Ok(Applied { size, ..Applied::default() })
    }

    async fn unarchive(
        &self,
        path: &RemotePath,
        archive: &RemotePath,
        attributes: &Attributes,
        within: Within<'_>,
    ) -> Result<Applied, Failure> {
        let held = self.in_archive(archive, within).await?;
        let look = Change::RemoveTree { path: path.clone() };
        let before = self.over.observe(&look, within).await?.before;
        let same = match &before {
            State::Directory { tree, .. } => *tree == Some(held),
            State::File { digest, .. } => *digest == held,
            _ => false,
        };
        if same {
            return Ok(Applied::default());
        }
        if before != State::Absent {
            self.make(&look, within).await?;
        }
        let attributes = attributes.clone();
        let change = if self.machine.store.is_tree(&held) {
            Change::Unpack { path: path.clone(), tree: held, links: vec![], reuse: None, attributes }
        } else {
            let size = self.machine.store.size(&held)?;
            Change::Write { path: path.clone(), content: held, size, attributes }
        };
        let after = self.over.observe(&change, within).await?.after;
        self.make(&change, within).await?;
        Ok(Applied { size: 1, after: Some(after), ..Applied::default() })
    }

    /// What a command is given to read, as text.
    async fn stdin(&self, command: &Command, within: Within<'_>) -> Result<Option<String>, Failure> {
        if let Some(file) = &command.stdin_file {
            return self.over.read(file, within).await.map(Some);
        }
        command.stdin.as_ref().map(|content| self.text(content)).transpose()
    }

    fn text(&self, content: &Content) -> Result<String, Failure> {
        self.machine.script.text_of(content, &self.machine.store, &self.machine.vault)
    }

    fn lost<T>(&self, answer: T) -> Result<T, Failure> {
        self.machine.script.lost(answer)
    }
}

#[async_trait]
impl Target for Verbs {
    fn name(&self) -> &TargetName {
        &self.machine.name
    }

    async fn fact(&self, name: &str) -> Result<String, Failure> {
        let known = match name.strip_prefix("has:") {
            Some(program) => format!("has-{program}").parse::<Fact>().ok(),
            None => name.parse::<Fact>().ok().filter(|fact| fact.asked_as().is_some()),
        };
        let Some(fact) = known else {
            let message = format!("no fact `{}` of {}", name.escape_debug(), self.machine.name);
            return Err(Failure::new(FailureKind::NotFound, message));
        };
        Ok(match self.machine.fact(&fact) {
            Value::String(text) => text,
            other => other.to_string(),
        })
    }

    async fn stat(&self, path: &RemotePath, within: Within<'_>) -> Result<Option<Entry>, Failure> {
        Ok(self.over.stat(path, within).await?.map(at_the_moment))
    }

    async fn read_dir(&self, path: &RemotePath, within: Within<'_>) -> Result<Vec<Entry>, Failure> {
        let entries = self.over.read_dir(path, within).await?;
        Ok(entries.into_iter().map(at_the_moment).collect())
    }

    async fn read_link(&self, path: &RemotePath, within: Within<'_>) -> Result<String, Failure> {
        self.over.read_link(path, within).await
    }

    async fn read(&self, path: &RemotePath, within: Within<'_>) -> Result<String, Failure> {
        self.over.read(path, within).await
    }

    async fn digest(&self, path: &RemotePath, within: Within<'_>) -> Result<Digest, Failure> {
        self.over.digest(path, within).await
    }

    async fn disk_free(&self, path: &RemotePath, within: Within<'_>) -> Result<u64, Failure> {
        self.over.disk_free(path, within).await
    }

    async fn fetch(&self, path: &RemotePath, within: Within<'_>) -> Result<Digest, Failure> {
        self.over.fetch(path, within).await
    }

    async fn service_is_active(&self, unit: &str) -> Result<bool, Failure> {
        let is = self.machine.state().services.get(unit).copied();
        is.map(|is| is == Unit::Active).ok_or_else(|| self.machine.script.no_unit(unit))
    }

    async fn observe(&self, change: &Change, within: Within<'_>) -> Result<Observed, Failure> {
        if let Change::Unarchive { path, archive, .. } = change {
            self.in_archive(archive, within).await?;
            let look = Change::RemoveTree { path: path.clone() };
            let seen = self.over.observe(&look, within).await?;
            return Ok(Observed { after: State::Other, ..seen });
        }
        let change = self.plain(change, within).await?;
        self.over.observe(&change, within).await
    }

    async fn apply(
        &self,
        change: &Change,
        before: &State,
        within: Within<'_>,
        intent: Intent<'_>,
    ) -> Result<Applied, Failure> {
        let applied = match change {
            Change::Archive { path, into } => self.archive(path, into, within).await?,
            Change::Unarchive { path, archive, attributes } => {
                self.unarchive(path, archive, attributes, within).await?
            }
            change => {
                let change = self.plain(change, within).await?;
                self.over.apply(&change, before, within, intent).await?
            }
        };
        self.lost(applied)
    }

    async fn undo(&self, undo: &Undo, within: Within<'_>, intent: Intent<'_>) -> Result<Undone, Failure> {
        self.over.undo(undo, within, intent).await
    }

    async fn note(&self, line: &str) -> Result<(), Failure> {
        self.over.note(line).await
    }

    async fn forget(&self) -> Result<(), Failure> {
        self.over.forget().await
    }

    async fn service(&self, unit: &str, action: ServiceAction, _: Intent<'_>) -> Result<(), Failure> {
        let failed = |why: &str| self.failure(FailureKind::CommandFailed, action.word(), &unit, why);
        {
            let mut state = self.machine.state();
            let Some(is) = state.services.get_mut(unit) else {
                return Err(self.machine.script.no_unit(unit));
            };
            match (*is, action) {
                (Unit::Active | Unit::Inactive, ServiceAction::Stop) => *is = Unit::Inactive,
                (Unit::Failing, ServiceAction::Stop) => {}
                (Unit::Failing, _) => return Err(failed("the unit failed")),
                (Unit::Inactive, ServiceAction::Reload) => {
                    return Err(failed("the unit does not run, and cannot be reloaded"));
                }
                (Unit::Active | Unit::Inactive, _) => *is = Unit::Active,
            }
        }
        self.lost(())
    }

    async fn run(
        &self,
        command: &Command,
        within: Within<'_>,
        _: Option<Intent<'_>>,
        sink: &dyn OutputSink,
        _: &CancellationToken,
    ) -> Result<Output, Failure> {
        let stdin = self.stdin(command, within).await?;
        if let Some(directory) = &command.directory {
            let there = self.over.stat(directory, within).await?;
            if there.is_none_or(|entry| entry.kind == EntryKind::File) {
                return Err(self.failure(FailureKind::NotFound, "enter", directory, "no such folder"));
            }
        }
        let answer = self.machine.script.command(&command.argv, stdin.as_deref(), &self.machine.vault)?;
        for (path, text) in &answer.writes {
            let content = self.machine.store.put_bytes(text.as_bytes())?;
            let (size, attributes) = (text.len() as u64, Attributes::default());
            let change = Change::Write { path: path.clone(), content, size, attributes };
            // The program is no step: it writes wherever the user may.
            let everywhere = [RemotePath::root()];
            self.make(&change, Within::both(&everywhere)).await?;
        }
        let hide = |text: &str| self.machine.vault.hide(text);
        let mut stdout = hide(&answer.stdout);
        let stderr = hide(&answer.stderr);
        if let Some(path) = &command.stdout_to {
            let content = self.machine.store.put_bytes(answer.stdout.as_bytes())?;
            let (size, attributes) = (answer.stdout.len() as u64, Attributes::default());
            let change = Change::Write { path: path.clone(), content, size, attributes };
            self.make(&change, within).await?;
            stdout.clear();
        }
        stdout.lines().for_each(|line| sink.line(false, line));
        stderr.lines().for_each(|line| sink.line(true, line));
        self.lost(Output { status: answer.status, stdout, stderr, truncated: false })
    }

    async fn releases(&self, root: &RemotePath, within: Within<'_>) -> Result<Vec<Release>, Failure> {
        let mut releases = self.over.releases(root, within).await?;
        let state = self.machine.state();
        for release in &mut releases {
            if let Some(mark) = state.marks.get(&(root.clone(), release.id.clone())) {
                release.mark = *mark;
            }
        }
        Ok(releases)
    }

    async fn accounts(&self, root: &RemotePath, within: Within<'_>) -> Result<Accounts, Failure> {
        self.over.accounts(root, within).await
    }

    async fn keep(&self, _: &RemotePath, _: &ReleaseId, _: &str, _: Intent<'_>) -> Result<(), Failure> {
        Ok(())
    }

    async fn kept(
        &self,
        root: &RemotePath,
        release: &ReleaseId,
        within: Within<'_>,
    ) -> Result<Option<String>, Failure> {
        self.over.kept(root, release, within).await
    }

    async fn mark(
        &self,
        root: &RemotePath,
        release: &ReleaseId,
        mark: Mark,
        _: Intent<'_>,
    ) -> Result<(), Failure> {
        self.machine.state().marks.insert((root.clone(), release.clone()), mark);
        Ok(())
    }

    async fn exchange(
        &self,
        exchange: &Exchange,
        _: Within<'_>,
        intent: Option<Intent<'_>>,
    ) -> Result<String, Failure> {
        let answer = self.machine.script.socket(&exchange.path, &exchange.text, &self.machine.vault)?;
        let answer = self.machine.vault.hide(answer);
        if intent.is_none() { Ok(answer) } else { self.lost(answer) }
    }

    async fn forward(&self, host: &str, port: u16) -> Result<Forward, Failure> {
        self.over.forward(host, port).await
    }
}
