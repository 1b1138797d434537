//! Holds modules against the operator's policy, with the files that the policy names.

use super::{read_or, shown};
use crate::cli::fail::Fail;
use crate::module::load::LoadError;
use crate::module::source::{Origin, Source};
use jiff::Timestamp;
use runner_model::policy::{Ceiling, EnvironmentPolicy};
use runner_trust::{AllowedSigners, Candidate, Evidence, Signed, Trusted};
use std::path::{Path, PathBuf};

/// Judges by one policy.
pub(crate) struct Judge<'a> {
    policy: Option<&'a EnvironmentPolicy>,
    signers: Option<AllowedSigners>,
}

impl<'a> Judge<'a> {
    /// Reads the signers that the policy names.
    ///
    /// # Errors
    /// Everything that is wrong with their file.
    pub(crate) fn new(policy: Option<&'a EnvironmentPolicy>) -> Result<Self, Fail> {
        let named = policy.and_then(|policy| Some((policy, policy.trust.allowed_signers.as_ref()?)));
        let signers = named.map(|(policy, file)| {
            let folder = Path::new(&policy.file).parent().map(Path::to_owned).unwrap_or_default();
            let file = folder.join(file);
            let mend = format!("`allowed-signers` in {} names it", policy.file);
            Ok::<_, Fail>(AllowedSigners::parse(&shown(&file), &read_or(&file, &mend)?)?)
        });
        Ok(Self { policy, signers: signers.transpose()? })
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
            Origin::Registry { repository, .. } => runner_trust::Origin::Registry {
                registry: repository.registry().to_owned(),
                repository: repository.path().to_owned(),
            },
        };
        let candidate =
            Candidate { origin: &origin, digest: source.digest, bytes: &source.bytes, evidence: &evidence };
        let trusted = runner_trust::judge(policy, self.signers.as_ref(), &candidate, Timestamp::now());
        trusted.map(Some).map_err(|refusal| LoadError::Refused(Box::new(refusal)))
    }
}

/// What lies beside a component: `FILE.sig`, and `FILE.vetting.json` with its own `.sig`.
pub(super) fn beside(file: &Path) -> Evidence {
    let mut evidence = Evidence::default();
    evidence.signatures.extend(small(&with(file, ".sig")));
    let statement = with(file, ".vetting.json");
    if let (Some(text), Some(signature)) = (small(&statement), small(&with(&statement, ".sig"))) {
        crate::module::fetch::add_statement(&mut evidence, Signed { statement: text, signature });
    }
    evidence
}

/// The file with something behind its name.
pub(crate) fn with(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// A file that is there and can be read; one that cannot is as good as none.
fn small(file: &Path) -> Option<Vec<u8>> {
    super::read(file).ok()
}
