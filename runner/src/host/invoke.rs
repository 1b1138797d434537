//! One invocation: what it is given, what it may do, and the account of what it did.

use super::gate::ServiceGate;
use super::{Host, Ready};
use crate::sandbox::context::{Context, RunInfo, cancelled};
use crate::sandbox::gate::Gate;
use crate::sandbox::limits::Limits;
use crate::sandbox::{Ended, Export};
use runner_engine::{Invocation, Invoked};
use runner_model::grant::Layers;
use runner_model::{
    Digest, Facts, Failure, FailureKind, LockedStep, ReleaseId, ResolvedStep, Runs, StepId, Tally, TargetName,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use tokio_util::sync::CancellationToken;

impl Host {
    /// The invocation with what the steps of an older release had given out, which do not run again.
    fn with_what_was_given_then(&self, invocation: &Invocation) -> Invocation {
        let Some(then) = self.given_then.get(&invocation.target) else { return invocation.clone() };
        let mut outputs = then.clone();
        outputs.extend((*invocation.outputs).clone());
        Invocation { outputs: Arc::new(outputs), ..invocation.clone() }
    }

    /// Everything about an invocation that can go wrong before it begins.
    pub(super) async fn prepare<'a>(
        &'a self,
        step: &'a ResolvedStep,
        invocation: &'a Invocation,
    ) -> Result<Begun<'a>, Failure> {
        if let Some(error) = self.journal.failure() {
            return Err(error.into());
        }
        let Invocation { step: id, target, outputs, .. } = invocation;
        let module = self.modules.get(&step.module).ok_or_else(|| {
            Failure::new(FailureKind::Other, format_args!("the module `{}` was not loaded", step.module))
        })?;
        let params =
            self.with_facts(step, target, outputs, |_, facts| self.resolved.parameters(step, target, facts));
        let params = params.await?;
        module.schemas.check_parameters(&format!("step `{id}`"), &params)?;
        let layers = self.layers(step, target, outputs).await?;
        Ok(Begun { step, module, params, layers, release: self.known_release() })
    }

    /// What a step may do there, with these outputs of earlier ones.
    pub(super) async fn layers(
        &self,
        step: &ResolvedStep,
        target: &TargetName,
        outputs: &BTreeMap<StepId, Value>,
    ) -> Result<Layers, Failure> {
        let layers = self.with_facts(step, target, outputs, |locked, facts| {
            self.resolved.layers(step, target, facts, locked, self.policy.clone())
        });
        let mut layers = layers.await?;
        layers.reserved_files.extend(self.reserved_files.iter().cloned());
        Ok(layers)
    }

    /// Does something with all that a step may refer to.
    async fn with_facts<T>(
        &self,
        step: &ResolvedStep,
        target: &TargetName,
        outputs: &BTreeMap<StepId, Value>,
        then: impl FnOnce(&LockedStep, Facts<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let locked = self.locked.step(&step.id).ok_or_else(|| {
            Failure::new(
                FailureKind::Other,
                format_args!("the lock has no grants for the step `{}`", step.id),
            )
        })?;
        self.learn_release(outputs)?;
        let wanted = self.resolved.facts_of(step, locked);
        let of_target = self.facts.of(target, &wanted, &self.fleet, &self.resolved, &self.record).await?;
        let release = self.known_release();
        let facts = Facts {
            run: &self.run,
            release: release.as_ref().map(|(id, _)| id),
            artifact: release.as_ref().map(|(_, artifact)| artifact),
            outputs,
            target: &of_target,
        };
        then(locked, facts)
    }

    fn context(&self, invocation: &Invocation, begun: &Begun<'_>, cancel: CancellationToken) -> Context {
        let target = &invocation.target;
        let step = begun.step;
        let subject = matches!(step.runs, Runs::EachTarget(_)).then(|| target.clone());
        let current = step.acts_on(target).clone();
        let previous = self.previous.lock().unwrap_or_else(PoisonError::into_inner).get(target).cloned();
        let variables = self.resolved.target(target).map(|target| &target.vars).into_iter().flatten();
        Context {
            info: RunInfo {
                run: self.run.clone(),
                step: step.id.clone(),
                target: target.clone(),
                attempt: invocation.attempt,
                environment: self.resolved.environment.to_string(),
                release: begun.release.as_ref().map(|(id, _)| id.clone()),
                previous,
                subject,
                variables: variables
                    .map(|(name, value)| (name.as_str().to_owned(), as_text(value)))
                    .collect(),
                current: current.clone(),
            },
            module: step.uses.clone(),
            events: self.events.clone(),
            cancel,
            acting: self.resolved.acting(step, &current),
            machines: Arc::clone(&self.machines),
            origin: self.origin.clone(),
            record: self.record.clone(),
            marks: Arc::clone(&self.marks),
            given: Arc::clone(&self.given),
            store: Arc::clone(&self.store),
            workspace: Arc::new(self.workspace.snapshot()),
            http: Arc::clone(&self.http),
            vault: Arc::clone(&self.vault),
            secrets: self.resolved.secrets_of(step),
            layers: Arc::new(begun.layers.clone()),
            gate: None,
            diff: self.diff,
            waits: self.dry.is_none(),
            rehearsal: self.dry.as_ref().map(|dry| Arc::clone(&dry.rehearsal)),
        }
    }

    /// Runs the step and judges what it returned.
    pub(super) async fn run(&self, invocation: &Invocation, cancel: CancellationToken) -> Invoked {
        let invocation = &self.with_what_was_given_then(invocation);
        let prepared = async { self.prepare(self.step(&invocation.step)?, invocation).await };
        let prepared = tokio::select! {
            prepared = prepared => prepared,
            () = cancel.cancelled() => Err(cancelled()),
        };
        let begun = match prepared {
            Ok(begun) => begun,
            Err(failure) => {
                return match &self.dry {
                    None => failed(failure),
                    Some(dry) => dry
                        .judge_unbegun(invocation.outputs.iter(), failure)
                        .map_or_else(failed, |why| unknown(why, Tally::default())),
                };
            }
        };
        let Called { result, stderr, tally, in_service } =
            self.call(&begun, Export::Run, invocation, cancel).await;
        let current = begun.step.acts_on(&invocation.target);
        let result = match (result, &self.dry) {
            (Err(failure), Some(dry)) => match dry.judge(current, failure, tally) {
                Ok(why) => return unknown(why, tally),
                Err(failure) => Err(failure),
            },
            (result, _) => result,
        };
        Invoked { result, unknown: None, stderr, tally, in_service }
    }

    /// Calls a module, and keeps the account of it.
    pub(super) async fn call(
        &self,
        begun: &Begun<'_>,
        export: Export,
        invocation: &Invocation,
        cancel: CancellationToken,
    ) -> Called {
        let Invocation { step, target, attempt, .. } = invocation;
        let denied = Arc::new(AtomicBool::new(false));
        let gate = (export == Export::Run).then(|| {
            let (resolved, standings) = (Arc::clone(&self.resolved), Arc::clone(&self.standings));
            let phase = begun.step.phase;
            Arc::new(ServiceGate { resolved, standings, phase, denied: Arc::clone(&denied) }) as Arc<dyn Gate>
        });
        let context = Context { gate, ..self.context(invocation, begun, cancel) };
        let (info, current) = (context.info.clone(), context.info.current.clone());
        let limits = limits(begun.step);
        let about = serde_json::json!({
            "info": info, "limits": limits, "uses": begun.step.uses, "export": export,
        });
        let given = (begun.params.clone(), about);
        self.record.started(step, target, *attempt, begun.step.digest, given);
        let sent_before = self.fleet.bytes_sent(&current);
        let called = (export, begun.params.to_string());
        let Ended { result, stderr, mut tally, changed, .. } =
            self.sandbox.invoke(&begun.module.prepared, called, context, limits).await;
        let who = format!("step `{step}` (module `{}`)", begun.step.uses);
        let result = result.and_then(|text| match export {
            Export::Run => begun.module.schemas.outputs(&who, &text),
            _ => serde_json::from_str(&text).map_err(|error| Failure::new(FailureKind::Other, error)),
        });
        let result = result.map(|outputs| self.vault.hide_json(outputs));
        let result = result.and_then(|outputs| {
            if export == Export::Run {
                self.given.give_out(&outputs);
                let of = (step.clone(), target.clone());
                self.outputs.lock().unwrap_or_else(PoisonError::into_inner).insert(of, outputs.clone());
                self.learn_release(&BTreeMap::from([(step.clone(), outputs.clone())]))?;
            }
            Ok(outputs)
        });
        self.marks.settle(&info, changed, result.is_ok());
        tally.bytes_sent = self.fleet.bytes_sent(&current).saturating_sub(sent_before);
        self.record.ended(step, target, *attempt, &result, tally.fuel);
        Called { result, stderr, tally, in_service: denied.load(Ordering::Relaxed) }
    }
}

