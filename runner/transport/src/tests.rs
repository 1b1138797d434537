//! The verbs on this machine, in each shell that a target may have.

mod accounts;
mod archives;
mod hostile;
mod lock;
mod resume;
mod sockets;
mod undo;
mod watchdog;

use crate::local::Local;
use crate::machine::{Connected, Limits, Machine, Shared};
use crate::{Connection, Executes, Intent, Observed, OutputSink, RunPlace, Target, Within};
use runner_artifact::{Node, Store, Tree};
use runner_model::{
    Acting, Attributes, Change, Command, Content, Digest, EffectClass, EntryKind, FailureKind, Link, Mark,
    RemotePath, State, TargetName,
};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A shell, a folder for it and a store.
struct Bench {
    shell: &'static str,
    dir: tempfile::TempDir,
    store: Arc<Store>,
    connection: Connected,
    target: Arc<dyn Target>,
}

const SHELLS: [(&str, &[&str]); 3] =
    [("dash", &["dash"]), ("bash", &["bash", "--posix"]), ("ash", &["busybox", "ash"])];

fn available(program: &str) -> bool {
    std::process::Command::new(program)
        .arg(if program == "busybox" { "true" } else { "-c" })
        .arg(":")
        .output()
        .is_ok()
}

/// Runs the check in every shell that is there; what is not is said.
async fn in_every_shell(check: impl AsyncFn(&Bench)) {
    for (name, words) in SHELLS {
        if !available(words[0]) {
            eprintln!("SKIPPED: {name} is not installed");
            continue;
        }
        let bench = Bench::new(name, words).await;
        check(&bench).await;
        bench.connection.close().await;
    }
}

impl Bench {
    async fn new(shell: &'static str, words: &[&str]) -> Self {
        Self::with(shell, words, Arc::default()).await
    }

    async fn with(shell: &'static str, words: &[&str], vault: Arc<runner_secret::Vault>) -> Self {
        Self::limited(shell, words, vault, Limits::default()).await
    }

    async fn limited(
        shell: &'static str,
        words: &[&str],
        vault: Arc<runner_secret::Vault>,
        limits: Limits,
    ) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("chmod");
        let store = Arc::new(Store::open(dir.path().join("store")).expect("a store"));
        let shared = Shared::new(Arc::clone(&store), vault, limits);
        let host = Arc::new(Local::with_shell(words));
        let machine = Machine::new(TargetName::localhost(), host, Arc::new(shared), None);
        let connection = Connected(Arc::new(machine));
        let bench = Self { shell, target: connection.acting(&Acting::Login), dir, store, connection };
        std::fs::create_dir(bench.at("root")).expect("mkdir");
        bench.connection.begin(&bench.place()).await.expect(shell);
        bench
    }

    fn place(&self) -> RunPlace {
        RunPlace {
            root: Some(self.path("root")),
            plan: "test".to_owned(),
            run: "run-1".parse().expect("id"),
            executes: Executes { plan: Digest::of("plan"), lock: Digest::of("lock") },
            who: "ann".to_owned(),
            made_at: "2026-11-30T07:00:00Z".to_owned(),
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().expect("a folder").join(name)
    }

    fn path(&self, name: &str) -> RemotePath {
        self.at(name).to_str().expect("UTF-8").parse().expect("a path")
    }

    fn all(&self) -> Vec<RemotePath> {
        vec![self.root()]
    }

    async fn observe(&self, change: &Change) -> Result<Observed, runner_model::Failure> {
        self.target.observe(change, Within::both(&[self.root()])).await
    }

    async fn releases(&self) -> Result<Vec<runner_model::Release>, runner_model::Failure> {
        self.target.releases(&self.path("root"), Within::both(&[self.root()])).await
    }

    fn root(&self) -> RemotePath {
        self.dir.path().canonicalize().expect("a folder").to_str().expect("UTF-8").parse().expect("a path")
    }

    /// Observes, applies, observes again: what was promised is what is there.
    async fn change(&self, change: &Change) -> Observed {
        let seen = self
            .observe(change)
            .await
            .unwrap_or_else(|e| panic!("{}: {change:?}: {e}\n{}", self.shell, e.detail));
        let before = self.intents();
        self.target
            .apply(change, &seen.before, Within::both(&[self.root()]), Intent::new("{\"intent\":\"it's\"}"))
            .await
            .unwrap_or_else(|e| panic!("{}: {change:?}: {e}\n{}", self.shell, e.detail));
        assert_eq!(self.intents(), before + 1, "one intent");
        let again = match change {
            Change::Rename { .. } | Change::Archive { .. } => return seen,
            _ => self.observe(change).await.unwrap_or_else(|e| panic!("{}: {change:?}: {e}", self.shell)),
        };
        assert_eq!(again.before, seen.after, "{}: {change:?}", self.shell);
        assert_eq!(again.before, again.after, "{}: {change:?}", self.shell);
        seen
    }

    fn intents(&self) -> usize {
        std::fs::read_to_string(self.at("root/.runner/runs/run-1/intents.jsonl"))
            .expect("intents")
            .lines()
            .count()
    }

    fn write(&self, name: &str, content: &[u8]) -> Change {
        Change::Write {
            path: self.path(name),
            content: self.store.put_bytes(content).expect("stored"),
            size: content.len() as u64,
            attributes: Attributes::default(),
        }
    }

    fn tree(&self, files: &[(&str, &str)]) -> Digest {
        let node = |content: &str| Node::File {
            digest: self.store.put_bytes(content.as_bytes()).expect("stored"),
            size: content.len() as u64,
            executable: content.starts_with("#!"),
        };
        let entries = files
            .iter()
            .map(|(path, content)| ((*path).to_owned().try_into().expect("a path"), node(content)));
        self.store.put_tree(&Tree::from_entries(entries).expect("a tree")).expect("stored")
    }
}

