//! A registry that somebody else has got into. What it serves is not what it says, and nothing of that is compiled.

use super::people::of_a_file;
use super::project::Project;
use super::registries::{push, team, version};
use runner_fleet::fleet_or_skip;
use runner_model::lock::Lock;
use runner_model::{Digest, ModuleRef};

/// The digest of the component in the manifest that a registry stores.
fn component(manifest: &str) -> String {
    let manifest: serde_json::Value = serde_json::from_str(manifest).expect("JSON");
    manifest["layers"][0]["digest"].as_str().expect("a digest").to_owned()
}

/// Writes the lock as somebody would who can compute its digest: another module under the name of one.
fn forge(project: &Project, is: &str, was: &str) {
    let mut lock = Lock::parse("plan.lock", project.read("plan.lock").as_bytes()).expect("a lock");
    let home = "home".parse().expect("a name");
    let mut environment = lock.environment(&home).expect("locked").clone();
    let other = |module: &ModuleRef| module.to_string().replace(is, was).parse().expect("a module");
    environment.modules =
        environment.modules.iter().map(|(name, module)| (other(name), module.clone())).collect();
    for step in &mut environment.steps {
        step.uses = other(&step.uses);
    }
    lock.set(home, environment);
    project.write("plan.lock", lock.to_toml());
}

#[test]
fn a_layer_that_was_changed_is_refused() {
    let (registry, project) = fleet_or_skip!(team());
    let bytes = version(&project, "0.1.0", &[]);
    let manifest = push(&project, &registry, &bytes, &[]);
    let digest = component(&std::fs::read_to_string(registry.content(&manifest)).expect("a manifest"));
    assert_eq!(digest, Digest::of(&bytes).to_string());
    // Of the same size, so that only its digest tells.
    let other = version(&project, "0.1.1", &[]);
    assert_eq!(other.len(), bytes.len());
    std::fs::write(registry.content(&digest), &other).expect("swapped");
    project.run(&["lock"]).expect(3, &["answers with another component than its manifest names"]);
    assert!(!project.is_compiled(&Digest::of(&other).to_string()));
    assert!(!project.path("plan.lock").exists());
}

#[test]
fn a_manifest_that_was_changed_is_refused() {
    let (registry, project) = fleet_or_skip!(team());
    let bytes = version(&project, "0.1.0", &[]);
    let manifest = push(&project, &registry, &bytes, &[]);
    project.run(&["lock"]).expect(0, &[]);
    std::fs::remove_dir_all(project.path("cache")).expect("nothing is kept");
    // Another one, whole in itself, in the place of the one that is locked.
    let other = push(&project, &registry, &version(&project, "0.1.1", &[]), &[]);
    std::fs::copy(registry.content(&other), registry.content(&manifest)).expect("swapped");
    project.run(&["exec"]).expect(3, &["answers with another manifest than was asked for"]);
    assert!(!project.path("etc/motd").exists());
}

#[test]
fn a_tag_that_was_swapped_changes_nothing_that_is_locked_and_is_told_to_who_updates() {
    let (registry, project) = fleet_or_skip!(team());
    let first = push(&project, &registry, &version(&project, "0.1.0", &[]), &[]);
    project.run(&["lock"]).expect(0, &[]);
    let evil = push(&project, &registry, &version(&project, "0.1.0", &["write:/"]), &["--move-tag"]);
    assert_ne!(first, evil);

    std::fs::remove_dir_all(project.path("cache")).expect("nothing is kept");
    project.run(&["exec"]).expect(0, &["1 change"]);
    let locked = project.read("plan.lock");
    let refused = project.run(&["lock", "--update"]);
    refused.expect(3, &["tag `0.1.0`", "was moved", &first, &evil]);
    assert_eq!(project.read("plan.lock"), locked);
    project.run(&["lock", "--update", "--accept"]).expect(3, &["was moved", "--allow-moved"]);
    let moved = project.run(&["lock", "--update", "--accept", "--allow-moved"]);
    moved.expect(0, &[&format!("0.1.0, {first} -> {evil}"), "wrote `plan.lock`"]);
}

