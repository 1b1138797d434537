//! What the command line says, as a person sees it: `--help`, and the errors that everybody meets. Each snapshot has the
//! exit code, stdout and stderr of the real binary.

mod ansible;
mod init;
mod inventory_command;
mod layout;
mod modules;

use std::path::Path;
use std::process::Command;

const PLAN: &str = r#"plan = 1
name = "shop"

[vars]
version = "1"

[modules]
std = "builtin"

[environment.staging]
inventory = "staging.toml"

[environment.production]
inventory = "production.toml"

[release]
root = "/srv/shop"
artifact = "${package.artifact}"
version = "${var.version}"

[strategy]
role = "web"
batches = [1, "100%"]

[[prepare]]
id = "package"
uses = "std/package"
with = { source = "app" }

[[stage]]
id = "distribute"
uses = "std/distribute"
with = { artifact = "${release.artifact}", root = "${release.root}" }

[[rollout]]
id = "switch"
uses = "std/switch"
with = { root = "${release.root}" }

[[rollout]]
id = "migrate"
uses = "std/command"
with = { argv = ["/bin/sh", "-c", "true"] }

[[rollout]]
id = "restart"
uses = "std/restart"
with = { unit = "php-fpm", root = "${release.root}" }
become = "root"
"#;

/// For targets of this machine.
const LOCAL: &str = r#"plan = 1
name = "shop"

[modules]
std = "builtin"

[environment.test]
inventory = "inventory/hosts.yml"

[release]
root = "/srv/shop"
artifact = "${package.artifact}"

[strategy]
role = "web"

[[prepare]]
id = "package"
uses = "std/package"
with = { source = "app" }

[[stage]]
id = "distribute"
uses = "std/distribute"
with = { artifact = "${release.artifact}", root = "${release.root}" }

[[rollout]]
id = "switch"
uses = "std/switch"
with = { root = "${release.root}" }

[[finish]]
id = "tell"
uses = "std/command"
on = "odd"
with = { argv = ["/usr/bin/true", "${target.vars.colour}"] }
"#;

const INVENTORY: &str = r#"inventory = 1

[defaults]
user = "deploy"

[target.web-1]
address = "web-1.invalid"
roles = ["web"]

[target.web-2]
address = "web-2.invalid"
roles = ["web"]
"#;

/// A folder with a plan, and what the runner says there.
struct Project(tempfile::TempDir);

impl Project {
    fn new() -> Self {
        let project = Self(tempfile::tempdir().expect("a folder"));
        project.write("plan.toml", PLAN);
        project.write("staging.toml", INVENTORY);
        project.write("production.toml", INVENTORY);
        project
    }

    /// A project whose plan has another text somewhere.
    fn edited(from: &str, to: &str) -> Self {
        let project = Self::new();
        project.edit("plan.toml", from, to);
        project
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.0.path().join(name), bytes).expect("it is written");
    }

    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "`{name}` has no `{from}`");
        self.write(name, text.replacen(from, to, 1));
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).expect("it is read")
    }

    fn run(&self, arguments: &[&str]) -> String {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli-cache");
        let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
        for variable in ["RUNNER_POLICY", "XDG_CONFIG_HOME", "NO_COLOR", "COLUMNS", "RUST_LOG"] {
            command.env_remove(variable);
        }
        let ran = command
            .args(arguments)
            .current_dir(self.0.path())
            .env("HOME", self.0.path())
            .env("XDG_CACHE_HOME", cache)
            .envs(variables.iter().copied())
            .output()
            .expect("the runner runs");
        let folder = self.0.path().display().to_string();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&folder, "FOLDER");
        let mut said = format!("exit code {}\n", ran.status.code().expect("an exit code"));
        for (name, bytes) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
            if !bytes.is_empty() {
                said.push_str(&format!("--- {name}\n{}", text(bytes)));
            }
        }
        said
    }
}

/// Compares with the snapshot of this name; digests may be any.
fn same(name: &str, said: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(".");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter("sha256:[0-9a-f]{64}", "sha256:DIGEST");
    // How large a standard module is changes with each of its changes.
    settings.add_filter(
        r"\b[0-9]+ bytes begins at byte [0-9]+, and\s+(│\s+)?only [0-9]+\s+(│\s+)?bytes",
        "… bytes begins at byte …, and only … bytes",
    );
    settings.add_filter(r"(size\s+)[0-9.]+ [KM]?i?B", "${1}SIZE");
    settings.add_filter("\"size\": [0-9]+", "\"size\": SIZE");
    settings.add_filter(r"-> [0-9.]+ [KM]?i?B \([0-9.]+ [KM]?i?B (more|less)\)", "-> SIZE (SIZE $1)");
    settings.bind(|| insta::assert_snapshot!(name, said));
}

