//! One invocation: a fresh store and instance, one call, and an end that names what went wrong.
//!
//! Whatever a guest does (traps, loops, recurses, grows, floods, answers garbage), it fails alone: its store is thrown
//! away, and nothing else shares it.

use super::bindings::StepPre;
use super::bindings::cluster::ClusterPre;
use super::bindings::wit::types::Error;
use super::context::{Context, cancelled};
use super::limits::{Limits, Reached};
use super::state::{LimitReached, State, Stopped};
use super::threads::GuestThreads;
use super::wasi::Tail;
use runner_model::manifest::World;
use runner_model::{Failure, FailureKind, Standing, Tally, TargetName};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store, Trap, UpdateDeadline};

/// How long a guest's own code may go on after a cancel, to hand the error on.
const GUEST_GRACE: Duration = Duration::from_secs(2);
/// How long an invocation may go on after a cancel: the effect that it is in the middle of, and then its own code.
const CANCEL_GRACE: Duration = Duration::from_secs(8);

/// A guest that went on after a cancel.
#[derive(Debug, thiserror::Error)]
#[error("the guest ignores that the run was cancelled")]
struct IgnoredCancel;

/// Whatever is needed to run modules: the engine, what is linked to them, and their threads.
pub struct Sandbox {
    engine: Engine,
    plain: Linker<State>,
    with_wasi: Linker<State>,
    threads: GuestThreads,
}

/// A module that is compiled, checked and linked; cheap to clone.
#[derive(Clone)]
pub struct Prepared {
    pre: Arc<Pre>,
}

enum Pre {
    Step(StepPre<State>),
    Cluster(ClusterPre<State>),
}

/// What is called of a module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Export {
    /// A step does its work.
    #[default]
    Run,
    /// A cluster says how a target stands.
    Observe,
    /// A cluster takes a target out of service.
    Leave,
    /// A cluster puts a target back into service.
    Join,
}

impl Export {
    /// As in the WIT.
    pub fn word(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Observe => "observe",
            Self::Leave => "leave",
            Self::Join => "join",
        }
    }
}

/// How an invocation ended.
#[derive(Debug)]
pub struct Ended {
    /// What `run` returned, not yet parsed; or why it failed.
    pub result: Result<String, Failure>,
    /// The tail of stderr, safe to show.
    pub stderr: String,
    /// What it did.
    pub tally: Tally,
    /// From its store to its end, on the threads of guests.
    pub time: Duration,
    /// What it changed, for [`Marks::settle`](super::context::Marks::settle): whether the invocation ended well is
    /// known only when its outputs are judged.
    pub changed: BTreeSet<(TargetName, String)>,
    /// Whether the guest gave the end itself: it was not ended by a limit, a trap or the host.
    pub answered: bool,
}

impl Sandbox {
    /// Links the host functions once; every module uses the same ones.
    ///
    /// # Errors
    /// No threads can be started. That the host functions fit together is what tests see.
    pub fn new(engine: &Engine) -> wasmtime::Result<Self> {
        Self::with(engine, |_| Ok(()))
    }

