//! Values of secrets while a run lives: in memory only, wiped when they are dropped, and without a way to print one.
//!
//! A [`Vault`] holds what was fetched. Whoever carries something out asks it for the value of a [`Secret`] and puts it
//! where it belongs; whoever has text that came from elsewhere asks it to hide what it knows. Where values come from,
//! and who may use which, is decided elsewhere.

mod forms;
mod mask;
mod value;

pub use mask::{Stream, Stretch};
pub use value::{BadValue, LARGEST, SHORTEST, Value};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mask::Mask;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use runner_model::{Digest, Failure, FailureKind, Secret, SecretName, SecretPart};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroizing;

/// The largest value that is made of secrets, in bytes.
const LARGEST_MADE: usize = 1 << 20;

/// What RFC 3986 calls unreserved stays as it is.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The values of a run.
pub struct Vault {
    values: BTreeMap<SecretName, Value>,
    variables: Vec<String>,
    /// Digests of values are made with it. Whoever keeps it for a run that may be gone on with keeps it apart from them.
    key: Zeroizing<[u8; 32]>,
    mask: RwLock<Arc<Mask>>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({:?})", self.values.keys().collect::<Vec<_>>())
    }
}

impl Default for Vault {
    fn default() -> Self {
        Self::new(BTreeMap::new())
    }
}

impl Vault {
    /// Holds these values.
    pub fn new(values: BTreeMap<SecretName, Value>) -> Self {
        let mask = Mask::of(values.values().flat_map(|value| forms::of(value.text())).collect());
        Self {
            values,
            variables: Vec::new(),
            key: Zeroizing::new(rand::random()),
            mask: RwLock::new(Arc::new(mask)),
        }
    }

    /// The same where values came from these variables of the runner: no program that it starts is to have them.
    #[must_use]
    pub fn from_variables(self, variables: Vec<String>) -> Self {
        Self { variables, ..self }
    }

    /// The same with the key of an earlier part of the run: only then digests of the two can be compared.
    #[must_use]
    pub fn with_key(self, key: [u8; 32]) -> Self {
        Self { key: Zeroizing::new(key), ..self }
    }

    /// What digests are made with.
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// The variables of the runner that hold values.
    pub fn variables(&self) -> &[String] {
        &self.variables
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether it holds the value of this name.
    pub fn has(&self, name: &SecretName) -> bool {
        self.values.contains_key(name)
    }

    /// The value of a secret, for the one place that it goes to.
    ///
    /// # Errors
    /// It is made of more than anybody needs, or of a name that is not here.
    pub fn reveal(&self, secret: &Secret) -> Result<Zeroizing<String>, Failure> {
        let refuse = |kind, why: &str| Err(Failure::new(kind, format_args!("the secret {secret}: {why}")));
        if secret.is_excessive() {
            return refuse(FailureKind::Invalid, "it is made of too many parts");
        }
        let mut made = Zeroizing::new(String::new());
        if let Err(missing) = self.make(&secret.parts, &mut made) {
            let message =
                format!("the secret `{missing}` was not fetched: the run has no step that is given it");
            return Err(Failure::new(FailureKind::NotFound, message));
        }
        if made.len() > LARGEST_MADE {
            return refuse(FailureKind::Invalid, "what is made of it has more than 1 MiB");
        }
        if encoded(&secret.parts) && !self.mask().finds_all_of(&made) && !self.hide_too(&made) {
            return refuse(
                FailureKind::Invalid,
                "more was made of the secrets of this run than can be hidden",
            );
        }
        Ok(made)
    }

    fn make(&self, parts: &[SecretPart], made: &mut Zeroizing<String>) -> Result<(), SecretName> {
        for part in parts {
            match part {
                SecretPart::Text(text) => made.push_str(text),
                SecretPart::Named(name) => {
                    made.push_str(self.values.get(name).ok_or_else(|| name.clone())?.text());
                }
                SecretPart::Base64(parts) | SecretPart::UrlEncoded(parts) => {
                    let mut inner = Zeroizing::new(String::new());
                    self.make(parts, &mut inner)?;
                    let encoded = Zeroizing::new(match part {
                        SecretPart::Base64(_) => STANDARD.encode(inner.as_bytes()),
                        _ => utf8_percent_encode(&inner, RESERVED).to_string(),
                    });
                    made.push_str(&encoded);
                }
            }
        }
        Ok(())
    }

    /// The same with the digest of its value: what a record may keep of it.
    #[must_use]
    pub fn sealed(&self, secret: &Secret) -> Secret {
        let digest = self.reveal(secret).ok().map(|value| self.keyed(&Digest::of(value.as_bytes())));
        Secret { digest, ..secret.clone() }
    }

    /// The digest of something as a record may keep it: equal for equal content in this run, and no use to anybody who
    /// guesses at the content.
    pub fn keyed(&self, digest: &Digest) -> Digest {
        // Key and digest have one length each: what is hashed is not the beginning of anything else.
        let mut keyed = Zeroizing::new(self.key.to_vec());
        keyed.extend_from_slice(digest.hex().as_bytes());
        Digest::of(keyed.as_slice())
    }

    fn mask(&self) -> Arc<Mask> {
        Arc::clone(&self.mask.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What an encoding made of several secrets is in none of their own forms. Answers whether it is hidden from now on.
    fn hide_too(&self, made: &str) -> bool {
        let mut mask = self.mask.write().unwrap_or_else(PoisonError::into_inner);
        match mask.with(forms::of(made)) {
            Some(more) => *mask = Arc::new(more),
            None => return false,
        }
        true
    }

    /// Text in which no value of the run stands, in none of its usual forms.
    pub fn hide<'t>(&self, text: impl Into<std::borrow::Cow<'t, str>>) -> String {
        let text = text.into();
        if self.is_empty() {
            return text.into_owned();
        }
        self.mask().hide(&text)
    }

    /// The same for every text in a JSON value, the names of keys too.
    pub fn hide_json(&self, value: serde_json::Value) -> serde_json::Value {
        use serde_json::Value as Json;
        if self.is_empty() {
            return value;
        }
        match value {
            Json::String(text) => Json::String(self.hide(text)),
            Json::Array(values) => values.into_iter().map(|value| self.hide_json(value)).collect(),
            Json::Object(values) => values
                .into_iter()
                .map(|(key, value)| (self.hide(key), self.hide_json(value)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            other => other,
        }
    }

    /// The same for a failure.
    #[must_use]
    pub fn hide_failure(&self, failure: Failure) -> Failure {
        let Failure { kind, message, detail } = failure;
        Failure { kind, message: self.hide(message), detail: self.hide(detail) }
    }

    /// Whether a value stands in these bytes.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        !self.is_empty() && self.mask().is_in(bytes)
    }

    /// Hides in a stream, wherever it is cut.
    pub fn stream(&self) -> Stream {
        Stream::new(self.mask())
    }
}

/// Whether something in it is encoded, and so in a form of its own.
fn encoded(parts: &[SecretPart]) -> bool {
    parts.iter().any(|part| matches!(part, SecretPart::Base64(_) | SecretPart::UrlEncoded(_)))
}

#[cfg(test)]
mod tests;
