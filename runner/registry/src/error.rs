//! What can go wrong with a registry. Each has a message of its own and what mends it.
//!
//! What a registry said is a part of many messages: it is cut, and nothing in it can reach a terminal as a control
//! character.

use crate::credentials::Source;
use runner_model::Digest;
use runner_model::oci::{NotAReference, Repository, Tag};
use runner_model::text::shown;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How much of what a registry said is shown.
const SAID: usize = 300;

/// Why something could not be pulled, pushed or asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Text that does not name a module in a registry.
    #[error(transparent)]
    NotAReference(#[from] NotAReference),
    /// The registry has no such thing.
    #[error("`{repository}` has no {what}{said}")]
    Unknown {
        /// Where it was looked for.
        repository: Repository,
        /// What: "tag `1.2`".
        what: String,
        /// What the registry said.
        said: String,
    },
    /// The registry wants other credentials than there are.
    #[error("`{registry}` does not let us {action} `{path}` {source_of}{said}", source_of = .credentials)]
    Unauthorized {
        /// Who refused.
        registry: String,
        /// In which repository.
        path: String,
        /// "pull from" or "push to".
        action: &'static str,
        /// Which credentials were used, and where they are from.
        credentials: Box<Source>,
        /// What the registry said.
        said: String,
    },
    /// Credentials are configured, and cannot be had.
    #[error("read the credentials for `{registry}`: {why}")]
    Credentials {
        /// For whom.
        registry: String,
        /// What is wrong, and where.
        why: String,
        /// What mends it.
        mend: String,
    },
    /// The server is not proven to be the one that it claims to be.
    #[error("connect to `{host}`: its certificate is not trusted: {why}")]
    Tls {
        /// The server.
        host: String,
        /// What the verification said.
        why: String,
    },
    /// The server does not speak TLS, and is not on this machine.
    #[error("connect to `{host}`: it does not speak TLS{why}")]
    PlainHttp {
        /// The server.
        host: String,
        /// More about it.
        why: String,
    },
    /// Authorities that are named cannot be read.
    #[error("read the authorities of `{}`: {why}", path_of(.path))]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Nobody answers.
    #[error("connect to `{host}`: {why}")]
    Unreachable {
        /// The server.
        host: String,
        /// Why.
        why: String,
    },
    /// It takes too long.
    #[error("wait for `{host}`: {what} within {} s", .after.as_secs())]
    Timeout {
        /// The server.
        host: String,
        /// What did not come.
        what: String,
        /// How long was waited.
        after: Duration,
    },
    /// It is larger than is taken.
    #[error("{what} has {}, and at most {limit} are taken", size(.of))]
    TooLarge {
        /// What it is.
        what: String,
        /// How many bytes it has, where that is known.
        of: Option<u64>,
        /// How many it may have.
        limit: u64,
    },
    /// More is to be attached at once than is taken.
    #[error("attach {of} files at once: at most {} are taken", crate::FILES_MAX)]
    TooManyFiles {
        /// How many there are.
        of: usize,
    },
    /// The manifest that came is not the one that was asked for.
    #[error(
        "`{repository}` answers with another manifest than was asked for: wanted `{wanted}`, got `{found}`"
    )]
    ManifestDiffers {
        /// Where it was asked for.
        repository: Repository,
        /// The digest that was asked for.
        wanted: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// A layer that came is not the one that the manifest names.
    #[error("`{repository}` answers with another {what} than its manifest names: {why}")]
    LayerDiffers {
        /// Where it was asked for.
        repository: Repository,
        /// "component" or "file".
        what: &'static str,
        /// What differs.
        why: String,
    },
    /// It is something, and not a module.
    #[error("`{repository}@{manifest}` is not a module: {why}")]
    NotAModule {
        /// Where it is.
        repository: Repository,
        /// What it is.
        manifest: Digest,
        /// What is different.
        why: String,
    },
    /// It is something, and not attached to the manifest that was asked for.
    #[error("`{repository}@{referrer}` is not attached to `{subject}`: {why}")]
    NotAttached {
        /// Where it is.
        repository: Repository,
        /// What it is.
        referrer: Digest,
        /// What it should be attached to.
        subject: Digest,
        /// What is different.
        why: Box<str>,
    },
    /// The registry does not speak as registries do.
    #[error("`{host}` answers with {what} that makes no sense: {why}")]
    BadAnswer {
        /// Who.
        host: String,
        /// What was expected, with its article.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The registry leads to a place where it may not lead.
    #[error("`{host}` leads {what} to `{}`, {why}", shown(.place))]
    Elsewhere {
        /// The registry.
        host: String,
        /// "a download", "an upload", "a token request".
        what: &'static str,
        /// Where it leads.
        place: String,
        /// Why it may not.
        why: String,
    },
    /// The tag names something else than it did.
    #[error("tag `{tag}` of `{repository}` was moved: it named `{was}`, and names `{is}` now")]
    TagMoved {
        /// Where.
        repository: Repository,
        /// Which tag.
        tag: Tag,
        /// What is expected.
        was: Digest,
        /// What the registry says now.
        is: Digest,
    },
    /// The tag is in use for another module.
    #[error("tag `{tag}` of `{repository}` names another module already: `{is}`; this one is `{ours}`")]
    TagTaken {
        /// Where.
        repository: Repository,
        /// Which tag.
        tag: Tag,
        /// What it names.
        is: Digest,
        /// What was to be pushed.
        ours: Digest,
    },
    /// Somebody else wrote the list of referrers, again and again.
    #[error(
        "attach to `{repository}@{subject}`: others change the list of what is attached at the same time"
    )]
    Contended {
        /// Where.
        repository: Repository,
        /// To what.
        subject: Digest,
    },
    /// The registry refuses for a reason of its own.
    #[error("`{host}` refuses to {action} `{path}`: HTTP {status}{said}")]
    Refused {
        /// Who.
        host: String,
        /// "pull from" or "push to".
        action: &'static str,
        /// In which repository.
        path: String,
        /// The status of the answer.
        status: u16,
        /// What the registry said.
        said: String,
    },
    /// It is not in the cache, and the registry is not to be asked.
    #[error("`{what}` is not in the cache, and this is offline")]
    Offline {
        /// What is missing.
        what: String,
    },
    /// The cache cannot be used.
    #[error("keep what registries answer: {why}")]
    Cache {
        /// Why.
        why: String,
        /// What mends it.
        mend: String,
    },
}

