//! Keys and values.

use super::comments::between;
use toml_edit::{Array, Formatted, InlineTable, Key, RawString, Value};

const STEP: usize = 2;

/// A dotted key, with quotes only where they are needed.
pub(super) fn key(path: &[&Key]) -> String {
    let one =
        |key: &&Key| key.default_repr().as_raw().as_str().map_or_else(|| key.get().to_owned(), str::to_owned);
    path.iter().map(one).collect::<Vec<_>>().join(".")
}

/// A value that begins in this column, in a line that is indented this much; arrays may be this wide.
pub(super) fn lay_out(value: &Value, indent: usize, column: usize, width: usize) -> String {
    match value {
        Value::String(text) => string(text),
        Value::Integer(number) => number.display_repr().into_owned(),
        Value::Float(number) => number.display_repr().into_owned(),
        Value::Boolean(boolean) => boolean.display_repr().into_owned(),
        Value::Datetime(time) => time.display_repr().into_owned(),
        Value::Array(elements) => array(elements, indent, column, width),
        Value::InlineTable(table) => inline_table(table, indent, column, width),
    }
}

/// `'text'` as `"text"`, where that is the same without an escape. All else as it is written.
fn string(text: &Formatted<String>) -> String {
    let written = text.display_repr().into_owned();
    let is_literal = written.starts_with('\'') && !written.starts_with("'''");
    let is_plain = |c: char| c != '\\' && c != '"' && !c.is_control();
    if is_literal && text.value().chars().all(is_plain) { format!("\"{}\"", text.value()) } else { written }
}

fn raw(text: Option<&RawString>) -> &str {
    text.and_then(RawString::as_str).unwrap_or_default()
}

fn has_comment(value: &Value) -> bool {
    let decor = value.decor();
    raw(decor.prefix()).contains('#') || raw(decor.suffix()).contains('#') || has_comment_inside(value)
}

fn has_comment_inside(value: &Value) -> bool {
    match value {
        Value::Array(array) => raw(Some(array.trailing())).contains('#') || array.iter().any(has_comment),
        Value::InlineTable(table) => {
            let in_keys = |key: &Key| {
                [key.leaf_decor(), key.dotted_decor()]
                    .iter()
                    .any(|decor| raw(decor.prefix()).contains('#') || raw(decor.suffix()).contains('#'))
            };
            raw(Some(table.trailing())).contains('#')
                || table
                    .get_values()
                    .iter()
                    .any(|(path, value)| path.iter().any(|key| in_keys(key)) || has_comment(value))
        }
        _ => false,
    }
}

fn is_one_line(text: &str) -> bool {
    !text.contains('\n')
}

fn array(array: &Array, indent: usize, column: usize, width: usize) -> String {
    let has_comments = raw(Some(array.trailing())).contains('#') || array.iter().any(has_comment);
    if !has_comments {
        let elements: Vec<String> = array.iter().map(|element| lay_out(element, 0, 0, usize::MAX)).collect();
        let line = format!("[{}]", elements.join(", "));
        if array.is_empty() || (is_one_line(&line) && column.saturating_add(line.chars().count()) <= width) {
            return line;
        }
    }
    let inner = indent + STEP;
    let space = " ".repeat(inner);
    let mut lines = vec!["[".to_owned()];
    let add = |lines: &mut Vec<String>, (first, own): (String, Vec<&str>)| {
        if let Some(last) = lines.last_mut() {
            // Behind a comment there is no room for another one.
            match (first.is_empty(), last.contains('#')) {
                (true, _) => {}
                (false, false) => last.push_str(&first),
                (false, true) => lines.push(format!("{space}{}", first.trim())),
            }
        }
        lines.extend(own.into_iter().map(|comment| format!("{space}{comment}")));
    };
    for element in array.iter() {
        let decor = element.decor();
        add(&mut lines, between(raw(decor.prefix())));
        lines.push(format!("{space}{},", lay_out(element, inner, inner, width)));
        add(&mut lines, between(raw(decor.suffix())));
    }
    add(&mut lines, between(raw(Some(array.trailing()))));
    format!("{}\n{}]", lines.join("\n"), " ".repeat(indent))
}

fn inline_table(table: &InlineTable, indent: usize, column: usize, width: usize) -> String {
    let as_written = || {
        let mut table = table.clone();
        table.decor_mut().clear();
        table.to_string()
    };
    // A comment in it means that somebody took care of its lines.
    if has_comment_inside(&Value::InlineTable(table.clone())) {
        return as_written();
    }
    let pairs = table.get_values();
    if pairs.is_empty() {
        return "{}".to_owned();
    }
    let flat = on_one_line(&pairs, indent, column, usize::MAX);
    let fits = is_one_line(&flat) && column.saturating_add(flat.chars().count()) <= width;
    // What stands on one line stays there: an older TOML knows no other form.
    if fits || is_one_line(&as_written()) {
        return flat;
    }
    if !breaks_itself(table) {
        return on_one_line(&pairs, indent, column, width);
    }
    let inner = indent + STEP;
    let mut lines = "{\n".to_owned();
    for (path, value) in &pairs {
        let start = format!("{}{} = ", " ".repeat(inner), key(path));
        let value = lay_out(value, inner, start.chars().count(), width);
        lines.push_str(&format!("{start}{value},\n"));
    }
    format!("{lines}{}}}", " ".repeat(indent))
}

/// Whether line ends are between its pairs, and not only in their values.
fn breaks_itself(table: &InlineTable) -> bool {
    let breaks = |text: Option<&RawString>| raw(text).contains('\n');
    breaks(Some(table.trailing()))
        || table.get_values().iter().any(|(path, value)| {
            let in_keys = path.iter().any(|key| {
                [key.leaf_decor(), key.dotted_decor()]
                    .iter()
                    .any(|d| breaks(d.prefix()) || breaks(d.suffix()))
            });
            in_keys || breaks(value.decor().prefix()) || breaks(value.decor().suffix())
        })
}

/// All pairs one after the other; arrays that do not fit into the width have lines of their own.
fn on_one_line(pairs: &[(Vec<&Key>, &Value)], indent: usize, column: usize, width: usize) -> String {
    let mut line = "{ ".to_owned();
    for (index, (path, value)) in pairs.iter().enumerate() {
        if index > 0 {
            line.push_str(", ");
        }
        line.push_str(&format!("{} = ", key(path)));
        // Where it stands now: behind the last line end.
        let last = line.rsplit('\n').next().unwrap_or_default().chars().count();
        let before = if is_one_line(&line) { column } else { 0 };
        line.push_str(&lay_out(value, indent, before + last, width));
    }
    line.push_str(" }");
    line
}
