//! Each thing that keeps a module out, and what lets it in.

use super::*;
use crate::testing::{key, public, sign};
use crate::{Revocation, VETTING_NAMESPACE};
use runner_model::grant::GrantSet;
use runner_model::policy::Policy;
use ssh_key::PrivateKey;

const BYTES: &[u8] = b"the component";

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn now() -> Timestamp {
    at("2026-06-01T12:00:00Z")
}

const ALICE: u8 = 1;
const SECURITY: u8 = 2;
const OTHER: u8 = 3;
const GONE: u8 = 4;

fn signers() -> AllowedSigners {
    let file = format!(
        "alice@example.org namespaces=\"runner-module\" {}\nsecurity@example.org {}\nother@example.com {}\n\
         gone@example.org valid-before=\"20260501Z\" {}\n",
        public(&key(ALICE)),
        public(&key(SECURITY)),
        public(&key(OTHER)),
        public(&key(GONE)),
    );
    AllowedSigners::parse("allowed_signers", file.as_bytes()).expect("well formed")
}

fn anchors() -> Anchors {
    Anchors { signers: Some(signers()), roots: None }
}

fn policy(modules: &str) -> EnvironmentPolicy {
    policy_of(&format!("[environment.production]\nmodules = {modules}\n"))
}

fn policy_of(text: &str) -> EnvironmentPolicy {
    let text = format!("policy = 1\n{text}");
    let needs = text.contains("-by") && !text.contains("[trust]");
    let text = if needs { format!("{text}[trust]\nallowed-signers = \"allowed_signers\"\n") } else { text };
    let policy = Policy::parse("policy.toml", text.as_bytes())
        .unwrap_or_else(|problems| panic!("{}", problems.plain()));
    policy.environment(&"production".parse().expect("a name")).expect("spoken of")
}

fn registry() -> Origin {
    Origin::Registry { registry: "registry.example.org".to_owned(), repository: "team/greet".to_owned() }
}

fn judged(policy: &EnvironmentPolicy, origin: &Origin, evidence: &Evidence) -> Result<Trusted, Refusal> {
    let candidate = Candidate { origin, digest: Digest::of(BYTES), bytes: BYTES, manifest: None, evidence };
    judge(policy, &anchors(), &candidate, now())
}

fn said(result: Result<Trusted, Refusal>) -> String {
    let refusal = result.expect_err("refused");
    format!("{refusal}\n  hint: {}\n", refusal.hint())
}

fn signed_by(seeds: &[u8]) -> Evidence {
    let signatures = seeds.iter().map(|seed| sign(&key(*seed), MODULE_NAMESPACE, BYTES)).collect();
    Evidence { signatures, ..Evidence::default() }
}

fn vetting() -> Vetting {
    Vetting {
        component: Digest::of(BYTES),
        name: None,
        reviewer: "security@example.org".to_owned(),
        reviewed_at: at("2026-05-01T00:00:00Z"),
        expires: at("2027-01-01T00:00:00Z"),
        ceiling: GrantSet::from_lists(["write:/srv"], [], []).expect("grants"),
        note: None,
    }
}

fn signed(seed: u8, statement: Vec<u8>) -> Signed {
    let key: PrivateKey = key(seed);
    let signature = sign(&key, VETTING_NAMESPACE, &statement);
    Signed { statement, signature }
}

fn vetted(vettings: &[(u8, Vetting)]) -> Evidence {
    let vettings =
        vettings.iter().map(|(seed, vetting)| signed(*seed, vetting.to_bytes().expect("well formed")));
    Evidence { vettings: vettings.collect(), ..Evidence::default() }
}

fn revocation(of: Digest) -> Vec<u8> {
    revocation_of(of, "2026-04-01T00:00:00Z")
}

fn revocation_of(of: Digest, time: &str) -> Vec<u8> {
    let reason = "it follows links".to_owned();
    Revocation { of, reason, revoked_at: at(time) }.to_bytes().expect("well formed")
}

