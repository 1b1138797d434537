//! Going on with a run: what is asked of a person, what is refused, and that nothing is done twice.

use crate::support::{Project, restarts, version};
use runner_fleet::{Fleet, Host, fleet_or_skip};
use std::fs;
use std::path::PathBuf;

/// A command whose every run can be counted, and of which nothing tells whether it was run.
const APPENDS: &str = r#"
[[rollout]]
id = "append"
uses = "std/command"
with = { argv = ["tee", "-a", "lines"], stdin = "x", directory = "${release.root}" }

[[rollout]]
id = "after"
uses = "std/files"
with.files = [{ path = "${release.root}/after", content = "done\n" }]
"#;

fn lines(host: &Host) -> usize {
    fs::read_to_string(host.outside(host.root().join("lines"))).unwrap_or_default().len()
}

fn journal(project: &Project) -> PathBuf {
    let runs = fs::read_dir(project.path(".runner/runs")).unwrap().flatten();
    runs.map(|run| run.path()).max().unwrap().join("journal.jsonl")
}

/// Ends the runner at the boundary of an effect of the next run.
fn crash(project: &mut Project, boundary: u32) {
    project.env = vec![("RUNNER_FAULT".to_owned(), format!("kill@{boundary}"))];
    let killed = project.exec();
    assert_eq!(killed.code, None, "{killed}");
    project.env.clear();
}

#[test]
fn of_what_nothing_tells_a_person_is_asked_before_anything_happens() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let host = fleet.host(1);
    let mut project = Project::new(&fleet);
    project.steps(APPENDS);
    project.lock();
    // The intent is written, and it was not run.
    crash(&mut project, 2);
    assert_eq!(lines(host), 0);
    let asked = project.run(&["resume"]);
    asked
        .must_say(4, &["step `append`: run tee -a lines on web-1", "`--assume done`", "`--assume not-done`"]);
    assert_eq!(lines(host), 0, "nothing happens before somebody looked");
    let shown = project.run(&["runs", "show"]);
    assert!(shown.stdout.contains("In doubt") && shown.stdout.contains("run tee -a lines"), "{shown}");
    let resumed = project.run(&["resume", "--assume", "not-done"]);
    assert_eq!((resumed.code, lines(host)), (Some(0), 1), "{resumed}");
    assert!(host.outside(host.root().join("after")).exists());
    project.run(&["resume"]).must_say(3, &["ended well: there is nothing to go on with"]);

    // The same, and it was run.
    crash(&mut project, 3);
    assert_eq!(lines(host), 2);
    fs::remove_file(host.outside(host.root().join("after"))).unwrap();
    let resumed = project.run(&["resume", "--assume", "done"]);
    assert_eq!((resumed.code, lines(host)), (Some(0), 2), "{resumed}");
    assert!(host.outside(host.root().join("after")).exists(), "it goes on behind it");
}

#[test]
fn what_may_be_run_twice_is_and_nobody_is_asked() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let mut project = Project::new(&fleet);
    project.steps(&APPENDS.replacen("stdin = \"x\"", "stdin = \"x\", repeatable = true", 1));
    project.lock();
    crash(&mut project, 3);
    let resumed = project.run(&["resume"]);
    assert_eq!((resumed.code, lines(fleet.host(1))), (Some(0), 2), "{resumed}");
}

#[test]
fn a_change_that_somebody_else_made_meanwhile_is_not_touched() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let host = fleet.host(1);
    let mut project = Project::new(&fleet);
    project.steps(&APPENDS[APPENDS.rfind("[[rollout]]").unwrap()..]);
    project.lock();
    crash(&mut project, 2);
    host.put("after", "by hand\n").unwrap();
    let asked = project.run(&["resume"]);
    asked.must_say(4, &["in doubt since the run was cut off", "/srv/app/after on web-1", "--assume done"]);
    let there = || fs::read_to_string(host.outside(host.root().join("after"))).unwrap();
    assert_eq!(there(), "by hand\n");
    let resumed = project.run(&["resume", "--assume", "done"]);
    assert_eq!((resumed.code, there().as_str()), (Some(0), "by hand\n"), "{resumed}");
}

