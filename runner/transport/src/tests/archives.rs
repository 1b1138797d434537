//! Archives that come back, archives that somebody has prepared, and commands whose files are packed on the way.

use super::*;
use runner_model::Failure;
use std::os::unix::fs::MetadataExt as _;

fn unarchive(bench: &Bench, archive: &str, path: &str) -> Change {
    Change::Unarchive {
        path: bench.path(path),
        archive: bench.path(archive),
        attributes: Attributes::default(),
    }
}

/// Whether anything differed.
async fn put_back(bench: &Bench, change: &Change) -> Result<bool, Failure> {
    let all = bench.all();
    let seen = bench.target.observe(change, Within::both(&all)).await?;
    assert_eq!(seen.after, State::Other, "what is in it is not known before");
    bench
        .target
        .apply(change, &seen.before, Within::both(&all), Intent::new("{}"))
        .await
        .map(|done| done.size == 1)
}

/// All that a folder has, with modes and owners but without times.
fn facts(at: &Path) -> Vec<String> {
    let mut all: Vec<String> = walk(at)
        .into_iter()
        .chain([at.display().to_string()])
        .map(|path| {
            let meta = std::fs::symlink_metadata(&path).expect("there");
            let content = match std::fs::read_link(&path) {
                Ok(to) => format!("{to:?}"),
                Err(_) => Digest::of(std::fs::read(&path).unwrap_or_default()).to_string(),
            };
            format!("{path:?} {:o} {} {} {content}", meta.mode(), meta.uid(), meta.gid())
        })
        .collect();
    all.sort();
    all
}

fn nothing_is_left(bench: &Bench, folder: &str) {
    let names = std::fs::read_dir(bench.at(folder)).expect("a folder");
    let left: Vec<_> = names
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(".runner-"))
        .collect();
    assert!(left.is_empty(), "{}: {left:?}", bench.shell);
}

#[tokio::test]
async fn an_archive_brings_back_what_was_there() {
    in_every_shell(async |bench| {
        let data = bench.at("srv/data");
        std::fs::create_dir_all(data.join("deep/er")).expect("mkdir");
        std::fs::create_dir(data.join("empty")).expect("mkdir");
        for name in ODD.into_iter().chain(["a -> b", "x link to y", "line\nbreak"]) {
            std::fs::write(data.join("deep").join(name), name).expect("written");
        }
        std::fs::write(data.join("run"), "#!/bin/sh").expect("written");
        std::fs::set_permissions(data.join("run"), std::fs::Permissions::from_mode(0o4751)).expect("chmod");
        std::fs::set_permissions(data.join("empty"), std::fs::Permissions::from_mode(0o2700)).expect("chmod");
        std::fs::hard_link(data.join("run"), data.join("deep/second")).expect("linked");
        std::os::unix::fs::symlink("/etc/passwd", data.join("deep/out")).expect("linked");
        std::os::unix::fs::symlink("../run", data.join("deep/in")).expect("linked");
        let before = facts(&data);
        for end in ["tar.zst", "tar.gz", "tar"] {
            let archive = format!("srv/a.{end}");
            bench.change(&Change::Archive { path: bench.path("srv/data"), into: bench.path(&archive) }).await;
            assert_eq!(std::fs::metadata(bench.at(&archive)).expect("made").mode() & 0o777, 0o600);
            let change = unarchive(bench, &archive, "srv/data");
            // It is what it was: nothing is replaced.
            let inode = std::fs::metadata(&data).expect("there").ino();
            assert!(!put_back(bench, &change).await.expect("unchanged"), "{}: {end}", bench.shell);
            assert_eq!(std::fs::metadata(&data).expect("there").ino(), inode);

            std::fs::write(data.join("deep/added"), "").expect("written");
            std::fs::remove_file(data.join("run")).expect("removed");
            assert!(put_back(bench, &change).await.expect("changed"), "{}: {end}", bench.shell);
            assert_eq!(facts(&data), before, "{}: {end}", bench.shell);

            std::fs::set_permissions(data.join("empty"), std::fs::Permissions::from_mode(0o700))
                .expect("chmod");
            assert!(put_back(bench, &change).await.expect("changed"), "a mode counts");
            assert_eq!(facts(&data), before, "{}: {end}", bench.shell);

            // To where nothing is.
            let elsewhere = unarchive(bench, &archive, "srv/copy");
            assert!(put_back(bench, &elsewhere).await.expect("changed"));
            assert!(!put_back(bench, &elsewhere).await.expect("unchanged"));
            assert_eq!(facts(&bench.at("srv/copy")).len(), before.len());
            std::fs::remove_dir_all(bench.at("srv/copy")).expect("removed");
            nothing_is_left(bench, "srv");
        }
    })
    .await;
}

