//! Modules that do what no module should, and fail alone: with a message that names the step, the module and the
//! limit. None of this needs a target.

use crate::support::{Result_, Run, link};
use runner::sandbox::limits::Limits;
use runner_model::{FailureKind, Level};
use serde_json::json;
use std::time::{Duration, Instant};

const WHO: &str = "step `puppet` (module `test/puppet`) ";

fn assert_message(result: &Result_, kind: FailureKind, what: &str) {
    let failure = result.failure();
    assert_eq!((failure.kind, failure.message.as_str()), (kind, format!("{WHO}{what}").as_str()));
}

async fn misbehave(how: &str, limits: Limits) -> Result_ {
    Run { limits, ..Run::new() }
        .calls(json!([{ "call": format!("misbehave.{how}"), "times": 1_000_000 }]))
        .await
}

#[tokio::test]
async fn an_endless_loop_ends_at_its_time() {
    let started = Instant::now();
    let result = misbehave("spin", Limits { time: Duration::from_millis(300), ..Limits::default() }).await;
    assert_message(&result, FailureKind::Timeout, "took longer than 300 ms, its limit");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(result.failure().detail.contains("`time`"), "{}", result.failure().detail);
}

#[tokio::test]
async fn an_endless_loop_ends_at_its_fuel() {
    let result = misbehave("spin", Limits { fuel: 50_000_000, ..Limits::default() }).await;
    assert_message(
        &result,
        FailureKind::Other,
        "ran more than 50000000 instructions, its limit: an endless loop?",
    );
    assert_eq!(result.ended.tally.fuel, 50_000_000);
}

#[tokio::test]
async fn an_endless_recursion_ends_alone() {
    let result = misbehave("recurse", Limits::default()).await;
    let message = &result.failure().message;
    assert!(message.starts_with(WHO) && message.contains("endless recursion"), "{message}");
}

#[tokio::test]
async fn memory_ends_at_its_limit() {
    let result = misbehave("eat", Limits { memory: 32 << 20, ..Limits::default() }).await;
    let message = &result.failure().message;
    assert!(message.starts_with(&format!("{WHO}asked for ")), "{message}");
    assert!(message.ends_with("of memory, its limit is 32 MiB"), "{message}");
}

#[tokio::test]
async fn a_panic_is_told_with_its_words() {
    // The SDK's panic hook writes to the log before the trap; so does this.
    let result = Run::new()
        .calls(json!([
            { "call": "log.error", "message": "panicked at src/lib.rs:7:\nindex \u{1b}[31m out of bounds" },
            { "call": "misbehave.panic", "message": "x" },
        ]))
        .await;
    assert_message(&result, FailureKind::Other, "aborted: it panicked, or an error was not caught");
    let words = "panicked at src/lib.rs:7:\nindex \\u{1b}[31m out of bounds";
    assert_eq!(result.failure().detail, words);
    assert_eq!(result.ended.stderr, words);
}

#[tokio::test]
async fn a_flood_of_the_log_ends_at_its_limit() {
    let run = Run { limits: Limits { log: 100_000, ..Limits::default() }, ..Run::new() };
    let result = run.calls(json!([{ "call": "log", "message": "again", "times": 1_000_000 }])).await;
    assert_message(&result, FailureKind::Other, "wrote more than 97.7 KiB of log, its limit");
    assert!(result.log.len() < 2000, "{}", result.log.len());
}

#[tokio::test]
async fn a_flood_of_progress_is_throttled() {
    let calls: Vec<_> = (0..500)
        .map(|done| json!({ "call": "log.progress", "done": done, "total": 1000, "what": "rows\u{1b}[2J" }))
        .collect();
    let result = Run::new().calls(calls.into()).await;
    assert!(result.ended.result.is_ok());
    assert!(result.log.len() < 100, "{}", result.log.len());
    assert_eq!(result.log[0].1, "progress rows\\u{1b}[2J");
}

#[tokio::test]
async fn terminal_escapes_never_reach_the_log() {
    let message = "\u{1b}]0;owned\u{7}\u{1b}[2K\rdone \u{202e}sey\u{2066} \u{9b}31m";
    let result = Run::new().calls(json!([{ "call": "log", "message": message }])).await;
    let (level, line) = &result.log[0];
    assert_eq!(*level, Level::Info);
    assert!(line.chars().all(|c| !c.is_control() && c != '\u{202e}' && c != '\u{2066}'), "{line:?}");
}

#[tokio::test]
async fn a_very_long_line_is_cut() {
    let result = Run::new().calls(json!([{ "call": "log", "message": { "xs": 500_000 } }])).await;
    assert!(result.log[0].1.len() < 9000, "{}", result.log[0].1.len());
}

#[tokio::test]
async fn what_a_step_says_of_its_failure_is_made_safe() {
    let result = Run::new()
        .calls(json!([{ "call": "fail", "message": "no\u{1b}[2J\nway", "detail": "\u{202e}x" }]))
        .await;
    assert_eq!(result.failure().message, "no\\u{1b}[2J");
    assert_eq!(result.failure().detail, "way\n\\u{202e}x");
}

