//! Who may sign: a file in the format of ssh-keygen(1), ALLOWED SIGNERS, and what a signature is worth by it.
//!
//! ```text
//! # who                        options                              key
//! alice@example.org            namespaces="runner-module"           ssh-ed25519 AAAA… comment
//! security@example.org         valid-before="20270101"              ecdsa-sha2-nistp256 AAAA…
//! *@example.org,!bob@example.org cert-authority                     ssh-ed25519 AAAA…
//! ```
//!
//! The file is the operator's: `[trust] allowed-signers` of the policy names it. What `ssh-keygen -Y verify` says of a
//! line is said here too, and where this is stricter a test says so: RSA keys have from 2048 to 8192 bits, a security key
//! has been touched, and a certificate has no critical option.

mod certificate;
mod options;
mod read;
mod time;

use crate::{SignatureError, pem};
use jiff::{Timestamp, tz::TimeZone};
use runner_model::Problems;
use runner_model::pattern::NamePattern;
use runner_model::source::Source;
use signature::Verifier;
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, Signature, SshSig};
use std::fmt;

/// Who may sign.
#[derive(Debug, Clone)]
pub struct AllowedSigners {
    file: String,
    lines: Vec<Line>,
}

/// A line of the file.
#[derive(Debug, Clone)]
struct Line {
    number: usize,
    principals: Principals,
    /// The key is one that certifies keys.
    authority: bool,
    /// What it may sign for; `None`: anything.
    namespaces: Option<Principals>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
    key: KeyData,
}

/// Patterns and exceptions from them, as a line has them: `*@example.org,!bob@example.org`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Principals {
    text: String,
    named: Vec<NamePattern>,
    except: Vec<NamePattern>,
}

/// A line of the file of those who may sign. Printed as `allowed_signers:3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Whose signature it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Who the key stands for, as the file has it; patterns may be among them.
    pub principals: Vec<String>,
    /// The fingerprint of the key, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
    lists: Vec<Principals>,
}

impl Signer {
    /// Whether the key stands for somebody of this name.
    pub fn is(&self, name: &str) -> bool {
        self.lists.iter().any(|list| list.covers(name))
    }

    /// Whether whoever the key stands for is among those: it stands for a name that is listed, or a pattern that is
    /// listed covers all that a name or a pattern of the key can be.
    pub fn is_among(&self, listed: &[NamePattern]) -> bool {
        listed.iter().any(|wanted| self.lists.iter().any(|list| list.is_among(wanted)))
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.principals.join(", "), self.fingerprint)
    }
}

impl Principals {
    fn covers(&self, name: &str) -> bool {
        !name.contains(['*', '?'])
            && !self.except.iter().any(|pattern| pattern.covers(name))
            && self.named.iter().any(|pattern| pattern.covers(name))
    }

    fn is_among(&self, wanted: &NamePattern) -> bool {
        if wanted.is_literal() {
            return self.covers(wanted.as_str());
        }
        let counts = |own: &&NamePattern| !own.is_literal() || self.covers(own.as_str());
        self.named.iter().filter(counts).any(|own| wanted.covers(own.as_str()))
    }

    fn texts(&self) -> impl Iterator<Item = String> {
        self.named.iter().map(ToString::to_string)
    }
}

