//! From one team's folder into another team's plan, through a real registry with users and TLS.

use super::project::{Project, ran};
use crate::support::puppet_with;
use runner_fleet::{Registry, fleet_or_skip};
use runner_model::Digest;
use serde_json::{Value, json};

pub(crate) fn calls() -> Value {
    json!([{ "call": "targets.write", "path": "{etc}/motd", "text": "hello" }])
}

/// A registry with a user, and a project of hers with a plan that takes `puppet` from it.
pub(crate) fn team() -> Result<(Registry, Project), runner_fleet::Error> {
    let registry = Registry::builder().tls().user("alice", "secret").start()?;
    let module = format!("{{ oci = \"{}/team/puppet\", version = \"0.1\" }}", registry.authority());
    let mut project = Project::new(&module, &calls());
    project.set("SSL_CERT_FILE", registry.authority_file().to_str().expect("UTF-8"));
    project.set("DOCKER_CONFIG", registry.docker_config()?.to_str().expect("UTF-8"));
    Ok((registry, project))
}

/// A version of the module that may write where the plan wants it to.
pub(crate) fn version(project: &Project, version: &str, more: &[&str]) -> Vec<u8> {
    let mut ssh = vec![project.fill("write:{etc}")];
    ssh.extend(more.iter().map(|grant| (*grant).to_owned()));
    puppet_with(&json!({ "ssh": ssh, "version": version }))
}

/// Pushes it; answers the digest of the registry's manifest.
pub(crate) fn push(project: &Project, registry: &Registry, bytes: &[u8], options: &[&str]) -> String {
    project.write("pushed.wasm", bytes);
    let to = format!("{}/team/puppet", registry.authority());
    let mut arguments = vec!["module", "push", "pushed.wasm", &to];
    arguments.extend(options);
    let pushed = project.run(&arguments);
    assert_eq!(pushed.code, 0, "{}", pushed.said);
    let printed = pushed.said.lines().find_map(|line| line.split_once("puppet@")).expect("the reference");
    printed.1.to_owned()
}

#[test]
fn a_module_is_published_locked_run_and_updated() {
    let (registry, project) = fleet_or_skip!(team());
    project.run(&["lock"]).expect(3, &["has no"]);
    let first = version(&project, "0.1.0", &[]);
    push(&project, &registry, &first, &[]);
    push(&project, &registry, &version(&project, "0.2.0", &[]), &[]);

    let at = registry.authority();
    project.run(&["exec"]).expect(3, &["no lock says yet which one it is"]);
    project.run(&["lock"]).expect(0, &[&format!("`oci:{at}/team/puppet@0.1` is 0.1.0"), "wrote `plan.lock`"]);
    let lock = project.read("plan.lock");
    assert!(lock.contains("tag = \"0.1.0\"") && lock.contains(&Digest::of(&first).to_string()), "{lock}");
    project.run(&["check"]).expect(0, &[]);
    project.run(&["exec"]).expect(0, &["1 change"]);
    assert_eq!(project.read("etc/motd"), "hello");

    // A newer one that fits is taken when somebody asks for it, and not before.
    push(&project, &registry, &version(&project, "0.1.5", &[]), &[]);
    project.run(&["lock"]).expect(0, &["is as it was"]);
    project.run(&["lock", "--update=other"]).expect(2, &["`[modules]` has no `other`"]);
    project.run(&["lock", "--update=own"]).expect(0, &["0.1.0 -> 0.1.5", "wrote `plan.lock`"]);
    project.run(&["exec"]).expect(0, &[]);

    // And one that asks for more waits for somebody who accepts it.
    push(&project, &registry, &version(&project, "0.1.6", &["read:/etc"]), &[]);
    let refused = project.run(&["lock", "--update"]);
    refused.expect(3, &["asks for more", "0.1.5 -> 0.1.6", "+ read:/etc", "--accept"]);
    project.run(&["exec"]).expect(0, &[]);
    project.run(&["lock", "--update", "--accept"]).expect(0, &["0.1.5 -> 0.1.6", "wrote `plan.lock`"]);

    // Others look at it by its name.
    let reference = format!("oci:{at}/team/puppet:0.1.5");
    project.run(&["module", "inspect", &reference]).expect(0, &["puppet 0.1.5", &reference]);
    let newer = format!("oci:{at}/team/puppet@0.1");
    project.run(&["module", "diff", &reference, &newer, "--check"]).expect(3, &["+ ssh read:/etc"]);
    project.run(&["module", "pull", &newer, "--to", "pulled.wasm"]).expect(0, &["pulled.wasm"]);
    let pulled = std::fs::read(project.path("pulled.wasm")).expect("it was written");
    assert_eq!(pulled, version(&project, "0.1.6", &["read:/etc"]));
}

#[test]
fn what_is_pushed_is_called_what_it_calls_itself() {
    let (registry, project) = fleet_or_skip!(team());
    let bytes = version(&project, "0.1.0", &[]);
    let manifest = push(&project, &registry, &bytes, &[]);
    let at = registry.authority();
    let to = |path: &str| project.run(&["module", "push", "pushed.wasm", &format!("{at}/{path}")]);
    to("team/other").expect(2, &["calls itself `puppet`"]);
    to("team/puppet:0.2.0").expect(2, &["the tag is `0.2.0`", "0.1.0"]);
    to("team/puppet").expect(0, &["is there already", &manifest]);
    to("team/puppet:stable").expect(0, &["pushed"]);

    // A version does not change.
    project.write("pushed.wasm", version(&project, "0.1.0", &["read:/etc"]));
    to("team/puppet").expect(3, &["names another module already"]);
    to("team/puppet:stable").expect(3, &["names another module already"]);
    let moved = format!("{at}/team/puppet:stable");
    project.run(&["module", "push", "pushed.wasm", &moved, "--move-tag"]).expect(0, &["pushed"]);
}

#[test]
fn who_is_not_let_in_is_told_how_to_come_in() {
    let (registry, mut project) = fleet_or_skip!(team());
    push(&project, &registry, &version(&project, "0.1.0", &[]), &[]);
    project.set("DOCKER_CONFIG", "/nonexistent");
    project.run(&["lock"]).expect(3, &["does not let us", "docker login"]);
    project.set("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt");
    project.run(&["lock"]).expect(3, &["certificate is not trusted", "SSL_CERT_FILE"]);
}

#[test]
fn a_plan_whose_modules_are_kept_runs_without_a_network() {
    let (mut registry, mut project) = fleet_or_skip!(team());
    let key = project.key("alice");
    let alice = project.allowed("alice", "alice@example.org", "");
    project.policy("[environment.home]\nmodules = { signed-by = [\"alice@example.org\"] }", &alice);
    let key = key.to_str().expect("UTF-8");
    push(&project, &registry, &version(&project, "0.1.0", &[]), &["--sign", key]);
    project.run(&["lock"]).expect(0, &[]);
    registry.stop();

    // Not even the loopback device is up in there.
    let mut command = std::process::Command::new("unshare");
    let inner = project.command(&["exec"]);
    command.args(["--net", "--map-root-user"]).arg(inner.get_program()).args(inner.get_args());
    command.current_dir(inner.get_current_dir().expect("a folder"));
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    ran(command).expect(0, &["1 change"]);
    assert_eq!(project.read("etc/motd"), "hello");

    // What is not kept is asked for, and nobody answers.
    std::fs::remove_dir_all(project.path("cache/runner/registries")).expect("removed");
    project.run(&["exec"]).expect(3, &["connect to"]);
}
