//! Text from guests and targets, made safe to show: nothing in it can move a cursor, hide a line, or make one look
//! like another.

/// Whether a character may do something to whoever shows it, other than being shown.
fn unsafe_to_show(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}'                    // Arabic letter mark
            | '\u{200b}'..='\u{200f}'     // zero width, left-to-right and right-to-left marks
            | '\u{2028}'..='\u{202e}'     // line and paragraph separators, embeddings and overrides
            | '\u{2060}'..='\u{206f}'     // word joiner, isolates, deprecated format characters
            | '\u{feff}'                  // byte order mark
            | '\u{fff9}'..='\u{fffb}'     // interlinear annotations
            | '\u{e0000}'..='\u{e007f}'   // tags: invisible letters
        )
}

/// The line with everything unsafe written out (`\u{1b}`), cut after `limit` bytes. Tabs become a space: they are
/// common, and harmless as one.
pub(crate) fn line(text: &str, limit: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(limit));
    for c in text.chars() {
        match c {
            '\t' => shown.push(' '),
            c if unsafe_to_show(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
        if shown.len() > limit {
            // Cut at a character, and say so.
            let end = (0..=limit).rev().find(|&at| shown.is_char_boundary(at)).unwrap_or(0);
            shown.truncate(end);
            shown.push_str(" … (cut)");
            break;
        }
    }
    shown
}

/// Several lines, each made safe, of at most `limit` bytes before that; the end is kept, since that is where the cause
/// is.
pub(crate) fn lines(text: &str, limit: usize) -> String {
    let tail = tail(text, limit);
    tail.lines().map(|text| line(text, usize::MAX)).collect::<Vec<_>>().join("\n")
}

/// The last `limit` bytes, from a character on.
pub(crate) fn tail(text: &str, limit: usize) -> &str {
    let from = text.len().saturating_sub(limit);
    let from = (from..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
    &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_and_bidirectional_tricks_are_written_out() {
        assert_eq!(line("\u{1b}[31mred\u{1b}[0m", 100), "\\u{1b}[31mred\\u{1b}[0m");
        assert_eq!(line("a\rb\u{7}\u{8}\u{9b}2J", 100), "a\\u{d}b\\u{7}\\u{8}\\u{9b}2J");
        assert_eq!(line("user\u{202e}txt.exe", 100), "user\\u{202e}txt.exe");
        assert_eq!(line("a\u{2066}b\u{200b}c\u{e0041}", 100), "a\\u{2066}b\\u{200b}c\\u{e0041}");
        assert_eq!(line("tab\there, café ✓ 日本", 100), "tab here, café ✓ 日本");
    }

    #[test]
    fn long_lines_are_cut_at_a_character() {
        assert_eq!(line("ééééé", 5), "éé … (cut)");
        assert_eq!(line("short", 5), "short");
    }

    #[test]
    fn the_end_of_many_lines_is_kept() {
        assert_eq!(lines("one\ntwo\nthree\u{1b}", 40), "one\ntwo\nthree\\u{1b}");
        assert_eq!(tail("aééb", 3), "éb");
        assert_eq!(tail("aééb", 2), "b");
    }
}
