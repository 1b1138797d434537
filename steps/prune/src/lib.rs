//! `std/prune`: removes old releases.

use runner_sdk::layout::{ReleaseId, Root};
use runner_sdk::{Capabilities, Context, Mark, Release, Result, Step, Target, run_info};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// The step.
pub struct Prune;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
    /// The release root.
    root: Root,
    /// How many good releases are kept, at least 1.
    #[serde(default = "five")]
    keep: NonZeroU32,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// The releases that were removed, oldest first.
    removed: Vec<String>,
    /// The releases that are left, oldest first.
    kept: Vec<String>,
}

impl Step for Prune {
    const NAME: &'static str = "prune";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "removes old releases";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities =
        Capabilities { ssh: &["read:${root}", "write:${root}/releases"], ..Capabilities::NONE };

    type Params = Params;
    type Outputs = Outputs;

    fn run(Params { root, keep }: Params) -> Result<Outputs> {
        let target = Target::current();
        let mut releases = target.releases(root.path())?;
        releases.sort_by_key(|release| release.sequence);
        let mine = [run_info::release_id(), run_info::previous_release()];

        // The live one takes a place among the good ones: in the run that has just switched to it, it is marked only
        // when all its steps have passed, and that is after this one.
        let counts = |release: &&Release| {
            release.mark == Mark::Good || (release.live && release.mark == Mark::Untried)
        };
        let good: Vec<&Release> = releases.iter().filter(counts).collect();
        let first_kept = good.len().saturating_sub(keep.get() as usize);
        let mut spared: Vec<&str> = good[first_kept..].iter().map(|release| release.id.as_str()).collect();
        spared.extend(mine.iter().flatten().map(String::as_str));
        let live_sequence =
            releases.iter().filter(|release| release.live).map(|release| release.sequence).max();
        // Where a rollback would go to, also when more than `keep` good releases are newer than the live one.
        let previous = good.iter().rfind(|release| live_sequence.is_some_and(|live| release.sequence < live));
        spared.extend(previous.map(|release| release.id.as_str()));

        // Laid out after the live one and not tried yet: somebody is about to switch to it.
        let waits = |release: &Release| {
            release.mark == Mark::Untried && live_sequence.is_none_or(|live| release.sequence > live)
        };
        let stays =
            |release: &Release| release.live || waits(release) || spared.contains(&release.id.as_str());
        let (mut kept, mut surplus): (Vec<&Release>, Vec<&Release>) =
            releases.iter().partition(|release| stays(release));
        if !surplus.is_empty() {
            // What `current` says is live stays too, and where it is no link, nothing goes.
            let live = root.live(&target)?;
            let linked =
                |release: &mut &Release| live.as_ref().is_some_and(|live| live.as_str() == release.id);
            kept.extend(surplus.extract_if(.., linked));
            kept.sort_by_key(|release| release.sequence);
        }

        let mut removed = Vec::new();
        for release in surplus {
            let path = root.release(&ReleaseId::new(&release.id)?);
            target.remove_tree(&path).context(|| format!("release `{}` is not removed", release.id))?;
            runner_sdk::info!("removed `{path}`");
            removed.push(release.id.clone());
        }
        Ok(Outputs { removed, kept: kept.into_iter().map(|release| release.id.clone()).collect() })
    }
}

fn five() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(4)
}

runner_sdk::export!(Prune);

#[cfg(test)]
mod tests;
