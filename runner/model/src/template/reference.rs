//! What stands between `${` and `}`.

use crate::suggest::closest;
use crate::{BadName, Fact, NoFact, StepId};
use std::fmt;
use std::str::FromStr;

/// A key of `[release]`, or what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReleaseField {
    /// The release root on the target.
    Root,
    /// The id of the release that this run makes.
    Id,
    /// The digest of its artifact.
    Artifact,
    /// The files and folders that releases share.
    Shared,
    /// How many good releases are kept.
    Keep,
}

/// What is known of the target that a step runs for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetField {
    /// Its name in the inventory.
    Name,
    /// The host to speak HTTP to.
    Address,
    /// The host that ssh connects to.
    Host,
    /// The port that ssh connects to.
    Port,
    /// The user that logs in.
    User,
}

/// What a `${…}` stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// `${var.NAME}`
    Var(String),
    /// `${plan.name}`
    PlanName,
    /// `${environment}`
    Environment,
    /// `${run.id}`
    RunId,
    /// `${release.…}`
    Release(ReleaseField),
    /// `${target.…}`
    Target(TargetField),
    /// `${target.vars.NAME}`
    TargetVar(String),
    /// `${target.facts.NAME}`
    TargetFact(Fact),
    /// `${STEP.OUTPUT}`
    Output {
        /// The step that gives it out.
        step: StepId,
        /// The output's name.
        output: String,
    },
}

/// First words that are not steps: no step may have one of these as its id.
pub const SCOPES: [&str; 6] = ["var", "plan", "environment", "run", "release", "target"];

/// The references that have no name of the plan's in them.
const FIXED: [(&str, Reference); 13] = [
    ("plan.name", Reference::PlanName),
    ("environment", Reference::Environment),
    ("run.id", Reference::RunId),
    ("release.root", Reference::Release(ReleaseField::Root)),
    ("release.id", Reference::Release(ReleaseField::Id)),
    ("release.artifact", Reference::Release(ReleaseField::Artifact)),
    ("release.shared", Reference::Release(ReleaseField::Shared)),
    ("release.keep", Reference::Release(ReleaseField::Keep)),
    ("target.name", Reference::Target(TargetField::Name)),
    ("target.address", Reference::Target(TargetField::Address)),
    ("target.host", Reference::Target(TargetField::Host)),
    ("target.port", Reference::Target(TargetField::Port)),
    ("target.user", Reference::Target(TargetField::User)),
];

/// Text between `${` and `}` that is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadReference {
    /// There is nothing in it.
    #[error("a reference is empty")]
    Empty,
    /// One of the words is not made of letters, digits, `-` and `_`.
    #[error("`{0}` is not a reference: `${{scope.name}}` with letters, digits, `-` and `_`")]
    Shape(String),
    /// The scope is known, what comes after it is not.
    #[error("there is no `{written}`")]
    NotThere {
        /// What is written.
        written: String,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// There is no such fact of a target.
    #[error("there is no `target.facts.{written}`")]
    Fact {
        /// What is written behind `target.facts.`.
        written: String,
        /// What was probably meant, as it should be written.
        suggestion: Option<String>,
    },
    /// The first word cannot be the id of a step.
    #[error(transparent)]
    Step(#[from] BadName),
}

impl BadReference {
    /// What was probably meant, as it should be written.
    pub fn suggestion(&self) -> Option<&str> {
        match self {
            Self::NotThere { suggestion, .. } | Self::Fact { suggestion, .. } => suggestion.as_deref(),
            Self::Empty | Self::Shape(_) | Self::Step(_) => None,
        }
    }
}

impl Reference {
    /// Whether its value is known before the first connection.
    pub fn is_known_at_check(&self) -> bool {
        match self {
            Self::Var(_) | Self::PlanName | Self::Environment => true,
            Self::Release(field) => {
                matches!(field, ReleaseField::Root | ReleaseField::Shared | ReleaseField::Keep)
            }
            Self::RunId
            | Self::Target(_)
            | Self::TargetVar(_)
            | Self::TargetFact(_)
            | Self::Output { .. } => false,
        }
    }
}

impl FromStr for Reference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        if text.is_empty() {
            return Err(BadReference::Empty);
        }
        if let Some((_, reference)) = FIXED.iter().find(|(name, _)| *name == text) {
            return Ok(reference.clone());
        }
        let words: Vec<&str> = text.split('.').collect();
        if !words.iter().all(|word| is_word(word)) {
            return Err(BadReference::Shape(text.to_owned()));
        }
        match words.as_slice() {
            ["var", name] => Ok(Self::Var((*name).to_owned())),
            ["target", "vars", name] => Ok(Self::TargetVar((*name).to_owned())),
            ["target", "facts", name] => name.parse().map(Self::TargetFact).map_err(|none: NoFact| {
                let suggestion = none.suggestion().map(|meant| format!("target.facts.{meant}"));
                BadReference::Fact { written: (*name).to_owned(), suggestion }
            }),
            [step, output] if !SCOPES.contains(step) => {
                Ok(Self::Output { step: step.parse()?, output: (*output).to_owned() })
            }
            _ => Err(BadReference::NotThere { written: text.to_owned(), suggestion: near(text) }),
        }
    }
}

/// What somebody who wrote `text` meant. Only a whole reference is a suggestion; `var` alone says nothing.
fn near(text: &str) -> Option<String> {
    let names = || FIXED.iter().map(|(name, _)| *name);
    let below = format!("{text}.");
    names().find(|name| name.starts_with(&below)).or_else(|| closest(text, names())).map(str::to_owned)
}

/// A word of a reference: what a key of TOML can be without quotes.
fn is_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Var(name) => write!(f, "var.{name}"),
            Self::TargetVar(name) => write!(f, "target.vars.{name}"),
            Self::TargetFact(fact) => write!(f, "target.facts.{fact}"),
            Self::Output { step, output } => write!(f, "{step}.{output}"),
            fixed => {
                let name = FIXED.iter().find(|(_, reference)| reference == fixed).map(|(name, _)| *name);
                f.write_str(name.unwrap_or_default())
            }
        }
    }
}
