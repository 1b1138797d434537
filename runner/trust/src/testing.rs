//! Keys and signatures for tests, the same in every run.

use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PrivateKey};

/// A key that is made from a number.
pub(crate) fn key(seed: u8) -> PrivateKey {
    let keypair = Ed25519Keypair::from_seed(&[seed; 32]);
    PrivateKey::new(KeypairData::Ed25519(keypair), "a comment").expect("a key")
}

/// The public key, as a file has it.
pub(crate) fn public(key: &PrivateKey) -> String {
    key.public_key().to_openssh().expect("a public key")
}

/// A signature over a message, in its armor.
pub(crate) fn sign(key: &PrivateKey, namespace: &str, message: &[u8]) -> Vec<u8> {
    let signature = key.sign(namespace, HashAlg::Sha512, message).expect("a signature");
    signature.to_pem(LineEnding::LF).expect("an armor").into_bytes()
}