#[derive(Default)]
struct Log(Mutex<Vec<(bool, String)>>);

impl OutputSink for Log {
    fn line(&self, stderr: bool, line: &str) {
        self.0.lock().expect("not poisoned").push((stderr, line.to_owned()));
    }
}

fn command(argv: &[&str]) -> Command {
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

const ODD: [&str; 8] = ["a b", "it's \"q\"", "-rf", "back\\slash", "*", "$(id)", "é✓", "~"];

#[tokio::test]
async fn reading_verbs_answer_as_the_disk_is() {
    in_every_shell(async |bench| {
        let within = [bench.root()];
        let within = || Within::both(&within);
        let target = &bench.target;
        std::fs::create_dir(bench.at("d")).expect("mkdir");
        for name in ODD {
            std::fs::write(bench.at("d").join(name), name).expect("written");
            let path = bench.path("d").join(name).expect("a path");
            assert_eq!(target.read(&path, within()).await.expect(name), name);
            assert_eq!(target.digest(&path, within()).await.expect(name), Digest::of(name));
            let entry = target.stat(&path, within()).await.expect(name).expect(name);
            assert_eq!(
                (entry.name.as_str(), entry.kind, entry.size),
                (name, EntryKind::File, name.len() as u64)
            );
        }
        std::fs::write(bench.at("d/.hidden\nline"), "").expect("written");
        std::os::unix::fs::symlink("a b\n", bench.at("d/link")).expect("linked");
        let names: Vec<_> = target
            .read_dir(&bench.path("d"), within())
            .await
            .expect("listed")
            .into_iter()
            .map(|e| e.name)
            .collect();
        let mut expected: Vec<_> =
            ODD.iter().copied().chain([".hidden\nline", "link"]).map(str::to_owned).collect();
        expected.sort();
        assert_eq!(names, expected, "{}", bench.shell);
        assert_eq!(target.read_link(&bench.path("d/link"), within()).await.expect("a link"), "a b\n");
        assert_eq!(target.stat(&bench.path("d/none"), within()).await.expect("none"), None);
        assert_eq!(target.stat(&bench.path("no/folder"), within()).await.expect("none"), None);
        assert_eq!(
            target.stat(&bench.path("d"), within()).await.expect("d").map(|e| e.kind),
            Some(EntryKind::Directory)
        );
        for (path, kind) in [
            ("d/none", FailureKind::NotFound),
            ("d/link", FailureKind::Conflict),
            ("d", FailureKind::Conflict),
        ] {
            assert_eq!(target.read(&bench.path(path), within()).await.expect_err(path).kind, kind, "{path}");
        }
        assert_eq!(
            target.read_dir(&bench.path("d/-rf"), within()).await.expect_err("a file").kind,
            FailureKind::Conflict
        );
        std::fs::create_dir(bench.at("empty")).expect("mkdir");
        assert_eq!(target.read_dir(&bench.path("empty"), within()).await.expect("listed"), []);
        std::fs::write(bench.at("big"), vec![b'x'; (1 << 20) + 1]).expect("written");
        assert_eq!(
            target.read(&bench.path("big"), within()).await.expect_err("big").kind,
            FailureKind::Invalid
        );
        std::fs::write(bench.at("bytes"), (0..=255).collect::<Vec<u8>>()).expect("written");
        assert_eq!(
            target.read(&bench.path("bytes"), within()).await.expect_err("bytes").kind,
            FailureKind::Invalid
        );
        assert_eq!(
            target.fetch(&bench.path("bytes"), within()).await.expect("fetched"),
            Digest::of((0..=255).collect::<Vec<u8>>())
        );
        let free = target.disk_free(&bench.path("d/none/yet"), within()).await.expect("free");
        assert!(free > 0);
        let digest = target.digest(&bench.path("d"), within()).await.expect("digest");
        assert_eq!(
            target.fetch(&bench.path("d"), within()).await.expect("fetched"),
            digest,
            "{}",
            bench.shell
        );
        assert_eq!(bench.store.tree(&digest).expect("stored").entries().len(), ODD.len() + 2);
        assert_eq!(target.fact("has:sh").await.expect("a fact"), "true");
        assert_eq!(target.fact("has:no-such-program").await.expect("a fact"), "false");
        assert_eq!(target.fact("os").await.expect("a fact"), "linux");
        assert_eq!(target.fact("color").await.expect_err("no fact").kind, FailureKind::NotFound);
        let outside =
            target.read(&"/etc/passwd".parse().expect("a path"), within()).await.expect_err("outside");
        assert_eq!(outside.kind, FailureKind::Denied);
    })
    .await;
}

#[tokio::test]
async fn changes_leave_what_they_promised() {
    in_every_shell(async |bench| {
        bench.change(&bench.write("root/file", b"text with 'quotes'\nand lines\n\n")).await;
        assert_eq!(std::fs::read(bench.at("root/file")).expect("read"), b"text with 'quotes'\nand lines\n\n");
        bench.change(&bench.write("root/file", &(0..=255).collect::<Vec<u8>>())).await;
        bench.change(&bench.write("root/big", &vec![b'z'; 300_000])).await;
        let all_bytes: Vec<u8> = (1..=255).collect();
        bench.change(&bench.write("root/bytes", &all_bytes)).await;
        assert_eq!(std::fs::read(bench.at("root/bytes")).expect("read"), all_bytes, "{}", bench.shell);
        for mode in [0o600, 0o755, 0o444, 0o4750] {
            let mut change = bench.write("root/mode", b"x");
            if let Change::Write { attributes, .. } = &mut change {
                attributes.mode = Some(mode);
            }
            bench.change(&change).await;
        }
        for name in ODD {
            bench.change(&bench.write(&format!("root/{name}"), name.as_bytes())).await;
        }
        let attributes = Attributes { mode: Some(0o2750), ..Attributes::default() };
        bench.change(&Change::Mkdir { path: bench.path("root/a/b/c"), attributes }).await;
        bench
            .change(&Change::Mkdir { path: bench.path("root/a/x"), attributes: Attributes::default() })
            .await;
        bench.change(&Change::Symlink { path: bench.path("root/link"), points_to: "a\n".to_owned() }).await;
        let seen = bench
            .change(&Change::Symlink { path: bench.path("root/link"), points_to: "/etc/passwd".to_owned() })
            .await;
        assert_eq!(seen.before, State::Symlink { points_to: "a\n".to_owned() });
        bench
            .change(&Change::Rename { path: bench.path("root/file"), to: bench.path("root/a/renamed") })
            .await;
        let attributes = Attributes { mode: Some(0o640), ..Attributes::default() };
        bench
            .change(&Change::SetAttributes {
                path: bench.path("root/a/renamed"),
                attributes: attributes.clone(),
            })
            .await;
        for (change, kind) in [
            (
                Change::Symlink { path: bench.path("root/a"), points_to: "x".to_owned() },
                FailureKind::Conflict,
            ),
            (Change::Remove { path: bench.path("root/a") }, FailureKind::Conflict),
            (Change::SetAttributes { path: bench.path("root/link"), attributes }, FailureKind::Conflict),
            (
                Change::Rename { path: bench.path("root/big"), to: bench.path("root/link") },
                FailureKind::Conflict,
            ),
            (
                Change::Rename { path: bench.path("root/none"), to: bench.path("root/new") },
                FailureKind::NotFound,
            ),
            (bench.write("root/none/file", b""), FailureKind::NotFound),
            (bench.write("root/a", b""), FailureKind::Conflict),
            (bench.write("root/big/file", b""), FailureKind::Conflict),
        ] {
            let failure = bench.observe(&change).await.expect_err("refused");
            assert_eq!(failure.kind, kind, "{}: {change:?}: {failure}", bench.shell);
        }
        bench.change(&Change::Remove { path: bench.path("root/link") }).await;
        bench.change(&Change::Remove { path: bench.path("root/a/x") }).await;
        bench.change(&Change::Remove { path: bench.path("root/never/was") }).await;
        std::os::unix::fs::symlink(bench.at("d2"), bench.at("root/a/out")).expect("linked");
        std::fs::create_dir(bench.at("d2")).expect("mkdir");
        std::fs::write(bench.at("d2/kept"), "").expect("written");
        bench.change(&Change::RemoveTree { path: bench.path("root/a") }).await;
        assert!(bench.at("d2/kept").exists());
        let left: Vec<_> = walk(&bench.at("root")).into_iter().filter(|p| p.contains(".runner-")).collect();
        assert_eq!(left, Vec::<String>::new(), "temporary files are left");
    })
    .await;
}

fn walk(at: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in at.read_dir().into_iter().flatten().flatten() {
        all.push(entry.path().display().to_string());
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            all.extend(walk(&entry.path()));
        }
    }
    all
}

