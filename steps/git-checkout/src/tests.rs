use super::*;
use runner_sdk::ErrorKind;
use runner_sdk::testing::{Answer, World};
use serde_json::{Value, json};

const OLD: &str = "1111111111111111111111111111111111111111";
const NEW: &str = "2222222222222222222222222222222222222222";

fn git(words: &str) -> Vec<String> {
    let all = format!("git --no-optional-locks -c core.fsmonitor=false -c core.hooksPath=/dev/null {words}");
    all.split(' ').map(str::to_owned).collect()
}

fn check_out(how: &str) -> Vec<String> {
    git(&format!("--git-dir=/srv/src.git --work-tree=/srv/src checkout -q {how} --detach {NEW}"))
}

/// A folder with a repository that is at this commit, with these edited files and others. No commit: there is neither.
fn world(head: Option<&str>, edited: &str, others: &str) -> World {
    let world = World::new();
    let web = world.target("web-1");
    let answer = |argv: Vec<String>, answer: Answer| {
        web.answer(&argv.iter().map(String::as_str).collect::<Vec<_>>(), answer);
    };
    web.dir("/srv");
    if let Some(head) = head {
        web.file("/srv/src.git/HEAD", head).file("/srv/src/index.php", "");
        answer(git("--git-dir=/srv/src.git rev-parse -q --verify HEAD"), Answer::ok(head));
    }
    let status = "--git-dir=/srv/src.git --work-tree=/srv/src status --porcelain";
    answer(git(&format!("{status} --untracked-files=no")), Answer::ok(edited));
    answer(git(&format!("{status} --untracked-files=all --ignored")), Answer::ok(others));
    answer(git("init -q --bare --template= /srv/src.git"), Answer::ok(""));
    let fetch =
        "--git-dir=/srv/src.git fetch -q --depth=1 --no-tags --no-write-fetch-head -- https://x.org/shop.git";
    answer(git(&format!("{fetch} {NEW}")), Answer::ok(""));
    for how in ["--force", "--no-overwrite-ignore"] {
        answer(check_out(how), Answer::ok(""));
    }
    // `init` is only an answer here: what it would have made must be there for what is written into it.
    web.dir("/srv/src.git");
    world
}

fn run(world: &World, more: Value) -> Result<Value> {
    let mut with = json!({ "repository": "https://x.org/shop.git", "commit": NEW, "to": "/srv/src" });
    for (name, value) in more.as_object().expect("a table") {
        with[name] = value.clone();
    }
    world.run::<GitCheckout>(with)
}

/// The commands that changed something: their words behind the options.
fn changes(world: &World) -> Vec<String> {
    let ran = world.effects().into_iter();
    let words = |effect: String| {
        Some(effect.split_once("hooksPath=/dev/null ")?.1.replace("--git-dir=/srv/src.git ", ""))
    };
    ran.filter_map(words).collect()
}

#[test]
fn a_commit_is_fetched_and_checked_out() {
    let world = world(None, "", "");
    let outputs = run(&world, json!({ "artifact": true })).expect("checked out");
    assert_eq!((&outputs["changed"], &outputs["previous"]), (&json!(true), &Value::Null));
    assert!(outputs["artifact"].as_str().expect("a digest").starts_with("sha256:"));
    assert_eq!(
        changes(&world),
        [
            "init -q --bare --template= /srv/src.git".to_owned(),
            format!("fetch -q --depth=1 --no-tags --no-write-fetch-head -- https://x.org/shop.git {NEW}"),
            format!("--work-tree=/srv/src checkout -q --force --detach {NEW}"),
        ]
    );
    let attributes = world.target("web-1").text("/srv/src.git/info/attributes").expect("written");
    assert_eq!(attributes, "* -text -filter -ident -working-tree-encoding\n");
    for ran in world.commands() {
        assert_eq!(ran.env["GIT_ALLOW_PROTOCOL"], "file:https:ssh", "{:?}", ran.argv);
    }
    let undo = world
        .commands()
        .iter()
        .find(|ran| ran.argv.contains(&"checkout".to_owned()))
        .and_then(|ran| ran.undo.clone());
    assert_eq!(undo.expect("an undo").argv, ["rm", "-rf", "--", "/srv/src"]);
}

#[test]
fn a_rollback_goes_back_to_the_commit_before() {
    let world = world(Some(OLD), "", "");
    assert_eq!(run(&world, json!({})).expect("checked out")["previous"], OLD);
    let last = world.commands().pop().expect("a command");
    assert_eq!(last.argv, check_out("--no-overwrite-ignore"), "what somebody added is not overwritten");
    assert_eq!(last.undo.expect("an undo").argv.last().map(String::as_str), Some(OLD));
}

#[test]
fn what_is_there_is_left_alone() {
    let world = world(Some(NEW), "", "");
    assert_eq!(run(&world, json!({})).expect("is there")["changed"], false);
    assert!(world.effects().is_empty());
}

#[test]
fn what_was_changed_by_hand_is_not_overwritten_unless_it_may_be() {
    let edited = " M index.php\n";
    let error = run(&world(Some(OLD), edited, ""), json!({})).expect_err("edited");
    assert!(error.is(ErrorKind::Conflict));
    assert!(error.detail.starts_with(" M index.php\nhint: "), "{}", error.detail);
    let world = self::world(Some(NEW), edited, "");
    assert_eq!(run(&world, json!({ "discard": true })).expect("discarded")["changed"], false);
    assert_eq!(world.commands().pop().expect("a command").argv, check_out("--force"));
}

#[test]
fn a_checkout_that_was_interrupted_is_done_again() {
    // A repository without a commit, and files that are no longer all of them.
    let world = world(Some(""), "", "");
    assert_eq!(run(&world, json!({})).expect("checked out")["changed"], true);
    assert_eq!(world.commands().pop().expect("a command").argv, check_out("--force"));
    // Files of two commits are nobody's edits.
    let world = self::world(Some(OLD), " M index.php", "");
    world.target("web-1").file("/srv/src.git/info/checking-out", NEW);
    assert_eq!(run(&world, json!({})).expect("checked out")["changed"], true);
    assert_eq!(world.commands().pop().expect("a command").argv, check_out("--force"));
    assert!(!world.target("web-1").exists("/srv/src.git/info/checking-out"));
    // And a folder that somebody took away.
    let world = self::world(Some(NEW), " D index.php", "");
    world.target("web-1").dir("/srv/src");
    let gone = World::clone(&world);
    gone.enter(|| Target::current().remove_tree("/srv/src")).expect("removed");
    assert_eq!(run(&gone, json!({})).expect("checked out")["changed"], false);
    assert_eq!(gone.commands().pop().expect("a command").argv, check_out("--force"));
}

#[test]
fn an_artifact_is_the_commit_alone() {
    let world = world(Some(NEW), "", "?? .env\n");
    let error = run(&world, json!({ "artifact": true })).expect_err("another file");
    assert_eq!(error.message, "`/srv/src` on `web-1` has files that are not of the commit");
    assert!(error.detail.starts_with("?? .env\nhint: "), "{}", error.detail);
    assert_eq!(run(&world, json!({})).expect("no artifact")["artifact"], Value::Null);
}

#[test]
fn a_folder_with_other_things_is_not_taken() {
    let world = world(None, "", "");
    world.target("web-1").file("/srv/src/mine", "");
    let error = run(&world, json!({})).expect_err("in the way");
    assert_eq!(error.message, "`/srv/src` on `web-1`: it holds other things");
    assert!(world.effects().is_empty());
}