    /// The same with more beside the contract: what a later version would bring.
    fn with(
        engine: &Engine,
        more: impl Fn(&mut Linker<State>) -> wasmtime::Result<()>,
    ) -> wasmtime::Result<Self> {
        let linker = |wasi: bool| -> wasmtime::Result<Linker<State>> {
            let mut linker = Linker::new(engine);
            if wasi {
                super::wasi::link(&mut linker)?;
            }
            super::bindings::Step::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
            more(&mut linker)?;
            Ok(linker)
        };
        Ok(Self {
            engine: engine.clone(),
            plain: linker(false)?,
            with_wasi: linker(true)?,
            threads: GuestThreads::new()?,
        })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Links a component whose imports were checked; `wasi`: whether it imports anything of WASI.
    ///
    /// # Errors
    /// The component is not what its check said, or exports another world than its manifest says.
    pub fn prepare(&self, component: &Component, wasi: bool, world: World) -> wasmtime::Result<Prepared> {
        let linker = if wasi { &self.with_wasi } else { &self.plain };
        let pre = linker.instantiate_pre(component)?;
        let pre = match world {
            World::Step => Pre::Step(StepPre::new(pre)?),
            World::Cluster => Pre::Cluster(ClusterPre::new(pre)?),
        };
        Ok(Prepared { pre: Arc::new(pre) })
    }

    /// Calls the module once, in a store of its own, on the threads of guests. Dropping the future gives it up.
    pub async fn invoke(
        &self,
        prepared: &Prepared,
        (export, params): (Export, String),
        context: Context,
        limits: Limits,
    ) -> Ended {
        let names = Names::of(&context);
        let engine = self.engine.clone();
        let pre = prepared.pre.clone();
        let stderr_limit = limits.stderr;
        let task = self
            .threads
            .spawn(async move { invoke(&engine, &pre, (export, &params), context, limits).await });
        match task.await {
            Ok(ended) => ended,
            // A panic of a host function: a bug, which must not take the other invocations with it.
            Err(error) => Ended {
                result: Err(Failure::new(
                    FailureKind::Other,
                    format_args!("{names}: a host function failed unexpectedly: {error}"),
                )),
                stderr: Tail::new(stderr_limit).text(),
                tally: Tally::default(),
                time: Duration::ZERO,
                changed: BTreeSet::new(),
                answered: false,
            },
        }
    }
}

/// What a message about an invocation begins with.
struct Names {
    step: String,
    module: String,
}

impl Names {
    fn of(context: &Context) -> Self {
        Self { step: context.info.step.to_string(), module: context.module.clone() }
    }
}

impl std::fmt::Display for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "step `{}` (module `{}`)", self.step, self.module)
    }
}

async fn invoke(
    engine: &Engine,
    pre: &Pre,
    called: (Export, &String),
    context: Context,
    limits: Limits,
) -> Ended {
    let started = Instant::now();
    let names = Names::of(&context);
    let cancel = context.cancel.clone();
    let mut store = Store::new(engine, State::new(context, limits.clone()));
    let end = match prepare_store(&mut store, &limits) {
        Err(error) => End::Trapped(error),
        Ok(()) => {
            let gone_on_for_too_long = async {
                cancel.cancelled().await;
                tokio::time::sleep(CANCEL_GRACE).await;
            };
            tokio::select! {
                biased;
                end = call(&mut store, pre, called) => end,
                () = tokio::time::sleep(limits.time) => End::OutOfTime,
                () = gone_on_for_too_long => End::IgnoredCancel,
            }
        }
    };
    let ended = finish(&names, store, &limits, end);
    Ended { time: started.elapsed(), ..ended }
}

/// Gives the store its limits.
fn prepare_store(store: &mut Store<State>, limits: &Limits) -> wasmtime::Result<()> {
    store.limiter(|state| &mut state.meter);
    store.set_fuel(limits.fuel)?;
    store.set_hostcall_fuel(limits.argument);
    store.set_max_component_handles(limits.handles.saturating_mul(4));
    // At every tick the guest's thread goes to whoever waits for one; the wall clock is then seen by the `select!`
    // around the call, which drops the guest. This is only called in the guest's own code, never in a host call.
    let cancel = store.data().context.cancel.clone();
    let mut cancelled_at = None;
    store.epoch_deadline_callback(move |_| {
        if cancel.is_cancelled() && cancelled_at.get_or_insert_with(Instant::now).elapsed() > GUEST_GRACE {
            return Err(wasmtime::Error::new(IgnoredCancel));
        }
        Ok(UpdateDeadline::Yield(1))
    });
    store.set_epoch_deadline(1);
    Ok(())
}

