//! `[CLASS ]METHOD URL[ at ADDRESS][ from target]`: which requests, as which class of effect.

use super::ask::Ask;
use super::bound::{Bound, Named};
use super::fill::{Place, fill};
use super::origin::{Authority, UrlRule};
use super::ssh::{CLASSES, class, class_word};
use super::words::{Atom, Hole, Lexing, Why, Word, template, words};
use crate::EffectClass;
use crate::template::{Piece, Reference, Scope, Template};
use std::fmt;
use std::net::IpAddr;
use url::Url;

impl Named for UrlRule {
    const SPECIMEN: &'static str = "http://x";

    fn read(text: &str) -> Result<Self, String> {
        Self::read(text)
    }
}

impl Named for Authority {
    fn read(text: &str) -> Result<Self, String> {
        Self::read(text)
    }
}

/// The form of a grant before its words are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape<H> {
    pub(super) class: Option<Word<H>>,
    pub(super) method: Word<H>,
    pub(super) url: Word<H>,
    pub(super) at: Option<Word<H>>,
    pub(super) from: Option<Word<H>>,
}

const FORM: &str = "the form is `[CLASS ]METHOD URL[ at ADDRESS][ from target]`, for example \
                    `GET https://shop.example.org/health`";

impl<H: Hole> Shape<H> {
    /// Splits a grant.
    pub(super) fn parse(text: &str) -> Result<Self, Why> {
        let mut words: Vec<Word<H>> = words(text, Lexing::Spaces)?;
        let from = suffix(&mut words, "from");
        let at = suffix(&mut words, "at");
        let mut words = words.into_iter();
        let (class, method, url) = match (words.next(), words.next(), words.next(), words.next()) {
            (Some(method), Some(url), None, _) => (None, method, url),
            (Some(class), Some(method), Some(url), None) => (Some(class), method, url),
            _ => return Err(Why::new("it does not have a method and a URL").hint(FORM)),
        };
        Ok(Self { class, method, url, at, from })
    }
}

/// Takes `KEYWORD WORD` off the end.
fn suffix<H>(words: &mut Vec<Word<H>>, keyword: &str) -> Option<Word<H>> {
    match words.as_slice() {
        [.., before, _] if matches!(before.as_slice(), [Atom::Text(text)] if text == keyword) => {
            let word = words.pop();
            words.pop();
            word
        }
        _ => None,
    }
}

/// Which requests a step may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Requests {
    pub(super) class: EffectClass,
    method: String,
    url: Bound<UrlRule>,
    at: Option<Bound<Authority>>,
    from_target: bool,
    /// Whether the host, or the address in its place, is spelled out rather than filled in by the run.
    spelled_out: bool,
}

impl Requests {
    /// Reads the words of a grant.
    pub(super) fn new(shape: &Shape<Reference>) -> Result<Self, Why> {
        let method = known(&shape.method, "method")?;
        check_method(&method)?;
        let class = match &shape.class {
            Some(word) => class(word).map_err(|why| match why.hint {
                Some(_) => why,
                None => why.hint(FORM),
            })?,
            None => usual_class(&method),
        };
        let from_target = match &shape.from {
            None => false,
            Some(word) => match known(word, "word after `from`")?.as_str() {
                "target" => true,
                other => {
                    return Err(Why::new(format!(
                        "a request is sent `from target`, not from `{}`",
                        other.escape_debug()
                    ))
                    .hint("left out, it is sent by the runner"));
                }
            },
        };
        let url = template(&shape.url).unwrap_or_default();
        places(&url)?;
        let at = match &shape.at {
            Some(word) => Some(Bound::new(template(word).unwrap_or_default())?),
            None => None,
        };
        Ok(Self { class, method, url: Bound::new(url)?, at, from_target, spelled_out: true })
    }

    pub(super) fn covers(
        &self,
        class: EffectClass,
        method: &str,
        url: &Url,
        at: Option<&Authority>,
        from_target: bool,
    ) -> bool {
        self.class == class && self.covers_but_for_the_class(method, url, at, from_target)
    }

    /// For a message that says which class would have done.
    pub(super) fn covers_but_for_the_class(
        &self,
        method: &str,
        url: &Url,
        at: Option<&Authority>,
        from_target: bool,
    ) -> bool {
        self.method == method
            && self.from_target == from_target
            && self.url.now().is_some_and(|rule| rule.covers(url))
            && match (&self.at, at) {
                (None, None) => true,
                (Some(granted), Some(asked)) => granted.now().is_some_and(|granted| granted.is(asked, url)),
                _ => false,
            }
    }

    /// Whether a policy's `deny` means this request: whatever its class, and wherever it is sent from and to.
    pub(super) fn bans(&self, method: &str, url: &Url) -> bool {
        self.method == method && self.url.now().is_some_and(|rule| rule.bans(url))
    }

