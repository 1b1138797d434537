//! Paths: what is not granted, what goes up, links that lead elsewhere, and somebody who swaps folders meanwhile.

use super::every_verb;
use crate::support::ground::{Via, World};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

both_ways! {
    without_a_grant_every_verb_is_denied_and_journaled,
    a_path_beside_the_granted_one_is_denied,
    paths_that_go_up_or_are_none_are_invalid,
    a_link_in_a_granted_folder_leads_nowhere_else,
    a_link_that_the_step_makes_itself_is_no_way_out,
    a_granted_place_that_the_step_makes_a_link_is_no_way_out,
    the_runners_own_folder_is_out_of_reach,
    what_is_granted_works_and_is_journaled_before_it_happens,
    a_retry_still_says_true_for_what_a_failed_attempt_changed,
    another_target_needs_a_grant_of_its_own,
    attributes_and_links_that_make_no_sense_are_invalid,
    a_link_swapped_in_by_a_concurrent_attacker_leads_nowhere,
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

async fn a_granted_place_that_the_step_makes_a_link_is_no_way_out(via: Via) {
    let grants = [
        "read:{granted}/live",
        "write:{granted}/live",
        "read:{granted}/wide/granted-not",
        "write:{granted}/wide",
        "read:{granted}/roots/live",
        "write:{granted}/roots/live",
        "read:{granted}/roots/other/wide/granted-not",
        "exec-read:cat",
        "exec-read:cat key",
    ];
    let world = World::new(via, &grants).await;
    let above = world.secret.parent().expect("a folder").to_owned();
    let link = |at: &str, points_to: &Path| json!({ "call": "targets.symlink", "path": world.in_granted(at), "points-to": points_to });
    let result = world
        .calls(json!([
            link("live", &world.secret),
            { "call": "targets.read", "path": world.in_granted("live/key") },
            { "call": "targets.stat", "path": world.in_granted("live/key") },
            { "call": "commands.run", "argv": ["cat"], "effect": "read", "stdin-file": world.in_granted("live/key") },
            { "call": "commands.run", "argv": ["cat", "key"], "effect": "read", "directory": world.in_granted("live") },
            { "call": "targets.write", "path": world.in_granted("live/new"), "text": "evil" },
            { "call": "targets.mkdir", "path": world.in_granted("live/new") },
            { "call": "targets.remove", "path": world.in_granted("live/key") },
            { "call": "targets.rename", "path": world.in_granted("live/key"), "to": world.in_granted("live/new") },
        ]))
        .await;
    let kinds = result.kinds();
    assert_eq!(kinds[0], "ok", "what is granted may be a link");
    assert!(kinds[1..].iter().all(|kind| kind == "Denied"), "{kinds:?}");
    let says = result.answers()[1]["err"]["message"].to_string();
    assert!(says.contains("a step could have made the link"), "{says}");
    world.assert_untouched();

    // Nor a folder above a place that may be read.
    let result = world
        .calls(json!([
            link("wide", &above),
            link("live", &above),
            { "call": "targets.read", "path": world.in_granted("wide/granted-not/key") },
        ]))
        .await;
    assert_eq!(result.kinds()[2], "Denied", "{:?}", result.answers());
    world.assert_untouched();

    // Nor by another name that a folder has; nor a link of root that somebody else may have put there.
    let roots = world.granted.join("roots");
    world.mkdir(&roots);
    world.link(&world.granted, roots.join("other"));
    let fine = world.granted.join("fine");
    world.mkdir(&fine);
    world.write(fine.join("file"), "meant so");
    world.link(&fine, roots.join("live"));
    for path in [roots.join("other"), roots.join("live"), world.granted.join("live"), roots] {
        world.give(path, 0);
    }
    let read = |path: &str| json!({ "call": "targets.read", "path": world.in_granted(path) });
    let result = world
        .calls(json!([
            read("roots/other/wide/granted-not/key"),
            read("live/granted-not/key"),
            read("roots/live/file"),
        ]))
        .await;
    let kinds = result.kinds();
    assert_eq!(kinds[..2], ["Denied", "Denied"], "{:?}", result.answers());
    // What root has put where nobody else can was meant so, where root does not act.
    let is_roots = matches!(via, Via::Ssh(_));
    assert_eq!(kinds[2] == "ok", is_roots, "{:?}", result.answers());
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
            { "call": "targets.symlink", "path": world.in_granted("mine"), "points-to": ".runner-unpack-1.77/tree" },
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
    world.mkdir(world.granted.join(".runner-unpack-1.77"));
    world.write(world.granted.join(".runner-unpack-1.77/key"), "made");
    world.link(world.granted.join(".runner-unpack-1.77"), world.granted.join("making"));
    let result = world.calls(every_verb(&world.in_granted("making/key")).into()).await;
    assert!(result.kinds()[1..].iter().all(|kind| kind != "ok"), "{:?}", result.kinds());
    let runners =
        result.answers().iter().filter(|answer| answer.to_string().contains("belongs to the runner")).count();
    assert!(runners > 15, "{:?}", result.answers());
    assert_eq!(world.read(world.granted.join(".runner-unpack-1.77/key")), "made");
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
