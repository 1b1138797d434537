use super::*;
use crate::diagnostic::Style;
use crate::inventory::{ConnectionKind, Target};
use serde_json::{Value, json};

fn files(files: &[(&str, &str)]) -> Vec<VarsFile> {
    files
        .iter()
        .map(|(name, text)| {
            let (folder, file) = name.split_once('/').expect("a folder");
            let of = file.split(['/', '.']).next().unwrap_or_default().to_owned();
            let whose = if folder == "group_vars" { Whose::Group(of) } else { Whose::Host(of) };
            VarsFile { whose, name: (*name).to_owned(), bytes: text.as_bytes().to_vec(), hidden_by: None }
        })
        .collect()
}

fn read(name: &str, text: &str, vars: &[(&str, &str)]) -> (Inventory, Problems) {
    let form = Form::of(name, text.as_bytes());
    Inventory::read_ansible(name, text.as_bytes(), form, &files(vars))
}

fn good(name: &str, text: &str, vars: &[(&str, &str)]) -> Inventory {
    let (inventory, problems) = read(name, text, vars);
    assert!(problems.is_empty(), "{problems}");
    inventory
}

fn said(name: &str, text: &str, vars: &[(&str, &str)]) -> String {
    read(name, text, vars).1.or(None::<()>).expect_err("problems").plain()
}

fn roles(target: &Target) -> Vec<&str> {
    target.roles.iter().map(|role| role.as_str()).collect()
}

fn var(inventory: &Inventory, target: &str, name: &str) -> Value {
    let vars = &inventory.target(target).expect("a target").vars;
    vars.iter().find(|(var, _)| var.as_str() == name).map_or(Value::Null, |(_, value)| value.clone())
}

const INI: &str = r#"# hosts of the shop
bastion ansible_host=192.0.2.1

[web]
web[01:03].example.org:2222 http_port=80 note="two words" # the three
[db:vars]
tier = 'data'

[db]
db-a ansible_host=10.0.0.7 ansible_user=postgres ansible_ssh_private_key_file=~/.ssh/db ansible_become=yes
db-b ansible_become=true ansible_become_user=postgres
[shop:children]
web
db

[shop:vars]
env=staging
http_port=8080
workers = [1, 2]
_internal=1
"#;

#[test]
fn an_ini_inventory_is_used_as_it_is() {
    let inventory = good("hosts.ini", INI, &[]);
    let names: Vec<&str> = inventory.targets.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(
        names,
        ["bastion", "web01.example.org", "web02.example.org", "web03.example.org", "db-a", "db-b"]
    );
    let web = inventory.target("web02.example.org").expect("it is there");
    assert_eq!(roles(web), ["all", "shop", "web"]);
    assert_eq!((web.port, web.address.as_str()), (Some(2222), "web02.example.org"));
    assert_eq!(var(&inventory, "web02.example.org", "http_port"), json!(80), "a host wins over its groups");
    assert_eq!(var(&inventory, "web02.example.org", "note"), "two words");
    assert_eq!(var(&inventory, "db-a", "http_port"), json!(8080));
    assert_eq!(var(&inventory, "db-a", "workers"), json!([1, 2]));
    assert_eq!(var(&inventory, "db-a", "tier"), "data");
    assert_eq!(var(&inventory, "db-a", "_internal"), json!(1));
    let db = inventory.target("db-a").expect("it is there");
    assert_eq!(
        (db.user.as_ref().map(|user| user.as_str()), db.address.as_str()),
        (Some("postgres"), "10.0.0.7")
    );
    assert_eq!(db.identity.as_deref(), Some(std::path::Path::new("~/.ssh/db")));
    assert_eq!(db.acts_as.as_ref().map(|user| user.as_str()), Some("root"));
    let other = inventory.target("db-b").and_then(|target| target.acts_as.as_ref());
    assert_eq!(other.map(|user| user.as_str()), Some("postgres"));
    assert_eq!(roles(inventory.target("bastion").expect("it is there")), ["all", "ungrouped"]);
    assert!(db.vars.keys().all(|name| !name.as_str().starts_with("ansible_")), "{:?}", db.vars);
}

const YAML: &str = "
all:
  vars:
    env: staging
    secure: yes
  hosts:
    bastion: {ansible_host: 192.0.2.1, ansible_ssh_common_args: '-o ProxyJump=jump@gate.example.org'}
  children:
    shop:
      children:
        web:
          hosts:
            web[01:03].example.org:
              http_port: 80
          vars: {mode: 0644}
        db:
          hosts: db-a
    localhosts:
      hosts:
        here: {ansible_connection: local, runner_root: /srv/here, runner_labels: [canary]}
