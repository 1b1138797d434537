//! WASI for modules of languages whose runtimes import it, with nothing behind it: no environment, no arguments, no
//! files, no network, no names. The clock starts at what the host recorded, random numbers come from a seed that the
//! host recorded, and stderr is kept for the message when the guest traps.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use runner_model::Digest;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder};

/// The last bytes that a guest wrote to stderr. A trap must not lose them, so they live outside of the store's WASI.
#[derive(Debug, Clone)]
pub(crate) struct Tail {
    limit: usize,
    bytes: Arc<Mutex<VecDeque<u8>>>,
}

impl Tail {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, bytes: Arc::default() }
    }

    /// Adds bytes, and lets go of the oldest beyond the limit.
    pub(crate) fn push(&self, bytes: &[u8]) {
        let mut kept = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = &bytes[bytes.len().saturating_sub(self.limit)..];
        let over = (kept.len() + bytes.len()).saturating_sub(self.limit);
        kept.drain(..over);
        kept.extend(bytes);
    }

    /// What was kept, made safe to show.
    pub(crate) fn text(&self) -> String {
        let kept = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = kept.iter().copied().collect();
        drop(kept);
        super::text::lines(String::from_utf8_lossy(&bytes).trim_end(), self.limit)
    }
}

impl IsTerminal for Tail {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Tail {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Tail {
    async fn ready(&mut self) {}
}

impl OutputStream for Tail {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 * 1024)
    }
}

/// What makes WASI of one invocation repeatable; the host records it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    /// The time at which the clock starts.
    pub(crate) now: Duration,
    /// Where random numbers come from.
    pub(crate) seed: [u8; 32],
}

impl Origin {
    /// An origin that is the same every time: `describe` must not depend on when it runs.
    pub(crate) fn fixed() -> Self {
        Self { now: Duration::ZERO, seed: [0; 32] }
    }

    /// A seed that another invocation does not have, from what names this one and from the time.
    pub(crate) fn derived(name: &str, now: Duration) -> Self {
        let digest = Digest::of(format!("{name}\0{}", now.as_nanos()));
        let mut seed = [0; 32];
        seed.copy_from_slice(&digest.hex().as_bytes()[..32]);
        Self { now, seed }
    }
}

/// A clock that starts where the host says.
struct Clock {
    base: Duration,
    started: Instant,
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.base + self.started.elapsed()
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// WASI with nothing behind it.
pub(crate) fn nothing(origin: Origin, stderr: Tail) -> WasiCtx {
    let clock = |base| Clock { base, started: Instant::now() };
    let random = || StdRng::from_seed(origin.seed);
    WasiCtxBuilder::new()
        .stderr(stderr)
        .secure_random(random())
        .insecure_random(random())
        .insecure_random_seed(u128::from_le_bytes(first_half(origin.seed)))
        .wall_clock(clock(origin.now))
        .monotonic_clock(clock(Duration::ZERO))
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .build()
}

fn first_half(seed: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&seed[..16]);
    half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_keeps_the_end() {
        let tail = Tail::new(8);
        tail.push(b"0123456789");
        assert_eq!(tail.text(), "23456789");
        tail.push(b"ab");
        assert_eq!(tail.text(), "456789ab");
        tail.push(b"\x1b[2J\n");
        assert_eq!(tail.text(), "9ab\\u{1b}[2J", "unsafe characters are written out");
    }
}
