//! From a plan that may run to its end: what `exec` and `resume` share.

use super::args::Shown;
use super::fail::Fail;
use super::load::{Answer, Checked, Loaded, cache_folder};
use super::{talk, telemetry};
use crate::host::past::Continued;
use crate::host::{Connections, EventJournal, Faults, GoneBack, Host, Locking, Parts};
use crate::module::kept;
use crate::report::{Again, Around, Reporting, Sent, Settings};
use crate::sandbox::{Origin, Sandbox};
use crate::secret;
use crate::written::shown;
use runner_artifact::{Store, Workspace};
use runner_engine::{About, EventSender, Signals};
use runner_journal::{Engine, FORMAT, Header, InventoryAnswer, Journal, new_run_id, run_folder};
use runner_model::grant::WorkspacePath;
use runner_model::lock::LockedEnvironment;
use runner_model::plan::InventorySource;
use runner_model::{
    Digest, Failure, OnFailure, Phase, ReleaseId, Resolved, RunId, Schedule, StepId, TargetName, Verdict,
};
use runner_secret::Vault;
use runner_transport::{Executes, Limits, Take, Transport};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A plan that may run.
pub(super) struct Order<'a> {
    pub(super) loaded: Loaded,
    pub(super) checked: Checked,
    pub(super) locked: LockedEnvironment,
    /// What `--var` said.
    pub(super) vars: Vec<(String, String)>,
    pub(super) shown: &'a Shown,
    /// The run to go on with; `None`: a new one.
    pub(super) resumed: Option<Resumed>,
    /// Nothing is changed: it is told what would be.
    pub(super) dry: bool,
    /// How long to wait for the lock of the targets.
    pub(super) wait: Duration,
    /// An older release is made live again; `None`: the plan makes its own.
    pub(super) back: Option<Back>,
}

/// A release that is made live again.
pub(super) struct Back {
    /// It, and its artifact.
    pub(super) release: (ReleaseId, Digest),
    /// What the steps before its rollout gave out, for each target.
    pub(super) outputs: BTreeMap<TargetName, BTreeMap<StepId, Value>>,
    /// At once, so many targets at a time, past the cluster and whoever has the lock.
    pub(super) emergency: Option<usize>,
    /// Why.
    pub(super) reason: Option<String>,
}

impl Back {
    /// The rollout alone, without what must not be done twice.
    fn schedule(&self, mut schedule: Schedule) -> Schedule {
        schedule.steps.retain(|step| step.phase == Phase::Rollout && !step.no_return);
        let Some(batch) = self.emergency else { return schedule };
        let batches = schedule.targets.chunks(batch.min(schedule.targets.len()).max(1));
        schedule.batches = batches.map(<[TargetName]>::to_vec).collect();
        Schedule {
            max_failures: u32::MAX,
            cluster: None,
            pause_ms: 0,
            on_failure: OnFailure::Stop,
            watched: false,
            ..schedule
        }
    }
}

/// A run that somebody goes on with.
pub(super) struct Resumed {
    /// What its journal begins with.
    pub(super) header: Header,
    /// The journal, which this process alone has now.
    pub(super) journal: Arc<Journal>,
    /// What it did.
    pub(super) before: Continued,
    /// Its journal, which only one process can have, proves that whoever had the lock of the targets is dead.
    pub(super) takes_over: bool,
}

/// Runs it.
pub(super) fn carry_out(order: Order<'_>) -> Result<u8, Fail> {
    if order.shown.verbose > 1 {
        trace();
    }
    runtime()?.block_on(go(order))
}

/// Whatever waits does so here.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Fail> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Fail::internal(format_args!("cannot start: {error}")))
}

