//! Every host function that touches a target, attacked on real ones: this machine through the transport's own local
//! connection, and hosts of a fleet over OpenSSH, as a user who is not root. One list of attacks, two ways to go.
//! What must not happen is looked for on the target's disk, not only in the answers.

#[expect(dead_code, unreachable_pub, reason = "shared by several tests; each uses a part")]
mod support;

use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::Run;
use support::ground::{Via, World};

/// Every attack as a test in `local`, and as one in `ssh`.
macro_rules! both_ways {
    ($($attack:ident),* $(,)?) => {
        mod local {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $attack() {
                    super::$attack(super::Via::Local).await;
                }
            )*
        }

        mod ssh {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $attack() {
                    if let Some(via) = super::Via::ssh() {
                        super::$attack(via).await;
                    }
                }
            )*
        }
    };
}

both_ways! {
    without_a_grant_every_verb_is_denied_and_journaled,
    a_path_beside_the_granted_one_is_denied,
    paths_that_go_up_or_are_none_are_invalid,
    a_link_in_a_granted_folder_leads_nowhere_else,
    a_link_that_the_step_makes_itself_is_no_way_out,
    the_runners_own_folder_is_out_of_reach,
    what_is_granted_works_and_is_journaled_before_it_happens,
    a_retry_still_says_true_for_what_a_failed_attempt_changed,
    another_target_needs_a_grant_of_its_own,
    commands_run_only_as_they_are_granted,
    input_that_a_command_leaves_unread_is_never_carried_out,
    a_command_that_fails_says_how_and_its_escapes_are_written_out,
    a_check_that_holds_skips_its_command,
    a_running_command_ends_with_the_cancel,
    services_are_granted_by_unit_and_action,
    attributes_and_links_that_make_no_sense_are_invalid,
    unpack_lays_out_only_what_fits,
    an_archive_that_is_equal_changes_nothing,
    a_dump_is_packed_kept_and_fed_back,
    a_link_swapped_in_by_a_concurrent_attacker_leads_nowhere,
    a_folder_of_another_user_is_refused,
    another_user_needs_a_grant,
    a_run_without_a_release_root_keeps_its_intents_at_home,
}

/// Every verb on a path, with `path` filled in.
fn every_verb(path: &str) -> Vec<Value> {
    let digest_of =
        |content: &str| json!({ "call": "artifacts.from-bytes", "content": content, "as": "file" });
    let mut calls = vec![digest_of("evil")];
    calls.extend(
        ["stat", "read-dir", "read-link", "read", "digest", "disk-free", "fetch"]
            .map(|verb| json!({ "call": format!("targets.{verb}"), "path": path })),
    );
    calls.extend([
        json!({ "call": "targets.write", "path": path, "text": "evil" }),
        json!({ "call": "targets.put", "path": path, "artifact": "file" }),
        json!({ "call": "targets.mkdir", "path": path }),
        json!({ "call": "targets.symlink", "path": path, "points-to": "/etc/passwd" }),
        json!({ "call": "targets.rename", "path": path, "to": format!("{path}-2") }),
        json!({ "call": "targets.remove", "path": path }),
        json!({ "call": "targets.remove-tree", "path": path }),
        json!({ "call": "targets.set-attributes", "path": path, "mode": 0o777 }),
        json!({ "call": "targets.archive", "path": path, "into": format!("{path}.tar") }),
        json!({ "call": "targets.unarchive", "path": path, "archive": format!("{path}.tar") }),
        json!({ "call": "releases.all", "root": path }),
        json!({ "call": "releases.previous", "root": path }),
    ]);
    calls
}

async fn without_a_grant_every_verb_is_denied_and_journaled(via: Via) {
    let world = World::new(via, &[]).await;
    let calls = every_verb(&world.in_secret("key"));
    let count = calls.len();
    let result = world.calls(calls.into()).await;
    let kinds = result.kinds();
    assert!(kinds[1..].iter().all(|kind| kind == "Denied"), "{kinds:?}");
    assert_eq!(result.journal.len(), count);
    assert!(result.journal[1..].iter().all(|line| line.ends_with(" Denied")), "{:?}", result.journal);
    let error = &result.answers()[4]["err"];
    assert!(error["message"].as_str().expect("text").contains("manifest"), "it names the layer: {error}");
    assert!(!error["detail"].as_str().expect("text").is_empty(), "it says what mends it: {error}");
    world.assert_untouched();
}

