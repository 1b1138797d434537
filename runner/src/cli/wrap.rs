//! Text in lines of a width, for what is printed and not drawn.

/// The words of a text in lines of at most `width` characters; a longer word has a line of its own.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut taken = 0;
    for word in text.split_whitespace() {
        let wide = console::measure_text_width(word);
        match lines.last_mut() {
            Some(line) if taken + 1 + wide <= width => {
                line.push(' ');
                line.push_str(word);
                taken += 1 + wide;
            }
            _ => {
                lines.push(word.to_owned());
                taken = wide;
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_between_words() {
        assert_eq!(wrapped("one two  three\nfour", 9), ["one two", "three", "four"]);
        assert_eq!(wrapped("日本 日本", 5), ["日本", "日本"]);
        assert!(wrapped("  ", 9).is_empty());
    }
}
