//! What targets say of themselves: it fills the plan in, once in a run, and garbage gets nowhere.

use crate::support::Project;
use runner_fleet::{Fleet, Host, fleet_or_skip};
use runner_journal::{Entry, Payload};
use serde_json::Value;

const PLAN: &str = r#"plan = 1
name = "facts"

[modules]
std = "builtin"

[environment.fleet]
inventory = "fleet.toml"

[release]
root = "/srv/app"

[strategy]
role = "web"
batches = ["100%"]

[[rollout]]
id = "one"
uses = "std/command"
with = { argv = ["/usr/bin/printf", "%s", "${target.facts.os}/${target.facts.arch}"], effect = "read", directory = "/srv/app" }

[[rollout]]
id = "two"
uses = "std/command"
with = { argv = ["/usr/bin/printf", "%s", "${target.facts.hostname}"], effect = "read", directory = "/srv/app" }

[[rollout]]
id = "three"
uses = "std/command"
with = { argv = ["/usr/bin/printf", "%s", "${target.facts.distribution} ${target.facts.has-tar} ${target.facts.has-no_such_thing}"], effect = "read", directory = "/srv/app" }
"#;

fn project(fleet: &Fleet) -> Project {
    let project = Project::new(fleet);
    let root = fleet.host(1).root().display().to_string();
    project.write("plan.toml", &PLAN.replace("/srv/app", &root));
    project
}

/// What the journal has of a target.
fn facts(entries: &[Entry], name: &str) -> Vec<Value> {
    let of = |entry: &Entry| match entry {
        Entry::Facts { target, facts: Payload::Inline(facts) } if target.as_str() == name => {
            Some(facts.clone())
        }
        _ => None,
    };
    entries.iter().filter_map(of).collect()
}

/// What a command was given, at last.
fn last_argument(entries: &[Entry], step: &str, target: &str) -> String {
    entries
        .iter()
        .find_map(|entry| match entry {
            Entry::InvocationStarted { step: s, target: t, params: Payload::Inline(params), .. }
                if s.as_str() == step && t.as_str() == target =>
            {
                params["argv"].as_array()?.last()?.as_str().map(str::to_owned)
            }
            _ => None,
        })
        .unwrap_or_else(|| panic!("{step} did not begin on {target}"))
}

#[test]
fn facts_fill_in_the_plan_and_are_asked_for_once() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = project(&fleet);
    project.lock();
    let lock = std::fs::read_to_string(project.path("plan.lock")).unwrap();
    assert!(lock.contains("${target.facts.hostname}"), "the lock is for every target: {lock}");
    let ran = project.exec();
    assert_eq!(ran.code, Some(0), "{ran}");
    for host in fleet.hosts() {
        let all = facts(&ran.entries, host.name());
        let mut names: Vec<&String> =
            all.iter().flat_map(|facts| facts.as_object().unwrap().keys()).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "each once: {all:?}");
        let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
        assert_eq!(names, ["arch", "distribution", "has-no_such_thing", "has-tar", "hostname", "os"]);
        if fleet.isolated() {
            assert_eq!(last_argument(&ran.entries, "two", host.name()), host.name());
        }
        let three = last_argument(&ran.entries, "three", host.name());
        assert!(three.ends_with(" true false"), "{three}");
    }
}

/// `/etc/os-release` of a host says this.
fn os_release(host: &Host, text: &str) {
    let script = "printf %s \"$1\" > /run/os-release; mount --bind /run/os-release /etc/os-release";
    host.inside(&["sh", "-euc", script, "sh", text]).unwrap();
}

#[test]
fn a_target_that_answers_garbage_is_refused_and_the_others_go_on() {
    let fleet = fleet_or_skip!(Fleet::start(5));
    if !fleet.isolated() {
        eprintln!("SKIPPED: a_target_that_answers_garbage_is_refused_and_the_others_go_on: it needs root");
        return;
    }
    let project = project(&fleet);
    project.edit_plan("batches = [\"100%\"]", "batches = [\"100%\"]\nmax-failures = 4");
    os_release(fleet.host(1), "ID=../../../etc\n");
    os_release(fleet.host(2), "ID=\u{1b}[2Jred\n");
    os_release(fleet.host(3), "ID='$(id)' ${run.id}\n");
    // A megabyte without an end of line.
    let script = "{ printf ID=; head -c 1000000 /dev/zero | tr '\\0' x; echo; } > /run/os-release; \
                  mount --bind /run/os-release /etc/os-release";
    fleet.host(4).inside(&["sh", "-euc", script]).unwrap();
    project.lock();
    let ran = project.exec();
    ran.must_say(4, &["learn `distribution` of web-1", "one word of letters, digits"]);
    assert!(!ran.stderr.contains('\u{1b}'), "{ran}");
    for name in ["web-1", "web-2", "web-3", "web-4"] {
        let known: Vec<Value> = facts(&ran.entries, name);
        assert!(known.iter().all(|facts| facts.get("distribution").is_none()), "{name}: {known:?}");
        let began = ran.entries.iter().any(|entry| {
            matches!(entry, Entry::InvocationStarted { step, target, .. } if step.as_str() == "three" && target.as_str() == name)
        });
        assert!(!began, "{name}");
        assert_ne!(ran.end_of(name), "done", "{name}");
    }
    assert_eq!(ran.end_of("web-5"), "done");
}
