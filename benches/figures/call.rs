//! One invocation of a standard module: a fresh store, an instance, a call, and the answer.

use crate::{Figure, Outcome, median};
use async_trait::async_trait;
use runner::module::compile::Compiler;
use runner::module::describe::Descriptions;
use runner::module::load::{Loader, Module};
use runner::module::source::Source;
use runner::sandbox::context::{Context, Download, Http, HttpAnswer, Machines, RunInfo, Sending};
use runner::sandbox::limits::Limits;
use runner::sandbox::record::{Acts, Call, Effect, Outcome as CallOutcome, Past, Pending, Record};
use runner::sandbox::{Ended, Export, Origin, Prepared, Sandbox};
use runner_artifact::{Snapshot, Store, Workspace};
use runner_model::grant::{GrantSet, Layers};
use runner_model::{Acting, Failure, FailureKind, TargetName};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

const CALLS: usize = 2000;
const BOUND: f64 = 150.0;
const URL: &str = "http://127.0.0.1/version.txt";

/// The world around the module: a network that answers at once, and a journal that keeps nothing. What is measured is
/// the sandbox.
struct World;

#[async_trait]
impl Http for World {
    async fn send(&self, _: &Context, _: &Sending) -> Result<HttpAnswer, Failure> {
        Ok(HttpAnswer { status: 200, headers: Vec::new(), body: "1".to_owned(), truncated: false })
    }

    async fn download(&self, _: &Context, _: &Sending) -> Result<Download, Failure> {
        Err(nothing())
    }
}

#[async_trait]
impl Machines for World {
    fn has(&self, _: &TargetName) -> bool {
        true
    }

    async fn acting(&self, _: &TargetName, _: &Acting) -> Result<Arc<dyn runner_transport::Target>, Failure> {
        Err(nothing())
    }
}

#[async_trait]
impl Record for World {
    fn past(&self, _: &Call) -> Result<Past, Failure> {
        Ok(Past::New)
    }

    fn settled(&self, _: &Call, _: Value) {}

    fn looked(&self, _: &Call, _: &Result<Value, Failure>) {}

    async fn intend(&self, _: &Call, _: &Effect, _: Acts) -> Result<Box<dyn Pending>, Failure> {
        Ok(Box::new(Forgotten))
    }
}

struct Forgotten;

impl Pending for Forgotten {
    fn line(&self) -> &str {
        "{}"
    }

    fn end(self: Box<Self>, _: CallOutcome) {}
}

fn nothing() -> Failure {
    Failure::new(FailureKind::Unreachable, "there is nothing there")
}

pub(crate) fn measure() -> Outcome<Vec<Figure>> {
    let Cost { time, whole, .. } = one()?;
    Ok(vec![Figure {
        what: "store, instance and call of std/smoke-test".to_owned(),
        measured: time.as_secs_f64() * 1e6,
        bound: BOUND,
        unit: "µs",
        how: format!(
            "on its thread, the store's end included; {:.1} µs with the way there and back; median of {CALLS}",
            whole.as_secs_f64() * 1e6
        ),
    }])
}

/// What one invocation takes.
pub(crate) struct Cost {
    /// On the thread of the guest.
    pub(crate) time: Duration,
    /// Until whoever waits for it has the answer.
    whole: Duration,
    pub(crate) fuel: u64,
    /// For a unit of fuel, in nanoseconds.
    rate: f64,
}

impl Cost {
    /// What a guest takes to use so much of it.
    pub(crate) fn of_fuel(&self, fuel: u64) -> Duration {
        Duration::from_nanos((fuel as f64 * self.rate) as u64)
    }
}

/// Nanoseconds for a unit of fuel, where every other instruction is a load or a store.
fn rate(engine: &wasmtime::Engine) -> Outcome<f64> {
    const TURNS: i32 = 5_000_000;
    let text = "(module (memory 16) (func (export \"f\") (param i32) (local i32) (loop
        (local.set 1 (i32.and (i32.mul (local.get 0) (i32.const 40503)) (i32.const 0xffff8)))
        (i32.store (local.get 1) (i32.add (i32.load (local.get 1)) (local.get 0)))
        (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))";
    let module = wasmtime::Module::new(engine, wat::parse_str(text)?)?;
    let mut store = wasmtime::Store::new(engine, ());
    store.set_fuel(u64::MAX)?;
    store.set_epoch_deadline(u64::MAX / 2);
    let instance = wasmtime::Instance::new(&mut store, &module, &[])?;
    let f = instance.get_typed_func::<i32, ()>(&mut store, "f")?;
    let started = Instant::now();
    f.call(&mut store, TURNS)?;
    let took = started.elapsed();
    Ok(took.as_nanos() as f64 / (u64::MAX - store.get_fuel()?) as f64)
}

