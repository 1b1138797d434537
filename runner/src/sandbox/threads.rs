//! The threads that guests run on: as many as cores, and none of those that carry input and output.
//!
//! A guest that spins gives its thread back at every tick of the epoch, so guests share these threads; whatever they
//! do, connections, timers and reporters go on.

use std::future::Future;
use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;

/// A runtime of its own for guests.
#[derive(Debug)]
pub(crate) struct GuestThreads(Option<Runtime>);

impl GuestThreads {
    pub(crate) fn new() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let runtime =
            Builder::new_multi_thread().worker_threads(cores).thread_name("guest").enable_all().build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs the future there; dropping the handle gives it up.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> AbortOnDropHandle<T> {
        let Some(runtime) = &self.0 else {
            unreachable!("the runtime is only taken when the threads are dropped")
        };
        AbortOnDropHandle::new(runtime.spawn(future))
    }
}

impl Drop for GuestThreads {
    fn drop(&mut self) {
        // Waiting for the threads is forbidden where this is dropped: inside another runtime. Every invocation has
        // an owner that has awaited or aborted it.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
