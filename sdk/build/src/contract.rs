//! From a core module that knows nothing of components to a component: for languages whose SDK calls the functions of the
//! contract by their names, and whose compilers make core modules.

use crate::component::failed;
use crate::{Error, files, scaffold};
use std::path::Path;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, SourceMap, WorldId};

/// What takes the place of the preview1 interface of WASI, which the runtimes of C and Go call.
const ADAPTER: &str = include_str!("adapter.wat");

/// The world that modules in these languages are of: the SDKs know no other one.
const WORLD: &str = "step";

/// Makes a component of a core module that imports and exports functions of the contract. What it imports of preview1
/// goes to an adapter that imports nothing, so that no WASI is left; what it does not call is not imported at all.
pub(crate) fn componentize(path: &Path) -> Result<Vec<u8>, Error> {
    let mut core = files::read(path)?;
    let (resolve, id) = contract().map_err(|why| failed(path, &why))?;
    let adapter = wat::parse_str(ADAPTER).map_err(|error| failed(path, &error.to_string()))?;
    embed_component_metadata(&mut core, &resolve, id, StringEncoding::UTF8)
        .and_then(|()| ComponentEncoder::default().validate(true).module(&core))
        .and_then(|encoder| encoder.adapter("wasi_snapshot_preview1", &adapter))
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| failed(path, &format!("{error:#}")))
}

fn contract() -> Result<(Resolve, WorldId), String> {
    let mut sources = SourceMap::default();
    for file in scaffold::WIT.files() {
        sources.push_str(&file.path().to_string_lossy(), String::from_utf8_lossy(file.contents()));
    }
    let group = sources.parse().map_err(|(_, error)| error.to_string())?;
    let mut resolve = Resolve::default();
    let package = resolve.push_group(group).map_err(|error| error.to_string())?;
    let id = resolve.select_world(&[package], Some(WORLD)).map_err(|error| error.to_string())?;
    Ok((resolve, id))
}
