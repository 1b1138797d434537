//! Users: folders of others, and becoming another one.

use super::every_verb;
use crate::support::ground::{Via, World};
use serde_json::json;
use std::path::Path;

both_ways! {
    a_folder_of_another_user_is_refused,
    another_user_needs_a_grant,
    a_run_without_a_release_root_keeps_its_intents_at_home,
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