#[tokio::test]
async fn a_tree_is_laid_out_once_and_then_from_what_is_there() {
    in_every_shell(async |bench| {
        let big = "content ".repeat(20_000);
        let mut files = vec![
            ("run", "#!/bin/sh\n"),
            ("a/one", "1"),
            ("a/-dash", "2"),
            ("with space/x'y", "3"),
            ("big", &big),
            ("conf/x", "4"),
        ];
        let first = bench.tree(&files);
        files[1].1 = "changed";
        files.push(("new", "5"));
        let second = bench.tree(&files);
        let links = vec![Link { path: "conf".to_owned(), points_to: "../../shared/conf".to_owned() }];
        let unpack = |id: &str, tree, reuse: Option<&str>| Change::Unpack {
            path: bench.path(&format!("root/releases/{id}")),
            tree,
            links: links.clone(),
            reuse: reuse.map(|id| bench.path(&format!("root/releases/{id}"))),
            attributes: Attributes::default(),
        };
        bench
            .change(&Change::Mkdir { path: bench.path("root/releases"), attributes: Attributes::default() })
            .await;
        let left = format!("root/releases/.runner-unpack-{}.99999999", Digest::of("one").short());
        std::fs::create_dir(bench.at(&left)).expect("mkdir");
        bench.change(&unpack("one", first, None)).await;
        let sent = bench.connection.bytes_sent();
        bench.change(&unpack("two", second, Some("one"))).await;
        let more = bench.connection.bytes_sent() - sent;
        assert!(more > 0 && more < 2000, "{}: {more} bytes for a small change", bench.shell);
        assert_eq!(std::fs::read_to_string(bench.at("root/releases/two/a/one")).expect("read"), "changed");
        assert_eq!(
            std::fs::read_link(bench.at("root/releases/two/conf")).expect("a link"),
            Path::new("../../shared/conf")
        );
        let releases = bench.releases().await.expect("listed");
        let ids: Vec<_> = releases.iter().map(|r| (r.id.as_str(), r.sequence, r.mark, r.live)).collect();
        assert_eq!(
            ids,
            [("two", 2, Mark::Untried, false), ("one", 1, Mark::Untried, false)],
            "{}",
            bench.shell
        );
        bench
            .change(&Change::Symlink {
                path: bench.path("root/current"),
                points_to: "releases/two".to_owned(),
            })
            .await;
        let two = "two".parse().expect("an id");
        let before = bench.intents();
        for _ in 0..2 {
            let marked = bench.target.mark(&bench.path("root"), &two, Mark::Good, Intent::new("{}")).await;
            marked.expect("marked");
        }
        assert_eq!(bench.intents(), before + 1, "the second time there was nothing to do");
        let releases = bench.releases().await.expect("listed");
        assert_eq!((releases[0].mark, releases[0].live), (Mark::Good, true));
        // Somebody changed a file of the earlier release: its copy is found out, and all is sent.
        std::fs::write(bench.at("root/releases/two/big"), big.replacen('c', "C", 1)).expect("written");
        bench.change(&unpack("three", first, Some("two"))).await;
        // What is in the way is never touched.
        let failure = bench.observe(&unpack("two", second, None)).await.expect_err("differs");
        assert_eq!(failure.kind, FailureKind::Conflict);
        assert!(failure.detail.contains("differs: big"), "{}", failure.detail);
        bench.change(&Change::RemoveTree { path: bench.path("root/releases/three") }).await;
        assert!(!bench.at("root/.runner/releases/three.json").exists());
        bench.change(&unpack("four", second, Some("nowhere"))).await;
        let releases = bench.releases().await.expect("listed");
        assert_eq!(releases[0].sequence, 4, "a number is never used again");
        let left: Vec<_> = walk(&bench.at("root")).into_iter().filter(|p| p.contains(".runner-")).collect();
        assert_eq!(left, Vec::<String>::new(), "temporary files are left");
    })
    .await;
}

