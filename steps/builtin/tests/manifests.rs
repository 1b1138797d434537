//! What the standard modules say of themselves is what the host reads, and the grants that come of it are the least.

use runner_model::Manifest;
use runner_model::manifest::World;
use runner_model::template::ValueTemplate;
use runner_sdk::{Cluster, Step, describe, describe_cluster};
use serde_json::{Value, json};

fn manifest<S: Step>() -> Manifest {
    let manifest = checked(S::NAME, &describe::<S>());
    assert_eq!(manifest.world, World::Step);
    manifest
}

fn checked(module: &str, json: &str) -> Manifest {
    let manifest = Manifest::parse(json).expect(module);
    assert_eq!(manifest.name, module);
    assert!(runner_steps::find(module).is_some(), "{module} is not embedded");
    assert!(!manifest.summary.is_empty() && !manifest.documentation.is_empty(), "{module}");
    for schema in [&manifest.parameters, &manifest.outputs] {
        assert!(!schema.to_string().contains("$ref"), "{module}: the schema is in one piece");
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            assert!(property["description"].is_string(), "{module}: `{name}` has no description");
        }
    }
    assert_eq!(manifest.parameters["additionalProperties"], false, "{module}: unknown keys are refused");
    manifest
}

/// The grants of a cluster that come of parameters as a plan has them.
fn of_cluster<C: Cluster>(with: Value) -> Value {
    let manifest = checked(C::NAME, &describe_cluster::<C>());
    assert_eq!(manifest.world, World::Cluster);
    let with = ValueTemplate::parse(&with).expect("well formed");
    let grants = manifest.bind(&with).unwrap_or_else(|error| panic!("{}: {error}", C::NAME));
    serde_json::to_value(grants).expect("lists")
}

#[test]
fn a_health_file_is_all_that_is_written() {
    let with = json!({ "path": "/srv/shop/shared/health/in" });
    let expected = json!({ "ssh": ["read:/srv/shop/shared/health/in", "write:/srv/shop/shared/health/in"] });
    assert_eq!(of_cluster::<runner_step_health_file::HealthFile>(with), expected);
}

#[test]
fn the_commands_of_a_cluster_are_granted_argument_by_argument() {
    let with = json!({ "observe": ["lb", "state", "${target.name}"], "leave": ["lb", "drain"], "join": ["lb", "on"] });
    let expected =
        json!({ "ssh": ["exec-read:lb state ${target.name}", "exec-leave:lb drain", "exec-join:lb on"] });
    assert_eq!(of_cluster::<runner_step_cluster_commands::ClusterCommands>(with), expected);
}

#[test]
fn nginx_is_tested_and_reloaded_and_one_file_is_written() {
    let with = json!({ "file": "/etc/nginx/shop.conf", "server": "${target.address}:80" });
    let expected = json!({ "ssh": [
        "read:/etc/nginx/shop.conf", "write:/etc/nginx/shop.conf", "exec-read:nginx -t", "service:nginx reload",
    ] });
    assert_eq!(of_cluster::<runner_step_nginx_upstream::NginxUpstream>(with), expected);
}

#[test]
fn haproxy_speaks_to_its_socket() {
    let socket = |path: &str| ["read", "leave", "join"].map(|class| format!("socket-{class}:{path}"));
    assert_eq!(
        of_cluster::<runner_step_haproxy::Haproxy>(json!({ "backend": "shop", "server": "${target.name}" })),
        json!({ "ssh": socket("/run/haproxy/admin.sock") })
    );
    let with =
        json!({ "backend": ["a", "b"], "socket": "/run/h.sock", "state-file": "/var/lib/haproxy/state" });
    let mut grants = socket("/run/h.sock").to_vec();
    grants.push("write:/var/lib/haproxy/state".to_owned());
    assert_eq!(of_cluster::<runner_step_haproxy::Haproxy>(with), json!({ "ssh": grants }));
}

/// The grants that come of parameters as a plan has them.
fn grants<S: Step>(with: Value) -> Value {
    let with = ValueTemplate::parse(&with).expect("well formed");
    let grants = manifest::<S>().bind(&with).unwrap_or_else(|error| panic!("{}: {error}", S::NAME));
    serde_json::to_value(grants).expect("lists")
}

