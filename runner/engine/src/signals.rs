//! What asks a run to end early. The first one lets what runs come to a good place, the second one does not.

use runner_model::Verdict;
use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Asks a run to end early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, Ctrl-C.
    Interrupt,
    /// SIGTERM, as CI systems and init systems send it.
    Terminate,
}

impl Signal {
    /// What the run ends with.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Interrupt => Verdict::Interrupted,
            Self::Terminate => Verdict::Terminated,
        }
    }
}

/// The signals of a run, in the order in which they came.
#[derive(Debug)]
pub struct Signals {
    receiver: mpsc::UnboundedReceiver<Signal>,
    listener: Option<JoinHandle<()>>,
}

impl Signals {
    /// SIGINT and SIGTERM of this process, caught from now on: without a reader, the process is not ended by them.
    ///
    /// # Errors
    /// When the operating system does not let them be caught.
    pub fn of_process() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let listener = tokio::spawn(async move {
            loop {
                let came = tokio::select! {
                    Some(()) = interrupt.recv() => Signal::Interrupt,
                    Some(()) = terminate.recv() => Signal::Terminate,
                    else => return,
                };
                if sender.send(came).is_err() {
                    return;
                }
            }
        });
        Ok(Self { receiver, listener: Some(listener) })
    }

    /// Signals that come from the program itself; none come when the sender is dropped.
    pub fn channel() -> (mpsc::UnboundedSender<Signal>, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (sender, Self { receiver, listener: None })
    }

    /// The next signal; waits for ever when none can come.
    pub(crate) async fn next(&mut self) -> Signal {
        match self.receiver.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}