#[test]
fn a_backup_that_was_not_made_is_not_taken_for_one_that_was() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let host = fleet.host(1);
    let mut project = Project::new(&fleet);
    project.release();
    project.next_version("1.0.1");
    project.lock();
    // The folder of backups is made, and the archive announced.
    crash(&mut project, 6);
    let backups = host.outside(host.root().join("backups"));
    assert_eq!(fs::read_dir(&backups).unwrap().count(), 0);
    // And then it cannot be made.
    let (live, aside) = ("cd /srv/app/releases && set -- *", "mv \"$1\" ../aside && mkfifo \"$1\"");
    host.inside(&["sh", "-c", &format!("{live} && {aside}")]).unwrap();
    let resumed = project.run(&["resume"]);
    resumed.must_say(4, &["backup", "neither a folder nor a file"]);
    assert_eq!(fs::read_dir(&backups).unwrap().count(), 0);
    assert!(!host.outside(host.root().join("current/version.txt")).exists(), "nothing went live without it");
    host.inside(&["sh", "-c", &format!("{live} && rm \"$1\" && mv ../aside \"$1\"")]).unwrap();
    let resumed = project.run(&["resume"]);
    assert_eq!((resumed.code, version(host).as_str()), (Some(0), "1.0.1"), "{resumed}");
    assert_eq!(fs::read_dir(&backups).unwrap().count(), 1);
}

#[test]
fn a_step_that_failed_is_tried_again_and_what_was_done_is_not() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    project.edit_plan("deadline = \"10s\"", "deadline = \"1s\"");
    fleet.host(1).answer("/version.txt", "broken").unwrap();
    project.lock_and_exec().must_say(4, &["smoke-test", "web-1"]);
    assert_eq!((restarts(fleet.host(1)), restarts(fleet.host(2))), (1, 0));
    let host = fleet.host(1);
    host.fix_service().unwrap();
    host.inside(&[host.servicectl().to_str().unwrap(), "restart", "nginx"]).unwrap();
    let resumed = project.run(&["resume", "--json"]);
    assert_eq!(resumed.code, Some(0), "{resumed}");
    assert_eq!((restarts(host), restarts(fleet.host(2))), (2, 1), "one of the two on web-1 is by hand");
    for host in fleet.hosts() {
        assert_eq!(version(host), "1.0.0");
    }
    // What it shows is the whole run, and so does its journal.
    let shown = project.run(&["report", "--format", "json"]);
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let (told, reported) = (parsed(&resumed.stdout), parsed(&shown.stdout));
    assert_eq!(told, reported);
    let changes: Vec<_> = told["targets"].as_array().unwrap().iter().map(|t| &t["changes"]).collect();
    assert_eq!(changes, [3, 3], "what was done before it is in it: {told}");
    assert_eq!(told["verdict"], "done", "{told}");
    assert_eq!(project.run(&["replay"]).code, Some(0));
}

#[test]
fn an_interrupted_run_is_gone_on_with() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    fleet.host(1).slow_service(2).unwrap();
    project.lock();
    let running = project.begin();
    running.wait_for("step-started", "restart");
    running.signal("INT");
    assert_eq!(running.end().code, Some(130));
    let resumed = project.run(&["resume"]);
    assert_eq!(resumed.code, Some(0), "{resumed}");
    for host in fleet.hosts() {
        assert_eq!((version(host).as_str(), restarts(host)), ("1.0.0", 1));
    }
}

#[test]
fn another_plan_a_broken_journal_or_a_living_run_is_refused() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let mut project = Project::new(&fleet);
    project.lock();
    crash(&mut project, 6);

    let plan = fs::read_to_string(project.path("plan.toml")).unwrap();
    project.write("plan.toml", &format!("{plan}\n# later\n"));
    project.run(&["resume"]).must_say(3, &["`plan.toml` is not what the run", "put it back as it was"]);
    project.write("plan.toml", &plan);

    // A bit that is flipped is found and named; a line that is torn is taken off.
    let whole = fs::read(journal(&project)).unwrap();
    let mut flipped = whole.clone();
    let at = whole.len() / 2;
    flipped[at] ^= 1;
    let line = whole[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    fs::write(journal(&project), &flipped).unwrap();
    project.run(&["resume"]).must_say(3, &[&format!("line {line} of the journal is broken")]);
    let mut torn = whole.clone();
    torn.extend_from_slice(br#"{"seq":99,"at":1"#);
    fs::write(journal(&project), &torn).unwrap();
    let resumed = project.run(&["resume"]);
    resumed.must_say(0, &["is torn", "nothing that it announced has happened"]);
    assert_eq!(version(fleet.host(1)), "1.0.0");

    project.next_version("1.0.1");
    project.lock();
    fleet.host(1).slow_service(3).unwrap();
    let running = project.begin();
    running.wait_for("step-started", "restart");
    project.run(&["resume"]).must_say(3, &["the run still goes on"]);
    assert_eq!(running.end().code, Some(0));
}
