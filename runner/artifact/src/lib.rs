//! Content-addressed store, deterministic packing, manifests and deltas between trees.
//!
//! Plain functions, no waiting: callers in async code run what is long on a blocking thread.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`Store`] | blobs and trees on disk, by digest, shared by all runs of a user |
//! | [`Tree`] | the canonical manifest of a folder; its digest names the folder's content |
//! | [`pack`] | a folder of this machine as a tree, deterministically |
//! | [`Workspace`] | the folder of a plan, as steps see it |
//! | [`listing`] | manifests from, and for, the POSIX tools of a target |
//! | [`Delta`] | what of a tree a target lacks, and where it can copy the rest from |
//! | [`write_tar`] | the missing files as one deterministic stream |

mod delta;
mod error;
mod folder;
pub mod listing;
mod pack;
mod path;
mod store;
mod tar;
#[cfg(test)]
mod testing;
mod tree;
mod workspace;

pub use delta::{Copy, Delta, Source};
pub use error::Error;
pub use pack::{Options, pack};
pub use path::{BadTreePath, TreePath};
pub use store::{Kind, Store, Verified};
pub use tar::{files_of_tar, write_tar};
pub use tree::{BadTree, EscapingLink, Node, Tree};
pub use workspace::{Snapshot, Workspace, WorkspacePath};
