use super::*;
use runner_sdk::testing::{Answer, World};
use serde_json::{Value, json};

/// The command with `bwrap`, in which some words come before `-- env`.
fn isolated(more: &[&str], variables: &[&str]) -> Vec<String> {
    let grant = surroundings::GRANTS[2];
    let words =
        grant.strip_prefix("exec-change:").and_then(|rest| rest.strip_suffix("-- env ${env...} ${argv...}"));
    let words = words.expect("the grant").replace("${folder}", "/var/tmp/b");
    let words = words.split_whitespace().chain(more.iter().copied()).chain(["--", "env"]);
    words.chain(variables.iter().copied()).chain(["make", "all"]).map(str::to_owned).collect()
}

/// The command without it.
fn bare() -> Vec<String> {
    ["env", "-C", "/var/tmp/b/work", "make", "all"].map(str::to_owned).to_vec()
}

fn world(argv: &[String], answer: Answer) -> World {
    let world = World::new();
    world.file("app/main.c", "int main;").file("app/.env", "x");
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    world.target("web-1").dir("/var/tmp").answer(&argv, answer);
    world
}

fn run(world: &World, more: Value) -> Result<Value> {
    let mut with =
        json!({ "source": "app", "argv": ["make", "all"], "folder": "/var/tmp/b", "exclude": [".env"] });
    for (name, value) in more.as_object().expect("a table") {
        with[name] = value.clone();
    }
    world.run::<Build>(with)
}

#[test]
fn a_copy_is_built_with_nothing_else_in_reach() {
    let world = world(&isolated(&[], &["A=1"]), Answer::ok(""));
    let argv = isolated(&[], &["A=2"]);
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    world.target("web-1").fact("has:bwrap", "true").answer(&argv, Answer::ok(""));
    let outputs = run(&world, json!({ "env": { "A": "1" } })).expect("built");
    assert_eq!((&outputs["built"], &outputs["isolated"]), (&json!(true), &json!(true)));
    // What the plan sets is for the build, and not for `bwrap`.
    assert!(world.commands()[0].env.is_empty());
    let web = world.target("web-1");
    assert_eq!(web.text("/var/tmp/b/work/main.c").as_deref(), Some("int main;"));
    assert!(!web.exists("/var/tmp/b/work/.env"));

    // The same again is there already; anything else is built anew.
    let again = run(&world, json!({ "env": { "A": "1" } })).expect("is there");
    assert_eq!((&again["built"], &again["artifact"]), (&json!(false), &outputs["artifact"]));
    assert!(world.effects().is_empty(), "{:?}", world.effects());
    web.file("/var/tmp/b/work/left.o", "");
    assert_eq!(run(&world, json!({ "env": { "A": "2" } })).expect("built")["built"], true);
    assert!(!web.exists("/var/tmp/b/work/left.o"));
}

#[test]
fn a_result_that_is_not_what_was_built_is_built_anew() {
    let world = world(&bare(), Answer::ok(""));
    let web = world.target("web-1");
    let first = run(&world, json!({})).expect("built");
    for (path, text) in [("/var/tmp/b/work/main.c", "by hand"), ("/var/tmp/b/built.json", "{}")] {
        web.file(path, text);
        let again = run(&world, json!({})).expect("built");
        assert_eq!((&again["built"], &again["artifact"]), (&json!(true), &first["artifact"]), "{path}");
    }
    assert_eq!(run(&world, json!({ "result": "main.c" })).expect("another result")["built"], true);
}

#[test]
fn more_is_shared_when_the_plan_says_so() {
    let world = world(&isolated(&["--ro-bind-try", "/opt", "/opt", "--share-net"], &[]), Answer::ok(""));
    world.target("web-1").fact("has:bwrap", "true");
    run(&world, json!({ "share": "net", "programs": "opt" })).expect("built");
}

#[test]
fn without_bubblewrap_it_has_a_home_of_its_own_or_is_refused() {
    let world = world(&bare(), Answer::ok(""));
    let error = run(&world, json!({ "isolation": "required" })).expect_err("refused");
    assert_eq!(error.message, "there is no `bwrap` on `web-1`, and `isolation` is required");
    assert!(world.effects().is_empty());
    assert_eq!(run(&world, json!({})).expect("built")["isolated"], false);
    let ran = &world.commands()[0];
    assert_eq!(ran.env["HOME"], "/var/tmp/b/home");
    assert!(world.log()[0].starts_with("warn: without `bwrap`"), "{:?}", world.log());
}

#[test]
fn a_build_that_fails_is_run_again_next_time() {
    let world = world(&bare(), Answer::status(2, "main.c:1: error"));
    world.target("web-1").answer(&["env", "-C", "/var/tmp/b/work", "make", "all"], Answer::ok(""));
    let error = run(&world, json!({})).expect_err("fails");
    assert_eq!(error.message, "the build on `web-1`: `env -C /var/tmp/b/work make all` ended with status 2");
    assert_eq!(run(&world, json!({})).expect("built")["built"], true);
}

#[test]
fn the_result_is_inside_of_what_was_built() {
    let world = world(&bare(), Answer::ok(""));
    for result in ["..", "/etc", "a/../../b", "a//b"] {
        let error = run(&world, json!({ "result": result })).expect_err(result);
        assert!(error.is(ErrorKind::Invalid), "{result}: {}", error.message);
    }
    let error = run(&world, json!({ "result": "dist" })).expect_err("nothing there");
    assert!(error.message.starts_with("the result of the build, `dist`: "), "{}", error.message);
}

#[test]
fn an_artifact_is_built_as_well() {
    let world = world(&bare(), Answer::ok(""));
    let artifact = world.tree(&[("main.c", "int other;")]);
    let with = json!({ "artifact": artifact, "argv": ["make", "all"], "folder": "/var/tmp/b" });
    world.run::<Build>(with).expect("built");
    assert_eq!(world.target("web-1").text("/var/tmp/b/work/main.c").as_deref(), Some("int other;"));
}
