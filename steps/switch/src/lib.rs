//! `std/switch`: makes a release live, by renaming a new symbolic link over `current`.

use runner_sdk::{Capabilities, Context, Error, Mark, Result, Step, Target, run_info};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The word for the release to go back to.
const PREVIOUS: &str = "previous";

/// The step.
pub struct Switch;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
    /// The release root: where `releases/` and `current` are. Usually `${release.root}`.
    root: String,
    /// The release to make live: its id, or "previous" for the good one before the one that was live when the run
    /// began. Without, the release of this run.
    release: Option<String>,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// The release that is live now.
    release: String,
    /// The release that `current` pointed to before; null when there was none.
    previous: Option<String>,
    /// Whether `current` moved, in this invocation or in an earlier one that failed.
    changed: bool,
}

impl Step for Switch {
    const NAME: &'static str = "switch";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "makes a release live";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities =
        Capabilities { ssh: &["read:${root}", "write:${root}/current"], ..Capabilities::NONE };

    type Params = Params;
    type Outputs = Outputs;

    fn run(Params { root, release }: Params) -> Result<Outputs> {
        let target = Target::current();
        let root = root.trim_end_matches('/');
        let release = match release {
            Some(word) if word == PREVIOUS => before_this_run(&target, root)?,
            Some(id) => id,
            None => run_info::release_id().ok_or_else(|| {
                Error::invalid("which release? this plan makes none: set `release` in `with`")
            })?,
        };
        check_id(&release)?;
        let folder = format!("{root}/releases/{release}");
        if !target.stat(&folder)?.is_some_and(|entry| entry.is_directory()) {
            let message = format!("release `{release}` is not on `{}`: no folder `{folder}`", target.name());
            return Err(
                Error::not_found(message).with_detail("lay it out first: `uses = \"std/distribute\"`")
            );
        }

        let current = format!("{root}/current");
        let previous = match target.stat(&current)? {
            Some(entry) if entry.kind == runner_sdk::EntryKind::Symlink => Some(target.read_link(&current)?),
            Some(_) => {
                let message = format!("`{current}` on `{}` is not a symbolic link", target.name());
                let mend = "move what is there into a release, so that `current` can become a link";
                return Err(Error::conflict(message).with_detail(mend));
            }
            None => None,
        };
        let previous = previous.and_then(|to| to.rsplit('/').next().map(str::to_owned));
        let changed = target
            .symlink(&current, &format!("releases/{release}"))
            .context(|| format!("release `{release}` is not live"))?;
        if changed {
            runner_sdk::info!("`{release}` is live{}", was(previous.as_deref()));
        }
        Ok(Outputs { release, previous, changed })
    }
}

fn was(previous: Option<&str>) -> String {
    previous.map_or_else(String::new, |id| format!("; before, `{id}` was"))
}

/// The good release before the one that was live when the run began. Not before the one that is live now: an attempt
/// that comes after a failed one would go back by two.
fn before_this_run(target: &Target, root: &str) -> Result<String> {
    let releases = target.releases(root)?;
    let began_with = run_info::previous_release();
    let anchor = releases
        .iter()
        .find(|release| Some(&release.id) == began_with.as_ref())
        .or_else(|| releases.iter().find(|release| release.live))
        .ok_or_else(|| {
            Error::not_found(format!("no release is live on `{}`: nothing to go back from", target.name()))
        })?;
    let good =
        |release: &&runner_sdk::Release| release.sequence < anchor.sequence && release.mark == Mark::Good;
    let previous = releases.iter().filter(good).max_by_key(|release| release.sequence);
    previous.map(|release| release.id.clone()).ok_or_else(|| {
        Error::not_found(format!("`{}` has no good release before `{}`", target.name(), anchor.id))
    })
}

/// One path segment that is no option and not hidden.
fn check_id(id: &str) -> Result<()> {
    let fits = id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if fits { Ok(()) } else { Err(Error::invalid(format!("`{id}` cannot be the id of a release"))) }
}

runner_sdk::export!(Switch);

#[cfg(test)]
mod tests;
