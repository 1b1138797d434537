//! The event stream in the journal: scheduler decisions, retries, cancels and log lines are part of what happened.

use crate::report::Reporter;
use runner_journal::{Entry, Journal};
use runner_model::{Event, Stamped};
use std::io;
use std::sync::Arc;

/// Keeps the events of a run in its journal.
pub struct EventJournal(Arc<Journal>);

impl EventJournal {
    /// Into this journal.
    pub fn new(journal: Arc<Journal>) -> Self {
        Self(journal)
    }
}

impl Reporter for EventJournal {
    fn event(&mut self, stamped: &Stamped) -> io::Result<()> {
        // Of progress only the last counts, and that the end of the step says.
        if matches!(stamped.event, Event::Progress { .. }) {
            return Ok(());
        }
        self.0.append(&Entry::Event(Box::new(stamped.clone()))).map(|_| ()).map_err(io::Error::other)
    }
}
