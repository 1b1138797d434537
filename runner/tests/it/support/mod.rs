//! A step that does what it is told, in a real sandbox, with grants and limits of the test's choice.

use async_trait::async_trait;
use runner::module::compile::Compiler;
use runner::module::describe::Descriptions;
use runner::module::load::{Loader, Module};
use runner::sandbox::context::{
    Context, Download, Given, Http, HttpAnswer, Machines, Marks, RunInfo, Sending,
};
use runner::sandbox::limits::Limits;
use runner::sandbox::record::{Acts, Call, Effect, Outcome, Past, Pending, Record};
use runner::sandbox::{Ended, Export, Origin, Prepared, Sandbox};
use runner_artifact::{Store, Workspace};
use runner_engine::EventReceiver;
use runner_model::grant::{GrantSet, Layers};
use runner_model::{Acting, Difference, Digest, Event, Failure, FailureKind, Level, TargetName};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use tokio_util::sync::CancellationToken;

pub(crate) mod ground;
pub(crate) mod job;
pub(crate) mod toml;

/// The component of the puppet; built once for all tests.
pub(crate) static PUPPET: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let executable = std::env::current_exe().expect("a test is a file");
    let target =
        runner_guests::outer_target_dir(&executable).expect("it is in cargo's folder").join("guests");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let mut guests = runner_guests::Build::new(manifest, target)
        .package("runner-test-puppet")
        .run()
        .unwrap_or_else(|error| panic!("{error}"));
    guests.remove(0).component
});

/// The component of a puppet that declares these capabilities.
pub(crate) fn puppet_with(capabilities: &Value) -> Vec<u8> {
    const MARK: &[u8] = b"capabilities of the puppet:";
    const ROOM: usize = 2048;
    let mut bytes = PUPPET.clone();
    let places: Vec<usize> =
        (0..bytes.len() - MARK.len()).filter(|&at| bytes[at..].starts_with(MARK)).collect();
    let place = *places.iter().find(|&&at| bytes[at + MARK.len()] == b'{').expect("the puppet has the mark");
    let text = capabilities.to_string();
    assert!(MARK.len() + text.len() <= ROOM, "the puppet has no room for that");
    let room = &mut bytes[place + MARK.len()..place + ROOM];
    room.fill(b' ');
    room[..text.len()].copy_from_slice(text.as_bytes());
    bytes
}

/// The sandbox and the puppet in it.
pub(crate) static SANDBOX: LazyLock<(Sandbox, Prepared)> = LazyLock::new(|| {
    let engine = runner::sandbox::engine::engine().expect("an engine");
    let puppet = load(&engine, &PUPPET);
    let sandbox = Sandbox::new(&engine).expect("a sandbox");
    let prepared =
        sandbox.prepare(&puppet.component, puppet.imports.wasi, puppet.manifest.world).expect("it links");
    (sandbox, prepared)
});

/// Compiles and checks a component of the test's own.
pub(crate) fn load(engine: &wasmtime::Engine, bytes: &[u8]) -> Module {
    let loader = Loader::new(Compiler::without_cache(engine), Descriptions::without_cache());
    loader.load_bytes(bytes, Digest::of(bytes)).unwrap_or_else(|error| panic!("{error}"))
}

/// Links it.
pub(crate) fn link(bytes: &[u8]) -> Prepared {
    let module = load(SANDBOX.0.engine(), bytes);
    SANDBOX.0.prepare(&module.component, module.imports.wasi, module.manifest.world).expect("it links")
}

/// What was recorded: one line a call, as `call kind-or-ok`; and what people are shown of changes.
#[derive(Default)]
pub(crate) struct Journal(pub(crate) Arc<Mutex<Vec<String>>>, pub(crate) Arc<Mutex<Vec<Difference>>>);

struct Intended(Arc<Mutex<Vec<String>>>, String);

impl Pending for Intended {
    fn line(&self) -> &str {
        "{\"intent\":\"of a test\"}"
    }

