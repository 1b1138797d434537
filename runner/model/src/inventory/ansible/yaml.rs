//! YAML as Ansible reads it: version 1.1, in which `yes` is a boolean and `0644` a number, with the place of every
//! value, and with limits on what a small file can grow into.

use super::draft::{Opaque, is_template};
use crate::diagnostic::{Code, Problem};
use crate::source::{Source, Span};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use serde_json::{Map, Number, Value};
use std::collections::HashMap;

/// How deep lists and mappings may stand in each other.
const DEEPEST: usize = 64;
/// How many values a file may be, with aliases written out.
const MOST: usize = 200_000;

/// What is in a mapping.
type Entries = Vec<(Key, Node)>;

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) data: Data,
    pub(super) span: Span,
    /// How many values it is made of.
    size: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Data {
    /// Null, a boolean, a number or text.
    Scalar(Value),
    /// Something that only Ansible knows.
    Opaque(Opaque),
    List(Vec<Node>),
    /// In the order of the file.
    Mapping(Entries),
}

/// The key of a mapping.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) span: Span,
    /// It is written as text, not as a number or a boolean.
    pub(super) is_text: bool,
}

impl Node {
    pub(super) fn new(data: Data, span: Span) -> Self {
        Self { data, span, size: 1 }
    }

    /// As JSON, or why only Ansible knows.
    pub(super) fn json(&self) -> Result<Value, Opaque> {
        match &self.data {
            Data::Scalar(value) => Ok(value.clone()),
            Data::Opaque(why) => Err(*why),
            Data::List(nodes) => {
                nodes.iter().map(Self::json).collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
            Data::Mapping(entries) => {
                let entries = entries.iter().map(|(key, node)| Ok((key.name.clone(), node.json()?)));
                entries.collect::<Result<Map<_, _>, Opaque>>().map(Value::Object)
            }
        }
    }

    /// Nothing, at the same place.
    pub(super) fn emptied(&self) -> Self {
        Self { data: Data::Scalar(Value::Null), span: self.span, size: 1 }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.data, Data::Scalar(Value::Null))
    }

    /// What it is, with its article.
    pub(super) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Scalar(Value::Null) => "nothing",
            Data::Scalar(Value::Bool(_)) => "a boolean",
            Data::Scalar(Value::Number(_)) => "a number",
            Data::Scalar(_) => "text",
            Data::Opaque(why) => why.word(),
            Data::List(_) => "a list",
            Data::Mapping(_) => "a mapping",
        }
    }
}

/// Reads a file. `None`: there is nothing in it. Warnings go to `warn`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(source: &Source, warn: &mut Vec<Problem>) -> Result<Option<Node>, Box<Problem>> {
    if source.text().starts_with("$ANSIBLE_VAULT;") {
        let span = Span { start: 0, end: source.text().find('\n').unwrap_or(source.text().len()) };
        return Ok(Some(Node { data: Data::Opaque(Opaque::Vault), span, size: 1 }));
    }
    let mut composer = Composer {
        source,
        events: Parser::new_from_str(source.text()),
        offsets: source.text().char_indices().map(|(at, _)| at).collect(),
        anchors: HashMap::new(),
        size: 0,
        warn,
    };
    let mut document = None;
    while let Some((event, span)) = composer.next()? {
        match event {
            Event::DocumentStart(_) if document.is_some() => {
                return Err(composer.wrong(
                    span,
                    "a second document begins here",
                    "keep one document in the file",
                ));
            }
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::Nothing => {}
            event => document = Some(composer.node(event, span, 0)?),
        }
    }
    Ok(document)
}

struct Composer<'a> {
    source: &'a Source,
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// Where each character begins: the parser counts characters.
    offsets: Vec<usize>,
    anchors: HashMap<usize, Node>,
    size: usize,
    warn: &'a mut Vec<Problem>,
}

impl<'a> Composer<'a> {
    fn wrong(&self, span: Span, message: impl Into<String>, hint: &str) -> Box<Problem> {
        Box::new(Problem::at(Code::Syntax, self.source, span, message).hint(hint))
    }

