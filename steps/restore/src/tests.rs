use super::*;
use runner_sdk::ErrorKind;
use runner_sdk::testing::World;
use serde_json::{Value, json};

/// 2026-02-24T15:31:45Z
const NOW: u64 = 1_771_947_105_000;
const ARCHIVE: &str = "/var/backups/a-20260101T000000Z.tar.zst";

/// An archive of `/srv/data`, which has changed since.
fn world() -> World {
    let world = World::new();
    world.set_now(NOW);
    let web = world.target("web-1");
    web.file("/srv/data/one", "good")
        .file("/srv/data/two", "good")
        .dir("/var/backups")
        .fact("has:gzip", "true");
    world.enter(|| Target::current().archive("/srv/data", ARCHIVE)).expect("archived");
    web.file("/srv/data/one", "bad").file("/srv/data/three", "new");
    world
}

fn one(more: Value) -> Value {
    let mut with = json!({ "archive": ARCHIVE, "to": "/srv/data" });
    with.as_object_mut().expect("a table").extend(more.as_object().expect("a table").clone());
    with
}

#[test]
fn the_folder_becomes_what_the_archive_holds() {
    let world = world();
    let outputs = world.run::<Restore>(one(json!({}))).expect("restored");
    let expected = json!({ "archive": ARCHIVE, "changed": true, "restored": ["/srv/data"], "safety": [] });
    assert_eq!(outputs, expected);
    let web = world.target("web-1");
    assert_eq!(web.names("/srv/data"), ["one", "two"]);
    assert_eq!(web.text("/srv/data/one").expect("text"), "good");
    let again = world.run::<Restore>(one(json!({}))).expect("restored");
    assert_eq!((&again["changed"], &again["restored"]), (&json!(false), &json!([])));
    assert!(world.effects().is_empty());
}

#[test]
fn what_was_there_is_kept_when_the_plan_says_where() {
    let world = world();
    let with = || one(json!({ "safety": "/var/safety/" }));
    let kept = "/var/safety/before-restore-1-20260224T153145Z.tar.gz";
    let outputs = world.run::<Restore>(with()).expect("restored");
    assert_eq!(outputs["safety"], json!([kept]));
    // Where nothing differed, nothing is kept.
    world.set_now(NOW + 1000);
    let again = world.run::<Restore>(with()).expect("restored");
    assert_eq!((&again["changed"], &again["safety"]), (&json!(false), &json!([])));
    let web = world.target("web-1");
    assert_eq!(web.names("/var/safety"), ["before-restore-1-20260224T153145Z.tar.gz"]);
    // And it brings back what was there.
    world.run::<Restore>(json!({ "archive": kept, "to": "/srv/data" })).expect("restored");
    assert_eq!(web.text("/srv/data/one").expect("text"), "bad");
}

#[test]
fn nothing_is_replaced_that_could_not_be_kept() {
    let world = world();
    world.fail("archive", "/var/safety", Error::conflict("no space"));
    let error = world.run::<Restore>(one(json!({ "safety": "/var/safety" }))).expect_err("not safe");
    assert_eq!(error.message, "nothing is put back: `/srv/data` is not safe: no space");
    assert_eq!(world.target("web-1").text("/srv/data/one").expect("text"), "bad");
}

#[test]
fn the_newest_of_a_name_is_taken() {
    let world = world();
    let web = world.target("web-1");
    web.file("/srv/data/one", "newer");
    let newer = "/var/backups/a-20260102T000000Z.tar.gz";
    world.enter(|| Target::current().archive("/srv/data", newer)).expect("archived");
    web.file("/var/backups/b-20260103T000000Z.tar.gz", "of another name");
    let with = json!({ "from": "/var/backups/", "name": "a", "to": "/srv/copy" });
    assert_eq!(world.run::<Restore>(with).expect("restored")["archive"], newer);
    assert_eq!(web.text("/srv/copy/one").expect("text"), "newer");
    let with = json!({ "from": "/var/backups", "name": "none", "to": "/srv/copy" });
    assert!(world.run::<Restore>(with).expect_err("none").is(ErrorKind::NotFound));
}

