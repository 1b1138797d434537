//! The host: a library, and the `runner` binary on top of it.

pub mod cli;
pub mod history;
pub mod host;
pub mod module;
pub mod replay;
pub mod report;
pub mod sandbox;
pub mod secret;
pub mod trial;
mod written;
