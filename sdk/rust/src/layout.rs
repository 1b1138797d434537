//! How releases are laid out below a release root: `releases/<id>`, `shared`, and `current`, a link to one of them.

use crate::{Context, EntryKind, Error, ErrorKind, Mark, Result, Target, run_info};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// A release root, as a parameter: an absolute path on the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(String);

impl Root {
    /// The root itself, without a slash at the end.
    pub fn path(&self) -> &str {
        &self.0
    }

    /// Where releases are.
    pub fn releases(&self) -> String {
        format!("{}/releases", self.0)
    }

    /// The folder of a release.
    pub fn release(&self, id: &ReleaseId) -> String {
        format!("{}/releases/{}", self.0, id.as_str())
    }

    /// What all releases share.
    pub fn shared(&self) -> String {
        format!("{}/shared", self.0)
    }

    /// The link to the live release.
    pub fn current(&self) -> String {
        format!("{}/current", self.0)
    }

    /// The release that `current` points to; `None` when there is no `current`.
    ///
    /// # Errors
    /// `conflict` when `current` is not a link to a release of this root.
    pub fn live(&self, target: &Target) -> Result<Option<ReleaseId>> {
        let current = self.current();
        let refuse = |what: &str| {
            let message = format!("`{current}` on `{}` is {what}", target.name());
            let mend = format!("it must be a symbolic link to a folder in `{}`, or nothing", self.releases());
            Error::conflict(message).with_detail(mend)
        };
        let to = match target.read_link(&current) {
            Ok(to) => to,
            Err(error) if error.is(ErrorKind::NotFound) => return Ok(None),
            Err(error) if error.is(ErrorKind::Conflict) => {
                return Err(match target.stat(&current)?.map(|entry| entry.kind) {
                    Some(EntryKind::Directory) => refuse("a folder"),
                    Some(EntryKind::File | EntryKind::Other) => refuse("a file"),
                    Some(EntryKind::Symlink) | None => error,
                });
            }
            Err(error) => return Err(error),
        };
        let inside = to.strip_prefix(&self.0).map_or(&*to, |rest| rest.trim_start_matches('/'));
        match inside.trim_end_matches('/').strip_prefix("releases/").map(ReleaseId::new) {
            Some(Ok(id)) => Ok(Some(id)),
            _ => Err(refuse(&format!("a symbolic link to `{to}`"))),
        }
    }

    /// Why what serves the live release should take it up anew: it went live in this run; or it has not passed all its
    /// rollout steps, since an earlier run may have failed between its switch and what comes after.
    ///
    /// # Errors
    /// Those of [`Root::live`] and [`Target::releases`].
    pub fn unproven(&self, target: &Target) -> Result<Option<String>> {
        let Some(live) = self.live(target)? else { return Ok(None) };
        if run_info::previous_release().as_deref() != Some(live.as_str()) {
            return Ok(Some(format!("release `{live}` went live in this run")));
        }
        let releases = target.releases(&self.0)?;
        let good = releases.iter().any(|release| release.id == live.as_str() && release.mark == Mark::Good);
        Ok((!good).then(|| format!("release `{live}` has not passed its rollout here")))
    }
}

impl<'de> Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        if text.starts_with('/') && text.trim_end_matches('/').len() > 1 {
            Ok(Self(text.trim_end_matches('/').to_owned()))
        } else {
            Err(D::Error::custom(format!("`{text}` cannot be a release root: it must be an absolute path")))
        }
    }
}

impl JsonSchema for Root {
    fn schema_name() -> Cow<'static, str> {
        "Root".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^/." })
    }
}

/// The name of a release's folder: letters, digits, `-`, `_` and `.`, and no more, so that it is always one path segment
/// and never hidden, an option, or a way out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReleaseId(String);

impl ReleaseId {
    /// From text.
    ///
    /// # Errors
    /// `invalid` when it cannot be one.
    pub fn new(text: &str) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if text.len() <= 64
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(plain)
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::invalid(format!("`{text}` cannot be the id of a release")))
        }
    }

    /// The one that a parameter names, or else the release of this run.
    ///
    /// # Errors
    /// `invalid` when there is neither.
    pub fn or_of_this_run(named: Option<&str>) -> Result<Self> {
        match named {
            Some(id) => Self::new(id),
            None => run_info::release_id()
                .ok_or_else(|| Error::invalid("which release? this plan makes none"))
                .hint(|| "name one in the step: `with = { release = \"…\" }`".to_owned())
                .and_then(|id| Self::new(&id)),
        }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    fn root() -> Root {
        serde_json::from_value("/srv/shop/".into()).expect("a root")
    }

    #[test]
    fn current_is_a_link_to_a_release_or_nothing() {
        let world = World::new();
        let web = world.target("web-1");
        let live = || world.enter(|| root().live(&Target::current()));
        assert_eq!(live(), Ok(None));
        for to in ["releases/a", "/srv/shop/releases/a", "releases/a/"] {
            web.link("/srv/shop/current", to);
            assert_eq!(live().map(|id| id.map(|id| id.to_string())), Ok(Some("a".to_owned())), "{to}");
        }
        for to in ["releases/../../etc", "/etc", "releases"] {
            web.link("/srv/shop/current", to);
            assert!(live().is_err(), "{to}");
        }
        web.dir("/srv/shop/current");
        assert_eq!(live().expect_err("in the way").message, "`/srv/shop/current` on `web-1` is a folder");
    }

    #[test]
    fn an_id_is_one_plain_segment() {
        for text in ["", ".", "..", "-x", ".x", "a/b", "a b", "a\n"] {
            assert!(ReleaseId::new(text).is_err(), "{text:?}");
        }
        assert!(ReleaseId::new("4.2-0123456789ab").is_ok());
    }

    #[test]
    fn a_root_is_absolute() {
        for text in ["", "/", "srv", "//"] {
            assert!(serde_json::from_value::<Root>(text.into()).is_err(), "{text:?}");
        }
        assert_eq!(root().current(), "/srv/shop/current");
    }
}
