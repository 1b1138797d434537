//! What a target says of itself, for `${target.facts.NAME}`: which facts there are, of which type each is, and what an
//! answer must look like to be one. A target may lie; it may not answer with something else than one plain word.

use crate::suggest::closest;
use jsonschema::JsonType;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// One fact of a target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fact {
    /// The kernel.
    Os,
    /// The processor.
    Arch,
    /// The distribution.
    Distribution,
    /// Who logs in.
    User,
    /// Its own name.
    Hostname,
    /// Its first process.
    Init,
    /// What starts and stops services.
    ServiceManager,
    /// Free bytes where the release root is.
    DiskFree,
    /// Whether it has this program.
    Has(String),
}

/// What the facts of a target are, as far as they were asked for.
pub type TargetFacts = BTreeMap<Fact, Value>;

/// Every fact with a name of its own: the name, the fact, and what it is, for the reference.
const TABLE: [(&str, Fact, &str); 8] = [
    ("os", Fact::Os, "The kernel, in lower case: `linux`."),
    ("arch", Fact::Arch, "The processor, as the kernel names it: `x86_64`, `aarch64`."),
    (
        "distribution",
        Fact::Distribution,
        "`ID` of its `/etc/os-release`: `debian`, `alpine`; `unknown` without one.",
    ),
    ("user", Fact::User, "The user that logs in, as the target names it."),
    ("hostname", Fact::Hostname, "Its own name for itself."),
    ("init", Fact::Init, "`systemd`, else the name of its first process."),
    (
        "service-manager",
        Fact::ServiceManager,
        "What starts and stops services: `systemd`; `service-command` where the inventory has one; else `none`.",
    ),
    (
        "disk-free",
        Fact::DiskFree,
        "Bytes that the login user may still write where the release root is. Needs `[release]`.",
    ),
];
const HAS: &str = "has-";
const HAS_TEXT: &str = "Whether the target has this program in its `PATH`: `${target.facts.has-zstd}`.";
/// The longest value that is text.
const LONGEST: usize = 255;

/// A name that no fact has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no fact `{}`", .0.escape_debug())]
pub struct NoFact(String);

impl NoFact {
    /// The fact that was probably meant.
    pub fn suggestion(&self) -> Option<&'static str> {
        closest(&self.0, TABLE.iter().map(|(name, ..)| *name))
    }

    /// All there are.
    pub fn known() -> String {
        let names: Vec<String> = TABLE.iter().map(|(name, ..)| format!("`{name}`")).collect();
        format!("{} and `{HAS}PROGRAM`", names.join(", "))
    }
}

impl FromStr for Fact {
    type Err = NoFact;

    fn from_str(text: &str) -> Result<Self, NoFact> {
        if let Some((_, fact, _)) = TABLE.iter().find(|(name, ..)| *name == text) {
            return Ok(fact.clone());
        }
        match text.strip_prefix(HAS) {
            Some(program) if is_program(program) => Ok(Self::Has(program.to_owned())),
            _ => Err(NoFact(text.to_owned())),
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Has(program) => write!(f, "{HAS}{program}"),
            fixed => {
                let name = TABLE.iter().find(|(_, fact, _)| fact == fixed).map(|(name, ..)| *name);
                f.write_str(name.unwrap_or_default())
            }
        }
    }
}

