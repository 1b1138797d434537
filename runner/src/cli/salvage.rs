//! `runner resume --from-targets`: the journal of a run made anew from what its targets kept.
//!
//! A target speaks for itself alone: what it says of another machine is not taken, and neither is a line that is not
//! what was written. Plan, lock and inventory are those that are here, and must be those of the run.

use super::args::Resume;
use super::carry_out::{inventory_folder, open_store, runtime};
use super::fail::Fail;
use super::load::{self, Loaded, Programs, shown};
use super::resume::{check, same_as_begun};
use super::{permitted, stale, talk};
use crate::host::{Carried, Connect, Connections};
use crate::secret;
use futures_util::{StreamExt as _, stream};
use runner_artifact::Store;
use runner_journal::{Entry, Header, Journal, proved, run_folder};
use runner_model::lock::Lock;
use runner_model::words::count;
use runner_model::{Digest, Event, Failure, Resolved, RunId, Stamped, Target, TargetName};
use runner_transport::{Connection, Executes, Limits, RunPlace, Transport};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many targets are asked at a time.
const AT_ONCE: usize = 32;

/// Makes the journal; answers the run.
pub(super) fn salvage(args: &Resume) -> Result<RunId, Fail> {
    let loaded = Loaded::read(&args.plan)?;
    let environment = loaded.environment(args.environment.as_ref())?;
    // Variables and the limit are those of the run, which is not known yet: they decide nothing about who is asked.
    let checked = loaded.check(&environment, &[], None, Programs::Accepted)?;
    let policy = load::policy(&environment)?;
    let store = open_store()?;
    let resolved = Arc::new(checked.resolved);
    let kept = runtime()?.block_on(ask(args, &loaded, &resolved, &store))?;
    let header = kept.header()?;
    let checked = check(&loaded, &header, &store)?;
    let lock = loaded.lock()?;
    let locked = Lock::verify(lock.as_ref(), &checked.resolved, &shown(&loaded.lock_file()))
        .map_err(|why| stale(why, &loaded.file))?;
    permitted(policy.as_ref(), &checked.resolved, locked)?;
    same_as_begun(&header, &loaded, &checked, &locked.clone())?;
    let run = header.run.clone();
    write(&loaded, header, &kept, store)?;
    let what = count(kept.entries.len(), "effect and outcome");
    let targets = count(kept.targets.len(), "target");
    talk(&format!("{what} of the run {run} found on {targets}\n"));
    Ok(run)
}

/// What the targets kept of a run.
struct Kept {
    run: RunId,
    headers: BTreeMap<Digest, Header>,
    targets: Vec<(TargetName, Option<runner_model::ReleaseId>)>,
    entries: Vec<Entry>,
}

impl Kept {
    /// The header that all of them have.
    fn header(&self) -> Result<Header, Fail> {
        let mut headers = self.headers.values();
        match (headers.next(), headers.next()) {
            (Some(header), None) if header.run == self.run => Ok(header.clone()),
            (None, _) => {
                Err(Fail::refused(format_args!("no target knows what the run {} was begun with", self.run))
                    .hint("it had come to no effect: begin anew with `runner exec`"))
            }
            _ => Err(Fail::refused(format_args!(
                "the targets do not agree on what the run {} was",
                self.run
            ))
            .hint("somebody has changed what they keep in `.runner/runs`: begin anew with `runner exec`")),
        }
    }
}

async fn ask(
    args: &Resume,
    loaded: &Loaded,
    resolved: &Arc<Resolved>,
    store: &Arc<Store>,
) -> Result<Kept, Fail> {
    let vault = Arc::new(secret::fetch(resolved, &loaded.folder).await?);
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
        let runs =
            connection.runs(resolved.root(connection.name()), resolved.plan.as_str()).await.map_err(lost)?;
        known.push((connection, runs));
    }
    let run = which(args, known.iter().flat_map(|(_, runs)| runs))?;
    let mut kept =
        Kept { run: run.clone(), headers: BTreeMap::new(), targets: Vec::new(), entries: Vec::new() };
    for (connection, _) in known.into_iter().filter(|(_, runs)| runs.contains(&run)) {
        let place = RunPlace {
            root: resolved.root(connection.name()).cloned(),
            plan: resolved.plan.to_string(),
            run: run.clone(),
            // Nothing is laid out by whoever only asks.
            executes: Executes { plan: Digest::of(""), lock: Digest::of("") },
        };
        connection.begin(&place).await.map_err(lost)?;
        if let Some(lines) = connection.intents().await.map_err(lost)? {
            add(&mut kept, connection.name(), &lines, store)?;
        }
    }
    Ok(kept)
}

