//! `std/git-checkout`: checks a commit of a repository out, by its id.

mod git;

use git::{Git, Over};
use runner_sdk::params::{Duration, Folder};
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
    to: Folder,
    /// Whether files that were changed or added by hand may be overwritten.
    #[serde(default)]
    discard: bool,
    /// Whether the files are given out as an artifact. Then there may be none in the folder that are not of the commit.
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
        let git = Git::new(&target, folder, params.timeout.get());
        let on = || format!("`{folder}` on `{}`", target.name());
        let ours = git.exists().context(on)?;
        let empty = target.stat(folder)?.is_none() || target.read_dir(folder)?.is_empty();
        let previous = if ours { git.head().context(on)? } else { None };
        let mut over = if params.discard { Over::All } else { Over::Own };
        match &previous {
            None if !ours && !empty => {
                return Err(Error::conflict(format!("{}: it holds other things", on())));
            }
            // Nothing of anybody's is there, or what a checkout left that was interrupted.
            _ if empty || previous.is_none() || git.is_between().context(on)? => over = Over::All,
            _ => {
                let edited = git.edited().context(on)?;
                if !edited.is_empty() && !params.discard {
                    let message = format!("{}: files in it were changed by hand", on());
                    return Err(Error::conflict(message).with_detail(format!(
                        "{edited}\nhint: look at them, and say `discard = true` when they may be overwritten"
                    )));
                }
                if edited.is_empty() && previous.as_deref() == Some(params.commit.as_str()) {
                    runner_sdk::info!("`{folder}` is at {}", params.commit);
                    return outputs(&target, &git, &params, previous, false);
                }
            }
        }
        target.mkdir(folder, &Attributes::default())?;
        if !ours {
            git.init().context(on)?;
        }
        git.set_attributes().context(on)?;
        git.fetch(&params.repository, &params.commit).context(on)?;
        git.check_out(&params.commit, previous.as_deref(), over).context(on)?;
        runner_sdk::info!("`{folder}` is at {} now", params.commit);
        let changed = previous.as_deref() != Some(params.commit.as_str());
        outputs(&target, &git, &params, previous, changed)
    }
}

fn outputs(
    target: &Target,
    git: &Git<'_>,
    params: &Params,
    previous: Option<String>,
    changed: bool,
) -> Result<Outputs> {
    if !params.artifact {
        return Ok(Outputs { changed, previous, artifact: None });
    }
    let others = git.not_of_the_commit()?;
    if !others.is_empty() {
        let message = format!("`{}` on `{}` has files that are not of the commit", params.to, target.name());
        return Err(Error::conflict(message)
            .with_detail(format!("{others}\nhint: an artifact is the commit alone: take them away")));
    }
    let artifact = Some(target.fetch(params.to.as_str())?.digest());
    Ok(Outputs { changed, previous, artifact })
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

runner_sdk::export!(GitCheckout);

#[cfg(test)]
mod tests;
