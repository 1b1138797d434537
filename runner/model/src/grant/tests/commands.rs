use super::*;

fn run(grants: &[&str], class: EffectClass, words: &[&str]) -> bool {
    run_with(grants, class, &[], words)
}

fn run_with(grants: &[&str], class: EffectClass, variables: &[(&str, &str)], words: &[&str]) -> bool {
    let env: BTreeMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    layers(ssh(grants)).check(&Ask::Exec { class, argv: &argv(words), env: &env }).is_ok()
}

#[test]
fn the_class_belongs_to_the_grant() {
    let grants = ["exec-signal:systemctl reload nginx"];
    let words = ["systemctl", "reload", "nginx"];
    assert!(run(&grants, EffectClass::Signal, &words));
    for class in
        [EffectClass::Read, EffectClass::Change, EffectClass::Leave, EffectClass::Join, EffectClass::Opaque]
    {
        assert!(!run(&grants, class, &words), "{class:?}");
    }
    assert!(!run(&["exec-read:systemctl reload nginx", "read:/", "write:/"], EffectClass::Opaque, &words));
}

#[test]
fn a_star_is_one_argument_and_never_an_option() {
    let grants = ["exec-read:df -P *"];
    assert!(run(&grants, EffectClass::Read, &["df", "-P", "/srv"]));
    for last in ["-h", "--output=x", "--", "-", "", "a\nb", "a\0b", "a\tb", "\u{1b}[2J"] {
        assert!(!run(&grants, EffectClass::Read, &["df", "-P", last]), "{last:?}");
    }
    // Another minus is no option; a space makes no second argument.
    assert!(run(&grants, EffectClass::Read, &["df", "-P", "\u{2212}rf"]));
    assert!(run(&grants, EffectClass::Read, &["df", "-P", "a b"]));
    for words in
        [&["df", "-P"][..], &["df", "-P", "a", "b"], &["df", "/srv", "-P"], &["df"], &["df", "-p", "a"], &[]]
    {
        assert!(!run(&grants, EffectClass::Read, words), "{words:?}");
    }
}

#[test]
fn an_option_is_spelled_out_to_its_equals_sign() {
    let grants = ["exec-read:journalctl --unit=* -n 5"];
    assert!(run(&grants, EffectClass::Read, &["journalctl", "--unit=nginx", "-n", "5"]));
    for option in ["--unit", "--unit nginx", "--file=x", "--unix=x", "nginx", "--unit=a\nb"] {
        assert!(!run(&grants, EffectClass::Read, &["journalctl", option, "-n", "5"]), "{option:?}");
    }
    assert!(!run(&["exec-read:ssh *"], EffectClass::Read, &["ssh", "-oProxyCommand=sh"]));
    assert!(!run(&["exec-read:rsync * *"], EffectClass::Read, &["rsync", "-e", "sh"]));
    assert!(!run(
        &["exec-read:tar -cf * *"],
        EffectClass::Read,
        &["tar", "-cf", "x", "--checkpoint-action=exec=sh"]
    ));
}

#[test]
fn two_stars_are_whatever_follows() {
    let grants = ["exec-opaque:app **"];
    for words in [&["app"][..], &["app", "-x", "", "a\nb"]] {
        assert!(run(&grants, EffectClass::Opaque, words), "{words:?}");
    }
    assert!(!run(&grants, EffectClass::Opaque, &["app2"]));
    assert!(run(&["exec-opaque:**"], EffectClass::Opaque, &["/bin/sh", "-c", "x"]));
    assert!(!run(&["exec-opaque:**"], EffectClass::Opaque, &["app", "a\0b"]));
    assert!(
        !run(&["exec-opaque:**"], EffectClass::Opaque, &["A=b", "sh"]),
        "env would take it for a variable"
    );
    assert!(!run(&["exec-opaque:**"], EffectClass::Opaque, &["-x"]));
}