#[test]
fn help() {
    let project = Project::new();
    same("help", &project.run(&["--help"]));
    for command in [
        "exec",
        "check",
        "lock",
        "schema",
        "completions",
        "man",
        "module",
        "module inspect",
        "module diff",
        "init",
        "fmt",
        "doctor",
        "explain",
    ] {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        same(&format!("help-{}", command.replace(' ', "-")), &project.run(&words));
    }
    same("no-command", &project.run(&[]));
    same("unknown-command", &project.run(&["exce"]));
    same("variable-without-value", &project.run(&["check", "--var", "version"]));
}

#[test]
fn check_and_lock() {
    let project = Project::new();
    same("check-without-lock", &project.run(&["check", "-e", "staging"]));
    same("exec-without-lock", &project.run(&["exec", "-e", "staging"]));
    same("lock-check-without-lock", &project.run(&["lock", "--check"]));
    same("lock", &project.run(&["lock"]));
    let lock = project.read("plan.lock");
    let (grants, _) = lock.split_once("[environment.production.module").expect("modules");
    same("lock-text", grants);
    same("lock-again", &project.run(&["lock"]));
    same("check", &project.run(&["check", "-e", "staging"]));
    same("check-json", &project.run(&["check", "-e", "staging", "--json"]));

    project.edit("plan.toml", "php-fpm", "nginx");
    same("exec-stale-lock", &project.run(&["exec", "-e", "staging"]));
    same("lock-check-stale-lock", &project.run(&["lock", "--check"]));

    project.write("plan.lock", "lock = 1\nnonsense");
    same("exec-broken-lock", &project.run(&["exec", "-e", "staging"]));
    project.write("other plan.toml", PLAN);
    same("other-plan-without-lock", &project.run(&["exec", "other plan.toml", "-e", "staging"]));
}

#[test]
fn environments_and_files() {
    let project = Project::new();
    same("which-environment", &project.run(&["check"]));
    same("unknown-environment", &project.run(&["check", "-e", "prodution"]));
    same("missing-plan", &project.run(&["check", "plan.tml"]));
    same("plan-is-a-folder", &project.run(&["check", "."]));
    let project = Project::edited("staging.toml", "stagign.toml");
    same("missing-inventory", &project.run(&["check", "-e", "staging"]));
    let project = Project::new();
    project.edit("staging.toml", "roles", "rolls");
    project.edit("staging.toml", "user = \"deploy\"", "user = \"deploy\"\nport = 70000");
    same("bad-inventory", &project.run(&["check", "-e", "staging"]));
    let project = Project::edited("role = \"web\"", "role = \"app\"");
    same("no-targets", &project.run(&["check", "-e", "staging"]));
}

#[test]
fn bad_plans() {
    for (name, from, to) in [
        ("malformed", "name = \"shop\"", "name = \"shop"),
        ("unknown-key", "role = \"web\"", "rolle = \"web\""),
        ("later-key", "[strategy]", "[report]\njunit = \"out.xml\"\n\n[strategy]"),
        ("unknown-reference", "root = \"${release.root}\"", "root = \"${relaese.root}\""),
        ("wrong-parameter", "source = \"app\"", "sorce = \"app\""),
        ("wrong-type", "source = \"app\"", "source = 7"),
        ("unknown-module", "std/switch", "std/swtich"),
        ("module-that-is-missing", "std = \"builtin\"", "std = \"builtin\"\nown = { path = \"own.wasm\" }"),
        ("warning", "[vars]", "[vars]\ncolour = \"red\""),
        ("unknown-action", "unit = \"php-fpm\"", "unit = \"php-fpm\", action = \"rstart\""),
    ] {
        let project = Project::edited(from, to);
        if name == "module-that-is-missing" {
            project.edit("plan.toml", "std/switch", "own");
        }
        same(name, &project.run(&["check", "-e", "staging"]));
    }
    let project = Project::new();
    same("unknown-variable", &project.run(&["check", "-e", "staging", "--var", "verson=2"]));
    project.write("plan.toml", PLAN.as_bytes().repeat(1 + 10 * 1024 * 1024 / PLAN.len()));
    same("large-plan", &project.run(&["check", "-e", "staging"]));
    project.write("plan.toml", b"plan = 1\nname = \"\xff\"\n");
    same("not-utf8", &project.run(&["check", "-e", "staging"]));
    project.write("plan.toml", "");
    same("empty-plan", &project.run(&["check"]));
}

