//! Signals.

use crate::fake::{Act, Fake, play, retried, step, usual};
use runner_engine::Signal;
use runner_model::{FailureKind, Phase, Verdict};

const INTERRUPT: Signal = Signal::Interrupt;

#[test]
fn after_the_first_signal_the_running_step_ends_and_nothing_begins_but_always() {
    let fake = Fake::default().on("switch", "a", [Act::Pass(1000)]);
    let played = play(&usual(&[&["a"], &["b"]], 0), fake, &[(100, INTERRUPT)]);
    assert!(played.told("- switch a") && !played.told("+ test a") && !played.told("finish"));
    assert!(played.told("- clean localhost"));
    assert_eq!(played.ends(), ["stopped", "untouched"]);
    assert_eq!(played.report.verdict, Verdict::Interrupted);
    assert_eq!(played.report.targets[0].live, Some("new".parse().unwrap()));
}

#[test]
fn a_target_whose_last_step_ends_in_time_is_done() {
    let fake = Fake::default().on("test", "a", [Act::Pass(1000)]);
    let played = play(&usual(&[&["a"], &["b"]], 0), fake, &[(100, INTERRUPT)]);
    assert_eq!(played.ends(), ["done", "untouched"]);
    assert_eq!(played.fake.marks.lock().unwrap().len(), 1);
}

#[test]
fn a_step_that_does_not_end_in_time_is_cut() {
    let fake = Fake::default().on("switch", "a", [Act::Pass(90_000)]);
    let played = play(&usual(&[&["a"]], 0), fake, &[(100, Signal::Terminate)]);
    assert_eq!(played.at("c switch a"), 30_101);
    assert_eq!(played.ends(), ["stopped switch"]);
    assert_eq!(played.report.verdict, Verdict::Terminated);

    let fake = Fake::default().on("switch", "a", [Act::Deaf]);
    let played = play(&usual(&[&["a"]], 0), fake, &[(100, INTERRUPT)]);
    assert_eq!(played.at("c switch a"), 40_100);
    assert!(played.told("- clean localhost"));
}

#[test]
fn the_second_signal_stops_all_of_it_now() {
    for (act, ended) in [(Act::Pass(90_000), 201), (Act::Deaf, 2200)] {
        let fake = Fake::default().on("switch", "a", [act]);
        let played = play(&usual(&[&["a"]], 0), fake, &[(100, INTERRUPT), (200, Signal::Terminate)]);
        assert_eq!(played.at("c switch a"), ended);
        assert!(!played.told("always"), "`always` neither");
        assert_eq!(played.ends(), ["stopped switch"]);
        assert_eq!(played.report.verdict, Verdict::Interrupted, "the first one names it");
        assert_eq!(played.report.targets[0].live, None, "nobody knows");
        assert!(!played.report.targets[0].live_known);
    }
}

#[test]
fn the_second_signal_cuts_always_too() {
    let fake = Fake::default().on("clean", "localhost", [Act::Pass(90_000)]);
    let played = play(&usual(&[&["a"]], 0), fake, &[(100, INTERRUPT), (50_000, INTERRUPT)]);
    assert_eq!(played.at("c clean localhost"), 50_001);
}

#[test]
fn connecting_is_given_up_at_once() {
    let played = play(&usual(&[&["a"]], 0), Fake::default().link("a", Act::Deaf), &[(100, INTERRUPT)]);
    assert_eq!(played.ends(), ["untouched"]);
    assert!(played.events.last().unwrap().at < 200);
}

#[test]
fn a_step_that_waits_for_its_next_try_has_failed() {
    let mut schedule = usual(&[&["a"]], 0);
    schedule.steps[3] = retried(schedule.steps[3].clone(), 5, 60_000);
    let fake = Fake::default().on("test", "a", [Act::Fail(1, FailureKind::Timeout)]);
    let played = play(&schedule, fake, &[(1000, INTERRUPT)]);
    assert_eq!(played.ends(), ["failed test"]);
    assert_eq!(played.report.verdict, Verdict::Interrupted);
    assert!(played.events.last().unwrap().at < 1100);
}

#[test]
fn a_signal_at_any_moment_leaves_every_target_in_a_state_that_is_told() {
    let mut schedule = usual(&[&["a", "b"], &["c"]], 0);
    schedule.steps.push(step(Phase::Always, "sweep", &["a", "b", "c"]));
    let end = play(&schedule, Fake::default(), &[]).events.last().unwrap().at;
    for first in 0..=end {
        let played = play(&schedule, Fake::default(), &[(first, INTERRUPT)]);
        assert!(first == end || played.report.verdict == Verdict::Interrupted, "at {first}");
        for second in [first, first + 1, first + 7, first + 13] {
            // The rules that hold for every run are checked in `play`.
            play(&schedule, Fake::default(), &[(first, INTERRUPT), (second, INTERRUPT)]);
        }
    }
}
