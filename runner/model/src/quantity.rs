//! Times and sizes as people write them: `30s`, `256MiB`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A length of time, in whole milliseconds: `500ms`, `30s`, `5m`, `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Period(u64);

/// A week: what waits longer is a mistake.
const LONGEST_MS: u64 = 7 * 24 * 60 * 60 * 1000;

impl Period {
    /// So many milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// In milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// For the clock.
    pub const fn as_duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0s"),
            ms if ms % 3_600_000 == 0 => write!(f, "{}h", ms / 3_600_000),
            ms if ms % 60_000 == 0 => write!(f, "{}m", ms / 60_000),
            ms if ms % 1000 == 0 => write!(f, "{}s", ms / 1000),
            ms => write!(f, "{ms}ms"),
        }
    }
}

/// Text that is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPeriod {
    /// Not even close.
    #[error("`{}` is not a time: write a number and its unit, as in `500ms`, `30s`, `5m` or `1h 30m`", .0.escape_debug())]
    Text(String),
    /// A number alone.
    #[error("`{0}` has no unit: is it `{0}s` or `{0}m`?")]
    NoUnit(String),
    /// More than a week, or less than nothing.
    #[error("`{0}` is not between `0s` and `168h`")]
    Range(String),
}

impl FromStr for Period {
    type Err = BadPeriod;

    fn from_str(text: &str) -> Result<Self, BadPeriod> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(BadPeriod::NoUnit(text.to_owned()));
        }
        let length: jiff::SignedDuration = text.parse().map_err(|_| BadPeriod::Text(text.to_owned()))?;
        match u64::try_from(length.as_millis()) {
            Ok(milliseconds) if milliseconds <= LONGEST_MS && !length.is_negative() => Ok(Self(milliseconds)),
            _ => Err(BadPeriod::Range(text.to_owned())),
        }
    }
}

/// A number of bytes: `512B`, `64KiB`, `256MiB`, `2GiB`, or with decimal units `64kB`, `256MB`, `2GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ByteSize(u64);

/// Units, largest first, so that a size is printed in the largest that fits.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

impl ByteSize {
    /// So many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// In bytes.
    pub const fn as_bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, size): &&(&str, u64)| self.0 >= *size && self.0.is_multiple_of(*size);
        let (unit, size) = UNITS.iter().find(fits).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

/// Text that is no number of bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSize {
    /// Not even close.
    #[error("`{}` is not a size: write a whole number and its unit, as in `64KiB`, `256MiB` or `2GiB`", .0.escape_debug())]
    Text(String),
    /// A number alone.
    #[error("`{0}` has no unit: is it `{0}MiB` or `{0}B`?")]
    NoUnit(String),
    /// More than can be counted.
    #[error("`{0}` is too large")]
    Range(String),
}

impl FromStr for ByteSize {
    type Err = BadSize;

    fn from_str(text: &str) -> Result<Self, BadSize> {
        let text = text.trim();
        let refuse = || BadSize::Text(text.to_owned());
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = (&text[..digits], text[digits..].trim());
        if number.is_empty() {
            return Err(refuse());
        }
        if unit.is_empty() {
            return Err(BadSize::NoUnit(text.to_owned()));
        }
        let (_, size) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(refuse)?;
        let number: u64 = number.parse().map_err(|_| BadSize::Range(text.to_owned()))?;
        number.checked_mul(*size).map(Self).ok_or_else(|| BadSize::Range(text.to_owned()))
    }
}

macro_rules! as_text {
    ($type:ident, $error:ident, $name:literal, $pattern:literal, $describe:literal) => {
        impl From<$type> for String {
            fn from(quantity: $type) -> Self {
                quantity.to_string()
            }
        }

        impl TryFrom<String> for $type {
            type Error = $error;
            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $describe })
            }
        }
    };
}
as_text!(
    Period,
    BadPeriod,
    "Period",
    r"^\s*\d+(\.\d+)?\s*[a-zA-Zµ]+(,?\s*\d+(\.\d+)?\s*[a-zA-Zµ]+)*\s*$",
    "A length of time: `500ms`, `30s`, `5m`, `1h 30m`."
);
as_text!(
    ByteSize,
    BadSize,
    "ByteSize",
    r"^\s*\d+\s*([kKmMgGtT][iI]?)?[bB]\s*$",
    "A number of bytes: `64KiB`, `256MiB`, `2GiB`."
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_as_people_write_them() {
        let ms = |text: &str| text.parse::<Period>().expect(text).as_millis();
        assert_eq!(ms("500ms"), 500);
        assert_eq!(ms("30s"), 30_000);
        assert_eq!(ms("5m"), 300_000);
        assert_eq!(ms("1h 30m"), 5_400_000);
        assert_eq!(ms("1h30m"), 5_400_000);
        assert_eq!(ms("0s"), 0);
        let error = |text: &str| text.parse::<Period>().expect_err(text).to_string();
        insta::assert_snapshot!(error("30"), @"`30` has no unit: is it `30s` or `30m`?");
        insta::assert_snapshot!(error("soon"), @"`soon` is not a time: write a number and its unit, as in `500ms`, `30s`, `5m` or `1h 30m`");
        insta::assert_snapshot!(error("-5s"), @"`-5s` is not between `0s` and `168h`");
        insta::assert_snapshot!(error("200h"), @"`200h` is not between `0s` and `168h`");
        assert!("".parse::<Period>().is_err());
    }

    #[test]
    fn sizes_as_people_write_them() {
        let bytes = |text: &str| text.parse::<ByteSize>().expect(text).as_bytes();
        assert_eq!(bytes("256MiB"), 256 << 20);
        assert_eq!(bytes("1 MiB"), 1 << 20);
        assert_eq!(bytes("2gb"), 2_000_000_000);
        assert_eq!(bytes("512B"), 512);
        let error = |text: &str| text.parse::<ByteSize>().expect_err(text).to_string();
        insta::assert_snapshot!(error("256"), @"`256` has no unit: is it `256MiB` or `256B`?");
        insta::assert_snapshot!(error("1.5GiB"), @"`1.5GiB` is not a size: write a whole number and its unit, as in `64KiB`, `256MiB` or `2GiB`");
        insta::assert_snapshot!(error("99999999TiB"), @"`99999999TiB` is too large");
        assert!("".parse::<ByteSize>().is_err());
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(ms in 0..=LONGEST_MS, bytes: u64) {
            prop_assert_eq!(Period(ms).to_string().parse::<Period>(), Ok(Period(ms)));
            prop_assert_eq!(ByteSize(bytes).to_string().parse::<ByteSize>(), Ok(ByteSize(bytes)));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,20}") {
            let _ = text.parse::<Period>();
            let _ = text.parse::<ByteSize>();
        }
    }
}
