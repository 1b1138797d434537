use super::*;
use runner_sdk::testing::World;
use serde_json::{Value, json};

fn run(world: &World, more: Value) -> Result<Value> {
    let mut with = json!({ "name": "shop-tidy" });
    for (name, value) in more.as_object().expect("an object") {
        with[name] = value.clone();
    }
    world.run::<Cron>(with)
}

fn world() -> World {
    let world = World::new();
    world.target("web-1").dir("/etc/cron.d");
    world
}

#[test]
fn an_entry_is_kept_and_goes_again() {
    let world = world();
    let web = world.target("web-1");
    let with =
        json!({ "schedule": "30 3 * * *", "user": "shop", "command": "/srv/shop/tidy", "env": { "A": "1" } });
    let path = "/etc/cron.d/shop-tidy";
    assert_eq!(run(&world, with.clone()).expect("written"), json!({ "changed": true, "path": path }));
    assert_eq!(
        web.text(path).as_deref(),
        Some(
            "# shop-tidy: written by runner, which will write it again.\nA=\"1\"\n30 3 * * * shop /srv/shop/tidy\n"
        )
    );
    assert_eq!(web.attributes(path).map(|(mode, owner, _)| (mode, owner)), Some((0o644, "root".to_owned())));
    assert_eq!(run(&world, with).expect("there")["changed"], false);
    assert!(world.effects().is_empty());

    assert_eq!(run(&world, json!({ "absent": true })).expect("removed")["changed"], true);
    assert!(!web.exists(path));
    assert_eq!(run(&world, json!({ "absent": true })).expect("gone")["changed"], false);
}

#[test]
fn what_cron_would_skip_is_refused_before_anything_is_touched() {
    for (with, why) in [
        (json!({ "name": "a.b", "absent": true }), "`a.b` cannot be the name of an entry"),
        (json!({ "name": "../x", "absent": true }), "`../x` cannot be the name of an entry"),
        (
            json!({ "schedule": "61 * * * *", "command": "x" }),
            "`schedule`: the minute: `61` is not a number from 0 to 59",
        ),
        (json!({ "command": "x" }), "it needs a `schedule` and a `command`, or `absent = true`"),
        (json!({ "command": "x", "absent": true }), "what is `absent` has no `schedule` and `command`"),
    ] {
        let world = world();
        let error = run(&world, with).expect_err(why);
        assert_eq!(error.message, why);
        assert!(world.effects().is_empty());
    }
}
