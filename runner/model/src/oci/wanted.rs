//! Which module of a repository a plan means.

use super::name::{NotAReference, Reference, Repository, Tag};
use crate::{Digest, Pinned};
use semver::{Version, VersionReq};
use std::fmt;
use std::str::FromStr;

/// A module of a registry, as a plan has it: `registry.example.org/team/greet`, and which one of those that are there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OciModule {
    /// Where it is.
    pub repository: Repository,
    /// Which one is meant.
    pub wanted: Wanted,
}

/// Which of the modules of a repository is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wanted {
    /// The newest version that fits.
    Version(Requirement),
    /// What has this tag.
    Tag(Tag),
    /// The manifest of this digest, and no other.
    Manifest(Digest),
}

/// Which versions fit, as cargo reads it: `1.2` takes every `1.x` from `1.2.0` on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Requirement(String);

/// Text that names no module of a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadModule {
    /// It is no reference.
    #[error(transparent)]
    Reference(#[from] NotAReference),
    /// It does not say which one.
    #[error("`{0}` says neither a version nor a tag nor a digest")]
    Which(Repository),
    /// It says it twice.
    #[error("`{0}` has a tag and a digest: one says which module is meant")]
    Twice(Reference),
    /// A version requirement that is none.
    #[error("`{}` is no version requirement: {why}", crate::text::shown(.text))]
    Requirement {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: String,
    },
}

impl BadModule {
    /// What mends it.
    pub fn mend(&self) -> String {
        match self {
            Self::Reference(error) => error.mend.clone(),
            Self::Which(repository) => format!("write `oci = \"{repository}\", version = \"1.2\"`"),
            Self::Twice(reference) => match reference.digest() {
                Some(digest) => format!("write `{}@{digest}`", reference.repository()),
                None => format!("write `{}`", reference.repository()),
            },
            Self::Requirement { .. } => {
                "`1.2` is every 1.x from 1.2.0 on, `=1.2.0` is that one, `>=1.2, <1.5` what is between"
                    .to_owned()
            }
        }
    }
}

impl Requirement {
    /// Whether the version fits.
    pub fn fits(&self, version: &Version) -> bool {
        // It was read once before it got here.
        VersionReq::parse(&self.0).is_ok_and(|requirement| requirement.matches(version))
    }

    /// The newest of these tags that is a version and fits; tags that are no versions are something else.
    pub fn newest<'t>(&self, tags: impl IntoIterator<Item = &'t Tag>) -> Option<&'t Tag> {
        let versions = tags.into_iter().filter_map(|tag| Some((Version::parse(tag.as_str()).ok()?, tag)));
        versions.filter(|(version, _)| self.fits(version)).max().map(|(_, tag)| tag)
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Requirement {
    type Err = BadModule;
    fn from_str(text: &str) -> Result<Self, BadModule> {
        let read = VersionReq::parse(text)
            .map_err(|error| BadModule::Requirement { text: text.to_owned(), why: error.to_string() })?;
        // `1.2` and `^1.2` are the same.
        Ok(Self(read.to_string().trim_start_matches('^').to_owned()))
    }
}

impl OciModule {
    /// Whether this is one of those that are meant: a lock names what its plan asks for, and nothing else.
    pub fn takes(&self, pinned: &Pinned) -> bool {
        match &self.wanted {
            Wanted::Manifest(digest) => pinned.manifest == *digest,
            Wanted::Tag(tag) => pinned.tag == tag.as_str(),
            Wanted::Version(requirement) => {
                Version::parse(&pinned.tag).is_ok_and(|version| requirement.fits(&version))
            }
        }
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

impl TryFrom<Reference> for OciModule {
    type Error = BadModule;
    /// Of a reference that says which one.
    fn try_from(reference: Reference) -> Result<Self, BadModule> {
        let repository = reference.repository().clone();
        match (reference.tag(), reference.digest()) {
            (Some(_), Some(_)) => Err(BadModule::Twice(reference)),
            (Some(tag), None) => Ok(Self { repository, wanted: Wanted::Tag(tag.clone()) }),
            (None, Some(digest)) => Ok(Self { repository, wanted: Wanted::Manifest(*digest) }),
            (None, None) => Err(BadModule::Which(repository)),
        }
    }
}

impl FromStr for OciModule {
    type Err = BadModule;
    /// As it prints: with the version requirement behind `@`.
    fn from_str(text: &str) -> Result<Self, BadModule> {
        match text.split_once('@') {
            Some((repository, requirement)) if !requirement.contains(':') => {
                Ok(Self { repository: repository.parse()?, wanted: Wanted::Version(requirement.parse()?) })
            }
            _ => text.parse::<Reference>()?.try_into(),
        }
    }
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
    fn what_names_none_says_why_and_what_mends_it() {
        let digest = format!("registry.example.org/greet:1@sha256:{}", "a".repeat(64));
        for (text, why) in [
            ("greet@1", "it names no registry"),
            ("registry.example.org/team/greet", "neither a version nor a tag nor a digest"),
            (&digest, "has a tag and a digest"),
            ("registry.example.org/team/greet@one", "no version requirement"),
            ("registry.example.org/team/greet:1@2", "a repository has no tag"),
        ] {
            let error = text.parse::<OciModule>().expect_err(text);
            assert!(error.to_string().contains(why), "{text}: {error}");
            assert!(!error.mend().is_empty(), "{text}");
        }
    }

    #[test]
    fn a_lock_cannot_name_another_one_than_the_plan_asks_for() {
        let (one, other) = (Digest::of("one"), Digest::of("other"));
        let takes = |wanted: &str, tag: &str| {
            let module: OciModule = format!("registry.example.org/greet{wanted}").parse().expect(wanted);
            module.takes(&Pinned { tag: tag.to_owned(), manifest: one })
        };
        assert!(takes("@=1.3.0", "1.3.0") && !takes("@=1.3.0", "1.2.0") && !takes("@=1.3.0", "stable"));
        assert!(takes("@1.2", "1.9.0") && !takes("@1.2", "1.1.9") && !takes("@1.2", ""));
        assert!(takes(":stable", "stable") && !takes(":stable", "1.2.0") && !takes(":stable", ""));
        assert!(takes(&format!("@{one}"), "") && !takes(&format!("@{other}"), ""));
    }

    #[test]
    fn the_newest_version_that_fits_is_taken() {
        let tags = ["latest", "1.2.0", "1.10.0", "1.9.9", "2.0.0", "2.1.0-rc.1", "v3.0.0"];
        let tags: Vec<Tag> = tags.iter().map(|tag| tag.parse().expect("a tag")).collect();
        let newest = |requirement: &str| {
            requirement.parse::<Requirement>().expect("one").newest(&tags).map(Tag::as_str)
        };
        assert_eq!(newest("1.2"), Some("1.10.0"));
        assert_eq!(newest("*"), Some("2.0.0"));
        assert_eq!(newest("=1.2.0"), Some("1.2.0"));
        assert_eq!(newest(">=1, <1.10"), Some("1.9.9"));
        // A version that is not finished is taken only by who asks for it.
        assert_eq!(newest("2.1.0-rc.1"), Some("2.1.0-rc.1"));
        assert_eq!(newest("4"), None);
    }
}
