//! Who answers for a module: signatures of people, reviews with a ceiling, and the operator who says whom to believe.

use super::people::of_a_file;
use super::project::{Project, ran};
use super::registries::{push, team, version};
use runner_fleet::{fleet_or_skip, until};
use runner_model::Digest;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const SIGNED: &str = "[environment.home]\nmodules = { signed-by = [\"*@example.org\"] }";
const VETTED: &str = "[environment.home]\nmodules = { vetted-by = [\"security@example.org\"] }";

fn sign(project: &Project, key: &str) {
    project.run(&["module", "sign", "path:own.wasm", "--key", key]).expect(0, &["own.wasm.sig"]);
}

/// A vetting by the key; answers what it is called.
fn vet(project: &Project, key: &str, module: &str, expires: &str, grants: &[&str]) -> String {
    let mut arguments =
        vec!["module", "vet", module, "--key", key, "--as", "security@example.org", "--expires", expires];
    for grant in grants {
        arguments.extend(["--ssh", grant]);
    }
    let vetted = project.run(&arguments);
    assert_eq!(vetted.code, 0, "{}", vetted.said);
    vetted.said.lines().find(|line| line.starts_with("sha256:")).expect("what it is called").to_owned()
}

#[test]
fn a_module_that_nobody_signed_is_not_even_compiled() {
    let (mut project, bytes) = of_a_file();
    project.key("alice");
    let alice = project.allowed("alice", "alice@example.org", "");
    project.policy(SIGNED, &alice);
    project.run(&["lock"]).expect(3, &["is not signed", "*@example.org"]);
    assert!(!project.is_compiled(&Digest::of(&bytes).to_string()));

    sign(&project, "alice");
    project.run(&["lock"]).expect(0, &["wrote `plan.lock`"]);
    assert!(project.is_compiled(&Digest::of(&bytes).to_string()));
    project.run(&["exec"]).expect(0, &["1 change"]);
    project
        .run(&["module", "verify", "path:own.wasm", "-e", "home"])
        .expect(0, &["signed by", "alice@example.org"]);

    // A signature that is taken away takes the right to run away, whatever is locked.
    std::fs::remove_file(project.path("own.wasm.sig")).expect("there");
    project.run(&["exec"]).expect(3, &["is not signed"]);
}

#[test]
fn ours_are_verified_by_ssh_keygen_and_its_are_verified_by_us() {
    let (mut project, _) = of_a_file();
    project.key("alice");
    let alice = project.allowed("alice", "alice@example.org", "namespaces=\"runner-module\"");
    project.policy(SIGNED, &alice);
    sign(&project, "alice");
    let peer = |arguments: &[&str]| {
        let mut command = Command::new("ssh-keygen");
        command.args(arguments).current_dir(project.path("."));
        command.stdin(std::fs::File::open(project.path("own.wasm")).expect("a component"));
        ran(command)
    };
    let verify = [
        "-Y",
        "verify",
        "-f",
        "operator/allowed_signers",
        "-I",
        "alice@example.org",
        "-n",
        "runner-module",
        "-s",
        "own.wasm.sig",
    ];
    peer(&verify).expect(0, &["Good \"runner-module\" signature"]);

    std::fs::remove_file(project.path("own.wasm.sig")).expect("there");
    peer(&["-Y", "sign", "-n", "runner-module", "-f", "alice", "own.wasm"]).expect(0, &[]);
    project.run(&["lock"]).expect(0, &["wrote `plan.lock`"]);
}

/// An agent that has a key, until it is dropped.
struct Agent(Child);