#[tokio::test]
async fn a_file_comes_back_as_a_file() {
    in_every_shell(async |bench| {
        std::fs::create_dir(bench.at("etc")).expect("mkdir");
        std::fs::write(bench.at("etc/it's.conf"), "one").expect("written");
        std::fs::set_permissions(bench.at("etc/it's.conf"), std::fs::Permissions::from_mode(0o640))
            .expect("chmod");
        let (from, into) = (bench.path("etc/it's.conf"), bench.path("etc/c.tar.gz"));
        bench.change(&Change::Archive { path: from, into }).await;
        let change = unarchive(bench, "etc/c.tar.gz", "etc/it's.conf");
        assert!(!put_back(bench, &change).await.expect("unchanged"), "{}", bench.shell);
        std::fs::write(bench.at("etc/it's.conf"), "two").expect("written");
        assert!(put_back(bench, &change).await.expect("changed"));
        assert_eq!(std::fs::read(bench.at("etc/it's.conf")).expect("read"), b"one");
        assert_eq!(std::fs::metadata(bench.at("etc/it's.conf")).expect("there").mode() & 0o777, 0o640);
        // Under another name, and in the place of a folder.
        std::fs::create_dir(bench.at("etc/other")).expect("mkdir");
        assert!(put_back(bench, &unarchive(bench, "etc/c.tar.gz", "etc/other")).await.expect("changed"));
        assert_eq!(std::fs::read(bench.at("etc/other")).expect("read"), b"one");
        nothing_is_left(bench, "etc");
        // A link is nothing to archive, and nothing to replace.
        std::os::unix::fs::symlink("other", bench.at("etc/link")).expect("linked");
        let archive = Change::Archive { path: bench.path("etc/link"), into: bench.path("etc/l.tar") };
        assert_eq!(bench.observe(&archive).await.expect_err("a link").kind, FailureKind::Conflict);
        let change = unarchive(bench, "etc/c.tar.gz", "etc/link");
        assert_eq!(put_back(bench, &change).await.expect_err("a link").kind, FailureKind::Conflict);
    })
    .await;
}

#[tokio::test]
async fn a_damaged_archive_changes_nothing() {
    in_every_shell(async |bench| {
        std::fs::create_dir_all(bench.at("srv/data")).expect("mkdir");
        let mut noise = vec![0_u8; 200_000];
        noise.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * at / 7 % 251) as u8);
        std::fs::write(bench.at("srv/data/f"), &noise).expect("written");
        for end in ["tar.zst", "tar.gz"] {
            let archive = format!("srv/a.{end}");
            bench.change(&Change::Archive { path: bench.path("srv/data"), into: bench.path(&archive) }).await;
            let good = std::fs::read(bench.at(&archive)).expect("made");
            let before = facts(&bench.at("srv/data"));
            let mut flipped = good.clone();
            let middle = good.len() / 2;
            flipped[middle] ^= 0x10;
            for bad in [&good[..good.len() / 2], &flipped, b"", b"not an archive at all"] {
                std::fs::write(bench.at(&archive), bad).expect("written");
                let failure =
                    put_back(bench, &unarchive(bench, &archive, "srv/data")).await.expect_err("damaged");
                assert_eq!(failure.kind, FailureKind::Conflict, "{}: {end}: {failure}", bench.shell);
                assert_eq!(facts(&bench.at("srv/data")), before);
            }
            std::fs::remove_file(bench.at(&archive)).expect("removed");
            let failure =
                put_back(bench, &unarchive(bench, &archive, "srv/data")).await.expect_err("missing");
            assert_eq!(failure.kind, FailureKind::NotFound, "{failure}");
            nothing_is_left(bench, "srv");
        }
    })
    .await;
}

