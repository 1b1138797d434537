use super::*;
use runner_sdk::ErrorKind;
use runner_sdk::testing::{Answer, World};
use serde_json::{Value, json};

/// 2026-02-24T15:31:45Z
const NOW: u64 = 1_771_947_105_000;
const LOGIN: &str = "--no-defaults --socket=/run/mysqld.sock --user=root";
const DUMP: &str = "--single-transaction --quick --routines --events --triggers --hex-blob --no-tablespaces --skip-dump-date \
    --default-character-set=utf8mb4";
const LOAD: &str = "--loose-sandbox --local-infile=0 --batch --default-character-set=utf8mb4";
const FILE: &str = "/var/backups/shop-20260101T000000Z.sql.zst";

fn answer(world: &World, command: &str, answer: Answer) {
    world.target("web-1").answer(&command.split_whitespace().collect::<Vec<_>>(), answer);
}

fn outline() -> String {
    format!("mariadb-dump {LOGIN} --no-data --routines --events --no-tablespaces shop")
}

fn world() -> World {
    let world = World::new();
    world.set_now(NOW);
    world.secret("root", "hunter22");
    world.target("web-1").file(FILE, "good rows").fact("has:zstd", "true");
    answer(&world, "tail -c 512", Answer::ok("-- Dump completed\n"));
    for command in [
        format!("mariadb-admin {LOGIN} create shop"),
        format!("mariadb-admin {LOGIN} --force drop shop"),
        format!("mariadb {LOGIN} {LOAD} shop"),
    ] {
        answer(&world, &command, Answer::ok(""));
    }
    world
}

fn shop(more: Value) -> Value {
    let mut with = json!({
        "database": "shop", "from": "/var/backups",
        "mariadb": { "socket": "/run/mysqld.sock", "user": "root", "password": "root" },
    });
    with.as_object_mut().expect("a table").extend(more.as_object().expect("a table").clone());
    with
}

fn opaque(world: &World) -> Vec<String> {
    let line = |effect: &String| Some(effect.strip_prefix("web-1: run [opaque] ")?.replace(LOGIN, "…"));
    world.effects().iter().filter_map(line).collect()
}

#[test]
fn a_database_that_is_missing_is_made() {
    let world = world();
    answer(
        &world,
        &outline(),
        Answer::status(2, "mariadb-dump: Got error: 1049: \"Unknown database 'shop'\""),
    );
    let outputs = world.run::<DbRestore>(shop(json!({}))).expect("restored");
    assert_eq!(outputs, json!({ "dump": FILE, "changed": true, "safety": null }));
    assert_eq!(opaque(&world), ["mariadb-admin … create shop".to_owned(), format!("mariadb … {LOAD} shop")]);
    let load = world.commands().pop().expect("commands");
    assert_eq!((load.stdin_file.as_deref(), load.decompress), (Some(FILE), true));
    assert_eq!(load.env["MYSQL_PWD"], "hunter22");
    assert!(world.commands().iter().flat_map(|command| &command.argv).all(|word| !word.contains("hunter22")));
}

#[test]
fn a_database_that_is_empty_is_filled() {
    let world = world();
    answer(&world, &outline(), Answer::ok("-- CREATE is a word\nSET NAMES utf8mb4;\n"));
    world.run::<DbRestore>(shop(json!({}))).expect("restored");
    assert_eq!(opaque(&world), [format!("mariadb … {LOAD} shop")]);
}

#[test]
fn a_database_with_something_in_it_is_refused() {
    let world = world();
    answer(&world, &outline(), Answer::ok("CREATE TABLE `a` (\n"));
    let error = world.run::<DbRestore>(shop(json!({}))).expect_err("refused");
    assert!(error.is(ErrorKind::Conflict) && error.detail.contains("replace = true"), "{}", error.message);
    assert_eq!(opaque(&world), [""; 0]);
}

