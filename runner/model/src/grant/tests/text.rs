use super::*;

#[test]
fn grants_read_back_what_they_print() {
    for text in [
        "read:/srv/shop",
        "write:/srv/a b/$${x}/${target.name}",
        "write:${release.root}/releases",
        "service:php-fpm reload-or-restart",
        "service:* *",
        "service:${target.vars.unit} is-active",
        "target:lb-1",
        "target:*",
        "target:${target.vars.lb}",
        "as:root",
        "as:*",
        "exec-read:df -P * --x=* **",
        "exec-signal:A=* B=1 C='a b' D= nginx -s '' 'a b' \"it's\" '*' $${x} ${target.name}",
        "exec-opaque:**",
    ] {
        let grant: SshGrant = name(text);
        assert_eq!(grant.to_string(), text);
        let json = serde_json::to_string(&grant).expect("JSON");
        assert_eq!(serde_json::from_str::<SshGrant>(&json).expect("JSON"), grant);
    }
    for text in [
        "GET http://h/",
        "HEAD https://h:8443/a/b?c=d",
        "POST http://h/",
        "signal POST http://[::1]:8080/x",
        "read POST http://h/",
        "GET http://${target.address}:8080/${discover.x} at ${target.host}:${target.port} from target",
    ] {
        assert_eq!(name::<HttpGrant>(text).to_string(), text);
    }
    for text in ["read:.", "write:out/a b", "read:src/${target.name}"] {
        assert_eq!(name::<FileGrant>(text).to_string(), text);
    }
}

