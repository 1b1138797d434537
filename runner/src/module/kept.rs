//! Modules that runs have used, in the artifact store, so that a release goes back by what it was laid out with.

use super::load::LoadError;
use super::source::{LARGEST, Origin, Source};
use runner_artifact::Store;
use runner_model::{Digest, ModuleRef};
use std::path::{Path, PathBuf};

/// Keeps a module that a run uses.
///
/// # Errors
/// It cannot be written.
pub fn keep(source: &Source, store: &Store) -> Result<(), String> {
    if !store.has(&source.digest) {
        store.put_bytes(&source.bytes).map_err(|error| error.to_string())?;
    }
    if source.origin == Origin::Builtin {
        let file = mark(store, &source.digest);
        file.parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&file, b""))
            .map_err(|error| format!("`{}`: {error}", file.display()))?;
    }
    Ok(())
}

/// The module that a lock of another time names. `plan`: the folder that paths are relative to.
///
/// # Errors
/// The store does not have it.
pub fn of_then(
    reference: &ModuleRef,
    digest: &Digest,
    plan: &Path,
    store: &Store,
) -> Result<Source, LoadError> {
    let bytes = store.read_bytes(digest, LARGEST).map_err(|_| LoadError::Lost { digest: *digest })?;
    let origin = match reference {
        // The store has files of applications as well, and a lock may call any of them a standard module.
        ModuleRef::Builtin(_) if mark(store, digest).exists() => Origin::Builtin,
        ModuleRef::Path(path) => Origin::File(plan.join(path)),
        _ => Origin::File(store.root().join(digest.hex())),
    };
    Ok(Source { bytes: bytes.into(), digest: *digest, origin })
}

/// What says that a runner on this machine had it as a standard module.
fn mark(store: &Store, digest: &Digest) -> PathBuf {
    store.root().join("standard-modules").join(digest.hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_runner_had_is_a_standard_module() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path().join("artifacts")).expect("a store");
        let standard: ModuleRef = "builtin:switch".parse().expect("a reference");
        let own = Source::builtin("switch").expect("a module");
        keep(&own, &store).expect("kept");
        let then = of_then(&standard, &own.digest, Path::new("plan"), &store).expect("there");
        assert_eq!((then.origin, then.bytes), (Origin::Builtin, own.bytes));

        // A file of an application, which a forged lock calls a standard module.
        let evil = store.put_bytes(b"evil").expect("packed");
        let then = of_then(&standard, &evil, Path::new("plan"), &store).expect("there");
        assert!(matches!(then.origin, Origin::File(_)), "the policy judges it as a file");
        let gone = of_then(&standard, &Digest::of("gone"), Path::new("plan"), &store);
        assert!(matches!(gone, Err(LoadError::Lost { .. })));
    }
}
