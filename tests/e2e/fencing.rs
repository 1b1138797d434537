//! Two runners, one that is dead and one that sleeps: only who has the lock of the targets writes there.

use crate::support::{Project, Running, current, restarts, tree, version};
use runner_fleet::{Fleet, fleet_or_skip, until};

const EXEC: [&str; 4] = ["exec", "plan.toml", "--environment", "fleet"];

#[test]
fn of_two_runners_at_once_the_second_one_is_told_who_the_first_one_is() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    project.lock();
    fleet.host(1).hold_service().unwrap();
    let first = project.begin();
    first.wait_for("step-started", "restart");
    let second = project.run(&EXEC);
    second.must_say(3, &["web-1 is locked by", "(plan web, run"]);
    assert!(second.effects().iter().all(|effect| effect.starts_with("localhost ")), "{:?}", second.effects());
    let state = project.run(&["lock", "status", "plan.toml", "--environment", "fleet"]);
    assert_eq!(state.code, Some(0), "{state}");
    assert_eq!(state.stdout.matches("held, for").count(), 2, "{state}");
    let mut waits = project.start(&[&EXEC[..], &["--wait", "2m"]].concat());
    waits.wait_for_word("waits for the lock: web-1 is locked by");
    fleet.host(1).fix_service().unwrap();
    assert_eq!(first.end().code, Some(0));
    let waited = waits.end();
    assert_eq!(waited.code, Some(0), "{waited}");
}

#[test]
fn no_step_touches_a_machine_whose_lock_another_run_has() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    let db = format!("[target.web-2]\naddress = \"{}\"\nroles = [\"web\"]", fleet.host(2).address());
    project.edit("fleet.toml", &db, &db.replace("[\"web\"]", "[\"db\"]"));
    // It begins at once, and acts on a machine that nothing is released to.
    let prepare = |file: &str| {
        format!(
            "[[prepare]]\nid = \"early\"\nuses = \"std/template\"\non = \"db\"\nwith = {{ content = \"x\", to = \"/srv/app/{file}\" }}\n\n"
        )
    };
    let plan = std::fs::read_to_string(project.path("plan.toml")).unwrap();
    let with = |file: &str| {
        plan.replace("[[prepare]]\nid = \"package\"", &(prepare(file) + "[[prepare]]\nid = \"package\""))
    };
    project.write("plan.toml", &with("first"));
    project.lock();
    fleet.host(1).hold_service().unwrap();
    let first = project.begin();
    first.wait_for("step-started", "restart");
    project.write("plan.toml", &with("second"));
    project.lock();
    project.run(&EXEC).must_say(3, &["is locked by"]);
    fleet.host(1).fix_service().unwrap();
    assert_eq!(first.end().code, Some(0));
    let there = |file: &str| fleet.host(2).outside(fleet.host(2).root()).join(file).exists();
    assert_eq!((there("first"), there("second")), (true, false));
}

#[test]
fn an_undo_takes_the_lock_too() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    project.release();
    project.next_version("1.0.1");
    fleet.host(2).break_service().unwrap();
    let failed = project.lock_and_exec();
    assert_eq!(failed.code, Some(4), "{failed}");
    fleet.host(2).fix_service().unwrap();
    project.next_version("1.0.2");
    project.lock();
    fleet.host(1).hold_service().unwrap();
    let other = project.begin();
    other.wait_for("step-started", "restart");
    let live: Vec<_> = fleet.hosts().iter().map(current).collect();
    let now = std::fs::read_to_string(project.path("plan.toml")).unwrap();
    let lock = std::fs::read_to_string(project.path("plan.lock")).unwrap();
    project.next_version("1.0.1");
    project.lock();
    let undo = ["resume", failed.run(), "--undo"];
    project.run(&undo).must_say(3, &["web-1 is locked by"]);
    assert_eq!(fleet.hosts().iter().map(current).collect::<Vec<_>>(), live);
    project.write("plan.toml", &now);
    project.write("plan.lock", &lock);
    fleet.host(1).fix_service().unwrap();
    assert_eq!(other.end().code, Some(0));
}

#[test]
fn the_lock_of_a_dead_runner_is_taken_away_with_a_reason_and_the_rerun_does_the_restart_that_is_owed() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    project.release();
    project.next_version("1.0.1");
    project.lock();
    fleet.host(1).hold_service().unwrap();
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

/// Falls asleep after it has taken the lock, and before it lays anything out.
fn asleep(project: &Project) -> Running<'_> {
    project.release();
    project.next_version("1.0.1");
    // What gives the test the time to stop it.
    let waits = "[[stage]]\nid = \"waits\"\nuses = \"std/command\"\nwith = { argv = [\"/usr/bin/sleep\", \"3\"] }\n\n";
    project.edit_plan("[[stage]]\nid = \"distribute\"", &format!("{waits}[[stage]]\nid = \"distribute\""));
    project.lock();
    let running = project.begin();
    // On both: what it was at on the other one would go on there.
    for target in ["web-1", "web-2"] {
        running.wait_until(target, |event| {
            event["event"] == "step-started" && event["step"] == "waits" && event["target"] == target
        });
    }
    running.signal("STOP");
    running
}

