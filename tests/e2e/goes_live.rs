//! The main job: `examples/web` on machines with OpenSSH's defaults, a deploy user who is not root, and nginx.

use crate::support::{BLOB, Project, current, leftovers, restarts, version};
use runner_fleet::{Fleet, Host, fleet_or_skip};

#[test]
fn the_example_goes_live_on_ten_machines_then_sends_one_file_then_changes_nothing() {
    let fleet = fleet_or_skip!(Fleet::start(10));
    let project = Project::new(&fleet);
    let first = project.release();
    assert_eq!(first.batches().iter().map(Vec::len).collect::<Vec<_>>(), [1, 4, 5], "{first}");
    for host in fleet.hosts() {
        assert_eq!(version(host), "1.0.0");
        assert_eq!(host.get("/settings.json").unwrap().status, 200, "the shared file is linked");
        assert_eq!(host.get("/blob.bin").unwrap().status, 200);
        assert_eq!((restarts(host), leftovers(host).as_str()), (1, ""));
        assert!(first.bytes_sent("distribute", host.name()) >= BLOB as u64);
        assert_eq!(first.end_of(host.name()), "done");
    }

    project.next_version("1.0.1");
    let watched = fleet.isolated().then(|| list_what_arrives(fleet.host(1)));
    if watched.is_none() {
        eprintln!("SKIPPED: the list of what arrives: needs root");
    }
    let second = project.release();
    if let Some(list) = watched {
        let list = std::fs::read_to_string(fleet.host(1).outside(list)).unwrap();
        let files: Vec<&str> = list.lines().filter(|l| l.starts_with("tree/") && !l.ends_with('/')).collect();
        // The first one is a link to what is shared.
        assert_eq!(files, ["tree/settings.json", "tree/version.txt"], "what was sent: {list}");
    }
    for host in fleet.hosts() {
        assert_eq!(version(host), "1.0.1");
        let sent = second.bytes_sent("distribute", host.name());
        assert!((1..4096).contains(&sent), "{sent} bytes for one changed file of six bytes");
        assert_eq!((restarts(host), leftovers(host).as_str()), (2, ""));
    }

    let live: Vec<_> = fleet.hosts().iter().map(current).collect();
    let third = project.exec();
    assert_eq!(third.code, Some(0), "{third}");
    assert_eq!(third.effects(), [""; 0], "nothing is to be done");
    for (host, live) in fleet.hosts().iter().zip(live) {
        assert_eq!((current(host), restarts(host)), (live, 2));
        assert_eq!(third.bytes_sent("distribute", host.name()), 0);
        let intents = host.root().join(".runner/runs").join(third.run()).join("intents.jsonl");
        let announced = std::fs::read_to_string(host.outside(intents)).unwrap_or_default();
        assert_eq!(announced, "", "nothing was announced on {}", host.name());
    }
}

/// From now on, the members of what the host unpacks from outside are listed in a file of it.
fn list_what_arrives(host: &Host) -> &'static str {
    const LIST: &str = "/srv/log/members";
    const SCRIPT: &str = "cp /usr/bin/tar /srv/bin/tar; : > $1; chmod 666 $1
        printf '#!/bin/sh\n[ \"$*\" != \"-xmof -\" ] || set -- -v --index-file=%s \"$@\"\nexec /srv/bin/tar \"$@\"\n' $1 > /srv/bin/listing-tar
        chmod 755 /srv/bin/listing-tar; mount --bind /srv/bin/listing-tar /usr/bin/tar";
    host.inside(&["sh", "-euc", SCRIPT, "sh", LIST]).unwrap();
    LIST
}

#[test]
fn a_release_that_fails_its_smoke_test_stops_before_a_second_batch() {
    let fleet = fleet_or_skip!(Fleet::start(4));
    let project = Project::new(&fleet);
    project.release();
    let before: Vec<_> = fleet.hosts().iter().map(current).collect();
    fleet.host(1).answer("/version.txt", "broken").unwrap();
    project.edit_plan("deadline = \"10s\"", "deadline = \"2s\"");
    project.next_version("1.0.1");
    let failed = project.lock_and_exec();
    failed.must_say(4, &["smoke-test", "web-1", "broken"]);
    assert_eq!(failed.batches(), [["web-1"]], "no second batch begins");
    assert_eq!(failed.end_of("web-1"), "failed");
    for host in &fleet.hosts()[1..] {
        assert_eq!(failed.end_of(host.name()), "untouched");
        assert_eq!((version(host), restarts(host)), ("1.0.0".to_owned(), 1));
        assert_eq!(current(host), before[host.number() - 1]);
    }

    // Mended, the same plan goes on: the target that failed is no exception.
    fleet.host(1).fix_service().unwrap();
    let again = project.exec();
    assert_eq!(again.code, Some(0), "{again}");
    for host in fleet.hosts() {
        assert_eq!(version(host), "1.0.1");
    }
}

