//! Failures, retries, deadlines and marks.

use crate::fake::{Act, Fake, once, play, retried, step, usual};
use runner_model::{End, Event, FailureKind, Mark, Phase, ScheduledStep, TargetEnd, Verdict};

fn fails() -> [Act; 1] {
    [Act::Fail(10, FailureKind::CommandFailed)]
}

#[test]
fn a_failure_halts_before_the_next_batch_and_leaves_it_untouched() {
    let played = play(&usual(&[&["a"], &["b"]], 0), Fake::default().on("test", "a", fails()), &[]);
    assert!(played.told("halted 1/0") && !played.told("batch 2") && !played.told("finish"));
    assert!(played.told("- clean localhost"), "`always` runs");
    assert_eq!(played.ends(), ["failed test", "untouched"]);
    assert_eq!(played.report.verdict, Verdict::Failed);
    assert_eq!(*played.fake.marks.lock().unwrap(), [("a".to_owned(), Mark::Bad)]);
}

#[test]
fn targets_of_the_batch_that_halts_come_to_their_end() {
    let fake = Fake::default().on("switch", "a", fails()).on("switch", "b", [Act::Pass(100)]);
    let played = play(&usual(&[&["a", "b"], &["c"]], 0), fake, &[]);
    assert!(played.at("+ test b") > played.at("halted 1/0"));
    assert_eq!(played.ends(), ["failed switch", "done", "untouched"]);
    let marks = played.fake.marks.lock().unwrap().clone();
    assert_eq!(marks, [("a".to_owned(), Mark::Bad), ("b".to_owned(), Mark::Good)]);
}

#[test]
fn as_many_failures_as_allowed_let_the_run_go_on_but_not_end_well() {
    for (allowed, failing, batches_begun) in
        [(0, 0, 3), (0, 1, 1), (1, 1, 3), (1, 2, 1), (2, 2, 3), (2, 3, 1), (9, 3, 3)]
    {
        let all = [["a", "b", "c"].as_slice(), &["d"], &["e"]];
        let mut fake = Fake::default();
        for name in &["a", "b", "c"][..failing] {
            fake = fake.on("test", name, fails());
        }
        let played = play(&usual(&all, allowed), fake, &[]);
        let begun = played.lines().iter().filter(|line| line.starts_with("batch")).count();
        assert_eq!(begun, batches_begun, "{failing} of at most {allowed}");
        assert_eq!(played.told("finish"), begun == 3);
        let verdict = if failing == 0 { Verdict::Done } else { Verdict::Failed };
        assert_eq!(played.report.verdict, verdict);
    }
}

#[test]
fn a_failure_in_the_stage_counts_and_keeps_its_target_out_of_the_rollout() {
    let schedule = usual(&[&["a"], &["b"]], 1);
    let played = play(&schedule, Fake::default().on("send", "a", fails()), &[]);
    assert!(!played.told("+ switch a") && !played.told("batch 1") && played.told("batch 2"));
    assert_eq!(played.ends(), ["failed send", "done"]);

    let played = play(&usual(&[&["a"], &["b"]], 0), Fake::default().on("send", "a", fails()), &[]);
    assert!(!played.told("rollout"));
    assert_eq!(played.ends(), ["failed send", "untouched"]);
    assert!(played.fake.marks.lock().unwrap().is_empty(), "the rollout did not touch it");
}

#[test]
fn an_unreachable_target_counts_as_failed() {
    let down = Act::Fail(3000, FailureKind::Unreachable);
    let played = play(&usual(&[&["a", "b"]], 0), Fake::default().link("a", down.clone()), &[]);
    assert!(!played.told("rollout"), "though it was found out late");
    assert_eq!(played.ends(), ["unreachable", "untouched"]);
    assert_eq!(played.report.verdict, Verdict::Unreachable);

    let played = play(&usual(&[&["a", "b"]], 1), Fake::default().link("a", down), &[]);
    assert_eq!(played.ends(), ["unreachable", "done"]);
    assert!(played.told("finish"));
    assert_eq!(played.report.verdict, Verdict::Unreachable, "within the allowance, and still not done");
}

#[test]
fn all_unreachable_targets_are_told_in_one_go() {
    let fake = Fake::default()
        .link("a", Act::Fail(10, FailureKind::Unreachable))
        .link("b", Act::Fail(5000, FailureKind::Unreachable));
    let played = play(&usual(&[&["a", "b", "c"]], 0), fake, &[]);
    assert_eq!(played.ends(), ["unreachable", "unreachable", "untouched"]);
}

#[test]
fn a_run_without_a_target_left_does_not_finish() {
    let down = Act::Fail(1, FailureKind::Unreachable);
    let fake = Fake::default().link("a", down.clone()).link("b", down);
    let played = play(&usual(&[&["a", "b"]], 9), fake, &[]);
    assert!(!played.told("finish") && played.told("- clean localhost"));
}

#[test]
fn a_failed_prepare_touches_no_target_and_waits_for_none() {
    let fake = Fake::default().on("package", "localhost", fails()).link("a", Act::Deaf);
    let played = play(&usual(&[&["a"]], 9), fake, &[]);
    assert!(!played.told("stage") && played.told("- clean localhost"));
    assert_eq!(played.ends(), ["untouched"]);
    assert_eq!(played.report.verdict, Verdict::Failed);
}

