//! An inventory that somebody has for Ansible: used as it is, limited, and what is wrong in it.

use super::{LOCAL, Project, same};

/// An inventory that somebody has for Ansible: 200 machines in groups, with variables in all places.
fn two_hundred_hosts(project: &Project) {
    let ini = "bastion.example.org ansible_user=ops\n\n\
        [web_eu]\nweb[001:090].eu.example.org\n\n[web_us]\nweb[001:060].us.example.org:2222 # the new ones\n\n\
        [db]\ndb-[a:j].example.org ansible_become=yes\n\n[cache]\ncache[00:76:2].example.org\n\n\
        [web:children]\nweb_eu\nweb_us\n\n[web_us:vars]\ncolour=\"red\"\n\n[all:vars]\nansible_user=deploy\ncolour=none\n";
    project.write("hosts.ini", ini);
    for folder in ["group_vars/all", "host_vars"] {
        std::fs::create_dir_all(project.0.path().join(folder)).expect("a folder");
    }
    project.write("group_vars/all/main.yml", "http_port: 80\n");
    project.write("group_vars/web.yml", "http_port: 8080\nunit: php-fpm\n");
    project
        .write("host_vars/web001.eu.example.org.yml", "ansible_host: 192.0.2.10\nrunner_labels: [canary]\n");
    project.edit("plan.toml", "staging.toml", "hosts.ini");
    project.edit("plan.toml", "with = { unit = \"php-fpm\"", "with = { unit = \"${target.vars.unit}\"");
}

/// What a JSON answer says of the batches.
fn batches(said: &str) -> Vec<Vec<String>> {
    let json = said
        .split("--- stdout\n")
        .nth(1)
        .and_then(|rest| rest.split("--- stderr").next())
        .expect("an answer");
    let json: serde_json::Value = serde_json::from_str(json).expect("JSON");
    serde_json::from_value(json["batches"].clone()).expect("batches")
}

#[test]
fn an_ansible_inventory_of_200_hosts_is_used_as_it_is() {
    let project = Project::new();
    two_hundred_hosts(&project);
    let locked = project.run(&["lock", "-e", "staging"]);
    assert!(locked.starts_with("exit code 0\n"), "{locked}");
    let all = project.run(&["check", "-e", "staging", "--json"]);
    assert!(all.starts_with("exit code 0\n") && !all.contains("warning"), "{all}");
    assert_eq!(batches(&all).iter().map(Vec::len).collect::<Vec<_>>(), [1, 149]);
    assert_eq!(batches(&all)[0], ["web001.eu.example.org"]);

    same("check-limit", &project.run(&["check", "-e", "staging", "--limit", "web_us[0:3],canary"]));
    let some =
        project.run(&["check", "-e", "staging", "--json", "--limit", "web,!web_us,!*0?.eu.example.org"]);
    let expected: Vec<Vec<String>> = [(10..11), (11..91)]
        .map(|numbers| numbers.map(|number| format!("web{number:03}.eu.example.org")).collect())
        .into();
    assert_eq!(batches(&some), expected);
    same("limit-of-nothing", &project.run(&["check", "-e", "staging", "--limit", "web_uk"]));
    same("limit-outside", &project.run(&["exec", "-e", "staging", "--limit", "db"]));
    same("limit-malformed", &project.run(&["check", "-e", "staging", "--limit", "~web.*"]));
}

#[test]
fn what_is_wrong_in_an_ansible_inventory_is_said_with_its_file_and_line() {
    let project = Project::new();
    two_hundred_hosts(&project);
    project
        .write("group_vars/db.yaml", "ansible_connection: winrm\nsecret: '{{ lookup(\"env\", \"X\") }}'\n");
    project.write("group_vars/db.json", "{}\n");
    project.write("group_vars/web.yml", "unit: '{{ service }}'\n");
    same("ansible-inventory", &project.run(&["check", "-e", "staging"]));
}

#[test]
fn a_release_goes_to_the_hosts_of_an_ansible_inventory_that_a_limit_chooses() {
    let project = Project::new();
    let folder = project.0.path();
    for name in ["inventory/group_vars", "app"] {
        std::fs::create_dir_all(folder.join(name)).expect("a folder");
    }
    project.write("app/index.html", "hello");
    project.write("plan.toml", LOCAL);
    let mut hosts = String::from("web:\n  hosts:\n");
    for number in 1..=5 {
        let root = folder.join(format!("web-{number}"));
        std::fs::create_dir(&root).expect("a folder");
        hosts.push_str(&format!("    web-{number}: {{runner_root: {}}}\n", root.display()));
    }
    hosts.push_str("odd:\n  hosts: {'web-[1:5:2]': }\n");
    project.write("inventory/hosts.yml", hosts);
    project.write("inventory/group_vars/all.yml", "ansible_connection: local\ncolour: no\n");
    project.write("inventory/group_vars/odd.yml", "colour: green\n");
    let locked = project.run(&["lock"]);
    assert!(locked.starts_with("exit code 0\n"), "{locked}");

    let live = |number: usize| folder.join(format!("web-{number}/current/index.html")).exists();
    let said = project.run(&["exec", "--json", "--limit", "web,!web[1:3]"]);
    assert!(said.starts_with("exit code 0\n"), "{said}");
    assert_eq!((1..=5).map(live).collect::<Vec<_>>(), [true, false, false, false, true], "{said}");
    let said = project.run(&["exec", "--limit", "web-2"]);
    assert!(
        said.starts_with("exit code 0\n") && !said.contains("tell"),
        "no target of `odd` is left: {said}"
    );
    assert_eq!((1..=5).map(live).collect::<Vec<_>>(), [true, true, false, false, true], "{said}");

    let runs = std::fs::read_dir(folder.join(".runner/runs")).expect("runs");
    // Two runs of the same second have names in any order.
    let journals: Vec<String> = runs
        .map(|run| run.expect("a run").path().join("journal.jsonl"))
        .filter_map(|journal| std::fs::read_to_string(journal).ok())
        .collect();
    assert_eq!(journals.len(), 2);
    for limit in ["\"limit\":\"web,!web[1:3]\"", "\"limit\":\"web-2\""] {
        assert_eq!(journals.iter().filter(|journal| journal.contains(limit)).count(), 1, "{limit}");
    }
}
