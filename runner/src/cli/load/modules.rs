//! The modules of a plan: where their bytes come from.

use super::Written;
use crate::module::load::LoadError;
use crate::module::source::{LARGEST, Source};
use runner_artifact::Store;
use runner_model::{LockedEnvironment, ModuleRef};
use std::collections::BTreeMap;
use std::path::Path;

/// What was found of each module that a plan uses.
pub(super) type Sources = BTreeMap<ModuleRef, Result<Source, LoadError>>;

/// The modules as they are today.
pub(super) fn today(written: &Written) -> Sources {
    let of = |reference: ModuleRef| {
        let source = source(&reference, &written.folder);
        (reference, source)
    };
    written.plan.module_refs().into_keys().map(of).collect()
}

/// The modules as a lock of another time names them: those of today where they are still that, else from the store.
pub(super) fn of_then(written: &Written, locked: Option<&LockedEnvironment>, store: &Store) -> Sources {
    let of = |reference: ModuleRef| {
        let source = locked_source(&reference, written, locked, store);
        (reference, source)
    };
    written.plan.module_refs().into_keys().map(of).collect()
}

fn locked_source(
    reference: &ModuleRef,
    written: &Written,
    locked: Option<&LockedEnvironment>,
    store: &Store,
) -> Result<Source, LoadError> {
    let locked = locked.and_then(|locked| locked.modules.get(reference)).ok_or(LoadError::NotLocked)?;
    let digest = locked.digest;
    match source(reference, &written.folder) {
        Ok(source) if source.digest == digest => Ok(source),
        _ => {
            let bytes = store.read_bytes(&digest, LARGEST).map_err(|_| LoadError::Lost { digest })?;
            Ok(Source { bytes: bytes.into(), digest, pinned: locked.pinned.clone() })
        }
    }
}

/// A module by its reference. `plan`: the folder that paths are relative to.
pub(crate) fn source(reference: &ModuleRef, plan: &Path) -> Result<Source, LoadError> {
    match reference {
        ModuleRef::Builtin(name) => Source::builtin(name),
        ModuleRef::Path(path) => Source::file(&plan.join(path)),
        ModuleRef::Oci(_) => Err(LoadError::NotLocked),
    }
}
