use super::*;
use runner_sdk::testing::{HttpAnswer, World};
use serde_json::{Value, json};

const URL: &str = "http://shop.example.org/version.txt";

fn world(answers: &[HttpAnswer]) -> World {
    let world = World::new();
    for answer in answers {
        world.http("GET", URL, answer.clone());
    }
    world
}

fn run(world: &World, more: Value) -> Result<Value> {
    let mut with = json!({ "url": URL });
    for (name, value) in more.as_object().expect("an object") {
        with[name] = value.clone();
    }
    world.run::<SmokeTest>(with)
}

fn good() -> HttpAnswer {
    HttpAnswer::status(200).body("4.2\n").header("Content-Type", "text/plain")
}

#[test]
fn a_good_answer_passes_at_once() {
    let world = world(&[good()]);
    let before = world.now();
    assert_eq!(run(&world, json!({ "body": "4.2" })).expect("passes"), json!({ "tries": 1, "status": 200 }));
    assert_eq!(world.now(), before);
    assert!(world.effects().is_empty());
}

#[test]
fn what_a_restart_looks_like_is_tried_again_soon() {
    let refused = HttpAnswer::error(Error::new(ErrorKind::Unreachable, "connection refused"));
    let world = world(&[refused.clone(), refused, HttpAnswer::status(503), good()]);
    let before = world.now();
    assert_eq!(run(&world, json!({})).expect("passes")["tries"], 4);
    assert_eq!(world.now() - before, 5 + 10 + 20);
}

#[test]
fn waits_grow_up_to_the_interval_and_end_with_the_deadline() {
    let world = world(&[HttpAnswer::status(503).body("starting").header("Retry-After", "5")]);
    let before = world.now();
    let error = run(&world, json!({ "deadline": "10s" })).expect_err("never");
    assert!(error.is(ErrorKind::Timeout));
    assert_eq!(error.message, format!("`{URL}`: status 503, not 200 (after 17 tries in 10s)"));
    assert_eq!(error.detail, "the last answer:\nHTTP 503\nretry-after: 5\n\nstarting");
    let took = world.now() - before;
    assert!((9_000..=10_000).contains(&took), "{took}");
}

#[test]
fn a_deadline_of_nothing_is_one_try() {
    let world = world(&[HttpAnswer::status(500)]);
    let error = run(&world, json!({ "deadline": "0s" })).expect_err("fails");
    assert_eq!(error.message, format!("`{URL}`: status 500, not 200 (after 1 tries in 0ms)"));
}

#[test]
fn each_expectation_says_what_is_wrong() {
    let cases = [
        (json!({ "status": 204 }), "status 200, not 204"),
        (json!({ "body": "4.1" }), "the body is `4.2`, not `4.1`"),
        (json!({ "body-contains": "checkout" }), "`checkout` is not in the body"),
        (json!({ "headers": { "X-Release": "b" } }), "there is no header `X-Release`"),
        (
            json!({ "headers": { "content-type": "text/html" } }),
            "header `content-type` is `text/plain`, not `text/html`",
        ),
    ];
    for (expected, why) in cases {
        let mut with = expected;
        with["deadline"] = "0s".into();
        let error = run(&world(&[good()]), with).expect_err(why);
        assert!(error.message.contains(why), "{}", error.message);
    }
    let all = json!({ "body-contains": "4.", "headers": { "Content-Type": "text/plain" } });
    run(&world(&[good()]), all).expect("passes");
}

#[test]
fn the_request_goes_where_the_plan_says() {
    let world = world(&[good()]);
    let with = json!({ "connect-to": "10.0.0.7", "from": "target", "send-headers": { "x-probe": "1" }, "timeout": "2s" });
    run(&world, with).expect("passes");
    let sent = &world.requests()[0];
    assert_eq!((sent.method.as_str(), sent.url.as_str()), ("GET", URL));
    assert_eq!((sent.connect_to.as_deref(), sent.via.as_deref()), (Some("10.0.0.7"), Some("web-1")));
    assert_eq!(
        (sent.headers.as_slice(), sent.timeout),
        (&[("x-probe".to_owned(), "1".to_owned())][..], 2000)
    );
}

#[test]
fn what_cannot_become_better_ends_it_at_once() {
    let denied = Error::new(ErrorKind::Denied, "no grant covers it").with_detail("http = [\"GET …\"]");
    let world = world(&[good()]);
    world.fail("send", URL, denied.clone());
    assert_eq!(run(&world, json!({})).expect_err("denied"), denied);
    assert_eq!(
        run(&world, json!({ "send-headers": { "Host": "x" } })).expect_err("invalid").kind,
        ErrorKind::Invalid
    );
}

#[test]
fn a_long_or_hostile_body_does_not_flood_the_message() {
    let body = "\u{1b}[2J".to_owned() + &"x".repeat(100_000) + &"\ny".repeat(1000);
    let answer = HttpAnswer::status(200).body(&body);
    let error = run(&world(&[answer]), json!({ "body": "4.2", "deadline": "0s" })).expect_err("fails");
    assert!(error.message.len() < 300 && error.message.lines().count() == 1, "{}", error.message);
    assert!(error.message.contains("\\u{1b}[2J"), "{}", error.message);
    assert!(error.detail.len() < 8_000 && error.detail.lines().count() < 30);
}