#[test]
fn a_failed_step_that_runs_once_halts_whatever_is_allowed() {
    let mut schedule = usual(&[&["a", "b"], &["c"]], 9);
    schedule.steps.insert(3, once(Phase::Rollout, "migrate", "a"));
    let played = play(&schedule, Fake::default().on("migrate", "a", fails()), &[]);
    assert!(!played.told("batch 2") && !played.told("+ test b"));
    assert_eq!(played.ends(), ["failed migrate", "failed migrate", "untouched"]);

    let fake = Fake::default().on("switch", "a", fails());
    let played = play(&schedule, fake, &[]);
    assert!(!played.told("+ migrate a"), "its target failed before");
    assert_eq!(played.ends(), ["failed switch", "failed migrate", "untouched"]);
}

#[test]
fn a_step_is_tried_again_after_its_delay() {
    let mut schedule = usual(&[&["a"]], 0);
    schedule.steps[3] = retried(schedule.steps[3].clone(), 2, 3000);
    let fail = Act::Fail(10, FailureKind::Timeout);
    let fake = Fake::default().on("test", "a", [fail.clone(), fail.clone(), Act::Pass(10)]);
    let played = play(&schedule, fake, &[]);
    assert_eq!(played.at("+ test a #2") - played.at("+ test a"), 3010);
    assert_eq!(played.ends(), ["done"]);
    let attempts: Vec<u32> = played.fake.seen.lock().unwrap().iter().map(|call| call.attempt).collect();
    assert_eq!(attempts, [1, 1, 1, 1, 2, 3, 1, 1]);

    let played = play(&schedule, Fake::default().on("test", "a", [fail]), &[]);
    assert!(played.told("+ test a #3") && !played.told("+ test a #4"));
    assert_eq!(played.ends(), ["failed test"]);
}

#[test]
fn whoever_goes_on_with_a_run_has_all_tries_again_and_counts_on() {
    let mut schedule = usual(&[&["a"]], 0);
    schedule.steps[3] = retried(schedule.steps[3].clone(), 2, 10);
    let fail = Act::Fail(10, FailureKind::Timeout);
    let over = [("test".parse().unwrap(), 3)].into();
    let fake = Fake { over, ..Fake::default() }.on("test", "a", [fail.clone(), fail, Act::Pass(10)]);
    let played = play(&schedule, fake, &[]);
    assert!(played.told("+ test a #4") && played.told("+ test a #6") && !played.told("+ test a #7"));
    assert_eq!(played.ends(), ["done"]);
}

#[test]
fn what_cannot_end_in_another_way_is_not_tried_again() {
    for kind in [FailureKind::Denied, FailureKind::Invalid, FailureKind::Unknown] {
        let mut schedule = usual(&[&["a"]], 0);
        schedule.steps[3] = retried(schedule.steps[3].clone(), 5, 10);
        let played = play(&schedule, Fake::default().on("test", "a", [Act::Fail(1, kind)]), &[]);
        assert!(!played.told("+ test a #2"), "{kind:?}");
    }
}

#[test]
fn a_step_that_takes_too_long_is_ended_even_if_it_does_not_heed() {
    for (act, milliseconds) in [(Act::Pass(90_000), 2001), (Act::Deaf, 12_000)] {
        let mut schedule = usual(&[&["a"]], 0);
        schedule.steps[2] = ScheduledStep { timeout_ms: Some(2000), ..schedule.steps[2].clone() };
        let played = play(&schedule, Fake::default().on("switch", "a", [act]), &[]);
        let TargetEnd::Failed { failure, .. } = played.end("a") else { panic!("{:?}", played.ends()) };
        assert_eq!(failure.kind, FailureKind::Timeout);
        assert_eq!(failure.message, "step `switch` did not end within 2s");
        assert_eq!(played.at("x switch a") - played.at("+ switch a"), milliseconds);
    }
}

#[test]
fn a_panic_of_the_executor_fails_the_step_alone() {
    let played = play(&usual(&[&["a", "b"]], 1), Fake::default().on("switch", "a", [Act::Panic]), &[]);
    assert_eq!(played.ends(), ["failed switch", "done"]);
    let told = played.events.iter().any(|stamped| match &stamped.event {
        Event::StepFinished { end: End::Failed { failure, .. }, .. } => {
            failure.message.contains("invoke panics")
        }
        _ => false,
    });
    assert!(told);
    let played = play(&usual(&[&["a", "b"]], 1), Fake::default().link("a", Act::Panic), &[]);
    assert_eq!(played.ends(), ["unreachable", "done"]);
}

#[test]
fn always_runs_all_its_steps_and_its_failures_count() {
    let mut schedule = usual(&[&["a", "b"]], 0);
    schedule.steps.insert(0, step(Phase::Always, "sweep", &["a", "b"]));
    let played = play(&schedule, Fake::default().on("sweep", "a", fails()), &[]);
    assert!(played.told("- sweep b") && played.told("- clean localhost"));
    assert_eq!(played.ends(), ["failed sweep", "done"]);
    assert_eq!(played.report.verdict, Verdict::Failed);

    let down = Act::Fail(1, FailureKind::Unreachable);
    let played = play(&schedule, Fake::default().link("a", down.clone()).link("b", down), &[]);
    assert!(played.told("- clean localhost"), "with nobody left to sweep");
    assert_eq!(played.report.verdict, Verdict::Unreachable);
}

#[test]
fn a_release_that_cannot_be_marked_good_is_a_failure() {
    let fake = Fake { mark_fails: true, ..Fake::default() };
    let played = play(&usual(&[&["a"], &["b"]], 0), fake, &[]);
    assert_eq!(played.ends(), ["failed test", "untouched"]);
}

#[test]
fn without_a_release_nothing_is_marked() {
    let mut schedule = usual(&[&["a"]], 0);
    schedule.release = false;
    let played = play(&schedule, Fake::default(), &[]);
    assert!(played.fake.marks.lock().unwrap().is_empty());
    assert!(!played.events.iter().any(|stamped| matches!(stamped.event, Event::ReleaseNamed { .. })));
}
