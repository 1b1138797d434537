//! The host, as the public modules see it: the real one behind WIT imports, or the one in memory. Both have the same
//! functions and resources, so that the modules above have no `cfg`.

#[cfg(target_family = "wasm")]
mod wasm;
#[cfg(target_family = "wasm")]
pub(crate) use wasm::*;

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(not(target_family = "wasm"))]
pub(crate) use native::*;
