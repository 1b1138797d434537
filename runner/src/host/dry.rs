//! A dry run: machines and requests behind which nothing can be changed. Steps run as they always do; the verbs that they
//! are given end in an overlay, which later reads see, and requests that would change something are not sent.

use super::fleet::Fleet;
use crate::sandbox::context::{Context, Download, Http, HttpAnswer, Machines, Rehearsal, Sending};
use async_trait::async_trait;
use runner_artifact::Store;
use runner_model::{Acting, Failure, FailureKind, Resolved, RunId, Tally, TargetName};
use runner_overlay::Overlay;
use runner_secret::Vault;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What a dry run keeps in mind.
pub(super) struct DryRun {
    run: RunId,
    resolved: Arc<Resolved>,
    store: Arc<Store>,
    vault: Arc<Vault>,
    overlays: Mutex<BTreeMap<TargetName, Arc<Overlay>>>,
    /// Of the workspace.
    pub(super) rehearsal: Arc<Rehearsal>,
}

impl DryRun {
    pub(super) fn new(run: RunId, resolved: Arc<Resolved>, store: Arc<Store>, vault: Arc<Vault>) -> Self {
        Self { run, resolved, store, vault, overlays: Mutex::default(), rehearsal: Arc::default() }
    }

    fn overlay(&self, name: &TargetName) -> Arc<Overlay> {
        let mut overlays = self.overlays.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let root = self.resolved.root(name).cloned();
            Arc::new(Overlay::new(Arc::clone(&self.store), Arc::clone(&self.vault), self.run.clone(), root))
        };
        Arc::clone(overlays.entry(name.clone()).or_insert_with(new))
    }

    /// Why a request of this invocation would see the world as it was.
    fn stale(&self, context: &Context, sending: &Sending) -> Option<String> {
        let via = sending.request.via.as_ref();
        let info = &context.info;
        let near = [Some(&info.current), info.subject.as_ref(), via].into_iter().flatten();
        if let Some(why) = near.into_iter().find_map(|name| self.overlay(name).is_tainted()) {
            return Some(why);
        }
        // Where it goes is known when a target answers it: else any of them may be the one.
        if via.is_some() || self.is_at(sending, &info.current) {
            return None;
        }
        let overlays = self.overlays.lock().unwrap_or_else(PoisonError::into_inner);
        overlays.values().find_map(|overlay| overlay.is_tainted())
    }

    /// Whether a request goes to the address of this target.
    fn is_at(&self, sending: &Sending, target: &TargetName) -> bool {
        let Some(target) = self.resolved.target(target) else { return false };
        let address = target.address.as_str();
        match &sending.request.connect_to {
            Some(to) => to.strip_prefix(address).is_some_and(|rest| rest.is_empty() || rest.starts_with(':')),
            None => sending.url.host_str() == Some(address),
        }
    }

    /// What an invocation that failed means: where only the real thing could have gone on, nobody knows.
    pub(super) fn judge(
        &self,
        target: &TargetName,
        failure: Failure,
        tally: Tally,
    ) -> Result<String, Failure> {
        let listed = tally.changes + tally.signals > 0;
        match failure.kind {
            FailureKind::Unknown => Ok(failure.message),
            // These would end the real thing too.
            FailureKind::Cancelled | FailureKind::Denied | FailureKind::Invalid => Err(failure),
            _ if listed || self.overlay(target).is_tainted().is_some() => {
                Ok(format!("it would fail here, where only the real thing could go on: {failure}"))
            }
            _ => Err(failure),
        }
    }

    /// What an invocation that cannot begin means: what it refers to may be what nobody knows.
    pub(super) fn judge_unbegun<'a>(
        &self,
        outputs: impl IntoIterator<Item = (&'a runner_model::StepId, &'a Value)>,
        failure: Failure,
    ) -> Result<String, Failure> {
        let unknown = outputs.into_iter().find(|(_, outputs)| outputs.is_null());
        match unknown {
            Some((step, _)) => Ok(format!("it needs what `{step}` gives out, which is unknown: {failure}")),
            None => Err(failure),
        }
    }
}

/// Machines that cannot be changed.
pub(super) struct DryMachines {
    pub(super) fleet: Arc<Fleet>,
    pub(super) dry: Arc<DryRun>,
}

#[async_trait]
impl Machines for DryMachines {
    fn has(&self, name: &TargetName) -> bool {
        self.fleet.has(name)
    }

    async fn acting(
        &self,
        name: &TargetName,
        user: &Acting,
    ) -> Result<Arc<dyn runner_transport::Target>, Failure> {
        Ok(self.dry.overlay(name).over(self.fleet.acting(name, user).await?))
    }
}

/// Requests that change nothing.
pub(super) struct DryRequests {
    pub(super) real: Arc<dyn Http>,
    pub(super) dry: Arc<DryRun>,
}

impl DryRequests {
    /// Whether it may be sent; `false`: it is listed.
    fn may_be_sent(&self, context: &Context, sending: &Sending) -> Result<bool, Failure> {
        let (request, via) = (&sending.request, sending.request.via.as_ref());
        let what = format!("{} {}", request.method, sending.url);
        if request.effect.mutates() {
            let on = via.unwrap_or(&context.info.target);
            self.dry.overlay(on).taint(format!("`{what}` would have been sent"));
            return Ok(false);
        }
        match self.dry.stale(context, sending) {
            None => Ok(true),
            Some(why) => Err(Failure::new(FailureKind::Unknown, format_args!("{what}, after {why}"))),
        }
    }
}

#[async_trait]
impl Http for DryRequests {
    async fn send(&self, context: &Context, sending: &Sending) -> Result<HttpAnswer, Failure> {
        if self.may_be_sent(context, sending)? {
            return self.real.send(context, sending).await;
        }
        Ok(HttpAnswer::none())
    }

    async fn download(&self, context: &Context, sending: &Sending) -> Result<Download, Failure> {
        if self.may_be_sent(context, sending)? {
            return self.real.download(context, sending).await;
        }
        Err(Failure::new(
            FailureKind::Unknown,
            format_args!("what `{} {}` would answer", sending.request.method, sending.url),
        ))
    }
}
