#![doc = include_str!("../README.md")]

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;

pub mod backups;
mod changed;
mod cluster;
mod command;
mod data;
mod error;
pub mod layout;
pub mod log;
pub mod params;
mod request;
pub mod run_info;
mod step;
mod sys;
mod target;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
pub mod timer;
mod types;
pub mod workspace;

pub use cluster::{Cluster, call_join, call_leave, call_observe, describe_cluster};
pub use command::Command;
pub use data::{Artifact, Secret};
pub use error::{Context, Error, ErrorKind, Result};
pub use request::Request;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub use step::log_panics;
pub use step::{Capabilities, Runs, Step, call, describe};
pub use target::Target;
pub use types::{
    Attributes, Effect, Entry, EntryKind, Header, Link, Mark, Output, Owned, Release, Response, Service,
    ServiceAction, Standing,
};

// Authors derive with these; the versions must be the ones that this crate was built with.
pub use schemars::{self, JsonSchema};
pub use serde::{self, Deserialize, Serialize};
