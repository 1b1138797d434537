//! Text that a person wrote, and places in it, so that every problem can point at what to mend.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// The largest plan, inventory, policy or lock that is read: 1 MiB. People write these files; a larger one is a mistake.
pub const MAX_SOURCE_BYTES: u64 = 1024 * 1024;

/// A file that has been read: its name as problems print it, and its text. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    name: Arc<str>,
    text: Arc<str>,
    /// The text as a terminal may get to see it: of the same length, without what would move its cursor.
    shown: Arc<str>,
}

impl Source {
    /// A source from its name, as the user wrote it, and its text.
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let shown = if text.chars().any(is_harmful) { harmless(&text).into() } else { text.clone() };
        Self { name: name.into(), text, shown }
    }

    /// A source from the bytes of a file that a person wrote.
    ///
    /// # Errors
    /// They are more than [`MAX_SOURCE_BYTES`], or no text in UTF-8.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, crate::Problems> {
        crate::read::text_of(name, bytes)
    }

    /// The file's name as it is shown.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All of its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text for a snippet, byte by byte at the same place as in [`Source::text`]: control characters and those that
    /// change the direction of writing are replaced.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Its first line: for what is about the whole file.
    pub fn first_line(&self) -> Span {
        Span { start: 0, end: self.text.find('\n').unwrap_or(self.text.len()) }
    }

    /// The byte offset of a line and a column, both from 1 and the column in bytes, as serde_json counts.
    pub fn offset_of(&self, line: usize, column: usize) -> usize {
        let mut starts = std::iter::once(0).chain(self.text.match_indices('\n').map(|(at, _)| at + 1));
        let start = starts.nth(line.saturating_sub(1)).unwrap_or(self.text.len());
        floor_char_boundary(&self.text, start + column.saturating_sub(1))
    }

    /// Line and column of a byte offset, both from 1; columns count characters.
    pub fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..floor_char_boundary(&self.text, offset)];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({:?}, {} bytes)", self.name, self.text.len())
    }
}

/// Whether a terminal would do something else than show the character.
fn is_harmful(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with as many bytes in the place of each harmful character.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => shown.push(c),
            _ if !is_harmful(c) => shown.push(c),
            _ if c.len_utf8() == '\u{fffd}'.len_utf8() => shown.push('\u{fffd}'),
            _ => (0..c.len_utf8()).for_each(|_| shown.push('?')),
        }
    }
    shown
}

fn floor_char_boundary(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Bytes `start..end` of a [`Source`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
}

impl Span {
    /// The part of this span that begins `offset` bytes in and is `length` bytes long, kept inside it.
    #[must_use]
    pub fn part(self, offset: usize, length: usize) -> Self {
        let start = self.start.saturating_add(offset).min(self.end);
        Self { start, end: start.saturating_add(length).min(self.end) }
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self { start: range.start, end: range.end }
    }
}

/// A value and where it was written. Equal when the values are, wherever they were written.
#[derive(Clone, Copy, Default)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// A value at a place.
    pub fn new(value: T, span: impl Into<Span>) -> Self {
        Self { value, span: span.into() }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_in_characters() {
        let source = Source::new("plan.toml", "a\nüb = 1\n");
        assert_eq!(source.line_and_column(0), (1, 1));
        assert_eq!(source.line_and_column(2), (2, 1));
        assert_eq!(source.line_and_column(4), (2, 2));
        assert_eq!(source.line_and_column(3), (2, 1), "inside a character: where the character begins");
        assert_eq!(source.line_and_column(1000), (3, 1), "past the end: the end");
    }

    #[test]
    fn a_snippet_cannot_drive_the_terminal() {
        let text = "a\u{1b}[2J\u{9b}31m\u{202e}b\rc\r\nd\te";
        let source = Source::new("plan.toml", text);
        assert_eq!(source.shown(), "a?[2J??31m\u{fffd}b?c\r\nd\te");
        assert_eq!(source.shown().len(), text.len());
    }

    #[test]
    fn a_part_stays_inside() {
        let span = Span { start: 10, end: 20 };
        assert_eq!(span.part(2, 3), Span { start: 12, end: 15 });
        assert_eq!(span.part(8, 100), Span { start: 18, end: 20 });
        assert_eq!(span.part(100, 100), Span { start: 20, end: 20 });
    }
}
