use super::*;

#[test]
fn a_prefix_is_a_folder_and_not_the_beginning_of_a_name() {
    let layers = layers(ssh(&["write:/srv/shop", "read:/etc/nginx/"]));
    for text in ["/srv/shop", "/srv/shop/a", "/srv/shop/a/b c", "//srv//shop//x"] {
        assert!(layers.check(&Ask::Write(&path(text))).is_ok(), "{text}");
    }
    for text in [
        "/srv/shop-old",
        "/srv/shopping/x",
        "/srv",
        "/",
        "/srv/Shop",
        "/srv/sho\u{440}/x",
        "/srv/shop\u{2044}x",
    ] {
        assert!(layers.check(&Ask::Write(&path(text))).is_err(), "{text}");
    }
    assert!(layers.check(&Ask::Read(&path("/srv/shop/x"))).is_err(), "to write is not to read");
    assert!(layers.check(&Ask::Write(&path("/etc/nginx/x"))).is_err(), "to read is not to write");
    assert!(layers.check(&Ask::Read(&path("/etc/nginx"))).is_ok());
}

#[test]
fn a_path_that_is_not_plain_is_no_grant_and_no_ask() {
    for text in [
        "read:",
        "read:srv",
        "read:/srv/../etc",
        "read:/srv/.",
        "read:/a\nb",
        "read: /srv",
        "read:~/x",
        "read:${target.name}",
    ] {
        assert!(text.parse::<SshGrant>().is_err(), "{text:?}");
    }
    for text in ["srv", "/srv/shop/../../etc/passwd", "/srv/shop/./x", "/srv/shop\0", ""] {
        assert!(text.parse::<RemotePath>().is_err(), "{text:?}");
    }
    assert_eq!("write://srv///shop/".parse::<SshGrant>().expect("a path").to_string(), "write:/srv/shop");
}

#[test]
fn what_belongs_to_the_runner_is_never_granted() {
    let mut layers = layers(ssh(&["read:/", "write:/"]));
    layers.reserved = vec![path("/srv/shop/.runner"), path("/var/account")];
    for text in ["/srv/shop/.runner", "/srv/shop/.runner/runs/x", "/home/me/.runner/shop", "/var/account/x"] {
        let path = path(text);
        for ask in [Ask::Read(&path), Ask::ReadTree(&path), Ask::Write(&path), Ask::WriteTree(&path)] {
            assert_eq!(layers.check(&ask).expect_err(text).layer, Layer::Runner, "{text}");
        }
    }
    // The folders above may be looked at and made, and not moved, removed, replaced or taken away as a whole.
    for text in ["/srv/shop", "/srv", "/", "/var"] {
        let path = path(text);
        assert!(
            layers.check(&Ask::Read(&path)).is_ok() && layers.check(&Ask::Write(&path)).is_ok(),
            "{text}"
        );
        for ask in [Ask::ReadTree(&path), Ask::WriteTree(&path)] {
            assert_eq!(layers.check(&ask).expect_err(text).layer, Layer::Runner, "{text}");
        }
    }
    assert!(layers.check(&Ask::WriteTree(&path("/srv/shop/releases"))).is_ok());
    // What the runner is making has such a name until it is finished.
    let unfinished = path("/srv/shop/.runner-0123/tree");
    assert_eq!(layers.check(&Ask::Write(&unfinished)).expect_err("reserved").layer, Layer::Runner);
    assert!(layers.check(&Ask::Write(&path("/srv/shop/.runners"))).is_ok());
}

#[test]
fn the_prefixes_are_what_all_layers_have_in_common() {
    let mut layers = Layers::new(
        ssh(&["write:/srv/shop", "write:/mnt/uploads", "read:/"]),
        ssh(&["write:/srv", "write:/srv/shop/a", "write:/mnt/uploads/x"]),
    );
    layers.allow = Some(ssh(&["write:/srv/shop/releases", "write:/srv/shop/a", "write:/mnt"]));
    let granted = layers.check(&Ask::Write(&path("/srv/shop/releases/1"))).expect("granted by all");
    assert_eq!(granted.prefixes, [path("/mnt/uploads/x"), path("/srv/shop/a"), path("/srv/shop/releases")]);
    assert!(granted.except.is_empty());
}

