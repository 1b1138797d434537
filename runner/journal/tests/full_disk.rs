//! What a full disk does to the store, the workspace and the journal. The test runs itself again in a mount namespace
//! of its own, on a disk of half a megabyte.

use runner_artifact::{Error, Store, Workspace};
use runner_journal::{Damage, Engine, Entry, FORMAT, Header, Journal, Record};
use runner_model::{Digest, Event, FailureKind, Stamped};
use std::fs;
use std::io::{ErrorKind, Write as _, stderr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

const DISK: &str = "RUNNER_TEST_SMALL_DISK";
const NAME: &str = "a_full_disk_stops_the_work_and_breaks_nothing";
const MOUNT: &str = r#"mount -t tmpfs -o size=512k tmpfs "$0" && exec "$@""#;

#[test]
fn a_full_disk_stops_the_work_and_breaks_nothing() {
    if let Some(disk) = std::env::var_os(DISK) {
        let elsewhere = tempfile::tempdir().expect("a folder");
        the_store_takes_nothing_half(disk.as_ref());
        a_write_leaves_what_was_there(disk.as_ref(), elsewhere.path());
        the_journal_ends(disk.as_ref(), elsewhere.path());
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let unshare = |command: &[&str]| {
        let as_root: &[&str] = if rustix::process::geteuid().is_root() { &["-m"] } else { &["-r", "-m"] };
        let mut unshare = Command::new("unshare");
        unshare
            .args(as_root)
            .args(["sh", "-c", MOUNT])
            .arg(folder.path())
            .args(command)
            .env(DISK, folder.path());
        unshare
    };
    let reason = match unshare(&["true"]).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("unshare: {error}")),
    };
    if let Some(reason) = reason {
        // Not through `eprintln!`, which the test harness keeps for itself.
        let _ = writeln!(stderr(), "SKIPPED: {NAME}: cannot mount a small disk: {reason}");
        return;
    }
    let this = std::env::current_exe().expect("a program");
    let this = this.to_str().expect("UTF-8");
    let output = unshare(&[this, "--exact", NAME, "--nocapture"]).output().expect("started");
    let printed = String::from_utf8_lossy(&output.stdout);
    // A name that matches no test would pass too.
    let passed = output.status.success() && printed.contains("1 passed");
    assert!(passed, "{printed}{}", String::from_utf8_lossy(&output.stderr));
}

fn clear(disk: &Path) {
    for entry in fs::read_dir(disk).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("removed");
    }
}

fn the_store_takes_nothing_half(disk: &Path) {
    let store = Store::open(disk.join("store")).expect("a store");
    let small = store.put_bytes(&[1; 100_000]).expect("it fits");
    let large = [2; 600_000];
    let errors =
        [store.put_bytes(&large).expect_err("full"), store.put_reader(&large[..]).expect_err("full")];
    for error in errors {
        assert!(
            matches!(&error, Error::Io { source, .. } if source.kind() == ErrorKind::StorageFull),
            "{error}"
        );
        assert!(error.mend().contains("the disk is full"), "{}", error.mend());
    }
    assert!(!store.has(&Digest::of(large)));
    assert_eq!(fs::read_dir(disk.join("store/tmp")).expect("listed").count(), 0);
    assert_eq!(store.read_bytes(&small, 1 << 20).expect("still there").len(), 100_000);
    store.put_bytes(&[3; 100_000]).expect("there is room again");
    clear(disk);
}

fn a_write_leaves_what_was_there(disk: &Path, elsewhere: &Path) {
    let store = Arc::new(Store::open(elsewhere.join("store")).expect("a store"));
    let plan = disk.join("plan");
    fs::create_dir(&plan).expect("made");
    fs::write(plan.join("file"), "old").expect("written");
    let view = Workspace::open(&plan, store).expect("a workspace").snapshot();
    let failure = view.write(&"file".parse().expect("a path"), &"new".repeat(250_000)).expect_err("full");
    assert_eq!(failure.kind, FailureKind::Other);
    assert!(failure.message.starts_with("write `file`: No space left"), "{failure}");
    assert_eq!(fs::read_to_string(plan.join("file")).expect("read"), "old");
    assert_eq!(fs::read_dir(&plan).expect("listed").count(), 1, "something is left over");
    clear(disk);
}

fn the_journal_ends(disk: &Path, elsewhere: &Path) {
    let store = Arc::new(Store::open(elsewhere.join("store")).expect("a store"));
    let journal = Journal::create(&disk.join("run"), store, header()).expect("begun");
    let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("a runtime");
    let entry = Entry::Event(Box::new(Stamped {
        at: 0,
        event: Event::Progress {
            step: "step".parse().expect("a name"),
            target: "web".parse().expect("a name"),
            done: 0,
            total: 0,
            what: "x".repeat(3000),
        },
    }));
    let mut durable = 0;
    let error = loop {
        match runtime.block_on(journal.append_durable(&entry)) {
            Ok(_) => durable += 1,
            Err(error) => break error,
        }
        assert!(durable < 10_000, "the disk is never full");
    };
    assert!(error.to_string().contains("No space left"), "{error}");
    // Room again or not: no effect may follow that the journal does not know.
    let path = journal.path().to_owned();
    fs::write(disk.join("room"), "").expect("an empty file fits");
    assert!(journal.append(&entry).is_err());
    drop(journal);
    let record = Record::load(&path).expect("the header is whole");
    assert_eq!(record.entries.len(), durable);
    assert!(matches!(record.damage, None | Some(Damage::Torn { .. })), "{:?}", record.damage);
}

fn header() -> Header {
    let digest = Digest::of("");
    Header {
        format: FORMAT,
        run: runner_journal::new_run_id(),
        started: jiff::Timestamp::UNIX_EPOCH,
        plan: "plan".parse().expect("a name"),
        environment: "test".parse().expect("a name"),
        plan_digest: digest,
        lock_digest: digest,
        grants_digest: digest,
        inventory_digest: digest,
        inventory_answer: None,
        limit: None,
        vars: [].into(),
        engine: Engine { wasmtime: "48".to_owned(), configuration: digest },
        tools: [].into(),
        seed: String::new(),
    }
}