#[test]
fn a_policy_that_asks_nothing_lets_every_module_in_that_is_what_the_lock_has() {
    let open = policy("{}");
    for origin in [Origin::Builtin, Origin::File("greet.wasm".to_owned()), registry()] {
        assert_eq!(judged(&open, &origin, &Evidence::default()), Ok(Trusted::default()));
    }
    let evidence = Evidence::default();
    let candidate = Candidate {
        origin: &registry(),
        digest: Digest::of("other"),
        bytes: BYTES,
        manifest: None,
        evidence: &evidence,
    };
    insta::assert_snapshot!(said(judge(&open, &Anchors::default(), &candidate, now())));
}

#[test]
fn where_a_module_comes_from_is_asked_first() {
    let file = Origin::File("steps/greet.wasm".to_owned());
    let none = Evidence::default();
    let mut report = String::new();
    for (modules, origin) in [
        ("{ files = false }", &file),
        ("{ registries = [\"registry.example.org\"] }", &file),
        ("{ registries = [\"registry.example.org/teams\", \"registry.example.com\"] }", &registry()),
        ("{ registries = [] }", &registry()),
    ] {
        report.push_str(&said(judged(&policy(modules), origin, &none)));
        assert!(judged(&policy(modules), &Origin::Builtin, &none).is_ok(), "{modules}");
    }
    insta::assert_snapshot!(report);
    let both = policy("{ registries = [\"registry.example.org/team\"], files = true }");
    assert!(judged(&both, &registry(), &none).is_ok() && judged(&both, &file, &none).is_ok());
    let dots =
        Origin::Registry { registry: "registry.example.org".to_owned(), repository: "team/../x".to_owned() };
    assert!(judged(&both, &dots, &none).is_err());
    for origin in [Origin::Builtin, file, registry(), dots] {
        assert_eq!(admits(&both, &origin).is_ok(), judged(&both, &origin, &none).is_ok(), "{origin}");
    }
}

#[test]
fn one_good_signature_by_somebody_who_is_asked_for_is_enough() {
    let asks = policy("{ signed-by = [\"alice@example.org\"] }");
    let garbage = Evidence {
        signatures: vec![
            b"garbage".to_vec(),
            signed_by(&[OTHER]).signatures.remove(0),
            signed_by(&[ALICE]).signatures.remove(0),
        ],
        ..Evidence::default()
    };
    let trusted = judged(&asks, &registry(), &garbage).expect("signed");
    assert_eq!(trusted.signers.len(), 1);
    assert!(trusted.signers[0].is("alice@example.org"));
    assert!(
        judged(&policy("{ signed-by = [\"*@example.org\"] }"), &registry(), &signed_by(&[ALICE])).is_ok()
    );

    let file = Origin::File("steps/greet.wasm".to_owned());
    let mut report = String::new();
    let tampered = vec![sign(&key(ALICE), MODULE_NAMESPACE, b"another component")];
    for (origin, evidence) in [
        (&registry(), Evidence::default()),
        (&file, Evidence::default()),
        (&registry(), signed_by(&[OTHER, SECURITY])),
        (&registry(), Evidence { signatures: tampered, ..Evidence::default() }),
        (&registry(), signed_by(&[GONE])),
        (&registry(), signed_by(&[9])),
        (&registry(), signed_by(&[OTHER; 65])),
    ] {
        report.push_str(&said(judged(&asks, origin, &evidence)));
    }
    report.push_str(&said(judged(&policy("{ signed-by = [] }"), &registry(), &signed_by(&[ALICE]))));
    let candidate = Candidate {
        origin: &registry(),
        digest: Digest::of(BYTES),
        bytes: BYTES,
        manifest: None,
        evidence: &signed_by(&[ALICE]),
    };
    report.push_str(&said(judge(&asks, &Anchors::default(), &candidate, now())));
    insta::assert_snapshot!(report);
}

