//! The armor of a signature: the text that `ssh-keygen -Y sign` writes.

use crate::SignatureError;
use ssh_key::SshSig;

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// The longest armor that is read. A certificate of the longest RSA key has some 6 KiB.
const LONGEST: usize = 64 * 1024;

/// Reads the one signature that the text must be.
pub(crate) fn read(armored: &[u8]) -> Result<SshSig, SignatureError> {
    let none = |why: &str| SignatureError::NoSignature { why: why.to_owned() };
    if armored.len() > LONGEST {
        return Err(none("it is longer than 64 KiB"));
    }
    let text = std::str::from_utf8(armored).map_err(|_| none("it is not text"))?.trim();
    if text.is_empty() {
        return Err(none("it is empty"));
    }
    // The reader of the format would skip what is in front.
    if !text.starts_with(BEGIN) {
        return Err(none(&format!("it does not begin with `{BEGIN}`")));
    }
    let Some(end) = text.find(END) else { return Err(SignatureError::Cut) };
    if end + END.len() != text.len() {
        return Err(none("something follows its end"));
    }
    let version = |number: u32| {
        none(&format!("it is of version {number} of the format, and this runner knows version 1"))
    };
    let signature = SshSig::from_pem(text).map_err(|error| match error {
        ssh_key::Error::Version { number } => version(number),
        other => none(&format!("it is damaged: {other}")),
    })?;
    match signature.version() {
        SshSig::VERSION => Ok(signature),
        other => Err(version(other)),
    }
}