#[tokio::test]
async fn handles_end_at_their_limit() {
    let result = misbehave("hold-targets", Limits::default()).await;
    assert_message(&result, FailureKind::Other, "held more than 1024 handles, its limit");
}

#[tokio::test]
async fn what_builders_keep_ends_at_its_limit() {
    let result = misbehave("hold-commands", Limits::default()).await;
    assert_message(&result, FailureKind::Other, "put more than 64 MiB into commands and requests, its limit");
}

#[tokio::test]
async fn calls_end_at_their_limit() {
    let result = misbehave("call-often", Limits { calls: 1000, ..Limits::default() }).await;
    assert_message(&result, FailureKind::Other, "made more than 1000 calls, its limit");
    assert_eq!(result.journal.len(), 1000);
}

#[tokio::test]
async fn huge_arguments_are_refused_before_the_host_keeps_them() {
    let result = Run::new().calls(json!([{ "call": "log", "message": { "xs": 40_000_000 } }])).await;
    let message = &result.failure().message;
    assert!(message.starts_with(WHO) && message.contains("too much data"), "{message}");
    let result =
        Run::new().calls(json!([{ "call": "artifacts.from-bytes", "content": { "xs": 16_777_217 } }])).await;
    assert_eq!(result.kinds(), ["Invalid"]);
}

#[tokio::test]
async fn outputs_that_are_too_large_are_refused() {
    let result = Run::new().calls(json!([{ "call": "return-much", "bytes": 3 << 20 }])).await;
    let message = &result.failure().message;
    assert!(message.starts_with(&format!("{WHO}returned 3145728 bytes of outputs")), "{message}");
}

#[tokio::test]
async fn a_sleep_ends_with_the_cancel() {
    let run = Run::new();
    let cancel = run.cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.cancel();
    });
    let started = Instant::now();
    let result = run.calls(json!([{ "call": "timer.sleep", "milliseconds": 60_000, "hand-on": true }])).await;
    assert_eq!(result.failure().kind, FailureKind::Cancelled);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(result.journal, ["timer.sleep Cancelled"]);
}

#[tokio::test]
async fn a_sleep_ends_with_the_time() {
    let run = Run { limits: Limits { time: Duration::from_millis(200), ..Limits::default() }, ..Run::new() };
    let result = run.calls(json!([{ "call": "timer.sleep", "milliseconds": 60_000 }])).await;
    assert_message(&result, FailureKind::Timeout, "took longer than 200 ms, its limit");
}

#[tokio::test]
async fn after_a_cancel_every_call_that_can_fail_says_so() {
    let run = Run::granted(&["read:/", "write:/"], &["read:."], &["GET http://127.0.0.1/"]);
    run.cancel.cancel();
    let result = run
        .calls(json!([
            { "call": "targets.read", "path": "/etc/hostname" },
            { "call": "targets.write", "path": "/etc/hostname", "text": "x" },
            { "call": "targets.fact", "name": "os" },
            { "call": "targets.service", "unit": "nginx" },
            { "call": "commands.run", "argv": ["true"] },
            { "call": "http.send", "method": "GET", "url": "http://127.0.0.1/" },
            { "call": "workspace.read", "path": "plan.toml" },
            { "call": "artifacts.pack", "path": "." },
            { "call": "artifacts.open", "digest": format!("sha256:{}", "0".repeat(64)) },
            { "call": "releases.all", "root": "/srv/shop" },
            { "call": "secrets.get", "name": "token" },
            { "call": "timer.sleep", "milliseconds": 1 },
        ]))
        .await;
    let kinds = result.kinds();
    assert!(kinds.iter().all(|kind| kind == "Cancelled"), "{kinds:?}");
    assert!(result.journal.iter().all(|line| !line.starts_with("intent")), "{:?}", result.journal);
}

#[tokio::test]
async fn a_guest_that_ignores_the_cancel_is_dropped() {
    let run = Run { limits: Limits { fuel: u64::MAX, ..Limits::default() }, ..Run::new() };
    let cancel = run.cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        cancel.cancel();
    });
    let started = Instant::now();
    let result = run.calls(json!([{ "call": "misbehave.spin" }])).await;
    assert_eq!(result.failure().kind, FailureKind::Cancelled);
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

#[tokio::test]
async fn spinning_guests_do_not_hold_up_input_and_output() {
    let limits = Limits { time: Duration::from_millis(1500), ..Limits::default() };
    let mut spinning = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let limits = limits.clone();
        spinning.spawn(async move { misbehave("spin", limits).await.failure().kind });
    }
    let ticks = async {
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // Were they not interrupted, no timer would come before the first of them is ended.
    tokio::select! {
        ended = spinning.join_next() => panic!("{ended:?} came before forty timers of 5 ms"),
        () = ticks => {}
    }
    while let Some(kind) = spinning.join_next().await {
        assert_eq!(kind.expect("no panic"), FailureKind::Timeout);
    }
}

