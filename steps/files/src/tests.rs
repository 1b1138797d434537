use super::*;
use runner_sdk::testing::World;
use serde_json::{Value, json};

fn world() -> World {
    let world = World::new();
    world.file("conf/shop.conf", "debug = no\n");
    world.target("web-1").dir("/etc");
    world
}

fn run(world: &World, files: Value) -> Result<Value> {
    world.run::<Files>(json!({ "files": files }))
}

fn refused(files: Value) -> String {
    let world = world();
    let error = run(&world, files).expect_err("refused");
    assert!(error.is(ErrorKind::Invalid), "{error}");
    assert!(world.effects().is_empty(), "nothing is touched");
    error.message
}

#[test]
fn each_kind_of_entry_is_made_once() {
    let world = world();
    let web = world.target("web-1");
    web.file("/etc/old.conf", "").file("/etc/old/a/b", "");
    let files = json!([
        { "path": "/etc/shop/", "folder": true, "mode": "0750", "owner": "root", "group": "www-data" },
        { "path": "/etc/shop/shop.conf", "source": "conf/shop.conf", "mode": "640" },
        { "path": "/etc/shop/banner", "content": "welcome\n" },
        { "path": "/etc/shop/live", "link-to": "/srv/shop/current" },
        { "path": "/etc/old.conf", "absent": true },
        { "path": "/etc/old", "absent": true, "recursive": true },
        { "path": "/etc/never", "absent": true, "recursive": true },
    ]);
    let outputs = run(&world, files.clone()).expect("made");
    let changed = [
        "/etc/shop",
        "/etc/shop/shop.conf",
        "/etc/shop/banner",
        "/etc/shop/live",
        "/etc/old.conf",
        "/etc/old",
    ];
    assert_eq!(outputs, json!({ "changed": true, "paths": changed }));
    assert_eq!(web.attributes("/etc/shop"), Some((0o750, "root".to_owned(), "www-data".to_owned())));
    assert_eq!(web.text("/etc/shop/shop.conf").as_deref(), Some("debug = no\n"));
    assert_eq!(web.attributes("/etc/shop/shop.conf").expect("a file").0, 0o640);
    assert_eq!(web.text("/etc/shop/banner").as_deref(), Some("welcome\n"));
    assert_eq!(web.points_to("/etc/shop/live").as_deref(), Some("/srv/shop/current"));
    assert!(!web.exists("/etc/old.conf") && !web.exists("/etc/old"));

    assert_eq!(run(&world, files).expect("made"), json!({ "changed": false, "paths": [] }));
    assert!(world.effects().is_empty());
    assert_eq!(world.log(), ["info: all is as it must be"]);
}

#[test]
fn what_drifted_is_put_right() {
    let world = world();
    let web = world.target("web-1");
    web.file("/etc/a", "old").file("/etc/b", "b");
    let files =
        json!([{ "path": "/etc/a", "content": "new" }, { "path": "/etc/b", "content": "b", "mode": "0600" }]);
    assert_eq!(run(&world, files).expect("made")["paths"], json!(["/etc/a", "/etc/b"]));
    assert_eq!(web.attributes("/etc/b").expect("a file").0, 0o600);
}

#[test]
fn a_folder_that_is_not_empty_stays_unless_the_plan_says_so() {
    let world = world();
    world.target("web-1").file("/etc/old/a", "");
    let error = run(&world, json!([{ "path": "/etc/old", "absent": true }])).expect_err("stays");
    assert_eq!(error.message, "`/etc/old` on `web-1`: `/etc/old` is not empty");
    assert_eq!(error.detail, "`recursive = true` removes a folder with all that is in it");
    assert!(world.target("web-1").exists("/etc/old/a"));
}

#[test]
fn what_is_in_the_way_of_a_link_stays() {
    let world = world();
    world.target("web-1").file("/etc/live", "data");
    let error = run(&world, json!([{ "path": "/etc/live", "link-to": "/srv" }])).expect_err("in the way");
    assert!(error.is(ErrorKind::Conflict));
    assert_eq!(world.target("web-1").text("/etc/live").as_deref(), Some("data"));
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_touched() {
    let first = json!({ "path": "/etc/a", "content": "x" });
    let with = |second: Value| refused(json!([first, second]));
    let one = "`files.1`: it needs exactly one of `content`, `source`, `folder`, `link-to` and `absent`";
    assert_eq!(with(json!({ "path": "/etc/b" })), one);
    assert_eq!(with(json!({ "path": "/etc/b", "content": "", "absent": true })), one);
    assert_eq!(with(json!({ "path": "/", "folder": true })), "`files.1`: `/` cannot be an entry");
    assert_eq!(
        with(json!({ "path": "/etc/b", "folder": false })),
        "`files.1`: `folder` and `absent` are `true` or left out"
    );
    assert_eq!(
        with(json!({ "path": "/etc/b", "folder": true, "recursive": true })),
        "`files.1`: `recursive` is for what is `absent`"
    );
    assert_eq!(
        with(json!({ "path": "/etc/b", "link-to": "x", "owner": "root" })),
        "`files.1`: a link has no `mode`, `owner` and `group`"
    );
    assert_eq!(
        with(json!({ "path": "/etc/b", "absent": true, "mode": "0644" })),
        "`files.1`: what is `absent` has no `mode`, `owner` and `group`"
    );
    assert_eq!(
        with(json!({ "path": "/etc/a/", "absent": true })),
        "`files.1`: `/etc/a` is `files.0` already"
    );
    assert_eq!(
        with(json!({ "path": "/etc/b", "source": "conf/shpo.conf" })),
        "`files.1`: `conf/shpo.conf` is not in the plan's folder"
    );
    assert_eq!(
        with(json!({ "path": "/etc/b", "source": "conf" })),
        "`files.1`: `conf` in the plan's folder is not a file"
    );
    assert_eq!(
        refused(json!([{ "path": "/etc/b", "absent": true }, { "path": "/etc/b/c", "content": "" }])),
        "`files.1`: `/etc/b/c` is in `/etc/b`, which `files.0` says is to be absent"
    );
}

#[test]
fn a_failure_says_where_and_leaves_the_rest_for_the_next_run() {
    let world = world();
    let files = json!([{ "path": "/etc/a", "content": "x" }, { "path": "/opt/b", "content": "y" }]);
    let error = run(&world, files.clone()).expect_err("no folder");
    assert_eq!(error.message, "`/opt/b` on `web-1`: `/opt` does not exist");
    world.target("web-1").dir("/opt");
    // What the first invocation changed counts: nothing that depends on it is lost.
    assert_eq!(run(&world, files).expect("made")["paths"], json!(["/etc/a", "/opt/b"]));
}
