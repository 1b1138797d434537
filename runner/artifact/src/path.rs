//! A path inside a tree: relative and normalised from the moment it is parsed.

use std::fmt;
use std::str::FromStr;

/// The path of a file, folder or link relative to its tree: UTF-8, `/` between segments, no `.`, `..` or empty
/// segment, no NUL. Everything else that a file system takes is allowed (spaces, quotes, newlines, leading dashes),
/// so whoever hands it to a program puts `./` or a folder in front of it.
///
/// Ordered bytewise.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(String);

/// Text that cannot be a path inside a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a path inside a tree: {why}", .text.escape_debug())]
pub struct BadTreePath {
    text: String,
    why: &'static str,
}

impl BadTreePath {
    pub(crate) fn why(&self) -> &'static str {
        self.why
    }
}

/// The longest path that Linux takes, in bytes, with the NUL behind it.
pub(crate) const PATH_MAX: usize = 4096;
/// The longest segment that Linux takes, in bytes.
const NAME_MAX: usize = 255;

impl TreePath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments from the tree down.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The folder that it is in; `None` for what is at the top of the tree.
    pub fn parent(&self) -> Option<Self> {
        self.parent_str().map(|parent| Self(parent.to_owned()))
    }

    pub(crate) fn parent_str(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(parent, _)| parent)
    }

    /// The last segment.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.0.as_str(), |(_, name)| name)
    }

    fn check(text: &str) -> Result<(), &'static str> {
        if text.is_empty() {
            return Err("it is empty");
        }
        if text.starts_with('/') {
            return Err("it must be relative");
        }
        if text.len() >= PATH_MAX {
            return Err("it is longer than 4095 bytes");
        }
        if text.contains('\0') {
            return Err("it contains a NUL");
        }
        for segment in text.split('/') {
            match segment {
                "" => return Err("it has an empty segment"),
                "." | ".." => return Err("`.` and `..` are not allowed"),
                _ if segment.len() > NAME_MAX => return Err("a segment is longer than 255 bytes"),
                _ => {}
            }
        }
        Ok(())
    }
}

impl FromStr for TreePath {
    type Err = BadTreePath;

    fn from_str(text: &str) -> Result<Self, BadTreePath> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for TreePath {
    type Error = BadTreePath;

    fn try_from(text: String) -> Result<Self, BadTreePath> {
        match Self::check(&text) {
            Ok(()) => Ok(Self(text)),
            Err(why) => Err(BadTreePath { text, why }),
        }
    }
}

impl AsRef<std::path::Path> for TreePath {
    fn as_ref(&self) -> &std::path::Path {
        self.0.as_ref()
    }
}

impl std::borrow::Borrow<str> for TreePath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Escaped: a path may hold a newline or a terminal's control sequence.
impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.escape_debug(), f)
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_leave_the_tree_is_refused() {
        for text in ["", "/", "/etc", "a//b", "a/", "./a", "a/.", "..", "a/../b", "a\0b", &"x".repeat(256)] {
            assert!(text.parse::<TreePath>().is_err(), "{text:?}");
        }
        assert!(vec!["x"; 2048].join("/").parse::<TreePath>().is_ok());
        assert!(vec!["x"; 2049].join("/").parse::<TreePath>().is_err());
    }

    #[test]
    fn odd_names_are_names() {
        for text in ["-rf", "a b", "it's", "\"", "a\nb", "..a", "...", "\\", "$(id)", "é", "\u{1b}[31m"] {
            assert!(text.parse::<TreePath>().is_ok(), "{text:?}");
        }
    }

    #[test]
    fn display_is_safe_for_a_terminal() {
        let path: TreePath = "a\n\u{1b}[31mb".parse().expect("valid");
        assert_eq!(path.to_string(), "a\\n\\u{1b}[31mb");
    }
}
