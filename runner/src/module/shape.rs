//! Tells what a file is before anything is compiled: a component, a core module, text, or the beginning of one.

/// Why bytes are not a component. Each has its own mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAComponent {
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// Something else altogether.
    #[error("it is not WebAssembly: it does not begin with `\\0asm`")]
    NotWasm,
    /// The text format.
    #[error("it is WebAssembly text, not a binary component; convert it with `wasm-tools parse`")]
    Text,
    /// What compilers emit without the last step.
    #[error(
        "it is a core WebAssembly module, not a component; make it one with `wasm-tools component new`, or build it with \
         the SDK"
    )]
    CoreModule,
    /// A version that nobody knows yet.
    #[error("it is a component of an unknown binary version ({version:#x}); this runner reads version 0xd")]
    UnknownVersion {
        /// As it is written in the file.
        version: u16,
    },
    /// A download or a copy that stopped.
    #[error(
        "it is truncated: a section of {needs} bytes begins at byte {at}, and only {left} bytes are left"
    )]
    Truncated {
        /// Where the section begins.
        at: usize,
        /// What it should have.
        needs: usize,
        /// What there is.
        left: usize,
    },
}

/// The version of the binary format of components.
const COMPONENT_VERSION: u16 = 0xd;

/// Checks the header and that every section is there to its end. What the sections say is for the compiler to judge.
///
/// # Errors
/// It is not a whole component.
pub fn check(bytes: &[u8]) -> Result<(), NotAComponent> {
    if bytes.is_empty() {
        return Err(NotAComponent::Empty);
    }
    if bytes.trim_ascii_start().starts_with(b"(component") || bytes.trim_ascii_start().starts_with(b"(module")
    {
        return Err(NotAComponent::Text);
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(NotAComponent::NotWasm);
    }
    let [version_low, version_high, layer_low, layer_high] = *bytes.get(4..8).unwrap_or(&[]) else {
        return Err(NotAComponent::Truncated { at: 4, needs: 4, left: bytes.len() - 4 });
    };
    let version = u16::from_le_bytes([version_low, version_high]);
    match u16::from_le_bytes([layer_low, layer_high]) {
        0 => return Err(NotAComponent::CoreModule),
        1 if version == COMPONENT_VERSION => {}
        _ => return Err(NotAComponent::UnknownVersion { version }),
    }
    let mut at = 8;
    while at < bytes.len() {
        let Some((size, length)) = leb128(&bytes[at + 1..]) else {
            return Err(NotAComponent::Truncated { at, needs: 2, left: bytes.len() - at });
        };
        let body = at + 1 + length;
        let end = body.saturating_add(size);
        if end > bytes.len() {
            return Err(NotAComponent::Truncated { at, needs: size, left: bytes.len() - body });
        }
        at = end;
    }
    Ok(())
}

/// An unsigned 32-bit number and the bytes that it takes.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_usize;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component() -> Vec<u8> {
        wat::parse_str("(component (core module (func (export \"f\"))))").expect("wat")
    }

    #[test]
    fn each_kind_of_file_is_told_apart() {
        assert_eq!(check(&component()), Ok(()));
        assert_eq!(check(b""), Err(NotAComponent::Empty));
        assert_eq!(check(b"#!/bin/sh\n"), Err(NotAComponent::NotWasm));
        assert_eq!(check(b"  (component)"), Err(NotAComponent::Text));
        assert_eq!(check(b"\0asm\x01\0\0\0"), Err(NotAComponent::CoreModule));
        assert_eq!(check(b"\0asm\x0e\0\x01\0"), Err(NotAComponent::UnknownVersion { version: 14 }));
    }

    #[test]
    fn every_truncation_within_a_section_is_found() {
        let whole = component();
        for length in 1..whole.len() {
            let result = check(&whole[..length]);
            // A cut between two sections leaves a whole component with less in it; that is the compiler's to judge.
            if result.is_ok() {
                assert!(length >= 8);
            }
        }
        assert!(matches!(check(&whole[..whole.len() - 1]), Err(NotAComponent::Truncated { .. })));
        assert!(matches!(check(&whole[..6]), Err(NotAComponent::Truncated { at: 4, .. })));
    }
}
