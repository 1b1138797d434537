//! `std/switch`: makes a release live, by renaming a new symbolic link over `current`.

use runner_sdk::layout::{ReleaseId, Root};
use runner_sdk::{Capabilities, Context, Error, Mark, Release, Result, Step, Target, run_info};
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
    root: Root,
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
        // The account tells of its own releases without a process on the target; another tool's are looked for.
        let releases = target.releases(root.path())?;
        let release = match release.as_deref() {
            Some(PREVIOUS) => before_this_run(&target, &releases)?,
            named => ReleaseId::or_of_this_run(named)?,
        };
        let folder = root.release(&release);
        let known = releases.iter().any(|known| known.id == release.as_str());
        if !known && !target.stat(&folder)?.is_some_and(|entry| entry.is_directory()) {
            let message = format!("release `{release}` is not on `{}`: no folder `{folder}`", target.name());
            return Err(
                Error::not_found(message).with_detail("lay it out first: `uses = \"std/distribute\"`")
            );
        }

        let previous = match releases.into_iter().find(|known| known.live) {
            Some(live) => Some(live.id),
            None => root.live(&target)?.map(|id| id.to_string()),
        };
        let changed = target
            .symlink(&root.current(), &format!("releases/{release}"))
            .context(|| format!("release `{release}` is not live"))?;
        if changed {
            runner_sdk::info!("`{release}` is live{}", was(previous.as_deref()));
        }
        Ok(Outputs { release: release.to_string(), previous, changed })
    }
}

fn was(previous: Option<&str>) -> String {
    previous.map_or_else(String::new, |id| format!("; before, `{id}` was"))
}

/// The good release before the one that was live when the run began. Not before the one that is live now: an attempt
/// that comes after a failed one would go back by two.
fn before_this_run(target: &Target, releases: &[Release]) -> Result<ReleaseId> {
    let began_with = run_info::previous_release();
    let nothing =
        || Error::not_found(format!("no release is live on `{}`: nothing to go back from", target.name()));
    let anchor = releases
        .iter()
        .find(|release| Some(&release.id) == began_with.as_ref())
        .or_else(|| releases.iter().find(|release| release.live))
        .ok_or_else(nothing)?;
    let good = |release: &&Release| release.sequence < anchor.sequence && release.mark == Mark::Good;
    match releases.iter().filter(good).max_by_key(|release| release.sequence) {
        Some(previous) => ReleaseId::new(&previous.id),
        None => {
            Err(Error::not_found(format!("`{}` has no good release before `{}`", target.name(), anchor.id)))
        }
    }
}

runner_sdk::export!(Switch);

#[cfg(test)]
mod tests;
