use super::*;
use crate::testing::{file, link, tree};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

struct Plan {
    folder: tempfile::TempDir,
    store: Arc<Store>,
    workspace: Workspace,
}

impl Plan {
    fn new<const N: usize>(files: [(&str, &str); N]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Arc::new(Store::open(folder.path().join("store")).expect("a store"));
        let plan = folder.path().join("plan");
        fs::create_dir(&plan).expect("made");
        fs::write(folder.path().join("secret"), "secret").expect("written");
        for (path, content) in files {
            fs::create_dir_all(plan.join(path).parent().expect("a parent")).expect("made");
            fs::write(plan.join(path), content).expect("written");
        }
        let workspace = Workspace::open(&plan, Arc::clone(&store)).expect("a workspace");
        Self { folder, store, workspace }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join("plan").join(path)
    }
}

fn path(text: &str) -> WorkspacePath {
    text.parse().expect(text)
}

#[test]
fn a_path_cannot_leave_the_folder() {
    for text in ["", "/", "/etc", "..", "a/..", "a/../b", "../plan/a", "a\0b"] {
        let failure = text.parse::<WorkspacePath>().expect_err(text);
        assert_eq!(failure.kind, FailureKind::Invalid, "{failure}");
    }
    assert_eq!(path("./a//b/.").as_str(), "a/b");
    assert_eq!(path("./").as_str(), ".");
    assert!(path("src/a").is_within(&path("src")) && path("a").is_within(&path(".")));
    assert!(!path("src-old").is_within(&path("src")) && !path(".").is_within(&path("a")));
}

#[test]
fn files_are_listed_and_read_as_they_are_everywhere() {
    let plan = Plan::new([("a b.txt", "text"), ("dir/x", ""), (".runner/runs/1/journal.jsonl", "secret")]);
    fs::set_permissions(plan.at("a b.txt"), fs::Permissions::from_mode(0o700)).expect("chmod");
    symlink("a b.txt", plan.at("link")).expect("linked");
    let view = plan.workspace.snapshot();
    let listed = view.read_dir(&path(".")).expect("listed");
    let shown: Vec<_> =
        listed.iter().map(|e| (e.name.as_str(), e.kind, e.size, e.mode, e.modified)).collect();
    assert_eq!(
        shown,
        [
            ("a b.txt", EntryKind::File, 4, 0o755, 0),
            ("dir", EntryKind::Directory, 0, 0o755, 0),
            ("link", EntryKind::Symlink, 0, 0o777, 0),
        ]
    );
    assert_eq!(view.read(&path("a b.txt")).expect("read"), "text");
    assert_eq!(view.stat(&path("nothing/here")).expect("stat"), None);
    assert_eq!(view.digest(&path("a b.txt")).expect("digest"), Digest::of("text"));
    let failures = [
        (view.read(&path("nothing")), FailureKind::NotFound, "there is no such file"),
        (view.read(&path("dir")), FailureKind::Conflict, "it is a folder"),
        (view.read(&path("link")), FailureKind::Conflict, "it is a symbolic link to `a b.txt`"),
        (view.read(&path(".runner/runs/1/journal.jsonl")), FailureKind::Denied, "belongs to the runner"),
        (view.read(&path(".RUNNER/x")), FailureKind::Denied, "belongs to the runner"),
    ];
    for (result, kind, why) in failures {
        let failure = result.expect_err(why);
        assert!(failure.kind == kind && failure.message.contains(why), "{failure:?}");
    }
}

#[test]
fn what_is_too_large_or_not_text_is_invalid() {
    let plan = Plan::new([("large", &*"x".repeat(1024 * 1024 + 1)), ("max", &*"x".repeat(1024 * 1024))]);
    fs::write(plan.at("binary"), b"\xff").expect("written");
    let view = plan.workspace.snapshot();
    assert!(view.read(&path("max")).is_ok());
    for (name, why) in [("large", "at most 1 MiB"), ("binary", "not UTF-8")] {
        let failure = view.read(&path(name)).expect_err(why);
        assert!(failure.kind == FailureKind::Invalid && failure.message.contains(why), "{failure:?}");
        assert_eq!(failure.detail, "use `pack` for it");
        // Also when it was looked at before.
        view.pack(&path(name), &[]).expect("packed");
        assert_eq!(view.read(&path(name)).expect_err(why).kind, FailureKind::Invalid);
    }
}

