//! Time that a replay repeats. Always granted.

use crate::command::milliseconds;
use crate::{Result, sys};
use std::fmt;
use std::time::Duration;

/// A moment, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

/// The moment that it is.
pub fn now() -> Moment {
    Moment(sys::now())
}

/// Waits. In a dry run and in a replay it moves the clock and returns at once.
///
/// # Errors
/// `cancelled`.
pub fn sleep(time: Duration) -> Result<()> {
    sys::sleep(milliseconds(time))
}

impl Moment {
    /// From milliseconds since 1970-01-01 UTC.
    pub fn from_millis(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub fn as_millis(self) -> u64 {
        self.0
    }

    /// The time that has passed since an earlier moment; zero when it is a later one.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// As it is written in names of files: `20260224T153145Z`; sorts by time.
    pub fn compact(self) -> String {
        let [year, month, day, hour, minute, second] = self.civil();
        format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
    }

    /// Year, month, day, hour, minute, second. After Howard Hinnant's `civil_from_days`: eras of 400 years that begin
    /// on the first of March, so that the leap day is the last of its year.
    fn civil(self) -> [u64; 6] {
        const DAYS_OF_ERA: u64 = 146_097;
        let seconds = self.0 / 1000;
        let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
        let (era, day) = (days / DAYS_OF_ERA, days % DAYS_OF_ERA);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day_of_month = day - (153 * month + 2) / 5 + 1;
        let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        [year + era * 400 + carry, month, day_of_month, second / 3600, second / 60 % 60, second % 60]
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [year, month, day, hour, minute, second] = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc() {
        let written = |seconds: u64| Moment(seconds * 1000).to_string();
        assert_eq!(written(0), "1970-01-01T00:00:00Z");
        assert_eq!(written(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(written(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(written(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(written(4_107_542_400), "2100-03-01T00:00:00Z");
        assert_eq!(Moment(1_795_534_305_000).compact(), "20261124T153145Z");
    }
}
