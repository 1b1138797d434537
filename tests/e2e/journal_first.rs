//! The journal comes first: whenever the runner is killed, whatever has changed on a target was announced before, in
//! the journal and on the target itself.

use crate::support::{Project, restarts, settled, tree, version};
use runner_fleet::{Fleet, Host, fleet_or_skip};
use runner_journal::{Entry, Payload};
use runner_model::Digest;
use serde_json::Value;
use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::Path;
use std::{fs, io};

/// How often the runner is killed.
const KILLS: u64 = 6;

#[test]
fn what_a_killed_run_changed_was_announced_before() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    let lines = u64::try_from(project.release().entries.len()).unwrap();
    let mut changes = 0;
    for round in 0..KILLS {
        project.next_version(&format!("1.1.{round}"));
        project.lock();
        let before: Vec<_> = fleet.hosts().iter().map(|h| (tree(h), restarts(h), marks(h))).collect();
        // Each kill comes in another part of the run, anywhere in it.
        let at = (lines * round + random() % lines) / KILLS + 1;
        let running = project.begin();
        running.wait_for_lines(at);
        running.signal("KILL");
        let run = running.end_of_killed();
        eprintln!("round {round}: killed after {at} of some {lines} lines");
        let journal = fs::read_to_string(run.join("journal.jsonl")).unwrap();
        for (host, (tree_before, restarts_before, marks_before)) in fleet.hosts().iter().zip(&before) {
            settled(host);
            let folder = host.root().join(".runner/runs").join(run.file_name().unwrap());
            let there = fs::read_to_string(host.outside(folder.join("intents.jsonl"))).unwrap_or_default();
            // The last line of a journal may be torn; an intent on the target is one that was whole here before.
            // What goes with it for a resume is no line of the journal.
            let carried = |line: &&str| !line.starts_with("{\"seq\":");
            for line in there.lines().filter(|line| !carried(line)) {
                assert!(
                    journal.lines().any(|own| own == line),
                    "{}: not in the journal: {line}",
                    host.name()
                );
            }
            for mark in marks(host).difference(marks_before) {
                let is_mark = |line: &str| marked(line, host).as_ref() == Some(mark);
                assert!(journal.lines().any(is_mark), "{}: {mark:?} is not in the journal", host.name());
                assert!(there.lines().any(is_mark), "{}: {mark:?} is not on the target", host.name());
            }
            let announced = |text: &str| announced(text, host);
            let (here, there) = (announced(&journal), announced(&there));
            for path in tree_before.differences(&tree(host)) {
                changes += 1;
                let covers = |intent: &Value| names(intent, &host.root().join(&path));
                assert!(here.iter().any(covers), "{}: `{path}` is not in the journal", host.name());
                assert!(there.iter().any(covers), "{}: `{path}` is not on the target", host.name());
            }
            let restart = |intent: &Value| intent["action"] == "restart";
            let restarted = restarts(host) - restarts_before;
            assert!(here.iter().filter(|i| restart(i)).count() >= restarted, "{}", host.name());
            assert!(there.iter().filter(|i| restart(i)).count() >= restarted, "{}", host.name());
            assert!(version(host).starts_with("1."), "{} serves {}", host.name(), version(host));
        }
        project.unlock();
    }
    assert!(changes > 0, "no run came far enough");
    // Nothing that was left stands in the way of the next run.
    let again = project.exec();
    assert_eq!(again.code, Some(0), "{again}");
    for host in fleet.hosts() {
        assert_eq!(version(host), format!("1.1.{}", KILLS - 1));
    }
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Releases of a host that were marked, and as what.
fn marks(host: &Host) -> BTreeSet<(String, String)> {
    let accounts = fs::read_dir(host.outside(host.root().join(".runner/releases"))).into_iter().flatten();
    let marked = |entry: io::Result<fs::DirEntry>| {
        let account: Value = serde_json::from_slice(&fs::read(entry.ok()?.path()).ok()?).ok()?;
        let mark = account["mark"].as_str().filter(|mark| *mark != "untried")?;
        Some((account["release"].as_str()?.to_owned(), mark.to_owned()))
    };
    accounts.filter_map(marked).collect()
}

/// The mark that a line announces for a target.
fn marked(line: &str, on: &Host) -> Option<(String, String)> {
    let line: Value = serde_json::from_str(line).ok()?;
    match serde_json::from_value(line["entry"].clone()).ok()? {
        Entry::Mark { target, release, mark } if target.as_str() == on.name() => {
            let mark = serde_json::to_value(mark).ok()?;
            Some((release.to_string(), mark.as_str()?.to_owned()))
        }
        _ => None,
    }
}

/// The arguments of the intents for a target, in a journal or in what is kept on the target.
fn announced(text: &str, host: &Host) -> Vec<Value> {
    let entry = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        match serde_json::from_value(line["entry"].clone()).ok()? {
            Entry::Intent { key, args: Payload::Inline(args), .. } if key.target.as_str() == host.name() => {
                Some(args)
            }
            _ => None,
        }
    };
    text.lines().filter_map(entry).collect()
}

/// Whether the intent is about the path, about a folder above it, or about what is laid out beside it first: its key is
/// the name that it will have.
fn names(intent: &Value, path: &Path) -> bool {
    let about = |named: &str| {
        let Some((folder, base)) = named.rsplit_once('/') else { return false };
        let laid_out = format!("{folder}/.runner-unpack-{}.", Digest::of(base).short());
        path.starts_with(named) || path.to_str().is_some_and(|path| path.starts_with(&laid_out))
    };
    ["path", "into", "to"].iter().filter_map(|key| intent[key].as_str()).any(about)
}
