//! The arithmetic behind Sigstore's signatures, by the RustCrypto crates that verify SSH signatures too. Without a provider
//! of its own, `sigstore-crypto` would bring a second cryptographic library, in C.

use rsa::pkcs1::DecodeRsaPublicKey;
use sha2::digest::{Digest, DynDigest};
use sha2::{Sha256, Sha384, Sha512};
use signature::hazmat::PrehashVerifier;
use sigstore_verify::crypto::{CryptoProvider, Error, HashContext, Result, SigningScheme};
use sigstore_verify::types::HashAlgorithm;

/// Verifies, and makes neither keys nor signatures.
#[derive(Debug)]
pub(super) struct Provider;

struct Context(Box<dyn DynDigest + Send>);

impl HashContext for Context {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finalize(self: Box<Self>) -> Vec<u8> {
        self.0.finalize().into_vec()
    }
}

impl CryptoProvider for Provider {
    fn hash(&self, algorithm: HashAlgorithm) -> Result<Box<dyn HashContext>> {
        Ok(Box::new(Context(match algorithm {
            HashAlgorithm::Sha2256 => Box::new(Sha256::new()),
            HashAlgorithm::Sha2384 => Box::new(Sha384::new()),
            HashAlgorithm::Sha2512 => Box::new(Sha512::new()),
            other => return Err(Error::UnsupportedAlgorithm(format!("digests of the kind {other}"))),
        })))
    }

    fn verify_raw(&self, scheme: SigningScheme, key: &[u8], data: &[u8], signature: &[u8]) -> Result<()> {
        if scheme == SigningScheme::Ed25519 {
            let key = key.try_into().map_err(|_| unfit(scheme))?;
            let key = ed25519_dalek::VerifyingKey::from_bytes(&key).map_err(|_| unfit(scheme))?;
            let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| unfit(scheme))?;
            return key.verify_strict(data, &signature).map_err(|_| unfit(scheme));
        }
        let mut hash = self.hash(scheme.hash_algorithm().ok_or_else(|| unknown(scheme))?)?;
        hash.update(data);
        self.verify_prehashed(scheme, key, &hash.finalize(), signature)
    }

    fn verify_prehashed(
        &self,
        scheme: SigningScheme,
        key: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        use SigningScheme as S;
        let fits = match scheme {
            S::EcdsaP256Sha256 | S::EcdsaP256Sha384 => p256(key, digest, signature),
            S::EcdsaP384Sha256 | S::EcdsaP384Sha384 => p384(key, digest, signature),
            S::RsaPkcs1Sha256 => pkcs1v15::<Sha256>(key, digest, signature),
            S::RsaPkcs1Sha384 => pkcs1v15::<Sha384>(key, digest, signature),
            S::RsaPkcs1Sha512 => pkcs1v15::<Sha512>(key, digest, signature),
            S::RsaPssSha256 => pss::<Sha256>(key, digest, signature),
            S::RsaPssSha384 => pss::<Sha384>(key, digest, signature),
            S::RsaPssSha512 => pss::<Sha512>(key, digest, signature),
            _ => return Err(unknown(scheme)),
        };
        fits.ok_or_else(|| unfit(scheme))
    }
}

fn p256(key: &[u8], digest: &[u8], signature: &[u8]) -> Option<()> {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
    key.verify_prehash(digest, &p256::ecdsa::DerSignature::from_bytes(signature).ok()?).ok()
}

fn p384(key: &[u8], digest: &[u8], signature: &[u8]) -> Option<()> {
    let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
    key.verify_prehash(digest, &p384::ecdsa::DerSignature::from_bytes(signature).ok()?).ok()
}

fn pkcs1v15<D>(key: &[u8], digest: &[u8], signature: &[u8]) -> Option<()>
where
    D: Digest + rsa::pkcs8::AssociatedOid,
{
    let key = rsa::pkcs1v15::VerifyingKey::<D>::new(rsa::PublicKey::from_pkcs1_der(key).ok()?);
    key.verify_prehash(digest, &signature.try_into().ok()?).ok()
}

fn pss<D>(key: &[u8], digest: &[u8], signature: &[u8]) -> Option<()>
where
    D: Digest + sha2::digest::FixedOutputReset,
{
    let key = rsa::pss::VerifyingKey::<D>::new(rsa::PublicKey::from_pkcs1_der(key).ok()?);
    key.verify_prehash(digest, &signature.try_into().ok()?).ok()
}

fn unfit(scheme: SigningScheme) -> Error {
    Error::Verification(format!("the signature of the kind {} does not fit", scheme.name()))
}

fn unknown(scheme: SigningScheme) -> Error {
    Error::UnsupportedAlgorithm(format!("signatures of the kind {}", scheme.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMES: [SigningScheme; 11] = [
        SigningScheme::EcdsaP256Sha256,
        SigningScheme::EcdsaP256Sha384,
        SigningScheme::EcdsaP384Sha256,
        SigningScheme::EcdsaP384Sha384,
        SigningScheme::Ed25519,
        SigningScheme::RsaPkcs1Sha256,
        SigningScheme::RsaPkcs1Sha384,
        SigningScheme::RsaPkcs1Sha512,
        SigningScheme::RsaPssSha256,
        SigningScheme::RsaPssSha384,
        SigningScheme::RsaPssSha512,
    ];

    /// What OpenSSL signed, of each scheme: its key and its signature over `message`.
    fn vectors() -> Vec<(SigningScheme, Vec<u8>, Vec<u8>)> {
        let line = |line: &str| {
            let mut words = line.split(' ');
            let name = words.next().expect("a scheme");
            let scheme = SCHEMES.into_iter().find(|scheme| scheme.name() == name).expect(name);
            let mut bytes = || hex::decode(words.next().expect("a word")).expect("hexadecimal");
            (scheme, bytes(), bytes())
        };
        include_str!("data/vectors.txt").lines().map(line).collect()
    }

    #[test]
    fn what_openssl_signed_fits_and_nothing_else_does() {
        let vectors = vectors();
        assert_eq!(vectors.len(), SCHEMES.len());
        for (scheme, key, signature) in &vectors {
            let fits = |key: &[u8], data: &[u8], signature: &[u8]| {
                Provider.verify_raw(*scheme, key, data, signature).is_ok()
            };
            let name = scheme.name();
            assert!(fits(key, b"message", signature), "{name}");
            assert!(!fits(key, b"massage", signature), "{name}: another message");
            for at in [0, signature.len() / 2, signature.len() - 1] {
                let mut other = signature.clone();
                other[at] ^= 1;
                assert!(!fits(key, b"message", &other), "{name}: byte {at} of the signature");
            }
            assert!(!fits(key, b"message", &signature[1..]) && !fits(key, b"message", b""), "{name}: cut");
            let mut other = key.clone();
            other[key.len() / 2] ^= 1;
            assert!(!fits(&other, b"message", signature) && !fits(b"", b"message", signature), "{name}: key");
            for (another, ..) in vectors.iter().filter(|(another, ..)| another != scheme) {
                let result = Provider.verify_raw(*another, key, b"message", signature);
                assert!(result.is_err(), "{name} as {}", another.name());
            }
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let key = vec![0; 1952];
        assert!(Provider.verify_raw(SigningScheme::MlDsa65, &key, b"message", &[0; 3309]).is_err());
        assert!(Provider.verify_prehashed(SigningScheme::Ed25519, &[0; 32], &[0; 32], &[0; 64]).is_err());
    }
}
