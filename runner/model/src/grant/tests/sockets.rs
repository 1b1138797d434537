use super::*;
use crate::policy::EnvironmentPolicy;

fn speaks(layers: &Layers, class: EffectClass, at: &str) -> bool {
    layers.check(&Ask::Socket { class, path: &path(at) }).is_ok()
}

#[test]
fn a_socket_is_granted_by_exact_path_and_class() {
    let layers =
        layers(ssh(&["socket-read:/run/haproxy/admin.sock", "socket-leave:/run/haproxy/admin.sock"]));
    assert!(speaks(&layers, EffectClass::Read, "/run/haproxy/admin.sock"));
    assert!(speaks(&layers, EffectClass::Leave, "/run/haproxy/admin.sock"));
    for class in [EffectClass::Join, EffectClass::Signal, EffectClass::Opaque, EffectClass::Change] {
        assert!(!speaks(&layers, class, "/run/haproxy/admin.sock"), "{class:?}");
    }
    for beside in
        ["/run/haproxy", "/run/haproxy/admin.sock/x", "/run/haproxy/admin.sock2", "/run/docker.sock", "/"]
    {
        assert!(!speaks(&layers, EffectClass::Read, beside), "{beside}");
    }
}

#[test]
fn a_path_grants_no_socket_and_a_socket_no_path() {
    let paths = layers(ssh(&["read:/run", "write:/run", "exec-read:socat *"]));
    assert!(!speaks(&paths, EffectClass::Read, "/run/haproxy/admin.sock"));
    let socket = layers(ssh(&["socket-read:/run/haproxy/admin.sock"]));
    assert!(socket.check(&Ask::Read(&path("/run/haproxy/admin.sock"))).is_err());
    assert!(socket.check(&Ask::Write(&path("/run/haproxy/admin.sock"))).is_err());
}

#[test]
fn it_may_physically_be_nowhere_else() {
    let layers = layers(ssh(&["socket-read:/run/a.sock", "socket-read:/run/b.sock", "write:/srv"]));
    let granted =
        layers.check(&Ask::Socket { class: EffectClass::Read, path: &path("/run/a.sock") }).expect("granted");
    assert_eq!(granted.prefixes, [path("/run/a.sock")]);
    assert_eq!(granted.written, [path("/srv")]);
}

#[test]
fn the_sockets_of_the_runner_are_its_own() {
    let mut layers = layers(ssh(&["socket-read:/srv/.runner/s", "socket-read:/srv/shop/own/s"]));
    assert!(!speaks(&layers, EffectClass::Read, "/srv/.runner/s"));
    assert!(speaks(&layers, EffectClass::Read, "/srv/shop/own/s"));
    layers.reserved = vec![path("/srv/shop/own")];
    assert!(!speaks(&layers, EffectClass::Read, "/srv/shop/own/s"));
}

#[test]
fn a_ban_of_a_socket_is_one_for_every_class_and_below() {
    let mut layers = layers(ssh(&["socket-read:/run/docker.sock", "socket-read:/run/haproxy/admin.sock"]));
    layers.policy = Some(EnvironmentPolicy {
        deny: ssh(&["socket-opaque:/run/haproxy"]),
        ..EnvironmentPolicy::open("staging".parse().expect("a name"), "policy.toml")
    });
    assert!(!speaks(&layers, EffectClass::Read, "/run/haproxy/admin.sock"));
    assert!(speaks(&layers, EffectClass::Read, "/run/docker.sock"));
    let granted = layers.check(&Ask::Socket { class: EffectClass::Read, path: &path("/run/docker.sock") });
    assert_eq!(granted.expect("granted").except, [path("/run/haproxy")]);
}

#[test]
fn what_is_no_grant_of_a_socket_says_so() {
    insta::assert_snapshot!(wrong::<SshGrant>("socket-change:/run/x"), @r"
    what is said to a socket is no `change`: nothing undoes it
    hint: the classes are `read`, `signal`, `leave`, `join` and `opaque`
    ");
    insta::assert_snapshot!(wrong::<SshGrant>("socket-raed:/run/x"), @r"
    `raed` is no class of effect
    hint: did you mean `read`?
    ");
    for text in
        ["socket:/run/x", "socket-:/run/x", "socket-read:run/x", "socket-read:", "socket-read:/run/../x"]
    {
        assert!(text.parse::<SshGrant>().is_err(), "{text}");
    }
    let star: SshGrant = "socket-read:/run/*".parse().expect("a name like any other");
    assert_eq!(star.socket(), Some(&path("/run/*")), "a star in a path is no pattern");
}

#[test]
fn parameters_and_references_fill_it_in() {
    let capabilities: Capabilities =
        serde_json::from_value(json!({ "ssh": ["socket-read:${socket}", "socket-${class}:/run/x"] }))
            .expect("well formed");
    let bind = |with: Value| capabilities.bind(&ValueTemplate::parse(&with).expect("well formed"));
    let grants =
        bind(json!({ "socket": "/run/${target.name}/admin.sock", "class": "join" })).expect("grants");
    assert_eq!(texts(&grants), ["socket-read:/run/${target.name}/admin.sock", "socket-join:/run/x"]);
    assert!(!speaks(&layers(grants.clone()), EffectClass::Read, "/run/lb-1/admin.sock"), "not known yet");
    let resolved = grants.resolve(&known(json!({ "target.name": "lb-1" }))).expect("fits");
    assert!(speaks(&layers(resolved), EffectClass::Read, "/run/lb-1/admin.sock"));
    assert!(grants.resolve(&known(json!({ "target.name": "../x" }))).is_err());
    assert!(bind(json!({ "socket": "admin.sock" })).is_err());
    assert!(bind(json!({ "socket": "/run/s", "class": "change" })).is_err());
}

#[test]
fn a_denial_shows_the_line_that_mends_it() {
    let layers = layers(ssh(&["socket-read:/run/x"]));
    let denial =
        layers.check(&Ask::Socket { class: EffectClass::Join, path: &path("/run/x") }).expect_err("denied");
    assert!(denial.to_string().starts_with("speak to the socket `/run/x` as `join`"), "{denial}");
    assert!(format!("{denial}{}", denial.mend).contains("read"), "{denial}");
}

#[test]
fn labels_tell_what_a_socket_amounts_to() {
    let grants =
        ssh(&["socket-opaque:/run/x", "socket-read:/run/haproxy/admin.sock", "socket-read:/run/docker.sock"]);
    let labels: Vec<String> =
        grants.labels("deploy").into_iter().map(|(grant, label)| format!("{grant}: {label}")).collect();
    insta::assert_snapshot!(labels.join("\n"), @r"
    socket-opaque:/run/x: opaque: what is said there can be neither previewed nor undone
    socket-read:/run/docker.sock: equals a shell as root
    ");
    assert!(grants.equals_a_shell() && !ssh(&["socket-opaque:/run/x"]).equals_a_shell());
}
