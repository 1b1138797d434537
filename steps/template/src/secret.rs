//! Secrets in a template: their values are never here. Each leaves a mark in the text that was filled in, and the host puts
//! the value in when the file is written.

use minijinja::Value;
use minijinja::value::{DynObject, Object, ObjectRepr};
use runner_sdk::{Error, Result, Secret};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Around the number of a secret. Characters for private use: no text has them by chance.
const MARKS: [char; 2] = ['\u{F8F0}', '\u{F8F1}'];

/// What is between the marks beside the number, twice: letters and signs that no filter leaves as they are.
const CANARY: &str = "aZ \"'<&>\\/ é\n";

/// The mark of the secret with this number.
fn marked(number: usize) -> String {
    let letters: String = number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
    format!("{}{number}{CANARY}{letters}{}", MARKS[0], MARKS[1])
}

/// What a secret becomes wherever it is taken for text: a filter would change the mark, and not the value.
const MISUSED: char = '\u{F8F2}';

/// A secret, as a template sees it.
#[derive(Debug)]
struct Handle(usize);

impl Object for Handle {
    /// By number: two secrets are not equal, whatever they are as text.
    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        other.downcast_ref::<Self>().map(|other| self.0.cmp(&other.0))
    }

    /// Neither a table nor a list, both of which a filter could write out as empty.
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MISUSED}")
    }
}

/// The secrets of a template, by name.
pub(crate) fn table(names: &[String]) -> Value {
    let handle = |(index, name): (usize, &String)| (name.clone(), Value::from_object(Handle(index)));
    Value::from(names.iter().enumerate().map(handle).collect::<BTreeMap<_, _>>())
}

/// The mark of a value that is a secret, for where it stands alone.
pub(crate) fn mark(value: &Value) -> Option<String> {
    let handle = value.downcast_object_ref::<Handle>()?;
    Some(marked(handle.0))
}

/// Text and secrets in turn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Filled {
    /// What is in front of the first secret.
    first: String,
    /// The number of a secret, and the text behind it.
    rest: Vec<(usize, String)>,
}

impl Filled {
    /// Of what was filled in.
    ///
    /// # Errors
    /// `invalid` when a secret went through a filter, or when a mark was in the template.
    pub(crate) fn read(name: &str, text: String) -> Result<Self> {
        if text.contains(MISUSED) {
            return Err(Error::invalid(format!("{name}: a secret is used as text")).with_detail(
                "its value is not known here: write `{{ secrets.NAME }}` alone, without filters",
            ));
        }
        if !text.contains(MARKS) {
            return Ok(Self { first: text, rest: Vec::new() });
        }
        let odd = || {
            Error::invalid(format!(
                "{name}: a secret was changed by a filter, or a character U+F8F0 or U+F8F1 is in it"
            ))
            .with_detail("write `{{ secrets.NAME }}` alone, without filters around it")
        };
        let mut pieces = text.split(MARKS[0]);
        let first = pieces.next().unwrap_or_default().to_owned();
        let read = |piece: &str| {
            let (mark, text) = piece.split_once(MARKS[1])?;
            let digits = mark.find(|c: char| !c.is_ascii_digit()).unwrap_or(mark.len());
            let number: usize = mark[..digits].parse().ok()?;
            let whole = marked(number) == format!("{}{mark}{}", MARKS[0], MARKS[1]);
            (whole && !text.contains(MARKS)).then(|| (number, text.to_owned()))
        };
        let rest = pieces.map(|piece| read(piece).ok_or_else(odd)).collect::<Result<_>>()?;
        if first.contains(MARKS) {
            return Err(odd());
        }
        Ok(Self { first, rest })
    }

    /// The text, where there are no secrets in it.
    pub(crate) fn text(&self) -> Option<&str> {
        self.rest.is_empty().then_some(&*self.first)
    }

    /// All of it as one secret; `None`: there is none in it.
    ///
    /// # Errors
    /// Those of [`Secret::get`].
    pub(crate) fn secret(&self, names: &[String]) -> Result<Option<Secret>> {
        let mut all: Option<Secret> = None;
        for (number, behind) in &self.rest {
            let name = names.get(*number).ok_or_else(|| Error::other("a secret without a name"))?;
            let piece = Secret::get(name)?;
            all = Some(match all {
                None => piece.wrap(&self.first, behind),
                Some(before) => before.append(&piece.wrap("", behind)),
            });
        }
        Ok(all)
    }
}