#[test]
fn a_runner_that_slept_while_its_lock_was_taken_writes_nothing_more() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    let running = asleep(&project);
    let before: Vec<_> = fleet.hosts().iter().map(tree).collect();
    let reason = "nobody heard of it";
    let unlocked = project.run(&["unlock", "plan.toml", "--environment", "fleet", "--reason", reason]);
    assert_eq!(unlocked.code, Some(0), "{unlocked}");
    running.signal("CONT");
    running.end().must_say(4, &[reason]);
    assert_eq!(fleet.hosts().iter().map(tree).collect::<Vec<_>>(), before);
}

#[test]
fn a_runner_that_slept_past_its_lease_is_refused_by_the_epoch_of_the_next_one() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    let running = asleep(&project);
    // By the targets' clocks two minutes are over.
    for host in fleet.hosts() {
        let over = format!(
            "cd {}/.runner/lock; for epoch in *; do echo 1000 > $epoch/until; done",
            host.root().display()
        );
        host.inside(&["sh", "-euc", &over]).unwrap();
    }
    let next = project.run(&EXEC);
    assert_eq!(next.code, Some(0), "{next}");
    let after: Vec<_> = fleet.hosts().iter().map(tree).collect();
    running.signal("CONT");
    running.end().must_say(4, &["has taken the lock over with the run"]);
    assert_eq!(fleet.hosts().iter().map(tree).collect::<Vec<_>>(), after);
    assert_eq!(fleet.hosts().iter().map(version).collect::<Vec<_>>(), ["1.0.1", "1.0.1"]);
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
    host.hold_service().unwrap();
    let first = project.begin();
    first.wait_for("step-started", "restart");
    project.run(&EXEC).must_say(3, &["web-1 is locked by"]);
    host.fix_service().unwrap();
    assert_eq!(first.end().code, Some(0));
}

#[test]
fn a_lock_that_was_being_taken_when_the_run_was_stopped_is_given_back() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let (project, host) = (Project::new(&fleet), fleet.host(1));
    project.lock();
    host.hide("date").unwrap();
    let waits = "cd /run/shown; mkfifo gate; chmod 777 . gate
        printf '#!/bin/sh\\n: > /run/shown/asked; read -r _ < /run/shown/gate; exec /run/bin/date \"$@\"\\n' > date; chmod 755 date";
    host.inside(&["sh", "-euc", waits]).unwrap();
    let running = project.begin();
    until("the target is asked for its lock", || host.outside("/run/shown/asked").exists());
    running.signal("INT");
    running.wait_until("stopping", |event| event["event"] == "cancelling");
    host.inside(&["sh", "-euc", "cd /run/shown; mv gate open; echo > gate; echo > open"]).unwrap();
    running.end().must_say(130, &["web-1"]);
    let state = project.run(&["lock", "status", "plan.toml", "--environment", "fleet"]);
    assert!(state.stdout.contains("free") && !state.stdout.contains("never given back"), "{state}");
}

#[test]
fn a_target_that_loses_its_runner_after_the_switch_takes_itself_back() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    project.release();
    let (before, asked) = (current(fleet.host(1)), restarts(fleet.host(1)));
    project.edit_plan("max-failures = 0", "max-failures = 0\nconfirm-timeout = \"8s\"");
    project.edit_plan("deadline = \"10s\"", "deadline = \"1s\"");
    project.edit_plan("uses = \"std/restart\"", "uses = \"std/restart\"\ntimeout = \"5s\"");
    project.next_version("1.0.1");
    project.lock();
    fleet.host(1).hold_service().unwrap();
    let dead = project.begin();
    until("it is asked to restart", || restarts(fleet.host(1)) > asked);
    dead.signal("KILL");
    dead.end_of_killed();
    assert_ne!(current(fleet.host(1)), before);
    fleet.host(1).fix_service().unwrap();
    until("it takes itself back, and asks its service again", || {
        let serves = fleet.host(1).get("/version.txt").is_ok_and(|answer| answer.body == "1.0.0");
        current(fleet.host(1)) == before && serves && restarts(fleet.host(1)) == asked + 2
    });
    let resumed = project.run(&["resume"]);
    assert_eq!(resumed.code, Some(0), "{resumed}");
    for host in fleet.hosts() {
        assert_eq!(host.get("/version.txt").unwrap().body, "1.0.1", "{}", host.name());
    }
}
