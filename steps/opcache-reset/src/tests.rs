use super::*;
use runner_sdk::Mark;
use runner_sdk::testing::{Answer, World};
use serde_json::{Value, json};

const ASK: [&str; 4] = ["cgi-fcgi", "-bind", "-connect", "/run/fpm.sock"];

fn world(answer: Answer) -> World {
    let world = World::new();
    world.target("web-1").dir("/srv/shop/shared").answer(&ASK, answer);
    world
}

fn run(world: &World, more: Value) -> Result<Value> {
    let mut with = json!({ "socket": "/run/fpm.sock", "script": "/srv/shop/shared/reset.php" });
    for (name, value) in more.as_object().expect("a table") {
        with[name] = value.clone();
    }
    world.run::<OpcacheReset>(with)
}

#[test]
fn a_worker_is_asked_and_the_script_is_gone_again() {
    let world = world(Answer::ok("Content-type: text/plain;charset=UTF-8\r\n\r\nreset"));
    assert_eq!(run(&world, json!({})).expect("reset"), json!({ "state": "reset" }));
    assert_eq!(
        world.effects(),
        [
            "web-1: write /srv/shop/shared/reset.php",
            "web-1: run [signal] cgi-fcgi -bind -connect /run/fpm.sock",
            "web-1: remove /srv/shop/shared/reset.php",
        ]
    );
    let ran = &world.commands()[0];
    assert_eq!(ran.env["SCRIPT_FILENAME"], "/srv/shop/shared/reset.php");
    assert!(!world.target("web-1").exists("/srv/shop/shared/reset.php"));
}

#[test]
fn without_a_reason_nothing_is_asked() {
    let world = world(Answer::ok("\n\nreset"));
    world.target("web-1").release("/srv/shop", "a", Mark::Good).live("/srv/shop", "a");
    world.previous_release("a");
    for with in [json!({ "root": "/srv/shop" }), json!({ "changed": [false, false] })] {
        assert_eq!(run(&world, with).expect("nothing to do"), json!({ "state": "unchanged" }));
        assert!(world.effects().is_empty());
    }
    assert_eq!(
        run(&world, json!({ "changed": true, "root": "/srv/shop" })).expect("reset")["state"],
        "reset"
    );
    world.target("web-1").release("/srv/shop", "b", Mark::Untried).live("/srv/shop", "b");
    assert_eq!(run(&world, json!({ "root": "/srv/shop" })).expect("reset")["state"], "reset");
}

#[test]
fn a_php_without_a_cache_has_nothing_to_forget() {
    assert_eq!(run(&world(Answer::ok("X: y\r\n\r\noff")), json!({})).expect("off")["state"], "off");
}

#[test]
fn a_file_of_somebody_else_is_not_touched() {
    let world = world(Answer::ok("\n\nreset"));
    world.target("web-1").file("/srv/shop/shared/reset.php", "<?php echo 'mine';");
    let error = run(&world, json!({})).expect_err("in the way");
    assert_eq!(error.message, "`/srv/shop/shared/reset.php` on `web-1` is another file");
    assert!(world.effects().is_empty());
    // What an earlier run left is its own.
    world.target("web-1").file("/srv/shop/shared/reset.php", SCRIPT);
    assert_eq!(run(&world, json!({})).expect("reset")["state"], "reset");
    assert!(!world.target("web-1").exists("/srv/shop/shared/reset.php"));
}

#[test]
fn a_failure_says_what_php_said_and_leaves_no_script() {
    let denied = "Status: 404 Not Found\r\nContent-type: text/html\r\n\r\nFile not found.\n";
    for (answer, message, detail) in [
        (Answer::ok(denied), "it may not read the script", "File not found."),
        (Answer::ok("\n\nrestricted"), "`opcache.restrict_api` does not let", "below the path"),
        (Answer::ok("Fatal error"), "it did not answer as the script does", "Fatal error"),
        (Answer::status(111, "Could not connect"), "ended with status 111", "Could not connect"),
        (Answer::error(Error::not_found("no program cgi-fcgi")), "no program cgi-fcgi", "libfcgi-bin"),
    ] {
        let world = world(answer);
        let error = run(&world, json!({})).expect_err(message);
        assert!(error.message.contains(message), "{}", error.message);
        assert!(error.message.starts_with("PHP-FPM at `/run/fpm.sock` on `web-1`: "), "{}", error.message);
        assert!(error.detail.contains(detail), "{}", error.detail);
        assert!(!world.target("web-1").exists("/srv/shop/shared/reset.php"));
    }
}
