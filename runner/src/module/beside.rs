//! What lies beside a component in a folder: what others say of it.

use super::fetch::add_statement;
use super::load::LoadError;
use crate::written::read;
use runner_trust::{Evidence, Signed};
use std::path::{Path, PathBuf};

/// What lies beside a component: `FILE.sig`, `FILE.sigstore.json`, and `FILE.vetting.json` with its own `.sig`.
pub(super) fn beside(file: &Path) -> Result<Evidence, LoadError> {
    let mut evidence = Evidence::default();
    evidence.signatures.extend(small(&with(file, ".sig"))?);
    evidence.bundles.extend(small(&with(file, ".sigstore.json"))?);
    let statement = with(file, ".vetting.json");
    if let (Some(text), Some(signature)) = (small(&statement)?, small(&with(&statement, ".sig"))?) {
        add_statement(&mut evidence, Signed { statement: text, signature });
    }
    Ok(evidence)
}

/// The file with something behind its name.
pub fn with(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// A file that is there.
fn small(file: &Path) -> Result<Option<Vec<u8>>, LoadError> {
    match file.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        _ => read(file).map(Some).map_err(|problems| LoadError::Beside { why: problems.plain() }),
    }
}
