//! A module that tries to get a byte onto the target in a dry run.

use super::bench::{SECRET, Scratch, Shared, command, run, secret};
use runner_model::{
    Attributes, Change, Content, EffectClass, FailureKind, Link, Mark, RemotePath, ServiceAction, State,
};
use runner_transport::{Intent, Places, Within};
use std::sync::Arc;

#[tokio::test]
async fn nothing_that_a_module_asks_for_changes_a_byte() {
    let shared = Shared::new();
    let scratch = Scratch::of_dry_run(&shared).await;
    let before = scratch.snapshot();
    let overlay = shared.overlay(&scratch);
    let target = overlay.over(Arc::clone(&scratch.target));
    let attributes = || Attributes::default();
    let all = [scratch.root.clone()];
    let everything = [RemotePath::root()];
    let link = |at: &str, to: String| Change::Symlink { path: scratch.path(at), points_to: to };
    let at = |name: &str| scratch.path(name);
    let changes = vec![
        link("l", "/etc".to_owned()),
        link("l", "../../../../../..".to_owned()),
        link("self", "self/x".to_owned()),
        link("own", scratch.file("r/.runner").display().to_string()),
        shared.write(at("l/f"), b"through a link"),
        shared.write(at("self/f"), b"through a loop"),
        shared.write(at("own/sequence"), b"9"),
        shared.write(at("out/passwd"), b"root::0:0"),
        shared.write(at("r/.runner/sequence"), b"9"),
        shared.write(at("r/releases/zero/app"), b"other"),
        shared.write(at("a/\\x2e\\x2e"), b"odd"),
        shared.write(at("a/$(touch x)"), b"odd"),
        shared.write(at("a/...."), b"odd"),
        shared.write(at("a/-rf"), b"odd"),
        Change::WriteSecret { path: at("a/secret"), content: secret(), attributes: attributes() },
        Change::Rename { path: at("a"), to: at("a/b/into-itself") },
        Change::Rename { path: at("r/.runner"), to: at("mine") },
        Change::Rename { path: at("r"), to: at("moved") },
        Change::RemoveTree { path: at("r") },
        Change::RemoveTree { path: at("d") },
        Change::Remove { path: at("a/f") },
        Change::SetAttributes {
            path: at("a/b"),
            attributes: Attributes { mode: Some(0o777), owner: Some("daemon".to_owned()), group: None },
        },
        Change::Mkdir { path: at("x/y/z"), attributes: attributes() },
        Change::Unpack {
            path: at("x/tree"),
            tree: shared.tree(&[("f", "f")]),
            links: vec![Link { path: "out".to_owned(), points_to: "/etc".to_owned() }],
            reuse: Some(at("d")),
            attributes: attributes(),
        },
        shared.write(at("x/tree/out/passwd"), b"through a link of a tree"),
        Change::Archive { path: at("a"), into: at("x/a.tar") },
        Change::Unarchive { path: at("e"), archive: at("x/a.tar"), attributes: attributes() },
    ];
    for granted in [&all, &everything] {
        for change in &changes {
            let within = Within::both(granted);
            let _ = target.observe(change, within).await;
            let _ = target.apply(change, &State::Absent, within, Intent::new("{}")).await;
            let _ = target.digest(change.path(), within).await;
            let _ = target.fetch(change.path(), within).await;
            let _ = target.read_dir(change.path(), within).await;
        }
    }
    let everywhere = Within::both(&everything);
    let touched = scratch.file("touched").display().to_string();
    for effect in [EffectClass::Change, EffectClass::Signal, EffectClass::Opaque] {
        let ran = run(&target, everywhere, &command(&["touch", &touched], effect)).await.expect("listed");
        assert_eq!((ran.status, ran.stdout.as_str()), (0, ""));
    }
    let mut reads = command(&["cat"], EffectClass::Read);
    reads.stdin = Some(Content::Secret(secret()));
    reads.stdout_to = Some(at("leak"));
    assert_eq!(run(&target, everywhere, &reads).await.expect_err("writes").kind, FailureKind::Unknown);
    let _ = target.service("cron", ServiceAction::Stop, Intent::new("{}")).await;
    let _ = target.mark(&at("r"), &"zero".parse().expect("an id"), Mark::Bad, Intent::new("{}")).await;
    assert_eq!(scratch.snapshot(), before);
    scratch.close().await;
}

