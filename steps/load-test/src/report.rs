//! The report of ApacheBench, as text: <https://httpd.apache.org/docs/2.4/programs/ab.html#output>.

use runner_sdk::{Error, Result};

/// What was measured; times in milliseconds.
#[derive(Debug, PartialEq)]
pub(crate) struct Report {
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) rate: f64,
    pub(crate) p50: u64,
    pub(crate) p95: u64,
    pub(crate) p99: u64,
    pub(crate) slowest: u64,
}

impl Report {
    pub(crate) fn read(text: &str) -> Result<Self> {
        let value = |name: &str| {
            text.lines().find_map(|line| line.trim().strip_prefix(name)?.split_whitespace().next())
        };
        let odd = |name: &str| {
            Error::other(format!("`ab` did not print `{name}` as it should")).with_detail(text.trim())
        };
        let needed = |name: &str| value(name).ok_or_else(|| odd(name));
        let count = |name: &str| needed(name)?.parse::<u64>().map_err(|_| odd(name));
        let completed = count("Complete requests:")?;
        // Those with another status count as complete, and have a line of their own only when there are any.
        let others = value("Non-2xx responses:").map_or(Ok(0), |text| text.parse::<u64>());
        let failed = count("Failed requests:")? + others.map_err(|_| odd("Non-2xx responses:"))?;
        let rate = needed("Requests per second:")?.parse::<f64>().map_err(|_| odd("Requests per second:"))?;
        // One request alone has no shares.
        let share = |name: &str| match completed {
            0 | 1 if value(name).is_none() => Ok(0),
            _ => count(name),
        };
        Ok(Self {
            completed,
            failed,
            rate,
            p50: share("50%")?,
            p95: share("95%")?,
            p99: share("99%")?,
            slowest: share("100%")?,
        })
    }
}