#[test]
fn no_link_leads_out() {
    let plan = Plan::new([("granted/x", "")]);
    symlink("../../secret", plan.at("granted/file")).expect("linked");
    symlink("../..", plan.at("granted/dir")).expect("linked");
    let view = plan.workspace.snapshot();
    for at in ["granted/file", "granted/dir/secret"] {
        assert_eq!(view.read(&path(at)).expect_err(at).kind, FailureKind::Conflict);
        assert_eq!(view.pack(&path(at), &[]).expect_err(at).kind, FailureKind::Conflict);
    }
    assert_eq!(view.read_dir(&path("granted/dir")).expect_err("a link").kind, FailureKind::Conflict);
    assert_eq!(view.write(&path("granted/dir/new"), "x").expect_err("a link").kind, FailureKind::Conflict);
    let failure = view.pack(&path("granted"), &[]).expect_err("links out");
    assert!(
        failure.message.starts_with("pack `granted`: the symbolic link `dir` points to `../..`"),
        "{failure}"
    );
    // A link in the way of a write is replaced, and what it pointed to stays.
    assert!(view.write(&path("granted/file"), "mine").expect("written"));
    assert_eq!(fs::read_to_string(plan.folder.path().join("secret")).expect("read"), "secret");
}

#[test]
fn a_concurrent_attacker_gets_nothing() {
    let plan = Plan::new([("granted/x", "harmless")]);
    fs::create_dir(plan.folder.path().join("outside")).expect("made");
    fs::write(plan.folder.path().join("outside/x"), "secret").expect("written");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            symlink("../outside", plan.at("trap")).expect("linked");
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let at = |name| plan.at(name);
                let _ = rustix::fs::renameat_with(
                    rustix::fs::CWD,
                    at("granted"),
                    rustix::fs::CWD,
                    at("trap"),
                    rustix::fs::RenameFlags::EXCHANGE,
                );
            }
        });
        for n in 0..200 {
            let view = plan.workspace.snapshot();
            if let Ok(text) = view.read(&path("granted/x")) {
                assert_eq!(text, "harmless");
            }
            let _ = view.write(&path("granted/y"), &n.to_string());
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let outside = fs::read_dir(plan.folder.path().join("outside")).expect("listed").count();
    assert_eq!(outside, 1, "something was written outside");
}

#[test]
fn a_step_sees_a_file_as_it_first_saw_it() {
    let plan = Plan::new([("a", "old"), ("d/b", "old")]);
    let view = plan.workspace.snapshot();
    assert_eq!(view.read(&path("a")).expect("read"), "old");
    let packed = view.pack(&path("d"), &[]).expect("packed");
    let digest = view.digest(&path("d/b")).expect("digest");
    for at in ["a", "d/b"] {
        fs::write(plan.at(at), "changed").expect("written");
    }
    assert_eq!(view.read(&path("a")).expect("read"), "old");
    assert_eq!(view.stat(&path("a")).expect("stat").expect("there").size, 3);
    assert_eq!(view.pack(&path("d"), &[]).expect("packed"), packed);
    assert_eq!(view.digest(&path("d/b")).expect("digest"), digest);
    // It went into the store with the folder, so it can still be read.
    assert_eq!(view.read(&path("d/b")).expect("read"), "old");
    assert_eq!(plan.workspace.snapshot().read(&path("a")).expect("read"), "changed");
    // What was only digested and has changed cannot be had any more, and that is said.
    fs::write(plan.at("a"), "never stored").expect("written");
    let view = plan.workspace.snapshot();
    view.digest(&path("a")).expect("digest");
    fs::write(plan.at("a"), "once more").expect("written");
    let failure = view.read(&path("a")).expect_err("changed");
    assert!(
        failure.kind == FailureKind::Conflict && failure.message.contains("it changed since"),
        "{failure}"
    );
    // Its own writes show.
    assert!(view.write(&path("a"), "mine").expect("written"));
    assert_eq!(view.read(&path("a")).expect("read"), "mine");
}