    fn offset(&self, character: usize) -> usize {
        self.offsets.get(character).copied().unwrap_or(self.source.text().len())
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Box<Problem>> {
        match self.events.next() {
            None => Ok(None),
            Some(Ok((event, span))) => {
                let start = self.offset(span.start.index());
                let end = self.offset(span.end.index()).max(start);
                // A block ends where the next thing begins; a message shows its first line.
                let text = self.source.text().get(start..end).unwrap_or_default();
                let end = start + text.find('\n').unwrap_or(text.len());
                Ok(Some((event, Span { start, end })))
            }
            Some(Err(error)) => Err(self.not_yaml(&error)),
        }
    }

    fn not_yaml(&self, error: &ScanError) -> Box<Problem> {
        let start = self.offset(error.marker().index());
        let message = format!("not valid YAML: {}", error.info().escape_debug());
        self.wrong(Span { start, end: start }, message, "quote text that has `: `, `#`, `{` or `[` in it")
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Box<Problem>> {
        self.grow(1, span)?;
        if depth > DEEPEST {
            let message = format!("stands deeper than {DEEPEST} lists and mappings");
            return Err(self.wrong(span, message, "write it less deep"));
        }
        let (anchor, node) = match event {
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(self.wrong(
                        span,
                        "an alias inside of what it stands for",
                        "write the value itself",
                    ));
                };
                self.grow(node.size, span)?;
                return Ok(Node { span, ..node });
            }
            Event::Scalar(text, style, anchor, tag) => {
                let data = self.scalar(&text, style, tag.as_deref(), span)?;
                (anchor, Node { data, span, size: 1 })
            }
            Event::SequenceStart(anchor, tag) => {
                self.plain_tag(tag.as_deref(), "seq", span)?;
                let mut nodes = Vec::new();
                while let Some((event, span)) = self.next()? {
                    if matches!(event, Event::SequenceEnd) {
                        break;
                    }
                    nodes.push(self.node(event, span, depth + 1)?);
                }
                let size = 1 + nodes.iter().map(|node| node.size).sum::<usize>();
                (anchor, Node { data: Data::List(nodes), span, size })
            }
            Event::MappingStart(anchor, tag) => {
                self.plain_tag(tag.as_deref(), "map", span)?;
                let entries = self.mapping(depth)?;
                let size = 1 + entries.iter().map(|(_, node)| node.size).sum::<usize>();
                (anchor, Node { data: Data::Mapping(entries), span, size })
            }
            _ => return Err(self.wrong(span, "a value is missing", "write one")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn grow(&mut self, by: usize, span: Span) -> Result<(), Box<Problem>> {
        self.size = self.size.saturating_add(by);
        if self.size > MOST {
            let message = format!("the file is more than {MOST} values with its aliases written out");
            return Err(self.wrong(
                span,
                message,
                "an inventory this large is a mistake: look at its aliases",
            ));
        }
        Ok(())
    }

    fn mapping(&mut self, depth: usize) -> Result<Entries, Box<Problem>> {
        let (mut entries, mut merged) = (Entries::new(), Entries::new());
        let mut places: HashMap<String, usize> = HashMap::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let is_merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key = self.node(event, span, depth + 1)?;
            let Some((event, value_span)) = self.next()? else { break };
            let node = self.node(event, value_span, depth + 1)?;
            if is_merge {
                merged.extend(self.merge(node)?);
                continue;
            }
            let (name, is_text) = match key.data {
                Data::Scalar(Value::String(text)) => (text, true),
                Data::Scalar(other) => (other.to_string(), false),
                _ => {
                    return Err(self.wrong(
                        span,
                        format!("a key must be text, not {}", key.kind()),
                        "quote it",
                    ));
                }
            };
            let key = Key { name, span, is_text };
            if let Some(first) = places.get(&key.name) {
                let (old, entry) = (&entries[*first].0, key.name.escape_debug().to_string());
                self.warn.push(
                    Problem::at(
                        Code::Duplicate,
                        self.source,
                        span,
                        format!("`{entry}` is twice in this mapping"),
                    )
                    .because("this one counts")
                    .also(old.span, "this one does not")
                    .hint("remove one of them")
                    .warning(),
                );
                entries[*first] = (key, node);
                continue;
            }
            places.insert(key.name.clone(), entries.len());
            entries.push((key, node));
        }
        for (key, node) in merged {
            // What the mapping says itself wins, then what is merged first.
            if !places.contains_key(&key.name) {
                places.insert(key.name.clone(), entries.len());
                entries.push((key, node));
            }
        }
        Ok(entries)
    }

    /// The entries that `<<` brings in.
    fn merge(&self, node: Node) -> Result<Entries, Box<Problem>> {
        let span = node.span;
        match node.data {
            Data::Mapping(entries) => Ok(entries),
            Data::List(nodes) => {
                let lists = nodes.into_iter().map(|node| self.merge(node)).collect::<Result<Vec<_>, _>>()?;
                Ok(lists.into_iter().flatten().collect())
            }
            _ => Err(self.wrong(
                span,
                "`<<` takes a mapping, or a list of them",
                "name one by its alias: `<<: *defaults`",
            )),
        }
    }

    fn plain_tag(&self, tag: Option<&Tag>, own: &str, span: Span) -> Result<(), Box<Problem>> {
        match tag {
            Some(tag) if !(is_unsafe(tag) || tag.is_yaml_core_schema() && tag.suffix == own) => {
                Err(self.unknown_tag(tag, span))
            }
            _ => Ok(()),
        }
    }

    fn unknown_tag(&self, tag: &Tag, span: Span) -> Box<Problem> {
        let message = format!("the tag `{}` is not known", tag.to_string().escape_debug());
        self.wrong(span, message, "write the value without the tag")
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<Data, Box<Problem>> {
        let string = || Data::Scalar(Value::String(text.to_owned()));
        Ok(match tag {
            Some(tag) if is_unsafe(tag) => string(),
            Some(tag) if tag.handle == "!" && matches!(tag.suffix.as_str(), "vault" | "vault-encrypted") => {
                Data::Opaque(Opaque::Vault)
            }
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => self.text(text),
            Some(tag)
                if tag.is_yaml_core_schema()
                    && matches!(tag.suffix.as_str(), "int" | "float" | "bool" | "null") =>
            {
                match plain(text) {
                    Data::Scalar(Value::String(_)) => {
                        let message =
                            format!("`{}` is not what its tag `!!{}` says", text.escape_debug(), tag.suffix);
                        return Err(self.wrong(span, message, "remove the tag, or write another value"));
                    }
                    data => data,
                }
            }
            // `! text` is text, whatever it looks like.
            Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => self.text(text),
            Some(tag) => return Err(self.unknown_tag(tag, span)),
            None if style == ScalarStyle::Plain => match plain(text) {
                Data::Scalar(Value::String(_)) => self.text(text),
                data => data,
            },
            None => self.text(text),
        })
    }

    fn text(&self, text: &str) -> Data {
        if is_template(text) {
            Data::Opaque(Opaque::Template)
        } else {
            Data::Scalar(Value::String(text.to_owned()))
        }
    }
}

/// `!unsafe`: text that Jinja does not look at.
fn is_unsafe(tag: &Tag) -> bool {
    tag.handle == "!" && tag.suffix == "unsafe"
}

/// What plain text is in YAML 1.1, as far as JSON has it. Dates are text.
fn plain(text: &str) -> Data {
    let value = match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "-.inf" | "-.Inf" | "-.INF" => {
            return Data::Opaque(Opaque::NotJson);
        }
        _ => integer(text)
            .map(Value::from)
            .or_else(|| float(text))
            .unwrap_or_else(|| Value::String(text.to_owned())),
    };
    Data::Scalar(value)
}

fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let plain = digits.replace('_', "");
    let number = if let Some(binary) = plain.strip_prefix("0b") {
        i64::from_str_radix(binary, 2).ok()?
    } else if let Some(hex) = plain.strip_prefix("0x") {
        if !hex.starts_with(|c: char| c.is_ascii_hexdigit()) {
            return None;
        }
        i64::from_str_radix(hex, 16).ok()?
    } else if plain.contains(':') {
        // Parts of sixty: `1:30` is ninety.
        let mut parts = plain.split(':');
        let mut total: i64 = parts.next().filter(|first| !first.starts_with('0'))?.parse().ok()?;
        for part in parts {
            let part: i64 = part.parse().ok().filter(|number| (0..60).contains(number) && part.len() <= 2)?;
            total = total.checked_mul(60)?.checked_add(part)?;
        }
        total
    } else if plain.len() > 1 && plain.starts_with('0') {
        i64::from_str_radix(&plain, 8).ok()?
    } else {
        plain.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
        plain.parse().ok()?
    };
    Some(sign * number)
}

/// A number with a point in it: without one, `1e3` is text.
fn float(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let fits = unsigned.contains('.')
        && unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.bytes().any(|byte| byte.is_ascii_digit())
        && unsigned.chars().all(|c| c.is_ascii_digit() || "._eE+-".contains(c));
    // The exponent has a sign.
    if !fits || (unsigned.contains(['e', 'E']) && !unsigned.contains(['+', '-'])) {
        return None;
    }
    Number::from_f64(text.replace('_', "").parse().ok()?).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn json_of(text: &str) -> Result<Value, String> {
        let source = Source::new("x.yml", text);
        let node = read(&source, &mut Vec::new()).map_err(|problem| problem.to_string())?;
        node.ok_or("nothing")?.json().map_err(|why| why.word().to_owned())
    }

    #[test]
    fn values_are_those_of_yaml_1_1() {
        let text = "{a: yes, b: 'yes', c: 0644, d: 1:30, e: 1.5, f: ~, g: 1e3, h: 2026-01-01, i: 08, j: 0x1F, k: 1_000, \
                    l: -3, m: 1.2.3, n: off, o: '', p: 1.0e+3, q: !unsafe '{{ x }}', r: !!str 5}";
        let expected = json!({
            "a": true, "b": "yes", "c": 420, "d": 90, "e": 1.5, "f": null, "g": "1e3", "h": "2026-01-01", "i": "08",
            "j": 31, "k": 1000, "l": -3, "m": "1.2.3", "n": false, "o": "", "p": 1000.0, "q": "{{ x }}", "r": "5",
        });
        assert_eq!(json_of(text), Ok(expected));
    }

    #[test]
    fn merges_and_aliases_are_written_out() {
        let text = "base: &b {x: 1, y: 2}\nown:\n  <<: *b\n  y: 3\nboth:\n  <<: [*b, {z: 4, x: 5}]\n";
        let said = json_of(text).expect("YAML");
        assert_eq!(said["own"], json!({"y": 3, "x": 1}));
        assert_eq!(said["both"], json!({"x": 1, "y": 2, "z": 4}));
    }

    #[test]
    fn what_only_ansible_knows_is_marked() {
        assert_eq!(json_of("a: '{{ b }}'"), Err("a Jinja template".into()));
        assert_eq!(
            json_of("a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  00\n"),
            Err("encrypted by `ansible-vault`".into())
        );
        assert_eq!(json_of("$ANSIBLE_VAULT;1.1;AES256\n00\n"), Err("encrypted by `ansible-vault`".into()));
        assert_eq!(json_of("a: .inf"), Err("no value that JSON has".into()));
    }

    #[test]
    fn a_small_file_does_not_grow_without_end() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for number in 1..12 {
            let alias = format!("*a{}", number - 1);
            text.push_str(&format!("a{number}: &a{number} [{}]\n", vec![alias; 10].join(", ")));
        }
        assert!(json_of(&text).expect_err("too large").contains("200000 values"));
        assert!(json_of(&"[".repeat(3000)).is_err());
        assert!(json_of(&"- ".repeat(100)).expect_err("too deep").contains("deeper than 64"));
        assert!(json_of("a: 1\n---\nb: 2\n").expect_err("two").contains("second document"));
        assert!(json_of("a: &a [*a]").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn any_text_is_read_or_refused(text in "([a-c]{1,2}: |- |  |\n|[\\[\\]{},&*!|>'\"#%-]|&a |\\*a |<<: |\\{\\{|yes|0x1|\\PC{0,3}){0,40}") {
            let _ = json_of(&text);
        }
    }
}
