//! The documentation is true: what is generated is current, every file that a page shows is accepted by the real
//! runner, and the commands of the tutorial say what the tutorial says.
//!
//! `UPDATE_DOCS=1 cargo test -p runner --test docs` writes anew what is generated, and outputs that are different now.

mod console;
mod generated;
mod pages;
mod snippets;

use std::path::{Path, PathBuf};

/// The root of the repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned()
}

/// The user's cache in all tests, so that modules are compiled once.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("docs-cache")
}

/// Whether pages are written anew.
fn updating() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1")
}

/// How a page that is not current is mended.
const COMMAND: &str = "UPDATE_DOCS=1 cargo test -p runner --test docs";
