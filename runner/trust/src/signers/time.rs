//! Times of an allowed_signers file, as OpenSSH reads them: `YYYYMMDD[HHMM[SS]][Z]`, local without the `Z`.

use jiff::civil::DateTime;
use jiff::{Timestamp, tz::TimeZone};

/// Reads one; `None`: it is none.
pub(super) fn read(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let utc = ["Z", "z", "UTC", "utc"].iter().find_map(|end| text.strip_suffix(end));
    let digits = utc.unwrap_or(text);
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) || ![8, 12, 14].contains(&digits.len()) {
        return None;
    }
    let part = |from: usize, to: usize| -> Option<i8> {
        if from >= digits.len() { Some(0) } else { digits.get(from..to)?.parse().ok() }
    };
    let year = digits.get(..4)?.parse().ok()?;
    let time =
        DateTime::new(year, part(4, 6)?, part(6, 8)?, part(8, 10)?, part(10, 12)?, part(12, 14)?, 0).ok()?;
    let zone = if utc.is_some() { TimeZone::UTC } else { zone.clone() };
    // 0 stands for no limit in OpenSSH, which refuses it too.
    zone.to_timestamp(time).ok().filter(|time| time.as_second() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_openssh_reads_them() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let read = |text: &str| read(text, &zone).map(|time| time.to_string());
        assert_eq!(read("20260101").as_deref(), Some("2025-12-31T22:00:00Z"));
        assert_eq!(read("20260101Z").as_deref(), Some("2026-01-01T00:00:00Z"));
        assert_eq!(read("202601011230Z").as_deref(), Some("2026-01-01T12:30:00Z"));
        assert_eq!(read("20260101123045UTC").as_deref(), Some("2026-01-01T12:30:45Z"));
        for text in [
            "",
            "Z",
            "2026",
            "20261301",
            "20260132Z",
            "2026-01-01",
            "202601011Z",
            "19700101Z",
            "2026010１",
            "99999999999999",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
