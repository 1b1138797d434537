//! What a store holds for one invocation, and the order that every host function keeps: check, record, act, record.

use super::bindings::wit::types;
use super::clock::{Clock, SleepsView};
use super::context::{Context, cancelled};
use super::limits::{Limits, Meter, Reached};
use super::log::{Log, Throttle};
use super::record::{Call, Outcome, Past, Pending};
use super::wasi::{Clocked, Tail, nothing};
use runner_model::{Digest, EffectClass, EffectKey, Failure, FailureKind, Tally, TargetName};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// What a host function gives back: the inner result is the guest's, the outer one ends the invocation.
pub(crate) type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

/// The state of one invocation.
pub struct State {
    pub(crate) table: ResourceTable,
    pub(crate) meter: Meter,
    pub(crate) context: Arc<Context>,
    pub(crate) log: Arc<Log>,
    pub(crate) throttle: Throttle,
    pub(crate) stderr: Tail,
    pub(crate) tally: Tally,
    /// What this invocation changed, for the marks of its step.
    pub(crate) changed: BTreeSet<(TargetName, String)>,
    /// The artifacts that this invocation has had a handle of.
    pub(crate) opened: BTreeSet<Digest>,
    /// Whether a call was answered `cancelled`.
    pub(crate) told_cancelled: bool,
    /// The last time that the record told.
    pub(crate) recorded_now: Option<Duration>,
    /// How far the clock of an invocation that goes on is behind the real one.
    pub(crate) behind: Option<Duration>,
    /// How far sleeps moved the clock that did not take their time.
    pub(crate) slept: Duration,
    number: u32,
    held: usize,
    wasi: WasiCtx,
    clock: Clock,
}

/// The end of an invocation by a limit of the sandbox.
#[derive(Debug, thiserror::Error)]
#[error("a limit of the sandbox was reached")]
pub(crate) struct LimitReached(pub(crate) Reached);

/// The end of an invocation by something that is not the guest's to know: its record and its calls differ, or nobody can
/// tell what a call would answer. Beside bugs, this and a limit are all that a host function traps with.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Stopped(pub(crate) Failure);

impl State {
    pub(crate) fn new(context: Context, limits: Limits) -> Self {
        let info = &context.info;
        let log = Log::new(
            context.events.clone(),
            info.step.clone(),
            info.target.clone(),
            limits.log,
            limits.log_line,
            Arc::clone(&context.vault),
        );
        let stderr = Tail::new(limits.stderr);
        let invocation = format!("{}/{}", info.operation_key(), info.attempt);
        let clock = Clock::new(context.waits);
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        Self {
            table,
            wasi: nothing(&context.origin, &invocation, &clock, stderr.clone()),
            clock,
            meter: Meter::new(limits),
            log: Arc::new(log),
            throttle: Throttle::default(),
            stderr,
            tally: Tally::default(),
            changed: BTreeSet::new(),
            opened: BTreeSet::new(),
            told_cancelled: false,
            recorded_now: None,
            behind: None,
            slept: Duration::ZERO,
            number: 0,
            held: 0,
            context: Arc::new(context),
        }
    }

    /// Ends the invocation: this limit was reached.
    pub(crate) fn limit(&mut self, reached: Reached) -> wasmtime::Error {
        self.meter.reach(reached);
        wasmtime::Error::new(LimitReached(reached))
    }

