//! Why a bundle of Sigstore does not count. Each reason has a message of its own and says what mends it.

use runner_model::text::shown;

/// Why a bundle does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleProblem {
    /// It is none.
    #[error("this is no bundle of Sigstore: {}", shown(.why))]
    NoBundle {
        /// What is wrong with it.
        why: String,
    },
    /// Its signature, its certificate, its entry in a log or its timestamp does not count.
    #[error("the bundle of Sigstore does not count by {}: {}", shown(.file), shown(.why))]
    NotVerified {
        /// What is wrong with it.
        why: String,
        /// The file of the roots.
        file: String,
    },
    /// It is about something else.
    #[error(
        "the bundle of Sigstore is about something else: what was signed is not what is here, byte for byte"
    )]
    OtherModule,
    /// It is a statement that does not say whose the module is.
    #[error("the bundle of Sigstore says `{}` of the module, which is neither a signature nor where it was built", shown(.said))]
    SaysElse {
        /// The type of the statement's predicate.
        said: String,
    },
}

impl BundleProblem {
    /// What mends it.
    pub fn hint(&self) -> String {
        match self {
            Self::NoBundle { .. } => {
                "sign it again, with a tool that writes bundles: `cosign sign`, GitHub's `attest-build-provenance`"
                    .to_owned()
            }
            Self::NotVerified { file, .. } => format!(
                "if it was signed with another Sigstore, or its keys have changed since, the operator would have to renew {}",
                shown(file)
            ),
            Self::OtherModule => {
                "fetch both again from whom you trust; if they are right, have it signed again".to_owned()
            }
            Self::SaysElse { .. } => {
                "have it signed, or its build attested: `cosign sign`, GitHub's `attest-build-provenance`".to_owned()
            }
        }
    }
}
