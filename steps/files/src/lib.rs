//! `std/files`: makes files, folders and links of the target be as the plan says.

mod entry;

pub use entry::Entry;
use entry::{Wanted, wanted};
use runner_sdk::{Artifact, Capabilities, Context, ErrorKind, Result, Step, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step.
pub struct Files;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
    /// What must be there, or must not; in this order.
    #[schemars(length(min = 1, max = 1000))]
    files: Vec<Entry>,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// Whether something is different now.
    changed: bool,
    /// The paths where something is different now, in order.
    paths: Vec<String>,
}

impl Step for Files {
    const NAME: &'static str = "files";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "makes files, folders and links be as the plan says";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities = Capabilities {
        ssh: &["write:${files.path}"],
        files: &["read:${files.source}"],
        ..Capabilities::NONE
    };

    type Params = Params;
    type Outputs = Outputs;

    fn run(params: Params) -> Result<Outputs> {
        let target = Target::current();
        let entries = wanted(params.files)?;
        let mut paths = Vec::new();
        for (path, wanted) in entries {
            let changed =
                make(&target, &path, &wanted).context(|| format!("`{path}` on `{}`", target.name()))?;
            if changed {
                runner_sdk::info!("{} `{path}`", wanted.done());
                paths.push(path);
            }
        }
        if paths.is_empty() {
            runner_sdk::info!("all is as it must be");
        }
        Ok(Outputs { changed: !paths.is_empty(), paths })
    }
}

/// Answers whether something is different now.
fn make(target: &Target, path: &str, wanted: &Wanted) -> Result<bool> {
    match wanted {
        Wanted::Content(text, attributes) => target.write(path, text, attributes),
        Wanted::Source(source, attributes) => target.put(path, &Artifact::pack(source, &[])?, attributes),
        Wanted::Folder(attributes) => target.mkdir(path, attributes),
        Wanted::Link(to) => target.symlink(path, to),
        Wanted::Absent { recursive } => match target.remove(path) {
            Err(error) if error.is(ErrorKind::Conflict) && *recursive => target.remove_tree(path),
            Err(error) if error.is(ErrorKind::Conflict) => {
                Err(error).hint(|| "`recursive = true` removes a folder with all that is in it".to_owned())
            }
            answer => answer,
        },
    }
}

runner_sdk::export!(Files);

#[cfg(test)]
mod tests;
