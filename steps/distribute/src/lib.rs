//! `std/distribute`: lays a release out on the target.

mod shared;

use runner_sdk::layout::{ReleaseId, Root};
use runner_sdk::params::Mode;
use runner_sdk::{Artifact, Attributes, Capabilities, Context, Link, Owned, Release, Result, Step, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::Shared;

/// The step.
pub struct Distribute;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
    /// The artifact, by its digest: `${package.artifact}` or `${release.artifact}`.
    artifact: String,
    /// The release root; `releases/` and `shared/` are made in it.
    root: Root,
    /// The release's id. Without, that of the release of this run.
    release: Option<String>,
    /// What all releases share, relative to the release: each becomes a link into `<root>/shared`. "uploads/" is a folder
    /// and made when it is missing; "config.php" must be there already.
    #[serde(default)]
    shared: Vec<String>,
    /// Who owns what is in the release: a user's name or number. Without, the acting user.
    owner: Option<String>,
    /// The group of what is in the release.
    group: Option<String>,
    /// Permission bits, in octal, of folders that are made in `shared`.
    shared_mode: Option<Mode>,
    /// Who owns folders that are made in `shared`.
    shared_owner: Option<String>,
    /// The group of folders that are made in `shared`.
    shared_group: Option<String>,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// The release's id.
    release: String,
    /// The release's folder.
    path: String,
    /// Whether it was not there before, or an earlier invocation made it and failed.
    changed: bool,
    /// The earlier release that unchanged files were taken from; null when there was none.
    reused: Option<String>,
}

impl Step for Distribute {
    const NAME: &'static str = "distribute";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "lays a release out on the target";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities =
        Capabilities { ssh: &["read:${root}", "write:${root}"], ..Capabilities::NONE };

    type Params = Params;
    type Outputs = Outputs;

    fn run(params: Params) -> Result<Outputs> {
        let target = Target::current();
        let root = &params.root;
        let release = ReleaseId::or_of_this_run(params.release.as_deref())?;
        let shared = Shared::parse(&params.shared)?;
        let artifact = Artifact::open(&params.artifact)?;

        let releases = target.releases(root.path())?;
        // Where a release is, its folder is: each question is a process on the target.
        if releases.is_empty() {
            target.mkdir(&root.releases(), &Attributes::keep())?;
        }
        let attributes = Attributes {
            mode: params.shared_mode.map(Mode::get),
            owner: params.shared_owner,
            group: params.shared_group,
        };
        shared.prepare(&target, root, &attributes)?;

        let reused = earlier(releases, &release)?;
        let reuse = reused.as_ref().map(|id| root.release(id));
        let path = root.release(&release);
        let links: Vec<Link> = shared.links().collect();
        let owned = Owned { owner: params.owner, group: params.group };
        let changed = target
            .unpack(&path, &artifact, &links, reuse.as_deref(), &owned)
            .context(|| format!("release `{release}` is not laid out"))?;
        if changed {
            runner_sdk::info!("laid out `{path}`");
        }
        let reused = reused.map(|id| id.to_string());
        Ok(Outputs { release: release.to_string(), path, changed, reused })
    }
}

/// The release whose files are most likely the same: the live one, or else the newest.
fn earlier(mut releases: Vec<Release>, release: &ReleaseId) -> Result<Option<ReleaseId>> {
    releases.retain(|other| other.id != release.as_str());
    let best = releases.iter().max_by_key(|Release { live, sequence, .. }| (*live, *sequence));
    best.map(|release| ReleaseId::new(&release.id)).transpose()
}

runner_sdk::export!(Distribute);

#[cfg(test)]
mod tests;
