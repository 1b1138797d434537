//! What a careless author writes does the same in every language: text that is cut in the middle of a letter, outputs that
//! nobody set, numbers that are none, and more commands than there are handles. The steps are in `probes/`, their tests
//! beside them; what all of them must do is in `probes/tests`.

use runner_guests::{Error, Language, Project};
use std::path::Path;
use std::process::Command;

fn holds(language: Language) {
    let probes = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/languages/probes");
    let folder = probes.join(language.word());
    let project = Project::read(&folder).unwrap_or_else(|error| panic!("{error}"));
    let bytes = match project.build() {
        Ok(bytes) => bytes,
        Err(Error::Missing { what, .. }) => {
            eprintln!("SKIPPED: a careless step in {}: {what} is missing", language.word());
            return;
        }
        Err(error) => panic!("{}: {error}", language.word()),
    };
    std::fs::write(project.component_file(), bytes).expect("it is written");
    let own = folder.join("tests");
    for tests in [&probes.join("tests"), &own] {
        if !tests.is_dir() {
            assert_eq!(tests, &own);
            continue;
        }
        let mut test = Command::new(env!("CARGO_BIN_EXE_runner"));
        test.args(["module", "test"]).arg(&folder).arg("--tests").arg(tests);
        let output = test.output().expect("the program starts");
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}:\n{said}{errors}", language.word());
    }
}

#[test]
fn in_c() {
    holds(Language::C);
}

#[test]
fn in_go() {
    holds(Language::Go);
}

#[test]
fn in_javascript() {
    holds(Language::JavaScript);
}

#[test]
fn in_python() {
    holds(Language::Python);
}

#[test]
fn in_zig() {
    holds(Language::Zig);
}