";

#[test]
fn a_yaml_inventory_is_used_as_it_is() {
    let inventory = good("hosts.yml", YAML, &[]);
    let web = inventory.target("web01.example.org").expect("it is there");
    assert_eq!(roles(web), ["all", "shop", "web"]);
    assert_eq!(var(&inventory, "web01.example.org", "secure"), json!(true));
    assert_eq!(var(&inventory, "web01.example.org", "mode"), json!(420));
    assert_eq!(roles(inventory.target("db-a").expect("it is there")), ["all", "db", "shop"]);
    let here = inventory.target("here").expect("it is there");
    assert_eq!(here.connection, ConnectionKind::Local);
    assert_eq!(here.root.as_ref().map(ToString::to_string).as_deref(), Some("/srv/here"));
    assert_eq!(here.labels.iter().map(|label| label.as_str()).collect::<Vec<_>>(), ["canary"]);
    let bastion = inventory.target("bastion").expect("it is there");
    assert_eq!(bastion.jump.as_deref(), Some("jump@gate.example.org"));
}

/// As `ansible-inventory --list` says it of the same files.
#[test]
fn variables_have_the_precedence_of_ansible() {
    let ini = "[inner]\nh1 own=host file=host\nh2\n[outer:children]\ninner\nmiddle\n[middle:children]\ninner\n\
               [all:vars]\na=all\nb=all\nc=all\nd=all\ne=all\nf=all\n[outer:vars]\nb=outer\nc=outer\nd=outer\nf=outer\n\
               [inner:vars]\nc=inner\nd=inner\nown=inner\nf=inner\n[middle:vars]\nc=middle\nz=middle\nf=middle\n";
    let vars = [
        ("group_vars/all.yml", "d: file-all\ne: file-all\ng: file-all\n"),
        ("group_vars/outer.yml", "e: file-outer\nf: file-outer\nown: file-outer\n"),
        ("group_vars/nobody.yml", "e: {{ not yaml\n"),
        ("host_vars/h1.yml", "file: file-host\n"),
    ];
    let inventory = good("hosts.ini", ini, &vars);
    let all =
        |host: &str, names: &[&str]| names.iter().map(|name| var(&inventory, host, name)).collect::<Vec<_>>();
    let of_h1 = all("h1", &["a", "b", "c", "d", "e", "f", "g", "z", "own", "file"]);
    assert_eq!(
        Value::from(of_h1),
        json!([
            "all",
            "outer",
            "inner",
            "file-all",
            "file-outer",
            "file-outer",
            "file-all",
            "middle",
            "host",
            "file-host"
        ])
    );
    assert_eq!(
        var(&inventory, "h2", "own"),
        "file-outer",
        "a file of an outer group wins over the inventory's inner one"
    );
}

#[test]
fn groups_of_the_same_depth_go_by_priority_and_then_by_name() {
    let ini = "[a]\nh\n[b]\nh\n[c]\nh\n[a:vars]\nx=a\ny=a\nansible_group_priority=10\n[b:vars]\nx=b\ny=b\nz=b\n[c:vars]\nz=c\n";
    let inventory = good("hosts", ini, &[]);
    let said = (var(&inventory, "h", "x"), var(&inventory, "h", "y"), var(&inventory, "h", "z"));
    assert_eq!(said, (json!("a"), json!("a"), json!("c")));
}

#[test]
fn the_form_is_in_the_name_or_in_the_first_line() {
    for (name, text, form) in [
        ("a/hosts.ini", "", Form::Ini),
        ("hosts.yaml", "", Form::Yaml),
        ("hosts.json", "", Form::Yaml),
        ("a.b/staging.toml", "", Form::Toml),
        ("hosts", "# x\n\nweb-1\n", Form::Ini),
        ("hosts", "# x\n---\nall:\n", Form::Yaml),
        ("hosts", "all:\n", Form::Yaml),
        ("hosts", "[all:vars]\n", Form::Ini),
        ("inventory/production", "# ours\ninventory = 1\n", Form::Toml),
        ("inventory/production", "inventory-1\n", Form::Ini),
    ] {
        assert_eq!(Form::of(name, text.as_bytes()), form, "{name} {text:?}");
    }
}

