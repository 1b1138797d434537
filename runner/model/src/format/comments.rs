//! Comments and blank lines: what stands between two things of a file.

/// What stands in front of a key or a header, line by line: comments, and one blank line where there were more. `blank`:
/// whether it may begin with one. The last line is only how far the key was indented.
pub(super) fn lead(prefix: &str, blank: bool) -> String {
    let mut lines = String::new();
    let mut waits = false;
    let Some((before, _)) = prefix.rsplit_once('\n') else { return lines };
    for line in before.split('\n').map(str::trim) {
        if line.is_empty() {
            waits = blank || !lines.is_empty();
            continue;
        }
        if std::mem::take(&mut waits) {
            lines.push('\n');
        }
        lines.push_str(line);
        lines.push('\n');
    }
    if waits {
        lines.push('\n');
    }
    lines
}

/// A comment behind a value or a header, on its line.
pub(super) fn beside(suffix: &str) -> String {
    let comment = suffix.trim();
    if comment.is_empty() { String::new() } else { format!(" {comment}") }
}

/// What stands between elements: the comment on the line of the one before, and those on lines of their own.
pub(super) fn between(text: &str) -> (String, Vec<&str>) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    (beside(first), rest.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect())
}
