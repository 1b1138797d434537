//! What a target may lack, refuse or lose, and what is left of it then.

mod common;

use common::{Bench, Quiet, change, command, fleet, path, target};
use runner_fleet::{Fleet, Host};
use runner_model::{Acting, Attributes, Change, Failure, FailureKind, RemotePath};
use runner_transport::{Intent, Target, Within};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const ROOT: &str = "/srv/app";

/// As root, or a visible skip.
fn isolated(builder: runner_fleet::Builder) -> Option<Fleet> {
    let fleet = fleet(builder)?;
    if !fleet.isolated() {
        eprintln!("SKIPPED: these faults need a fleet that was started as root");
        return None;
    }
    Some(fleet)
}

async fn fails(target: &dyn Target, change: &Change, within: &[RemotePath]) -> Failure {
    match target.observe(change, Within::both(within)).await {
        Err(failure) => failure,
        Ok(seen) => {
            let outcome = target.apply(change, &seen.before, Within::both(within), Intent::new("{}")).await;
            outcome.expect_err("it cannot be done")
        }
    }
}

/// Temporary files that were left in the host's application.
fn left(host: &Host) -> String {
    let found = host.inside(&["find", ROOT, "-name", ".runner-*"]).expect("found");
    String::from_utf8_lossy(&found.stdout).into_owned()
}