/// A tar of headers without content, whatever is written in them.
fn tar(members: &[(u8, &str, &str)]) -> Vec<u8> {
    let mut all = Vec::new();
    for (kind, name, to) in members {
        let mut header = [0_u8; 512];
        let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
        put(0, name);
        put(100, if *kind == b'5' { "0000755\0" } else { "0000644\0" });
        put(108, "0000000\0");
        put(116, "0000000\0");
        put(124, "00000000000\0");
        put(136, "00000000000\0");
        put(148, "        ");
        put(157, to);
        put(257, "ustar\x0000");
        put(329, "0000001\0");
        put(337, "0000003\0");
        header[156] = *kind;
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        all.extend_from_slice(&header);
    }
    all.extend_from_slice(&[0; 1024]);
    all
}

#[tokio::test]
async fn nothing_in_an_archive_leaves_its_folder() {
    in_every_shell(async |bench| {
        std::fs::create_dir_all(bench.at("srv/data")).expect("mkdir");
        std::fs::create_dir(bench.at("secret")).expect("mkdir");
        std::fs::write(bench.at("secret/f"), "secret").expect("written");
        std::fs::write(bench.at("srv/data/kept"), "kept").expect("written");
        let secret = bench.at("secret").display().to_string();
        let file = format!("{secret}/f");
        let outside = format!("{secret}/new");
        let before = facts(&bench.dir.path().canonicalize().expect("a folder"));
        let folder = (b'5', "./", "");
        let attacks: Vec<Vec<(u8, &str, &str)>> = vec![
            vec![folder, (b'0', "../../secret/new", "")],
            vec![folder, (b'0', "./../../../secret/new", "")],
            vec![folder, (b'0', outside.as_str(), "")],
            vec![folder, (b'2', "./l", &secret), (b'0', "./l/new", "")],
            vec![folder, (b'0', "./l/new", ""), (b'2', "./l", &secret)],
            vec![folder, (b'5', "./l/", ""), (b'2', "./l", &secret), (b'0', "./l/new", "")],
            vec![folder, (b'1', "./h", &file)],
            vec![folder, (b'1', "./h", "../../../secret/f")],
            vec![folder, (b'2', "./l", &secret), (b'1', "./h", "./l/f")],
            vec![folder, (b'3', "./null", "")],
            vec![folder, (b'4', "./disk", "")],
            vec![folder, (b'6', "./pipe", "")],
            vec![folder, (b'5', "./.runner/", ""), (b'0', "./.runner/lock", "")],
            vec![(b'2', "./", &secret), (b'0', "./new", "")],
            vec![(b'5', "../", "")],
        ];
        for attack in attacks {
            std::fs::write(bench.at("srv/evil.tar"), tar(&attack)).expect("written");
            let refused = put_back(bench, &unarchive(bench, "srv/evil.tar", "srv/data")).await;
            let failure = refused.expect_err("refused");
            assert!(
                matches!(failure.kind, FailureKind::Denied | FailureKind::Conflict),
                "{}: {attack:?}: {failure}",
                bench.shell
            );
            std::fs::remove_file(bench.at("srv/evil.tar")).expect("removed");
            let mut now = facts(&bench.dir.path().canonicalize().expect("a folder"));
            now.retain(|line| !line.contains("/runs/run-1/"));
            let mut then = before.clone();
            then.retain(|line| !line.contains("/runs/run-1/"));
            assert_eq!(now, then, "{}: {attack:?}", bench.shell);
        }
    })
    .await;
}

