//! Against an HAProxy in memory that answers as the real one does (`real.rs` is the real one).

use super::*;
use runner_sdk::testing::World;
use runner_sdk::{ErrorKind, Service};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;

const SOCKET: &str = "/run/haproxy/admin.sock";

/// Servers by backend and name: admin state, status, sessions.
#[derive(Default)]
struct Fake {
    servers: Vec<(&'static str, &'static str, u32, &'static str, u32)>,
    said: Vec<String>,
    /// Sessions that end with each look.
    ending: u32,
    /// What it answers instead to what begins so.
    instead: Vec<(&'static str, String)>,
}

impl Fake {
    fn answer(&mut self, text: &str) -> String {
        let command = text.strip_suffix('\n').expect("one whole line");
        assert!(!command.contains(['\n', ';']), "one command: {command:?}");
        if let Some((_, instead)) = self.instead.iter().find(|(begin, _)| command.starts_with(begin)) {
            return instead.clone();
        }
        if !command.starts_with("show ") {
            self.said.push(command.to_owned());
        }
        let words: Vec<&str> = command.split(' ').collect();
        match words[..] {
            ["show", "servers", "state", ref of @ ..] => {
                let rows = self.servers.iter().filter(|one| of.is_empty() || of == [one.0]);
                let rows: Vec<String> =
                    rows.map(|(b, s, admin, ..)| format!("3 {b} 1 {s} 127.0.0.1 2 {admin} 1")).collect();
                if rows.is_empty() {
                    return "Can't find backend.\n\n".to_owned();
                }
                let head =
                    "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight";
                format!("1\n{head}\n{}\n\n", rows.join("\n"))
            }
            ["show", "stat", of, "4", "-1"] => {
                let rows = self.servers.iter_mut().filter(|one| one.0 == of);
                let ending = self.ending;
                let rows: Vec<String> = rows
                    .map(|(b, s, _, status, sessions)| {
                        let row = format!("{b},{s},0,0,{sessions},9,\"{status}\",\"say \"\"hi\"\",\nyes\",");
                        *sessions = sessions.saturating_sub(ending);
                        row
                    })
                    .collect();
                format!("# pxname,svname,qcur,qmax,scur,smax,status,last_chk,\n{}\n\n", rows.join("\n"))
            }
            ["set", "server", server, "state", state] => {
                let found = self.servers.iter_mut().find(|one| format!("{}/{}", one.0, one.1) == server);
                let Some((_, _, admin, status, _)) = found else { return "No such server.\n\n".to_owned() };
                (*admin, *status) = match state {
                    "ready" => (0, "UP"),
                    "drain" => (8, "DRAIN"),
                    _ => (1, "MAINT"),
                };
                "\n".to_owned()
            }
            ["shutdown", "sessions", "server", server] => {
                let mut servers = self.servers.iter_mut();
                servers.find(|one| format!("{}/{}", one.0, one.1) == server).expect("known").4 = 0;
                "\n".to_owned()
            }
            _ => "Unknown command: 'x', but maybe one of the following ones is a better match:\n".to_owned(),
        }
    }
}

fn world(servers: &[(&'static str, &'static str, u32, &'static str, u32)]) -> (World, Rc<RefCell<Fake>>) {
    let fake = Rc::new(RefCell::new(Fake { servers: servers.to_vec(), ending: 1, ..Fake::default() }));
    let world = World::new();
    world.current("lb").subject("web-1");
    let listener = Rc::clone(&fake);
    world
        .target("lb")
        .dir("/var/lib/haproxy")
        .socket(SOCKET, move |text| Ok(listener.borrow_mut().answer(text)));
    (world, fake)
}

fn shop() -> Value {
    json!({ "backend": "shop" })
}

fn said(fake: &Rc<RefCell<Fake>>) -> Vec<String> {
    std::mem::take(&mut fake.borrow_mut().said)
}

#[test]
fn it_says_how_a_server_stands() {
    for (admin, status, service, healthy) in [
        (0, "UP", Service::In, true),
        (0, "UP 1/3", Service::In, true),
        (0, "no check", Service::In, true),
        (0, "DOWN", Service::In, false),
        (0, "DOWN (agent)", Service::In, false),
        (8, "DRAIN", Service::Draining, true),
        (16, "DRAIN", Service::Draining, true),
        (8, "DOWN", Service::Draining, false),
        (1, "MAINT", Service::Out, true),
        (2, "MAINT (via a/b)", Service::Out, true),
        (32, "MAINT (resolution)", Service::Out, true),
        (9, "MAINT", Service::Out, true),
        (4, "UP", Service::In, true),
    ] {
        let (world, fake) = world(&[("shop", "web-2", 1, "MAINT", 7), ("shop", "web-1", admin, status, 3)]);
        let expected = Standing { service, healthy, connections: Some(3) };
        assert_eq!(world.observe::<Haproxy>(shop()), Ok(expected), "{admin} {status}");
        assert!(said(&fake).is_empty() && world.effects().is_empty());
    }
}

#[test]
fn of_several_backends_one_that_serves_is_enough() {
    let (world, _) = world(&[("shop", "app", 1, "MAINT", 1), ("api", "app", 0, "DOWN", 2)]);
    let standing = world.observe::<Haproxy>(json!({ "backend": ["shop", "api"], "server": "app" }));
    assert_eq!(standing, Ok(Standing { service: Service::In, healthy: false, connections: Some(3) }));
}

#[test]
fn it_drains_waits_and_only_then_takes_out() {
    let (world, fake) = world(&[("shop", "web-1", 0, "UP", 2), ("shop", "web-2", 0, "UP", 5)]);
    let began = world.now();
    world.leave::<Haproxy>(shop()).expect("leaves");
    assert_eq!(said(&fake), ["set server shop/web-1 state drain", "set server shop/web-1 state maint"]);
    assert!(world.now() > began, "it waited");
    assert_eq!(fake.borrow().servers[1].2, 0, "nobody else left");
    assert_eq!(
        world.effects(),
        [
            format!("lb: exchange [leave] {SOCKET}: set server shop/web-1 state drain"),
            format!("lb: exchange [leave] {SOCKET}: set server shop/web-1 state maint"),
        ]
    );
    world.leave::<Haproxy>(shop()).expect("is out");
    assert!(said(&fake).is_empty() && world.effects().is_empty(), "twice is as once");

    world.join::<Haproxy>(shop()).expect("joins");
    assert_eq!(said(&fake), ["set server shop/web-1 state ready"]);
    assert_eq!(world.effects(), [format!("lb: exchange [join] {SOCKET}: set server shop/web-1 state ready")]);
    world.join::<Haproxy>(shop()).expect("is in");
    assert!(said(&fake).is_empty() && world.effects().is_empty(), "twice is as once");
}

#[test]
fn one_that_drains_already_is_waited_for_and_taken_out() {
    let (world, fake) = world(&[("shop", "web-1", 8, "DRAIN", 1)]);
    world.leave::<Haproxy>(shop()).expect("leaves");
    assert_eq!(said(&fake), ["set server shop/web-1 state maint"]);
}

#[test]
fn what_does_not_end_is_cut_off_or_fails_the_target() {
    let (world, fake) = world(&[("shop", "web-1", 0, "UP", 2)]);
    fake.borrow_mut().ending = 0;
    world.leave::<Haproxy>(json!({ "backend": "shop", "timeout": "5s" })).expect("leaves");
    let cut = [
        "set server shop/web-1 state drain",
        "set server shop/web-1 state maint",
        "shutdown sessions server shop/web-1",
    ];
    assert_eq!(said(&fake), cut);
    assert!(
        world.log().iter().any(|line| line.starts_with("warn: cut off 2 connections")),
        "{:?}",
        world.log()
    );

    let (world, fake) = self::world(&[("shop", "web-1", 0, "UP", 2)]);
    fake.borrow_mut().ending = 0;
    let fails = json!({ "backend": "shop", "timeout": "5s", "on-timeout": "fail" });
    let error = world.leave::<Haproxy>(fails).expect_err("they go on");
    assert!(error.is(ErrorKind::Timeout) && error.message.contains("2 connections"), "{error}");
    assert_eq!(
        said(&fake),
        ["set server shop/web-1 state drain", "set server shop/web-1 state ready"],
        "as it was"
    );
}

#[test]
fn an_error_on_the_way_out_puts_back_what_began_to_drain() {
    let (world, fake) = world(&[("shop", "web-1", 0, "UP", 0), ("api", "web-1", 0, "UP", 0)]);
    fake.borrow_mut().instead.push(("set server api/web-1 state drain", "Permission denied\n".to_owned()));
    let error = world.leave::<Haproxy>(json!({ "backend": ["shop", "api"] })).expect_err("refused");
    assert!(error.is(ErrorKind::Conflict) && error.detail.contains("level admin"), "{error}");
    assert_eq!(said(&fake), ["set server shop/web-1 state drain", "set server shop/web-1 state ready"]);
}

#[test]
fn who_joins_must_become_healthy_in_time() {
    let (world, fake) = world(&[("shop", "web-1", 0, "DOWN", 0)]);
    let error =
        world.join::<Haproxy>(json!({ "backend": "shop", "healthy-within": "3s" })).expect_err("is down");
    assert!(error.is(ErrorKind::Timeout) && error.message.contains("`shop/web-1` at `lb`"), "{error}");
    assert!(said(&fake).is_empty(), "it was in service already");
}

#[test]
fn the_states_are_written_down_after_each_change_and_only_then() {
    let with = || json!({ "backend": "shop", "state-file": "/var/lib/haproxy/state" });
    let (world, _) = world(&[("shop", "web-1", 0, "UP", 0), ("other", "x", 1, "MAINT", 0)]);
    world.leave::<Haproxy>(with()).expect("leaves");
    let kept = world.target("lb").text("/var/lib/haproxy/state").expect("a file");
    assert!(
        kept.starts_with("1\n# be_id") && kept.contains("other 1 x") && kept.contains("web-1 127.0.0.1 2 1"),
        "{kept}"
    );
    world.leave::<Haproxy>(with()).expect("is out");
    assert!(world.effects().is_empty());
    world.join::<Haproxy>(with()).expect("joins");
    assert!(
        world.target("lb").text("/var/lib/haproxy/state").expect("a file").contains("web-1 127.0.0.1 2 0")
    );
}

#[test]
fn no_name_becomes_a_second_command() {
    let (world, fake) = world(&[("shop", "web-1", 0, "UP", 0)]);
    for evil in ["web-1;shutdown", "web-1\nset", "a b", "", "a/b", "web-1\u{0}", "é", "*", "#1,", "a\\b"] {
        for with in [
            json!({ "backend": "shop", "server": evil }),
            json!({ "backend": evil }),
            json!({ "backend": ["shop", evil] }),
        ] {
            let error = world.leave::<Haproxy>(with.clone()).expect_err(evil);
            assert!(error.is(ErrorKind::Invalid), "{with}: {error}");
            assert!(world.calls().is_empty(), "{with}");
        }
    }
    for with in [
        json!({ "backend": [] }),
        json!({ "backend": 3 }),
        json!({}),
        json!({ "backend": "shop", "more": 1 }),
    ] {
        assert!(world.observe::<Haproxy>(with).expect_err("no parameters").is(ErrorKind::Invalid));
    }
    world.subject("web 1;x");
    assert!(world.observe::<Haproxy>(shop()).expect_err("a target's name too").is(ErrorKind::Invalid));
    assert!(said(&fake).is_empty());
}

#[test]
fn what_haproxy_refuses_is_said_with_what_mends_it() {
    let (world, fake) = world(&[("shop", "web-9", 0, "UP", 0)]);
    let error = world.observe::<Haproxy>(shop()).expect_err("no such server");
    assert!(error.is(ErrorKind::NotFound) && error.message.contains("no server `web-1`"), "{error}");
    assert!(error.detail.contains("server ="), "{error}");
    let error = world.observe::<Haproxy>(json!({ "backend": "shap" })).expect_err("no such backend");
    assert!(error.is(ErrorKind::NotFound) && error.detail.contains("backend ="), "{error}");
    for (answer, kind) in [
        ("Permission denied\n", ErrorKind::Conflict),
        ("No such server.\n", ErrorKind::NotFound),
        ("Require 'backend/server'.\n", ErrorKind::Other),
        ("\u{1b}[2Jhello", ErrorKind::Other),
    ] {
        fake.borrow_mut().servers = vec![("shop", "web-1", 1, "MAINT", 0)];
        fake.borrow_mut().instead = vec![("set server", answer.to_owned())];
        let error = world.join::<Haproxy>(shop()).expect_err(answer);
        assert!(error.is(kind), "{answer}: {error:?}");
        assert!(!error.to_string().contains('\u{1b}'), "{error:?}");
    }
    let elsewhere = json!({ "backend": "shop", "socket": "/run/other.sock" });
    let error = world.observe::<Haproxy>(elsewhere).expect_err("no such socket");
    assert!(error.is(ErrorKind::NotFound) && error.detail.contains("stats socket"), "{error}");
}

#[test]
fn answers_that_make_no_sense_are_errors_and_change_nothing() {
    let good = "1\n# be_id be_name srv_id srv_name srv_admin_state\n3 shop 1 web-1 0\n";
    let flood = format!("1\n# be_name srv_name srv_admin_state\n{}", "shop x 0\n".repeat(90_000));
    for (states, stats) in [
        ("", ""),
        ("1", ""),
        ("2\n# be_id be_name srv_id srv_name srv_admin_state\n3 shop 1 web-1 0\n", ""),
        ("1\n# be_id be_name srv_id srv_n", ""),
        ("1\n# be_id be_name srv_id srv_name srv_admin_state\n3 shop 1 web-1\n", ""),
        ("1\n# be_id be_name srv_id srv_name srv_admin_state\n3 shop 1 web-1 x\n", ""),
        ("1\n# be_id be_name srv_id srv_name srv_admin_state\n3 shop 1 web-1 0\n3 shop 1 web-1 1\n", ""),
        (flood.as_str(), ""),
        (good, ""),
        (good, "# pxname,svname,scur\nshop,web-1,0\n"),
        (good, "# pxname,svname,scur,status\nshop,web-1,-1,UP\n"),
        (good, "# pxname,svname,scur,status\nshop,web-1,99999999999,UP\n"),
        (good, "# pxname,svname,scur,status\nshop,web-1,0\n"),
        (good, "# pxname,svname,scur,status\nshop,\"web-1,0,UP\n"),
    ] {
        let (world, fake) = world(&[("shop", "web-1", 0, "UP", 0)]);
        fake.borrow_mut().instead =
            vec![("show servers", states.to_owned()), ("show stat", stats.to_owned())];
        for result in [
            world.observe::<Haproxy>(shop()).map(drop),
            world.leave::<Haproxy>(shop()),
            world.join::<Haproxy>(shop()),
        ] {
            let error = result.expect_err("no sense");
            assert!(error.detail.len() < 2000, "{states} {stats}");
        }
        assert!(said(&fake).is_empty(), "{states} {stats}");
    }
}