#[test]
fn what_is_no_step() {
    let step: &[u8] = runner_steps::find("switch").expect("a module").bytes;
    for (name, bytes) in [
        ("text", b"hello\n".as_slice()),
        ("core-module", b"\0asm\x01\0\0\0"),
        ("empty-component", b"\0asm\x0d\0\x01\0"),
        ("truncated", &step[..step.len() / 2]),
    ] {
        let project =
            Project::edited("std = \"builtin\"", "std = \"builtin\"\nown = { path = \"own.wasm\" }");
        project.edit("plan.toml", "std/switch", "own");
        project.write("own.wasm", bytes);
        same(&format!("no-step-{name}"), &project.run(&["check", "-e", "staging"]));
    }
}

#[test]
fn the_operators_policy() {
    let project = Project::new();
    project.run(&["lock"]);
    let policy = project.0.path().join("policy.toml").display().to_string();
    let run = |text: &str| {
        project.write("policy.toml", text);
        project.run_with(&["exec", "-e", "staging"], &[("RUNNER_POLICY", &policy)])
    };
    same("policy-without-the-environment", &run("policy = 1\n\n[environment.production]\n"));
    same(
        "policy-that-is-wrong",
        &run("policy = 1\n\n[environment.staging]\ndeny = { shh = [\"write:/\"] }\n"),
    );
    let missing = project.run_with(&["exec", "-e", "staging"], &[("RUNNER_POLICY", "/nowhere/policy.toml")]);
    same("policy-that-is-missing", &missing);
    // Also by a path that is relative to here.
    project.write("policy.toml", "policy = 1\n\n[environment.production]\n");
    let relative = project.run_with(&["exec", "-e", "staging"], &[("RUNNER_POLICY", "policy.toml")]);
    assert!(relative.contains("does not speak of the environment `staging`"), "{relative}");
}

#[test]
fn events_into_nowhere() {
    let project = Project::new();
    project.run(&["lock"]);
    same("events-into-nowhere", &project.run(&["exec", "-e", "staging", "--events", "no/such/folder"]));
}

#[test]
fn shells_complete_every_command() {
    let project = Project::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let said = project.run(&["completions", shell]);
        let script = said.strip_prefix("exit code 0\n--- stdout\n").unwrap_or_else(|| panic!("{said}"));
        for word in ["exec", "inspect", "environment", "completions"] {
            assert!(script.contains(word), "{shell} does not complete `{word}`");
        }
        project.write(shell, script);
    }
    // A shell that is not there cannot say what it thinks of them; bash is on every machine that tests this.
    for shell in ["bash", "zsh", "fish"] {
        match Command::new(shell).arg("-n").arg(project.0.path().join(shell)).output() {
            Ok(read) => assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr)),
            Err(_) if shell != "bash" => {
                eprintln!("SKIPPED: whether {shell} reads its completions: it is not there")
            }
            Err(error) => panic!("bash: {error}"),
        }
    }
    same("completions-of-an-unknown-shell", &project.run(&["completions", "bsh"]));
}

#[test]
fn man_pages_are_read_without_a_warning() {
    let project = Project::new();
    let said = project.run(&["man", "share/man1"]);
    assert!(said.starts_with("exit code 0\n"), "{said}");
    let pages = std::fs::read_dir(project.0.path().join("share/man1")).expect("a folder");
    let mut pages: Vec<_> = pages.map(|page| page.expect("an entry").path()).collect();
    pages.sort();
    assert!(pages.iter().any(|page| page.ends_with("runner-module-inspect.1")), "{pages:?}");
    project.write("main", project.run(&["man"]).strip_prefix("exit code 0\n--- stdout\n").expect("a page"));
    assert_eq!(project.read("main"), project.read("share/man1/runner.1"));
    for page in pages {
        match Command::new("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(&page).output() {
            Ok(read) => {
                let said = String::from_utf8_lossy(&read.stderr);
                assert!(read.status.success() && said.is_empty(), "{}: {said}", page.display());
            }
            Err(_) => eprintln!("SKIPPED: whether groff reads {}: it is not there", page.display()),
        }
    }
    project.write("file", "");
    same("man-into-a-file", &project.run(&["man", "file"]));
}

#[test]
fn a_plan_is_told_in_sentences() {
    let project = Project::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/web");
    for (from, to) in [("plan.toml", "web.toml"), ("production.toml", "production.toml")] {
        std::fs::copy(example.join(from), project.0.path().join(to)).expect("a copy");
    }
    same("explain-example", &project.run(&["explain", "web.toml", "-e", "production"]));
    let other = project.run(&["explain", "web.toml", "-e", "production", "--target", "web-7"]);
    assert!(
        other.contains("deploy@web-7.example.org") && !other.contains("deploy@web-1.example.org"),
        "{other}"
    );
    same(
        "explain-unknown-target",
        &project.run(&["explain", "web.toml", "-e", "production", "--target", "web-77"]),
    );
    same("explain", &project.run(&["explain", "-e", "staging"]));
}
