use super::*;
use runner_sdk::ErrorKind;
use runner_sdk::testing::{Answer, World};
use serde_json::{Value, json};

const STATE: [&str; 3] = ["lb", "state", "web-1"];
const DRAIN: [&str; 3] = ["lb", "drain", "web-1"];
const ENABLE: [&str; 3] = ["lb", "enable", "web-1"];

fn with(more: Value) -> Value {
    let mut with = json!({ "observe": STATE, "leave": DRAIN, "join": ENABLE });
    with.as_object_mut().expect("a table").extend(more.as_object().expect("a table").clone());
    with
}

/// The answers of `observe`, one after the other; the last one again and again.
fn world(states: &[&str]) -> World {
    let world = World::new();
    world.current("lb").subject("web-1");
    let lb = world.target("lb");
    for state in states {
        lb.answer(&STATE, Answer::ok(state));
    }
    lb.answer(&DRAIN, Answer::ok("")).answer(&ENABLE, Answer::ok(""));
    world
}

#[test]
fn the_first_word_says_how_it_stands() {
    for (word, service) in
        [("in\n", Service::In), ("draining 3 left\n", Service::Draining), ("  out", Service::Out)]
    {
        assert_eq!(world(&[word]).observe::<ClusterCommands>(with(json!({}))), Ok(Standing::of(service)));
    }
    let words = || with(json!({ "words": { "in": ["UP"], "out": ["MAINT", "in"] } }));
    assert_eq!(world(&["UP"]).observe::<ClusterCommands>(words()), Ok(Standing::of(Service::In)));
    assert_eq!(world(&["in"]).observe::<ClusterCommands>(words()), Ok(Standing::of(Service::Out)));
}

#[test]
fn or_its_exit_status() {
    let statuses = || with(json!({ "statuses": { "in": [0], "draining": [2], "out": [3] } }));
    for (status, service) in [(0, Service::In), (2, Service::Draining), (3, Service::Out)] {
        let world = World::new();
        world.current("lb").subject("web-1");
        world.target("lb").answer(&STATE, Answer::status(status, ""));
        assert_eq!(world.observe::<ClusterCommands>(statuses()), Ok(Standing::of(service)), "{status}");
    }
    let world = World::new();
    world.target("web-1").answer(&STATE, Answer::status(1, "no such server"));
    let error = world.observe::<ClusterCommands>(statuses()).expect_err("means nothing");
    assert!(error.is(ErrorKind::CommandFailed) && error.detail.contains("no such server"), "{error}");
}

#[test]
fn what_means_nothing_is_an_error_and_changes_nothing() {
    for word in ["", "\n", "up", "In", "out,", "\u{1b}[2J", "inn", &"x".repeat(100_000)] {
        let world = world(&[word]);
        let error = world.leave::<ClusterCommands>(with(json!({}))).expect_err(word);
        assert!(error.message.contains("means nothing") && error.message.len() < 300, "{error}");
        assert!(!error.message.contains('\u{1b}') && world.effects().is_empty());
    }
    let both = with(json!({ "words": { "in": ["a"], "out": ["b"] }, "statuses": { "in": [0], "out": [1] } }));
    assert!(world(&["a"]).observe::<ClusterCommands>(both).expect_err("both").is(ErrorKind::Invalid));
    let twice = with(json!({ "words": { "in": ["a"], "out": ["a"] } }));
    assert!(world(&["a"]).observe::<ClusterCommands>(twice).expect_err("twice").is(ErrorKind::Invalid));
    let none = with(json!({ "observe": [] }));
    assert!(world(&["in"]).observe::<ClusterCommands>(none).expect_err("no program").is(ErrorKind::Invalid));
}

#[test]
fn it_leaves_and_waits_until_it_is_out() {
    let world = world(&["in", "draining", "draining", "out"]);
    let began = world.now();
    world.leave::<ClusterCommands>(with(json!({}))).expect("leaves");
    assert_eq!(world.effects(), ["lb: run [leave] lb drain web-1"]);
    assert_eq!(world.now() - began, 2000);
    let undo = world.commands().into_iter().find_map(|command| command.undo).expect("its undo");
    assert_eq!((undo.argv, undo.effect), (ENABLE.map(str::to_owned).to_vec(), Effect::Join));
    world.leave::<ClusterCommands>(with(json!({}))).expect("is out");
    assert!(world.effects().is_empty());
}

#[test]
fn who_does_not_get_out_is_put_back() {
    let world = world(&["in", "draining"]);
    let error =
        world.leave::<ClusterCommands>(with(json!({ "timeout": "3s" }))).expect_err("drains for ever");
    assert!(error.is(ErrorKind::Timeout), "{error}");
    assert_eq!(world.effects(), ["lb: run [leave] lb drain web-1", "lb: run [join] lb enable web-1"]);
}

#[test]
fn it_joins_and_waits_until_it_is_in() {
    let world = world(&["out", "out", "in"]);
    world.join::<ClusterCommands>(with(json!({}))).expect("joins");
    assert_eq!(world.effects(), ["lb: run [join] lb enable web-1"]);
    world.join::<ClusterCommands>(with(json!({}))).expect("is in");
    assert!(world.effects().is_empty());

    let world = self::world(&["out"]);
    let error =
        world.join::<ClusterCommands>(with(json!({ "healthy-within": "2s" }))).expect_err("stays out");
    assert!(error.is(ErrorKind::Timeout) && error.message.contains("in service within 2s"), "{error}");
}
