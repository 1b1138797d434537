//! `std/restart`: makes a service take up what changed.

use runner_sdk::layout::Root;
use runner_sdk::params::Changed;
use runner_sdk::{Capabilities, Context, Result, ServiceAction, Step, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step.
pub struct Restart;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
    /// The unit: "nginx".
    unit: String,
    /// What to ask of the init system.
    #[serde(default)]
    action: ServiceAction,
    /// "changed": only when there is a reason. "always": in every run.
    #[serde(default)]
    when: When,
    /// The release root; then a release that went live, or that has not proved itself here, is a reason.
    root: Option<Root>,
    /// What earlier steps say about what they changed: "${config.changed}", or a list of such; one that is true is a
    /// reason.
    changed: Option<Changed>,
}

/// When the init system is asked.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// When there is a reason.
    #[default]
    Changed,
    /// In every run.
    Always,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// Whether the init system was asked.
    signalled: bool,
    /// Why; null when it was not.
    reason: Option<String>,
}

impl Step for Restart {
    const NAME: &'static str = "restart";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "makes a service take up what changed";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities =
        Capabilities { ssh: &["service:${unit} ${action}", "read:${root}"], ..Capabilities::NONE };

    type Params = Params;
    type Outputs = Outputs;

    fn run(params: Params) -> Result<Outputs> {
        let target = Target::current();
        let (unit, action) = (&params.unit, params.action);
        let reason = match reason(&target, &params)? {
            Some(reason) => reason,
            None => {
                runner_sdk::info!("no reason to {} `{unit}`", action.word());
                return Ok(Outputs { signalled: false, reason: None });
            }
        };
        runner_sdk::info!("{} `{unit}`: {reason}", action.word());
        target
            .service(unit, action)
            .context(|| format!("`{unit}` on `{}`: {} failed", target.name(), action.word()))?;
        Ok(Outputs { signalled: true, reason: Some(reason) })
    }
}

fn reason(target: &Target, params: &Params) -> Result<Option<String>> {
    if params.when == When::Always {
        return Ok(Some("asked for in every run".to_owned()));
    }
    if params.changed.as_ref().is_some_and(Changed::any) {
        return Ok(Some("an earlier step changed something".to_owned()));
    }
    if let Some(root) = &params.root
        && let Some(reason) = root.unproven(target)?
    {
        return Ok(Some(reason));
    }
    let active = target.service_is_active(&params.unit)?;
    Ok(match params.action {
        ServiceAction::Stop => active.then(|| "it runs".to_owned()),
        _ if !active => Some("it does not run".to_owned()),
        ServiceAction::Start => None,
        // Nobody says what changed. A signal too many is better than a service that is old.
        _ if params.root.is_none() && params.changed.is_none() => {
            Some("neither `root` nor `changed` says whether there is a reason".to_owned())
        }
        _ => None,
    })
}

runner_sdk::export!(Restart);

#[cfg(test)]
mod tests;