async fn a_path_beside_the_granted_one_is_denied(via: Via) {
    let world = World::read_write(via).await;
    let result = world.calls(every_verb(&world.in_secret("key")).into()).await;
    assert!(result.kinds()[1..].iter().all(|kind| kind == "Denied"), "{:?}", result.kinds());
    world.assert_untouched();
}

async fn paths_that_go_up_or_are_none_are_invalid(via: Via) {
    let world = World::read_write(via).await;
    for path in [
        world.in_granted("../granted-not/key"),
        world.in_granted("./file"),
        "relative/path".to_owned(),
        String::new(),
        format!("{}\n/etc/passwd", world.in_granted("file")),
        format!("{}\0", world.in_granted("file")),
        format!("/{}", "x/".repeat(3000)),
        "~/file".to_owned(),
        "$HOME/file".to_owned(),
    ] {
        let result = world.calls(every_verb(&path).into()).await;
        let kinds = result.kinds();
        assert!(kinds[1..].iter().all(|kind| kind == "Invalid"), "{path:?}: {kinds:?}");
    }
    world.assert_untouched();
}

async fn a_link_in_a_granted_folder_leads_nowhere_else(via: Via) {
    let world = World::read_write(via).await;
    world.link(&world.secret, world.granted.join("link"));
    world.link(world.secret.join("key"), world.granted.join("key-link"));
    let result = world.calls(every_verb(&world.in_granted("link/key")).into()).await;
    let kinds = result.kinds();
    assert!(kinds[1..].iter().all(|kind| kind != "ok"), "{kinds:?}");
    // What is at the end of a path is not followed either: a link is a link.
    let result = world
        .calls(json!([
            { "call": "targets.read", "path": world.in_granted("key-link") },
            { "call": "targets.fetch", "path": world.in_granted("key-link"), "as": "x" },
            { "call": "targets.write", "path": world.in_granted("key-link"), "text": "evil" },
        ]))
        .await;
    assert!(
        !result.answers().iter().any(|answer| answer.to_string().contains("hunter2")),
        "{:?}",
        result.answers()
    );
    world.assert_untouched();
}

async fn a_link_that_the_step_makes_itself_is_no_way_out(via: Via) {
    let world = World::read_write(via).await;
    let result = world
        .calls(json!([
            { "call": "targets.symlink", "path": world.in_granted("out"), "points-to": world.secret },
            { "call": "targets.read", "path": world.in_granted("out/key") },
            { "call": "targets.write", "path": world.in_granted("out/new"), "text": "evil" },
            { "call": "targets.remove-tree", "path": world.in_granted("out/key") },
        ]))
        .await;
    let kinds = result.kinds();
    assert_eq!(kinds[0], "ok", "a link to anywhere is only a name");
    assert!(kinds[1..].iter().all(|kind| kind != "ok"), "{kinds:?}");
    world.assert_untouched();
}

async fn the_runners_own_folder_is_out_of_reach(via: Via) {
    let world = World::read_write(via).await;
    world.mkdir(world.granted.join(".runner"));
    world.mkdir(world.granted.join(".runner/releases"));
    let manifest = world.granted.join(".runner/releases/1.json");
    world.write(&manifest, "{}");
    let result = world.calls(every_verb(&world.in_granted(".runner/releases/1.json")).into()).await;
    assert!(result.kinds()[1..].iter().all(|kind| kind == "Denied"), "{:?}", result.kinds());
    // Nor by a name of its own, nor by moving, packing or removing what is around it.
    let result = world
        .calls(json!([
            { "call": "targets.symlink", "path": world.in_granted("mine"), "points-to": ".runner" },
            { "call": "targets.symlink", "path": world.in_granted("mine"), "points-to": "./.runner/releases" },
            { "call": "targets.remove-tree", "path": world.granted },
            { "call": "targets.rename", "path": world.granted, "to": world.in_granted("x") },
            { "call": "targets.fetch", "path": world.granted, "as": "all" },
            { "call": "targets.archive", "path": world.granted, "into": world.in_granted("all.tar") },
            { "call": "targets.unarchive", "path": world.in_granted(".runner"), "archive": world.in_granted("a.tar") },
        ]))
        .await;
    assert!(result.kinds().iter().all(|kind| kind == "Denied"), "{:?}", result.kinds());
    world.link(world.granted.join(".runner"), world.granted.join("mine"));
    let result = world.calls(every_verb(&world.in_granted("mine/releases/1.json")).into()).await;
    assert!(result.kinds()[1..].iter().all(|kind| kind != "ok"), "{:?}", result.kinds());
    // What the host is making beside others' files has names of its own, which are out of reach as well.
    let making = every_verb(&world.in_granted(".runner-unpack-1.77/tree"));
    assert!(world.calls(making.into()).await.kinds()[1..].iter().all(|kind| kind == "Denied"));
    assert_eq!(world.read(manifest), "{}");
}

