//! `resume --undo`: what comes back, what is left alone, and what is named for a person.

use crate::support::{PATIENCE, Project, current, restarts, version};
use runner_fleet::{Fleet, Host, fleet_or_skip};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

const STEPS: &str = r#"
[[rollout]]
id = "config"
uses = "std/files"
with.files = [
  { path = "/srv/app/a.conf", content = "new\n", mode = "0640" },
  { path = "/srv/app/b.conf", content = "new\n" },
  { path = "/srv/app/deep/er", folder = true },
  { path = "/srv/app/deep/er/c.conf", content = "new\n" },
  { path = "/srv/app/old.conf", absent = true },
]

[[rollout]]
id = "made"
uses = "std/command"
with = { argv = ["mkdir", "/srv/app/made"], effect = "change", undo = ["rmdir", "/srv/app/made"], creates = "/srv/app/made" }

[[rollout]]
id = "migrate"
uses = "std/command"
with = { argv = ["touch", "/srv/app/migrated"] }

[[rollout]]
id = "reload"
uses = "std/command"
with = { argv = ["tee", "-a", "/srv/app/signals"], stdin = "x", effect = "signal" }

[[rollout]]
id = "fails"
uses = "std/command"
with = { argv = ["false"], effect = "read" }
"#;

fn text(host: &Host, path: &str) -> Option<String> {
    fs::read_to_string(host.outside(host.root().join(path))).ok()
}

fn mode(host: &Host, path: &str) -> u32 {
    fs::metadata(host.outside(host.root().join(path))).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_comes_back_what_is_left_alone_and_what_is_named() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let host = fleet.host(1);
    let project = Project::new(&fleet);
    project.steps(STEPS);
    for name in ["a", "b", "old"] {
        host.put(&format!("{name}.conf"), &format!("{name}\n")).unwrap();
    }
    let failed = project.lock_and_exec();
    failed.must_say(4, &["`false` ended with status 1", "runner resume", "--undo"]);
    assert_eq!(text(host, "a.conf").as_deref(), Some("new\n"));
    host.put("b.conf", "by hand\n").unwrap();

    let undone = project.run(&["resume", "--undo", "--json"]);
    assert_eq!(undone.code, Some(7), "{undone}");
    let report: Value = serde_json::from_str(&undone.stdout).unwrap();
    let end_of = |what: &str| -> String {
        let effects = report["effects"].as_array().unwrap();
        let found = effects.iter().find(|effect| effect["act"].to_string().contains(what));
        found.unwrap_or_else(|| panic!("no `{what}`: {report:#}"))["end"]["is"].as_str().unwrap().to_owned()
    };
    let ends = ["a.conf", "b.conf", "c.conf", "old.conf", "mkdir /srv/app/made", "touch", "tee"].map(end_of);
    assert_eq!(ends, ["done", "conflict", "done", "done", "done", "manual", "done"], "{report:#}");
    let there = ["a.conf", "b.conf", "old.conf", "migrated", "signals"].map(|name| text(host, name));
    let there: Vec<_> = there.iter().map(Option::as_deref).collect();
    assert_eq!(there, [Some("a\n"), Some("by hand\n"), Some("old\n"), Some(""), Some("xx")]);
    assert_eq!(mode(host, "a.conf"), 0o644);
    assert!(
        !host.outside(host.root().join("deep")).exists() && !host.outside(host.root().join("made")).exists()
    );

    // What is named is done by hand, and then the rest is undone.
    project.run(&["resume"]).must_say(3, &["is undone in part"]);
    host.put("b.conf", "new\n").unwrap();
    let undone = project.run(&["resume", "--undo"]);
    assert_eq!(undone.code, Some(7), "{undone}");
    assert!(undone.stdout.contains("on web-1: run touch /srv/app/migrated (manual)"), "{undone}");
    assert_eq!(text(host, "b.conf").as_deref(), Some("b\n"));
}

