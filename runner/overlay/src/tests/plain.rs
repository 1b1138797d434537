//! What a plan does: a release is laid out, switched to and looked at; what would see the old world is told so.

use super::bench::{Scratch, Shared, command, run};
use runner_model::{Attributes, Change, EffectClass, FailureKind, Link, Mark, ServiceAction};
use runner_transport::{Intent, Target, Within};
use std::sync::Arc;

async fn make(target: &Arc<dyn Target>, within: Within<'_>, change: &Change) {
    let seen = target.observe(change, within).await.unwrap_or_else(|e| panic!("{change:?}: {e}"));
    let made = target.apply(change, &seen.before, within, Intent::new("{}")).await;
    made.unwrap_or_else(|e| panic!("{change:?}: {e}"));
}

#[tokio::test]
async fn a_release_is_laid_out_switched_to_and_read_through_current() {
    let shared = Shared::new();
    let scratch = Scratch::of_dry_run(&shared).await;
    let before = scratch.snapshot();
    let overlay = shared.overlay(&scratch);
    let target = overlay.over(Arc::clone(&scratch.target));
    let granted = [scratch.path("r")];
    let within = Within::both(&granted);
    let unpack = Change::Unpack {
        path: scratch.path("r/releases/one"),
        tree: shared.tree(&[("app", "the new one"), ("conf", "x")]),
        links: vec![Link { path: "conf".to_owned(), points_to: "../../shared/conf".to_owned() }],
        reuse: Some(scratch.path("r/releases/zero")),
        attributes: Attributes::default(),
    };
    make(&target, within, &unpack).await;
    assert_eq!(target.read(&scratch.path("r/current/app"), within).await.expect("read"), "zero");
    let switch = Change::Symlink { path: scratch.path("r/current"), points_to: "releases/one".to_owned() };
    make(&target, within, &switch).await;
    assert_eq!(target.read(&scratch.path("r/current/app"), within).await.expect("read"), "the new one");
    let conf = target.read_link(&scratch.path("r/current/conf"), within).await.expect("a link");
    assert_eq!(conf, "../../shared/conf");
    let releases = target.releases(&scratch.path("r"), within).await.expect("listed");
    let told: Vec<_> =
        releases.iter().map(|r| (r.id.as_str(), r.sequence, r.mark, r.live, r.by.as_str())).collect();
    assert_eq!(told, [("one", 1, Mark::Untried, true, "run-1")]);
    // The next time there is nothing to do.
    let seen = target.observe(&unpack, within).await.expect("seen");
    assert_eq!(seen.before, seen.after);
    make(&target, within, &Change::RemoveTree { path: scratch.path("r/releases/one") }).await;
    assert_eq!(target.releases(&scratch.path("r"), within).await.expect("listed"), []);
    let gone = target.read(&scratch.path("r/current/app"), within).await.expect_err("it leads to nothing");
    assert_eq!(gone.kind, FailureKind::Conflict);
    assert_eq!(scratch.snapshot(), before);
    scratch.close().await;
}

