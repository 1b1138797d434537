use super::*;
use runner_sdk::ErrorKind;
use runner_sdk::testing::{Answer, World};
use serde_json::{Value, json};

const OLD: &str = "1111111111111111111111111111111111111111";
const NEW: &str = "2222222222222222222222222222222222222222";
const HEAD: [&str; 6] = ["git", "--git-dir=/srv/src.git", "rev-parse", "-q", "--verify", "HEAD"];
const STATUS: [&str; 6] = [
    "git",
    "--git-dir=/srv/src.git",
    "--work-tree=/srv/src",
    "status",
    "--porcelain",
    "--untracked-files=no",
];

/// A repository that is at this commit, with these edited files.
fn world(head: Option<&str>, edited: &str) -> World {
    let world = World::new();
    let web = world.target("web-1");
    if head.is_some() {
        web.dir("/srv/src");
    }
    let ok = || Answer::ok("");
    web.answer(&HEAD, head.map_or_else(|| Answer::status(128, "not a git repository"), Answer::ok))
        .answer(&STATUS, Answer::ok(edited))
        .answer(&["git", "init", "-q", "--bare", "--template=", "/srv/src.git"], ok())
        .answer(&["git", "--git-dir=/srv/src.git", "cat-file", "-e", NEW], Answer::status(1, ""))
        .answer(
            &[
                "git",
                "--git-dir=/srv/src.git",
                "fetch",
                "-q",
                "--depth=1",
                "--no-tags",
                "--no-write-fetch-head",
                "--",
                "https://x.org/shop.git",
                NEW,
            ],
            ok(),
        )
        .answer(
            &[
                "git",
                "--git-dir=/srv/src.git",
                "--work-tree=/srv/src",
                "checkout",
                "-q",
                "--force",
                "--detach",
                NEW,
            ],
            ok(),
        );
    world
}

fn run(world: &World, more: Value) -> Result<Value> {
    let mut with = json!({ "repository": "https://x.org/shop.git", "commit": NEW, "to": "/srv/src" });
    for (name, value) in more.as_object().expect("a table") {
        with[name] = value.clone();
    }
    world.run::<GitCheckout>(with)
}

#[test]
fn a_commit_is_fetched_and_checked_out() {
    let world = world(None, "");
    let outputs = run(&world, json!({ "artifact": true })).expect("checked out");
    assert_eq!((&outputs["changed"], &outputs["previous"]), (&json!(true), &Value::Null));
    assert!(outputs["artifact"].as_str().expect("a digest").starts_with("sha256:"));
    assert_eq!(
        world.effects(),
        [
            "web-1: mkdir /srv/src",
            "web-1: run [change] git init -q --bare --template= /srv/src.git",
            &format!(
                "web-1: run [change] git --git-dir=/srv/src.git fetch -q --depth=1 --no-tags --no-write-fetch-head -- https://x.org/shop.git {NEW}"
            ),
            &format!(
                "web-1: run [change] git --git-dir=/srv/src.git --work-tree=/srv/src checkout -q --force --detach {NEW}"
            ),
        ]
    );
    for ran in world.commands() {
        assert_eq!(ran.env["GIT_ALLOW_PROTOCOL"], "file:https:ssh", "{:?}", ran.argv);
    }
}

#[test]
fn a_rollback_goes_back_to_the_commit_before() {
    let world = world(Some(OLD), "");
    assert_eq!(run(&world, json!({})).expect("checked out")["previous"], OLD);
    let last = world.commands().pop().expect("a command");
    assert_eq!(last.undo.expect("an undo").argv.last().map(String::as_str), Some(OLD));
}

#[test]
fn what_is_there_is_left_alone() {
    let world = world(Some(NEW), "");
    assert_eq!(run(&world, json!({})).expect("is there")["changed"], false);
    assert!(world.effects().is_empty());
}

#[test]
fn what_was_changed_by_hand_is_not_overwritten_unless_it_may_be() {
    let edited = " M index.php\n";
    let error = run(&world(Some(OLD), edited), json!({})).expect_err("edited");
    assert!(error.is(ErrorKind::Conflict));
    assert!(error.detail.starts_with(" M index.php\nhint: "), "{}", error.detail);
    let world = self::world(Some(NEW), edited);
    assert_eq!(run(&world, json!({ "discard": true })).expect("discarded")["changed"], false);
    assert_eq!(world.effects().len(), 2, "{:?}", world.effects());
}

#[test]
fn a_folder_with_other_things_is_not_taken() {
    let world = world(None, "");
    world.target("web-1").file("/srv/src/mine", "");
    let error = run(&world, json!({})).expect_err("in the way");
    assert_eq!(error.message, "`/srv/src` on `web-1`: it holds other things");
    assert!(world.effects().is_empty());
}

#[test]
fn a_folder_has_a_name() {
    for to in ["srv", "/srv/src/", "/"] {
        assert!(run(&World::new(), json!({ "to": to })).expect_err(to).is(ErrorKind::Invalid));
    }
}
