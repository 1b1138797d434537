//! Projects to build: copies, so that no two tests write the same folder.

use runner_guests::{Error, Project};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use wit_component::DecodedWasm;

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("it is there")
}

/// A project with these files, and the SDK of this repository for its language.
pub fn project(language: &str, sdk: &str, imports: &str, files: &[(&str, &str)]) -> (TempDir, Project) {
    let folder = tempfile::tempdir().expect("a folder");
    let sdk = root().join("sdk").join(sdk);
    let step = format!("name = \"config\"\nlanguage = \"{language}\"\nsdk = {sdk:?}\nimports = {imports}\n");
    for (file, text) in files.iter().copied().chain([("step.toml", &*step)]) {
        let file = folder.path().join(file);
        std::fs::create_dir_all(file.parent().expect("it is in a folder")).expect("a folder");
        std::fs::write(file, text).expect("it can be written");
    }
    let read = Project::read(folder.path()).expect("a project");
    (folder, read)
}

/// The example step in this language.
pub fn example(language: &str, sdk: &str, source: &str) -> (TempDir, Project) {
    let text = std::fs::read_to_string(root().join("examples/steps").join(language).join(source))
        .expect("the source");
    project(language, sdk, r#"["targets", "commands", "http", "secrets", "timer"]"#, &[(source, &text)])
}

/// What was built, or `None` and a line where a tool is missing.
pub fn built(project: &Project) -> Option<Result<Vec<u8>, String>> {
    match project.build() {
        Err(error @ Error::Missing { .. }) => {
            let why = error.to_string();
            eprintln!("SKIPPED: {}", why.lines().next().unwrap_or_default());
            None
        }
        other => Some(other.map_err(|error| error.to_string())),
    }
}

/// The interfaces that a component imports, and the functions that it exports.
pub fn world(component: &[u8]) -> (BTreeSet<String>, BTreeSet<String>) {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component).expect("a component")
    else {
        panic!("not a component");
    };
    let world = &resolve.worlds[world];
    let names = |items: Vec<_>| items.into_iter().map(|key| resolve.name_world_key(key)).collect();
    (names(world.imports.keys().collect()), names(world.exports.keys().collect()))
}

/// Asserts that a component imports these interfaces of the contract and no others.
pub fn assert_imports(component: &[u8], wanted: &[&str]) {
    let (imports, exports) = world(component);
    let of_contract: Vec<_> =
        imports.iter().filter_map(|name| name.strip_prefix("runner:step/")?.strip_suffix("@0.1.0")).collect();
    assert_eq!(of_contract, wanted);
    assert!(exports.contains("describe") && exports.contains("run"), "{exports:?}");
}
