//! `std/restore`: puts a backup back, on the target.

mod which;

use runner_sdk::backups::{Backup, archive_ending};
use runner_sdk::params::Name;
use runner_sdk::{Attributes, Capabilities, Context, Error, Owned, Result, Step, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use which::Item;

/// The step.
pub struct Restore;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
    /// The folder with backups, absolute; the newest of `name` is taken.
    from: Option<String>,
    /// A release, or the name of a backup of paths.
    name: Option<Name>,
    /// One archive, or one folder of a backup of paths, absolute; in the place of `from` and `name`.
    archive: Option<String>,
    /// The folder or file that becomes what the one archive holds, absolute.
    to: Option<String>,
    /// Of a backup of paths: those that are put back, to where they were.
    #[serde(default)]
    paths: Vec<String>,
    /// A folder for archives of what is there before, absolute; without, there are none.
    safety: Option<String>,
    /// Whose all of it becomes; without, as it was, as far as the acting user may say so.
    owner: Option<String>,
    /// As the owner.
    group: Option<String>,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// The archive, or the folder of the backup, that was taken.
    archive: String,
    /// Whether anything differed from it.
    changed: bool,
    /// The paths that differed.
    restored: Vec<String>,
    /// The archives of what was there before.
    safety: Vec<String>,
}

impl Step for Restore {
    const NAME: &'static str = "restore";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "puts a backup back, on the target";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities = Capabilities {
        ssh: &[
            "read:${from}",
            "read:${archive}",
            "read:${to}",
            "write:${to}",
            "read:${paths}",
            "write:${paths}",
            "read:${safety}",
            "write:${safety}",
        ],
        ..Capabilities::NONE
    };

    type Params = Params;
    type Outputs = Outputs;

    fn run(params: Params) -> Result<Outputs> {
        let target = Target::current();
        let (archive, items) = which::chosen(&target, &params)?;
        let owned = Owned { owner: params.owner, group: params.group };
        let safety = params.safety.as_deref().map(|folder| folder.trim_end_matches('/'));
        let mut outputs = Outputs { archive, changed: false, restored: Vec::new(), safety: Vec::new() };
        for (number, item) in (1..).zip(&items) {
            let kept = match safety {
                Some(folder) => keep(&target, item, folder, number)?,
                None => None,
            };
            let restored = target.unarchive(&item.archive, &item.path, &owned);
            let differed = restored.context(|| match &kept {
                Some(kept) => format!("what was there is in `{kept}`"),
                None => format!("`{}` is not put back", item.path),
            })?;
            if differed {
                runner_sdk::info!("`{}` is what `{}` holds", item.path, item.archive);
                outputs.restored.push(item.path.clone());
                outputs.safety.extend(kept);
            } else {
                runner_sdk::info!("`{}` is what `{}` holds already", item.path, item.archive);
                if let Some(kept) = kept {
                    target.remove(&kept)?;
                }
            }
        }
        outputs.changed = !outputs.restored.is_empty();
        Ok(outputs)
    }
}

/// Archives what is there, unless nothing is or it is known to be the same.
fn keep(target: &Target, item: &Item, folder: &str, number: u32) -> Result<Option<String>> {
    if target.stat(&item.path)?.is_none() {
        return Ok(None);
    }
    if item.content.is_some() && target.digest(&item.path).ok() == item.content {
        return Ok(None);
    }
    target.mkdir(folder, &Attributes::mode(0o700))?;
    let backup = Backup::new(&format!("before-restore-{number}"), archive_ending(target)?);
    let into = format!("{folder}/{}", backup.file);
    target
        .archive(&item.path, &into)
        .context(|| format!("nothing is put back: `{}` is not safe", item.path))?;
    runner_sdk::info!("what is at `{}` is kept in `{into}`", item.path);
    Ok(Some(into))
}

/// The two ways to say what goes where.
fn refused() -> Error {
    Error::invalid("which backup goes where? name one archive and `to`, or a backup of paths and `paths`")
        .with_detail(
            "with = { archive = \"/var/backups/shop.tar.zst\", to = \"/srv/restored\" }\n\
         with = { from = \"/var/backups/shop\", name = \"settings\", paths = [\"/etc/nginx\"] }",
        )
}

runner_sdk::export!(Restore);

#[cfg(test)]
mod tests;
