//! The standard modules, as components inside the binary: `uses = "std/NAME"`.
//!
//! They are built by this crate's build script and are the same bytes in every build of the host. Nothing here runs
//! them.

/// A standard module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module {
    /// Its name behind `std/`.
    pub name: &'static str,
    /// Of its bytes: `sha256:` and 64 hexadecimal digits.
    pub digest: &'static str,
    /// The component.
    pub bytes: &'static [u8],
}

/// All standard modules.
pub static MODULES: &[Module] = include!(concat!(env!("OUT_DIR"), "/modules.rs"));

/// The standard module of this name.
pub fn find(name: &str) -> Option<&'static Module> {
    MODULES.iter().find(|module| module.name == name)
}
