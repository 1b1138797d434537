//! From core module to component.

use crate::Error;
use std::path::Path;
use wit_component::ComponentEncoder;

/// Makes a component of a core module that carries its world in a custom section, as `wit-bindgen` writes it. Imports
/// that the module does not use are left out, function by function. `path` is for the message.
///
/// # Errors
/// [`Error::Component`].
pub fn componentize(path: &Path, core: &[u8]) -> Result<Vec<u8>, Error> {
    ComponentEncoder::default()
        .validate(true)
        .module(core)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| failed(path, &format!("{error:#}")))
}

pub(crate) fn failed(path: &Path, why: &str) -> Error {
    Error::Component { path: path.to_owned(), why: why.to_owned() }
}
