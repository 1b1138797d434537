//! How a module in a registry is named: `REGISTRY/PATH`, `REGISTRY/PATH:TAG`, `REGISTRY/PATH@DIGEST`, or with both.
//!
//! The registry is always named: `restart:1.2` means a different registry to every tool that guesses one.

use crate::Digest;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use url::Host;

/// The longest path of a repository that registries take.
const PATH_MAX: usize = 255;
/// The longest tag.
const TAG_MAX: usize = 128;
/// What Docker Hub is called, and where it is.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// Text that does not name a module in a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a reference: {why}", crate::text::shown(.text))]
pub struct NotAReference {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
    /// What mends it.
    pub mend: String,
}

impl NotAReference {
    fn new(text: &str, why: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { text: text.to_owned(), why: why.into(), mend: mend.into() }
    }
}

/// Where a module is: a registry and a path in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    /// With its port, when it has one.
    registry: Box<str>,
    path: Box<str>,
}

impl Repository {
    /// The registry's host, and port where there is one: `registry.example.org:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path in the registry: `ops/restart`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The last segment of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Where the registry is spoken to, for Docker Hub is not where its name says.
    pub fn authority(&self) -> &str {
        if &*self.registry == DOCKER_HUB.0 { DOCKER_HUB.1 } else { &self.registry }
    }

    /// Whether the registry is on this machine, by its name or its literal address.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.registry)
    }
}

/// Whether an authority is on this machine, by its name or its literal address.
pub fn is_loopback(authority: &str) -> bool {
    match split_port(authority).ok().and_then(|(host, _)| Host::parse(host).ok()) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).to_canonical().is_loopback(),
        None => false,
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

impl FromStr for Repository {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let reference: Reference = text.parse()?;
        if reference.tag.is_some() || reference.digest.is_some() {
            let mend = format!("write `{}`", reference.repository);
            return Err(NotAReference::new(text, "a repository has no tag and no digest", mend));
        }
        Ok(reference.repository)
    }
}

/// A name of a version, which the registry may move: `1.2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Box<str>);

impl Tag {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag under which a registry that does not know referrers keeps the list of them.
    pub fn of_referrers(subject: &Digest) -> Self {
        Self(format!("sha256-{}", subject.hex()).into())
    }

    /// Whether it is such a tag, and so no version of a module.
    pub fn is_of_referrers(&self) -> bool {
        self.0.strip_prefix("sha256-").is_some_and(|hex| format!("sha256:{hex}").parse::<Digest>().is_ok())
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Tag {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let refused = |why: &str| {
            let mend = "a tag has letters, digits, `_`, `.` and `-`, and starts with none of the last two";
            NotAReference::new(text, why, mend)
        };
        let first = text.chars().next().ok_or_else(|| refused("the tag is empty"))?;
        if text.len() > TAG_MAX {
            return Err(refused("the tag has more than 128 characters"));
        }
        if !(first.is_ascii_alphanumeric() || first == '_') {
            return Err(refused("the tag starts with something else than a letter, a digit or `_`"));
        }
        if let Some(c) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || "_.-".contains(*c))) {
            return Err(refused(&format!("the tag has `{}`", c.escape_debug())));
        }
        Ok(Self(text.into()))
    }
}

/// A module in a registry: where it is, and which one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    repository: Repository,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl Reference {
    /// A reference by tag, by digest, by both or by none.
    pub fn new(repository: Repository, tag: Option<Tag>, digest: Option<Digest>) -> Self {
        Self { repository, tag, digest }
    }

    /// Where it is.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag, when it has one.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest of the manifest, when it has one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let refused = |why: String, mend: &str| NotAReference::new(text, why, mend);
        if let Some((scheme, rest)) = text.split_once("://") {
            let mend = format!("leave `{scheme}://` out: `{rest}`");
            return Err(NotAReference::new(text, "it starts as a URL does", mend));
        }
        let (name, digest) = match text.split_once('@') {
            None => (text, None),
            Some((name, digest)) => (name, Some(parse_digest(text, digest)?)),
        };
        let Some((registry, rest)) = name.split_once('/') else {
            return Err(refused("it names no registry".to_owned(), WITH_REGISTRY));
        };
        let (path, tag) = match rest.rsplit_once(':') {
            None => (rest, None),
            Some((path, tag)) => {
                let tag = tag.parse::<Tag>();
                (path, Some(tag.map_err(|e| NotAReference { text: text.to_owned(), ..e })?))
            }
        };
        let registry = parse_registry(text, registry)?;
        check_path(text, path)?;
        Ok(Self { repository: Repository { registry: registry.into(), path: path.into() }, tag, digest })
    }
}

