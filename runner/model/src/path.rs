//! A path on a target: absolute and normalised from the moment it is parsed.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// An absolute path on a target, without `.`, `..`, empty segments, a trailing slash or control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RemotePath(String);

/// Text that is not a path on a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a path on a target: {why}", .text.escape_debug())]
pub struct BadPath {
    text: String,
    why: &'static str,
}

/// The longest path that Linux takes, in bytes.
const PATH_MAX: usize = 4096;
/// The longest segment that Linux takes, in bytes.
const NAME_MAX: usize = 255;

impl RemotePath {
    /// The root folder.
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments from the root down.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }

    /// The folder that it is in; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let (parent, _) = self.0.rsplit_once('/').filter(|_| self.0 != "/")?;
        Some(Self(if parent.is_empty() { "/".to_owned() } else { parent.to_owned() }))
    }

    /// The last segment; `None` for the root.
    pub fn name(&self) -> Option<&str> {
        self.0.rsplit('/').next().filter(|name| !name.is_empty())
    }

    /// The path of `relative` below this one.
    ///
    /// # Errors
    /// `relative` is absolute, empty, or leaves this path.
    pub fn join(&self, relative: &str) -> Result<Self, BadPath> {
        if relative.is_empty() || relative.starts_with('/') {
            return Err(BadPath { text: relative.to_owned(), why: "it must be relative and not empty" });
        }
        format!("{}/{relative}", if self.0 == "/" { "" } else { &self.0 }).parse()
    }

    /// Whether it is `prefix` or below it, segment by segment: `/srv/shop-old` is not below `/srv/shop`.
    pub fn is_within(&self, prefix: &Self) -> bool {
        prefix.0 == "/"
            || self.0.strip_prefix(&prefix.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl FromStr for RemotePath {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        let refuse = |why| Err(BadPath { text: text.to_owned(), why });
        if !text.starts_with('/') {
            return refuse("it must be absolute");
        }
        if text.chars().any(char::is_control) {
            return refuse("control characters are not allowed");
        }
        if text.len() >= PATH_MAX {
            return refuse("it is too long");
        }
        let mut normal = String::with_capacity(text.len());
        for segment in text.split('/').filter(|s| !s.is_empty()) {
            match segment {
                "." | ".." => return refuse("`.` and `..` are not allowed"),
                _ if segment.len() > NAME_MAX => return refuse("a segment is too long"),
                _ => {
                    normal.push('/');
                    normal.push_str(segment);
                }
            }
        }
        Ok(Self(if normal.is_empty() { "/".to_owned() } else { normal }))
    }
}

impl TryFrom<String> for RemotePath {
    type Error = BadPath;
    fn try_from(text: String) -> Result<Self, BadPath> {
        text.parse()
    }
}

impl From<RemotePath> for String {
    fn from(path: RemotePath) -> Self {
        path.0
    }
}

impl fmt::Display for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl JsonSchema for RemotePath {
    fn schema_name() -> Cow<'static, str> {
        "RemotePath".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^/", "description": "An absolute path on a target, without `..`." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> RemotePath {
        text.parse().expect(text)
    }

    #[test]
    fn slashes_are_normalised_and_escapes_refused() {
        assert_eq!(path("//srv///shop/").as_str(), "/srv/shop");
        assert_eq!(path("/").as_str(), "/");
        for text in ["", "srv", "/srv/../etc", "/srv/.", "/a\nb", "/a\0b", &format!("/{}", "x".repeat(256))] {
            assert!(text.parse::<RemotePath>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn within_is_by_segment() {
        assert!(path("/srv/shop/a").is_within(&path("/srv/shop")));
        assert!(path("/srv/shop").is_within(&path("/srv/shop")));
        assert!(path("/srv/shop").is_within(&path("/")));
        assert!(!path("/srv/shop-old").is_within(&path("/srv/shop")));
        assert!(!path("/srv").is_within(&path("/srv/shop")));
    }

    proptest! {
        #[test]
        fn no_path_that_parses_leaves_its_prefix(text in "[/.a-c\\-]{0,24}") {
            if let Ok(parsed) = format!("/base/{text}").parse::<RemotePath>() {
                prop_assert!(parsed.is_within(&path("/base")));
                prop_assert!(!parsed.segments().any(|s| s == ".." || s == "."));
                prop_assert_eq!(parsed.as_str().parse::<RemotePath>().expect("normal"), parsed);
            }
        }
    }
}