#[test]
fn package_reads_its_source() {
    assert_eq!(grants::<runner_step_package::Package>(json!({})), json!({ "files": ["read:."] }));
    let with = json!({ "source": "app", "exclude": [".git"] });
    assert_eq!(grants::<runner_step_package::Package>(with), json!({ "files": ["read:app"] }));
}

#[test]
fn distribute_writes_below_its_root() {
    let with = json!({ "artifact": "${release.artifact}", "root": "/srv/shop", "shared": ["config.php", "uploads/"] });
    let expected = json!({ "ssh": ["read:/srv/shop", "write:/srv/shop"] });
    assert_eq!(grants::<runner_step_distribute::Distribute>(with), expected);
}

#[test]
fn switch_writes_nothing_but_current() {
    let with = json!({ "root": "/srv/shop", "release": "${release.id}" });
    let expected = json!({ "ssh": ["read:/srv/shop", "write:/srv/shop/current"] });
    assert_eq!(grants::<runner_step_switch::Switch>(with), expected);
}

#[test]
fn backup_and_prune_write_in_their_folders() {
    let expected = json!({ "ssh": ["read:/srv/shop", "write:/srv/shop/backups"] });
    assert_eq!(grants::<runner_step_backup::Backup>(json!({ "root": "/srv/shop", "keep": 3 })), expected);
    let expected = json!({ "ssh": ["read:/srv/shop", "write:/srv/shop/releases"] });
    assert_eq!(grants::<runner_step_prune::Prune>(json!({ "root": "/srv/shop" })), expected);
}

#[test]
fn a_backup_of_paths_reads_these_and_a_restore_writes_them() {
    let with = json!({ "name": "settings", "paths": ["/etc/nginx", "/etc/hosts"], "to": "/var/backups" });
    let expected =
        json!({ "ssh": ["read:/var/backups", "write:/var/backups", "read:/etc/nginx", "read:/etc/hosts"] });
    assert_eq!(grants::<runner_step_backup::Backup>(with), expected);
    let with = json!({ "from": "/var/backups", "name": "settings", "paths": ["/etc/nginx", "/etc/hosts"] });
    let expected = json!({ "ssh": [
        "read:/var/backups", "read:/etc/nginx", "read:/etc/hosts", "write:/etc/nginx", "write:/etc/hosts"
    ] });
    assert_eq!(grants::<runner_step_restore::Restore>(with), expected);
    let with = json!({ "archive": "/b/a.tar", "to": "/srv/x", "safety": "/b/before" });
    let expected = json!({ "ssh": ["read:/b/a.tar", "read:/srv/x", "write:/srv/x", "read:/b/before", "write:/b/before"] });
    assert_eq!(grants::<runner_step_restore::Restore>(with), expected);
}