#[tokio::test]
async fn one_that_fails_does_not_disturb_another() {
    let bad = misbehave("recurse", Limits::default());
    let run = Run::new();
    let good = run.calls(json!([{ "call": "run-info" }]));
    let (bad, good) = tokio::join!(bad, good);
    assert!(bad.ended.result.is_err());
    assert_eq!(good.answer()["ok"]["operation-key"], "r-7/puppet/web-1");
}

#[tokio::test]
async fn a_component_of_many_memories_has_one_limit_for_all() {
    let memories =
        (0..6).map(|n| format!("(core module $m{n} (memory 300)) (core instance (instantiate $m{n}))"));
    let text = format!(
        r#"(component
            {}
            (core module $m (memory (export "memory") 1) (func (export "f") (result i32) i32.const 0)
                (func (export "run") (param i32 i32) (result i32) unreachable)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 64)
                (data (i32.const 0) "\08\00\00\00\02\00\00\00{{}}"))
            (core instance $i (instantiate $m))
            (type $error-kind (enum "denied" "unreachable" "timeout" "not-found" "conflict" "command-failed" "invalid" "cancelled" "other"))
            (func (export "describe") (result string)
                (canon lift (core func $i "f") (memory $i "memory") (realloc (func $i "realloc")))))"#,
        memories.collect::<Vec<_>>().join("\n")
    );
    let bytes = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"));
    let engine = runner::sandbox::engine::engine().expect("an engine");
    let component = wasmtime::component::Component::new(&engine, &bytes).expect("it is valid");
    let error =
        runner::module::describe::describe(&engine, &component, &Default::default()).expect_err("too much");
    assert!(error.to_string().contains("memory"), "{error}");
}

/// A step in text whose `run` answers what its data say. The layout of the answer of `run`: a byte that says ok or
/// error, then pointer and length.
fn step_that_answers(run: &str) -> Vec<u8> {
    let manifest = json!({
        "name": "t",
        "version": "0.1.0",
        "summary": "for tests of hosts",
        "documentation": "",
        "parameters": { "type": "object" },
        "outputs": { "type": "object" },
        "runs": "once",
        "capabilities": {},
    })
    .to_string();
    let length = u8::try_from(manifest.len()).expect("a short manifest");
    let manifest = manifest.replace('"', "\\22");
    let text = format!(
        r#"(component
            (type $types (instance
                (type $kind' (enum "denied" "unreachable" "timeout" "not-found" "conflict" "command-failed" "invalid" "cancelled" "other"))
                (export "error-kind" (type $kind (eq $kind')))
                (type $error' (record (field "kind" $kind) (field "message" string) (field "detail" string)))
                (export "error" (type $error (eq $error')))))
            (import "runner:step/types@0.1.0" (instance $types (type $types)))
            (alias export $types "error" (type $error))
            (core module $m
                (memory (export "memory") 1)
                (func (export "describe") (result i32) i32.const 0)
                (func (export "run") (param i32 i32) (result i32) {run})
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
                (data (i32.const 0) "\10\00\00\00\{length:02x}\00\00\00")
                (data (i32.const 16) "{manifest}"))
            (core instance $i (instantiate $m))
            (type $run (func (param "params" string) (result (result string (error $error)))))
            (func $describe (result string)
                (canon lift (core func $i "describe") (memory $i "memory") (realloc (func $i "realloc"))))
            (func $run (type $run)
                (canon lift (core func $i "run") (memory $i "memory") (realloc (func $i "realloc"))))
            (export "describe" (func $describe))
            (export "run" (func $run)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn answers_that_break_the_canonical_abi_end_alone() {
    for (what, run) in [
        ("a result that is neither ok nor error", "i32.const 512 i32.const 7 i32.store8 i32.const 512"),
        ("a pointer out of memory", "i32.const 0x7fffffff"),
        ("an unaligned pointer", "i32.const 513"),
        (
            "a text out of memory",
            "i32.const 516 i32.const 0x7fffffff i32.store i32.const 520 i32.const 8 i32.store i32.const 512",
        ),
        ("a text of four gigabytes", "i32.const 520 i32.const 0xffffffff i32.store i32.const 512"),
        (
            "a text that is not UTF-8",
            "i32.const 600 i32.const 0xff i32.store8 i32.const 516 i32.const 600 i32.store i32.const 520 i32.const 1 i32.store i32.const 512",
        ),
        ("a trap", "unreachable"),
        ("a division by zero", "i32.const 1 i32.const 0 i32.div_s"),
    ] {
        let run = Run { prepared: link(&step_that_answers(run)), ..Run::new() };
        let result = run.calls(json!([])).await;
        let message = &result.failure().message;
        assert!(message.starts_with(WHO), "{what}: {message}");
        assert!(!message.contains('\n'), "{what}: {message}");
    }
}
