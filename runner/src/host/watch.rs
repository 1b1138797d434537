//! The watchdogs of a run: a target that loses its runner between the switch and the smoke test takes itself back.

use super::Host;
use runner_model::grant::{Ask, Layers, SshGrant};
use runner_model::{Failure, FailureKind, Phase, Runs, ServiceAction, TargetName};
use runner_transport::{Disarmed, Fired, PutBack, Watchdog};
use std::sync::PoisonError;

impl Host {
    /// Arms the watchdog of a target, with what `current` points to now.
    pub(super) async fn watch(&self, target: &TargetName) -> Result<(), Failure> {
        let (Some((release, _)), Some(root), Some(after)) =
            (self.known_release(), self.resolved.root(target), self.resolved.confirm_timeout)
        else {
            return Ok(());
        };
        if self.dry.is_some() {
            return Ok(());
        }
        let link = root.join("current").map_err(|error| Failure::new(FailureKind::Invalid, error))?;
        let live = self.live_on(target).await?;
        if live.as_ref() == Some(&release) {
            // What it would go back to is what is live: there is nothing to take back.
            return Ok(());
        }
        let mut services = Vec::new();
        let mut link_as = None;
        for step in self.resolved.steps.iter().filter(|step| step.phase == Phase::Rollout) {
            let Runs::EachTarget(targets) = &step.runs else { continue };
            if !targets.contains(target) || step.acts_on(target) != target {
                continue;
            }
            let acting = self.resolved.acting(step, target);
            let layers = self.layers(step, target, &self.outputs_of(target)).await?;
            if layers.check(&Ask::Write(&link)).is_ok() {
                link_as = Some(acting.clone());
            }
            services.extend(asked(&layers).into_iter().map(|(unit, action)| (acting.clone(), unit, action)));
        }
        // It does what steps may do, and no more.
        let Some(link_as) = link_as else { return Ok(()) };
        let watchdog = Watchdog {
            after: after.as_duration(),
            link,
            expects: format!("releases/{release}"),
            back_to: live.map(|live| format!("releases/{live}")),
            link_as,
            services,
        };
        self.fleet.connection(target).await?.arm(&watchdog).await
    }

    /// The target can still be reached, by a connection of its own: it keeps what it got.
    ///
    /// # Errors
    /// It cannot be reached, or has taken itself back.
    pub(super) async fn confirmed(&self, target: &TargetName) -> Result<(), Failure> {
        let fresh = self.fleet.another(target).await?;
        fresh.close().await;
        match self.fleet.connection(target).await?.disarm().await? {
            Disarmed::Disarmed | Disarmed::NotArmed => Ok(()),
            Disarmed::Fired(fired) => Err(took_itself_back(target, &fired)),
        }
    }

    /// Whoever goes on with a run takes care of its targets: none takes itself back from here on, and whoever did it while
    /// nobody was there is released to anew.
    pub(super) async fn look_for_watchdog(&self, target: &TargetName) -> Result<(), Failure> {
        let continues = !self.before.run.order.is_empty();
        if !continues || self.dry.is_some() || self.resolved.confirm_timeout.is_none() {
            return Ok(());
        }
        if let Disarmed::Fired(fired) = self.fleet.connection(target).await?.disarm().await? {
            tracing::warn!("{}", took_itself_back(target, &fired));
            self.went_back.lock().unwrap_or_else(PoisonError::into_inner).insert(target.clone());
        }
        Ok(())
    }

    pub(super) fn has_gone_back(&self, target: &TargetName) -> bool {
        self.went_back.lock().unwrap_or_else(PoisonError::into_inner).contains(target)
    }

    /// It does not take itself back from here on, whatever it did so far.
    pub(super) async fn unwatch(&self, target: &TargetName) -> Result<(), Failure> {
        if self.dry.is_some() || self.resolved.confirm_timeout.is_none() {
            return Ok(());
        }
        let disarmed = self.fleet.connection(target).await?.disarm().await?;
        if let Disarmed::Fired(fired) = disarmed {
            tracing::warn!("{}", took_itself_back(target, &fired));
        }
        Ok(())
    }
}

/// The services that a step may ask, as far as its grants spell them out.
fn asked(layers: &Layers) -> Vec<(String, ServiceAction)> {
    let named = layers.lock.ssh.iter().filter_map(SshGrant::service);
    let kept_up = named.filter(|(_, action)| *action != ServiceAction::Stop);
    kept_up
        .filter(|(unit, action)| layers.check(&Ask::Service { unit, action: *action }).is_ok())
        .map(|(unit, action)| (unit.to_owned(), action))
        .collect()
}

/// That a target lost its runner, and what it did.
fn took_itself_back(target: &TargetName, fired: &Fired) -> Failure {
    let what = match &fired.link {
        PutBack::Reverted => "it has gone back to the release before",
        PutBack::LeftAlone { .. } => "it left `current` alone, since somebody else had moved it",
        PutBack::Failed { .. } => "it could not go back to the release before",
    };
    Failure::new(
        FailureKind::Conflict,
        format_args!("{target} waited longer than `confirm-timeout` for its runner: {what}"),
    )
}