/// The run that is meant: the newest, unless one is named.
fn which<'a>(args: &Resume, runs: impl Iterator<Item = &'a RunId>) -> Result<RunId, Fail> {
    let wanted =
        |run: &&RunId| args.run.as_ref().is_none_or(|asked| run.as_str().starts_with(asked.as_str()));
    runs.filter(wanted)
        .max()
        .cloned()
        .ok_or_else(|| Fail::refused("no target knows of such a run").hint("begin anew with `runner exec`"))
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
    for (index, line) in all.iter().enumerate() {
        if index + 1 == all.len() && !whole {
            talk(&format!(
                "{target}: the last line that it kept is torn: what it announced has not happened\n"
            ));
            break;
        }
        if let Ok(carried) = serde_json::from_str::<Carried>(line) {
            match carried {
                Carried::Live(release) => live = Some(release),
                Carried::Payload(json) => {
                    store.put_bytes(json.as_bytes()).map_err(Fail::internal)?;
                }
            }
            continue;
        }
        // An undo leaves lines of its own.
        if line.starts_with("{\"undo\":") {
            continue;
        }
        let recorded = proved(line).map_err(|why| {
            Fail::refused(format_args!(
                "line {} of what {target} kept of the run is broken: {why}",
                index + 1
            ))
            .hint("somebody has changed it: begin anew with `runner exec`")
        })?;
        match recorded.entry {
            Entry::Header(header) => {
                kept.headers.insert(recorded.hash, *header);
            }
            entry if is_of(&entry, target, &kept.entries) => kept.entries.push(entry),
            _ => {}
        }
    }
    kept.targets.push((target.clone(), live.flatten()));
    Ok(())
}

/// Whether a target says it of itself.
fn is_of(entry: &Entry, target: &TargetName, before: &[Entry]) -> bool {
    match entry {
        Entry::Intent { told: Some(told), .. } => told.on.as_ref() == Some(target),
        Entry::Outcome { key, .. } => before.iter().any(|known| {
            matches!(known, Entry::Intent { key: of, told: Some(told), .. } if of == key && told.on.as_ref() == Some(target))
        }),
        _ => false,
    }
}

fn write(loaded: &Loaded, header: Header, kept: &Kept, store: Arc<Store>) -> Result<(), Fail> {
    let run = header.run.clone();
    let cannot =
        |error: runner_journal::Error| Fail::internal(format_args!("cannot keep the run's journal: {error}"));
    if loaded.folder.join(".runner/runs").join(run.as_str()).join(runner_journal::FILE).exists() {
        return Err(Fail::refused(format_args!(
            "the journal of the run {run} is here, and knows more than the targets do"
        ))
        .hint(format_args!("`runner resume {run}` goes on with it")));
    }
    let folder = run_folder(&loaded.folder, &run).map_err(cannot)?;
    let journal = Journal::create(&folder, store, header).map_err(cannot)?;
    let began = Entry::Resumed { started: jiff::Timestamp::now(), torn: 0, from_targets: true };
    journal.append(&began).map_err(cannot)?;
    for (target, live) in &kept.targets {
        let found = Event::Connected { target: target.clone(), milliseconds: 0, live: live.clone() };
        journal.append(&Entry::Event(Box::new(Stamped { at: 0, event: found }))).map_err(cannot)?;
    }
    for entry in &kept.entries {
        journal.append(entry).map_err(cannot)?;
    }
    // Written when it is dropped; the run is not closed.
    drop(journal);
    Ok(())
}
