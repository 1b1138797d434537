//! Reads TOML into our own types and collects everything that is wrong on the way, where serde would stop at the first
//! problem. A [`Table`] remembers which keys it was asked for: the others are unknown, and the asked ones are what a
//! suggestion is made of.

use crate::diagnostic::{Code, Problem, Problems};
use crate::source::{MAX_SOURCE_BYTES, Source, Span, Spanned};
use crate::suggest::closest;
use serde_json::Value;
use std::cell::RefCell;
use std::fmt::Display;
use std::str::FromStr;
use toml::de::{DeTable, DeValue};

/// What a file was read into so far, and what is wrong with it.
pub(crate) struct Reader {
    pub(crate) source: Source,
    problems: RefCell<Problems>,
}

/// Bytes of a file as text, or the problem with them.
pub(crate) fn text_of(name: &str, bytes: &[u8]) -> Result<Source, Problems> {
    text_within(name, bytes, MAX_SOURCE_BYTES)
}

/// Bytes of at most this number as text, or the problem with them.
pub(crate) fn text_within(name: &str, bytes: &[u8], most: u64) -> Result<Source, Problems> {
    if bytes.len() as u64 > most {
        return Err(Problem::larger_than(name, bytes.len() as u64, most).into());
    }
    match std::str::from_utf8(bytes) {
        // Editors of some systems put a byte order mark in front; TOML allows it and spans count it.
        Ok(text) => Ok(Source::new(name, text)),
        Err(error) => {
            let good = &bytes[..error.valid_up_to()];
            let bad = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
            let source = Source::new(name, String::from_utf8_lossy(good));
            let (line, column) = source.line_and_column(good.len());
            let message = format!("line {line}, column {column} is not UTF-8 text (byte 0x{bad:02x})");
            Err(Problem::with_file(Code::NotUtf8, name, message)
                .hint("save the file in the encoding UTF-8")
                .into())
        }
    }
}

impl Reader {
    pub(crate) fn new(source: Source) -> Self {
        Self { source, problems: RefCell::default() }
    }

    pub(crate) fn push(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// How many problems there are so far.
    pub(crate) fn count(&self) -> usize {
        self.problems.borrow().len()
    }

    /// A problem in this file.
    pub(crate) fn problem(&self, code: Code, span: Span, message: impl Into<String>) -> Problem {
        Problem::at(code, &self.source, span, message)
    }

    pub(crate) fn into_problems(self) -> Problems {
        self.problems.into_inner()
    }

    /// Parses the file and hands its top-level table to `read`.
    pub(crate) fn document<T>(
        &self,
        what: &'static str,
        read: impl FnOnce(&Self, Table<'_>) -> T,
    ) -> Option<T> {
        let (document, errors) = DeTable::parse_recoverable(self.source.text());
        if errors.is_empty() {
            let start = Span { start: 0, end: first_line(self.source.text()) };
            return Some(read(self, Table::new(what, document.get_ref(), start)));
        }
        for error in errors {
            let end = self.source.text().len();
            let span = error.span().map_or(Span { start: end, end }, Span::from);
            let message = error.message().trim().replace('\n', ", ");
            self.push(self.problem(Code::Syntax, span, format!("not valid TOML: {message}")));
        }
        None
    }

    /// Hands a table that no TOML was parsed for to `read`, as the whole of the source.
    pub(crate) fn whole<T>(
        &self,
        what: &'static str,
        table: &DeTable<'_>,
        read: impl FnOnce(&Self, Table<'_>) -> T,
    ) -> T {
        read(self, Table::new(what, table, Span { start: 0, end: 1 }))
    }

    /// A value of the wrong type.
    pub(crate) fn wrong_type(&self, item: &Item<'_>, must_be: &str) {
        self.push(self.problem(
            Code::WrongType,
            item.span,
            format!("`{}` must be {must_be}, not {}", item.name, kind(item.value)),
        ));
    }

    pub(crate) fn text<'a>(&self, item: &Item<'a>, must_be: &str) -> Option<&'a str> {
        match item.value {
            DeValue::String(text) => Some(text),
            _ => {
                self.wrong_type(item, must_be);
                None
            }
        }
    }

    /// A string, as it is.
    pub(crate) fn string(&self, item: &Item<'_>) -> Option<Spanned<String>> {
        self.text(item, "a string").map(|text| Spanned::new(text.to_owned(), item.span))
    }

    /// A string that is not empty and has no control characters: what ends up on a terminal or in an argument.
    pub(crate) fn line(&self, item: &Item<'_>) -> Option<Spanned<String>> {
        let text = self.string(item)?;
        if text.trim().is_empty() {
            self.push(self.problem(Code::BadValue, item.span, format!("`{}` is empty", item.name)));
            return None;
        }
        if text.chars().any(char::is_control) {
            let message = format!("`{}` has a control character in it", item.name);
            self.push(
                self.problem(Code::BadValue, item.span, message).because("it must be one line of text"),
            );
            return None;
        }
        Some(text)
    }

    /// A string that something else is made of.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(
        &self,
        item: &Item<'_>,
        must_be: &str,
    ) -> Option<Spanned<T>> {
        let text = self.text(item, must_be)?;
        match text.parse() {
            Ok(value) => Some(Spanned::new(value, item.span)),
            Err(error) => {
                self.push(self.problem(Code::BadValue, item.span, error.to_string()));
                None
            }
        }
    }