fn path_of(path: &Path) -> String {
    shown(&path.to_string_lossy()).into_owned()
}

fn size(of: &Option<u64>) -> String {
    of.map_or_else(|| "more bytes".to_owned(), |bytes| format!("{bytes} bytes"))
}

/// What somebody said, as the end of a message: on one line, harmless, cut.
pub(crate) fn said(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() { String::new() } else { format!(": {}", line(text)) }
}

/// Text of a stranger as one harmless line.
pub(crate) fn line(text: &str) -> String {
    let cut: String = text.chars().take(SAID).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{more}", shown(&cut))
}

impl Error {
    /// Whether something that a registry has makes no sense or is gone, so that asking again does not help; and not that the
    /// registry, the network or this machine fails.
    pub fn is_of_the_content(&self) -> bool {
        matches!(
            self,
            Self::Unknown { .. }
                | Self::TooLarge { .. }
                | Self::ManifestDiffers { .. }
                | Self::LayerDiffers { .. }
                | Self::NotAttached { .. }
        )
    }

    /// What helps to mend it; empty when there is nothing to say.
    pub fn mend(&self) -> String {
        match self {
            Self::NotAReference(error) => error.mend.clone(),
            Self::Credentials { mend, .. } | Self::Cache { mend, .. } => mend.clone(),
            Self::Unknown { .. } => {
                "check the name and the tag; some registries hide what one may not see: `docker login`".to_owned()
            }
            Self::Unauthorized { registry, .. } => {
                format!("log in: `docker login {registry}` (or `podman login`, `oras login`); or there is no such repository")
            }
            Self::Tls { .. } => "if the registry's authority is one of your own, name its certificate in `SSL_CERT_FILE` \
                 (a PEM file, with all others that are needed), or add it to this machine's `ca-certificates`"
                .to_owned(),
            Self::PlainHttp { .. } => {
                "only registries on loopback addresses are spoken to without TLS: put a certificate on it, or forward a \
                 local port to it (`ssh -L`)"
                    .to_owned()
            }
            Self::Authorities { .. } => "it must be a file of certificates in PEM".to_owned(),
            Self::Unreachable { .. } => {
                "check the name, the network and `HTTPS_PROXY`; what is in the cache needs no network".to_owned()
            }
            Self::Timeout { .. } => "try again; the registry or the network is slow".to_owned(),
            Self::ManifestDiffers { .. } | Self::LayerDiffers { .. } => {
                "do not use it: it was changed in the registry or on the way. Ask who runs the registry, and push it again \
                 from where it was built"
                    .to_owned()
            }
            Self::NotAModule { .. } => {
                "a module is one component (`application/wasm`), as `runner module push`, `wkg oci push` or \
                 `oras push NAME.wasm:application/wasm` write it"
                    .to_owned()
            }
            Self::TagMoved { repository, was, .. } => format!(
                "somebody pushed another module under this tag. Look at what changed; `{repository}@{was}` is still the old \
                 one. To take the new one, `runner lock --update --allow-moved`"
            ),
            Self::TagTaken { .. } => {
                "push it under a tag of its own (a new version), or say that the tag is to be moved".to_owned()
            }
            Self::Contended { .. } => "try again".to_owned(),
            Self::Refused { status: 429, .. } => "wait, or log in: registries give more to users they know".to_owned(),
            Self::Refused { status: 500.., .. } => "try again later".to_owned(),
            Self::Offline { .. } => "run once with a network, which fills the cache".to_owned(),
            Self::Elsewhere { .. } => {
                "a registry leads elsewhere only over TLS, and not to a network that is nearer to this machine than its \
                 own: ask who runs it"
                    .to_owned()
            }
            Self::TooManyFiles { .. } => "attach them in parts".to_owned(),
            Self::TooLarge { .. } | Self::BadAnswer { .. } | Self::NotAttached { .. } | Self::Refused { .. } => {
                String::new()
            }
        }
    }

    pub(crate) fn bad_answer(host: &str, what: &str, why: impl std::fmt::Display) -> Self {
        Self::BadAnswer { host: host.to_owned(), what: what.to_owned(), why: line(&why.to_string()) }
    }
}
