//! WASI for modules of languages whose runtimes import it, with nothing behind it: no environment, no arguments, no
//! files, no network, no names. Time and random numbers are those of [`clock`](super::clock), and stderr is kept for
//! the message when the guest traps.

use super::clock::{Clock, Origin, Sleeps, SleepsView, WallClock};
use rand::RngExt as _;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::component::Linker;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiView};

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

/// A store whose guest may import WASI.
pub(crate) trait Clocked: WasiView {
    /// Its clock, and where its sleeps are kept.
    fn sleeps(&mut self) -> SleepsView<'_>;
}

/// Links all of WASI, with the clock of this host in the place of this machine's.
pub(crate) fn link<T: Clocked + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    let linked = monotonic_clock::add_to_linker::<T, Sleeps>(linker, T::sleeps);
    linker.allow_shadowing(false);
    linked
}

/// WASI with nothing behind it, for the invocation of this name.
pub(crate) fn nothing(origin: &Origin, invocation: &str, clock: &Clock, stderr: Tail) -> WasiCtx {
    let random = |purpose| origin.random(invocation, purpose);
    WasiCtxBuilder::new()
        .stderr(stderr)
        .secure_random(random("random"))
        .insecure_random(random("insecure"))
        .insecure_random_seed(random("insecure-seed").random())
        .wall_clock(WallClock(origin.started, clock.clone()))
        .monotonic_clock(clock.clone())
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .build()
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
