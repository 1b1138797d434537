//! The two files, as text that a person goes on editing.

use super::super::schema::{FOLDER, line};
use super::answers::{Answers, Health, Service, To};
use runner_model::schema::Kind;
use runner_model::template::Template;
use std::fmt::Write as _;

/// A line with a comment behind it.
fn noted(line: &str, comment: &str) -> String {
    format!("{line} # {comment}\n")
}

/// A string of TOML: one of JSON is one, since control characters have been refused.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A string of the plan that refers to nothing.
fn literal(text: &str) -> String {
    quoted(&Template::literal(text).to_string())
}

/// Adds a step of a standard module.
fn step(plan: &mut String, phase: &str, comment: &str, id: &str, uses: &str, with: &str) {
    let head = format!("[[{phase}]]");
    let head = if comment.is_empty() { format!("{head}\n") } else { noted(&head, comment) };
    let _ = write!(plan, "\n{head}id = \"{id}\"\nuses = \"std/{uses}\"\nwith = {{ {with} }}\n");
}

/// The plan.
pub(super) fn plan(answers: &Answers) -> String {
    let Answers { name, environment, app, root, service, health, .. } = answers;
    let inventory = quoted(&format!("{environment}.toml"));
    let mut plan = format!(
        "{}\nplan = 1\nname = {}\n\n[modules]\nstd = \"builtin\"\n\n[environment.{environment}]\ninventory = {inventory}\n",
        line(Kind::Plan),
        quoted(name.as_str())
    );
    let _ = write!(
        plan,
        "\n[release]\nroot = {}\nartifact = \"${{package.artifact}}\"\n{}",
        literal(root.as_str()),
        noted("keep = 5", "good releases that stay on a target, to go back to")
    );
    let _ = write!(
        plan,
        "\n[strategy]\nrole = \"web\"\n{}",
        noted("batches = [1, \"100%\"]", "one target first, then all others")
    );

    let exclude = match app.as_str() {
        // What belongs to the deployment is not part of the application.
        "." => format!(
            ", exclude = [\".git/\", \".runner/\", \"/{FOLDER}/\", \"/plan.toml\", \"/plan.lock\", \"/{environment}.toml\"]"
        ),
        _ => String::new(),
    };
    step(
        &mut plan,
        "prepare",
        "once, before any target is touched",
        "package",
        "package",
        &format!("source = {}{exclude}", literal(app)),
    );
    step(
        &mut plan,
        "stage",
        "on all targets at once; nothing that is live changes",
        "distribute",
        "distribute",
        "artifact = \"${release.artifact}\", root = \"${release.root}\"",
    );
    step(
        &mut plan,
        "rollout",
        "target by target, batch by batch",
        "switch",
        "switch",
        "root = \"${release.root}\"",
    );
    match service {
        Some(Service::Unit(unit)) => {
            let with = format!("unit = {}, root = \"${{release.root}}\"", literal(unit));
            step(&mut plan, "rollout", "only where another release went live", "restart", "restart", &with);
            if answers.user.as_ref().is_none_or(|user| user.as_str() != "root") {
                plan.push_str(&noted(
                    "become = \"root\"",
                    "through `sudo -n`; a grant, and the lock says so",
                ));
            }
        }
        Some(Service::Command(argv)) => {
            let argv: Vec<String> = argv.iter().map(|argument| literal(argument)).collect();
            let with = format!("argv = [{}], effect = \"signal\", repeatable = true", argv.join(", "));
            step(&mut plan, "rollout", "", "restart", "command", &with);
        }
        None => {}
    }
    if let Some(Health { url, to }) = health {
        let to = match to {
            To::Target => ", connect-to = \"${target.address}\"",
            To::Loopback => ", from = \"target\"",
            To::Url => "",
        };
        let with = format!("url = {}{to}, status = 200", quoted(url));
        step(
            &mut plan,
            "rollout",
            "the next batch begins when all are well",
            "smoke-test",
            "smoke-test",
            &with,
        );
    }
    step(
        &mut plan,
        "rollout",
        "",
        "prune",
        "prune",
        "root = \"${release.root}\", keep = \"${release.keep}\"",
    );
    plan
}

/// The inventory.
pub(super) fn inventory(answers: &Answers) -> String {
    let schema = line(Kind::Inventory);
    let mut inventory = format!("{schema}\n# The targets of `{}`.\ninventory = 1\n", answers.environment);
    if let Some(user) = &answers.user {
        let _ = write!(inventory, "\n[defaults]\nuser = {}\n", quoted(user.as_str()));
    }
    for machine in &answers.hosts {
        let name = machine.name.as_str();
        let key = if name.contains('.') { quoted(name) } else { name.to_owned() };
        let _ = write!(inventory, "\n[target.{key}]\n");
        if machine.name.is_localhost() {
            inventory.push_str(&noted("connection = \"local\"", "this machine, without ssh"));
        } else {
            let _ = writeln!(inventory, "address = {}", quoted(machine.address.as_str()));
        }
        if let Some(port) = machine.port {
            let _ = writeln!(inventory, "port = {port}");
        }
        inventory.push_str("roles = [\"web\"]\n");
    }
    inventory
}
