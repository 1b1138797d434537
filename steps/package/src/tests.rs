use super::*;
use runner_sdk::testing::World;
use runner_sdk::{Error, ErrorKind};
use serde_json::json;

#[test]
fn a_folder_becomes_an_artifact() {
    let world = World::new();
    world.file("app/index.html", "hello").file("app/error.log", "oh no").file("plan.toml", "");
    let with = json!({ "source": "app", "exclude": ["error.log"] });
    let outputs = world.run::<Package>(with.clone()).expect("packed");
    assert_eq!(outputs, json!({ "artifact": world.tree(&[("index.html", "hello")]), "size": 5 }));
    assert_eq!(world.run::<Package>(with).expect("again"), outputs);
    assert!(world.effects().is_empty());
}

#[test]
fn without_a_source_it_is_the_folder_of_the_plan() {
    let world = World::new();
    world.file("index.html", "hello");
    let outputs = world.run::<Package>(json!({})).expect("packed");
    assert_eq!(outputs["artifact"], world.tree(&[("index.html", "hello")]));
}

#[test]
fn what_is_not_there_is_named() {
    let error = World::new().run::<Package>(json!({ "source": "ap" })).expect_err("missing");
    assert!(error.is(ErrorKind::NotFound));
    assert!(error.message.starts_with("`ap` cannot be packed: "), "{}", error.message);
}

#[test]
fn a_denial_keeps_its_kind_and_its_mend() {
    let world = World::new();
    let denied = Error::new(ErrorKind::Denied, "no grant covers it").with_detail("files = [\"read:app\"]");
    world.file("app/x", "").fail("pack", "app", denied.clone());
    let error = world.run::<Package>(json!({ "source": "app" })).expect_err("denied");
    assert_eq!((error.kind, error.detail), (denied.kind, denied.detail));
}

#[test]
fn an_unknown_parameter_is_refused() {
    let error = World::new().run::<Package>(json!({ "sources": "app" })).expect_err("unknown");
    assert!(error.message.contains("unknown field `sources`"), "{}", error.message);
}