#[test]
fn a_wrong_grant_says_what_is_meant() {
    insta::assert_snapshot!(wrong::<SshGrant>("/srv/shop"), @r"
    it has no `:` after its verb
    hint: for example `read:/srv/shop`, `service:nginx reload` or `exec-read:df -P /srv`
    ");
    insta::assert_snapshot!(wrong::<SshGrant>("wirte:/srv"), @r"
    there is no verb `wirte`
    hint: did you mean `write:`?
    ");
    insta::assert_snapshot!(wrong::<SshGrant>("sudo:root"), @r"
    there is no verb `sudo`
    hint: the verbs are `read`, `write`, `service`, `target`, `as`, `socket-CLASS` and `exec-CLASS`
    ");
    insta::assert_snapshot!(wrong::<SshGrant>("exec-raed:df"), @r"
    `raed` is no class of effect
    hint: did you mean `read`?
    ");
    insta::assert_snapshot!(wrong::<SshGrant>("exec:df"), @r"
    there is no verb `exec`
    hint: the verbs are `read`, `write`, `service`, `target`, `as`, `socket-CLASS` and `exec-CLASS`
    ");
    insta::assert_snapshot!(wrong::<SshGrant>("exec-read:"), @"no program is named");
    insta::assert_snapshot!(wrong::<SshGrant>("exec-read:ls *.txt"), @r"
    `*` stands for a whole argument, or for the value of an option: `--name=*`
    hint: for a star itself put the argument in `'…'`; `**` can only be the last word
    ");
    insta::assert_snapshot!(wrong::<SshGrant>("exec-read:ls ** -l"), @r"
    `*` stands for a whole argument, or for the value of an option: `--name=*`
    hint: for a star itself put the argument in `'…'`; `**` can only be the last word
    ");
    insta::assert_snapshot!(wrong::<SshGrant>("exec-read:grep 'a"), @"a `'` is not closed");
    insta::assert_snapshot!(wrong::<SshGrant>("service:nginx"), @r"
    a unit and an action are named after `service:`
    hint: for example `service:nginx reload`
    ");
    insta::assert_snapshot!(wrong::<SshGrant>("service:nginx relaod"), @r"
    `relaod` is not what a service can be asked
    hint: did you mean `reload`?
    ");
    insta::assert_snapshot!(wrong::<SshGrant>("service:a* restart"), @"`*` stands for a whole name, not for a part of one");
    insta::assert_snapshot!(wrong::<SshGrant>("target:"), @"one target is named after `target:`");
    insta::assert_snapshot!(wrong::<SshGrant>("read:${relase.root}"), @r"
    `${relase.root}` cannot be the beginning of it
    hint: what is known only while the plan runs fills one segment of a path, one argument or one part of a URL
    ");
    insta::assert_snapshot!(wrong::<SshGrant>("read:${package.folder}"), @r"
    `${package.folder}` cannot be the beginning of it
    hint: what is known only while the plan runs fills one segment of a path, one argument or one part of a URL
    ");
    insta::assert_snapshot!(wrong::<FileGrant>("../src"), @r"
    it has no `:` after its verb
    hint: for example `read:src` or `write:out`
    ");
    insta::assert_snapshot!(wrong::<FileGrant>("reed:src"), @r"
    files are read or written, not `reed`
    hint: did you mean `read:`?
    ");
    insta::assert_snapshot!(wrong::<HttpGrant>("get http://h/"), @r"
    `get` is no method in upper case
    hint: did you mean `GET`?
    ");
    insta::assert_snapshot!(wrong::<HttpGrant>("GET h"), @"`h` is not a URL for a request: it must begin with `http://` or `https://`");
    insta::assert_snapshot!(wrong::<HttpGrant>("POST GET http://h/"), @r"
    `POST` is no class of effect
    hint: the classes are `read`, `change`, `signal`, `leave`, `join` and `opaque`
    ");
    insta::assert_snapshot!(wrong::<HttpGrant>("GET http://a@h/"), @"`http://a@h/` is not a URL for a request: user and password are not allowed; send a header");
    insta::assert_snapshot!(wrong::<HttpGrant>("GET http://h/..%2f/x"), @"the path of `http://h/..%2f/x` could be read in two ways");
}

#[test]
fn a_set_is_three_lists_and_nothing_else() {
    let set: GrantSet =
        serde_json::from_value(json!({"ssh": ["read:/srv"], "http": ["GET http://h/"]})).expect("a set");
    assert_eq!(
        serde_json::to_value(&set).expect("JSON"),
        json!({"ssh": ["read:/srv"], "http": ["GET http://h/"]})
    );
    assert!(serde_json::from_value::<GrantSet>(json!({"shh": []})).is_err());
    assert!(GrantSet::default().is_empty());
    let toml: GrantSet = toml::from_str("ssh = [\"write:/srv\"]").expect("a set");
    assert_eq!(texts(&toml), ["write:/srv"]);
}

#[test]
fn nothing_is_granted_by_an_empty_list() {
    let layers = layers(GrantSet::default());
    let (path, env) = (path("/"), BTreeMap::new());
    let url = name("http://h/");
    for ask in [
        Ask::Read(&path),
        Ask::Write(&path),
        Ask::Service { unit: "x", action: ServiceAction::Stop },
        Ask::ServiceState { unit: "x" },
        Ask::Target(&name("x")),
        Ask::As(&name("root")),
        Ask::Socket { class: EffectClass::Read, path: &path },
        Ask::Exec { class: EffectClass::Read, argv: &argv(&["true"]), env: &env },
        Ask::File { write: false, path: "x" },
        Ask::Http { class: EffectClass::Read, method: "GET", url: &url, at: None, via_target: false },
    ] {
        assert!(layers.check(&ask).is_err(), "{ask}");
    }
}

#[test]
fn parameters_become_grants() {
    let capabilities: Capabilities = serde_json::from_value(json!({
        "ssh": ["write:${root}/current", "read:${paths}", "service:${unit} ${action}", "exec-read:ls ${database.name}"],
        "files": ["read:${source}"],
        "http": ["GET ${url}", "${effect} ${method} ${url}", "GET ${url} at ${connect-to}", "GET ${url} from ${from}"],
    }))
    .expect("well formed");
    let bind = |with: Value| capabilities.bind(&ValueTemplate::parse(&with).expect("well formed"));
    let grants = bind(json!({
        "root": "${release.root}", "paths": ["/a", "/b", "/a"], "unit": "php-fpm", "action": "reload", "source": "./src/",
        "database": {"name": "shop"}, "url": "http://${target.address}/health", "from": "target",
        "effect": "signal", "method": "POST", "connect-to": null,
    }))
    .expect("grants");
    assert_eq!(
        texts(&grants),
        [
            "write:${release.root}/current",
            "read:/a",
            "read:/b",
            "service:php-fpm reload",
            "exec-read:ls shop",
            "read:src",
            "GET http://${target.address}/health",
            "signal POST http://${target.address}/health",
            "GET http://${target.address}/health from target",
        ]
    );
    assert_eq!(bind(json!({})), Ok(GrantSet::default()));
    let error = bind(json!({"root": "srv/shop"})).expect_err("relative");
    assert_eq!((error.list, error.pointers.as_slice()), (List::Ssh, &["/root".to_owned()][..]));
    insta::assert_snapshot!(error, @"the module needs `write:${root}/current`, and with these parameters that is no grant: `srv/shop/current` is not a path on a target: it must be absolute");
    insta::assert_snapshot!(bind(json!({"root": {"a": 1}})).expect_err("a table"), @"the module needs `write:${root}/current`, and with these parameters that is no grant: `root` is a table, and a grant needs text");
    insta::assert_snapshot!(bind(json!({"url": "javascript:alert(1)"})).expect_err("no URL"), @"the module needs `GET ${url}`, and with these parameters that is no grant: `javascript:alert(1)` is not a URL for a request: it must begin with `http://` or `https://`");
    insta::assert_snapshot!(bind(json!({"root": "/srv/../etc"})).expect_err("leaves"), @"the module needs `write:${root}/current`, and with these parameters that is no grant: `/srv/../etc/current` is not a path on a target: `.` and `..` are not allowed");
    insta::assert_snapshot!(bind(json!({"root": "${distribute.folder}"})).expect_err("all of it"), @"the module needs `write:${root}/current`, and with these parameters that is no grant: `${distribute.folder}` cannot be the beginning of it");
    insta::assert_snapshot!(bind(json!({"paths": vec!["/a"; 1001]})).expect_err("too many"), @"the module needs `read:${paths}`, and with these parameters that is no grant: these arrays would make more than 1000 grants");
    insta::assert_snapshot!(bind(json!({"url": "http://h", "from": "runner"})).expect_err("from nowhere"), @"the module needs `GET ${url} from ${from}`, and with these parameters that is no grant: a request is sent `from target`, not from `runner`");
}

#[test]
fn a_list_of_tables_makes_a_grant_for_each_of_them() {
    let capabilities: Capabilities = serde_json::from_value(json!({
        "ssh": ["write:${files.path}", "exec-${run.effect}:${run.env...} ${run.argv...}", "read:${files.more.path}"],
        "files": ["read:${files.source}"],
    }))
    .expect("well formed");
    let bind = |with: Value| capabilities.bind(&ValueTemplate::parse(&with).expect("well formed"));
    let grants = bind(json!({
        "files": [
            { "path": "/etc/a", "source": "conf/a" },
            { "path": "${release.root}/b", "more": [{ "path": "/x" }, { "path": ["/y", "/z"] }, {}] },
            { "source": "conf/c" },
            {},
        ],
        "run": [
            { "effect": "read", "argv": ["df", "-P"], "env": { "A": "1" } },
            { "effect": "signal", "argv": ["nginx", "*"], "env": {} },
            { "effect": "signal", "argv": ["nothing"] },
        ],
    }))
    .expect("grants");
    assert_eq!(
        texts(&grants),
        [
            "write:/etc/a",
            "write:${release.root}/b",
            "exec-read:A=1 df -P",
            // What one element says never meets what another one does.
            "exec-signal:nginx '*'",
            "read:/x",
            "read:/y",
            "read:/z",
            "read:conf/a",
            "read:conf/c",
        ]
    );
    assert_eq!(bind(json!({ "files": [] })), Ok(GrantSet::default()));
    assert_eq!(
        bind(json!({ "files": { "path": "/etc/a" } })).map(|grants| texts(&grants)),
        Ok(vec!["write:/etc/a".to_owned()])
    );

    let error = bind(json!({ "files": [{ "path": "/etc/a" }, { "path": "etc/b" }] })).expect_err("relative");
    assert_eq!(error.pointers, ["/files/1/path"]);
    insta::assert_snapshot!(error.why, @"`etc/b` is not a path on a target: it must be absolute");
    for (with, pointer, name) in [
        (json!({ "files": "${discover.files}" }), "/files/path", "files"),
        (json!({ "files": [{ "path": "/a" }, "${discover.file}"] }), "/files/1/path", "files.1"),
    ] {
        let error = bind(with).expect_err("not known");
        assert_eq!(error.pointers, [pointer]);
        assert_eq!(error.why, format!("`{name}` is known only in the run, and the grant needs its `path`"));
    }
    let error = bind(json!({ "run": [{ "effect": "read", "argv": ["ls"], "env": { "A B": "" } }] }))
        .expect_err("no name");
    assert_eq!(error.pointers, ["/run/0/effect", "/run/0/env", "/run/0/argv"]);
    let many = json!({ "files": [{ "more": [{ "path": vec!["/a"; 501] }, { "path": vec!["/b"; 500] }] }] });
    insta::assert_snapshot!(bind(many).expect_err("too many").why, @"these arrays would make more than 1000 grants");
}

proptest! {
    #[test]
    fn printing_gives_back_the_same_grant(text in "(read|write|service|target|as|exec-read|exec-opaque):([ab/.*'\"$=\\\\ -]|\\$\\{target.name\\}|\\$\\{release.root\\}){0,10}") {
        if let Ok(grant) = text.parse::<SshGrant>() {
            let printed = grant.to_string();
            prop_assert_eq!(printed.parse::<SshGrant>().map(|grant| grant.to_string()), Ok(printed.clone()), "{}", text);
            prop_assert_eq!(printed.parse::<SshGrant>(), Ok(grant));
        }
    }

    #[test]
    fn printing_gives_back_the_same_request(text in "((read|signal) )?(GET|POST) https?://([ab.:1?/%-]|\\$\\{target.name\\}){1,8}( at ([a1.:]|\\$\\{target.name\\}){1,4})?( from target)?") {
        if let Ok(grant) = text.parse::<HttpGrant>() {
            prop_assert_eq!(grant.to_string().parse::<HttpGrant>(), Ok(grant));
        }
    }
}
