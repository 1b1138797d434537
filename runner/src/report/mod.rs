//! What people and programs see of a run. Every view is a consumer of the one event stream and of nothing else, so
//! that a recorded run shows as it did when it was live.
//!
//! stdout is data: the document of `--json`. stderr is talk: the live view or the plain lines, and the summary.
//! Nothing that a guest, a command or a target wrote is shown before [`runner_model::text`] has made it harmless.

mod account;
mod again;
mod failed;
mod json;
mod left;
mod live;
pub(crate) mod paint;
mod plain;
mod planned;
mod service;
mod summary;
pub(crate) mod table;
mod telemetry;
mod terminal;

#[cfg(test)]
mod fixtures;

use runner_engine::EventReceiver;
use runner_model::{Digest, Stamped};
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::task::JoinHandle;

pub use again::{Again, Around};
pub use json::{Document, EventLog};
pub use plain::Plain;
pub use planned::Planned;
pub use summary::Summary;
pub use telemetry::Sent;
pub use terminal::Terminal;

/// How often what moves is drawn.
const TICK: Duration = Duration::from_millis(100);

/// A consumer of the event stream.
pub trait Reporter: Send {
    /// Takes in one event.
    ///
    /// # Errors
    /// When what is written is lost to somebody who relies on it.
    fn event(&mut self, stamped: &Stamped) -> io::Result<()>;

    /// Time passes: draws what moves.
    fn tick(&mut self) {}
}

/// Where the journal of a run is, and the hash of its last line: without it nobody would see that lines at its end
/// are missing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sealed {
    /// The journal.
    pub file: String,
    /// Of its last line.
    pub last_hash: Digest,
}

/// Filled in when the journal is closed, by a reporter that comes before those that show it.
pub type Seal = Arc<OnceLock<Sealed>>;

/// How a run is shown while it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// A live view of every target.
    Terminal,
    /// One line for each thing that happens.
    Plain,
}

/// What the user and the surroundings ask for.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How the run is shown.
    pub view: View,
    /// Whether stderr may have colours.
    pub colours: bool,
    /// Whether lines for the authors of steps are shown too.
    pub debug: bool,
    /// `--json`: a document on stdout at the end.
    pub json: bool,
    /// `--events`: where every event is written, one line of JSON each.
    pub events: Option<PathBuf>,
    /// What is known of the run beside its events.
    pub around: Around,
}

impl Settings {
    /// What the surroundings ask for: a live view only where a person watches a capable terminal, colours only where
    /// [`NO_COLOR`](https://no-color.org) does not forbid them.
    pub fn of_process() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let terminal = io::stderr().is_terminal() && !dumb;
        let view = if terminal && !set("CI") { View::Terminal } else { View::Plain };
        Self {
            view,
            colours: terminal && !set("NO_COLOR"),
            debug: false,
            json: false,
            events: None,
            around: Around::default(),
        }
    }

    /// The reporters for these settings.
    ///
    /// # Errors
    /// When the file for the events cannot be made.
    pub fn reporters(&self) -> Result<Vec<Box<dyn Reporter>>, CannotWrite> {
        let paint = paint::Paint { colours: self.colours };
        let mut reporters: Vec<Box<dyn Reporter>> = Vec::new();
        // First, so that it has the event at which anything else fails.
        if let Some(path) = &self.events {
            let file = File::create(path).map_err(|error| CannotWrite { path: path.clone(), error })?;
            reporters.push(Box::new(EventLog::new(BufWriter::new(file))));
        }
        match self.view {
            View::Terminal => reporters.push(Box::new(Terminal::on_stderr(paint, self.debug))),
            View::Plain => reporters.push(Box::new(Plain::new(io::stderr(), self.debug))),
        }
        reporters.push(Box::new(Summary::new(io::stderr(), paint).around(&self.around)));
        if self.json {
            reporters.push(Box::new(Document::new(io::stdout()).around(&self.around)));
        }
        Ok(reporters)
    }
}

