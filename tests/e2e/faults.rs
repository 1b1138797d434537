//! What goes wrong in a rollout that takes itself back: where each target is left, and what is said about it.

use crate::support::{Project, Ran, Tree, current, noise, tree};
use runner_fleet::{Fleet, Host, fleet_or_skip, until};
use std::path::PathBuf;

/// A release that is live on all of them, and the next one that is ready; its plan rolls back.
fn scene(fleet: &Fleet) -> (Project, Vec<(Tree, Option<PathBuf>)>) {
    let project = Project::new(fleet);
    project.edit_plan(
        "batches = [1, \"50%\", \"100%\"]",
        "batches = [1, 2, \"100%\"]\non-failure = \"rollback\"",
    );
    project.release();
    let before = fleet.hosts().iter().map(state).collect();
    project.next_version("1.0.1");
    project.lock();
    (project, before)
}

fn state(host: &Host) -> (Tree, Option<PathBuf>) {
    (tree(host).releases(), current(host))
}

/// All hosts are as before, and serve what they served.
#[track_caller]
fn as_before(fleet: &Fleet, before: &[(Tree, Option<PathBuf>)]) {
    for (host, before) in fleet.hosts().iter().zip(before) {
        assert_eq!(&state(host), before, "{}", host.name());
        assert_eq!(host.get("/version.txt").unwrap().body, "1.0.0", "{}", host.name());
    }
}

/// The rest is undone once the cause is gone.
#[track_caller]
fn undo_the_rest(project: &Project, ran: &Ran) {
    let undone = project.run(&["resume", ran.run(), "--undo"]);
    assert_eq!(undone.code, Some(0), "{undone}");
}

#[test]
fn a_connection_that_is_lost_in_a_transfer() {
    let fleet = fleet_or_skip!(Fleet::start(3));
    let (project, before) = scene(&fleet);
    std::fs::write(project.path("app/large.bin"), noise(7, 64 << 20)).unwrap();
    let running = project.begin();
    let releases = fleet.host(2).outside(fleet.host(2).root().join("releases"));
    until("something comes in", || {
        let mut names = std::fs::read_dir(&releases).unwrap().flatten().map(|entry| entry.file_name());
        names.any(|name| name.to_string_lossy().starts_with(".runner-unpack-"))
    });
    fleet.host(2).stop_sshd().unwrap();
    let ran = running.end();
    // What came in was never given its name, and nobody can look whether it was.
    ran.must_say(7, &["web-2"]);
    assert_eq!(ran.end_of("web-2"), "rollback-failed", "{ran}");
    fleet.host(2).start_sshd().unwrap();
    undo_the_rest(&project, &ran);
    as_before(&fleet, &before);
}

#[test]
fn a_target_that_is_not_there_before_the_run() {
    let fleet = fleet_or_skip!(Fleet::start(3));
    let (project, before) = scene(&fleet);
    fleet.host(2).stop_sshd().unwrap();
    let ran = project.exec();
    ran.must_say(5, &["web-2"]);
    assert_eq!(ran.end_of("web-2"), "unreachable", "{ran}");
    fleet.host(2).start_sshd().unwrap();
    as_before(&fleet, &before);
}

#[test]
fn a_target_that_is_lost_in_its_rollout() {
    let fleet = fleet_or_skip!(Fleet::start(3));
    let (project, before) = scene(&fleet);
    fleet.host(2).slow_service(5).unwrap();
    let running = project.begin();
    running.wait_until("the restart of web-2", |event| {
        event["event"] == "step-started" && event["step"] == "restart" && event["target"] == "web-2"
    });
    fleet.host(2).stop_sshd().unwrap();
    let ran = running.end();
    ran.must_say(7, &["web-2", "it was left with 1.0.1-"]);
    assert_eq!(
        [1, 2, 3].map(|n| ran.end_of(&format!("web-{n}"))),
        ["rolled-back", "rollback-failed", "untouched"],
        "{ran}"
    );
    fleet.host(2).fix_service().unwrap();
    fleet.host(2).start_sshd().unwrap();
    undo_the_rest(&project, &ran);
    as_before(&fleet, &before);
}

#[test]
fn a_target_that_is_lost_after_its_rollout() {
    let fleet = fleet_or_skip!(Fleet::start(3));
    let (project, _) = scene(&fleet);
    fleet.host(2).slow_service(3).unwrap();
    let running = project.begin();
    running.wait_until("the restart of web-2", |event| {
        event["event"] == "step-started" && event["step"] == "restart" && event["target"] == "web-2"
    });
    fleet.host(1).stop_sshd().unwrap();
    let ran = running.end();
    assert_eq!(ran.code, Some(0), "{ran}");
    fleet.host(1).start_sshd().unwrap();
    for host in fleet.hosts() {
        assert_eq!(host.get("/version.txt").unwrap().body, "1.0.1", "{}", host.name());
    }
}

#[test]
fn a_disk_that_is_full() {
    let fleet = fleet_or_skip!(Fleet::builder(3).small_disk(2, "4m").start());
    let (project, before) = scene(&fleet);
    // More than it has, and found out while it is sent.
    std::fs::write(project.path("app/large.bin"), vec![7_u8; 6 << 20]).unwrap();
    let ran = project.exec();
    assert_eq!(ran.code, Some(6), "{ran}");
    ran.must_say(6, &["web-2", "no space is left on the target's disk"]);
    as_before(&fleet, &before);
}

#[test]
fn a_service_that_does_not_start() {
    let fleet = fleet_or_skip!(Fleet::start(3));
    let (project, before) = scene(&fleet);
    fleet.host(2).break_service().unwrap();
    let ran = project.exec();
    ran.must_say(7, &["web-2", "restart nginx"]);
    assert_eq!(
        [1, 2, 3].map(|n| ran.end_of(&format!("web-{n}"))),
        ["rolled-back", "rollback-failed", "untouched"],
        "{ran}"
    );
    fleet.host(2).fix_service().unwrap();
    undo_the_rest(&project, &ran);
    as_before(&fleet, &before);
}
