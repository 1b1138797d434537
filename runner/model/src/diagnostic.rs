//! Problems in what people wrote: where, what, why, and how to mend it. All that is wrong with a plan is collected in
//! [`Problems`] and reported together; the command line only prints it.

use crate::source::{MAX_SOURCE_BYTES, Source, Span};
use crate::text::shown;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use std::fmt;

/// What kind of problem it is, for a program; the same word in `--json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The file is larger than [`MAX_SOURCE_BYTES`].
    TooLarge,
    /// The file is not UTF-8.
    NotUtf8,
    /// The file is not TOML.
    Syntax,
    /// The file is of a version that this runner does not know.
    Version,
    /// A key that does not exist.
    UnknownKey,
    /// A key or a value that a later version of runner will know.
    NotYetSupported,
    /// A key that must be there is not.
    Missing,
    /// A value of the wrong type.
    WrongType,
    /// A value that makes no sense.
    BadValue,
    /// The same thing twice.
    Duplicate,
    /// Two places say different things.
    Conflict,
    /// A name that nothing has.
    UnknownName,
    /// A `${reference}` that cannot be followed from where it stands.
    BadReference,
    /// A module that could not be loaded.
    Module,
    /// Parameters that the module's schema does not take.
    Parameters,
    /// There is no target to act on, or not all of them are covered.
    Targets,
    /// Something that has no effect.
    Unused,
}

impl Code {
    /// As it is written in `--json`.
    pub fn word(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::NotUtf8 => "not-utf8",
            Self::Syntax => "syntax",
            Self::Version => "version",
            Self::UnknownKey => "unknown-key",
            Self::NotYetSupported => "not-yet-supported",
            Self::Missing => "missing",
            Self::WrongType => "wrong-type",
            Self::BadValue => "bad-value",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::UnknownName => "unknown-name",
            Self::BadReference => "bad-reference",
            Self::Module => "module",
            Self::Parameters => "parameters",
            Self::Targets => "targets",
            Self::Unused => "unused",
        }
    }
}

/// Whether a problem stops the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The plan is refused.
    Error,
    /// The plan runs; somebody should look at it.
    Warning,
}

/// A place in a source, and what to say there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Label {
    span: Span,
    text: String,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    code: Code,
    severity: Severity,
    message: String,
    source: Option<Source>,
    /// The first one is where the problem is; further ones are in the same source.
    labels: Vec<Label>,
    hint: Option<String>,
    /// The file's name where there is no text to show.
    file: Option<String>,
}

/// What is quoted from a file may hold anything: TOML has escapes for what no line of it may have.
fn safe(text: impl Into<String>) -> String {
    let text = text.into();
    text.split('\n').map(shown).collect::<Vec<_>>().join("\n")
}

impl Problem {
    /// A problem at a place. `message` is a lower-case fragment that names what is wrong.
    pub fn at(code: Code, source: &Source, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: safe(message),
            source: Some(source.clone()),
            labels: vec![Label { span, text: String::new() }],
            hint: None,
            file: None,
        }
    }

    /// A problem with a file as a whole, whose text cannot be shown.
    pub fn with_file(code: Code, file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: safe(message),
            source: None,
            labels: Vec::new(),
            hint: None,
            file: Some(safe(file)),
        }
    }

    /// A file that is not even read, since it is larger than what people write: whoever opens files asks for the size
    /// first and gives this answer.
    pub fn too_large(file: impl Into<String>, bytes: u64) -> Self {
        Self::larger_than(file, bytes, MAX_SOURCE_BYTES)
    }

    /// The same for another limit.
    pub(crate) fn larger_than(file: impl Into<String>, bytes: u64, most: u64) -> Self {
        let what = if most == MAX_SOURCE_BYTES { "file" } else { "answer" };
        let mib = most / (1024 * 1024);
        let message = format!("the {what} has {bytes} bytes, more than the {most} ({mib} MiB) that are read");
        Self::with_file(Code::TooLarge, file, message).hint(match what {
            "file" => "is it the right file? what is large belongs into an artifact",
            _ => "let the program print the hosts of this environment only",
        })
    }

    /// The same, saying why at the place itself.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        if let Some(label) = self.labels.first_mut() {
            label.text = safe(cause);
        }
        self
    }

    /// The same, pointing at a second place in the same source.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: safe(text) });
        self
    }

    /// The same, saying how to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(safe(hint));
        self
    }

    /// The same with a hint, when there is one.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.map(safe).or(self.hint);
        self
    }

    /// The same, as something that does not stop the run.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// What kind of problem it is.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Whether it stops the run.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Why, as it is said at the place; empty when the message says it all.
    pub fn cause(&self) -> &str {
        self.labels.first().map_or("", |label| &label.text)
    }

    /// How to mend it.
    pub fn mend(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The file's name as it is shown.
    pub fn file(&self) -> &str {
        self.source.as_ref().map_or_else(|| self.file.as_deref().unwrap_or_default(), Source::name)
    }

    /// The bytes of the source that it is about.
    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|label| label.span)
    }

    /// Line and column, from 1.
    pub fn line_and_column(&self) -> Option<(usize, usize)> {
        Some(self.source.as_ref()?.line_and_column(self.span()?.start))
    }

    /// `plan.toml:12:3`, or the file's name alone.
    pub fn place(&self) -> String {
        match self.line_and_column() {
            Some((line, column)) => format!("{}:{line}:{column}", self.file()),
            None => self.file().to_owned(),
        }
    }

    /// What is there, where the line is too long for a snippet: programs write JSON in one line.
    fn excerpt(&self) -> Option<String> {
        const LONGEST: usize = 400;
        let (source, span) = (self.source.as_ref()?, self.span()?);
        let text = source.shown();
        let mut start = span.start.min(text.len());
        let begin = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        if end - begin <= LONGEST {
            return None;
        }
        // A word or two in front of it, and what follows.
        start = text[begin..start].char_indices().rev().nth(15).map_or(begin, |(at, _)| begin + at);
        let excerpt: String = text[start..end].chars().take(60).collect();
        Some(format!("…{}…", safe(excerpt)))
    }

    fn order(&self) -> (String, usize) {
        (self.file().to_owned(), self.span().map_or(0, |span| span.start))
    }
}

