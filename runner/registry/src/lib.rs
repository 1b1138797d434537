//! Modules in OCI registries, in the CNCF's layout for Wasm, so that `wkg` and `oras` read ours and we read theirs.
//!
//! A module is a manifest with one layer, the component. What is said about it (signatures, statements of a review) is
//! attached to that manifest as a referrer. Everything is named by its digest, and what does not have it is refused;
//! only a tag, and the list of referrers, are the registry's word.
//!
//! **Nothing that a registry answers is trusted.** Every answer has a limit of size and of time. A redirect, an upload
//! and a token service may be on another host, since that is how registries are built; what is sent there never has
//! the credentials of the registry (a token service gets them, as the protocol has it, over TLS alone), and no host may lead
//! to one that is nearer to this machine than itself: not from the internet into a private network, and from nowhere to a metadata service.
//!
//! **TLS** is verified with the authorities of this machine (`ca-certificates`, or what `SSL_CERT_FILE` and `SSL_CERT_DIR`
//! name) and those in [`Settings::authorities`]. A registry on a loopback address (`localhost`, `127.0.0.0/8`, `[::1]`) that
//! speaks no TLS is spoken to in plain HTTP, as Docker does; no other ever is. `HTTPS_PROXY` and `NO_PROXY` are respected.
//!
//! **Credentials** are those of Docker or Podman: see [`Credentials`].
//!
//! ```no_run
//! # async fn example() -> Result<(), runner_registry::Error> {
//! use runner_registry::{Client, Reference, Settings};
//! let client = Client::new(Settings::default())?;
//! let reference: Reference = "registry.example.org/ops/restart:1.2".parse()?;
//! let digest = client.resolve(&reference).await?;
//! let module = client.pull(reference.repository(), &digest).await?;
//! assert_eq!(module.manifest, digest);
//! # Ok(())
//! # }
//! ```

mod access;
mod cache;
mod client;
mod connection;
mod credentials;
mod error;
mod layout;
mod place;
mod referrers;
mod tls;

pub use cache::Cache;
pub use client::{Client, Overwrite, Pulled, Pushed, Settings};
pub use credentials::{Credentials, Source};
pub use error::Error;
pub use layout::{BadEpoch, Metadata, source_date_epoch};
pub use referrers::{Attached, Attachment, File, Referrer};
pub use runner_model::oci::{NotAReference, Reference, Repository, Tag};

/// The largest component that is pulled or pushed, in bytes.
pub const COMPONENT_MAX: u64 = 256 * 1024 * 1024;
/// The largest manifest, in bytes: what the specification asks registries to take.
pub const MANIFEST_MAX: u64 = 4 * 1024 * 1024;
/// The largest file of a referrer, in bytes.
pub const FILE_MAX: u64 = 1024 * 1024;
/// The most files of a referrer.
pub const FILES_MAX: usize = 4;
/// The most referrers of a manifest that are looked at.
pub const REFERRERS_MAX: usize = 1000;
/// The most tags of a repository that are listed.
pub const TAGS_MAX: usize = 100_000;
