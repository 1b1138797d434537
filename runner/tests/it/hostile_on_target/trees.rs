//! Trees and archives: what fits, and what leaves its folder.

use crate::support::Run;
use crate::support::ground::{Via, World};
use serde_json::{Value, json};
use std::path::Path;

both_ways! {
    unpack_lays_out_only_what_fits,
    an_archive_that_is_equal_changes_nothing,
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

fn with_files(run: &Run) -> runner_model::grant::GrantSet {
    let files = runner_model::grant::GrantSet::from_lists([], ["read:site"], []).expect("grants");
    runner_model::grant::GrantSet { files: files.files, ..run.grants.clone() }
}
