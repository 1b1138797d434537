//! Holds what there is about a module against what a policy asks for, before the module is compiled.
//!
//! - The standard modules are a part of the runner: only `revoked` keeps one of them out.
//! - Each section of the policy that speaks of modules is asked by itself, and each key in it must be fulfilled.
//! - Of several signatures or vettings one good one is enough. What is wrong with the others is said only when none is good.
//! - Of several good vettings the newest one counts, so that a reviewer narrows a ceiling by a new vetting. Ceilings are
//!   never added up: nobody has reviewed what two of them allow together.
//! - A revocation counts when a principal that may vet signed it. Its key must be valid now, or have been so when it was
//!   signed: a warning does not lapse with the key of whoever gave it.

mod refusal;
mod vettings;

pub use refusal::{Refusal, VettingProblem};

use crate::{AllowedSigners, MODULE_NAMESPACE, SignatureError, Signed, Signer, Vetting};
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
    /// Vettings.
    pub vettings: Vec<Signed>,
    /// Revocations.
    pub revocations: Vec<Signed>,
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
    /// What there is about it.
    pub evidence: &'a Evidence,
}

/// A module that may be used.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trusted {
    /// Who signed it, of those who were asked for.
    pub signers: Vec<Signer>,
    /// The vettings that count, each with its id: one for each section that asks for one.
    pub vettings: Vec<(Digest, Vetting)>,
    /// What its steps may do at most: all of them count. They go into [`EnvironmentPolicy::ceilings`].
    pub ceilings: Vec<Ceiling>,
}

/// Whether a policy lets a module be used. `signers`: the file that `[trust] allowed-signers` names.
///
/// # Errors
/// The first thing that it does not fulfil.
pub fn judge(
    policy: &EnvironmentPolicy,
    signers: Option<&AllowedSigners>,
    candidate: &Candidate<'_>,
    now: Timestamp,
) -> Result<Trusted, Refusal> {
    let found = Digest::of(candidate.bytes);
    if found != candidate.digest {
        return Err(Refusal::OtherBytes { wanted: candidate.digest, found });
    }
    if policy.trust.revoked.contains(&candidate.digest) {
        return Err(Refusal::RevokedByOperator { digest: candidate.digest, file: policy.file.clone() });
    }
    if *candidate.origin == Origin::Builtin {
        return Ok(Trusted::default());
    }
    let evidence = candidate.evidence;
    for (count, what) in [
        (evidence.signatures.len(), "signatures"),
        (evidence.vettings.len(), "vettings"),
        (evidence.revocations.len(), "revocations"),
    ] {
        if count > MOST {
            return Err(Refusal::TooMuch { count, most: MOST, what });
        }
    }
    let mut trusted = Trusted::default();
    for rules in &policy.modules {
        Judge { policy, signers, candidate, now, rules }.judge(&mut trusted)?;
    }
    Ok(trusted)
}

/// One section of a policy, and a module.
struct Judge<'a> {
    policy: &'a EnvironmentPolicy,
    signers: Option<&'a AllowedSigners>,
    candidate: &'a Candidate<'a>,
    now: Timestamp,
    rules: &'a ModuleRules,
}

impl Judge<'_> {
    fn judge(&self, trusted: &mut Trusted) -> Result<(), Refusal> {
        self.origin()?;
        if let Some(signer) = self.signed()?
            && !trusted.signers.contains(&signer)
        {
            trusted.signers.push(signer);
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
        let name = &self.rules.section;
        let name = if name == "*" { "\"*\"" } else { name };
        format!("`[environment.{name}]` in {}", self.policy.file)
    }

    fn origin(&self) -> Result<(), Refusal> {
        let (section, origin) = (self.section(), self.candidate.origin.to_string());
        match (self.candidate.origin, &self.rules.registries) {
            (Origin::File(_), _) if !self.rules.lets_files() => {
                Err(Refusal::File { file: origin, said: self.rules.files == Some(false), section })
            }
            (Origin::Registry { registry, repository }, Some(allowed))
                if !allowed.iter().any(|prefix| prefix.covers(registry, repository)) =>
            {
                let allowed = allowed.iter().map(ToString::to_string).collect();
                Err(Refusal::Registry { place: origin, allowed, section })
            }
            _ => Ok(()),
        }
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

    fn signers(&self) -> Result<&AllowedSigners, Refusal> {
        self.signers.ok_or_else(|| Refusal::NoSigners { file: self.policy.file.clone() })
    }
}

#[cfg(test)]
mod tests;
