//! What targets do to a run: each has a clear error and its exit code, and nothing is left half switched.

use crate::support::{Project, Ran, Tree, current, leftovers, restarts, tree, version};
use runner_fleet::{Fleet, Host, fleet_or_skip};
use std::path::PathBuf;
use std::time::Duration;

/// The target still serves what it served.
#[track_caller]
fn still(host: &Host, expected: &str) {
    assert_eq!(version(host), expected, "{}", host.name());
    assert_eq!(leftovers(host), "", "{}", host.name());
}

/// One release is live; then something happens to the first target, and the next version is to go out. Whatever comes
/// of it, the releases that were there stay as they were, and so does `current` where the rollout did not come.
fn next_version_after(fleet: &Fleet, fault: impl FnOnce(&Host)) -> (Project, Ran) {
    let project = Project::new(fleet);
    project.release();
    fault(fleet.host(1));
    project.next_version("1.0.1");
    project.lock();
    let before: Vec<(Tree, Option<PathBuf>)> =
        fleet.hosts().iter().map(|host| (tree(host).releases(), current(host))).collect();
    let ran = project.exec();
    let switched = |host: &Host| {
        ran.events_of("step-started").any(|e| e["step"] == "switch" && e["target"] == host.name())
    };
    for (host, (releases, live)) in fleet.hosts().iter().zip(before) {
        releases.must_be_in(&tree(host));
        if !switched(host) {
            assert_eq!(current(host), live, "{}", host.name());
        }
    }
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
    let ran = running.end();
    assert!([Some(4), Some(5)].contains(&ran.code), "{ran}");
    assert_eq!(current(fleet.host(2)), None, "no second batch");
    assert!(ran.stderr.contains("web-1") && ran.stderr.contains("restart"), "{ran}");
    fleet.host(1).fix_service().unwrap();
    fleet.host(1).start_sshd().unwrap();
    let resumed = project.run(&["resume"]);
    assert_eq!(resumed.code, Some(0), "{resumed}");
    for host in fleet.hosts() {
        still(host, "1.0.0");
    }
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
    // Not even the lock can be written.
    project.lock_and_exec().must_say(3, &["web-1", "the disk is full"]);
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
