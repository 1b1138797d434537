//! Bundles of Sigstore: who signed in, and where, says a short-lived certificate; that it happened then, a transparency log
//! or a timestamp. A bundle has all of it, so nobody is asked.
//!
//! The format is that of <https://docs.sigstore.dev/about/bundle/>. All arithmetic and all rules of the verification are
//! those of the crate `sigstore-verify`. What is decided here is what a bundle must be about, and what it must say of it.
//!
//! - The roots are the operator's: `[trust] sigstore-root` of the policy names their file, as `cosign trusted-root create`
//!   and `gh attestation trusted-root` write it. Nothing is fetched, and none is built in: a root that is not renewed
//!   would be believed for as long as the runner is.
//! - A root that names logs wants an entry in one of them, and certificates that were logged. One without logs (GitHub's for
//!   private repositories) wants a timestamp of its authority.
//! - A bundle signs the component (`cosign sign-blob`), or is a statement about the component or about its manifest in a
//!   registry (`cosign sign`, `gh attestation`, GitHub's `attest-build-provenance`).

mod crypto;
mod problem;

pub use problem::BundleProblem;

use runner_model::diagnostic::{Code, Problem};
use runner_model::policy::SigstoreIdentity;
use runner_model::source::{Source, Span};
use runner_model::{Digest, Problems};
use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::{Artifact, Bundle, Sha256Hash, SignatureContent};
use sigstore_verify::{Error, VerificationPolicy, Verifier};
use std::fmt;

/// What a statement may say of a module: that it was signed, or where it was built. Others, such as a scan's result, say
/// nothing about whose it is.
const SAID: [&str; 3] = [
    "https://sigstore.dev/cosign/sign/v1",
    "https://slsa.dev/provenance/v1",
    "https://slsa.dev/provenance/v0.2",
];

/// Whose certificates, logs and timestamps are believed.
pub struct SigstoreRoots {
    file: String,
    roots: Vec<Root>,
}

struct Root {
    verifier: Verifier,
    policy: VerificationPolicy,
}

/// Whom a bundle that counts names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The URL of the OpenID Connect issuer where they signed in.
    pub issuer: String,
    /// Their name there: an e-mail address, or the URL of a workflow.
    pub name: String,
}

impl Identity {
    /// Whether it is one of these.
    pub(crate) fn is_among(&self, wanted: &[SigstoreIdentity]) -> bool {
        wanted.iter().any(|wanted| wanted.covers(&self.issuer, &self.name))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = runner_model::text::shown;
        write!(f, "{} of {}", shown(&self.name), shown(&self.issuer))
    }
}

impl SigstoreRoots {
    /// Reads a file of trusted roots: one JSON document, or several one after the other.
    ///
    /// # Errors
    /// The file is no such list, with the place; or a root of it has keys or certificates that make no sense.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Problems> {
        const HINT: &str = "`cosign trusted-root create` and `gh attestation trusted-root` write it";
        // Whoever came first installed the same.
        let _ = sigstore_verify::crypto::install_default_provider(&crypto::Provider);
        let source = Source::from_bytes(file, bytes)?;
        let wrong = |start: usize, message: String| -> Problems {
            let span = Span { start, end: start };
            Problem::at(Code::BadValue, &source, span, message).hint(HINT).into()
        };
        let mut documents = serde_json::Deserializer::from_str(source.text()).into_iter::<TrustedRoot>();
        let mut roots = Vec::new();
        loop {
            let start = documents.byte_offset();
            let Some(root) = documents.next() else { break };
            let root = root.map_err(|error| {
                let said = error.to_string();
                let said = said.split(" at line ").next().unwrap_or_default();
                let at = source.offset_of(error.line(), error.column());
                wrong(at, format!("this is no trusted root of Sigstore: {said}"))
            })?;
            let verifier = Verifier::new(&root)
                .map_err(|error| wrong(start, format!("the trusted root cannot be used: {error}")))?;
            let mut policy = VerificationPolicy::any_identity();
            if root.tlogs.is_empty() {
                policy = policy.skip_tlog_unsafe();
            }
            if root.ctlogs.is_empty() {
                policy = policy.skip_sct();
            }
            roots.push(Root { verifier, policy });
        }
        if roots.is_empty() {
            return Err(wrong(0, "there is no trusted root of Sigstore in it".to_owned()));
        }
        Ok(Self { file: file.to_owned(), roots })
    }

    /// Whom a bundle names that is about this component, or about the manifest that it has in a registry.
    ///
    /// # Errors
    /// The bundle does not count.
    pub fn verify(
        &self,
        component: &[u8],
        manifest: Option<&Digest>,
        bundle: &[u8],
    ) -> Result<Identity, BundleProblem> {
        let none = |why: String| BundleProblem::NoBundle { why };
        let text = std::str::from_utf8(bundle).map_err(|_| none("it is not UTF-8".to_owned()))?;
        let bundle = Bundle::from_json(text).map_err(|error| none(error.to_string()))?;
        let mut problems = Vec::new();
        for root in &self.roots {
            match root.verify(component, manifest, &bundle) {
                Ok(identity) => {
                    return match says(&bundle) {
                        Some(said) if !SAID.contains(&said.as_str()) => Err(BundleProblem::SaysElse { said }),
                        _ => Ok(identity),
                    };
                }
                Err(problem) => problems.push(problem),
            }
        }
        let file = self.file.clone();
        match problems.iter().any(|error| matches!(error, Error::ArtifactMismatch(_))) {
            true => Err(BundleProblem::OtherModule),
            false => {
                let why = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                Err(BundleProblem::NotVerified { why, file })
            }
        }
    }
}

impl Root {
    fn verify(
        &self,
        component: &[u8],
        manifest: Option<&Digest>,
        bundle: &Bundle,
    ) -> Result<Identity, Error> {
        let verify = |artifact: Artifact<'_>| self.verifier.verify(artifact, bundle, &self.policy);
        let verified = match (verify(Artifact::from(component)), manifest) {
            (Err(Error::ArtifactMismatch(_)), Some(manifest)) => {
                verify(Artifact::from(Sha256Hash::from_hex(&manifest.hex())?))
            }
            (verified, _) => verified,
        }?;
        let missing = |what: &str| Error::InvalidBundle(format!("its certificate names no {what}"));
        Ok(Identity {
            issuer: verified.issuer().ok_or_else(|| missing("issuer"))?.to_owned(),
            name: verified.identity().ok_or_else(|| missing("identity"))?.as_str().to_owned(),
        })
    }
}

/// What kind of thing a statement says; `None`: the bundle is a signature.
fn says(bundle: &Bundle) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Statement {
        #[serde(rename = "predicateType", default)]
        predicate_type: String,
    }
    match &bundle.content {
        SignatureContent::MessageSignature(_) => None,
        SignatureContent::DsseEnvelope(envelope) => {
            let statement = serde_json::from_slice::<Statement>(envelope.payload.as_bytes());
            Some(statement.map(|statement| statement.predicate_type).unwrap_or_default())
        }
        _ => Some(String::new()),
    }
}

#[cfg(test)]
mod tests;