#[test]
fn only_good_releases_are_kept_and_the_live_one_is_among_them() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let project = Project::new(&fleet);
    let host = fleet.host(1);
    for patch in 0..5 {
        project.next_version(&format!("1.0.{patch}"));
        project.release();
        assert_eq!(version(host), format!("1.0.{patch}"));
    }
    let releases = std::fs::read_dir(host.outside(host.root().join("releases"))).unwrap().count();
    assert_eq!(releases, 3, "`keep` of the plan");
}

#[test]
fn a_plan_goes_back_to_the_good_release_before_the_live_one() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    project.release();
    project.next_version("1.0.1");
    project.release();
    let plan = std::fs::read_to_string(project.path("plan.toml")).unwrap();
    let mut back =
        plan.split("[[prepare]]").next().unwrap().replace("artifact = \"${package.artifact}\"\n", "");
    back = back
        .replace("version = \"${var.version}\"", "")
        .replace("version = \"1.0.1\"", "version = \"1.0.0\"");
    let rollout = plan.split("[[rollout]]").map(|step| format!("[[rollout]]{step}")).collect::<Vec<_>>();
    back.push_str(&rollout[1..4].concat().replace("${release.id}", "previous"));
    project.write("plan.toml", &back);
    project.release();
    for host in fleet.hosts() {
        assert_eq!(version(host), "1.0.0");
    }
}

#[test]
fn a_release_goes_back_with_the_signed_module_that_it_was_laid_out_with() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let (mut project, host) = (Project::new(&fleet), fleet.host(1));
    for name in ["alice", "eve"] {
        let mut made = std::process::Command::new("ssh-keygen");
        made.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(project.path(name));
        assert!(made.status().unwrap().success());
    }
    let believe = |project: &Project, name: &str| {
        let key = std::fs::read_to_string(project.path(&format!("{name}.pub"))).unwrap();
        project.write("signers", &format!("alice@example.org {key}"));
    };
    believe(&project, "alice");
    let rules = "policy = 1\n\n[trust]\nallowed-signers = \"signers\"\n\n[environment.fleet]\n\
                 modules = { files = true, signed-by = [\"alice@example.org\"] }\n";
    project.write("policy.toml", rules);
    let policy = project.path("policy.toml").to_str().unwrap().to_owned();
    project.env.push(("RUNNER_POLICY".to_owned(), policy));
    let signed = |project: &Project, bytes: &[u8]| {
        std::fs::write(project.path("own.wasm"), bytes).unwrap();
        let signed = project.run(&["module", "sign", "path:own.wasm", "--key", "alice"]);
        assert_eq!(signed.code, Some(0), "{signed}");
    };
    project.edit_plan("std = \"builtin\"", "std = \"builtin\"\nown = { path = \"own.wasm\" }");
    project.edit_plan("uses = \"std/switch\"", "uses = \"own\"");
    let module = runner_steps::find("switch").unwrap().bytes;
    signed(&project, module);
    project.release();
    // The same with a custom section behind it is another module.
    project.next_version("1.0.1");
    signed(&project, &[module, b"\0\x05\x04note"].concat());
    project.release();
    assert_eq!(version(host), "1.0.1");

    let back = ["rollback", "plan.toml", "--environment", "fleet", "-y"];
    believe(&project, "eve");
    project.run(&back).must_say(3, &["own.wasm", "no signature of the module counts"]);
    assert_eq!(version(host), "1.0.1");
    believe(&project, "alice");
    let back = project.run(&back);
    assert_eq!(back.code, Some(0), "{back}");
    assert_eq!(version(host), "1.0.0");
}

#[test]
fn local_targets_go_live_as_well() {
    let fleet = fleet_or_skip!(Fleet::builder(2).local().start());
    let project = Project::new(&fleet);
    project.release();
    for host in fleet.hosts() {
        assert_eq!(version(host), "1.0.0");
    }
}
