//! What keeping a journal costs a run, and how fast a run is done again from it.

use crate::plans::{DEPLOY, Place, inventory, words};
use crate::work::deploy;
use crate::{Figure, Outcome, median, milliseconds};
use runner_artifact::Store;
use runner_fleet::Fleet;
use runner_journal::{Entry, Journal, Record};
use runner_model::TargetName;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

const TARGETS: usize = 10;
const RUNS: usize = 5;

/// The journal's part of a run's wall time: all that the run had appended is appended once more, on the same disk, each
/// target by a task of its own that waits for the disk wherever the run had waited. In the run, other work goes on
/// meanwhile.
pub(crate) fn cost() -> Outcome<Vec<Figure>> {
    let fleet = Fleet::start(TARGETS)?;
    let place = Place::new(DEPLOY, &inventory(&fleet)?)?;
    let (mut journals, mut replays, mut walls) = (Vec::new(), Vec::new(), Vec::new());
    let mut waits = 0;
    for run in 0..=RUNS {
        let seen = deploy(&place, &format!("{run}"))?;
        if run > 0 {
            let record = place.journal()?;
            waits = record.entries.iter().filter(|line| is_waited_for(&line.entry)).count();
            journals.push(appended(&place, run, &record)?);
            replays.push(replayed(&place)?);
            walls.push(seen.wall);
        }
    }
    let wall = median(&mut walls);
    let part = |time: Duration| 100.0 * time.as_secs_f64() / wall.as_secs_f64();
    let (journal, replay) = (median(&mut journals), median(&mut replays));
    Ok(vec![
        Figure {
            what: format!("journal of a deploy to {TARGETS} targets"),
            measured: part(journal),
            bound: 5.0,
            unit: "%",
            how: format!(
                "{:.1} ms of {:.0} ms wall time for all lines again, {waits} of them waited for; median of {RUNS}",
                milliseconds(journal),
                milliseconds(wall),
            ),
        },
        Figure {
            what: format!("replay of a deploy to {TARGETS} targets"),
            measured: part(replay),
            bound: 5.0,
            unit: "%",
            how: format!(
                "`runner replay` in {:.0} ms, with its start; median of {RUNS}",
                milliseconds(replay)
            ),
        },
    ])
}

fn is_waited_for(entry: &Entry) -> bool {
    matches!(entry, Entry::Intent { .. } | Entry::Mark { .. })
}

/// Whose task an entry is appended by.
fn whose(entry: &Entry) -> Option<&TargetName> {
    match entry {
        Entry::Call { key, .. } | Entry::Intent { key, .. } | Entry::Outcome { key, .. } => Some(&key.target),
        Entry::Mark { target, .. } | Entry::Marked { target, .. } => Some(target),
        Entry::InvocationStarted { target, .. } | Entry::InvocationEnded { target, .. } => Some(target),
        _ => None,
    }
}

fn appended(place: &Place, run: usize, record: &Record) -> Outcome<Duration> {
    let store = Arc::new(Store::open(place.path().join("again/store"))?);
    let folder = place.path().join(format!("again/{run}"));
    let mut tasks: BTreeMap<Option<TargetName>, Vec<Entry>> = BTreeMap::new();
    for line in &record.entries {
        if !matches!(line.entry, Entry::Closed { .. }) {
            tasks.entry(whose(&line.entry).cloned()).or_default().push(line.entry.clone());
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let started = Instant::now();
    let journal = Arc::new(Journal::create(&folder, store, record.header.clone())?);
    runtime.block_on(async {
        let running: Vec<_> = tasks
            .into_values()
            .map(|entries| {
                let journal = Arc::clone(&journal);
                tokio::spawn(async move {
                    for entry in entries {
                        match is_waited_for(&entry) {
                            true => journal.append_durable(&entry).await.map(|_| ())?,
                            false => journal.append(&entry).map(|_| ())?,
                        }
                    }
                    Ok::<_, runner_journal::Error>(())
                })
            })
            .collect();
        for task in running {
            task.await??;
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    drop(journal);
    Ok(started.elapsed())
}

fn replayed(place: &Place) -> Outcome<Duration> {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_runner"));
    command.current_dir(place.path()).arg("replay").env("XDG_CACHE_HOME", place.path().join("cache"));
    let started = Instant::now();
    let output = command.output()?;
    let took = started.elapsed();
    if !output.status.success() {
        return Err(words("replay the run", &output).into());
    }
    Ok(took)
}
