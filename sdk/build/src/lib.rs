//! Builds steps to WebAssembly components: the one way for the standard modules, the modules that tests attack the runner
//! with, and authors. A [`Project`] is an author's folder, in any [`Language`]; a [`Build`] is of crates that have no
//! `step.toml`, or of many at once.
//!
//! ```no_run
//! # fn main() -> Result<(), runner_guests::Error> {
//! let guests = runner_guests::Build::new("examples/steps/hello/Cargo.toml", "target/guests").run()?;
//! assert_eq!(guests[0].name, "hello");
//! # Ok(()) }
//! ```
//!
//! Cargo builds those in Rust for `wasm32-unknown-unknown`, so that a component imports no WASI and its import list proves
//! what it can touch; `toolchain.rs` finds a compiler. The bytes depend on the sources, `Cargo.lock` and the compiler, not
//! on the folder, the user or the outer build: paths are remapped, and the environment that an outer cargo leaves behind
//! is taken away (see `env.rs`).
//!
//! In C, Go and Zig it is the same, with the language's own compiler; what a runtime asks of WASI, an adapter answers that
//! imports nothing (`contract.rs`). In Python and JavaScript it is not: the interpreter in the component imports WASI,
//! `imports` in `step.toml` says what else the component may import (`world.rs`), and no two builds have the same bytes.

mod build;
mod c;
mod component;
mod contract;
mod env;
mod files;
mod go;
mod javascript;
mod language;
pub mod project;
mod python;
pub mod scaffold;
mod toolchain;
mod tools;
mod world;
mod zig;

pub use build::{Build, Guest, outer_target_dir};
pub use component::componentize;
pub use language::Language;
pub use project::Project;
pub use toolchain::TARGET;
pub use world::Interface;

use std::path::PathBuf;

/// Why a guest could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing here can build for [`TARGET`].
    #[error(
        "no compiler here can build steps: {active}\n\n\
         hint: with rustup (rustup.rs): rustup target add {TARGET}\n\
         hint: on Debian:   apt-get install -y --no-install-recommends rustc-web rust-web-src\n\n\
         why Debian's could not be used: {debian}"
    )]
    NoToolchain {
        /// Why the compiler that was asked first cannot.
        active: String,
        /// Why Debian's way was not open either.
        debian: String,
    },
    /// A program could not be started.
    #[error("cannot start `{}`: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A `step.toml` that is not one.
    #[error("`{}` is not as it must be: {why}", file.display())]
    Project {
        /// The file.
        file: PathBuf,
        /// What is wrong, and where.
        why: String,
    },
    /// A new step's folder has something in it.
    #[error("`{}` is not empty: nothing is overwritten", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
    },
    /// A file could not be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A tool of the language is not installed.
    #[error("a step in {} is built with {what}; it is not installed\n\nhint: {how}", language.word())]
    Missing {
        /// The language.
        language: Language,
        /// The tool, and what it is for.
        what: String,
        /// How to get it, one way a line.
        how: String,
    },
    /// A tool failed.
    #[error("`{}` failed:\n{output}", program.display())]
    Tool {
        /// The program.
        program: PathBuf,
        /// What it said.
        output: String,
    },
    /// Cargo refused or failed.
    #[error("cargo could not build the steps of `{}`:\n{output}", manifest.display())]
    Cargo {
        /// What it was to build.
        manifest: PathBuf,
        /// What it said.
        output: String,
    },
    /// Cargo built nothing that can be a step.
    #[error("`{}` has no step: its library needs `crate-type = [\"cdylib\"]`", manifest.display())]
    NoGuest {
        /// What was built.
        manifest: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The module is no step: it does not carry a world of `runner:step`, or does not export what that world names.
    #[error("cannot make a component of `{}`: {why}", path.display())]
    Component {
        /// The core module.
        path: PathBuf,
        /// Why, outermost cause first.
        why: String,
    },
}
