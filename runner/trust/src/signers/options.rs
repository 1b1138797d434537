//! The options of a line: `namespaces="a,b",valid-before="20270101",cert-authority`.

use super::read::{self, refused};
use super::{Principals, time};
use jiff::{Timestamp, tz::TimeZone};
use runner_model::diagnostic::{Code, Problem};
use runner_model::source::{Source, Span};
use runner_model::suggest::closest;

/// What a line may say of its key.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) authority: bool,
    pub(super) namespaces: Option<Principals>,
    pub(super) valid_after: Option<Timestamp>,
    pub(super) valid_before: Option<Timestamp>,
}

const NAMES: [&str; 4] = ["cert-authority", "namespaces", "valid-after", "valid-before"];

/// One option: its name, and its value with the quotes taken off.
struct Given {
    name: String,
    at: Span,
    value: Option<(String, Span)>,
}

/// Reads the options that begin there, and where they end.
pub(super) fn options(
    source: &Source,
    span: Span,
    zone: &TimeZone,
) -> Result<(Options, usize), Box<Problem>> {
    let (given, end) = split(source, span)?;
    let mut options = Options::default();
    let mut seen: Vec<String> = Vec::new();
    for Given { name, at, value } in given {
        let known = name.to_ascii_lowercase();
        if !NAMES.contains(&known.as_str()) {
            let near = closest(&known, NAMES).map(|near| format!("did you mean `{near}`?"));
            let list = NAMES.map(|name| format!("`{name}`")).join(", ");
            return refused(
                Problem::at(
                    Code::UnknownKey,
                    source,
                    at,
                    format!("`{}` is not an option", name.escape_debug()),
                )
                .because("it stands between who signs and the key")
                .hint(near.unwrap_or_else(|| format!("the options are: {list}"))),
            );
        }
        if seen.contains(&known) {
            return refused(
                Problem::at(Code::Duplicate, source, at, format!("`{known}` is there twice"))
                    .hint("write one, with all that it has to say"),
            );
        }
        if known == "cert-authority" {
            if value.is_some() {
                return refused(
                    Problem::at(Code::BadValue, source, at, "`cert-authority` has no value")
                        .hint("write `cert-authority` alone"),
                );
            }
            options.authority = true;
            seen.push(known);
            continue;
        }
        let Some((value, place)) = value else {
            return refused(
                Problem::at(Code::BadValue, source, at, format!("`{known}` has no value"))
                    .hint(format!("write `{known}=\"…\"`, with the quotes")),
            );
        };
        match known.as_str() {
            "namespaces" => options.namespaces = Some(read::patterns(source, place, &value, "namespace")?),
            _ => {
                let Some(read) = time::read(&value, zone) else {
                    let message = format!("`{}` is not a time", value.escape_debug());
                    return refused(
                        Problem::at(Code::BadValue, source, place, message).hint(
                            "write it as `YYYYMMDD` or `YYYYMMDDHHMM`; with a `Z` at the end it is UTC",
                        ),
                    );
                };
                let slot =
                    if known == "valid-after" { &mut options.valid_after } else { &mut options.valid_before };
                *slot = Some(read);
            }
        }
        seen.push(known);
    }
    if let (Some(after), Some(before)) = (options.valid_after, options.valid_before)
        && before < after
    {
        return refused(
            Problem::at(Code::Conflict, source, Span { start: span.start, end }, "this key is never valid")
                .because(format!("`valid-before` is {before} and `valid-after` is {after}"))
                .hint("swap the two"),
        );
    }
    Ok((options, end))
}

/// Splits at commas that are in no quotes, up to a space that is in none.
fn split(source: &Source, span: Span) -> Result<(Vec<Given>, usize), Box<Problem>> {
    let bytes = source.text().as_bytes();
    let mut at = span.start;
    let mut given = Vec::new();
    loop {
        let start = at;
        while at < span.end && !matches!(bytes[at], b'=' | b',' | b' ' | b'\t' | b'"') {
            at += 1;
        }
        let place = Span { start, end: at };
        let name = source.text()[start..at].to_owned();
        if name.is_empty() {
            let place = Span { start, end: (start + 1).min(span.end) };
            return refused(
                Problem::at(Code::Syntax, source, place, "an option is missing here")
                    .hint("between two options there is one comma and no space"),
            );
        }
        let mut value = None;
        if at < span.end && bytes[at] == b'=' {
            at += 1;
            let (text, end) = quoted(source, at, span.end).ok_or_else(|| {
                Problem::at(
                    Code::Syntax,
                    source,
                    Span { start: at, end: span.end.min(at + 1) },
                    format!("the value of `{name}` is not in quotes"),
                )
                .hint(format!("write `{name}=\"…\"`, with a quote on either side"))
            })?;
            value = Some((text, Span { start: at, end }));
            at = end;
        }
        given.push(Given { name, at: place, value });
        match bytes.get(at).filter(|_| at < span.end) {
            Some(b',') => at += 1,
            None | Some(b' ' | b'\t') => return Ok((given, at)),
            Some(_) => {
                return refused(
                    Problem::at(
                        Code::Syntax,
                        source,
                        Span { start: at, end: at + 1 },
                        "something follows the value of an option",
                    )
                    .hint("between two options there is one comma and no space"),
                );
            }
        }
    }
}

/// Text in quotes, in which `\"` is a quote, and where it ends.
pub(super) fn quoted(source: &Source, start: usize, end: usize) -> Option<(String, usize)> {
    let text = source.text().get(start..end)?.strip_prefix('"')?;
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, start + 1 + at + 1)),
            '\\' if text[at + 1..].starts_with('"') => {
                chars.next();
                value.push('"');
            }
            c => value.push(c),
        }
    }
    None
}
