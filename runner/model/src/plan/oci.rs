//! A module in an OCI registry, as a plan names it.
//!
//! Names are those of the distribution specification: a registry with an optional port, and a path of lower-case
//! components. <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>

use crate::Digest;
use semver::{Version, VersionReq};
use std::fmt;
use std::str::FromStr;

/// The most bytes of a registry and a path together.
const LONGEST: usize = 255;

/// A module in a registry: `registry.example.org/team/greet`, and which one of those that are there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OciModule {
    repository: OciRepository,
    wanted: Wanted,
}

/// Where modules of one name are: `registry.example.org:5000/team/greet`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OciRepository {
    registry: String,
    path: String,
}

/// Which of the modules of a repository is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wanted {
    /// The newest version that fits.
    Version(Requirement),
    /// What has this tag.
    Tag(String),
    /// The manifest of this digest, and no other.
    Manifest(Digest),
}

/// Which versions fit, as cargo reads it: `1.2` takes every `1.x` from `1.2.0` on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Requirement(String);

/// Text that names no module of a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no {what}: {why}", .text.escape_debug())]
pub struct BadOci {
    text: String,
    what: &'static str,
    why: String,
}

impl OciModule {
    /// A module of the repository.
    pub fn new(repository: OciRepository, wanted: Wanted) -> Self {
        Self { repository, wanted }
    }

    /// Where it is.
    pub fn repository(&self) -> &OciRepository {
        &self.repository
    }

    /// Which one is meant.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }
}

impl OciRepository {
    /// The registry: a name or address, with a port where one is given.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path in it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The last part of the path: what the module calls itself.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Whether it is this registry, or below this path of it: `registry.example.org/team`.
    pub fn is_below(&self, prefix: &str) -> bool {
        let whole = self.to_string();
        whole.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl Requirement {
    /// Whether the version fits.
    pub fn fits(&self, version: &Version) -> bool {
        // It was read once before it got here.
        VersionReq::parse(&self.0).is_ok_and(|requirement| requirement.matches(version))
    }

    /// The newest of these tags that is a version and fits; tags that are no versions are something else.
    pub fn newest<'t>(&self, tags: impl IntoIterator<Item = &'t str>) -> Option<&'t str> {
        let versions = tags.into_iter().filter_map(|tag| Some((Version::parse(tag).ok()?, tag)));
        versions.filter(|(version, _)| self.fits(version)).max().map(|(_, tag)| tag)
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Requirement {
    type Err = BadOci;
    fn from_str(text: &str) -> Result<Self, BadOci> {
        let read = VersionReq::parse(text).map_err(|error| BadOci {
            text: text.to_owned(),
            what: "version requirement",
            why: error.to_string(),
        })?;
        // `1.2` and `^1.2` are the same.
        Ok(Self(read.to_string().trim_start_matches('^').to_owned()))
    }
}

impl fmt::Display for OciRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

impl fmt::Display for OciModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.wanted {
            Wanted::Version(requirement) => write!(f, "{}@{requirement}", self.repository),
            Wanted::Tag(tag) => write!(f, "{}:{tag}", self.repository),
            Wanted::Manifest(digest) => write!(f, "{}@{digest}", self.repository),
        }
    }
}

impl FromStr for OciRepository {
    type Err = BadOci;
    fn from_str(text: &str) -> Result<Self, BadOci> {
        let bad =
            |why: &str| BadOci { text: text.to_owned(), what: "module of a registry", why: why.to_owned() };
        if text.len() > LONGEST {
            return Err(bad(&format!("it has more than {LONGEST} characters")));
        }
        let (registry, path) = text
            .split_once('/')
            .ok_or_else(|| bad("it has no `/`: registry first, as in `registry.example.org/team/greet`"))?;
        if !is_registry(registry) {
            let why = format!(
                "`{}` is no registry: a host's name or address, with a dot, a port or `localhost`",
                registry.escape_debug()
            );
            return Err(bad(&why));
        }
        if let Some(part) = path.split('/').find(|part| !is_component(part)) {
            let why = format!(
                "`{}` is no part of a path: small letters, digits, and `.`, `_` or `-` between them",
                part.escape_debug()
            );
            return Err(bad(&why));
        }
        Ok(Self { registry: registry.to_owned(), path: path.to_owned() })
    }
}