#[test]
fn what_is_replaced_is_dumped_before() {
    let world = world();
    answer(&world, &outline(), Answer::ok("/*!50001 CREATE VIEW `a` AS SELECT 1 */;\n"));
    answer(&world, &format!("mariadb-dump {LOGIN} {DUMP} shop"), Answer::ok("other rows"));
    let with = shop(json!({ "replace": true, "safety": "/var/before/" }));
    let outputs = world.run::<DbRestore>(with).expect("restored");
    let kept = "/var/before/before-restore-shop-20260224T153145Z.sql.zst";
    assert_eq!(outputs["safety"], kept);
    assert_eq!(world.target("web-1").text(kept).expect("text"), "other rows");
    let ran = [
        "mariadb-admin … --force drop shop".to_owned(),
        "mariadb-admin … create shop".to_owned(),
        format!("mariadb … {LOAD} shop"),
    ];
    assert_eq!(opaque(&world), ran);
}

#[test]
fn a_database_that_is_the_same_is_left_alone() {
    let world = world();
    answer(&world, &outline(), Answer::ok("CREATE TABLE `a` (\n"));
    answer(&world, &format!("mariadb-dump {LOGIN} {DUMP} shop"), Answer::ok("good rows"));
    let with = shop(json!({ "replace": true, "safety": "/var/before" }));
    let outputs = world.run::<DbRestore>(with).expect("restored");
    assert_eq!(outputs, json!({ "dump": FILE, "changed": false, "safety": null }));
    assert_eq!(opaque(&world), [""; 0]);
    assert_eq!(world.target("web-1").names("/var/before"), [""; 0]);
}

#[test]
fn nothing_is_dropped_before_the_dump_is_known_to_be_good() {
    let world = World::new();
    world.secret("root", "hunter22");
    world.target("web-1").file(FILE, "half").fact("has:zstd", "true");
    answer(&world, "tail -c 512", Answer::ok("INSERT INTO"));
    let error = world.run::<DbRestore>(shop(json!({ "replace": true }))).expect_err("half");
    assert!(error.is(ErrorKind::Conflict) && error.message.contains("no complete dump"), "{}", error.message);
    assert!(world.effects().is_empty());

    let world = self::world();
    answer(&world, &outline(), Answer::ok("CREATE TABLE `a` (\n"));
    answer(&world, &format!("mariadb-dump {LOGIN} {DUMP} shop"), Answer::status(2, "no space"));
    let with = shop(json!({ "replace": true, "safety": "/var/before" }));
    let error = world.run::<DbRestore>(with).expect_err("not safe");
    assert!(error.message.starts_with("nothing is replaced: "), "{}", error.message);
    assert_eq!(opaque(&world), [""; 0]);
}

#[test]
fn a_server_that_does_not_answer_is_not_taken_for_a_missing_database() {
    let world = world();
    answer(&world, &outline(), Answer::status(2, "Can't connect to local server"));
    let error = world.run::<DbRestore>(shop(json!({}))).expect_err("no server");
    assert!(
        error.is(ErrorKind::CommandFailed) && error.detail.contains("Can't connect"),
        "{}",
        error.message
    );
    assert_eq!(opaque(&world), [""; 0]);
}

#[test]
fn which_dump_must_be_said_once() {
    for (with, kind) in [
        (json!({ "dump": FILE }), ErrorKind::Invalid),
        (json!({ "from": null }), ErrorKind::Invalid),
        (json!({ "from": null, "dump": "/var/backups/x.tar.gz" }), ErrorKind::Invalid),
        (json!({ "from": null, "dump": "/var/backups/x.sql.gz" }), ErrorKind::NotFound),
        (json!({ "name": "blog" }), ErrorKind::NotFound),
    ] {
        let error = world().run::<DbRestore>(shop(with.clone())).expect_err("refused");
        assert!(error.is(kind), "{with}: {}", error.message);
    }
}
