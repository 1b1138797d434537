//! Text from guests, commands and targets, made safe to show: nothing in it can move a cursor, hide a line, or make
//! one name look like another.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character may do something to whoever shows it, other than being shown.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' // soft hyphen, Arabic letter mark, Mongolian vowel separator
            | '\u{200b}'..='\u{200f}'         // zero width, left-to-right and right-to-left marks
            | '\u{2028}'..='\u{202e}'         // separators of lines and paragraphs, embeddings and overrides
            | '\u{2060}'..='\u{206f}'         // word joiner, isolates, deprecated format characters
            | '\u{feff}'                      // byte order mark
            | '\u{fff9}'..='\u{fffb}'         // annotations between lines
            | '\u{e0000}'..='\u{e007f}'       // tags: letters that are not seen
        )
}

/// One line with everything unsafe written out, as `\u{1b}`; a tab becomes a space. What is safe stays as it is, so
/// that doing it twice does no harm.
///
/// ```
/// # use runner_model::text::shown;
/// assert_eq!(shown("\u{1b}[2Jgone"), r"\u{1b}[2Jgone");
/// assert_eq!(shown("user\u{202e}txt.exe"), r"user\u{202e}txt.exe");
/// assert_eq!(shown("café ✓ 日本"), "café ✓ 日本");
/// ```
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\t' => safe.push(' '),
            c if is_unsafe(c) => safe.extend(c.escape_unicode()),
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// The same for text of several lines.
pub fn shown_lines(text: &str) -> String {
    text.split('\n').map(shown).collect::<Vec<_>>().join("\n")
}

/// JSON text in which everything unsafe is written as `\u....`: the same value, and harmless on a terminal.
///
/// ```
/// # use runner_model::text::shown_json;
/// assert_eq!(shown_json("\"a\u{9b}2J\u{e0041}\""), r#""a\u009b2J\udb40\udc41""#);
/// ```
pub fn shown_json(json: &str) -> Cow<'_, str> {
    // JSON has raw line ends between its tokens, where an escape would not be JSON, and never within a string.
    let hides = |c: char| c != '\n' && is_unsafe(c);
    if !json.contains(hides) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if hides(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_unsafe_is_left_and_twice_is_as_once() {
        for c in (0..=0x10_ffff).filter_map(char::from_u32).filter(|c| is_unsafe(*c)) {
            let once = shown(&format!("a{c}b")).into_owned();
            assert!(!once.contains(is_unsafe), "{once:?}");
            assert_eq!(shown(&once), once);
        }
    }

    #[test]
    fn escaped_json_is_the_same_value() {
        let value = serde_json::json!({ "line": "\u{1b}[31m\u{9b}\u{202e}\u{e0041} ok\nü" });
        for json in [serde_json::to_string(&value), serde_json::to_string_pretty(&value)] {
            let json = json.unwrap();
            let safe = shown_json(&json);
            assert!(!safe.replace('\n', "").contains(is_unsafe));
            assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
        }
    }
}
