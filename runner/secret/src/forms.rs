//! The forms in which a value shows up in text: as it is, encoded, escaped, and line by line.

use super::RESERVED;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::BTreeSet;

/// A shorter piece of a value says little, and would hide what has nothing to do with it.
const PIECE: usize = 6;

/// What is to be hidden of a value.
pub(crate) fn of(value: &str) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    let mut add = |form: &str| {
        if form.len() >= PIECE {
            forms.insert(form.as_bytes().to_vec());
        }
    };
    let mut texts = vec![value];
    if value.contains(['\n', '\r']) {
        texts.extend(value.lines().map(str::trim).filter(|line| line.chars().count() >= PIECE));
    }
    for text in texts {
        add(text);
        // In base64 three bytes are four letters: what a value becomes depends on what is in front of it.
        for ahead in 0..3 {
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                add(&in_the_middle(&engine, ahead, text.as_bytes()));
            }
        }
        let encoded = utf8_percent_encode(text, RESERVED).to_string();
        add(&lower_escapes(&encoded));
        add(&encoded.replace("%20", "+"));
        add(&encoded);
        add(&utf8_percent_encode(text, NON_ALPHANUMERIC).to_string());
        if let Ok(json) = serde_json::to_string(text) {
            add(json.trim_matches('"'));
            add(&json.trim_matches('"').replace('/', "\\/"));
        }
        add(&text.escape_debug().to_string());
        add(&text.escape_default().to_string());
        add(&text.replace('\'', "'\\''"));
        add(&text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;"));
    }
    forms
}

/// The letters of base64 that only this text decides, with so many bytes ahead of it and any behind it.
fn in_the_middle(engine: &impl base64::Engine, ahead: usize, text: &[u8]) -> String {
    let mut bytes = vec![0; ahead];
    bytes.extend_from_slice(text);
    let letters = engine.encode(&bytes);
    // A letter is six bits: those that share bits with what is ahead or behind are not of this text alone.
    let first = (ahead * 8).div_ceil(6);
    let last = bytes.len() * 8 / 6;
    letters.get(first..last).unwrap_or_default().to_owned()
}

/// The same with small letters in `%2f`.
fn lower_escapes(encoded: &str) -> String {
    let mut out = String::with_capacity(encoded.len());
    let mut left = 0_u8;
    for c in encoded.chars() {
        if c == '%' {
            left = 3;
        }
        out.push(if left > 0 { c.to_ascii_lowercase() } else { c });
        left = left.saturating_sub(1);
    }
    out
}