#[tokio::test]
async fn an_archive_is_made_and_read_back() {
    in_every_shell(async |bench| {
        std::fs::create_dir(bench.at("live")).expect("mkdir");
        std::fs::write(bench.at("live/-file"), "content").expect("written");
        std::os::unix::fs::symlink("/etc", bench.at("live/link")).expect("linked");
        for (end, unzip) in [("tar.zst", "zstd"), ("tar.gz", "gzip"), ("tar", "cat")] {
            let change =
                Change::Archive { path: bench.path("live"), into: bench.path(&format!("root/b.{end}")) };
            let seen = bench.observe(&change).await.expect("observed");
            let size = bench
                .target
                .apply(&change, &seen.before, Within::both(&[bench.root()]), Intent::new("{}"))
                .await
                .expect(end);
            let file = bench.at(&format!("root/b.{end}"));
            assert_eq!(size.size, file.metadata().expect("made").len());
            let list = format!(
                "{unzip} {} < '{}' | tar -tf -",
                if unzip == "cat" { "" } else { "-dc" },
                file.display()
            );
            let listed = std::process::Command::new("sh").arg("-c").arg(list).output().expect("listed");
            assert!(String::from_utf8_lossy(&listed.stdout).contains("./-file"), "{listed:?}");
            let failure = bench.observe(&change).await.expect_err("exists");
            assert_eq!(failure.kind, FailureKind::Conflict);
        }
        let left: Vec<_> = walk(&bench.at("root")).into_iter().filter(|p| p.contains(".runner-")).collect();
        assert_eq!(left, Vec::<String>::new(), "temporary files are left");
    })
    .await;
}

