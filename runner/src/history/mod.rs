//! Runs that are past, as their journals tell them. Nothing else is read: what the reports of a run showed while it went
//! on, they show again from here.

mod trace;

use jiff::Timestamp;
use runner_journal::{Answer, Damage, Entry, FILE, Reader, Record};
use runner_model::{EffectEnd, EffectKey, Effected, Event, ReleaseId, RunId, Stamped, Verdict};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

pub use trace::trace;

/// A run of a plan.
#[derive(Debug)]
pub struct Past {
    /// Its id.
    pub run: RunId,
    /// Where all of it is kept.
    pub folder: PathBuf,
    /// Its journal; an error where not even its first line can be read.
    pub record: Result<Record, Damage>,
}

impl Past {
    fn load(run: RunId, folder: PathBuf) -> Self {
        Self { record: Record::load(&folder.join(FILE)), run, folder }
    }

    /// The journal's file.
    pub fn journal(&self) -> PathBuf {
        self.folder.join(FILE)
    }
}

/// Where the runs of the plan in this folder are kept.
fn runs_of(plan: &Path) -> PathBuf {
    plan.join(".runner/runs")
}

/// The ids of the runs of the plan in this folder, oldest first. What is called otherwise than a run is not one.
///
/// # Errors
/// The folder of runs is there and cannot be read.
pub fn ids(plan: &Path) -> io::Result<Vec<RunId>> {
    let entries = match std::fs::read_dir(runs_of(plan)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut ids: Vec<RunId> = Vec::new();
    for entry in entries {
        ids.extend(entry?.file_name().to_str().and_then(|name| name.parse().ok()));
    }
    ids.sort();
    // The ids of one second are in no order: their journals are. No other journal is opened.
    for same in ids.chunk_by_mut(|one, next| second(one) == second(next)).filter(|same| same.len() > 1) {
        same.sort_by_cached_key(|run| started(plan, run));
    }
    Ok(ids)
}

/// The time in an id, to the second.
fn second(run: &RunId) -> &str {
    run.as_str().rsplit_once('-').map_or(run.as_str(), |(second, _)| second)
}

/// When a run began, as far as that is known.
fn started(plan: &Path, run: &RunId) -> Option<Timestamp> {
    let first = Reader::open(&runs_of(plan).join(run.as_str()).join(FILE)).ok()?.next()?.ok()?;
    match first.entry {
        Entry::Header(header) => Some(header.started),
        _ => None,
    }
}

/// The run of this id.
pub fn load(plan: &Path, run: &RunId) -> Past {
    Past::load(run.clone(), runs_of(plan).join(run.as_str()))
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// How.
    pub verdict: Verdict,
    /// How long it took.
    pub milliseconds: u64,
}

/// What a journal says of the whole run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// `None`: it never came to its end, or goes on.
    pub ending: Option<Ending>,
    /// What it released.
    pub release: Option<ReleaseId>,
    /// How many targets it was for.
    pub targets: usize,
    /// How many of them are done.
    pub done: usize,
    /// Milliseconds from its beginning to the last thing that is known of it.
    pub last: u64,
}

impl Outline {
    /// Of this journal.
    pub fn of(record: &Record) -> Self {
        let mut all = Self::default();
        for recorded in &record.entries {
            all.last = recorded.at;
            match &recorded.entry {
                Entry::Resumed { .. } => (all.ending, all.done) = (None, 0),
                // An undo has no events.
                Entry::Closed { verdict } if all.ending.is_none() => {
                    all.ending = Some(Ending { verdict: *verdict, milliseconds: recorded.at });
                }
                _ => {}
            }
            let Entry::Event(stamped) = &recorded.entry else { continue };
            match &stamped.event {
                Event::RunStarted { targets, .. } => all.targets = targets.len(),
                Event::ReleaseNamed { release } => all.release = Some(release.clone()),
                Event::TargetFinished { end: runner_model::TargetEnd::Done, .. } => all.done += 1,
                Event::RunFinished { verdict, milliseconds, .. } => {
                    all.ending = Some(Ending { verdict: *verdict, milliseconds: *milliseconds });
                }
                _ => {}
            }
        }
        all
    }
}

/// What happened in a run, in order: its events, and each effect where its outcome is. An effect without one is in doubt,
/// and comes last. Of a run that somebody went on with, the events are those of its last part, which tells all of it;
/// effects of the parts before come first.
pub fn events(record: &Record) -> Vec<Stamped> {
    let mut events = Vec::new();
    let mut before = Vec::new();
    let mut open: BTreeMap<EffectKey, (u64, Effected)> = BTreeMap::new();
    // Whoever only undid a run told nothing of it again.
    let is_told_again = |entry: &Entry| matches!(entry, Entry::Event(stamped) if is_begin(&stamped.event));
    let begins =
        record.entries.iter().rposition(|recorded| is_told_again(&recorded.entry)).unwrap_or_default();
    for (index, recorded) in record.entries.iter().enumerate() {
        let at = recorded.at;
        match &recorded.entry {
            Entry::Event(stamped) => {
                if matches!(stamped.event, Event::RunFinished { .. }) {
                    events.extend(in_doubt(&open));
                }
                let begins = is_begin(&stamped.event);
                events.push((**stamped).clone());
                if begins {
                    events.append(&mut before);
                }
            }
            Entry::Resumed { .. } if index < begins => {
                before.extend(events.drain(..).filter(|stamped| is_effect(&stamped.event)));
            }
            Entry::Intent { key, class, told: Some(told), .. } => {
                let EffectKey { step, target, attempt, number } = key.clone();
                let (on, class, act) = (told.on.clone(), *class, told.act.clone());
                let (end, milliseconds, difference) = (EffectEnd::InDoubt, 0, None);
                let effected =
                    Effected { step, target, attempt, number, on, class, act, end, milliseconds, difference };
                open.insert(key.clone(), (at, effected));
            }
            Entry::Outcome { key, answer, .. } | Entry::Taken { of: key, answer, .. } => {
                let Some((begun, mut effected)) = open.remove(key) else { continue };
                effected.milliseconds = at.saturating_sub(begun);
                effected.end = match answer {
                    Answer::Ok(_) => EffectEnd::Done,
                    Answer::Failed(failure) => EffectEnd::Failed { failure: failure.clone() },
                };
                events.push(Stamped { at, event: Event::Effect(Box::new(effected)) });
            }
            // A later attempt that ended well has seen to what an earlier one left open.
            Entry::InvocationEnded { step, target, attempt, answer: Answer::Ok(_), .. } => {
                open.retain(|key, _| key.step != *step || key.target != *target || key.attempt >= *attempt);
            }
            _ => {}
        }
    }
    if !matches!(events.last(), Some(Stamped { event: Event::RunFinished { .. }, .. })) {
        events.extend(in_doubt(&open));
    }
    events
}

fn is_begin(event: &Event) -> bool {
    matches!(event, Event::RunStarted { .. })
}

/// What is known to be in doubt no longer is when somebody goes on: then it is open still, and has an end later.
fn is_effect(event: &Event) -> bool {
    matches!(event, Event::Effect(effected) if effected.end != EffectEnd::InDoubt)
}

fn in_doubt(open: &BTreeMap<EffectKey, (u64, Effected)>) -> impl Iterator<Item = Stamped> {
    open.values().map(|(at, effected)| Stamped { at: *at, event: Event::Effect(Box::new(effected.clone())) })
}
