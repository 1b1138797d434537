//! `runner resume --from-targets`: the journal of a run made anew from what its targets kept.
//!
//! A target speaks for itself alone: what it says of another machine is not taken, and neither is a line that is not
//! what was written. Plan, lock and inventory are those that are here, and must be those of the run.

use super::args::Resume;
use super::asked::AT_ONCE;
use super::carry_out::{inventory_folder, new_seed, open_store, runtime};
use super::fail::Fail;
use super::load::{Loaded, Programs};
use super::resume::same_as_begun;
use super::talk;
use crate::host::past::PastRun;
use crate::host::{Carried, Connect, Connections};
use crate::secret;
use crate::written::shown;
use futures_util::{StreamExt as _, stream};
use runner_artifact::Store;
use runner_journal::{Entry, Header, Journal, Record, Told, proved, run_folder};
use runner_model::words::count;
use runner_model::{
    Act, Digest, EffectKey, Event, Failure, ReleaseId, Resolved, RunId, Stamped, Target, TargetName, Verdict,
};
use runner_transport::{Connection, Executes, Limits, RunPlace, Transport};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Makes the journal; answers the run.
pub(super) fn salvage(args: &Resume) -> Result<RunId, Fail> {
    let loaded = Loaded::read(&args.plan, args.environment.as_ref())?;
    // Variables and the limit are what the operator says, not what a target does.
    let checked = loaded.check(&args.vars, args.limit.as_ref(), Programs::Accepted)?;
    let locked = loaded.accepted(&checked.resolved)?;
    let store = open_store()?;
    let resolved = Arc::new(checked.resolved.clone());
    let kept = runtime()?.block_on(ask(args, &loaded, &resolved, &store))?;
    let header = kept.header()?;
    if (&header.environment, &header.plan) != (&loaded.environment, &resolved.plan) {
        return Err(Fail::refused(format_args!(
            "the targets say that the run {} was one of `{}` to `{}`",
            header.run, header.plan, header.environment
        ))
        .hint("name the run that you mean, and its environment"));
    }
    said(args, &header)?;
    same_as_begun(&header, &loaded, &checked, &locked)?;
    if let Some(answer) = &checked.answer {
        // By its digest, which is that of the inventory: what a target said of it is not looked at.
        store.put_bytes(&answer.bytes).map_err(Fail::internal)?;
    }
    if header.inventory_answer.as_ref().is_some_and(|answer| answer.digest != header.inventory_digest) {
        return Err(disagree(&kept.run));
    }
    kept.may_go_on(args)?;
    let run = header.run.clone();
    write(&loaded, header, &kept, store)?;
    let what = count(kept.entries.len(), "effect and outcome");
    let targets = count(kept.targets.len(), "target");
    talk(&format!("{what} of the run {run} found on {targets}\n"));
    Ok(run)
}

/// Whether the run was begun as the operator says.
fn said(args: &Resume, header: &Header) -> Result<(), Fail> {
    let vars: BTreeMap<String, String> = args.vars.iter().cloned().collect();
    let limit = args.limit.as_ref().map(ToString::to_string);
    if vars == header.vars && limit == header.limit {
        return Ok(());
    }
    let vars = header.vars.iter().flat_map(|(name, value)| ["--var".to_owned(), format!("{name}={value}")]);
    let limit = header.limit.iter().flat_map(|limit| ["--limit".to_owned(), limit.clone()]);
    let words = shell_words::join(vars.chain(limit));
    let words =
        if words.is_empty() { "neither `--var` nor `--limit`".to_owned() } else { format!("`{words}`") };
    Err(Fail::refused(format_args!("the targets say that the run {} was begun with {words}", header.run))
        .hint("if that is so, say the same here: it is not taken on a target's word"))
}

fn disagree(run: &RunId) -> Fail {
    Fail::refused(format_args!("the targets do not agree on what the run {run} was"))
        .hint("somebody has changed what they keep in `.runner/runs`: begin anew with `runner exec`")
}

