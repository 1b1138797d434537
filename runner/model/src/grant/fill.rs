//! What a value that is known only in the run may be, by the place where it goes.
//!
//! What the plan says itself was reviewed with the lock and stands as it is. What a step gives out, or an inventory
//! says of a target, fills one path segment, one argument or one part of a URL, and nothing that would change what is
//! around it.

use crate::template::{Lookup, Piece, Reference, Scope, Template, as_text, kind_of};
use std::fmt;

/// Where a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Into a segment of a path.
    Segment,
    /// Into an argument; whether at its beginning.
    Argument {
        /// It could be taken for an option.
        first: bool,
    },
    /// Host and port of a URL, as a whole.
    Authority,
    /// A part of a host's name.
    HostPart,
    /// The port.
    Port,
    /// Into a segment of a URL's path, or into its query.
    UrlPart,
}

impl Place {
    /// Whether a value may go there.
    pub(super) fn accepts(self, value: &str) -> bool {
        // Longer than a name on Linux, and than a host's name.
        if value.is_empty() || value.len() > 255 {
            return false;
        }
        let only = |allowed: &dyn Fn(char) -> bool| value.chars().all(allowed);
        match self {
            Self::Segment => only(&is_plain) && !value.contains(".."),
            Self::Argument { first } => {
                only(&is_plain) && !value.contains("..") && !(first && value.starts_with('-'))
            }
            Self::Authority => is_authority(value),
            Self::HostPart => only(&|c| c.is_ascii_alphanumeric() || c == '-'),
            Self::Port => only(&|c| c.is_ascii_digit()),
            // A dot alone would be taken for a segment that goes away.
            Self::UrlPart => {
                let fits = |c: char| c.is_alphanumeric() || "-._~:@,".contains(c);
                only(&fits) && !value.contains("..") && value != "."
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Segment => "one segment of a path, without `/`, `..`, spaces and control characters",
            Self::Argument { .. } => {
                "one argument, without `/`, `..`, spaces, control characters and a `-` in front"
            }
            Self::Authority => "the host of a URL, with a port or without",
            Self::HostPart => "a part of a host's name, of letters, digits and `-`",
            Self::Port => "a port",
            Self::UrlPart => "one part of a URL, of letters, digits and `-._~:@,`",
        })
    }
}

fn is_plain(c: char) -> bool {
    !(c.is_control() || c.is_whitespace() || c == '/' || c == '\\')
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn is_authority(value: &str) -> bool {
    let (host, port) = match value.strip_prefix('[') {
        Some(v6) => match v6.split_once(']') {
            Some((v6, rest)) => {
                if v6.parse::<std::net::Ipv6Addr>().is_err() {
                    return false;
                }
                match rest.strip_prefix(':') {
                    Some(port) => ("v6", port),
                    None if rest.is_empty() => ("v6", "1"),
                    None => return false,
                }
            }
            None => return false,
        },
        None => value.split_once(':').unwrap_or((value, "1")),
    };
    !host.is_empty()
        && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
        && !port.is_empty()
        && port.chars().all(|c| c.is_ascii_digit())
}

/// What came of filling in.
pub(super) struct Filled {
    /// The text, with what is still not known.
    pub(super) template: Template,
    /// Whether a value of the run went into it.
    pub(super) with_values_of_the_run: bool,
}

/// Fills in what the scope knows. `place` says where the piece of an index stands.
pub(super) fn fill(
    template: &Template,
    scope: &dyn Scope,
    place: impl Fn(usize) -> Place,
) -> Result<Filled, String> {
    let mut filled = Filled { template: Template::default(), with_values_of_the_run: false };
    for (index, piece) in template.pieces().iter().enumerate() {
        let Piece::Reference(reference) = piece else {
            filled.template.push(piece.clone());
            continue;
        };
        let value = match scope.lookup(reference) {
            Lookup::Symbolic => {
                filled.template.push(piece.clone());
                continue;
            }
            Lookup::Value(value) => value,
            Lookup::Unknown { suggestion: None } => return Err(format!("`${{{reference}}}` is not known")),
            Lookup::Unknown { suggestion: Some(meant) } => {
                return Err(format!("`${{{reference}}}` is not known; did you mean `${{{meant}}}`?"));
            }
        };
        let Some(text) = as_text(&value) else {
            return Err(format!("`${{{reference}}}` is {}, and a grant needs text", kind_of(&value)));
        };
        if !reference.is_known_at_check() {
            let place = place(index);
            if !place.accepts(&text) {
                let text: String = text.chars().take(100).collect();
                return Err(format!("`${{{reference}}}` is `{}`, and must be {place}", text.escape_debug()));
            }
            filled.with_values_of_the_run = true;
        }
        filled.template.push(Piece::Text(text));
    }
    Ok(filled)
}

/// The text with something harmless in the place of every reference, to see whether its form is right. `known` stands
/// for a reference in front that is known at check.
pub(super) fn specimen(template: &Template, known: &str) -> String {
    let mut text = String::new();
    for (index, piece) in template.pieces().iter().enumerate() {
        match piece {
            Piece::Text(piece) => text.push_str(piece),
            Piece::Reference(reference) if index == 0 && reference.is_known_at_check() => {
                text.push_str(known)
            }
            Piece::Reference(_) => text.push(harmless(&text)),
        }
    }
    text
}

/// What can follow almost any text: a digit where a port may be, else a letter, which can end a host's name.
pub(super) fn harmless(before: &str) -> char {
    if before.ends_with(|c: char| c == ':' || c.is_ascii_digit()) { '1' } else { 'x' }
}

/// Whether all is known at check.
pub(super) fn waits_only_for_the_check(template: &Template) -> bool {
    template.references().all(Reference::is_known_at_check)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Place::{Argument, Authority, HostPart, Port, Segment, UrlPart};

    #[test]
    fn a_value_never_changes_what_is_around_it() {
        let everywhere = [Segment, Argument { first: false }, Authority, HostPart, Port, UrlPart];
        for text in ["", "a/b", "/", "..", "a..b", "a b", "a\nb", "a\0", "a\u{a0}b", "a\\b", &"x".repeat(256)]
        {
            for place in everywhere {
                // Dots in a row are a name that does not resolve, not another host.
                if place != Authority || !text.contains("..") {
                    assert!(!place.accepts(text), "{text:?} as {place}");
                }
            }
        }
        assert!(!Argument { first: true }.accepts("-rf"));
        assert!(Argument { first: false }.accepts("-rf"));
        assert!(Argument { first: true }.accepts("sha256:abc"));
    }

    #[test]
    fn an_authority_is_a_host_and_a_port_at_most() {
        for text in ["web-1", "web_1.example.org", "10.0.0.1:8080", "[::1]", "[fd00::1]:80"] {
            assert!(Authority.accepts(text), "{text}");
        }
        for text in [
            "good@evil",
            "a:b@c",
            "evil#",
            "evil?x",
            "evil%2f",
            "::1",
            "[::1",
            "[::1]x",
            "[fe80::1%25eth0]",
            "h:",
            ":80",
            "h:8x",
            "é",
        ] {
            assert!(!Authority.accepts(text), "{text}");
        }
        for text in ["a.b", "a:1", "a@b", "é"] {
            assert!(!HostPart.accepts(text), "{text}");
        }
        for text in ["a%2e", "a?b", "a#b", "a&b", "a=b", "a;b"] {
            assert!(!UrlPart.accepts(text), "{text}");
        }
    }
}
