//! An inventory that a program prints: who may run it, what it may print, and what becomes of that.

use super::{LOCAL, Project, same};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// `plan.toml` of a project whose environment `test` asks `./hosts.sh`, which is this script.
fn project(script: &str, table: &str) -> Project {
    let project = Project::new();
    for name in ["app", "srv"] {
        std::fs::create_dir_all(project.0.path().join(name)).expect("a folder");
    }
    project.write("app/index.html", "hello");
    let root = project.0.path().join("srv").canonicalize().expect("a path").display().to_string();
    project.write("plan.toml", LOCAL.replace("\"inventory/hosts.yml\"", table).replace("/srv/shop", &root));
    program(&project, script);
    project
}

fn program(project: &Project, script: &str) {
    project.write("hosts.sh", script);
    let file = project.0.path().join("hosts.sh");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("a mode");
}

const TABLE: &str = "{ command = [\"./hosts.sh\", \"--list\"], timeout = \"30s\" }";

/// Two folders of this machine, as Ansible's dynamic inventories print them.
const ANSIBLE: &str = r#"#!/bin/sh
[ "$*" = --list ] || exit 9
echo "asked" >> asked.log
cat <<END
{"_meta": {"hostvars": {
  "a-1": {"ansible_connection": "local", "runner_root": "$PWD/srv/1", "colour": "red"},
  "a-2": {"ansible_connection": "local", "runner_root": "$PWD/srv/2", "colour": "blue"}}},
 "all": {"children": ["ungrouped", "web"]},
 "web": {"hosts": ["a-1", "a-2"], "vars": {"tier": "front"}},
 "odd": ["a-1"]}
END
"#;

#[test]
fn what_a_program_prints_is_released_to_and_kept_with_the_run() {
    let project = project(ANSIBLE, TABLE);
    same("inventory-command-exec-without-lock", &project.run(&["exec"]));
    assert!(!project.0.path().join("asked.log").exists(), "what nobody has accepted is not run");
    same("inventory-command-lock", &project.run(&["lock"]));
    let lock = project.read("plan.lock");
    assert!(lock.contains("inventory-command = [\"./hosts.sh\", \"--list\"]"), "{lock}");
    assert!(!lock.contains("a-1"), "the lock is not for these targets alone: {lock}");
    let checked = project.run(&["check"]);
    assert!(
        checked.starts_with("exit code 0\n") && checked.contains("asking `./hosts.sh --list`"),
        "{checked}"
    );
    let explained = project.run(&["explain"]);
    assert!(explained.starts_with("exit code 0\n") && explained.contains("batch 1: a-1"), "{explained}");
    let before = project.read("asked.log").lines().count();
    let ran = project.run(&["exec"]);
    assert!(ran.starts_with("exit code 0\n"), "{ran}");
    assert_eq!(project.read("asked.log").lines().count(), before + 1, "once in a run");
    for target in ["1", "2"] {
        assert_eq!(project.read(&format!("srv/{target}/current/index.html")), "hello");
    }
    // The answer is an artifact that the journal's header names.
    let runs = std::fs::read_dir(project.0.path().join(".runner/runs")).expect("runs");
    let journal = runs.flatten().next().expect("a run").path().join("journal.jsonl");
    let header: serde_json::Value =
        serde_json::from_str(std::fs::read_to_string(journal).expect("read").lines().next().expect("a line"))
            .expect("JSON");
    let answer = &header["entry"]["inventory-answer"];
    assert_eq!(answer["argv"], serde_json::json!(["./hosts.sh", "--list"]));
    assert_eq!(answer["digest"], header["entry"]["inventory-digest"]);
    let digest: runner_model::Digest = serde_json::from_value(answer["digest"].clone()).expect("a digest");
    let store = runner_artifact::Store::open(
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli-cache/runner/artifacts"),
    )
    .expect("the store");
    let bytes = store.read_bytes(&digest, answer["size"].as_u64().expect("a size")).expect("it is kept");
    assert!(String::from_utf8(bytes).expect("text").contains("\"a-2\""));
}

#[test]
fn another_program_is_another_lock_and_is_not_run() {
    let project = project(ANSIBLE, TABLE);
    let locked = project.run(&["lock"]);
    assert!(locked.starts_with("exit code 0\n"), "{locked}");
    project.edit("plan.toml", "\"--list\"]", "\"--list\", \"--all\"], env = [\"TOKEN\"]");
    std::fs::remove_file(project.0.path().join("asked.log")).expect("it was asked");
    same("inventory-command-stale", &project.run(&["exec"]));
    assert!(!project.0.path().join("asked.log").exists());
}

