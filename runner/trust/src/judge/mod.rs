//! Holds what there is about a module against what a policy asks for, before the module is compiled.
//!
//! - The standard modules are a part of the runner: only `revoked` keeps one of them out.
//! - Each section of the policy that speaks of modules is asked by itself, and each key in it must be fulfilled.
//! - Of several signatures or vettings one good one is enough. What is wrong with the others is said only when none is good.
//! - Of several vettings the newest one counts, so that a reviewer narrows a ceiling by a new vetting. When it has expired or
//!   was taken back, none counts: the wider ceiling of before does not come back by itself. Ceilings are never added up:
//!   nobody has reviewed what two of them allow together.
//! - A revocation counts when a principal that may sign or vet modules signed it. Its key must be valid now, or have been so
//!   when it was signed: a warning does not lapse with the key of whoever gave it.

mod refusal;
mod vettings;

pub use refusal::{Refusal, VettingProblem};

use crate::{
    AllowedSigners, Identity, MODULE_NAMESPACE, SignatureError, Signed, Signer, SigstoreRoots, Vetting,
};
use jiff::Timestamp;
use runner_model::Digest;
use runner_model::policy::{Ceiling, EnvironmentPolicy, ModuleRules};
use std::fmt;

/// The most pieces of evidence of a kind that are looked at.
const MOST: usize = 64;

/// Where a module comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It is a part of the runner.
    Builtin,
    /// A file on this machine, as the plan names it.
    File(String),
    /// A registry.
    Registry {
        /// The registry: host, and port where it has one.
        registry: String,
        /// The repository in it.
        repository: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin => f.write_str("the runner"),
            Self::File(file) => f.write_str(file),
            Self::Registry { registry, repository } => write!(f, "{registry}/{repository}"),
        }
    }
}

/// What there is about a module. Whoever stores it may leave things out or add others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Armored signatures over the component.
    pub signatures: Vec<Vec<u8>>,
    /// Bundles of Sigstore.
    pub bundles: Vec<Vec<u8>>,
    /// Vettings.
    pub vettings: Vec<Signed>,
    /// Revocations.
    pub revocations: Vec<Signed>,
}

/// Whose word counts: what the operator's policy names.
#[derive(Default)]
pub struct Anchors {
    /// The file that `[trust] allowed-signers` names.
    pub signers: Option<AllowedSigners>,
    /// The file that `[trust] sigstore-root` names.
    pub roots: Option<SigstoreRoots>,
}

/// A module to judge.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Where it comes from.
    pub origin: &'a Origin,
    /// The digest by which the lock has it.
    pub digest: Digest,
    /// The component.
    pub bytes: &'a [u8],
    /// The digest of its manifest in a registry.
    pub manifest: Option<Digest>,
    /// What there is about it.
    pub evidence: &'a Evidence,
}

/// A module that may be used.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trusted {
    /// Who signed it, of those who were asked for.
    pub signers: Vec<Signer>,
    /// Whom its bundles of Sigstore name, of those who were asked for.
    pub identities: Vec<Identity>,
    /// The vettings that count, each with its id: one for each section that asks for one.
    pub vettings: Vec<(Digest, Vetting)>,
    /// What its steps may do at most: all of them count. They go into [`EnvironmentPolicy::ceilings`].
    pub ceilings: Vec<Ceiling>,
}

/// Whether a policy lets modules come from there: known before anything is fetched.
///
/// # Errors
/// It does not.
pub fn admits(policy: &EnvironmentPolicy, origin: &Origin) -> Result<(), Refusal> {
    policy.modules.iter().try_for_each(|rules| admits_by(policy, rules, origin))
}

/// Whether a policy lets a module be used.
///
/// # Errors
/// The first thing that it does not fulfil.
pub fn judge(
    policy: &EnvironmentPolicy,
    anchors: &Anchors,
    candidate: &Candidate<'_>,
    now: Timestamp,
) -> Result<Trusted, Refusal> {
    let found = Digest::of(candidate.bytes);
    if found != candidate.digest {
        return Err(Refusal::OtherBytes { wanted: candidate.digest, found });
    }
    // People have the one of the manifest in their plans, and the one of the component in their locks.
    for digest in [Some(candidate.digest), candidate.manifest].into_iter().flatten() {
        if policy.trust.revoked.contains(&digest) {
            return Err(Refusal::RevokedByOperator { digest, file: policy.file.clone() });
        }
    }
    if *candidate.origin == Origin::Builtin {
        return Ok(Trusted::default());
    }
    let evidence = candidate.evidence;
    for (count, what) in [
        (evidence.signatures.len(), "signatures"),
        (evidence.bundles.len(), "bundles of Sigstore"),
        (evidence.vettings.len(), "vettings"),
        (evidence.revocations.len(), "revocations"),
    ] {
        if count > MOST {
            return Err(Refusal::TooMuch { count, most: MOST, what });
        }
    }
    let mut trusted = Trusted::default();
    for rules in &policy.modules {
        Judge { policy, anchors, candidate, now, rules }.judge(&mut trusted)?;
    }
    Ok(trusted)
}

