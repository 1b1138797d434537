//! `step.toml`: what is wrong in it is told with the place and the mend.

use runner_guests::{Error, Project};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;

fn read(text: &str) -> Result<Project, String> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("step.toml"), text).expect("it can be written");
    let place = folder.path().join("step.toml").display().to_string();
    Project::read(folder.path()).map_err(|error| error.to_string().replace(&place, "step.toml"))
}

#[test]
fn imports_are_sorted_and_named_once() {
    let text = "name = \"x\"\nlanguage = \"python\"\nimports = [\"timer\", \"http\", \"timer\"]\n";
    let imports: Vec<_> = read(text).unwrap().imports.into_iter().map(|interface| interface.name()).collect();
    assert_eq!(imports, ["http", "timer"]);
}

#[test]
fn an_unknown_interface_is_told_with_what_was_meant() {
    let error = read("name = \"x\"\nlanguage = \"python\"\nimports = [\"http\", \"target\"]\n").unwrap_err();
    assert!(
        error.starts_with("`step.toml` is not as it must be: TOML parse error at line 3, column"),
        "{error}"
    );
    assert!(
        error.contains("there is no interface `target`; did you mean `targets`? There are `artifacts`, "),
        "{error}"
    );
    let error = read("name = \"x\"\nlanguage = \"python\"\nimports = [\"network\"]\n").unwrap_err();
    assert!(error.contains("there is no interface `network`. There are `artifacts`, "), "{error}");
}

#[test]
fn imports_are_refused_where_nothing_enforces_them() {
    let error = read("name = \"x\"\nlanguage = \"rust\"\nimports = [\"http\"]\n").unwrap_err();
    assert_eq!(
        error,
        "`step.toml` is not as it must be: a step in rust has no `imports`: it imports what it uses, and nothing else"
    );
}

#[test]
fn a_name_fits_all_that_is_called_by_it() {
    let named = |name: &str| read(&format!("name = \"{name}\"\nlanguage = \"c\"\n")).map(|_| ());
    named(&"a".repeat(60)).expect("short enough");
    assert!(
        named(&"a".repeat(61))
            .unwrap_err()
            .ends_with("is too long for a name of a step: at most 60 characters")
    );
    assert!(named("runner-sdk").unwrap_err().contains("`runner-sdk` is the name of the SDK"));
    assert!(named("Greet").unwrap_err().contains("`Greet` is no name for a step"));
}

#[test]
fn a_folder_that_no_compiler_can_be_told_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join(OsStr::from_bytes(b"bad\xff"));
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("step.toml"), "name = \"x\"\nlanguage = \"javascript\"\n")
        .expect("it can be written");
    let error = Project::read(&folder).expect_err("no text");
    assert!(error.to_string().ends_with("the path of its folder must be UTF-8"), "{error}");
}

#[test]
fn the_zig_of_the_project_comes_first_and_must_be_of_the_right_version() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(&file, text).expect("it can be written");
        file
    };
    write("step.toml", "name = \"x\"\nlanguage = \"zig\"\n");
    write("src/step.zig", "");
    let zig = write(".venv/bin/python-zig", "#!/bin/sh\necho 0.16.2\n");
    fs::set_permissions(&zig, fs::Permissions::from_mode(0o755)).expect("its mode");
    let error = Project::read(folder.path()).expect("a project").build().expect_err("another version");
    let Error::Missing { what, how, .. } = error else { panic!("{error}") };
    assert_eq!(what, format!("`zig` 0.17 (`{}` is 0.16.2)", zig.display()));
    assert!(how.contains("pip install ziglang==0.17.0"), "{how}");
}
