//! Out of the cluster and back: who leaves when, who comes back, and what is undone when it fails.

use crate::fake::{Act, Cluster, Fake, once, play, step, usual};
use proptest::prelude::*;
use runner_engine::Signal;
use runner_model::{
    Event, FailureKind, Gate, OnFailure, Phase, Schedule, Service, Standing, TargetEnd, Verdict,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

const FAIL: Act = Act::Fail(5, FailureKind::CommandFailed);

/// The usual schedule behind a cluster that keeps so many.
fn clustered(batches: &[&[&str]], keeps: usize) -> Schedule {
    let schedule = usual(batches, 0);
    let gate = Gate { fleet: schedule.targets.clone(), in_service: keeps };
    Schedule { cluster: Some(gate), on_failure: OnFailure::Rollback, ..schedule }
}

fn fake(schedule: &Schedule) -> Fake {
    Fake { cluster: Mutex::new(Cluster::of(&schedule.targets)), ..Fake::default() }
}

#[test]
fn a_target_leaves_before_its_first_step_and_is_back_after_its_last_one() {
    let schedule = clustered(&[&["a"], &["b"]], 1);
    let played = play(&schedule, fake(&schedule), &[]);
    assert_eq!(played.report.verdict, Verdict::Done);
    assert!(played.at("out a") <= played.at("+ switch a") && played.at("- test a") <= played.at("in a"));
    assert!(played.at("in a") <= played.at("batch 2"));
    assert_eq!(played.fake.cluster.lock().unwrap().fewest, 1);
}

#[test]
fn within_a_batch_targets_wait_for_each_other() {
    let schedule = clustered(&[&["a", "b", "c", "d"]], 3);
    let played = play(&schedule, fake(&schedule), &[]);
    assert_eq!(played.ends(), ["done"; 4]);
    assert_eq!(played.fake.cluster.lock().unwrap().fewest, 3);
    assert!(played.lines().iter().any(|line| line.starts_with("waits ") && line.ends_with(" 3/3")));
}

#[test]
fn who_was_found_out_is_released_to_and_stays_out() {
    let schedule = clustered(&[&["a", "b"]], 1);
    let fake = fake(&schedule);
    fake.cluster.lock().unwrap().standings.insert("a".into(), Standing::out());
    let played = play(&schedule, fake, &[]);
    assert_eq!(played.ends(), ["rolled back", "failed cluster"], "b alone is kept in service");
    assert!(!played.fake.cluster.lock().unwrap().joined.contains(&"a".to_owned()));
    assert!(played.told("- test a"));
}

#[test]
fn who_cannot_leave_fails_and_nothing_is_done_to_it() {
    let schedule = clustered(&[&["a"], &["b"]], 0);
    let fake = fake(&schedule);
    fake.cluster.lock().unwrap().stay.insert("a".into());
    let played = play(&schedule, fake, &[]);
    assert!(!played.told("+ switch a"));
    assert_eq!(played.report.verdict, Verdict::RolledBack);
    assert_eq!(played.ends(), ["failed cluster", "untouched"]);
}

#[test]
fn without_an_answer_of_the_cluster_no_batch_begins() {
    let schedule = clustered(&[&["a"]], 0);
    let fake = fake(&schedule);
    fake.cluster.lock().unwrap().is_down = true;
    let played = play(&schedule, fake, &[]);
    assert!(played.told("cluster lost") && !played.told("batch 1"));
    assert_eq!(played.report.verdict, Verdict::RolledBack, "what was staged is undone");
}

#[test]
fn a_failure_takes_back_the_touched_ones_in_reverse_batches_and_leaves_the_others() {
    let names: Vec<String> = (1..=10).map(|number| format!("w{number:02}")).collect();
    let batches: Vec<[&str; 1]> = names.iter().map(|name| [name.as_str()]).collect();
    let batches: Vec<&[&str]> = batches.iter().map(|batch| &batch[..]).collect();
    let schedule = clustered(&batches, 7);
    let played = play(&schedule, fake(&schedule).on("test", "w03", [FAIL]), &[]);
    assert_eq!(played.report.verdict, Verdict::RolledBack);
    let ends = played.ends();
    assert_eq!(&ends[..3], ["rolled back", "rolled back", "rolled back"]);
    assert_eq!(&ends[3..], ["untouched"; 7]);
    assert_eq!(*played.fake.told.lock().unwrap(), ["undo w03", "undo w02", "undo w01", "undo the rest"]);
    let cluster = played.fake.cluster.lock().unwrap();
    assert!(cluster.standings.values().all(Standing::serves), "{:?}", cluster.standings);
    assert!(played.at("- clean localhost") >= played.at("back w01"), "`always` comes after it");
    assert!(!played.told("- tell localhost"), "`finish` does not");
}

#[test]
fn what_cannot_be_undone_stays_out_and_is_named() {
    let schedule = clustered(&[&["a"], &["b"]], 0);
    let fake = Fake { stuck: BTreeSet::from(["a".to_owned()]), ..fake(&schedule) };
    let played = play(&schedule, fake.on("test", "b", [FAIL]), &[]);
    assert_eq!(played.report.verdict, Verdict::RollbackFailed);
    assert_eq!(played.ends(), ["rollback failed", "rolled back"]);
    assert_eq!(played.fake.cluster.lock().unwrap().standings["a"].service, Service::Out);
}

#[test]
fn after_a_step_without_return_nothing_is_taken_back() {
    let mut schedule = Schedule { watched: true, ..clustered(&[&["a"], &["b"]], 0) };
    schedule.steps[2].no_return = true;
    let played = play(&schedule, fake(&schedule).on("test", "a", [FAIL]), &[]);
    assert!(played.lines().iter().any(|line| line.starts_with("no rollback: `switch`")));
    assert_eq!(played.report.verdict, Verdict::Failed);
    assert_eq!(*played.fake.told.lock().unwrap(), ["arm a", "disarm a"], "and no target takes itself back");
}

#[test]
fn a_watched_target_is_armed_once_it_is_out_and_confirmed_before_it_is_back() {
    let schedule = Schedule { watched: true, ..clustered(&[&["a"]], 0) };
    let played = play(&schedule, fake(&schedule), &[]);
    assert_eq!(*played.fake.told.lock().unwrap(), ["arm a", "confirm a"]);
    let failed = play(&schedule, fake(&schedule).on("test", "a", [FAIL]), &[]);
    assert_eq!(*failed.fake.told.lock().unwrap(), ["arm a", "disarm a", "undo a", "undo the rest"]);
}

#[test]
fn where_nothing_is_to_change_a_target_stays_in_service_until_it_must_leave() {
    let schedule = clustered(&[&["a"]], 0);
    let settled = || Fake { settled: BTreeSet::from(["a".to_owned()]), ..fake(&schedule) };
    let played = play(&schedule, settled(), &[]);
    assert!(!played.told("out a") && played.told("- test a"));
    let denied = Fake { denied: BTreeSet::from(["test".to_owned()]), ..settled() };
    let played = play(&schedule, denied, &[]);
    assert_eq!(played.report.verdict, Verdict::Done);
    assert!(played.at("out a") <= played.at("+ test a #2"));
    assert!(played.told("in a"));
}

#[test]
fn locked_targets_refuse_the_run_before_anything_is_done_to_them() {
    let schedule = usual(&[&["a"]], 0);
    let played = play(&schedule, Fake { locked_by_others: true, ..Fake::default() }, &[]);
    assert_eq!(played.report.verdict, Verdict::Refused);
    assert!(!played.told("+ send a") && !played.told("+ clean localhost"));
}

#[test]
fn a_run_that_lost_its_lock_stops_at_once_and_takes_nothing_back() {
    let schedule = clustered(&[&["a"], &["b"]], 0);
    let fake = Fake { lost_at: Some(30), ..fake(&schedule) };
    let played = play(&schedule, fake.on("test", "a", [Act::Pass(60_000)]), &[]);
    assert_eq!(played.report.verdict, Verdict::Failed);
    assert!(played.fake.told.lock().unwrap().is_empty());
    assert!(!played.told("batch 2") && !played.told("+ clean localhost") && !played.told("in a"));
    assert!(played.events.last().unwrap().at < 5_000, "it waits for what it may not do any more");
}

#[test]
fn a_run_that_is_cancelled_before_it_has_its_lock_lets_nobody_wait_for_it() {
    let schedule = usual(&[&["a"]], 0);
    let fake = Fake::default().link("a", Act::Pass(60_000));
    let played = play(&schedule, fake, &[(100, Signal::Interrupt)]);
    assert_eq!(played.report.verdict, Verdict::Interrupted);
    assert!(played.fake.forgone.load(std::sync::atomic::Ordering::Relaxed));
    let played = play(&schedule, Fake::default(), &[]);
    assert!(!played.fake.forgone.load(std::sync::atomic::Ordering::Relaxed));
}

#[test]
fn a_failure_of_a_run_that_lost_its_lock_is_taken_back_by_nobody() {
    let schedule = clustered(&[&["a"], &["b"]], 0);
    let fake = Fake { lost_silently: true, ..fake(&schedule) };
    let played = play(&schedule, fake.on("test", "a", [FAIL]), &[]);
    assert_eq!(played.report.verdict, Verdict::Failed);
    assert!(played.fake.told.lock().unwrap().is_empty());
    assert!(played.told("lock lost: bob has the lock") && !played.told("+ clean localhost"));
}

#[test]
fn batches_have_a_pause_between_them_and_a_signal_ends_it() {
    let schedule = Schedule { pause_ms: 5_000, ..usual(&[&["a"], &["b"]], 0) };
    let played = play(&schedule, Fake::default(), &[]);
    assert!(played.at("batch 2") >= played.at("pause 5000") + 5_000);
    assert!(played.at("pause 5000") >= played.at("- test a"));
    let stopped = play(&schedule, Fake::default(), &[(2_000, Signal::Interrupt)]);
    assert_eq!(stopped.report.verdict, Verdict::Interrupted);
    assert_eq!(stopped.ends(), ["done", "untouched"]);
    assert!(stopped.events.last().unwrap().at < 3_000, "it sleeps on");
}

#[test]
fn a_signal_in_a_rollback_begins_no_other_undo() {
    let schedule = clustered(&[&["a"], &["b"]], 0);
    let at = play(&schedule, fake(&schedule).on("test", "b", [FAIL]), &[]).at("rollback of 2");
    let played = play(&schedule, fake(&schedule).on("test", "b", [FAIL]), &[(at + 1, Signal::Interrupt)]);
    assert_eq!(played.report.verdict, Verdict::Interrupted);
    assert!(!played.fake.told.lock().unwrap().contains(&"undo a".to_owned()));
}

/// What of the batches of a strategy holds for fleets of these sizes.
#[test]
fn fleets_of_all_sizes_keep_what_they_must() {
    for (count, keeps) in [(1, 0), (2, 1), (3, 2), (10, 7), (100, 75), (500, 375)] {
        let names: Vec<String> = (0..count).map(|number| format!("w{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (first, rest) = names.split_at(1);
        let batches: Vec<&[&str]> = [first, rest].into_iter().filter(|batch| !batch.is_empty()).collect();
        let schedule = clustered(&batches, keeps);
        let played = play(&schedule, fake(&schedule), &[]);
        assert!(played.ends().iter().all(|end| end == "done"), "{count} targets");
        assert!(played.fake.cluster.lock().unwrap().fewest >= keeps, "{count} targets");
    }
}

#[derive(Debug, Clone)]
struct Wild {
    count: usize,
    cuts: Vec<usize>,
    keeps: usize,
    max_failures: u32,
    rollback: bool,
    out: BTreeSet<usize>,
    fails: BTreeMap<usize, u8>,
    unreachable: BTreeSet<usize>,
    slow: BTreeSet<usize>,
    settled: BTreeSet<usize>,
    stuck: BTreeSet<usize>,
    runs_once: bool,
}

fn few(count: usize) -> impl Strategy<Value = BTreeSet<usize>> {
    prop::collection::btree_set(0..count, 0..4)
}

prop_compose! {
    fn wild()(count in 1_usize..=500)(
        cuts in prop::collection::vec(0..count, 0..5),
        keeps in 0..count,
        max_failures in 0_u32..4,
        rollback in any::<bool>(),
        out in prop::collection::btree_set(0..count, 0..=count.min(20)),
        fails in prop::collection::btree_map(0..count, 0_u8..3, 0..4),
        unreachable in few(count),
        slow in few(count),
        settled in few(count),
        (stuck, runs_once) in (few(count), any::<bool>()),
        count in Just(count),
    ) -> Wild {
        Wild { count, cuts, keeps, max_failures, rollback, out, fails, unreachable, slow, settled, stuck, runs_once }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_enough_stay_in_service_and_nobody_is_put_back_who_was_out(wild in wild()) {
        let name = |number: &usize| format!("w{number}");
        let names: Vec<String> = (0..wild.count).map(|number| name(&number)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut cuts = wild.cuts.clone();
        cuts.push(wild.count);
        cuts.sort_unstable();
        let (mut batches, mut from) = (Vec::new(), 0);
        for cut in cuts {
            if cut > from {
                batches.push(&names[from..cut]);
            }
            from = from.max(cut);
        }
        let mut schedule = clustered(&batches, wild.keeps);
        schedule.max_failures = wild.max_failures;
        schedule.on_failure = if wild.rollback { OnFailure::Rollback } else { OnFailure::Stop };
        if wild.runs_once {
            schedule.steps.insert(3, once(Phase::Rollout, "migrate", "w0"));
            schedule.steps.push(step(Phase::Rollout, "late", &names));
        }
        let mut fake = fake(&schedule);
        {
            let mut cluster = fake.cluster.lock().unwrap();
            for number in &wild.out {
                cluster.standings.insert(name(number), Standing::out());
            }
            cluster.fewest = cluster.standings.values().filter(|standing| standing.serves()).count();
        }
        let at_first = fake.cluster.lock().unwrap().fewest;
        for (number, which) in &wild.fails {
            let step = ["switch", "test", "send"][usize::from(*which)];
            fake = fake.on(step, &name(number), [FAIL]);
        }
        for number in &wild.slow {
            fake = fake.on("switch", &name(number), [Act::Pass(90_000)]);
        }
        for number in &wild.unreachable {
            fake = fake.link(&name(number), Act::Fail(9, FailureKind::Unreachable));
        }
        fake.settled = wild.settled.iter().map(name).collect();
        fake.stuck = wild.stuck.iter().map(name).collect();

        let played = play(&schedule, fake, &[]);
        let cluster = played.fake.cluster.lock().unwrap();
        prop_assert!(cluster.fewest >= wild.keeps.min(at_first), "{} of {}", cluster.fewest, wild.keeps);
        for number in &wild.out {
            prop_assert!(!cluster.joined.contains(&name(number)), "w{number} was found out");
        }
        let in_again = |end: &TargetEnd| matches!(end, TargetEnd::Done | TargetEnd::Untouched | TargetEnd::RolledBack { .. });
        for report in played.report.targets.iter().filter(|report| report.target.as_str() != "localhost") {
            let standing = cluster.standings[report.target.as_str()];
            let was_in = !wild.out.iter().any(|number| name(number) == report.target.as_str());
            if in_again(&report.end) && was_in {
                prop_assert!(standing.serves(), "{} is {:?} and {standing:?}", report.target, report.end);
            }
        }
        let told = played.fake.told.lock().unwrap();
        let undone: Vec<&str> = told.iter().filter_map(|line| line.strip_prefix("undo w")).collect();
        prop_assert!(undone.is_empty() || wild.rollback);
        let begun: BTreeSet<usize> = played.events.iter().filter_map(|stamped| match &stamped.event {
            Event::ServiceLeft { target, .. } => target.as_str()[1..].parse().ok(),
            _ => None,
        }).collect();
        let of_batch = |number: usize| batches.iter().position(|batch| batch.contains(&name(&number).as_str()));
        let undone: Vec<usize> = undone.iter().map(|number| number.parse().unwrap()).collect();
        prop_assert!(undone.is_sorted_by(|one, next| of_batch(*one) >= of_batch(*next)), "{undone:?}");
        if !undone.is_empty() {
            let named = |number: &usize| matches!(played.end(&name(number)), TargetEnd::RollbackFailed { .. });
            let missed: Vec<_> = begun.iter().filter(|number| !undone.contains(number) && !named(number)).collect();
            prop_assert!(missed.is_empty(), "{missed:?} were neither undone nor named");
        }
    }
}

#[test]
fn a_step_that_runs_once_waits_for_nobody_who_waits_for_his_turn() {
    let mut schedule = clustered(&[&["a", "b", "c"]], 2);
    schedule.steps.insert(3, once(Phase::Rollout, "migrate", "c"));
    let played = play(&schedule, fake(&schedule), &[]);
    assert_eq!(played.report.verdict, Verdict::Done);
    assert!(played.told("- migrate c"));
}

#[test]
fn who_waits_for_its_turn_when_the_run_is_halted_is_left_as_it_was() {
    let schedule = Schedule { on_failure: OnFailure::Stop, ..clustered(&[&["a", "b"]], 1) };
    let failing = ["a", "b"].into_iter().fold(fake(&schedule), |fake, name| fake.on("switch", name, [FAIL]));
    let played = play(&schedule, failing, &[]);
    let left = played.lines().iter().filter(|line| line.starts_with("out ")).count();
    assert_eq!(left, 1, "{:?}", played.lines());
}

#[test]
fn what_an_earlier_part_of_the_run_began_without_return_is_not_taken_back() {
    let mut schedule = clustered(&[&["a"]], 0);
    schedule.steps[2].no_return = true;
    let mut fake = fake(&schedule).on("send", "a", [FAIL]);
    fake.over.insert("switch".parse().unwrap(), 1);
    let played = play(&schedule, fake, &[]);
    assert_eq!(played.report.verdict, Verdict::Failed);
    assert!(played.lines().iter().any(|line| line.starts_with("no rollback: `switch`")));
}
