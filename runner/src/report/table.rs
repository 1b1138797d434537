//! Tables for people.

use super::paint::Paint;
use runner_model::text;
use std::fmt::Write as _;

/// A table with its columns aligned. Cells are plain text; what colours a row is applied to the whole of it.
pub(crate) fn table(out: &mut String, paint: Paint, head: &[&str], rows: &[(Vec<String>, Colour)]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|(cells, _)| cells.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|cell| cell.chars().count())).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &[&str]| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        line.trim_end().to_owned()
    };
    let _ = writeln!(out, "\n{}", paint.faint(&line(head)));
    for (cells, colour) in rows {
        let line = line(&cells.iter().map(String::as_str).collect::<Vec<_>>());
        let line = match colour {
            Colour::Good => paint.good(&line),
            Colour::Bad => paint.bad(&line),
            Colour::Doubtful => paint.doubtful(&line),
            Colour::None => text::shown(&line).into_owned(),
        };
        let _ = writeln!(out, "{line}");
    }
}

/// What a row says at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Good,
    Bad,
    Doubtful,
    None,
}