#[test]
fn a_release_that_failed_its_smoke_test_is_taken_back() {
    let fleet = fleet_or_skip!(Fleet::start(3));
    let project = Project::new(&fleet);
    project.release();
    let before: Vec<_> = fleet.hosts().iter().map(current).collect();
    fleet.host(1).answer("/version.txt", "broken").unwrap();
    project.edit_plan("deadline = \"10s\"", "deadline = \"1s\"");
    project.next_version("1.0.1");
    project.lock_and_exec().must_say(4, &["smoke-test", "web-1"]);
    assert_ne!(current(fleet.host(1)), before[0]);
    fleet.host(1).fix_service().unwrap();

    let undone = project.run(&["resume", "--undo"]);
    undone.must_say(0, &[]);
    assert!(undone.stdout.contains("is undone: "), "{undone}");
    for (host, before) in fleet.hosts().iter().zip(before) {
        assert_eq!((version(host), current(host)), ("1.0.0".to_owned(), before));
        let releases = fs::read_dir(host.outside(host.root().join("releases"))).unwrap().count();
        assert_eq!(releases, 1, "what was laid out is gone");
    }
    let asked = fleet.hosts().iter().map(restarts).collect::<Vec<_>>();
    assert_eq!(asked, [3, 1, 1], "only what had been asked to load the new files loads the old ones");
    project.run(&["resume", "--undo"]).must_say(3, &["is undone"]);
    let listed = project.run(&["runs", "list"]);
    assert!(listed.stdout.contains("undone"), "{listed}");
}

#[test]
fn a_secret_comes_back_and_its_copy_is_as_closed_as_it_was() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let host = fleet.host(1);
    let mut project = Project::new(&fleet);
    project.write("token.j2", "token = {{ secrets.token }}\n");
    project.steps(
        "[secrets]\ntoken = { env = \"THE_TOKEN\" }\n\n[[rollout]]\nid = \"token\"\nuses = \"std/template\"\n\
         secrets = [\"token\"]\nwith = { source = \"token.j2\", to = \"/srv/app/token\", secrets = [\"token\"] }\n\n\
         [[rollout]]\nid = \"fails\"\nuses = \"std/command\"\nwith = { argv = [\"false\"], effect = \"read\" }\n",
    );
    project.env = vec![("THE_TOKEN".to_owned(), "correct-horse-battery".to_owned())];
    host.put("token", "token = the-old-one\n").unwrap();
    fs::set_permissions(host.outside(host.root().join("token")), fs::Permissions::from_mode(0o600)).unwrap();

    let failed = project.lock_and_exec();
    assert_eq!(failed.code, Some(4), "{failed}");
    assert_eq!(text(host, "token").as_deref(), Some("token = correct-horse-battery\n"));
    let run = host.outside(host.root().join(".runner/runs").join(failed.run()));
    let copies: Vec<_> = fs::read_dir(run.join("undo")).unwrap().flatten().collect();
    assert_eq!(copies.len(), 1, "{copies:?}");
    let closed = fs::metadata(copies[0].path()).unwrap().permissions().mode() & 0o077;
    assert_eq!(closed, 0, "others may not enter where the copy is");

    let undone = project.run(&["resume", "--undo"]);
    assert_eq!(undone.code, Some(0), "{undone}");
    assert_eq!((text(host, "token").as_deref(), mode(host, "token")), (Some("token = the-old-one\n"), 0o600));
    assert_eq!(fs::read_dir(run.join("undo")).unwrap().count(), 0, "nothing is kept of it");
    for kept in [undone.stdout, undone.stderr, fs::read_to_string(run.join("intents.jsonl")).unwrap()] {
        assert!(!kept.contains("horse") && !kept.contains("the-old-one"), "{kept}");
    }
}

