//! A module that imports WASI, as the runtimes of most languages do: it finds nothing of this machine, and its clocks
//! and random numbers come from the record of the run and from nowhere else.

use crate::support::{Run, SANDBOX, link, load};
use runner::sandbox::Origin;
use serde_json::{Value, json};
use std::time::Duration;

/// A step that asks WASI for all it has, and answers in numbers: random, insecure random, time, time for people
/// (seconds, nanoseconds), time after a sleep of 30 ms; how many variables, arguments, folders; whether it has a
/// working folder.
fn curious() -> Vec<u8> {
    let manifest = json!({
        "name": "t", "version": "0.1.0", "summary": "for tests", "documentation": "",
        "parameters": { "type": "object" }, "outputs": { "type": "object" },
        "runs": "once", "capabilities": {},
    })
    .to_string();
    let length = manifest.len();
    let (low, high) = (length & 0xff, length >> 8);
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

            (import "wasi:random/random@0.2.0" (instance $random
                (export "get-random-u64" (func (result u64)))))
            (import "wasi:random/insecure@0.2.0" (instance $insecure
                (export "get-insecure-random-u64" (func (result u64)))))
            (import "wasi:io/poll@0.2.0" (instance $poll
                (export "pollable" (type $pollable (sub resource)))
                (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
            (alias export $poll "pollable" (type $pollable))
            (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
                (alias outer 1 $pollable (type $pollable'))
                (export "pollable" (type $pollable'' (eq $pollable')))
                (export "now" (func (result u64)))
                (export "subscribe-duration" (func (param "when" u64) (result (own $pollable''))))))
            (import "wasi:clocks/wall-clock@0.2.0" (instance $wall
                (type $time' (record (field "seconds" u64) (field "nanoseconds" u32)))
                (export "datetime" (type $time (eq $time')))
                (export "now" (func (result $time)))))
            (import "wasi:cli/environment@0.2.0" (instance $environment
                (export "get-environment" (func (result (list (tuple string string)))))
                (export "get-arguments" (func (result (list string))))
                (export "initial-cwd" (func (result (option string))))))
            (import "wasi:filesystem/types@0.2.0" (instance $files
                (export "descriptor" (type (sub resource)))))
            (alias export $files "descriptor" (type $descriptor))
            (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
                (alias outer 1 $descriptor (type $descriptor'))
                (export "descriptor" (type $descriptor'' (eq $descriptor')))
                (export "get-directories" (func (result (list (tuple (own $descriptor'') string)))))))

            (core module $libc
                (memory (export "memory") 1)
                (global $next (mut i32) (i32.const 8192))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    global.get $next
                    (global.set $next (i32.and (i32.add (i32.add (global.get $next) (local.get 3)) (i32.const 15)) (i32.const -8)))))
            (core instance $libc (instantiate $libc))
            (core func $random (canon lower (func $random "get-random-u64")))
            (core func $insecure (canon lower (func $insecure "get-insecure-random-u64")))
            (core func $now (canon lower (func $clock "now")))
            (core func $sleep (canon lower (func $clock "subscribe-duration")))
            (core func $block (canon lower (func $poll "[method]pollable.block")))
            (core func $drop (canon resource.drop $pollable))
            (core func $wall (canon lower (func $wall "now") (memory $libc "memory")))
            (core func $variables (canon lower (func $environment "get-environment") (memory $libc "memory") (realloc (func $libc "realloc"))))
            (core func $arguments (canon lower (func $environment "get-arguments") (memory $libc "memory") (realloc (func $libc "realloc"))))
            (core func $folder (canon lower (func $environment "initial-cwd") (memory $libc "memory") (realloc (func $libc "realloc"))))
            (core func $folders (canon lower (func $preopens "get-directories") (memory $libc "memory") (realloc (func $libc "realloc"))))

            (core module $m
                (import "l" "memory" (memory 1))
                (import "w" "random" (func $random (result i64)))
                (import "w" "insecure" (func $insecure (result i64)))
                (import "w" "now" (func $now (result i64)))
                (import "w" "sleep" (func $sleep (param i64) (result i32)))
                (import "w" "block" (func $block (param i32)))
                (import "w" "drop" (func $drop (param i32)))
                (import "w" "wall" (func $wall (param i32)))
                (import "w" "variables" (func $variables (param i32)))
                (import "w" "arguments" (func $arguments (param i32)))
                (import "w" "folder" (func $folder (param i32)))
                (import "w" "folders" (func $folders (param i32)))
                (global $end (mut i32) (i32.const 4096))
                (func $byte (param i32)
                    (i32.store8 (global.get $end) (local.get 0))
                    (global.set $end (i32.add (global.get $end) (i32.const 1))))
                ;; A number, as a text of sixteen hexadecimal digits, and a comma.
                (func $number (param $n i64) (local $at i32) (local $digit i32)
                    (call $byte (i32.const 34))
                    (loop $next
                        (local.set $digit (i32.and (i32.wrap_i64 (i64.shr_u (local.get $n) (i64.extend_i32_u (i32.sub (i32.const 60) (i32.mul (local.get $at) (i32.const 4)))))) (i32.const 15)))
                        (call $byte (i32.add (local.get $digit) (select (i32.const 48) (i32.const 87) (i32.lt_u (local.get $digit) (i32.const 10)))))
                        (local.set $at (i32.add (local.get $at) (i32.const 1)))
                        (br_if $next (i32.lt_u (local.get $at) (i32.const 16))))
                    (call $byte (i32.const 34))
                    (call $byte (i32.const 44)))
                (func (export "describe") (result i32) i32.const 0)
                (func (export "run") (param i32 i32) (result i32) (local $pollable i32)
                    ;; `{{"a":[` is there already.
                    (global.set $end (i32.const 4102))
                    (call $number (call $random))
                    (call $number (call $insecure))
                    (call $number (call $now))
                    (call $wall (i32.const 2048))
                    (call $number (i64.load (i32.const 2048)))
                    (call $number (i64.extend_i32_u (i32.load (i32.const 2056))))
                    (local.set $pollable (call $sleep (i64.const 30000000)))
                    (call $block (local.get $pollable))
                    (call $drop (local.get $pollable))
                    (call $number (call $now))
                    (call $variables (i32.const 2048))
                    (call $number (i64.extend_i32_u (i32.load (i32.const 2052))))
                    (call $arguments (i32.const 2048))
                    (call $number (i64.extend_i32_u (i32.load (i32.const 2052))))
                    (call $folders (i32.const 2048))
                    (call $number (i64.extend_i32_u (i32.load (i32.const 2052))))
                    (call $folder (i32.const 2048))
                    (call $number (i64.extend_i32_u (i32.load8_u (i32.const 2048))))
                    ;; The last comma becomes the end.
                    (global.set $end (i32.sub (global.get $end) (i32.const 1)))
                    (call $byte (i32.const 93))
                    (call $byte (i32.const 125))
                    (i32.store8 (i32.const 3000) (i32.const 0))
                    (i32.store (i32.const 3004) (i32.const 4096))
                    (i32.store (i32.const 3008) (i32.sub (global.get $end) (i32.const 4096)))
                    (i32.const 3000))
                (data (i32.const 0) "\10\00\00\00\{low:02x}\{high:02x}\00\00")
                (data (i32.const 16) "{manifest}")
                (data (i32.const 4096) "{{\22a\22:["))
            (core instance $w
                (export "random" (func $random)) (export "insecure" (func $insecure)) (export "now" (func $now))
                (export "sleep" (func $sleep)) (export "block" (func $block)) (export "drop" (func $drop))
                (export "wall" (func $wall)) (export "variables" (func $variables))
                (export "arguments" (func $arguments)) (export "folder" (func $folder))
                (export "folders" (func $folders)))
            (core instance $i (instantiate $m (with "l" (instance $libc)) (with "w" (instance $w))))
            (type $run (func (param "params" string) (result (result string (error $error)))))
            (func $describe (result string)
                (canon lift (core func $i "describe") (memory $libc "memory") (realloc (func $libc "realloc"))))
            (func $run (type $run)
                (canon lift (core func $i "run") (memory $libc "memory") (realloc (func $libc "realloc"))))
            (export "describe" (func $describe))
            (export "run" (func $run)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

async fn numbers(run: &Run) -> Vec<u64> {
    let result = run.calls(json!([])).await;
    let text = result.ended.result.as_ref().unwrap_or_else(|failure| panic!("{failure:?}"));
    let outputs: Value = serde_json::from_str(text).expect("JSON");
    let digits = outputs["a"].as_array().expect("numbers").iter();
    digits.map(|n| u64::from_str_radix(n.as_str().expect("text"), 16).expect("a number")).collect()
}

#[tokio::test]
async fn a_module_that_imports_wasi_finds_nothing_and_repeats_itself() {
    assert!(load(SANDBOX.0.engine(), &curious()).imports.wasi);
    let prepared = link(&curious());
    let origin = Origin { started: Duration::new(1_700_000_000, 5_000), seed: "5eed".to_owned() };
    let run = |origin: &Origin, attempt| {
        let mut run = Run { prepared: prepared.clone(), origin: origin.clone(), ..Run::new() };
        run.attempt = attempt;
        run
    };
    let first = numbers(&run(&origin, 1)).await;
    assert_eq!(first[6..], [0, 0, 0, 0], "no variables, no arguments, no folders, no working folder");
    let later = std::time::Instant::now();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(numbers(&run(&origin, 1)).await, first, "the same record, the same numbers");
    assert!(later.elapsed() > Duration::from_millis(50), "it really slept");

    let [random, insecure, now, seconds, nanoseconds, after, ..] = first[..] else { panic!("{first:?}") };
    assert_ne!(random, insecure);
    assert_eq!(seconds, 1_700_000_000, "the clock starts where the run did");
    assert!(u64::from(nanoseconds as u32) >= 5_000 && nanoseconds < 1_000_000, "{nanoseconds}");
    assert!(
        (30_000_000..31_000_000).contains(&(after - now)),
        "a sleep takes what it was told: {}",
        after - now
    );

    let other = Origin { seed: "other".to_owned(), ..origin.clone() };
    let [again, elsewhere] = [numbers(&run(&origin, 2)).await, numbers(&run(&other, 1)).await];
    assert!(again[0] != random && elsewhere[0] != random, "another attempt, another run, other numbers");
    assert_eq!(again[2..], first[2..], "and the same time");
}