    fn end(self: Box<Self>, outcome: Outcome) {
        let how = match outcome {
            Outcome::Done(answer) | Outcome::Applied(answer, _) => format!("done {answer}"),
            Outcome::Failed(failure) => format!("failed {:?}", failure.kind),
            Outcome::Abandoned => "abandoned".to_owned(),
        };
        self.0.lock().expect("no panic").push(format!("outcome {} {how}", self.1));
    }
}

#[async_trait]
impl Record for Journal {
    fn past(&self, _: &Call) -> Result<Past, Failure> {
        Ok(Past::New)
    }

    fn settled(&self, _: &Call, _: Value) {}

    fn looked(&self, call: &Call, answer: &Result<Value, Failure>) {
        let how = match answer {
            Ok(_) => "ok".to_owned(),
            Err(failure) => format!("{:?}", failure.kind),
        };
        self.0.lock().expect("no panic").push(format!("{} {how}", call.call));
    }

    async fn intend(&self, call: &Call, effect: &Effect, _: Acts) -> Result<Box<dyn Pending>, Failure> {
        if let Effect::Change { difference: Some(difference), .. } = effect {
            self.1.lock().expect("no panic").push(difference.clone());
        }
        self.0.lock().expect("no panic").push(format!("intent {}", call.call));
        Ok(Box::new(Intended(Arc::clone(&self.0), call.call.to_owned())))
    }
}

/// No machine and no network: for what must be refused before either is asked.
pub(crate) struct Nowhere;

#[async_trait]
impl Machines for Nowhere {
    fn has(&self, name: &TargetName) -> bool {
        name.as_str() == "web-1" || name.as_str() == "db-1"
    }

    async fn acting(
        &self,
        name: &TargetName,
        _: &Acting,
    ) -> Result<Arc<dyn runner_transport::Target>, Failure> {
        Err(Failure::new(FailureKind::Unreachable, format_args!("the test let a call through to `{name}`")))
    }
}

#[async_trait]
impl Http for Nowhere {
    async fn send(&self, _: &Context, sending: &Sending) -> Result<HttpAnswer, Failure> {
        Err(Failure::new(FailureKind::Unreachable, format_args!("the test let `{}` through", sending.url)))
    }

    async fn download(&self, _: &Context, sending: &Sending) -> Result<Download, Failure> {
        Err(Failure::new(FailureKind::Unreachable, format_args!("the test let `{}` through", sending.url)))
    }
}

/// One invocation in the making.
pub(crate) struct Run {
    pub(crate) prepared: Prepared,
    pub(crate) limits: Limits,
    pub(crate) grants: GrantSet,
    pub(crate) cancel: CancellationToken,
    pub(crate) machines: Arc<dyn Machines>,
    pub(crate) http: Arc<dyn Http>,
    pub(crate) marks: Arc<Marks>,
    pub(crate) given: Arc<Given>,
    pub(crate) reserved: Vec<runner_model::RemotePath>,
    pub(crate) attempt: u32,
    pub(crate) acting: Acting,
    pub(crate) origin: Origin,
    pub(crate) place: Arc<tempfile::TempDir>,
    pub(crate) diff: bool,
}

/// What came of it.
pub(crate) struct Result_ {
    pub(crate) ended: Ended,
    pub(crate) journal: Vec<String>,
    pub(crate) differences: Vec<Difference>,
    pub(crate) log: Vec<(Level, String)>,
}

impl Run {
    /// The puppet without any grant.
    pub(crate) fn new() -> Self {
        let place = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(place.path().join("plan")).expect("a folder for the plan");
        Self {
            prepared: SANDBOX.1.clone(),
            limits: Limits::default(),
            grants: GrantSet::default(),
            cancel: CancellationToken::new(),
            machines: Arc::new(Nowhere),
            http: Arc::new(Nowhere),
            marks: Arc::default(),
            given: Arc::default(),
            reserved: Vec::new(),
            attempt: 1,
            acting: Acting::Login,
            origin: Origin::default(),
            place: Arc::new(place),
            diff: false,
        }
    }

