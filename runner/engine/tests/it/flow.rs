//! The way of targets through phases and batches.

use crate::fake::{Act, Fake, once, play, step, targets, usual};
use runner_model::{Event, Phase, Schedule, TargetEnd, Verdict};

#[test]
fn a_target_goes_on_as_soon_as_its_own_step_is_done() {
    let mut schedule = usual(&[&["a", "b"]], 0);
    schedule.steps.insert(2, step(Phase::Stage, "link", &["a", "b"]));
    let fake = Fake::default().on("send", "a", [Act::Pass(1000)]).on("switch", "b", [Act::Pass(1000)]);
    let played = play(&schedule, fake, &[]);
    assert!(played.at("- link b") < played.at("- send a"), "in the stage");
    assert!(played.at("+ switch b") >= played.at("- link a"), "a phase ends when all are through");
    assert!(played.at("- test a") < played.at("- switch b"), "in the rollout");
    assert_eq!(played.report.verdict, Verdict::Done);
    assert_eq!(played.ends(), ["done", "done"]);
}

#[test]
fn batches_run_one_after_another() {
    let played = play(&usual(&[&["a"], &["b", "c"]], 0), Fake::default(), &[]);
    assert_eq!(
        played.lines(),
        [
            "prepare",
            "+ package localhost",
            "up a",
            "up b",
            "up c",
            "- package localhost",
            "stage",
            "+ send a",
            "+ send b",
            "+ send c",
            "- send a",
            "- send b",
            "- send c",
            "rollout",
            "batch 1",
            "+ switch a",
            "- switch a",
            "+ test a",
            "- test a",
            "batch 2",
            "+ switch b",
            "+ switch c",
            "- switch b",
            "+ test b",
            "- switch c",
            "+ test c",
            "- test b",
            "- test c",
            "finish",
            "+ tell localhost",
            "- tell localhost",
            "always",
            "+ clean localhost",
            "- clean localhost",
        ]
    );
}

#[test]
fn connections_are_opened_beside_prepare() {
    let fake = Fake::default().link("a", Act::Pass(80)).on("package", "localhost", [Act::Pass(100)]);
    let played = play(&usual(&[&["a"]], 0), fake, &[]);
    assert_eq!(played.at("up a"), 80);
    assert_eq!(played.at("+ send a"), 100);
}

#[test]
fn nothing_is_done_to_any_target_before_all_that_answer_are_locked() {
    let played = play(&usual(&[&["a", "b"]], 0), Fake::default().link("a", Act::Pass(500)), &[]);
    assert!(played.at("up a") < played.at("+ send b"));
    assert!(played.at("- package localhost") < played.at("up a"), "what is done here needs no lock");
    assert!(played.at("batch 1") >= played.at("- send a"));
}

#[test]
fn connections_are_not_opened_all_at_once() {
    let names: Vec<String> = (0..200).map(|number| format!("t{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let played = play(&usual(&[&names], 0), Fake::default(), &[]);
    assert_eq!(played.report.verdict, Verdict::Done);
    assert_eq!(played.fake.connecting.lock().unwrap().1, 32);
}

#[test]
fn a_target_sees_outputs_of_steps_that_ran_once_and_its_own() {
    let played = play(&usual(&[&["a"], &["b"]], 0), Fake::default(), &[]);
    assert_eq!(played.fake.handed("switch", "b"), [r#"package="localhost""#, r#"send="b""#]);
    assert_eq!(played.fake.handed("tell", "localhost"), [r#"package="localhost""#]);
}

#[test]
fn a_step_that_runs_once_in_the_rollout_runs_in_the_flow_of_its_target_and_the_others_wait() {
    let mut schedule = usual(&[&["a", "b"], &["c"]], 0);
    schedule.steps.insert(3, once(Phase::Rollout, "migrate", "b"));
    let fake = Fake::default().on("switch", "b", [Act::Pass(100)]).on("migrate", "b", [Act::Pass(50)]);
    let played = play(&schedule, fake, &[]);
    assert!(played.at("+ migrate b") >= played.at("- switch b"));
    assert!(played.at("+ test a") >= played.at("- migrate b"));
    assert_eq!(played.lines().iter().filter(|line| *line == "+ migrate b").count(), 1);
    assert_eq!(played.ends(), ["done", "done", "done"]);
    assert_eq!(played.fake.handed("test", "c").first().unwrap(), r#"migrate="b""#);
}

#[test]
fn a_step_that_runs_once_elsewhere_is_run_by_the_first_target_that_comes_to_it() {
    let mut schedule = usual(&[&["a", "b"]], 0);
    schedule.steps.insert(3, once(Phase::Rollout, "migrate", "db"));
    let fake = Fake::default().on("switch", "b", [Act::Pass(100)]);
    let played = play(&schedule, fake, &[]);
    assert!(played.at("+ migrate db") < played.at("- switch b"));
    assert!(played.told("up db"), "its target is connected to");
    assert_eq!(played.ends(), ["done", "done", "done"]);
}

#[test]
fn phases_of_only_steps_that_run_once_need_no_target() {
    let schedule = Schedule {
        targets: targets(&["localhost"]),
        batches: vec![targets(&["localhost"])],
        steps: vec![
            once(Phase::Stage, "one", "localhost"),
            once(Phase::Rollout, "two", "localhost"),
            once(Phase::Finish, "three", "localhost"),
        ],
        release: false,
        ..usual(&[], 0)
    };
    let played = play(&schedule, Fake::default(), &[]);
    assert!(
        played.told("- one localhost") && played.told("- two localhost") && played.told("- three localhost")
    );
    assert_eq!(played.report.verdict, Verdict::Done);
    assert_eq!(*played.end("localhost"), TargetEnd::Done);
}

#[test]
fn targets_of_another_role_have_their_part_in_the_rollout_last() {
    let mut schedule = usual(&[&["a"]], 0);
    schedule.steps.push(step(Phase::Rollout, "reload", &["lb"]));
    let played = play(&schedule, Fake::default(), &[]);
    assert!(played.at("+ reload lb") >= played.at("- test a"));
    assert_eq!(played.ends(), ["done", "done"]);
}

#[test]
fn the_release_is_named_once_and_what_is_live_is_told() {
    let played = play(&usual(&[&["a", "b"]], 0), Fake::default(), &[]);
    let named =
        played.events.iter().filter(|stamped| matches!(stamped.event, Event::ReleaseNamed { .. })).count();
    assert_eq!(named, 1);
    let new = Some("new".parse().unwrap());
    assert!(played.report.targets.iter().all(|report| report.live == new && report.live_known));
}
