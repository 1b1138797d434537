use super::*;
use runner_sdk::ErrorKind;
use runner_sdk::testing::World;
use serde_json::json;

/// Releases a and b are good, b is live, c is new.
fn world() -> World {
    let world = World::new();
    world.release_id("c").previous_release("b");
    let web = world.target("web-1");
    web.release("/srv/shop", "a", Mark::Good).release("/srv/shop", "b", Mark::Good);
    web.release("/srv/shop", "c", Mark::Untried).live("/srv/shop", "b");
    world
}

#[test]
fn the_release_of_the_run_becomes_live() {
    let world = world();
    let outputs = world.run::<Switch>(json!({ "root": "/srv/shop" })).expect("switched");
    assert_eq!(outputs, json!({ "release": "c", "previous": "b", "changed": true }));
    assert_eq!(world.effects(), ["web-1: symlink /srv/shop/current -> releases/c"]);
    assert_eq!(world.target("web-1").points_to("/srv/shop/current").as_deref(), Some("releases/c"));
}

#[test]
fn what_is_live_already_changes_nothing() {
    let world = world();
    let outputs = world.run::<Switch>(json!({ "root": "/srv/shop", "release": "b" })).expect("fine");
    assert_eq!(outputs, json!({ "release": "b", "previous": "b", "changed": false }));
    assert!(world.effects().is_empty());
}

#[test]
fn the_first_release_has_none_before_it() {
    let world = World::new();
    world.target("web-1").release("/srv/shop", "a", Mark::Untried);
    let outputs = world.run::<Switch>(json!({ "root": "/srv/shop", "release": "a" })).expect("switched");
    assert_eq!(outputs["previous"], json!(null));
}

#[test]
fn previous_is_the_good_one_before_and_stays_it_in_a_second_attempt() {
    let world = world();
    let back = json!({ "root": "/srv/shop", "release": "previous" });
    assert_eq!(world.run::<Switch>(back.clone()).expect("back")["release"], "a");
    let again = world.run::<Switch>(back).expect("again");
    assert_eq!((again["release"].as_str(), again["changed"].as_bool()), (Some("a"), Some(false)));
}

#[test]
fn previous_passes_over_bad_releases_and_says_when_there_is_none() {
    let world = World::new();
    world.previous_release("b");
    let web = world.target("web-1");
    web.release("/srv/shop", "a", Mark::Bad).release("/srv/shop", "b", Mark::Good).live("/srv/shop", "b");
    let error = world.run::<Switch>(json!({ "root": "/srv/shop", "release": "previous" })).expect_err("none");
    assert!(error.is(ErrorKind::NotFound));
    assert_eq!(error.message, "`web-1` has no good release before `b`");
}

#[test]
fn a_release_that_is_not_there_is_refused() {
    let world = world();
    let error = world.run::<Switch>(json!({ "root": "/srv/shop", "release": "d" })).expect_err("missing");
    assert_eq!(error.message, "release `d` is not on `web-1`: no folder `/srv/shop/releases/d`");
    assert!(world.effects().is_empty());
}

#[test]
fn an_id_cannot_leave_the_releases() {
    for id in ["../etc", "", "-x", ".hidden", "a/b"] {
        let error = world().run::<Switch>(json!({ "root": "/srv/shop", "release": id })).expect_err(id);
        assert!(error.is(ErrorKind::Invalid), "{id}");
    }
}

#[test]
fn a_folder_in_the_place_of_current_is_left_alone() {
    let world = World::new();
    world.target("web-1").release("/srv/shop", "a", Mark::Untried).dir("/srv/shop/current");
    let error = world.run::<Switch>(json!({ "root": "/srv/shop", "release": "a" })).expect_err("in the way");
    assert!(error.is(ErrorKind::Conflict));
    assert_eq!(error.message, "`/srv/shop/current` on `web-1` is a folder");
}

#[test]
fn a_denial_is_handed_on_with_what_was_meant() {
    let world = world();
    world.fail(
        "symlink",
        "/srv/shop",
        Error::new(ErrorKind::Denied, "no grant covers it").with_detail("ssh = []"),
    );
    let error = world.run::<Switch>(json!({ "root": "/srv/shop" })).expect_err("denied");
    assert!(error.is(ErrorKind::Denied));
    assert_eq!(error.message, "release `c` is not live: no grant covers it");
    assert_eq!(error.detail, "ssh = []");
}

#[test]
fn a_plan_without_a_release_must_say_which() {
    let world = World::new();
    let error = world.run::<Switch>(json!({ "root": "/srv/shop" })).expect_err("which?");
    assert!(error.is(ErrorKind::Invalid));
}
