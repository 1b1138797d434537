use super::*;
use runner_sdk::testing::World;
use runner_sdk::{ErrorKind, Mark};
use serde_json::{Value, json};

/// 2026-02-24T15:31:45Z
const NOW: u64 = 1_771_947_105_000;

/// The good releases a and b, of which b is live.
fn world() -> World {
    let world = World::new();
    world.set_now(NOW);
    let web = world.target("web-1");
    web.release("/srv/shop", "a", Mark::Good).release("/srv/shop", "b", Mark::Good).live("/srv/shop", "b");
    web.file("/srv/shop/releases/b/app/index.php", "0123456789")
        .fact("has:zstd", "true")
        .fact("has:gzip", "true");
    world
}

fn run(world: &World) -> Value {
    world.run::<Backup>(json!({ "root": "/srv/shop" })).expect("backed up")
}

#[test]
fn the_live_release_is_archived() {
    let world = world();
    let archive = "/srv/shop/backups/b-20260224T153145Z.tar.zst";
    assert_eq!(run(&world), json!({ "release": "b", "archive": archive, "created": true, "removed": [] }));
    let effects = [
        "web-1: mkdir /srv/shop/backups".to_owned(),
        format!("web-1: archive {archive} of /srv/shop/releases/b"),
    ];
    assert_eq!(world.effects(), effects);
}

#[test]
fn a_release_that_has_an_archive_is_left_alone() {
    let world = world();
    let first = run(&world);
    world.set_now(NOW + 3_600_000);
    let second = run(&world);
    assert_eq!((second["created"].clone(), &second["archive"]), (json!(false), &first["archive"]));
    assert!(world.effects().is_empty());
}

#[test]
fn a_run_that_changes_nothing_archives_nothing() {
    let world = world();
    world.release_id("b");
    let expected = json!({ "release": "b", "archive": null, "created": false, "removed": [] });
    assert_eq!(run(&world), expected);
    assert!(world.effects().is_empty());
}

#[test]
fn where_nothing_is_live_there_is_nothing_to_do() {
    let world = World::new();
    assert_eq!(run(&world), json!({ "release": null, "archive": null, "created": false, "removed": [] }));
    assert_eq!(world.log(), ["info: no release is live on `web-1`: nothing to back up"]);
}

#[test]
fn it_takes_what_the_target_has() {
    for (has, ending) in [(["has:gzip", "true"], "tar.gz"), (["has:gzip", "false"], "tar")] {
        let world = world();
        world.target("web-1").fact("has:zstd", "false").fact(has[0], has[1]);
        assert_eq!(run(&world)["archive"], format!("/srv/shop/backups/b-20260224T153145Z.{ending}"));
    }
}

#[test]
fn a_disk_without_room_is_found_before_anything_is_written() {
    let world = world();
    world.target("web-1").disk_free(9);
    let error = world.run::<Backup>(json!({ "root": "/srv/shop" })).expect_err("full");
    assert!(error.is(ErrorKind::Conflict));
    assert_eq!(error.message, "backup of `b` on `web-1` needs 10 B in `/srv/shop/backups`; free: 9 B");
    assert!(world.effects().is_empty());

    world.target("web-1").disk_free(1 << 20);
    let error = world.run::<Backup>(json!({ "root": "/srv/shop", "need-free": "2MiB" })).expect_err("full");
    assert_eq!(error.message, "backup of `b` on `web-1` needs 2.0 MiB in `/srv/shop/backups`; free: 1.0 MiB");
}

#[test]
fn the_newest_archive_says_how_much_the_next_one_takes() {
    let world = world();
    let web = world.target("web-1");
    web.file("/srv/shop/backups/a-20260101T000000Z.tar.zst", &"x".repeat(80)).disk_free(99);
    let error = world.run::<Backup>(json!({ "root": "/srv/shop" })).expect_err("full");
    assert!(error.message.contains("needs 100 B"), "{}", error.message);
}

#[test]
fn the_oldest_archives_go_but_never_that_of_the_last_good_release() {
    let world = World::new();
    world.set_now(NOW);
    let web = world.target("web-1");
    web.release("/srv/shop", "good", Mark::Good)
        .release("/srv/shop", "bad", Mark::Bad)
        .live("/srv/shop", "bad");
    for name in [
        "good-20260101T000000Z.tar.zst",
        "good-20250101T000000Z.tar.zst",
        "x-20260102T000000Z.tar.gz",
        "y-20260103T000000Z.tar.gz",
        "notes.txt",
    ] {
        web.file(&format!("/srv/shop/backups/{name}"), "");
    }
    let outputs = world.run::<Backup>(json!({ "root": "/srv/shop", "keep": 1 })).expect("backed up");
    let removed = ["good-20250101T000000Z.tar.zst", "x-20260102T000000Z.tar.gz", "y-20260103T000000Z.tar.gz"];
    assert_eq!(outputs["removed"], json!(removed.map(|name| format!("/srv/shop/backups/{name}"))));
    let left = ["bad-20260224T153145Z.tar", "good-20260101T000000Z.tar.zst", "notes.txt"];
    assert_eq!(web.names("/srv/shop/backups"), left);
}

#[test]
fn an_archive_that_fails_removes_nothing() {
    let world = world();
    let web = world.target("web-1");
    web.file("/srv/shop/backups/x-20260102T000000Z.tar.gz", "")
        .file("/srv/shop/backups/y-20260103T000000Z.tar.gz", "");
    world.fail("archive", "/srv/shop/backups", Error::conflict("the archive does not read back"));
    let error = world.run::<Backup>(json!({ "root": "/srv/shop", "keep": 1 })).expect_err("failed");
    assert_eq!(error.message, "release `b` is not backed up: the archive does not read back");
    assert_eq!(web.names("/srv/shop/backups").len(), 2);
}

