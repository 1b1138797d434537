//! How an entry becomes a line, and a line is proved.

use crate::Entry;
use runner_model::Digest;
use serde::Deserialize;

/// What is between the entry and the hash.
const BEFORE_HASH: &str = ",\"hash\":\"";
const AFTER_HASH: &str = "\"}";
const HEX: usize = 64;

/// A line of a journal, as it is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// 0 for the first.
    pub seq: u64,
    /// Its hash, which the next line names.
    pub hash: Digest,
    /// The line, without the newline; there is none in it. This is what the target is given.
    pub text: String,
}

/// The end of a chain of lines.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) next: u64,
    pub(crate) last: Digest,
}

impl Default for Chain {
    fn default() -> Self {
        Self { next: 0, last: Digest::from_bytes([0; 32]) }
    }
}

impl Chain {
    /// Adds an entry, given as its JSON.
    pub(crate) fn seal(&mut self, at: u64, json: &str) -> Line {
        let (seq, prev) = (self.next, self.last.hex());
        let mut text = format!("{{\"seq\":{seq},\"at\":{at},\"prev\":\"{prev}\",\"entry\":{json}");
        let hash = Digest::of(&text);
        text.push_str(BEFORE_HASH);
        text.push_str(&hash.hex());
        text.push_str(AFTER_HASH);
        *self = Self { next: seq + 1, last: hash };
        Line { seq, hash, text }
    }

    /// Proves that the line is whole and follows; returns when it was written and its entry's JSON value.
    pub(crate) fn verify(&mut self, text: &str) -> Result<(u64, Line, serde_json::Value), String> {
        let (envelope, hash) = Envelope::proved(text)?;
        if envelope.seq != self.next {
            return Err(format!(
                "its number is {}, and {} follows: a line is missing",
                envelope.seq, self.next
            ));
        }
        if envelope.prev != self.last.hex() {
            return Err("it does not follow the line before it".to_owned());
        }
        *self = Self { next: envelope.seq + 1, last: hash };
        Ok((envelope.at, Line { seq: envelope.seq, hash, text: text.to_owned() }, envelope.entry))
    }

    /// The same of a line that is alone: what it follows is not known.
    pub(crate) fn alone(text: &str) -> Result<(u64, Line, serde_json::Value), String> {
        let (envelope, hash) = Envelope::proved(text)?;
        Ok((envelope.at, Line { seq: envelope.seq, hash, text: text.to_owned() }, envelope.entry))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    seq: u64,
    at: u64,
    prev: String,
    entry: serde_json::Value,
    #[serde(rename = "hash")]
    _hash: String,
}

impl Envelope {
    /// What is in a line whose hash is that of its content.
    fn proved(text: &str) -> Result<(Self, Digest), String> {
        let parts = text
            .strip_suffix(AFTER_HASH)
            .filter(|rest| rest.len() > HEX)
            .and_then(|rest| rest.split_at_checked(rest.len() - HEX))
            .and_then(|(rest, hash)| Some((rest.strip_suffix(BEFORE_HASH)?, hash)));
        let (sealed, written) = parts.ok_or("it has no hash at its end")?;
        let hash = Digest::of(sealed);
        if hash.hex() != written {
            return Err("its hash is not that of its content: it was changed".to_owned());
        }
        Ok((serde_json::from_str(text).map_err(|error| error.to_string())?, hash))
    }
}

/// The JSON of an entry, on one line.
pub(crate) fn encode(entry: &Entry) -> Result<String, serde_json::Error> {
    serde_json::to_string(entry)
}
