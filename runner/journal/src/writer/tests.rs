use super::*;
use crate::reader::Record;
use crate::testing::{event, header};
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;

struct Place {
    folder: tempfile::TempDir,
    store: Arc<Store>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Arc::new(Store::open(folder.path().join("store")).expect("a store"));
        Self { folder, store }
    }

    fn journal(&self) -> Journal {
        Journal::create(&self.folder.path().join("run"), Arc::clone(&self.store), header()).expect("created")
    }
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime").block_on(future)
}

#[test]
fn what_is_appended_is_read_in_its_order() {
    let place = Place::new();
    let journal = place.journal();
    let last = run(async {
        for n in 0..100 {
            journal.append(&event(&n.to_string())).expect("appended");
        }
        let line = journal.append_durable(&event("durable")).await.expect("appended");
        // It is on the disk now, exactly as it was given out, with all before it.
        let text = std::fs::read_to_string(journal.path()).expect("read");
        assert_eq!(text.lines().nth(101), Some(line.text.as_str()));
        journal.close(Verdict::Done).await.expect("closed")
    });
    assert!(matches!(journal.append(&event("late")), Err(Error::Closed)));
    let record = Record::load(journal.path()).expect("read");
    assert!(record.damage.is_none());
    assert_eq!(record.header, header());
    assert_eq!(record.last, last);
    assert_eq!(record.entries.len(), 102);
    for (n, line) in record.entries.iter().take(100).enumerate() {
        assert_eq!(line.entry, event(&n.to_string()));
    }
    let mode = |path: &Path| path.metadata().expect("stat").permissions().mode() & 0o777;
    assert_eq!((mode(journal.path()), mode(&place.folder.path().join("run"))), (0o600, 0o700));
}

