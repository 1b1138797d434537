//! HAProxy's runtime API over real sshd's: through the connection, with socat where that is refused, and as another user.

mod common;

use common::{Bench, fleet, path, target};
use runner_fleet::{Fleet, Host, Sudo};
use runner_model::{Acting, EffectClass, Exchange, Failure, FailureKind};
use runner_transport::{Connection, Intent, Within};

const ROOT: &str = "/srv/app";
const SOCKET: &str = "/srv/app/balancer/admin.sock";

/// A fleet with users of its own, and a balancer on its only host that ends with it.
fn balancer(sudo: Sudo) -> Option<Fleet> {
    let fleet = fleet(Fleet::builder(1).sudo(sudo))?;
    if !fleet.isolated() {
        eprintln!("SKIPPED: a balancer needs a fleet that was started as root");
        return None;
    }
    let script = "mkdir -p -m 755 /srv/app/balancer; chown deploy /srv/app /srv/app/balancer
        printf '%s\\n' 'global' '  stats socket /srv/app/balancer/admin.sock user deploy mode 600 level admin' \
          'defaults' '  mode http' '  timeout connect 1s' '  timeout client 1s' '  timeout server 1s' \
          'backend web' '  server web-1 127.0.0.1:1' '  server web-2 127.0.0.1:2' > /srv/app/balancer/cfg
        haproxy -D -f /srv/app/balancer/cfg -p /srv/app/balancer/pid";
    run(fleet.host(1), script);
    Some(fleet)
}

fn run(host: &Host, script: &str) {
    host.inside(&["sh", "-ec", script]).unwrap_or_else(|e| panic!("{script}: {e}"));
}

async fn ask(connection: &dyn Connection, acting: &Acting, at: &str, text: &str) -> Result<String, Failure> {
    let exchange = Exchange { path: path(at), text: text.to_owned(), effect: EffectClass::Signal };
    let within = [path(ROOT)];
    connection.acting(acting).exchange(&exchange, Within::both(&within), Some(Intent::new("{}"))).await
}

fn end(fleet: &Fleet) {
    run(fleet.host(1), "kill $(cat /srv/app/balancer/pid)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_is_asked_through_the_connection() {
    let Some(fleet) = balancer(Sudo::Nothing) else { return };
    fleet.host(1).hide("socat").expect("hidden");
    let connection = Bench::new().connect(target(&fleet, 1), ROOT).await;
    let login = Acting::Login;
    assert_eq!(
        ask(&*connection, &login, SOCKET, "set server web/web-1 state drain\n").await.expect("asked"),
        "\n"
    );
    let state = ask(&*connection, &login, SOCKET, "show servers state web\n").await.expect("asked");
    let stands = |server: &str| {
        let line = state
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .find(|words| words.get(3) == Some(&server));
        line.and_then(|words| words.get(6).map(|word| (*word).to_owned()))
    };
    assert!(stands("web-1").is_some_and(|drains| drains != "0"), "{state}");
    assert_eq!(stands("web-2").as_deref(), Some("0"), "{state}");
    // Many at once, over the same forward.
    let all = (0..20).map(|_| ask(&*connection, &login, SOCKET, "show info\n"));
    for answer in futures_util::future::join_all(all).await {
        assert!(answer.expect("asked").contains("Name: HAProxy"));
    }
    // Nobody listens any more: it says so, and what would help.
    end(&fleet);
    run(fleet.host(1), "while [ -d /proc/$(cat /srv/app/balancer/pid) ]; do sleep 0.05; done");
    let failure = ask(&*connection, &login, SOCKET, "show info\n").await.expect_err("it is gone");
    assert!(matches!(failure.kind, FailureKind::Conflict | FailureKind::NotFound), "{failure}");
    connection.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_sshd_forwards_no_socket_socat_serves() {
    let Some(fleet) = balancer(Sudo::Everything) else { return };
    fleet.host(1).forward_no_sockets().expect("sshd anew");
    let connection = Bench::new().connect(target(&fleet, 1), ROOT).await;
    for acting in [Acting::Login, Acting::As("root".parse().expect("a user"))] {
        let answer = ask(&*connection, &acting, SOCKET, "show info\n").await;
        let answer = answer.unwrap_or_else(|e| panic!("{acting:?}: {e}\n{}", e.detail));
        assert!(answer.contains("Name: HAProxy"), "{answer}");
    }
    let failure =
        ask(&*connection, &Acting::As("nobody".parse().expect("a user")), SOCKET, "show info\n").await;
    let failure = failure.expect_err("not its socket");
    assert!(failure.detail.contains("socket's group"), "{failure}\n{}", failure.detail);
    connection.close().await;
    fleet.host(1).hide("socat").expect("hidden");
    let connection = Bench::new().connect(target(&fleet, 1), ROOT).await;
    let failure = ask(&*connection, &Acting::Login, SOCKET, "show info\n").await.expect_err("no way");
    assert_eq!(failure.kind, FailureKind::Conflict, "{failure}");
    for word in ["AllowStreamLocalForwarding", "install socat"] {
        assert!(failure.detail.contains(word), "{failure}\n{}", failure.detail);
    }
    connection.close().await;
    end(&fleet);
}