#[tokio::test]
async fn commands_run_in_a_clean_place_and_say_how_they_ended() {
    in_every_shell(async |bench| {
        let within = [bench.root()];
        let log = Log::default();
        let never = CancellationToken::new();
        let run = async |command: &Command| {
            bench.target.run(command, Within::both(&within), Some(Intent::new("{}")), &log, &never).await
        };
        let out =
            run(&command(&["printf", "%s|", "a b", "it's", "x\ny", "-n", "$HOME", ""])).await.expect("ran");
        assert_eq!(out.stdout, "a b|it's|x\ny|-n|$HOME||", "{}", bench.shell);
        let mut env = command(&["env"]);
        env.env.insert("N".to_owned(), "it's\nme".to_owned());
        let out = run(&env).await.expect("ran").stdout;
        let names: Vec<&str> = out
            .lines()
            .filter_map(|l| l.split_once('='))
            .map(|(n, _)| n)
            .filter(|n| *n != "_" && *n != "PWD")
            .collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        let user = std::env::var_os("USER").map(|_| "USER");
        let expected: Vec<&str> = ["HOME", "LANG", "N", "PATH"].into_iter().chain(user).collect();
        assert_eq!(sorted, expected, "{}: {out}", bench.shell);
        assert!(out.contains("N=it's\nme\n"));
        for (script, status) in [("exit 3", 3), ("exit 255", 255), ("kill -KILL $$", 137), ("exit 127", 127)]
        {
            let out = run(&command(&["sh", "-c", script])).await.expect(script);
            assert_eq!(out.status, status, "{}: {script}: {out:?}", bench.shell);
        }
        for missing in ["no-such-program", "/no/such/program", "/etc"] {
            assert_eq!(run(&command(&[missing])).await.expect_err(missing).kind, FailureKind::NotFound);
        }
        let mut cat = command(&["cat"]);
        assert_eq!(run(&cat).await.expect("ran").stdout, "");
        cat.stdin = Some(Content::Text("in\nput".to_owned()));
        assert_eq!(run(&cat).await.expect("ran").stdout, "in\nput");
        let digest = bench.store.put_bytes(&vec![b'y'; 500_000]).expect("stored");
        cat.stdin = Some(Content::Artifact(digest));
        let out = run(&cat).await.expect("ran");
        assert_eq!((out.stdout.len(), out.truncated), (256 << 10, true));
        cat.stdout_to = Some(bench.path("root/output"));
        run(&cat).await.expect("ran");
        assert_eq!(bench.at("root/output").metadata().expect("made").len(), 500_000);
        let mut fails = command(&["sh", "-c", "echo bad; exit 1"]);
        fails.stdout_to = Some(bench.path("root/output"));
        assert_eq!(run(&fails).await.expect("ran").status, 1);
        assert_eq!(bench.at("root/output").metadata().expect("kept").len(), 500_000);
        let mut there = command(&["pwd"]);
        there.directory = Some(bench.path("root"));
        assert_eq!(run(&there).await.expect("ran").stdout.trim(), bench.at("root").to_str().expect("UTF-8"));
        log.0.lock().expect("not poisoned").clear();
        run(&command(&["sh", "-c", "echo one; echo two >&2; printf three"])).await.expect("ran");
        let mut lines = log.0.lock().expect("not poisoned").clone();
        lines.sort();
        assert_eq!(lines, [(false, "one".to_owned()), (false, "three".to_owned()), (true, "two".to_owned())]);
        // Whoever leaves something in the background with its output open does not keep us.
        let begun = std::time::Instant::now();
        run(&command(&["sh", "-c", "sleep 5 & echo left"])).await.expect("ran");
        assert!(begun.elapsed() < Duration::from_secs(4), "{}", bench.shell);
    })
    .await;
}

