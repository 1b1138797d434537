//! The INI form. It is a dialect of Ansible's own: hosts with variables behind them, sections with a kind, and values
//! that are literals of Python.

use super::draft::{Draft, UNGROUPED, Var, of_value};
use super::literal;
use crate::diagnostic::Code;
use crate::source::Span;
use crate::suggest::closest;
use std::collections::BTreeMap;

/// What the lines of a section are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Hosts,
    Children,
    Vars,
}

/// Reads the text of the draft's source.
pub(super) fn read(draft: &mut Draft) {
    let source = draft.source.clone();
    let mut section = Some((UNGROUPED, Kind::Hosts));
    // Groups that something refers to, until a section of their own is there.
    let mut wanted: BTreeMap<String, (Span, Kind)> = BTreeMap::new();
    let mut declared = vec!["all".to_owned(), "ungrouped".to_owned()];
    let mut at = 0;
    for whole in source.text().split_inclusive('\n') {
        let line = whole.trim();
        let start = at + (whole.len() - whole.trim_start().len());
        at += whole.len();
        let span = Span { start, end: start + line.len() };
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some((name, word)) = header(line) {
            section = kind(draft, word, span).map(|kind| {
                let group = draft.group(name, span);
                if kind == Kind::Vars {
                    wanted.entry(name.to_owned()).or_insert((span, kind));
                } else {
                    declared.push(name.to_owned());
                }
                (group, kind)
            });
            continue;
        }
        if line.starts_with('[') && line.ends_with(']') {
            let message = format!("`{}` is no section", line.escape_debug());
            draft.report(
                Code::Syntax,
                span,
                message,
                "write `[web]`, `[web:children]` or `[web:vars]`, without spaces",
            );
            section = None;
            continue;
        }
        // What stands in a section that is wrong is not blamed as well.
        let Some((group, kind)) = section else { continue };
        match kind {
            Kind::Hosts => host(draft, group, line, span),
            Kind::Children => {
                let name = line.split('#').next().unwrap_or_default().trim_end();
                if name.is_empty() || name.contains([':', ']', ' ', '\t']) {
                    let message = format!("`{}` is not the name of a group", line.escape_debug());
                    draft.report(
                        Code::Syntax,
                        span,
                        message,
                        "a line of a `children` section is the name of one group",
                    );
                    continue;
                }
                let child = draft.group(name, span);
                draft.child(group, child);
                wanted.entry(name.to_owned()).or_insert((span, kind));
            }
            Kind::Vars => match line.split_once('=') {
                Some((name, value)) => {
                    let var = Var { value: of_value(literal::value(value.trim())), place: draft.place(span) };
                    draft.group_var(group, name.trim(), var);
                }
                None => {
                    let message = format!("`{}` is no variable", line.escape_debug());
                    draft.report(Code::Syntax, span, message, "a line of a `vars` section is `name=value`");
                }
            },
        }
    }
    for (name, (span, kind)) in wanted {
        if declared.contains(&name) {
            continue;
        }
        let near = closest(&name, declared.iter().map(String::as_str));
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add a section `[{name}]`"),
        };
        let message = match kind {
            Kind::Vars => format!("variables of a group `{}` that is nowhere", name.escape_debug()),
            _ => format!("there is no group `{}`", name.escape_debug()),
        };
        draft.report(Code::UnknownName, span, message, hint);
    }
}

/// `[web]`, `[web:vars]`, with a comment behind it if need be.
fn header(line: &str) -> Option<(&str, Option<&str>)> {
    let (inside, behind) = line.strip_prefix('[')?.split_once(']')?;
    let behind = behind.trim_start();
    if !behind.is_empty() && !behind.starts_with('#') {
        return None;
    }
    let (name, word) = match inside.split_once(':') {
        Some((name, word)) => (name, Some(word)),
        None => (inside, None),
    };
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_');
    (!name.is_empty() && !name.contains(char::is_whitespace) && word.is_none_or(is_word))
        .then_some((name, word))
}

fn kind(draft: &mut Draft, word: Option<&str>, span: Span) -> Option<Kind> {
    match word {
        None | Some("hosts") => Some(Kind::Hosts),
        Some("children") => Some(Kind::Children),
        Some("vars") => Some(Kind::Vars),
        Some(other) => {
            let hint = match closest(other, ["hosts", "children", "vars"]) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "a section holds hosts, or is `[GROUP:children]` or `[GROUP:vars]`".to_owned(),
            };
            let message = format!("there are no sections of the kind `{}`", other.escape_debug());
            draft.report(Code::UnknownName, span, message, hint);
            None
        }
    }
}

