//! Why a signature does not count. Each has a message of its own and says what mends it.

use crate::signers::Place;
use jiff::Timestamp;

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is no signature by an SSH key.
    #[error("this is not a signature: {why}")]
    NoSignature {
        /// What is wrong with it.
        why: String,
    },
    /// Its end is missing.
    #[error("the signature is cut off: its last line is missing")]
    Cut,
    /// It was made for something else.
    #[error("the signature was made for `{}`, and here one for `{wanted}` is needed", .found.escape_debug())]
    Namespace {
        /// The namespace in it.
        found: String,
        /// The namespace that is needed.
        wanted: String,
    },
    /// It is over other bytes.
    #[error("the signature by {who} does not fit: what was signed is not what is here, byte for byte")]
    Tampered {
        /// Whose key it is, and its fingerprint.
        who: String,
    },
    /// The key is in no line of the file.
    #[error("the signature was made with the key {fingerprint}, which {file} does not have")]
    Stranger {
        /// The fingerprint of the key.
        fingerprint: String,
        /// The file of those who may sign.
        file: String,
    },
    /// The key's time is over.
    #[error("the key of {who} has not been valid since {since} ({place})")]
    Expired {
        /// Whose key it is, and its fingerprint.
        who: String,
        /// When its time was over.
        since: Timestamp,
        /// The line that says so.
        place: Place,
    },
    /// The key's time has not come.
    #[error("the key of {who} is not valid before {from} ({place})")]
    NotYetValid {
        /// Whose key it is, and its fingerprint.
        who: String,
        /// When it begins to be.
        from: Timestamp,
        /// The line that says so.
        place: Place,
    },
    /// The key may not sign such things.
    #[error("the key of {who} may sign for `{allowed}` only, and not for `{namespace}` ({place})")]
    NotForThis {
        /// Whose key it is, and its fingerprint.
        who: String,
        /// What was signed for.
        namespace: String,
        /// What it may sign for.
        allowed: String,
        /// The line that says so.
        place: Place,
    },
    /// The key of an authority signed, and not a key that it certified.
    #[error(
        "the signature was made with the key of an authority for certificates, which can sign nothing else ({place})"
    )]
    Authority {
        /// The line that says so.
        place: Place,
    },
    /// The certificate of the key does not count.
    #[error("the certificate of the key {fingerprint} does not count: {why}")]
    Certificate {
        /// The fingerprint of the key.
        fingerprint: String,
        /// What is wrong with it.
        why: String,
    },
    /// A security key signed by itself.
    #[error(
        "the signature by {who} was made without touching the security key: whoever had the machine could make it"
    )]
    Untouched {
        /// Whose key it is, and its fingerprint.
        who: String,
    },
    /// A kind of signature that cannot be verified.
    #[error("a signature of the kind `{}` cannot be verified", .kind.escape_debug())]
    Unsupported {
        /// The kind.
        kind: String,
    },
}

impl SignatureError {
    /// What mends it.
    pub fn hint(&self) -> String {
        match self {
            Self::NoSignature { .. } | Self::Cut => "sign it again, and fetch the signature whole".to_owned(),
            Self::Namespace { wanted, .. } => format!("sign with `ssh-keygen -Y sign -n {wanted}`"),
            Self::Tampered { .. } => {
                "fetch both again from whom you trust; if they are right, have it signed again".to_owned()
            }
            Self::Stranger { file, .. } => {
                format!("find out whose key it is; the operator adds who may sign to {file}")
            }
            Self::Expired { .. } => {
                "have it signed with a key that is valid, or ask the operator for a later `valid-before`"
                    .to_owned()
            }
            Self::NotYetValid { .. } => {
                "wait until then, or ask the operator for an earlier `valid-after`".to_owned()
            }
            Self::NotForThis { namespace, .. } => {
                format!("the operator would have to add `{namespace}` to `namespaces` in that line")
            }
            Self::Authority { .. } => {
                "sign with a key that the authority has certified, or list this one without `cert-authority`"
                    .to_owned()
            }
            Self::Certificate { .. } => "have the authority certify the key anew".to_owned(),
            Self::Untouched { .. } => "sign with a key that was made without `no-touch-required`".to_owned(),
            Self::Unsupported { .. } => {
                "sign with a key of type ed25519, ecdsa or rsa, or one of a security key".to_owned()
            }
        }
    }
}
