//! One value, and what cannot be one.

use std::fmt;
use zeroize::Zeroizing;

/// A shorter value cannot be hidden: it would be found by chance, and by whoever tries them all.
pub const SHORTEST: usize = 6;
/// The largest value, in bytes.
pub const LARGEST: usize = 64 << 10;

/// A value. It is wiped when it is dropped, and cannot be printed.
pub struct Value(Zeroizing<String>);

/// Why something cannot be the value of a secret. Says nothing of the value but what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadValue {
    /// There is nothing.
    Empty,
    /// Fewer than [`SHORTEST`] characters.
    Short,
    /// More than [`LARGEST`] bytes.
    Large,
    /// Not UTF-8.
    NotText,
    /// A NUL character, which neither a variable nor a header can hold.
    Nul,
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("its value is empty"),
            Self::Short => write!(
                f,
                "its value has fewer than {SHORTEST} characters, which could not be hidden in what commands print"
            ),
            Self::Large => write!(f, "its value has more than {} KiB", LARGEST >> 10),
            Self::NotText => f.write_str("its value is not UTF-8 text"),
            Self::Nul => f.write_str("its value has a NUL character in it"),
        }
    }
}

impl Value {
    /// A value from what a source gave, without the line ends at its end.
    ///
    /// # Errors
    /// It cannot be one.
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Result<Self, BadValue> {
        let text = std::str::from_utf8(&bytes).map_err(|_| BadValue::NotText)?;
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() {
            return Err(BadValue::Empty);
        }
        if text.len() > LARGEST {
            return Err(BadValue::Large);
        }
        if text.contains('\0') {
            return Err(BadValue::Nul);
        }
        if text.chars().count() < SHORTEST {
            return Err(BadValue::Short);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
