//! What a change destroys is kept, and put back exactly: compared by a walk of the disk that knows nothing of the verbs.

use super::*;
use crate::{Applied, Kept, Undo, Undone};
use proptest::prelude::*;
use runner_model::{Failure, Secret, UndoKey};
use runner_secret::{Value, Vault};
use std::os::unix::fs::MetadataExt as _;

fn key(name: &str) -> UndoKey {
    name.parse().expect("a key")
}

/// All that a folder has but times, links and odd modes included.
fn facts(at: &Path) -> Vec<String> {
    let mut all: Vec<String> = walk(at)
        .into_iter()
        .chain([at.display().to_string()])
        .map(|path| {
            let meta = std::fs::symlink_metadata(&path).expect("there");
            let content = match std::fs::read_link(&path) {
                Ok(to) => format!("{to:?}"),
                Err(_) => Digest::of(std::fs::read(&path).unwrap_or_default()).short(),
            };
            format!("{path:?} {:o} {} {} {content}", meta.mode(), meta.uid(), meta.gid())
        })
        .collect();
    all.sort();
    all
}

/// With the secret `token`.
fn vault(value: &str) -> Arc<Vault> {
    let value = Value::new(value.as_bytes().to_vec().into()).expect("a value");
    Arc::new(Vault::new([("token".parse().expect("a name"), value)].into()))
}

fn am_root() -> bool {
    std::fs::metadata("/proc/self").expect("there").uid() == 0
}

/// Observes and applies with a copy; what is needed to undo it.
async fn keep(bench: &Bench, name: &str, change: &Change) -> Result<(Undo, Applied), Failure> {
    let all = bench.all();
    let seen = bench.observe(change).await?;
    let key = key(name);
    let intent = Intent { line: "{}", undo: Some(&key) };
    let applied = bench.target.apply(change, &seen.before, Within::both(&all), intent).await?;
    assert_eq!(applied.made_folders, seen.folders, "as it was foreseen");
    let after = applied.after.clone().unwrap_or(seen.after);
    let made_folders = applied.made_folders;
    let undo = Undo { change: change.clone(), before: seen.before, after, key: Some(key), made_folders };
    Ok((undo, applied))
}

async fn undo(bench: &Bench, undo: &Undo) -> Result<Undone, Failure> {
    let all = bench.all();
    bench.target.undo(undo, Within::both(&all), Intent::new("{}")).await
}

fn attributes(mode: Option<u32>, owner: Option<&str>) -> Attributes {
    let owner = owner.map(str::to_owned);
    Attributes { mode, owner: owner.clone(), group: owner }
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
}

/// A scratch folder with some of everything.
fn furnish(bench: &Bench) {
    for folder in ["s", "s/full/deep", "s/empty", "s/sgid"] {
        std::fs::create_dir_all(bench.at(folder)).expect("mkdir");
    }
    for (file, mode) in
        [("s/f", 0o644), ("s/private", 0o600), ("s/full/run", 0o755), ("s/full/deep/x y", 0o640)]
    {
        std::fs::write(bench.at(file), file).expect("written");
        chmod(&bench.at(file), mode);
    }
    std::os::unix::fs::symlink("full/run", bench.at("s/link")).expect("linked");
    std::os::unix::fs::symlink("/nowhere\nat all", bench.at("s/full/link")).expect("linked");
    chmod(&bench.at("s/sgid"), 0o2750);
    chmod(&bench.at("s/full/deep"), 0o700);
    if am_root() {
        for (at, id) in [("s/private", 12_345), ("s/full/deep/x y", 12_346), ("s/full/deep", 12_347)] {
            std::os::unix::fs::lchown(bench.at(at), Some(id), Some(id + 1)).expect("chown");
            // chown takes the special bits of a file away, and these have none.
        }
    }
}

