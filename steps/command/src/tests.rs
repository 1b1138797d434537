use super::*;
use runner_sdk::testing::{Answer, Content, World};
use runner_sdk::{Effect, ErrorKind};
use serde_json::json;

fn world(argv: &[&str], answer: Answer) -> World {
    let world = World::new();
    world.target("web-1").answer(argv, answer);
    world
}

#[test]
fn it_runs_and_gives_out_what_was_printed() {
    let world = world(&["shop", "version"], Answer::ok("4.2\n"));
    let outputs =
        world.run::<RunCommand>(json!({ "argv": ["shop", "version"], "effect": "read" })).expect("runs");
    assert_eq!(outputs, json!({ "status": 0, "stdout": "4.2", "skipped": false, "changed": false }));
    assert!(world.effects().is_empty());
}

#[test]
fn it_is_opaque_unless_the_plan_says_what_it_does() {
    let world = world(&["shop", "tidy"], Answer::ok(""));
    assert_eq!(world.run::<RunCommand>(json!({ "argv": ["shop", "tidy"] })).expect("runs")["changed"], true);
    assert_eq!(world.effects(), ["web-1: run [opaque] shop tidy"]);
}

#[test]
fn everything_reaches_the_command() {
    let world = world(&["shop", "import"], Answer::status(3, ""));
    let with = json!({
        "argv": ["shop", "import"], "effect": "change", "env": { "A": "1" }, "directory": "/srv", "stdin": "rows",
        "timeout": "2m", "accept": [3], "undo": ["shop", "drop"], "repeatable": true,
    });
    assert_eq!(world.run::<RunCommand>(with).expect("runs")["status"], 3);
    let ran = &world.commands()[0];
    assert_eq!((ran.timeout, ran.directory.as_deref(), ran.repeatable), (120_000, Some("/srv"), true));
    assert_eq!((ran.env["A"].as_str(), ran.stdin.clone()), ("1", Some(Content::Text("rows".to_owned()))));
    let undo = ran.undo.as_ref().expect("an undo");
    assert_eq!(
        (undo.argv.join(" "), undo.effect, undo.env["A"].as_str()),
        ("shop drop".to_owned(), Effect::Change, "1")
    );
}

#[test]
fn a_check_that_holds_skips_it() {
    let with = json!({ "argv": ["shop", "up"], "skip-if": ["shop", "is-up"] });
    let world = world(&["shop", "is-up"], Answer::ok(""));
    let outputs = world.run::<RunCommand>(with.clone()).expect("skipped");
    assert_eq!((outputs["skipped"].as_bool(), outputs["changed"].as_bool()), (Some(true), Some(false)));
    assert!(world.effects().is_empty());

    let world = self::world(&["shop", "is-up"], Answer::status(1, ""));
    world.target("web-1").answer(&["shop", "up"], Answer::ok(""));
    assert_eq!(world.run::<RunCommand>(with).expect("runs")["skipped"], false);
    assert_eq!(world.effects(), ["web-1: run [opaque] shop up"]);
}

#[test]
fn what_it_would_create_is_looked_for() {
    let with = json!({ "argv": ["shop", "init"], "creates": "/srv/shop/db" });
    let world = world(&["shop", "init"], Answer::ok(""));
    assert_eq!(world.run::<RunCommand>(with.clone()).expect("runs")["changed"], true);
    world.target("web-1").file("/srv/shop/db", "");
    assert_eq!(world.run::<RunCommand>(with).expect("skipped")["skipped"], true);
    assert!(world.effects().is_empty());
}

#[test]
fn a_failure_names_the_target_and_shows_stderr() {
    let world = world(&["shop", "up"], Answer::status(2, "no database"));
    let error = world.run::<RunCommand>(json!({ "argv": ["shop", "up"] })).expect_err("fails");
    assert!(error.is(ErrorKind::CommandFailed));
    assert_eq!(error.message, "on `web-1`: `shop up` ended with status 2");
    assert_eq!(error.detail, "no database");
}

#[test]
fn a_change_needs_its_undo() {
    for effect in ["change", "leave", "join"] {
        let error =
            World::new().run::<RunCommand>(json!({ "argv": ["shop"], "effect": effect })).expect_err(effect);
        assert_eq!(error.message, format!("`shop`: an effect of class {effect} needs `undo`"));
    }
}

#[test]
fn a_program_that_is_not_there_is_not_found() {
    let error = World::new().run::<RunCommand>(json!({ "argv": ["shpo"] })).expect_err("unknown");
    assert!(error.is(ErrorKind::NotFound));
}

#[test]
fn no_program_at_all_is_refused() {
    let error = World::new().run::<RunCommand>(json!({ "argv": [] })).expect_err("empty");
    assert!(error.is(ErrorKind::Invalid));
}
