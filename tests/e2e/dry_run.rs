//! A dry run cannot lie: nothing on a target changes, and `exec` does exactly what was listed, up to where it said that
//! nobody can know.

use crate::support::{Project, Ran, restarts, version};
use runner_fleet::{Fleet, Host, fleet_or_skip};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

/// All that is on a host's disk below its root, with times: the runner's own folder too.
fn everything(host: &Host) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![host.outside(host.root())];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let meta = fs::symlink_metadata(entry.path()).unwrap();
            if meta.is_dir() {
                folders.push(entry.path());
            }
            let what =
                (meta.ino(), meta.mode(), meta.uid(), meta.size(), meta.mtime_nsec(), meta.ctime_nsec());
            found.insert(entry.path().display().to_string(), format!("{what:?}"));
        }
    }
    found
}

fn dry_run(project: &Project) -> Ran {
    let arguments =
        ["exec", "plan.toml", "--environment", "fleet", "--dry-run", "--json", "--events", "events.jsonl"];
    project.run(&arguments)
}

/// Effects as they were told: which, by whom, what they make different; not when, and not what became of them.
fn effects(ran: &Ran) -> BTreeMap<String, Vec<String>> {
    let mut by_invocation: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in ran.events_of("effect") {
        let name = format!("{} {} {}", event["target"], event["step"], event["attempt"]);
        let what = format!(
            "{} on {}: {} {} {}",
            event["number"], event["on"], event["class"], event["act"], event["difference"]
        );
        by_invocation.entry(name).or_default().push(what);
    }
    by_invocation
}

#[test]
fn nothing_changes_and_then_exactly_that_is_done() {
    let fleet = fleet_or_skip!(Fleet::start(3));
    let project = Project::new(&fleet);
    project.release();
    project.next_version("1.0.1");
    project.lock();
    let before: Vec<_> = fleet.hosts().iter().map(everything).collect();
    let runs = fs::read_dir(project.path(".runner/runs")).unwrap().count();
    let dry = dry_run(&project);
    assert_eq!(dry.code, Some(0), "{dry}");
    for (host, before) in fleet.hosts().iter().zip(&before) {
        assert_eq!(&everything(host), before, "{}", host.name());
        assert_eq!((version(host).as_str(), restarts(host)), ("1.0.0", 1));
    }
    assert_eq!(fs::read_dir(project.path(".runner/runs")).unwrap().count(), runs, "it is no run");
    let list: Value = serde_json::from_str(&dry.stdout).unwrap();
    let target = &list["targets"][0];
    let steps = |kind: &str| -> Vec<&str> {
        let does = target["does"].as_array().unwrap().iter();
        does.filter_map(|told| told[kind]["step"].as_str()).collect()
    };
    assert_eq!(steps("effect"), ["backup", "backup", "distribute", "switch", "restart"], "{target:#}");
    assert_eq!(steps("unknown"), ["smoke-test"], "{target:#}");

    let listed = effects(&dry);
    let arguments = ["exec", "plan.toml", "--environment", "fleet", "--diff", "--events", "events.jsonl"];
    let real = project.run(&arguments);
    assert_eq!(real.code, Some(0), "{real}");
    let done = effects(&real);
    let unknown: Vec<String> = dry
        .events_of("step-finished")
        .filter(|event| event["end"]["end"] == "unknown")
        .map(|event| format!("{} {} {}", event["target"], event["step"], event["attempt"]))
        .collect();
    assert_eq!(unknown.len(), 3, "{unknown:?}");
    let mut compared = 0;
    for (invocation, effects) in &done {
        let planned = listed.get(invocation).map_or(&[][..], Vec::as_slice);
        if unknown.contains(invocation) {
            assert!(effects.starts_with(planned), "{invocation}: {planned:?} {effects:?}");
        } else {
            let (planned, effects) = (without_times(planned), without_times(effects));
            assert_eq!(planned, effects, "{invocation}");
        }
        compared += effects.len();
    }
    assert!(listed.keys().all(|invocation| done.contains_key(invocation)), "{listed:?} {done:?}");
    eprintln!("dry run: {compared} effects compared");

    // What is in place already is not listed, and then what asks the service is no longer unknown.
    let again = dry_run(&project);
    let list: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(again.code, Some(0), "{again}");
    for target in list["targets"].as_array().unwrap() {
        assert_eq!(target["does"], Value::Array(vec![]), "{target}");
    }
}

/// The name of an archive has the time in it.
fn without_times(effects: &[String]) -> Vec<String> {
    let digits = |text: &String| text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    effects
        .iter()
        .map(|effect| if effect.contains("archive") { digits(effect) } else { effect.clone() })
        .collect()
}

#[test]
fn it_shows_what_people_need_to_see() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let host = fleet.host(1);
    let project = Project::new(&fleet);
    project.steps(
        r#"
[[rollout]]
id = "config"
uses = "std/files"
with.files = [{ path = "/srv/app/shop.conf", content = "workers = 4\nname = ${target.name}\n" }]

[[rollout]]
id = "migrate"
uses = "std/command"
with = { argv = ["touch", "migrated"], directory = "/srv/app" }

[[rollout]]
id = "look"
uses = "std/command"
with = { argv = ["cat", "/srv/app/shop.conf"], effect = "read" }

[[rollout]]
id = "after"
uses = "std/files"
with.files = [{ path = "/srv/app/seen", content = "${look.stdout}" }]
"#,
    );
    host.put("shop.conf", "workers = 2\nname = web-1\n").unwrap();
    project.lock();
    let before = everything(host);
    let dry = project.run(&["exec", "--environment", "fleet", "--dry-run"]);
    assert_eq!((dry.code, everything(host)), (Some(0), before), "{dry}");
    for part in [
        "on web-1\n",
        "  config: write /srv/app/shop.conf +1 -1\n",
        "      -workers = 2",
        "+workers = 4",
        "  migrate: run touch migrated",
        "  look: unknown from here: ",
        "  after: unknown from here: it needs what `look` gives out",
        "a dry run, and nothing was touched: 4 effects would come of it, and 4 steps are unknown",
    ] {
        assert!(dry.stdout.contains(part), "it does not say `{part}`: {dry}");
    }
    assert_eq!(dry.stderr.lines().filter(|line| !line.contains("warning")).count(), 0, "{dry}");
}

#[test]
fn what_answers_as_before_the_changes_is_no_answer() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    project.release();
    let test = |id: &str| {
        format!(
            "[[rollout]]\nid = \"{id}\"\nuses = \"std/smoke-test\"\nwith = {{ url = \
             \"http://${{target.address}}:${{target.vars.http-port}}/version.txt\", status = 200 }}\n\n"
        )
    };
    let config = "[[rollout]]\nid = \"config\"\nuses = \"std/files\"\nwith.files = [{ path = \"/srv/app/shop.conf\", \
                  content = \"new\" }]\n\n";
    project.steps(&[&test("before"), config, &test("after")].concat());
    project.lock();
    let dry = dry_run(&project);
    assert_eq!(dry.code, Some(0), "{dry}");
    let unknown = |step: &str| -> Vec<bool> {
        let of_step = dry.events_of("step-finished").filter(|event| event["step"] == step);
        of_step.map(|event| event["end"]["end"] == "unknown").collect()
    };
    // The service would answer each time: the second answer would be about what is there now.
    assert_eq!((unknown("before"), unknown("after")), (vec![false; 2], vec![true; 2]), "{dry}");
}