async fn go(order: Order<'_>) -> Result<u8, Fail> {
    let Order { loaded, mut checked, locked, vars, shown: args, resumed, dry, wait, back } = order;
    let faults = Faults::of_process().map_err(Fail::usage)?;
    let (inventory, answer) = (checked.inventory, checked.answer.take());
    let limit = checked.limited.as_ref().map(|limited| runner_model::Limited {
        pattern: limited.limit.to_string(),
        chosen: limited.resolved.rollout.len(),
        of: checked.resolved.rollout.len(),
    });
    let mut resolved = checked.into_run();
    if back.as_ref().is_some_and(|back| back.emergency.is_some()) {
        // Nobody is taken out of it, so nobody is held to it.
        resolved.cluster = None;
    }
    let resolved = Arc::new(resolved);
    let vault = secret::fetch(&resolved, &loaded.written.folder).await?;
    let again =
        again(&loaded.written.file, &vars, &resolved, limit.as_ref().map(|limit| limit.pattern.clone()));
    let run = resumed.as_ref().map_or_else(new_run_id, |resumed| resumed.header.run.clone());
    let telemetry = if dry { None } else { telemetry::start(&run, &resolved) };
    let settings = Settings {
        around: Around {
            again: Some(again),
            trace: telemetry.as_ref().and_then(|(telemetry, _)| telemetry.trace_id()),
            ..Around::default()
        },
        debug: args.verbose > 0,
        json: args.json,
        events: args.events.clone(),
        ..Settings::of_process()
    };
    let reporters = if dry { settings.of_dry_run() } else { settings.reporters() };
    let mut reporters = reporters.map_err(|error| {
        Fail::usage(error).hint("`--events` names a file in a folder that is there and is yours")
    })?;
    let signals = Signals::of_process()
        .map_err(|error| Fail::internal(format_args!("cannot catch signals: {error}")))?;

    let store = open_store()?;
    keep_modules(&loaded, &store)?;
    let scratch = dry.then(tempfile::tempdir).transpose();
    let scratch = scratch.map_err(|error| Fail::internal(format_args!("cannot make a folder: {error}")))?;
    let resumed_here = resumed.as_ref().is_some_and(|resumed| resumed.takes_over);
    let (header, journal, before) = match resumed {
        Some(Resumed { header, journal, before, .. }) => (header, journal, before),
        None => {
            // The record of a dry run is nobody's to go on with.
            let folder = match &scratch {
                None => run_folder(&loaded.written.folder, &run).map_err(cannot_keep)?,
                Some(scratch) => scratch.path().to_owned(),
            };
            let answer = answer.map(|answer| frozen(answer, &store)).transpose()?;
            let limit = limit.as_ref().map(|limit| limit.pattern.clone());
            let found = (inventory, answer, limit, vars.into_iter().collect());
            let header = header(&loaded, &resolved, &run, found, &locked)?;
            let journal =
                Journal::create(&folder, Arc::clone(&store), header.clone()).map_err(cannot_keep)?;
            (header, Arc::new(journal), Continued::default())
        }
    };
    let seal = Arc::clone(&settings.around.seal);
    reporters.insert(0, Box::new(EventJournal::new(Arc::clone(&journal), shown(journal.path()), seal)));

    let sending = telemetry.map(|(telemetry, sending)| {
        reporters.push(Box::new(Sent(telemetry)));
        sending
    });

    let (events, receiver) = runner_engine::events();
    let about = About {
        run: run.clone(),
        plan: resolved.plan.clone(),
        summary: resolved.summary.clone(),
        environment: resolved.environment.clone(),
        limit,
    };
    let run_folder = loaded.written.folder.join(".runner/runs").join(run.as_str());
    let vault = Arc::new(keyed(vault, &run_folder, dry)?);
    let schedule = resolved.schedule();
    let schedule = back.as_ref().map_or_else(|| schedule.clone(), |back| back.schedule(schedule.clone()));
    let kit = Kit { loaded, resolved, locked, vault, store };
    let take = match &back {
        Some(Back { emergency: Some(_), .. }) => Take::ByForce,
        _ if resumed_here => Take::OfRun,
        _ => Take::IfFree,
    };
    let how = How { diff: args.diff || dry, dry, take, wait, back };
    let host = host(kit, header, journal, before, faults, events.clone(), how)?;
    let reporting = Reporting::start(receiver, reporters);
    let report = runner_engine::run(about, schedule, host.clone(), events, signals).await;
    if matches!(report.verdict, Verdict::Done | Verdict::RolledBack) && !dry {
        // Nobody undoes what went well, or what is undone.
        not_forgotten(&host.forget(report.verdict).await);
        let _ = std::fs::remove_file(run_folder.join(KEY));
    }
    let shown_well = reporting.end().await;
    let send = async {
        match sending {
            Some(sending) => sending.end().await,
            None => None,
        }
    };
    let ((), unsent) = tokio::join!(host.close(), send);
    if let Some(why) = unsent {
        talk(&format!("warning: telemetry of this run was not sent, or not all of it: {why}\n"));
    }
    if let Some(count) = host.boundaries() {
        talk(&format!("boundaries of effects: {count}\n"));
    }
    shown_well.map_err(|error| {
        Fail::internal(format_args!("the run went on, and its account was lost: {error}"))
    })?;
    Ok(report.verdict.exit_code())
}