#[test]
fn each_vetting_that_does_not_count_has_a_message_of_its_own() {
    let asks = policy("{ vetted-by = [\"security@example.org\"] }");
    let one = |seed, vetting| vetted(&[(seed, vetting)]);
    let id = signed(SECURITY, vetting().to_bytes().expect("well formed")).id();
    let revoked =
        |seed, of| Evidence { revocations: vec![signed(seed, revocation(of))], ..one(SECURITY, vetting()) };
    assert!(judged(&asks, &registry(), &one(SECURITY, vetting())).is_ok());
    let mut report = String::new();
    let provenance = String::from_utf8(vetting().to_bytes().expect("well formed")).expect("text");
    let provenance = signed(SECURITY, provenance.replace("runner:vetting/v1", "runner:else/v1").into_bytes());
    let mut changed = one(SECURITY, vetting());
    changed.vettings[0].statement.push(b' ');
    for (what, evidence) in [
        ("none", Evidence::default()),
        ("expired", one(SECURITY, Vetting { expires: at("2026-06-01T12:00:00Z"), ..vetting() })),
        ("from the future", one(SECURITY, Vetting { reviewed_at: at("2026-06-02T00:00:00Z"), ..vetting() })),
        ("another module", one(SECURITY, Vetting { component: Digest::of("other"), ..vetting() })),
        ("a stranger", one(OTHER, vetting())),
        ("nobody's key", one(9, vetting())),
        ("a key for modules", one(ALICE, vetting())),
        ("another name", one(SECURITY, Vetting { reviewer: "alice@example.org".to_owned(), ..vetting() })),
        ("changed", changed),
        ("something else", Evidence { vettings: vec![provenance], ..Evidence::default() }),
        ("revoked", revoked(SECURITY, id)),
        ("the module is revoked", revoked(SECURITY, Digest::of(BYTES))),
        ("two", vetted(&[(OTHER, vetting()), (9, vetting())])),
    ] {
        report.push_str(&format!("{what}: {}", said(judged(&asks, &registry(), &evidence))));
    }
    insta::assert_snapshot!(report);
    // Who may not vet may not revoke either: whoever stores revocations could add any.
    assert!(judged(&asks, &registry(), &revoked(OTHER, id)).is_ok());
    assert!(judged(&asks, &registry(), &revoked(9, Digest::of(BYTES))).is_ok());
}

#[test]
fn a_revocation_outlives_the_key_that_signed_it() {
    let asks = policy("{ vetted-by = [\"*@example.org\"] }");
    let evidence =
        |of| Evidence { revocations: vec![signed(GONE, revocation(of))], ..vetted(&[(SECURITY, vetting())]) };
    let id = signed(SECURITY, vetting().to_bytes().expect("well formed")).id();
    assert!(matches!(judged(&asks, &registry(), &evidence(id)), Err(Refusal::BadVetting { .. })));
    assert!(matches!(
        judged(&asks, &registry(), &evidence(Digest::of(BYTES))),
        Err(Refusal::RevokedModule { .. })
    ));
}

