//! An update of a module that asks for more than the lock has.

use super::project::Project;
use crate::support::puppet_with;
use serde_json::json;

#[test]
fn an_update_that_asks_for_more_waits_until_somebody_accepts_it() {
    let calls = json!([{ "call": "targets.write", "path": "{etc}/motd", "text": "hello" }]);
    let project = Project::new("{ path = \"own.wasm\" }", &calls);
    let write = project.fill("write:{etc}");
    project.write("own.wasm", puppet_with(&json!({ "ssh": [write] })));
    project.run(&["lock"]).expect(0, &["wrote `plan.lock`"]);
    project.run(&["exec"]).expect(0, &["1 change"]);
    let before = project.read("plan.lock");

    // Another one that asks for the same is an update like any other.
    project.write("own.wasm", puppet_with(&json!({ "ssh": [write], "files": [] })));
    project.run(&["lock"]).expect(0, &["wrote `plan.lock`"]);

    project.write(
        "own.wasm",
        puppet_with(&json!({ "ssh": [write, "read:/etc"], "http": ["GET http://api.example.com/"] })),
    );
    project.run(&["exec"]).expect(3, &["is not what `plan.lock` accepted"]);
    let same = project.read("plan.lock");
    assert_ne!(before, same);
    let refused = project.run(&["lock"]);
    refused.expect(
        3,
        &[
            "asks for more",
            "home, step `own`: `path:own.wasm` 0.1.0, rebuilt",
            "+ http GET http://api.example.com/",
            "+ read:/etc",
            "--accept=",
        ],
    );
    let shown = refused.said.split_once("--accept=").expect("a digest").1;
    let shown = shown.split('`').next().expect("its end").to_owned();
    assert!(!refused.said.contains(&format!("+ {write}")), "what it had is no news: {}", refused.said);
    assert_eq!(project.read("plan.lock"), same, "nothing is written");
    project.run(&["exec"]).expect(3, &["is not what `plan.lock` accepted"]);

    // What was shown, and nothing else: it has changed since.
    let asks = |more: &[&str]| {
        let mut ssh = vec![write.as_str(), "read:/etc"];
        ssh.extend(more);
        puppet_with(&json!({ "ssh": ssh, "http": ["GET http://api.example.com/"] }))
    };
    project.write("own.wasm", asks(&["write:/"]));
    let accept = format!("--accept={shown}");
    let other = project.run(&["lock", &accept]);
    other.expect(3, &["asks for something else than what is accepted", "+ write:/"]);
    project.run(&["lock", &accept[..20]]).expect(2, &["--accept"]);
    project.write("own.wasm", asks(&[]));
    project.run(&["lock", &accept]).expect(0, &["wrote `plan.lock`"]);
    assert!(project.read("plan.lock").contains("GET http://api.example.com/"));
    project.run(&["exec"]).expect(0, &[]);
    project.run(&["lock"]).expect(0, &["is as it was"]);

    // Whatever it is, for who reviews the lock afterwards.
    project.write("own.wasm", asks(&["write:/"]));
    project.run(&["lock", "--accept"]).expect(0, &["wrote `plan.lock`"]);
}
