//! `runner module`: what a module is, and what another version of it is.

use super::{Project, same};

#[test]
fn a_module_says_what_it_is() {
    let project = Project::new();
    same("inspect", &project.run(&["module", "inspect", "std/switch"]));
    same("inspect-json", &project.run(&["module", "inspect", "builtin:prune", "--json"]));
    let all = project.run(&["module", "inspect", "std/command"]);
    assert!(all.contains("(equals a shell)") && all.contains("argv: list of strings; required"), "{all}");

    let step = runner_steps::find("switch").expect("a module").bytes;
    project.write("own.wasm", step);
    let own = project.run(&["module", "inspect", "path:own.wasm"]);
    assert_eq!(
        own.replace("path:own.wasm", "builtin:switch"),
        project.run(&["module", "inspect", "builtin:switch"])
    );
    same("inspect-file-without-path", &project.run(&["module", "inspect", "own.wasm"]));
    same("inspect-name-without-std", &project.run(&["module", "inspect", "switch"]));
    // Both name all standard modules, of which there may be more tomorrow.
    let nothing = project.run(&["module", "inspect", "nothing"]);
    assert!(nothing.contains("`nothing` is not a module") && nothing.contains("`std/switch`"), "{nothing}");
    let unknown = project.run(&["module", "inspect", "std/swtich"]);
    assert!(unknown.contains("no standard module `swtich`") && unknown.contains("`switch`"), "{unknown}");
    same("inspect-missing", &project.run(&["module", "inspect", "path:none.wasm"]));
    project.write("text.wasm", "hello\n");
    same("inspect-text", &project.run(&["module", "inspect", "path:text.wasm"]));
    project.write("cut.wasm", &step[..step.len() / 2]);
    same("inspect-truncated", &project.run(&["module", "inspect", "path:cut.wasm"]));
}

#[test]
fn of_two_modules_it_is_said_what_is_different() {
    let project = Project::new();
    let step = runner_steps::find("switch").expect("a module").bytes;
    project.write("own.wasm", step);
    same("diff-same", &project.run(&["module", "diff", "std/switch", "path:own.wasm", "--check"]));
    same("diff", &project.run(&["module", "diff", "std/switch", "std/smoke-test"]));
    same("diff-json", &project.run(&["module", "diff", "std/switch", "std/smoke-test", "--json"]));
    // In CI one that wants more waits for somebody who looks at it.
    let more = project.run(&["module", "diff", "std/switch", "std/smoke-test", "--check"]);
    assert!(more.starts_with("exit code 3") && more.contains("+ http "), "{more}");
    // Bytes after the end of what is said are no other module to those who use it.
    let mut other = step.to_vec();
    let custom = b"\x00\x05\x04name";
    other.extend_from_slice(custom);
    project.write("other.wasm", &other);
    let same_but_for_bytes = project.run(&["module", "diff", "std/switch", "path:other.wasm", "--check"]);
    assert!(same_but_for_bytes.starts_with("exit code 0"), "{same_but_for_bytes}");
    assert!(
        same_but_for_bytes.contains("what it asks for, takes and gives out is the same"),
        "{same_but_for_bytes}"
    );
    let missing = project.run(&["module", "diff", "std/switch", "path:none.wasm"]);
    assert!(missing.starts_with("exit code 2") && missing.contains("path:none.wasm"), "{missing}");
}
