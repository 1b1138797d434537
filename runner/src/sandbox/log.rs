//! `log`: lines and progress for people. What a guest writes is made safe before it becomes an event, and is limited:
//! a guest can fill neither the disk nor the screen.

use super::bindings::wit::log::Host;
use super::limits::Reached;
use super::state::State;
use super::text;
use runner_engine::EventSender;
use runner_model::{Event, Level, StepId, TargetName};
use runner_secret::Vault;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a line costs beside its text: it becomes an event, and a line of a file.
const LINE_OVERHEAD: usize = 64;
/// Progress comes at most this often; the first and the last always come.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// The longest unit of progress.
const UNIT: usize = 64;

/// The log of one invocation: shared by the guest's own lines and the output of its commands.
#[derive(Debug)]
pub(crate) struct Log {
    events: EventSender,
    step: StepId,
    target: TargetName,
    line: usize,
    vault: Arc<Vault>,
    left: Mutex<usize>,
}

impl Log {
    pub(crate) fn new(
        events: EventSender,
        step: StepId,
        target: TargetName,
        limit: usize,
        line: usize,
        vault: Arc<Vault>,
    ) -> Self {
        Self { events, step, target, line, vault, left: Mutex::new(limit) }
    }

    /// Shows the message, line by line; `false` when the limit is reached, and the rest is not shown.
    pub(crate) fn message(&self, level: Level, message: &str) -> bool {
        let message = self.vault.hide(message);
        let mut lines = message.lines();
        // An empty message is one empty line.
        let first = lines.next().unwrap_or_default();
        std::iter::once(first).chain(lines).all(|line| self.one(level, line))
    }

    fn one(&self, level: Level, line: &str) -> bool {
        let message = text::line(line, self.line);
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let cost = message.len() + LINE_OVERHEAD;
        if *left < cost {
            *left = 0;
            return false;
        }
        *left -= cost;
        drop(left);
        self.events.send(Event::Log { step: self.step.clone(), target: self.target.clone(), level, message });
        true
    }

    fn progress(&self, done: u32, total: u32, what: &str) {
        self.events.send(Event::Progress {
            step: self.step.clone(),
            target: self.target.clone(),
            done: done.into(),
            total: total.into(),
            what: text::line(&self.vault.hide(what), UNIT),
        });
    }
}

/// What a command prints while it runs, in the log. Beyond the limit it is dropped, with a word: the command did
/// nothing wrong, and what it prints is also in its answer.
pub(crate) struct CommandOutput<'a> {
    pub(crate) log: &'a Log,
    dropped: std::sync::atomic::AtomicBool,
}

impl<'a> CommandOutput<'a> {
    pub(crate) fn new(log: &'a Log) -> Self {
        Self { log, dropped: std::sync::atomic::AtomicBool::new(false) }
    }
}

impl runner_transport::OutputSink for CommandOutput<'_> {
    fn line(&self, _stderr: bool, line: &str) {
        use std::sync::atomic::Ordering;
        if !self.dropped.load(Ordering::Relaxed)
            && !self.log.one(Level::Info, line)
            && !self.dropped.swap(true, Ordering::Relaxed)
        {
            self.log.events.send(Event::Log {
                step: self.log.step.clone(),
                target: self.log.target.clone(),
                level: Level::Warn,
                message: "more output than the log may hold; the rest is not shown".to_owned(),
            });
        }
    }
}

/// When progress was last shown.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    last: Option<Instant>,
}

impl Throttle {
    /// Whether progress may be shown now.
    fn passes(&mut self, done: u32, total: u32) -> bool {
        let now = Instant::now();
        let finished = total > 0 && done == total;
        let due = self.last.is_none_or(|last| now.duration_since(last) >= PROGRESS_INTERVAL);
        // The last one counts once: a guest that stays at the end is throttled like any other.
        let passes = due
            || (finished
                && self.last.is_some_and(|last| now.duration_since(last) > Duration::from_millis(10)));
        if passes {
            self.last = Some(now);
        }
        passes
    }
}

impl State {
    fn log_line(&mut self, level: Level, message: &str) -> wasmtime::Result<()> {
        if self.log.message(level, message) {
            return Ok(());
        }
        Err(self.limit(Reached::Log))
    }
}

impl Host for State {
    async fn debug(&mut self, message: String) -> wasmtime::Result<()> {
        self.log_line(Level::Debug, &message)
    }

    async fn info(&mut self, message: String) -> wasmtime::Result<()> {
        self.log_line(Level::Info, &message)
    }

    async fn warn(&mut self, message: String) -> wasmtime::Result<()> {
        self.log_line(Level::Warn, &message)
    }

    async fn error(&mut self, message: String) -> wasmtime::Result<()> {
        // Modules without WASI have no stderr: their panic message comes this way, and must not be lost to the trap
        // that follows it.
        self.stderr.push(message.as_bytes());
        self.stderr.push(b"\n");
        self.log_line(Level::Error, &message)
    }

    async fn progress(&mut self, done: u32, total: u32, what: String) -> wasmtime::Result<()> {
        if self.throttle.passes(done, total) {
            self.log.progress(done, total, &what);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(limit: usize) -> (Log, runner_engine::EventReceiver) {
        let (sender, receiver) = runner_engine::events();
        let step = "step".parse().expect("a step");
        (Log::new(sender, step, TargetName::localhost(), limit, 100, Arc::default()), receiver)
    }

    async fn messages(log: Log, mut receiver: runner_engine::EventReceiver) -> Vec<(Level, String)> {
        drop(log);
        let mut messages = Vec::new();
        while let Some(stamped) = receiver.next().await {
            if let Event::Log { level, message, .. } = stamped.event {
                messages.push((level, message));
            }
        }
        messages
    }

    #[tokio::test]
    async fn lines_are_made_safe_one_by_one() {
        let (log, receiver) = log(10_000);
        assert!(log.message(Level::Info, "one\ntwo\u{1b}[2J\r\n\u{202e}three"));
        let shown = messages(log, receiver).await;
        let shown: Vec<_> = shown.iter().map(|(_, message)| message.as_str()).collect();
        assert_eq!(shown, ["one", "two\\u{1b}[2J", "\\u{202e}three"]);
    }

    #[tokio::test]
    async fn a_flood_ends_at_the_limit() {
        let (log, receiver) = log(10 * (LINE_OVERHEAD + 1));
        assert!((0..10).all(|_| log.message(Level::Info, "x")));
        assert!(!log.message(Level::Info, "x"));
        assert!(!log.message(Level::Info, ""), "once reached, the limit stays reached");
        assert_eq!(messages(log, receiver).await.len(), 10);
    }

    #[tokio::test]
    async fn output_of_commands_beyond_the_limit_is_dropped_with_a_word() {
        use runner_transport::OutputSink as _;
        let (log, receiver) = log(LINE_OVERHEAD + 10);
        let output = CommandOutput::new(&log);
        (0..5).for_each(|_| output.line(false, "line"));
        let shown = messages(log, receiver).await;
        assert_eq!(shown.len(), 2);
        assert_eq!(shown[1].0, Level::Warn);
    }

    #[test]
    fn progress_is_throttled() {
        let mut throttle = Throttle::default();
        assert!(throttle.passes(0, 10));
        assert_eq!((1..10_000).filter(|done| throttle.passes(*done, 1_000_000)).count(), 0);
    }
}