impl FromStr for OciModule {
    type Err = BadOci;
    fn from_str(text: &str) -> Result<Self, BadOci> {
        let bad =
            |why: &str| BadOci { text: text.to_owned(), what: "module of a registry", why: why.to_owned() };
        if let Some((repository, wanted)) = text.split_once('@') {
            let wanted = match wanted.starts_with("sha256:") {
                true => Wanted::Manifest(
                    wanted
                        .parse()
                        .map_err(|_| bad("its digest is not `sha256:` and 64 hexadecimal digits"))?,
                ),
                false => Wanted::Version(wanted.parse()?),
            };
            return Ok(Self::new(repository.parse()?, wanted));
        }
        let end = text.rfind('/').map_or(0, |slash| slash + 1);
        let (repository, tag) = match text[end..].find(':') {
            Some(colon) => (&text[..end + colon], &text[end + colon + 1..]),
            None => return Err(bad("it says neither `version` nor a tag nor a digest")),
        };
        if !is_tag(tag) {
            let why =
                format!("`{}` is no tag: letters, digits, `_`, `.` and `-`, at most 128", tag.escape_debug());
            return Err(bad(&why));
        }
        Ok(Self::new(repository.parse()?, Wanted::Tag(tag.to_owned())))
    }
}

/// A host that cannot be taken for the first part of a path: that is how Docker tells them apart.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let label = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    host.split('.').all(label)
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
        && (host.contains('.') || port.is_some() || host == "localhost")
}

fn is_component(part: &str) -> bool {
    let ends = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let all = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    let separators: Vec<&str> =
        part.split(|c: char| c.is_ascii_alphanumeric()).filter(|between| !between.is_empty()).collect();
    ends(part.bytes().next())
        && ends(part.bytes().next_back())
        && part.bytes().all(all)
        && separators.iter().all(|s| matches!(*s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_module_reads_back() {
        let digest = format!("registry.example.org/team/greet@sha256:{}", "a".repeat(64));
        for text in [
            "registry.example.org/team/greet@1.2",
            "registry.example.org/team/greet@>=1.2, <2",
            "localhost:5000/greet:stable",
            "127.0.0.1:5000/a/b__c/d-e:1.0.0-rc.1",
            &digest,
        ] {
            let module: OciModule = text.parse().expect(text);
            assert_eq!(module.to_string(), text);
        }
        let same: OciModule = "registry.example.org/greet@^1.2".parse().expect("a module");
        assert_eq!(same.to_string(), "registry.example.org/greet@1.2");
    }

    #[test]
    fn what_names_none_says_why() {
        let said = |text: &str| text.parse::<OciModule>().expect_err(text).to_string();
        for (text, why) in [
            ("greet@1", "it has no `/`"),
            ("team/greet@1", "`team` is no registry"),
            ("registry.example.org/Team/greet@1", "`Team` is no part of a path"),
            ("registry.example.org/team//greet@1", "`` is no part of a path"),
            ("registry.example.org/../greet@1", "`..` is no part of a path"),
            ("registry.example.org/team/greet", "neither `version` nor a tag nor a digest"),
            ("registry.example.org/team/greet@one", "unexpected character"),
            ("registry.example.org/team/greet@sha256:12", "its digest is not"),
            ("registry.example.org/team/greet:-x", "`-x` is no tag"),
            ("registry.example.org:0/greet:x", "`registry.example.org:0` is no registry"),
            ("http://registry.example.org/greet:x", "`http:` is no registry"),
            ("user@registry.example.org/greet:x", "unexpected character"),
        ] {
            assert!(said(text).contains(why), "{text}: {}", said(text));
        }
    }

    #[test]
    fn the_newest_version_that_fits_is_taken() {
        let tags = ["latest", "1.2.0", "1.10.0", "1.9.9", "2.0.0", "2.1.0-rc.1", "v3.0.0"];
        let newest = |requirement: &str| requirement.parse::<Requirement>().expect("one").newest(tags);
        assert_eq!(newest("1.2"), Some("1.10.0"));
        assert_eq!(newest("*"), Some("2.0.0"));
        assert_eq!(newest("=1.2.0"), Some("1.2.0"));
        assert_eq!(newest(">=1, <1.10"), Some("1.9.9"));
        // A version that is not finished is taken only by who asks for it.
        assert_eq!(newest("2.1.0-rc.1"), Some("2.1.0-rc.1"));
        assert_eq!(newest("4"), None);
    }

    #[test]
    fn a_prefix_ends_where_a_part_ends() {
        let repository: OciRepository = "registry.example.org/team/greet".parse().expect("one");
        for prefix in ["registry.example.org", "registry.example.org/team", "registry.example.org/team/greet"]
        {
            assert!(repository.is_below(prefix), "{prefix}");
        }
        for prefix in [
            "registry.example.or",
            "registry.example.org/tea",
            "registry.example.org/team/greet/x",
            "example.org",
        ] {
            assert!(!repository.is_below(prefix), "{prefix}");
        }
        assert_eq!(repository.name(), "greet");
    }
}
