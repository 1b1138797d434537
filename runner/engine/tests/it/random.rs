//! Random schedules, failures and signals: what holds for every run is checked in `play`.

use crate::fake::{Act, Fake, once, play, retried, step, targets, usual};
use proptest::prelude::*;
use runner_engine::Signal;
use runner_model::{FailureKind, Phase, Schedule, ScheduledStep, TargetEnd, Verdict};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0u64..200).prop_map(Act::Pass),
        2 => (0u64..200).prop_map(|ms| Act::Fail(ms, FailureKind::CommandFailed)),
        1 => Just(Act::Fail(1, FailureKind::Denied)),
        1 => Just(Act::Panic),
        1 => Just(Act::Deaf),
    ]
}

fn phase() -> impl Strategy<Value = Phase> {
    prop_oneof![
        1 => Just(Phase::Prepare),
        3 => Just(Phase::Stage),
        4 => Just(Phase::Rollout),
        1 => Just(Phase::Finish),
        1 => Just(Phase::Always)
    ]
}

fn any_step() -> impl Strategy<Value = ScheduledStep> {
    let place = prop_oneof![3 => Just(None), 1 => (0usize..8).prop_map(Some)];
    (phase(), place, prop::collection::vec(any::<bool>(), NAMES.len()), 0u32..3).prop_map(
        |(phase, place, on, times)| {
            let here: Vec<&str> = NAMES.iter().zip(on).filter(|(_, on)| *on).map(|(name, _)| *name).collect();
            let scheduled = match place {
                Some(place) => {
                    once(phase, "x", ["localhost", "db"].into_iter().chain(NAMES).nth(place).unwrap())
                }
                None => step(phase, "x", &here),
            };
            ScheduledStep { timeout_ms: Some(500), ..retried(scheduled, times, 30) }
        },
    )
}

prop_compose! {
    fn any_schedule()(
        steps in prop::collection::vec(any_step(), 1..8),
        cuts in prop::collection::btree_set(1usize..NAMES.len(), 0..3),
        max_failures in 0u32..4,
        release in any::<bool>(),
    ) -> Schedule {
        let mut batches = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([NAMES.len()]) {
            batches.push(targets(&NAMES[from..cut]));
            from = cut;
        }
        let steps = steps.into_iter().enumerate().map(|(number, step)| ScheduledStep {
            id: format!("s{number}").parse().unwrap(),
            ..step
        }).collect();
        Schedule { targets: targets(&NAMES), batches, steps, max_failures, release, ..usual(&[], 0) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_run_keeps_the_rules(
        schedule in any_schedule(),
        acts in prop::collection::vec((0usize..8, 0usize..8, prop::collection::vec(act(), 1..3)), 0..12),
        links in prop::collection::vec((0usize..NAMES.len(), act()), 0..3),
        signals in prop::collection::vec(0u64..60_000, 0..3),
    ) {
        let mut fake = Fake::default();
        for (step, place, acts) in acts {
            let place = ["localhost", "db"].into_iter().chain(NAMES).nth(place).unwrap();
            fake = fake.on(&format!("s{step}"), place, acts);
        }
        for (place, act) in links {
            // Connecting has its deadline behind the executor.
            let act = if matches!(act, Act::Deaf) { Act::Fail(900, FailureKind::Unreachable) } else { act };
            fake = fake.link(NAMES[place], act);
        }
        let mut signals: Vec<_> = signals.into_iter().map(|at| (at, Signal::Interrupt)).collect();
        signals.sort_by_key(|(at, _)| *at);
        let played = play(&schedule, fake, &signals);
        let ends = played.report.targets.iter().map(|report| &report.end);
        let all_done = ends.into_iter().all(|end| matches!(end, TargetEnd::Done | TargetEnd::Untouched));
        prop_assert!(all_done || played.report.verdict != Verdict::Done);
    }
}
