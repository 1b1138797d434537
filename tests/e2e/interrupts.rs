//! Ctrl-C: once lets each target finish its step, twice stops now. Either way it is said how each target is left.

use crate::support::{Project, current, leftovers, restarts, version};
use runner_fleet::{Fleet, Host, fleet_or_skip};
use runner_journal::Entry;
use std::time::{Duration, Instant};

fn slow(fleet: &Fleet, seconds: u32) -> Project {
    for host in fleet.hosts() {
        host.slow_service(seconds).unwrap();
    }
    let project = Project::new(fleet);
    project.lock();
    project
}

fn runs_still(host: &Host, program: &str) -> bool {
    host.inside(&["sh", "-c", &format!("grep -l {program} /proc/[0-9]*/cmdline | grep -v self; exit 0")])
        .is_ok_and(|output| {
            String::from_utf8_lossy(&output.stdout).lines().any(|file| {
                let outside = host.outside(file);
                std::fs::read_to_string(outside)
                    .is_ok_and(|line| line.contains(program) && !line.contains("grep"))
            })
        })
}

#[test]
fn once_finishes_the_step_and_begins_nothing_new() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = slow(&fleet, 3);
    let running = project.begin();
    running.wait_for("step-started", "restart");
    running.signal("INT");
    let ran = running.end();
    ran.must_say(130, &["web-1", "web-2"]);
    assert_eq!(restarts(fleet.host(1)), 1);
    assert_eq!(version(fleet.host(1)), "1.0.0", "the step that it was in is done");
    assert_eq!(ran.end_of("web-1"), "stopped");
    assert_eq!((ran.end_of("web-2").as_str(), current(fleet.host(2))), ("untouched", None));
    assert!(!ran.events.iter().any(|e| e["event"] == "step-started" && e["step"] == "smoke-test"));
    assert!(matches!(ran.entries.last(), Some(Entry::Closed { .. })), "the journal is closed");
}

#[test]
fn twice_stops_now_also_what_runs_on_the_target() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let project = slow(&fleet, 60);
    let running = project.begin();
    running.wait_for("step-started", "restart");
    // Until the target is in it as well.
    let start = Instant::now();
    while restarts(fleet.host(1)) == 0 && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    running.signal("INT");
    running.wait_until("cancelling", |event| event["event"] == "cancelling");
    running.signal("INT");
    let ran = running.end();
    ran.must_say(130, &["web-1"]);
    assert_eq!(leftovers(fleet.host(1)), "");
    assert!(matches!(ran.entries.last(), Some(Entry::Closed { .. })), "the journal is closed");
    let start = Instant::now();
    while fleet.isolated() && runs_still(fleet.host(1), "servicectl") {
        assert!(start.elapsed() < Duration::from_secs(10), "the remote process goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn sigterm_is_the_same_with_its_own_code() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let project = slow(&fleet, 2);
    let running = project.begin();
    running.wait_for("step-started", "restart");
    running.signal("TERM");
    running.end().must_say(143, &["web-1"]);
}
