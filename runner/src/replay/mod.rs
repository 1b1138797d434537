//! A run that is past, done again without the world: every module runs from its start, and all that it asks is answered
//! from the record. What it asks, what it returns and the fuel that it uses must be what they were.
//!
//! Invocations share nothing but their outputs, which the record has, so each is done again by itself, in the order in
//! which they began. Clocks, random numbers and local inputs come from the record too: nothing here knows the time, the
//! folder or the machine.

pub mod bundle;
mod other;
mod world;

pub use other::{Act, Compared};

use crate::host::past::{InvocationKey, PastInvocation, PastRun, called};
use crate::host::schema::Schemas;
use crate::module::load::{Loader, Module};
use crate::sandbox::context::RunInfo;
use crate::sandbox::limits::{Limits, Reached};
use crate::sandbox::record::{Acts, Call, Effect, Past, Pending, Record};
use crate::sandbox::{Ended, Export, Origin, Prepared, Sandbox};
use async_trait::async_trait;
use runner_artifact::Store;
use runner_model::{Digest, Failure, FailureKind, StepId, TargetName};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use world::World;

/// The largest component that is done again, in bytes.
const LARGEST: u64 = 256 << 20;

/// A run and all that it takes to do it again.
pub struct Replay {
    past: Arc<PastRun>,
    origin: Origin,
    store: Arc<Store>,
    sandbox: Sandbox,
    loader: Loader,
    same_engine: bool,
    modules: Mutex<BTreeMap<Digest, Arc<Ready>>>,
}

/// A module that can run.
struct Ready {
    module: Module,
    prepared: Prepared,
    schemas: Schemas,
}

/// What a module can learn without a call, and its limits.
#[derive(Debug, Clone, Deserialize)]
struct About {
    info: RunInfo,
    limits: Limits,
    uses: String,
    /// What was called of the module.
    #[serde(default)]
    export: Export,
}

/// Which invocations are meant.
#[derive(Debug, Clone, Default)]
pub struct Which {
    /// Of this step alone.
    pub step: Option<StepId>,
    /// On this target alone.
    pub target: Option<TargetName>,
}

impl Which {
    fn has(&self, (step, target, _): &InvocationKey) -> bool {
        self.step.as_ref().is_none_or(|wanted| wanted == step)
            && self.target.as_ref().is_none_or(|wanted| wanted == target)
    }
}

/// An invocation that was done again.
#[derive(Debug)]
pub struct Replayed {
    /// Which.
    pub key: InvocationKey,
    /// Calls that it made.
    pub calls: u32,
    /// Fuel that it used.
    pub fuel: u64,
    /// How that compares.
    pub end: ReplayEnd,
}

/// How an invocation and its record compare.
#[derive(Debug)]
pub enum ReplayEnd {
    /// All is the same.
    Same,
    /// All is the same as far as the record goes: the invocation was cut off.
    Cut,
    /// Something is not.
    Diverged(Failure),
}

impl Replay {
    /// Of this record, with what it names in this store.
    ///
    /// # Errors
    /// A payload of the record is lost, or the sandbox cannot start.
    pub fn new(
        record: &runner_journal::Record,
        store: Arc<Store>,
        engine: &wasmtime::Engine,
        loader: Loader,
    ) -> Result<Self, Failure> {
        let header = &record.header;
        let sandbox = Sandbox::new(engine).map_err(|error| {
            Failure::new(FailureKind::Other, format_args!("the sandbox cannot start: {error:#}"))
        })?;
        let configuration = Digest::of(crate::sandbox::engine::compatibility_key(engine));
        Ok(Self {
            past: Arc::new(PastRun::read(record, &store)?),
            origin: Origin {
                started: header.started.duration_since(jiff::Timestamp::UNIX_EPOCH).unsigned_abs(),
                seed: header.seed.clone(),
            },
            store,
            sandbox,
            loader,
            same_engine: header.engine.configuration == configuration
                && header.engine.wasmtime == crate::sandbox::engine::WASMTIME,
            modules: Mutex::default(),
        })
    }

    /// Whether this engine is the one that the run had: only then fuel can be compared.
    pub fn has_the_same_engine(&self) -> bool {
        self.same_engine
    }