#[test]
fn what_a_vetting_narrowed_does_not_widen_when_it_ends() {
    let asks = policy("{ vetted-by = [\"*@example.org\"] }");
    let narrow = Vetting {
        reviewed_at: at("2026-05-02T00:00:00Z"),
        ceiling: GrantSet::from_lists(["read:/srv"], [], []).expect("grants"),
        ..vetting()
    };
    let both = |newer: Vetting, seed| vetted(&[(SECURITY, vetting()), (seed, newer)]);
    let trusted = judged(&asks, &registry(), &both(narrow.clone(), SECURITY)).expect("vetted");
    assert_eq!(trusted.ceilings[0].grants, narrow.ceiling);

    // What is not understood could say less than what was said before.
    let mut newer_runner = vetted(&[(SECURITY, vetting())]);
    let text = String::from_utf8(narrow.to_bytes().expect("well formed")).expect("text");
    let later = text.replace("runner:vetting/v1", "runner:vetting/v2").into_bytes();
    newer_runner.vettings.push(signed(SECURITY, later.clone()));
    assert!(matches!(judged(&asks, &registry(), &newer_runner), Err(Refusal::NotUnderstood { .. })));
    let mut by_stranger = vetted(&[(SECURITY, vetting())]);
    by_stranger.vettings.push(signed(OTHER, later));
    assert!(judged(&asks, &registry(), &by_stranger).is_ok(), "a stranger could write anything");

    // A clock that was wrong: the vetting is taken back, and given again.
    let ahead =
        Vetting { reviewed_at: at("2027-05-01T00:00:00Z"), expires: at("2028-01-01T00:00:00Z"), ..vetting() };
    let mut mended = vetted(&[(SECURITY, ahead), (SECURITY, narrow.clone())]);
    assert!(matches!(judged(&asks, &registry(), &mended), Err(Refusal::BadVetting { .. })));
    mended.revocations.push(signed(SECURITY, revocation(mended.vettings[0].id())));
    assert_eq!(judged(&asks, &registry(), &mended).expect("vetted").ceilings[0].grants, narrow.ceiling);

    let over = Vetting { expires: at("2026-05-31T00:00:00Z"), ..narrow.clone() };
    let of_gone = Vetting {
        reviewer: "gone@example.org".to_owned(),
        reviewed_at: at("2026-05-01T00:00:00Z") - jiff::SignedDuration::from_hours(1),
        ..narrow.clone()
    };
    let older = Vetting { reviewed_at: at("2026-04-01T00:00:00Z"), ..vetting() };
    let mut taken_back = both(narrow.clone(), SECURITY);
    let narrowing = taken_back.vettings[1].id();
    taken_back.revocations.push(signed(SECURITY, revocation_of(narrowing, "2026-05-10T00:00:00Z")));
    let mut report = String::new();
    for (what, evidence) in [
        ("it has expired", both(over, SECURITY)),
        ("it was taken back", taken_back),
        ("its key is valid no more", vetted(&[(SECURITY, older), (GONE, of_gone)])),
    ] {
        report.push_str(&format!("{what}: {}", said(judged(&asks, &registry(), &evidence))));
    }
    insta::assert_snapshot!(report);
}

#[test]
fn who_signs_modules_may_revoke_them() {
    let file = format!("alice@example.org {}\n", public(&key(ALICE)));
    let signers = AllowedSigners::parse("allowed_signers", file.as_bytes()).expect("well formed");
    let anchors = Anchors { signers: Some(signers), roots: None };
    let asks = policy("{ signed-by = [\"alice@example.org\"] }");
    let revoked_by = |by: u8| {
        let revocations = vec![signed(by, revocation(Digest::of(BYTES)))];
        let evidence = Evidence { revocations, ..signed_by(&[ALICE]) };
        let candidate = Candidate {
            origin: &registry(),
            digest: Digest::of(BYTES),
            bytes: BYTES,
            manifest: None,
            evidence: &evidence,
        };
        judge(&asks, &anchors, &candidate, now())
    };
    assert!(matches!(revoked_by(ALICE), Err(Refusal::RevokedModule { .. })));
    assert!(revoked_by(OTHER).is_ok(), "a stranger could revoke anything");

    // Also where another section of the policy names them.
    let both = policy_of(
        "[environment.production]\nmodules = { vetted-by = [\"security@example.org\"] }\n\
         [environment.\"*\"]\nmodules = { signed-by = [\"other@example.com\"] }\n",
    );
    let vetted = vetted(&[(SECURITY, vetting())]);
    let revocations = vec![signed(OTHER, revocation(vetted.vettings[0].id()))];
    let all = Evidence { signatures: signed_by(&[OTHER]).signatures, ..vetted };
    assert!(judged(&both, &registry(), &all).is_ok());
    assert!(matches!(
        judged(&both, &registry(), &Evidence { revocations, ..all }),
        Err(Refusal::BadVetting { .. })
    ));
}