fn random(length: usize) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let mut state = 1_u64;
    while text.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let _ = write!(text, "{state:016x}");
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_leaves_nothing_half_done() {
    let Some(fleet) = isolated(Fleet::builder(1).small_disk(1, "4m")) else { return };
    let bench = Bench::new();
    let connection = bench.connect(target(&fleet, 1), ROOT).await;
    let as_login = connection.acting(&Acting::Login);
    let within = [path(ROOT)];
    change(&*as_login, &bench.write(&format!("{ROOT}/f"), "before"), &within).await;
    let big = random(9 << 20);
    let tree = bench.tree(&[("big".to_owned(), big.clone())]);
    let unpack = Change::Unpack {
        path: path(&format!("{ROOT}/tree")),
        tree,
        links: vec![],
        reuse: None,
        attributes: Attributes::default(),
    };
    for change in [unpack, bench.write(&format!("{ROOT}/f"), &big)] {
        let failure = fails(&*as_login, &change, &within).await;
        assert_eq!(failure.kind, FailureKind::Conflict, "{failure}\n{}", failure.detail);
        assert!(
            failure.message.contains("no space is left") || failure.message.contains("the disk is full"),
            "{failure}\n{}",
            failure.detail
        );
    }
    let mut dump = command(&["head", "-c", "9000000", "/dev/zero"]);
    dump.stdout_to = Some(path(&format!("{ROOT}/f")));
    let out = as_login
        .run(&dump, Within::both(&within), None, &Quiet, &CancellationToken::new())
        .await
        .expect("ran");
    assert_ne!(out.status, 0);
    assert_eq!(left(fleet.host(1)), "");
    fleet.host(1).fill_disk().expect("filled");
    let failure = fails(&*as_login, &bench.write(&format!("{ROOT}/f"), &"x".repeat(3000)), &within).await;
    assert!(matches!(failure.kind, FailureKind::Conflict | FailureKind::Other), "{failure}");
    fleet.host(1).free_disk().expect("freed");
    assert_eq!(
        as_login.read(&path(&format!("{ROOT}/f")), Within::both(&within)).await.expect("read"),
        "before"
    );
    assert_eq!(left(fleet.host(1)), "");
    // An archive that does not fit leaves nothing, compressed or not.
    change(&*as_login, &bench.write(&format!("{ROOT}/half"), &random(2 << 20)), &within).await;
    let mkdir = Change::Mkdir { path: path(&format!("{ROOT}/d")), attributes: Attributes::default() };
    change(&*as_login, &mkdir, &within).await;
    let rename = Change::Rename { path: path(&format!("{ROOT}/half")), to: path(&format!("{ROOT}/d/half")) };
    change(&*as_login, &rename, &within).await;
    fleet.host(1).fill_disk().expect("filled");
    for name in ["d.tar", "d.tar.zst", "d.tar.gz"] {
        let archive =
            Change::Archive { path: path(&format!("{ROOT}/d")), into: path(&format!("{ROOT}/{name}")) };
        let failure = fails(&*as_login, &archive, &within).await;
        assert_eq!(failure.kind, FailureKind::Conflict, "{name}");
        assert!(failure.to_string().contains("no space is left"), "{name}: {failure}");
        assert!(!fleet.host(1).outside(format!("{ROOT}/{name}")).exists());
    }
    assert_eq!(left(fleet.host(1)), "");
    fleet.host(1).free_disk().expect("freed");
    connection.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_folder_is_said() {
    let Some(fleet) = isolated(Fleet::builder(1)) else { return };
    let bench = Bench::new();
    let connection = bench.connect(target(&fleet, 1), ROOT).await;
    let as_login = connection.acting(&Acting::Login);
    let within = [path(ROOT)];
    let mkdir = Change::Mkdir { path: path(&format!("{ROOT}/ro")), attributes: Attributes::default() };
    change(&*as_login, &mkdir, &within).await;
    fleet.host(1).make_read_only(format!("{ROOT}/ro")).expect("read-only");
    let tree = bench.tree(&[("a".to_owned(), "b".to_owned())]);
    for change in [
        bench.write(&format!("{ROOT}/ro/f"), "x"),
        bench.write(&format!("{ROOT}/ro/f"), &"x".repeat(10_000)),
        Change::Mkdir { path: path(&format!("{ROOT}/ro/d")), attributes: Attributes::default() },
        Change::Symlink { path: path(&format!("{ROOT}/ro/l")), points_to: "x".to_owned() },
        Change::Unpack {
            path: path(&format!("{ROOT}/ro/tree")),
            tree,
            links: vec![],
            reuse: None,
            attributes: Attributes::default(),
        },
    ] {
        let failure = fails(&*as_login, &change, &within).await;
        assert_eq!(failure.kind, FailureKind::Conflict, "{failure}");
        let all = format!("{failure}\n{}", failure.detail);
        assert!(all.to_lowercase().contains("read-only"), "{all}");
    }
    connection.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_better_when_present_is_not_needed() {
    let Some(fleet) = isolated(Fleet::builder(2)) else { return };
    let host = fleet.host(1);
    for program in ["zstd", "setsid"] {
        host.hide(program).expect("hidden");
    }
    let bench = Bench::new();
    let connection = bench.connect(target(&fleet, 1), ROOT).await;
    let as_login = connection.acting(&Acting::Login);
    let within = [path(ROOT)];
    let tree = bench.tree(&[("a/b".to_owned(), "c".to_owned())]);
    let unpack = |name: &str| Change::Unpack {
        path: path(&format!("{ROOT}/{name}")),
        tree,
        links: vec![],
        reuse: None,
        attributes: Attributes::default(),
    };
    change(&*as_login, &unpack("tree"), &within).await;
    let mut slow = command(&["sh", "-c", "sleep 4713 & sleep 4713"]);
    slow.timeout = 300;
    let failure = as_login
        .run(&slow, Within::both(&[]), None, &Quiet, &CancellationToken::new())
        .await
        .expect_err("too slow");
    assert!(failure.detail.contains("was ended"), "{failure}\n{}", failure.detail);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(host.inside(&["pgrep", "-f", "sleep 4713"]).is_err());
    let archive =
        Change::Archive { path: path(&format!("{ROOT}/tree")), into: path(&format!("{ROOT}/t.tar.zst")) };
    let failure = fails(&*as_login, &archive, &within).await;
    assert_eq!(failure.kind, FailureKind::NotFound);
    assert!(failure.detail.contains("install zstd"), "{}", failure.detail);
    connection.close().await;
    // What is needed, is said.
    fleet.host(2).hide("tar").expect("hidden");
    let connection = bench.connect(target(&fleet, 2), ROOT).await;
    let failure = fails(&*connection.acting(&Acting::Login), &unpack("other"), &within).await;
    assert_eq!(failure.kind, FailureKind::NotFound, "{failure}\n{}", failure.detail);
    assert!(failure.message.contains("tar is missing"), "{failure}");
    connection.close().await;
    fleet.host(2).hide("stat").expect("hidden");
    let connection =
        bench.transport.ssh(target(&fleet, 2)).await.unwrap_or_else(|e| panic!("{e}\n{}", e.detail));
    let failure =
        connection.acting(&Acting::Login).stat(&path(ROOT), Within::both(&within)).await.expect_err("unsafe");
    assert_eq!(failure.kind, FailureKind::Denied, "{failure}\n{}", failure.detail);
    assert!(failure.message.contains("stat is missing"), "{failure}");
    connection.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_may_not_log_in_is_told_from_a_lost_connection() {
    let Some(fleet) = isolated(Fleet::builder(1)) else { return };
    let script = "sed '/^deploy:/s|:[^:]*$|:/usr/sbin/nologin|' /etc/passwd > /tmp/passwd; cat /tmp/passwd > /etc/passwd";
    fleet.host(1).inside(&["sh", "-ec", script]).expect("changed");
    let bench = Bench::new();
    let failure = bench.transport.ssh(target(&fleet, 1)).await.map(|_| ()).expect_err("no shell");
    assert_eq!(failure.kind, FailureKind::Unreachable);
    assert!(failure.message.contains("ended before it had answered"), "{failure}");
    assert!(failure.detail.contains("not available"), "{}", failure.detail);
}
