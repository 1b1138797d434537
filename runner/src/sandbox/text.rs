//! Text from guests and targets with an end: made safe by [`runner_model::text`], and cut.

use runner_model::text::shown;

/// The line with everything unsafe written out, cut after `limit` bytes.
pub(crate) fn line(text: &str, limit: usize) -> String {
    let taken = head(text, limit);
    let safe = shown(taken);
    let kept = head(&safe, limit);
    if kept.len() == safe.len() && taken.len() == text.len() {
        return safe.into_owned();
    }
    format!("{kept} … (cut)")
}

/// The first `limit` bytes, up to a character.
fn head(text: &str, limit: usize) -> &str {
    let to = (0..=limit.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    &text[..to]
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
