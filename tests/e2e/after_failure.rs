//! What a person reads after a run that went wrong, and what happens to who types it.

use crate::support::{Project, version};
use runner_fleet::{Fleet, fleet_or_skip};
use serde_json::Value;

/// The lines of a command below the line that says what it is for.
fn command_below<'a>(said: &'a str, what: &str) -> Vec<&'a str> {
    let mut lines = said.lines().skip_while(|line| !line.contains(what)).skip(1);
    let command = lines.next().unwrap_or_else(|| panic!("nothing is below `{what}`:\n{said}"));
    // None of these has a word that needs quotes, unless it is the pattern.
    command.split_whitespace().map(|word| word.trim_matches('\'')).collect()
}

#[test]
fn a_failure_says_what_is_live_what_is_left_and_the_command_that_goes_on() {
    let fleet = fleet_or_skip!(Fleet::start(4));
    let project = Project::new(&fleet);
    project.release();
    fleet.host(1).answer("/version.txt", "broken").unwrap();
    project.edit_plan("deadline = \"10s\"", "deadline = \"2s\"");
    project.next_version("1.0.1");
    project.lock();
    let arguments = ["exec", "plan.toml", "-e", "fleet", "--limit", "web-[1-3]", "--json"];
    let failed = project.run(&arguments);
    failed.must_say(
        4,
        &[
            "3 of 4 targets, limited by `--limit web-[1-3]`",
            "(new)",
            "(unchanged)",
            "left behind",
            "is laid out in /srv/app/releases/1.0.1-",
            "and not live",
        ],
    );
    assert!(!failed.stderr.contains("web-4"), "it is none of this run's business: {failed}");

    // For programs the same.
    let document: Value = serde_json::from_str(&failed.stdout).unwrap();
    assert_eq!(document["limit"]["pattern"], "web-[1-3]");
    let (first, second) = (&document["targets"][0], &document["targets"][1]);
    assert_eq!((&first["live-known"], &first["live"]), (&Value::Bool(true), &document["release"]));
    assert_eq!(second["live"], second["live-before"]);
    let left = second["left-behind"].as_array().unwrap();
    assert!(left.iter().any(|line| line.as_str().unwrap().contains("not live")), "{left:?}");

    // What it says to type does what it says.
    fleet.host(1).fix_service().unwrap();
    let by_hand = command_below(&failed.stderr, "by hand");
    assert_eq!(project.run(&by_hand[1..]).code, Some(0), "{by_hand:?}");
    let again = command_below(&failed.stderr, "run it again");
    assert_eq!(again[0], "runner");
    let mended = project.run(&again[1..]);
    assert_eq!(mended.code, Some(0), "{again:?}: {mended}");
    let versions: Vec<String> = fleet.hosts().iter().map(version).collect();
    assert_eq!(versions, ["1.0.1", "1.0.1", "1.0.1", "1.0.0"]);
}

#[test]
fn only_the_targets_that_are_not_done_can_be_asked_for() {
    let fleet = fleet_or_skip!(Fleet::start(3));
    let project = Project::new(&fleet);
    project.edit_plan("max-failures = 0", "max-failures = 1");
    fleet.host(2).stop_sshd().unwrap();
    let failed = project.lock_and_exec();
    failed.must_say(5, &["unreachable", "only the targets that are not done", "--limit web-2"]);
    let only = command_below(&failed.stderr, "only the targets that are not done");
    fleet.host(2).start_sshd().unwrap();
    let mended = project.run(&only[1..]);
    assert_eq!(mended.code, Some(0), "{only:?}: {mended}");
    assert!(fleet.hosts().iter().all(|host| version(host) == "1.0.0"));
}

#[test]
fn what_changes_on_many_targets_is_shown_once() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    project.release();
    project.next_version("1.0.1");
    project.lock();
    let arguments =
        ["exec", "plan.toml", "--environment", "fleet", "--diff", "--json", "--events", "events.jsonl"];
    let ran = project.run(&arguments);
    ran.must_say(
        0,
        &[
            "changed on web-1, web-2: symlink /srv/app/current (switch) a link to releases/1.0.0-",
            "changed on web-1, web-2: unpack /srv/app/releases/1.0.1-",
            "new folder: ",
        ],
    );
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    let changes = document["changes"].as_array().unwrap();
    let switch = changes.iter().find(|change| change["step"] == "switch").unwrap();
    assert_eq!(switch["targets"], serde_json::json!(["web-1", "web-2"]));
    let told = ran.events_of("effect").filter(|event| event["difference"]["is"] == "line").count();
    assert!(told >= 4, "two targets, each with a tree and a link: {ran}");
}