/// A program as a reference can name it: its words have letters, digits, `-` and `_`.
fn is_program(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

/// An answer that is no value of a fact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it answers `{shown}`, and `{fact}` is {must_be}")]
pub struct BadAnswer {
    fact: Fact,
    shown: String,
    must_be: &'static str,
}

impl Fact {
    /// The type of its value.
    pub fn json_type(&self) -> JsonType {
        match self {
            Self::DiskFree => JsonType::Integer,
            Self::Has(_) => JsonType::Boolean,
            _ => JsonType::String,
        }
    }

    /// What `fact` of the WIT calls it; `None`: it is worked out from something else.
    pub fn asked_as(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Has(program) => Some(format!("has:{program}").into()),
            // It follows from the init.
            Self::ServiceManager => Some("init".into()),
            Self::DiskFree => None,
            Self::Os => Some("os".into()),
            Self::Arch => Some("arch".into()),
            Self::Distribution => Some("distribution".into()),
            Self::User => Some("user".into()),
            Self::Hostname => Some("hostname".into()),
            Self::Init => Some("init".into()),
        }
    }

    /// What a target answered, as a value.
    ///
    /// # Errors
    /// It is not one plain word of the right type.
    pub fn value(&self, answer: &str) -> Result<Value, BadAnswer> {
        let bad = |must_be| BadAnswer {
            fact: self.clone(),
            shown: answer.chars().take(60).collect::<String>().escape_debug().to_string(),
            must_be,
        };
        match self.json_type() {
            JsonType::Integer => answer.parse::<u64>().map(Value::from).map_err(|_| bad("a whole number")),
            JsonType::Boolean => match answer {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                _ => Err(bad("`true` or `false`")),
            },
            _ => {
                let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+@".contains(c);
                let is_word = !answer.is_empty()
                    && answer.len() <= LONGEST
                    && answer.chars().all(plain)
                    && !answer.starts_with(['-', '.'])
                    && !answer.contains("..");
                match is_word {
                    true => Ok(Value::String(answer.to_owned())),
                    false => Err(bad("one word of letters, digits and `-_.+@`")),
                }
            }
        }
    }
}

/// The facts as a table of Markdown, for the reference.
pub(crate) fn markdown() -> String {
    let row = |name: String, fact: &Fact, text: &str| {
        let kind = match fact.json_type() {
            JsonType::Integer => "whole number",
            JsonType::Boolean => "`true` or `false`",
            _ => "string",
        };
        format!("| `{name}` | {kind} | {text} |\n")
    };
    let mut out = "| fact | value | |\n| --- | --- | --- |\n".to_owned();
    for (name, fact, text) in &TABLE {
        out.push_str(&row((*name).to_owned(), fact, text));
    }
    out.push_str(&row(format!("{HAS}PROGRAM"), &Fact::Has(String::new()), HAS_TEXT));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_fact_reads_back_what_it_prints() {
        for name in TABLE.iter().map(|(name, ..)| *name).chain(["has-zstd", "has-php-fpm8", "has-a_b"]) {
            assert_eq!(name.parse::<Fact>().expect(name).to_string(), name);
        }
        for name in ["", "has-", "has--x", "has-a.b", "has-a/b", "OS", "disk-fre", "has-é"] {
            assert!(name.parse::<Fact>().is_err(), "{name}");
        }
        assert_eq!("hostnam".parse::<Fact>().expect_err("misspelled").suggestion(), Some("hostname"));
    }

    #[test]
    fn what_is_no_plain_word_is_no_fact() {
        let hostile = [
            "",
            " ",
            "..",
            "../etc",
            "a/b",
            "a b",
            "a\nuser root",
            "\u{1b}[31mred",
            "a\0",
            "-rf",
            ".x",
            "a..b",
            "é",
            "$(id)",
            "`id`",
            "${target.name}",
            "a;b",
            "a\\b",
            &"x".repeat(1 << 20),
        ];
        for answer in hostile {
            let error = Fact::Hostname.value(answer).expect_err(answer);
            let said = error.to_string();
            assert!(said.len() < 500 && !said.chars().any(char::is_control), "{said:?}");
        }
        for answer in ["debian", "x86_64", "web-1.example.org", "deploy@corp", "(none)"] {
            assert_eq!(Fact::Hostname.value(answer).is_ok(), answer != "(none)", "{answer}");
        }
        for answer in ["", "1e9", "-1", " 1", "99999999999999999999999", "0x10"] {
            assert!(Fact::DiskFree.value(answer).is_err(), "{answer}");
        }
        assert_eq!(Fact::DiskFree.value("4096"), Ok(Value::from(4096)));
        assert_eq!(Fact::Has("zstd".to_owned()).value("true"), Ok(Value::Bool(true)));
        assert!(Fact::Has("zstd".to_owned()).value("yes").is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_fits_into_a_path_and_an_argument(answer in "\\PC{0,20}|[a-z./ \n-]{0,8}") {
            if let Ok(Value::String(word)) = Fact::Arch.value(&answer) {
                prop_assert!(!word.is_empty() && !word.contains("..") && !word.starts_with('-'));
                prop_assert!(word.chars().all(|c| !c.is_control() && !c.is_whitespace() && c != '/'));
            }
        }
    }
}
