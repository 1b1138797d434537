//! `std/package`: packs a folder of the workspace into an artifact, the same one on every machine.

use runner_sdk::params::Size;
use runner_sdk::{Artifact, Capabilities, Context, Result, Runs, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step.
pub struct Package;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
    /// The file or folder to pack, relative to the plan's folder.
    #[serde(default = "here")]
    source: String,
    /// What to leave out, in the patterns of `.gitignore`, beside what the source's own `.gitignore` says.
    #[serde(default)]
    exclude: Vec<String>,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// The artifact, by its digest.
    artifact: String,
    /// The bytes of all files in it.
    size: u64,
}

impl Step for Package {
    const NAME: &'static str = "package";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "packs a folder into an artifact";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const RUNS: Runs = Runs::Once;
    const CAPABILITIES: Capabilities = Capabilities { files: &["read:${source}"], ..Capabilities::NONE };

    type Params = Params;
    type Outputs = Outputs;

    fn run(Params { source, exclude }: Params) -> Result<Outputs> {
        let artifact =
            Artifact::pack(&source, &exclude).context(|| format!("`{source}` cannot be packed"))?;
        let (digest, size) = (artifact.digest(), artifact.size());
        runner_sdk::info!("packed `{source}`: {}, {digest}", Size::from_bytes(size));
        Ok(Outputs { artifact: digest, size })
    }
}

fn here() -> String {
    ".".to_owned()
}

runner_sdk::export!(Package);

#[cfg(test)]
mod tests;
