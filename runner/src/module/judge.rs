//! Holds modules against the operator's policy, with the files that the policy names.

use super::load::LoadError;
use super::source::{Origin, Source};
use crate::written::{read_or, shown};
use jiff::Timestamp;
use runner_model::oci::Repository;
use runner_model::policy::EnvironmentPolicy;
use runner_model::{ModuleRef, Problems};
use runner_trust::{AllowedSigners, Anchors, Candidate, Evidence, SigstoreRoots, Trusted};
use std::path::Path;

/// Judges by one policy.
pub struct Judge<'a> {
    policy: Option<&'a EnvironmentPolicy>,
    anchors: Anchors,
}

impl<'a> Judge<'a> {
    /// Reads the files that the policy names.
    ///
    /// # Errors
    /// Everything that is wrong with one of them.
    pub fn new(policy: Option<&'a EnvironmentPolicy>) -> Result<Self, Problems> {
        let Some(asked) = policy else { return Ok(Self { policy, anchors: Anchors::default() }) };
        let folder = Path::new(&asked.file).parent().unwrap_or(Path::new(""));
        let read = |key: &str, file: &String| {
            let file = folder.join(file);
            let bytes = read_or(&file, &format!("`{key}` in {} names it", asked.file))?;
            Ok::<_, Problems>((shown(&file), bytes))
        };
        let signers = asked.trust.allowed_signers.as_ref().map(|file| {
            let (file, bytes) = read("allowed-signers", file)?;
            AllowedSigners::parse(&file, &bytes)
        });
        let roots = asked.trust.sigstore_root.as_ref().map(|file| {
            let (file, bytes) = read("sigstore-root", file)?;
            SigstoreRoots::parse(&file, &bytes)
        });
        let anchors = Anchors { signers: signers.transpose()?, roots: roots.transpose()? };
        Ok(Self { policy, anchors })
    }

    /// Whether modules may come from where this one is, before anybody is asked for it. `plan`: the folder that paths are
    /// relative to.
    pub fn admits(&self, reference: &ModuleRef, plan: &Path) -> Result<(), LoadError> {
        let Some(policy) = self.policy else { return Ok(()) };
        let origin = match reference {
            ModuleRef::Builtin(_) => runner_trust::Origin::Builtin,
            ModuleRef::Path(path) => runner_trust::Origin::File(shown(&plan.join(path))),
            ModuleRef::Oci(module) => of_registry(&module.repository),
        };
        runner_trust::admits(policy, &origin).map_err(|refusal| LoadError::Refused(Box::new(refusal)))
    }

    /// Whether what others say of a module decides anything.
    pub fn wants_evidence(&self) -> bool {
        let asks = |policy: &EnvironmentPolicy| policy.modules.iter().any(|rules| rules.wants_evidence());
        self.policy.is_some_and(asks)
    }

    /// Who answers for a module that may be used; `None`: there is no policy.
    pub fn trusted(&self, source: &Source, evidence: &Evidence) -> Result<Option<Trusted>, LoadError> {
        let Some(policy) = self.policy else { return Ok(None) };
        let origin = match &source.origin {
            Origin::Builtin => runner_trust::Origin::Builtin,
            Origin::File(file) => runner_trust::Origin::File(shown(file)),
            Origin::Registry { repository, .. } => of_registry(repository),
        };
        let candidate = Candidate {
            origin: &origin,
            digest: source.digest,
            bytes: &source.bytes,
            manifest: source.pinned().map(|pinned| pinned.manifest),
            evidence,
        };
        let trusted = runner_trust::judge(policy, &self.anchors, &candidate, Timestamp::now());
        trusted.map(Some).map_err(|refusal| LoadError::Refused(Box::new(refusal)))
    }
}

fn of_registry(repository: &Repository) -> runner_trust::Origin {
    runner_trust::Origin::Registry {
        registry: repository.registry().to_owned(),
        repository: repository.path().to_owned(),
    }
}