    /// The name of a thing, where a table's keys are names.
    pub(crate) fn named<T: FromStr<Err: Display>>(&self, entry: &Item<'_>) -> Option<Spanned<T>> {
        match entry.name.parse() {
            Ok(value) => Some(Spanned::new(value, entry.key)),
            Err(error) => {
                self.push(self.problem(Code::BadValue, entry.key, error.to_string()));
                None
            }
        }
    }

    pub(crate) fn boolean(&self, item: &Item<'_>) -> Option<Spanned<bool>> {
        match item.value {
            DeValue::Boolean(value) => Some(Spanned::new(*value, item.span)),
            _ => {
                self.wrong_type(item, "`true` or `false`");
                None
            }
        }
    }

    /// A whole number in a range.
    pub(crate) fn number<T>(&self, item: &Item<'_>, min: T, max: T) -> Option<Spanned<T>>
    where
        T: TryFrom<i64> + Display + PartialOrd,
    {
        let DeValue::Integer(integer) = item.value else {
            self.wrong_type(item, "a whole number");
            return None;
        };
        let value = i64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .and_then(|value| T::try_from(value).ok())
            .filter(|value| *value >= min && *value <= max);
        if value.is_none() {
            let message = format!("`{}` must be from {min} to {max}, not {integer}", item.name);
            self.push(self.problem(Code::BadValue, item.span, message));
        }
        value.map(|value| Spanned::new(value, item.span))
    }

    /// The elements of an array.
    pub(crate) fn array<'a>(&self, item: &Item<'a>, must_be: &str) -> Option<Vec<Item<'a>>> {
        let DeValue::Array(array) = item.value else {
            self.wrong_type(item, must_be);
            return None;
        };
        let element = |value: &'a toml::Spanned<DeValue<'_>>| Item {
            name: item.name,
            key: item.key,
            span: value.span().into(),
            value: value.get_ref(),
        };
        Some(array.iter().map(element).collect())
    }

    /// An array of strings that something is made of. Elements that are wrong are reported and left out.
    pub(crate) fn list<T: FromStr<Err: Display>>(
        &self,
        item: &Item<'_>,
        must_be: &str,
    ) -> Option<Vec<Spanned<T>>> {
        let elements = self.array(item, must_be)?;
        Some(elements.iter().filter_map(|element| self.parsed(element, must_be)).collect())
    }

    /// A table with keys of its own.
    pub(crate) fn table<'a>(&self, item: &Item<'a>, what: &'static str) -> Option<Table<'a>> {
        match item.value {
            DeValue::Table(table) => Some(Table::new(what, table, item.span).at(item)),
            _ => {
                self.wrong_type(item, "a table");
                None
            }
        }
    }

    /// The entries of a table whose keys are names that the user gives, in the order of the file.
    pub(crate) fn entries<'a>(&self, item: &Item<'a>) -> Vec<Item<'a>> {
        match item.value {
            DeValue::Table(table) => entries(table),
            _ => {
                self.wrong_type(item, "a table");
                Vec::new()
            }
        }
    }

    /// The tables of `[[name]]`, in the order of the file.
    pub(crate) fn tables<'a>(&self, item: &Item<'a>, what: &'static str) -> Vec<Table<'a>> {
        let DeValue::Array(array) = item.value else {
            self.push(
                self.problem(
                    Code::WrongType,
                    item.key,
                    format!("`{}` must be a list of tables, not {}", item.name, kind(item.value)),
                )
                .hint(format!("write `[[{}]]` above each one", item.name)),
            );
            return Vec::new();
        };
        let mut tables = Vec::new();
        for element in array {
            match element.get_ref() {
                DeValue::Table(table) => tables.push(Table::new(what, table, element.span().into())),
                other => self.push(self.problem(
                    Code::WrongType,
                    element.span().into(),
                    format!("`{}` must be a list of tables, not of {}", item.name, plural(other)),
                )),
            }
        }
        tables
    }

    /// A value of any type that JSON has too.
    pub(crate) fn json(&self, item: &Item<'_>) -> Option<Value> {
        match item.value {
            DeValue::String(text) => Some(Value::String(text.to_string())),
            DeValue::Boolean(boolean) => Some(Value::Bool(*boolean)),
            DeValue::Integer(_) => {
                let number = self.number(item, i64::MIN, i64::MAX)?;
                Some(Value::from(number.value))
            }
            DeValue::Float(float) => {
                let number = float.as_str().parse::<f64>().ok().and_then(serde_json::Number::from_f64);
                if number.is_none() {
                    let message =
                        format!("`{}` must be a number that JSON has, not `{}`", item.name, float.as_str());
                    self.push(self.problem(Code::BadValue, item.span, message));
                }
                number.map(Value::Number)
            }
            DeValue::Datetime(_) => {
                self.push(
                    self.problem(Code::WrongType, item.span, format!("`{}` must not be a date", item.name))
                        .because("JSON, in which steps get their parameters, has no dates")
                        .hint("write it as a string, in quotes"),
                );
                None
            }
            DeValue::Array(_) => {
                let elements = self.array(item, "an array")?;
                // All are read before one is missed, so that all problems are found.
                let values: Vec<_> = elements.iter().map(|element| self.json(element)).collect();
                values.into_iter().collect::<Option<Vec<_>>>().map(Value::Array)
            }
            DeValue::Table(_) => {
                let values: Vec<_> = self
                    .entries(item)
                    .iter()
                    .map(|entry| Some((entry.name.to_owned(), self.json(entry)?)))
                    .collect();
                values.into_iter().collect::<Option<serde_json::Map<_, _>>>().map(Value::Object)
            }
        }
    }

    /// The file's own version, which stands in its first key: `plan = 1`.
    pub(crate) fn version(&self, table: &Table<'_>, key: &'static str, known: i64) {
        let Some(item) = table.take(key) else {
            self.push(
                self.problem(Code::Missing, table.span, format!("`{key} = {known}` is missing"))
                    .because("it says in which version of the language the file is written")
                    .hint(format!("write `{key} = {known}` as the first line")),
            );
            return;
        };
        let newer = match item.value {
            DeValue::Integer(integer) if integer.as_str() == known.to_string() && integer.radix() == 10 => {
                return;
            }
            DeValue::Integer(integer) => {
                integer.as_str().parse::<u64>().is_ok_and(|v| v > known.unsigned_abs())
            }
            _ => {
                self.wrong_type(&item, &format!("the number {known}"));
                return;
            }
        };
        let problem = self.problem(
            Code::Version,
            item.span,
            format!("this runner knows version {known} of `{key}` only"),
        );
        self.push(if newer {
            problem.hint("the file was written for a newer runner: install that one")
        } else {
            problem.hint(format!("write `{key} = {known}`"))
        });
    }
}

