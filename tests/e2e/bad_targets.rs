//! What targets do to a run: each has a clear error and its exit code, and nothing is left half switched.

use crate::support::{Project, Ran, current, leftovers, restarts, version};
use runner_fleet::{Fleet, Host, fleet_or_skip};
use std::time::{Duration, Instant};

/// The target still serves what it served.
#[track_caller]
fn still(host: &Host, expected: &str) {
    assert_eq!(version(host), expected, "{}", host.name());
    assert_eq!(leftovers(host), "", "{}", host.name());
}

/// One release is live; then something happens to the first target, and the next version is to go out.
fn next_version_after(fleet: &Fleet, fault: impl FnOnce(&Host)) -> (Project, Ran) {
    let project = Project::new(fleet);
    project.release();
    fault(fleet.host(1));
    project.next_version("1.0.1");
    project.lock();
    let start = Instant::now();
    let ran = project.exec();
    assert!(start.elapsed() < Duration::from_secs(90), "a hang: {:?}", start.elapsed());
    (project, ran)
}

#[test]
fn an_unreachable_target_counts_as_failed_and_is_not_touched() {
    let fleet = fleet_or_skip!(Fleet::start(3));
    let (_project, ran) = next_version_after(&fleet, |host| host.stop_sshd().unwrap());
    ran.must_say(5, &["web-1", "refused"]);
    assert_eq!(ran.end_of("web-1"), "unreachable");
    for host in fleet.hosts() {
        still(host, "1.0.0");
    }
}

#[test]
fn a_target_that_accepts_and_says_nothing_is_unreachable() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let (_project, ran) = next_version_after(&fleet, Host::freeze);
    ran.must_say(5, &["web-1"]);
    still(fleet.host(2), "1.0.0");
    fleet.host(1).thaw();
    still(fleet.host(1), "1.0.0");
}

#[test]
fn a_wrong_host_key_is_told_apart_and_never_accepted() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let (_project, ran) = next_version_after(&fleet, |host| host.change_host_key().unwrap());
    ran.must_say(5, &["web-1", "host key"]);
    for host in fleet.hosts() {
        still(host, "1.0.0");
    }
}

#[test]
fn a_refused_key_is_told_apart() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let (_project, ran) = next_version_after(&fleet, |host| host.refuse_the_key().unwrap());
    ran.must_say(5, &["web-1", "it took none of the keys", "authorized_keys"]);
    let said = ran.stderr.to_lowercase();
    assert!(!said.contains("host key") && !said.contains("connection was refused"), "{ran}");
    for host in fleet.hosts() {
        still(host, "1.0.0");
    }
}

#[test]
fn a_connection_that_dies_in_the_middle_ends_the_run_and_says_where() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    fleet.host(1).slow_service(8).unwrap();
    project.lock();
    let running = project.begin();
    running.wait_for("step-started", "restart");
    while restarts(fleet.host(1)) == 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    fleet.host(1).stop_sshd().unwrap();
    let start = Instant::now();
    let ran = running.end();
    assert!(start.elapsed() < Duration::from_secs(60), "a hang");
    assert!([Some(4), Some(5)].contains(&ran.code), "{ran}");
    assert_eq!(current(fleet.host(2)), None, "no second batch");
    assert!(ran.stderr.contains("web-1") && ran.stderr.contains("restart"), "{ran}");
}

#[test]
fn a_full_disk_stops_before_the_switch() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: a small disk needs root");
        return;
    }
    let fleet = fleet_or_skip!(Fleet::builder(2).small_disk(1, "4m").start());
    let project = Project::new(&fleet);
    project.release();
    fleet.host(1).fill_disk().unwrap();
    project.next_version("1.0.1");
    project.lock_and_exec().must_say(4, &["web-1", "space"]);
    for host in fleet.hosts() {
        assert_eq!(version(host), "1.0.0");
    }
    fleet.host(1).free_disk().unwrap();
    let again = project.exec();
    assert_eq!(again.code, Some(0), "{again}");
    for host in fleet.hosts() {
        still(host, "1.0.1");
    }
}

#[test]
fn a_read_only_folder_is_named() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: a read-only mount needs root");
        return;
    }
    let fleet = fleet_or_skip!(Fleet::start(2));
    let (_project, ran) = next_version_after(&fleet, |host| host.make_read_only(host.root()).unwrap());
    ran.must_say(4, &["web-1", "ead-only"]);
    for host in fleet.hosts() {
        still(host, "1.0.0");
    }
}

#[test]
fn a_target_without_tar_is_named() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: hiding a program needs root");
        return;
    }
    let fleet = fleet_or_skip!(Fleet::start(2));
    let (_project, ran) = next_version_after(&fleet, |host| host.hide("tar").unwrap());
    ran.must_say(4, &["web-1", "tar"]);
    for host in fleet.hosts() {
        still(host, "1.0.0");
    }
}

#[test]
fn a_service_that_will_not_start_stops_the_rollout() {
    let fleet = fleet_or_skip!(Fleet::start(3));
    let (project, ran) = next_version_after(&fleet, |host| host.break_service().unwrap());
    ran.must_say(4, &["web-1", "restart", "nginx"]);
    assert_eq!(ran.batches(), [["web-1"]]);
    for host in &fleet.hosts()[1..] {
        still(host, "1.0.0");
    }
    fleet.host(1).fix_service().unwrap();
    let again = project.exec();
    assert_eq!(again.code, Some(0), "{again}");
    for host in fleet.hosts() {
        still(host, "1.0.1");
    }
}