    /// Calls with the request that stands for all that it covers; with none while that is not known.
    pub(super) fn with_ask<T>(&self, call: impl FnOnce(&[Ask<'_>]) -> T) -> T {
        let at = match &self.at {
            None => None,
            Some(Bound::Now(at)) => Some(at.to_string()),
            Some(Bound::Later(_)) => return call(&[]),
        };
        match self.url.now().map(|rule| Url::parse(&rule.to_string())) {
            Some(Ok(url)) => call(&[Ask::Http {
                class: self.class,
                method: &self.method,
                url: &url,
                at: at.as_deref(),
                via_target: self.from_target,
            }]),
            _ => call(&[]),
        }
    }

    /// Whether there may be a request that both cover.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.class == other.class
            && self.method == other.method
            && self.from_target == other.from_target
            && self.at.is_some() == other.at.is_some()
            && match (self.url.now(), other.url.now()) {
                (Some(a), Some(b)) => {
                    let covers =
                        |a: &UrlRule, b: &UrlRule| Url::parse(&b.to_string()).is_ok_and(|url| a.covers(&url));
                    covers(a, b) || covers(b, a)
                }
                _ => true,
            }
    }

    /// The address that the grant itself spells out, the one that is connected to.
    pub(super) fn named_address(&self) -> Option<IpAddr> {
        let address = match &self.at {
            Some(at) => at.now()?.address(),
            None => self.url.now()?.address(),
        };
        address.filter(|_| self.spelled_out)
    }

    pub(super) fn resolve(&self, scope: &dyn Scope) -> Result<Self, Why> {
        let mut resolved = self.clone();
        if let Bound::Later(text) = &self.url {
            let places = places(text)?;
            let place = |index: usize| places.get(index).copied().flatten().unwrap_or(Place::UrlPart);
            let filled = fill(text, scope, place).map_err(Why::new)?;
            let in_the_host = (0..places.len()).any(|index| place(index) != Place::UrlPart);
            if filled.with_values_of_the_run && in_the_host && self.at.is_none() {
                resolved.spelled_out = false;
            }
            resolved.url = Bound::new(filled.template)?;
        }
        if let Some(Bound::Later(text)) = &self.at {
            let mut url = Template::literal("http://");
            text.pieces().iter().for_each(|piece| url.push(piece.clone()));
            // The scheme is one piece more, or part of the first one.
            let shift = url.pieces().len() - text.pieces().len();
            let places = places(&url)?;
            let filled = fill(text, scope, |index| {
                places.get(index + shift).copied().flatten().unwrap_or(Place::HostPart)
            })
            .map_err(Why::new)?;
            resolved.spelled_out &= !filled.with_values_of_the_run;
            resolved.at = Some(Bound::new(filled.template)?);
        }
        Ok(resolved)
    }

    pub(super) fn is_symbolic(&self) -> bool {
        matches!(self.url, Bound::Later(_)) || matches!(self.at, Some(Bound::Later(_)))
    }

    /// Whether the host is whatever a value of the run says.
    pub(super) fn any_host(&self) -> Option<&Reference> {
        let Bound::Later(url) = &self.url else { return None };
        let places = places(url).ok()?;
        url.pieces().iter().zip(places).find_map(|(piece, place)| match (piece, place) {
            (Piece::Reference(reference), Some(Place::Authority)) => Some(reference),
            _ => None,
        })
    }
}

fn known(word: &Word<Reference>, what: &str) -> Result<String, Why> {
    template(word)
        .and_then(|text| text.as_text().map(str::to_owned))
        .ok_or_else(|| Why::new(format!("the {what} must be known before the plan runs")))
}

/// The class of a request when its grant names none.
pub(super) fn usual_class(method: &str) -> EffectClass {
    if matches!(method, "GET" | "HEAD") { EffectClass::Read } else { EffectClass::Opaque }
}

fn check_method(method: &str) -> Result<(), Why> {
    if matches!(method, "CONNECT" | "TRACE") {
        return Err(Why::new(format!("`{method}` is not for requests of steps")));
    }
    if !is_method(method) {
        let why = Why::new(format!("`{}` is no method in upper case", method.escape_debug()));
        let upper = method.to_ascii_uppercase();
        return Err(match is_method(&upper) {
            true if !CLASSES.iter().any(|(word, _)| *word == method) => {
                why.hint(format!("did you mean `{upper}`?"))
            }
            _ => why.hint(FORM),
        });
    }
    Ok(())
}

/// Whether a text can be the method of a request.
pub(super) fn is_method(method: &str) -> bool {
    (1..=32).contains(&method.len())
        && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-')
        && !method.starts_with('-')
}

/// Where in a URL each piece stands; `None` for text.
fn places(url: &Template) -> Result<Vec<Option<Place>>, Why> {
    let pieces = url.pieces();
    // The scheme, as far as it is known to be over; then the text of the authority; then the rest.
    let mut seen = String::new();
    let mut places = Vec::with_capacity(pieces.len());
    for (index, piece) in pieces.iter().enumerate() {
        let Piece::Reference(reference) = piece else {
            if let Piece::Text(text) = piece {
                seen.push_str(text);
            }
            places.push(None);
            continue;
        };
        let Some((_, rest)) = seen.split_once("://") else {
            if reference.is_known_at_check() {
                // It is text by the time that anything of the run is filled in.
                places.push(Some(Place::UrlPart));
                seen.push_str("http://x");
                continue;
            }
            return Err(Why::new("scheme and host of a URL cannot both be left to the run")
                .hint("write `http://${target.address}/`, for example"));
        };
        let place = if rest.contains(['/', '?', '#']) {
            Place::UrlPart
        } else if rest.is_empty() && is_whole(pieces.get(index + 1)) {
            Place::Authority
        } else if rest.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())) {
            Place::Port
        } else {
            Place::HostPart
        };
        seen.push('x');
        places.push(Some(place));
    }
    Ok(places)
}

/// Whether the authority, or its host, ends before this piece.
fn is_whole(next: Option<&Piece>) -> bool {
    match next {
        None => true,
        Some(Piece::Text(text)) => text.starts_with(['/', ':', '?']),
        Some(Piece::Reference(_)) => false,
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.class != usual_class(&self.method) {
            write!(f, "{} ", class_word(self.class))?;
        }
        write!(f, "{} {}", self.method, self.url)?;
        if let Some(at) = &self.at {
            write!(f, " at {at}")?;
        }
        if self.from_target {
            f.write_str(" from target")?;
        }
        Ok(())
    }
}
