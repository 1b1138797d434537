use super::*;

fn problems(text: &str) -> String {
    Policy::parse("policy.toml", text.as_bytes()).expect_err(text).plain()
}

#[test]
fn everything_wrong_is_reported_together_with_what_helps() {
    insta::assert_snapshot!(problems(
        r#"
policy = 1
[environment.production]
alow = { ssh = [] }
deny = { shh = [], ssh = ["wriet:/etc", "write:${release.root}", 5], http = ["GET ftp://x"] }
[environment."a b"]
[enviroment.staging]
"#
    ), @r"
    policy.toml:4:1: unknown key `alow` (not a key of an environment)
      hint: did you mean `allow`?
    policy.toml:5:10: unknown key `shh` (not a key of a list of grants)
      hint: did you mean `ssh`?
    policy.toml:5:27: `wriet:/etc` is not a grant: there is no verb `wriet`
      hint: did you mean `write:`?
    policy.toml:5:41: a policy has no references (it holds for every plan)
      hint: spell the value out
    policy.toml:5:66: `ssh` must be a string, not a whole number
    policy.toml:5:78: `GET ftp://x` is not a grant: `ftp://x` is not a URL for a request: it must begin with `http://` or `https://`
    policy.toml:6:14: `a b` cannot be the name of an environment: only letters, digits, `-` and `_` are allowed
    policy.toml:7:2: unknown key `enviroment` (not a key of a policy)
      hint: did you mean `environment`?
    ");
    insta::assert_snapshot!(problems("[environment.production]"), @r"
    policy.toml:1:1: `policy = 1` is missing (it says in which version of the language the file is written)
      hint: write `policy = 1` as the first line
    ");
    insta::assert_snapshot!(problems("policy = 2"), @r"
    policy.toml:1:10: this runner knows version 1 of `policy` only
      hint: the file was written for a newer runner: install that one
    ");
}

#[test]
fn what_is_for_all_is_a_fallback_except_for_what_it_denies() {
    let policy = Policy::parse(
        "policy.toml",
        br#"
policy = 1
[environment.production]
allow = { ssh = ["write:/srv"] }
deny = { ssh = ["write:/srv/keys"] }
[environment."*"]
allow = { ssh = ["write:/"] }
deny = { ssh = ["write:/etc"], http = ["POST http://x/"] }
"#,
    )
    .expect("well formed");
    let say = |name: &str| {
        let said = policy.environment(&name.parse().expect(name)).expect(name);
        (said.allow.expect("given").texts().len(), said.deny.texts().len(), said.environment.to_string())
    };
    assert_eq!(say("production"), (1, 3, "production".to_owned()));
    assert_eq!(say("staging"), (1, 4, "staging".to_owned()));
}

#[test]
fn programs_for_inventories_can_be_denied_in_one_environment_or_in_all() {
    let command = InventoryCommand::new(vec!["./hosts.sh".to_owned()], Vec::new()).expect("fine");
    let refused = |text: &str, name: &str| {
        let policy = Policy::parse("policy.toml", format!("policy = 1\n{text}").as_bytes()).expect("fine");
        policy.environment(&name.parse().expect(name)).expect(name).refuses_command(&command)
    };
    assert_eq!(refused("[environment.staging]", "staging"), None);
    assert_eq!(refused("[environment.staging]\ninventory-commands = true", "staging"), None);
    let own = refused("[environment.staging]\ninventory-commands = false", "staging").expect("refused");
    insta::assert_snapshot!(own.message);
    let all =
        "[environment.staging]\ninventory-commands = true\n[environment.\"*\"]\ninventory-commands = false";
    assert!(refused(all, "staging").is_some() && refused(all, "production").is_some());
}

#[test]
fn an_environment_that_is_not_spoken_of_is_refused() {
    let policy =
        Policy::parse("/etc/runner/policy.toml", b"policy = 1\n[environment.prodution]\n").expect("fine");
    let error = policy.environment(&"production".parse().expect("a name")).expect_err("misspelled");
    let failure = Failure::from(error);
    assert_eq!(failure.kind, FailureKind::Denied);
    insta::assert_snapshot!(format!("{}\n{}", failure.message, failure.detail), @r#"
    the operator's policy in /etc/runner/policy.toml does not speak of the environment `production`
    the operator would have to add `[environment.production]`, or `[environment."*"]` for all others
    "#);
    // An empty section says that nothing is narrowed.
    let said = policy.environment(&"prodution".parse().expect("a name")).expect("spoken of");
    assert_eq!((said.allow, said.deny.is_empty()), (None, true));
}

#[test]
fn what_is_asked_of_modules_is_asked_by_the_section_and_by_that_of_all() {
    let policy = Policy::parse(
        "policy.toml",
        br#"
policy = 1
[trust]
allowed-signers = "allowed_signers"
sigstore-root = "trusted_root.json"
revoked = ["sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]
[environment.production]
modules = { registries = ["registry.example.org/team"], vetted-by = ["security@example.org"] }
[environment.staging]
[environment."*"]
modules = { signed-by = ["*@example.org"], sigstore = [{ issuer = "https://ci.example.org", identity = "*" }] }
"#,
    )
    .expect("well formed");
    let said = |name: &str| policy.environment(&name.parse().expect(name)).expect(name);
    let sections = |name: &str| {
        let rules = said(name).modules;
        rules.into_iter().map(|rules| (rules.section.clone(), rules.lets_files())).collect::<Vec<_>>()
    };
    assert_eq!(sections("production"), [("production".to_owned(), false), ("*".to_owned(), true)]);
    assert_eq!(sections("staging"), [("*".to_owned(), true)]);
    assert_eq!(sections("test"), [("*".to_owned(), true)], "once, where it stands in");
    let production = said("production");
    assert_eq!(production.trust.allowed_signers.as_deref(), Some("allowed_signers"));
    assert_eq!(production.trust.sigstore_root.as_deref(), Some("trusted_root.json"));
    let asked = production.modules[1].sigstore.as_deref().expect("given");
    assert!(
        asked[0].covers("https://ci.example.org", "a") && !asked[0].covers("https://ci.example.com", "a")
    );
    assert!(production.trust.revoked.contains(&crate::Digest::of("abc")));
    assert_eq!(production.modules[0].signed_by, None, "not asked, which is not the same as nobody");
}

#[test]
fn everything_wrong_with_what_is_asked_of_modules_is_reported_together() {
    insta::assert_snapshot!(problems(
        r#"
policy = 1
[trust]
allowed-signer = "x"
revoked = ["sha256:0"]
[environment.production]
modules = { registries = ["https://registry.example.org", "r/", "r/T", "r/t:1", "r/../x"], signed-by = ["a b", "!a"], vetted-by = "x", file = true }
[environment.staging]
modules = { sigstore = ["a", {}, { issuer = "https://a", identity = "a b" }], files = 1 }
"#
    ));
    insta::assert_snapshot!(problems(
        r#"
policy = 1
[trust]
allowed-signers = "allowed_signers"
sigstore-root = "root.json"
[environment.production]
modules = { files = false }
"#
    ));
}

#[test]
fn a_registry_covers_what_is_below_it_and_nothing_beside_it() {
    let covers = |prefix: &str, registry: &str, repository: &str| {
        prefix.parse::<RegistryPrefix>().expect(prefix).covers(registry, repository)
    };
    assert!(covers("registry.example.org", "registry.example.org", "a/b"));
    assert!(covers("localhost:5000/a", "localhost:5000", "a"));
    assert!(covers("localhost:5000/a", "localhost:5000", "a/b/c"));
    for (prefix, registry, repository) in [
        ("registry.example.org", "registry.example.org.evil.example", "a"),
        ("registry.example.org", "registry.example.org:5000", "a"),
        ("registry.example.org/a", "registry.example.org", "ab"),
        ("registry.example.org/a", "registry.example.org", "a/../b"),
        ("registry.example.org/a", "registry.example.org", "a//b"),
        ("registry.example.org/a", "registry.example.org", ""),
        ("registry.example.org/a/b", "registry.example.org", "a"),
    ] {
        assert!(!covers(prefix, registry, repository), "{prefix} {registry} {repository}");
    }
}