impl AllowedSigners {
    /// Reads a file. `name`: the file as messages name it. A time without a zone is one of this machine's.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Problems> {
        Self::parse_in(name, bytes, &TimeZone::system())
    }

    /// The same with another zone for times that name none.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse_in(name: &str, bytes: &[u8], zone: &TimeZone) -> Result<Self, Problems> {
        let source = Source::from_bytes(name, bytes)?;
        let lines = read::lines(&source, zone)?;
        Ok(Self { file: name.to_owned(), lines })
    }

    /// Whose signature over the message it is. `armored`: what `ssh-keygen -Y sign` writes. `at`: when the key must be
    /// valid.
    ///
    /// # Errors
    /// It is no signature over this message and for this namespace by somebody who may sign.
    pub fn verify(
        &self,
        namespace: &str,
        message: &[u8],
        armored: &[u8],
        at: Timestamp,
    ) -> Result<Signer, SignatureError> {
        let signature = pem::read(armored)?;
        if signature.namespace() != namespace {
            let found = signature.namespace().chars().take(80).collect();
            return Err(SignatureError::Namespace { found, wanted: namespace.to_owned() });
        }
        let key = signature.public_key();
        let fingerprint = fingerprint(key);
        // A key that nobody listed is not calculated with.
        let lines = self.lines_of(key, &fingerprint)?;
        let mut names: Vec<String> = lines.iter().flat_map(|line| line.principals.texts()).collect();
        names.dedup();
        let who = format!("{} ({fingerprint})", names.join(", "));
        verify_bytes(key, namespace, message, &signature, &who)?;
        let mut signer =
            Signer { principals: Vec::new(), fingerprint: fingerprint.clone(), lists: Vec::new() };
        let mut refused = None;
        for line in lines {
            match self.allows(line, key, namespace, at, &fingerprint) {
                Ok(list) => {
                    signer.principals.extend(
                        list.texts().filter(|name| !signer.principals.contains(name)).collect::<Vec<_>>(),
                    );
                    signer.lists.push(list);
                }
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        match refused {
            Some(why) if signer.lists.is_empty() => Err(why),
            _ => Ok(signer),
        }
    }

    /// The lines that are about a key, or about whoever certified it.
    fn lines_of(&self, key: &KeyData, fingerprint: &str) -> Result<Vec<&Line>, SignatureError> {
        let stranger =
            || SignatureError::Stranger { fingerprint: fingerprint.to_owned(), file: self.file.clone() };
        if let KeyData::Certificate(certificate) = key {
            let certified = |line: &&Line| line.authority && line.key == *certificate.signature_key();
            let lines: Vec<_> = self.lines.iter().filter(certified).collect();
            return if lines.is_empty() {
                Err(SignatureError::Certificate {
                    fingerprint: fingerprint.to_owned(),
                    why: format!("{} has no authority that made it", self.file),
                })
            } else {
                Ok(lines)
            };
        }
        let (authorities, lines): (Vec<_>, Vec<_>) =
            self.lines.iter().filter(|line| line.key == *key).partition(|line| line.authority);
        match (lines.is_empty(), authorities.first()) {
            (false, _) => Ok(lines),
            (true, Some(line)) => Err(SignatureError::Authority { place: self.place(line) }),
            (true, None) => Err(stranger()),
        }
    }

    /// Who the key stands for by this line.
    fn allows(
        &self,
        line: &Line,
        key: &KeyData,
        namespace: &str,
        at: Timestamp,
        fingerprint: &str,
    ) -> Result<Principals, SignatureError> {
        let list = match key {
            KeyData::Certificate(certificate) => certificate::names(certificate, &line.principals, at)
                .map_err(|why| SignatureError::Certificate { fingerprint: fingerprint.to_owned(), why })?,
            _ => line.principals.clone(),
        };
        let who = || format!("{} ({fingerprint})", list.texts().collect::<Vec<_>>().join(", "));
        let place = self.place(line);
        if let Some(since) = line.valid_before.filter(|last| at > *last) {
            return Err(SignatureError::Expired { who: who(), since, place });
        }
        if let Some(from) = line.valid_after.filter(|first| at < *first) {
            return Err(SignatureError::NotYetValid { who: who(), from, place });
        }
        if let Some(allowed) = line.namespaces.as_ref().filter(|allowed| !allowed.covers(namespace)) {
            let (namespace, allowed) = (namespace.to_owned(), allowed.text.clone());
            return Err(SignatureError::NotForThis { who: who(), namespace, allowed, place });
        }
        Ok(list)
    }

    fn place(&self, line: &Line) -> Place {
        Place { file: self.file.clone(), line: line.number }
    }
}

/// The fingerprint of a key; of a certificate, that of the key in it.
fn fingerprint(key: &KeyData) -> String {
    let key = match key {
        KeyData::Certificate(certificate) => certificate.public_key(),
        key => key,
    };
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Whether the key made the signature over these bytes.
fn verify_bytes(
    key: &KeyData,
    namespace: &str,
    message: &[u8],
    signature: &SshSig,
    who: &str,
) -> Result<(), SignatureError> {
    let key = match key {
        KeyData::Certificate(certificate) => certificate.public_key(),
        key => key,
    };
    let bytes = signature.signature();
    if !is_of(key, bytes) {
        let kind = bytes.algorithm().to_string();
        return Err(SignatureError::Unsupported { kind });
    }
    let tampered = || SignatureError::Tampered { who: who.to_owned() };
    let signed = SshSig::signed_data(namespace, signature.hash_alg(), message).map_err(|_| tampered())?;
    key.verify(&signed, bytes).map_err(|_| tampered())?;
    match bytes.algorithm() {
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 if !was_touched(bytes) => {
            Err(SignatureError::Untouched { who: who.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Whether it is a kind of signature that this key makes, and one that can be verified: RSA with SHA-1 is none.
fn is_of(key: &KeyData, signature: &Signature) -> bool {
    match (key.algorithm(), signature.algorithm()) {
        (Algorithm::Rsa { .. }, Algorithm::Rsa { hash }) => hash.is_some(),
        (Algorithm::Dsa | Algorithm::Other(_), _) => false,
        (of_key, of_signature) => of_key == of_signature,
    }
}

/// What a security key says of itself ends in flags, the lowest of which says that somebody was there, and four bytes
/// that count.
fn was_touched(signature: &Signature) -> bool {
    const PRESENT: u8 = 1;
    signature.as_bytes().iter().rev().nth(4).is_some_and(|flags| flags & PRESENT != 0)
}

#[cfg(test)]
mod tests;
