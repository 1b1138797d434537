//! The languages that a step can be written in.

use serde::Deserialize;

/// A language that has an SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// Built by zig or clang.
    C,
    /// Built by go.
    Go,
    /// Built by cargo.
    Rust,
    /// Built by zig.
    Zig,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::C, Self::Go, Self::Rust, Self::Zig];

    /// As `step.toml` and `--lang` have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::C => "c",
            Self::Go => "go",
            Self::Rust => "rust",
            Self::Zig => "zig",
        }
    }

    /// The file that has the step, when `step.toml` does not say.
    pub fn source(self) -> &'static str {
        match self {
            Self::C => "src/step.c",
            Self::Go => "step.go",
            Self::Rust => "src/lib.rs",
            Self::Zig => "src/step.zig",
        }
    }
}
