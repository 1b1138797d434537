//! Time and chance for modules that import WASI, the same each time that a recorded run is done again: nothing of
//! them comes from outside of the record. (`timer` of the contract is another matter: its answers are recorded.)
//!
//! A clock starts at the recorded start of the run and moves by what the guest slept, and by one tick whenever it is
//! read: a guest that waits for the time to pass by reading it sees it pass. Random numbers come from the recorded
//! seed and the name of the invocation.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::Host;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// How far a clock moves when it is read.
const TICK: Duration = Duration::from_micros(1);

/// What the record of a run begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// When it began, since 1970.
    pub started: Duration,
    /// What its random numbers come from.
    pub seed: String,
}

impl Origin {
    /// A generator for one purpose of one invocation.
    pub(crate) fn random(&self, invocation: &str, purpose: &str) -> StdRng {
        // Lengths first: no seed and name can be read as another seed and name.
        let mut hash = Sha256::new();
        for part in [&self.seed, invocation, purpose] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        StdRng::from_seed(hash.finalize().into())
    }
}

/// The time of one invocation, since it began; shared by all of its clocks.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    passed: Arc<Mutex<Duration>>,
    waits: bool,
}

impl Clock {
    /// `waits`: a sleep takes its time.
    pub(crate) fn new(waits: bool) -> Self {
        Self { passed: Arc::default(), waits }
    }

    /// The time now, a tick later than when it was last read.
    fn read(&self) -> Duration {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        *passed = passed.saturating_add(TICK);
        *passed
    }

    /// Moves to this time, when it is later.
    fn move_to(&self, time: Duration) {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        *passed = time.max(*passed);
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        nanoseconds(TICK)
    }

    fn now(&self) -> u64 {
        nanoseconds(self.read())
    }
}

/// The same clock for people: it starts at the start of the run.
pub(crate) struct WallClock(pub(crate) Duration, pub(crate) Clock);

impl HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        TICK
    }

    fn now(&self) -> Duration {
        self.0.saturating_add(self.1.read())
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A sleep of the guest: it really waits, where it is to, and moves the clock by exactly what was asked for.
struct Sleep {
    clock: Clock,
    /// When it ends, by the guest's clock.
    until: Duration,
    /// When it ends, by this machine's; `None`: never.
    really: Option<tokio::time::Instant>,
}

#[async_trait::async_trait]
impl Pollable for Sleep {
    async fn ready(&mut self) {
        match self.really {
            Some(really) => tokio::time::sleep_until(really).await,
            None => std::future::pending().await,
        }
        self.clock.move_to(self.until);
    }
}

/// `wasi:clocks/monotonic-clock` as this host has it.
pub(crate) struct Sleeps;

impl HasData for Sleeps {
    type Data<'a> = SleepsView<'a>;
}

/// What that needs of a store.
pub(crate) struct SleepsView<'a> {
    pub(crate) clock: &'a Clock,
    pub(crate) table: &'a mut ResourceTable,
}

impl SleepsView<'_> {
    fn sleep(&mut self, from: Duration, time: Duration) -> wasmtime::Result<Resource<DynPollable>> {
        let now = tokio::time::Instant::now();
        let sleep = Sleep {
            clock: self.clock.clone(),
            until: from.saturating_add(time),
            really: if self.clock.waits { now.checked_add(time) } else { Some(now) },
        };
        let sleep = self.table.push(sleep)?;
        subscribe(self.table, sleep)
    }
}

impl Host for SleepsView<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(HostMonotonicClock::now(self.clock))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(HostMonotonicClock::resolution(self.clock))
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let from = self.clock.read();
        self.sleep(from, Duration::from_nanos(when).saturating_sub(from))
    }

    fn subscribe_duration(&mut self, time: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let from = self.clock.read();
        self.sleep(from, Duration::from_nanos(time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng as _;

    #[test]
    fn random_numbers_differ_by_run_invocation_and_purpose_and_by_nothing_else() {
        let number = |seed: &str, invocation: &str, purpose: &str| {
            let origin = Origin { seed: seed.to_owned(), ..Origin::default() };
            origin.random(invocation, purpose).next_u64()
        };
        let one = number("seed", "r-7/switch/web-1/1", "random");
        assert_eq!(one, number("seed", "r-7/switch/web-1/1", "random"));
        assert_ne!(one, number("other", "r-7/switch/web-1/1", "random"));
        assert_ne!(one, number("seed", "r-7/switch/web-1/2", "random"));
        assert_ne!(one, number("seed", "r-7/switch/web-1/1", "insecure"));
        assert_ne!(one, number("seedr", "-7/switch/web-1/1", "random"));
    }

    #[tokio::test]
    async fn a_sleep_moves_the_clock_by_what_was_asked_for() {
        let clock = Clock::new(true);
        assert_eq!(HostMonotonicClock::now(&clock), 1_000);
        let wall = WallClock(Duration::from_secs(5), clock.clone());
        assert_eq!(wall.now(), Duration::from_secs(5) + 2 * TICK);
        let mut sleep = Sleep {
            clock: clock.clone(),
            until: Duration::from_millis(20),
            really: tokio::time::Instant::now().checked_add(Duration::from_millis(5)),
        };
        sleep.ready().await;
        assert_eq!(HostMonotonicClock::now(&clock), 20_001_000);
        clock.move_to(Duration::from_millis(10));
        assert_eq!(HostMonotonicClock::now(&clock), 20_002_000, "it never goes back");
    }
}
