use super::*;
use runner_sdk::testing::World;
use runner_sdk::{Error, ErrorKind};
use serde_json::{Value, json};

/// Releases in the order in which they were laid out; the live one.
fn world(releases: &[(&str, Mark)], live: &str) -> World {
    let world = World::new();
    let web = world.target("web-1");
    for (id, mark) in releases {
        web.release("/srv/shop", id, *mark);
        web.file(&format!("/srv/shop/releases/{id}/index.php"), id);
    }
    web.live("/srv/shop", live);
    world
}

fn prune(world: &World, keep: u32) -> Value {
    world.run::<Prune>(json!({ "root": "/srv/shop", "keep": keep })).expect("pruned")
}

#[test]
fn the_newest_good_releases_stay() {
    use Mark::Good;
    let world = world(&[("a", Good), ("b", Good), ("c", Good), ("d", Good)], "d");
    assert_eq!(prune(&world, 2), json!({ "removed": ["a", "b"], "kept": ["c", "d"] }));
    assert_eq!(
        world.effects(),
        ["web-1: remove-tree /srv/shop/releases/a", "web-1: remove-tree /srv/shop/releases/b"]
    );
    assert_eq!(world.target("web-1").names("/srv/shop/releases"), ["c", "d"]);
}

#[test]
fn a_second_run_changes_nothing() {
    let world = world(&[("a", Mark::Good), ("b", Mark::Good), ("c", Mark::Good)], "c");
    assert_eq!(prune(&world, 1)["removed"], json!(["a"]));
    assert_eq!(prune(&world, 1)["removed"], json!([]));
    assert!(world.effects().is_empty());
}

#[test]
fn failed_releases_never_push_out_a_good_one() {
    use Mark::{Bad, Good};
    let world = world(&[("a", Good), ("b", Bad), ("c", Bad), ("d", Bad), ("e", Good)], "e");
    assert_eq!(prune(&world, 2), json!({ "removed": ["b", "c", "d"], "kept": ["a", "e"] }));
}

#[test]
fn the_live_release_stays_whatever_its_mark_and_age_and_so_does_the_one_before() {
    use Mark::{Bad, Good};
    let world = world(&[("a", Good), ("b", Good), ("c", Good), ("d", Good)], "b");
    assert_eq!(prune(&world, 1), json!({ "removed": ["c"], "kept": ["a", "b", "d"] }));

    let world = self::world(&[("a", Good), ("b", Bad)], "b");
    assert_eq!(prune(&world, 1)["kept"], json!(["a", "b"]));
}

#[test]
fn the_live_release_takes_a_place_before_it_is_marked_good() {
    use Mark::{Bad, Good, Untried};
    let world = world(&[("a", Good), ("b", Good), ("c", Good), ("d", Untried)], "d");
    world.release_id("d").previous_release("c");
    assert_eq!(prune(&world, 3), json!({ "removed": ["a"], "kept": ["b", "c", "d"] }));
    // The one before stays, also when there is but one place.
    assert_eq!(prune(&world, 1), json!({ "removed": ["b"], "kept": ["c", "d"] }));

    // One that was marked bad takes no place from a good one.
    let world = self::world(&[("a", Good), ("b", Good), ("c", Bad)], "c");
    assert_eq!(prune(&world, 2)["kept"], json!(["a", "b", "c"]));
}

#[test]
fn what_waits_for_its_switch_stays_and_what_was_passed_over_goes() {
    use Mark::{Good, Untried};
    let world = world(&[("a", Untried), ("b", Good), ("c", Untried)], "b");
    assert_eq!(prune(&world, 1), json!({ "removed": ["a"], "kept": ["b", "c"] }));
}

#[test]
fn the_releases_of_this_run_stay() {
    use Mark::{Bad, Good};
    let world = world(&[("a", Bad), ("b", Bad), ("c", Good)], "c");
    world.release_id("b").previous_release("a");
    assert!(prune(&world, 1)["removed"].as_array().expect("a list").is_empty());
}

#[test]
fn other_folders_are_left_alone() {
    let world = world(&[("a", Mark::Good)], "a");
    world.target("web-1").dir("/srv/shop/releases/by-hand");
    prune(&world, 1);
    assert_eq!(world.target("web-1").names("/srv/shop/releases"), ["a", "by-hand"]);
}

#[test]
fn a_current_that_is_no_link_stops_it() {
    let world = world(&[("a", Mark::Good), ("b", Mark::Good)], "b");
    world.target("web-1").dir("/srv/shop/current");
    let error = world.run::<Prune>(json!({ "root": "/srv/shop", "keep": 1 })).expect_err("which is live?");
    assert!(error.is(ErrorKind::Conflict));
    assert!(world.effects().is_empty());
}

#[test]
fn a_release_that_cannot_be_removed_is_named() {
    let world = world(&[("a", Mark::Good), ("b", Mark::Good), ("c", Mark::Good)], "c");
    world.fail("remove-tree", "/srv/shop", Error::other("permission denied"));
    let error = world.run::<Prune>(json!({ "root": "/srv/shop", "keep": 1 })).expect_err("failed");
    assert_eq!(error.message, "release `a` is not removed: permission denied");
}
