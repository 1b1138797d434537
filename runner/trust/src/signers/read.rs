//! Reads an allowed_signers file: everything that is wrong with it, line by line.
//!
//! The reader of `authorized_keys` in the crate ssh-key is not used: it knows no tabs, takes a `#` in a comment for the
//! end of the line, and says only that something is wrong. Of a line's key it does the reading here too.

use super::options::{self, Options};
use super::{Line, Principals};
use jiff::tz::TimeZone;
use runner_model::Problems;
use runner_model::diagnostic::{Code, Problem};
use runner_model::pattern::NamePattern;
use runner_model::source::{Source, Span};
use ssh_key::PublicKey;
use ssh_key::public::KeyData;

/// The lengths of RSA keys that nobody can factor yet, and that are verified in no time.
const RSA_BITS: std::ops::RangeInclusive<u32> = 2048..=8192;

const KINDS: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// Reads all lines.
pub(super) fn lines(source: &Source, zone: &TimeZone) -> Result<Vec<Line>, Problems> {
    let mut problems = Problems::new();
    let mut lines = Vec::new();
    let mut start = 0;
    for (number, text) in source.text().split('\n').enumerate() {
        let end = start + text.trim_end_matches([' ', '\t', '\r']).len();
        let span = skip_space(source, Span { start, end });
        start += text.len() + 1;
        if span.start >= span.end || source.text()[span.start..].starts_with('#') {
            continue;
        }
        match line(source, span, number + 1, zone) {
            Ok(line) => lines.push(line),
            Err(problem) => problems.push(*problem),
        }
    }
    problems.or(Some(lines)).map(|(lines, _)| lines)
}

fn line(source: &Source, span: Span, number: usize, zone: &TimeZone) -> Result<Line, Box<Problem>> {
    let (named, principals, rest) = if source.text()[span.start..].starts_with('"') {
        let Some((text, end)) = options::quoted(source, span.start, span.end) else {
            return refused(
                Problem::at(Code::Syntax, source, span, "a quote is not closed").hint("write a second `\"`"),
            );
        };
        (Span { start: span.start, end }, text, Span { start: end, end: span.end })
    } else {
        let end = word(source, span).end;
        (
            Span { start: span.start, end },
            source.text()[span.start..end].to_owned(),
            Span { start: end, end: span.end },
        )
    };
    if is_kind(&principals) {
        return refused(
            Problem::at(Code::Missing, source, named, "this line does not say whose key it is")
                .because("a file of keys that may log in has no names; here each line begins with one")
                .hint("write who signs in front of it: `alice@example.org ssh-ed25519 …`"),
        );
    }
    let principals = patterns(source, named, &principals, "name")?;
    let mut rest = skip_space(source, rest);
    let mut given = Options::default();
    if rest.start < rest.end && !is_kind(text(source, word(source, rest))) {
        let (options, end) = options::options(source, rest, zone)?;
        given = options;
        rest = skip_space(source, Span { start: end, end: rest.end });
    }
    let key = key(source, span, rest)?;
    let Options { authority, namespaces, valid_after, valid_before } = given;
    Ok(Line { number, principals, authority, namespaces, valid_after, valid_before, key })
}

fn key(source: &Source, line: Span, span: Span) -> Result<KeyData, Box<Problem>> {
    let missing = || {
        Problem::at(Code::Missing, source, line, "this line has no key")
            .hint("write what `ssh-keygen` wrote into the file that ends in `.pub`")
    };
    let kind_at = word(source, span);
    let data_at = word(source, skip_space(source, Span { start: kind_at.end, end: span.end }));
    let (kind, data) = (text(source, kind_at), text(source, data_at));
    if kind.is_empty() {
        return refused(missing());
    }
    if kind.contains("-cert-v") {
        return refused(
            Problem::at(Code::BadValue, source, kind_at, "a certificate stands where a key must be")
                .hint("list the key of whoever made the certificate, with `cert-authority` in front"),
        );
    }
    if !KINDS.contains(&kind) {
        let message = format!("`{}` is not a kind of key that is known", kind.escape_debug());
        return refused(
            Problem::at(Code::BadValue, source, kind_at, message)
                .hint(format!("these are: {}", KINDS.map(|kind| format!("`{kind}`")).join(", "))),
        );
    }
    if data.is_empty() {
        return refused(missing());
    }
    let key = PublicKey::from_openssh(&format!("{kind} {data}")).map_err(|error| {
        Problem::at(Code::BadValue, source, data_at, format!("the key is damaged: {error}"))
            .hint("copy the line of the file that ends in `.pub` whole")
    })?;
    if let Some(bits) = weak(key.key_data()) {
        let message = format!("an RSA key of {bits} bits is not accepted");
        return refused(
            Problem::at(Code::BadValue, source, data_at, message)
                .because("it is from 2048 to 8192 bits long")
                .hint("`ssh-keygen -t ed25519` makes a key that is short and safe"),
        );
    }
    Ok(key.key_data().clone())
}

/// The length of an RSA key that is too short or too long.
pub(super) fn weak(key: &KeyData) -> Option<u32> {
    match key {
        KeyData::Rsa(rsa) => Some(rsa.key_size()).filter(|bits| !RSA_BITS.contains(bits)),
        _ => None,
    }
}

/// Patterns between commas, those with a `!` in front being exceptions. `what`: what each of them is.
pub(super) fn patterns(
    source: &Source,
    span: Span,
    list: &str,
    what: &str,
) -> Result<Principals, Box<Problem>> {
    let mut read = Principals { text: list.to_owned(), named: Vec::new(), except: Vec::new() };
    for one in list.split(',') {
        let (to, pattern) = match one.strip_prefix('!') {
            Some(rest) => (&mut read.except, rest),
            None => (&mut read.named, one),
        };
        match pattern.parse::<NamePattern>() {
            Ok(pattern) => to.push(pattern),
            Err(_) if pattern.is_empty() => {
                return refused(
                    Problem::at(Code::BadValue, source, span, format!("a {what} is empty"))
                        .hint("between two of them there is one comma"),
                );
            }
            Err(error) => return refused(Problem::at(Code::BadValue, source, span, error.to_string())),
        }
    }
    if read.named.is_empty() {
        return refused(
            Problem::at(Code::BadValue, source, span, format!("there is no {what} without a `!`"))
                .because("exceptions alone allow nobody")
                .hint("write what they are exceptions from: `*,!…`"),
        );
    }
    Ok(read)
}

/// A problem as an error; on the heap, since it is large.
pub(super) fn refused<T>(problem: Problem) -> Result<T, Box<Problem>> {
    Err(Box::new(problem))
}

fn is_kind(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"].iter().any(|kind| word.starts_with(kind))
        && !word.contains(['=', ','])
}

fn text(source: &Source, span: Span) -> &str {
    &source.text()[span.start..span.end]
}

fn word(source: &Source, span: Span) -> Span {
    let length = text(source, span).find([' ', '\t']).unwrap_or(span.end - span.start);
    Span { start: span.start, end: span.start + length }
}

fn skip_space(source: &Source, span: Span) -> Span {
    if span.start >= span.end {
        return Span { start: span.end, end: span.end };
    }
    let rest = text(source, span);
    Span { start: span.end - rest.trim_start_matches([' ', '\t']).len(), end: span.end }
}
