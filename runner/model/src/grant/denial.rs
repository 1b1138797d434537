//! Why something is denied, and the line that mends it where it was.

use super::ask::{Ask, printable};
use super::set::List;
use crate::policy::Ceiling;
use crate::{EffectClass, EnvironmentName, Failure, FailureKind};
use std::fmt;

/// Who refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layer {
    /// The runner itself: no grant covers it.
    Runner,
    /// The module does not declare that it needs it.
    Manifest,
    /// The step's `allow` leaves it out.
    Allow,
    /// `plan.lock` has not accepted it.
    Lock,
    /// The operator's policy.
    Policy {
        /// The environment.
        environment: EnvironmentName,
        /// The policy's file.
        file: String,
    },
    /// The review of the module that the operator's policy asks for.
    Ceiling {
        /// Who reviewed it, and which vetting it is.
        whose: String,
    },
}

impl Layer {
    /// The layer of a ceiling.
    pub(super) fn ceiling(ceiling: &Ceiling) -> Self {
        Self::Ceiling { whose: ceiling.to_string() }
    }
}

/// A refusal. It becomes the `denied` of the contract, with the mend as its detail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{ask}: {why}")]
pub struct Denial {
    /// Who refused. The first one in the order runner, policy's `deny`, manifest, `allow`, lock, policy's `allow`, ceilings.
    pub layer: Layer,
    /// What was asked for, printable.
    pub ask: String,
    /// Why it was refused.
    pub why: String,
    /// What mends it in that layer; empty when nothing does.
    pub mend: String,
}

impl Denial {
    /// No grant covers what the runner keeps to itself, or what makes no sense.
    pub(super) fn by_the_runner(ask: &Ask<'_>, why: impl fmt::Display) -> Self {
        Self { layer: Layer::Runner, ask: ask.to_string(), why: why.to_string(), mend: String::new() }
    }

    /// A policy says no.
    pub(super) fn banned(ask: &Ask<'_>, environment: &EnvironmentName, file: &str, ban: &str) -> Self {
        let ban = printable(ban);
        Self {
            layer: Layer::Policy { environment: environment.clone(), file: file.to_owned() },
            ask: ask.to_string(),
            why: format!("the operator's policy for `{environment}` denies `{ban}`"),
            mend: format!("only the operator can take `{ban}` out of `deny` in {file}"),
        }
    }

    /// A layer does not grant it. `instead` is the class under which it does.
    pub(super) fn not_granted(ask: &Ask<'_>, layer: Layer, instead: Option<EffectClass>) -> Self {
        let who = match &layer {
            Layer::Runner => "the runner".to_owned(),
            Layer::Manifest => "the module's manifest".to_owned(),
            Layer::Allow => "the step's `allow`".to_owned(),
            Layer::Lock => "`plan.lock`".to_owned(),
            Layer::Policy { environment, .. } => format!("the operator's policy for `{environment}`"),
            Layer::Ceiling { whose } => whose.clone(),
        };
        let why = match instead {
            Some(class) => format!("{who} grants it as `{}` only", super::ssh::class_word(class)),
            None => format!("{who} does not grant it"),
        };
        let mend = mend(ask, &layer);
        Self { layer, ask: ask.to_string(), why, mend }
    }
}

/// The line that would grant it.
fn mend(ask: &Ask<'_>, layer: &Layer) -> String {
    let Some((list, grant)) = ask.grant() else { return String::new() };
    let toml = line(list, &grant);
    match layer {
        Layer::Runner => String::new(),
        Layer::Manifest => format!(
            "the module would have to declare it:\n\"capabilities\": {{ \"{}\": [{}] }}",
            list.key(),
            serde_json::Value::String(grant)
        ),
        Layer::Allow => format!("add it at the step in the plan:\n{toml}"),
        Layer::Lock => "review what the plan asks for, and accept it:\nrunner lock".to_owned(),
        Layer::Policy { environment, file } => {
            format!(
                "the operator would have to add it in {file}:\n[environment.{}]\n{toml}",
                key(environment.as_str())
            )
        }
        Layer::Ceiling { .. } => format!(
            "the module would have to be vetted anew, with this in the ceiling:\n\"{}\": [{}]",
            list.key(),
            serde_json::Value::String(grant)
        ),
    }
}

/// `allow = { ssh = ["…"] }`
fn line(list: List, grant: &str) -> String {
    format!("allow = {{ {} = [{}] }}", list.key(), toml_string(grant))
}

/// A key of TOML, which needs quotes only for a dot.
fn key(name: &str) -> String {
    match name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        true => name.to_owned(),
        false => toml_string(name),
    }
}

/// A basic string of TOML.
fn toml_string(text: &str) -> String {
    let mut written = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => written.extend(['\\', c]),
            // What does not show is spelled out, so that the line is what it looks like.
            c if c != '\'' && c.escape_debug().len() > 1 => {
                written.push_str(&format!("\\U{:08X}", u32::from(c)))
            }
            c => written.push(c),
        }
    }
    written.push('"');
    written
}

impl From<Denial> for Failure {
    fn from(denial: Denial) -> Self {
        Self::new(FailureKind::Denied, &denial).with_detail(denial.mend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_toml_reads_back_as_the_grant() {
        for text in
            ["write:/a b", "exec-read:ls 'a\"b\\c'", "read:/é\u{202e}x", "exec-read:echo 'a\nb\u{1b}[31m'"]
        {
            let line = line(List::Ssh, text);
            assert!(!line.contains(['\n', '\u{1b}', '\u{202e}']), "{line:?}");
            let read: toml::Table = line.parse().expect("TOML");
            assert_eq!(read["allow"]["ssh"][0].as_str(), Some(text));
        }
    }
}
