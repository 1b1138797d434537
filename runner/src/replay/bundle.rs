//! A run in one file: its journal, the payloads that the journal names, and the modules. Enough to do it again anywhere,
//! and nothing that the journal does not have already: no value of a secret, no artifact that was only carried.

use crate::history::Past;
use runner_artifact::{Node, Store, Tree, TreePath, files_of_tar, write_tar};
use runner_journal::{Answer, Entry, Payload, Reader, Record};
use runner_model::{Digest, Failure, FailureKind};
use std::collections::BTreeSet;
use std::io::{Read, Write};

/// The name of the journal in a bundle.
const JOURNAL: &str = "journal.jsonl";
/// The largest journal that is read from a bundle, in bytes.
const LARGEST: u64 = 1 << 30;

/// Writes a run, the same bytes each time.
///
/// # Errors
/// Something that it names is not in the store any more, or it cannot be written.
pub fn export(past: &Past, record: &Record, store: &Store, out: impl Write) -> Result<(), Failure> {
    let other = |error: &dyn std::fmt::Display| Failure::new(FailureKind::Other, error);
    let journal = std::fs::read(past.journal()).map_err(|error| other(&error))?;
    let whole = usize::try_from(record.whole).unwrap_or(usize::MAX).min(journal.len());
    let digest = store.put_bytes(&journal[..whole])?;
    let mut files = vec![(JOURNAL.to_owned(), digest, whole as u64)];
    for (folder, ending, digests) in
        [("payloads", "json", payloads(record)), ("modules", "wasm", modules(record))]
    {
        for digest in digests {
            let size = store.size(&digest).map_err(|error| {
                Failure::new(FailureKind::NotFound, format_args!("{folder}: {digest} is lost: {error}"))
                    .with_detail(
                        "a run is exported where it was: its payloads and modules are in that user's store",
                    )
            })?;
            files.push((format!("{folder}/{}.{ending}", digest.hex()), digest, size));
        }
    }
    for digest in contents(record, store)? {
        files.push((format!("contents/{}", digest.hex()), digest, store.size(&digest)?));
    }
    let mut entries = Vec::new();
    for (path, digest, size) in files {
        let path: TreePath = path.try_into().map_err(|error| other(&error))?;
        entries.push((path, Node::File { digest, size, executable: false }));
    }
    let tree = Tree::from_entries(entries).map_err(|error| other(&error))?;
    write_tar(store, tree.entries(), out)?;
    Ok(())
}

/// Reads a run that was written, into this store.
///
/// # Errors
/// It is no bundle, or its journal cannot be read.
pub fn import(input: impl Read, store: &Store) -> Result<Record, Failure> {
    let no_bundle = |why: &dyn std::fmt::Display| {
        Failure::new(FailureKind::Invalid, format_args!("it is no bundle of a run: {why}"))
            .with_detail("`runner runs export` makes one")
    };
    let files = files_of_tar(store, input).map_err(|error| no_bundle(&error))?;
    let (digest, _) = files.get(JOURNAL).ok_or_else(|| no_bundle(&"it has no journal"))?;
    let journal = store.read_bytes(digest, LARGEST)?;
    Record::from_reader(Reader::new(journal.as_slice())).map_err(|damage| no_bundle(&damage))
}

/// What the journal has in the store.
fn payloads(record: &Record) -> BTreeSet<Digest> {
    let mut digests = BTreeSet::new();
    let mut add = |payload: &Payload| {
        if let Payload::Stored { digest, .. } = payload {
            digests.insert(*digest);
        }
    };
    for recorded in &record.entries {
        let (payloads, answer) = match &recorded.entry {
            Entry::Facts { facts, .. } => (vec![facts], None),
            Entry::InvocationStarted { params, about, .. } => (about.iter().chain([params]).collect(), None),
            Entry::Call { args, answer, .. } => (vec![args], Some(answer)),
            Entry::Intent { args, undo, acts, .. } => {
                (undo.iter().chain(acts.as_deref()).chain([args]).collect(), None)
            }
            Entry::Outcome { answer, .. }
            | Entry::Taken { answer, .. }
            | Entry::Marked { answer, .. }
            | Entry::InvocationEnded { answer, .. } => (vec![], Some(answer)),
            Entry::Header(_)
            | Entry::Event(_)
            | Entry::Stood { .. }
            | Entry::Mark { .. }
            | Entry::Undo { .. }
            | Entry::Undone { .. }
            | Entry::Closed { .. }
            | Entry::Resumed { .. } => (vec![], None),
        };
        payloads.into_iter().for_each(&mut add);
        if let Some(Answer::Ok(payload)) = answer {
            add(payload);
        }
    }
    digests
}

fn modules(record: &Record) -> BTreeSet<Digest> {
    let of = |entry: &Entry| match entry {
        Entry::InvocationStarted { module, .. } => Some(*module),
        _ => None,
    };
    record.entries.iter().filter_map(|recorded| of(&recorded.entry)).collect()
}

/// What modules read of artifacts themselves: the journal has only the digest of it.
fn contents(record: &Record, store: &Store) -> Result<BTreeSet<Digest>, Failure> {
    let mut digests = BTreeSet::new();
    for recorded in &record.entries {
        if let Entry::Call { call, args, answer: Answer::Ok(_), .. } = &recorded.entry
            && call == "artifacts.bytes"
        {
            let args = args.load(store)?;
            digests.extend(args["artifact"].as_str().and_then(|digest| digest.parse::<Digest>().ok()));
        }
    }
    Ok(digests)
}
