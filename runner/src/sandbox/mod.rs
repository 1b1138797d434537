//! The sandbox: one fresh instance per invocation, with no more rights than its grant.
//!
//! Every host function does the same four things in the same order: check the grant, record, act, record the answer.
//! A denial is an answer, never a trap; a limit ends the invocation alone.

mod artifacts;
pub mod bindings;
mod change;
pub(crate) mod clock;
mod commands;
pub mod context;
mod convert;
mod difference;
mod doubt;
pub mod engine;
pub mod gate;
pub mod handles;
mod http;
pub mod limits;
mod log;
pub mod record;
mod releases;
mod run;
mod run_info;
mod secrets;
mod sockets;
pub mod state;
mod targets;
pub(crate) mod text;
mod threads;
mod timer;
pub(crate) mod wasi;
mod workspace;

pub use clock::Origin;
pub use run::{Ended, Export, Prepared, Sandbox};
