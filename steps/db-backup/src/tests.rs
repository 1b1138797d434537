use super::*;
use runner_sdk::ErrorKind;
use runner_sdk::testing::{Answer, World};
use serde_json::{Value, json};

/// 2026-02-24T15:31:45Z
const NOW: u64 = 1_771_947_105_000;
const DUMP: &str = "mariadb-dump --no-defaults --protocol=tcp --host=127.0.0.1 --port=3306 --user=backup \
    --single-transaction --quick --routines --events --triggers --hex-blob --no-tablespaces --skip-dump-date \
    --default-character-set=utf8mb4";
const PG_DUMP: &str =
    "pg_dump --no-password --host=/run/postgresql --port=5432 --username=backup --format=custom --compress=0";

fn answer(world: &World, command: &str, answer: Answer) {
    world.target("web-1").answer(&command.split_whitespace().collect::<Vec<_>>(), answer);
}

fn world() -> World {
    let world = World::new();
    world.set_now(NOW);
    world.secret("db", "hunter22");
    world.target("web-1").dir("/var/backups").fact("has:zstd", "true");
    answer(&world, &format!("{DUMP} shop"), Answer::ok("rows of shop"));
    answer(&world, "tail -c 512", Answer::ok("…\n-- Dump completed\n"));
    world
}

fn shop() -> Value {
    let mariadb = json!({ "host": "127.0.0.1", "port": 3306, "user": "backup", "password": "db" });
    json!({ "databases": ["shop"], "mariadb": mariadb, "to": "/var/backups/db", "keep": 2 })
}

#[test]
fn a_dump_has_its_name_when_it_is_known_to_be_complete() {
    let world = world();
    let dump = "/var/backups/db/shop-20260224T153145Z.sql.zst";
    let outputs = world.run::<DbBackup>(shop()).expect("dumped");
    assert_eq!(outputs, json!({ "dumps": [dump], "created": true, "removed": [] }));
    let web = world.target("web-1");
    assert_eq!(web.names("/var/backups/db"), ["shop-20260224T153145Z.sql.zst"]);
    assert_eq!(web.attributes("/var/backups/db").expect("a folder").0, 0o700);
    assert_eq!(web.attributes(dump).expect("a file").0, 0o600);
    let ran = world.commands();
    let partial = "/var/backups/db/shop-20260224T153145Z.partial.sql.zst";
    assert_eq!(ran[0].stdout_to.as_deref(), Some(partial));
    assert!(ran[0].compress && ran[0].keep && ran[0].repeatable);
    assert_eq!((ran[1].stdin_file.as_deref(), ran[1].decompress), (Some(partial), true));
}

#[test]
fn a_password_is_in_the_environment_alone() {
    let world = world();
    world.run::<DbBackup>(shop()).expect("dumped");
    let ran = world.commands();
    assert_eq!(ran[0].env["MYSQL_PWD"], "hunter22");
    assert!(ran[1].env.is_empty(), "who logs in nowhere needs none");
    for line in ran.iter().flat_map(|command| &command.argv).chain(&world.log()).chain(&world.effects()) {
        assert!(!line.contains("hunter22"), "{line}");
    }
    let error = World::new().run::<DbBackup>(shop()).expect_err("no such secret");
    assert!(error.is(ErrorKind::NotFound), "{}", error.message);
}

#[test]
fn the_same_data_are_not_kept_twice() {
    let world = world();
    let first = world.run::<DbBackup>(shop()).expect("dumped");
    world.set_now(NOW + 3_600_000);
    let second = world.run::<DbBackup>(shop()).expect("dumped");
    assert_eq!((&second["created"], &second["dumps"]), (&json!(false), &first["dumps"]));
    assert_eq!(world.target("web-1").names("/var/backups/db").len(), 1);
}

#[test]
fn the_oldest_dumps_of_the_same_database_go() {
    let world = world();
    let web = world.target("web-1");
    for name in [
        "shop-20260101T000000Z.sql.gz",
        "shop-20260102T000000Z.sql.zst",
        "blog-20250101T000000Z.sql.zst",
        "notes",
    ] {
        web.file(&format!("/var/backups/db/{name}"), name);
    }
    web.file("/var/backups/db/shop-20260103T000000Z.partial.sql.zst", "not finished");
    let outputs = world.run::<DbBackup>(shop()).expect("dumped");
    assert_eq!(outputs["removed"], json!(["/var/backups/db/shop-20260101T000000Z.sql.gz"]));
    let left = [
        "blog-20250101T000000Z.sql.zst",
        "notes",
        "shop-20260102T000000Z.sql.zst",
        "shop-20260224T153145Z.sql.zst",
    ];
    assert_eq!(web.names("/var/backups/db"), left);
}