#[test]
fn a_change_asks_for_all_that_it_touches() {
    use crate::Change;
    let attributes = crate::Attributes::default();
    let shown = |change: &Change| Ask::of_change(change).iter().map(ToString::to_string).collect::<Vec<_>>();
    let digest = crate::Digest::of("");
    assert_eq!(
        shown(&Change::Rename { path: path("/a"), to: path("/b") }),
        ["write all of `/a`", "write all of `/b`"]
    );
    assert_eq!(
        shown(&Change::Unpack {
            path: path("/a"),
            tree: digest,
            links: vec![],
            reuse: Some(path("/b")),
            attributes: attributes.clone()
        }),
        ["write all of `/a`", "read all of `/b`"]
    );
    assert_eq!(
        shown(&Change::Archive { path: path("/a"), into: path("/b") }),
        ["write `/b`", "read all of `/a`"]
    );
    assert_eq!(shown(&Change::RemoveTree { path: path("/a") }), ["write all of `/a`"]);
    assert_eq!(shown(&Change::Mkdir { path: path("/a"), attributes }), ["write `/a`"]);
}

#[test]
fn what_the_run_fills_in_is_one_segment() {
    let grant: SshGrant = name("write:/srv/${target.name}/x-${package.version}");
    assert!(grant.is_symbolic());
    let layers = layers(ssh(&["write:/srv/${target.name}"]));
    assert!(layers.check(&Ask::Write(&path("/srv/${target.name}"))).is_err(), "what is open covers nothing");

    let resolve = |target: Value, version: Value| {
        grant
            .resolve(&known(json!({"target.name": target, "package.version": version})))
            .map(|grant| grant.to_string())
            .map_err(|error| error.why)
    };
    assert_eq!(resolve(json!("web-1"), json!(4.5)), Ok("write:/srv/web-1/x-4.5".to_owned()));
    for bad in ["a/b", "..", "", "a b", "a\nb", "/", "a\\b", "x/../../etc"] {
        assert!(resolve(json!(bad), json!("1")).is_err(), "{bad:?}");
        assert!(resolve(json!("web-1"), json!(bad)).is_err(), "{bad:?}");
    }
    assert!(resolve(json!("."), json!("1")).is_err());
    assert!(resolve(json!(["web-1"]), json!("1")).is_err());
    insta::assert_snapshot!(resolve(json!("../etc"), json!("1")).expect_err("leaves"), @"`${target.name}` is `../etc`, and must be one segment of a path, without `/`, `..`, spaces and control characters");
    insta::assert_snapshot!(resolve(json!({}), json!("1")).expect_err("a table"), @"`${target.name}` is a table, and a grant needs text");
}

#[test]
fn what_the_plan_says_itself_may_be_a_whole_path() {
    let grant: SshGrant = name("write:${release.root}/releases/${release.id}");
    let half = grant.resolve(&known(json!({"release.root": "/srv/shop"}))).expect("a path");
    assert_eq!(half.to_string(), "write:/srv/shop/releases/${release.id}");
    assert!(half.resolve(&known(json!({"release.id": "../../x"}))).is_err());
    assert_eq!(
        half.resolve(&known(json!({"release.id": "1f"}))).expect("one segment").to_string(),
        "write:/srv/shop/releases/1f"
    );
    assert!(grant.resolve(&known(json!({"release.root": "srv"}))).is_err());
    assert!(grant.resolve(&known(json!({"release.root": "/srv/../etc"}))).is_err());
    let unknown = |_: &Reference| Lookup::Unknown { suggestion: Some("release.root".to_owned()) };
    insta::assert_snapshot!(grant.resolve(&unknown).expect_err("unknown"), @"`write:${release.root}/releases/${release.id}` is not a grant: `${release.root}` is not known; did you mean `${release.root}`?");
}

#[test]
fn files_stay_in_the_folder_of_the_plan() {
    let layers = layers(files(&["read:src", "write:./out//x/", "read:."]));
    let ask = |write, path| layers.check(&Ask::File { write, path });
    assert!(ask(false, "src/a").is_ok() && ask(false, "./src//a").is_ok() && ask(false, "anything").is_ok());
    assert!(ask(true, "out/x").is_ok() && ask(true, "out/x/y").is_ok());
    for text in [
        "out",
        "out/xy",
        ".",
        "src",
        "out/x/../../src",
        "/out/x",
        "",
        "out\\x",
        "out/x\0",
        "..",
        "out/x/../..",
    ] {
        assert!(ask(true, text).is_err(), "{text:?}");
    }
    for text in ["..", "../x", "/etc/passwd", "a/../../x", ".runner/runs/1", "a/.runner", ".RUNNER/x", "a\nb"]
    {
        assert!(ask(false, text).is_err(), "{text:?}");
    }
    for text in [
        "read:..",
        "read:/x",
        "read:a/../b",
        "read:",
        "raed:x",
        "read:a\\b",
        "src",
        "read:${package.folder}/../x",
    ] {
        assert!(text.parse::<FileGrant>().is_err(), "{text:?}");
    }
}

