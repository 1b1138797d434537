//! The languages that a step can be written in.

use serde::Deserialize;

/// A language that has an SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// Built by cargo.
    Rust,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Rust];

    /// As `step.toml` and `--lang` have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
        }
    }

    /// The file that has the step, when `step.toml` does not say.
    pub fn source(self) -> &'static str {
        match self {
            Self::Rust => "src/lib.rs",
        }
    }
}
