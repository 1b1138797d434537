//! A run as one trace: the run, its phases and batches, each step on each target, and its effects. Spans are made of the
//! times in the events, so that a slow consumer makes no slow spans.

use crate::About;
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use runner_model::{
    Act, EffectClass, EffectEnd, Effected, End, Event, Failure, FailureKind, Phase, Stamped, StepId,
    TargetEnd, TargetName, Verdict,
};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// An invocation.
type Key = (StepId, TargetName);

/// The spans of a run that are open.
pub(crate) struct Trace {
    tracer: SdkTracer,
    about: About,
    begun: SystemTime,
    run: Context,
    phase: Option<Context>,
    batch: Option<Context>,
    steps: BTreeMap<Key, Context>,
}

impl Trace {
    pub(crate) fn new(provider: &SdkTracerProvider, parent: Option<&SpanContext>, about: About) -> Self {
        let tracer = provider.tracer("runner");
        let begun = SystemTime::now();
        let above = parent
            .map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent.clone()));
        let builder = SpanBuilder::from_name(format!("RUN {}", about.plan))
            .with_kind(SpanKind::Server)
            .with_start_time(begun)
            .with_attributes([
                KeyValue::new("cicd.pipeline.name", about.plan.to_string()),
                KeyValue::new("cicd.pipeline.run.id", about.run.to_string()),
                KeyValue::new("cicd.pipeline.action.name", "RUN"),
                KeyValue::new("deployment.environment.name", about.environment.to_string()),
            ]);
        let run = above.with_span(tracer.build_with_context(builder, &above));
        Self { tracer, about, begun, run, phase: None, batch: None, steps: BTreeMap::new() }
    }

    /// In hexadecimal; `None`: whoever began the trace wants none of it.
    pub(crate) fn id(&self) -> Option<String> {
        let context = self.run.span().span_context().clone();
        (context.is_valid() && context.is_sampled()).then(|| context.trace_id().to_string())
    }

    fn time(&self, at: u64) -> SystemTime {
        self.begun + Duration::from_millis(at)
    }

    /// Opens a span.
    fn open(
        &self,
        name: impl Into<std::borrow::Cow<'static, str>>,
        at: u64,
        below: &Context,
        attributes: Vec<KeyValue>,
    ) -> Context {
        let builder = SpanBuilder::from_name(name).with_start_time(self.time(at)).with_attributes(attributes);
        below.with_span(self.tracer.build_with_context(builder, below))
    }

    fn close(&self, span: &Context, at: u64) {
        span.span().end_with_timestamp(self.time(at));
    }

    /// The innermost part of the plan that is at work.
    fn inside(&self) -> &Context {
        self.batch.as_ref().or(self.phase.as_ref()).unwrap_or(&self.run)
    }

    fn close_batch(&mut self, at: u64) {
        if let Some(batch) = self.batch.take() {
            self.close(&batch, at);
        }
    }

    fn close_phase(&mut self, at: u64) {
        self.close_batch(at);
        if let Some(phase) = self.phase.take() {
            self.close(&phase, at);
        }
    }

    /// What says which machine it is.
    fn place(&self, target: &TargetName) -> Vec<KeyValue> {
        let mut place = vec![KeyValue::new("runner.target", target.to_string())];
        if let Some(address) = self.about.addresses.get(target) {
            place.push(KeyValue::new("server.address", address.clone()));
        }
        place
    }

    pub(crate) fn add(&mut self, stamped: &Stamped) {
        let at = stamped.at;
        match &stamped.event {
            Event::RunStarted { targets, .. } => {
                let targets = i64::try_from(targets.len()).unwrap_or(i64::MAX);
                self.run.span().set_attribute(KeyValue::new("runner.targets", targets));
            }
            Event::PhaseStarted { phase } => {
                self.close_phase(at);
                let attributes = vec![KeyValue::new("runner.phase", phase.word())];
                self.phase = Some(self.open(phase.word(), at, &self.run, attributes));
            }
            Event::PhaseFinished { .. } => self.close_phase(at),
            Event::BatchStarted { number, of, targets } => {
                self.close_batch(at);
                let attributes = vec![
                    KeyValue::new("runner.phase", Phase::Rollout.word()),
                    KeyValue::new("runner.batch.number", i64::from(*number)),
                    KeyValue::new("runner.batch.of", i64::from(*of)),
                    KeyValue::new("runner.targets", i64::try_from(targets.len()).unwrap_or(i64::MAX)),
                ];
                self.batch = Some(self.open("batch", at, self.inside(), attributes));
            }
            Event::Connected { target, milliseconds, .. } => {
                let began = at.saturating_sub(*milliseconds);
                let span = self.open("connect", began, &self.run, self.place(target));
                self.close(&span, at);
            }
            Event::Unreachable { target, failure } => {
                let span = self.open("connect", at, &self.run, self.place(target));
                failed(&span, failure);
                self.close(&span, at);
            }
            Event::ReleaseNamed { release } => {
                self.run.span().set_attribute(KeyValue::new("runner.release", release.to_string()));
            }
            Event::StepStarted { step, target, attempt } => self.begin(step, target, *attempt, at),
            Event::StepFinished { step, target, end, tally, .. } => {
                let Some(span) = self.steps.remove(&(step.clone(), target.clone())) else { return };
                let sent = i64::try_from(tally.bytes_sent).unwrap_or(i64::MAX);
                span.span().set_attributes([
                    KeyValue::new("cicd.pipeline.task.run.result", result_of(end)),
                    KeyValue::new("runner.bytes_sent", sent),
                    KeyValue::new("runner.changes", i64::from(tally.changes)),
                ]);
                match end {
                    End::Ok | End::Unknown { .. } => {}
                    End::Failed { failure, .. } => failed(&span, failure),
                    End::Cancelled => span.span().set_attribute(KeyValue::new("error.type", "cancelled")),
                }
                self.close(&span, at);
            }
            Event::StepRetried { step, attempt, delay, .. } => {
                let delay = i64::try_from(*delay).unwrap_or(i64::MAX);
                let attributes = vec![
                    KeyValue::new("cicd.pipeline.task.name", step.to_string()),
                    KeyValue::new("runner.attempt", i64::from(*attempt)),
                    KeyValue::new("runner.retry.delay_ms", delay),
                ];
                self.run.span().add_event_with_timestamp("retry", self.time(at), attributes);
            }
            Event::Effect(effected) => self.effect(effected, at),
            Event::Cancelling => {
                self.run.span().add_event_with_timestamp("cancelling", self.time(at), Vec::new());
            }
            Event::Halted { failures, allowed } => {
                let attributes = vec![
                    KeyValue::new("runner.failures", i64::from(*failures)),
                    KeyValue::new("runner.failures.allowed", i64::from(*allowed)),
                ];
                self.run.span().add_event_with_timestamp("halted", self.time(at), attributes);
            }
            Event::TargetFinished { target, end, .. } => {
                let mut attributes = self.place(target);
                attributes.push(KeyValue::new("runner.target.end", word_of(end)));
                self.run.span().add_event_with_timestamp("target finished", self.time(at), attributes);
            }
            Event::RunFinished { verdict, .. } => self.end(*verdict, at),
            what @ (Event::LockAwaited { failure }
            | Event::LockRefused { failure }
            | Event::LockLost { failure }
            | Event::ClusterLost { failure }) => {
                let name = match what {
                    Event::LockAwaited { .. } => "lock awaited",
                    Event::LockRefused { .. } => "lock refused",
                    Event::LockLost { .. } => "lock lost",
                    _ => "cluster lost",
                };
                let attributes = vec![KeyValue::new("error.type", format!("{:?}", failure.kind))];
                self.run.span().add_event_with_timestamp(name, self.time(at), attributes);
            }
            Event::ServiceLeft { target, .. } => self.told("service left", target, at),
            Event::ServiceJoined { target, .. } => self.told("service joined", target, at),
            Event::TargetRolledBack { target, .. } => self.told("target rolled back", target, at),
            Event::RollbackFailed { target: Some(target), .. } => self.told("rollback failed", target, at),
            Event::RollbackFailed { target: None, .. } => {
                self.run.span().add_event_with_timestamp("rollback failed", self.time(at), Vec::new());
            }
            Event::RollbackStarted { targets } => {
                let number = i64::try_from(targets.len()).unwrap_or(i64::MAX);
                let attributes = vec![KeyValue::new("runner.targets", number)];
                self.run.span().add_event_with_timestamp("rollback", self.time(at), attributes);
            }
            Event::RollbackOff { .. }
            | Event::ServiceObserved { .. }
            | Event::ServiceAwaited { .. }
            | Event::Paused { .. }
            | Event::Undone { .. }
            | Event::Progress { .. }
            | Event::Log { .. } => {}
        }
    }

    fn begin(&mut self, step: &StepId, target: &TargetName, attempt: u32, at: u64) {
        let mut attributes = self.place(target);
        attributes.extend([
            KeyValue::new("cicd.pipeline.task.name", step.to_string()),
            KeyValue::new(
                "cicd.pipeline.task.run.id",
                format!("{}/{step}/{target}/{attempt}", self.about.run),
            ),
            KeyValue::new("runner.attempt", i64::from(attempt)),
        ]);
        let span = self.open(step.to_string(), at, self.inside(), attributes);
        self.steps.insert((step.clone(), target.clone()), span);
    }

    /// Something that happened to a target.
    fn told(&mut self, what: &'static str, target: &TargetName, at: u64) {
        let attributes = self.place(target);
        self.run.span().add_event_with_timestamp(what, self.time(at), attributes);
    }

    fn effect(&mut self, effected: &Effected, at: u64) {
        let Effected { step, target, on, class, act, end, milliseconds, .. } = effected;
        let mut attributes = on.as_ref().map(|on| self.place(on)).unwrap_or_default();
        attributes.extend([
            KeyValue::new("runner.effect.kind", act.kind().to_owned()),
            KeyValue::new("runner.effect.class", class_of(*class)),
            KeyValue::new("runner.effect.outcome", outcome_of(end)),
        ]);
        attributes.extend(match act {
            Act::Change { path, .. } | Act::Socket { path } | Act::Workspace { path } => {
                vec![KeyValue::new("file.path", path.clone())]
            }
            Act::Service { unit, action } => vec![
                KeyValue::new("runner.service", unit.clone()),
                KeyValue::new("runner.service.action", action.word()),
            ],
            Act::Command { program, .. } => vec![KeyValue::new("process.executable.path", program.clone())],
            Act::Request { method, .. } => vec![KeyValue::new("http.request.method", method.clone())],
        });
        let below = self.steps.get(&(step.clone(), target.clone())).unwrap_or(&self.run);
        let span = self.open(act.kind().to_owned(), at.saturating_sub(*milliseconds), below, attributes);
        match end {
            EffectEnd::Done | EffectEnd::Planned => {}
            EffectEnd::Failed { failure } => failed(&span, failure),
            EffectEnd::InDoubt => {
                span.span().set_attribute(KeyValue::new("error.type", "in-doubt"));
                span.span().set_status(Status::error("in doubt"));
            }
        }
        self.close(&span, at);
    }

    fn end(&mut self, verdict: Verdict, at: u64) {
        for (_, span) in std::mem::take(&mut self.steps) {
            self.close(&span, at);
        }
        self.close_phase(at);
        let run = self.run.span();
        run.set_attributes([
            KeyValue::new("cicd.pipeline.result", verdict_of(verdict)),
            KeyValue::new("runner.exit_code", i64::from(verdict.exit_code())),
        ]);
        if let Some(kind) = error_of(verdict) {
            run.set_attribute(KeyValue::new("error.type", kind));
            run.set_status(Status::error(kind));
        }
        run.end_with_timestamp(self.time(at));
    }
}