#[tokio::test]
async fn putting_back_stays_inside_of_what_is_granted() {
    in_every_shell(async |bench| {
        std::fs::create_dir_all(bench.at("srv/data")).expect("mkdir");
        std::fs::create_dir_all(bench.at("backups")).expect("mkdir");
        std::fs::create_dir_all(bench.at("other/d")).expect("mkdir");
        let (from, into) = (bench.path("srv/data"), bench.path("backups/a.tar"));
        bench.change(&Change::Archive { path: from, into }).await;
        std::os::unix::fs::symlink(bench.at("other"), bench.at("srv/l")).expect("linked");
        std::os::unix::fs::symlink(bench.at("backups"), bench.at("srv/b")).expect("linked");
        let (reads, writes) = ([bench.path("backups")], [bench.path("srv")]);
        let both = Within {
            reads: crate::Places { granted: &reads, written: &[], except: &[] },
            writes: crate::Places { granted: &writes, written: &[], except: &[] },
        };
        let attempt = async |archive: &str, path: &str| {
            let change = unarchive(bench, archive, path);
            let seen = bench.target.observe(&change, both).await;
            let applied = bench.target.apply(&change, &State::Absent, both, Intent::new("{}")).await;
            assert_eq!(seen.err().map(|f| f.kind), applied.as_ref().err().map(|f| f.kind), "{change:?}");
            applied
        };
        attempt("backups/a.tar", "srv/data").await.expect("granted");
        for (archive, path) in [
            ("srv/data/a.tar", "srv/data"),
            ("backups/a.tar", "backups/x"),
            ("backups/a.tar", "other/d"),
            ("backups/a.tar", "srv/l/d"),
        ] {
            let failure = attempt(archive, path).await.expect_err("not granted");
            assert_eq!(failure.kind, FailureKind::Denied, "{}: {archive} {path}: {failure}", bench.shell);
        }
        // What belongs to the runner is not replaced with the rest.
        std::fs::create_dir_all(bench.at("srv/data/deep/.runner")).expect("mkdir");
        let failure = attempt("backups/a.tar", "srv/data").await.expect_err("the runner's");
        assert_eq!(failure.kind, FailureKind::Denied, "{failure}");
        assert!(bench.at("srv/data/deep/.runner").exists());
    })
    .await;
}

