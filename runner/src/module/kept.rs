//! Modules that runs have used, in the artifact store with what others said of them, so that a release goes back by what
//! it was laid out with.

use super::beside::{ENDS, small, with};
use super::load::LoadError;
use super::source::{LARGEST, Origin, Source};
use runner_artifact::Store;
use runner_model::{Digest, ModuleRef};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Keeps a module that a run uses, and what lies beside its file.
///
/// # Errors
/// It cannot be written.
pub fn keep(source: &Source, store: &Store) -> Result<(), String> {
    if !store.has(&source.digest) {
        store.put_bytes(&source.bytes).map_err(|error| error.to_string())?;
    }
    match &source.origin {
        Origin::Builtin => write(&mark(store, &source.digest), b""),
        // What was kept is not kept again.
        Origin::File(_) if source.said_beside.is_some() => Ok(()),
        Origin::File(file) => {
            let said = said(store, &source.digest);
            ENDS.iter().try_for_each(|end| match small(&with(file, end)) {
                Ok(Some(bytes)) => write(&with(&said, end), &bytes),
                // What cannot be read answers for nothing now, and need not later.
                Ok(None) | Err(_) => Ok(()),
            })
        }
        // The cache of registries has it.
        Origin::Registry { .. } => Ok(()),
    }
}

/// Whole or not at all: another runner may read it.
fn write(file: &Path, bytes: &[u8]) -> Result<(), String> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let written = std::fs::create_dir_all(folder).and_then(|()| {
        let mut made = tempfile::NamedTempFile::new_in(folder)?;
        made.write_all(bytes)?;
        made.persist(file).map_err(|error| error.error)
    });
    written.map(|_| ()).map_err(|error| format!("`{}`: {error}", file.display()))
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
    Ok(Source { bytes: bytes.into(), digest: *digest, origin, said_beside: Some(said(store, digest)) })
}

/// Beside which file lies what others said of a module that was a file.
fn said(store: &Store, digest: &Digest) -> PathBuf {
    store.root().join("said-of-modules").join(digest.hex())
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

    #[test]
    fn what_was_said_of_a_file_is_kept_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path().join("artifacts")).expect("a store");
        let plan = folder.path();
        for (name, text) in
            [("own.wasm", "then"), ("own.wasm.sig", "by alice"), ("own.wasm.vetting.json", "{}")]
        {
            std::fs::write(plan.join(name), text).expect("written");
        }
        std::fs::write(plan.join("own.wasm.vetting.json.sig"), "by bob").expect("written");
        let source = Source::file(&plan.join("own.wasm")).expect("a file");
        keep(&source, &store).expect("kept");
        for (name, text) in [("own.wasm", "now"), ("own.wasm.sig", "by eve")] {
            std::fs::write(plan.join(name), text).expect("written");
        }
        let own: ModuleRef = "path:own.wasm".parse().expect("a reference");
        let then = of_then(&own, &source.digest, plan, &store).expect("kept");
        assert_eq!((&then.origin, &then.bytes), (&source.origin, &source.bytes));
        // To be kept once more it is not asked of today's file.
        keep(&then, &store).expect("kept");
        let evidence =
            super::super::beside::beside(then.said_beside.as_deref().expect("a place")).expect("read");
        assert_eq!(evidence.signatures, [b"by alice"]);
        assert_eq!(evidence.vettings[0].signature, b"by bob");
    }
}
