use super::*;
use runner_sdk::testing::World;
use runner_sdk::{Error, ErrorKind, Mark};
use serde_json::{Value, json};

fn world() -> World {
    let world = World::new();
    world.release_id("b");
    world
}

fn with(world: &World, shared: &[&str]) -> Value {
    let artifact = world.tree(&[("index.php", "b"), ("app/x.php", "x"), ("config.php", "from the tree")]);
    json!({ "artifact": artifact, "root": "/srv/shop", "shared": shared })
}

#[test]
fn the_first_release_makes_the_layout() {
    let world = world();
    let outputs = world.run::<Distribute>(with(&world, &["uploads/"])).expect("laid out");
    let expected = json!({ "release": "b", "path": "/srv/shop/releases/b", "changed": true, "reused": null });
    assert_eq!(outputs, expected);
    assert_eq!(
        world.effects(),
        [
            "web-1: mkdir /srv/shop/releases",
            "web-1: mkdir /srv/shop/shared",
            "web-1: mkdir /srv/shop/shared/uploads",
            "web-1: unpack /srv/shop/releases/b"
        ]
    );
    let web = world.target("web-1");
    assert_eq!(web.text("/srv/shop/releases/b/index.php").as_deref(), Some("b"));
    assert_eq!(web.points_to("/srv/shop/releases/b/uploads").as_deref(), Some("../../shared/uploads"));
    assert!(!web.exists("/srv/shop/current"), "nothing is switched here");
}

#[test]
fn a_second_run_changes_nothing() {
    let world = world();
    let with = with(&world, &["uploads/"]);
    world.run::<Distribute>(with.clone()).expect("laid out");
    assert_eq!(world.run::<Distribute>(with).expect("again")["changed"], false);
    assert!(world.effects().is_empty());
}

#[test]
fn links_find_their_way_from_any_depth_and_hide_what_the_tree_has() {
    let world = world();
    let web = world.target("web-1");
    web.file("/srv/shop/shared/config.php", "secret").dir("/srv/shop/shared/a/b/data");
    world.run::<Distribute>(with(&world, &["config.php", "a/b/data"])).expect("laid out");
    assert_eq!(web.points_to("/srv/shop/releases/b/config.php").as_deref(), Some("../../shared/config.php"));
    assert_eq!(
        web.points_to("/srv/shop/releases/b/a/b/data").as_deref(),
        Some("../../../../shared/a/b/data")
    );
}

#[test]
fn unchanged_files_come_from_the_live_release_or_else_from_the_newest() {
    let world = world();
    let web = world.target("web-1");
    web.release("/srv/shop", "old", Mark::Good).release("/srv/shop", "new", Mark::Bad);
    assert_eq!(world.run::<Distribute>(with(&world, &[])).expect("laid out")["reused"], "new");

    let world = self::world();
    let web = world.target("web-1");
    web.release("/srv/shop", "old", Mark::Good)
        .release("/srv/shop", "new", Mark::Bad)
        .live("/srv/shop", "old");
    world.run::<Distribute>(with(&world, &[])).expect("laid out");
    assert_eq!(
        world.effects().last().map(String::as_str),
        Some("web-1: unpack /srv/shop/releases/b (reuse /srv/shop/releases/old)")
    );
}

#[test]
fn all_that_is_missing_is_named_and_nothing_is_unpacked() {
    let world = world();
    let error =
        world.run::<Distribute>(with(&world, &["config.php", ".env", "uploads/"])).expect_err("missing");
    assert!(error.is(ErrorKind::NotFound));
    assert_eq!(error.message, "missing in `/srv/shop/shared` on `web-1`: `config.php`, `.env`");
    assert!(error.detail.contains("`/srv/shop/shared/config.php`"), "{}", error.detail);
    assert!(!world.target("web-1").exists("/srv/shop/releases/b"));
}

#[test]
fn shared_paths_cannot_leave_the_release_or_hide_each_other() {
    for shared in
        [&["../x"][..], &["/etc/passwd"], &["a//b"], &["."], &[""], &["/"], &["a", "a/b"], &["a/b", "a/"]]
    {
        let world = world();
        let error = world.run::<Distribute>(with(&world, shared)).expect_err("refused");
        assert!(error.is(ErrorKind::Invalid), "{shared:?}: {error}");
        assert!(world.effects().is_empty());
    }
    let world = world();
    world.target("web-1").dir("/srv/shop/shared/a").dir("/srv/shop/shared/ab");
    world.run::<Distribute>(with(&world, &["a", "ab"])).expect("beside each other");
}

#[test]
fn attributes_are_for_the_release_and_for_new_shared_folders() {
    let world = world();
    let mut with = with(&world, &["uploads/"]);
    for (name, value) in
        [("owner", "app"), ("group", "www"), ("shared-mode", "0770"), ("shared-group", "www")]
    {
        with[name] = value.into();
    }
    world.run::<Distribute>(with).expect("laid out");
    let attributes = |path: &str| world.target("web-1").attributes(path).expect("there");
    assert_eq!(attributes("/srv/shop/releases/b/index.php"), (0o644, "app".to_owned(), "www".to_owned()));
    assert_eq!(attributes("/srv/shop/shared/uploads"), (0o770, "deploy".to_owned(), "www".to_owned()));
}

#[test]
fn a_folder_that_holds_other_things_is_left_alone() {
    let world = world();
    world.target("web-1").file("/srv/shop/releases/b/stray", "");
    let error = world.run::<Distribute>(with(&world, &[])).expect_err("in the way");
    assert!(error.is(ErrorKind::Conflict));
    assert!(error.message.starts_with("release `b` is not laid out: "), "{}", error.message);
}

#[test]
fn an_artifact_of_another_run_is_not_found() {
    let world = world();
    let error = world
        .run::<Distribute>(json!({ "artifact": "sha256:00", "root": "/srv/shop" }))
        .expect_err("unknown");
    assert!(error.is(ErrorKind::NotFound));
    assert!(world.effects().is_empty());
}

#[test]
fn a_full_disk_is_handed_on() {
    let world = world();
    world.fail("unpack", "/srv/shop", Error::conflict("no space left on device"));
    let error = world.run::<Distribute>(with(&world, &[])).expect_err("full");
    assert_eq!(error.message, "release `b` is not laid out: no space left on device");
}
