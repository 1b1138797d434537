//! How durations, sizes, counts and names are written for people: the one place that decides it.

/// How long something took: `40 ms`, `12.3 s`, `2 min 5 s`, `1 h 2 min`.
///
/// ```
/// # use runner_model::words::duration;
/// let shown = [40, 1_234, 3_000, 184_000, 3_720_000].map(duration);
/// assert_eq!(shown, ["40 ms", "1.2 s", "3 s", "3 min 4 s", "1 h 2 min"]);
/// ```
pub fn duration(milliseconds: u64) -> String {
    // Rounded to what is shown first, so that 59.96 seconds do not become `60.0 s`.
    let tenths = milliseconds.saturating_add(50) / 100;
    let seconds = milliseconds.saturating_add(500) / 1000;
    let both = |large: u64, small: u64, units: [&str; 2]| match small {
        0 => format!("{large} {}", units[0]),
        _ => format!("{large} {} {small} {}", units[0], units[1]),
    };
    match (tenths, seconds) {
        _ if milliseconds < 1000 => format!("{milliseconds} ms"),
        (0..600, _) if milliseconds.is_multiple_of(1000) => format!("{seconds} s"),
        (0..600, _) => format!("{}.{} s", tenths / 10, tenths % 10),
        (_, 0..3600) => both(seconds / 60, seconds % 60, ["min", "s"]),
        _ => both(seconds / 3600, seconds % 3600 / 60, ["h", "min"]),
    }
}

/// A moment of a run, or how long something goes on: as [`duration`], in a form that does not jump while it is counted up:
/// `0.4 s`, `3.0 s`.
pub fn moment(milliseconds: u64) -> String {
    match milliseconds.saturating_add(50) / 100 {
        tenths @ 0..600 => format!("{}.{} s", tenths / 10, tenths % 10),
        _ => duration(milliseconds),
    }
}

/// A number of bytes: `0 B`, `1.2 MiB`.
///
/// ```
/// # use runner_model::words::size;
/// assert_eq!([0, 1023, 1_258_291, 13_002_342].map(size), ["0 B", "1023 B", "1.2 MiB", "12.4 MiB"]);
/// ```
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut scale = 1024_u128;
    let mut unit = 0;
    // In tenths, rounded; what would be shown as `1024.0` is one of the next unit.
    let tenths = |scale: u128| (u128::from(bytes) * 10 + scale / 2) / scale;
    while tenths(scale) >= 10_240 && unit + 1 < UNITS.len() {
        scale *= 1024;
        unit += 1;
    }
    if u128::from(bytes).is_multiple_of(scale) {
        return format!("{} {}", u128::from(bytes) / scale, UNITS[unit]);
    }
    format!("{}.{} {}", tenths(scale) / 10, tenths(scale) % 10, UNITS[unit])
}

/// `1 target`, `3 targets`.
pub fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// The first names, and how many more there are.
pub fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
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
        let shown =
            [0, 999, 1000, 9_940, 59_949, 59_960, 65_400, 3_599_400, 3_599_500, 7_320_000].map(duration);
        let wanted = [
            "0 ms",
            "999 ms",
            "1 s",
            "9.9 s",
            "59.9 s",
            "1 min",
            "1 min 5 s",
            "59 min 59 s",
            "1 h",
            "2 h 2 min",
        ];
        assert_eq!(shown, wanted);
        assert_eq!([0, 3_000, 59_949, 59_960].map(moment), ["0.0 s", "3.0 s", "59.9 s", "1 min"]);
        assert!(duration(u64::MAX).contains(" h "));
    }

    #[test]
    fn sizes_and_names_are_short() {
        assert_eq!(
            [size(1024), size(64 << 20), size(1_048_575), size(u64::MAX)],
            ["1 KiB", "64 MiB", "1.0 MiB", "16.0 EiB"]
        );
        assert_eq!(names(["a", "b", "c", "d", "e", "f"]), "a, b, c, d, e, f");
        assert_eq!(names(["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e and 2 more");
        assert_eq!([count(1, "target"), count(0, "target")], ["1 target", "0 targets"]);
    }
}
