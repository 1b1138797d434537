//! Commands and services: only as they are granted, and never longer than the run.

use crate::support::ground::{Via, World};
use serde_json::{Value, json};
use std::time::Duration;

both_ways! {
    commands_run_only_as_they_are_granted,
    input_that_a_command_leaves_unread_is_never_carried_out,
    a_command_that_fails_says_how_and_its_escapes_are_written_out,
    a_check_that_holds_skips_its_command,
    a_running_command_ends_with_the_cancel,
    services_are_granted_by_unit_and_action,
    a_dump_is_packed_kept_and_fed_back,
}

async fn commands_run_only_as_they_are_granted(via: Via) {
    let world = World::new(
        via,
        &["exec-read:printf %s *", "exec-change:mkdir *", "exec-change:rmdir *", "read:{granted}"],
    )
    .await;
    let run = |argv: &[&str], effect: &str| json!({ "call": "commands.run", "argv": argv, "effect": effect });
    let new = world.in_granted("made");
    let result = world
        .calls(json!([
            run(&["printf", "%s", "$(id)`id`;id|id&&id"], "read"),
            run(&["printf", "%s", "-v"], "read"),
            run(&["printf", "%s", "a", "b"], "read"),
            run(&["printf %s a"], "read"),
            run(&["/tmp/printf", "%s", "a"], "read"),
            run(&["printf", "%s", "a"], "signal"),
            run(&["printf", "%s", "a"], "opaque"),
            run(&["sh", "-c", "id"], "read"),
            run(&[], "read"),
            run(&["mkdir", &new], "read"),
            run(&["mkdir", &new], "change"),
        ]))
        .await;
    assert_eq!(result.answers()[0]["ok"]["stdout"], "$(id)`id`;id|id&&id", "no shell sees an argument");
    assert_eq!(
        result.kinds()[1..],
        [
            "Denied", "Denied", "Denied", "Denied", "Denied", "Denied", "Denied", "Invalid", "Denied",
            "Invalid"
        ]
    );
    let error = &result.answers()[5]["err"];
    assert!(error.to_string().contains("signal"), "it says that the class is the matter: {error}");
    assert!(!world.exists(&new));

    let mut change = run(&["mkdir", &new], "change");
    change["undo"] = run(&["rm", "-rf", &new], "change");
    let mut fine = change.clone();
    fine["undo"] = run(&["rmdir", &new], "change");
    let mut skipped = fine.clone();
    skipped["skip-if"] = run(&["sh", "-c", "true"], "read");
    let mut env = run(&["printf", "%s", "a"], "read");
    env["env"] = json!({ "LD_PRELOAD": "/tmp/evil.so" });
    let mut elsewhere = fine.clone();
    elsewhere["stdout-to"] = json!(world.in_granted("out"));
    let mut folder = run(&["printf", "%s", "a"], "read");
    folder["directory"] = json!(world.secret);
    let mut input = run(&["printf", "%s", "a"], "read");
    input["stdin-file"] = json!(world.in_secret("key"));
    let result = world.calls(json!([change, skipped, env, elsewhere, folder, input, fine])).await;
    assert_eq!(
        result.kinds(),
        ["Denied", "Denied", "Denied", "Denied", "Denied", "Denied", "ok"],
        "an undo, a check, a variable, files and a folder need grants of their own"
    );
    assert!(world.exists(&new));
    world.assert_untouched();
}

/// The shell that starts a command reads its requests from the same stream.
async fn input_that_a_command_leaves_unread_is_never_carried_out(via: Via) {
    let world =
        World::new(via, &["exec-read:printf *", "exec-read:no-such-program *", "read:{granted}"]).await;
    let made = world.in_granted("made");
    let script = format!("touch {made}\n").repeat(1000);
    let run = |program: &str| json!({ "call": "commands.run", "argv": [program, "x"], "effect": "read", "stdin": script });
    for _ in 0..5 {
        let result = world.calls(json!([run("printf"), run("no-such-program"), run("printf")])).await;
        assert_eq!(result.kinds(), ["ok", "NotFound", "ok"]);
    }
    assert!(!world.exists(&made), "what was meant for a command was carried out");
    world.assert_untouched();
}

async fn a_command_that_fails_says_how_and_its_escapes_are_written_out(via: Via) {
    let world = World::new(via, &["exec-read:sh -c *", "exec-read:definitely-not-a-program"]).await;
    let result = world
        .calls(json!([
            { "call": "commands.run", "argv": ["sh", "-c", "printf '\\033[31mno\\n' >&2; exit 7"] },
            { "call": "commands.run", "argv": ["sh", "-c", "exit 7"], "accept": [7] },
            { "call": "commands.run", "argv": ["sh", "-c", "sleep 30"], "timeout": 300 },
            { "call": "commands.run", "argv": ["definitely-not-a-program"] },
        ]))
        .await;
    assert_eq!(result.kinds(), ["CommandFailed", "ok", "Timeout", "NotFound"]);
    let error = &result.answers()[0]["err"];
    assert_eq!(error["detail"], "\\u{1b}[31mno");
    assert!(result.log.iter().any(|(_, line)| line == "\\u{1b}[31mno"), "{:?}", result.log);
}

