//! Whether a module may be used at all: who signed it, who reviewed it, and what the operator's policy asks for.
//!
//! Everything here works on bytes that somebody else fetched, and on rules that somebody else read: there is no network
//! and no wasm. All of it is judged before a component is compiled.
//!
//! - [`AllowedSigners`] reads the file that ssh-keygen(1) calls ALLOWED SIGNERS and verifies signatures of SSH keys.
//! - [`sign`] makes such signatures with the system's `ssh-keygen`, so that agents, passphrases and security keys work.
//! - [`Vetting`] and [`Revocation`] are statements about a module: reviewed, with a ceiling; and taken back.
//! - [`SigstoreRoots`] verifies bundles of Sigstore, without asking anybody.
//! - [`judge`] holds what there is about a module against the rules of an environment.

mod judge;
mod pem;
mod sign;
mod signature_error;
mod signers;
mod sigstore;
mod statement;
#[cfg(test)]
mod testing;

pub use judge::{Anchors, Candidate, Evidence, Origin, Refusal, Trusted, VettingProblem, admits, judge};
pub use sign::{SignError, sign};
pub use signature_error::SignatureError;
pub use signers::{AllowedSigners, Place, Signer};
pub use sigstore::{BundleProblem, Identity, SigstoreRoots};
pub use statement::{Revocation, Signed, Statement, StatementError, Vetting};

/// What a module's signature is over: the component's bytes. `ssh-keygen -Y sign -n runner-module -f KEY greet.wasm`
pub const MODULE_NAMESPACE: &str = "runner-module";

/// What a vetting's or a revocation's signature is over: the bytes of the statement.
pub const VETTING_NAMESPACE: &str = "runner-vetting";
