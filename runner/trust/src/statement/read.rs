//! The statement around what is said. It is read strictly: a field that is not known could be one that takes back what the
//! others say.

use super::{LONGEST, STATEMENT, StatementError};
use runner_model::Digest;
use runner_model::text::is_unsafe;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

/// A statement, with what it says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<P> {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: P,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subject {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    digest: Digests,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Digests {
    sha256: String,
}

/// What a statement is about.
pub(super) struct Subjected {
    pub(super) name: Option<String>,
    pub(super) digest: Digest,
}

/// The type of what a statement says.
pub(super) fn kind(bytes: &[u8]) -> Result<String, StatementError> {
    read::<IgnoredAny>(bytes).map(|envelope| envelope.predicate_type)
}

/// What a statement is about, and what it says.
pub(super) fn of_kind<P: DeserializeOwned>(
    bytes: &[u8],
    wanted: &'static str,
) -> Result<(Subjected, P), StatementError> {
    let found = kind(bytes)?;
    if found != wanted {
        return Err(StatementError::Predicate { found, wanted: Some(wanted) });
    }
    let envelope = read::<P>(bytes)?;
    let [subject] = &envelope.subject[..] else {
        return Err(StatementError::Subjects(envelope.subject.len()));
    };
    let digest = format!("sha256:{}", subject.digest.sha256);
    let digest = digest.parse().map_err(|why| StatementError::Subject(format!("{why}")))?;
    if let Some(name) = &subject.name {
        text("name", name)?;
    }
    Ok((Subjected { name: subject.name.clone(), digest }, envelope.predicate))
}

fn read<P: DeserializeOwned>(bytes: &[u8]) -> Result<Envelope<P>, StatementError> {
    if bytes.len() > LONGEST {
        return Err(StatementError::TooLong(bytes.len()));
    }
    let envelope: Envelope<P> = serde_json::from_slice(bytes).map_err(|error| {
        StatementError::Malformed(runner_model::text::shown(&error.to_string()).into_owned())
    })?;
    if envelope.kind != STATEMENT {
        return Err(StatementError::Type(envelope.kind.chars().take(80).collect()));
    }
    Ok(envelope)
}

/// The text of a statement, with a line end after it.
pub(super) fn write<P: Serialize>(subject: (Option<&str>, &Digest), kind: &str, predicate: P) -> Vec<u8> {
    let (name, digest) = subject;
    let envelope = Envelope {
        kind: STATEMENT.to_owned(),
        subject: vec![Subject { name: name.map(str::to_owned), digest: Digests { sha256: digest.hex() } }],
        predicate_type: kind.to_owned(),
        predicate,
    };
    let mut bytes = serde_json::to_vec_pretty(&envelope).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Refuses what is not one line of text that can be shown.
pub(super) fn text(field: &'static str, text: &str) -> Result<(), StatementError> {
    const MOST: usize = 2000;
    let refused = |why: &str| Err(StatementError::Text { field, why: why.to_owned() });
    match text {
        "" => refused("is empty"),
        text if text.len() > MOST => refused("is longer than 2000 bytes"),
        text if text.contains(is_unsafe) => refused("has a control character in it"),
        _ => Ok(()),
    }
}