/// What a run acts with, and by whose leave.
pub(super) struct Kit {
    pub(super) loaded: Loaded,
    pub(super) resolved: Arc<Resolved>,
    pub(super) locked: LockedEnvironment,
    pub(super) vault: Arc<Vault>,
    pub(super) store: Arc<Store>,
}

/// How a run is carried out.
pub(super) struct How {
    pub(super) diff: bool,
    pub(super) dry: bool,
    /// From whom the machines' lock may be taken.
    pub(super) take: Take,
    /// How long to wait for it.
    pub(super) wait: Duration,
    /// An older release is made live again.
    pub(super) back: Option<Back>,
}

/// Whoever carries out the invocations of a run, or undoes them.
pub(super) fn host(
    kit: Kit,
    header: Header,
    journal: Arc<Journal>,
    before: Continued,
    faults: Faults,
    events: EventSender,
    How { diff, dry, take, wait, back }: How,
) -> Result<Arc<Host>, Fail> {
    let Kit { loaded, resolved, locked, vault, store } = kit;
    let connections = Connections::new(
        Transport::with_secrets(Arc::clone(&store), Limits::default(), Arc::clone(&vault)),
        resolved.ssh.clone(),
        inventory_folder(&loaded, &resolved),
    );
    let locking = Locking {
        who: who(),
        reason: back.as_ref().and_then(|back| back.reason.clone()),
        take,
        lease: LEASE,
        wait,
    };
    let texts = texts(&loaded)?;
    let parts = Parts {
        run: header.run.clone(),
        resolved,
        locked,
        reserved_files: reserved(&loaded),
        policy: loaded.policy,
        sandbox: Sandbox::new(&loaded.engine)
            .map_err(|error| Fail::internal(format_args!("the sandbox cannot start: {error:#}")))?,
        modules: loaded.modules,
        vault,
        connect: Arc::new(connections),
        workspace: Workspace::open(&loaded.written.folder, Arc::clone(&store))
            .map_err(|error| Fail::internal(format_args!("cannot read the plan's folder: {error}")))?,
        store,
        origin: Origin {
            started: header.started.duration_since(jiff::Timestamp::UNIX_EPOCH).unsigned_abs(),
            seed: header.seed.clone(),
        },
        executes: Executes { plan: header.plan_digest, lock: header.lock_digest },
        header: Header { seed: String::new(), ..header },
        journal,
        before,
        faults,
        events,
        diff,
        dry,
        locking,
        texts,
        again: back.map(|back| GoneBack { release: back.release, outputs: back.outputs }),
    };
    let host = Host::new(parts).map_err(|failure| Fail::internal(&failure).detail(&failure.detail))?;
    Ok(Arc::new(host))
}

/// The plan and the lock as they are kept with what goes live.
fn texts(loaded: &Loaded) -> Result<(String, String), Fail> {
    let lock = loaded.written.lock_text()?.unwrap_or_default();
    Ok((loaded.written.plan.source.text().to_owned(), String::from_utf8_lossy(&lock).into_owned()))
}

