//! Watchdogs over real sshd's: what happens when nobody confirms, and who wins when somebody does just then.

mod common;

use common::{Bench, fleet, path, target};
use runner_fleet::{Fleet, Host, Sudo, until};
use runner_model::{Acting, FailureKind, ServiceAction};
use runner_transport::{Asked, Connection, Disarmed, Fired, PutBack, Watchdog};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const ROOT: &str = "/srv/app";

/// As root, or a visible skip; two releases are there, and the old one is live.
fn ready(sudo: Sudo) -> Option<Fleet> {
    let fleet = fleet(Fleet::builder(1).sudo(sudo))?;
    if !fleet.isolated() {
        eprintln!("SKIPPED: these need a fleet that was started as root");
        return None;
    }
    let user = fleet.user().to_owned();
    let script = format!(
        "cd {ROOT}; for v in old new; do mkdir -p releases/$v/public; echo $v > releases/$v/public/version.txt; done
         ln -sfn releases/old current; chown -Rh {user} ."
    );
    fleet.host(1).inside(&["sh", "-ec", &script]).expect("prepared");
    Some(fleet)
}

async fn connect(bench: &Bench, fleet: &Fleet) -> Arc<dyn Connection> {
    let mut target = target(fleet, 1);
    let servicectl = fleet.host(1).servicectl().to_string_lossy().into_owned();
    target.service_command = Some(vec![servicectl, "${action}".to_owned(), "${unit}".to_owned()]);
    bench.connect(target, ROOT).await
}

fn root() -> Acting {
    Acting::As("root".parse().expect("a name"))
}

fn watchdog(after: u64) -> Watchdog {
    Watchdog {
        after: Duration::from_millis(after),
        link: path(&format!("{ROOT}/current")),
        expects: "releases/new".to_owned(),
        back_to: Some("releases/old".to_owned()),
        link_as: Acting::Login,
        services: vec![(root(), "nginx".to_owned(), ServiceAction::Restart)],
    }
}

async fn arm(connection: &Arc<dyn Connection>, watchdog: &Watchdog) {
    connection.arm(watchdog).await.unwrap_or_else(|e| panic!("{e}\n{}", e.detail));
}