async fn what_is_granted_works_and_is_journaled_before_it_happens(via: Via) {
    let world = World::read_write(via).await;
    let path = world.in_granted("conf");
    let write = json!({ "call": "targets.write", "path": path, "text": "a\n", "mode": 0o640 });
    let result = world.calls(json!([write, write, { "call": "targets.read", "path": path }])).await;
    assert_eq!(result.answers(), [json!({ "ok": true }), json!({ "ok": false }), json!({ "ok": "a\n" })]);
    assert_eq!(
        result.journal,
        ["intent targets.write", "outcome targets.write done true", "targets.write ok", "targets.read ok"]
    );
    assert_eq!(world.mode(&path), 0o640);
    assert_eq!(result.ended.tally.changes, 1, "a change that found all as it should be is not counted");
    // The intent is on the target too.
    let intents = world.outside(world.granted.join(".runner/runs/r-7"));
    assert!(intents.read_dir().expect("the run's folder").count() > 0);
}

async fn a_retry_still_says_true_for_what_a_failed_attempt_changed(via: Via) {
    let mut world = World::read_write(via).await;
    let write = json!({ "call": "targets.write", "path": world.in_granted("conf"), "text": "a" });
    let fail = json!({ "call": "fail", "message": "the restart failed" });
    let first = world.calls(json!([write, fail])).await;
    assert_eq!(first.failure().message, "the restart failed");
    world.run.attempt = 2;
    let second = world.calls(json!([write])).await;
    assert_eq!(second.answer(), json!({ "ok": true }), "or the restart would be lost");
    world.run.attempt = 3;
    let third = world.calls(json!([write])).await;
    assert_eq!(third.answer(), json!({ "ok": false }), "it ended well since");
}

