//! `step.toml`: what is wrong in it is told with the place and the mend.

use runner_guests::Project;

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