#[test]
fn a_version_that_is_gone_is_missed() {
    let (registry, project) = fleet_or_skip!(team());
    push(&project, &registry, &version(&project, "0.1.0", &[]), &[]);
    push(&project, &registry, &version(&project, "0.1.1", &[]), &[]);
    project.run(&["lock"]).expect(0, &["is 0.1.1"]);
    let link = registry.tag("team/puppet", "0.1.1");
    let tag = link.ancestors().nth(2).expect("the folder of the tag");
    assert!(tag.ends_with("0.1.1"), "{}", tag.display());
    std::fs::remove_dir_all(tag).expect("removed");
    project.run(&["lock", "--update"]).expect(3, &["has is 0.1.0, and the lock has 0.1.1"]);
    // Also where the plan asks for others than it did, and would still take that one.
    let plan = project.read("plan.toml");
    project.write("plan.toml", plan.replace("version = \"0.1\"", "version = \"0.1.0\""));
    project.run(&["lock"]).expect(3, &["has is 0.1.0, and the lock has 0.1.1"]);
    project.run(&["lock", "--allow-moved"]).expect(0, &["is 0.1.0"]);
    // And where it would not, it is what the author wants.
    project.write("plan.toml", &plan);
    project.run(&["exec"]).expect(3, &[]);
    project.write("plan.toml", plan.replace("version = \"0.1\"", "version = \"=0.1.0\""));
    project.run(&["lock"]).expect(0, &["is 0.1.0"]);
}

#[test]
fn a_lock_cannot_have_another_one_than_the_plan_asks_for() {
    let (registry, project) = fleet_or_skip!(team());
    push(&project, &registry, &version(&project, "0.1.0", &[]), &[]);
    project.run(&["lock"]).expect(0, &["is 0.1.0"]);
    let plan = project.read("plan.toml");
    let to = |version: &str| plan.replace("version = \"0.1\"", &format!("version = \"{version}\""));
    push(&project, &registry, &version(&project, "0.1.1", &[]), &[]);
    project.write("plan.toml", to("=0.1.1"));
    project.run(&["lock"]).expect(0, &["is 0.1.1"]);
    let newer = project.read("plan.lock");

    // Somebody who may write the lock, and cannot sign: an older version, for the one that the plan asks for.
    project.write("plan.toml", to("=0.1.0"));
    project.run(&["lock"]).expect(0, &["is 0.1.0"]);
    project.write("plan.toml", to("=0.1.1"));
    forge(&project, "team/puppet@=0.1.0", "team/puppet@=0.1.1");
    project.run(&["exec"]).expect(3, &["the lock has 0.1.0, and the plan asks for another one"]);
    assert!(!project.path("etc/motd").exists());
    project.run(&["lock"]).expect(0, &["0.1.0 -> 0.1.1"]);
    assert_eq!(project.read("plan.lock"), newer);
}

#[test]
fn a_module_is_of_the_repository_that_shows_it_and_not_of_one_that_a_plan_names() {
    let (registry, mut project) = fleet_or_skip!(team());
    let manifest = push(&project, &registry, &version(&project, "0.1.0", &[]), &[]);
    let at = registry.authority();
    let plan = project.read("plan.toml");
    let from = |place: &str| {
        let (before, rest) = plan.split_once("{ oci").expect("a module");
        let (_, after) = rest.split_once('}').expect("its end");
        format!("{before}{{ oci = \"{at}/{place}/puppet@{manifest}\" }}{after}")
    };
    // It is in the cache now, by the digest of its manifest.
    project.write("plan.toml", from("team"));
    project.run(&["lock"]).expect(0, &[]);
    project.run(&["exec"]).expect(0, &["1 change"]);

    // The registry that the operator means does not have it.
    project.policy(&format!("[environment.home]\nmodules = {{ registries = [\"{at}/vetted\"] }}"), "");
    project.write("plan.toml", from("vetted"));
    let honest = project.read("plan.lock");
    project.write("plan.lock", honest.replace("/team/", "/vetted/"));
    project.run(&["exec"]).expect(2, &["plan.lock", "runner lock"]);
    project.write("plan.lock", honest);
    forge(&project, "/team/", "/vetted/");
    project.run(&["exec"]).expect(3, &["vetted/puppet` has no manifest"]);
    project.run(&["lock"]).expect(3, &["vetted/puppet` has no manifest"]);

    // And one that nobody may use is not even asked for it.
    project.write("plan.toml", from("team").replace(&at, "127.0.0.1:1"));
    project.run(&["lock"]).expect(3, &["lets modules come from"]);
}

