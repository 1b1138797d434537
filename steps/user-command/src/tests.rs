use super::*;
use runner_sdk::ErrorKind;
use runner_sdk::testing::{Answer, World};
use serde_json::json;

fn world() -> World {
    let world = World::new();
    world
        .target("web-1")
        .answer(&["shop", "warm"], Answer::ok(""))
        .answer(&["shop", "up"], Answer::ok(""))
        .answer(&["shop", "is-up"], Answer::ok(""))
        .answer(&["shop", "look"], Answer::ok(""));
    world
}

#[test]
fn each_is_run_unless_it_is_done() {
    let world = world();
    world.target("web-1").file("/srv/db", "");
    let with = json!({ "commands": [
        { "argv": ["shop", "look"], "effect": "read" },
        { "argv": ["shop", "init"], "creates": "/srv/db" },
        { "argv": ["shop", "up"], "effect": "change", "undo": ["shop", "down"], "skip-if": ["shop", "is-up"] },
        { "argv": ["shop", "warm"], "effect": "signal", "env": { "A": "1" } },
    ] });
    let outputs = world.run::<UserCommand>(with).expect("runs");
    assert_eq!(outputs, json!({ "changed": true, "ran": [1, 4] }));
    assert_eq!(world.effects(), ["web-1: run [signal] shop warm"]);
}

#[test]
fn what_only_reads_changes_nothing() {
    let outputs =
        world().run::<UserCommand>(json!({ "commands": [{ "argv": ["shop", "look"], "effect": "read" }] }));
    assert_eq!(outputs.expect("runs"), json!({ "changed": false, "ran": [1] }));
}

#[test]
fn the_first_failure_ends_it_and_says_which_it_was() {
    let world = world();
    world.target("web-1").answer(&["shop", "break"], Answer::status(1, "no"));
    let with = json!({ "commands": [{ "argv": ["shop", "warm"] }, { "argv": ["shop", "break"] }, { "argv": ["shop", "up"] }] });
    let error = world.run::<UserCommand>(with).expect_err("fails");
    assert_eq!(error.message, "command 2: on `web-1`: `shop break` ended with status 1");
    assert_eq!(world.effects(), ["web-1: run [opaque] shop warm", "web-1: run [opaque] shop break"]);
}

#[test]
fn all_are_looked_at_before_the_first_is_run() {
    let world = world();
    let with =
        json!({ "commands": [{ "argv": ["shop", "warm"] }, { "argv": ["shop", "up"], "effect": "change" }] });
    let error = world.run::<UserCommand>(with).expect_err("no undo");
    assert!(error.is(ErrorKind::Invalid));
    assert_eq!(error.message, "command 2: `shop`: an effect of class change needs `undo`");
    assert!(world.calls().is_empty());
}
