//! Steps in Python are built with componentize-py, and say what is wrong with them.

#[expect(unreachable_pub, reason = "shared by several tests; each uses a part")]
mod support;

use support::{assert_imports, built, example, project, world};

#[test]
fn the_example_imports_what_it_names() {
    let (_folder, project) = example("python", "python", "src/step.py");
    let Some(component) = built(&project) else { return };
    let component = component.unwrap();
    assert_imports(
        &component,
        &["artifacts", "commands", "http", "log", "secrets", "targets", "timer", "types"],
    );
    // For `print`, the time and random numbers: see src/python.rs.
    assert!(world(&component).0.iter().any(|name| name.starts_with("wasi:cli/stderr@0.2")));
}

#[test]
fn an_interface_that_is_not_named_is_told() {
    let source = "from runner_sdk import Target, step\n";
    let (_folder, project) = project("python", "python", "[]", &[("src/step.py", source)]);
    let Some(result) = built(&project) else { return };
    let error = result.unwrap_err();
    let wanted = "the step uses the interface `targets`: add \"targets\" to `imports` in step.toml";
    assert!(error.contains(wanted), "{error}");
}

#[test]
fn a_mistake_is_shown_with_its_file_and_line() {
    let source = "import json\n\ndef config(params:\n    pass\n";
    let (folder, project) = project("python", "python", "[]", &[("src/step.py", source)]);
    let Some(result) = built(&project) else { return };
    let error = result.unwrap_err();
    let file = folder.path().join("src/step.py");
    assert!(error.contains(&format!("File \"{}\", line 3", file.display())), "{error}");
    assert!(error.contains("SyntaxError: '(' was never closed"), "{error}");
    assert!(!error.contains("backtrace"), "{error}");
}

#[test]
fn a_type_that_no_plan_can_give_is_told() {
    let source = "from runner_sdk import Model, field\n\nclass Params(Model):\n    when: complex = field('When.')\n\
                  Params.schema()\n";
    let (_folder, project) = project("python", "python", "[]", &[("src/step.py", source)]);
    let Some(result) = built(&project) else { return };
    let error = result.unwrap_err();
    assert!(
        error.contains("TypeError: `when`: a plan has no values of the type `<class 'complex'>`"),
        "{error}"
    );
}