    /// With these grants.
    pub(crate) fn granted<'a>(ssh: &[&'a str], files: &[&'a str], http: &[&'a str]) -> Self {
        let grants = GrantSet::from_lists(ssh.iter().copied(), files.iter().copied(), http.iter().copied());
        Self { grants: grants.expect("grants"), ..Self::new() }
    }

    /// The folder of the plan.
    pub(crate) fn plan(&self) -> PathBuf {
        self.place.path().join("plan")
    }

    /// The store of artifacts.
    pub(crate) fn store(&self) -> Arc<Store> {
        Arc::new(Store::open(self.place.path().join("store")).expect("a store"))
    }

    /// Runs these calls.
    pub(crate) async fn calls(&self, calls: Value) -> Result_ {
        self.with_params(json!({ "do": calls }).to_string()).await
    }

    /// Runs with these parameters.
    pub(crate) async fn with_params(&self, params: String) -> Result_ {
        let (events, receiver) = runner_engine::events();
        let journal = Journal::default();
        let (record, differences) = (Arc::clone(&journal.0), Arc::clone(&journal.1));
        let store = self.store();
        let workspace = Workspace::open(&self.plan(), Arc::clone(&store)).expect("the plan's folder");
        let target: TargetName = "web-1".parse().expect("a name");
        let context = Context {
            info: RunInfo {
                run: "r-7".parse().expect("a run"),
                step: "puppet".parse().expect("a step"),
                target: target.clone(),
                current: target.clone(),
                attempt: self.attempt,
                environment: "staging".to_owned(),
                release: None,
                previous: None,
                subject: Some(target),
                variables: [("port".to_owned(), "8080".to_owned())].into(),
            },
            module: "test/puppet".to_owned(),
            events,
            cancel: self.cancel.clone(),
            acting: self.acting.clone(),
            machines: Arc::clone(&self.machines),
            origin: self.origin.clone(),
            record: Arc::new(journal),
            marks: Arc::clone(&self.marks),
            given: Arc::clone(&self.given),
            store,
            workspace: Arc::new(workspace.snapshot()),
            http: Arc::clone(&self.http),
            vault: Arc::default(),
            secrets: Default::default(),
            layers: Arc::new(Layers {
                reserved: self.reserved.clone(),
                ..Layers::new(self.grants.clone(), self.grants.clone())
            }),
            gate: None,
            diff: self.diff,
            waits: true,
            rehearsal: None,
        };
        let info = context.info.clone();
        let ended =
            SANDBOX.0.invoke(&self.prepared, (Export::Run, params), context, self.limits.clone()).await;
        self.marks.settle(&info, ended.changed.clone(), ended.result.is_ok());
        let journal = record.lock().expect("no panic").clone();
        let differences = differences.lock().expect("no panic").clone();
        Result_ { ended, journal, differences, log: log(receiver).await }
    }
}

async fn log(mut receiver: EventReceiver) -> Vec<(Level, String)> {
    let mut lines = Vec::new();
    while let Some(stamped) = receiver.next().await {
        match stamped.event {
            Event::Log { level, message, .. } => lines.push((level, message)),
            Event::Progress { what, .. } => lines.push((Level::Debug, format!("progress {what}"))),
            _ => {}
        }
    }
    lines
}

impl Result_ {
    /// The answers of the calls.
    pub(crate) fn answers(&self) -> Vec<Value> {
        let outputs = self.ended.result.as_ref().unwrap_or_else(|failure| panic!("{failure:?}"));
        let outputs: Value = serde_json::from_str(outputs).expect("JSON");
        outputs["answers"].as_array().expect("answers").clone()
    }

    /// The answer of the only call.
    pub(crate) fn answer(&self) -> Value {
        self.answers().remove(0)
    }

    /// The kind of the error that each call was answered with; `ok` where there was none.
    pub(crate) fn kinds(&self) -> Vec<String> {
        self.answers()
            .iter()
            .map(|answer| answer["err"]["kind"].as_str().unwrap_or("ok").to_owned())
            .collect()
    }

    /// Why the invocation failed.
    pub(crate) fn failure(&self) -> &Failure {
        self.ended.result.as_ref().expect_err("it must fail")
    }
}
