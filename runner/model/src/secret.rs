//! A secret as what it is made of. The values are elsewhere: nothing in this crate can print one.

use crate::{Digest, SecretName};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A value that a step may use and never sees: whoever carries it out puts the value in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Secret {
    /// What it is made of, in this order.
    pub parts: Vec<SecretPart>,
    /// Of the value, with a key that ends with the run: the same values can be told from others, and none be guessed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// A part of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretPart {
    /// The value of this name.
    Named(SecretName),
    /// Text that the step put around it.
    Text(String),
    /// These, in base64.
    Base64(Vec<SecretPart>),
    /// These, percent-encoded.
    UrlEncoded(Vec<SecretPart>),
}

/// The most parts of a secret, nested ones included.
const MOST_PARTS: usize = 64;
/// How deep encodings may be nested.
const DEEPEST: usize = 4;

impl Secret {
    /// The value of this name, as it is.
    pub fn named(name: SecretName) -> Self {
        Self { parts: vec![SecretPart::Named(name)], digest: None }
    }

    /// With text around it.
    #[must_use]
    pub fn wrapped(mut self, before: String, after: String) -> Self {
        let text = |text: String| (!text.is_empty()).then_some(SecretPart::Text(text));
        self.parts.splice(0..0, text(before));
        self.parts.extend(text(after));
        Self { digest: None, ..self }
    }

    /// With another one behind it.
    #[must_use]
    pub fn appended(mut self, other: &Self) -> Self {
        self.parts.extend(other.parts.iter().cloned());
        Self { digest: None, ..self }
    }

    /// In base64.
    #[must_use]
    pub fn base64(self) -> Self {
        Self { parts: vec![SecretPart::Base64(self.parts)], digest: None }
    }

    /// Percent-encoded.
    #[must_use]
    pub fn url_encoded(self) -> Self {
        Self { parts: vec![SecretPart::UrlEncoded(self.parts)], digest: None }
    }

    /// The names in it.
    pub fn names(&self) -> Vec<&SecretName> {
        fn collect<'a>(parts: &'a [SecretPart], names: &mut Vec<&'a SecretName>) {
            for part in parts {
                match part {
                    SecretPart::Named(name) => names.push(name),
                    SecretPart::Text(_) => {}
                    SecretPart::Base64(parts) | SecretPart::UrlEncoded(parts) => collect(parts, names),
                }
            }
        }
        let mut names = Vec::new();
        collect(&self.parts, &mut names);
        names
    }

    /// What it takes to keep it, in bytes.
    pub fn cost(&self) -> usize {
        fn cost(parts: &[SecretPart]) -> usize {
            let one = |part: &SecretPart| match part {
                SecretPart::Named(name) => name.as_str().len(),
                SecretPart::Text(text) => text.len(),
                SecretPart::Base64(parts) | SecretPart::UrlEncoded(parts) => cost(parts),
            };
            parts.iter().map(|part| one(part) + 64).sum()
        }
        cost(&self.parts)
    }

    /// Whether nobody would make one like it: so many parts, or encodings in encodings, make a value that fills memory.
    pub fn is_excessive(&self) -> bool {
        fn look(parts: &[SecretPart], depth: usize, count: &mut usize) -> bool {
            parts.iter().any(|part| {
                *count += 1;
                *count > MOST_PARTS
                    || match part {
                        SecretPart::Named(_) | SecretPart::Text(_) => false,
                        SecretPart::Base64(parts) | SecretPart::UrlEncoded(parts) => {
                            depth >= DEEPEST || look(parts, depth + 1, count)
                        }
                    }
            })
        }
        look(&self.parts, 0, &mut 0)
    }
}

/// The names in it, as messages name it: `a` and `b`.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = self.names();
        names.dedup();
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        f.write_str(&names.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Secret {
        Secret::named("token".parse().expect("a name"))
    }

    #[test]
    fn what_is_made_of_a_secret_is_told_without_its_value() {
        let header = token().wrapped("user:".to_owned(), String::new()).base64();
        let header = header.wrapped("Basic ".to_owned(), String::new());
        let json = serde_json::to_string(&header).expect("JSON");
        assert_eq!(json, r#"{"parts":[{"text":"Basic "},{"base64":[{"text":"user:"},{"named":"token"}]}]}"#);
        assert_eq!(serde_json::from_str::<Secret>(&json).expect("a secret"), header);
        assert_eq!(header.to_string(), "`token`");
    }

    #[test]
    fn a_secret_that_grows_without_end_is_seen() {
        assert!(!token().url_encoded().base64().appended(&token()).is_excessive());
        assert!((0..10).fold(token(), |secret, _| secret.url_encoded()).is_excessive());
        assert!((0..10).fold(token(), |secret, _| secret.clone().appended(&secret)).is_excessive());
    }
}
