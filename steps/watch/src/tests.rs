use super::*;
use runner_sdk::ErrorKind;
use runner_sdk::testing::{HttpAnswer, World};
use serde_json::{Value, json};

const URL: &str = "http://127.0.0.1:8080/health";

fn run(answers: &[u16], with: Value) -> (World, Result<Value>) {
    let world = World::new();
    for status in answers {
        world.http("GET", URL, HttpAnswer::status(*status));
    }
    let mut with = with;
    with["url"] = URL.into();
    let answer = world.run::<Watch>(with);
    (world, answer)
}

#[test]
fn it_is_looked_at_until_the_time_is_over() {
    let before = World::new().now();
    let (world, answer) = run(&[200], json!({ "for": "12s", "from": "target" }));
    assert_eq!(answer.expect("stays"), json!({ "looks": 4, "failures": 0 }));
    assert_eq!(world.now() - before, 12_000);
    assert_eq!(world.requests()[0].via.as_deref(), Some("web-1"));
    assert!(world.effects().is_empty());
}

#[test]
fn one_failure_too_many_ends_it() {
    let (world, answer) = run(&[200, 503, 200, 503, 200], json!({ "for": "1m", "max-failures": 1 }));
    let error = answer.expect_err("fell over");
    assert_eq!(
        error.message,
        format!("`{URL}`: status 503, not 200 (after 15000 ms; 2 of 4 looks failed, and 1 may)")
    );
    assert_eq!(error.detail, "the last answer:\nHTTP 503");
    assert_eq!(world.log(), [format!("warn: `{URL}`: status 503, not 200")]);
    let (_, answer) = run(&[200, 503, 200], json!({ "for": "1m", "max-failures": 1 }));
    assert_eq!(answer.expect("one may")["failures"], 1);
}

#[test]
fn the_last_look_is_at_the_end() {
    let (_, answer) = run(&[200, 200, 503], json!({ "for": "6s" }));
    assert!(answer.expect_err("at the end").message.contains("after 6000 ms"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (with, interval) in
        [(json!({ "for": "1s", "interval": "2s" }), "2s"), (json!({ "for": "1s", "interval": "9ms" }), "9ms")]
    {
        let error = run(&[200], with).1.expect_err("refused");
        assert!(error.is(ErrorKind::Invalid));
        assert!(error.message.starts_with(&format!("`interval` is {interval}")), "{}", error.message);
    }
}