#[test]
fn an_undo_that_is_interrupted_says_what_is_left_and_is_gone_on_with() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let host = fleet.host(1);
    let project = Project::new(&fleet);
    project.steps(
        r#"
[[rollout]]
id = "config"
uses = "std/files"
with.files = [{ path = "/srv/app/a.conf", content = "new\n" }]

[[rollout]]
id = "made"
uses = "std/command"
with = { argv = ["mkdir", "/srv/app/made"], effect = "change", undo = ["sh", "-c", "cd /srv/app; [ -e go ] || { echo > undoing; sleep 100 & wait; }; rmdir made"] }

[[rollout]]
id = "fails"
uses = "std/command"
with = { argv = ["false"], effect = "read" }
"#,
    );
    host.put("a.conf", "a\n").unwrap();
    let failed = project.lock_and_exec();
    assert_eq!(failed.code, Some(4), "{failed}");

    let mut running = project.start(&["resume", "--undo"]);
    let begun = Instant::now();
    while text(host, "undoing").is_none() {
        assert!(begun.elapsed() < PATIENCE, "it does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    running.signal("INT");
    running.wait_for_word("interrupted: ");
    running.signal("INT");
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{ended}");
    let left = |what: &str, why: &str| {
        let line = ended.stdout.lines().find(|line| line.contains(what));
        assert!(line.is_some_and(|line| line.contains(why)), "{what}: {ended}");
    };
    left("run mkdir /srv/app/made", "cancelled");
    left("write /srv/app/a.conf", "interrupted before it was undone");
    assert_eq!(text(host, "a.conf").as_deref(), Some("new\n"));
    let made = host.outside(host.root().join("made"));
    assert!(made.exists(), "what was cut off does not go on");

    host.put("go", "").unwrap();
    let undone = project.run(&["resume", "--undo"]);
    undone.must_say(0, &[]);
    assert_eq!((text(host, "a.conf").as_deref(), made.exists()), (Some("a\n"), false), "{undone}");
}

#[test]
fn a_journal_allows_nothing() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let host = fleet.host(1);
    let mut project = Project::new(&fleet);
    project.steps(STEPS);
    for name in ["a", "b", "old"] {
        host.put(&format!("{name}.conf"), &format!("{name}\n")).unwrap();
    }
    let failed = project.lock_and_exec();
    assert_eq!(failed.code, Some(4), "{failed}");
    host.put("theirs.conf", "new\n").unwrap();

    // Somebody who may write beside the plan lets it say something else.
    project.rewrite(failed.run(), |entry| {
        let forged = serde_json::to_string(entry).unwrap();
        let mut forged = forged
            .replace("/srv/app/a.conf", "/srv/app/theirs.conf")
            .replace(r#"["rmdir","/srv/app/made"]"#, r#"["touch","/srv/app/forged"]"#)
            .replace(r#""-a","/srv/app/signals""#, r#""-a","/srv/app/forged""#);
        if forged.contains(r#""path":"/srv/app/b.conf""#) {
            forged = forged.replace(r#""folders":0"#, r#""folders":0,"user":"root""#);
        }
        *entry = serde_json::from_str(&forged).unwrap();
    });
    let undone = project.run(&["resume", "--undo"]);
    assert_eq!(undone.code, Some(7), "{undone}");
    let refused: Vec<_> =
        undone.stdout.lines().filter(|line| line.contains("it may not be done by the runner")).collect();
    let named = ["theirs.conf", "b.conf", "mkdir /srv/app/made", "tee -a /srv/app/signals"];
    for name in named {
        assert!(refused.iter().any(|line| line.contains(name)), "{name}: {undone}");
    }
    let there = ["a.conf", "b.conf", "theirs.conf", "forged"].map(|name| text(host, name));
    let there: Vec<_> = there.iter().map(Option::as_deref).collect();
    assert_eq!(there, [Some("new\n"), Some("new\n"), Some("new\n"), None], "{undone}");
    assert_eq!(text(host, "old.conf").as_deref(), Some("old\n"), "what was granted is undone");

    // And the operator has the last word on what is.
    project.write(
        "policy.toml",
        "policy = 1\n\n[environment.\"*\"]\ndeny = { ssh = [\"write:/srv/app/old.conf\"] }\n",
    );
    project.env.push(("RUNNER_POLICY".into(), project.path("policy.toml").to_str().unwrap().to_owned()));
    project.run(&["resume", "--undo"]).must_say(3, &["/srv/app/old.conf", "policy"]);
}