#[tokio::test]
async fn each_change_is_undone_exactly() {
    in_every_shell(async |bench| {
        furnish(bench);
        let at = |name: &str| bench.path(name);
        let tree = bench.tree(&[("a/b", "1"), ("run", "#!/bin/sh\n")]);
        let archive = Change::Archive { path: at("s/full"), into: at("full.tar") };
        bench.change(&archive).await;
        let other = Change::Archive { path: at("s/sgid"), into: at("sgid.tar") };
        bench.change(&other).await;
        let unpack = |path: &str, attributes: Attributes| Change::Unpack {
            path: at(path),
            tree,
            links: vec![Link { path: "l".to_owned(), points_to: "a".to_owned() }],
            reuse: None,
            attributes,
        };
        bench.change(&unpack("s/tree", attributes(None, None))).await;
        let unarchive = |path: &str, from: &str| Change::Unarchive {
            path: at(path),
            archive: at(from),
            attributes: Attributes::default(),
        };
        let root = am_root();
        let owner = root.then_some("12399");
        let mut dressed = bench.write("s/f", b"dressed");
        if let Change::Write { attributes: given, .. } = &mut dressed {
            *given = attributes(Some(0o4750), owner);
        }
        let changes = [
            (bench.write("s/f", b"other"), Kept::Made),
            (bench.write("s/f", &vec![b'z'; 90_000]), Kept::Made),
            (bench.write("s/private", b"other"), Kept::Made),
            (bench.write("s/new", b"new"), Kept::NotNeeded),
            (bench.write("s/link", b"no link"), Kept::NotNeeded),
            (dressed, Kept::Made),
            (
                Change::Mkdir { path: at("s/a/b/c"), attributes: attributes(Some(0o2700), owner) },
                Kept::NotNeeded,
            ),
            (
                Change::Mkdir { path: at("s/sgid"), attributes: attributes(Some(0o755), owner) },
                Kept::NotNeeded,
            ),
            (Change::Mkdir { path: at("s/sgid/x"), attributes: attributes(None, None) }, Kept::NotNeeded),
            (Change::Symlink { path: at("s/link"), points_to: "it's\n".to_owned() }, Kept::NotNeeded),
            (Change::Symlink { path: at("s/new"), points_to: "x".to_owned() }, Kept::NotNeeded),
            (Change::Rename { path: at("s/full"), to: at("s/sgid/full") }, Kept::NotNeeded),
            (Change::Rename { path: at("s/private"), to: at("s/public") }, Kept::NotNeeded),
            (Change::Remove { path: at("s/private") }, Kept::Made),
            (Change::Remove { path: at("s/link") }, Kept::NotNeeded),
            (Change::Remove { path: at("s/empty") }, Kept::NotNeeded),
            (Change::Remove { path: at("s/none") }, Kept::NotNeeded),
            (Change::RemoveTree { path: at("s/full") }, Kept::Made),
            (Change::RemoveTree { path: at("s/private") }, Kept::Made),
            (Change::RemoveTree { path: at("s/link") }, Kept::NotNeeded),
            (Change::RemoveTree { path: at("s/sgid") }, Kept::Made),
            (
                Change::SetAttributes { path: at("s/f"), attributes: attributes(Some(0o4711), owner) },
                Kept::NotNeeded,
            ),
            (
                Change::SetAttributes { path: at("s/sgid"), attributes: attributes(Some(0o700), None) },
                Kept::NotNeeded,
            ),
            (unpack("s/one", attributes(None, owner)), Kept::NotNeeded),
            (unarchive("s/sgid", "full.tar"), Kept::Made),
            (unarchive("s/f", "full.tar"), Kept::Made),
            (unarchive("s/fresh", "sgid.tar"), Kept::NotNeeded),
            (unpack("s/tree", attributes(None, owner)), if root { Kept::Made } else { Kept::NotNeeded }),
        ];
        let before = facts(&bench.at("s"));
        for (number, (change, copy)) in changes.iter().enumerate() {
            let name = format!("e.{number}");
            let (what, applied) = keep(bench, &name, change)
                .await
                .unwrap_or_else(|e| panic!("{}: {change:?}: {e}\n{}", bench.shell, e.detail));
            assert_eq!(applied.copy, *copy, "{}: {change:?}", bench.shell);
            let nothing = what.before == what.after;
            if !nothing {
                assert_ne!(facts(&bench.at("s")), before, "{}: {change:?}", bench.shell);
            }
            let undone = undo(bench, &what)
                .await
                .unwrap_or_else(|e| panic!("{}: undo {change:?}: {e}\n{}", bench.shell, e.detail));
            let expected = if nothing { Undone::Nothing } else { Undone::Restored };
            assert_eq!(undone, expected, "{}: {change:?}", bench.shell);
            assert_eq!(facts(&bench.at("s")), before, "{}: {change:?}", bench.shell);
            let intents = bench.intents();
            assert_eq!(undo(bench, &what).await.expect("twice"), Undone::Nothing, "{change:?}");
            assert_eq!(bench.intents(), intents, "nothing to do needs no intent");
        }
        bench.target.forget().await.expect("forgotten");
        let left = std::fs::read_dir(bench.at("root/.runner/runs/run-1/undo")).expect("there").count();
        assert_eq!(left, 0, "{}", bench.shell);
    })
    .await;
}

