use super::*;
use runner_sdk::testing::{Answer, HttpAnswer, World};
use serde_json::{Value, json};

const URL: &str = "http://127.0.0.1:8080/health";

fn world() -> World {
    let world = World::new();
    world.target("web-1").dir("/etc/shop").service("shop", true);
    world
}

fn with(more: Value) -> Value {
    let mut with = json!({ "file": "/etc/shop/shop.conf", "settings": { "port": "8080", "name": "shop" } });
    with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    with
}

#[test]
fn it_writes_the_settings_in_order_and_restarts_only_when_they_are_different() {
    let world = world();
    let with = with(json!({ "unit": "shop" }));

    let outputs = world.run::<Config>(with.clone()).unwrap();
    assert_eq!(outputs["changed"], true);
    assert_eq!(outputs["tries"], 0);
    assert!(outputs["digest"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(world.target("web-1").text("/etc/shop/shop.conf").unwrap(), "name = shop\nport = 8080\n");
    assert_eq!(world.effects(), ["web-1: write /etc/shop/shop.conf", "web-1: service shop restart"]);
    assert!(world.log().iter().any(|line| line.ends_with("`/etc/shop/shop.conf` on `web-1`: 2 settings")));

    assert_eq!(world.run::<Config>(with).unwrap()["changed"], false);
    assert!(world.effects().is_empty());
}

#[test]
fn a_check_that_refuses_the_file_ends_the_step_before_the_restart() {
    let world = world();
    world.target("web-1").answer(&["shop", "--check"], Answer::status(1, "line 2: what port?"));
    let error = world.run::<Config>(with(json!({ "check": ["shop", "--check"], "unit": "shop" }))).unwrap_err();
    assert!(error.is(ErrorKind::CommandFailed), "{error}");
    assert!(error.detail.contains("what port?"), "{error}");
    assert_eq!(world.effects(), ["web-1: write /etc/shop/shop.conf"]);
}

#[test]
fn it_asks_until_the_answer_is_200() {
    let world = world();
    world.secret("health-token", "s3cret");
    world.http("GET", URL, HttpAnswer::error(Error::new(ErrorKind::Unreachable, "refused")));
    world.http("GET", URL, HttpAnswer::status(503)).http("GET", URL, HttpAnswer::status(200));
    let outputs = world.run::<Config>(with(json!({ "health": URL, "token": "health-token" }))).unwrap();
    assert_eq!(outputs["tries"], 3);
    assert_eq!(world.requests().len(), 3);
}

#[test]
fn it_gives_up_and_says_what_it_saw_last() {
    let world = world();
    world.http("GET", URL, HttpAnswer::status(503));
    let error = world.run::<Config>(with(json!({ "health": URL, "tries": 2 }))).unwrap_err();
    assert!(error.is(ErrorKind::Timeout), "{error}");
    assert_eq!(error.message, format!("`{URL}` did not answer 200 (after 2 tries)"));
    assert_eq!(error.detail, "status 503");
}

#[test]
fn what_cannot_become_better_is_handed_on() {
    let world = world();
    let denied = Error::new(ErrorKind::Denied, "no grant covers it").with_detail("http = [\"GET …\"]");
    world.http("GET", URL, HttpAnswer::error(denied.clone()));
    assert_eq!(world.run::<Config>(with(json!({ "health": URL }))).unwrap_err(), denied);
    assert_eq!(world.requests().len(), 1);
}