#[test]
fn a_dump_asks_for_the_exact_command_of_one_server() {
    let login = json!({ "host": "127.0.0.1", "port": 3306, "user": "backup", "password": "db" });
    let with = json!({ "databases": ["shop", "blog"], "mariadb": login, "to": "/var/backups" });
    let dump = |database: &str| {
        format!(
            "exec-change:MYSQL_PWD=* mariadb-dump --no-defaults --protocol=tcp --host=127.0.0.1 --port=3306 \
             --user=backup --single-transaction --quick --routines --events --triggers --hex-blob --no-tablespaces \
             --skip-dump-date --default-character-set=utf8mb4 {database}"
        )
    };
    let expected = json!({
        "ssh": [
            "read:/var/backups", "write:/var/backups", "exec-read:tail -c 512", "exec-read:pg_restore --list",
            dump("shop"), dump("blog"),
        ],
        "secrets": ["db"],
    });
    assert_eq!(grants::<runner_step_db_backup::DbBackup>(with), expected);
    let login = json!({ "host": "/run/postgresql", "port": 5432, "user": "restore" });
    let with = json!({ "database": "shop", "postgresql": login, "from": "/var/backups" });
    let grants = grants::<runner_step_db_restore::DbRestore>(with);
    let ssh: Vec<&str> = grants["ssh"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let login = "--no-password --host=/run/postgresql --port=5432 --username=restore";
    for command in [
        format!("exec-opaque:createdb {login} shop"),
        format!("exec-opaque:dropdb {login} shop"),
        format!("exec-opaque:pg_restore {login} --single-transaction --exit-on-error --dbname=shop"),
    ] {
        assert!(ssh.contains(&command.as_str()), "{command}: {ssh:#?}");
    }
    assert!(ssh.iter().all(|grant| !grant.contains("mariadb")), "{ssh:#?}");
}

#[test]
fn restart_asks_for_one_action_of_one_unit() {
    let expected = json!({ "ssh": ["service:nginx restart"] });
    assert_eq!(grants::<runner_step_restart::Restart>(json!({ "unit": "nginx" })), expected);
    let with =
        json!({ "unit": "nginx", "action": "reload", "root": "/srv/shop", "changed": "${switch.changed}" });
    let expected = json!({ "ssh": ["service:nginx reload", "read:/srv/shop"] });
    assert_eq!(grants::<runner_step_restart::Restart>(with), expected);
}

#[test]
fn files_writes_what_is_in_its_list() {
    let with = json!({ "files": [
        { "path": "${release.root}/shared/config.php", "source": "conf/config.php" },
        { "path": "/etc/motd", "content": "hello" },
        { "path": "/etc/old", "absent": true, "recursive": true },
    ] });
    let expected = json!({
        "ssh": ["write:${release.root}/shared/config.php", "write:/etc/motd", "write:/etc/old"],
        "files": ["read:conf/config.php"],
    });
    assert_eq!(grants::<runner_step_files::Files>(with), expected);
}

#[test]
fn cron_writes_one_file() {
    let with = json!({ "name": "tidy", "schedule": "@daily", "command": "/bin/true" });
    assert_eq!(grants::<runner_step_cron::Cron>(with), json!({ "ssh": ["write:/etc/cron.d/tidy"] }));
}

#[test]
fn template_writes_one_file() {
    let with =
        json!({ "source": "shop.conf", "to": "/etc/shop.conf", "vars": { "a": [1], "b": { "c": "d" } } });
    let expected =
        json!({ "ssh": ["read:/etc/shop.conf", "write:/etc/shop.conf"], "files": ["read:shop.conf"] });
    assert_eq!(grants::<runner_step_template::Template>(with), expected);
    let with = json!({ "content": "{{ secrets.token }}", "to": "/etc/x", "secrets": ["token"] });
    let expected = json!({ "ssh": ["read:/etc/x", "write:/etc/x"], "secrets": ["token"] });
    assert_eq!(grants::<runner_step_template::Template>(with), expected);
}

#[test]
fn smoke_test_asks_one_url() {
    let expected = json!({ "http": ["GET http://shop.example.org/"] });
    assert_eq!(
        grants::<runner_step_smoke_test::SmokeTest>(json!({ "url": "http://shop.example.org/" })),
        expected
    );
    let with = json!({ "url": "http://127.0.0.1:8080/", "from": "target" });
    let expected =
        json!({ "http": ["GET http://127.0.0.1:8080/", "GET http://127.0.0.1:8080/ from target"] });
    assert_eq!(grants::<runner_step_smoke_test::SmokeTest>(with), expected);
}

#[test]
fn wait_for_and_watch_ask_for_what_they_look_at() {
    type WaitFor = runner_step_wait_for::WaitFor;
    type Watch = runner_step_watch::Watch;
    assert_eq!(grants::<WaitFor>(json!({ "file": "/run/x" })), json!({ "ssh": ["read:/run/x"] }));
    assert_eq!(
        grants::<WaitFor>(json!({ "service": "nginx" })),
        json!({ "ssh": ["service:nginx is-active"] })
    );
    let port = json!({ "port": 8080, "timeout": "1s" });
    assert_eq!(grants::<WaitFor>(port), json!({ "ssh": ["exec-read:ss -Hltn sport = :8080"] }));
    let with = json!({ "url": "https://x.org/", "connect-to": "${target.address}", "for": "1m" });
    let expected = json!({ "http": ["GET https://x.org/", "GET https://x.org/ at ${target.address}"] });
    assert_eq!(grants::<Watch>(with), expected);
}

#[test]
fn load_test_asks_one_url_so_often() {
    let with = json!({ "url": "http://x.org/", "requests": 100 });
    let expected = json!({ "ssh": ["exec-read:ab -q -l -r -s 30 -n 100 -c 10 http://x.org/"] });
    assert_eq!(grants::<runner_step_load_test::LoadTest>(with), expected);
}

#[test]
fn opcache_reset_writes_one_script_and_asks_one_socket() {
    let with = json!({ "socket": "/run/fpm.sock", "script": "/srv/x.php", "root": "/srv/shop" });
    let ask =
        "exec-signal:REQUEST_METHOD=GET SCRIPT_FILENAME=/srv/x.php cgi-fcgi -bind -connect /run/fpm.sock";
    let expected = json!({ "ssh": ["read:/srv/x.php", "write:/srv/x.php", ask, "read:/srv/shop"] });
    assert_eq!(grants::<runner_step_opcache_reset::OpcacheReset>(with), expected);
}

#[test]
fn git_checkout_fetches_one_commit_of_one_repository() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let with = json!({ "repository": "https://x.org/a.git", "commit": commit, "to": "/var/src" });
    let grants = grants::<runner_step_git_checkout::GitCheckout>(with);
    let ssh: Vec<&str> = grants["ssh"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert_eq!(ssh[..4], ["read:/var/src", "write:/var/src", "read:/var/src.git", "write:/var/src.git/info"]);
    let fetch = format!(
        "exec-change:GIT_ALLOW_PROTOCOL=file:https:ssh GIT_TERMINAL_PROMPT=0 git --no-optional-locks -c \
         core.fsmonitor=false -c core.hooksPath=/dev/null --git-dir=/var/src.git fetch -q --depth=1 --no-tags --no-write-fetch-head -- https://x.org/a.git {commit}"
    );
    assert!(ssh.contains(&fetch.as_str()), "{ssh:#?}");
}

#[test]
fn build_shares_the_network_only_when_the_plan_says_so() {
    let with = json!({ "source": "app", "argv": ["make"], "folder": "/var/tmp/b", "env": { "A": "1" } });
    let bound = |with: &Value| grants::<runner_step_build::Build>(with.clone());
    let words = |grants: &Value| {
        grants["ssh"].as_array().expect("a list").iter().map(Value::to_string).collect::<Vec<_>>()
    };
    let without = words(&bound(&with));
    assert!(without.iter().all(|grant| !grant.contains("--share-net")), "{without:#?}");
    assert!(without.iter().any(|grant| grant.starts_with("\"exec-change:bwrap ")
        && grant.ends_with("--bind /var/tmp/b/work /build -- env A=1 make\"")));
    assert!(
        without.contains(&"\"exec-change:HOME=/var/tmp/b/home env -C /var/tmp/b/work A=1 make\"".to_owned()),
        "{without:#?}"
    );
    let mut with = with;
    with["share"] = "net".into();
    assert!(words(&bound(&with)).iter().any(|grant| grant.contains("--share-net -- env A=1 make")));
}

#[test]
fn user_command_asks_for_each_command_of_its_list() {
    let with = json!({ "commands": [
        { "argv": ["a", "x"], "effect": "read", "env": { "A": "1" } },
        { "argv": ["b"], "effect": "change", "undo": ["c"], "creates": "/srv/b", "directory": "/srv" },
    ] });
    let expected =
        json!({ "ssh": ["exec-read:A=1 a x", "exec-change:b", "exec-change:c", "read:/srv", "read:/srv/b"] });
    assert_eq!(grants::<runner_step_user_command::UserCommand>(with), expected);
}

#[test]
fn command_asks_for_what_the_plan_spells_out() {
    let with = json!({ "argv": ["nginx", "-s", "reload"], "effect": "signal" });
    let expected = json!({ "ssh": ["exec-signal:nginx -s reload"] });
    assert_eq!(grants::<runner_step_command::RunCommand>(with), expected);
    let with = json!({ "argv": ["migrate"], "env": { "STAGE": "live" }, "directory": "/srv/shop" });
    let expected = json!({ "ssh": ["exec-opaque:STAGE=live migrate", "read:/srv/shop"] });
    assert_eq!(grants::<runner_step_command::RunCommand>(with), expected);
}