/// `plan.toml:12:3: message (cause)`, on one line; the hint is not in it.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place())?;
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        f.write_str(&self.message)?;
        if !self.cause().is_empty() {
            write!(f, " ({})", self.cause())?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Problem", 8)?;
        object.serialize_field("code", &self.code)?;
        object.serialize_field("severity", &self.severity)?;
        object.serialize_field("message", &self.message)?;
        object.serialize_field("cause", self.cause())?;
        object.serialize_field("hint", &self.hint)?;
        object.serialize_field("file", self.file())?;
        let at = self.line_and_column();
        object.serialize_field("line", &at.map(|(line, _)| line))?;
        object.serialize_field("column", &at.map(|(_, column)| column))?;
        object.end()
    }
}

/// As miette sees a problem. The hint is left out where [`Problems::render`] prints it itself, as `hint:`.
#[derive(Debug)]
struct Shown<'a>(&'a Problem, Option<String>);

impl<'a> Shown<'a> {
    fn new(problem: &'a Problem) -> Self {
        Self(problem, problem.excerpt())
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(excerpt) = &self.1 {
            return write!(f, "{}, at `{excerpt}`", self.0);
        }
        if self.0.source.is_none() {
            write!(f, "{}: ", self.0.file())?;
        }
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Diagnostic::severity(self.0)
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Diagnostic::source_code(self.0).filter(|_| self.1.is_none())
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Diagnostic::labels(self.0).filter(|_| self.1.is_none())
    }
}

impl Diagnostic for Problem {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code.word()))
    }
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let of = |label: &Label| {
            let text = Some(label.text.clone()).filter(|text| !text.is_empty());
            LabeledSpan::new(text, label.span.start, label.span.end.saturating_sub(label.span.start))
        };
        Some(Box::new(self.labels.iter().map(of)))
    }
}

impl SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &miette::SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        let inner = self.shown().read_span(span, before, after)?;
        Ok(Box::new(miette::MietteSpanContents::new_named(
            self.name().to_owned(),
            inner.data(),
            *inner.span(),
            inner.line(),
            inner.column(),
            inner.line_count(),
        )))
    }
}

/// How [`Problems::render`] draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// With colours; without them nothing is lost.
    pub colour: bool,
    /// The widest line.
    pub width: usize,
}

/// How many problems are shown. Who has more of them mends these first.
const SHOWN: usize = 100;

/// Everything that is wrong, in the order of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    /// Errors beyond those in the list.
    more: usize,
}

impl Serialize for Problems {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(serializer)
    }
}

impl Problems {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more, unless it has been said already.
    pub fn push(&mut self, problem: Problem) {
        if self.list.contains(&problem) {
            return;
        }
        if self.list.len() < SHOWN {
            self.list.push(problem);
        } else if problem.severity == Severity::Error {
            self.more += 1;
        }
    }