const WITH_REGISTRY: &str = "put the registry in front, by its full name: `registry.example.org/ops/restart`, `localhost:5000/restart`";

fn parse_digest(text: &str, digest: &str) -> Result<Digest, NotAReference> {
    digest.parse().map_err(|_| {
        let why = match digest.split_once(':') {
            Some((algorithm, _)) if algorithm != "sha256" && !algorithm.contains('/') => {
                format!("its digest is of `{}`", algorithm.escape_debug())
            }
            _ => "what follows `@` is not a digest".to_owned(),
        };
        NotAReference::new(text, why, "a digest is `sha256:` and 64 lower-case hexadecimal digits")
    })
}

/// Host and port; the brackets of an IPv6 address stay with it.
fn split_port(authority: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => return Ok((authority, None)),
    };
    let number = port.parse::<u16>().ok().filter(|number| *number > 0 && !port.starts_with(['+', '0']));
    let number = number.ok_or_else(|| format!("`{}` is no port", port.escape_debug()))?;
    Ok((host, Some(number)))
}

fn parse_registry(text: &str, registry: &str) -> Result<String, NotAReference> {
    let refused = |why: String, mend: &str| NotAReference::new(text, why, mend);
    let (host, port) =
        split_port(registry).map_err(|why| refused(why, "a port is a number from 1 to 65535"))?;
    if host != "localhost" && port.is_none() && !host.contains(['.', '[']) {
        return Err(refused(
            format!("`{}` is no full name of a registry", host.escape_debug()),
            WITH_REGISTRY,
        ));
    }
    // `Host` reads `127.1` and `0x7f.1` as addresses too, and encodes what is not ASCII: what it reads must be the text.
    let is_name = |name: &str| {
        name.len() <= 253
            && name.split('.').all(|label| {
                let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
                inner && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
            })
    };
    let good = match Host::parse(host) {
        Ok(Host::Domain(name)) => is_name(host) && name == host.to_ascii_lowercase(),
        Ok(Host::Ipv4(address)) => address.to_string() == host,
        Ok(Host::Ipv6(_)) => true,
        Err(_) => false,
    };
    if !good {
        return Err(refused(
            format!("`{}` is no name and no address of a host", host.escape_debug()),
            WITH_REGISTRY,
        ));
    }
    Ok(registry.to_ascii_lowercase())
}

