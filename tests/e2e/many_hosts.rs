//! An inventory of Ansible's with two hundred hosts, used as it is: real sshd's answer for all of them.

use crate::support::Project;
use runner_fleet::{Fleet, fleet_or_skip};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;

const PLAN: &str = r#"plan = 1
name = "many"

[modules]
std = "builtin"

[environment.fleet]
inventory = "hosts.ini"

[strategy]
role = "web"
batches = [1, "25%", "100%"]
max-failures = 2

[[rollout]]
id = "note"
uses = "std/command"
with = { argv = ["/usr/bin/mkdir", "-p", "${target.vars.place}/${target.name}"], directory = "/srv/app" }
"#;

/// Two hundred names for the hosts of a fleet: four groups of fifty, each on one sshd.
fn inventory(fleet: &Fleet) -> String {
    let mut text = String::from("# The machines of the shop.\n");
    for (number, host) in fleet.hosts().iter().enumerate() {
        let letter = ["a", "b", "c", "d"][number];
        let _ = write!(
            text,
            "\n[web_{letter}]\nweb-{letter}[01:50]\n\n[web_{letter}:vars]\nansible_host={}\nplace=from-the-group\n",
            host.address()
        );
    }
    text.push_str("\n[web:children]\nweb_a\nweb_b\nweb_c\nweb_d\n\n[all:vars]\nplace=from-all\n");
    text
}

fn project(fleet: &Fleet) -> Project {
    let mut project = Project::new(fleet);
    project.write("plan.toml", PLAN);
    project.write("hosts.ini", &inventory(fleet));
    for folder in ["group_vars/web", "host_vars"] {
        std::fs::create_dir_all(project.path(folder)).unwrap();
    }
    let port = fleet.host(1).ssh_address().port();
    let key = fleet.identity().display().to_string();
    let all = format!(
        "ansible_port: {port}\nansible_user: {}\nansible_ssh_private_key_file: {key}\n",
        fleet.user()
    );
    project.write("group_vars/all.yml", &all);
    project.write("group_vars/web/main.yml", "runner_labels: [shop]\n");
    // Each name is a place of its own: the runner would refuse two targets that are the same.
    for letter in ["a", "b", "c", "d"] {
        for number in 1..=50 {
            let name = format!("web-{letter}{number:02}");
            let place = if number == 7 { "from-the-host" } else { "from-the-group" };
            let vars = format!("runner_root: /srv/app/{name}\nplace: {place}\n");
            project.write(&format!("host_vars/{name}.yml"), &vars);
        }
    }
    // An inventory of Ansible's says nothing of known hosts: they are those of whoever runs it.
    let home = project.path("home");
    std::fs::create_dir_all(home.join(".ssh")).unwrap();
    std::fs::copy(fleet.known_hosts(), home.join(".ssh/known_hosts")).unwrap();
    std::fs::write(home.join(".ssh/config"), "Host *\n  KexAlgorithms curve25519-sha256\n").unwrap();
    for folder in [home.clone(), home.join(".ssh")] {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    std::fs::set_permissions(home.join(".ssh/config"), std::fs::Permissions::from_mode(0o600)).unwrap();
    // ssh takes the home of the user and not `$HOME`: in a mount namespace of its own it is this one.
    let script = "real=$(getent passwd \"$(id -u)\" | cut -d: -f6); mkdir -p \"$real/.ssh\" && \
                  mount --bind \"$1/.ssh\" \"$real/.ssh\" && shift && exec \"$@\"";
    project.prefix = ["unshare", "--mount", "sh", "-euc", script, "sh", home.to_str().unwrap()]
        .map(str::to_owned)
        .to_vec();
    project
}

/// The names of the folders that the step has made, on all hosts.
fn made(fleet: &Fleet) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for host in fleet.hosts() {
        for place in ["from-the-group", "from-the-host"] {
            let folder = host.outside(host.root().join(place));
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            names.extend(entries.map(|entry| format!("{place}/{}", entry.file_name().to_string_lossy())));
        }
    }
    names
}

#[test]
fn two_hundred_hosts_of_an_ansible_inventory_are_released_to() {
    let fleet = fleet_or_skip!(Fleet::start(4));
    if !fleet.isolated() {
        eprintln!("SKIPPED: two_hundred_hosts_of_an_ansible_inventory_are_released_to: it needs root");
        return;
    }
    let project = project(&fleet);
    project.lock();
    let exec = |limit: &[&str]| {
        let arguments = ["exec", "plan.toml", "-e", "fleet", "--events", "events.jsonl"];
        project.run(&[&arguments[..], limit].concat())
    };
    let some = exec(&["--limit", "web_a[0:6],web-c*,&*7,!web-c17"]);
    assert_eq!(some.code, Some(0), "{some}");
    let expected: BTreeSet<String> = [
        "from-the-host/web-a07",
        "from-the-host/web-c07",
        "from-the-group/web-c27",
        "from-the-group/web-c37",
        "from-the-group/web-c47",
    ]
    .map(str::to_owned)
    .into();
    assert_eq!(made(&fleet), expected);

    let all = exec(&[]);
    assert_eq!(all.code, Some(0), "{all}");
    assert_eq!(all.batches().iter().map(Vec::len).collect::<Vec<_>>(), [1, 49, 150]);
    let made = made(&fleet);
    assert_eq!(made.len(), 200);
    assert_eq!(made.iter().filter(|name| name.starts_with("from-the-host/")).count(), 4);
    for name in ["web-a01", "web-b25", "web-d50"] {
        assert_eq!(all.end_of(name), "done");
    }

    // One of the machines is gone: its fifty names are too many failures.
    fleet.host(2).stop_sshd().unwrap();
    let gone = exec(&["--limit", "web_b[0:4],web_c[0:4]"]);
    assert_eq!(gone.code, Some(5), "{gone}");
}