#[test]
fn a_program_is_the_one_that_is_written() {
    let bare = ["exec-read:df"];
    assert!(run(&bare, EffectClass::Read, &["df"]));
    for program in ["/bin/df", "./df", "bin/df", "DF", "df ", " df", "d\u{0435}f", "/tmp/df", ""] {
        assert!(!run(&bare, EffectClass::Read, &[program]), "{program:?}");
    }
    let full = ["exec-read:/usr/bin/df"];
    assert!(run(&full, EffectClass::Read, &["/usr/bin/df"]));
    for program in ["df", "/bin/df", "/usr/bin/../bin/df", "//usr/bin/df", "/usr/bin/./df", "/usr/bin/df/"] {
        assert!(!run(&full, EffectClass::Read, &[program]), "{program:?}");
    }
    for text in [
        "exec-read:./df",
        "exec-read:bin/df",
        "exec-read:/usr/../df",
        "exec-read:-x",
        "exec-read:''",
        "exec-read://df",
    ] {
        assert!(text.parse::<SshGrant>().is_err(), "{text}");
    }
}

#[test]
fn variables_are_granted_by_name() {
    let grants = ["exec-change:APP_ENV=* DEBUG=0 composer install"];
    let words = ["composer", "install"];
    let run = |variables: &[(&str, &str)]| run_with(&grants, EffectClass::Change, variables, &words);
    assert!(run(&[("APP_ENV", "prod"), ("DEBUG", "0")]));
    assert!(run(&[("APP_ENV", ""), ("DEBUG", "0")]));
    for variables in [
        &[][..],
        &[("APP_ENV", "prod")],
        &[("APP_ENV", "prod"), ("DEBUG", "1")],
        &[("APP_ENV", "prod"), ("DEBUG", "0"), ("LD_PRELOAD", "/tmp/x.so")],
        &[("LD_PRELOAD", "/tmp/x.so"), ("DEBUG", "0")],
        &[("APP_ENV", "a\nb"), ("DEBUG", "0")],
    ] {
        assert!(!run(variables), "{variables:?}");
    }
    assert!(!run_with(&["exec-opaque:**"], EffectClass::Opaque, &[("LD_PRELOAD", "x")], &words));
    assert_eq!(wrong::<SshGrant>("exec-read:A=1 A=2 x"), "`A` is set twice");
}

#[test]
fn a_command_asks_for_its_files_too() {
    let command = Command {
        argv: argv(&["mysqldump", "shop"]),
        effect: EffectClass::Read,
        env: BTreeMap::new(),
        secret_env: BTreeMap::new(),
        stdin: None,
        stdin_file: None,
        decompress: false,
        stdout_to: Some(path("/srv/dump.sql")),
        compress: false,
        directory: Some(path("/etc")),
        timeout: 1000,
        accept: Vec::new(),
        skip_if: None,
        undo: None,
        keep: false,
        repeatable: false,
    };
    let asks: Vec<String> = Ask::of_command(&command).iter().map(ToString::to_string).collect();
    assert_eq!(asks, ["run `mysqldump shop` as `read`", "write `/srv/dump.sql`", "read `/etc`"]);
}

