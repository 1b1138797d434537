//! Two runners, one that is dead and one that sleeps: only who has the lock of the targets writes there.

use crate::support::{Project, current};
use runner_fleet::{Fleet, fleet_or_skip};
use std::time::{Duration, Instant};

const SLOW: u32 = 6;

#[test]
fn of_two_runners_at_once_the_second_one_is_told_who_the_first_one_is() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    project.lock();
    fleet.host(1).slow_service(SLOW).unwrap();
    let first = project.begin();
    first.wait_for("step-started", "restart");
    let second = project.run(&["exec", "plan.toml", "--environment", "fleet"]);
    second.must_say(3, &["web-1 is locked by", "(plan web, run"]);
    assert!(second.effects().iter().all(|effect| effect.starts_with("localhost ")), "{:?}", second.effects());
    let state = project.run(&["lock", "status", "plan.toml", "--environment", "fleet"]);
    assert_eq!(state.code, Some(0), "{state}");
    assert_eq!(state.stdout.matches("held, for").count(), 2, "{state}");
    let waits = project.run(&["exec", "plan.toml", "--environment", "fleet", "--wait", "2m"]);
    assert_eq!(waits.code, Some(0), "{waits}");
    assert_eq!(first.end().code, Some(0));
}

#[test]
fn the_lock_of_a_dead_runner_is_taken_away_with_a_reason_and_the_rerun_does_the_restart_that_is_owed() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    project.release();
    project.next_version("1.0.1");
    project.lock();
    fleet.host(1).slow_service(SLOW).unwrap();
    let dead = project.begin();
    dead.wait_for("step-started", "restart");
    dead.signal("KILL");
    dead.end_of_killed();
    fleet.host(1).fix_service().unwrap();

    let refused = project.exec();
    refused.must_say(3, &["is locked by", "`runner unlock`"]);
    let unlock = ["unlock", "plan.toml", "--environment", "fleet", "--reason", "its machine is gone"];
    project.run(&unlock).must_say(0, &["web-1: unlocked;", "web-2: unlocked;"]);
    let again = project.exec();
    assert_eq!(again.code, Some(0), "{again}");
    for host in fleet.hosts() {
        assert_eq!(host.get("/version.txt").unwrap().body, "1.0.1", "{}", host.name());
    }
    assert!(again.effects().iter().any(|effect| effect.contains("web-1 restart ")), "{:?}", again.effects());
}

#[test]
fn a_runner_that_slept_while_its_lock_was_taken_writes_nothing_more() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    project.release();
    let live: Vec<_> = fleet.hosts().iter().map(current).collect();
    project.next_version("1.0.1");
    project.lock();
    let asleep = project.begin();
    asleep.wait_for("step-started", "distribute");
    asleep.signal("STOP");
    let reason = "nobody heard of it";
    let unlocked = project.run(&["unlock", "plan.toml", "--environment", "fleet", "--reason", reason]);
    assert_eq!(unlocked.code, Some(0), "{unlocked}");
    asleep.signal("CONT");
    let ran = asleep.end();
    assert_eq!(ran.code, Some(4), "{ran}");
    ran.must_say(4, &[reason]);
    assert_eq!(fleet.hosts().iter().map(current).collect::<Vec<_>>(), live);
}

#[test]
fn the_clock_of_a_target_may_be_wrong_by_an_hour() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let host = fleet.host(1);
    host.hide("date").unwrap();
    let clock = "printf '#!/bin/sh\\nexec /run/bin/date -d \"1 hour\" \"$@\"\\n' > /run/shown/date; chmod 755 /run/shown/date";
    host.inside(&["sh", "-euc", clock]).unwrap();
    let project = Project::new(&fleet);
    project.lock();
    host.slow_service(SLOW).unwrap();
    let first = project.begin();
    first.wait_for("step-started", "restart");
    project.run(&["exec", "plan.toml", "--environment", "fleet"]).must_say(3, &["web-1 is locked by"]);
    assert_eq!(first.end().code, Some(0));
}

#[test]
fn a_target_that_loses_its_runner_after_the_switch_takes_itself_back() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    project.edit_plan("max-failures = 0", "max-failures = 0\nconfirm-timeout = \"4s\"");
    project.edit_plan("deadline = \"10s\"", "deadline = \"1s\"");
    project.edit_plan("uses = \"std/restart\"", "uses = \"std/restart\"\ntimeout = \"3s\"");
    project.release();
    let before = current(fleet.host(1));
    project.next_version("1.0.1");
    project.lock();
    fleet.host(1).slow_service(2).unwrap();
    let dead = project.begin();
    dead.wait_for("step-started", "restart");
    dead.signal("KILL");
    dead.end_of_killed();
    assert_ne!(current(fleet.host(1)), before);
    let start = Instant::now();
    let is_back = || {
        let serves = fleet.host(1).get("/version.txt").is_ok_and(|answer| answer.body == "1.0.0");
        current(fleet.host(1)) == before && serves
    };
    while !is_back() {
        assert!(start.elapsed() < Duration::from_secs(60), "it never took itself back");
        std::thread::sleep(Duration::from_millis(50));
    }
    fleet.host(1).fix_service().unwrap();
    let resumed = project.run(&["resume"]);
    assert_eq!(resumed.code, Some(0), "{resumed}");
    for host in fleet.hosts() {
        assert_eq!(host.get("/version.txt").unwrap().body, "1.0.1", "{}", host.name());
    }
}