/// A failure has a kind; its message may have a value in it.
fn failed(span: &Context, failure: &Failure) {
    let kind = failure.kind.word();
    span.span().set_attribute(KeyValue::new("error.type", kind));
    span.span().set_status(Status::error(kind));
}

pub(crate) fn class_of(class: EffectClass) -> &'static str {
    match class {
        EffectClass::Read => "read",
        EffectClass::Change => "change",
        EffectClass::Signal => "signal",
        EffectClass::Leave => "leave",
        EffectClass::Join => "join",
        EffectClass::Opaque => "opaque",
    }
}

pub(crate) fn outcome_of(end: &EffectEnd) -> &'static str {
    match end {
        EffectEnd::Done => "done",
        EffectEnd::Failed { .. } => "failed",
        EffectEnd::InDoubt => "in-doubt",
        EffectEnd::Planned => "planned",
    }
}

/// In the words of the semantic conventions.
pub(crate) fn result_of(end: &End) -> &'static str {
    match end {
        End::Ok | End::Unknown { .. } => "success",
        End::Failed { failure, .. } if failure.kind == FailureKind::Timeout => "timeout",
        End::Failed { .. } => "failure",
        End::Cancelled => "cancellation",
    }
}

/// In the words of the semantic conventions.
pub(crate) fn verdict_of(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Done => "success",
        Verdict::Failed | Verdict::RolledBack | Verdict::RollbackFailed => "failure",
        Verdict::Unreachable | Verdict::Refused => "error",
        Verdict::Interrupted | Verdict::Terminated => "cancellation",
    }
}

pub(crate) fn error_of(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Done => None,
        Verdict::Failed => Some("step-failed"),
        Verdict::Unreachable => Some("unreachable"),
        Verdict::Refused => Some("refused"),
        Verdict::Interrupted => Some("interrupted"),
        Verdict::Terminated => Some("terminated"),
        Verdict::RolledBack => Some("rolled-back"),
        Verdict::RollbackFailed => Some("rollback-failed"),
    }
}

pub(crate) fn word_of(end: &TargetEnd) -> &'static str {
    match end {
        TargetEnd::Done => "done",
        TargetEnd::Untouched => "untouched",
        TargetEnd::Failed { .. } => "failed",
        TargetEnd::Unreachable { .. } => "unreachable",
        TargetEnd::Stopped { .. } => "stopped",
        TargetEnd::RolledBack { .. } => "rolled-back",
        TargetEnd::RollbackFailed { .. } => "rollback-failed",
    }
}
