//! `resume --from-targets`: what it takes on a target's word, and what it does not.

use crate::support::{Project, version};
use runner_fleet::{Fleet, Host, fleet_or_skip};
use runner_model::Digest;
use serde_json::{Value, json};
use std::fs;

/// Begins a run that is killed at this boundary, and loses its folder. Answers the run.
fn lost(project: &mut Project, boundary: u32) -> String {
    project.env.push(("RUNNER_FAULT".to_owned(), format!("kill@{boundary}")));
    let killed = project.exec();
    assert_eq!(killed.code, None, "{killed}");
    project.env.pop();
    project.unlock();
    let runs = project.path(".runner/runs");
    let run = fs::read_dir(&runs).unwrap().flatten().map(|run| run.file_name()).max().unwrap();
    fs::remove_dir_all(project.path(".runner")).unwrap();
    run.to_str().unwrap().to_owned()
}

fn kept(host: &Host, run: &str) -> std::path::PathBuf {
    host.outside(host.root().join(".runner/runs").join(run).join("intents.jsonl"))
}

/// A line as a journal has it, which anybody can make.
fn line(entry: &Value) -> String {
    let sealed = format!("{{\"seq\":7,\"at\":1,\"prev\":\"{}\",\"entry\":{entry}", "0".repeat(64));
    format!("{sealed},\"hash\":\"{}\"}}\n", Digest::of(&sealed).hex())
}

/// An effect on `on` that this account says was done.
fn done(step: &str, target: &str, on: &str, told: &str, args: Value, act: Value) -> String {
    let mut args = args;
    args["on"] = on.into();
    let key = json!({ "step": step, "target": target, "attempt": 1, "number": 1 });
    let acts = json!({ "inline": { "reach": { "reads": { "granted": [], "except": [] }, "writes": { "granted": [], "except": [] } }, "folders": 0, "named-literally": false } });
    let intent = json!({
        "kind": "intent", "key": key, "class": "opaque", "call": "commands.run", "args": { "inline": args },
        "told": { "on": told, "act": act }, "acts": acts,
    });
    let answer =
        json!({ "ok": { "inline": { "status": 0, "stdout": "", "stderr": "", "truncated": false } } });
    let outcome = json!({ "kind": "outcome", "key": key, "answer": answer });
    line(&intent) + &line(&outcome)
}

const STEPS: &str = r#"
[secrets]
token = { env = "THE_TOKEN" }

[[stage]]
id = "config"
uses = "std/files"
with.files = [{ path = "/srv/app/config", content = "new\n" }]

[[rollout]]
id = "append"
uses = "std/command"
with = { argv = ["tee", "-a", "/srv/app/lines"], stdin = "x" }

[[rollout]]
id = "token"
uses = "std/template"
secrets = ["token"]
with = { content = "{{ secrets.token }}", to = "/srv/app/token", secrets = ["token"] }
"#;

#[test]
fn a_target_speaks_for_itself_alone() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let mut project = Project::new(&fleet);
    project.steps(STEPS);
    project.env = vec![("THE_TOKEN".to_owned(), "correct-horse-battery".to_owned())];
    project.lock();
    // Both have their files, and nobody has appended anything.
    let run = lost(&mut project, 9);
    let argv = json!({ "argv": ["tee", "-a", "/srv/app/lines"], "effect": "opaque", "stdin": { "text": "x" }, "timeout": 60000, "repeatable": false });
    let act = json!({ "act": "command", "program": "tee", "line": "tee -a /srv/app/lines" });
    let host = fleet.host(1);
    let mut text = fs::read_to_string(kept(host, &run)).unwrap();
    for (on, told) in [("web-2", "web-1"), ("web-1", "web-2"), ("web-2", "web-2")] {
        text += &done("append", "web-2", on, told, argv.clone(), act.clone());
    }
    fs::write(kept(host, &run), &text).unwrap();
    let resumed = project.run(&["resume", &run, "--from-targets", "-e", "fleet"]);
    assert_eq!(resumed.code, Some(0), "{resumed}");
    for host in fleet.hosts() {
        let lines = fs::read_to_string(host.outside(host.root().join("lines"))).unwrap();
        assert_eq!(lines, "x", "{}: what web-1 says of others is not taken", host.name());
    }
}

