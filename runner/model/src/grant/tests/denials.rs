use super::*;
use crate::policy::{EnvironmentPolicy, Policy};
use crate::{Failure, FailureKind};

fn policy(text: &str) -> EnvironmentPolicy {
    let text = format!("policy = 1\n[environment.production]\n{text}\n");
    let policy = Policy::parse("/etc/runner/policy.toml", text.as_bytes()).expect("well formed");
    policy.environment(&name("production")).expect("spoken of")
}

fn shown(layers: &Layers, ask: &Ask<'_>) -> String {
    let denial = layers.check(ask).expect_err("denied");
    let failure = Failure::from(denial);
    assert_eq!(failure.kind, FailureKind::Denied);
    format!("{}\n{}", failure.message, failure.detail)
}

#[test]
fn a_denial_names_the_layer_and_the_line_that_mends_it_there() {
    let path = path("/etc/passwd");
    let ask = Ask::Write(&path);
    let mut layers = Layers::default();
    insta::assert_snapshot!(shown(&layers, &ask), @r#"
    write `/etc/passwd`: the module's manifest does not grant it
    the module would have to declare it:
    "capabilities": { "ssh": ["write:/etc/passwd"] }
    "#);
    layers.manifest = ssh(&["write:/"]);
    layers.allow = Some(ssh(&["read:/"]));
    insta::assert_snapshot!(shown(&layers, &ask), @r#"
    write `/etc/passwd`: the step's `allow` does not grant it
    add it at the step in the plan:
    allow = { ssh = ["write:/etc/passwd"] }
    "#);
    layers.allow = None;
    insta::assert_snapshot!(shown(&layers, &ask), @r"
    write `/etc/passwd`: `plan.lock` does not grant it
    review what the plan asks for, and accept it:
    runner lock
    ");
    layers.lock = ssh(&["write:/etc"]);
    assert!(layers.check(&ask).is_ok());
    layers.policy = Some(policy("allow = { ssh = [\"write:/srv\"] }"));
    insta::assert_snapshot!(shown(&layers, &ask), @r#"
    write `/etc/passwd`: the operator's policy for `production` does not grant it
    the operator would have to add it in /etc/runner/policy.toml:
    [environment.production]
    allow = { ssh = ["write:/etc/passwd"] }
    "#);
    // A ban comes before all else: to mend another layer would be in vain.
    layers.policy = Some(policy("deny = { ssh = [\"write:/etc\"] }"));
    layers.lock = GrantSet::default();
    insta::assert_snapshot!(shown(&layers, &ask), @r"
    write `/etc/passwd`: the operator's policy for `production` denies `write:/etc`
    only the operator can take `write:/etc` out of `deny` in /etc/runner/policy.toml
    ");
    let own = super::path("/srv/shop/.runner/runs");
    insta::assert_snapshot!(shown(&layers, &Ask::Read(&own)), @"read `/srv/shop/.runner/runs`: that belongs to the runner, and no grant covers it");
}

#[test]
fn every_ask_has_its_line() {
    let layers =
        Layers { manifest: GrantSet::default(), allow: Some(GrantSet::default()), ..Layers::default() };
    let mut layers = layers;
    layers.manifest = GrantSet::from_lists(
        ["service:* *", "target:*", "exec-read:**", "exec-signal:nginx **"],
        ["read:."],
        ["POST http://h/", "signal POST http://h/", "GET http://h/ at x from target"],
    )
    .expect("grants");
    let env: BTreeMap<String, String> = BTreeMap::new();
    insta::assert_snapshot!(shown(&layers, &Ask::Service { unit: "php-fpm", action: ServiceAction::Reload }), @r#"
    reload the service `php-fpm`: the step's `allow` does not grant it
    add it at the step in the plan:
    allow = { ssh = ["service:php-fpm reload"] }
    "#);
    insta::assert_snapshot!(shown(&layers, &Ask::ServiceState { unit: "php-fpm" }), @r#"
    look at the service `php-fpm`: the step's `allow` does not grant it
    add it at the step in the plan:
    allow = { ssh = ["service:php-fpm is-active"] }
    "#);
    insta::assert_snapshot!(shown(&layers, &Ask::Target(&name("lb"))), @r#"
    use the target `lb`: the step's `allow` does not grant it
    add it at the step in the plan:
    allow = { ssh = ["target:lb"] }
    "#);
    insta::assert_snapshot!(shown(&layers, &Ask::File { write: false, path: "./src/a b" }), @r#"
    read the file `./src/a b`: the step's `allow` does not grant it
    add it at the step in the plan:
    allow = { files = ["read:src/a b"] }
    "#);
    insta::assert_snapshot!(shown(&layers, &Ask::Exec { class: EffectClass::Read, argv: &argv(&["ls", "a b", "*", "it's"]), env: &env }), @r#"
    run `ls 'a b' '*' "it's"` as `read`: the step's `allow` does not grant it
    add it at the step in the plan:
    allow = { ssh = ["exec-read:ls 'a b' '*' \"it's\""] }
    "#);
    let url = name("http://h/x?token=1");
    insta::assert_snapshot!(
        shown(&layers, &Ask::Http { class: EffectClass::Opaque, method: "POST", url: &url, at: None, via_target: false }), @r#"
    send `POST http://h/x?token=1` as `opaque`: the step's `allow` does not grant it
    add it at the step in the plan:
    allow = { http = ["POST http://h/x"] }
    "#);
    insta::assert_snapshot!(
        shown(&layers, &Ask::Http { class: EffectClass::Read, method: "GET", url: &url, at: Some("x:80"), via_target: true }), @r#"
    send `GET http://h/x?token=1` at `x:80` from the target as `read`: the step's `allow` does not grant it
    add it at the step in the plan:
    allow = { http = ["GET http://h/x at x:80 from target"] }
    "#);
    insta::assert_snapshot!(shown(&layers, &Ask::As(&name("root"))), @r"
    become `root`: `plan.lock` does not grant it
    review what the plan asks for, and accept it:
    runner lock
    ");
}

#[test]
fn a_class_that_was_claimed_wrongly_is_told_apart() {
    let layers = layers(
        GrantSet::from_lists(["exec-signal:nginx -s reload"], [], ["signal POST http://h/"]).expect("grants"),
    );
    let env = BTreeMap::from([("A".to_owned(), "secret".to_owned())]);
    insta::assert_snapshot!(
        shown(&layers, &Ask::Exec { class: EffectClass::Read, argv: &argv(&["nginx", "-s", "reload"]), env: &BTreeMap::new() }), @r#"
    run `nginx -s reload` as `read`: the module's manifest grants it as `signal` only
    the module would have to declare it:
    "capabilities": { "ssh": ["exec-read:nginx -s reload"] }
    "#);
    insta::assert_snapshot!(
        shown(&layers, &Ask::Exec { class: EffectClass::Signal, argv: &argv(&["nginx", "-s", "reload"]), env: &env }), @r#"
    run `A=… nginx -s reload` as `signal`: the module's manifest does not grant it
    the module would have to declare it:
    "capabilities": { "ssh": ["exec-signal:A=* nginx -s reload"] }
    "#);
    let url = name("http://h/");
    insta::assert_snapshot!(
        shown(&layers, &Ask::Http { class: EffectClass::Opaque, method: "POST", url: &url, at: None, via_target: false }), @r#"
    send `POST http://h/` as `opaque`: the module's manifest grants it as `signal` only
    the module would have to declare it:
    "capabilities": { "http": ["POST http://h/"] }
    "#);
}

#[test]
fn what_a_module_says_cannot_draw_on_the_terminal() {
    let layers = Layers::default();
    let evil = argv(&["rm", "\u{1b}[2J\u{202e}x\n", "`a`", &"y".repeat(5000)]);
    let shown = shown(&layers, &Ask::Exec { class: EffectClass::Read, argv: &evil, env: &BTreeMap::new() });
    assert!(!shown.contains(['\u{1b}', '\u{202e}']) && shown.len() < 1000, "{shown}");
    let bad_unit = "a\u{1b}]0;x\u{7}";
    insta::assert_snapshot!(super::denials::shown(&layers, &Ask::Service { unit: bad_unit, action: ServiceAction::Stop }), @r"stop the service `a\u{1b}]0;x\u{7}`: that cannot be the name of a unit");
    insta::assert_snapshot!(super::denials::shown(&layers, &Ask::File { write: true, path: "../\u{1b}[1m" }), @r"write the file `../\u{1b}[1m`: `../\u{1b}[1m` is not a path in the plan's folder: it is too long, or has control characters or backslashes");
    insta::assert_snapshot!(super::denials::shown(&layers, &Ask::Exec { class: EffectClass::Read, argv: &argv(&["/usr/bin/../sh"]), env: &BTreeMap::new() }), @"run `/usr/bin/../sh` as `read`: `/usr/bin/../sh` is not a path on a target: `.` and `..` are not allowed");
}

#[test]
fn a_ban_is_wider_than_a_grant() {
    let all = GrantSet::from_lists(
        ["read:/", "write:/", "exec-opaque:**", "exec-read:**", "service:* *", "target:*", "as:*"],
        ["write:out", "read:out"],
        ["GET http://h/", "signal GET http://h/", "GET http://h/ at x", "POST http://h/"],
    )
    .expect("grants");
    let mut layers = layers(all);
    layers.policy = Some(policy(
        r#"deny = { ssh = ["write:/srv/keys", "exec-read:rm **", "exec-change:systemctl stop *", "service:mysql stop", "target:db", "as:root"],
           files = ["write:out/x"], http = ["GET http://h/admin"] }"#,
    ));
    let tree = |text: &str| layers.check(&Ask::WriteTree(&path(text))).is_ok();
    let one = |text: &str| layers.check(&Ask::Write(&path(text))).is_ok();
    assert!(!one("/srv/keys") && !one("/srv/keys/a") && one("/srv") && one("/srv/keys2"));
    assert!(!tree("/srv") && !tree("/") && !tree("/srv/keys/a") && tree("/srv/other"));
    assert!(layers.check(&Ask::ReadTree(&path("/srv"))).is_ok());
    let granted = layers.check(&Ask::Write(&path("/srv/link"))).expect("not banned");
    assert_eq!(granted.except, [path("/srv/keys")], "a link must not lead there either");

    let run = |words: &[&str], variables: &[&str]| {
        let env = variables.iter().map(|name| ((*name).to_owned(), "1".to_owned())).collect();
        layers
            .check(&Ask::Exec { class: EffectClass::Opaque, argv: &argv(words), env: &env })
            .map(|_| ())
            .map_err(|denial| denial.layer)
    };
    let banned =
        Err(Layer::Policy { environment: name("production"), file: "/etc/runner/policy.toml".to_owned() });
    assert_eq!(run(&["ls"], &[]), Ok(()));
    assert_eq!(run(&["rm", "-rf", "/"], &[]), banned);
    assert_eq!(run(&["rm"], &[]), banned);
    assert_eq!(run(&["/bin/rm", "x"], &[]), banned);
    assert_eq!(run(&["rm", "x"], &["A"]), banned);
    assert_eq!(run(&["/usr/bin/systemctl", "stop", "-f"], &[]), banned);
    assert_eq!(run(&["systemctl", "start", "x"], &[]), Ok(()));

    let service = |unit, action| layers.check(&Ask::Service { unit, action }).is_ok();
    assert!(!service("mysql.service", ServiceAction::Stop) && service("mysql", ServiceAction::Reload));
    assert!(
        layers.check(&Ask::Target(&name("db"))).is_err() && layers.check(&Ask::Target(&name("db2"))).is_ok()
    );
    assert!(layers.check(&Ask::As(&name("root"))).is_err() && layers.check(&Ask::As(&name("www"))).is_ok());
    let file = |write, path| layers.check(&Ask::File { write, path }).is_ok();
    assert!(!file(true, "out/X/y") && file(true, "out/y") && file(false, "out/x"));

    let get = |url: &str, at, class| {
        let url = parse_url(url).expect(url);
        layers.check(&Ask::Http { class, method: "GET", url: &url, at, via_target: false }).is_ok()
    };
    assert!(
        get("http://h/", None, EffectClass::Read) && get("http://h/administrator", None, EffectClass::Read)
    );
    for url in [
        "http://h/admin",
        "http://h/admin/x",
        "http://H./ADMIN?x",
        "http://h/%61dmin",
        "http://h/x/..%2fadmin",
        "http://h//admin",
        "http://h/a/../admin",
    ] {
        assert!(!get(url, None, EffectClass::Read), "{url}");
        assert!(!get(url, Some("x"), EffectClass::Read), "{url}");
        assert!(!get(url, None, EffectClass::Signal), "{url}");
    }
}

#[test]
fn an_allow_with_a_list_left_out_denies_that_list() {
    let all = GrantSet::from_lists(["read:/"], [], ["GET http://h/"]).expect("grants");
    let mut layers = layers(all);
    let url = name("http://h/");
    let http = Ask::Http { class: EffectClass::Read, method: "GET", url: &url, at: None, via_target: false };
    assert!(layers.check(&http).is_ok());
    layers.policy = Some(policy("allow = { ssh = [\"read:/\"] }"));
    assert!(layers.check(&http).is_err());
    assert!(layers.check(&Ask::Read(&path("/x"))).is_ok());
    layers.policy = Some(policy("allow = {}"));
    assert!(layers.check(&Ask::Read(&path("/x"))).is_err());
    layers.policy = Some(policy(""));
    assert!(layers.check(&http).is_ok());
    layers.allow = Some(GrantSet::default());
    assert!(layers.check(&Ask::Read(&path("/x"))).is_err());
}

#[test]
fn a_ceiling_is_a_layer_that_names_the_reviewer() {
    let path = path("/srv/shop/x");
    let mut layers = layers(ssh(&["write:/srv", "as:root"]));
    assert!(layers.check(&Ask::Write(&path)).is_ok());
    layers.ceilings.push(crate::policy::Ceiling {
        grants: ssh(&["write:/srv/blog"]),
        vetting: crate::Digest::of("a vetting"),
        reviewer: "security@example.org".to_owned(),
    });
    insta::assert_snapshot!(shown(&layers, &Ask::Write(&path)));
    // It bounds whom a step becomes, too: what was read was not read with that in mind.
    assert!(layers.check(&Ask::As(&name("root"))).is_err());
    layers.ceilings[0].grants = ssh(&["write:/srv/shop", "as:root"]);
    let granted = layers.check(&Ask::Write(&path)).expect("granted");
    assert_eq!(granted.prefixes, ["/srv/shop".parse().expect("a path")], "no link leads out of the ceiling");
    assert!(layers.check(&Ask::As(&name("root"))).is_ok());
}
