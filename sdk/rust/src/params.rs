//! Types for parameters that people write as text: "30s", "200MiB", "0640".

pub use crate::changed::Changed;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// A span of time: `500ms`, `30s`, `5m`, `2h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(std::time::Duration);

impl Duration {
    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// So many milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(std::time::Duration::from_millis(milliseconds))
    }

    /// As the standard library has it.
    pub const fn get(self) -> std::time::Duration {
        self.0
    }
}

const TIME_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let fits = |&(_, each): &(&str, u64)| total >= each && total.is_multiple_of(each);
        let (unit, each) = TIME_UNITS.iter().copied().rev().find(fits).unwrap_or(("ms", 1));
        write!(f, "{}{unit}", total / each)
    }
}

/// A number of bytes: `4096`, `64KiB`, `200MiB`, `2GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

impl Size {
    /// So many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// In bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

const SIZE_UNITS: [(&str, u64); 5] =
    [("", 1), ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

impl fmt::Display for Size {
    /// With one decimal: "1.5 MiB".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, each) =
            SIZE_UNITS.iter().copied().rev().find(|&(_, each)| self.0 >= each).unwrap_or(("B", 1));
        if each == 1 {
            return write!(f, "{} B", self.0);
        }
        let tenths = u128::from(self.0) * 10 / u128::from(each);
        write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

/// Permission bits, written in octal: `0640`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mode(u32);

impl Mode {
    /// As a number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A plain name of letters, digits, `-`, `_` and `.`, at most 64: one segment of a path, and never hidden, an option or a
/// way out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A folder on a target: an absolute path other than `/`, without `/` at its end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folder(String);

impl Folder {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Takes what a plan cannot say out of the schema of a struct: that an optional parameter may be null (TOML has no null),
/// and how wide an integer is in Rust. `#[schemars(transform = params::plain)]` on the struct.
pub fn plain(schema: &mut Schema) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(|all| all.values_mut()).filter_map(Value::as_object_mut) {
        if let Some(Value::Array(types)) = property.get_mut("type") {
            types.retain(|one| one != "null");
            if let [only] = types.as_slice() {
                property["type"] = only.clone();
            }
        }
        if property.get("type").is_some_and(|one| one == "integer") {
            property.remove("format");
        }
    }
}

/// A number and its unit; the unit is what follows the digits.
fn number(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (_, each) = units.iter().find(|(unit, _)| *unit == &text[digits..])?;
    text[..digits].parse::<u64>().ok()?.checked_mul(*each)
}

macro_rules! text {
    ($type:ident, $pattern:literal, $what:literal, $read:expr, $write:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&$write(self))
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                $read(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is not {}", $what)))
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

text!(
    Duration,
    "^[0-9]+(ms|s|m|h)$",
    "a span of time, like \"30s\"",
    |text: &str| number(text, &TIME_UNITS).map(Self::from_millis),
    |time: &Duration| time.to_string()
);
text!(
    Size,
    "^[0-9]+(B|KiB|MiB|GiB)?$",
    "a number of bytes, like \"200MiB\"",
    |text: &str| number(text, &SIZE_UNITS).map(Self),
    |size: &Size| size.0.to_string()
);
text!(
    Name,
    "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
    "a plain name of letters, digits, `-`, `_` and `.`",
    |text: &str| crate::backups::is_name(text).then(|| Self(text.to_owned())),
    |name: &Name| name.0.clone()
);
text!(
    Folder,
    "^/.*[^/]$",
    "an absolute path without `/` at its end",
    |text: &str| (text.starts_with('/') && !text.ends_with('/')).then(|| Self(text.to_owned())),
    |folder: &Folder| folder.0.clone()
);
text!(
    Mode,
    "^0?[0-7]{3,4}$",
    "permission bits in octal, like \"0640\"",
    |text: &str| u32::from_str_radix(text, 8)
        .ok()
        .filter(|bits| text.len() >= 3 && *bits <= 0o7777)
        .map(Self),
    |mode: &Mode| format!("{:04o}", mode.0)
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for text in ["0ms", "500ms", "30s", "90s", "5m", "2h"] {
            let read: Duration = serde_json::from_value(text.into()).expect(text);
            assert_eq!(read.to_string(), text);
        }
        let size = |text: &str| serde_json::from_value::<Size>(text.into()).map(Size::get);
        assert_eq!(size("200MiB").expect("size"), 200 << 20);
        assert_eq!(size("7").expect("size"), 7);
        let mode = |text: &str| serde_json::from_value::<Mode>(text.into()).map(Mode::get);
        assert_eq!(mode("0640").expect("mode"), 0o640);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in ["", "s", "3", "3 s", "-3s", "99999999999999999999s"] {
            assert!(serde_json::from_value::<Duration>(text.into()).is_err(), "{text}");
        }
        for text in ["", "MiB", "2MB", "99999999999GiB"] {
            assert!(serde_json::from_value::<Size>(text.into()).is_err(), "{text}");
        }
        for text in ["", ".", "..", "-x", ".x", "a/b", "a b", "a\n", &"x".repeat(65)] {
            assert!(serde_json::from_value::<Name>(text.into()).is_err(), "{text:?}");
        }
        for text in ["", "/", "a", "a/b", "/a/"] {
            assert!(serde_json::from_value::<Folder>(text.into()).is_err(), "{text:?}");
        }
        for text in ["", "8", "0888", "17777"] {
            assert!(serde_json::from_value::<Mode>(text.into()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_plain_schema_has_no_null_and_no_width() {
        #[derive(JsonSchema)]
        #[schemars(transform = plain)]
        #[expect(dead_code, reason = "only its schema is asked for")]
        struct Params {
            unit: Option<String>,
            tries: u32,
        }
        let schema = schemars::schema_for!(Params).to_value();
        assert_eq!(
            schema["properties"],
            serde_json::json!({ "unit": { "type": "string" }, "tries": { "type": "integer", "minimum": 0 } })
        );
        assert_eq!(schema["required"], serde_json::json!(["tries"]));
    }

    #[test]
    fn sizes_are_shown_for_people() {
        assert_eq!(Size(512).to_string(), "512 B");
        assert_eq!(Size(3 << 19).to_string(), "1.5 MiB");
    }
}