fn host(draft: &mut Draft, group: usize, line: &str, span: Span) {
    let words = match words(line) {
        Ok(words) => words,
        Err(why) => {
            draft.report(
                Code::Syntax,
                span,
                why,
                "close the quotes, or write `\\'` for one that stands for itself",
            );
            return;
        }
    };
    let Some((pattern, assignments)) = words.split_first() else { return };
    let place = |word: &Word| Span { start: span.start + word.start, end: span.start + word.end };
    let numbers = draft.members(group, &pattern.text, place(pattern));
    for word in assignments {
        let Some((name, value)) = word.text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            let message = format!("`{}` is no variable", word.text.escape_debug());
            draft.report(Code::Syntax, place(word), message, "behind the name of a host stand `name=value`");
            continue;
        };
        let var = Var { value: of_value(literal::value(value)), place: draft.place(place(word)) };
        for number in &numbers {
            draft.hosts[*number].vars.insert(name.to_owned(), var.clone());
        }
    }
}

/// A word of a line, without its quotes.
#[derive(Debug, PartialEq, Eq)]
struct Word {
    text: String,
    start: usize,
    end: usize,
}

/// The words of a line as a shell sees them, up to a comment.
fn words(line: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == '#' {
            break;
        }
        if c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_with(|| Word { text: String::new(), start: at, end: at });
        match c {
            '\'' | '"' => loop {
                match chars.next() {
                    None => return Err("a quote is not closed".to_owned()),
                    Some((_, end)) if end == c => break,
                    Some((_, '\\')) if c == '"' => match chars.next() {
                        None => return Err("a quote is not closed".to_owned()),
                        Some((_, next @ ('"' | '\\'))) => word.text.push(next),
                        Some((_, next)) => word.text.extend(['\\', next]),
                    },
                    Some((_, inside)) => word.text.push(inside),
                }
            },
            '\\' => match chars.next() {
                None => return Err("nothing stands behind a `\\`".to_owned()),
                Some((_, next)) => word.text.push(next),
            },
            _ => word.text.push(c),
        }
        word.end = chars.peek().map_or(line.len(), |(next, _)| *next);
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;
    use proptest::prelude::*;

    fn texts(line: &str) -> Vec<String> {
        words(line).expect("words").into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn words_are_those_of_a_shell() {
        assert_eq!(
            texts("web a=1  b='x y' c=\"p \\\"q\\\" \\n\" d=e\\ f"),
            ["web", "a=1", "b=x y", "c=p \"q\" \\n", "d=e f"]
        );
        assert_eq!(texts("web a=1#b # c"), ["web", "a=1"]);
        assert_eq!(texts("web a="), ["web", "a="]);
        assert!(words("web a='x").is_err() && words("web \\").is_err());
    }

    #[test]
    fn a_word_knows_where_it_is() {
        let words = words("wéb a='x y' b").expect("words");
        assert_eq!(
            words.iter().map(|word| (word.start, word.end)).collect::<Vec<_>>(),
            [(0, 4), (5, 12), (13, 14)]
        );
    }

    #[test]
    fn a_header_is_a_name_and_a_kind() {
        assert_eq!(header("[web]"), Some(("web", None)));
        assert_eq!(header("[web:vars] # x"), Some(("web", Some("vars"))));
        for line in ["[web", "[]", "[a b]", "[web] x", "[::1]:22 a=b", "[a:b:c]"] {
            assert_eq!(header(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(\\[[a-c]{1,2}(:(vars|children|hosts|x))?\\]\n|[a-c]{1,2}(\\[[0-9:a]{0,5}\\])?( x=['\"\\\\a]{0,3})*\n|a=\\{\\{b\n|\\PC{0,6}\n?){0,20}") {
            let mut draft = Draft::new(Source::new("hosts.ini", text.as_str()));
            read(&mut draft);
            draft.finish();
            for host in &draft.hosts {
                prop_assert!(draft.groups_of(host).contains(&super::super::draft::ALL));
            }
        }
    }
}