fn alive(marker: &str) -> bool {
    let out = std::process::Command::new("pgrep").args(["-f", marker]).output().expect("pgrep is there");
    !out.stdout.is_empty()
}

#[tokio::test]
async fn a_timeout_or_cancel_ends_the_whole_group() {
    in_every_shell(async |bench| {
        let log = Log::default();
        let marker = format!("{}.{}", 86_400 + std::process::id(), bench.shell.len());
        let script = format!("trap '' TERM; sleep {marker} & sleep {marker}");
        let mut slow = command(&["sh", "-c", &script]);
        slow.timeout = 400;
        let never = CancellationToken::new();
        let failure =
            bench.target.run(&slow, Within::both(&[]), None, &log, &never).await.expect_err("too slow");
        assert_eq!(failure.kind, FailureKind::Timeout, "{failure}");
        assert!(failure.detail.contains("was ended"), "{}: {}", bench.shell, failure.detail);
        assert!(!alive(&marker), "{}", bench.shell);
        // What listens to TERM is gone at once.
        slow.argv[2] = format!("sleep {marker} & sleep {marker}");
        slow.timeout = 60_000;
        let cancel = CancellationToken::new();
        let later = cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            later.cancel();
        });
        let failure =
            bench.target.run(&slow, Within::both(&[]), None, &log, &cancel).await.expect_err("cancelled");
        assert_eq!(failure.kind, FailureKind::Cancelled, "{failure}");
        assert!(!alive(&marker), "{}", bench.shell);
        // A future that is dropped ends it, too, a little later.
        let dropped = tokio::time::timeout(
            Duration::from_millis(300),
            bench.target.run(&slow, Within::both(&[]), None, &log, &never),
        );
        assert!(dropped.await.is_err());
        for _ in 0..200 {
            if !alive(&marker) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(!alive(&marker), "{}", bench.shell);
    })
    .await;
}

