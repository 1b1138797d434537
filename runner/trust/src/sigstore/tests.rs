//! Bundles of the world, and what is said of each that does not count.

use super::*;
use serde_json::{Value, json};
use sigstore_verify::trust_root::{SIGSTORE_GITHUB_TRUSTED_ROOT, SIGSTORE_PRODUCTION_TRUSTED_ROOT};

const SIGNED: &[u8] = include_bytes!("data/signed.txt");
const BUNDLE: &str = include_str!("data/signed.sigstore.json");

fn roots(text: &str) -> SigstoreRoots {
    SigstoreRoots::parse("trusted_root.json", text.as_bytes())
        .unwrap_or_else(|problems| panic!("{}", problems.plain()))
}

fn public() -> SigstoreRoots {
    roots(SIGSTORE_PRODUCTION_TRUSTED_ROOT)
}

/// The bundle, with something changed.
fn changed(pointer: &str, value: Value) -> Vec<u8> {
    let mut bundle: Value = serde_json::from_str(BUNDLE).expect("JSON");
    *bundle.pointer_mut(pointer).expect(pointer) = value;
    bundle.to_string().into_bytes()
}

#[test]
fn a_bundle_by_cosign_names_who_signed() {
    let identity = public().verify(SIGNED, None, BUNDLE.as_bytes()).expect("signed");
    insta::assert_snapshot!(identity, @"w.vollprecht@gmail.com of https://github.com/login/oauth");

    let wanted = |issuer: &str, name: &str| SigstoreIdentity {
        issuer: issuer.to_owned(),
        identity: name.parse().expect("a pattern"),
    };
    let github = "https://github.com/login/oauth";
    assert!(identity.is_among(&[wanted(github, "w.vollprecht@gmail.com")]));
    assert!(identity.is_among(&[wanted("https://a.example", "*"), wanted(github, "*@gmail.com")]));
    assert!(!identity.is_among(&[wanted(github, "*@example.org")]), "somebody else");
    assert!(!identity.is_among(&[wanted("https://github.com", "*")]), "signed in elsewhere");
    assert!(!identity.is_among(&[wanted("*", "*")]), "an issuer is no pattern");
    assert!(!identity.is_among(&[]));
}

#[test]
fn one_of_several_roots_is_enough() {
    let both = format!("{SIGSTORE_GITHUB_TRUSTED_ROOT}\n{SIGSTORE_PRODUCTION_TRUSTED_ROOT}\n");
    assert!(roots(&both).verify(SIGNED, None, BUNDLE.as_bytes()).is_ok());
}

#[test]
fn every_bundle_that_does_not_count_has_a_message_of_its_own() {
    let package = include_bytes!("data/package.conda");
    let published = include_bytes!("data/package.sigstore.json");
    let private = include_bytes!("data/private.sigstore.json");
    let (public, github) = (public(), roots(SIGSTORE_GITHUB_TRUSTED_ROOT));
    let entry = "/verificationMaterial/tlogEntries/0";
    let mut report = String::new();
    for (what, roots, artifact, bundle) in [
        ("not JSON", &public, SIGNED, b"{".to_vec()),
        ("bytes", &public, SIGNED, vec![0xff]),
        (
            "another version",
            &public,
            SIGNED,
            changed("/mediaType", json!("application/vnd.dev.sigstore.bundle.v9+json")),
        ),
        ("other bytes", &public, b"other".as_slice(), BUNDLE.into()),
        ("a statement about something else", &public, SIGNED, published.to_vec()),
        ("a statement of another kind", &public, package, published.to_vec()),
        ("another signature", &public, SIGNED, changed("/messageSignature/signature", json!("MEUCIQ=="))),
        ("no entry in a log", &public, SIGNED, changed("/verificationMaterial/tlogEntries", json!([]))),
        (
            "another root of the log",
            &public,
            SIGNED,
            changed(
                &format!("{entry}/inclusionProof/rootHash"),
                json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ),
        ),
        ("another root", &github, SIGNED, BUNDLE.into()),
        ("by another Sigstore", &public, SIGNED, private.to_vec()),
        // Its signature, certificate and timestamp count.
        ("of a private repository", &github, SIGNED, private.to_vec()),
    ] {
        let problem = roots.verify(artifact, None, &bundle).expect_err(what);
        report.push_str(&format!("{what}: {problem}\n  hint: {}\n", problem.hint()));
    }
    insta::assert_snapshot!(report);
}

#[test]
fn a_file_of_roots_that_makes_no_sense_is_refused_with_its_place() {
    let mut root: Value = serde_json::from_str(SIGSTORE_PRODUCTION_TRUSTED_ROOT).expect("JSON");
    root["certificateAuthorities"][0]["certChain"]["certificates"][0]["rawBytes"] = json!("AAAA");
    let mut report = String::new();
    for text in [
        "",
        "{}",
        "{\n  \"mediaType\": 1 }",
        "[]",
        &format!("{SIGSTORE_GITHUB_TRUSTED_ROOT}\n{{"),
        &root.to_string(),
    ] {
        let problems = SigstoreRoots::parse("trusted_root.json", text.as_bytes()).err().expect("refused");
        let said = problems.plain();
        report.push_str(
            &said.lines().filter(|line| line.len() < 300).map(|line| format!("{line}\n")).collect::<String>(),
        );
        report.push('\n');
    }
    insta::assert_snapshot!(report);
}
