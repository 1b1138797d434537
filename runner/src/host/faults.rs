//! Faults on purpose, for tests of what a run survives: `RUNNER_FAULT=kill@17` kills the runner, as SIGKILL does, when it
//! comes to the 17th boundary of an effect; `drop@17` closes all its connections there; `delay:200@17` has it wait there
//! for 200 milliseconds. Boundaries are counted over the whole run, four for each effect; with `RUNNER_FAULT=count` they
//! are only counted, and told at the end.

use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A place in the life of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Boundary {
    /// Nothing says yet that it will happen.
    BeforeIntent,
    /// The intent is on the disk here, and nowhere else.
    AfterIntent,
    /// It was done, and only the target knows.
    AfterAct,
    /// Its outcome was handed to the journal.
    AfterOutcome,
}

/// What is to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Kill,
    Drop,
    Delay(Duration),
}

/// The faults of a run.
#[derive(Default)]
pub struct Faults {
    fault: Option<(Fault, u64)>,
    /// Closes all connections.
    close: OnceLock<Box<dyn Fn() + Send + Sync>>,
    seen: AtomicU64,
    counts: bool,
}

impl Faults {
    /// What the environment of this process asks for.
    ///
    /// # Errors
    /// `RUNNER_FAULT` is not as it is written above.
    pub fn of_process() -> Result<Self, BadFault> {
        match std::env::var("RUNNER_FAULT") {
            Ok(text) => text.parse(),
            Err(_) => Ok(Self::default()),
        }
    }

    /// How many boundaries there were, when they are to be told.
    pub fn counted(&self) -> Option<u64> {
        self.counts.then(|| self.seen.load(Ordering::Relaxed))
    }

    fn next(&self, boundary: Boundary) -> Option<Fault> {
        if self.fault.is_none() && !self.counts {
            return None;
        }
        let number = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        let (fault, _) = self.fault.filter(|(_, at)| *at == number)?;
        tracing::warn!(?boundary, number, "a fault on purpose");
        Some(fault)
    }

    /// What closes all connections.
    pub(super) fn closing(&self, close: impl Fn() + Send + Sync + 'static) {
        // Once, when the host is made.
        let _ = self.close.set(Box::new(close));
    }

    fn drop_connections(&self) {
        if let Some(close) = self.close.get() {
            close();
        }
    }

    /// Comes to a boundary.
    pub(super) async fn at(&self, boundary: Boundary) {
        match self.next(boundary) {
            Some(Fault::Kill) => kill(),
            Some(Fault::Drop) => self.drop_connections(),
            Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
            None => {}
        }
    }

    /// The same where nobody can wait: a delay there holds up its thread.
    pub(super) fn now(&self, boundary: Boundary) {
        match self.next(boundary) {
            Some(Fault::Kill) => kill(),
            Some(Fault::Drop) => self.drop_connections(),
            Some(Fault::Delay(time)) => std::thread::sleep(time),
            None => {}
        }
    }
}

/// Ends this process as a power failure would: nothing is written, nobody is told.
fn kill() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    loop {
        std::thread::park();
    }
}

/// `RUNNER_FAULT` is not understood.
#[derive(Debug, thiserror::Error)]
#[error(
    "`RUNNER_FAULT` is `{0}`, and must be `kill@NUMBER`, `drop@NUMBER`, `delay:MILLISECONDS@NUMBER` or `count`"
)]
pub struct BadFault(String);

impl FromStr for Faults {
    type Err = BadFault;

    fn from_str(text: &str) -> Result<Self, BadFault> {
        let bad = || BadFault(text.escape_debug().to_string());
        if text == "count" {
            return Ok(Self { counts: true, ..Self::default() });
        }
        let (what, at) = text.split_once('@').ok_or_else(bad)?;
        let at = at.parse().map_err(|_| bad())?;
        let fault = match what.split_once(':') {
            None if what == "kill" => Fault::Kill,
            None if what == "drop" => Fault::Drop,
            Some(("delay", time)) => Fault::Delay(Duration::from_millis(time.parse().map_err(|_| bad())?)),
            _ => return Err(bad()),
        };
        Ok(Self { fault: Some((fault, at)), ..Self::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fault_comes_at_its_boundary_and_nowhere_else() {
        let faults: Faults = "delay:40@2".parse().expect("a fault");
        let took = async |faults: &Faults| {
            let begun = std::time::Instant::now();
            faults.at(Boundary::BeforeIntent).await;
            begun.elapsed() >= Duration::from_millis(40)
        };
        assert_eq!((took(&faults).await, took(&faults).await, took(&faults).await), (false, true, false));
        assert_eq!(faults.counted(), None);
        let counting: Faults = "count".parse().expect("no fault");
        counting.now(Boundary::AfterAct);
        assert_eq!(counting.counted(), Some(1));
        for bad in ["", "kill", "kill@", "kill@x", "delay@1", "delay:x@1", "burn@1"] {
            assert!(bad.parse::<Faults>().is_err(), "{bad}");
        }
    }
}
