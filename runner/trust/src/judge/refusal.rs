//! Why a module may not be used. Each reason has a message of its own and says what mends it.

use super::Origin;
use crate::{BundleProblem, SignatureError, StatementError};
use jiff::Timestamp;
use runner_model::Digest;

/// Why a module may not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not what the lock has.
    #[error("the module has the digest {found}, and {wanted} was accepted")]
    OtherBytes {
        /// The digest that was accepted.
        wanted: Digest,
        /// That of the bytes.
        found: Digest,
    },
    /// The operator has revoked it.
    #[error("the module {digest} is revoked by the operator's policy in {file}")]
    RevokedByOperator {
        /// The module.
        digest: Digest,
        /// The policy's file.
        file: String,
    },
    /// Somebody who may vet has revoked it.
    #[error("the module {digest} was revoked by {by} at {at}: {}", runner_model::text::shown(.reason))]
    RevokedModule {
        /// The module.
        digest: Digest,
        /// Who did.
        by: String,
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// Somebody who may has said something of it that this runner does not understand.
    #[error("{by} has signed a statement about the module ({}) that is not understood: {problem}", .id.short())]
    NotUnderstood {
        /// The statement.
        id: Digest,
        /// Who signed it.
        by: String,
        /// What is wrong with it.
        problem: Box<StatementError>,
    },
    /// There is more about it than anybody would look at.
    #[error("the module comes with {count} {what}, and at most {most} are looked at")]
    TooMuch {
        /// How many there are.
        count: usize,
        /// How many are looked at.
        most: usize,
        /// What they are.
        what: &'static str,
    },
    /// Modules may not come from files.
    #[error("the module comes from the file {}, and {section} {}", runner_model::text::shown(.file), why_no_file(.said))]
    File {
        /// The file.
        file: String,
        /// Whether the policy says so; else it follows from its registries.
        said: bool,
        /// The section of the policy.
        section: String,
    },
    /// Modules may not come from there.
    #[error("the module comes from {}, and {section} lets modules come from {} only", runner_model::text::shown(.place), places(.allowed))]
    Registry {
        /// The registry and the repository.
        place: String,
        /// Where they may come from.
        allowed: Vec<String>,
        /// The section of the policy.
        section: String,
    },
    /// The file of those who may sign was not read.
    #[error("nobody is known who may sign: {file} names no `allowed-signers`")]
    NoSigners {
        /// The policy's file.
        file: String,
    },
    /// Nobody signed it.
    #[error("the module is not signed, and {section} asks for a signature by {}", list(.wanted))]
    NotSigned {
        /// Where it comes from.
        origin: Origin,
        /// Who must have.
        wanted: Vec<String>,
        /// The section of the policy.
        section: String,
    },
    /// None of its signatures counts.
    #[error("no signature of the module counts: {}", each(.problems))]
    BadSignature {
        /// What is wrong with each.
        problems: Vec<SignatureError>,
        /// Who must have signed.
        wanted: Vec<String>,
        /// The section of the policy.
        section: String,
    },
    /// Others signed it.
    #[error("the module is signed by {}, and {section} asks for a signature by {}", .signers.join(" and "), list(.wanted))]
    OtherSigner {
        /// Who did.
        signers: Vec<String>,
        /// Who must have.
        wanted: Vec<String>,
        /// The section of the policy.
        section: String,
    },
    /// The roots of Sigstore were not read.
    #[error("no root of Sigstore is known: {file} names no `sigstore-root`")]
    NoRoots {
        /// The policy's file.
        file: String,
    },
    /// It has no bundle.
    #[error("the module has no bundle of Sigstore, and {section} asks for one by {}", list(.wanted))]
    NoBundle {
        /// Where it comes from.
        origin: Origin,
        /// Whom it must name.
        wanted: Vec<String>,
        /// The section of the policy.
        section: String,
    },
    /// None of its bundles counts.
    #[error("no bundle of Sigstore of the module counts: {}", each(.problems))]
    BadBundle {
        /// What is wrong with each.
        problems: Vec<BundleProblem>,
        /// Whom one must name.
        wanted: Vec<String>,
        /// The section of the policy.
        section: String,
    },
    /// They name others.
    #[error("the module's bundle of Sigstore is by {}, and {section} asks for one by {}", .identities.join(" and "), list(.wanted))]
    OtherIdentity {
        /// Whom they name.
        identities: Vec<String>,
        /// Whom one must name.
        wanted: Vec<String>,
        /// The section of the policy.
        section: String,
    },
    /// Nobody reviewed it.
    #[error("the module {digest} is not vetted, and {section} asks for a vetting by {}", list(.wanted))]
    NotVetted {
        /// The module.
        digest: Digest,
        /// Who must have.
        wanted: Vec<String>,
        /// The section of the policy.
        section: String,
    },
    /// None of its vettings counts.
    #[error("no vetting of the module counts: {}", vettings(.problems))]
    BadVetting {
        /// What is wrong with each.
        problems: Vec<(Digest, VettingProblem)>,
        /// Who must have reviewed it.
        wanted: Vec<String>,
        /// The section of the policy.
        section: String,
    },
}

