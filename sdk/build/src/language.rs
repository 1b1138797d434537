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
    /// Built by esbuild and componentize-qjs.
    #[serde(rename = "javascript")]
    JavaScript,
    /// Built by componentize-py.
    Python,
    /// Built by cargo.
    Rust,
    /// Checked by tsc, and built as JavaScript.
    #[serde(rename = "typescript")]
    TypeScript,
    /// Built by zig.
    Zig,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::C, Self::Go, Self::JavaScript, Self::Python, Self::Rust, Self::TypeScript, Self::Zig];

    /// As `step.toml` and `--lang` have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::C => "c",
            Self::Go => "go",
            Self::JavaScript => "javascript",
            Self::Python => "python",
            Self::Rust => "rust",
            Self::TypeScript => "typescript",
            Self::Zig => "zig",
        }
    }

    /// The file that has the step, when `step.toml` does not say.
    pub fn source(self) -> &'static str {
        match self {
            Self::C => "src/step.c",
            Self::Go => "step.go",
            Self::JavaScript => "src/step.js",
            Self::Python => "src/step.py",
            Self::Rust => "src/lib.rs",
            Self::TypeScript => "src/step.ts",
            Self::Zig => "src/step.zig",
        }
    }

    /// Whether its tools import all that a world names, so that `step.toml` must name what a step needs.
    pub(crate) fn names_imports(self) -> bool {
        match self {
            Self::JavaScript | Self::Python | Self::TypeScript => true,
            Self::C | Self::Go | Self::Rust | Self::Zig => false,
        }
    }
}
