//! What is live on targets, by the account that the host keeps there, and the marks in it.

use super::{Carried, Host, Kept};
use runner_model::{Acting, Failure, Mark, Phase, Release, ReleaseId, RemotePath, StepId, TargetName};
use runner_transport::{Intent, Within};
use std::sync::PoisonError;

impl Host {
    /// What is live on a target, by the host's own account there.
    pub(super) async fn live_on(&self, target: &TargetName) -> Result<Option<ReleaseId>, Failure> {
        let releases = self.releases_on(target).await?;
        Ok(releases.into_iter().find(|release| release.live).map(|release| release.id))
    }

    /// The releases on a target; none where the plan has no release root.
    pub(super) async fn releases_on(&self, target: &TargetName) -> Result<Vec<Release>, Failure> {
        let connection = self.fleet.connection(target).await?;
        let Some(root) = self.resolved.root(target) else { return Ok(Vec::new()) };
        let within = Within::both(std::slice::from_ref(root));
        connection.acting(&Acting::Login).releases(root, within).await
    }

    /// Marks this run's release on a target.
    pub(super) async fn mark_as(&self, target: &TargetName, mark: Mark) -> Result<(), Failure> {
        if self.dry.is_some() {
            return Ok(());
        }
        let (Some((release, _)), Some(root)) = (self.known_release(), self.resolved.root(target)) else {
            return Ok(());
        };
        let releases = self.releases_on(target).await?;
        if releases.iter().any(|known| known.id == release && known.mark == mark) {
            return Ok(());
        }
        let verbs = self.fleet.connection(target).await?.acting(&Acting::Login);
        let intent = self.record.will_mark(target, &release, mark).await?;
        let marked = verbs.mark(root, &release, mark, Intent::new(&intent)).await;
        self.record.marked(target, &marked);
        if marked.is_ok() && mark == Mark::Good {
            self.keep_with_release(target, root).await?;
        }
        marked
    }

    /// Whoever goes back from a release does not want to come back to it: it is marked bad, until it goes live once more.
    pub(super) async fn mark_what_was_left(&self, target: &TargetName) -> Result<(), Failure> {
        let left = self.previous.lock().unwrap_or_else(PoisonError::into_inner).get(target).cloned();
        let (Some(left), Some((release, _)), Some(root)) =
            (left, self.known_release(), self.resolved.root(target))
        else {
            return Ok(());
        };
        let releases = self.releases_on(target).await?;
        let of = |id: &ReleaseId| releases.iter().find(|known| known.id == *id);
        let (Some(left), Some(now)) = (of(&left), of(&release)) else { return Ok(()) };
        if left.sequence <= now.sequence || left.mark == Mark::Bad {
            return Ok(());
        }
        let verbs = self.fleet.connection(target).await?.acting(&Acting::Login);
        let intent = self.record.will_mark(target, &left.id, Mark::Bad).await?;
        let marked = verbs.mark(root, &left.id, Mark::Bad, Intent::new(&intent)).await;
        self.record.marked(target, &marked);
        marked
    }

    /// Keeps with a release that proved itself what it takes to make it live again.
    async fn keep_with_release(&self, target: &TargetName, root: &RemotePath) -> Result<(), Failure> {
        let Some(release) = self.known_release() else { return Ok(()) };
        let before =
            |id: &StepId| self.step(id).is_ok_and(|step| matches!(step.phase, Phase::Prepare | Phase::Stage));
        let mut outputs = self.outputs_of(target);
        outputs.retain(|step, _| before(step));
        let id = release.0.clone();
        let environment = self.resolved.environment.clone();
        let kept = Kept::new(release, environment, self.texts.clone(), self.resolved.given.clone(), outputs);
        let verbs = self.fleet.connection(target).await?.acting(&Acting::Login);
        let line = Carried::Kept(id.clone()).line();
        verbs.keep(root, &id, &kept.text(), Intent::new(&line)).await
    }
}
