//! What both kinds of connection offer: a channel to a shell on the machine. All else is shared.

use async_trait::async_trait;
use runner_model::{Failure, UserName};
use std::any::Any;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;

/// Which shell a channel leads to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Login<'a> {
    /// The login user's, with the prelude, reading requests.
    Own,
    /// A bare `sh` behind `sudo -n -u USER --`.
    Sudo(&'a UserName),
}

/// A shell's ends. Dropping them ends the channel, though not what was started there.
pub(crate) struct Pipes {
    pub(crate) stdin: Box<dyn AsyncWrite + Send + Unpin>,
    pub(crate) stdout: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) stderr: Box<dyn AsyncRead + Send + Unpin>,
    /// What must live as long as the channel.
    pub(crate) _hold: Hold,
}

/// A child or channel, and its place among the eight.
pub(crate) struct Hold {
    pub(crate) _child: Box<dyn Any + Send + Sync>,
    pub(crate) _permit: OwnedSemaphorePermit,
}

/// A machine on which shells can be opened.
#[async_trait]
pub(crate) trait Host: Send + Sync {
    /// Connects where there is no connection. Answers whether a channel takes long to open, so that one should be opened
    /// before it is wanted.
    async fn connect(&self) -> Result<bool, Failure>;

    /// Opens a shell; connects again when the connection was lost.
    async fn open(&self, login: Login<'_>) -> Result<Pipes, Failure>;

    /// Why a channel ended before its time: a lost connection, or only the channel.
    async fn why_lost(&self) -> Failure;

    /// Where a socket is that leads to `host:port` as seen from the machine.
    async fn forward(&self, host: &str, port: u16) -> Result<crate::Forward, Failure>;

    /// Where a socket is that leads to the one at this path of the machine. Whether anybody listens there is not known yet.
    async fn reach(&self, path: &str) -> Result<crate::Forward, Failure>;

    /// Ends the connection.
    async fn close(&self);
}

/// How many channels a connection has at most, shells included; sshd's default is ten.
pub(crate) const CHANNELS: usize = 8;
