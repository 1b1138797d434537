//! `std/git-checkout`: checks a commit of a repository out, by its id.

mod git;

use git::Git;
use runner_sdk::params::Duration;
use runner_sdk::{Attributes, Capabilities, Context, Error, Result, Step, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step.
pub struct GitCheckout;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
    /// Where the repository is: a URL of git (`https`, `ssh`, `file`), or `user@host:path`.
    repository: String,
    /// The whole id of the commit: 40 hexadecimal digits, or 64 where the repository has longer ids.
    #[schemars(regex(pattern = "^([0-9a-f]{40}|[0-9a-f]{64})$"))]
    commit: String,
    /// The folder for its files, absolute. What git keeps is beside it, with `.git` behind the name.
    to: String,
    /// Whether files that were changed by hand may be overwritten.
    #[serde(default)]
    discard: bool,
    /// Whether the files are given out as an artifact.
    #[serde(default)]
    artifact: bool,
    /// How long the fetch may take.
    #[serde(default = "ten_minutes")]
    timeout: Duration,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// Whether another commit was checked out than before.
    changed: bool,
    /// The commit that was checked out before; null when there was none.
    previous: Option<String>,
    /// With `artifact = true`, the digest of the files.
    artifact: Option<String>,
}

impl Step for GitCheckout {
    const NAME: &'static str = "git-checkout";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "checks a commit of a repository out";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities = Capabilities { ssh: git::GRANTS, ..Capabilities::NONE };

    type Params = Params;
    type Outputs = Outputs;

    fn run(params: Params) -> Result<Outputs> {
        let target = Target::current();
        let folder = params.to.as_str();
        if !folder.starts_with('/') || folder.ends_with('/') {
            return Err(Error::invalid(format!(
                "`to` is `{folder}`, and must be an absolute path without `/` at its end"
            )));
        }
        let git = Git::new(&target, folder, params.timeout.get());
        let on = || format!("`{folder}` on `{}`", target.name());
        let previous = git.head().context(on)?;
        if previous.is_some() {
            let edited = git.edited().context(on)?;
            if !edited.is_empty() && !params.discard {
                let message = format!("{}: files in it were changed by hand", on());
                return Err(Error::conflict(message).with_detail(format!(
                    "{edited}\nhint: look at them, and say `discard = true` when they may be overwritten"
                )));
            }
            if edited.is_empty() && previous.as_deref() == Some(params.commit.as_str()) {
                runner_sdk::info!("`{folder}` is at {}", params.commit);
                return outputs(&target, &params, previous, false);
            }
        } else if target.stat(folder)?.is_some() && !target.read_dir(folder)?.is_empty() {
            return Err(Error::conflict(format!("{}: it holds other things", on())));
        }
        target.mkdir(folder, &Attributes::default())?;
        if previous.is_none() {
            git.init().context(on)?;
        }
        git.fetch(&params.repository, &params.commit).context(on)?;
        git.check_out(&params.commit, previous.as_deref()).context(on)?;
        runner_sdk::info!("`{folder}` is at {} now", params.commit);
        let changed = previous.as_deref() != Some(params.commit.as_str());
        outputs(&target, &params, previous, changed)
    }
}

fn outputs(target: &Target, params: &Params, previous: Option<String>, changed: bool) -> Result<Outputs> {
    let artifact = match params.artifact {
        true => Some(target.fetch(&params.to)?.digest()),
        false => None,
    };
    Ok(Outputs { changed, previous, artifact })
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

runner_sdk::export!(GitCheckout);

#[cfg(test)]
mod tests;
