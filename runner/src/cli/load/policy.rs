//! Where the operator's policy is, and what it says.

use super::set;
use crate::cli::fail::Fail;
use crate::written::{read, read_or, shown};
use runner_model::EnvironmentName;
use runner_model::policy::{EnvironmentPolicy, Policy};
use std::path::PathBuf;

/// What the operator's policy says of the environment; `None`: there is no policy.
pub(crate) fn policy(environment: &EnvironmentName) -> Result<Option<EnvironmentPolicy>, Fail> {
    let Some(file) = policy_file() else { return Ok(None) };
    let text = match named_policy() {
        Some(_) => read_or(&file, "`RUNNER_POLICY` names it: correct that, or write the policy")?,
        None => read(&file)?,
    };
    let policy = Policy::parse(&shown(&file), &text)?;
    let policy = policy.environment(environment).map_err(|none| Fail::refused(&none).hint(none.hint()))?;
    Ok(Some(policy))
}

/// Where the policy is, when there is one. One that is named and is not there is an error of whoever reads it.
fn policy_file() -> Option<PathBuf> {
    if let Some(named) = named_policy() {
        return Some(named);
    }
    let own = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")));
    let candidates = own.map(|folder| folder.join("runner/policy.toml")).into_iter();
    // A policy that cannot be looked at counts as there: it is read next, and that fails.
    candidates.chain([PathBuf::from("/etc/runner/policy.toml")]).find(
        |file| !matches!(file.symlink_metadata(), Err(error) if error.kind() == std::io::ErrorKind::NotFound),
    )
}

/// The policy that is named: also by a path relative to here, since rules that were asked for are never left out.
fn named_policy() -> Option<PathBuf> {
    let named = std::env::var_os("RUNNER_POLICY").filter(|named| !named.is_empty())?;
    Some(std::path::absolute(&named).unwrap_or_else(|_| named.into()))
}
