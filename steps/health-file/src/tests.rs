use super::*;
use runner_sdk::ErrorKind;
use runner_sdk::testing::World;
use serde_json::{Value, json};

const FILE: &str = "/srv/health/in";

fn world() -> World {
    let world = World::new();
    world.target("web-1").dir("/srv/health");
    world
}

fn with(more: Value) -> Value {
    let mut with = json!({ "path": FILE });
    let more = more.as_object().expect("a table").clone();
    with.as_object_mut().expect("a table").extend(more);
    with
}

fn service(world: &World, params: Value) -> Service {
    world.observe::<HealthFile>(params).expect("a standing").service
}

#[test]
fn the_file_is_there_while_the_target_serves() {
    let world = world();
    assert_eq!(service(&world, with(json!({}))), Service::Out);
    world.join::<HealthFile>(with(json!({ "text": "ok\n", "settle": "2s" }))).expect("joins");
    assert_eq!(world.target("web-1").text(FILE).as_deref(), Some("ok\n"));
    assert_eq!(service(&world, with(json!({}))), Service::In);

    let began = world.now();
    world.leave::<HealthFile>(with(json!({ "drain": "15s" }))).expect("leaves");
    assert_eq!(world.now() - began, 15_000);
    assert_eq!(world.effects(), [format!("web-1: remove {FILE}")]);
    assert_eq!(service(&world, with(json!({}))), Service::Out);
}

#[test]
fn or_while_it_does_not() {
    let (world, out) = (world(), || with(json!({ "present": "out" })));
    assert_eq!(service(&world, out()), Service::In);
    world.leave::<HealthFile>(out()).expect("leaves");
    assert!(world.target("web-1").exists(FILE));
    assert_eq!(service(&world, out()), Service::Out);
    world.join::<HealthFile>(out()).expect("joins");
    assert!(!world.target("web-1").exists(FILE));
}

#[test]
fn what_is_so_already_is_left_alone_and_nothing_is_waited_for() {
    let world = world();
    world.target("web-1").file(FILE, "by somebody else");
    let began = world.now();
    world.join::<HealthFile>(with(json!({ "settle": "1h" }))).expect("is in");
    assert!(world.effects().is_empty());
    assert_eq!(world.target("web-1").text(FILE).as_deref(), Some("by somebody else"));
    world.leave::<HealthFile>(with(json!({ "drain": "1s" }))).expect("leaves");
    world.leave::<HealthFile>(with(json!({ "drain": "1h" }))).expect("is out");
    assert!(world.effects().is_empty());
    assert_eq!(world.now() - began, 1000);
}

#[test]
fn it_is_about_the_target_itself() {
    let world = world();
    world.current("lb").subject("web-1");
    for answer in [
        world.observe::<HealthFile>(with(json!({}))).map(drop),
        world.leave::<HealthFile>(with(json!({}))),
        world.join::<HealthFile>(with(json!({}))),
    ] {
        let error = answer.expect_err("the file would be on the load balancer");
        assert!(error.is(ErrorKind::Invalid) && error.detail.contains("`on`"), "{error}");
    }
    assert!(world.calls().is_empty());
}

#[test]
fn something_else_in_its_place_is_a_conflict() {
    let world = world();
    world.target("web-1").dir(FILE);
    for answer in [
        world.observe::<HealthFile>(with(json!({}))).map(drop),
        world.leave::<HealthFile>(with(json!({}))),
        world.join::<HealthFile>(with(json!({}))),
    ] {
        assert!(answer.expect_err("a folder").is(ErrorKind::Conflict));
    }
    let elsewhere = with(json!({ "path": "/nowhere/in" }));
    assert!(world.join::<HealthFile>(elsewhere).expect_err("no folder").detail.contains("folder"));
}
