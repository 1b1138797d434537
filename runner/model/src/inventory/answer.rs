//! What a program answers that is asked for the inventory: JSON, either in our own language or as Ansible's dynamic
//! inventories print it for `--list`. Every problem names its place in the answer.

use super::ansible::dynamic;
use super::{Inventory, read};
use crate::diagnostic::{Code, Problem, Problems};
use crate::read::{Reader, text_within};
use crate::source::{Source, Span};
use jsonc_parser::ast::{ObjectProp, Value as Json};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use toml::de::{DeArray, DeTable, DeValue};

/// The largest answer that is read: 16 MiB, which is more than ten thousand machines.
pub const MAX_ANSWER_BYTES: u64 = 16 * 1024 * 1024;

impl Inventory {
    /// Reads the answer of an inventory program as far as it can be read, as [`Inventory::read`] does for a file. `name`:
    /// the program as problems name it.
    pub fn read_answer(name: &str, bytes: &[u8]) -> (Self, Problems) {
        let source = match text_within(name, bytes, MAX_ANSWER_BYTES) {
            Ok(source) => source,
            Err(problems) => return (Self::unread(name), problems),
        };
        let text = source.text().to_owned();
        let root = match document(&source, &text) {
            Ok(root) => root,
            Err(problem) => return (Self::unread(name), (*problem).into()),
        };
        if !root.properties.iter().any(|entry| name_of(entry).0 == "inventory") {
            return dynamic::inventory(source, &root);
        }
        let reader = Reader::new(source);
        let table = table(&reader, &root);
        let parsed = reader.whole("an inventory", &table, read::file);
        let mut inventory = super::merge::merge(&reader, &parsed);
        let problems = reader.into_problems();
        inventory.has_gaps = problems.has_errors();
        (inventory, problems)
    }
}

/// The object that the answer is.
fn document<'t>(source: &Source, text: &'t str) -> Result<jsonc_parser::ast::Object<'t>, Box<Problem>> {
    const HINT: &str =
        "on stdout the program must print JSON and nothing else; what is for people belongs on stderr";
    let wrong = |span: Span, message: String| {
        let code = Code::Syntax;
        Err(Box::new(Problem::at(code, source, span, format!("not valid JSON: {message}")).hint(HINT)))
    };
    // The parser that knows places takes more than JSON; this one does not.
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        let start = source.offset_of(error.line(), error.column());
        let said = error.to_string();
        let said = said.split(" at line ").next().unwrap_or_default().to_owned();
        let said = if text.trim().is_empty() { "there is nothing".to_owned() } else { said };
        return wrong(Span { start, end: start }, said);
    }
    let parsed = match parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default()) {
        Ok(parsed) => parsed,
        Err(error) => {
            return wrong((error.range().start..error.range().end).into(), error.kind().to_string());
        }
    };
    match parsed.value {
        Some(Json::Object(object)) => Ok(object),
        other => {
            let span = other.map_or(Span::default(), |value| span(&value));
            let message = "an inventory is a JSON object: ours, with `\"inventory\": 1`, or that of `ansible-inventory --list`";
            Err(Box::new(Problem::at(Code::WrongType, source, span, message)))
        }
    }
}

pub(super) fn span(node: &impl Ranged) -> Span {
    Span { start: node.start(), end: node.end() }
}

/// The name of an entry, and where it is.
pub(super) fn name_of<'a>(entry: &'a ObjectProp<'_>) -> (&'a str, Span) {
    (entry.name.as_str(), span(&entry.name))
}

/// The object as what a file of TOML would be, place by place: what reads files then reads answers.
fn table<'t>(reader: &Reader, object: &jsonc_parser::ast::Object<'t>) -> DeTable<'t> {
    let mut table = DeTable::new();
    for entry in &object.properties {
        let (name, at) = name_of(entry);
        let Some(value) = value(reader, name, &entry.value) else { continue };
        let key = toml::Spanned::new(at.start..at.end, name.to_owned().into());
        if table.contains_key(&key) {
            let problem =
                reader.problem(Code::Duplicate, at, format!("`{}` is there twice", name.escape_debug()));
            reader.push(problem.hint("let the program print it once"));
        }
        table.insert(key, value);
    }
    table
}

