//! The connections of a run: all opened from the start, a bounded number at a time, each waited for by whoever needs it.

use crate::attempts::words;
use crate::events::milliseconds;
use crate::run::Run;
use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use runner_model::{Event, Failure, FailureKind, Phase, TargetName};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;

/// How many connections are opened at a time: enough to hide the handshakes, and few enough for a small machine and
/// its network. Targets behind one jump host share its `MaxStartups`; that is for the transport to heed.
const AT_ONCE: usize = 32;

/// Whether there is a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
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

    /// Opens all of them; stops when the run is cancelled, since connecting changes nothing.
    pub(crate) async fn open(run: &Arc<Run>, targets: &[TargetName]) {
        let all = futures_util::stream::iter(targets)
            .map(|target| connect(run, target))
            .buffer_unordered(AT_ONCE)
            .for_each(|()| async {});
        tokio::select! {
            biased;
            () = run.brakes.begin(Phase::Stage).cancelled() => {}
            () = all => {}
        }
    }

    /// Waits until it is known whether there is a connection. No target (as `localhost` mostly is none) needs none.
    /// `false` as well when the run was cancelled meanwhile.
    pub(crate) async fn up(&self, run: &Run, target: &TargetName) -> bool {
        let Some(link) = self.links.get(target) else { return true };
        let mut link = link.subscribe();
        tokio::select! {
            biased;
            known = link.wait_for(|link| *link != Link::Opening) => known.is_ok_and(|link| *link == Link::Up),
            () = run.brakes.begin(Phase::Stage).cancelled() => false,
        }
    }

    /// Whether there is a connection now.
    pub(crate) fn is_up(&self, target: &TargetName) -> bool {
        self.links.get(target).is_none_or(|link| *link.borrow() == Link::Up)
    }

    /// Waits until all of them are known, or the run is cancelled.
    pub(crate) async fn all_known(&self, run: &Run) {
        for target in self.links.keys() {
            self.up(run, target).await;
        }
    }

    fn set(&self, target: &TargetName, to: Link) {
        if let Some(link) = self.links.get(target) {
            link.send_replace(to);
        }
    }
}

async fn connect(run: &Run, target: &TargetName) {
    let started = Instant::now();
    let answer =
        AssertUnwindSafe(run.executor.connect(target)).catch_unwind().await.unwrap_or_else(|panic| {
            Err(Failure::new(
                FailureKind::Other,
                format_args!("connecting ended in a bug of the runner: {}", words(panic.as_ref())),
            ))
        });
    match answer {
        Ok(live) => {
            run.board().connected(target, live.clone());
            let milliseconds = milliseconds(started);
            run.events.send(Event::Connected { target: target.clone(), milliseconds, live });
            run.links.set(target, Link::Up);
        }
        Err(failure) => {
            run.events.send(Event::Unreachable { target: target.clone(), failure: failure.clone() });
            let halt = run.board().unreachable(target, failure);
            run.say_halted(halt);
            run.links.set(target, Link::Down);
        }
    }
}
