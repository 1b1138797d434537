//! What is wrong with a test is told with its place and its mend, and nothing that is written is without effect.

use super::{ArtifactContent, Goes, Trial, Unit};
use crate::{Digest, FailureKind, Manifest, Problems};
use serde_json::json;
use std::collections::BTreeMap;

fn read(text: &str) -> Result<Trial, Problems> {
    Trial::parse("tests/config.toml", text.as_bytes())
}

fn wrong(text: &str) -> String {
    read(text).expect_err("it is wrong").plain()
}

fn manifest(runs: &str, world: &str) -> Manifest {
    let manifest = json!({
        "name": "config", "version": "0.1.0", "summary": "writes a file", "documentation": "", "world": world,
        "parameters": {
            "type": "object", "required": ["file"], "additionalProperties": false,
            "properties": { "file": { "type": "string" }, "text": { "type": "string", "default": "" } },
        },
        "outputs": { "type": "object", "properties": {} },
        "runs": runs, "capabilities": { "ssh": ["write:${file}"] },
    });
    Manifest::parse(&manifest.to_string()).expect("a manifest")
}

const WHOLE: &str = r#"
with = { file = "/etc/app.conf" }
allow = { ssh = ["write:/etc/app.conf"] }
limits = { fuel = 1000 }
become = "root"
secrets = { token = "correct horse" }
attempt = 2
release = "4.2"
previous = "4.1"
workspace = { "src/app" = "text" }
artifacts = { app = { "bin/app" = "x" }, notes = "text" }

[target]
name = "web-9"
user = "admin"
root = "/srv/app"
files = { "/etc/app.conf" = { text = "port = 80\n", mode = 0o600, owner = "root" }, "/etc/motd" = "hello\n" }
folders = ["/var/lib/app"]
links = { "/srv/app/current" = "releases/4.1" }
services = { nginx = "active", php-fpm = "failing" }
facts = { os = "linux", has-zstd = false, disk-free = 1000 }
vars = { port = 8080 }
[[target.release]]
id = "4.1"
files = { app = "old" }

[[command]]
argv = ["nginx", "-t"]
status = 1
stderr = "no"
[[request]]
url = "http://127.0.0.1/health"
status = 503
[[socket]]
path = "/run/app.sock"
said = "show\n"
answer = "up\n"
[[fault]]
call = "targets.write"
nth = 2
kind = "conflict"
message = "no space"
[[fault]]
call = "targets.service"
lost = true
[[fault]]
call = "commands.run"
cancel = true

[expect]
error = { kind = "conflict", message = "no space" }
calls = ["targets.write /etc/app.conf"]
files = { "/etc/app.conf" = "port = 80\n" }
folders = { "/var/lib/app" = { mode = 0o755 } }
absent = ["/etc/old"]
services = { nginx = "inactive" }
log = ["one"]
"#;

