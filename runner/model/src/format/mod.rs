//! `runner fmt`: one layout for plans, inventories and policies. What a file says, the order in which it says it, and
//! its comments stay; whether meaning and order did is checked, and a file where they would not is refused.
//!
//! Keys have one space around `=` and nothing is aligned. Tables have one blank line in front of them, and blank lines
//! elsewhere are kept, one at most. Strings are in double quotes where that needs no escape. Arrays are on one line where
//! they fit into [`WIDTH`], else they have an element a line.

mod comments;
mod same;
mod value;

use crate::diagnostic::{Code, Problem, Problems};
use crate::read::{Reader, text_of};
use crate::source::Span;
use comments::{beside, lead};
use toml_edit::{DocumentMut, Item, Key, Table};

/// The widest line that an array is put on.
pub const WIDTH: usize = 120;

/// Lays a file out. `name`: the file as problems name it.
///
/// # Errors
/// It is no TOML, with the places; or it cannot be laid out without another meaning.
pub fn format(name: &str, bytes: &[u8]) -> Result<String, Problems> {
    let source = text_of(name, bytes)?;
    let reader = Reader::new(source.clone());
    if reader.document("a file", |_, _| ()).is_none() {
        return Err(reader.into_problems());
    }
    let text = source.text().strip_prefix('\u{feff}').unwrap_or(source.text()).replace("\r\n", "\n");
    let refuse = |why: String| {
        let first = Span { start: 0, end: source.text().find('\n').unwrap_or(source.text().len()) };
        let problem =
            Problem::at(Code::Syntax, &source, first, format!("the file cannot be laid out: {why}"));
        Problems::from(problem.hint("lay it out by hand; it was left as it is"))
    };
    let document: DocumentMut =
        text.parse().map_err(|e: toml_edit::TomlError| refuse(e.message().to_owned()))?;
    let mut out = String::new();
    for section in sections(&document) {
        section.print(&mut out);
    }
    let trailing = document.trailing().as_str().unwrap_or_default();
    out.push_str(&lead(&format!("{trailing}\n"), !out.is_empty()));
    out.truncate(out.trim_end_matches('\n').len());
    if !out.is_empty() {
        out.push('\n');
    }
    match same::difference(&text, &out) {
        None => Ok(out),
        Some(path) => {
            Err(refuse(format!("`{}` would come to another place, away from its like", path.escape_debug())))
        }
    }
}

/// A header and what is below it.
struct Section<'t> {
    table: &'t Table,
    path: Vec<&'t Key>,
    is_element: bool,
}

/// In the order of the file.
fn sections(document: &DocumentMut) -> Vec<Section<'_>> {
    let mut found = Vec::new();
    collect(document.as_table(), &mut Vec::new(), false, &mut found);
    // A table without a place of its own is implied by the one that comes next.
    let mut last = isize::MIN;
    let mut placed: Vec<_> = found
        .into_iter()
        .map(|section: Section<'_>| {
            last = section.table.position().map_or(last, |position| position);
            ((!section.path.is_empty(), last), section)
        })
        .collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, section)| section).collect()
}

fn collect<'t>(table: &'t Table, path: &mut Vec<&'t Key>, is_element: bool, found: &mut Vec<Section<'t>>) {
    if !table.is_dotted() {
        found.push(Section { table, path: path.clone(), is_element });
    }
    for (name, _) in table.iter() {
        let Some((key, item)) = table.get_key_value(name) else { continue };
        path.push(key);
        match item {
            Item::Table(below) => collect(below, path, false, found),
            Item::ArrayOfTables(tables) => tables.iter().for_each(|below| collect(below, path, true, found)),
            Item::Value(_) | Item::None => {}
        }
        path.pop();
    }
}

impl Section<'_> {
    fn print(&self, out: &mut String) {
        let pairs = self.table.get_values();
        let has_header =
            !self.path.is_empty() && (self.is_element || !self.table.is_implicit() || !pairs.is_empty());
        if has_header {
            if !out.is_empty() {
                out.push('\n');
            }
            let decor = self.table.decor();
            out.push_str(&lead(decor.prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default(), false));
            let (open, close) = if self.is_element { ("[[", "]]") } else { ("[", "]") };
            let names = value::key(&self.path);
            let comment = beside(decor.suffix().and_then(|suffix| suffix.as_str()).unwrap_or_default());
            out.push_str(&format!("{open}{names}{close}{comment}\n"));
        }
        for (index, (path, pair)) in pairs.iter().enumerate() {
            let prefix = path.last().and_then(|key| key.leaf_decor().prefix()?.as_str()).unwrap_or_default();
            out.push_str(&lead(prefix, index > 0));
            let start = format!("{} = ", value::key(path));
            let comment =
                beside(pair.decor().suffix().and_then(|suffix| suffix.as_str()).unwrap_or_default());
            let laid_out = value::lay_out(pair, 0, start.chars().count(), WIDTH);
            out.push_str(&format!("{start}{laid_out}{comment}\n"));
        }
    }
}

#[cfg(test)]
mod tests;