/// What the targets kept of a run.
struct Kept {
    run: RunId,
    headers: Vec<Header>,
    targets: Vec<(TargetName, Option<ReleaseId>)>,
    entries: Vec<Entry>,
    /// Who told of an effect.
    whose: BTreeMap<EffectKey, TargetName>,
    /// It ended well, or was undone, as this target says.
    closed: Option<(TargetName, Verdict)>,
    /// An undo of it was begun, as this target says.
    undone: Option<TargetName>,
}

impl Kept {
    /// The header that all of them have.
    fn header(&self) -> Result<Header, Fail> {
        let Some(first) = self.headers.first() else {
            return Err(Fail::refused(format_args!(
                "no target knows what the run {} was begun with",
                self.run
            ))
            .hint("it had come to no effect: begin anew with `runner exec`"));
        };
        match first.run == self.run && self.headers.iter().all(|header| header == first) {
            // Nobody but the machine that began it had its seed.
            true => Ok(Header { seed: new_seed(), ..first.clone() }),
            false => Err(disagree(&self.run)),
        }
    }

    fn may_go_on(&self, args: &Resume) -> Result<(), Fail> {
        let begin = "begin anew with `runner exec`";
        match (&self.closed, &self.undone) {
            (Some((target, Verdict::Done)), _) => {
                Err(Fail::refused(format_args!("the run {} ended well, as {target} knows", self.run))
                    .hint(begin))
            }
            (Some((target, _)), _) => {
                Err(Fail::refused(format_args!("the run {} is undone, as {target} knows", self.run))
                    .hint(begin))
            }
            (None, Some(target)) if !args.undo => {
                Err(Fail::refused(format_args!("the run {} is undone in part, as {target} knows", self.run))
                    .hint("undo the rest with `--undo`, or begin anew"))
            }
            _ => Ok(()),
        }
    }
}

