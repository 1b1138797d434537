//! What becomes of the master process. Here, since only here its socket is known.

use super::Ssh;
use crate::machine::{Connected, Limits, Machine, Shared};
use crate::{Connection as _, Executes, Kex, RunPlace, SshTarget, Within};
use runner_fleet::{Error, Fleet};
use runner_model::{Acting, Digest, FailureKind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn masters(dir: &Path) -> Vec<String> {
    let found = std::process::Command::new("pgrep").arg("-f").arg(dir).output().expect("pgrep is there");
    String::from_utf8_lossy(&found.stdout).lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_master_is_said_and_replaced_and_a_closed_one_leaves_nothing() {
    let fleet = match Fleet::start(1) {
        Ok(fleet) => fleet,
        Err(Error::Missing(missing)) => {
            eprintln!("SKIPPED: {missing}");
            return;
        }
        Err(failed) => panic!("{failed}"),
    };
    let host = fleet.host(1);
    let target = SshTarget {
        name: "web-1".parse().expect("a name"),
        address: host.address().to_string(),
        user: Some(fleet.user().to_owned()),
        port: Some(host.ssh_address().port()),
        jump: None,
        config: None,
        known_hosts: Some(fleet.known_hosts()),
        identity: Some(fleet.identity()),
        kex: Kex::Fast,
        service_command: None,
    };
    let dir = tempfile::tempdir().expect("a folder");
    let store = Arc::new(runner_artifact::Store::open(dir.path().join("store")).expect("a store"));
    let shared = Shared::new(store, Arc::default(), Limits::default());
    let name = target.name.clone();
    let ssh = Arc::new(Ssh::new(target, Duration::from_secs(10), vec![]).expect("a target"));
    let connected = Connected(Arc::new(Machine::new(name, Arc::clone(&ssh) as _, Arc::new(shared), None)));
    let root: runner_model::RemotePath = host.root().to_str().expect("UTF-8").parse().expect("a path");
    let root = if fleet.isolated() { "/srv/app".parse().expect("a path") } else { root };
    let place = RunPlace {
        root: Some(root.clone()),
        plan: "test".to_owned(),
        run: "run-1".parse().expect("id"),
        executes: Executes { plan: Digest::of("plan"), lock: Digest::of("lock") },
        who: String::new(),
        made_at: String::new(),
    };
    connected.begin(&place).await.expect("begun");
    let within = [root.clone()];
    let verbs = connected.acting(&Acting::Login);
    let folder =
        ssh.session().await.expect("a session").control_socket().parent().expect("a folder").to_owned();
    let whole = root.join("releases").expect("a path");
    assert!(host.inside(&["mkdir", "-p", whole.as_str()]).expect("made").status.success());
    verbs.digest(&whole, Within::both(&within)).await.expect("a channel that is kept for the next request");
    let running = masters(&folder);
    assert_eq!(running.len(), 1, "one master: {running:?}");
    let killed =
        std::process::Command::new("kill").arg("-KILL").args(&running).status().expect("kill is there");
    assert!(killed.success());
    let begun = Instant::now();
    let failure = verbs.stat(&root, Within::both(&within)).await.expect_err("the master is dead");
    assert_eq!(failure.kind, FailureKind::Unreachable, "{failure}");
    assert!(failure.message.contains("was lost"), "{failure}");
    assert!(begun.elapsed() < Duration::from_secs(6));
    verbs.stat(&root, Within::both(&within)).await.expect("connected again");
    verbs.digest(&whole, Within::both(&within)).await.expect("the kept channel was of the dead connection");
    let folder =
        ssh.session().await.expect("a session").control_socket().parent().expect("a folder").to_owned();
    assert_eq!(masters(&folder).len(), 1);
    connected.close().await;
    let until = Instant::now() + Duration::from_secs(3);
    while !masters(&folder).is_empty() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(masters(&folder), Vec::<String>::new());
    assert!(!folder.exists());
    let closed = verbs.stat(&root, Within::both(&within)).await.expect_err("closed");
    assert_eq!(closed.kind, FailureKind::Cancelled, "{closed}");
}
