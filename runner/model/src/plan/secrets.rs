//! Where the values of secrets come from, and which of them a step is given. Values are never in a plan.

use crate::SecretName;
use crate::source::{Span, Spanned};
use schemars::JsonSchema;
use std::fmt;

/// Where the value of a secret comes from: exactly one of `env`, `file`, `command`, `age` and `sops`. Line ends at the
/// end of a value are taken away. Nothing is fetched before a run, and then each secret once, before the first
/// connection.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SecretTable {
    /// A variable of the runner's own environment.
    pub env: Option<String>,
    /// A file, absolute or relative to the plan. It is refused when others may read it.
    pub file: Option<String>,
    /// A program of the runner's machine and its arguments; no shell sees them. What it prints is the value. It gets
    /// `PATH`, `HOME`, `USER` and the like, a minute, and the plan's folder to run in.
    pub command: Option<Vec<String>>,
    /// A file of `name = "value"` lines, encrypted with [age](https://age-encryption.org), absolute or relative to the
    /// plan. `runner secrets edit FILE` makes and edits it.
    pub age: Option<String>,
    /// A file encrypted with [SOPS](https://getsops.io), absolute or relative to the plan. It is read with the program
    /// `sops`.
    pub sops: Option<String>,
    /// The key in the encrypted file, with dots for keys in keys: `"db.password"`. Left out: the name of the secret.
    pub key: Option<String>,
}

/// Where the value of a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretSource {
    /// A variable of the runner's own environment.
    Env {
        /// Its name.
        name: String,
    },
    /// A file.
    File {
        /// Absolute, or relative to the plan.
        path: String,
    },
    /// What a program of the runner's machine prints.
    Command {
        /// The program and its arguments.
        argv: Vec<String>,
    },
    /// A key of a file that is encrypted with age.
    Age {
        /// Absolute, or relative to the plan.
        file: String,
        /// In the file.
        key: String,
    },
    /// A key of a file that is encrypted with SOPS.
    Sops {
        /// Absolute, or relative to the plan.
        file: String,
        /// In the file, with dots for keys in keys.
        key: String,
    },
}

impl SecretSource {
    /// The words that a source can begin with.
    pub const KINDS: [&'static str; 5] = ["env", "file", "command", "age", "sops"];

    /// The file that it reads; `None`: it reads none.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::File { path } => Some(path),
            Self::Age { file, .. } | Self::Sops { file, .. } => Some(file),
            Self::Env { .. } | Self::Command { .. } => None,
        }
    }
}

/// As grants and messages name it: its kind, then words.
impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, words): (&str, Vec<&String>) = match self {
            Self::Env { name } => ("env", vec![name]),
            Self::File { path } => ("file", vec![path]),
            Self::Command { argv } => ("command", argv.iter().collect()),
            Self::Age { file, key } => ("age", vec![file, key]),
            Self::Sops { file, key } => ("sops", vec![file, key]),
        };
        f.write_str(kind)?;
        words.into_iter().try_for_each(|word| write!(f, " {}", quoted(word)))
    }
}

/// A word that is one word, whatever is in it, on one line.
fn quoted(word: &str) -> String {
    let bare = |c: char| c.is_ascii_graphic() && !"'\"\\`$".contains(c);
    match !word.is_empty() && word.chars().all(bare) {
        true => word.to_owned(),
        false => format!("\"{}\"", word.escape_debug()),
    }
}

/// A secret of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretEntry {
    /// Where its value comes from.
    pub source: SecretSource,
    /// Where its name is written.
    pub name: Span,
}

/// A secret that a step is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenSecret {
    /// What the module calls it.
    pub local: Spanned<SecretName>,
    /// What the plan calls it.
    pub secret: Spanned<SecretName>,
}

/// What the schema says about `secrets` of a step.
pub(super) fn given_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": ["array", "object"],
        "items": { "type": "string" },
        "additionalProperties": { "type": "string" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_one_line_that_says_all_of_it() {
        let argv = ["pass", "show", "shop db", "a\nb", ""].map(str::to_owned).to_vec();
        let source = SecretSource::Command { argv };
        assert_eq!(source.to_string(), r#"command pass show "shop db" "a\nb" """#);
        let age = SecretSource::Age { file: "secrets.age".to_owned(), key: "db".to_owned() };
        assert_eq!((age.to_string().as_str(), age.file()), ("age secrets.age db", Some("secrets.age")));
    }
}
