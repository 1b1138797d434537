//! How the targets of the rollout stand in their cluster, as it was last asked, and how the run found them.

use runner_model::{ReleaseId, Service, Standing, TargetName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is known of all of them.
#[derive(Debug, Default)]
pub(super) struct Standings {
    /// Those that the cluster is asked about.
    fleet: BTreeSet<TargetName>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    now: BTreeMap<TargetName, Standing>,
    found: BTreeMap<TargetName, Service>,
    live: BTreeMap<TargetName, ReleaseId>,
    asked: BTreeMap<TargetName, u32>,
}

impl Standings {
    /// Of these targets; `found`: how an earlier part of the run found them.
    pub(super) fn new(fleet: BTreeSet<TargetName>, found: BTreeMap<TargetName, Service>) -> Self {
        Self { fleet, known: Mutex::new(Known { found, ..Known::default() }) }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether requests may be sent to it: also when the cluster was not asked yet.
    pub(super) fn serves(&self, target: &TargetName) -> bool {
        self.fleet.contains(target) && !self.known().now.get(target).is_some_and(|standing| standing.is_out())
    }

    /// The cluster said so. Answers whether it is the first time that it was asked in the run.
    pub(super) fn stands(&self, target: &TargetName, standing: Standing) -> bool {
        let mut known = self.known();
        known.now.insert(target.clone(), standing);
        match known.found.contains_key(target) {
            true => false,
            false => known.found.insert(target.clone(), standing.service).is_none(),
        }
    }

    /// How it stands, as it was last asked.
    pub(super) fn now(&self, target: &TargetName) -> Option<Standing> {
        self.known().now.get(target).copied()
    }

    /// How the run found it.
    pub(super) fn found(&self, target: &TargetName) -> Option<Service> {
        self.known().found.get(target).copied()
    }

    /// What is live on it.
    pub(super) fn live(&self, target: &TargetName) -> Option<ReleaseId> {
        self.known().live.get(target).cloned()
    }

    /// Something else is live on it.
    pub(super) fn went_live(&self, target: &TargetName, release: Option<ReleaseId>) {
        let mut known = self.known();
        match release {
            Some(release) => known.live.insert(target.clone(), release),
            None => known.live.remove(target),
        };
    }

    /// The number of the next question about it; `over`: how many an earlier part of the run asked.
    pub(super) fn next(&self, target: &TargetName, over: u32) -> u32 {
        let mut known = self.known();
        let asked = known.asked.entry(target.clone()).or_insert(over);
        *asked += 1;
        *asked
    }
}