#[test]
fn what_only_ansible_can_tell_is_left_out_and_said() {
    let vars = [
        ("group_vars/all/vault.yml", "$ANSIBLE_VAULT;1.1;AES256\n00\n"),
        (
            "group_vars/web.yml",
            "password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  00\nurl: 'http://{{ inventory_hostname }}/'\n",
        ),
    ];
    let (inventory, problems) = read("hosts.ini", "[web]\nh key={{x}}\nj a.b=1\n", &vars);
    assert!(!problems.has_errors(), "{problems}");
    assert!(inventory.target("h").expect("it is there").vars.is_empty());
    insta::assert_snapshot!(problems.plain());
}

#[test]
fn what_cannot_be_done_as_it_says_is_an_error_with_its_place() {
    let ini = "[web]\na ansible_host='{{ x }}'\nb ansible_connection=winrm ansible_password=x\nc ansible_port=no ansible_become=1 ansible_become_method=su\n\
               d ansible_ssh_common_args='-o ProxyCommand=\"ssh -W %h:%p gate\"' runner_rot=/srv\n2001:db8::1\ne ansible_user=\"a b\" ansible_become=maybe\n\
               [web:vars]\nansible_become_pass=y\n";
    insta::assert_snapshot!(said(
        "hosts.ini",
        ini,
        &[("group_vars/web.yml", "- a\n- b\n"), ("host_vars/a.yml", "a: [\n")]
    ));
}

#[test]
fn what_is_wrong_in_an_ini_inventory_is_said_with_place_and_mend() {
    let ini = "[web]\na[3:1]\nb x\nc y='z\n[web:childs]\nq\n[two words]\n[shop:children]\nwbe\n[db:vars]\na\nx=1\n[l1:children]\nl2\n[l2:children]\nl1\n";
    insta::assert_snapshot!(said("hosts.ini", ini, &[]));
    insta::assert_snapshot!(said("hosts", "#!/bin/sh\necho '{}'\n", &[]), @r#"
    hosts:1:1: the inventory is a program
      hint: name it as one: `inventory = { command = ["./FILE", "--list"] }`
    "#);
    insta::assert_snapshot!(said("hosts.ini", "# nothing\n", &[]), @r"
    hosts.ini:1:1: an inventory needs at least one host
      hint: write the name of one, below `[web]`
    ");
}

#[test]
fn what_is_wrong_in_a_yaml_inventory_is_said_with_place_and_mend() {
    let yaml = "all:\n  hosts: [a, b]\n  children:\n    web:\n      hosts:\n        1:\n        'a[1:':\n        b: text\n      vras: {x: 1}\n    db: 5\n  vars: {a: 1, a: 2}\n";
    insta::assert_snapshot!(said("hosts.yml", yaml, &[]));
    for (text, expected) in [
        ("plugin: aws_ec2\n", "inventory plugin"),
        ("- a\n", "not a list"),
        ("a: !foo b\n", "tag"),
        ("a: b: c\n", "not valid YAML"),
        ("", "at least one host"),
    ] {
        let said = said("hosts.yml", text, &[]);
        assert!(said.contains(expected), "{text}: {said}");
    }
}

#[test]
fn two_hosts_that_are_the_same_place_are_refused_as_in_every_inventory() {
    let said = said("hosts.ini", "a ansible_host=10.0.0.1\nb ansible_host=10.0.0.1\n", &[]);
    assert!(said.contains("the targets `a` and `b` are the same place"), "{said}");
}

mod any {
    use super::*;
    use proptest::prelude::*;

    fn shown(problems: &Problems) {
        let _ = problems.render(Style { colour: false, width: 80 });
    }

    proptest! {
        #[test]
        fn text_is_read_or_refused(
            text in "(\\[[a-c](:vars|:children)?\\]\n|[a-c][0-9]?( (ansible_(host|port|user|become|connection)|runner_root|x)=['a0-9/{]{0,4}){0,2}\n|all:\n|  (hosts|vars|children):\n|    [a-c]: [a1{}\\[,!&* ]{0,4}\n|\\PC{0,4}){0,20}",
            vars in "([a-c]: |ansible_host: |[a-c0-9'\"{}&*!-]{0,3}\n){0,8}",
        ) {
            let vars = [VarsFile { whose: Whose::Group("all".into()), name: "group_vars/all".into(), bytes: vars.into_bytes(), hidden_by: None }];
            for form in [Form::Ini, Form::Yaml] {
                let (inventory, problems) = Inventory::read_ansible("hosts", text.as_bytes(), form, &vars);
                shown(&problems);
                prop_assert!(problems.has_errors() || !inventory.targets.is_empty());
            }
        }

        #[test]
        fn bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for form in [Form::Ini, Form::Yaml] {
                shown(&Inventory::read_ansible("hosts", &bytes, form, &[]).1);
            }
        }
    }
}
