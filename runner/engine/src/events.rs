//! The one ordered stream of a run. Whoever has an [`EventSender`] adds to it; reporters and the journal only read.
//!
//! An event is stamped and queued under one lock, so that the order of the stream is the order of its times.

use runner_model::{Event, Stamped};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Above so many unread events, progress is left out: it is the one kind of which only the last counts. Log lines
/// are bounded by the sandbox, and all others by the plan.
const CROWDED: usize = 4096;

/// Makes the stream of a run; its clock starts now.
pub fn events() -> (EventSender, EventReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let unread = Arc::new(AtomicUsize::new(0));
    let shared =
        Arc::new(Shared { started: Instant::now(), sender: Mutex::new(sender), unread: unread.clone() });
    (EventSender { shared }, EventReceiver { receiver, unread, over: false })
}

/// Adds events to the stream of a run. Cheap to clone, never waits.
#[derive(Debug, Clone)]
pub struct EventSender {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    started: Instant,
    sender: Mutex<mpsc::UnboundedSender<Stamped>>,
    unread: Arc<AtomicUsize>,
}

impl EventSender {
    /// Stamps the event and adds it. That nobody reads any more is not the sender's concern.
    pub fn send(&self, event: Event) {
        let crowded = self.shared.unread.load(Ordering::Relaxed) > CROWDED;
        if crowded && matches!(event, Event::Progress { .. }) {
            return;
        }
        // A panic elsewhere while the lock was held leaves nothing half done.
        let sender = self.shared.sender.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.unread.fetch_add(1, Ordering::Relaxed);
        let _ = sender.send(Stamped { at: self.elapsed(), event });
    }

    /// Milliseconds since the run began.
    pub fn elapsed(&self) -> u64 {
        milliseconds(self.shared.started)
    }
}

/// Reads the stream of a run.
#[derive(Debug)]
pub struct EventReceiver {
    receiver: mpsc::UnboundedReceiver<Stamped>,
    unread: Arc<AtomicUsize>,
    over: bool,
}

impl EventReceiver {
    /// The next event; `None` after [`Event::RunFinished`], or when no sender is left. Safe to use in `select!`.
    pub async fn next(&mut self) -> Option<Stamped> {
        if self.over {
            return None;
        }
        let stamped = self.receiver.recv().await?;
        self.unread.fetch_sub(1, Ordering::Relaxed);
        self.over = matches!(stamped.event, Event::RunFinished { .. });
        Some(stamped)
    }
}

/// Whole milliseconds since then.
pub(crate) fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