#[test]
fn the_plan_and_its_lock_are_not_written_by_steps() {
    let mut layers = layers(files(&["write:.", "read:."]));
    layers.reserved_files = vec![name("plan.toml"), name("plans/plan.lock")];
    for text in
        ["plan.toml", "PLAN.TOML", "plans/plan.lock", "plans", ".", ".runner", "./plan.toml", "plan.toml/x"]
    {
        let denial = layers.check(&Ask::File { write: true, path: text }).expect_err(text);
        assert_eq!(denial.layer, Layer::Runner, "{text}");
    }
    assert!(layers.check(&Ask::File { write: false, path: "plan.toml" }).is_ok());
    assert!(layers.check(&Ask::File { write: true, path: "plans/other" }).is_ok());
}

proptest! {
    #[test]
    fn what_a_prefix_covers_is_below_it(prefix in "(/[ab.$\\{\\}-]{1,3}){1,3}", below in "[/ab.\\- ]{0,8}") {
        let Ok(grant) = format!("write:{}", crate::template::escape(&prefix, false)).parse::<SshGrant>() else { return Ok(()) };
        let Ok(asked) = format!("{prefix}{below}").parse::<RemotePath>() else { return Ok(()) };
        let prefix: RemotePath = prefix.parse().expect("the grant has it");
        prop_assert_eq!(grant.writes(), Some(&prefix));
        let layers = layers(GrantSet { ssh: vec![grant], ..GrantSet::default() });
        let segments: Vec<_> = asked.segments().take(prefix.segments().count()).collect();
        let is_below = segments == prefix.segments().collect::<Vec<_>>();
        match layers.check(&Ask::Write(&asked)) {
            Ok(granted) => {
                prop_assert!(is_below);
                prop_assert_eq!(granted.prefixes, [prefix]);
            }
            Err(_) => prop_assert!(!is_below),
        }
    }

    #[test]
    fn no_layer_gives_what_another_one_does_not(
        manifest in paths(), allow in proptest::option::of(paths()), lock in paths(), policy in proptest::option::of((paths(), paths())),
        asked in "(/[ab]){1,4}", write: bool,
    ) {
        let set = |paths: &[String]| ssh(&paths.iter().map(|path| format!("{}:{path}", if write { "write" } else { "read" })).collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>());
        let asked = path(&asked);
        let mut layers = Layers::new(set(&manifest), set(&lock));
        layers.allow = allow.as_deref().map(set);
        layers.policy = policy.as_ref().map(|(allow, deny)| crate::policy::EnvironmentPolicy {
            allow: Some(set(allow)), deny: set(deny),
            ..crate::policy::EnvironmentPolicy::open(name("test"), "policy.toml")
        });
        let covers = |paths: &[String], asked: &RemotePath| paths.iter().any(|prefix| asked.is_within(&path(prefix)));
        let ask = if write { Ask::Write(&asked) } else { Ask::Read(&asked) };
        let expected = covers(&manifest, &asked) && covers(&lock, &asked)
            && allow.as_deref().is_none_or(|allow| covers(allow, &asked))
            && policy.as_ref().is_none_or(|(allow, deny)| covers(allow, &asked) && !covers(deny, &asked));
        let granted = layers.check(&ask);
        prop_assert_eq!(granted.is_ok(), expected);
        if let Ok(granted) = granted {
            prop_assert!(granted.prefixes.iter().any(|prefix| asked.is_within(prefix)));
            for prefix in &granted.prefixes {
                prop_assert!(covers(&manifest, prefix) && covers(&lock, prefix));
                prop_assert!(allow.as_deref().is_none_or(|allow| covers(allow, prefix)));
                prop_assert!(policy.as_ref().is_none_or(|(allow, _)| covers(allow, prefix)));
            }
        }
    }
}

fn paths() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("(/[ab]){1,3}", 0..4)
}