impl Agent {
    fn with(project: &Project, key: &str, socket: &Path) -> Self {
        let agent = Command::new("ssh-agent").arg("-D").arg("-a").arg(socket).stdout(Stdio::null()).spawn();
        let agent = Self(agent.expect("an agent"));
        until("the agent listens", || socket.exists());
        let mut add = Command::new("ssh-add");
        add.arg("-q").arg(project.path(key)).env("SSH_AUTH_SOCK", socket).stdin(Stdio::null());
        ran(add).expect(0, &[]);
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_agent_and_whoever_asks_for_a_passphrase_sign_too() {
    let (mut project, _) = of_a_file();
    project.key("alice");
    let alice = project.allowed("alice", "alice@example.org", "");
    project.key_with("bob", "correct horse");
    let bob = project.allowed("bob", "bob@example.org", "");
    project.policy(SIGNED, &format!("{alice}{bob}"));

    // Only the agent has the private half.
    let socket = tempfile::tempdir().expect("a folder");
    let socket = socket.path().join("agent");
    let agent = Agent::with(&project, "alice", &socket);
    std::fs::remove_file(project.path("alice")).expect("there");
    let with_agent = |mut command: Command| {
        command.env("SSH_AUTH_SOCK", &socket);
        ran(command)
    };
    let by_alice = ["module", "sign", "path:own.wasm", "--key", "alice.pub"];
    with_agent(project.command(&by_alice)).expect(0, &["own.wasm.sig"]);
    let verify = ["module", "verify", "path:own.wasm", "-e", "home"];
    project.run(&verify).expect(0, &["alice@example.org"]);
    drop(agent);
    with_agent(project.command(&by_alice)).expect(2, &["did not sign", "ssh-add -L"]);

    project.write("ask", "#!/bin/sh\necho correct horse\n");
    std::fs::set_permissions(project.path("ask"), std::fs::Permissions::from_mode(0o700)).expect("its mode");
    let mut by_bob = project.command(&["module", "sign", "path:own.wasm", "--key", "bob"]);
    by_bob.env("SSH_ASKPASS", project.path("ask")).env("SSH_ASKPASS_REQUIRE", "force");
    ran(by_bob).expect(0, &["own.wasm.sig"]);
    project.run(&verify).expect(0, &["bob@example.org"]);
    let mut nobody = project.command(&["module", "sign", "path:own.wasm", "--key", "bob"]);
    nobody.env("SSH_ASKPASS", "/usr/bin/false").env("SSH_ASKPASS_REQUIRE", "force");
    ran(nobody).expect(2, &["did not sign", "passphrase"]);
    project.run(&verify).expect(0, &["bob@example.org"]);
}

#[test]
fn each_signature_that_does_not_count_says_why() {
    let (mut project, bytes) = of_a_file();
    for name in ["alice", "mallory"] {
        project.key(name);
    }
    let refused = |project: &Project, words: &[&str]| {
        project.run(&["lock"]).expect(3, words);
        assert!(!project.is_compiled(&Digest::of(&bytes).to_string()));
    };
    let alice = project.allowed("alice", "alice@example.org", "");
    project.policy(SIGNED, &alice);

    sign(&project, "mallory");
    refused(&project, &["no signature of the module counts", "SHA256:"]);

    // Over other bytes.
    sign(&project, "alice");
    project.write("own.wasm", version(&project, "0.1.0", &["write:/"]));
    project.run(&["lock"]).expect(3, &["no signature of the module counts"]);
    project.write("own.wasm", &bytes);

    // Half of one.
    let whole = project.read("own.wasm.sig");
    project.write("own.wasm.sig", &whole[..whole.len() / 2]);
    refused(&project, &["no signature of the module counts"]);
    project.write("own.wasm.sig", &whole);

    // A key that is valid no more, one that is not valid yet, and one that is for something else.
    for (options, word) in [
        ("valid-before=\"20200101\"", "2020"),
        ("valid-after=\"29990101\"", "2999"),
        ("namespaces=\"git\"", "runner-module"),
    ] {
        let alice = project.allowed("alice", "alice@example.org", options);
        project.policy(SIGNED, &alice);
        refused(&project, &["no signature of the module counts", word]);
    }

    // Somebody who is known, and not asked for.
    let known = project.allowed("alice", "alice@elsewhere.org", "");
    project.policy(SIGNED, &known);
    refused(&project, &["is signed by", "alice@elsewhere.org"]);

    // What the operator has written wrong is said with the place.
    project.policy(SIGNED, "alice@example.org valid-before=never ssh-ed25519 AAAA\n");
    project.run(&["lock"]).expect(2, &["allowed_signers:1:"]);
}

#[test]
fn a_review_bounds_what_its_module_is_granted() {
    let (registry, mut project) = fleet_or_skip!(team());
    project.key("sec");
    let security = project.allowed("sec", "security@example.org", "");
    project.policy(VETTED, &security);
    let manifest = push(&project, &registry, &version(&project, "0.1.0", &["read:/etc"]), &[]);
    let tagged = format!("oci:{}/team/puppet:0.1.0", registry.authority());
    let module = format!("oci:{}/team/puppet@{manifest}", registry.authority());
    project.run(&["lock"]).expect(3, &["is not vetted", "security@example.org"]);

    // What a tag names is the registry's word: nobody answers for that.
    for command in ["sign", "vet", "revoke"] {
        let mut arguments = vec!["module", command, &tagged, "--key", "sec"];
        match command {
            "vet" => arguments.extend(["--as", "security@example.org", "--expires", "2999-01-01"]),
            "revoke" => arguments.extend(["--reason", "none"]),
            _ => {}
        }
        project.run(&arguments).expect(2, &["names it by its digest", "is component sha256:", &module]);
    }

    // Its ceiling is lower than what the step needs: that is refused before anything is touched.
    let narrow = vet(&project, "sec", &module, "2999-01-01", &["read:/etc"]);
    project
        .run(&["module", "verify", &module, "-e", "home"])
        .expect(0, &["reviewed by security@example.org", &narrow]);
    project.run(&["lock"]).expect(0, &[]);
    let refused = project.run(&["exec"]);
    refused.expect(3, &["the ceiling of `security@example.org`", &project.fill("write:{etc}")]);
    assert!(!project.path("etc/motd").exists());

    let write = project.fill("write:{etc}");
    let wide = vet(&project, "sec", &module, "2999-01-01", &["read:/etc", &write]);
    project.run(&["lock"]).expect(0, &[]);
    project.run(&["exec"]).expect(0, &["1 change"]);

    // Taken back: for those who ask the registry again.
    let revoke = ["module", "revoke", &module, "--key", "sec", "--reason", "it phones home", "--vetting"];
    project.run(&[&revoke[..], &[&wide]].concat()).expect(0, &["sha256:"]);
    let refused = project.run(&["lock"]);
    refused.expect(3, &["no vetting of the module counts", "it phones home"]);
    assert!(!refused.said.contains(&narrow[7..19]), "what was said before does not come back");

    // And at once, wherever the registry may be, where the operator says so.
    let again = vet(&project, "sec", &module, "2999-01-01", &["read:/etc", &write]);
    project.run(&["lock"]).expect(0, &[]);
    let revoked = format!("revoked = [\"{again}\"]\n{VETTED}");
    project.policy(&revoked, &security);
    project.run(&["exec"]).expect(3, &["no vetting of the module counts", "revoked"]);
}

#[test]
fn a_review_that_has_expired_or_is_of_another_module_does_not_count() {
    let (mut project, bytes) = of_a_file();
    project.key("sec");
    let security = project.allowed("sec", "security@example.org", "");
    project.policy(VETTED, &security);
    let write = project.fill("write:{etc}");
    vet(&project, "sec", "path:own.wasm", "2999-01-01", &[&write]);
    project.run(&["lock"]).expect(0, &[]);
    project.run(&["exec"]).expect(0, &["1 change"]);

    let other = version(&project, "0.1.1", &[]);
    project.write("own.wasm", &other);
    project.run(&["lock"]).expect(3, &["no vetting of the module counts"]);
    assert!(!project.is_compiled(&Digest::of(&other).to_string()));
    project.write("own.wasm", &bytes);

    // In the past it cannot even be given.
    let arguments =
        ["module", "vet", "path:own.wasm", "--key", "sec", "--as", "security@example.org", "--expires"];
    project.run(&[&arguments[..], &["2020-01-01"]].concat()).expect(2, &["expires"]);
    // By somebody who calls himself so, with another key.
    project.key("mallory");
    vet(&project, "mallory", "path:own.wasm", "2999-01-01", &["write:/"]);
    project.run(&["lock"]).expect(3, &["no vetting of the module counts"]);
}

#[test]
fn a_module_from_elsewhere_is_refused() {
    let (registry, mut project) = fleet_or_skip!(team());
    push(&project, &registry, &version(&project, "0.1.0", &[]), &[]);
    let at = registry.authority();
    let lets = |project: &mut Project, path: &str| {
        let rules = format!("[environment.home]\nmodules = {{ registries = [\"{at}/{path}\"] }}");
        project.policy(&rules, "");
        project.run(&["lock"])
    };
    lets(&mut project, "teams").expect(3, &["lets modules come from", "teams` only"]);
    lets(&mut project, "team").expect(0, &[]);
    project.policy("[environment.home]\nmodules = { files = false }", "");
    project.run(&["exec"]).expect(0, &[]);
    let (mut of_file, _) = of_a_file();
    of_file.policy("[environment.home]\nmodules = { files = false }", "");
    of_file.run(&["lock"]).expect(3, &["the module comes from the file"]);
}
