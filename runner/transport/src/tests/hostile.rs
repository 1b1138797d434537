//! Attacks on this machine, in each shell that a target may have: links, exceptions, names, tools and argument lists.
//! What must not happen is looked for on the disk, not only in the answers.

use super::*;
use crate::{Applied, Places};
use runner_model::Failure;

fn within<'a>(reads: &'a [RemotePath], writes: &'a [RemotePath], except: &'a [RemotePath]) -> Within<'a> {
    Within {
        reads: Places { granted: reads, written: &[], except },
        writes: Places { granted: writes, written: &[], except },
    }
}

/// What a change ends with, observed and then applied whatever was observed.
async fn attempt(bench: &Bench, change: &Change, within: Within<'_>) -> Result<Applied, Failure> {
    let seen = bench.target.observe(change, within).await;
    let before = seen.as_ref().map_or(State::Absent, |seen| seen.before.clone());
    let applied = bench.target.apply(change, &before, within, Intent::new("{}")).await;
    assert_eq!(seen.as_ref().err().map(|f| f.kind), applied.as_ref().err().map(|f| f.kind), "{change:?}");
    applied
}

fn denied<T: std::fmt::Debug>(bench: &Bench, what: &str, result: Result<T, Failure>) {
    match result {
        Err(failure) if failure.kind == FailureKind::Denied => {}
        other => panic!("{}: {what}: {other:?}", bench.shell),
    }
}

/// All names and contents below a folder.
fn snapshot(at: &Path) -> Vec<(String, Option<Vec<u8>>)> {
    let mut all: Vec<_> =
        walk(at).into_iter().map(|path| (path.clone(), std::fs::read(&path).ok())).collect();
    all.sort();
    all
}

fn link(bench: &Bench, from: &str, to: impl AsRef<Path>) {
    std::os::unix::fs::symlink(to, bench.at(from)).expect("linked");
}

#[tokio::test]
async fn a_grant_to_read_is_never_one_to_write() {
    in_every_shell(async |bench| {
        std::fs::create_dir_all(bench.at("etc/cron.d")).expect("mkdir");
        std::fs::create_dir_all(bench.at("shop/src")).expect("mkdir");
        std::fs::write(bench.at("etc/cron.d/job"), "job").expect("written");
        std::fs::write(bench.at("shop/src/f"), "f").expect("written");
        link(bench, "shop/l", bench.at("etc"));
        link(bench, "etc/back", bench.at("shop"));
        let (reads, writes) = ([bench.path("etc")], [bench.path("shop")]);
        let both = within(&reads, &writes, &[]);
        let before = snapshot(&bench.at("etc"));
        let attributes = Attributes::default();
        let tree = bench.tree(&[("x", "x")]);
        for change in [
            bench.write("shop/l/cron.d/x", b"evil"),
            bench.write("shop/l/cron.d/x", &vec![b'e'; 20_000]),
            Change::Mkdir { path: bench.path("shop/l/new/er"), attributes: attributes.clone() },
            Change::Symlink { path: bench.path("shop/l/x"), points_to: "y".to_owned() },
            Change::Remove { path: bench.path("shop/l/cron.d/job") },
            Change::RemoveTree { path: bench.path("shop/l/cron.d") },
            Change::SetAttributes {
                path: bench.path("shop/l/cron.d/job"),
                attributes: Attributes { mode: Some(0o777), ..Attributes::default() },
            },
            Change::Rename { path: bench.path("shop/src"), to: bench.path("shop/l/src") },
            Change::Rename { path: bench.path("shop/l/cron.d"), to: bench.path("shop/cron.d") },
            Change::Unpack {
                path: bench.path("shop/l/cron.d/x"),
                tree,
                links: vec![],
                reuse: Some(bench.path("etc/cron.d")),
                attributes,
            },
            Change::Archive { path: bench.path("etc/cron.d"), into: bench.path("shop/l/y.tar") },
        ] {
            denied(bench, &format!("{change:?}"), attempt(bench, &change, both).await);
        }
        let mut command = command(&["printf", "evil"]);
        command.directory = Some(bench.path("etc"));
        command.stdout_to = Some(bench.path("shop/l/cron.d/x"));
        let never = CancellationToken::new();
        let ran = bench.target.run(&command, both, None, &Log::default(), &never).await;
        denied(bench, "stdout-to", ran);
        // And the other way round: to write a folder is not to read it.
        let read = bench.target.read(&bench.path("etc/back/src/f"), both).await;
        denied(bench, "read through a link", read);
        command.stdout_to = None;
        command.directory = Some(bench.path("etc/back/src"));
        denied(bench, "directory", bench.target.run(&command, both, None, &Log::default(), &never).await);
        command.directory = Some(bench.path("shop"));
        denied(bench, "directory", bench.target.run(&command, both, None, &Log::default(), &never).await);
        let archive = Change::Archive { path: bench.path("etc/back/src"), into: bench.path("shop/src.tar") };
        denied(bench, "archive", attempt(bench, &archive, both).await);
        assert_eq!(snapshot(&bench.at("etc")), before, "{}", bench.shell);
        assert!(!bench.at("shop/src.tar").exists());
        // What is granted goes on.
        command.directory = Some(bench.path("etc"));
        command.stdout_to = Some(bench.path("shop/out"));
        bench.target.run(&command, both, None, &Log::default(), &never).await.expect("granted");
        let archive = Change::Archive { path: bench.path("etc/cron.d"), into: bench.path("shop/y.tar") };
        attempt(bench, &archive, both).await.expect("granted");
    })
    .await;
}