#[test]
fn no_value_becomes_a_star_an_option_or_two_arguments() {
    let bind = |capability: &str, with: Value| {
        let capability = Capability::parse(List::Ssh, capability).expect(capability);
        let with = ValueTemplate::parse(&with).expect("well formed");
        Capabilities::new([capability]).bind(&with).map(|grants| texts(&grants)).map_err(|error| error.why)
    };
    assert_eq!(bind("exec-read:ls ${x}", json!({"x": "*"})), Ok(vec!["exec-read:ls '*'".to_owned()]));
    assert_eq!(bind("exec-read:ls ${x}", json!({"x": "**"})), Ok(vec!["exec-read:ls '**'".to_owned()]));
    assert_eq!(bind("exec-read:ls ${x}", json!({"x": "a b"})), Ok(vec!["exec-read:ls 'a b'".to_owned()]));
    assert_eq!(bind("exec-read:ls ${x}", json!({"x": ""})), Ok(vec!["exec-read:ls ''".to_owned()]));
    assert_eq!(
        bind("exec-read:ls ${x}", json!({"x": "it's \"x\""})),
        Ok(vec![r#"exec-read:ls "it's \"x\"""#.to_owned()])
    );
    assert_eq!(
        bind("exec-read:ls '${x}' --a=${x}", json!({"x": "' b"})),
        Ok(vec![r#"exec-read:ls "' b" "--a=' b""#.to_owned()])
    );
    assert_eq!(
        bind("exec-read:${argv...}", json!({"argv": ["ls", "*", "${target.name}", "$${x}", 5, true]})),
        Ok(vec!["exec-read:ls '*' ${target.name} $${x} 5 true".to_owned()])
    );
    assert!(bind("exec-read:${argv...}", json!({"argv": ["LD_PRELOAD=x", "ls"]})).is_err());
    // No arguments at all are as good as left out: the default of a command that may be given.
    assert_eq!(bind("exec-read:${argv...}", json!({"argv": []})), Ok(vec![]));
    assert_eq!(bind("exec-read:${env...} ${argv...}", json!({"env": {"A": "x"}, "argv": []})), Ok(vec![]));
    // A table behind the program is arguments, in the order of its names.
    let table = json!({"env": {"B": "${target.name}", "A": "-x y"}, "argv": ["ls"]});
    let bound = bind("exec-read:env ${env...} ${argv...}", table).expect("bound");
    assert_eq!(bound[0], "exec-read:env 'A=-x y' B=${target.name} ls");
    assert!(bind("exec-read:env ${env...}", json!({"env": {"A B": "x"}})).is_err());
    assert!(bind("exec-read:env ${env...}", json!({"env": {"A": ["x"]}})).is_err());
    assert!(bind("exec-read:${argv...}", json!({"argv": [["ls"]]})).is_err());
    assert!(bind("exec-read:${argv...}", json!({"argv": "ls -l"})).is_err());
    assert!(bind("exec-read:${argv...}", json!({"argv": ["${discover.program}"]})).is_err());
    assert!(bind("exec-${effect}:ls", json!({"effect": "read:x "})).is_err());
    assert!(bind("exec-${effect}:ls", json!({"effect": "${discover.class}"})).is_err());
    assert!(bind("exec-read:${env...} ls", json!({"env": {"A B": "x"}})).is_err());
    assert!(bind("exec-read:ls ${env}", json!({"env": {"A": "x"}})).is_err());
    assert_eq!(
        bind("exec-read:${env...} ls", json!({"env": {"A": "*"}})),
        Ok(vec!["exec-read:A='*' ls".to_owned()])
    );
}

#[test]
fn what_the_run_fills_in_is_one_argument() {
    let resolve = |grant: &str, value: Value| {
        name::<SshGrant>(grant)
            .resolve(&known(json!({"discover.x": value})))
            .map(|grant| grant.to_string())
            .map_err(|error| error.why)
    };
    assert_eq!(resolve("exec-read:ls ${discover.x} -l", json!("a*")), Ok("exec-read:ls 'a*' -l".to_owned()));
    assert_eq!(resolve("exec-read:ls --x=${discover.x}", json!("-a")), Ok("exec-read:ls --x=-a".to_owned()));
    for bad in ["-l", "", "a b", "/etc", "..", "a\nb", "a\0"] {
        assert!(resolve("exec-read:ls ${discover.x}", json!(bad)).is_err(), "{bad:?}");
    }
    assert!(resolve("exec-read:ls ${discover.x}${discover.x}", json!("-")).is_err());
    assert!("exec-read:${discover.x}".parse::<SshGrant>().is_err());
    assert!("exec-read:a${discover.x} b".parse::<SshGrant>().is_err());
    insta::assert_snapshot!(resolve("exec-read:ls ${discover.x}", json!("-l\u{1b}")).expect_err("an option"), @r"`${discover.x}` is `-l\u{1b}`, and must be one argument, without `/`, `..`, spaces, control characters and a `-` in front");
}

#[test]
fn what_equals_a_shell_is_labelled() {
    let labels = |grants: &[&str]| {
        ssh(grants)
            .labels("deploy")
            .into_iter()
            .map(|(grant, label)| format!("{grant}: {label}"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    insta::assert_snapshot!(labels(&[
        "exec-opaque:**",
        "exec-read:df **",
        "exec-read:/usr/bin/env x",
        "exec-read:python3.11 -V",
        "exec-read:LD_PRELOAD=* df",
        "exec-read:APP_ENV=* df",
        "exec-read:df *",
        "write:/",
        "write:/etc/cron.d",
        "write:/home/deploy",
        "write:/home/deploy/app",
        "write:/home/deploy/.ssh/x",
        "write:/srv/shop",
        "read:/",
        "read:/srv",
    ]), @r"
    exec-opaque:**: equals a shell as deploy
    exec-read:df **: equals a shell as deploy
    exec-read:/usr/bin/env x: equals a shell as deploy
    exec-read:python3.11 -V: equals a shell as deploy
    exec-read:LD_PRELOAD=* df: equals a shell as deploy
    write:/: equals a shell as deploy, where deploy may write there
    write:/etc/cron.d: equals a shell as deploy, where deploy may write there
    write:/home/deploy: equals a shell as deploy, where deploy may write there
    write:/home/deploy/.ssh/x: equals a shell as deploy, where deploy may write there
    read:/: reads all that deploy may read
    ");
    assert!(ssh(&["read:/", "exec-read:sh"]).equals_a_shell());
    assert!(!ssh(&["read:/", "exec-read:df *"]).equals_a_shell());
}

#[test]
fn services_are_asked_by_exact_name_and_action() {
    let layers =
        layers(ssh(&["service:php-fpm restart", "service:app@1.service *", "service:nginx is-active"]));
    let ask = |unit: &str, action| layers.check(&Ask::Service { unit, action }).is_ok();
    assert!(ask("php-fpm", ServiceAction::Restart) && ask("php-fpm.service", ServiceAction::Restart));
    assert!(!ask("php-fpm", ServiceAction::Stop) && !ask("php-fpm", ServiceAction::ReloadOrRestart));
    assert!(ask("app@1", ServiceAction::Stop));
    assert!(!ask("nginx", ServiceAction::Start));
    for unit in [
        "php*",
        "*",
        "php-fpm.socket",
        "php-fpm ",
        "--all",
        "-H",
        "",
        "/etc",
        "a b",
        "php-fp[m]",
        "php-fpm\n",
        "..",
        "рhp-fpm",
    ] {
        assert!(!ask(unit, ServiceAction::Restart), "{unit:?}");
    }
    let looks = |unit: &str| layers.check(&Ask::ServiceState { unit }).is_ok();
    assert!(looks("nginx") && looks("php-fpm") && looks("app@1") && !looks("mysql") && !looks("*"));
    assert!(layers.check(&Ask::Service { unit: "*", action: ServiceAction::Stop }).is_err());
    let any = super::layers(ssh(&["service:* reload"]));
    assert!(any.check(&Ask::Service { unit: "x", action: ServiceAction::Reload }).is_ok());
    assert!(any.check(&Ask::Service { unit: "*", action: ServiceAction::Reload }).is_err());
}

#[test]
fn targets_and_users_are_named() {
    let mut layers = layers(ssh(&["target:lb", "as:root"]));
    assert!(layers.check(&Ask::Target(&name("lb"))).is_ok());
    assert!(layers.check(&Ask::Target(&name("lb2"))).is_err());
    assert!(layers.check(&Ask::Target(&name("localhost"))).is_err());
    assert!(layers.check(&Ask::As(&name("root"))).is_ok());
    assert!(layers.check(&Ask::As(&name("deploy"))).is_err());
    // The user is the plan's choice: neither the module nor `allow` has a say, the lock and the policy do.
    layers.manifest = GrantSet::default();
    layers.allow = Some(GrantSet::default());
    assert!(layers.check(&Ask::As(&name("root"))).is_ok());
    layers.lock = ssh(&["target:lb"]);
    assert_eq!(layers.check(&Ask::As(&name("root"))).expect_err("not locked").layer, Layer::Lock);
}

proptest! {
    #[test]
    fn a_star_never_lets_an_option_through(words in proptest::collection::vec("[-a* \n=]{0,4}", 0..4)) {
        let asked: Vec<&str> = std::iter::once("app").chain(words.iter().map(String::as_str)).collect();
        if run(&["exec-read:app * *"], EffectClass::Read, &asked) {
            prop_assert_eq!(words.len(), 2);
            prop_assert!(words.iter().all(|word| !word.starts_with('-') && !word.is_empty() && !word.contains('\n')));
        }
    }

    #[test]
    fn what_is_bound_covers_exactly_what_was_said(words in proptest::collection::vec("\\PC{0,6}|[-*'\" \\\\$\\{\\}a=\n]{0,6}", 1..4), other in "[-*' a]{0,3}") {
        let with = ValueTemplate::literal(json!({"argv": words}));
        let capability = Capability::parse(List::Ssh, "exec-read:${argv...}").expect("well formed");
        let Ok(grants) = Capabilities::new([capability]).bind(&with) else { return Ok(()) };
        let printed = texts(&grants);
        // The lock keeps the text: what is read back covers the same.
        let read = ssh(&[printed[0].as_str()]);
        prop_assert_eq!(&read, &grants);
        let env = BTreeMap::new();
        let covers = |argv: &[String]| layers(read.clone()).check(&Ask::Exec { class: EffectClass::Read, argv, env: &env }).is_ok();
        prop_assert!(covers(&words));
        for index in 0..words.len() {
            let mut changed = words.clone();
            changed[index] = other.clone();
            prop_assert_eq!(covers(&changed), changed == words);
            changed.remove(index);
            prop_assert!(!covers(&changed));
        }
    }
}

fn grants_of_commands() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(
        vec![
            "exec-read:a",
            "exec-read:a *",
            "exec-read:a **",
            "exec-read:a x",
            "exec-change:a *",
            "exec-read:a --o=*",
            "exec-read:/a *",
            "exec-read:E=* a *",
            "exec-read:**",
        ],
        0..6,
    )
}

proptest! {
    #[test]
    fn all_layers_must_grant_a_command(
        manifest in grants_of_commands(), allow in grants_of_commands(), lock in grants_of_commands(), policy in grants_of_commands(), deny in grants_of_commands(),
        words in proptest::collection::vec(prop_oneof!["[ax]", "/a", "--o=x", "-x"], 1..4), with_variable: bool, class in prop_oneof![Just(EffectClass::Read), Just(EffectClass::Change)],
    ) {
        let env = if with_variable { BTreeMap::from([("E".to_owned(), "1".to_owned())]) } else { BTreeMap::new() };
        let ask = Ask::Exec { class, argv: &words, env: &env };
        let mut all = Layers::new(ssh(&manifest), ssh(&lock));
        all.allow = Some(ssh(&allow));
        all.policy = Some(crate::policy::EnvironmentPolicy {
            allow: Some(ssh(&policy)), deny: ssh(&deny),
            ..crate::policy::EnvironmentPolicy::open(name("test"), "policy.toml")
        });
        let each = [&manifest, &allow, &lock, &policy].into_iter().all(|grants| layers(ssh(grants)).check(&ask).is_ok());
        // A ban never needs less than a grant of the same text.
        let banned = layers(ssh(&deny)).check(&ask).is_ok();
        match all.check(&ask) {
            Ok(_) => prop_assert!(each && !banned),
            Err(denial) => {
                let by_the_ban = matches!(denial.layer, Layer::Policy { .. });
                prop_assert!(!each || by_the_ban);
            }
        }
        if each && deny.is_empty() {
            prop_assert!(all.check(&ask).is_ok());
        }
    }
}