impl Settings {
    /// The reporters of a dry run: nothing happens, so nothing but what was found is shown.
    ///
    /// # Errors
    /// When the file for the events cannot be made.
    pub fn of_dry_run(&self) -> Result<Vec<Box<dyn Reporter>>, CannotWrite> {
        let mut reporters: Vec<Box<dyn Reporter>> = Vec::new();
        if let Some(path) = &self.events {
            let file = File::create(path).map_err(|error| CannotWrite { path: path.clone(), error })?;
            reporters.push(Box::new(EventLog::new(BufWriter::new(file))));
        }
        let colours = self.colours && io::stdout().is_terminal();
        reporters.push(Box::new(Planned::new(io::stdout(), self.json, colours)));
        Ok(reporters)
    }
}

/// The file for the events cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot write events to `{}`: {error}", path.display())]
pub struct CannotWrite {
    path: PathBuf,
    #[source]
    error: io::Error,
}

impl CannotWrite {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Reporters at work.
#[derive(Debug)]
pub struct Reporting {
    task: JoinHandle<io::Result<()>>,
}

impl Reporting {
    /// Hands each event to each reporter until the run has finished. They get a thread of their own: a terminal that
    /// is held (Ctrl-S) or a slow pipe must not hold up the run.
    pub fn start(mut receiver: EventReceiver, mut reporters: Vec<Box<dyn Reporter>>) -> Self {
        let runtime = tokio::runtime::Handle::current();
        let task = tokio::task::spawn_blocking(move || {
            let mut outcome = Ok(());
            let mut ticks = runtime.block_on(async { tokio::time::interval(TICK) });
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                let next = runtime.block_on(async {
                    tokio::select! {
                        biased;
                        _ = ticks.tick() => Next::Tick,
                        event = receiver.next() => event.map_or(Next::Over, Next::Event),
                    }
                });
                match next {
                    Next::Tick => reporters.iter_mut().for_each(|reporter| reporter.tick()),
                    Next::Event(stamped) => {
                        for reporter in &mut reporters {
                            // The others go on; the first loss is what the caller is told.
                            let written = reporter.event(&stamped);
                            outcome = outcome.and(written);
                        }
                    }
                    Next::Over => return outcome,
                }
            }
        });
        Self { task }
    }

    /// Waits until the last event is shown.
    ///
    /// # Errors
    /// When data were lost: the file of the events or stdout could not be written.
    pub async fn end(self) -> io::Result<()> {
        self.task.await.map_err(io::Error::other)?
    }
}

enum Next {
    Tick,
    Event(Stamped),
    Over,
}

/// Writes talk. Nobody relies on it, and a closed stderr must not end a deployment halfway.
fn say(out: &mut impl Write, text: &str) {
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Broken;

    impl Reporter for Broken {
        fn event(&mut self, _stamped: &Stamped) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    #[tokio::test]
    async fn reporters_end_with_the_run_and_one_that_fails_does_not_stop_the_others() {
        let (sender, receiver) = runner_engine::events();
        let out = Shared::default();
        let reporters: Vec<Box<dyn Reporter>> =
            vec![Box::new(Broken), Box::new(Plain::new(out.clone(), false))];
        let reporting = Reporting::start(receiver, reporters);
        fixtures::failed().into_iter().for_each(|stamped| sender.send(stamped.event));
        let error = reporting.end().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let shown = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert!(shown.contains("web-1  smoke-test: started again (attempt 2)"), "{shown}");
        // `sender` is still there: it was the last event that ended the reporters.
        drop(sender);
    }

    #[test]
    fn a_file_for_events_that_cannot_be_made_is_named() {
        let settings = Settings {
            view: View::Plain,
            colours: false,
            debug: false,
            json: false,
            around: Around::default(),
            events: Some("/no/such/folder/events".into()),
        };
        let Err(error) = settings.reporters() else { panic!("it cannot be made") };
        assert!(error.to_string().starts_with("cannot write events to `/no/such/folder/events`: "));
    }
}