/// How a call of a module ended.
pub(super) struct Called {
    pub(super) result: Result<Value, Failure>,
    stderr: String,
    tally: Tally,
    /// Something was denied since the target is in service.
    in_service: bool,
}

/// An invocation that may begin.
pub(super) struct Begun<'a> {
    step: &'a ResolvedStep,
    module: &'a Ready,
    params: Value,
    layers: Layers,
    release: Option<(ReleaseId, Digest)>,
}

/// An invocation that did not begin.
fn failed(failure: Failure) -> Invoked {
    Invoked {
        result: Err(failure),
        unknown: None,
        stderr: String::new(),
        tally: Tally::default(),
        in_service: false,
    }
}

/// An invocation of which only the real thing could tell more.
fn unknown(why: String, tally: Tally) -> Invoked {
    Invoked { result: Ok(Value::Null), unknown: Some(why), stderr: String::new(), tally, in_service: false }
}

/// A variable as text: text as it is, all else as JSON.
fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The limits of a step, in the sandbox's own words.
pub(crate) fn limits(step: &ResolvedStep) -> Limits {
    let bytes =
        |size: runner_model::quantity::ByteSize| usize::try_from(size.as_bytes()).unwrap_or(usize::MAX);
    Limits {
        memory: bytes(step.limits.memory),
        fuel: step.limits.fuel,
        time: step.limits.time.as_duration(),
        log: bytes(step.limits.log),
        table_elements: usize::try_from(step.limits.table_elements).unwrap_or(usize::MAX),
        instances: usize::try_from(step.limits.instances).unwrap_or(usize::MAX),
        ..Limits::default()
    }
}
