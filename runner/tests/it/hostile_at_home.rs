//! Host functions that touch the runner's own machine or the network, attacked: the workspace, the store, requests.

use crate::support::Run;
use runner_model::Digest;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;

fn home(files: &[&str]) -> Run {
    let run = Run::granted(&[], files, &[]);
    let plan = run.plan();
    fs::create_dir_all(plan.join("src/deep")).expect("folders");
    fs::create_dir_all(plan.join(".runner/runs")).expect("folders");
    fs::write(plan.join("src/main"), "code").expect("a file");
    fs::write(plan.join("plan.toml"), "plan = 1").expect("a file");
    fs::write(plan.join(".runner/runs/journal"), "truth").expect("a file");
    fs::write(run.place.path().join("outside"), "hunter2").expect("a file");
    run
}

fn every_call(path: &str) -> Value {
    json!([
        { "call": "workspace.stat", "path": path },
        { "call": "workspace.read-dir", "path": path },
        { "call": "workspace.read", "path": path },
        { "call": "workspace.digest", "path": path },
        { "call": "workspace.write", "path": path, "text": "evil" },
        { "call": "artifacts.pack", "path": path, "as": "x" },
    ])
}

#[tokio::test]
async fn files_beside_the_plan_need_a_grant() {
    let run = home(&["read:src", "write:out"]);
    for path in ["plan.toml", ".", "src-other", ".git/config"] {
        let kinds = run.calls(every_call(path)).await.kinds();
        assert!(kinds.iter().all(|kind| kind == "Denied"), "{path}: {kinds:?}");
    }
    let kinds = run.calls(every_call("src/main")).await.kinds();
    assert_eq!(kinds, ["ok", "Conflict", "ok", "ok", "Denied", "ok"]);
    assert_eq!(fs::read_to_string(run.plan().join("src/main")).expect("unchanged"), "code");
}

#[tokio::test]
async fn no_path_leaves_the_plans_folder() {
    let run = home(&["read:.", "write:."]);
    let plan = run.plan();
    symlink("../outside", plan.join("link")).expect("a link");
    symlink("..", plan.join("up")).expect("a link");
    for path in ["../outside", "src/../../outside", "/etc/passwd", "", "a\0b"] {
        let kinds = run.calls(every_call(path)).await.kinds();
        assert!(kinds.iter().all(|kind| kind == "Invalid"), "{path:?}: {kinds:?}");
    }
    for path in ["up/outside", "link/x"] {
        let kinds = run.calls(every_call(path)).await.kinds();
        assert!(kinds.iter().all(|kind| kind != "ok"), "{path}: {kinds:?}");
    }
    let answers = run.calls(every_call("link")).await;
    assert!(!format!("{:?}", answers.answers()).contains("hunter2"));
    assert_eq!(fs::read_to_string(run.place.path().join("outside")).expect("unchanged"), "hunter2");
}

#[tokio::test]
async fn the_runners_own_folder_is_out_of_reach() {
    let run = home(&["read:.", "write:."]);
    for path in [".runner", ".runner/runs/journal", ".RUNNER/runs/journal", "./.runner//runs/journal"] {
        let kinds = run.calls(every_call(path)).await.kinds();
        assert!(kinds.iter().all(|kind| kind == "Denied"), "{path}: {kinds:?}");
    }
    let packed = run.calls(json!([{ "call": "artifacts.pack", "path": ".", "as": "all" }])).await;
    let digest: Digest = packed.answer()["ok"].as_str().expect("a digest").parse().expect("a digest");
    let tree = run.store().tree(&digest).expect("a tree");
    assert!(tree.entries().all(|(path, _)| !path.as_str().starts_with(".runner")));
    assert_eq!(fs::read_to_string(run.plan().join(".runner/runs/journal")).expect("unchanged"), "truth");
}

#[tokio::test]
async fn a_digest_opens_only_what_this_run_gave_out() {
    let run = home(&["read:src"]);
    let foreign = run.store().put_bytes(b"another user's plan").expect("stored");
    let made = Digest::of("made here");
    let open = |digest: String| json!({ "call": "artifacts.open", "digest": digest, "as": "x" });
    let result = run
        .calls(json!([
            open(foreign.to_string()),
            open(made.to_string()),
            open("sha256:short".to_owned()),
            open(format!("md5:{}", "0".repeat(32))),
            open("../../etc/passwd".to_owned()),
            { "call": "artifacts.from-bytes", "content": "made here", "as": "mine" },
            open(made.to_string()),
            { "call": "artifacts.bytes", "artifact": "x" },
        ]))
        .await;
    assert_eq!(
        result.kinds(),
        ["NotFound", "NotFound", "Invalid", "Invalid", "Invalid", "ok", "ok", "ok"],
        "{:?}",
        result.answers()
    );

    // Another step opens it only when it was given out.
    assert_eq!(run.calls(json!([open(made.to_string())])).await.kinds(), ["NotFound"]);
    run.given.give_out(&json!({ "artifact": made, "also": foreign }));
    let result = run.calls(json!([open(made.to_string()), open(foreign.to_string())])).await;
    assert_eq!(result.kinds(), ["ok", "NotFound"]);
}

