//! A scratch folder on this machine, as a target and under an overlay.

use crate::Overlay;
use runner_artifact::{Node, Store, Tree};
use runner_model::{
    Acting, Attributes, Change, Command, Digest, EffectClass, Failure, RemotePath, Secret, SecretName,
    TargetName,
};
use runner_secret::{Value, Vault};
use runner_transport::{Connection, Executes, Limits, OutputSink, RunPlace, Target, Transport, Within};
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What is hidden, and must stand in no answer.
pub(super) const SECRET: &str = "correct horse battery";

/// A folder with the same things in it, wherever it is.
pub(super) struct Scratch {
    _dir: tempfile::TempDir,
    pub(super) root: RemotePath,
    connection: Arc<dyn Connection>,
    pub(super) target: Arc<dyn Target>,
}

/// What several of them share.
pub(super) struct Shared {
    _dir: tempfile::TempDir,
    pub(super) store: Arc<Store>,
    pub(super) vault: Arc<Vault>,
}

pub(super) struct Nowhere;

impl OutputSink for Nowhere {
    fn line(&self, _stderr: bool, _line: &str) {}
}

impl Shared {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Arc::new(Store::open(dir.path().join("store")).expect("a store"));
        let value = Value::new(zeroize::Zeroizing::new(SECRET.as_bytes().to_vec())).expect("a value");
        let name: SecretName = "token".parse().expect("a name");
        let vault = Arc::new(Vault::new(BTreeMap::from([(name, value)])));
        Self { _dir: dir, store, vault }
    }

    pub(super) fn overlay(&self, scratch: &Scratch) -> Arc<Overlay> {
        let (store, vault) = (Arc::clone(&self.store), Arc::clone(&self.vault));
        let run = "run-1".parse().expect("an id");
        Arc::new(Overlay::new(store, vault, run, Some(scratch.path("r"))))
    }

    pub(super) fn tree(&self, files: &[(&str, &str)]) -> Digest {
        let node = |content: &str| Node::File {
            digest: self.store.put_bytes(content.as_bytes()).expect("stored"),
            size: content.len() as u64,
            executable: content.starts_with("#!"),
        };
        let entries =
            files.iter().map(|(path, text)| ((*path).to_owned().try_into().expect("a path"), node(text)));
        self.store.put_tree(&Tree::from_entries(entries).expect("a tree")).expect("stored")
    }

    pub(super) fn write(&self, path: RemotePath, content: &[u8]) -> Change {
        Change::Write {
            path,
            content: self.store.put_bytes(content).expect("stored"),
            size: content.len() as u64,
            attributes: Attributes::default(),
        }
    }
}

pub(super) fn secret() -> Secret {
    Secret::named("token".parse().expect("a name"))
}

impl Scratch {
    pub(super) async fn new(shared: &Shared) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("chmod");
        let root = dir.path().canonicalize().expect("a folder");
        for folder in ["a/b", "d/sub", "e", "g", "r/releases/zero", "r/shared"] {
            std::fs::create_dir_all(root.join(folder)).expect("mkdir");
        }
        for (file, text) in [
            ("a/b/c", "c"),
            ("a/f", "f"),
            ("d/x", "x"),
            ("d/sub/y", "#!/bin/sh\n"),
            ("r/releases/zero/app", "zero"),
            ("r/shared/conf", "conf"),
        ] {
            std::fs::write(root.join(file), text).expect("written");
        }
        for (link, to) in [
            ("l", "d"),
            ("d/up", "../a"),
            ("gone", "nowhere"),
            ("r/current", "releases/zero"),
            ("out", "/etc"),
        ] {
            symlink(to, root.join(link)).expect("linked");
        }
        let mode = |path: &str, mode| {
            std::fs::set_permissions(root.join(path), PermissionsExt::from_mode(mode)).expect("chmod");
        };
        mode("a/f", 0o640);
        mode("d/sub/y", 0o755);
        mode("g", 0o2755);
        let _socket = std::os::unix::net::UnixListener::bind(root.join("e/socket")).expect("a socket");
        let connection = connect(shared).await;
        let root: RemotePath = root.to_str().expect("UTF-8").parse().expect("a path");
        let place = RunPlace {
            root: Some(root.join("r").expect("a path")),
            plan: "test".to_owned(),
            run: "run-1".parse().expect("an id"),
            executes: Executes { plan: Digest::of("plan"), lock: Digest::of("lock") },
            who: String::new(),
            made_at: String::new(),
        };
        connection.begin(&place).await.expect("begun");
        let target = connection.acting(&Acting::Login);
        Self { _dir: dir, root, connection, target }
    }

    /// The same, seen over a connection on which no run has begun, as a dry run has it.
    pub(super) async fn of_dry_run(shared: &Shared) -> Self {
        let begun = Self::new(shared).await;
        let connection = connect(shared).await;
        let target = connection.acting(&Acting::Login);
        Self { connection, target, ..begun }
    }

    pub(super) fn path(&self, name: &str) -> RemotePath {
        self.root.join(name).expect("a path")
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        Path::new(self.root.as_str()).join(name)
    }

    pub(super) async fn close(&self) {
        self.connection.close().await;
    }

    /// All that can be seen of the folder from outside, with the times of every change to it.
    pub(super) fn snapshot(&self) -> Vec<String> {
        let mut all = Vec::new();
        walk(Path::new(self.root.as_str()), &mut all);
        all.sort();
        all
    }
}

fn walk(at: &Path, all: &mut Vec<String>) {
    let meta = at.symlink_metadata().expect("there");
    let content = if meta.is_file() { std::fs::read(at).expect("read") } else { vec![] };
    let link = if meta.is_symlink() { Some(at.read_link().expect("a link")) } else { None };
    all.push(format!(
        "{at:?} {} {:o} {}:{} {} {}.{} {}.{} {} {link:?} {}",
        meta.ino(),
        meta.mode(),
        meta.uid(),
        meta.gid(),
        meta.size(),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ctime(),
        meta.ctime_nsec(),
        meta.nlink(),
        Digest::of(content)
    ));
    if meta.is_dir() {
        for entry in at.read_dir().expect("a folder") {
            walk(&entry.expect("an entry").path(), all);
        }
    }
}

pub(super) fn command(argv: &[&str], effect: EffectClass) -> Command {
    Command {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        effect,
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

pub(super) async fn run(
    target: &Arc<dyn Target>,
    within: Within<'_>,
    command: &Command,
) -> Result<runner_transport::Output, Failure> {
    target.run(command, within, None, &Nowhere, &CancellationToken::new()).await
}

async fn connect(shared: &Shared) -> Arc<dyn Connection> {
    let transport =
        Transport::with_secrets(Arc::clone(&shared.store), Limits::default(), Arc::clone(&shared.vault));
    transport.local(TargetName::localhost(), None).await.expect("connected")
}
