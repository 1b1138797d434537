//! A registry that somebody else has got into. What it serves is not what it says, and nothing of that is compiled.

use super::registries::{push, team, version};
use runner_fleet::fleet_or_skip;
use runner_model::Digest;

/// The digest of the component in the manifest that a registry stores.
fn component(manifest: &str) -> String {
    let manifest: serde_json::Value = serde_json::from_str(manifest).expect("JSON");
    manifest["layers"][0]["digest"].as_str().expect("a digest").to_owned()
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
    project.run(&["exec"]).expect(3, &["manifest"]);
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
    project.run(&["lock", "--update", "--accept"]).expect(0, &["wrote `plan.lock`"]);
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