async fn fires(connection: &Arc<dyn Connection>) -> Fired {
    for _ in 0..1200 {
        if let Some(fired) = connection.watchdog().await.unwrap_or_else(|e| panic!("{e}\n{}", e.detail)) {
            return fired;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it does not fire")
}

fn switch(host: &Host, to: &str) {
    let script = format!("cd {ROOT} && ln -sfn {to} current.new && mv -T current.new current");
    host.inside(&["sh", "-ec", &script]).expect("switched");
}

fn points_to(host: &Host) -> String {
    let link = std::fs::read_link(host.outside(format!("{ROOT}/current"))).expect("a link");
    link.to_str().expect("UTF-8").to_owned()
}

fn folder(host: &Host) -> PathBuf {
    host.outside(format!("{ROOT}/.runner/runs/run-1/watchdog"))
}

/// How often the service was asked to start anew.
fn restarts(host: &Host) -> usize {
    host.service_actions().iter().filter(|action| *action == "restart").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_network_is_cut_it_puts_the_link_back_and_asks_the_service() {
    // Where sudo allows nothing but the service, and where it gives a shell; then the link is root's as well.
    for (sudo, link_as) in [(Sudo::ServiceOnly, Acting::Login), (Sudo::Everything, root())] {
        let Some(fleet) = ready(sudo) else { return };
        let host = fleet.host(1);
        let bench = Bench::new();
        let connection = connect(&bench, &fleet).await;
        switch(host, "releases/new");
        arm(&connection, &Watchdog { link_as, ..watchdog(1500) }).await;
        host.stop_sshd().expect("stopped");
        connection.close().await;
        // With nobody logged in.
        let record = folder(host).join("1/record");
        until("it fires", || record.exists());
        assert_eq!(points_to(host), "releases/old", "{sudo:?}");
        assert_eq!(restarts(host), 1, "{sudo:?}");
        assert_eq!(host.get("/public/version.txt").expect("it serves").body.trim(), "old", "{sudo:?}");
        host.start_sshd().expect("started");
        let later = connect(&bench, &fleet).await;
        let fired = later.watchdog().await.expect("asked").expect("it has fired");
        assert_eq!(fired.link, PutBack::Reverted, "{sudo:?}");
        assert_eq!(fired.services, [("nginx".to_owned(), Asked::Done)], "{sudo:?}");
        assert_eq!(later.disarm().await.expect("asked"), Disarmed::Fired(fired), "{sudo:?}");
        later.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_lives_on_when_the_session_ends_and_a_later_runner_ends_what_was_left() {
    let Some(fleet) = ready(Sudo::ServiceOnly) else { return };
    let host = fleet.host(1);
    let bench = Bench::new();
    let connection = connect(&bench, &fleet).await;
    arm(&connection, &watchdog(3_600_000)).await;
    switch(host, "releases/new");
    connection.close().await;
    // The session does not wait for it.
    let session = format!("sshd.*: {}", fleet.user());
    until("the session ends", || host.inside(&["pgrep", "-f", &session]).is_err());
    let lives = || host.inside(&["pgrep", "-f", "watchdog/1/watch"]).is_ok();
    assert!(lives());
    let later = connect(&bench, &fleet).await;
    later.end_left(&BTreeSet::new()).await.expect("ended");
    assert!(lives());
    assert_eq!(later.watchdog().await.expect("asked"), None);
    assert_eq!(later.disarm().await.expect("asked"), Disarmed::Disarmed);
    // Once it is disarmed its process ends long before it would have fired, and has done nothing.
    until("it ends", || !lives());
    assert_eq!((points_to(host).as_str(), restarts(host)), ("releases/new", 0));
    assert_eq!(later.watchdog().await.expect("asked"), None);
    later.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_want_it_at_once_exactly_one_wins_and_both_say_which() {
    let Some(fleet) = ready(Sudo::ServiceOnly) else { return };
    let host = fleet.host(1);
    let bench = Bench::new();
    let connection = connect(&bench, &fleet).await;
    let (mut won, mut lost) = (0, 0);
    // Closer to when it fires after each round that was won, further from it after each that was lost.
    let mut wait = Duration::from_millis(200);
    let mut by = Duration::from_millis(128);
    for round in 1..=60 {
        switch(host, "releases/new");
        arm(&connection, &Watchdog { services: vec![], ..watchdog(250) }).await;
        tokio::time::sleep(wait).await;
        match connection.disarm().await.unwrap_or_else(|e| panic!("{round}: {e}\n{}", e.detail)) {
            Disarmed::Disarmed => {
                won += 1;
                wait += by;
                assert_eq!(connection.watchdog().await.expect("asked"), None, "{round}");
                assert_eq!(points_to(host), "releases/new", "{round}");
            }
            Disarmed::Fired(fired) => {
                lost += 1;
                wait = wait.saturating_sub(by);
                assert_eq!(fired.link, PutBack::Reverted, "{round}");
                assert_eq!(points_to(host), "releases/old", "{round}");
            }
            Disarmed::NotArmed => panic!("{round}: it was armed"),
        }
        by = (by / 2).max(Duration::from_millis(2));
    }
    eprintln!("disarmed {won} times, fired {lost} times");
    assert!(won > 0 && lost > 0);
    // None of those that lost has done anything later.
    until("all have ended", || host.inside(&["pgrep", "-f", "watchdog/[0-9]+/watch"]).is_err());
    let there = |round: usize, name: &str| folder(host).join(format!("{round}/{name}")).exists();
    let mut fired = 0;
    for round in 1..=60 {
        let found = ["armed", "disarmed", "fired", "record"].map(|name| there(round, name));
        assert!(
            matches!(found, [false, true, false, false] | [false, false, true, true]),
            "{round}: {found:?}"
        );
        fired += usize::from(found[2]);
    }
    assert_eq!(fired, lost);
    connection.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_did_to_the_link_stays() {
    let Some(fleet) = ready(Sudo::ServiceOnly) else { return };
    let host = fleet.host(1);
    let bench = Bench::new();
    let connection = connect(&bench, &fleet).await;
    for moved in ["releases/other", "releases/old"] {
        switch(host, moved);
        arm(&connection, &watchdog(400)).await;
        let fired = fires(&connection).await;
        assert_eq!(fired.link, PutBack::LeftAlone { points_to: Some(moved.to_owned()) });
        assert_eq!((points_to(host).as_str(), restarts(host), fired.services.len()), (moved, 0, 0));
    }
    connection.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_and_a_link_that_cannot_be_replaced_are_in_the_record() {
    let Some(fleet) = ready(Sudo::ServiceOnly) else { return };
    let host = fleet.host(1);
    let bench = Bench::new();
    let connection = connect(&bench, &fleet).await;
    switch(host, "releases/new");
    host.break_service().expect("broken");
    arm(&connection, &watchdog(600)).await;
    let fired = fires(&connection).await;
    assert_eq!(fired.link, PutBack::Reverted);
    assert!(
        matches!(&fired.services[..], [(_, Asked::Failed { said, .. })] if !said.is_empty()),
        "{fired:?}"
    );
    host.fix_service().expect("mended");
    switch(host, "releases/new");
    arm(&connection, &watchdog(5_000)).await;
    host.inside(&["chown", "root", ROOT]).expect("taken away");
    let fired = fires(&connection).await;
    let PutBack::Failed { why } = fired.link else { panic!("{fired:?}") };
    assert!(why.contains("ermission denied"), "{why}");
    assert_eq!(points_to(host), "releases/new");
    // And whoever may not replace it by now is told before anything is armed.
    let failure = connection.arm(&watchdog(600)).await.expect_err("it may not write there");
    assert_eq!(failure.kind, FailureKind::Conflict, "{failure}");
    assert!(!folder(host).join("3").exists());
    connection.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_systemd_is_there_but_does_not_answer_it_runs_all_the_same() {
    let Some(fleet) = ready(Sudo::ServiceOnly) else { return };
    let host = fleet.host(1);
    let linger = "/var/lib/systemd/linger";
    // In the host's own view: the machine's folder stays as it is.
    let script =
        format!("mkdir -p /run/systemd/system; mount -t tmpfs tmpfs /var/lib/systemd; mkdir -p {linger}");
    host.inside(&["sh", "-ec", &script]).expect("made");
    let bench = Bench::new();
    let connection = connect(&bench, &fleet).await;
    for lingers in [false, true] {
        if lingers {
            host.inside(&["touch", &format!("{linger}/{}", fleet.user())]).expect("made");
        }
        switch(host, "releases/new");
        arm(&connection, &watchdog(400)).await;
        assert_eq!(fires(&connection).await.link, PutBack::Reverted, "{lingers}");
    }
    connection.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_setsid_nothing_is_armed_and_it_is_said() {
    let Some(fleet) = ready(Sudo::ServiceOnly) else { return };
    fleet.host(1).hide("setsid").expect("hidden");
    let bench = Bench::new();
    let connection = connect(&bench, &fleet).await;
    let failure = connection.arm(&watchdog(400)).await.expect_err("it would end with the session");
    assert_eq!(failure.kind, FailureKind::NotFound, "{failure}");
    assert!(failure.message.contains("setsid is missing"), "{failure}");
    assert_eq!(connection.watchdog().await.expect("asked"), None);
    connection.close().await;
}
