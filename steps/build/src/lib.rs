//! `std/build`: runs a build in surroundings of its own and gives its result out.

mod surroundings;

use runner_sdk::params::{Duration, Folder};
use runner_sdk::{
    Artifact, Attributes, Capabilities, Context, Error, ErrorKind, Owned, Result, Step, Target,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The step.
pub struct Build;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "type": "object", "required": ["source"] }, { "type": "object", "required": ["artifact"] },
]))]
pub struct Params {
    /// What to build: a folder of the plan's. Either this or `artifact`.
    source: Option<String>,
    /// With `source`: what is left out of it, as in `.gitignore`.
    #[serde(default)]
    exclude: Vec<String>,
    /// What to build: the digest that another step gave out.
    artifact: Option<String>,
    /// The program that builds, and its arguments; no shell sees them. It begins in the copy.
    #[schemars(length(min = 1))]
    argv: Vec<String>,
    /// Variables, beside PATH, HOME, USER and LANG.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// What is given out: a folder of the copy; without, all of it.
    #[serde(default = "all")]
    result: String,
    /// Where it is built: an absolute path, of this build alone. The copy of the last build stays there.
    folder: Folder,
    /// "opt" lets the build read `/opt`, where it has programs that are not in `/usr`.
    programs: Option<Programs>,
    /// "net" shares the network of the machine with the build, its loopback and its abstract sockets too. Without,
    /// `bwrap` gives it none.
    share: Option<Share>,
    /// Whether a build without `bwrap` is refused.
    #[serde(default)]
    isolation: Isolation,
    /// How long it may take.
    #[serde(default = "ten_minutes")]
    timeout: Duration,
}

/// Further programs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Programs {
    /// Those in `/opt`.
    Opt,
}

/// What a build shares with the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// The network.
    Net,
}

/// Whether `bwrap` must be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// It is used where it is there.
    #[default]
    WhenPresent,
    /// Without it nothing is built.
    Required,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// The digest of the result.
    artifact: String,
    /// Its size in bytes.
    size: u64,
    /// Whether it was built now; false: the last build was the same.
    built: bool,
    /// Whether `bwrap` kept it from the files of the machine.
    isolated: bool,
}

/// All that decides what comes of a build, as far as anybody can say.
#[derive(PartialEq, Serialize, Deserialize)]
struct Recipe {
    source: String,
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    result: String,
    programs: Option<Programs>,
    share: Option<Share>,
    isolated: bool,
}

/// What is kept of a build.
#[derive(Serialize, Deserialize)]
struct Built {
    recipe: Recipe,
    /// The digest of the result: what is there may be another thing by now.
    artifact: String,
}

impl Step for Build {
    const NAME: &'static str = "build";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "runs a build in surroundings of its own";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities =
        Capabilities { ssh: surroundings::GRANTS, files: &["read:${source}"], ..Capabilities::NONE };

    type Params = Params;
    type Outputs = Outputs;

    fn run(params: Params) -> Result<Outputs> {
        let folder = params.folder.as_str();
        let (work, home, kept) =
            (format!("{folder}/work"), format!("{folder}/home"), format!("{folder}/built.json"));
        let result = inside(&work, &params.result)?;
        let source = match (&params.source, &params.artifact) {
            (Some(source), None) => Artifact::pack(source, &params.exclude)?,
            (None, Some(digest)) => Artifact::open(digest)?,
            _ => return Err(Error::invalid("it needs either `source` or `artifact`")),
        };
        let target = Target::current();
        let isolated = target.has("bwrap")?;
        if !isolated && params.isolation == Isolation::Required {
            let message = format!("there is no `bwrap` on `{}`, and `isolation` is required", target.name());
            return Err(Error::not_found(message).with_detail("install `bubblewrap` there"));
        }
        let recipe = Recipe {
            source: source.digest(),
            argv: params.argv.clone(),
            env: params.env.clone(),
            result: params.result.clone(),
            programs: params.programs,
            share: params.share,
            isolated,
        };
        if let Some(artifact) = last(&target, &kept, &recipe, &result)? {
            runner_sdk::info!("the last build was the same");
            return Ok(Outputs {
                size: artifact.size(),
                artifact: artifact.digest(),
                built: false,
                isolated,
            });
        }

        target.mkdir(folder, &Attributes::mode(0o700))?;
        target.remove(&kept)?;
        target.remove_tree(&work)?;
        target.unpack(&work, &source, &[], None, &Owned::keep())?;
        let command = if isolated {
            surroundings::isolated(folder, &params)
        } else {
            runner_sdk::warn!("without `bwrap` the build can read what its user can: install `bubblewrap`");
            target.mkdir(&home, &Attributes::mode(0o700))?;
            surroundings::bare(folder, &params)
        };
        command
            .timeout(params.timeout.get())
            .run(&target)
            .context(|| format!("the build on `{}`", target.name()))?;
        let artifact =
            target.fetch(&result).context(|| format!("the result of the build, `{}`", params.result))?;
        let built = Built { recipe, artifact: artifact.digest() };
        let text = serde_json::to_string_pretty(&built).map_err(|error| Error::other(error.to_string()))?;
        target.write(&kept, &(text + "\n"), &Attributes::mode(0o600))?;
        Ok(Outputs { size: artifact.size(), artifact: built.artifact, built: true, isolated })
    }
}

/// The result of the last build, where that was the same and its result is still what it was.
fn last(target: &Target, kept: &str, recipe: &Recipe, result: &str) -> Result<Option<Artifact>> {
    let gone = |error: &Error| error.is(ErrorKind::NotFound);
    let text = match target.read(kept) {
        Err(error) if gone(&error) => return Ok(None),
        text => text?,
    };
    // Of another version of this module it may be anything.
    let Ok(built) = serde_json::from_str::<Built>(&text) else { return Ok(None) };
    if built.recipe != *recipe {
        return Ok(None);
    }
    match target.fetch(result) {
        Ok(artifact) if artifact.digest() == built.artifact => Ok(Some(artifact)),
        Ok(_) => Ok(None),
        Err(error) if gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The path below the copy.
fn inside(work: &str, result: &str) -> Result<String> {
    let path = result.trim_end_matches('/');
    match path {
        "." | "" => Ok(work.to_owned()),
        _ if path.split('/').all(|segment| !matches!(segment, "" | "." | "..")) => {
            Ok(format!("{work}/{path}"))
        }
        _ => {
            Err(Error::invalid(format!("`result` is `{result}`, and must be a path inside of what is built")))
        }
    }
}

fn all() -> String {
    ".".to_owned()
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

runner_sdk::export!(Build);

#[cfg(test)]
mod tests;
