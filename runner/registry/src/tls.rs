//! TLS, and what its failures mean.

use crate::error::Error;
use crate::place::{Guard, Nearer};
use reqwest::{Certificate, Client, redirect};
use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Duration;

/// The clients that speak to one registry, and to where it leads.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) secure: Client,
    /// For a registry on this machine.
    pub(crate) plain: Client,
}

impl Clients {
    pub(crate) fn new(guard: &Guard, authorities: &[PathBuf], connect: Duration) -> Result<Self, Error> {
        // Whoever came first has installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            Client::builder()
                // Redirects are judged one by one.
                .redirect(redirect::Policy::none())
                .referer(false)
                .connect_timeout(connect)
                .dns_resolver(guard.clone())
                .user_agent(concat!("runner/", env!("CARGO_PKG_VERSION")))
        };
        let mut extra = Vec::new();
        for path in authorities {
            let fail = |why: String| Error::Authorities { path: path.clone(), why };
            let pem = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
            let found = Certificate::from_pem_bundle(&pem).map_err(|error| fail(root(&error).to_string()))?;
            if found.is_empty() {
                return Err(fail("there is no certificate in it".to_owned()));
            }
            extra.extend(found);
        }
        let built = |built: reqwest::Result<Client>| {
            built.map_err(|error| Error::Tls {
                host: "any registry".to_owned(),
                why: crate::error::line(&root(&error).to_string()),
            })
        };
        Ok(Self {
            secure: built(builder().https_only(true).tls_certs_merge(extra).build())?,
            plain: built(builder().no_proxy().tls_certs_only([]).build())?,
        })
    }
}

/// The innermost cause.
pub(crate) fn root<'e>(error: &'e (dyn StdError + 'static)) -> &'e (dyn StdError + 'static) {
    causes(error).last().unwrap_or(error)
}

/// An error and its causes. One inside of `io::Error` is no source of it, but its content.
fn causes<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| cause_of(*error))
}

fn cause_of<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// The other end speaks something else than TLS.
pub(crate) fn speaks_no_tls(error: &reqwest::Error) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<rustls::Error>())
        .any(|error| matches!(error, rustls::Error::InvalidMessage(_)))
}

/// What a failed exchange with a host means, to which a registry has led.
pub(crate) fn failed(
    registry: &str,
    host: &str,
    what: &'static str,
    error: &reqwest::Error,
    after: Duration,
) -> Error {
    let host = host.to_owned();
    for cause in causes(error) {
        if let Some(nearer) = cause.downcast_ref::<Nearer>() {
            return Error::Elsewhere {
                host: registry.to_owned(),
                place: host,
                what,
                why: nearer.to_string(),
            };
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return match tls {
                rustls::Error::InvalidMessage(_) => Error::PlainHttp { host, why: String::new() },
                rustls::Error::InvalidCertificate(why) => Error::Tls { host, why: certificate(why) },
                other => Error::Unreachable { host, why: crate::error::line(&other.to_string()) },
            };
        }
    }
    if error.is_timeout() {
        return Error::Timeout { host, what: "no connection".to_owned(), after };
    }
    Error::Unreachable { host, why: crate::error::line(&root(error).to_string()) }
}

fn certificate(why: &rustls::CertificateError) -> String {
    match why {
        rustls::CertificateError::UnknownIssuer => {
            "it is signed by an authority that is not known here".to_owned()
        }
        other => crate::error::line(&other.to_string()),
    }
}
