//! Every file that a page shows is accepted by the real runner, with the real modules.

use super::pages::{self, Block};
use super::{generated, repository};
use runner_model::EnvironmentName;
use runner_model::policy::Policy;
use std::path::Path;
use std::process::Command;

/// What a plan has beside a step, so that the step's references mean something.
const AROUND: &str = r#"plan = 1
name = "shop"

[modules]
std = "builtin"

[environment.test]
inventory = "test.toml"

[release]
root = "/srv/shop"
artifact = "${package.artifact}"
shared = ["uploads/"]
keep = 5

[strategy]
role = "web"
"#;

const PACKAGE: &str = r#"
[[prepare]]
id = "package"
uses = "std/package"
with = { source = "app" }
"#;

const INVENTORY: &str = r#"inventory = 1

[defaults]
connection = "local"

[target.web-1]
roles = ["web"]

[target.web-2]
root = "/srv/web-2"
roles = ["web"]
labels = ["canary"]

[target.web-3]
root = "/srv/web-3"
roles = ["web"]

[target.web-4]
root = "/srv/web-4"
roles = ["web"]

[target.lb-1]
root = "/srv/lb"
roles = ["lb"]

[target.db-1]
root = "/srv/db"
roles = ["db"]
"#;

/// `runner check` of a plan in this folder finds nothing wrong with it. It says 3: there is no lock.
fn checked(folder: &Path, plan: &str, what: &str) {
    for environment in environments(&folder.join(plan)) {
        let ran = Command::new(env!("CARGO_BIN_EXE_runner"))
            .args(["check", plan, "--environment", &environment])
            .current_dir(folder)
            .env("HOME", folder)
            .env_remove("RUNNER_POLICY")
            .env_remove("XDG_CONFIG_HOME")
            .env("XDG_CACHE_HOME", super::cache())
            .output()
            .expect("the runner runs");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(matches!(ran.status.code(), Some(0 | 3)), "{what}, environment `{environment}`:\n{said}");
        assert!(!said.contains("warning"), "{what}, environment `{environment}`:\n{said}");
    }
}

fn environments(plan: &Path) -> Vec<String> {
    let text = pages::read(plan);
    let names = text.lines().filter_map(|line| line.strip_prefix("[environment.")?.strip_suffix(']'));
    names.map(str::to_owned).collect()
}

/// The version line that a file begins with, after comments.
fn begins(text: &str, key: &str) -> bool {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    line.is_some_and(|line| line.split('#').next().unwrap_or_default().trim() == format!("{key} = 1"))
}

#[test]
fn plans_inventories_and_policies_on_pages_are_accepted() {
    let (mut plans, mut policies) = (0, 0);
    for page in pages::all() {
        let text = pages::read(&page);
        let blocks = pages::blocks(&text);
        let toml: Vec<&Block> = blocks.iter().filter(|block| block.language == "toml").collect();
        let folder = tempfile::tempdir().expect("a folder");
        for block in &toml {
            let what = format!("{}:{}", page.display(), block.line);
            if begins(&block.text, "policy") {
                let policy =
                    Policy::parse(&what, block.text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
                let name: EnvironmentName = "production".parse().expect("a name");
                policy.environment(&name).unwrap_or_else(|error| panic!("{what}: {error}"));
                policies += 1;
            } else if begins(&block.text, "plan") {
                assert!(block.file.is_some(), "{what}: the plan has no file name");
            } else if block.file.is_none() {
                // A part of some file: TOML at least, and a step is checked as such below.
                let parsed: Result<toml::Table, _> = block.text.parse();
                parsed.unwrap_or_else(|error| panic!("{what}: {error}"));
            } else if !block.appended {
                block.write(folder.path(), str::to_owned);
            }
        }
        for block in &toml {
            let Some(file) = &block.file else { continue };
            if !begins(&block.text, "plan") && !block.appended {
                continue;
            }
            block.write(folder.path(), str::to_owned);
            if block.text.contains("hello.wasm") {
                let to = folder.path().join("hello/target");
                std::fs::create_dir_all(&to).expect("a folder");
                std::fs::copy(super::console::hello(), to.join("hello.wasm")).expect("a copy");
            }
            for missing in inventories(&block.text) {
                let path = folder.path().join(missing);
                if !path.exists() {
                    std::fs::write(path, INVENTORY).expect("it is written");
                }
            }
            checked(folder.path(), file, &format!("{}:{}", page.display(), block.line));
            plans += 1;
        }
    }
    assert!(plans >= 5 && policies >= 1, "{plans} plans and {policies} policies");
}

fn inventories(plan: &str) -> impl Iterator<Item = &str> {
    plan.lines().filter_map(|line| line.strip_prefix("inventory = \"")?.split('"').next())
}

/// Steps on pages that are no whole plan: `[[rollout]]` and so on, fenced or indented.
#[test]
fn steps_on_pages_fit_their_modules() {
    let mut found = 0;
    for page in pages::all() {
        let text = pages::read(&page);
        let fenced = pages::blocks(&text);
        let fenced = fenced.iter().filter(|block| block.language == "toml" && !begins(&block.text, "plan"));
        let parts: Vec<String> = fenced.map(|block| block.text.clone()).chain(indented(&text)).collect();
        for part in parts.iter().filter(|part| part.contains("\nuses = ")) {
            step(part, &page.display().to_string());
            found += 1;
        }
    }
    for module in generated::modules() {
        for part in indented(&module.manifest.documentation) {
            step(&part, &format!("std/{}", module.manifest.name));
            found += 1;
        }
    }
    assert!(found >= 16, "{found} steps");
}

fn step(part: &str, what: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let package = if part.contains("id = \"package\"") { "" } else { PACKAGE };
    // A part that has a strategy of its own needs no other one.
    let around = match part.contains("[strategy]") {
        true => AROUND.split("[strategy]").next().unwrap_or(AROUND),
        false => AROUND,
    };
    std::fs::write(folder.path().join("plan.toml"), format!("{around}{package}\n{part}")).expect("written");
    std::fs::write(folder.path().join("test.toml"), INVENTORY).expect("written");
    checked(folder.path(), "plan.toml", &format!("{what}:\n{part}"));
}

/// Blocks that are code by their indentation and hold a step.
fn indented(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut fenced = false;
    let mut inside = false;
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        match line.strip_prefix("    ") {
            Some(code) if !fenced && (inside || code.starts_with("[[")) => {
                if !inside {
                    parts.push(String::new());
                }
                if let Some(part) = parts.last_mut() {
                    part.push_str(code);
                    part.push('\n');
                }
                inside = true;
            }
            _ => inside = false,
        }
    }
    parts
}

#[test]
fn plans_of_the_examples_are_accepted() {
    let source = repository().join("examples/web");
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["plan.toml", "production.toml"] {
        std::fs::copy(source.join(name), folder.path().join(name)).expect("a copy");
    }
    // The demo's fleet writes this one.
    std::fs::copy(source.join("production.toml"), folder.path().join("fleet.toml")).expect("a copy");
    checked(folder.path(), "plan.toml", "examples/web");
}
