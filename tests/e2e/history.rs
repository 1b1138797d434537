//! Runs that are past: what their journals show again, and what is found that was done to a journal.

use crate::support::{Project, Ran};
use runner_fleet::{Fleet, fleet_or_skip};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran}"))
}

fn journal(project: &Project, run: &str) -> PathBuf {
    project.path(&format!(".runner/runs/{run}/journal.jsonl"))
}

#[test]
fn a_run_is_shown_again_as_it_was() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    let first = project.release();
    let report = project.run(&["report"]);
    assert_eq!(report.code, Some(0), "{report}");
    assert!(report.stdout.lines().count() > 3, "{report}");
    assert!(first.stderr.ends_with(&report.stdout), "{first}\n--- and again\n{}", report.stdout);

    // A failure, with what it left behind.
    project.next_version("1.0.1");
    project
        .edit_plan("body = \"${var.version}\", deadline = \"10s\"", "body = \"other\", deadline = \"200ms\"");
    project.lock();
    let failed = project.run(&["exec", "plan.toml", "--environment", "fleet", "--json"]);
    assert_eq!(failed.code, Some(4), "{failed}");
    let (then, now) = (json(&failed), json(&project.run(&["report", "--format", "json"])));
    for key in ["run", "verdict", "release", "targets", "steps", "failures", "journal", "milliseconds"] {
        assert!(!then[key].is_null(), "{key}: {then}");
        assert_eq!(then[key], now[key], "{key}");
    }

    let list = json(&project.run(&["runs", "list", "--json"]));
    let verdicts: Vec<&str> =
        list.as_array().unwrap().iter().map(|run| run["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["done", "failed"], "{list}");
    assert_eq!(list[1]["last-hash"], now["journal"]["last-hash"]);
    let shown = project.run(&["runs", "list"]);
    let lines: Vec<&str> = shown.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{shown}");
    assert!(lines[1].starts_with(first.run()) && lines[1].contains(" done "), "{shown}");
    assert!(lines[2].contains("on 0 of 2 targets"), "{shown}");

    // By the beginning of its id.
    let by_id = project.run(&["report", first.run()]);
    assert_eq!(by_id.stdout, report.stdout);
    project.run(&["report", "2"]).must_say(2, &["`2` is the beginning of 2 runs", "runner runs list"]);
    project.run(&["report", "x"]).must_say(2, &["there is no run `x`"]);

    let log = project.run(&["report", "--format", "log", first.run()]);
    assert!(log.stdout.contains("web-1  switch: `1.0.0-"), "{log}");

    let kept = project.run(&["runs", "prune", "--keep", "1"]);
    kept.must_say(0, &["removed 1 run; 1 left"]);
    assert_eq!(json(&project.run(&["runs", "list", "--json"]))[0]["verdict"], "failed");
}

#[test]
fn a_timeline_has_each_step_on_the_row_of_its_target() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    project.release();
    let trace = json(&project.run(&["report", "--format", "trace"]));
    let events = trace["traceEvents"].as_array().unwrap();
    let row = |name: &str| {
        let is = |event: &&Value| event["name"] == "thread_name" && event["args"]["name"] == name;
        events.iter().find(is).unwrap_or_else(|| panic!("no row {name}: {trace:#}"))["tid"].clone()
    };
    for target in ["web-1", "web-2"] {
        let of = |name: &str| {
            let is = |event: &&Value| event["tid"] == row(target) && event["name"] == name;
            events.iter().find(is).unwrap_or_else(|| panic!("no {name} of {target}: {trace:#}"))
        };
        let (step, effect) = (of("switch"), of("symlink /srv/app/current"));
        let span = |event: &Value| {
            let begin = event["ts"].as_u64().unwrap();
            (begin, begin + event["dur"].as_u64().unwrap())
        };
        // Whole milliseconds.
        assert!(
            span(step).0 <= span(effect).0 + 1000 && span(effect).1 <= span(step).1 + 1000,
            "{step} {effect}"
        );
        assert_eq!((&effect["cat"], &effect["args"]["end"]), (&"effect".into(), &"done".into()));
    }
}

#[test]
fn a_run_that_was_killed_says_so_and_stays() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let project = Project::new(&fleet);
    project.lock();
    let running = project.begin();
    running.wait_for("step-started", "distribute");
    running.signal("KILL");
    let folder = running.end_of_killed();
    let run = folder.file_name().unwrap().to_str().unwrap();
    project.run(&["report"]).must_say(3, &["never came to its end", "--format log"]);
    let log = project.run(&["report", "--format", "log"]);
    assert!(log.stdout.contains("distribute: started"), "{log}");
    let list = project.run(&["runs", "list"]);
    assert!(list.stdout.lines().nth(1).unwrap().contains(" never "), "{list}");
    project.run(&["runs", "prune", "--keep", "0"]).must_say(0, &[&format!("{run} stays"), "removed 0 runs"]);
    assert!(folder.exists());
}

#[test]
fn whatever_was_done_to_a_journal_is_found() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let project = Project::new(&fleet);
    let ran = project.release();
    let file = journal(&project, ran.run());
    let whole = fs::read_to_string(&file).unwrap();
    let last = json(&project.run(&["report", "--format", "json"]))["journal"]["last-hash"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(project.run(&["report", "--last-hash", &last]).code, Some(0));

    // Lines that are gone whole prove nothing by themselves.
    let lines: Vec<&str> = whole.lines().collect();
    fs::write(&file, format!("{}\n", lines[..lines.len() - 1].join("\n"))).unwrap();
    assert_eq!(project.run(&["report"]).code, Some(0));
    project
        .run(&["report", "--last-hash", &last])
        .must_say(3, &["ends with another line than the run did", "are missing"]);

    // A torn line was never durable.
    fs::write(&file, &whole[..whole.len() - 20]).unwrap();
    project.run(&["report"]).must_say(0, &["is torn"]);

    // A letter that somebody changed is found, whichever line it is in.
    for line in [0, lines.len() / 2, lines.len() - 1] {
        let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        changed[line] = changed[line].replacen("\"at\":", "\"at\":1", 1);
        fs::write(&file, changed.join("\n") + "\n").unwrap();
        let report = project.run(&["report", "--format", "log"]);
        assert_eq!(report.code, Some(3), "line {line}: {report}");
        assert!(report.stderr.contains(&format!("line {} of the journal is broken", line + 1)), "{report}");
    }
}

#[test]
fn status_is_what_the_targets_say_now() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    let empty = project.run(&["status", "--environment", "fleet"]);
    assert_eq!(empty.code, Some(0), "{empty}");
    assert!(empty.stdout.lines().skip(1).all(|line| line.contains("nothing")), "{empty}");
    let ran = project.release();
    let status = json(&project.run(&["status", "--environment", "fleet", "--json"]));
    for target in status.as_array().unwrap() {
        assert_eq!(target["live"]["run"], ran.run(), "{status}");
        assert_eq!((&target["live"]["mark"], &target["releases"]), (&"good".into(), &1.into()), "{status}");
    }
    // Asking changes nothing, and needs no lock.
    assert_eq!(project.exec().effects().len(), 0);
    fleet.host(2).stop_sshd().unwrap();
    let half = project.run(&["status", "--environment", "fleet"]);
    assert_eq!(half.code, Some(5), "{half}");
    assert!(half.stdout.lines().any(|line| line.starts_with("web-1   1.0.0-")), "{half}");
    assert!(half.stdout.lines().any(|line| line.starts_with("web-2   unknown")), "{half}");
    half.must_say(5, &["connect to web-2", "start its sshd"]);
}
