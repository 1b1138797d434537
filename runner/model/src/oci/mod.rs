//! Modules in OCI registries: how they are named, and which one of those that are there is meant.

mod name;
mod wanted;

pub use name::{NotAReference, Reference, Repository, Tag, is_loopback};
pub use wanted::{BadModule, OciModule, Requirement, Wanted};
