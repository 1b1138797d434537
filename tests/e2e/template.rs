//! `std/template` on real machines: each gets its own text, an unchanged one is left alone, a wrong one changes nothing.

use crate::support::Project;
use runner_fleet::{Fleet, Host, fleet_or_skip};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

const STEP: &str = r#"
[[rollout]]
id = "settings"
uses = "std/template"
with = { source = "shop.j2", to = "${release.root}/shop.conf", vars = { workers = 4, peers = ["a", "b"] } }
"#;

const TEMPLATE: &str = r#"# {{ target.name }} in {{ environment }}
listen {{ target.vars["http-port"] }}
workers {{ workers }}
{% for peer in peers %}
peer {{ peer }};
{% endfor %}
"#;

fn text(host: &Host) -> String {
    fs::read_to_string(host.outside(host.root().join("shop.conf"))).unwrap_or_default()
}

#[test]
fn each_target_gets_its_own_text_and_the_log_shows_what_changed() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    project.steps(STEP);
    project.write("shop.j2", TEMPLATE);
    project.release();
    for host in fleet.hosts() {
        let (name, port) = (host.name(), host.http_address().port());
        assert_eq!(text(host), format!("# {name} in fleet\nlisten {port}\nworkers 4\npeer a;\npeer b;\n"));
    }
    let again = project.exec();
    assert_eq!((again.code, again.effects().len()), (Some(0), 0), "{again}");

    project.edit("shop.j2", "workers {{", "processes {{");
    let changed = project.exec();
    assert_eq!((changed.code, changed.effects().len()), (Some(0), 2), "{changed}");
    changed.must_say(0, &["web-1 settings: -workers 4", "web-2 settings: +processes 4"]);
}

#[test]
fn a_template_that_is_wrong_says_where_and_changes_nothing() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let project = Project::new(&fleet);
    project.steps(STEP);
    project.write("shop.j2", &TEMPLATE.replace("{{ workers }}", "{{ workerz }}"));
    project.lock_and_exec().must_say(
        4,
        &[
            "web-1",
            "shop.j2:3:12: `workerz` is undefined",
            "workers {{ workerz }}",
            "did you mean `workers`?",
        ],
    );
    assert_eq!(text(fleet.host(1)), "");
}

#[test]
fn secrets_are_in_the_file_and_nowhere_else() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let (mut project, host) = (Project::new(&fleet), fleet.host(1));
    project.steps(
        "[secrets]\ndb = { env = \"SHOP_DB\" }\n\n[[rollout]]\nid = \"settings\"\nuses = \"std/template\"\nsecrets = [\"db\"]\n\
         with = { source = \"shop.j2\", to = \"${release.root}/shop.conf\", secrets = [\"db\"] }\n",
    );
    project.write("shop.j2", "# {{ target.name }}\npassword {{ secrets.db }}\nagain {{ secrets.db }};\n");
    project.env = vec![("SHOP_DB".to_owned(), "correct-horse-battery".to_owned())];
    let ran = project.release();
    let filled = "# web-1\npassword correct-horse-battery\nagain correct-horse-battery;\n";
    assert_eq!(text(host), filled);
    let file = fs::metadata(host.outside(host.root().join("shop.conf"))).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let again = project.exec();
    assert_eq!((again.code, again.effects().len()), (Some(0), 0), "{again}");
    for said in [&ran, &again] {
        let all = format!("{said} {:?} {:?}", said.events, said.entries);
        assert!(!all.contains("correct-horse"), "{all}");
    }
    project.env = vec![("SHOP_DB".to_owned(), "another-one-entirely".to_owned())];
    assert_eq!(project.release().effects().len(), 1);
    assert!(text(host).contains("password another-one-entirely\n"));
}