async fn ask(
    args: &Resume,
    loaded: &Loaded,
    resolved: &Arc<Resolved>,
    store: &Arc<Store>,
) -> Result<Kept, Fail> {
    let vault = Arc::new(secret::fetch(resolved, &loaded.written.folder).await?);
    let transport = Transport::with_secrets(Arc::clone(store), Limits::default(), vault);
    let connect = Connections::new(transport, resolved.ssh.clone(), inventory_folder(loaded, resolved));
    let mut targets: Vec<Target> = resolved.targets.values().cloned().collect();
    if !targets.iter().any(|target| target.name.is_localhost()) {
        targets.push(Target::localhost());
    }
    let connected: Vec<Result<Arc<dyn Connection>, (TargetName, Failure)>> = stream::iter(&targets)
        .map(|target| async {
            connect.connect(target).await.map_err(|failure| (target.name.clone(), failure))
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut connections = Vec::new();
    for answer in connected {
        match answer {
            Ok(connection) => connections.push(connection),
            Err((name, failure)) => {
                let message = format!("{name} cannot be asked what it keeps of the run: {failure}");
                return Err(Fail::unreachable(message).detail(failure.detail));
            }
        }
    }
    let kept = read(args, resolved, &connections, store).await;
    stream::iter(&connections).for_each_concurrent(AT_ONCE, |connection| connection.close()).await;
    kept
}

async fn read(
    args: &Resume,
    resolved: &Resolved,
    connections: &[Arc<dyn Connection>],
    store: &Store,
) -> Result<Kept, Fail> {
    let mut known: Vec<(&Arc<dyn Connection>, Vec<RunId>)> = Vec::new();
    for connection in connections {
        let root = resolved.root(connection.name());
        let runs = connection.runs(root, resolved.plan.as_str()).await.map_err(lost)?;
        known.push((connection, runs));
    }
    let run = which(args, &known)?;
    let (headers, targets, entries) = (Vec::new(), Vec::new(), Vec::new());
    let mut kept = Kept {
        run: run.clone(),
        headers,
        targets,
        entries,
        whose: BTreeMap::new(),
        closed: None,
        undone: None,
    };
    for (connection, _) in known.into_iter().filter(|(_, runs)| runs.contains(&run)) {
        let place = RunPlace {
            root: resolved.root(connection.name()).cloned(),
            plan: resolved.plan.to_string(),
            run: run.clone(),
            // Nothing is laid out by whoever only asks.
            executes: Executes { plan: Digest::of(""), lock: Digest::of("") },
            who: String::new(),
            made_at: String::new(),
        };
        connection.begin(&place).await.map_err(lost)?;
        if let Some(lines) = connection.intents().await.map_err(lost)? {
            add(&mut kept, connection.name(), &lines, store)?;
        }
    }
    Ok(kept)
}

/// The run that is meant: the one that is named, else the newest, when every target knows it. One target alone could make
/// one up.
fn which(args: &Resume, known: &[(&Arc<dyn Connection>, Vec<RunId>)]) -> Result<RunId, Fail> {
    let all: BTreeSet<&RunId> = known.iter().flat_map(|(_, runs)| runs).collect();
    let chosen = match &args.run {
        Some(asked) => all.iter().rev().find(|run| run.as_str().starts_with(asked.as_str())),
        None => {
            // Here is no target of its own: it knows of a run only what a step did here.
            let mut targets = known.iter().filter(|(connection, _)| !connection.name().is_localhost());
            let newest = all.last();
            newest
                .filter(|run| targets.clone().next().is_some() && targets.all(|(_, runs)| runs.contains(run)))
        }
    };
    chosen.map(|run| (*run).clone()).ok_or_else(|| {
        let newest: Vec<String> = all.iter().rev().take(5).map(ToString::to_string).collect();
        let fail = match args.run {
            Some(_) => Fail::refused("no target knows of such a run"),
            None => Fail::refused("not every target knows the newest run that one of them knows"),
        };
        match newest.is_empty() {
            true => fail.hint("begin anew with `runner exec`"),
            false => fail
                .detail(format_args!("some know of {}", newest.join(", ")))
                .hint("name the run that you mean"),
        }
    })
}

fn lost(failure: Failure) -> Fail {
    Fail::unreachable(&failure).detail(failure.detail)
}

/// Takes in what a target kept.
fn add(kept: &mut Kept, target: &TargetName, lines: &[u8], store: &Store) -> Result<(), Fail> {
    let text = String::from_utf8_lossy(lines);
    let all: Vec<&str> = text.lines().collect();
    let whole = text.ends_with('\n');
    let mut live = None;
    let mut own: BTreeMap<EffectKey, Box<Told>> = BTreeMap::new();
    for (index, line) in all.iter().enumerate() {
        if index + 1 == all.len() && !whole {
            talk(&format!(
                "{target}: the last line that it kept is torn: what it announced has not happened\n"
            ));
            break;
        }
        if let Ok(carried) = serde_json::from_str::<Carried>(line) {
            match carried {
                Carried::Header(header) => kept.headers.push(*header),
                Carried::Live(release) => live = Some(live.unwrap_or(release)),
                Carried::Payload(json) => {
                    store.put_bytes(json.as_bytes()).map_err(Fail::internal)?;
                }
                // It is asked for when a release is made live again, not before.
                Carried::Kept(_) => {}
                Carried::Closed(verdict) => kept.closed = Some((target.clone(), verdict)),
            }
            continue;
        }
        // An undo leaves lines of its own.
        if let Ok(Undoing { undo }) = serde_json::from_str(line) {
            kept.undone = Some(target.clone());
            let told = own.get(&undo).cloned();
            kept.entries.extend(told.map(|told| Entry::Undo { key: undo, told }));
            continue;
        }
        // A power failure there, and somebody went on behind it: what it announced has not happened.
        if serde_json::from_str::<Value>(line).is_err() {
            talk(&format!("{target}: line {} that it kept is torn, and left out\n", index + 1));
            continue;
        }
        let recorded = proved(line).map_err(|why| {
            Fail::refused(format_args!(
                "line {} of what {target} kept of the run is broken: {why}",
                index + 1
            ))
            .hint("somebody has changed it: begin anew with `runner exec`")
        })?;
        match &recorded.entry {
            Entry::Intent { key, told: Some(told), .. } if is_of(&recorded.entry, target, store) => {
                // An effect is on one machine.
                if kept.whose.insert(key.clone(), target.clone()).is_some_and(|other| other != *target) {
                    return Err(disagree(&kept.run));
                }
                own.insert(key.clone(), told.clone());
                kept.entries.push(recorded.entry);
            }
            Entry::Outcome { key, .. } if own.contains_key(key) => kept.entries.push(recorded.entry),
            Entry::Taken { key, of, .. } if own.contains_key(of) && key.attempt <= ATTEMPTS_MAX => {
                let other = kept.whose.insert(key.clone(), target.clone());
                let of_step = (&key.step, &key.target) == (&of.step, &of.target);
                if !of_step || other.is_some_and(|other| other != *target) {
                    return Err(disagree(&kept.run));
                }
                kept.entries.push(recorded.entry);
            }
            _ => {}
        }
    }
    kept.targets.push((target.clone(), live.flatten()));
    Ok(())
}

/// What a target keeps of an undo.
#[derive(Deserialize)]
struct Undoing {
    undo: EffectKey,
}

/// More attempts than anybody makes.
const ATTEMPTS_MAX: u32 = 100_000;

/// Whether a target says it of itself: an effect on another machine, or here, is not that one's to tell.
fn is_of(entry: &Entry, target: &TargetName, store: &Store) -> bool {
    let Entry::Intent { key, call, args, told: Some(told), .. } = entry else { return false };
    let args = args.load(store);
    let on = args.as_ref().ok().and_then(|args| args.get("on")).and_then(Value::as_str);
    // What is done here, and what is sent from here, no target keeps.
    let is_kept = match told.act {
        Act::Change { .. } => call.starts_with("targets.") && call != "targets.service",
        Act::Service { .. } => call == "targets.service",
        Act::Command { .. } => call == "commands.run",
        Act::Socket { .. } => call == "sockets.exchange",
        Act::Request { .. } | Act::Workspace { .. } => false,
    };
    is_kept && told.on.as_ref() == Some(target) && on == Some(target.as_str()) && key.attempt <= ATTEMPTS_MAX
}

fn write(loaded: &Loaded, header: Header, kept: &Kept, store: Arc<Store>) -> Result<(), Fail> {
    let run = header.run.clone();
    let cannot =
        |error: runner_journal::Error| Fail::internal(format_args!("cannot keep the run's journal: {error}"));
    if loaded.written.folder.join(".runner/runs").join(run.as_str()).join(runner_journal::FILE).exists() {
        return Err(Fail::refused(format_args!(
            "the journal of the run {run} is here, and knows more than the targets do"
        ))
        .hint(format_args!("`runner resume {run}` goes on with it")));
    }
    let folder = run_folder(&loaded.written.folder, &run).map_err(cannot)?;
    let written = fill(&folder, header, kept, Arc::clone(&store)).map_err(cannot).and_then(|()| {
        // What it names must be here, or nobody could go on with it.
        let file = folder.join(runner_journal::FILE);
        let record = Record::load(&file)
            .map_err(|damage| Fail::internal(format_args!("{}: {damage}", shown(&file))))?;
        PastRun::to_go_on_with(&record, &store).map(|_| ()).map_err(|failure| {
            Fail::refused(format_args!("the targets do not have all of the run: {failure}"))
                .hint("begin anew with `runner exec`")
        })
    });
    if written.is_err() {
        let _ = std::fs::remove_dir_all(&folder);
    }
    written
}

fn fill(folder: &Path, header: Header, kept: &Kept, store: Arc<Store>) -> Result<(), runner_journal::Error> {
    let journal = Journal::create(folder, store, header)?;
    for (target, live) in &kept.targets {
        let found = Event::Connected { target: target.clone(), milliseconds: 0, live: live.clone() };
        journal.append(&Entry::Event(Box::new(Stamped { at: 0, event: found })))?;
    }
    for entry in &kept.entries {
        journal.append(entry)?;
    }
    let began = Entry::Resumed { started: jiff::Timestamp::now(), torn: 0, from_targets: true };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| runner_journal::Error::io("start a runtime for", folder, error))?;
    runtime.block_on(journal.append_durable(&began)).map(|_| ())
}
