//! How durations, sizes and counts are written for people.

use indicatif::BinaryBytes;

/// How long something took: `40ms`, `12.3s`, `2m 05s`, `1h 02m`.
pub(crate) fn duration(milliseconds: u64) -> String {
    if milliseconds < 1000 { format!("{milliseconds}ms") } else { clock(milliseconds) }
}

/// A moment of a run: `0.4s`, `12.3s`, `2m 05s`, `1h 02m`.
pub(crate) fn clock(milliseconds: u64) -> String {
    // Rounded to what is shown first, so that 59.96 seconds do not become `60.0s`.
    let tenths = milliseconds.saturating_add(50) / 100;
    let seconds = milliseconds.saturating_add(500) / 1000;
    match (tenths, seconds) {
        (0..600, _) => format!("{}.{}s", tenths / 10, tenths % 10),
        (_, 0..3600) => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `0 B`, `1.20 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    BinaryBytes(bytes).to_string()
}

/// `1 target`, `3 targets`.
pub(crate) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// The first names, and how many more there are.
pub(crate) fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 5;
    let names: Vec<&str> = names.into_iter().collect();
    match names.len().checked_sub(SHOWN) {
        // One name takes no more room than "1 more".
        None | Some(0 | 1) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..SHOWN].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_precision_that_matters() {
        let shown = [0, 49, 50, 9_940, 59_949, 59_960, 65_400, 3_599_400, 3_599_500, 7_320_000].map(clock);
        let wanted =
            ["0.0s", "0.0s", "0.1s", "9.9s", "59.9s", "1m 00s", "1m 05s", "59m 59s", "1h 00m", "2h 02m"];
        assert_eq!(shown, wanted);
        assert_eq!([duration(0), duration(999), duration(1000)], ["0ms", "999ms", "1.0s"]);
    }

    #[test]
    fn sizes_and_names_are_short() {
        assert_eq!([size(0), size(1023), size(1_258_291)], ["0 B", "1023 B", "1.20 MiB"]);
        assert_eq!(names(["a", "b", "c", "d", "e", "f"]), "a, b, c, d, e, f");
        assert_eq!(names(["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e and 2 more");
        assert_eq!([count(1, "target"), count(0, "target")], ["1 target", "0 targets"]);
    }
}
