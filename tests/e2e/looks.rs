//! `std/wait-for`, `std/watch` and `std/load-test` on real machines: they look, and change nothing.

use crate::support::{PATIENCE, Project};
use runner_fleet::{Fleet, fleet_or_skip};
use std::time::{Duration, Instant};

const AS_IT_IS: &str = r#"
[[rollout]]
id = "listens"
uses = "std/wait-for"
with = { port = HTTP_PORT }

[[rollout]]
id = "answers"
uses = "std/wait-for"
with = { url = "http://${target.address}:HTTP_PORT/ready.txt", from = "target", body-contains = "yes" }

[[rollout]]
id = "is-gone"
uses = "std/wait-for"
with = { file = "${release.root}/import.lock", state = "absent" }

[[rollout]]
id = "runs"
uses = "std/wait-for"
with = { service = "nginx" }

[[rollout]]
id = "stays"
uses = "std/watch"
with = { url = "http://${target.address}:HTTP_PORT/ready.txt", for = "300ms", interval = "100ms" }
"#;

/// A plan of these steps for a host that answers.
fn project(fleet: &Fleet, steps: &str) -> Project {
    let project = Project::new(fleet);
    project.steps(&steps.replace("HTTP_PORT", &fleet.host(1).http_address().port().to_string()));
    let host = fleet.host(1);
    host.answer("/ready.txt", "yes").unwrap();
    host.inside(&[host.servicectl().to_str().unwrap(), "start", "nginx"]).unwrap();
    project
}

#[test]
fn what_is_as_it_must_be_is_only_looked_at() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let ran = project(&fleet, AS_IT_IS).release();
    assert!(ran.effects().is_empty(), "{ran}");
}

#[test]
fn a_file_is_waited_for_until_it_is_there() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let project = project(
        &fleet,
        "[[rollout]]\nid = \"wait\"\nuses = \"std/wait-for\"\n\
         with = { file = \"${release.root}/import.done\", contains = \"all\", interval = \"100ms\", timeout = \"1m\" }\n",
    );
    project.lock();
    let running = project.begin();
    running
        .wait_until("look", |event| event["message"].as_str().is_some_and(|line| line.contains("waiting: ")));
    fleet.host(1).put("import.done", "all of it").unwrap();
    let ran = running.end();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.effects().is_empty(), "{ran}");
}

#[test]
fn what_never_becomes_so_ends_with_the_reason() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    for (with, why) in [
        ("port = 4, timeout = \"200ms\", interval = \"100ms\"", "port 4: nothing listens (after"),
        ("file = \"/etc/passwd\", state = \"absent\", timeout = \"0s\"", "`/etc/passwd`: it is there"),
    ] {
        let step = format!("[[rollout]]\nid = \"wait\"\nuses = \"std/wait-for\"\nwith = {{ {with} }}\n");
        project(&fleet, &step).lock_and_exec().must_say(4, &[why]);
    }
    let without =
        project(&fleet, "[[rollout]]\nid = \"wait\"\nuses = \"std/wait-for\"\nwith = { timeout = \"1s\" }\n");
    without
        .run(&["check", "plan.toml", "--environment", "fleet"])
        .must_say(2, &["`std/wait-for` needs `url`, `file`, `port` or `service`"]);
}

#[test]
fn a_release_that_falls_over_while_it_is_watched_has_not_passed() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let project = project(
        &fleet,
        "[[rollout]]\nid = \"stays\"\nuses = \"std/watch\"\n\
         with = { service = \"nginx\", for = \"1m\", interval = \"100ms\" }\n",
    );
    project.lock();
    let host = fleet.host(1);
    let asked_before = host.service_actions().len();
    let running = project.begin();
    // It is as it must be at the first look, and not at a later one.
    let begin = Instant::now();
    while host.service_actions().len() == asked_before {
        assert!(begin.elapsed() < PATIENCE, "nobody looks");
        std::thread::sleep(Duration::from_millis(10));
    }
    host.inside(&[host.servicectl().to_str().unwrap(), "stop", "nginx"]).unwrap();
    let ran = running.end();
    ran.must_say(4, &["service `nginx`: it does not run", "looks failed, and 0 may"]);
    assert!(!ran.stderr.contains("1 of 1 looks"), "{ran}");
}

#[test]
fn load_is_measured_and_its_limits_are_kept() {
    if !std::path::Path::new("/usr/bin/ab").exists() {
        eprintln!("SKIPPED: no load is made: `ab` is not installed");
        return;
    }
    let fleet = fleet_or_skip!(Fleet::start(1));
    let step = "[[rollout]]\nid = \"load\"\nuses = \"std/load-test\"\n\
         with = { url = \"http://${target.address}:HTTP_PORT/ready.txt\", requests = 300, concurrency = 5 }\n";
    let ran = project(&fleet, step).release();
    assert!(ran.effects().is_empty(), "{ran}");
    ran.must_say(0, &["300 answers, 0 failed"]);
    let too_slow = step.replace("concurrency = 5", "concurrency = 5, min-rate = 1e9");
    project(&fleet, &too_slow).lock_and_exec().must_say(4, &["answers a second, and 1000000000 must be"]);
    let missing = step.replace("ready.txt", "no-such-page");
    project(&fleet, &missing).lock_and_exec().must_say(4, &["300 of 300 requests failed, and 0 may"]);
}