fn value<'t>(reader: &Reader, name: &str, json: &Json<'t>) -> Option<toml::Spanned<DeValue<'t>>> {
    let at = span(json);
    let refuse = |what: &str, hint: &str| {
        let message = format!("`{}` is {what}", name.escape_debug());
        reader.push(reader.problem(Code::WrongType, at, message).hint(hint));
        None
    };
    let value = match json {
        Json::StringLit(text) => DeValue::String(text.value.clone()),
        Json::BooleanLit(boolean) => DeValue::Boolean(boolean.value),
        Json::NumberLit(number) => match DeValue::parse(number.value) {
            Ok(parsed) => parsed.into_inner(),
            Err(_) => return refuse("no number that is understood", "write it out"),
        },
        Json::NullKeyword(_) => {
            return refuse("null, which is no value", "let the program leave the key out");
        }
        Json::Array(array) => {
            let mut values = DeArray::new();
            array.elements.iter().filter_map(|one| value(reader, name, one)).for_each(|one| values.push(one));
            DeValue::Array(values)
        }
        Json::Object(object) => DeValue::Table(table(reader, object)),
    };
    Some(toml::Spanned::new(at.start..at.end, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> (Inventory, Problems) {
        Inventory::read_answer("the answer of `./hosts`", text.as_bytes())
    }

    fn said(text: &str) -> String {
        read(text).1.or(None::<()>).expect_err("problems").plain()
    }

    fn names(inventory: &Inventory) -> Vec<&str> {
        inventory.targets.iter().map(|target| target.name.as_str()).collect()
    }

    #[test]
    fn our_own_language_is_read_as_json() {
        let text = r#"{"inventory": 1, "defaults": {"user": "deploy", "port": 2222},
            "group": {"web": {"targets": ["web-1", "web-2"], "roles": ["web"], "vars": {"n": 1.5, "on": true, "l": [1]}}},
            "target": {"web-2": {"address": "10.0.0.2"}, "web-1": {"root": "/srv/\u00e9\ud83d\ude00"}}}"#;
        let (inventory, problems) = read(text);
        assert!(problems.is_empty(), "{problems}");
        assert_eq!(names(&inventory), ["web-2", "web-1"], "in the order of the answer");
        let first = inventory.target("web-1").expect("it is there");
        assert_eq!((first.port, first.user.as_ref().map(|user| user.as_str())), (Some(2222), Some("deploy")));
        assert_eq!(first.root.as_ref().map(|root| root.as_str()), Some("/srv/é😀"));
        assert_eq!(first.vars.len(), 3);
    }

    #[test]
    fn what_is_wrong_in_it_has_its_place() {
        insta::assert_snapshot!(said(
            "{\"inventory\": 1,\n \"target\": {\"web-1\": {\"adress\": \"x\", \"port\": null, \"user\": 5},\n  \"a b\": {}}, \"target\": {}}"
        ));
        insta::assert_snapshot!(said("{\"inventory\": 2, \"target\": {\"web-1\": {}}}"));
        insta::assert_snapshot!(said("{\"inventory\": 1}"));
    }

    #[test]
    fn what_is_no_json_is_refused_with_line_and_column() {
        let wrong = [
            "",
            "Traceback",
            "{\n  \"web\": [\"a\",]\n}",
            "{\"a\": NaN}",
            "{} {}",
            "// x\n{}",
            "{'a': 1}",
            "[]",
        ];
        insta::assert_snapshot!(wrong.map(said).concat());
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        assert!(said(&deep).contains("nesting depth exceeded"), "{}", said(&deep));
        let (_, problems) = Inventory::read_answer("x", &vec![b' '; 16 * 1024 * 1024 + 1]);
        insta::assert_snapshot!(problems.plain());
        let (_, problems) = Inventory::read_answer("x", b"{\"web\": [\"\xff\"]}");
        insta::assert_snapshot!(problems.plain());
    }

    #[test]
    fn a_long_line_is_not_shown_as_a_whole() {
        let hosts: Vec<String> = (0..3000).map(|n| format!("\"web-{n}\": {{}}")).collect();
        let text =
            format!("{{\"inventory\": 1, \"target\": {{{}, \"x\": {{\"prot\": 1}}}}}}", hosts.join(", "));
        let (_, problems) = read(&text);
        let shown = problems.render(crate::diagnostic::Style { colour: false, width: 100 });
        assert!(shown.len() < 1000, "{} bytes", shown.len());
        insta::assert_snapshot!(shown);
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_panic(
            text in "([{}\\[\\]\",: ]|\"(inventory|target|hosts|vars|children|_meta|hostvars|a)\"|1|null|true){0,40}"
        ) {
            let _ = read(&text);
            let _ = read(&format!("{{\"inventory\": 1, {text}}}"));
            let _ = read(&format!("{{\"_meta\": {{\"hostvars\": {{}}}}, \"web\": {text}}}"));
        }
    }
}
