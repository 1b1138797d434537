//! Traces and metrics of a run, for whoever the surroundings name.

use super::talk;
use runner_model::{Resolved, RunId};
use runner_telemetry::{Sending, Telemetry};

/// What the surroundings want to be told of runs. What they ask for in vain is a warning.
pub(super) fn start(run: &RunId, resolved: &Resolved) -> Option<(Telemetry, Sending)> {
    let (settings, warnings) = runner_telemetry::Settings::of_process();
    warnings.iter().for_each(|warning| talk(&format!("warning: {warning}\n")));
    let addresses = resolved.targets.iter().map(|(name, target)| (name.clone(), target.address.to_string()));
    let about = runner_telemetry::About {
        run: run.clone(),
        plan: resolved.plan.clone(),
        environment: resolved.environment.clone(),
        addresses: addresses.collect(),
        version: env!("CARGO_PKG_VERSION"),
    };
    match Telemetry::start(&settings?, about) {
        Ok(started) => Some(started),
        Err(warning) => {
            talk(&format!("warning: {warning}\n"));
            None
        }
    }
}
