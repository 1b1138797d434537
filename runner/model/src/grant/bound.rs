//! What a grant names: a thing, or a text that becomes one as soon as its references are known.

use super::fill::{Place, fill, specimen};
use super::words::{Why, Word, plain, template};
use crate::template::{Piece, Reference, Scope, Template};
use crate::{RemotePath, TargetName, UserName};
use std::fmt;

/// Something that a grant can name.
pub(super) trait Named: Sized + fmt::Display {
    /// What stands for a reference in front that is known at check, to see whether the form is right.
    const SPECIMEN: &'static str = "x";

    /// Reads it.
    fn read(text: &str) -> Result<Self, String>;
}

impl Named for RemotePath {
    const SPECIMEN: &'static str = "/x";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: crate::BadPath| error.to_string())
    }
}

impl Named for TargetName {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: crate::BadName| error.to_string())
    }
}

impl Named for UserName {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: crate::BadName| error.to_string())
    }
}

/// A thing, now or later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bound<T> {
    /// It is known.
    Now(T),
    /// Its text has references in it.
    Later(Template),
}

impl<T: Named> Bound<T> {
    /// A thing from its text; one that is not known yet must at least have the right form.
    pub(super) fn new(text: Template) -> Result<Self, Why> {
        match text.as_text() {
            Some(known) => T::read(known).map(Self::Now).map_err(Why::new),
            None => match T::read(&specimen(&text, T::SPECIMEN)) {
                Ok(_) => Ok(Self::Later(text)),
                Err(why) => Err(match text.pieces().first() {
                    Some(Piece::Reference(first)) if !first.is_known_at_check() => {
                        Why::new(format!("`${{{first}}}` cannot be the beginning of it")).hint(
                            "what is known only while the plan runs fills one segment of a path, one argument or one \
                             part of a URL",
                        )
                    }
                    _ => Why::new(why),
                }),
            },
        }
    }

    /// The thing, once it is known.
    pub(super) fn now(&self) -> Option<&T> {
        match self {
            Self::Now(thing) => Some(thing),
            Self::Later(_) => None,
        }
    }

    /// Fills in what is known.
    pub(super) fn resolve(&self, scope: &dyn Scope, place: Place) -> Result<Self, Why>
    where
        T: Clone,
    {
        match self {
            Self::Now(_) => Ok(self.clone()),
            Self::Later(text) => Self::new(fill(text, scope, |_| place).map_err(Why::new)?.template),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Bound<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(thing) => f.write_str(&plain(&thing.to_string())),
            Self::Later(text) => fmt::Display::fmt(text, f),
        }
    }
}

/// One thing, or whichever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice<T> {
    /// `*`
    Any,
    /// This one.
    Is(Bound<T>),
}

impl<T: Named + PartialEq + Clone> Choice<T> {
    pub(super) fn new(word: &Word<Reference>) -> Result<Self, Why> {
        match word.as_slice() {
            [super::words::Atom::Star] => Ok(Self::Any),
            _ => match template(word) {
                Some(text) => Bound::new(text).map(Self::Is),
                None => Err(Why::new("`*` stands for a whole name, not for a part of one")),
            },
        }
    }

    pub(super) fn covers(&self, same: impl Fn(&T) -> bool) -> bool {
        match self {
            Self::Any => true,
            Self::Is(bound) => bound.now().is_some_and(same),
        }
    }

    pub(super) fn resolve(&self, scope: &dyn Scope) -> Result<Self, Why> {
        match self {
            Self::Any => Ok(Self::Any),
            Self::Is(bound) => bound.resolve(scope, Place::Argument { first: true }).map(Self::Is),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Choice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Is(bound) => fmt::Display::fmt(bound, f),
        }
    }
}
