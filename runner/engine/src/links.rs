//! Which connections of a run are there, each waited for by whoever needs it.

use crate::brakes::Brakes;
use runner_model::{Phase, TargetName};
use std::collections::BTreeMap;
use tokio::sync::watch;

/// Whether there is a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Opening,
    Up,
    Down,
}

/// The connections, by target.
#[derive(Debug)]
pub(crate) struct Links {
    links: BTreeMap<TargetName, watch::Sender<Link>>,
}

impl Links {
    pub(crate) fn new(targets: &[TargetName]) -> Self {
        let links =
            targets.iter().map(|target| (target.clone(), watch::Sender::new(Link::Opening))).collect();
        Self { links }
    }

    /// Waits until it is known whether there is a connection. No target (as `localhost` mostly is none) needs none.
    /// `false` as well when the run was cancelled meanwhile.
    pub(crate) async fn up(&self, brakes: &Brakes, target: &TargetName) -> bool {
        let Some(link) = self.links.get(target) else { return true };
        let mut link = link.subscribe();
        tokio::select! {
            biased;
            known = link.wait_for(|link| *link != Link::Opening) => known.is_ok_and(|link| *link == Link::Up),
            () = brakes.begin(Phase::Stage).cancelled() => false,
        }
    }

    /// Whether there is a connection now.
    pub(crate) fn is_up(&self, target: &TargetName) -> bool {
        self.links.get(target).is_none_or(|link| *link.borrow() == Link::Up)
    }

    /// Waits until all of them are known, or the run is cancelled.
    pub(crate) async fn all_known(&self, brakes: &Brakes) {
        for target in self.links.keys() {
            self.up(brakes, target).await;
        }
    }

    pub(crate) fn set(&self, target: &TargetName, to: Link) {
        if let Some(link) = self.links.get(target) {
            link.send_replace(to);
        }
    }
}
