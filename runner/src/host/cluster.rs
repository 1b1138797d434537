//! The cluster as the run asks it: one module at each of its load balancers, as one gate.

use super::Host;
use super::invoke::Called;
use crate::sandbox::Export;
use futures_util::StreamExt as _;
use runner_engine::Invocation;
use runner_model::grant::SshGrant;
use runner_model::{Failure, FailureKind, ResolvedStep, Service, Standing, StepId, TargetName};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// About how many targets it is asked at a time.
const AT_ONCE: usize = 8;

impl Host {
    /// How these targets stand.
    ///
    /// # Errors
    /// A load balancer cannot be asked.
    pub(super) async fn standings_of(
        &self,
        targets: &[TargetName],
    ) -> Result<BTreeMap<TargetName, Standing>, Failure> {
        let asked = futures_util::stream::iter(targets.to_vec()).map(|target| async move {
            let standing = self.stands(&target, &CancellationToken::new()).await?;
            Ok::<_, Failure>((target, standing))
        });
        let answers: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
        answers.into_iter().collect()
    }

    /// How a target stands, at all load balancers together.
    async fn stands(&self, target: &TargetName, cancel: &CancellationToken) -> Result<Standing, Failure> {
        let mut all: Option<Standing> = None;
        for balancer in self.balancers() {
            let answer = match self.ask(&balancer, Export::Observe, target, cancel).await {
                // Where it would have been told something before, it stands as it would stand then.
                Err(failure) if self.only_the_real_one_knows(&failure) => {
                    return Ok(self.standings.now(target).unwrap_or_else(Standing::served));
                }
                answer => answer?,
            };
            let standing: Standing = serde_json::from_value(answer)
                .map_err(|error| Failure::new(FailureKind::Other, format_args!("a bug: {error}")))?;
            all = Some(all.map_or(standing, |all| all.and(standing)));
        }
        let standing = all.ok_or_else(|| Failure::new(FailureKind::NotFound, "the plan has no cluster"))?;
        if self.standings.stands(target, standing) {
            self.record.stood(target, standing);
        }
        Ok(standing)
    }

    /// Takes a target out of service everywhere. Where that fails at one load balancer, it is put back at the others.
    ///
    /// # Errors
    /// It is in service as before, or the failure says that it may not be.
    pub(super) async fn take_out(
        &self,
        target: &TargetName,
        cancel: &CancellationToken,
    ) -> Result<(), Failure> {
        let mut left: Vec<ResolvedStep> = Vec::new();
        let _one_at_a_time = self.one_at_a_time().await;
        for balancer in self.balancers() {
            let asked = self.ask(&balancer, Export::Leave, target, cancel).await;
            // One that fails may be half through it.
            left.push(balancer);
            if let Err(failure) = asked
                && !self.only_the_real_one_knows(&failure)
            {
                return Err(self.back_at(&left, target, failure).await);
            }
        }
        if self.dry.is_some() {
            self.standings.stands(target, Standing::out());
            return Ok(());
        }
        let standing = self.stands(target, cancel).await?;
        if standing.is_out() {
            return Ok(());
        }
        let message = format!("{target} was taken out of service, and is {}", standing.words());
        Err(self.back_at(&left, target, Failure::new(FailureKind::Conflict, message)).await)
    }

    async fn back_at(&self, left: &[ResolvedStep], target: &TargetName, mut why: Failure) -> Failure {
        if self.standings.found(target) != Some(Service::In) {
            return why;
        }
        for balancer in left {
            if let Err(failure) = self.ask(balancer, Export::Join, target, &CancellationToken::new()).await {
                let detail = format!("{}\nand it could not be put back: {failure}", why.detail);
                why = why.with_detail(detail.trim_start());
            }
        }
        why
    }

    /// Puts a target back into service everywhere.
    ///
    /// # Errors
    /// It is not in service, or not at all load balancers.
    pub(super) async fn put_back(
        &self,
        target: &TargetName,
        cancel: &CancellationToken,
    ) -> Result<(), Failure> {
        let one_at_a_time = self.one_at_a_time().await;
        let mut failed: Option<Failure> = None;
        for balancer in self.balancers() {
            // What one of them refuses keeps it out of no other.
            if let Err(failure) = self.ask(&balancer, Export::Join, target, cancel).await
                && !self.only_the_real_one_knows(&failure)
            {
                failed = Some(match failed {
                    None => failure,
                    Some(first) => {
                        let detail = format!("{}\n{failure}", first.detail);
                        first.with_detail(detail.trim_start())
                    }
                });
            }
        }
        drop(one_at_a_time);
        if let Some(failure) = failed {
            return Err(failure);
        }
        if self.dry.is_some() {
            self.standings.stands(target, Standing::served());
            return Ok(());
        }
        let standing = self.stands(target, cancel).await?;
        match standing.serves() {
            true => Ok(()),
            false => Err(Failure::new(
                FailureKind::Conflict,
                format_args!("{target} was put back into service, and is {}", standing.words()),
            )),
        }
    }

    /// Whether a dry run has come to where only the real cluster could go on: it would do as it is told.
    fn only_the_real_one_knows(&self, failure: &Failure) -> bool {
        self.dry.is_some() && failure.kind == FailureKind::Unknown
    }

    /// Of a module that writes files of a load balancer, one call is over before the next one begins: both would read the
    /// file, and the later one would take back what the other one wrote.
    async fn one_at_a_time(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let writes = self
            .resolved
            .cluster
            .iter()
            .flat_map(|cluster| &cluster.grants)
            .any(|of_root| of_root.grants.ssh.iter().any(SshGrant::is_write));
        if writes { Some(self.gate.lock().await) } else { None }
    }

    /// The cluster at each of its load balancers.
    fn balancers(&self) -> Vec<ResolvedStep> {
        match &self.resolved.cluster {
            None => Vec::new(),
            Some(cluster) if cluster.on.is_empty() => vec![cluster.clone()],
            Some(cluster) => cluster.on.iter().map(|on| cluster.at(Some(on))).collect(),
        }
    }

    /// Asks the cluster something about a target.
    async fn ask(
        &self,
        cluster: &ResolvedStep,
        export: Export,
        target: &TargetName,
        cancel: &CancellationToken,
    ) -> Result<Value, Failure> {
        let over = self.before.run.last_attempt(&cluster.id, target);
        let invocation = Invocation {
            step: StepId::cluster(),
            target: target.clone(),
            attempt: self.standings.next(target, over),
            outputs: Arc::default(),
        };
        let begun = self.prepare(cluster, &invocation).await?;
        let Called { result, .. } = self.call(&begun, export, &invocation, cancel.clone()).await;
        let on = cluster.acts_on(target);
        result.map_err(|failure| Failure {
            message: format!("{} {target} at {on}: {}", what(export), failure.message),
            ..failure
        })
    }
}

fn what(export: Export) -> &'static str {
    match export {
        Export::Run => "run",
        Export::Observe => "learn whether the cluster sends requests to",
        Export::Leave => "take out of service",
        Export::Join => "put back into service",
    }
}