#[test]
fn a_test_is_read_as_it_is_written() {
    let trial = read(WHOLE).unwrap_or_else(|problems| panic!("{}", problems.plain()));
    assert_eq!((trial.attempt, trial.machine.user.as_str()), (2, "admin"));
    assert_eq!(trial.machine.services["php-fpm"], Unit::Failing);
    assert_eq!(trial.machine.files.len(), 2);
    assert_eq!(
        trial.artifacts.values().next_back().map(|a| &a.content),
        Some(&ArtifactContent::File("text".into()))
    );
    let faults: Vec<_> = trial.faults.iter().map(|fault| fault.what.clone()).collect();
    let lets = "the test lets it fail".to_owned();
    assert_eq!(
        faults,
        [
            Goes::Fails(FailureKind::Conflict, "no space".to_owned()),
            Goes::Lost(FailureKind::Unreachable, lets),
            Goes::Cancelled
        ]
    );
    assert_eq!((trial.commands.len(), trial.requests.len(), trial.sockets.len()), (1, 1, 1));
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_its_mend() {
    let told = wrong(
        "wit = {}\n[target]\nservices = { nginx = \"act1ve\" }\nfacts = { oss = \"linux\" }\nfolders = [\"etc\"]\n\
         [[fault]]\ncall = \"targets.writ\"\n[expect]\noutput = {}\n",
    );
    for line in [
        "tests/config.toml:1:1: unknown key `wit`",
        "did you mean `with`?",
        "`nginx` must be `\"active\"` or `\"inactive\"` or `\"failing\"`, not `act1ve`",
        "there is no fact `oss`",
        "did you mean `os`?",
        "did you mean `\"targets.write\"`?",
        "did you mean `outputs`?",
    ] {
        assert!(told.contains(line), "`{line}` is not in:\n{told}");
    }
}

#[test]
fn a_test_without_an_expectation_is_none() {
    assert!(wrong("with = {}\n").contains("a test needs `expect`"));
    assert!(wrong("[expect]\noutputs = {}\nerror = {}\n").contains("both `outputs` and `error`"));
}

#[test]
fn one_path_is_one_thing() {
    let told = wrong(
        "[target]\nfiles = { \"/etc\" = \"x\", \"/a\" = \"\" }\nlinks = { \"/a\" = \"b\" }\nfolders = [\"/etc/app\"]\n[expect]\n",
    );
    assert!(told.contains("`/a` is a file and a link"), "{told}");
    assert!(told.contains("`/etc/app` is below `/etc`, which is a file"), "{told}");
}

#[test]
fn parameters_and_grants_are_checked_as_those_of_a_plan() {
    let resolve = |text: &str, manifest: &Manifest| {
        let trial = read(text).unwrap_or_else(|problems| panic!("{}", problems.plain()));
        let artifacts = BTreeMap::from([("app".parse().expect("a name"), Digest::of("app"))]);
        trial.resolve(manifest, Digest::of("m"), &artifacts).map_err(|problems| problems.plain())
    };
    let each = manifest("each-target", "step");
    let resolved = resolve("with = { file = \"/etc/${target.name}\" }\n[expect]\n", &each).expect("it fits");
    assert_eq!(
        resolved.steps[0].grants[0].grants.texts().into_iter().next().map(|(_, text)| text),
        Some("write:/etc/${target.name}".into())
    );
    let told = resolve("with = { fil = \"/etc/app\" }\n[expect]\n", &each).expect_err("no such parameter");
    assert!(told.contains("tests/config.toml:1:10: `config` has no parameter `fil`"), "{told}");
    let told = resolve("with = { file = 7 }\n[expect]\n", &each).expect_err("no text");
    assert!(told.contains("tests/config.toml:1:17"), "{told}");
    let told = resolve("with = { file = \"etc\" }\n[expect]\n", &each).expect_err("no path");
    assert!(told.contains("tests/config.toml:1:17"), "{told}");
    let once = manifest("once", "step");
    let here = resolve("with = { file = \"/etc/a\" }\n[expect]\n", &once).expect("it fits");
    assert!(here.steps[0].runs.targets()[0].is_localhost());
    let there =
        resolve("with = { file = \"/etc/a\" }\n[target]\nname = \"db\"\n[expect]\n", &once).expect("it fits");
    assert_eq!(there.steps[0].runs.targets()[0].as_str(), "db");
    let uses = "with = { file = \"/srv/${var.app}\" }\nartifacts = { app = \"x\" }\n[expect]\n";
    resolve(uses, &each).expect("an artifact is a variable");
    let asks = "asks = \"leave\"\nwith = { file = \"/etc/a\" }\n[expect]\n";
    let cluster = resolve(asks, &manifest("each-target", "cluster")).expect("it fits");
    assert_eq!(cluster.cluster.map(|step| step.on.len()), Some(1));
    assert!(resolve(asks, &each).expect_err("a step").contains("remove it"));
}
