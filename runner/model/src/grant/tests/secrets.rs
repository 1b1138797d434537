use super::*;
use crate::SecretName;
use crate::plan::SecretSource;
use crate::policy::EnvironmentPolicy;

fn secrets(grants: &[&str]) -> GrantSet {
    GrantSet::default().with_secrets(grants.iter().copied()).expect("grants")
}

fn asks(grants: &GrantSet, secret: &str, source: &str) -> bool {
    let secret: SecretName = name(secret);
    layers(grants.clone()).check(&Ask::Secret { name: &secret, source }).is_ok()
}

#[test]
fn a_secret_is_granted_by_its_name_and_the_beginning_of_its_source() {
    let one = secrets(&["db-password from command pass show"]);
    assert!(asks(&one, "db-password", "command pass show"));
    assert!(asks(&one, "db-password", "command pass show shop/db"));
    for (secret, source) in [
        ("db-password", "command pass shows"),
        ("db-password", "command pass"),
        ("db-password", "env command pass show"),
        ("db-password2", "command pass show"),
        ("token", "command pass show"),
    ] {
        assert!(!asks(&one, secret, source), "{secret} from {source}");
    }
    assert!(asks(&secrets(&["token"]), "token", "env X"));
    assert!(
        asks(&secrets(&["* from env"]), "token", "env X")
            && !asks(&secrets(&["* from env"]), "token", "age x y")
    );
    assert!(!asks(&GrantSet::default(), "token", "env X"));
}

#[test]
fn a_grant_reads_back_and_one_that_is_wrong_says_what_helps() {
    let source = SecretSource::Command { argv: argv(&["pass", "a b", "c\nd"]) };
    let grant = SecretGrant::one(name("db.password"), &source);
    assert_eq!(grant.to_string(), r#"db.password from command pass "a b" "c\nd""#);
    assert_eq!(grant.to_string().parse::<SecretGrant>().expect("a grant"), grant);
    insta::assert_snapshot!(wrong::<SecretGrant>("a b"), @r"
    it must be the name of one secret, or `*`
    hint: for example `db-password` or `* from command`
    ");
    insta::assert_snapshot!(wrong::<SecretGrant>("a from commandx x"), @r"
    there is no source `commandx`
    hint: did you mean `command`?
    ");
    assert!("db-*".parse::<SecretGrant>().is_err());
    insta::assert_snapshot!(Capability::parse(List::Secrets, "a from env X").expect_err("its source").why, @"a module does not choose where a secret comes from");
}

#[test]
fn a_module_asks_by_parameters() {
    let declared = |text: &str| Capability::parse(List::Secrets, text).expect(text);
    let capabilities =
        Capabilities::new([declared("${password-secret}"), declared("${tokens}"), declared("license")]);
    let bound = |values: Value| {
        let values = ValueTemplate::parse(&values).expect("values");
        capabilities.bind(&values).map(|grants| texts(&grants))
    };
    assert_eq!(bound(json!({})).expect("bound"), ["license"]);
    assert_eq!(
        bound(json!({ "password-secret": "db", "tokens": ["a", "b"] })).expect("bound"),
        ["db", "a", "b", "license"]
    );
    let star = bound(json!({ "password-secret": "*" }));
    assert!(star.is_err(), "no value is a star: {star:?}");
}

#[test]
fn a_policy_bans_kinds_of_sources_before_anything_is_fetched() {
    let grants = secrets(&["db from command pass show db", "token from env TOKEN"]);
    let policy = EnvironmentPolicy {
        deny: secrets(&["* from command"]),
        ..EnvironmentPolicy::open(name("production"), "policy.toml")
    };
    let lost = lost(&grants, None, &policy, &[]);
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!(lost[0].grant, "db from command pass show db");
    let mut all = layers(grants);
    all.policy = Some(policy);
    let db: SecretName = name("db");
    let denial = all.check(&Ask::Secret { name: &db, source: "command pass show db" }).expect_err("banned");
    assert_eq!(
        denial.to_string(),
        "use the secret `db` from `command pass show db`: the operator's policy for `production` denies `* from command`"
    );
    let token: SecretName = name("token");
    assert!(all.check(&Ask::Secret { name: &token, source: "env TOKEN" }).is_ok());
    let denial = all.check(&Ask::Secret { name: &token, source: "env OTHER" }).expect_err("another source");
    assert_eq!(denial.layer, Layer::Manifest);
}

#[test]
fn whoever_could_read_a_secret_is_labelled() {
    let label = |ssh: &[&str]| {
        let grants = GrantSet { ssh: self::ssh(ssh).ssh, ..secrets(&["db from env DB"]) };
        let labels = grants.labels("deploy");
        labels.into_iter().find(|(grant, _)| grant == "db from env DB").map(|(_, label)| label)
    };
    assert_eq!(label(&["write:/etc/shop", "read:/srv"]), None);
    assert_eq!(
        label(&["write:/srv/shop", "read:/srv"]).as_deref(),
        Some("the step can read it: it may read where it may write it")
    );
    assert_eq!(
        label(&["exec-read:uptime"]).as_deref(),
        Some("the step can read it where one of its commands shows it")
    );
    assert_eq!(
        label(&["exec-opaque:sh **"]).as_deref(),
        Some("the step can read it: it runs commands of its choice")
    );
}