/// One section of a policy, and a module.
struct Judge<'a> {
    policy: &'a EnvironmentPolicy,
    anchors: &'a Anchors,
    candidate: &'a Candidate<'a>,
    now: Timestamp,
    rules: &'a ModuleRules,
}

impl Judge<'_> {
    fn judge(&self, trusted: &mut Trusted) -> Result<(), Refusal> {
        admits_by(self.policy, self.rules, self.candidate.origin)?;
        self.not_revoked()?;
        self.understood()?;
        if let Some(signer) = self.signed()?
            && !trusted.signers.contains(&signer)
        {
            trusted.signers.push(signer);
        }
        if let Some(identity) = self.identified()?
            && !trusted.identities.contains(&identity)
        {
            trusted.identities.push(identity);
        }
        if let Some((id, vetting)) = self.vetted()?
            && trusted.vettings.iter().all(|(known, _)| *known != id)
        {
            trusted.ceilings.push(Ceiling {
                grants: vetting.ceiling.clone(),
                vetting: id,
                reviewer: vetting.reviewer.clone(),
            });
            trusted.vettings.push((id, vetting));
        }
        Ok(())
    }

    /// The section, as messages name it.
    fn section(&self) -> String {
        section(self.policy, self.rules)
    }

    /// Who signed it, of those who must have.
    fn signed(&self) -> Result<Option<Signer>, Refusal> {
        let Some(wanted) = &self.rules.signed_by else { return Ok(None) };
        let signers = self.signers()?;
        let names = wanted.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut problems: Vec<SignatureError> = Vec::new();
        let mut others: Vec<String> = Vec::new();
        for armored in &self.candidate.evidence.signatures {
            match signers.verify(MODULE_NAMESPACE, self.candidate.bytes, armored, self.now) {
                Ok(signer) if signer.is_among(wanted) => return Ok(Some(signer)),
                Ok(signer) => others.push(signer.to_string()),
                Err(problem) => problems.push(problem),
            }
        }
        let section = self.section();
        if !others.is_empty() {
            return Err(Refusal::OtherSigner { signers: others, wanted: names, section });
        }
        if problems.is_empty() {
            let origin = self.candidate.origin.clone();
            return Err(Refusal::NotSigned { origin, wanted: names, section });
        }
        Err(Refusal::BadSignature { problems, wanted: names, section })
    }

    /// Whom a bundle of Sigstore names, of those whom one must name.
    fn identified(&self) -> Result<Option<Identity>, Refusal> {
        let Some(wanted) = &self.rules.sigstore else { return Ok(None) };
        let file = &self.policy.file;
        let roots = self.anchors.roots.as_ref().ok_or_else(|| Refusal::NoRoots { file: file.clone() })?;
        let (mut problems, mut others) = (Vec::new(), Vec::new());
        for bundle in &self.candidate.evidence.bundles {
            match roots.verify(self.candidate.bytes, self.candidate.manifest.as_ref(), bundle) {
                Ok(identity) if identity.is_among(wanted) => return Ok(Some(identity)),
                Ok(identity) => others.push(identity.to_string()),
                Err(problem) => problems.push(problem),
            }
        }
        let (section, wanted) = (self.section(), wanted.iter().map(ToString::to_string).collect());
        if !others.is_empty() {
            return Err(Refusal::OtherIdentity { identities: others, wanted, section });
        }
        if problems.is_empty() {
            let origin = self.candidate.origin.clone();
            return Err(Refusal::NoBundle { origin, wanted, section });
        }
        Err(Refusal::BadBundle { problems, wanted, section })
    }

    fn signers(&self) -> Result<&AllowedSigners, Refusal> {
        self.anchors.signers.as_ref().ok_or_else(|| Refusal::NoSigners { file: self.policy.file.clone() })
    }
}

fn section(policy: &EnvironmentPolicy, rules: &ModuleRules) -> String {
    let name = if rules.section == "*" { "\"*\"" } else { &rules.section };
    format!("`[environment.{name}]` in {}", policy.file)
}

fn admits_by(policy: &EnvironmentPolicy, rules: &ModuleRules, origin: &Origin) -> Result<(), Refusal> {
    match (origin, &rules.registries) {
        (Origin::File(file), _) if !rules.lets_files() => {
            let said = rules.files == Some(false);
            Err(Refusal::File { file: file.clone(), said, section: section(policy, rules) })
        }
        (Origin::Registry { registry, repository }, Some(allowed))
            if !allowed.iter().any(|prefix| prefix.covers(registry, repository)) =>
        {
            let allowed = allowed.iter().map(ToString::to_string).collect();
            let section = section(policy, rules);
            Err(Refusal::Registry { place: origin.to_string(), allowed, section })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
