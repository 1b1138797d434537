//! Holds modules against the operator's policy, with the files that the policy names.

use super::{read_or, shown};
use crate::cli::fail::Fail;
use crate::module::load::LoadError;
use crate::module::source::{Origin, Source};
use jiff::Timestamp;
use runner_model::ModuleRef;
use runner_model::oci::Repository;
use runner_model::policy::{Ceiling, EnvironmentPolicy};
use runner_trust::{AllowedSigners, Anchors, Candidate, Evidence, Signed, SigstoreRoots, Trusted};
use std::path::{Path, PathBuf};

/// Judges by one policy.
pub(crate) struct Judge<'a> {
    policy: Option<&'a EnvironmentPolicy>,
    anchors: Anchors,
}

impl<'a> Judge<'a> {
    /// Reads the files that the policy names.
    ///
    /// # Errors
    /// Everything that is wrong with one of them.
    pub(crate) fn new(policy: Option<&'a EnvironmentPolicy>) -> Result<Self, Fail> {
        let Some(asked) = policy else { return Ok(Self { policy, anchors: Anchors::default() }) };
        let folder = Path::new(&asked.file).parent().unwrap_or(Path::new(""));
        let read = |key: &str, file: &String| -> Result<_, Fail> {
            let file = folder.join(file);
            let bytes = read_or(&file, &format!("`{key}` in {} names it", asked.file))?;
            Ok((shown(&file), bytes))
        };
        let signers = asked.trust.allowed_signers.as_ref().map(|file| -> Result<_, Fail> {
            let (file, bytes) = read("allowed-signers", file)?;
            Ok(AllowedSigners::parse(&file, &bytes)?)
        });
        let roots = asked.trust.sigstore_root.as_ref().map(|file| -> Result<_, Fail> {
            let (file, bytes) = read("sigstore-root", file)?;
            Ok(SigstoreRoots::parse(&file, &bytes)?)
        });
        let anchors = Anchors { signers: signers.transpose()?, roots: roots.transpose()? };
        Ok(Self { policy, anchors })
    }

    /// Whether modules may come from where this one is, before anybody is asked for it. `plan`: the folder that paths are
    /// relative to.
    pub(super) fn admits(&self, reference: &ModuleRef, plan: &Path) -> Result<(), LoadError> {
        let Some(policy) = self.policy else { return Ok(()) };
        let origin = match reference {
            ModuleRef::Builtin(_) => runner_trust::Origin::Builtin,
            ModuleRef::Path(path) => runner_trust::Origin::File(shown(&plan.join(path))),
            ModuleRef::Oci(module) => of_registry(&module.repository),
        };
        runner_trust::admits(policy, &origin).map_err(|refusal| LoadError::Refused(Box::new(refusal)))
    }

    /// Whether what others say of a module decides anything.
    pub(crate) fn wants_evidence(&self) -> bool {
        let asks = |policy: &EnvironmentPolicy| policy.modules.iter().any(|rules| rules.wants_evidence());
        self.policy.is_some_and(asks)
    }

    /// What reviews let a module do at most, if it may be used at all.
    pub(super) fn judge(&self, source: &Source, evidence: Evidence) -> Result<Vec<Ceiling>, LoadError> {
        Ok(self.trusted(source, evidence)?.map(|trusted| trusted.ceilings).unwrap_or_default())
    }

    /// Who answers for a module that may be used; `None`: there is no policy.
    pub(crate) fn trusted(&self, source: &Source, evidence: Evidence) -> Result<Option<Trusted>, LoadError> {
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
            evidence: &evidence,
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

/// What lies beside a component: `FILE.sig`, `FILE.sigstore.json`, and `FILE.vetting.json` with its own `.sig`.
pub(super) fn beside(file: &Path) -> Result<Evidence, LoadError> {
    let mut evidence = Evidence::default();
    evidence.signatures.extend(small(&with(file, ".sig"))?);
    evidence.bundles.extend(small(&with(file, ".sigstore.json"))?);
    let statement = with(file, ".vetting.json");
    if let (Some(text), Some(signature)) = (small(&statement)?, small(&with(&statement, ".sig"))?) {
        crate::module::fetch::add_statement(&mut evidence, Signed { statement: text, signature });
    }
    Ok(evidence)
}

/// The file with something behind its name.
pub(crate) fn with(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// A file that is there.
fn small(file: &Path) -> Result<Option<Vec<u8>>, LoadError> {
    match file.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        _ => super::read(file).map(Some).map_err(|problems| LoadError::Beside { why: problems.plain() }),
    }
}
