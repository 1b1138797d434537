//! Each language builds: the reference step, the template of a new project, and an author's mistake, which the compiler
//! tells.

use runner_guests::{Error, Language, Project, outer_target_dir, scaffold};
use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Builds, or says why not.
fn build(project: &Project) -> Option<Vec<u8>> {
    match project.build() {
        Ok(component) => Some(component),
        Err(error @ (Error::Missing { .. } | Error::NoToolchain { .. })) => {
            eprintln!("SKIPPED: a step in {}: {error}", project.language.word());
            None
        }
        Err(error) => panic!("{}: {error}", project.language.word()),
    }
}

/// The interfaces that the component imports, sorted.
fn imports(component: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut depth = 0;
    for payload in wasmparser::Parser::new(0).parse_all(component) {
        match payload.expect("a component") {
            wasmparser::Payload::ModuleSection { .. } | wasmparser::Payload::ComponentSection { .. } => {
                depth += 1
            }
            wasmparser::Payload::End(_) => depth -= 1,
            wasmparser::Payload::ComponentImportSection(section) if depth == 0 => {
                let names = section.into_iter().map(|import| import.expect("an import").name.name.to_owned());
                // A world also imports types, by plain names.
                found.extend(names.filter(|name| name.contains(':')));
            }
            _ => {}
        }
    }
    found.sort();
    found
}

/// A new project, as the runner makes one. It shares the folder `target`, since a compiler's cache is in it.
fn new_project(language: Language, name: &str, target: &Path) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    scaffold::new(&folder, name, language).expect("a new project");
    fs::create_dir_all(target).expect("a folder");
    if language == Language::Rust {
        // That of the example, which has the same dependencies: to make one, cargo would ask the registry.
        let lock = fs::read_to_string(repository().join("examples/steps/rust/Cargo.lock")).expect("a lock");
        let lock = lock.replace("name = \"config\"", &format!("name = \"{name}\""));
        fs::write(folder.join("Cargo.lock"), lock).expect("a file");
    }
    std::os::unix::fs::symlink(fs::canonicalize(target).expect("a folder"), folder.join("target"))
        .expect("a link");
    folder
}

/// Builds the reference step and a new project; then `mistake` is put into the new project's source, after `line` lines,
/// and the compiler must name the file.
fn builds(language: Language, target: &Path, reference: bool, mistake: &str) {
    if reference {
        let example = repository().join("examples/steps").join(language.word());
        let project = Project::read(&example).expect("the example");
        assert_eq!((project.name.as_str(), project.language), ("config", language));
        let Some(component) = build(&project) else { return };
        let imports = imports(&component);
        assert!(imports.iter().all(|name| name.starts_with("runner:step/")), "{imports:?}");
        assert!(imports.contains(&"runner:step/targets@0.1.0".to_owned()), "{imports:?}");
        assert!(
            !imports.iter().any(|name| name.contains("workspace") || name.contains("sockets")),
            "{imports:?}"
        );
    }

    let name = format!("new-{}", language.word());
    let folder = new_project(language, &name, target);
    let project = Project::read(&folder).expect("the new project");
    let Some(component) = build(&project) else { return };
    assert_eq!(
        imports(&component),
        ["runner:step/log@0.1.0", "runner:step/targets@0.1.0", "runner:step/types@0.1.0"]
    );
    assert_eq!(build(&project).expect("again"), component, "the same sources give the same bytes");

    let source = project.source();
    let text = fs::read_to_string(&source).expect("the source");
    let lines = text.lines().count();
    fs::write(&source, format!("{text}{mistake}\n")).expect("the source");
    let error = project.build().expect_err("a mistake").to_string();
    let place = format!("{}:{}", source.file_name().expect("a name").to_string_lossy(), lines + 1);
    assert!(error.contains(&place), "`{place}` is not in: {error}");
}

fn of_example(language: Language) -> PathBuf {
    repository().join("examples/steps").join(language.word()).join("target")
}

#[test]
fn c_builds() {
    builds(Language::C, &of_example(Language::C), true, "static int mistake(void) { return \"\" }");
}

#[test]
fn zig_builds() {
    builds(Language::Zig, &of_example(Language::Zig), true, "fn mistake() void { return 1 }");
}

#[test]
fn go_builds() {
    builds(Language::Go, &of_example(Language::Go), true, "func mistake() int { return \"\" + }");
}

/// Outside of this workspace: a copy of the SDK is whole. The reference step is built with the runner's own tests.
#[test]
fn rust_builds() {
    let outer = outer_target_dir(&std::env::current_exe().expect("this program")).expect("a target folder");
    builds(Language::Rust, &outer.join("guests"), false, "fn mistake() -> u32 { \"\" + }");
}
