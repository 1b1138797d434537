//! What the tests over real sshd's share.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::allow_attributes, reason = "what is unused differs by binary, so nothing can be expected")]

use runner_artifact::{Node, Store, Tree};
use runner_fleet::{Builder, Error, Fleet};
use runner_model::{Attributes, Change, Command, Digest, EffectClass, RemotePath, State};
use runner_transport::{
    Connection, Executes, Intent, Kex, Limits, Observed, OutputSink, RunPlace, SshTarget, Target, Transport,
    Within,
};
use std::sync::Arc;
use std::time::Duration;

/// A fleet, or a visible skip.
pub(crate) fn fleet(builder: Builder) -> Option<Fleet> {
    match builder.start() {
        Ok(fleet) => Some(fleet),
        Err(Error::Missing(missing)) => {
            eprintln!("SKIPPED: {missing}");
            None
        }
        Err(failed) => panic!("{failed}"),
    }
}

/// How a host of the fleet is reached.
pub(crate) fn target(fleet: &Fleet, number: usize) -> SshTarget {
    let host = fleet.host(number);
    SshTarget {
        name: host.name().parse().expect("a name"),
        address: host.address().to_string(),
        user: Some(fleet.user().to_owned()),
        port: Some(host.ssh_address().port()),
        jump: None,
        config: None,
        known_hosts: Some(fleet.known_hosts()),
        identity: Some(fleet.identity()),
        kex: Kex::Fast,
        service_command: None,
    }
}

pub(crate) struct Bench {
    pub(crate) store: Arc<Store>,
    pub(crate) transport: Transport,
    _dir: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Limits { connect: Duration::from_secs(10), ..Limits::default() })
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Arc::new(Store::open(dir.path().join("store")).expect("a store"));
        Self { transport: Transport::new(Arc::clone(&store), limits), store, _dir: dir }
    }

    pub(crate) async fn connect(&self, target: SshTarget, root: &str) -> Arc<dyn Connection> {
        let connection = self.transport.ssh(target).await.unwrap_or_else(|e| panic!("{e}\n{}", e.detail));
        let place = RunPlace {
            root: Some(path(root)),
            plan: "test".to_owned(),
            run: "run-1".parse().expect("id"),
            executes: Executes { plan: Digest::of("plan"), lock: Digest::of("lock") },
            who: "ann".to_owned(),
            made_at: "2026-11-30T07:00:00Z".to_owned(),
        };
        connection.begin(&place).await.unwrap_or_else(|e| panic!("{e}\n{}", e.detail));
        connection
    }

    pub(crate) fn write(&self, at: &str, text: &str) -> Change {
        Change::Write {
            path: path(at),
            content: self.store.put_bytes(text.as_bytes()).expect("stored"),
            size: text.len() as u64,
            attributes: Attributes::default(),
        }
    }

    pub(crate) fn tree(&self, files: &[(String, String)]) -> Digest {
        let node = |content: &str| Node::File {
            digest: self.store.put_bytes(content.as_bytes()).expect("stored"),
            size: content.len() as u64,
            executable: false,
        };
        let entries =
            files.iter().map(|(path, content)| (path.clone().try_into().expect("a path"), node(content)));
        self.store.put_tree(&Tree::from_entries(entries).expect("a tree")).expect("stored")
    }
}

pub(crate) fn path(text: &str) -> RemotePath {
    text.parse().expect(text)
}

/// Observes and applies.
pub(crate) async fn change(target: &dyn Target, change: &Change, within: &[RemotePath]) -> Observed {
    let seen = target
        .observe(change, Within::both(within))
        .await
        .unwrap_or_else(|e| panic!("{change:?}: {e}\n{}", e.detail));
    target
        .apply(change, &seen.before, Within::both(within), Intent::new("{}"))
        .await
        .unwrap_or_else(|e| panic!("{change:?}: {e}\n{}", e.detail));
    seen
}

pub(crate) fn absent(state: &State) -> bool {
    matches!(state, State::Absent)
}

pub(crate) fn command(argv: &[&str]) -> Command {
    Command {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        effect: EffectClass::Read,
        env: Default::default(),
        secret_env: Default::default(),
        stdin: None,
        stdin_file: None,
        decompress: false,
        stdout_to: None,
        compress: false,
        directory: None,
        timeout: 20_000,
        accept: vec![],
        skip_if: None,
        undo: None,
        keep: false,
        repeatable: false,
    }
}

/// Nobody looks.
pub(crate) struct Quiet;

impl OutputSink for Quiet {
    fn line(&self, _stderr: bool, _line: &str) {}
}
