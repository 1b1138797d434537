//! Whatever is asked of an overlay, no verb that writes is ever called.

use super::bench::{Nowhere, Shared, command, secret};
use crate::Overlay;
use async_trait::async_trait;
use proptest::prelude::*;
use runner_model::{
    Attributes, Change, Command, Digest, EffectClass, Entry, EntryKind, Exchange, Failure, Mark, Release,
    ReleaseId, RemotePath, ServiceAction, State, TargetName,
};
use runner_transport::{
    Accounts, Applied, Forward, Intent, Observed, Output, OutputSink, Target, Undo, Undone, Within,
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A target that gives what answers it likes to reads, and ends the test when anything would write.
struct Tripwire {
    name: TargetName,
    /// What it answers follows from this.
    seed: u64,
}

impl Tripwire {
    fn choose(&self, path: &RemotePath, of: u64) -> u64 {
        Digest::of(format!("{} {path}", self.seed)).short().bytes().map(u64::from).sum::<u64>() % of
    }

    fn entry(&self, path: &RemotePath) -> Option<Entry> {
        let kind = match self.choose(path, 5) {
            _ if path.as_str().matches('/').count() < 2 => EntryKind::Directory,
            0 => return None,
            1 => EntryKind::File,
            2 => EntryKind::Symlink,
            _ => EntryKind::Directory,
        };
        let (owner, group) = ("root".to_owned(), "root".to_owned());
        let name = path.name().unwrap_or("/").to_owned();
        Some(Entry { name, kind, size: 0, mode: 0o755, owner, group, modified: 0 })
    }
}

#[async_trait]
impl Target for Tripwire {
    fn name(&self) -> &TargetName {
        &self.name
    }

    async fn fact(&self, _name: &str) -> Result<String, Failure> {
        Ok("true".to_owned())
    }

    async fn stat(&self, path: &RemotePath, _within: Within<'_>) -> Result<Option<Entry>, Failure> {
        Ok(self.entry(path))
    }

    async fn read_dir(&self, path: &RemotePath, _within: Within<'_>) -> Result<Vec<Entry>, Failure> {
        let names = ["a", "b", "c"].map(|name| path.join(name).expect("a path"));
        Ok(names.iter().filter_map(|path| self.entry(path)).collect())
    }

    async fn read_link(&self, path: &RemotePath, _within: Within<'_>) -> Result<String, Failure> {
        Ok(["/srv/a", "b", "../c", "."][self.choose(path, 4) as usize].to_owned())
    }

    async fn read(&self, _path: &RemotePath, _within: Within<'_>) -> Result<String, Failure> {
        Ok(String::new())
    }

    async fn digest(&self, path: &RemotePath, _within: Within<'_>) -> Result<Digest, Failure> {
        Ok(Digest::of(path.as_str()))
    }

    async fn disk_free(&self, _path: &RemotePath, _within: Within<'_>) -> Result<u64, Failure> {
        Ok(0)
    }

    async fn fetch(&self, path: &RemotePath, _within: Within<'_>) -> Result<Digest, Failure> {
        Ok(Digest::of(path.as_str()))
    }

    async fn service_is_active(&self, _unit: &str) -> Result<bool, Failure> {
        Ok(true)
    }

    async fn observe(&self, change: &Change, _within: Within<'_>) -> Result<Observed, Failure> {
        let state =
            |tree, mode| State::Directory { tree, mode, owner: "root".to_owned(), group: "root".to_owned() };
        let tree = match change {
            Change::Unpack { tree, .. } => Some(*tree),
            _ => None,
        };
        Ok(Observed { before: State::Absent, after: state(tree, 0o755), folders: 0 })
    }

    async fn apply(
        &self,
        change: &Change,
        _before: &State,
        _within: Within<'_>,
        _intent: Intent<'_>,
    ) -> Result<Applied, Failure> {
        panic!("a dry run made a change: {change:?}");
    }

    async fn undo(&self, undo: &Undo, _within: Within<'_>, _intent: Intent<'_>) -> Result<Undone, Failure> {
        panic!("a dry run undid a change: {undo:?}");
    }

    async fn note(&self, line: &str) -> Result<(), Failure> {
        panic!("a dry run kept a line: {line}");
    }

    async fn forget(&self) -> Result<(), Failure> {
        panic!("a dry run removed copies");
    }

    async fn service(&self, unit: &str, action: ServiceAction, _intent: Intent<'_>) -> Result<(), Failure> {
        panic!("a dry run asked to {} {unit}", action.word());
    }

    async fn run(
        &self,
        command: &Command,
        _within: Within<'_>,
        intent: Option<Intent<'_>>,
        _sink: &dyn OutputSink,
        _cancel: &CancellationToken,
    ) -> Result<Output, Failure> {
        assert!(
            !command.effect.mutates() && command.stdout_to.is_none() && intent.is_none(),
            "a dry run ran {command:?}"
        );
        Ok(Output { status: 0, stdout: String::new(), stderr: String::new(), truncated: false })
    }

    async fn releases(&self, _root: &RemotePath, _within: Within<'_>) -> Result<Vec<Release>, Failure> {
        Ok(vec![])
    }

    async fn accounts(&self, _root: &RemotePath, _within: Within<'_>) -> Result<Accounts, Failure> {
        Ok(Accounts::default())
    }

    async fn keep(
        &self,
        _root: &RemotePath,
        release: &ReleaseId,
        _text: &str,
        _intent: Intent<'_>,
    ) -> Result<(), Failure> {
        panic!("a dry run kept something of {release}");
    }

    async fn kept(
        &self,
        _root: &RemotePath,
        _release: &ReleaseId,
        _within: Within<'_>,
    ) -> Result<Option<String>, Failure> {
        Ok(None)
    }

    async fn mark(
        &self,
        _root: &RemotePath,
        release: &ReleaseId,
        _mark: Mark,
        _intent: Intent<'_>,
    ) -> Result<(), Failure> {
        panic!("a dry run marked {release}");
    }

    async fn exchange(
        &self,
        exchange: &Exchange,
        _within: Within<'_>,
        intent: Option<Intent<'_>>,
    ) -> Result<String, Failure> {
        assert!(!exchange.effect.mutates() && intent.is_none(), "a dry run asked {exchange:?}");
        Ok(String::new())
    }

    async fn forward(&self, _host: &str, _port: u16) -> Result<Forward, Failure> {
        Ok(Forward::Direct)
    }
}

fn change(shared: &Shared, verb: usize, path: RemotePath, other: RemotePath) -> Change {
    let attributes = Attributes::default();
    match verb {
        0 => shared.write(path, b"text"),
        1 => Change::WriteSecret { path, content: secret(), attributes },
        2 => Change::Mkdir { path, attributes },
        3 => Change::Symlink { path, points_to: other.to_string() },
        4 => Change::Rename { path, to: other },
        5 => Change::Remove { path },
        6 => Change::RemoveTree { path },
        7 => Change::SetAttributes { path, attributes: Attributes { mode: Some(0o700), ..attributes } },
        8 => {
            let tree = shared.tree(&[("a/b", "x")]);
            Change::Unpack { path, tree, links: vec![], reuse: Some(other), attributes }
        }
        9 => Change::Archive { path, into: format!("{other}.tar").parse().expect("a path") },
        _ => Change::Unarchive { path, archive: other, attributes },
    }
}

async fn ask(shared: &Shared, target: &Arc<dyn Target>, verb: usize, path: RemotePath, other: RemotePath) {
    let granted = [RemotePath::root()];
    let within = Within::both(&granted);
    let classes = ["Read", "Change", "Signal", "Leave", "Join", "Opaque"].map(|name| match name {
        "Read" => EffectClass::Read,
        "Change" => EffectClass::Change,
        "Signal" => EffectClass::Signal,
        "Leave" => EffectClass::Leave,
        "Join" => EffectClass::Join,
        _ => EffectClass::Opaque,
    });
    match verb {
        0..=10 => {
            let change = change(shared, verb, path, other);
            let _ = target.observe(&change, within).await;
            let _ = target.apply(&change, &State::Absent, within, Intent::new("{}")).await;
        }
        11 => drop(target.stat(&path, within).await),
        12 => drop(target.read_dir(&path, within).await),
        13 => drop(target.read_link(&path, within).await),
        14 => drop(target.read(&path, within).await),
        15 => drop(target.digest(&path, within).await),
        16 => drop(target.fetch(&path, within).await),
        17 => drop(target.disk_free(&path, within).await),
        18 => {
            let _ = target.releases(&path, within).await;
            let _ = target.accounts(&path, within).await;
            let _ = target.kept(&path, &"one".parse().expect("an id"), within).await;
        }
        19 => drop(target.service("shop", ServiceAction::Restart, Intent::new("{}")).await),
        20 => drop(target.service_is_active("shop").await),
        21 => drop(target.mark(&path, &"one".parse().expect("an id"), Mark::Good, Intent::new("{}")).await),
        22 => drop(target.forward("localhost", 80).await),
        23 => drop(target.keep(&path, &"one".parse().expect("an id"), "{}", Intent::new("{}")).await),
        _ => {
            for effect in classes {
                let mut command = command(&["true"], effect);
                let never = CancellationToken::new();
                for to in [None, Some(path.clone())] {
                    command.stdout_to = to;
                    let _ = target.run(&command, within, Some(Intent::new("{}")), &Nowhere, &never).await;
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_verb_that_writes_is_ever_called(
        seed in any::<u64>(),
        verbs in prop::collection::vec((0_usize..25, "/srv(/[abc]){0,4}", "/srv(/[abc]){0,4}"), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let shared = Shared::new();
        let tripwire = Tripwire { name: TargetName::localhost(), seed };
        let run = "run-1".parse().expect("an id");
        let (store, vault) = (Arc::clone(&shared.store), Arc::clone(&shared.vault));
        let overlay = Arc::new(Overlay::new(store, vault, run, Some("/srv".parse().expect("a path"))));
        let target = overlay.over(Arc::new(tripwire));
        runtime.block_on(async {
            for (verb, path, other) in verbs {
                ask(&shared, &target, verb, path.parse().expect("a path"), other.parse().expect("a path")).await;
            }
        });
    }
}

#[test]
fn the_tripwire_is_one() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let shared = Shared::new();
    let target: Arc<dyn Target> = Arc::new(Tripwire { name: TargetName::localhost(), seed: 1 });
    let path: RemotePath = "/srv/a".parse().expect("a path");
    for verb in [0, 19, 21, 23, 24] {
        let ask = ask(&shared, &target, verb, path.clone(), path.clone());
        let tripped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(ask)));
        assert!(tripped.is_err(), "verb {verb}");
    }
}
