//! What no step may do to a target that is in service. Requests are sent to it: what is live there, and what serves it,
//! stays as it is until the cluster has taken it out.

use super::standings::Standings;
use crate::sandbox::gate::{Gate, Touch};
use runner_model::{Change, Failure, FailureKind, Phase, RemotePath, Resolved, ServiceAction, TargetName};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The gate of one invocation.
pub(super) struct ServiceGate {
    pub(super) resolved: Arc<Resolved>,
    pub(super) standings: Arc<Standings>,
    /// The step's.
    pub(super) phase: Phase,
    /// Whether something was denied: the engine takes the target out then, and tries again.
    pub(super) denied: Arc<AtomicBool>,
}

impl ServiceGate {
    /// Why this cannot be done in service; `None`: it can.
    fn serves(&self, on: &TargetName, touch: Touch<'_>) -> Option<String> {
        match touch {
            Touch::Change(change) => {
                let paths = std::iter::once(change.path()).chain(change.also_writes());
                let live = paths.into_iter().find(|path| self.is_live(on, path))?;
                Some(format!("{} `{live}` on {on}: that is live", change.verb()))
            }
            // Both leave what serves requests as it is, or begin it.
            Touch::Service(_, ServiceAction::Start | ServiceAction::Reload)
                if self.phase != Phase::Rollout =>
            {
                None
            }
            Touch::Service(unit, action) => Some(format!("{} `{unit}` on {on}", action.word())),
            // Of a command nobody knows what it is for: in the rollout it may be what a restart is elsewhere.
            Touch::Command(title, class) => {
                let may_cut = class.mutates() && self.phase == Phase::Rollout;
                may_cut.then(|| format!("run `{title}` on {on}"))
            }
        }
    }

    /// Whether requests are served from there: `current`, and what it leads to.
    fn is_live(&self, on: &TargetName, path: &RemotePath) -> bool {
        let Some(root) = self.resolved.root(on) else { return false };
        let below =
            |rest: &str| root.join(rest).is_ok_and(|live| path.is_within(&live) || live.is_within(path));
        below("current")
            || self.standings.live(on).is_some_and(|release| below(&format!("releases/{release}")))
    }
}

impl Gate for ServiceGate {
    fn allows(&self, on: &TargetName, touch: Touch<'_>) -> Result<(), Failure> {
        if !self.standings.serves(on) {
            return Ok(());
        }
        let Some(what) = self.serves(on, touch) else { return Ok(()) };
        self.led_there();
        Err(Failure::new(FailureKind::Denied, format_args!("{what}: it is in service")).with_detail(
            "the runner takes targets out of service for the steps of `[[rollout]]`: move the step there",
        ))
    }

    fn spared(&self, on: &TargetName) -> Vec<RemotePath> {
        let current = self.resolved.root(on).and_then(|root| root.join("current").ok());
        current.into_iter().filter(|_| self.standings.serves(on)).collect()
    }

    fn led_there(&self) {
        self.denied.store(true, Ordering::Relaxed);
    }

    fn changed(&self, on: &TargetName, change: &Change) {
        let Change::Symlink { path, points_to } = change else { return };
        let current = self.resolved.root(on).and_then(|root| root.join("current").ok());
        if current.as_ref() == Some(path) {
            let release = points_to.rsplit('/').next().and_then(|name| name.parse().ok());
            self.standings.went_live(on, release);
        }
    }
}