fn check_path(text: &str, path: &str) -> Result<(), NotAReference> {
    let mend =
        "a path has segments of lower-case letters and digits, with `.`, `_`, `__` or `-` between them";
    let refused = |why: String| Err(NotAReference::new(text, why, mend));
    if path.is_empty() {
        return refused("the path after the registry is empty".to_owned());
    }
    if path.len() > PATH_MAX {
        return refused("the path has more than 255 characters".to_owned());
    }
    for segment in path.split('/') {
        if segment.is_empty() {
            return refused("the path has an empty segment".to_owned());
        }
        if let Some(c) = segment.chars().find(char::is_ascii_uppercase) {
            return refused(format!("the path has the capital letter `{c}`"));
        }
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if let Some(c) = segment.chars().find(|c| !word(*c) && !"._-".contains(*c)) {
            return refused(format!("the path has `{}`", c.escape_debug()));
        }
        if !segment.starts_with(word) || !segment.ends_with(word) {
            return refused(format!("`{segment}` starts or ends with something else than a letter or digit"));
        }
        let separators = segment.split(word).filter(|between| !between.is_empty());
        for between in separators {
            if !(matches!(between, "." | "_" | "__") || between.bytes().all(|b| b == b'-')) {
                return refused(format!("`{segment}` has `{between}`"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_reference_reads_back_what_it_prints() {
        let digest = format!("sha256:{HEX}");
        for text in [
            "registry.example.org/ops/restart",
            "registry.example.org:5000/restart:1.2.3-rc.1_x",
            &format!("localhost/a/b/c@{digest}"),
            &format!("127.0.0.1:5000/a__b.c---d/e_f:latest@{digest}"),
            "[::1]:5000/x:1",
            "[::1]/x",
            "build:5000/x",
        ] {
            let reference: Reference = text.parse().expect(text);
            assert_eq!(reference.to_string(), text);
        }
        let reference: Reference = format!("Registry.Example.ORG/x:1@{digest}").parse().expect("a reference");
        assert_eq!(reference.repository().registry(), "registry.example.org");
        assert_eq!(reference.repository().name(), "x");
        assert_eq!(reference.tag().expect("it has one").as_str(), "1");
        assert_eq!(reference.digest().expect("it has one").to_string(), digest);
    }

    #[test]
    fn what_is_not_a_reference_says_what_is_wrong() {
        for (text, why) in [
            ("restart", "it names no registry"),
            ("ops/restart:1.2", "`ops` is no full name of a registry"),
            ("https://registry.example.org/x", "it starts as a URL does"),
            ("registry.example.org/", "the path after the registry is empty"),
            ("registry.example.org/a//b", "the path has an empty segment"),
            ("registry.example.org/Ops", "the path has the capital letter `O`"),
            ("registry.example.org/../x", "`..` starts or ends with"),
            ("registry.example.org/a..b", "`a..b` has `..`"),
            ("registry.example.org/a b", "the path has ` `"),
            ("registry.example.org/a?x=y", "the path has `?`"),
            ("registry.example.org/a%2fb", "the path has `%`"),
            ("registry.example.org/x:", "the tag is empty"),
            ("registry.example.org/x:-a", "the tag starts with something else"),
            ("registry.example.org/x:a\u{1b}[2J", "the tag has `\\u{1b}`"),
            ("registry.example.org/x@sha256:12", "what follows `@` is not a digest"),
            ("registry.example.org/x@sha512:12", "its digest is of `sha512`"),
            ("user:password@registry.example.org/x", "what follows `@` is not a digest"),
            ("registry.example.org:0/x", "`0` is no port"),
            ("registry.example.org:99999/x", "`99999` is no port"),
            ("registry..org/x", "is no name and no address of a host"),
            ("127.1/x", "is no name and no address of a host"),
            ("[::1/x", "is no"),
            ("ré.example.org/x", "is no name and no address of a host"),
            ("-x.example.org/x", "is no name and no address of a host"),
        ] {
            let error = text.parse::<Reference>().expect_err(text);
            assert!(error.why.contains(why), "{text}: {}", error.why);
            assert!(!error.mend.is_empty() && !error.to_string().contains('\u{1b}'), "{error}");
        }
        let error = "registry.example.org/x:1".parse::<Repository>().expect_err("a tag");
        assert_eq!(error.mend, "write `registry.example.org/x`");
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (text, expected) in [
            ("localhost:5000/x", true),
            ("127.8.9.1/x", true),
            ("[::1]:5000/x", true),
            ("[::ffff:127.0.0.1]/x", true),
            ("localhost.example.org/x", false),
            ("10.0.0.1/x", false),
            ("127.0.0.1.example.org/x", false),
        ] {
            assert_eq!(text.parse::<Repository>().expect(text).is_loopback(), expected, "{text}");
        }
    }

    #[test]
    fn tags_of_referrers_are_known() {
        let digest: Digest = format!("sha256:{HEX}").parse().expect("a digest");
        assert!(Tag::of_referrers(&digest).is_of_referrers());
        assert!(!"sha256-12".parse::<Tag>().expect("a tag").is_of_referrers());
    }
}