#[tokio::test]
async fn a_command_reads_and_writes_packed_files() {
    in_every_shell(async |bench| {
        let all = bench.all();
        let (both, never, log) = (Within::both(&all), CancellationToken::new(), Log::default());
        let run = async |command: &Command| bench.target.run(command, both, None, &log, &never).await;
        let text = "a line that repeats\n".repeat(20_000);
        for end in ["zst", "gz"] {
            let file = format!("root/out.{end}");
            let mut dump = command(&["cat"]);
            dump.stdin = Some(Content::Text(text.clone()));
            (dump.stdout_to, dump.compress) = (Some(bench.path(&file)), true);
            let out = run(&dump).await.unwrap_or_else(|f| panic!("{}: {f}\n{}", bench.shell, f.detail));
            assert_eq!((out.status, out.stdout.as_str()), (0, ""), "{}", bench.shell);
            let packed = std::fs::metadata(bench.at(&file)).expect("made");
            assert!(packed.len() < text.len() as u64 / 10 && packed.mode() & 0o777 == 0o600, "{packed:?}");

            let mut back = command(&["sha256sum"]);
            (back.stdin_file, back.decompress) = (Some(bench.path(&file)), true);
            let out = run(&back).await.unwrap_or_else(|f| panic!("{}: {f}\n{}", bench.shell, f.detail));
            assert!(out.stdout.starts_with(&Digest::of(&text).hex()), "{}: {out:?}", bench.shell);
            back.argv = vec!["sh".to_owned(), "-c".to_owned(), "cat >/dev/null; env; exit 3".to_owned()];
            back.env.insert("A".to_owned(), "it's".to_owned());
            let out = run(&back).await.expect("ran");
            assert_eq!(out.status, 3, "{}", bench.shell);
            assert!(out.stdout.contains("A=it's\n") && !out.stdout.contains("LC_ALL"), "{out:?}");
            // Who reads no further is not at fault.
            back.argv = ["head", "-c", "6"].map(str::to_owned).to_vec();
            assert_eq!(run(&back).await.expect("ran").stdout, "a line", "{}", bench.shell);

            // What fails leaves no file, and what is damaged is said.
            dump.argv = vec!["sh".to_owned(), "-c".to_owned(), "echo half; exit 5".to_owned()];
            dump.stdout_to = Some(bench.path(&format!("root/half.{end}")));
            assert_eq!(run(&dump).await.expect("ran").status, 5);
            assert!(!bench.at(&format!("root/half.{end}")).exists(), "{}", bench.shell);
            let whole = std::fs::read(bench.at(&file)).expect("read");
            std::fs::write(bench.at(&file), &whole[..whole.len() / 2]).expect("written");
            back.argv = vec!["cat".to_owned()];
            let failure = run(&back).await.expect_err("damaged");
            assert_eq!(failure.kind, FailureKind::Conflict, "{}: {failure}", bench.shell);
        }
        // As it is, without unpacking; from one file to the other.
        std::fs::write(bench.at("root/plain"), "plain").expect("written");
        let mut copy = command(&["cat"]);
        copy.stdin_file = Some(bench.path("root/plain"));
        assert_eq!(run(&copy).await.expect("ran").stdout, "plain", "{}", bench.shell);
        copy.stdout_to = Some(bench.path("root/copy"));
        run(&copy).await.expect("ran");
        assert_eq!(std::fs::read(bench.at("root/copy")).expect("read"), b"plain", "{}", bench.shell);
        copy.stdin_file = Some(bench.path("root/none"));
        assert_eq!(run(&copy).await.expect_err("missing").kind, FailureKind::NotFound, "{}", bench.shell);
        // A link is not followed, and nothing outside of what is granted is read.
        std::os::unix::fs::symlink("plain", bench.at("root/l")).expect("linked");
        copy.stdin_file = Some(bench.path("root/l"));
        assert_eq!(run(&copy).await.expect_err("a link").kind, FailureKind::Conflict, "{}", bench.shell);
        copy.stdin_file = Some("/etc/passwd".parse().expect("a path"));
        assert_eq!(run(&copy).await.expect_err("outside").kind, FailureKind::Denied, "{}", bench.shell);
        nothing_is_left(bench, "root");
    })
    .await;
}

/// A packed command that is given up takes all that it has started with it.
#[tokio::test]
async fn a_packed_command_that_takes_too_long_is_ended() {
    in_every_shell(async |bench| {
        let all = bench.all();
        let mut slow = command(&["sh", "-c", "echo $$ > pid; sleep 1000"]);
        slow.directory = Some(bench.path("root"));
        (slow.stdout_to, slow.compress) = (Some(bench.path("root/slow.gz")), true);
        slow.timeout = 700;
        let never = CancellationToken::new();
        let ran = bench.target.run(&slow, Within::both(&all), None, &Log::default(), &never).await;
        let failure = ran.expect_err("too long");
        assert_eq!(failure.kind, FailureKind::Timeout, "{}: {failure}", bench.shell);
        assert!(failure.detail.contains("was ended"), "{}: {}", bench.shell, failure.detail);
        let pid = std::fs::read_to_string(bench.at("root/pid")).expect("it began");
        assert!(!Path::new("/proc").join(pid.trim()).exists(), "{}: it still runs", bench.shell);
        assert!(!bench.at("root/slow.gz").exists());
        std::fs::remove_file(bench.at("root/pid")).expect("removed");
    })
    .await;
}