#[test]
fn what_is_attached_and_makes_no_sense_keeps_no_module_out() {
    let (registry, mut project) = fleet_or_skip!(team());
    for name in ["alice", "mallory"] {
        project.key(name);
    }
    let alice = project.allowed("alice", "alice@example.org", "");
    project.policy("[environment.home]\nmodules = { signed-by = [\"alice@example.org\"] }", &alice);
    let manifest = push(&project, &registry, &version(&project, "0.1.0", &[]), &[]);
    let module = format!("oci:{}/team/puppet@{manifest}", registry.authority());
    let sign = |key: &str| {
        let signed = project.run(&["module", "sign", &module, "--key", key]);
        assert_eq!(signed.code, 0, "{}", signed.said);
        let attached = signed.said.lines().find(|line| line.starts_with("signed with")).expect("it is said");
        attached.rsplit_once('@').expect("a digest").1.to_owned()
    };
    // Attached by somebody who may push, and damaged.
    let theirs = sign("mallory");
    let text = std::fs::read_to_string(registry.content(&theirs)).expect("a manifest");
    std::fs::write(registry.content(&component(&text)), "gone").expect("damaged");
    sign("alice");
    project.run(&["lock"]).expect(0, &["wrote `plan.lock`"]);
    project.run(&["exec"]).expect(0, &["1 change"]);

    // A good one that is damaged counts no more, and nothing else does in its place.
    std::fs::remove_dir_all(project.path("cache")).expect("nothing is kept");
    let ours = sign("alice");
    let text = std::fs::read_to_string(registry.content(&ours)).expect("a manifest");
    std::fs::write(registry.content(&component(&text)), "gone").expect("damaged");
    std::fs::remove_dir_all(project.path("cache")).expect("nothing is kept");
    project.run(&["lock"]).expect(3, &["is not signed"]);
}

#[test]
fn nothing_of_a_plan_is_compiled_for_an_environment_that_no_policy_was_asked_about() {
    let (mut project, bytes) = of_a_file();
    project.policy("[environment.home]\nmodules = { files = false }", "");
    let broken = project.read("plan.toml").replace("inventory = \"home.toml\"", "inventory = 5");
    project.write("plan.toml", broken);
    project.run(&["check", "-e", "home"]).expect(2, &["inventory"]);
    project.run(&["check", "-e", "elsewhere"]).expect(2, &["elsewhere"]);
    assert!(!project.is_compiled(&Digest::of(&bytes).to_string()));
}

#[test]
fn what_a_component_calls_its_parts_reaches_no_terminal_as_it_is() {
    let (project, _) = of_a_file();
    // A core module that exports a name twice, and the name would clear a screen.
    let hostile = "(component (core module (func (export \"\\1b[2Jgone\")) (func (export \"\\1b[2Jgone\"))))";
    project.write("own.wasm", wat::parse_str(hostile).expect("it parses"));
    let said = project.run(&["module", "inspect", "path:own.wasm"]);
    said.expect(2, &["\\u{1b}[2Jgone"]);
    assert!(!said.said.contains('\u{1b}'), "{}", said.said);
}

#[test]
fn an_older_version_under_a_newer_tag_and_a_module_under_another_name_are_found_out() {
    let (registry, project) = fleet_or_skip!(team());
    let old = push(&project, &registry, &version(&project, "0.1.0", &[]), &[]);
    let new = push(&project, &registry, &version(&project, "0.1.9", &[]), &[]);
    assert_ne!(old, new);
    // What a registry can do without anybody's key: an old version, signed and all, for the newest.
    std::fs::write(registry.tag("team/puppet", "0.1.9"), &old).expect("swapped");
    project.run(&["lock"]).expect(3, &["its tag is `0.1.9`", "says itself that it is 0.1.0"]);

    let at = registry.authority();
    project.write(
        "plan.toml",
        project.read("plan.toml").replace(&format!("{at}/team/puppet"), &format!("{at}/team/trusted")),
    );
    let from = registry.tag("team/puppet", "0.1.0");
    let repositories = from.ancestors().nth(5).expect("the repository");
    let to = repositories.with_file_name("trusted");
    let mut copy = std::process::Command::new("cp");
    copy.arg("-a").arg(repositories).arg(&to);
    assert!(copy.status().expect("cp").success());
    project.run(&["lock"]).expect(3, &["calls itself `puppet`", "team/trusted"]);
}