#[tokio::test]
async fn accounts_and_what_is_kept_are_those_of_the_target_or_unknown() {
    let shared = Shared::new();
    let scratch = Scratch::new(&shared).await;
    let (root, granted) = (scratch.path("r"), [scratch.path("r")]);
    let within = Within::both(&granted);
    let unpack = |id: &str| Change::Unpack {
        path: scratch.path(&format!("r/releases/{id}")),
        tree: shared.tree(&[("app", id)]),
        links: vec![],
        reuse: None,
        attributes: Attributes::default(),
    };
    let (one, two, three) =
        ("one".parse().expect("id"), "two".parse().expect("id"), "three".parse().expect("id"));
    for id in ["one", "two"] {
        make(&scratch.target, within, &unpack(id)).await;
    }
    let switch =
        |to: &str| Change::Symlink { path: scratch.path("r/current"), points_to: format!("releases/{to}") };
    make(&scratch.target, within, &switch("two")).await;
    scratch.target.keep(&root, &one, "[1]", Intent::new("{}")).await.expect("kept");
    let before = scratch.snapshot();
    let truth = scratch.target.accounts(&root, within).await.expect("told");
    assert_eq!(
        (truth.live.as_ref(), truth.releases.len(), truth.live_since.is_some()),
        (Some(&two), 2, true)
    );
    let target = shared.overlay(&scratch).over(Arc::clone(&scratch.target));
    assert_eq!(target.accounts(&root, within).await.expect("told"), truth);
    // Something else has changed.
    let elsewhere = Change::Mkdir { path: scratch.path("r/new"), attributes: Attributes::default() };
    make(&target, within, &elsewhere).await;
    assert_eq!(target.accounts(&root, within).await.expect("told"), truth);
    target.keep(&root, &one, "[2]", Intent::new("{}")).await.expect("nothing is done");
    assert_eq!(target.kept(&root, &one, within).await.expect("asked").as_deref(), Some("[1]"));
    assert_eq!(target.kept(&root, &two, within).await.expect("asked"), None);
    make(&target, within, &switch("one")).await;
    let told = target.accounts(&root, within).await.expect("told");
    let live: Vec<_> = told.releases.iter().map(|laid| (laid.id.as_str(), laid.live)).collect();
    assert_eq!(
        (live, told.live, told.live_since),
        (vec![("two", false), ("one", true)], Some(one.clone()), None)
    );
    make(&target, within, &Change::RemoveTree { path: scratch.path("r/releases/two") }).await;
    let told = target.accounts(&root, within).await.expect("told");
    assert_eq!(told.releases.iter().map(|laid| laid.id.as_str()).collect::<Vec<_>>(), ["one"]);
    make(&target, within, &Change::RemoveTree { path: scratch.path("r/releases/one") }).await;
    assert_eq!(target.kept(&root, &one, within).await.expect("asked"), None);
    make(&target, within, &unpack("three")).await;
    let unknown = target.accounts(&root, within).await.expect_err("nobody can tell");
    assert_eq!(unknown.kind, FailureKind::Unknown);
    assert_eq!(
        target.kept(&root, &three, within).await.expect_err("nobody can tell").kind,
        FailureKind::Unknown
    );
    assert_eq!(scratch.snapshot(), before);
    scratch.close().await;
}

#[tokio::test]
async fn commands_and_forwards_end_where_they_would_see_the_old_world() {
    let shared = Shared::new();
    let scratch = Scratch::of_dry_run(&shared).await;
    let granted = [scratch.root.clone()];
    let within = Within::both(&granted);
    let metadata = command(&["cat", "/dev/null"], EffectClass::Read);
    let unknown = async |target: &Arc<dyn Target>, says: &str| {
        let failures = [
            run(target, within, &metadata).await.expect_err("tainted"),
            target.forward("localhost", 80).await.expect_err("tainted"),
        ];
        for failure in failures {
            assert_eq!(failure.kind, FailureKind::Unknown);
            assert!(failure.message.contains(says), "{failure}");
        }
    };
    let fresh = || {
        let overlay = shared.overlay(&scratch);
        let target = overlay.over(Arc::clone(&scratch.target));
        (overlay, target)
    };

    let (overlay, target) = fresh();
    run(&target, within, &metadata).await.expect("nothing came before");
    target.forward("localhost", 80).await.expect("nothing came before");
    assert_eq!(overlay.is_tainted(), None);
    let path = scratch.path("a/new");
    make(&target, within, &shared.write(path.clone(), b"x")).await;
    unknown(&target, &format!("`{path}` was changed before")).await;
    // Another user of the machine is told the same.
    unknown(&overlay.over(Arc::clone(&scratch.target)), "was changed before").await;
    let asked = target.service_is_active("cron").await;
    assert!(asked.err().is_none_or(|why| why.kind != FailureKind::Unknown), "a file starts nothing");

    let (_, target) = fresh();
    target.service("shop", ServiceAction::Restart, Intent::new("{}")).await.expect("listed");
    unknown(&target, "restart shop was asked before").await;
    let asked = target.service_is_active("shop").await.expect_err("tainted");
    assert_eq!(asked.kind, FailureKind::Unknown);

    let (_, target) = fresh();
    run(&target, within, &command(&["true"], EffectClass::Opaque)).await.expect("listed");
    unknown(&target, "`true` was to be run before").await;

    let (overlay, target) = fresh();
    overlay.taint("POST http://shop.example.org/ was to be sent before".to_owned());
    unknown(&target, "POST http://shop.example.org/").await;
    scratch.close().await;
}