#[tokio::test]
async fn links_are_followed_only_where_a_grant_leads() {
    in_every_shell(async |bench| {
        std::fs::create_dir_all(bench.at("granted/real")).expect("mkdir");
        std::fs::create_dir(bench.at("other")).expect("mkdir");
        std::fs::write(bench.at("granted/real/f"), "in").expect("written");
        std::fs::write(bench.at("other/f"), "out").expect("written");
        std::os::unix::fs::symlink("real", bench.at("granted/inside")).expect("linked");
        std::os::unix::fs::symlink("../other", bench.at("granted/outside")).expect("linked");
        std::os::unix::fs::symlink("granted", bench.at("alias")).expect("linked");
        let read = async |path: &str, grant: &str| {
            bench.target.read(&bench.path(path), Within::both(&[bench.path(grant)])).await.map_err(|f| f.kind)
        };
        assert_eq!(read("granted/inside/f", "granted").await, Ok("in".to_owned()), "{}", bench.shell);
        assert_eq!(read("granted/outside/f", "granted").await, Err(FailureKind::Denied), "{}", bench.shell);
        assert_eq!(read("alias/real/f", "alias").await, Ok("in".to_owned()), "{}", bench.shell);
        assert_eq!(read("alias/inside/f", "alias/real").await, Err(FailureKind::Denied));
        assert_eq!(read("granted/inside/f", "granted/inside").await, Ok("in".to_owned()), "{}", bench.shell);
        assert_eq!(
            read("granted/outside/f", "granted/outside").await,
            Ok("out".to_owned()),
            "{}",
            bench.shell
        );
        // A folder that others may change on the way.
        let open = bench.at("granted/real");
        std::fs::create_dir(bench.at("granted/open")).expect("mkdir");
        std::fs::set_permissions(bench.at("granted/open"), std::fs::Permissions::from_mode(0o777))
            .expect("chmod");
        std::fs::create_dir(bench.at("granted/open/d")).expect("mkdir");
        std::fs::write(bench.at("granted/open/d/f"), "x").expect("written");
        let failure = bench
            .target
            .read(&bench.path("granted/open/d/f"), Within::both(&bench.all()[..]))
            .await
            .expect_err("unsafe");
        assert_eq!(failure.kind, FailureKind::Denied, "{failure}");
        assert!(failure.message.contains("granted/open may be changed by others"), "{failure}");
        drop(open);
    })
    .await;
}