/// Why a vetting does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VettingProblem {
    /// Its signature does not.
    #[error(transparent)]
    Signature(SignatureError),
    /// Somebody signed it who may not vet.
    #[error("it is signed by {signer}, who may not vet here")]
    Stranger {
        /// Who signed it.
        signer: String,
    },
    /// It is none.
    #[error(transparent)]
    Statement(StatementError),
    /// It names somebody else than who signed it.
    #[error("it says that `{reviewer}` reviewed the module, and is signed by {signer}")]
    OtherReviewer {
        /// Whom it names.
        reviewer: String,
        /// Who signed it.
        signer: String,
    },
    /// It is about something else.
    #[error("it is about another module: {of}")]
    OtherModule {
        /// The digest of that.
        of: Digest,
    },
    /// The operator has revoked it.
    #[error("it is revoked by the operator's policy in {file}")]
    RevokedByOperator {
        /// The policy's file.
        file: String,
    },
    /// It was taken back.
    #[error("it was revoked by {by} at {at}: {}", runner_model::text::shown(.reason))]
    Revoked {
        /// Who did.
        by: String,
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// Its time is over.
    #[error("it expired at {at}")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// Its time has not come.
    #[error("it is dated {at}, which is yet to come")]
    NotYet {
        /// When it says that the module was reviewed.
        at: Timestamp,
    },
}

impl Refusal {
    /// What mends it.
    pub fn hint(&self) -> String {
        match self {
            Self::OtherBytes { .. } => "fetch it again; if it is to be used, review it and run `runner lock`".to_owned(),
            Self::RevokedByOperator { file, .. } => {
                format!("use another version; only the operator can take it out of `revoked` in {file}")
            }
            Self::RevokedModule { .. } => "use another version of the module".to_owned(),
            Self::NotUnderstood { .. } => {
                "it could take back what was said before: use a newer runner, or ask who signed it".to_owned()
            }
            Self::TooMuch { .. } => "ask whoever keeps the module to tidy up what is attached to it; what this machine has seen \
                 is below registries/referrers of its cache"
                .to_owned(),
            Self::File { .. } => {
                "use it from a registry; or the operator would have to write `files = true` there".to_owned()
            }
            Self::Registry { .. } => {
                "copy it to where it may come from, with what is signed about it; or the operator would have to add the place"
                    .to_owned()
            }
            Self::NoSigners { .. } => "the operator would have to add it to `[trust]`".to_owned(),
            Self::NotSigned { origin, .. } => match origin {
                Origin::File(file) => format!(
                    "have one of them sign it: `ssh-keygen -Y sign -n runner-module -f KEY {file}` writes `{file}.sig` beside it",
                    file = runner_model::text::shown(file)
                ),
                _ => "have one of them sign it: `runner module sign`".to_owned(),
            },
            Self::BadSignature { problems, .. } => problems.first().map(SignatureError::hint).unwrap_or_default(),
            Self::OtherSigner { .. } => "have one of them sign it, or ask the operator to add who did".to_owned(),
            Self::NoRoots { .. } => "the operator would have to add it to `[trust]`".to_owned(),
            Self::NoBundle { origin, .. } => match origin {
                Origin::File(file) => format!(
                    "have one of them sign it: `cosign sign-blob --bundle {file}.sigstore.json {file}`",
                    file = runner_model::text::shown(file)
                ),
                _ => "have one of them sign it: `cosign sign`, or GitHub's `attest-build-provenance` with `push-to-registry`"
                    .to_owned(),
            },
            Self::BadBundle { problems, .. } => problems.first().map(BundleProblem::hint).unwrap_or_default(),
            Self::OtherIdentity { .. } => "have one of them sign it, or ask the operator to add who did".to_owned(),
            Self::NotVetted { .. } => "have one of them review it: `runner module vet`".to_owned(),
            Self::BadVetting { problems, .. } => {
                problems.first().map(|(_, problem)| problem.hint()).unwrap_or_default()
            }
        }
    }
}

impl VettingProblem {
    /// What mends it.
    pub fn hint(&self) -> String {
        match self {
            Self::Signature(error) => error.hint(),
            Self::Stranger { .. } => {
                "have somebody vet it who may, or ask the operator to add who did to `vetted-by`".to_owned()
            }
            Self::Statement(_) | Self::OtherReviewer { .. } | Self::OtherModule { .. } => {
                "have this very module vetted again: `runner module vet`".to_owned()
            }
            Self::RevokedByOperator { file } => {
                format!("have it vetted anew; only the operator can take it out of `revoked` in {file}")
            }
            Self::Revoked { .. } | Self::Expired { .. } => {
                "have it vetted anew: `runner module vet`".to_owned()
            }
            Self::NotYet { .. } => {
                "see whether the clocks of this machine and of the reviewer's are right".to_owned()
            }
        }
    }
}

fn why_no_file(said: &bool) -> &'static str {
    if *said { "has `files = false`" } else { "lets them come from its `registries` only" }
}

/// `a, b or c`, and `nobody`.
fn list(names: &[String]) -> String {
    match names {
        [] => "nobody".to_owned(),
        [one] => format!("`{one}`"),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(|name| format!("`{name}`")).collect();
            format!("{} or `{last}`", first.join(", "))
        }
    }
}

fn each(problems: &[impl ToString]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn vettings(problems: &[(Digest, VettingProblem)]) -> String {
    let each = problems.iter().map(|(id, problem)| format!("{}: {problem}", id.short()));
    each.collect::<Vec<_>>().join("; ")
}

fn places(allowed: &[String]) -> String {
    if allowed.is_empty() { "the runner".to_owned() } else { list(allowed) }
}
