//! Whole runs over ssh: how much of one is the sandbox, and how much memory many targets take.

use crate::call::{self, Cost};
use crate::plans::{DEPLOY, Place, inventory};
use crate::watch::{Seen, watch};
use crate::{Figure, Outcome, median};
use runner_fleet::Fleet;
use runner_journal::{Entry, Record};
use std::process::Stdio;
use std::time::Duration;

/// The sandbox's part of a run's wall time: for each invocation in the journal what the figure `call` takes, and what
/// its guest computed beyond that one's, by its fuel. What host functions do is no part of it: without a sandbox it would
/// be done as well.
pub(crate) fn share() -> Outcome<Vec<Figure>> {
    const TARGETS: usize = 10;
    const RUNS: usize = 5;
    let cost = call::one()?;
    let fleet = Fleet::start(TARGETS)?;
    let place = Place::new(DEPLOY, &inventory(&fleet)?)?;
    let (mut sandbox, mut guests, mut walls) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..=RUNS {
        let seen = deploy(&place, &format!("{run}"))?;
        // The first one lays out everything, and most runs do not.
        if run > 0 {
            sandbox.push(in_sandbox(&place.journal()?, &cost));
            guests.push(seen.guests);
            walls.push(seen.wall);
        }
    }
    let (sandbox, guests, wall) = (median(&mut sandbox), median(&mut guests), median(&mut walls));
    Ok(vec![Figure {
        what: format!("sandbox in a deploy to {TARGETS} targets"),
        measured: 100.0 * sandbox.as_secs_f64() / wall.as_secs_f64(),
        bound: 2.0,
        unit: "%",
        how: format!(
            "all invocations of {:.0} ms wall time, by their fuel; the guests' threads took {:.1} %, most of it in host \
             functions; median of {RUNS}",
            wall.as_secs_f64() * 1000.0,
            100.0 * guests.as_secs_f64() / wall.as_secs_f64(),
        ),
    }])
}

/// What the invocations of a run took by themselves.
fn in_sandbox(journal: &Record, cost: &Cost) -> Duration {
    let invocations = journal.entries.iter().filter_map(|line| match &line.entry {
        Entry::InvocationEnded { fuel, .. } => Some(cost.time + cost.of_fuel(fuel.saturating_sub(cost.fuel))),
        _ => None,
    });
    invocations.sum()
}

/// The memory of the runner, without its ssh masters.
pub(crate) fn memory() -> Outcome<Vec<Figure>> {
    const TARGETS: usize = 50;
    const MIB: f64 = 1024.0 * 1024.0;
    let fleet = Fleet::start(TARGETS)?;
    let place = Place::new(DEPLOY, &inventory(&fleet)?)?;
    let mut most = 0;
    let mut walls = Vec::new();
    for run in 0..3 {
        let seen = deploy(&place, &format!("{run}"))?;
        most = most.max(seen.memory);
        walls.push(seen.wall);
    }
    Ok(vec![Figure {
        what: format!("memory of the runner at {TARGETS} targets"),
        measured: most as f64 / MIB,
        bound: 60.0 + 2.0 * TARGETS as f64,
        unit: "MB",
        how: format!(
            "VmHWM, the most of 3 deploys of 200 files (median {:.1} s); ssh masters not counted",
            median(&mut walls).as_secs_f64()
        ),
    }])
}

/// Deploys a version in which some files differ from the one before.
pub(crate) fn deploy(place: &Place, version: &str) -> Outcome<Seen> {
    place.application(200, version)?;
    let mut command = place.runner("exec");
    let log = place.path().join("log");
    command.stdout(Stdio::null()).stderr(std::fs::File::create(&log)?);
    let (status, seen) = watch(command.spawn()?)?;
    if !status.success() || seen.wall < Duration::from_millis(1) {
        return Err(format!("the deploy failed: {status}\n{}", std::fs::read_to_string(&log)?).into());
    }
    Ok(seen)
}
