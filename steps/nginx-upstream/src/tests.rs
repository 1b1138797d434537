use super::*;
use runner_sdk::testing::{Answer, World};
use serde_json::{Value, json};

const FILE: &str = "/etc/nginx/upstreams/shop.conf";
const SERVERS: &str = "# the shop\n\tserver 10.0.0.1:80 max_fails=1;  # first\nserver  10.0.0.2:80\tweight=2 ;\r\n\
                       server 10.0.0.10:80 down backup;\nkeepalive 16;\n\n  # server 10.0.0.1:80;\nserver 10.0.0.3:80;";

fn world() -> World {
    let world = World::new();
    world.current("lb").subject("web-1");
    world.target("lb").file(FILE, SERVERS).service("nginx", true).answer(&["nginx", "-t"], Answer::ok(""));
    world
}

fn with(server: &str) -> Value {
    json!({ "file": FILE, "server": server })
}

fn service(world: &World, server: &str) -> Service {
    world.observe::<NginxUpstream>(with(server)).expect("a standing").service
}

#[test]
fn the_file_says_who_is_in_service() {
    let world = world();
    assert_eq!(service(&world, "10.0.0.10:80"), Service::Out);
    assert_eq!(service(&world, "10.0.0.3:80"), Service::In);
    let standing = world.observe::<NginxUpstream>(with("10.0.0.1:80")).expect("a standing");
    assert_eq!(standing, Standing { service: Service::In, healthy: true, connections: None });
    assert!(world.effects().is_empty());
}

#[test]
fn one_word_is_put_in_and_taken_out_and_all_else_stays() {
    for (server, line, marked) in [
        ("10.0.0.1:80", "server 10.0.0.1:80 max_fails=1;", "server 10.0.0.1:80 down max_fails=1;"),
        ("10.0.0.2:80", "  10.0.0.2:80\tweight=2 ;\r\n", "  10.0.0.2:80 down\tweight=2 ;\r\n"),
        ("10.0.0.3:80", "server 10.0.0.3:80;", "server 10.0.0.3:80 down;"),
    ] {
        let world = world();
        let began = world.now();
        world.leave::<NginxUpstream>(with(server)).expect("leaves");
        assert_eq!(world.target("lb").text(FILE), Some(SERVERS.replacen(line, marked, 1)), "{server}");
        assert_eq!(world.effects(), [format!("lb: write {FILE}"), "lb: service nginx reload".to_owned()]);
        assert_eq!(world.commands().len(), 1, "tested");
        assert_eq!(service(&world, server), Service::Out);
        world.leave::<NginxUpstream>(with(server)).expect("is out");
        assert!(world.effects().is_empty());
        assert_eq!(world.now() - began, 10_000, "the second time there was nothing to wait for");

        world.join::<NginxUpstream>(with(server)).expect("joins");
        assert_eq!(world.target("lb").text(FILE).as_deref(), Some(SERVERS), "{server}");
        world.join::<NginxUpstream>(with(server)).expect("is in");
        assert!(world.effects().is_empty());
    }
    let world = world();
    world.join::<NginxUpstream>(with("10.0.0.10:80")).expect("joins");
    let expected = SERVERS.replace("10.0.0.10:80 down backup;", "10.0.0.10:80 backup;");
    assert_eq!(world.target("lb").text(FILE), Some(expected));
}

#[test]
fn what_nginx_does_not_accept_is_put_back() {
    let world = World::new();
    world.current("lb").subject("web-1");
    let emerg = Answer::status(1, "nginx: [emerg] unexpected end of file");
    world.target("lb").file(FILE, SERVERS).service("nginx", true).answer(&["nginx", "-t"], emerg);
    let error = world.leave::<NginxUpstream>(with("10.0.0.1:80")).expect_err("not accepted");
    assert!(error.is(ErrorKind::CommandFailed) && error.detail.contains("[emerg]"), "{error}");
    assert!(error.message.contains("is as it was"), "{error}");
    assert_eq!(world.target("lb").text(FILE).as_deref(), Some(SERVERS));
    assert!(!world.effects().iter().any(|effect| effect.contains("reload")), "{:?}", world.effects());
}

#[test]
fn a_reload_that_fails_is_put_back_and_a_cancelled_one_is_still_owed() {
    let world = world();
    world.fail("service", "nginx", Error::new(ErrorKind::CommandFailed, "it is not active"));
    world.leave::<NginxUpstream>(with("10.0.0.1:80")).expect_err("no reload");
    assert_eq!(world.target("lb").text(FILE).as_deref(), Some(SERVERS));

    let world = self::world();
    world.fail("service", "nginx", Error::new(ErrorKind::Cancelled, "cancelled"));
    let error = world.leave::<NginxUpstream>(with("10.0.0.1:80")).expect_err("cancelled");
    assert!(error.is(ErrorKind::Cancelled), "{error}");
    assert_eq!(service(&world, "10.0.0.1:80"), Service::Out);
}

#[test]
fn what_is_not_one_directive_on_one_line_is_not_edited() {
    for text in [
        "server 10.0.0.1:80; server 10.0.0.2:80;\n",
        "server 10.0.0.1:80\n  max_fails=1;\n",
        "upstream shop { server 10.0.0.1:80; }\n",
        "server \"10.0.0.1:80\";\n",
        "server 10.0.0.1:80 route='x';\n",
        "server 10.0.0.1:80;\nserver 10.0.0.1:80 backup;\n",
        "server 10.0.0.1:80",
        "proxy_pass 10.0.0.1:80;\n",
    ] {
        let world = world();
        world.target("lb").file(FILE, text);
        for answer in [
            world.observe::<NginxUpstream>(with("10.0.0.1:80")).map(drop),
            world.leave::<NginxUpstream>(with("10.0.0.1:80")),
            world.join::<NginxUpstream>(with("10.0.0.1:80")),
        ] {
            let error = answer.expect_err(text);
            assert!(error.is(ErrorKind::Conflict), "{text}: {error}");
        }
        assert_eq!(world.target("lb").text(FILE).as_deref(), Some(text));
    }
}

#[test]
fn an_address_that_is_not_there_or_none_is_refused() {
    let world = world();
    for server in ["10.0.0.4:80", "10.0.0.1", "0.0.0.1:80", "10.0.0.1:8"] {
        let error = world.leave::<NginxUpstream>(with(server)).expect_err(server);
        assert!(error.is(ErrorKind::NotFound), "{server}: {error}");
    }
    for server in ["", "10.0.0.1:80;", "a b", "a\nb", "a\"b", "a#b", "${x}", "a;server evil:80"] {
        assert!(world.leave::<NginxUpstream>(with(server)).expect_err(server).is(ErrorKind::Invalid));
    }
    let none = json!({ "file": FILE, "server": "10.0.0.1:80", "test": [] });
    assert!(world.leave::<NginxUpstream>(none).expect_err("no program").is(ErrorKind::Invalid));
    assert_eq!(world.target("lb").text(FILE).as_deref(), Some(SERVERS));
    let missing = json!({ "file": "/etc/nginx/none", "server": "x" });
    assert!(world.observe::<NginxUpstream>(missing).expect_err("no file").detail.contains("upstream"));
}
