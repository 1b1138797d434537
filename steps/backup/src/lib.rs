//! `std/backup`: archives the live release, or named paths, on the target.

mod paths;
mod release;

use runner_sdk::layout::Root;
use runner_sdk::params::{Name, Size};
use runner_sdk::{Capabilities, Context, Error, Result, Step, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// The step.
pub struct Backup;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
    /// The release root, whose live release is archived.
    root: Option<Root>,
    /// What is archived in the place of a release: absolute paths of folders and files on the target.
    #[serde(default)]
    paths: Vec<String>,
    /// What the backup of `paths` is called.
    name: Option<Name>,
    /// The folder for archives: an absolute path on the target. Without, `<root>/backups`; `paths` need it.
    to: Option<String>,
    /// How many archives are kept, at least 1. That of the live and of the last good release are kept beside them. Of
    /// `paths`, how many backups of this name.
    #[serde(default = "five")]
    keep: NonZeroU32,
    /// How much must be free before anything is written, where that is more than the archive is expected to take.
    #[serde(default = "nothing")]
    need_free: Size,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// The release that was live; null when none was, and for `paths`.
    release: Option<String>,
    /// Its archive; null when no release was live, or when the live one is the one that this run makes. Of `paths`, the
    /// folder with their archives.
    archive: Option<String>,
    /// Whether it was made now: it was not when an earlier run made it and nothing has changed since.
    created: bool,
    /// Archives, or folders with archives, that were removed, oldest first.
    removed: Vec<String>,
}

impl Step for Backup {
    const NAME: &'static str = "backup";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "archives the live release, or named paths, on the target";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities = Capabilities {
        ssh: &["read:${root}", "write:${root}/backups", "read:${to}", "write:${to}", "read:${paths}"],
        ..Capabilities::NONE
    };

    type Params = Params;
    type Outputs = Outputs;

    fn run(params: Params) -> Result<Outputs> {
        let target = Target::current();
        match (&params.root, &params.name, &params.to) {
            (Some(root), None, _) if params.paths.is_empty() => release::back_up(&target, root, &params),
            (None, Some(name), Some(to)) if !params.paths.is_empty() => {
                paths::back_up(&target, name, to, &params)
            }
            _ => Err(Error::invalid("a backup is either of the live release of `root`, or of `paths`")
                .with_detail(
                    "with = { root = \"${release.root}\" }\n\
                     with = { name = \"settings\", paths = [\"/etc/nginx\"], to = \"/var/backups/shop\" }",
                )),
        }
    }
}

/// Makes an archive; the host reads it back and compares it before it gets its name.
fn archived(target: &Target, source: &str, into: &str, what: &str) -> Result<u64> {
    let size = target.archive(source, into).context(|| format!("{what} is not backed up"))?;
    runner_sdk::info!("archived `{source}` to `{into}`: {}", Size::from_bytes(size));
    Ok(size)
}

fn five() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(4)
}

fn nothing() -> Size {
    Size::from_bytes(0)
}

runner_sdk::export!(Backup);

#[cfg(test)]
mod tests;