#[tokio::test]
async fn a_link_where_a_step_may_write_leads_no_prefix_anywhere() {
    in_every_shell(async |bench| {
        std::fs::create_dir_all(bench.at("secret/deep")).expect("mkdir");
        std::fs::create_dir_all(bench.at("shop")).expect("mkdir");
        std::fs::create_dir_all(bench.at("etc")).expect("mkdir");
        std::fs::write(bench.at("secret/deep/key"), "key").expect("written");
        link(bench, "shop/live", bench.at("secret"));
        link(bench, "alias", bench.at("shop"));
        let read = async |granted: &str, written: Option<&str>, path: &str| {
            let granted = [bench.path(granted)];
            let written: Vec<_> = written.map(|written| bench.path(written)).into_iter().collect();
            let reads = Places { granted: &granted, written: &written, except: &[] };
            bench.target.read(&bench.path(path), Within { reads, writes: Places::default() }).await
        };
        denied(bench, "alias itself", read("alias/live", Some("alias"), "alias/live/deep/key").await);
        for (granted, path) in [
            ("shop/live", "shop/live/deep/key"),
            ("shop/live/deep", "shop/live/deep/key"),
            ("alias/live", "alias/live/deep/key"),
            ("alias/live/deep", "alias/live/deep/key"),
        ] {
            for written in ["shop/live", "shop", "alias/live"] {
                denied(bench, &format!("{granted}, {written}"), read(granted, Some(written), path).await);
            }
            // Nothing is written through a link that is not followed: it tells nothing of where it leads.
            let through = granted.starts_with("shop").then_some(Some("alias"));
            for written in [None, Some("etc"), Some("secret/deep")].into_iter().chain(through) {
                let found = read(granted, written, path).await;
                assert_eq!(found.expect("it is granted"), "key", "{}: {granted}, {written:?}", bench.shell);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn no_link_leads_into_what_belongs_to_the_runner() {
    in_every_shell(async |bench| {
        std::fs::create_dir_all(bench.at("root/.runner/releases")).expect("mkdir");
        std::fs::write(bench.at("root/.runner/releases/x.json"), "{}").expect("written");
        std::fs::create_dir_all(bench.at("root/plain")).expect("mkdir");
        std::fs::create_dir_all(bench.at("root/deep/a/b/.runner")).expect("mkdir");
        std::fs::write(bench.at("root/deep/a/b/.runner/kept"), "kept").expect("written");
        link(bench, "root/l", bench.at("root/.runner"));
        link(bench, "root/dots", "plain/../.runner");
        link(bench, "root/chain", "dots");
        link(bench, "root/self", "..");
        let granted = [bench.path("root"), bench.path("root/self")];
        let both = Within::both(&granted);
        let before = snapshot(&bench.at("root/.runner"));
        for name in ["l", "dots", "chain"] {
            let at = |rest: &str| bench.path(&format!("root/{name}/{rest}"));
            let file = at("releases/x.json");
            denied(bench, name, bench.target.stat(&file, both).await);
            denied(bench, name, bench.target.read(&file, both).await);
            denied(bench, name, bench.target.digest(&file, both).await);
            denied(bench, name, bench.target.fetch(&file, both).await);
            denied(bench, name, bench.target.read_link(&file, both).await);
            denied(bench, name, bench.target.disk_free(&file, both).await);
            denied(bench, name, bench.target.read_dir(&at("releases"), both).await);
            denied(bench, name, bench.target.fetch(&at("releases"), both).await);
            let attributes = Attributes { mode: Some(0o777), ..Attributes::default() };
            for change in [
                bench.write(&format!("root/{name}/releases/x.json"), b"forged"),
                bench.write(&format!("root/{name}/releases/new.json"), b"forged"),
                Change::Mkdir { path: at("new/er"), attributes: Attributes::default() },
                Change::Symlink { path: at("x"), points_to: "y".to_owned() },
                Change::Remove { path: file.clone() },
                Change::RemoveTree { path: at("releases") },
                Change::SetAttributes { path: file.clone(), attributes },
                Change::Rename { path: at("releases"), to: bench.path("root/mine") },
                Change::Rename { path: bench.path("root/plain"), to: at("plain") },
                Change::Archive { path: at("releases"), into: bench.path("root/x.tar") },
                Change::Archive { path: bench.path("root/plain"), into: at("x.tar") },
            ] {
                denied(bench, &format!("{change:?}"), attempt(bench, &change, both).await);
            }
            let mut command = command(&["pwd"]);
            command.directory = Some(bench.path(&format!("root/{name}")));
            let never = CancellationToken::new();
            denied(bench, name, bench.target.run(&command, both, None, &Log::default(), &never).await);
        }
        // A folder that holds one cannot be taken along, by its name or by a link to the folder above it.
        for folder in ["root/deep", "root/deep/a", "root/deep/a/b"] {
            let path = bench.path(folder);
            denied(bench, folder, bench.target.digest(&path, both).await);
            denied(bench, folder, bench.target.fetch(&path, both).await);
            for change in [
                Change::RemoveTree { path: path.clone() },
                Change::Rename { path: path.clone(), to: bench.path("root/moved") },
                Change::Archive { path: path.clone(), into: bench.path("root/x.tar") },
            ] {
                let seen = bench.target.observe(&change, both).await;
                let before = seen.map_or(State::Absent, |seen| seen.before);
                let applied = bench.target.apply(&change, &before, both, Intent::new("{}")).await;
                denied(bench, &format!("{change:?}"), applied);
            }
        }
        let tree = bench.tree(&[("a/.runner/x", "x")]);
        let unpack = Change::Unpack {
            path: bench.path("root/unpacked"),
            tree,
            links: vec![],
            reuse: None,
            attributes: Attributes::default(),
        };
        denied(bench, "unpack", attempt(bench, &unpack, both).await);
        let left: Vec<_> = snapshot(&bench.at("root/.runner"))
            .into_iter()
            .filter(|(name, _)| !name.contains("/runs/"))
            .collect();
        let before: Vec<_> = before.into_iter().filter(|(name, _)| !name.contains("/runs/")).collect();
        assert_eq!(left, before, "{}", bench.shell);
        assert!(bench.at("root/deep/a/b/.runner/kept").exists());
        // The host says `.runner` itself, and may.
        let own = bench.path("root/.runner/releases/x.json");
        assert_eq!(bench.target.read(&own, both).await.expect("the host's own"), "{}");
    })
    .await;
}

#[tokio::test]
async fn what_is_excepted_is_so_by_every_name() {
    in_every_shell(async |bench| {
        std::fs::create_dir_all(bench.at("srv/data/secret/deep")).expect("mkdir");
        std::fs::write(bench.at("srv/data/secret/f"), "secret").expect("written");
        std::fs::write(bench.at("srv/data/f"), "open").expect("written");
        link(bench, "srv/by-link", "data/secret");
        link(bench, "srv/alias", "data");
        let granted = [bench.path("srv")];
        // The ban may name the folder, or a link to it.
        for ban in ["srv/data/secret", "srv/by-link", "srv/alias/secret"] {
            let except = [bench.path(ban)];
            let both = within(&granted, &granted, &except);
            for name in ["srv/data/secret/f", "srv/by-link/f", "srv/alias/secret/f"] {
                let path = bench.path(name);
                denied(bench, name, bench.target.read(&path, both).await);
                denied(bench, name, bench.target.stat(&path, both).await);
                denied(bench, name, attempt(bench, &bench.write(name, b"evil"), both).await);
                denied(bench, name, attempt(bench, &Change::Remove { path }, both).await);
            }
            let attributes = Attributes::default();
            let mkdir = Change::Mkdir { path: bench.path("srv/data/secret/deep/er/est"), attributes };
            denied(bench, ban, attempt(bench, &mkdir, both).await);
            for name in ["srv/data", "srv/alias/secret"] {
                let path = bench.path(name);
                let change = Change::RemoveTree { path: path.clone() };
                denied(
                    bench,
                    name,
                    bench.target.apply(&change, &State::Other, both, Intent::new("{}")).await,
                );
                let change = Change::Rename { path: path.clone(), to: bench.path("srv/moved") };
                denied(
                    bench,
                    name,
                    bench.target.apply(&change, &State::Other, both, Intent::new("{}")).await,
                );
                denied(bench, name, bench.target.fetch(&path, both).await);
                denied(bench, name, bench.target.digest(&path, both).await);
            }
            assert_eq!(bench.target.read(&bench.path("srv/alias/f"), both).await.expect("open"), "open");
            attempt(bench, &bench.write("srv/data/g", b"g"), both).await.expect("open");
        }
        assert_eq!(std::fs::read(bench.at("srv/data/secret/f")).expect("kept"), b"secret");
        assert!(!bench.at("srv/data/secret/deep/er").exists());
        // A ban on writing leaves reading alone.
        let except = [bench.path("srv/data/secret")];
        let reading = Within {
            reads: Places { granted: &granted, written: &[], except: &[] },
            writes: Places { granted: &granted, written: &[], except: &except },
        };
        assert_eq!(bench.target.read(&bench.path("srv/by-link/f"), reading).await.expect("read"), "secret");
        let archive = Change::Archive { path: bench.path("srv/data/secret"), into: bench.path("srv/s.tar") };
        attempt(bench, &archive, reading).await.expect("read");
    })
    .await;
}

#[tokio::test]
async fn other_names_and_open_folders_give_nothing_away() {
    in_every_shell(async |bench| {
        for (folder, mode) in [("sticky", 0o1777), ("open", 0o777), ("group", 0o775)] {
            std::fs::create_dir_all(bench.at(folder).join("below")).expect("mkdir");
            std::fs::write(bench.at(folder).join("below/f"), "f").expect("written");
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(bench.at(folder), mode).expect("chmod");
        }
        std::fs::write(bench.at("shadow"), "hash").expect("written");
        std::fs::hard_link(bench.at("shadow"), bench.at("sticky/x")).expect("linked");
        let granted = [bench.path("sticky"), bench.path("open"), bench.path("group")];
        let both = Within::both(&granted);
        // Another user may have made the second name of a file of root's.
        denied(bench, "read", bench.target.read(&bench.path("sticky/x"), both).await);
        let change = Change::SetAttributes {
            path: bench.path("sticky/x"),
            attributes: Attributes { mode: Some(0o666), ..Attributes::default() },
        };
        denied(bench, "chmod", attempt(bench, &change, both).await);
        denied(bench, "open", bench.target.read(&bench.path("open/below/f"), both).await);
        assert_eq!(bench.target.read(&bench.path("sticky/below/f"), both).await.expect("ours"), "f");
        // Only root can give folders away.
        if std::os::unix::fs::chown(bench.at("group"), None, Some(65_534)).is_ok() {
            denied(bench, "group", bench.target.read(&bench.path("group/below/f"), both).await);
            std::fs::create_dir(bench.at("sticky/theirs")).expect("mkdir");
            std::fs::write(bench.at("sticky/theirs/f"), "f").expect("written");
            std::os::unix::fs::chown(bench.at("sticky/theirs"), Some(65_534), None).expect("chown");
            denied(bench, "owner", bench.target.read(&bench.path("sticky/theirs/f"), both).await);
        } else {
            eprintln!("SKIPPED: only root can give folders to others");
        }
        // A file is replaced, never written through its other names.
        std::fs::create_dir(bench.at("own")).expect("mkdir");
        std::fs::hard_link(bench.at("shadow"), bench.at("own/x")).expect("linked");
        let own = [bench.path("own")];
        attempt(bench, &bench.write("own/x", b"new"), Within::both(&own)).await.expect("written");
        assert_eq!(std::fs::read(bench.at("shadow")).expect("kept"), b"hash", "{}", bench.shell);
    })
    .await;
}

#[tokio::test]
async fn names_and_contents_are_never_script() {
    in_every_shell(async |bench| {
        use std::os::unix::ffi::OsStrExt as _;
        let hostile = [
            "-rf",
            "--",
            "*",
            "?",
            "[a]",
            "$(touch gone)",
            "`id`",
            "a;b",
            "a&b",
            "a|b",
            "a'b",
            "a\"b",
            "a\\b",
            "~",
            "\\n",
            "%s%n",
            "#x",
            "é✓",
            "a b",
            " lead",
            "trail ",
            "N",
            "q 1 true",
            "-0",
            "{a,b}",
            "!x",
        ];
        let all = bench.all();
        let both = Within::both(&all);
        for name in hostile {
            let folder = format!("root/{name}");
            let attributes = Attributes::default();
            bench.change(&Change::Mkdir { path: bench.path(&folder), attributes }).await;
            bench.change(&bench.write(&format!("{folder}/{name}"), name.as_bytes())).await;
            let text = bench.target.read(&bench.path(&format!("{folder}/{name}")), both).await;
            assert_eq!(text.expect(name), name, "{}", bench.shell);
            bench.target.digest(&bench.path(&folder), both).await.expect(name);
            let mut pwd = command(&["pwd"]);
            pwd.directory = Some(bench.path(&folder));
            let never = CancellationToken::new();
            let out = bench.target.run(&pwd, both, None, &Log::default(), &never).await.expect(name);
            assert!(out.stdout.ends_with(&format!("{name}\n")), "{}: {out:?}", bench.shell);
            bench.change(&Change::RemoveTree { path: bench.path(&folder) }).await;
        }
        assert!(!bench.at("root/gone").exists() && !Path::new("/gone").exists());
        // Line ends and terminal sequences in names come back as they are; what is not UTF-8 is said, not guessed.
        std::fs::create_dir(bench.at("list")).expect("mkdir");
        let odd = ["a\n0:1:0\n", "\u{1b}[2J\u{1b}]0;x\u{7}", "tab\there", "cr\rlf", "\n"];
        for name in odd {
            std::fs::write(bench.at("list").join(name), "").expect("written");
        }
        let listed = bench.target.read_dir(&bench.path("list"), both).await.expect("listed");
        let mut expected: Vec<String> = odd.iter().map(|name| (*name).to_owned()).collect();
        expected.sort();
        assert_eq!(listed.into_iter().map(|entry| entry.name).collect::<Vec<_>>(), expected);
        std::fs::write(bench.at("list").join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), "").expect("written");
        let failure = bench.target.read_dir(&bench.path("list"), both).await.expect_err("not UTF-8");
        assert_eq!(failure.kind, FailureKind::Invalid, "{failure}");
        // A link that says a line break leads to a folder that no check can name.
        std::fs::create_dir(bench.at("root/line\nbreak")).expect("mkdir");
        std::fs::write(bench.at("root/line\nbreak/f"), "f").expect("written");
        link(bench, "root/broken", "line\nbreak");
        denied(bench, "line break", bench.target.read(&bench.path("root/broken/f"), both).await);
        // Content that looks like the end of an answer.
        let forged = "0123456789abcdef0123456789abcdef:1:0\n".repeat(50) + "\u{1b}[31mred\u{1b}[0m\r";
        bench.change(&bench.write("root/forged", forged.as_bytes())).await;
        assert_eq!(bench.target.read(&bench.path("root/forged"), both).await.expect("read"), forged);
    })
    .await;
}

/// What is sent after a request is for that request alone, also when it fails or ends without reading it.
#[tokio::test]
async fn what_nobody_reads_is_never_a_request() {
    in_every_shell(async |bench| {
        let all = bench.all();
        let both = Within::both(&all);
        let never = CancellationToken::new();
        let script = format!("touch {}\n", bench.at("root/gone").display()).repeat(2000);
        let big = bench.write("root/no/such/folder", script.as_bytes());
        for _ in 0..10 {
            for argv in [&["true"][..], &["no-such-program"], &["head", "-c", "1"]] {
                let mut command = command(argv);
                command.stdin = Some(runner_model::Content::Text(script.clone()));
                let _ = bench.target.run(&command, both, None, &Log::default(), &never).await;
            }
            let applied = bench.target.apply(&big, &State::Absent, both, Intent::new("{}")).await;
            assert_eq!(applied.expect_err("no folder").kind, FailureKind::NotFound, "{}", bench.shell);
        }
        assert!(!bench.at("root/gone").exists(), "{}: content was carried out", bench.shell);
    })
    .await;
}

#[tokio::test]
async fn argument_lists_and_variables_are_taken_as_they_are_or_refused() {
    in_every_shell(async |bench| {
        let (never, log) = (CancellationToken::new(), Log::default());
        let run =
            async |command: &Command| bench.target.run(command, Within::default(), None, &log, &never).await;
        for argv in [&["-V"][..], &["--help"], &["A=b", "id"], &["printf", "a\0b"], &["\0"], &[""], &[]] {
            let failure = run(&command(argv)).await.expect_err("refused");
            assert_eq!(failure.kind, FailureKind::Invalid, "{}: {argv:?}: {failure}", bench.shell);
        }
        let out =
            run(&command(&["printf", "%s|", "a\nb", "-e", "--", "$(id)", "`id`", "\u{1b}[0m", "\n"])).await;
        assert_eq!(out.expect("ran").stdout, "a\nb|-e|--|$(id)|`id`|\u{1b}[0m|\n|", "{}", bench.shell);
        for name in ["", "1A", "A-B", "A B", "A=B", "A;id", "A\nB", "é", "A$(id)", "BASH_FUNC_x%%"] {
            let mut command = command(&["env"]);
            command.env.insert(name.to_owned(), "x".to_owned());
            let failure = run(&command).await.expect_err(name);
            assert_eq!(failure.kind, FailureKind::Invalid, "{}: {name:?}", bench.shell);
        }
        let mut env = command(&["env"]);
        for (name, value) in [("n", "1"), ("N", "it's; $(id)\nX=y"), ("W", "/"), ("y", "z"), ("OK", "\n/\n")]
        {
            env.env.insert(name.to_owned(), value.to_owned());
        }
        let out = run(&env).await.expect("ran").stdout;
        assert!(out.contains("N=it's; $(id)\nX=y\n") && out.contains("W=/\n"), "{}: {out}", bench.shell);
        env.env.insert("A".to_owned(), "\0".to_owned());
        assert_eq!(run(&env).await.expect_err("NUL").kind, FailureKind::Invalid);
        // Functions of the script are no programs.
        for name in ["v_rmtree", "hold", "alone"] {
            assert_eq!(run(&command(&[name])).await.expect_err(name).kind, FailureKind::NotFound, "{name}");
            assert_eq!(bench.target.fact(&format!("has:{name}")).await.expect("a fact"), "false", "{name}");
        }
    })
    .await;
}

/// A shell of this machine that is what the script says, with a second for each verb.
async fn hostile_shell(script: &str) -> (tempfile::TempDir, Result<Arc<dyn Target>, Failure>) {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Arc::new(Store::open(dir.path().join("store")).expect("a store"));
    let limits = Limits { verb: Duration::from_secs(1), ..Limits::default() };
    let shared = Shared::new(store, Arc::default(), limits);
    // What `-c` and the program become is the script's own business.
    let host = Arc::new(Local::with_shell(["sh", "-c", script, "sh"]));
    let machine = Machine::new(TargetName::localhost(), host, Arc::new(shared), None);
    let connection = Connected(Arc::new(machine));
    let place = RunPlace {
        root: Some(dir.path().join("root").to_str().expect("UTF-8").parse().expect("a path")),
        plan: "test".to_owned(),
        run: "run-1".parse().expect("id"),
        executes: Executes { plan: Digest::of("plan"), lock: Digest::of("lock") },
        who: String::new(),
        made_at: String::new(),
    };
    std::fs::create_dir(dir.path().join("root")).expect("mkdir");
    let begun = connection.begin(&place).await;
    let target = connection.acting(&Acting::Login);
    (dir, begun.map(|()| target))
}

/// The most memory that this process had, in MiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a line");
    line.split_whitespace().nth(1).expect("a number").parse::<usize>().expect("a number") / 1024
}

#[tokio::test]
async fn a_remote_end_that_babbles_or_is_silent_costs_a_bounded_time_and_memory() {
    let before = peak();
    for (script, kinds) in [
        ("exec sleep 60", &[FailureKind::Timeout][..]),
        ("exec cat /dev/zero", &[FailureKind::Invalid, FailureKind::Timeout]),
        ("exec 3>&1; exec cat /dev/zero >&2", &[FailureKind::Invalid, FailureKind::Timeout]),
        ("exec cat /dev/urandom", &[FailureKind::Invalid, FailureKind::Timeout]),
        ("exec yes :1:0", &[FailureKind::Invalid, FailureKind::Timeout]),
        ("exec true", &[FailureKind::Unreachable]),
        ("read -r l; echo \"$l\"; exec cat", &[FailureKind::Timeout, FailureKind::Invalid]),
    ] {
        let begun = std::time::Instant::now();
        let (_dir, target) = hostile_shell(script).await;
        let Err(failure) = target else { panic!("{script}: it began") };
        assert!(kinds.contains(&failure.kind), "{script}: {failure}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{script}: {:?}", begun.elapsed());
    }
    let more = peak().saturating_sub(before);
    eprintln!("{more} MiB more at most");
    assert!(more < 600, "{more} MiB");
}

#[tokio::test]
async fn a_profile_that_prints_or_names_things_like_tools_changes_nothing() {
    for (name, words) in SHELLS.iter().filter(|(_, words)| available(words[0])) {
        let tools = tempfile::tempdir().expect("a folder");
        let evil = tools.path().join("stat");
        std::fs::write(&evil, "#!/bin/sh\necho evil >> gone\n").expect("written");
        std::fs::set_permissions(&evil, std::fs::Permissions::from_mode(0o755)).expect("chmod");
        // As a login shell would, before it hands over: noise, functions, aliases, and a PATH with open ends.
        let script = format!(
            "head -c 300000 /dev/zero; echo welcome >&2; stat() {{ echo evil; }}; readlink() {{ echo evil; }}; \
             alias cd=false; PATH=:.:bin:$PATH:; export PATH; shift; exec {} -c \"$1\"",
            words.join(" ")
        );
        let (dir, target) = hostile_shell(&script).await;
        let target = target.unwrap_or_else(|e| panic!("{name}: {e}\n{}", e.detail));
        let root = dir.path().canonicalize().expect("a folder").join("root");
        for tool in ["stat", "find", "xargs", "sha256sum", "readlink", "cat"] {
            std::fs::copy(&evil, root.join(tool)).expect("copied");
        }
        let path: RemotePath = root.to_str().expect("UTF-8").parse().expect("a path");
        let granted = [path.clone()];
        let both = Within::both(&granted);
        assert_eq!(target.read_dir(&path, both).await.expect(name).len(), 7, "{name}");
        target.digest(&path.join("cat").expect("a path"), both).await.expect(name);
        let mut own = command(&["stat", "-c", "%n", "."]);
        own.directory = Some(path.clone());
        let never = CancellationToken::new();
        let out = target.run(&own, both, None, &Log::default(), &never).await.expect(name);
        assert_eq!(out.stdout, ".\n", "{name}");
        assert!(!root.join("gone").exists(), "{name}: a tool was taken from the folder");
    }
}