    /// The invocations that are meant, in the order in which they began.
    pub fn invocations<'a>(&'a self, which: &'a Which) -> impl Iterator<Item = &'a InvocationKey> {
        // Of some only the effects are known: nothing tells what they were given.
        let whole = |key: &&InvocationKey| !self.past.invocations[*key].partial;
        self.past.order.iter().filter(whole).filter(|key| which.has(key))
    }

    /// Does one again.
    ///
    /// # Errors
    /// Its module is lost, or its record is too old to have all that it takes.
    pub async fn invocation(&self, key: &InvocationKey) -> Result<Replayed, Failure> {
        let past = self.of(key)?;
        let about = about(key, past)?;
        let ready = self.module(&past.module).await?;
        let record = Arc::new(Strict {
            past: Arc::clone(&self.past),
            key: key.clone(),
            out_of_time: ended_by_time(past, &about),
            asked: AtomicU32::new(0),
        });
        let ended = self.run(&ready.prepared, past.params.to_string(), &about, record.clone()).await;
        let (fuel, calls) = (ended.tally.fuel, record.asked.load(Ordering::Relaxed));
        let end = self.compare(key, past, &about, &ready.schemas, ended, calls);
        Ok(Replayed { key: key.clone(), calls, fuel, end })
    }

    /// What the module of an invocation calls itself.
    ///
    /// # Errors
    /// It is lost, or none any more.
    pub async fn module_name(&self, key: &InvocationKey) -> Result<String, Failure> {
        let module = self.of(key)?.module;
        Ok(self.module(&module).await?.module.manifest.name.clone())
    }

    fn of(&self, key: &InvocationKey) -> Result<&PastInvocation, Failure> {
        self.past.invocations.get(key).ok_or_else(|| {
            Failure::new(FailureKind::NotFound, format_args!("the run has no step `{}` on {}", key.0, key.1))
        })
    }

    async fn run(
        &self,
        prepared: &Prepared,
        params: String,
        about: &About,
        record: Arc<dyn Record>,
    ) -> Ended {
        let world = World { store: Arc::clone(&self.store), origin: self.origin.clone() };
        let context = world.context(about.info.clone(), about.uses.clone(), record);
        match context {
            Ok(context) => {
                self.sandbox.invoke(prepared, (about.export, params), context, about.limits.clone()).await
            }
            Err(failure) => Ended {
                result: Err(failure),
                stderr: String::new(),
                tally: Default::default(),
                time: Default::default(),
                changed: Default::default(),
                answered: false,
            },
        }
    }

    /// The component of this digest, from the store.
    async fn module(&self, digest: &Digest) -> Result<Arc<Ready>, Failure> {
        let known = self.modules.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned();
        if let Some(ready) = known {
            return Ok(ready);
        }
        let bytes = self.store.read_bytes(digest, LARGEST).map_err(|error| {
            Failure::new(FailureKind::NotFound, format_args!("the module {digest} is lost: {error}"))
                .with_detail("replay a bundle that `runner runs export` made where the run was")
        })?;
        let ready = Arc::new(self.ready(&bytes)?);
        self.modules.lock().unwrap_or_else(PoisonError::into_inner).insert(*digest, Arc::clone(&ready));
        Ok(ready)
    }

    fn ready(&self, bytes: &[u8]) -> Result<Ready, Failure> {
        let other = |error: &dyn std::fmt::Display| Failure::new(FailureKind::Other, error);
        let module = self.loader.load_bytes(bytes, Digest::of(bytes)).map_err(|error| other(&error))?;
        let prepared = self.sandbox.prepare(&module.component, module.imports.wasi, module.manifest.world);
        let prepared = prepared.map_err(|error| other(&format_args!("{error:#}")))?;
        Ok(Ready { prepared, schemas: Schemas::of(&module.manifest)?, module })
    }

