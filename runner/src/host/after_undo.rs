//! What tests a target that was taken back, before requests are sent to it again.

use super::Host;
use super::past::PastRun;
use crate::sandbox::Export;
use crate::sandbox::context::cancelled;
use runner_engine::Invocation;
use runner_model::{Failure, ResolvedStep, TargetName};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

impl Host {
    /// Runs the steps that say `after-undo`, where a release is live; `run`: what was done so far, whose attempts these
    /// come after.
    ///
    /// # Errors
    /// One of them fails: the target is not what it was.
    pub(super) async fn test_after_undo(
        &self,
        run: &PastRun,
        target: &TargetName,
        cut: &CancellationToken,
    ) -> Result<(), Failure> {
        let tests = self.resolved.steps.iter().filter(|step| step.after_undo);
        let tests: Vec<_> = tests.filter(|step| step.runs.targets().contains(target)).collect();
        if tests.is_empty() {
            return Ok(());
        }
        let Some(live) = self.live_on(target).await? else { return Ok(()) };
        for step in tests {
            self.test(run, step, target, cut).await.map_err(|failure| Failure {
                message: format!("`{}` of {live}, which is live again: {}", step.id, failure.message),
                ..failure
            })?;
        }
        Ok(())
    }

    async fn test(
        &self,
        run: &PastRun,
        step: &ResolvedStep,
        target: &TargetName,
        cut: &CancellationToken,
    ) -> Result<(), Failure> {
        let (times, delay) = step.retry.map_or((0, 0), |retry| (retry.times, retry.delay_ms));
        let last = run.last_attempt(&step.id, target);
        let mut tries = 0;
        loop {
            tries += 1;
            let invocation = Invocation {
                step: step.id.clone(),
                target: target.clone(),
                attempt: last.saturating_add(tries),
                outputs: Arc::new(self.outputs_of(target)),
            };
            let begun = self.prepare(step, &invocation).await?;
            let called = self.call(&begun, Export::Run, &invocation, cut.clone()).await;
            match called.result {
                Err(_) if tries <= times => {}
                result => return result.map(drop),
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(delay)) => {}
                () = cut.cancelled() => return Err(cancelled()),
            }
        }
    }
}