/// One of a few words.
pub(crate) fn choice<T: Copy>(reader: &Reader, item: &Item<'_>, words: &[(&str, T)]) -> Option<Spanned<T>> {
    let list = words.iter().map(|(word, _)| format!("`\"{word}\"`")).collect::<Vec<_>>().join(" or ");
    let text = reader.text(item, &list)?;
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Some(Spanned::new(*value, item.span));
    }
    let message = format!("`{}` must be {list}, not `{}`", item.name, text.escape_debug());
    let near = closest(text, words.iter().map(|(word, _)| *word));
    reader.push(
        reader
            .problem(Code::BadValue, item.span, message)
            .maybe_hint(near.map(|near| format!("did you mean `\"{near}\"`?"))),
    );
    None
}

/// Up to the end of the first line.
fn first_line(text: &str) -> usize {
    text.find(['\r', '\n']).unwrap_or(text.len())
}

/// A key and its value.
#[derive(Clone)]
pub(crate) struct Item<'a> {
    /// The key, as it is written.
    pub(crate) name: &'a str,
    /// Where the key is.
    pub(crate) key: Span,
    /// Where the value is.
    pub(crate) span: Span,
    pub(crate) value: &'a DeValue<'a>,
}

fn entries<'a>(table: &'a DeTable<'a>) -> Vec<Item<'a>> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| Item {
            name: key.get_ref(),
            key: key.span().into(),
            span: value.span().into(),
            value: value.get_ref(),
        })
        .collect();
    entries.sort_by_key(|entry| (entry.key.start, entry.span.start));
    entries
}

