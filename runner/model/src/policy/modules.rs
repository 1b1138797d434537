//! What a policy asks of modules before they are compiled: where they come from, who signed them, who reviewed them. What
//! is there about a module is held against it elsewhere: here is no file and no signature.

use crate::Digest;
use crate::grant::GrantSet;
use crate::pattern::NamePattern;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// `[trust]`: whom to believe, in every environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// The file of those who may sign, relative to the policy's own folder.
    pub allowed_signers: Option<String>,
    /// The file of the roots that bundles of Sigstore are held against, relative to the policy's own folder.
    pub sigstore_root: Option<String>,
    /// Components and vettings that count no more, whatever is signed.
    pub revoked: BTreeSet<Digest>,
}

/// `modules` of an environment. Each key that is given must be fulfilled; a list that is empty refuses every module but
/// the standard ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModuleRules {
    /// The section that they stand in: the name of an environment, or `*`.
    pub section: String,
    /// Where modules may come from.
    pub registries: Option<Vec<RegistryPrefix>>,
    /// Whether they may come from files beside the plan; `None`: as [`ModuleRules::lets_files`] says.
    pub files: Option<bool>,
    /// Who must have signed them: one of these.
    pub signed_by: Option<Vec<NamePattern>>,
    /// Whom a bundle of Sigstore must name: one of these.
    pub sigstore: Option<Vec<SigstoreIdentity>>,
    /// Who must have reviewed them: one of these.
    pub vetted_by: Option<Vec<NamePattern>>,
}

/// Whom a certificate of Sigstore may name: a person, or a workflow of a build service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigstoreIdentity {
    /// Who says so: the URL of the OpenID Connect issuer where they signed in.
    pub issuer: String,
    /// Their name there: an e-mail address, or the URL of a workflow.
    pub identity: NamePattern,
}

impl SigstoreIdentity {
    /// Whether a certificate names it: the issuer to the letter, since each names whom it likes.
    pub fn covers(&self, issuer: &str, identity: &str) -> bool {
        self.issuer == issuer && self.identity.covers(identity)
    }
}

impl fmt::Display for SigstoreIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.identity, self.issuer)
    }
}

impl ModuleRules {
    /// Whether what others say of a module decides anything.
    pub fn wants_evidence(&self) -> bool {
        self.signed_by.is_some() || self.sigstore.is_some() || self.vetted_by.is_some()
    }

    /// Whether modules may come from files: where nothing is said of it, when nothing is said of registries either.
    pub fn lets_files(&self) -> bool {
        self.files.unwrap_or(self.registries.is_none())
    }
}

/// What a vetting lets the steps of a module do at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ceiling {
    /// The grants.
    pub grants: GrantSet,
    /// The vetting that says so.
    pub vetting: Digest,
    /// Who reviewed the module.
    pub reviewer: String,
}

impl fmt::Display for Ceiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the ceiling of `{}` (vetting {})", self.reviewer, self.vetting.short())
    }
}

/// A registry, or a part of one: `registry.example.org/team` covers `registry.example.org/team/greet`, and not
/// `registry.example.org/teams`.
///
/// ```
/// # use runner_model::policy::RegistryPrefix;
/// let team: RegistryPrefix = "registry.example.org/team".parse().unwrap();
/// assert!(team.covers("registry.example.org", "team/greet"));
/// assert!(!team.covers("registry.example.org", "teams/greet"));
/// assert!(!team.covers("registry.example.org", "team/../evil"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryPrefix(String);

/// Text that names no registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a registry or a part of one: {why}", .text.escape_debug())]
pub struct BadRegistry {
    text: String,
    why: &'static str,
}

impl RegistryPrefix {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a repository of a registry is in it.
    pub fn covers(&self, registry: &str, repository: &str) -> bool {
        let place = format!("{registry}/{repository}");
        if place.split('/').any(is_odd) {
            return false;
        }
        place.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// A segment that could lead elsewhere.
fn is_odd(segment: &str) -> bool {
    matches!(segment, "" | "." | "..")
}

impl FromStr for RegistryPrefix {
    type Err = BadRegistry;

    fn from_str(text: &str) -> Result<Self, BadRegistry> {
        let refused = |why| {
            let text = text.chars().take(80).collect();
            Err(BadRegistry { text, why })
        };
        if text.contains("://") {
            return refused("it is written without `https://`, as in `registry.example.org/team`");
        }
        if text.ends_with('/') {
            return refused("it ends with a `/`: what is below it is meant anyway");
        }
        if text.len() > 255 || text.split('/').any(is_odd) {
            return refused("it is empty in places, too long, or has `.` or `..` in it");
        }
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return refused("registries are written in lower case");
        }
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        if path.contains([':', '@']) || host.contains('@') {
            return refused("a tag or a digest does not belong here");
        }
        let is_known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c);
        if !path.chars().all(is_known) || !host.chars().all(|c| is_known(c) || "[:]".contains(c)) {
            return refused(
                "only letters, digits, `.`, `_`, `-` and `/` are allowed, and a port after the host",
            );
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RegistryPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