async fn another_target_needs_a_grant_of_its_own(via: Via) {
    let world = World::read_write(via).await;
    let on = |name: &str| json!({ "call": "targets.named", "on": name });
    let result = world
        .calls(json!([on("web-1"), on("db-1"), on("nowhere"), on("../x"), on("-oProxyCommand=x")]))
        .await;
    assert_eq!(result.kinds(), ["ok", "Denied", "Denied", "Invalid", "Invalid"]);
    let world = World::new(via, &["target:*", "read:{granted}"]).await;
    let result = world.calls(json!([on("db-1"), on("nowhere")])).await;
    assert_eq!(result.kinds(), ["ok", "NotFound"]);
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
    let mut elsewhere = run(&["printf", "%s", "a"], "read");
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

async fn attributes_and_links_that_make_no_sense_are_invalid(via: Via) {
    let world = World::read_write(via).await;
    let at = world.in_granted("file");
    let result = world
        .calls(json!([
            { "call": "targets.write", "path": at, "text": "", "mode": 0o100_777 },
            { "call": "targets.write", "path": at, "text": "", "owner": "root:root" },
            { "call": "targets.write", "path": at, "text": "", "group": "-R" },
            { "call": "targets.set-attributes", "path": at, "owner": "a b" },
            { "call": "targets.symlink", "path": world.in_granted("l"), "points-to": "" },
            { "call": "targets.symlink", "path": world.in_granted("l"), "points-to": "a\nb" },
        ]))
        .await;
    assert!(result.kinds().iter().all(|kind| kind == "Invalid"), "{:?}", result.kinds());
    assert_eq!(world.read(at), "hello\n");
}

async fn unpack_lays_out_only_what_fits(via: Via) {
    let mut world = World::read_write(via).await;
    let plan = world.run.plan();
    std::fs::create_dir(plan.join("site")).expect("a folder");
    std::fs::write(plan.join("site/index.html"), "<p>hello").expect("a file");
    world.run.grants = with_files(&world.run);
    let release = world.in_granted("releases");
    let unpack = |path: &str, extra: Value| {
        let mut call = json!({ "call": "targets.unpack", "path": path, "artifact": "tree" });
        call.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        call
    };
    let one = world.in_granted("releases/1");
    let result = world
        .calls(json!([
            { "call": "artifacts.pack", "path": "site", "as": "tree" },
            { "call": "targets.mkdir", "path": release },
            unpack(&one, json!({ "mode": 0o777 })),
            unpack(&one, json!({ "links": [{ "path": "../../../out", "points-to": "x" }] })),
            unpack(&one, json!({ "links": [{ "path": "/etc/out", "points-to": "x" }] })),
            unpack(&one, json!({ "links": [{ "path": "a", "points-to": "../../.runner" }] })),
            unpack(&one, json!({ "reuse": world.secret })),
            unpack(&world.in_secret("x"), json!({})),
            unpack(&one, json!({})),
            unpack(&one, json!({})),
            { "call": "targets.put", "path": world.in_granted("p"), "artifact": "tree" },
        ]))
        .await;
    assert_eq!(
        result.kinds(),
        ["ok", "ok", "Invalid", "Invalid", "Invalid", "Denied", "Denied", "Denied", "ok", "ok", "Invalid"]
    );
    assert_eq!(result.answers()[8..10], [json!({ "ok": true }), json!({ "ok": false })]);
    assert_eq!(world.read(Path::new(&one).join("index.html")), "<p>hello");
    world.assert_untouched();
}

async fn an_archive_that_is_equal_changes_nothing(via: Via) {
    let mut world = World::read_write(via).await;
    let (folder, archive) = (world.in_granted("data"), world.in_granted("data.tar.gz"));
    let (file, back) = (world.in_granted("data/f"), world.in_granted("back"));
    let unarchive = |path: &str| json!({ "call": "targets.unarchive", "path": path, "archive": archive });
    let result = world
        .calls(json!([
            { "call": "targets.mkdir", "path": folder },
            { "call": "targets.write", "path": file, "text": "good" },
            { "call": "targets.archive", "path": folder, "into": archive },
            unarchive(&folder),
            { "call": "targets.write", "path": file, "text": "bad" },
            unarchive(&folder),
            { "call": "targets.read", "path": file },
            unarchive(&back),
            unarchive(&world.in_secret("x")),
            { "call": "targets.unarchive", "path": folder, "archive": archive, "mode": 0o777 },
            { "call": "targets.unarchive", "path": folder, "archive": file },
        ]))
        .await;
    let kinds = ["ok", "ok", "ok", "ok", "ok", "ok", "ok", "ok", "Denied", "Invalid", "Conflict"];
    assert_eq!(result.kinds(), kinds, "{:?}", result.answers());
    assert_eq!(result.answers()[3], json!({ "ok": false }), "it was equal");
    assert_eq!(
        result.answers()[5..8],
        [json!({ "ok": true }), json!({ "ok": "good" }), json!({ "ok": true })]
    );
    let done: Vec<_> =
        result.journal.iter().filter(|line| line.starts_with("outcome targets.unarchive")).collect();
    assert_eq!(
        done,
        [
            "outcome targets.unarchive done false",
            "outcome targets.unarchive done true",
            "outcome targets.unarchive done true"
        ]
    );
    assert_eq!(result.ended.tally.changes, 6, "what was equal is not counted");
    // What a failed attempt has put back is still a change for the next one.
    let write = json!({ "call": "targets.write", "path": file, "text": "bad" });
    let fail = json!({ "call": "fail", "message": "the restart failed" });
    world.calls(json!([write])).await;
    world.calls(json!([unarchive(&folder), fail])).await;
    world.run.attempt = 2;
    let second = world.calls(json!([unarchive(&folder)])).await;
    assert_eq!(second.answer(), json!({ "ok": true }), "or the restart would be lost");
    world.run.attempt = 3;
    assert_eq!(world.calls(json!([unarchive(&folder)])).await.answer(), json!({ "ok": false }));
    world.assert_untouched();
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

fn with_files(run: &Run) -> runner_model::grant::GrantSet {
    let files = runner_model::grant::GrantSet::from_lists([], ["read:site"], []).expect("grants");
    runner_model::grant::GrantSet { files: files.files, ..run.grants.clone() }
}

/// Whether a process of this machine, or of a host on it, has these arguments.
fn is_running(argv: &[&str]) -> bool {
    let line: String = argv.iter().map(|word| format!("{word}\0")).collect();
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    processes.into_iter().any(|entry| {
        std::fs::read_to_string(entry.path().join("cmdline")).is_ok_and(|arguments| arguments == line)
    })
}

/// Swaps a folder for a link and back, as fast as it goes, until told to stop; answers how often.
fn swap_until(done: &AtomicBool, folder: &Path, trap: &Path) -> u32 {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let mut swaps = 0;
    while !done.load(Ordering::Relaxed) {
        renameat_with(CWD, folder, CWD, trap, RenameFlags::EXCHANGE).expect("both are there");
        swaps += 1;
        // Each of the two is there for a while that has nothing to do with how long a verb takes.
        std::thread::sleep(Duration::from_micros(u64::from(swaps * 37 % 900)));
    }
    swaps
}

async fn a_link_swapped_in_by_a_concurrent_attacker_leads_nowhere(via: Via) {
    let world = World::read_write(via).await;
    let (swap, trap) = (world.granted.join("swap"), world.granted.join("trap"));
    world.mkdir(&swap);
    world.link(&world.secret, &trap);
    let secret_digest = runner_model::Digest::of("hunter2").to_string();
    let done = Arc::new(AtomicBool::new(false));
    let attacker = std::thread::spawn({
        let (done, swap, trap) = (Arc::clone(&done), world.outside(&swap), world.outside(&trap));
        move || swap_until(&done, &swap, &trap)
    });
    let (mut well, mut refused) = (0, 0);
    let started = std::time::Instant::now();
    while started.elapsed() < Duration::from_secs(4) {
        let mut calls = Vec::new();
        for _ in 0..4 {
            calls.push(
                json!({ "call": "targets.write", "path": world.in_granted("swap/key"), "text": "mine" }),
            );
            calls.extend(every_verb(&world.in_granted("swap/key")));
            calls.push(json!({ "call": "targets.read-dir", "path": world.in_granted("swap") }));
            calls.push(json!({ "call": "targets.mkdir", "path": world.in_granted("swap/new") }));
            calls.push(json!({ "call": "targets.remove-tree", "path": world.in_granted("swap/key") }));
            // Archives take long: what they are written to must stay where it was when they began.
            calls.push(json!({ "call": "targets.mkdir", "path": world.in_granted("folder") }));
            calls.push(json!({
                "call": "targets.archive",
                "path": world.in_granted("folder"),
                "into": world.in_granted("swap/folder.tar"),
            }));
            calls.push(json!({
                "call": "targets.unarchive",
                "path": world.in_granted("swap/back"),
                "archive": world.in_granted("swap/folder.tar"),
            }));
            calls.push(json!({ "call": "targets.remove", "path": world.in_granted("swap/folder.tar") }));
        }
        let result = world.calls(calls.into()).await;
        for answer in result.answers() {
            let text = answer.to_string();
            assert!(!text.contains("hunter2") && !text.contains(&secret_digest), "{text}");
            // The secret is the only file here of seven bytes.
            assert!(!text.contains("\"size\":7"), "{text}");
            *(if answer["err"].is_null() { &mut well } else { &mut refused }) += 1;
        }
        world.assert_untouched();
    }
    done.store(true, Ordering::Relaxed);
    let swaps = attacker.join().expect("it ends");
    eprintln!("{swaps} swaps; of the calls {well} went well, {refused} failed");
    assert!(swaps > 100 && well > 0 && refused > 0, "the two must meet: {swaps}, {well}, {refused}");
}

async fn a_folder_of_another_user_is_refused(via: Via) {
    // Without root nobody can give a folder away.
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: a folder of another user needs root");
        return;
    }
    let world = World::read_write(via).await;
    // In a sticky folder, such as `/tmp`, whoever made a file can change it, and nobody else.
    for (name, mode, owner) in [("theirs", 0o755, 65_534), ("anybodys", 0o777, 0), ("sticky", 0o1777, 0)] {
        let folder = world.granted.join(name);
        world.mkdir(&folder);
        world.write(folder.join("file"), "hello");
        world.give(folder.join("file"), 65_534);
        world.give(&folder, owner);
        world.set_mode(&folder, mode);
        let result = world.calls(every_verb(&world.in_granted(&format!("{name}/file"))).into()).await;
        let kinds = result.kinds();
        // Where a release root would be there is a file, so that the last two never come to look at the folder.
        // Before them an archive that is not there is to be put back: that may be told first.
        let (denied, rest) = kinds[1..].split_at(kinds.len() - 4);
        assert!(denied.iter().all(|kind| kind == "Denied"), "{name}: {kinds:?}");
        assert!(["Denied", "NotFound"].contains(&rest[0].as_str()), "{name}: {kinds:?}");
        assert!(kinds.iter().skip(1).all(|kind| kind != "ok"), "{name}: {kinds:?}");
        assert_eq!(world.read(folder.join("file")), "hello");
        let left = world.outside(&folder).read_dir().expect("still there").count();
        assert_eq!(left, 1, "nothing was added to {name}");
    }
}

async fn another_user_needs_a_grant(via: Via) {
    if matches!(via, Via::Local) && !Path::new("/usr/bin/sudo").exists() {
        eprintln!("SKIPPED: there is no sudo");
        return;
    }
    let as_root = || runner_model::Acting::As("root".parse().expect("a user"));
    let id = json!({ "call": "commands.run", "argv": ["id", "-un"] });
    let mut world = World::new(via, &["read:{granted}", "write:{granted}", "exec-read:id -un"]).await;
    world.run.acting = as_root();
    let mut calls = every_verb(&world.in_granted("file"));
    calls.push(id.clone());
    let result = world.calls(calls.into()).await;
    assert!(result.kinds()[1..].iter().all(|kind| kind == "Denied"), "{:?}", result.kinds());
    let error = &result.answers()[1]["err"];
    assert!(error["message"].as_str().expect("text").contains("become `root`"), "{error}");
    assert!(
        error["detail"].as_str().expect("text").contains("runner lock"),
        "it says what mends it: {error}"
    );
    assert_eq!(world.read(world.granted.join("file")), "hello\n");

    let grants = ["as:root", "read:{granted}", "write:{granted}", "exec-read:id -un"];
    let mut world = World::new(via, &grants).await;
    world.run.acting = as_root();
    let path = world.in_granted("roots");
    let result = world
        .calls(json!([
            id,
            { "call": "targets.write", "path": path, "text": "root was here", "mode": 0o600 },
            { "call": "targets.write", "path": world.in_secret("new"), "text": "evil" },
            { "call": "targets.read", "path": "/etc/shadow" },
        ]))
        .await;
    assert_eq!(result.kinds(), ["ok", "ok", "Denied", "Denied"], "{:?}", result.answers());
    assert_eq!(result.answers()[0]["ok"]["stdout"], "root\n");
    assert_eq!(world.owner_of(&path), 0);
    let intents = world.granted.join(".runner/runs/r-7");
    assert_eq!(world.owner_of(intents), world.owner, "intents are the login user's");
    world.assert_untouched();
}

async fn a_run_without_a_release_root_keeps_its_intents_at_home(via: Via) {
    let Via::Ssh(fleet) = via else {
        // The home of whoever runs the tests is no place for them: the hosts of a fleet have homes of their own.
        return;
    };
    if !fleet.isolated() {
        eprintln!("SKIPPED: without root a fleet's user has no home of its own");
        return;
    }
    let world = World::with_root(via, &["read:{granted}", "write:{granted}"], false).await;
    let path = world.in_granted("conf");
    let result = world.calls(json!([{ "call": "targets.write", "path": path, "text": "a" }])).await;
    assert_eq!(result.answer(), json!({ "ok": true }));
    assert!(!world.exists(world.granted.join(".runner")), "not where the step writes");
    let home = format!("/home/{}/.runner/shop", fleet.user());
    let found =
        fleet.host(1).inside(&["find", &home, "-type", "f", "-size", "+0"]).expect("the plan's folder");
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    eprintln!("{found}");
    assert!(found.lines().any(|file| file.contains("/r-7/")), "{found}");
}