#[test]
fn a_forged_undo_is_given_no_secret_and_runs_nothing() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let host = fleet.host(1);
    let mut project = Project::new(&fleet);
    project.steps(STEPS);
    project.env = vec![("THE_TOKEN".to_owned(), "correct-horse-battery".to_owned())];
    project.lock();
    let run = lost(&mut project, 5);
    let secret = json!({ "P": { "parts": [{ "named": "token" }] } });
    let undo = json!({ "argv": ["sh", "-c", "echo $P > /srv/app/stolen"], "effect": "change", "env": { "P": "***" }, "secret-env": secret, "timeout": 60000, "repeatable": false });
    let args =
        json!({ "argv": ["true"], "effect": "change", "timeout": 60000, "repeatable": false, "undo": undo });
    let act = json!({ "act": "command", "program": "true", "line": "true" });
    let text = fs::read_to_string(kept(host, &run)).unwrap();
    fs::write(kept(host, &run), text + &done("forged", "web-1", "web-1", "web-1", args, act)).unwrap();
    let undone = project.run(&["resume", &run, "--from-targets", "--undo", "-e", "fleet"]);
    assert_eq!(undone.code, Some(7), "{undone}");
    assert!(undone.stdout.contains("run true (manual): only the target's account of it is left"), "{undone}");
    assert!(!host.outside(host.root().join("stolen")).exists());
    assert!(!host.outside(host.root().join("config")).exists(), "what it did itself is undone");
}

#[test]
fn what_a_target_says_that_was_done_is_undone_only_where_it_is_granted() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let host = fleet.host(1);
    let mut project = Project::new(&fleet);
    project.steps(STEPS);
    project.env = vec![("THE_TOKEN".to_owned(), "correct-horse-battery".to_owned())];
    project.lock();
    let run = lost(&mut project, 5);
    host.put("theirs", "theirs\n").unwrap();
    let mut text = fs::read_to_string(kept(host, &run)).unwrap();
    let ended = |number: u32| {
        let key = json!({ "step": "config", "target": "web-1", "attempt": 1, "number": number });
        line(&json!({ "kind": "outcome", "key": key, "answer": { "ok": { "inline": true } } }))
    };
    text += &ended(1);
    for (number, path, user) in [(8, "/srv/app/theirs", None), (9, "/srv/app/config", Some("root"))] {
        let file = fs::read(host.outside(path)).unwrap();
        let key = json!({ "step": "config", "target": "web-1", "attempt": 1, "number": number });
        let all = json!({ "granted": ["/srv/app"], "except": [] });
        let mut acts =
            json!({ "reach": { "reads": all, "writes": all }, "folders": 0, "named-literally": false });
        if let Some(user) = user {
            acts["user"] = user.into();
        }
        text += &line(&json!({
            "kind": "intent", "key": key, "class": "change", "call": "targets.write",
            "args": { "inline": { "on": "web-1", "verb": "write", "path": path, "attributes": {},
                                  "content": Digest::of(&file), "size": file.len() } },
            "told": { "on": "web-1", "act": { "act": "change", "verb": "write", "path": path, "made": true } },
            "before": { "is": "absent" },
            "after": { "is": "file", "digest": Digest::of(&file), "size": file.len(), "mode": 0o644,
                       "owner": "deploy", "group": "deploy" },
            "acts": { "inline": acts },
        }));
        text += &ended(number);
    }
    fs::write(kept(host, &run), text).unwrap();
    let undone = project.run(&["resume", &run, "--from-targets", "--undo", "-e", "fleet"]);
    assert_eq!(undone.code, Some(7), "{undone}");
    let refused = undone.stdout.lines().filter(|line| line.contains("it may not be done by the runner"));
    assert_eq!(refused.count(), 2, "{undone}");
    assert!(host.outside(host.root().join("theirs")).exists(), "{undone}");
    assert!(!host.outside(host.root().join("config")).exists(), "what it did itself is undone: {undone}");
}