#[test]
fn a_policy_can_deny_programs() {
    let project = project(ANSIBLE, TABLE);
    project.write("policy.toml", "policy = 1\n[environment.\"*\"]\ninventory-commands = false\n");
    let policy = project.0.path().join("policy.toml").display().to_string();
    for command in ["check", "lock", "explain", "exec", "doctor"] {
        let said = project.run_with(&[command], &[("RUNNER_POLICY", &policy)]);
        assert!(
            said.starts_with("exit code 3\n") && said.contains("inventory-commands = false"),
            "{command}: {said}"
        );
    }
    same("inventory-command-denied", &project.run_with(&["check"], &[("RUNNER_POLICY", &policy)]));
    assert!(!project.0.path().join("asked.log").exists());
}

#[test]
fn a_program_has_what_is_named_of_the_environment_and_nothing_else() {
    let script = "#!/bin/sh\nenv | sort | cut -d= -f1 | grep -v '^\\(PWD\\|SHLVL\\|_\\|OLDPWD\\)$' > env.txt\npwd > pwd.txt\n\
        cat > stdin.txt\nexit 1\n";
    let table = "{ command = [\"./hosts.sh\"], env = [\"TOKEN\", \"NOT_SET\"] }";
    let project = project(script, table);
    let variables = [("TOKEN", "x"), ("OTHER", "y"), ("LC_ALL", "C.UTF-8"), ("LD_PRELOAD_", "z")];
    let said = project.run_with(&["check"], &variables);
    assert!(said.starts_with("exit code 2\n"), "{said}");
    let names = project.read("env.txt");
    // Of the language, whatever this machine has.
    let others: Vec<&str> =
        names.lines().filter(|name| !name.starts_with("LANG") && !name.starts_with("LC_")).collect();
    assert_eq!(others, ["HOME", "PATH", "TOKEN"], "{names}");
    assert!(names.lines().any(|name| name == "LC_ALL"), "{names}");
    assert_eq!(project.read("stdin.txt"), "");
    let folder = project.0.path().canonicalize().expect("a path");
    assert_eq!(Path::new(project.read("pwd.txt").trim()), folder);
}

/// Waits until the process ends: a signal that was sent need not have come yet.
fn ends(pid: &str) {
    let pid = pid.parse().ok().and_then(Pid::from_raw).expect("an id");
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(error) => return assert_eq!(error, Errno::SRCH),
    };
    let patience = Timespec { tv_sec: 30, tv_nsec: 0 };
    let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&patience));
    assert_eq!(ended, Ok(1), "{pid:?} goes on");
}

#[test]
fn what_goes_wrong_with_a_program_is_said_with_its_mend() {
    let check = |name: &str, script: &str, table: &str| {
        let project = project(script, table);
        same(&format!("inventory-command-{name}"), &project.run(&["check"]));
        project
    };
    check("fails", "#!/bin/sh\necho 'no \x1b[31mcredentials' >&2\nexit 7\n", TABLE);
    check(
        "warns",
        "#!/bin/sh\necho 'old API' >&2\necho '{\"inventory\": 1, \"target\": {\"a\": {\"role\": []}}}'\n",
        TABLE,
    );
    check("no-json", "#!/bin/sh\necho '{'\necho '  \"web\": [\"a\",]'\necho '}'\n", TABLE);
    check("no-meta", "#!/bin/sh\necho '{\"web\": [\"a\"]}'\n", TABLE);
    check("killed", "#!/bin/sh\nkill -KILL $$\n", TABLE);
    check("missing", "#!/bin/sh\n", "{ command = [\"./no-such\"] }");
    check("not-in-path", "#!/bin/sh\n", "{ command = [\"no-such-program-anywhere\"] }");
    check("no-interpreter", "#!/no/such/interpreter\n", TABLE);
    check("too-much", "#!/bin/sh\nhead -c 17000000 /dev/zero\n", TABLE);
    let project = check(
        "slow",
        "#!/bin/sh\necho starting >&2\nsleep 600 & echo $! > pid\nwait\n",
        "{ command = [\"./hosts.sh\"], timeout = \"1s\" }",
    );
    ends(project.read("pid").trim());
    let project = self::project("echo", TABLE);
    let file = project.0.path().join("hosts.sh");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    same("inventory-command-not-executable", &project.run(&["check"]));
    // A plan that is refused anyway runs nothing.
    let project = self::project(ANSIBLE, TABLE);
    project.edit("plan.toml", "uses = \"std/switch\"", "use = \"std/switch\"");
    let said = project.run(&["check"]);
    assert!(said.starts_with("exit code 2\n") && !said.contains("asking"), "{said}");
    assert!(!project.0.path().join("asked.log").exists());
}