#[test]
fn what_the_operator_revoked_is_refused_whoever_signed_it() {
    let revoked = |digest: Digest| {
        policy_of(&format!(
            "[environment.production]\nmodules = {{ vetted-by = [\"security@example.org\"] }}\n\
             [trust]\nallowed-signers = \"allowed_signers\"\nrevoked = [\"{digest}\"]\n"
        ))
    };
    let good = vetted(&[(SECURITY, vetting())]);
    let module = revoked(Digest::of(BYTES));
    let manifest = Digest::of("the manifest");
    let candidate = Candidate {
        origin: &registry(),
        digest: Digest::of(BYTES),
        bytes: BYTES,
        manifest: Some(manifest),
        evidence: &good,
    };
    let by_manifest = judge(&revoked(manifest), &anchors(), &candidate, now());
    assert!(matches!(by_manifest, Err(Refusal::RevokedByOperator { digest, .. }) if digest == manifest));
    let report = [
        said(judged(&module, &registry(), &good)),
        said(judged(&module, &Origin::Builtin, &Evidence::default())),
        said(judged(&revoked(good.vettings[0].id()), &registry(), &good)),
    ];
    insta::assert_snapshot!(report.concat());
}

#[test]
fn the_newest_vetting_counts_and_ceilings_do_not_add_up() {
    let asks = policy("{ vetted-by = [\"*@example.org\", \"other@example.com\"] }");
    let newer = Vetting {
        reviewer: "other@example.com".to_owned(),
        reviewed_at: at("2026-05-02T00:00:00Z"),
        ceiling: GrantSet::from_lists(["read:/srv"], [], []).expect("grants"),
        ..vetting()
    };
    let gone = Vetting {
        reviewer: "gone@example.org".to_owned(),
        reviewed_at: at("2026-05-03T00:00:00Z"),
        ..vetting()
    };
    let evidence = vetted(&[(SECURITY, vetting()), (OTHER, newer.clone()), (GONE, gone)]);
    let trusted = judged(&asks, &registry(), &evidence).expect("vetted");
    let [ceiling] = &trusted.ceilings[..] else { panic!("one") };
    assert_eq!((&ceiling.grants, ceiling.reviewer.as_str()), (&newer.ceiling, "other@example.com"));
    assert_eq!(ceiling.vetting, evidence.vettings[1].id());
    assert_eq!(trusted.vettings, [(ceiling.vetting, newer)]);
}

#[test]
fn what_is_asked_for_all_environments_is_asked_too() {
    let both = policy_of(
        "[environment.production]\nmodules = { vetted-by = [\"other@example.com\"] }\n\
         [environment.\"*\"]\nmodules = { signed-by = [\"alice@example.org\"], vetted-by = [\"security@example.org\"] }\n",
    );
    let by_other = Vetting { reviewer: "other@example.com".to_owned(), ..vetting() };
    let all = Evidence {
        signatures: signed_by(&[ALICE]).signatures,
        ..vetted(&[(SECURITY, vetting()), (OTHER, by_other.clone())])
    };
    let trusted = judged(&both, &registry(), &all).expect("all that is asked for");
    assert_eq!((trusted.signers.len(), trusted.vettings.len(), trusted.ceilings.len()), (1, 2, 2));
    let report = [
        said(judged(&both, &registry(), &Evidence { signatures: Vec::new(), ..all.clone() })),
        said(judged(
            &both,
            &registry(),
            &Evidence { signatures: all.signatures, ..vetted(&[(OTHER, by_other)]) },
        )),
    ];
    insta::assert_snapshot!(report.concat());
}