/// How the call into the guest ended.
enum End {
    Answered(Result<String, Error>),
    Trapped(wasmtime::Error),
    OutOfTime,
    IgnoredCancel,
}

async fn call(store: &mut Store<State>, pre: &Pre, called: (Export, &String)) -> End {
    match answer(store, pre, called).await {
        Ok(answer) => End::Answered(answer),
        Err(error) => End::Trapped(error),
    }
}

/// What the guest answers, as JSON.
async fn answer(
    store: &mut Store<State>,
    pre: &Pre,
    (export, params): (Export, &String),
) -> wasmtime::Result<Result<String, Error>> {
    let nothing = |()| Value::Null.to_string();
    Ok(match (pre, export) {
        (Pre::Step(pre), Export::Run) => {
            pre.instantiate_async(&mut *store).await?.call_run(&mut *store, params).await?
        }
        (Pre::Cluster(pre), Export::Observe) => {
            let cluster = pre.instantiate_async(&mut *store).await?;
            let standing = cluster.call_observe(&mut *store, params).await?;
            standing.map(|standing| json!(Standing::from(standing)).to_string())
        }
        (Pre::Cluster(pre), Export::Leave) => {
            let cluster = pre.instantiate_async(&mut *store).await?;
            cluster.call_leave(&mut *store, params).await?.map(nothing)
        }
        (Pre::Cluster(pre), Export::Join) => {
            let cluster = pre.instantiate_async(&mut *store).await?;
            cluster.call_join(&mut *store, params).await?.map(nothing)
        }
        (Pre::Step(_) | Pre::Cluster(_), export) => {
            let message = format!("the module exports no `{}`", export.word());
            return Err(wasmtime::Error::msg(message));
        }
    })
}

/// Says how it ended.
fn finish(names: &Names, mut store: Store<State>, limits: &Limits, end: End) -> Ended {
    let fuel = limits.fuel - store.get_fuel().unwrap_or_default();
    let state = store.data_mut();
    let answered = matches!(end, End::Answered(_));
    let result = match end {
        End::Answered(Ok(outputs)) if outputs.len() > limits.output => Err(Failure::new(
            FailureKind::Other,
            format_args!(
                "{names} returned {} bytes of outputs, and at most {} are allowed; large data belong into an artifact",
                outputs.len(),
                limits.output
            ),
        )),
        End::Answered(Ok(outputs)) => Ok(outputs),
        // Whatever a step makes of the error, the run was cancelled.
        End::Answered(Err(_)) if state.told_cancelled => Err(cancelled()),
        End::Answered(Err(error)) => Err(error.into()),
        End::OutOfTime => Err(reached(names, Reached::Time, limits)),
        End::IgnoredCancel => Err(cancelled()),
        End::Trapped(error) => Err(trapped(names, &error, state, limits)),
    };
    let vault = &state.context.vault;
    let result = result.map_err(|failure| vault.hide_failure(failure));
    let stderr = vault.hide(state.stderr.text());
    let changed = std::mem::take(&mut state.changed);
    let mut tally = state.tally;
    tally.fuel = fuel;
    Ended { result, stderr, tally, time: Duration::ZERO, changed, answered }
}

/// A limit that ended the invocation, and how it is raised.
fn reached(names: &Names, reached: Reached, limits: &Limits) -> Failure {
    let kind = if reached == Reached::Time { FailureKind::Timeout } else { FailureKind::Other };
    let failure = Failure::new(kind, format_args!("{names} {}", reached.describe(limits)));
    match reached.key() {
        Some(key) => failure.with_detail(format_args!(
            "if the step really needs more, raise `{key}` in its `limits` or in `[limits]` of the plan"
        )),
        None => failure,
    }
}