async fn a_check_that_holds_skips_its_command(via: Via) {
    let world = World::new(via, &["exec-read:test -d *", "exec-change:mkdir *", "exec-change:rmdir *"]).await;
    let new = world.in_granted("made");
    let call = json!({
        "call": "commands.run", "argv": ["mkdir", new], "effect": "change",
        "skip-if": { "argv": ["test", "-d", new] },
        "undo": { "argv": ["rmdir", new], "effect": "change" },
    });
    let result = world.calls(json!([call, call])).await;
    let skipped: Vec<_> = result.answers().iter().map(|answer| answer["ok"]["skipped"].clone()).collect();
    assert_eq!(skipped, [false, true]);
    assert_eq!(
        result.journal.iter().map(|line| line.split(' ').next().unwrap_or_default()).collect::<Vec<_>>(),
        ["commands.run", "intent", "outcome", "commands.run", "commands.run"]
    );
}

async fn a_running_command_ends_with_the_cancel(via: Via) {
    // A length of its own for each way: the process is looked for on the target.
    let length = if matches!(via, Via::Local) { "31.4159" } else { "31.4160" };
    let world = World::new(via, &["exec-read:sleep *"]).await;
    let cancel = world.run.cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel();
    });
    let started = std::time::Instant::now();
    let result =
        world.calls(json!([{ "call": "commands.run", "argv": ["sleep", length], "hand-on": true }])).await;
    assert_eq!(result.failure().kind, runner_model::FailureKind::Cancelled);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    while is_running(&["sleep", length]) {
        assert!(started.elapsed() < Duration::from_secs(20), "it goes on on the target");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn services_are_granted_by_unit_and_action(via: Via) {
    let world = World::new(via, &["service:nginx restart"]).await;
    let service =
        |unit: &str, action: &str| json!({ "call": "targets.service", "unit": unit, "action": action });
    let result = world
        .calls(json!([
            service("nginx", "stop"),
            service("sshd", "restart"),
            service("nginx sshd", "restart"),
            service("--root=/tmp", "restart"),
            service("../nginx", "restart"),
            service("", "restart"),
            service("*", "restart"),
            { "call": "targets.service-is-active", "unit": "sshd" },
            { "call": "targets.service-is-active", "unit": "-H evil" },
        ]))
        .await;
    assert_eq!(
        result.kinds(),
        ["Denied", "Denied", "Invalid", "Invalid", "Invalid", "Invalid", "Invalid", "Denied", "Invalid"]
    );
    assert!(result.journal.iter().all(|line| !line.starts_with("intent")), "{:?}", result.journal);
}

async fn a_dump_is_packed_kept_and_fed_back(via: Via) {
    let grants = [
        "exec-change:printf %s *",
        "exec-read:printf %s *",
        "exec-read:tail -c 4",
        "read:{granted}",
        "write:{granted}",
    ];
    let world = World::new(via, &grants).await;
    let file = world.in_granted("dump.gz");
    let dump = |more: Value| {
        let mut call =
            json!({ "call": "commands.run", "argv": ["printf", "%s", "a dump"], "effect": "change" });
        call.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        call
    };
    let tail = json!({
        "call": "commands.run", "argv": ["tail", "-c", "4"], "stdin-file": file, "decompress": true,
    });
    let result = world
        .calls(json!([
            dump(json!({ "stdout-to": file, "compress": true })),
            dump(json!({ "keep": true })),
            dump(json!({ "keep": true, "compress": true })),
            dump(json!({ "keep": true, "compress": true, "stdout-to": world.in_granted("dump") })),
            dump(json!({ "keep": true, "stdout-to": file, "effect": "read" })),
            dump(json!({ "keep": true, "compress": true, "stdout-to": world.in_secret("dump.gz") })),
            dump(json!({ "keep": true, "compress": true, "stdout-to": file })),
            tail,
        ]))
        .await;
    let kinds = ["Invalid", "Invalid", "Invalid", "Invalid", "Invalid", "Denied", "ok", "ok"];
    assert_eq!(result.kinds(), kinds, "{:?}", result.answers());
    assert_eq!(result.answers()[7]["ok"]["stdout"], "dump");
    assert_eq!(world.mode(&file), 0o600);
    world.assert_untouched();
}

/// Whether a process of this machine, or of a host on it, has these arguments.
fn is_running(argv: &[&str]) -> bool {
    let line: String = argv.iter().map(|word| format!("{word}\0")).collect();
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    processes.into_iter().any(|entry| {
        std::fs::read_to_string(entry.path().join("cmdline")).is_ok_and(|arguments| arguments == line)
    })
}
