//! Patterns for the names of people and of what signs for them, as ssh_config(5) has them: `*` is any text, `?` is one
//! character, and nothing else is special.
//!
//! ```
//! use runner_model::pattern::NamePattern;
//!
//! let team: NamePattern = "*@example.org".parse().unwrap();
//! assert!(team.covers("alice@example.org"));
//! assert!(team.covers("dev-*@example.org"), "whoever that means is of the team");
//! assert!(!team.covers("*"));
//! ```

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The longest pattern, and the longest name that one is held against.
const LONGEST: usize = 512;

/// A pattern for names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct NamePattern(String);

/// Text that is no pattern for names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not the name of a signer: {why}", .text.escape_debug())]
pub struct BadPattern {
    text: String,
    why: &'static str,
}

impl NamePattern {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a name, and no pattern for several.
    pub fn is_literal(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// Whether it matches a name, or, for another pattern, every name that this one matches: a star is matched by a star
    /// alone.
    pub fn covers(&self, name: &str) -> bool {
        if name.len() > LONGEST {
            return false;
        }
        let (pattern, name): (Vec<char>, Vec<char>) = (self.0.chars().collect(), name.chars().collect());
        let (mut at, mut seen) = (0, 0);
        // Where the last star is, and how much of the name it has taken.
        let mut star: Option<(usize, usize)> = None;
        while seen < name.len() {
            match pattern.get(at) {
                Some('*') => {
                    star = Some((at, seen));
                    at += 1;
                }
                Some(&wanted) if name[seen] != '*' && (wanted == '?' || wanted == name[seen]) => {
                    at += 1;
                    seen += 1;
                }
                _ => {
                    let Some((place, taken)) = star else { return false };
                    star = Some((place, taken + 1));
                    at = place + 1;
                    seen = taken + 1;
                }
            }
        }
        pattern[at..].iter().all(|&left| left == '*')
    }
}

impl FromStr for NamePattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let refused = |why| {
            let text = text.chars().take(80).collect();
            Err(BadPattern { text, why })
        };
        if text.is_empty() {
            return refused("it is empty");
        }
        if text.len() > LONGEST {
            return refused("it is longer than 512 bytes");
        }
        if text.contains(|c: char| c.is_whitespace() || crate::text::is_unsafe(c)) {
            return refused("it has a space or a control character in it");
        }
        if text.contains([',', '"']) {
            return refused("it has a comma or a quote in it: each name is an element of its own");
        }
        if text.starts_with('!') {
            return refused("a list of who may has no exceptions");
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for NamePattern {
    type Error = BadPattern;

    fn try_from(text: String) -> Result<Self, BadPattern> {
        text.parse()
    }
}

impl From<NamePattern> for String {
    fn from(pattern: NamePattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn covers(pattern: &str, name: &str) -> bool {
        pattern.parse::<NamePattern>().expect(pattern).covers(name)
    }

    #[test]
    fn a_star_is_any_text_and_a_question_mark_one_character() {
        for (pattern, name) in [
            ("alice@example.org", "alice@example.org"),
            ("*", "alice"),
            ("*", "*"),
            ("a*e", "ae"),
            ("a*b*c", "aXbXbXc"),
            ("?lice", "élice"),
            ("*@example.org", "?@example.org"),
        ] {
            assert!(covers(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("alice", "Alice"),
            ("alice", "alice2"),
            ("a?", "a"),
            ("?", "*"),
            ("*@example.org", "alice@example.org.evil.example"),
            ("alice@example.org", "*@example.org"),
            ("a*b*c", "aXc"),
            ("[a]", "a"),
        ] {
            assert!(!covers(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_no_name_of_a_signer_is_refused_with_the_reason() {
        let why = |text: &str| text.parse::<NamePattern>().expect_err(text).to_string();
        insta::assert_snapshot!(["", "a b", "a,b", "!a", "a\u{202e}b", &"a".repeat(513)].map(why).join("\n"));
    }

    proptest! {
        #[test]
        fn what_a_covered_pattern_matches_is_matched(a in "[ab*?]{1,6}", b in "[ab*?]{1,6}", name in "[ab]{0,6}") {
            let (outer, inner): (NamePattern, NamePattern) = (a.parse().expect("a pattern"), b.parse().expect("one"));
            if outer.covers(&b) && inner.covers(&name) {
                prop_assert!(outer.covers(&name), "{outer} covers {inner}, which covers {name}");
            }
        }
    }
}
