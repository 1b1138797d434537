//! How a run is slowed down and stopped: three stages, each of which includes the ones before.

use crate::{EventSender, Signal, Signals};
use runner_model::{Event, Phase};
use std::convert::Infallible;
use std::sync::OnceLock;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a step that runs when the first signal comes may take to end by itself. Long enough for a restart,
/// short enough for CI systems, which kill a cancelled job after a minute or so.
pub const GRACE: Duration = Duration::from_secs(30);

/// How long an invocation that was cancelled may take to end what it runs on the target, before it is given up.
pub const LAST_GRACE: Duration = Duration::from_secs(10);

/// The same after the second signal: somebody is waiting at the keyboard.
pub const SHORT_GRACE: Duration = Duration::from_secs(2);

/// The stages, from the mildest: nothing new begins; what runs is cut; the `always` phase is cut too.
#[derive(Debug, Default)]
pub struct Brakes {
    hold: CancellationToken,
    cut: CancellationToken,
    halt: CancellationToken,
    first: OnceLock<Signal>,
}

impl Brakes {
    /// Pulls the brakes as signals come; never ends.
    pub async fn listen(&self, mut signals: Signals, events: &EventSender) -> Infallible {
        let first = signals.next().await;
        // Only this line sets it, and it runs once.
        let _ = self.first.set(first);
        events.send(Event::Cancelling);
        self.hold.cancel();
        let second = signals.next();
        tokio::pin!(second);
        tokio::select! {
            _ = &mut second => {}
            () = tokio::time::sleep(GRACE) => {
                self.cut.cancel();
                second.await;
            }
        }
        self.cut.cancel();
        self.halt.cancel();
        std::future::pending().await
    }

    /// Stops everything, for no signal: this run may do nothing any more.
    pub(crate) fn stop(&self) {
        self.hold.cancel();
        self.cut.cancel();
        self.halt.cancel();
    }

    /// The signal that came first.
    pub fn first(&self) -> Option<Signal> {
        self.first.get().copied()
    }

    /// When cancelled, no step of the phase begins any more.
    pub fn begin(&self, phase: Phase) -> &CancellationToken {
        if phase == Phase::Always { &self.halt } else { &self.hold }
    }

    /// When cancelled, running invocations of the phase are cancelled.
    pub fn cut(&self, phase: Phase) -> &CancellationToken {
        if phase == Phase::Always { &self.halt } else { &self.cut }
    }

    /// When cancelled, nothing is waited for.
    pub fn halt(&self) -> &CancellationToken {
        &self.halt
    }
}