/// The recorded states tell what is in a folder, and not how: they are the same before and after.
#[tokio::test]
async fn modes_and_owners_within_a_folder_are_undone() {
    in_every_shell(async |bench| {
        furnish(bench);
        let (full, tar) = (bench.path("s/full"), bench.path("full.tar"));
        bench.change(&Change::Archive { path: full.clone(), into: tar.clone() }).await;
        let change = Change::Unarchive { path: full, archive: tar, attributes: Attributes::default() };
        let mode = || chmod(&bench.at("s/full/deep"), 0o711);
        let owner = || std::os::unix::fs::lchown(bench.at("s/full/link"), Some(12_350), None).expect("chown");
        let ways: [(&str, &dyn Fn()); 2] = [("mode", &mode), ("owner", &owner)];
        for (name, meddle) in &ways[..if am_root() { 2 } else { 1 }] {
            let archived = facts(&bench.at("s"));
            meddle();
            let before = facts(&bench.at("s"));
            let (what, applied) = keep(bench, name, &change).await.expect("unpacked");
            assert_eq!(applied.copy, Kept::Made, "{}", bench.shell);
            assert_eq!(what.before, what.after, "{}: nothing would be shown here", bench.shell);
            assert_eq!(facts(&bench.at("s")), archived, "{}", bench.shell);
            let cut_off = Undo { after: State::Other, ..what.clone() };
            let unsure = undo(bench, &cut_off).await.expect("looked at");
            assert!(matches!(unsure, Undone::Conflict(_)), "{}: {unsure:?}", bench.shell);
            assert_eq!(undo(bench, &what).await.expect("undone"), Undone::Restored, "{}", bench.shell);
            assert_eq!(facts(&bench.at("s")), before, "{}", bench.shell);
            assert_eq!(undo(bench, &what).await.expect("twice"), Undone::Nothing, "{}", bench.shell);
            assert_eq!(facts(&bench.at("s")), before, "{}", bench.shell);
            std::fs::remove_dir_all(bench.at("s")).expect("removed");
            furnish(bench);
        }
    })
    .await;
}