/// A table whose keys the language defines.
pub(crate) struct Table<'a> {
    /// As a message names it: `a step`.
    what: &'static str,
    /// Where a missing key is reported.
    pub(crate) span: Span,
    entries: Vec<Item<'a>>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    fn new(what: &'static str, table: &'a DeTable<'a>, span: Span) -> Self {
        Self { what, span, entries: entries(table), asked: RefCell::default() }
    }

    /// A table is shown by its header or its key; where the key has no place (a dotted one), by itself.
    fn at(mut self, item: &Item<'_>) -> Self {
        if item.key != Span::default() {
            self.span = item.key;
        }
        self
    }

    /// The value of a key.
    pub(crate) fn take(&self, key: &'static str) -> Option<Item<'a>> {
        self.asked.borrow_mut().push(key);
        self.entries.iter().find(|entry| entry.name == key).cloned()
    }

    /// The value of a key that must be there.
    pub(crate) fn require(&self, reader: &Reader, key: &'static str, example: &str) -> Option<Item<'a>> {
        let item = self.take(key);
        // A key that was misspelled is reported as unknown, and that says enough.
        let misspelled = || self.entries.iter().any(|entry| closest(entry.name, [key]).is_some());
        if item.is_none() && !misspelled() {
            reader.push(
                reader
                    .problem(Code::Missing, self.span, format!("{} needs `{key}`", self.what))
                    .hint(format!("add `{key} = {example}`")),
            );
        }
        item
    }

    /// Whether the key is there, without asking for it.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.name == key)
    }

    /// The known keys that unknown ones seem to mean: what they say is missing, and that has been reported.
    pub(crate) fn misspelled(&self) -> Vec<&'static str> {
        let asked = self.asked.borrow();
        let unknown = self.entries.iter().filter(|entry| !asked.contains(&entry.name));
        unknown.filter_map(|entry| closest(entry.name, asked.iter().copied())).collect()
    }

    /// Reports the keys that nobody asked for. `later`: keys of later versions, and what they will do.
    pub(crate) fn finish(&self, reader: &Reader, later: &[(&'static str, &str)]) {
        let asked = self.asked.borrow();
        for entry in self.entries.iter().filter(|entry| !asked.contains(&entry.name)) {
            if let Some((key, does)) = later.iter().find(|(key, _)| *key == entry.name) {
                reader.push(not_yet(reader, entry.key, &format!("`{key}`"), does));
                continue;
            }
            let candidates = asked.iter().chain(later.iter().map(|(key, _)| key)).copied();
            let hint = match closest(entry.name, candidates) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("{} has: {}", self.what, keys(&asked)),
            };
            let name = entry.name.escape_debug();
            reader.push(
                reader
                    .problem(Code::UnknownKey, entry.key, format!("unknown key `{name}`"))
                    .because(format!("not a key of {}", self.what))
                    .hint(hint),
            );
        }
    }
}

/// Something that a later version will know. It is refused, since what is accepted and not enforced would be a lie.
pub(crate) fn not_yet(reader: &Reader, span: Span, name: &str, does: &str) -> Problem {
    reader
        .problem(Code::NotYetSupported, span, format!("{name} is not yet supported"))
        .because(format!("it will {does}"))
        .hint("remove it: this version of runner would not do what it says")
}

/// The known keys, each once, as a list for people.
fn keys(asked: &[&str]) -> String {
    let mut keys: Vec<_> = asked.to_vec();
    keys.sort_unstable();
    keys.dedup();
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

/// What a value is, with its article.
pub(crate) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

fn plural(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "strings",
        DeValue::Integer(_) | DeValue::Float(_) => "numbers",
        DeValue::Boolean(_) => "booleans",
        DeValue::Datetime(_) => "dates",
        DeValue::Array(_) => "arrays",
        DeValue::Table(_) => "tables",
    }
}