#[test]
fn an_archive_that_is_missing_or_damaged_changes_nothing() {
    let world = world();
    let web = world.target("web-1");
    web.file("/var/backups/bad.tar.gz", "noise");
    for (archive, kind) in
        [("/var/backups/none.tar.gz", ErrorKind::NotFound), ("/var/backups/bad.tar.gz", ErrorKind::Conflict)]
    {
        let error =
            world.run::<Restore>(json!({ "archive": archive, "to": "/srv/data" })).expect_err(archive);
        assert!(error.is(kind), "{archive}: {}", error.message);
        assert_eq!(web.text("/srv/data/one").expect("text"), "bad");
    }
}

/// A backup of `/etc/nginx` and `/etc/hosts`, as `std/backup` makes it.
fn set(world: &World) {
    let web = world.target("web-1");
    web.file("/etc/nginx/nginx.conf", "good").file("/etc/hosts", "good").dir("/var/b/s-20260101T000000Z");
    let part = |number: u32, path: &str| {
        let archive = format!("{number}.tar.gz");
        let into = format!("/var/b/s-20260101T000000Z/{archive}");
        world.enter(|| {
            let target = Target::current();
            target.archive(path, &into).expect("archived");
            let (digest, content) =
                (target.digest(&into).expect("digest"), target.digest(path).expect("digest"));
            json!({ "path": path, "archive": archive, "digest": digest, "content": content })
        })
    };
    let contents =
        json!({ "backup": 1, "name": "s", "parts": [part(1, "/etc/nginx"), part(2, "/etc/hosts")] });
    web.file("/var/b/s-20260101T000000Z/backup.json", &contents.to_string());
}

#[test]
fn paths_go_back_to_where_they_were() {
    let world = World::new();
    world.set_now(NOW);
    set(&world);
    let web = world.target("web-1");
    web.file("/etc/hosts", "bad");
    let with = json!({
        "from": "/var/b", "name": "s", "paths": ["/etc/nginx", "/etc/hosts"], "safety": "/var/safety"
    });
    let outputs = world.run::<Restore>(with.clone()).expect("restored");
    assert_eq!(outputs["restored"], json!(["/etc/hosts"]));
    assert_eq!(outputs["safety"], json!(["/var/safety/before-restore-2-20260224T153145Z.tar"]));
    assert_eq!(web.text("/etc/hosts").expect("text"), "good");
    assert_eq!(world.run::<Restore>(with).expect("restored")["changed"], false);
    assert!(world.effects().is_empty(), "{:?}", world.effects());
}

#[test]
fn all_of_a_backup_is_checked_before_any_of_it_is_put_back() {
    let world = World::new();
    set(&world);
    let web = world.target("web-1");
    web.file("/etc/nginx/nginx.conf", "bad").file("/var/b/s-20260101T000000Z/2.tar.gz", "noise");
    let with = |paths: Value| json!({ "from": "/var/b", "name": "s", "paths": paths });
    for (paths, kind) in [
        (json!(["/etc/nginx", "/etc/hosts"]), ErrorKind::Conflict),
        (json!(["/etc/nginx", "/etc/other"]), ErrorKind::NotFound),
    ] {
        let error = world.run::<Restore>(with(paths)).expect_err("refused");
        assert!(error.is(kind), "{}", error.message);
        assert!(world.effects().is_empty());
    }
    world.run::<Restore>(with(json!(["/etc/nginx"]))).expect("that one is whole");
    assert_eq!(web.text("/etc/nginx/nginx.conf").expect("text"), "good");
}

#[test]
fn what_does_not_say_what_goes_where_is_refused() {
    for with in [
        json!({}),
        json!({ "archive": "/a.tar" }),
        json!({ "to": "/srv" }),
        json!({ "from": "/b", "to": "/srv" }),
        json!({ "archive": "/a.tar", "from": "/b", "name": "x", "to": "/srv" }),
        json!({ "archive": "/a.tar", "to": "/srv", "paths": ["/etc"] }),
        json!({ "archive": "/a.tar", "to": "srv" }),
        json!({ "archive": "/a.tar", "to": "/" }),
    ] {
        let world = World::new();
        world.target("web-1").file("/a.tar", "");
        assert!(world.run::<Restore>(with.clone()).expect_err("refused").is(ErrorKind::Invalid), "{with}");
    }
}