#[tokio::test]
async fn a_release_comes_and_goes_with_its_account() {
    in_every_shell(async |bench| {
        let releases = Change::Mkdir { path: bench.path("root/releases"), attributes: Attributes::default() };
        bench.change(&releases).await;
        let tree = bench.tree(&[("a", "1")]);
        let one = bench.path("root/releases/one");
        let unpack = Change::Unpack {
            path: one.clone(),
            tree,
            links: vec![],
            reuse: None,
            attributes: Attributes::default(),
        };
        let ids = async || bench.releases().await.expect("listed").len();
        let (made, _) = keep(bench, "a", &unpack).await.expect("unpacked");
        let (root, id, all) = (bench.path("root"), "one".parse().expect("an id"), bench.all());
        bench.target.keep(&root, &id, "{\"a\":1}", Intent::new("{}")).await.expect("kept");
        let kept = async || bench.target.kept(&root, &id, Within::both(&all)).await.expect("asked");
        let (gone, _) = keep(bench, "b", &Change::RemoveTree { path: one }).await.expect("removed");
        assert_eq!(ids().await, 0);
        assert_eq!(kept().await, None, "{}", bench.shell);
        assert_eq!(undo(bench, &gone).await.expect("back"), Undone::Restored, "{}", bench.shell);
        assert_eq!(ids().await, 1, "{}", bench.shell);
        assert_eq!(kept().await.as_deref(), Some("{\"a\":1}"), "{}", bench.shell);
        assert_eq!(undo(bench, &made).await.expect("gone"), Undone::Restored, "{}", bench.shell);
        assert_eq!(ids().await, 0);
        let left: Vec<_> = std::fs::read_dir(bench.at("root/.runner/releases")).expect("there").collect();
        assert!(left.is_empty(), "{}: {left:?}", bench.shell);
    })
    .await;
}

#[tokio::test]
async fn what_is_neither_before_nor_after_is_left_alone() {
    in_every_shell(async |bench| {
        furnish(bench);
        let at = |name: &str| bench.path(name);
        let cases: [(Change, &dyn Fn()); 7] = [
            (bench.write("s/f", b"ours"), &|| std::fs::write(bench.at("s/f"), "theirs").expect("written")),
            (bench.write("s/new", b"ours"), &|| chmod(&bench.at("s/new"), 0o755)),
            (Change::Remove { path: at("s/private") }, &|| {
                std::fs::create_dir(bench.at("s/private")).expect("mkdir");
            }),
            (Change::RemoveTree { path: at("s/full") }, &|| {
                std::fs::write(bench.at("s/full"), "theirs").expect("written");
            }),
            (Change::Mkdir { path: at("s/x/y/z"), attributes: Attributes::default() }, &|| {
                std::fs::write(bench.at("s/x/theirs"), "theirs").expect("written");
            }),
            (Change::Mkdir { path: at("s/made"), attributes: Attributes::default() }, &|| {
                std::fs::write(bench.at("s/made/theirs"), "theirs").expect("written");
            }),
            (Change::Symlink { path: at("s/link"), points_to: "ours".to_owned() }, &|| {
                std::fs::remove_file(bench.at("s/link")).expect("removed");
            }),
        ];
        for (number, (change, meddle)) in cases.iter().enumerate() {
            let (what, _) = keep(bench, &format!("c{number}"), change).await.expect("applied");
            meddle();
            let (now, intents) = (facts(&bench.at("s")), bench.intents());
            let undone = undo(bench, &what).await.expect("looked at");
            assert!(matches!(undone, Undone::Conflict(_)), "{}: {change:?}: {undone:?}", bench.shell);
            assert_eq!(facts(&bench.at("s")), now, "{}: {change:?}", bench.shell);
            assert_eq!(bench.intents(), intents);
        }
        // A copy that is gone, or is not what was there.
        let (what, _) = keep(bench, "lost", &bench.write("s/sgid/f", b"x")).await.expect("applied");
        assert_eq!(undo(bench, &what).await.expect("absent before"), Undone::Restored);
        std::fs::write(bench.at("s/sgid/f"), "old").expect("written");
        let (what, _) = keep(bench, "copy", &bench.write("s/sgid/f", b"new")).await.expect("applied");
        let copy = bench.at("root/.runner/runs/run-1/undo/copy/f");
        assert_eq!(std::fs::metadata(copy.parent().expect("a folder")).expect("there").mode() & 0o777, 0o700);
        std::fs::write(&copy, "forged").expect("written");
        for _ in 0..2 {
            let undone = undo(bench, &what).await.expect("looked at");
            assert!(matches!(undone, Undone::NoCopy(_)), "{}: {undone:?}", bench.shell);
            assert_eq!(std::fs::read(bench.at("s/sgid/f")).expect("read"), b"new");
            let _ = std::fs::remove_file(&copy);
        }
    })
    .await;
}

