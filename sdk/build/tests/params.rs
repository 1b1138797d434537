//! How the SDKs of C, Go, Python and Zig read parameters and write schemas, and what they hand to the host, tested in
//! each language, on this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn sdk(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(language)
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Runs the first of these programs that is there.
fn run(programs: &[&str], with: impl Fn(&mut Command)) -> Option<Output> {
    for program in programs {
        let mut command = Command::new(program);
        with(&mut command);
        match command.output() {
            Ok(output) => return Some(output),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => panic!("{program}: {error}"),
        }
    }
    eprintln!("SKIPPED: tests of an SDK: `{}` is missing", programs[0]);
    None
}

fn passes(output: &Output) {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn parameters_in_c() {
    let program = scratch("c-params").join("params");
    let Some(built) = run(&["cc"], |command| {
        command.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-I"]).arg(sdk("c"));
        command
            .arg(sdk("c").join("params.c"))
            .arg(sdk("build").join("tests/c/params.c"))
            .arg("-o")
            .arg(&program);
    }) else {
        return;
    };
    passes(&built);
    let ran = Command::new(&program).output().expect("it starts");
    passes(&ran);
    let manifest: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("a manifest");
    let parameters = &manifest["parameters"];
    assert_eq!(parameters["required"], serde_json::json!(["name"]));
    assert_eq!(
        parameters["properties"]["name"],
        serde_json::json!({ "type": "string", "pattern": "^[a-z\\\\]+$", "description": "A \"name\"." })
    );
    assert_eq!(
        parameters["properties"]["tries"],
        serde_json::json!({ "type": "integer", "minimum": 1, "default": 5 })
    );
    assert_eq!(parameters["properties"]["more"], serde_json::json!({ "type": ["object", "string"] }));
    assert_eq!(
        parameters["properties"]["dry-run"],
        serde_json::json!({ "type": "boolean", "default": true })
    );
}

/// With a host that is made up, and has what the test asks for and nothing else.
#[test]
fn calls_in_c() {
    let program = scratch("c-calls").join("calls");
    let Some(built) = run(&["cc"], |command| {
        command.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-I"]).arg(sdk("c"));
        command
            .args(["runner.c", "params.c"].map(|file| sdk("c").join(file)))
            .arg(sdk("build").join("tests/c/calls.c"))
            .args(["-no-pie", "-Wl,--unresolved-symbols=ignore-all", "-o"])
            .arg(&program);
    }) else {
        return;
    };
    passes(&built);
    passes(&Command::new(&program).output().expect("it starts"));
}

fn passes_in_zig(file: &str) {
    let cache = scratch("zig-params");
    let ran = run(&["zig", "python-zig"], |command| {
        command.arg("test").arg(sdk("zig").join(file));
        command.env("ZIG_LOCAL_CACHE_DIR", &cache).env("ZIG_GLOBAL_CACHE_DIR", &cache);
    });
    ran.iter().for_each(passes);
}

#[test]
fn parameters_in_zig() {
    passes_in_zig("params.zig");
}

#[test]
fn calls_in_zig() {
    passes_in_zig("runner.zig");
}

#[test]
fn parameters_in_go() {
    let cache = scratch("go-params");
    let ran = run(&["go"], |command| {
        command.current_dir(sdk("go")).args(["test", "."]);
        command.env("GOCACHE", &cache).env("GOTOOLCHAIN", "local").env("GOFLAGS", "").env("GOWORK", "off");
        command.env("CGO_ENABLED", "0");
    });
    ran.iter().for_each(passes);
}

#[test]
fn parameters_in_python() {
    let ran = run(&["python3"], |command| {
        command.arg(sdk("build").join("tests/python/params.py"));
        command.env("PYTHONPATH", sdk("python")).env("PYTHONDONTWRITEBYTECODE", "1");
    });
    ran.iter().for_each(passes);
}
