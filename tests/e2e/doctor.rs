//! `runner doctor` finds what is in the way of a run, on real machines with each thing broken in turn, and changes
//! nothing.

use crate::support::{Project, Ran, tree};
use runner_fleet::{Fleet, Host, Sudo, fleet_or_skip};
use serde_json::Value;

fn doctor(project: &Project) -> Ran {
    project.run(&["doctor", "plan.toml", "-e", "fleet"])
}

/// Fails unless it ended so and said all of this, on stdout.
#[track_caller]
fn must_find(ran: &Ran, code: i32, parts: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran}");
    let said = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(said.contains(part), "it does not say `{part}`: {ran}");
    }
}

/// A program in front of the others for whoever logs in. A line that bash reads for commands over ssh, too.
fn in_front(host: &Host, name: &str, script: &str) {
    let text = "mkdir -p /home/deploy/bin; printf %s \"$2\" > \"/home/deploy/bin/$1\"; chmod 755 \"/home/deploy/bin/$1\"; \
                printf 'PATH=/home/deploy/bin:$PATH\\n' > /home/deploy/.bashrc";
    host.inside(&["sh", "-euc", text, "sh", name, script]).unwrap();
}

/// Whoever logs in has these programs and no others.
fn without(host: &Host, missing: &[&str]) {
    let text = "mkdir -p /home/deploy/only; for d in /usr/bin /bin /usr/sbin; do for f in $d/*; do \
                ln -sf \"$f\" /home/deploy/only/ ; done; done; for m do rm -f \"/home/deploy/only/$m\"; done; \
                printf 'PATH=/home/deploy/only\\n' > /home/deploy/.bashrc";
    let mut argv = vec!["sh", "-euc", text, "sh"];
    argv.extend(missing);
    host.inside(&argv).unwrap();
}

/// What is different from machine to machine.
fn redacted(text: &str) -> String {
    let lines = text.lines().map(|line| match line {
        line if line.contains("OpenSSH_") => "  ok       ssh     VERSION".to_owned(),
        line if line.starts_with("  ok       reach") => "  ok       reach   SYSTEMS".to_owned(),
        line => {
            let address = |word: &str| match word.starts_with("(127.") {
                true => "(ADDRESS".to_owned(),
                false => word.to_owned(),
            };
            line.split(' ').map(address).collect::<Vec<_>>().join(" ")
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_healthy_fleet_is_found_healthy_and_left_as_it_was() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    let without_lock = doctor(&project);
    must_find(&without_lock, 3, &["there is no `plan.lock`", "runner lock"]);
    project.lock();
    let before: Vec<_> = fleet.hosts().iter().map(tree).collect();
    let ran = doctor(&project);
    must_find(
        &ran,
        0,
        &["nothing is in the way of a run", "`plan.lock` is what the plan asks for", "as on this machine"],
    );
    for (host, before) in fleet.hosts().iter().zip(before) {
        assert_eq!(tree(host), before, "{}", host.name());
        assert!(!host.outside(host.root().join(".runner")).exists(), "nothing is made");
    }
    let json = project.run(&["doctor", "plan.toml", "-e", "fleet", "--json", "--limit", "web-2"]);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["targets"], &json["findings"]), (&1.into(), &Value::Array(Vec::new())), "{json}");
    project.edit_plan("uses = \"std/prune\"", "uses = \"std/prun\"");
    assert_eq!(doctor(&project).code, Some(2));
}

#[test]
fn each_thing_that_is_broken_is_found_and_what_is_the_same_is_said_once() {
    let fleet = fleet_or_skip!(Fleet::builder(10).sudo(Sudo::Nothing).small_disk(6, "2m").start());
    if !fleet.isolated() {
        eprintln!(
            "SKIPPED: each_thing_that_is_broken_is_found_and_what_is_the_same_is_said_once: it needs root"
        );
        return;
    }
    let project = Project::new(&fleet);
    project.edit_plan("[[rollout]]\nid = \"restart\"", "[[rollout]]\nbecome = \"root\"\nid = \"restart\"");
    // The service command of the fleet has sudo in it; the step's own user is to be looked at.
    let inventory = std::fs::read_to_string(project.path("fleet.toml")).unwrap();
    project.write("fleet.toml", &inventory.replace("\"/usr/bin/sudo\", \"-n\", ", ""));
    project.lock();
    let host = |number| fleet.host(number);
    host(1).change_host_key().unwrap();
    host(2).refuse_the_key().unwrap();
    host(3).stop_sshd().unwrap();
    without(host(4), &["find", "zstd"]);
    host(5).inside(&["sh", "-euc", "chown root:root /srv/app; chmod 755 /srv/app"]).unwrap();
    host(7).inside(&["chmod", "777", "/srv/app"]).unwrap();
    in_front(host(8), "date", "#!/bin/sh\necho $(($(/bin/date +%s) + 10))\n");
    in_front(host(9), "date", "#!/bin/sh\necho $(($(/bin/date +%s) - 3600))\n");
    let known: String = std::fs::read_to_string(fleet.known_hosts())
        .unwrap()
        .lines()
        .filter(|line| !line.contains(&host(10).address().to_string()))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(fleet.known_hosts(), known).unwrap();

    let ran = doctor(&project);
    must_find(
        &ran,
        5,
        &[
            "web-1 (127.",
            "its host key is not the known one",
            "ssh-keygen -R",
            "it took none of the keys",
            "the connection was refused: nothing listens there",
            "web-10 (127.",
            "its host key is not known",
            "web-4: there is no `find`",
            "package findutils",
            "there is no `zstd`",
            "web-5 (/srv/app): `deploy` may not write where the release root is",
            "web-6 (1 MiB free): less than 64 MiB are free",
            "web-7: the way to the release root is not safe",
            "s ahead",
            "web-9 (at least 3",
            "6 of 10 targets: a step runs `/srv/bin/servicectl restart nginx` as `root`, and sudo refuses it",
            "NOPASSWD: /srv/bin/servicectl restart nginx",
        ],
    );
    insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, filters => vec![
        (r"at least \d+ s behind", "at least N s behind"), (r"at least \d+ s ahead", "at least N s ahead"),
        (r"port \d+", "port PORT"), (r"\]:\d+", "]:PORT"), (r"group id is \d+", "group id is GROUP"), (r"127\.\d+\.\d+\.\d+", "ADDRESS"), (r"\d+ MiB free", "N MiB free"),
    ]}, {
        insta::assert_snapshot!("doctor", redacted(&ran.stdout));
    });
    // The same for programs, and less of it.
    let json = project.run(&["doctor", "plan.toml", "-e", "fleet", "--json", "--limit", "web-8"]);
    assert_eq!(json.code, Some(3), "{json}");
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    let areas: Vec<&str> =
        json["findings"].as_array().unwrap().iter().map(|f| f["area"].as_str().unwrap()).collect();
    assert_eq!(areas, ["sudo", "sudo", "clock"], "{json}");
}

#[test]
fn a_local_target_needs_no_ssh() {
    let fleet = fleet_or_skip!(Fleet::builder(2).local().start());
    let project = Project::new(&fleet);
    project.lock();
    let ran = doctor(&project);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(!ran.stdout.contains("OpenSSH") && ran.stdout.contains("2 targets"), "{ran}");
}