/// How long a lock lasts without a word from its owner: long enough for a network that hangs, short enough for whoever
/// waits for a runner that died.
pub(super) const LEASE: Duration = Duration::from_secs(120);

/// Whoever runs this, for others.
pub(super) fn who() -> String {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let user = set("USER").or_else(|| set("LOGNAME")).unwrap_or_else(|| "somebody".to_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match host.trim() {
        "" => user,
        host => format!("{user}@{host}"),
    }
}

/// Copies that are left on targets take room there, and may be of files that are closed to others.
pub(super) fn not_forgotten(failures: &[Failure]) {
    for failure in failures {
        talk(&format!("warning: what was kept for an undo is left on a target: {failure}\n"));
    }
}

/// The file beside the journal of a run that did not end well, with which the digests of secrets in it were made.
const KEY: &str = "key";

/// The vault with the key of the run, which is kept until the run has ended well: whoever goes on with it, or undoes it,
/// must tell whether a file still holds the secret that it was given.
pub(super) fn keyed(vault: Vault, folder: &Path, dry: bool) -> Result<Vault, Fail> {
    if vault.is_empty() || dry {
        return Ok(vault);
    }
    let file = folder.join(KEY);
    let cannot = |error| Fail::internal(format_args!("cannot keep `{}`: {error}", shown(&file)));
    match std::fs::read(&file) {
        Ok(key) => match <[u8; 32]>::try_from(key) {
            Ok(key) => Ok(vault.with_key(key)),
            Err(_) => Err(Fail::refused(format_args!("`{}` is not what was written there", shown(&file)))),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // Whole or not there: a runner that was cut off here has written no secret yet.
            let made = tempfile::NamedTempFile::new_in(folder).and_then(|mut made| {
                made.write_all(vault.key())?;
                made.as_file().sync_all()?;
                made.persist(&file).map_err(|error| error.error)?;
                std::fs::File::open(folder)?.sync_all()
            });
            made.map_err(cannot)?;
            Ok(vault)
        }
        Err(error) => Err(cannot(error)),
    }
}

/// The modules go into the store, so that the run can be done again when the plan has others.
fn keep_modules(loaded: &Loaded, store: &Store) -> Result<(), Fail> {
    for (reference, module) in &loaded.sources {
        let said = loaded.said.get(reference).cloned().unwrap_or_default();
        kept::keep(module, &said, &loaded.written.folder, store)
            .map_err(|why| Fail::internal(format_args!("cannot keep the module `{reference}`: {why}")))?;
    }
    Ok(())
}

/// How the run was asked for, as far as it matters for another one.
fn again(plan: &Path, vars: &[(String, String)], resolved: &Resolved, limit: Option<String>) -> Again {
    let environment = ["--environment".to_owned(), resolved.environment.to_string()];
    let vars = vars.iter().flat_map(|(name, value)| ["--var".to_owned(), format!("{name}={value}")]);
    let plan = plan.display().to_string();
    let which = std::iter::once(plan).chain(environment).chain(vars).collect();
    Again { which, limit, rollout: resolved.rollout.clone() }
}

pub(super) fn open_store() -> Result<Arc<Store>, Fail> {
    let folder = cache_folder().ok_or_else(|| {
        Fail::internal("there is no place for artifacts: neither `XDG_CACHE_HOME` nor `HOME` is set")
            .hint("set one of them to an absolute path")
    })?;
    let store = Store::open(folder.join("artifacts"))
        .map_err(|error| Fail::internal(format_args!("cannot use the artifact store: {error}")))?;
    Ok(Arc::new(store))
}

/// The answer of an inventory program, kept so that whoever goes on with the run asks nobody again.
fn frozen(answer: Answer, store: &Store) -> Result<InventoryAnswer, Fail> {
    let kept = store.put_bytes(&answer.bytes).and_then(|digest| store.sync(&digest).map(|()| digest));
    let digest = kept.map_err(|error| Fail::internal(format_args!("cannot keep the inventory: {error}")))?;
    Ok(InventoryAnswer { argv: answer.command.argv, digest, size: answer.bytes.len() as u64 })
}

fn cannot_keep(error: runner_journal::Error) -> Fail {
    Fail::internal(format_args!("cannot keep the run's journal, and without it nothing is changed: {error}"))
        .hint("the journal is kept in `.runner` beside the plan: is that folder writable?")
}

/// What was found out about a run beside its plan: the inventory, the answer of its program, the limit, the variables.
type Found = (Digest, Option<InventoryAnswer>, Option<String>, BTreeMap<String, String>);

fn header(
    loaded: &Loaded,
    resolved: &Resolved,
    run: &RunId,
    (inventory_digest, inventory_answer, limit, vars): Found,
    locked: &LockedEnvironment,
) -> Result<Header, Fail> {
    let lock = loaded.written.lock_text()?.unwrap_or_default();
    Ok(Header {
        format: FORMAT,
        run: run.clone(),
        started: jiff::Timestamp::now(),
        plan: resolved.plan.clone(),
        environment: resolved.environment.clone(),
        plan_digest: loaded.written.digest,
        lock_digest: Digest::of(lock),
        grants_digest: locked.digest(),
        inventory_digest,
        inventory_answer,
        limit,
        vars,
        engine: engine(loaded),
        tools: BTreeMap::from([("runner".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]),
        seed: new_seed(),
    })
}

/// What the random numbers of a run come from.
pub(super) fn new_seed() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// What executes the modules here.
pub(super) fn engine(loaded: &Loaded) -> Engine {
    Engine {
        wasmtime: crate::sandbox::engine::WASMTIME.to_owned(),
        configuration: Digest::of(crate::sandbox::engine::compatibility_key(&loaded.engine)),
    }
}

/// Files beside the plan that no step may write: what the plan is made of.
fn reserved(loaded: &Loaded) -> Vec<WorkspacePath> {
    let inventories = loaded.written.plan.environment.values().flat_map(|environment| {
        let written = match &environment.inventory {
            InventorySource::File(file) => file.value.clone(),
            // The program, where it is one of the plan's folder.
            InventorySource::Command(asked) => {
                let program = asked.command.argv.first().map_or("", String::as_str);
                program.strip_prefix("./").unwrap_or(program).to_owned()
            }
        };
        let file = Path::new(&written);
        // Variables of an Ansible inventory are beside it.
        let beside = ["group_vars", "host_vars"].map(|folder| file.with_file_name(folder));
        let is_ours = environment.inventory.command().is_some()
            || file.extension().is_some_and(|ending| ending == "toml");
        let vars = beside.into_iter().filter(move |_| !is_ours);
        let vars = vars.filter_map(|path| path.to_str().map(str::to_owned)).collect::<Vec<_>>();
        std::iter::once(written).chain(vars)
    });
    let beside = [loaded.written.file.clone(), loaded.written.lock_file()];
    let names = beside.iter().filter_map(|file| Some(file.file_name()?.to_str()?.to_owned()));
    let own = loaded.written.plan.environment.values().flat_map(|environment| environment.secrets.values());
    let secrets = loaded.written.plan.secrets.values().chain(own);
    let secrets = secrets.filter_map(|secret| secret.source.file()).map(str::to_owned);
    // What is outside the plan's folder is out of every step's reach.
    names.chain(inventories).chain(secrets).filter_map(|name| name.parse().ok()).collect()
}

/// The folder that paths in the inventory are relative to. Absolute: ssh resolves relative ones against other folders.
pub(super) fn inventory_folder(loaded: &Loaded, resolved: &Resolved) -> PathBuf {
    let entry = loaded.written.plan.environment.get(&resolved.environment);
    // What a program answers is relative to the plan, where it was run.
    let file =
        loaded.written.folder.join(entry.and_then(|entry| entry.inventory.file()).unwrap_or("plan.toml"));
    let folder = file.parent().unwrap_or(&loaded.written.folder);
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

/// The runner's own doings, on stderr; `RUST_LOG` chooses which.
fn trace() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("runner=debug,runner_transport=debug"));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