/// What a trap means, in words.
fn trapped(names: &Names, error: &wasmtime::Error, state: &State, limits: &Limits) -> Failure {
    if let Some(LimitReached(limit)) = error.downcast_ref::<LimitReached>() {
        return reached(names, *limit, limits);
    }
    if state.told_cancelled || error.downcast_ref::<IgnoredCancel>().is_some() {
        return cancelled();
    }
    if let Some(Stopped(failure)) = error.downcast_ref::<Stopped>() {
        return failure.clone();
    }
    let trap = error.downcast_ref::<Trap>().copied();
    if trap == Some(Trap::OutOfFuel) {
        return reached(names, Reached::Fuel, limits);
    }
    // A refused `memory.grow` is an answer; most languages then abort, and this is why.
    if let Some(limit) = state.meter.reached() {
        return reached(names, limit, limits);
    }
    let what = match trap {
        Some(Trap::StackOverflow) => "nested its calls too deeply: an endless recursion?".to_owned(),
        Some(Trap::MemoryOutOfBounds) => {
            "touched memory that it does not have: an endless recursion, or a bug".to_owned()
        }
        Some(Trap::UnreachableCodeReached) => "aborted: it panicked, or an error was not caught".to_owned(),
        Some(trap) => format!("trapped: {trap}"),
        None if error.downcast_ref::<wasmtime_wasi::I32Exit>().is_some() => {
            "ended its process instead of returning from `run`".to_owned()
        }
        None => format!("was ended: {}", super::text::line(&error.root_cause().to_string(), 512)),
    };
    Failure::new(FailureKind::Other, format_args!("{names} {what}")).with_detail(state.stderr.text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::{compile::Compiler, describe::Descriptions, load::Loader};
    use runner_model::Digest;
    use std::path::Path;

    /// The components of contract 0.1 that compile quickly.
    const KEPT: [&str; 3] = ["c", "rust", "zig"];

    #[test]
    fn a_later_version_beside_this_one_takes_nothing_from_modules_of_this_one() {
        let engine = crate::sandbox::engine::engine().expect("an engine");
        // A later patch of 0.1 with an interface more, and 0.2 where a function has another shape.
        let later = Sandbox::with(&engine, |linker| {
            linker.instance("runner:step/uptime@0.1.1")?.func_wrap("seconds", |_, (): ()| Ok((7_u64,)))?;
            linker.instance("runner:step/timer@0.2.0")?.func_wrap("now", |_, (): ()| Ok((7_u32,)))
        })
        .expect("all of it is linked");
        let loader = Loader::new(Compiler::without_cache(&engine), Descriptions::without_cache());
        for language in KEPT {
            let file = format!("tests/it/languages/kept/0.1/{language}.wasm.zst");
            let file =
                std::fs::File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("it is kept");
            let bytes = zstd::decode_all(file).expect("zstd");
            let module = loader
                .load_bytes(&bytes, Digest::of(&bytes))
                .unwrap_or_else(|why| panic!("{language}: {why}"));
            let linked = later.prepare(&module.component, module.imports.wasi, module.manifest.world);
            assert!(linked.is_ok(), "{language}: {:?}", linked.err());
        }

        let links = |imports: &str| {
            let bytes = wat::parse_str(format!("(component {imports})")).expect("it parses");
            let component = Component::new(&engine, bytes).expect("it is valid");
            (Sandbox::new(&engine).expect("a sandbox").plain.instantiate_pre(&component).is_ok(), {
                later.plain.instantiate_pre(&component).is_ok()
            })
        };
        // A module of a later version runs there, and not here; one of both versions too.
        let new = r#"(import "runner:step/timer@0.2.0" (instance (export "now" (func (result u32)))))"#;
        let old = r#"(import "runner:step/timer@0.1.0" (instance (export "now" (func (result u64)))))"#;
        let more = r#"(import "runner:step/uptime@0.1.1" (instance (export "seconds" (func (result u64)))))"#;
        assert_eq!(links(old), (true, true));
        assert_eq!(links(new), (false, true));
        assert_eq!(links(&format!("{old}{new}{more}")), (false, true));
    }
}