#[tokio::test]
async fn a_file_for_output_is_refused_before_anything_else_was_asked() {
    let shared = Shared::new();
    let scratch = Scratch::of_dry_run(&shared).await;
    let before = scratch.snapshot();
    let target = shared.overlay(&scratch).over(Arc::clone(&scratch.target));
    let granted = [scratch.root.clone()];
    let mut reads = command(&["echo", "x"], EffectClass::Read);
    assert_eq!(run(&target, Within::both(&granted), &reads).await.expect("ran").stdout, "x\n");
    reads.stdout_to = Some(scratch.path("new"));
    let failure = run(&target, Within::both(&granted), &reads).await.expect_err("it would write");
    assert_eq!(failure.kind, FailureKind::Unknown, "{failure}");
    assert_eq!(scratch.snapshot(), before);
    scratch.close().await;
}

#[tokio::test]
async fn a_secret_is_in_no_answer_and_not_in_the_store() {
    let shared = Shared::new();
    let scratch = Scratch::of_dry_run(&shared).await;
    let overlay = shared.overlay(&scratch);
    let target = overlay.over(Arc::clone(&scratch.target));
    let granted = [scratch.root.clone()];
    let within = Within::both(&granted);
    let path = scratch.path("a/secret");
    let change =
        Change::WriteSecret { path: path.clone(), content: secret(), attributes: Default::default() };
    let seen = target.observe(&change, within).await.expect("seen");
    target.apply(&change, &seen.before, within, Intent::new("{}")).await.expect("recorded");
    for failure in [
        target.read(&path, within).await.expect_err("hidden"),
        target.fetch(&path, within).await.expect_err("hidden"),
        target.fetch(&scratch.path("a"), within).await.expect_err("hidden"),
    ] {
        assert_eq!(failure.kind, FailureKind::Unknown, "{failure}");
        assert!(!failure.to_string().contains(SECRET));
    }
    let digest = runner_model::Digest::of(SECRET);
    assert_eq!(target.digest(&path, within).await.expect("known"), digest);
    assert!(!shared.store.has(&digest), "a secret is in the artifact store");
    assert!(!format!("{overlay:?}").contains(SECRET));
    scratch.close().await;
}

#[tokio::test]
async fn a_link_of_the_overlay_leads_out_of_no_grant() {
    let shared = Shared::new();
    let scratch = Scratch::of_dry_run(&shared).await;
    let target = shared.overlay(&scratch).over(Arc::clone(&scratch.target));
    let granted = [scratch.path("a"), scratch.path("r")];
    let except = [scratch.path("r/shared/conf"), scratch.path("r/.runner")];
    let places = Places { granted: &granted, written: &[], except: &except };
    let within = Within { reads: places, writes: places };
    for (at, to) in [
        ("a/out", "/etc"),
        ("a/d", "../d"),
        ("a/shared", "../r/shared"),
        ("a/own", "../r/.runner"),
        ("a/b2", "b"),
    ] {
        let change = Change::Symlink { path: scratch.path(at), points_to: to.to_owned() };
        let seen = target.observe(&change, within).await.expect(at);
        target.apply(&change, &seen.before, within, Intent::new("{}")).await.expect(at);
    }
    for path in ["a/out/passwd", "a/d/x", "a/shared/conf", "a/own/sequence"] {
        let path = scratch.path(path);
        let read = target.read(&path, within).await.expect_err("out of the grant");
        assert_eq!(read.kind, FailureKind::Denied, "{read}");
        let write = target.observe(&shared.write(path, b"x"), within).await.expect_err("out of the grant");
        assert_eq!(write.kind, FailureKind::Denied, "{write}");
    }
    assert_eq!(target.read(&scratch.path("a/b2/c"), within).await.expect("granted"), "c");
    let whole = target.observe(&Change::RemoveTree { path: scratch.path("r/shared") }, within).await;
    assert_eq!(whole.expect_err("an exception is in it").kind, FailureKind::Denied);
    scratch.close().await;
}
