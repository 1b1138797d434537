use super::*;
use runner_sdk::ErrorKind;
use runner_sdk::testing::{Answer, HttpAnswer, World};
use serde_json::{Value, json};

const URL: &str = "http://127.0.0.1:8080/ready";

fn run(world: &World, with: Value) -> Result<Value> {
    world.run::<WaitFor>(with)
}

#[test]
fn a_url_is_asked_until_it_answers_as_it_must() {
    let world = World::new();
    world.http("GET", URL, HttpAnswer::error(Error::new(ErrorKind::Unreachable, "connection refused")));
    world.http("GET", URL, HttpAnswer::status(503));
    world.http("GET", URL, HttpAnswer::status(200).body("warming up"));
    world.http("GET", URL, HttpAnswer::status(200).body("ready").header("x-a", "1"));
    let with = json!({ "url": URL, "from": "target", "body-contains": "ready", "headers": { "x-a": "1" } });
    assert_eq!(run(&world, with).expect("answers"), json!({ "attempts": 4, "waited": 3000 }));
    assert_eq!(world.requests()[0].via.as_deref(), Some("web-1"));
    let log =
        ["waiting: connection refused", "waiting: status 503, not 200", "waiting: there is no header `x-a`"];
    assert_eq!(&world.log()[..3], log.map(|line| format!("info: {line}")));
}

#[test]
fn a_file_is_looked_at_until_it_is_as_it_must_be() {
    let world = World::new();
    let web = world.target("web-1");
    web.file("/run/app.ready", "starting\nready\n");
    let once = json!({ "attempts": 1, "waited": 0 });
    assert_eq!(run(&world, json!({ "file": "/run/app.ready", "contains": "ready\n" })).expect("there"), once);
    assert_eq!(run(&world, json!({ "file": "/run/app.lock", "state": "absent" })).expect("gone"), once);

    let error = run(&world, json!({ "file": "/run/app.ready", "contains": "done", "timeout": "2s" }))
        .expect_err("never");
    assert!(error.is(ErrorKind::Timeout));
    assert_eq!(error.message, "`/run/app.ready`: `done` is not in it (after 3 looks in 2s)");
    let error = run(&world, json!({ "file": "/run/app.ready", "state": "absent", "timeout": "0s" }))
        .expect_err("there");
    assert_eq!(error.message, "`/run/app.ready`: it is there (after 1 looks in 0ms)");
}

#[test]
fn a_service_is_looked_at_until_it_runs() {
    let world = World::new();
    world.target("web-1").service("php-fpm", true).service("nginx", false);
    assert_eq!(run(&world, json!({ "service": "php-fpm" })).expect("runs")["attempts"], 1);
    let error = run(&world, json!({ "service": "nginx", "timeout": "1500ms" })).expect_err("never");
    assert_eq!(error.message, "service `nginx`: it does not run (after 3 looks in 1500ms)");
}

#[test]
fn the_kernel_of_the_target_is_asked_whether_a_port_is_listened_on() {
    let world = World::new();
    let argv = ["ss", "-Hltn", "sport", "=", ":8080"];
    world
        .target("web-1")
        .answer(&argv, Answer::ok(""))
        .answer(&argv, Answer::ok("LISTEN 0 511 *:8080 *:*\n"));
    assert_eq!(run(&world, json!({ "port": 8080 })).expect("listens")["attempts"], 2);
    assert!(world.effects().is_empty());
    // Without the program, time mends nothing.
    let error = run(&World::new(), json!({ "port": 8080 })).expect_err("no ss");
    assert!(error.is(ErrorKind::NotFound));
}

#[test]
fn what_cannot_become_better_ends_it_at_once() {
    let world = World::new();
    world.fail("stat", "/run", Error::new(ErrorKind::Denied, "no grant covers it"));
    assert!(run(&world, json!({ "file": "/run/x" })).expect_err("denied").is(ErrorKind::Denied));
    assert_eq!(world.calls().len(), 1);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (with, why) in [
        (json!({}), "it needs exactly one of `url`, `file`, `port` and `service`"),
        (json!({ "url": URL, "file": "/x" }), "it needs exactly one of `url`, `file`, `port` and `service`"),
        (json!({ "url": URL, "contains": "x" }), "`contains` is for a `file`"),
        (json!({ "file": "/x", "status": 200 }), "`status` is for a `url`"),
        (json!({ "service": "x", "from": "target" }), "`from` is for a `url`"),
        (
            json!({ "file": "/x", "state": "absent", "contains": "x" }),
            "a file that is absent has nothing in it that `contains` could be",
        ),
        (json!({ "file": "/x", "interval": "1ms" }), "`interval` is 1ms, and must be at least 100ms"),
    ] {
        let error = run(&World::new(), with).expect_err(why);
        assert_eq!(error.message, why);
    }
}