    /// Puts something into the table of handles.
    pub(crate) fn push<T: Send + 'static>(&mut self, entry: T) -> wasmtime::Result<Resource<T>> {
        self.table.push(entry).map_err(|error| match error {
            ResourceTableError::Full => self.limit(Reached::Handles),
            other => other.into(),
        })
    }

    /// Accounts for bytes that a builder keeps in the host.
    pub(crate) fn hold(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.held = self.held.saturating_add(bytes);
        if self.held > self.meter.limits().held {
            return Err(self.limit(Reached::Held));
        }
        Ok(())
    }

    /// Accounts for a builder that is gone.
    pub(crate) fn release(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes);
    }

    /// Numbers a call, which the journal will have a line of.
    pub(crate) fn call(
        &mut self,
        call: &'static str,
        class: EffectClass,
        on: Option<&TargetName>,
        arguments: Value,
    ) -> wasmtime::Result<Call> {
        if self.number >= self.meter.limits().calls {
            return Err(self.limit(Reached::Calls));
        }
        self.number += 1;
        let info = &self.context.info;
        let key = EffectKey {
            step: info.step.clone(),
            target: info.target.clone(),
            attempt: info.attempt,
            number: self.number,
        };
        Ok(Call { key, call, class, on: on.cloned(), arguments })
    }

    /// What an earlier part of the run has about a call.
    pub(crate) fn past(&self, call: &Call) -> wasmtime::Result<Past> {
        self.context.record.past(call).map_err(|failure| Stopped(failure).into())
    }

    /// A call that only looks: answered as it was before, or else by `look`, and recorded.
    pub(crate) async fn read_call<T: Serialize + DeserializeOwned>(
        &mut self,
        call: &Call,
        look: impl Future<Output = Result<T, Failure>>,
    ) -> Answer<T> {
        match self.recorded(call)? {
            Some(answer) => self.answer(answer),
            None => {
                let answer = look.await;
                self.looked(call, answer)
            }
        }
    }

    /// The answer that a call which only looks got before.
    pub(crate) fn recorded<T: DeserializeOwned>(
        &mut self,
        call: &Call,
    ) -> wasmtime::Result<Option<Result<T, Failure>>> {
        match self.past(call)? {
            Past::Answered(answer) => {
                self.tally.reads += 1;
                Ok(Some(self.read_back(call, answer)?))
            }
            // Only effects are in doubt.
            Past::New | Past::InDoubt(_) => Ok(None),
        }
    }

    /// An answer as it was recorded, as what it was.
    pub(crate) fn read_back<T: DeserializeOwned>(
        &self,
        call: &Call,
        answer: Result<Value, Failure>,
    ) -> wasmtime::Result<Result<T, Failure>> {
        answer.map(serde_json::from_value).map_or_else(
            |failure| Ok(Err(failure)),
            |read| {
                read.map(Ok).map_err(|error| {
                    let message = format!("the record of `{}` cannot be read: {error}", call.call);
                    Stopped(Failure::new(FailureKind::Other, message)).into()
                })
            },
        )
    }

    /// The answer that a signal, gate or opaque effect got before.
    pub(crate) fn signalled_before<T: DeserializeOwned>(
        &mut self,
        call: &Call,
        answer: Result<Value, Failure>,
    ) -> Answer<T> {
        let answer = self.read_back(call, answer)?;
        match &answer {
            Ok(_) => self.tally.signals += 1,
            Err(_) => self.tally.reads += 1,
        }
        self.answer(answer)
    }

    /// The outcome of a signal, gate or opaque effect.
    pub(crate) fn ended<T>(
        &mut self,
        pending: Box<dyn Pending>,
        ended: Option<Result<T, Failure>>,
        as_json: impl FnOnce(&T) -> Value,
    ) -> Result<T, Failure> {
        match ended {
            Some(Ok(value)) => {
                self.tally.signals += 1;
                pending.end(Outcome::Done(as_json(&value)));
                Ok(value)
            }
            Some(Err(failure)) => {
                pending.end(Outcome::Failed(failure.clone()));
                Err(failure)
            }
            None => {
                pending.end(Outcome::Abandoned);
                Err(cancelled())
            }
        }
    }

    /// Records the answer to a call that changed nothing, and hands it on.
    pub(crate) fn looked<T: Serialize>(&mut self, call: &Call, answer: Result<T, Failure>) -> Answer<T> {
        self.looked_as(call, answer, |value| serde_json::to_value(value).unwrap_or(Value::Null))
    }

    /// The same where the journal gets something else than the guest.
    pub(crate) fn looked_as<T>(
        &mut self,
        call: &Call,
        answer: Result<T, Failure>,
        as_json: impl FnOnce(&T) -> Value,
    ) -> Answer<T> {
        self.tally.reads += 1;
        let recorded = match &answer {
            Ok(value) => Ok(as_json(value)),
            Err(failure) => Err(failure.clone()),
        };
        self.context.record.looked(call, &recorded);
        self.answer(answer)
    }

    /// Turns a failure into the guest's error, unless it ends the invocation.
    pub(crate) fn answer<T>(&mut self, answer: Result<T, Failure>) -> Answer<T> {
        let failure = match answer {
            Ok(value) => return Ok(Ok(value)),
            Err(failure) => self.context.vault.hide_failure(failure),
        };
        if failure.kind == FailureKind::Unknown {
            return Err(Stopped(failure).into());
        }
        self.told_cancelled |= failure.kind == FailureKind::Cancelled;
        Ok(Err(failure.into()))
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Clocked for State {
    fn sleeps(&mut self) -> SleepsView<'_> {
        SleepsView { clock: &self.clock, table: &mut self.table }
    }
}

impl types::Host for State {}

/// The time since 1970.
pub(crate) fn now() -> Duration {
    // A clock before 1970 is a broken clock; zero is as good as any other answer then.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
