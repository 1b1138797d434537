//! `std/template`: writes a file of the target from a template, filled in with the plan's values and the target's own.

mod diff;
mod render;
mod secret;

use runner_sdk::params::Mode;
use runner_sdk::{
    Attributes, Capabilities, Context, Entry, Error, ErrorKind, Result, Step, Target, workspace,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The step.
pub struct Template;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "type": "object", "required": ["source"] }, { "type": "object", "required": ["content"] },
]))]
pub struct Params {
    /// The template: a file of the plan's folder. Either this or `content`.
    source: Option<String>,
    /// The template itself.
    content: Option<String>,
    /// The file to write on the target: an absolute path.
    to: String,
    /// What the template may use, by name: text, numbers, lists and tables.
    #[serde(default)]
    vars: BTreeMap<String, Value>,
    /// Secrets that the step is given and the template may use: `{{ secrets.NAME }}`.
    #[serde(default)]
    secrets: Vec<String>,
    /// Permission bits, in octal: "0640". Without, as they are; when the file is new 0644, with a secret in it 0600.
    mode: Option<Mode>,
    /// Who owns the file: a user's name or number. Without, as it is; when it is new, the acting user.
    owner: Option<String>,
    /// Its group.
    group: Option<String>,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// Whether the file is different now.
    changed: bool,
    /// The file.
    path: String,
}

impl Step for Template {
    const NAME: &'static str = "template";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "writes a file from a template";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities = Capabilities {
        ssh: &["read:${to}", "write:${to}"],
        files: &["read:${source}"],
        secrets: &["${secrets}"],
        ..Capabilities::NONE
    };

    type Params = Params;
    type Outputs = Outputs;

    fn run(params: Params) -> Result<Outputs> {
        let target = Target::current();
        let (name, text) = match (params.source, params.content) {
            (Some(source), None) => {
                let text = workspace::read(&source).context(|| format!("the template `{source}`"))?;
                (source, text)
            }
            (None, Some(content)) => ("content".to_owned(), content),
            _ => return Err(Error::invalid("it needs either `source` or `content`")),
        };
        let filled = render::render(&name, &text, params.vars, &params.secrets)?;
        let path = params.to;
        let attributes =
            Attributes { mode: params.mode.map(Mode::get), owner: params.owner, group: params.group };

        let on = || format!("on `{}`", target.name());
        let changed = match filled.secret(&params.secrets)? {
            Some(content) => {
                let changed = target.write_secret(&path, &content, &attributes).context(on)?;
                if changed {
                    runner_sdk::info!(
                        "wrote `{path}`; there are secrets in it, so what changed is not shown"
                    );
                }
                changed
            }
            None => {
                let text = filled.text().unwrap_or_default();
                let old = Old::read(&target, &path)?;
                let changed = target.write(&path, text, &attributes).context(on)?;
                if changed {
                    old.tell(&path, text, old.may_be_shown() && attributes.mode.is_none_or(is_for_all));
                }
                changed
            }
        };
        if !changed {
            runner_sdk::info!("`{path}` is as it must be");
        }
        Ok(Outputs { changed, path })
    }
}

/// What was at the path before.
struct Old {
    entry: Option<Entry>,
    /// `None` where there was none, or none that can be compared line by line.
    text: Option<String>,
}

impl Old {
    fn read(target: &Target, path: &str) -> Result<Self> {
        let entry = target.stat(path)?;
        let text = match &entry {
            Some(entry) if entry.is_file() => match target.read(path) {
                Ok(text) => Some(text),
                Err(error) if matches!(error.kind, ErrorKind::Invalid | ErrorKind::NotFound) => None,
                Err(error) => return Err(error),
            },
            _ => None,
        };
        Ok(Self { entry, text })
    }

    /// A log is read by more people than a file that others may not read.
    fn may_be_shown(&self) -> bool {
        self.entry.as_ref().is_none_or(|entry| is_for_all(entry.mode))
    }

    fn tell(&self, path: &str, text: &str, shows: bool) {
        match &self.text {
            None => runner_sdk::info!("wrote `{path}`: {} lines", text.lines().count()),
            Some(old) if old == text => runner_sdk::info!("`{path}` has another owner or mode now"),
            Some(_) if !shows => {
                runner_sdk::info!("wrote `{path}`; not everybody may read it, so what changed is not shown");
            }
            Some(old) => {
                runner_sdk::info!("wrote `{path}`:");
                for line in diff::lines(old, text) {
                    runner_sdk::info!("{line}");
                }
            }
        }
    }
}

fn is_for_all(mode: u32) -> bool {
    mode & 0o004 != 0
}

runner_sdk::export!(Template);

#[cfg(test)]
mod tests;