#[test]
fn another_folder_may_take_the_archives() {
    let world = world();
    let outputs =
        world.run::<Backup>(json!({ "root": "/srv/shop", "to": "/var/backups/shop/" })).expect("backed up");
    assert_eq!(outputs["archive"], "/var/backups/shop/b-20260224T153145Z.tar.zst");
}

#[test]
fn keeping_none_is_refused() {
    let error = world().run::<Backup>(json!({ "root": "/srv/shop", "keep": 0 })).expect_err("none");
    assert!(error.is(ErrorKind::Invalid));
}

/// A folder and a file that are backed up by name.
fn named() -> World {
    let world = World::new();
    world.set_now(NOW);
    let web = world.target("web-1");
    web.file("/etc/nginx/nginx.conf", "one").file("/etc/nginx/sites/shop", "two").file("/etc/hosts", "three");
    web.dir("/var/backups").fact("has:zstd", "true");
    world
}

fn settings() -> Value {
    json!({ "name": "settings", "paths": ["/etc/nginx/", "/etc/hosts"], "to": "/var/backups/shop", "keep": 2 })
}

#[test]
fn named_paths_are_archived_into_one_folder() {
    let world = named();
    let set = "/var/backups/shop/settings-20260224T153145Z";
    let outputs = world.run::<Backup>(settings()).expect("backed up");
    assert_eq!(outputs, json!({ "release": null, "archive": set, "created": true, "removed": [] }));
    let web = world.target("web-1");
    assert_eq!(web.names(set), ["1.tar.zst", "2.tar.zst", "backup.json"]);
    assert_eq!(web.attributes("/var/backups/shop").expect("a folder").0, 0o700);
    let contents: Value =
        serde_json::from_str(&web.text(&format!("{set}/backup.json")).expect("text")).expect("JSON");
    assert_eq!(contents["parts"][0]["path"], "/etc/nginx");
    assert_eq!(contents["parts"][1]["archive"], "2.tar.zst");
    // It has its name only when all of it is there.
    let effects = world.effects();
    assert_eq!(effects.last().expect("effects"), &format!("web-1: rename {set}.partial -> {set}"));
}

#[test]
fn what_has_not_changed_is_not_archived_again() {
    let world = named();
    let first = world.run::<Backup>(settings()).expect("backed up");
    world.set_now(NOW + 3_600_000);
    let second = world.run::<Backup>(settings()).expect("backed up");
    assert_eq!((&second["created"], &second["archive"]), (&json!(false), &first["archive"]));
    assert!(world.effects().is_empty());

    let web = world.target("web-1");
    web.file("/etc/hosts", "four");
    let third = world.run::<Backup>(settings()).expect("backed up");
    assert_eq!(third["archive"], "/var/backups/shop/settings-20260224T163145Z");
    // Other paths are another backup.
    let mut fewer = settings();
    fewer["paths"] = json!(["/etc/nginx"]);
    world.set_now(NOW + 7_200_000);
    let fourth = world.run::<Backup>(fewer).expect("backed up");
    assert_eq!((&fourth["created"], &fourth["removed"]), (&json!(true), &json!([first["archive"]])));
}

#[test]
fn what_was_not_finished_goes_with_the_next_backup() {
    let world = named();
    world.fail("archive", "/var/backups/shop/settings-20260224T153145Z.partial/2", Error::conflict("full"));
    let error = world.run::<Backup>(settings()).expect_err("failed");
    assert_eq!(error.message, "`/etc/hosts` is not backed up: full");
    world.heal();
    world.target("web-1").dir("/var/backups/shop/other-20260224T153145Z.partial");
    world.set_now(NOW + 3_600_000);
    world.run::<Backup>(settings()).expect("backed up");
    let left = ["other-20260224T153145Z.partial", "settings-20260224T163145Z"];
    assert_eq!(world.target("web-1").names("/var/backups/shop"), left);
}

#[test]
fn paths_that_make_no_sense_are_refused_before_anything_is_written() {
    for (paths, to, kind) in [
        (json!(["etc"]), "/var/backups/shop", ErrorKind::Invalid),
        (json!(["/"]), "/var/backups/shop", ErrorKind::Invalid),
        (json!(["/var/backups"]), "/var/backups/shop", ErrorKind::Invalid),
        (json!(["/etc/nginx", "/etc/nginx/sites"]), "/var/backups/shop", ErrorKind::Invalid),
        (json!(["/etc/nginx", "/etc/nginx/"]), "/var/backups/shop", ErrorKind::Invalid),
        (json!(["/etc/none"]), "/var/backups/shop", ErrorKind::NotFound),
    ] {
        let world = named();
        let with = json!({ "name": "settings", "paths": paths, "to": to });
        let error = world.run::<Backup>(with).expect_err("refused");
        assert!(error.is(kind), "{paths}: {}", error.message);
        assert!(world.effects().is_empty());
    }
    for with in [
        json!({}),
        json!({ "root": "/srv/shop", "paths": ["/etc"], "name": "a", "to": "/b" }),
        json!({ "paths": ["/etc"], "name": "a" }),
        json!({ "paths": ["/etc"], "to": "/b" }),
        json!({ "name": "a", "to": "/b" }),
    ] {
        assert!(named().run::<Backup>(with.clone()).expect_err("refused").is(ErrorKind::Invalid), "{with}");
    }
}

#[test]
fn a_folder_that_cannot_be_compared_is_archived_every_time() {
    let world = named();
    world.fail("digest", "/etc/nginx", Error::new(ErrorKind::Denied, "others may change it"));
    world.run::<Backup>(settings()).expect("backed up");
    world.set_now(NOW + 3_600_000);
    assert_eq!(world.run::<Backup>(settings()).expect("backed up")["created"], true);
}
