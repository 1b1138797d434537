//! Names of things, each a type of its own so that none is taken for another.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// Text that cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` cannot be {what}: {why}", .text.escape_debug())]
pub struct BadName {
    what: &'static str,
    text: String,
    why: &'static str,
}

/// At most 64 characters, letters, digits and what `also` names; begins with a letter, a digit or what `first` names, so
/// that it can never be an option or a hidden file, and is always one path segment.
fn check(what: &'static str, text: &str, first: &str, also: &str) -> Result<(), BadName> {
    let refuse = |why| Err(BadName { what, text: text.to_owned(), why });
    if text.is_empty() || text.chars().count() > 64 {
        return refuse("it must have 1 to 64 characters");
    }
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric() || first.contains(c)) {
        return refuse(match first {
            "" => "it must begin with a letter or a digit",
            _ => "it must begin with a letter, a digit or `_`",
        });
    }
    if text.chars().any(|c| !c.is_ascii_alphanumeric() && !also.contains(c)) {
        return refuse(match also {
            "-_" => "only letters, digits, `-` and `_` are allowed",
            _ => "only letters, digits, `-`, `_` and `.` are allowed",
        });
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $first:literal, $also:literal, $describe:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                check($what, text, $first, $also)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $type {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                check($what, &text, $first, $also)?;
                Ok(Self(text))
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "`{}`", self.0)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let pattern = format!("^[A-Za-z0-9{}][A-Za-z0-9{}]{{0,63}}$", $first, $also.replace('-', r"\-"));
                json_schema!({ "type": "string", "pattern": pattern, "description": $describe })
            }
        }
    };
}

name!(/** A target: the name of an inventory entry, or `localhost`. */ TargetName, "the name of a target", "", "-_.", "The name of a target: letters, digits, `-`, `_` and `.`.");
name!(/** The id of a step in a plan. */ StepId, "the id of a step", "", "-_", "The id of a step: letters, digits, `-` and `_`.");
name!(/** The name of an environment. */ EnvironmentName, "the name of an environment", "", "-_", "The name of an environment: letters, digits, `-` and `_`.");
name!(/** The name of a plan. */ PlanName, "the name of a plan", "", "-_.", "The name of a plan: letters, digits, `-`, `_` and `.`.");
name!(/** One execution of a plan: sorts by time. */ RunId, "the id of a run", "", "-_", "The id of a run.");
name!(/** Under what a copy is kept for the undo of one effect: unique in its run and target. */ UndoKey, "the key of an undo copy", "", "-_.", "The key of an undo copy: letters, digits, `-`, `_` and `.`.");
name!(/** One version laid out on a target; the name of its folder in `releases/`. */ ReleaseId, "the id of a release", "", "-_.", "The id of a release.");
name!(/** A role of targets: what the plan releases to, and where `on` sends a step. */ RoleName, "the name of a role", "", "-_", "The name of a role: letters, digits, `-` and `_`.");
name!(/** A label of targets, to choose among them. */ LabelName, "a label", "", "-_", "A label: letters, digits, `-` and `_`.");
name!(/** A group of an inventory. */ GroupName, "the name of a group", "", "-_", "The name of a group: letters, digits, `-` and `_`.");
name!(/** A name of `[modules]`: what `uses` begins with. */ ModuleName, "the name of a module", "", "-_", "The name of a module: letters, digits, `-` and `_`.");
name!(/** A secret of a plan, or what a module calls one. */ SecretName, "the name of a secret", "_", "-_.", "The name of a secret: letters, digits, `-`, `_` and `.`.");
name!(/** A variable of a plan or an inventory. */ VarName, "the name of a variable", "_", "-_", "The name of a variable: letters, digits, `-` and `_`.");

impl PlanName {
    /// Stands in for a name that could not be read.
    pub(crate) fn unnamed() -> Self {
        Self("unnamed".to_owned())
    }
}

impl StepId {
    /// What `[cluster]` is called where it stands beside steps: in the lock, in the journal, in events. No step is.
    pub fn cluster() -> Self {
        Self("cluster".to_owned())
    }
}

impl UserName {
    /// The user who may do everything.
    pub fn root() -> Self {
        Self("root".to_owned())
    }
}

impl TargetName {
    /// The machine that the runner runs on.
    pub fn localhost() -> Self {
        Self("localhost".to_owned())
    }

    /// Whether it is the machine that the runner runs on.
    pub fn is_localhost(&self) -> bool {
        self.0 == "localhost"
    }
}

/// A user of a target's operating system that a step acts as.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Acting {
    /// Whoever logged in.
    Login,
    /// Through `sudo -n -u USER`.
    As(UserName),
}

name!(/** A user's name on a target. */ UserName, "the name of a user", "", "-_.", "The name of a user on a target.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_always_one_safe_path_segment() {
        for text in ["", "-rf", ".hidden", "..", "a/b", "a b", "a\nb", "é", &"x".repeat(65)] {
            assert!(text.parse::<TargetName>().is_err(), "{text:?}");
        }
        assert!("web-1.example.org".parse::<TargetName>().is_ok());
    }
}