#[test]
fn a_write_says_whether_it_changed_something() {
    let plan = Plan::new([("dir/x", "")]);
    let view = plan.workspace.snapshot();
    assert!(view.write(&path("out/new/file"), "1").expect("written"));
    assert!(!view.write(&path("out/new/file"), "1").expect("written"));
    assert!(view.write(&path("out/new/file"), "2").expect("written"));
    assert_eq!(fs::read_to_string(plan.at("out/new/file")).expect("read"), "2");
    assert_eq!(view.write(&path("dir"), "1").expect_err("a folder").kind, FailureKind::Conflict);
    assert_eq!(view.write(&path("dir/x/y"), "1").expect_err("a file").kind, FailureKind::Conflict);
    assert_eq!(view.write(&path("."), "1").expect_err("the folder").kind, FailureKind::Conflict);
    assert_eq!(view.write(&path(".runner/x"), "1").expect_err("the host's").kind, FailureKind::Denied);
    assert_eq!(fs::read_dir(plan.at("out/new")).expect("listed").count(), 1);
}

#[test]
fn a_tree_is_saved_whole_or_not_at_all() {
    let plan = Plan::new([("out/old", "old"), ("file", "")]);
    let view = plan.workspace.snapshot();
    let entries =
        [("a/b", file("1", true)), ("a-b", file("2", false)), ("l", link("a/b")), ("e", Node::Directory)];
    let wanted = tree(entries);
    let digest = plan.store.put_tree(&wanted).expect("put");
    let failure = view.save(&path("out"), &digest).expect_err("a blob is missing");
    assert_eq!(failure.kind, FailureKind::NotFound);
    assert_eq!(fs::read_dir(plan.at("")).expect("listed").count(), 2, "nothing is left over");
    for content in ["1", "2"] {
        plan.store.put_bytes(content.as_bytes()).expect("put");
    }
    assert!(view.save(&path("out"), &digest).expect("saved"));
    assert!(!view.save(&path("out"), &digest).expect("saved"));
    assert!(view.save(&path("new/place"), &digest).expect("saved"));
    for at in ["out", "new/place"] {
        assert_eq!(view.digest(&path(at)).expect("digest"), digest);
    }
    assert!(!plan.at("out/old").exists());
    assert_eq!(view.save(&path("file"), &digest).expect_err("in the way").kind, FailureKind::Conflict);
    let one = Digest::of("1");
    assert_eq!(view.save(&path("out"), &one).expect_err("in the way").kind, FailureKind::Conflict);
    assert!(view.save(&path("file"), &one).expect("saved"));
    let escaping = plan.store.put_tree(&tree([("l", link("../secret"))])).expect("put");
    assert_eq!(view.save(&path("out"), &escaping).expect_err("escapes").kind, FailureKind::Invalid);
    assert_eq!(view.save(&path("x"), &Digest::of("?")).expect_err("missing").kind, FailureKind::NotFound);
}

#[test]
fn the_hosts_folder_is_never_packed() {
    let plan = Plan::new([("a", "1"), ("sub/.runner/x", "2")]);
    let view = plan.workspace.snapshot();
    let before = view.pack(&path("."), &[]).expect("packed");
    fs::create_dir_all(plan.at(".runner/runs")).expect("made");
    fs::write(plan.at(".runner/.gitignore"), "*").expect("written");
    assert_eq!(plan.workspace.snapshot().pack(&path("."), &[]).expect("packed"), before);
    let tree = plan.store.tree(&before).expect("a tree");
    assert!(tree.get("sub/.runner/x").is_some(), "only that beside the plan is the host's");
}

#[test]
fn a_name_that_is_not_utf8_is_named() {
    let plan = Plan::new([("a", "")]);
    let odd = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"caf\xe9");
    fs::write(plan.folder.path().join("plan").join(odd), "").expect("written");
    let view = plan.workspace.snapshot();
    let failure = view.read_dir(&path(".")).expect_err("not UTF-8");
    assert!(failure.kind == FailureKind::Invalid && failure.message.contains("`caf\\xe9`"), "{failure}");
    assert_eq!(view.pack(&path("."), &[]).expect_err("not UTF-8").kind, FailureKind::Invalid);
}

#[test]
fn a_folder_that_may_not_be_written_to_is_named() {
    let plan = Plan::new([("ro/x", "1")]);
    fs::set_permissions(plan.at("ro"), fs::Permissions::from_mode(0o500)).expect("chmod");
    match plan.workspace.snapshot().write(&path("ro/y"), "1") {
        Ok(_) => assert!(rustix::process::geteuid().is_root(), "only root writes everywhere"),
        Err(failure) => assert!(failure.message.starts_with("write `ro/y`: "), "{failure}"),
    }
}