    fn compare(
        &self,
        key: &InvocationKey,
        past: &PastInvocation,
        about: &About,
        schemas: &Schemas,
        ended: Ended,
        calls: u32,
    ) -> ReplayEnd {
        let who = format!("step `{}` (module `{}`)", key.0, about.uses);
        let got = ended.result.and_then(|text| match about.export {
            Export::Run => schemas.outputs(&who, &text),
            // Not a guest's JSON: what it answered, as the host writes it.
            _ => serde_json::from_str(&text).map_err(|error| Failure::new(FailureKind::Other, error)),
        });
        let out_of_time = ended_by_time(past, about);
        if let Err(failure) = &got
            && failure.kind == FailureKind::Unknown
        {
            let may_end = past.ended.is_none() || out_of_time;
            return match may_end && failure.message == RECORD_ENDS {
                true => ReplayEnd::Cut,
                false => ReplayEnd::Diverged(failure.clone()),
            };
        }
        let differs = |what: &str, recorded: &dyn std::fmt::Display, got: &dyn std::fmt::Display| {
            let (step, target, attempt) = key;
            let message = format!(
                "the module diverges from its record: {what} of step `{step}` on {target}, attempt {attempt}"
            );
            let detail = format!("recorded: {recorded}\ngot:      {got}");
            ReplayEnd::Diverged(Failure::new(FailureKind::Unknown, message).with_detail(detail))
        };
        let asked = u32::try_from(past.calls.len()).unwrap_or(u32::MAX);
        let Some((recorded, fuel)) = &past.ended else {
            // It may have been cut off after its last call.
            return if asked == calls { ReplayEnd::Cut } else { differs("the calls", &asked, &calls) };
        };
        if *recorded != got && !out_of_time {
            return differs("the end", &end(recorded), &end(&got));
        }
        if asked != calls {
            let next =
                past.calls.get(&(calls + 1)).map(|call| called(&call.call, &call.args)).unwrap_or_default();
            return differs("the calls", &format_args!("{asked}, of which the next is {next}"), &calls);
        }
        if out_of_time {
            return ReplayEnd::Cut;
        }
        if self.same_engine && *fuel != ended.tally.fuel {
            return differs("the fuel", fuel, &ended.tally.fuel);
        }
        ReplayEnd::Same
    }
}

fn about(key: &InvocationKey, past: &PastInvocation) -> Result<About, Failure> {
    let about: Option<About> = past.about.clone().map(serde_json::from_value).and_then(Result::ok);
    // A bundle comes from anybody.
    let about = about.map(|about| About { limits: about.limits.bounded(), ..about });
    about.ok_or_else(|| {
        let what =
            format!("the record of step `{}` on {} has not all that it takes to do it again", key.0, key.1);
        Failure::new(FailureKind::NotFound, what)
    })
}

/// Whether wall time ended it, which is not decided again.
fn ended_by_time(past: &PastInvocation, about: &About) -> bool {
    let limit = Reached::Time.describe(&about.limits);
    matches!(&past.ended, Some((Err(failure), _)) if failure.kind == FailureKind::Timeout && failure.message.ends_with(&limit))
}

fn end(end: &Result<Value, Failure>) -> String {
    match end {
        Ok(outputs) => outputs.to_string(),
        Err(failure) => format!("{failure}\n{}", failure.detail).trim_end().to_owned(),
    }
}

/// What an invocation ends with whose record ends.
const RECORD_ENDS: &str = "the record ends here";

/// Answers from the record, call by call.
struct Strict {
    past: Arc<PastRun>,
    key: InvocationKey,
    /// It went on asking until its time was up, and nobody knows what it would have asked then.
    out_of_time: bool,
    asked: AtomicU32,
}

#[async_trait]
impl Record for Strict {
    fn past(&self, call: &Call) -> Result<Past, Failure> {
        let ends = || Failure::new(FailureKind::Unknown, RECORD_ENDS);
        let invocation = self.past.invocations.get(&self.key).ok_or_else(ends)?;
        let last = invocation.calls.keys().next_back().copied().unwrap_or_default();
        if self.out_of_time && call.key.number > last {
            return Err(ends());
        }
        match invocation.of(call, &call.with_machine())? {
            Past::New | Past::InDoubt(_) => Err(ends()),
            answered => {
                self.asked.fetch_max(call.key.number, Ordering::Relaxed);
                Ok(answered)
            }
        }
    }

    fn settled(&self, _: &Call, _: Value) {}

    fn looked(&self, _: &Call, _: &Result<Value, Failure>) {}

    async fn intend(&self, _: &Call, _: &Effect, _: Acts) -> Result<Box<dyn Pending>, Failure> {
        Err(Failure::new(FailureKind::Unknown, "a replay has no world"))
    }
}