pub(crate) fn one() -> Outcome<Cost> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(calls())
}

/// Where a module is called: a sandbox, and folders that it sees nothing of.
pub(crate) struct Stage {
    pub(crate) sandbox: Sandbox,
    pub(crate) loader: Loader,
    store: Arc<Store>,
    workspace: Arc<Snapshot>,
    _place: tempfile::TempDir,
}

impl Stage {
    pub(crate) fn new() -> Outcome<Self> {
        let engine = runner::sandbox::engine::engine()?;
        let place = tempfile::tempdir()?;
        let store = Arc::new(Store::open(place.path().join("store"))?);
        std::fs::create_dir(place.path().join("plan"))?;
        let workspace = Workspace::open(&place.path().join("plan"), Arc::clone(&store))?;
        Ok(Self {
            sandbox: Sandbox::new(&engine)?,
            loader: Loader::new(Compiler::without_cache(&engine), Descriptions::without_cache()),
            store,
            workspace: Arc::new(workspace.snapshot()),
            _place: place,
        })
    }

    /// Linked.
    pub(crate) fn prepare(&self, module: &Module) -> Outcome<Prepared> {
        Ok(self.sandbox.prepare(&module.component, module.imports.wasi, module.manifest.world)?)
    }

    /// Calls it once, with these grants; answers also how long it took until whoever waits for it had the answer.
    pub(crate) async fn call(
        &self,
        prepared: &Prepared,
        params: &Value,
        layers: &Arc<Layers>,
        limits: Limits,
    ) -> Outcome<(Ended, Duration)> {
        let (events, receiver) = runner_engine::events();
        let target: TargetName = "web-1".parse()?;
        let world = Arc::new(World);
        let context = Context {
            info: RunInfo {
                run: "r-1".parse()?,
                step: "bench".parse()?,
                target: target.clone(),
                current: target.clone(),
                attempt: 1,
                environment: "bench".to_owned(),
                release: None,
                previous: None,
                subject: Some(target),
                variables: [].into(),
            },
            module: "bench".to_owned(),
            events,
            cancel: tokio_util::sync::CancellationToken::new(),
            acting: Acting::Login,
            machines: world.clone(),
            origin: Origin::default(),
            record: world.clone(),
            marks: Arc::default(),
            given: Arc::default(),
            store: Arc::clone(&self.store),
            workspace: Arc::clone(&self.workspace),
            http: world,
            vault: Arc::default(),
            secrets: std::collections::BTreeMap::new(),
            layers: Arc::clone(layers),
            gate: None,
            diff: false,
            waits: true,
            rehearsal: None,
        };
        let params = params.to_string();
        let started = Instant::now();
        let ended = self.sandbox.invoke(prepared, (Export::Run, params), context, limits).await;
        let took = started.elapsed();
        drop(receiver);
        Ok((ended, took))
    }
}

async fn calls() -> Outcome<Cost> {
    let stage = Stage::new()?;
    let prepared = stage.prepare(&stage.loader.load(&Source::builtin("smoke-test")?)?)?;
    let get = format!("GET {URL}");
    let grants = GrantSet::from_lists(std::iter::empty(), std::iter::empty(), [get.as_str()])?;
    let layers = Arc::new(Layers::new(grants.clone(), grants));
    let params = json!({ "url": URL, "status": 200 });
    let (mut times, mut wholes) = (Vec::with_capacity(CALLS), Vec::with_capacity(CALLS));
    let mut fuel = 0;
    for number in 0..CALLS + 100 {
        let (ended, took) = stage.call(&prepared, &params, &layers, Limits::default()).await?;
        ended.result.map_err(|failure| failure.to_string())?;
        fuel = ended.tally.fuel;
        // The first ones touch the code for the first time.
        if number >= 100 {
            times.push(ended.time);
            wholes.push(took);
        }
    }
    let rate = rate(stage.sandbox.engine())?;
    Ok(Cost { time: median(&mut times), whole: median(&mut wholes), fuel, rate })
}
