//! Opening the connections of a run: all from the start, a bounded number at a time.

use crate::attempts::words;
use crate::events::milliseconds;
use crate::links::Link;
use crate::shared::Run;
use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use runner_model::{Event, Failure, FailureKind, Phase, TargetName};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::time::Instant;

/// How many connections are opened at a time: enough to hide the handshakes, and few enough for a small machine and
/// its network. Targets behind one jump host share its `MaxStartups`; that is for the transport to heed.
const AT_ONCE: usize = 32;

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
