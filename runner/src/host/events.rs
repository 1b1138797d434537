//! The event stream in the journal: scheduler decisions, retries, cancels and log lines are part of what happened.

use crate::report::{Reporter, Seal, Sealed};
use runner_journal::{Entry, Journal};
use runner_model::{Event, Stamped};
use std::io;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Keeps the events of a run in its journal, and closes it with the last one. It comes before the reporters that name
/// the closed journal.
pub struct EventJournal {
    journal: Arc<Journal>,
    file: String,
    seal: Seal,
    runtime: Handle,
}

impl EventJournal {
    /// Into this journal, which people know as `file`. To be made inside the runtime of the run.
    pub fn new(journal: Arc<Journal>, file: String, seal: Seal) -> Self {
        Self { journal, file, seal, runtime: Handle::current() }
    }
}

impl Reporter for EventJournal {
    fn event(&mut self, stamped: &Stamped) -> io::Result<()> {
        // Of progress only the last counts, and that the end of the step says. Of an effect the journal has the intent
        // and the outcome.
        if matches!(stamped.event, Event::Progress { .. } | Event::Effect(_)) {
            return Ok(());
        }
        self.journal.append(&Entry::Event(Box::new(stamped.clone()))).map_err(io::Error::other)?;
        if let Event::RunFinished { verdict, .. } = stamped.event {
            let last_hash = self.runtime.block_on(self.journal.close(verdict)).map_err(io::Error::other)?;
            // Once a run; nobody else fills it in.
            let _ = self.seal.set(Sealed { file: self.file.clone(), last_hash });
        }
        Ok(())
    }
}