    /// Those of another part too.
    pub fn extend(&mut self, others: Self) {
        self.more += others.more;
        others.list.into_iter().for_each(|problem| self.push(problem));
    }

    /// Whether there is none, not even a warning.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are, warnings counted.
    pub fn len(&self) -> usize {
        self.list.len() + self.more
    }

    /// Whether one of them stops the run.
    pub fn has_errors(&self) -> bool {
        self.more > 0 || self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// The value when nothing stops the run, with the warnings; else the problems, sorted.
    ///
    /// # Errors
    /// One of the problems is an error, or there is no value.
    pub fn or<T>(mut self, value: Option<T>) -> Result<(T, Self), Self> {
        self.list.sort_by_key(Problem::order);
        match value {
            Some(value) if !self.has_errors() => Ok((value, self)),
            _ => Err(self),
        }
    }

    /// With a snippet of the file for each, and its `hint:`.
    pub fn render(&self, style: Style) -> String {
        let theme = if style.colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler =
            GraphicalReportHandler::new_themed(theme).with_links(false).with_width(style.width.max(40));
        let mut out = String::new();
        for problem in &self.list {
            let mut report = String::new();
            // The only way to fail is the formatter itself; the plain form then says the same.
            if handler.render_report(&mut report, &Shown::new(problem)).is_err() {
                report = format!("{problem}\n");
            }
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(report.trim_start_matches('\n'));
            if let Some(hint) = &problem.hint {
                push_hint(&mut out, hint);
            }
        }
        self.push_more(&mut out);
        out
    }

    /// One line for each, `plan.toml:12:3: message`, and its `hint:` below.
    pub fn plain(&self) -> String {
        let mut out = String::new();
        for problem in &self.list {
            out.push_str(&problem.to_string());
            out.push('\n');
            if let Some(hint) = &problem.hint {
                push_hint(&mut out, hint);
            }
        }
        self.push_more(&mut out);
        out
    }
}

impl Problems {
    fn push_more(&self, out: &mut String) {
        if self.more > 0 {
            out.push_str(&format!("... and {} more\n", self.more));
        }
    }
}

/// Later lines of a hint stand below its first one.
fn push_hint(out: &mut String, hint: &str) {
    for (number, line) in hint.lines().enumerate() {
        out.push_str(if number == 0 { "  hint: " } else { "        " });
        out.push_str(line);
        out.push('\n');
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self { list: vec![problem], more: 0 }
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.plain().trim_end())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> Problem {
        let source = Source::new("plan.toml", "plan = 1\nnaem = \"shop\"\n");
        Problem::at(Code::UnknownKey, &source, Span { start: 9, end: 13 }, "unknown key `naem`")
            .because("not a key of a plan")
            .hint("did you mean `name`?")
    }

    #[test]
    fn a_problem_says_place_cause_and_mend() {
        let problems = Problems::from(problem());
        insta::assert_snapshot!(problems.plain(), @r"
        plan.toml:2:1: unknown key `naem` (not a key of a plan)
          hint: did you mean `name`?
        ");
        insta::assert_snapshot!(problems.render(Style { colour: false, width: 80 }), @r#"
          × unknown key `naem`
           ╭─[plan.toml:2:1]
         1 │ plan = 1
         2 │ naem = "shop"
           · ──┬─
           ·   ╰── not a key of a plan
           ╰────
          hint: did you mean `name`?
        "#);
    }

    #[test]
    fn the_same_problem_is_said_once() {
        let mut problems = Problems::from(problem());
        problems.push(problem());
        assert_eq!(problems.len(), 1);
    }

    #[test]
    fn of_very_many_problems_the_first_ones_are_shown() {
        let source = Source::new("plan.toml", "x".repeat(1000));
        let mut problems = Problems::new();
        for start in 0..1000 {
            problems.push(Problem::at(Code::Syntax, &source, Span { start, end: start + 1 }, "no"));
        }
        assert_eq!(problems.len(), 1000);
        assert!(problems.plain().ends_with("plan.toml:1:100: no\n... and 900 more\n"));
    }

    #[test]
    fn a_program_reads_the_same() {
        insta::assert_json_snapshot!(problem(), @r#"
        {
          "code": "unknown-key",
          "severity": "error",
          "message": "unknown key `naem`",
          "cause": "not a key of a plan",
          "hint": "did you mean `name`?",
          "file": "plan.toml",
          "line": 2,
          "column": 1
        }
        "#);
    }
}