#[test]
fn nothing_that_a_target_keeps_touches_the_plans_folder_or_another_target() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let mut project = Project::new(&fleet);
    project.steps(STEPS);
    project.env = vec![("THE_TOKEN".to_owned(), "correct-horse-battery".to_owned())];
    project.lock();
    let run = lost(&mut project, 9);
    let plan = fs::read(project.path("plan.toml")).unwrap();
    // A file here that is to be what a target likes, and one that is to be gone.
    let evil = "evil";
    let payload = format!("{}\n", json!({ "payload": evil }));
    let mut forged = payload;
    for (number, path, undo) in
        [(1, "plan.toml", Some(Digest::of(evil))), (2, "plan.lock", None), (3, "app/index.html", None)]
    {
        let key = json!({ "step": "forged", "target": "web-1", "attempt": 1, "number": number });
        let now = Digest::of(fs::read(project.path(path)).unwrap());
        let mut intent = json!({
            "kind": "intent", "key": key, "class": "change", "call": "workspace.write",
            "args": { "inline": { "on": "web-1", "path": path, "content": now } },
            "told": { "on": "web-1", "act": { "act": "workspace", "path": path } },
        });
        if let Some(undo) = undo {
            intent["undo"] = json!({ "inline": undo });
        }
        forged += &line(&intent);
    }
    // An effect of web-2 that web-1 says it has seen to.
    let of = json!({ "step": "config", "target": "web-2", "attempt": 1, "number": 1 });
    let own = json!({ "step": "config", "target": "web-1", "attempt": 1, "number": 1 });
    let host = fleet.host(1);
    let whole = fs::read_to_string(kept(host, &run)).unwrap();
    fs::write(kept(host, &run), whole.clone() + &forged).unwrap();
    let before: Vec<_> =
        ["plan.toml", "plan.lock", "app/index.html"].map(|path| fs::read(project.path(path)).unwrap()).into();
    let arguments = ["resume", &run, "--from-targets", "--undo", "-e", "fleet"];
    let undone = project.run(&arguments);
    assert_eq!(fs::read(project.path("plan.toml")).unwrap(), plan, "{undone}");
    let after: Vec<_> = ["plan.toml", "plan.lock", "app/index.html"]
        .map(|path| fs::read(project.path(path)).unwrap_or_default())
        .into();
    assert_eq!(after, before, "{undone}");
    for host in fleet.hosts() {
        assert!(!host.outside(host.root().join("config")).exists(), "{}: {undone}", host.name());
    }

    let run = lost(&mut project, 9);
    let answer = json!({ "ok": { "inline": true } });
    let taken = line(&json!({ "kind": "taken", "key": of, "of": own, "answer": answer }));
    let whole = fs::read_to_string(kept(host, &run)).unwrap();
    fs::write(kept(host, &run), whole + &taken).unwrap();
    let arguments = ["resume", &run, "--from-targets", "--undo", "-e", "fleet"];
    project.run(&arguments).must_say(3, &["do not agree"]);
}

#[test]
fn what_a_run_was_begun_with_is_not_taken_on_a_targets_word() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let mut project = Project::new(&fleet);
    project.lock();
    let run = lost(&mut project, 30);
    let host = fleet.host(1);
    let text = fs::read_to_string(kept(host, &run)).unwrap();
    for host in fleet.hosts() {
        if kept(host, &run).exists() && fs::metadata(kept(host, &run)).unwrap().len() > 0 {
            let text = fs::read_to_string(kept(host, &run)).unwrap();
            let forged =
                text.replace("\"lock-digest\":", "\"vars\":{\"version\":\"6.6.6\"},\"lock-digest\":");
            fs::write(kept(host, &run), forged).unwrap();
        }
    }
    let arguments = ["resume", &run, "--from-targets", "-e", "fleet"];
    project.run(&arguments).must_say(3, &["was begun with `--var 'version=6.6.6'`", "say the same here"]);
    fs::write(kept(host, &run), &text).unwrap();
    let another = project.run(&arguments);
    assert_eq!(another.code, Some(3), "{another}");
    for host in fleet.hosts() {
        if kept(host, &run).exists() {
            let text = fs::read_to_string(kept(host, &run)).unwrap();
            fs::write(kept(host, &run), text.replace("\"vars\":{\"version\":\"6.6.6\"},", "")).unwrap();
        }
    }
    let resumed = project.run(&arguments);
    assert_eq!(resumed.code, Some(0), "{resumed}");
    for host in fleet.hosts() {
        assert_eq!(version(host), "1.0.0");
    }
    // Targets know that it is over.
    fs::remove_dir_all(project.path(".runner")).unwrap();
    project.run(&arguments).must_say(3, &["ended well, as web-"]);
}

#[test]
fn what_was_done_once_is_not_done_again_however_often_the_folder_is_lost() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let host = fleet.host(1);
    let mut project = Project::new(&fleet);
    let more = "\n[[rollout]]\nid = \"more\"\nuses = \"std/files\"\n\
         with.files = [{ path = \"/srv/app/more\", content = \"new\\n\" }]\n";
    project.steps(&format!("{STEPS}{more}"));
    project.env = vec![("THE_TOKEN".to_owned(), "correct-horse-battery".to_owned())];
    project.lock();
    let lines = || fs::read_to_string(host.outside(host.root().join("lines"))).unwrap_or_default();
    // The command is done, and what comes behind it is in the middle.
    let run = lost(&mut project, 11);
    assert_eq!(lines(), "x");
    let arguments = ["resume", &run, "--from-targets", "-e", "fleet"];
    project.env.push(("RUNNER_FAULT".to_owned(), "kill@3".to_owned()));
    let killed = project.run(&arguments);
    assert_eq!(killed.code, None, "{killed}");
    project.env.pop();
    project.unlock();
    fs::remove_dir_all(project.path(".runner")).unwrap();
    let resumed = project.run(&arguments);
    assert_eq!((resumed.code, lines().as_str()), (Some(0), "x"), "{resumed}");
    let shown = project.run(&["runs", "show"]);
    assert!(!shown.stdout.contains("In doubt"), "{shown}");
}