#[tokio::test]
async fn a_secret_is_put_back_from_states_that_do_not_tell_it() {
    let vault = vault("the new value");
    let bench = Bench::with(SHELLS[0].0, SHELLS[0].1, vault).await;
    std::fs::write(bench.at("root/secret"), "the old value").expect("written");
    chmod(&bench.at("root/secret"), 0o600);
    let change = Change::WriteSecret {
        path: bench.path("root/secret"),
        content: Secret::named("token".parse().expect("a name")),
        attributes: Attributes::default(),
    };
    let before = facts(&bench.at("root/secret"));
    let (mut what, applied) = keep(&bench, "secret", &change).await.expect("applied");
    assert_eq!(applied.copy, Kept::Made);
    assert_eq!(std::fs::read(bench.at("root/secret")).expect("read"), b"the new value");
    let copy = std::fs::metadata(bench.at("root/.runner/runs/run-1/undo/secret/f")).expect("kept");
    assert_eq!(copy.mode() & 0o777, 0o600);
    for state in [&mut what.before, &mut what.after] {
        if let State::File { digest, size, .. } = state {
            *digest = bench.connection.0.shared.vault.keyed(digest);
            *size = 0;
        }
    }
    assert_eq!(undo(&bench, &what).await.expect("undone"), Undone::Restored);
    assert_eq!(facts(&bench.at("root/secret")), before);
    assert_eq!(undo(&bench, &what).await.expect("undone"), Undone::Nothing);
    std::fs::write(bench.at("root/secret"), "the odd value").expect("written");
    let Undone::Conflict(State::File { digest, size: 0, .. }) = undo(&bench, &what).await.expect("looked at")
    else {
        panic!("a conflict that does not tell the content")
    };
    assert_ne!(digest, Digest::of("the odd value"));
}

/// A key that an attempt has used keeps both: what was cut off may be all that there is.
#[tokio::test]
async fn a_copy_is_never_written_over() {
    in_every_shell(async |bench| {
        for text in ["one", "two", "three"] {
            std::fs::write(bench.at("root/f"), text).expect("written");
            let (what, _) = keep(bench, "same", &bench.write("root/f", b"new")).await.expect("applied");
            assert_eq!(undo(bench, &what).await.expect("undone"), Undone::Restored);
            keep(bench, "same", &bench.write("root/f", b"new")).await.expect("applied");
        }
        let mut kept: Vec<String> = walk(&bench.at("root/.runner/runs/run-1/undo"))
            .iter()
            .filter_map(|path| std::fs::read_to_string(path).ok())
            .collect();
        kept.sort();
        assert_eq!(kept, ["one", "three", "two"], "{}", bench.shell);
    })
    .await;
}

/// A name in the folder of copies that leads elsewhere is not followed.
#[tokio::test]
async fn a_prepared_name_in_the_folder_of_copies_leads_nowhere() {
    in_every_shell(async |bench| {
        std::fs::create_dir(bench.at("outside")).expect("mkdir");
        std::fs::write(bench.at("root/f"), "old").expect("written");
        let copies = bench.at("root/.runner/runs/run-1/undo");
        std::os::unix::fs::symlink(bench.at("outside"), copies.join("planted")).expect("linked");
        keep(bench, "planted", &bench.write("root/f", b"new")).await.expect("set aside: it is our own");
        assert_eq!(std::fs::read_dir(bench.at("outside")).expect("there").count(), 0, "{}", bench.shell);
        assert_eq!(std::fs::read(copies.join("planted/f")).expect("kept"), b"old");
        if am_root() {
            let theirs = copies.join("theirs");
            std::os::unix::fs::symlink(bench.at("outside"), &theirs).expect("linked");
            std::os::unix::fs::lchown(&theirs, Some(65_534), Some(65_534)).expect("chown");
            let failure = keep(bench, "theirs", &bench.write("root/f", b"newer")).await.expect_err("taken");
            assert_eq!(failure.kind, FailureKind::Conflict, "{failure}");
            assert_eq!(std::fs::read(bench.at("root/f")).expect("read"), b"new", "{}", bench.shell);
            assert_eq!(std::fs::read_dir(bench.at("outside")).expect("there").count(), 0);
        }
    })
    .await;
}

