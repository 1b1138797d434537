use super::*;
use runner_sdk::Mark;
use runner_sdk::testing::World;
use runner_sdk::{Error, ErrorKind};
use serde_json::{Value, json};

/// Releases a (good) and b (as marked); b is live; `shop` runs.
fn world(mark: Mark, began_with: &str) -> World {
    let world = World::new();
    world.previous_release(began_with).release_id("b");
    let web = world.target("web-1");
    web.release("/srv/shop", "a", Mark::Good).release("/srv/shop", "b", mark).live("/srv/shop", "b");
    web.service("shop", true);
    world
}

fn run(world: &World, with: Value) -> Option<String> {
    let outputs = world.run::<Restart>(with).expect("fine");
    let reason = outputs["reason"].as_str().map(str::to_owned);
    assert_eq!(outputs["signalled"], reason.is_some());
    assert_eq!(world.effects().len(), usize::from(reason.is_some()));
    reason
}

fn with_root() -> Value {
    json!({ "unit": "shop", "root": "/srv/shop" })
}

#[test]
fn a_release_that_went_live_is_a_reason() {
    let world = world(Mark::Untried, "a");
    assert_eq!(run(&world, with_root()).as_deref(), Some("release `b` went live in this run"));
    assert_eq!(world.effects(), ["web-1: service shop restart"]);
}

#[test]
fn an_unchanged_run_sends_no_signal() {
    let world = world(Mark::Good, "b");
    assert_eq!(run(&world, with_root()), None);
    assert_eq!(world.log(), ["info: no reason to restart `shop`"]);
}

#[test]
fn a_restart_that_an_earlier_run_still_owes_is_not_lost() {
    for mark in [Mark::Bad, Mark::Untried] {
        let world = world(mark, "b");
        let reason = run(&world, with_root());
        assert_eq!(reason.as_deref(), Some("release `b` has not passed its rollout here"));
    }
}

#[test]
fn a_second_attempt_still_knows_that_the_release_went_live() {
    let world = world(Mark::Good, "a");
    world.fail("service", "shop", Error::timeout("it did not come up in 30s"));
    world.run::<Restart>(with_root()).expect_err("failed");
    world.heal();
    assert!(run(&world, with_root()).is_some());
}

#[test]
fn what_earlier_steps_changed_is_a_reason() {
    for (changed, signalled) in
        [(json!(true), true), (json!(false), false), (json!([false, true]), true), (json!([]), false)]
    {
        let world = world(Mark::Good, "b");
        let reason = run(&world, json!({ "unit": "shop", "changed": changed }));
        assert_eq!(reason.is_some(), signalled, "{changed}");
    }
}

#[test]
fn a_unit_that_does_not_run_is_a_reason() {
    let world = world(Mark::Good, "b");
    world.target("web-1").service("shop", false);
    assert_eq!(run(&world, with_root()).as_deref(), Some("it does not run"));
}

#[test]
fn where_nobody_can_tell_it_is_done_in_every_run() {
    let world = world(Mark::Good, "b");
    assert!(run(&world, json!({ "unit": "shop" })).is_some());
    assert!(run(&world, json!({ "unit": "shop", "root": "/srv/shop", "when": "always" })).is_some());
}

#[test]
fn start_and_stop_go_by_the_state() {
    for (active, action, signalled) in
        [(true, "start", false), (false, "start", true), (true, "stop", true), (false, "stop", false)]
    {
        let world = World::new();
        world.target("web-1").service("shop", active);
        let reason = run(&world, json!({ "unit": "shop", "action": action }));
        assert_eq!(reason.is_some(), signalled, "{action} while active is {active}");
    }
}

#[test]
fn a_service_that_does_not_come_up_is_named() {
    let world = world(Mark::Untried, "a");
    world.fail(
        "service",
        "shop",
        Error::timeout("it did not come up in 30s").with_detail("php: syntax error"),
    );
    let error = world.run::<Restart>(with_root()).expect_err("failed");
    assert!(error.is(ErrorKind::Timeout));
    assert_eq!(error.message, "`shop` on `web-1`: restart failed: it did not come up in 30s");
    assert_eq!(error.detail, "php: syntax error");
}

#[test]
fn an_unknown_unit_is_not_found() {
    let error = World::new().run::<Restart>(json!({ "unit": "shpo" })).expect_err("unknown");
    assert!(error.is(ErrorKind::NotFound));
}

#[test]
fn changed_must_be_a_truth_value() {
    let error =
        World::new().run::<Restart>(json!({ "unit": "shop", "changed": "yes" })).expect_err("refused");
    assert!(error.message.contains("true, false, or a list of them"), "{}", error.message);
}
