//! Modules that runs have used, in the artifact store with what others said of them, so that a release goes back by what
//! it was laid out with.

use super::fetch::add_statement;
use super::load::LoadError;
use super::source::{LARGEST, Origin, Source};
use runner_artifact::Store;
use runner_model::{Digest, ModuleRef};
use runner_trust::{Evidence, Signed};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What was said of a module whose file is another one today, or gone.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    signatures: Vec<String>,
    bundles: Vec<String>,
    /// Statements, each with its signature.
    statements: Vec<(String, String)>,
}

/// Keeps a module that a run uses. `said`: what lay beside its file, where a policy has asked for that; `plan`: the folder
/// that paths are relative to.
///
/// # Errors
/// It cannot be written.
pub fn keep(source: &Source, said: &Evidence, plan: &Path, store: &Store) -> Result<(), String> {
    if !store.has(&source.digest) {
        store.put_bytes(&source.bytes).map_err(|error| error.to_string())?;
    }
    match &source.origin {
        Origin::Builtin => write(&mark(store, &source.digest), b""),
        Origin::File(_) => {
            // What is no text is no signature, and no statement.
            let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).ok();
            let both = |signed: &Signed| Some((text(&signed.statement)?, text(&signed.signature)?));
            let said = Said {
                signatures: said.signatures.iter().filter_map(text).collect(),
                bundles: said.bundles.iter().filter_map(text).collect(),
                statements: said.vettings.iter().chain(&said.revocations).filter_map(both).collect(),
            };
            if said == Said::default() {
                return Ok(());
            }
            let text = serde_json::to_vec(&said).map_err(|error| error.to_string())?;
            write(&said_file(store, plan, &source.digest), &text)
        }
        // The cache of registries has it.
        Origin::Registry { .. } => Ok(()),
    }
}

/// What was said of a module when its file was last used.
///
/// # Errors
/// What is kept cannot be read.
pub(super) fn said(file: &Path) -> Result<Evidence, LoadError> {
    let beside = |why: String| LoadError::Beside { why: format!("`{}`: {why}", file.display()) };
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Evidence::default()),
        Err(error) => return Err(beside(error.to_string())),
    };
    let said: Said = serde_json::from_slice(&text).map_err(|error| beside(error.to_string()))?;
    let bytes = |all: Vec<String>| all.into_iter().map(String::into_bytes).collect();
    let mut evidence =
        Evidence { signatures: bytes(said.signatures), bundles: bytes(said.bundles), ..Evidence::default() };
    for (statement, signature) in said.statements {
        let signed = Signed { statement: statement.into_bytes(), signature: signature.into_bytes() };
        add_statement(&mut evidence, signed);
    }
    Ok(evidence)
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
    Ok(Source { bytes: bytes.into(), digest: *digest, origin, said_in: Some(said_file(store, plan, digest)) })
}

/// Where what others said of a module of this plan's folder is kept: of another project with the same file, others may have
/// said other things.
fn said_file(store: &Store, plan: &Path, digest: &Digest) -> PathBuf {
    let plan = std::path::absolute(plan).unwrap_or_else(|_| plan.to_owned());
    let project = Digest::of(plan.as_os_str().as_encoded_bytes());
    store.root().join("said-of-modules").join(project.hex()).join(format!("{}.json", digest.hex()))
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
        keep(&own, &Evidence::default(), Path::new("plan"), &store).expect("kept");
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
        std::fs::write(plan.join("own.wasm"), "then").expect("written");
        let source = Source::file(&plan.join("own.wasm")).expect("a file");
        let by = |who: &str| Evidence {
            signatures: vec![who.into(), b"no text \xff".to_vec()],
            vettings: vec![Signed { statement: b"{}".to_vec(), signature: who.into() }],
            ..Evidence::default()
        };
        keep(&source, &by("alice"), plan, &store).expect("kept");
        // The same file in another project, of which somebody else says something, and nobody was asked.
        keep(&source, &by("eve"), &plan.join("other"), &store).expect("kept");
        keep(&source, &Evidence::default(), plan, &store).expect("kept");
        let own: ModuleRef = "path:own.wasm".parse().expect("a reference");
        let of = |plan: &Path| {
            let then = of_then(&own, &source.digest, plan, &store).expect("kept");
            said(then.said_in.as_deref().expect("a place")).expect("read")
        };
        assert_eq!(of(plan), Evidence { signatures: vec![b"alice".to_vec()], ..by("alice") });
        assert_eq!(of(&plan.join("other")).signatures, [b"eve"]);
        assert_eq!(of(&plan.join("third")), Evidence::default());
    }
}