#[test]
fn many_who_wait_share_a_sync() {
    let place = Place::new();
    let journal = Arc::new(place.journal());
    run(async {
        let tasks: Vec<_> = (0..200)
            .map(|n| {
                let journal = Arc::clone(&journal);
                tokio::spawn(async move {
                    for m in 0..5 {
                        journal.append_durable(&event(&format!("{n} {m}"))).await.expect("appended");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("ended");
        }
        journal.close(Verdict::Done).await.expect("closed");
    });
    let record = Record::load(journal.path()).expect("read");
    assert!(record.damage.is_none());
    assert_eq!(record.entries.len(), 1001);
}

#[test]
fn what_is_dropped_without_a_close_is_whole() {
    let place = Place::new();
    let journal = place.journal();
    let path = journal.path().to_owned();
    journal.append(&event("x")).expect("appended");
    drop(journal);
    let record = Record::load(&path).expect("read");
    assert!(record.damage.is_none());
    assert_eq!(record.entries.len(), 1);
}

#[test]
fn a_large_payload_goes_to_the_store() {
    let place = Place::new();
    let journal = place.journal();
    let at = |length: usize| json!("x".repeat(length - 2));
    assert_eq!(journal.payload(at(INLINE_MAX)).expect("prepared"), Payload::Inline(at(INLINE_MAX)));
    let large = at(INLINE_MAX + 1);
    let payload = journal.payload(large.clone()).expect("prepared");
    let Payload::Stored { digest, size } = payload else { panic!("inline: {payload:?}") };
    assert_eq!(size, INLINE_MAX as u64 + 1);
    assert_eq!(payload.load(&place.store).expect("loaded"), large);
    run(journal.append_durable(&event("x"))).expect("synced");
    // A payload that is lost before the line is durable is an error, not a surprise for the resume.
    let payload = journal.payload(json!("y".repeat(INLINE_MAX))).expect("prepared");
    let Payload::Stored { digest: lost, .. } = payload else { panic!("inline: {payload:?}") };
    assert_ne!(lost, digest);
    std::fs::remove_dir_all(place.store.root()).expect("removed");
    assert!(matches!(run(journal.append_durable(&event("y"))), Err(Error::Payload(_))));
    assert!(matches!(journal.append(&event("z")), Err(Error::Payload(_))));
}

#[test]
fn a_journal_is_begun_once() {
    let place = Place::new();
    let _first = place.journal();
    let error = Journal::create(&place.folder.path().join("run"), Arc::clone(&place.store), header());
    assert!(matches!(error, Err(Error::Io { .. })), "{error:?}");
}

#[test]
fn after_an_error_nothing_is_appended_any_more() {
    let place = Place::new();
    // Every write to it fails as on a full disk.
    let full = OpenOptions::new().append(true).open("/dev/full").expect("Linux has it");
    let journal =
        Journal::on(full, PathBuf::from("/dev/full"), Arc::clone(&place.store), Chain::default(), 0);
    let journal = journal.expect("begun");
    let error = run(journal.append_durable(&event("x"))).expect_err("the disk is full");
    assert!(error.to_string().contains("No space left on device"), "{error}");
    assert!(journal.failure().is_some());
    assert!(journal.append(&event("y")).is_err());
    assert!(run(journal.append_durable(&event("z"))).is_err());
    assert!(run(journal.close(Verdict::Failed)).is_err());
    let failure = Failure::from(error);
    assert!(failure.detail.contains("without its journal"), "{failure:?}");
}

#[test]
fn whoever_goes_on_appends_to_what_is_whole_and_the_chain_holds() {
    let place = Place::new();
    let folder = place.folder.path().join("run");
    let journal = place.journal();
    run(journal.append_durable(&event("first"))).expect("appended");
    assert!(matches!(Journal::resume(&folder, Arc::clone(&place.store)), Err(NotResumed::GoesOn(_))));
    let path = journal.path().to_owned();
    run(journal.close(Verdict::Interrupted)).expect("closed");
    drop(journal);
    let whole = std::fs::read(&path).expect("read");
    for torn in [0, 1, 40] {
        let half = &br#"{"seq":4,"at":9,"prev":"00","entry":{"kind":"ev"#[..torn];
        std::fs::write(&path, [whole.as_slice(), half].concat()).expect("written");
        let (journal, record) = Journal::resume(&folder, Arc::clone(&place.store)).expect("resumed");
        assert_eq!((record.entries.len(), record.closed()), (2, Some(Verdict::Interrupted)));
        run(journal.append_durable(&event("second"))).expect("appended");
        run(journal.close(Verdict::Done)).expect("closed");
        drop(journal);
        let record = Record::load(&path).expect("read");
        assert!(record.damage.is_none(), "{:?}", record.damage);
        let kinds: Vec<_> = record.entries.iter().map(|line| &line.entry).collect();
        let taken = u64::try_from(torn).expect("small");
        assert!(matches!(kinds[2], Entry::Resumed { torn, from_targets: false, .. } if *torn == taken));
        assert_eq!((kinds[3], record.closed()), (&event("second"), Some(Verdict::Done)));
        assert!(record.entries.windows(2).all(|two| two[0].at <= two[1].at), "time goes on");
    }
}

#[test]
fn nobody_goes_on_behind_a_line_that_was_changed() {
    let place = Place::new();
    let journal = place.journal();
    run(journal.append_durable(&event("first"))).expect("appended");
    let path = journal.path().to_owned();
    drop(journal);
    let mut bytes = std::fs::read(&path).expect("read");
    let at = bytes.len() - 100;
    bytes[at] ^= 1;
    std::fs::write(&path, &bytes).expect("written");
    let refused = Journal::resume(&place.folder.path().join("run"), Arc::clone(&place.store));
    assert!(matches!(refused, Err(NotResumed::Damaged(Damage::Broken { line: 2, .. }))));
    assert_eq!(std::fs::read(&path).expect("read"), bytes, "it is left as it was");
}

#[test]
fn a_line_that_is_alone_proves_itself() {
    let place = Place::new();
    let journal = place.journal();
    let line = run(journal.append_durable(&event("alone"))).expect("appended");
    let recorded = crate::proved(&line.text).expect("it is whole");
    assert_eq!((recorded.seq, recorded.hash, &recorded.entry), (1, line.hash, &event("alone")));
    for changed in [line.text.replace("alone", "other"), line.text[1..].to_owned(), "{}".to_owned()] {
        crate::proved(&changed).expect_err("it was changed");
    }
}
