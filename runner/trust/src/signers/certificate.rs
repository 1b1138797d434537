//! Whom a certificate stands for.

use super::{Principals, read};
use jiff::Timestamp;
use runner_model::pattern::NamePattern;
use ssh_key::Certificate;
use ssh_key::HashAlg;
use ssh_key::certificate::CertType;

/// Those of its names that the line lets the authority certify. That the authority's key is the line's has been seen.
pub(super) fn names(
    certificate: &Certificate,
    line: &Principals,
    at: Timestamp,
) -> Result<Principals, String> {
    if certificate.cert_type() != CertType::User {
        return Err("it is one of a host".to_owned());
    }
    if let Some(bits) = read::weak(certificate.public_key()) {
        return Err(format!("it is for an RSA key of {bits} bits, and from 2048 to 8192 are accepted"));
    }
    if let Some((option, _)) = certificate.critical_options().iter().next() {
        let option: String = option.chars().take(80).collect();
        return Err(format!(
            "it has the critical option `{}`, which is of no use for a signature",
            option.escape_debug()
        ));
    }
    let seconds = u64::try_from(at.as_second()).map_err(|_| "the time is before 1970".to_owned())?;
    if seconds < certificate.valid_after() {
        return Err(format!("it is not valid before {}", time(certificate.valid_after())));
    }
    if seconds >= certificate.valid_before() {
        return Err(format!("it has not been valid since {}", time(certificate.valid_before())));
    }
    let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
    if certificate.validate_at(seconds, [&authority]).is_err() {
        return Err(
            "its own signature does not fit: it was changed, or is of a kind that cannot be verified"
                .to_owned(),
        );
    }
    if certificate.valid_principals().is_empty() {
        return Err("it names nobody".to_owned());
    }
    let names: Vec<NamePattern> = certificate
        .valid_principals()
        .iter()
        .filter(|name| line.covers(name))
        .filter_map(|name| name.parse().ok())
        .collect();
    if names.is_empty() {
        return Err("the authority may not certify for any of its names".to_owned());
    }
    let text = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    Ok(Principals { text, named: names, except: Vec::new() })
}

fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "ever".to_owned(), |time| time.to_string())
}