/// One of some changes to a few paths, so that they meet.
fn any_change() -> impl Strategy<Value = (u8, usize, usize, u32, String)> {
    let mode = prop::sample::select(vec![0o600, 0o644, 0o755, 0o2750, 0o4711]);
    (0_u8..11, 0_usize..9, 0_usize..9, mode, "[a-z ]{0,12}")
}

const PATHS: [&str; 9] = [
    "s/f",
    "s/link",
    "s/full",
    "s/full/deep",
    "s/full/deep/x y",
    "s/empty",
    "s/empty/f",
    "s/n/e/w",
    "s/sgid",
];

fn made(bench: &Bench, (verb, from, to, bits, text): &(u8, usize, usize, u32, String)) -> Change {
    let path = bench.path(PATHS[*from]);
    let owner = (am_root() && *bits == 0o755).then_some("12345");
    let given = attributes(Some(*bits), owner);
    match verb {
        0 | 1 => {
            let mut change = bench.write(PATHS[*from], text.as_bytes());
            if let (Change::Write { attributes, .. }, 1) = (&mut change, verb) {
                *attributes = given;
            }
            change
        }
        2 => Change::WriteSecret {
            path,
            content: Secret::named("token".parse().expect("a name")),
            attributes: Attributes::default(),
        },
        3 => Change::Mkdir { path, attributes: given },
        4 => Change::Symlink { path, points_to: format!("{text}!") },
        5 => Change::Rename { path, to: bench.path(PATHS[*to]) },
        6 => Change::Remove { path },
        7 => Change::RemoveTree { path },
        8 => Change::SetAttributes { path, attributes: given },
        9 => Change::Unpack {
            path,
            tree: bench.tree(&[("deep/x y", text), ("run", "#!/bin/sh\n")]),
            links: vec![],
            reuse: None,
            attributes: attributes(None, owner),
        },
        _ => Change::Unarchive {
            path,
            archive: bench.path(if *to > 4 { "full.tar" } else { "f.tar" }),
            attributes: Attributes::default(),
        },
    }
}

#[test]
fn changes_undone_backwards_leave_the_disk_as_it_was() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let vault = vault("a secret value");
    let bench = runtime.block_on(Bench::with(SHELLS[0].0, SHELLS[0].1, vault));
    let mut number = 0;
    let applied = std::cell::Cell::new(0);
    let config = ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let numbers = std::cell::RefCell::new(&mut number);
    let outcome = runner.run(&prop::collection::vec(any_change(), 1..9), |changes| {
        let _ = std::fs::remove_dir_all(bench.at("s"));
        furnish(&bench);
        runtime.block_on(async {
            for (path, into) in [("s/full", "full.tar"), ("s/f", "f.tar")] {
                if !bench.at(into).exists() {
                    let archive = Change::Archive { path: bench.path(path), into: bench.path(into) };
                    bench.change(&archive).await;
                }
            }
            let before = facts(&bench.at("s"));
            let mut done = Vec::new();
            for change in changes.iter().map(|change| made(&bench, change)) {
                **numbers.borrow_mut() += 1;
                let key = format!("p{}", numbers.borrow());
                // What is refused changes nothing, which the walk shows in the end.
                if let Ok((undo, _)) = keep(&bench, &key, &change).await {
                    done.push(undo);
                }
            }
            applied.set(applied.get() + done.len());
            for what in done.iter().rev() {
                let undone = undo(&bench, what).await;
                let good = matches!(undone, Ok(Undone::Restored | Undone::Nothing));
                prop_assert!(good, "{what:?}: {undone:?}");
            }
            prop_assert_eq!(facts(&bench.at("s")), before);
            Ok(())
        })
    });
    outcome.unwrap_or_else(|failed| panic!("{failed}"));
    assert!(applied.get() > 250, "only {} changes could be applied", applied.get());
}