#[test]
fn a_dump_that_is_not_complete_leaves_the_older_ones() {
    for end in ["", "INSERT INTO `a` VALUES (1", "-- Dump completed\nbut then\n"] {
        let world = World::new();
        world.set_now(NOW);
        world.secret("db", "hunter22");
        let web = world.target("web-1");
        web.file("/var/backups/db/shop-20260101T000000Z.sql.zst", "old").fact("has:zstd", "true");
        answer(&world, &format!("{DUMP} shop"), Answer::ok("rows"));
        answer(&world, "tail -c 512", Answer::ok(end));
        let mut one = shop();
        one["keep"] = json!(1);
        let error = world.run::<DbBackup>(one).expect_err("not complete");
        assert!(
            error.is(ErrorKind::Conflict) && error.message.contains("is not dumped"),
            "{}",
            error.message
        );
        assert_eq!(web.names("/var/backups/db"), ["shop-20260101T000000Z.sql.zst"], "{end:?}");
    }
}

#[test]
fn a_disk_without_room_is_found_before_anything_is_written() {
    let world = world();
    let mut with = shop();
    with["need-free"] = json!("1GiB");
    world.target("web-1").disk_free(1 << 20);
    let error = world.run::<DbBackup>(with).expect_err("full");
    assert_eq!(
        error.message,
        "backup of `shop` on `web-1` needs 1.0 GiB in `/var/backups/db`; free: 1.0 MiB"
    );
    assert!(world.effects().is_empty());
}

#[test]
fn postgresql_is_dumped_in_its_own_format() {
    let world = World::new();
    world.set_now(NOW);
    world.target("web-1").dir("/var/backups").fact("has:gzip", "true");
    for database in ["shop", "blog"] {
        answer(&world, &format!("{PG_DUMP} --exclude-schema=tmp --dbname={database}"), Answer::ok(database));
    }
    answer(&world, "tail -c 512", Answer::ok("\u{0}"));
    answer(&world, "pg_restore --list", Answer::ok(";\n; Archive created at 2026-02-24\n"));
    let with = json!({
        "databases": ["shop", "blog"],
        "postgresql": { "host": "/run/postgresql", "port": 5432, "user": "backup" },
        "options": ["--exclude-schema=tmp"],
        "to": "/var/backups/db",
    });
    let outputs = world.run::<DbBackup>(with).expect("dumped");
    let dumps = ["shop", "blog"].map(|name| format!("/var/backups/db/{name}-20260224T153145Z.pgdump.gz"));
    assert_eq!(outputs["dumps"], json!(dumps));
    assert!(world.commands().iter().all(|command| command.env.is_empty()));
}

#[test]
fn a_login_that_makes_no_sense_is_refused() {
    for login in [
        json!({}),
        json!({ "mariadb": { "user": "a" } }),
        json!({ "mariadb": { "user": "a", "host": "h", "port": 1 } }),
        json!({ "mariadb": { "user": "a", "host": "h", "password": "p" } }),
        json!({ "mariadb": { "user": "a", "socket": "/s", "host": "h", "port": 1 } }),
        json!({ "mysql": { "user": "a", "socket": "/s" }, "mariadb": { "user": "a", "socket": "/s" } }),
    ] {
        let mut with = json!({ "databases": ["shop"], "to": "/var/backups/db" });
        with.as_object_mut().expect("a table").extend(login.as_object().expect("a table").clone());
        let error = world().run::<DbBackup>(with).expect_err("refused");
        assert!(error.is(ErrorKind::Invalid), "{login}: {}", error.message);
    }
    for name in ["-x", "a b", "a;b", "../a", ""] {
        let mut with = shop();
        with["databases"] = json!([name]);
        assert!(world().run::<DbBackup>(with).expect_err(name).is(ErrorKind::Invalid), "{name}");
    }
}
