//! Where the values of secrets come from: one file for each kind of source. All that a run needs is fetched here, each
//! once, before the first connection.

pub(crate) mod cipher;
mod command;
mod file;
mod files;

use runner_model::plan::SecretSource;
use runner_model::{Resolved, SecretName, StepId};
use runner_secret::{Value, Vault};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use zeroize::Zeroizing;

/// A secret that could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFetched {
    /// Its name.
    pub name: SecretName,
    /// Where it should have come from.
    pub source: String,
    /// The steps that are given it.
    pub steps: Vec<StepId>,
    /// What went wrong, never with a part of the value.
    pub why: Why,
}

/// What went wrong, and what mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// In a line.
    pub(crate) why: String,
    pub(crate) hint: Option<String>,
}

impl Why {
    pub(crate) fn new(why: impl fmt::Display) -> Self {
        Self { why: why.to_string(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl fmt::Display) -> Self {
        Self { hint: Some(hint.to_string()), ..self }
    }
}

impl fmt::Display for NotFetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<String> = self.steps.iter().map(|step| format!("`{step}`")).collect();
        let (s, need) = if steps.len() == 1 { ("", "needs") } else { ("s", "need") };
        let Self { name, source, why, .. } = self;
        write!(
            f,
            "the secret `{name}` (from {source}), which the step{s} {} {need}: {}",
            steps.join(", "),
            why.why
        )
    }
}

/// What a source gave, before it is known to be a value.
type Fetched = Result<Zeroizing<Vec<u8>>, Why>;

/// Fetches the secrets that the steps are given. `folder`: the plan's, which paths are relative to.
///
/// # Errors
/// All that cannot be fetched.
pub async fn fetch(resolved: &Resolved, folder: &Path) -> Result<Vault, Vec<NotFetched>> {
    let (mut values, mut failed) = (BTreeMap::new(), Vec::new());
    let mut files = files::Files::default();
    for (name, (source, steps)) in resolved.given_secrets() {
        let fetched = one(source, folder, &mut files).await;
        match fetched.and_then(|bytes| Value::new(bytes).map_err(Why::new)) {
            Ok(value) => {
                values.insert(name.clone(), value);
            }
            Err(why) => failed.push(NotFetched {
                name: name.clone(),
                source: source.to_string(),
                steps: steps.into_iter().cloned().collect(),
                why,
            }),
        }
    }
    let variables = resolved.secrets.values().filter_map(|source| match source {
        SecretSource::Env { name } => Some(name.clone()),
        _ => None,
    });
    if failed.is_empty() { Ok(Vault::new(values).from_variables(variables.collect())) } else { Err(failed) }
}

async fn one(source: &SecretSource, folder: &Path, files: &mut files::Files) -> Fetched {
    match source {
        SecretSource::Env { name } => variable(name),
        SecretSource::File { path } => file::private(&folder.join(path)),
        SecretSource::Command { argv } => command::printed(argv, folder).await,
        SecretSource::Age { file, key } => files.age(&folder.join(file), key),
        SecretSource::Sops { file, key } => files.sops(&folder.join(file), key, folder).await,
    }
}

fn variable(name: &str) -> Fetched {
    use std::os::unix::ffi::OsStringExt as _;
    match std::env::var_os(name) {
        Some(value) => Ok(Zeroizing::new(value.into_vec())),
        None => Err(Why::new(format_args!("the variable `{name}` is not set"))
            .hint(format_args!("set it where the runner is started: in CI, as a protected variable"))),
    }
}
