//! A run that was recorded, as a test: its reads answer as they did then, and the component must have the same effects and
//! come to the same end.

use crate::module::load::Loader;
use crate::replay::{Compared, Replay, Which, bundle};
use runner_artifact::Store;
use runner_model::{Failure, FailureKind};
use std::io::Read;
use std::sync::Arc;

/// Does the steps of a recorded run again that had the module of this name, with this component in its place.
///
/// # Errors
/// It is no bundle, it cannot be done again, or nothing in it is of the module.
pub async fn recorded(
    engine: &wasmtime::Engine,
    loader: Loader,
    bundle: impl Read,
    (name, component): (&str, &[u8]),
) -> Result<Vec<Compared>, Failure> {
    let folder = tempfile::tempdir().map_err(|error| Failure::new(FailureKind::Other, error))?;
    let store = Arc::new(Store::open(folder.path().join("store"))?);
    let record = bundle::import(bundle, &store)?;
    let replay = Replay::new(&record, store, engine, loader)?;
    let which = Which::default();
    let mut compared = Vec::new();
    let mut others = Vec::new();
    for key in replay.invocations(&which) {
        let is = replay.module_name(key).await?;
        if is == name {
            compared.push(replay.other(key, component).await?);
        } else if !others.contains(&is) {
            others.push(is);
        }
    }
    if compared.is_empty() {
        let message = format!("the run has no step with the module `{name}`");
        let detail = format!("it has {}", runner_model::words::names(others.iter().map(String::as_str)));
        return Err(Failure::new(FailureKind::NotFound, message).with_detail(detail));
    }
    Ok(compared)
}
