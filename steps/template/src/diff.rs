//! What is different between two texts, as lines for the log, and not more of them than somebody reads.

use similar::{ChangeTag, TextDiff};

/// The most lines that are shown.
const LINES: usize = 60;
/// The most characters of each.
const WIDTH: usize = 160;
/// Comparing costs the product of both, and a machine's budget is one for all.
const COMPARED: usize = 2000;

/// A unified diff with two lines around each change.
pub(crate) fn lines(old: &str, new: &str) -> Vec<String> {
    let (before, after) = (old.lines().count(), new.lines().count());
    if before.max(after) > COMPARED {
        return vec![format!("{before} lines before, {after} now: too long to be compared here")];
    }
    let diff = TextDiff::from_lines(old, new);
    let mut lines = Vec::new();
    let mut unified = diff.unified_diff();
    for hunk in unified.context_radius(2).iter_hunks() {
        lines.push(hunk.header().to_string());
        for change in hunk.iter_changes() {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let text = change.value().trim_end_matches(['\r', '\n']);
            let mut line: String = std::iter::once(sign).chain(text.chars().take(WIDTH)).collect();
            if text.chars().nth(WIDTH).is_some() {
                line.push('…');
            }
            lines.push(line);
            if change.missing_newline() {
                lines.push("\\ no line break at the end".to_owned());
            }
        }
    }
    if lines.len() > LINES {
        let more = lines.len() - LINES;
        lines.truncate(LINES);
        lines.push(format!("… and {more} lines more"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_shown_with_what_is_around_them() {
        let old = "a\nb\nc\nd\ne\nf\ng\n";
        let new = "a\nb\nc\nD\ne\nf\ng";
        let expected = [
            "@@ -2,6 +2,6 @@",
            " b",
            " c",
            "-d",
            "+D",
            " e",
            " f",
            "-g",
            "+g",
            "\\ no line break at the end",
        ];
        assert_eq!(lines(old, new), expected);
    }

    #[test]
    fn a_long_diff_and_long_lines_are_cut() {
        let (old, new) = ("x\n".repeat(500), "y\n".repeat(500));
        let shown = lines(&old, &new);
        assert_eq!(shown.len(), LINES + 1);
        assert_eq!(shown[LINES], "… and 941 lines more");
        let shown = lines("", &"é".repeat(1000));
        assert_eq!(shown[1].chars().count(), WIDTH + 2);
        assert_eq!(
            lines("", &"z\n".repeat(2001)),
            ["0 lines before, 2001 now: too long to be compared here"]
        );
    }
}