#[tokio::test]
async fn saving_needs_a_grant_and_is_an_effect() {
    let run = home(&["write:out"]);
    let save = |path: &str| json!({ "call": "artifacts.save", "artifact": "a", "path": path });
    let make = json!({ "call": "artifacts.from-bytes", "content": "report", "as": "a" });
    let result = run
        .calls(json!([make, save("plan.toml"), save("../x"), save("out/report"), save("out/report")]))
        .await;
    assert_eq!(result.kinds(), ["ok", "Denied", "Invalid", "ok", "ok"]);
    assert_eq!(result.answers()[3..], [json!({ "ok": true }), json!({ "ok": false })]);
    let effects: Vec<_> = result.journal.iter().filter(|line| line.starts_with("intent")).collect();
    assert_eq!(effects, ["intent artifacts.save"]);
    assert_eq!(fs::read_to_string(run.plan().join("out/report")).expect("saved"), "report");
}

#[tokio::test]
async fn requests_go_only_where_they_are_granted() {
    let run = Run::granted(&[], &[], &["GET http://shop.example.org/health"]);
    let get = |url: &str| json!({ "call": "http.send", "method": "GET", "url": url });
    let result = run
        .calls(json!([
            get("http://shop.example.org/healthy"),
            get("http://shop.example.org/health/../admin"),
            get("http://shop.example.org/admin"),
            get("https://shop.example.org/health"),
            get("http://shop.example.org:8080/health"),
            get("http://evil.example.org/health"),
            get("http://shop.example.org.evil.example.org/health"),
            get("http://169.254.169.254/latest/meta-data"),
            get("http://127.0.0.1/health"),
            { "call": "http.send", "method": "POST", "url": "http://shop.example.org/health", "effect": "opaque" },
            { "call": "http.send", "method": "POST", "url": "http://shop.example.org/health", "effect": "read" },
            { "call": "http.send", "method": "GET", "url": "http://shop.example.org/health", "effect": "signal" },
            { "call": "http.send", "method": "GET", "url": "http://shop.example.org/health", "connect-to": "127.0.0.1" },
            { "call": "http.send", "method": "GET", "url": "http://shop.example.org/health", "via": true },
            { "call": "http.download", "method": "GET", "url": "http://evil.example.org/x", "as": "x" },
        ]))
        .await;
    let kinds = result.kinds();
    assert!(kinds.iter().all(|kind| kind == "Denied"), "{kinds:?}");
    assert!(result.journal.iter().all(|line| line.ends_with(" Denied")), "{:?}", result.journal);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_invalid() {
    let run =
        Run::granted(&[], &[], &["GET http://shop.example.org/", "change POST http://shop.example.org/"]);
    let get = |url: &str| json!({ "call": "http.send", "method": "GET", "url": url });
    let with_header = |name: &str, value: &str| {
        let mut call = get("http://shop.example.org/");
        call["headers"] = json!([[name, value]]);
        call
    };
    let result = run
        .calls(json!([
            get("http://user@shop.example.org/"),
            get("http://shop.example.org@evil.example.org/"),
            get("http://shop.example.org\\@evil.example.org/"),
            get("file:///etc/passwd"),
            get("//shop.example.org/"),
            { "call": "http.send", "method": "get", "url": "http://shop.example.org/" },
            { "call": "http.send", "method": "GET /x HTTP/1.1\r\nhost: evil\r\n\r\n", "url": "http://shop.example.org/" },
            with_header("host", "evil.example.org"),
            with_header("Host", "evil.example.org"),
            with_header("x", "y\r\nhost: evil"),
            with_header("transfer-encoding", "chunked"),
            { "call": "http.send", "method": "POST", "url": "http://shop.example.org/", "effect": "change" },
        ]))
        .await;
    let kinds = result.kinds();
    assert!(kinds.iter().all(|kind| kind == "Invalid"), "{kinds:?}");
}

#[tokio::test]
async fn no_secret_is_given_to_anyone() {
    let result = Run::new().calls(json!([{ "call": "secrets.get", "name": "token\u{1b}" }])).await;
    let error = &result.answer()["err"];
    assert_eq!(error["kind"], "Denied");
    assert_eq!(error["message"], "use the secret `token\\u{1b}`: the plan does not give it to the step");
}
