//! Reading the file, and what is said of each signature that does not count.

use super::*;
use crate::testing::{key, public, sign};
use proptest::prelude::*;
use ssh_key::certificate::{Builder, CertType};
use ssh_key::public::{RsaPublicKey, SkEd25519};
use ssh_key::sha2::{Digest as _, Sha256};
use ssh_key::{LineEnding, PrivateKey};

const NAMESPACE: &str = "runner-module";

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn now() -> Timestamp {
    at("2026-06-01T12:00:00Z")
}

fn signers(text: &str) -> AllowedSigners {
    let parsed = AllowedSigners::parse_in("allowed_signers", text.as_bytes(), &TimeZone::UTC);
    parsed.unwrap_or_else(|problems| panic!("{}", problems.plain()))
}

fn problems(text: &str) -> String {
    AllowedSigners::parse_in("allowed_signers", text.as_bytes(), &TimeZone::UTC).expect_err(text).plain()
}

fn said(result: Result<Signer, SignatureError>) -> String {
    let error = result.expect_err("refused");
    format!("{error}\n  hint: {}", error.hint())
}

#[test]
fn a_line_says_whose_key_it_is() {
    let (alice, both) = (key(1), key(2));
    let file = format!(
        "# who may sign\n\nalice@example.org {}\r\n\t\"*@example.org,!bob@example.org\"\tNamespaces=\"runner-*\",valid-after=\"20260101Z\"  {}\n",
        public(&alice),
        public(&both)
    );
    let signers = signers(&file);
    let signer = signers.verify(NAMESPACE, b"x", &sign(&alice, NAMESPACE, b"x"), now()).expect("signed");
    assert_eq!(signer.principals, ["alice@example.org"]);
    insta::assert_snapshot!(signer);
    assert!(signer.is("alice@example.org") && !signer.is("*@example.org"));
    let pattern = |text: &str| [text.parse::<NamePattern>().expect(text)];
    assert!(signer.is_among(&pattern("*@example.org")) && !signer.is_among(&pattern("*@example.com")));

    let signer = signers.verify(NAMESPACE, b"x", &sign(&both, NAMESPACE, b"x"), now()).expect("signed");
    assert!(signer.is("alice@example.org") && !signer.is("bob@example.org"));
    assert!(signer.is_among(&pattern("carol@example.org")), "as `ssh-keygen -Y verify -I` has it");
    assert!(signer.is_among(&pattern("*@example.org")) && signer.is_among(&pattern("*")));
    assert!(!signer.is_among(&pattern("bob@example.org")) && !signer.is_among(&pattern("c*@example.org")));
    assert!(!signer.is_among(&[]));
}

#[test]
fn every_signature_that_does_not_count_has_a_message_of_its_own() {
    let (alice, stranger) = (key(1), key(9));
    let file = |options: &str| signers(&format!("# one\nalice@example.org {options} {}\n", public(&alice)));
    let good = sign(&alice, NAMESPACE, b"the component");
    let verify =
        |options: &str, armored: &[u8]| file(options).verify(NAMESPACE, b"the component", armored, now());
    assert!(verify("", &good).is_ok());
    let cut = &good[..good.len() / 2];
    let other = String::from_utf8(good.clone()).expect("text").replace("U1NIU0lH", "U1NIU0lI");
    let mut report = String::new();
    for (what, error) in [
        ("tampered", file("").verify(NAMESPACE, b"the Component", &good, now())),
        ("stranger", verify("", &sign(&stranger, NAMESPACE, b"the component"))),
        ("namespace", verify("", &sign(&alice, "git", b"the component"))),
        ("expired", verify("valid-before=\"20260531\"", &good)),
        ("not yet", verify("valid-after=\"202606011201\"", &good)),
        ("not for this", verify("namespaces=\"git,runner-vetting\"", &good)),
        ("an authority", verify("cert-authority", &good)),
        ("cut off", verify("", cut)),
        ("empty", verify("", b" \n")),
        ("something else", verify("", b"hello")),
        ("binary", verify("", &[0xff, 0xfe])),
        ("damaged", verify("", other.as_bytes())),
        ("two of them", verify("", &[good.clone(), good.clone()].concat())),
        ("long", verify("", &vec![b'x'; 70_000])),
    ] {
        report.push_str(&format!("{what}: {}\n", said(error)));
    }
    insta::assert_snapshot!(report);
}

#[test]
fn of_several_lines_for_a_key_one_good_one_is_enough() {
    let alice = key(1);
    let file = format!(
        "old@example.org valid-before=\"20200101\" {0}\nalice@example.org {0}\nteam@example.org {0}\n",
        public(&alice)
    );
    let signer =
        signers(&file).verify(NAMESPACE, b"x", &sign(&alice, NAMESPACE, b"x"), now()).expect("signed");
    assert_eq!(signer.principals, ["alice@example.org", "team@example.org"], "and not who it was once");
}

#[test]
fn everything_wrong_with_a_file_is_reported_with_its_place() {
    let key = public(&key(1));
    let (kind, data) = key.split_once(' ').expect("two words");
    let data = data.split(' ').next().expect("a word");
    let weak = ssh_key::PublicKey::from(weak()).to_openssh().expect("a key");
    insta::assert_snapshot!(problems(&format!(
        "{key}\n\
         alice@example.org\n\
         alice@example.org valid_before=\"2026\" {key}\n\
         alice@example.org valid-before=20260101 {key}\n\
         alice@example.org valid-before=\"tomorrow\" {key}\n\
         alice@example.org valid-after=\"20270101\",valid-before=\"20260101\" {key}\n\
         alice@example.org namespaces=\"a\",namespaces=\"b\" {key}\n\
         alice@example.org cert-authority=\"yes\" {key}\n\
         alice@example.org namespaces {key}\n\
         alice@example.org cert-authority,, {key}\n\
         alice@example.org namespaces=\"a\"x {key}\n\
         \"alice@example.org {kind}\n\
         !bob@example.org {key}\n\
         a,,b {key}\n\
         alice@example.org {kind}\n\
         alice@example.org {kind} AAAA{data}\n\
         alice@example.org ssh-dss {data}\n\
         alice@example.org ssh-ed25519-cert-v01@openssh.com {data}\n\
         alice@example.org ssh-rsa {data}\n\
         \u{1b}[2J {key}\n\
         alice@example.org {weak}\n"
    )));
    let bytes = AllowedSigners::parse("allowed_signers", b"alice \xff").expect_err("no text").plain();
    insta::assert_snapshot!(bytes);
}

/// An RSA key of 1024 bits.
fn weak() -> KeyData {
    let number = |bytes: &[u8]| ssh_key::Mpint::from_positive_bytes(bytes);
    KeyData::Rsa(RsaPublicKey::new(number(&[1, 0, 1]), number(&[0xff; 128])).expect("numbers"))
}

#[test]
fn a_weak_key_is_not_accepted_in_a_certificate_either() {
    let authority = key(5);
    let mut builder = Builder::new(vec![7; 16], weak(), 0, u64::MAX).expect("times");
    builder.cert_type(CertType::User).expect("a type").valid_principal("alice@example.org").expect("a name");
    let certificate = builder.sign(&authority).expect("a certificate");
    let file = signers(&format!("*@example.org cert-authority {}\n", public(&authority)));
    let refused = certificate::names(&certificate, &file.lines[0].principals, now()).expect_err("weak");
    insta::assert_snapshot!(refused, @"it is for an RSA key of 1024 bits, and from 2048 to 8192 are accepted");
}

/// A certificate for a key, by an authority.
fn certified(key: &PrivateKey, authority: &PrivateKey, change: impl FnOnce(&mut Builder)) -> KeyData {
    let (from, to) = (at("2026-01-01T00:00:00Z").as_second(), at("2027-01-01T00:00:00Z").as_second());
    let mut builder =
        Builder::new(vec![7; 16], key.public_key(), from.unsigned_abs(), to.unsigned_abs()).expect("times");
    builder.cert_type(CertType::User).expect("a type");
    change(&mut builder);
    KeyData::from(builder.sign(authority).expect("a certificate"))
}

fn sign_as(key: &PrivateKey, public: KeyData, message: &[u8]) -> Vec<u8> {
    let signed = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, message).expect("bytes");
    let made: Signature = signature::Signer::sign(key, &signed);
    let signature = SshSig::new(public, NAMESPACE, HashAlg::Sha512, made).expect("a signature");
    signature.to_pem(LineEnding::LF).expect("an armor").into_bytes()
}

#[test]
fn a_certificate_counts_for_the_names_that_its_authority_may_certify() {
    let (alice, authority) = (key(1), key(5));
    let file = signers(&format!("*@example.org,!root@example.org cert-authority {}\n", public(&authority)));
    let verify = |change: fn(&mut Builder), time: &str| {
        let certificate = certified(&alice, &authority, change);
        file.verify(NAMESPACE, b"x", &sign_as(&alice, certificate, b"x"), at(time))
    };
    let named = |builder: &mut Builder| {
        for name in ["alice@example.org", "root@example.org", "alice@example.com", "*@example.org"] {
            builder.valid_principal(name).expect("a name");
        }
    };
    let signer = verify(named, "2026-06-01T00:00:00Z").expect("certified");
    assert_eq!(signer.principals, ["alice@example.org"], "and neither a stranger nor a star");
    assert!(
        signer.fingerprint.starts_with("SHA256:")
            && signer.fingerprint == fingerprint(alice.public_key().key_data())
    );

    let mut report = String::new();
    let other = certified(&alice, &key(6), named);
    let swapped = sign_as(&alice, certified(&key(2), &authority, named), b"x");
    let nobody = |builder: &mut Builder| {
        builder.all_principals_valid().expect("no names");
    };
    let root = |builder: &mut Builder| {
        builder.valid_principal("root@example.org").expect("a name");
    };
    let limited = |builder: &mut Builder| {
        builder.valid_principal("alice@example.org").expect("a name");
        builder.critical_option("force-command", "true").expect("an option");
    };
    for (what, result) in [
        ("before", verify(named, "2025-12-31T23:59:59Z")),
        ("after", verify(named, "2027-01-01T00:00:00Z")),
        ("no names", verify(nobody, "2026-06-01T00:00:00Z")),
        ("other names", verify(root, "2026-06-01T00:00:00Z")),
        ("option", verify(limited, "2026-06-01T00:00:00Z")),
        ("other authority", file.verify(NAMESPACE, b"x", &sign_as(&alice, other, b"x"), now())),
        ("another key", file.verify(NAMESPACE, b"x", &swapped, now())),
        (
            "a key that it did not certify",
            file.verify(NAMESPACE, b"x", &sign(&alice, NAMESPACE, b"x"), now()),
        ),
    ] {
        report.push_str(&format!("{what}: {}\n", said(result)));
    }
    insta::assert_snapshot!(report);
}

/// What a security key signs: `flags` say whether it was touched.
fn sign_with_security_key(key: &PrivateKey, flags: u8, message: &[u8]) -> (KeyData, Vec<u8>) {
    let application = "ssh:";
    let ed25519 = *key.public_key().key_data().ed25519().expect("such a key");
    let public = KeyData::SkEd25519(SkEd25519::new(ed25519, application));
    let signed = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, message).expect("bytes");
    let trailer = [flags, 0, 0, 0, 7];
    let mut bytes = Sha256::digest(application).to_vec();
    bytes.extend(trailer);
    bytes.extend(Sha256::digest(&signed));
    let made: Signature = signature::Signer::sign(key, &bytes);
    let made =
        Signature::new(Algorithm::SkEd25519, [made.as_bytes(), &trailer].concat()).expect("a signature");
    let signature = SshSig::new(public.clone(), NAMESPACE, HashAlg::Sha512, made).expect("a signature");
    (public, signature.to_pem(LineEnding::LF).expect("an armor").into_bytes())
}

#[test]
fn a_security_key_must_have_been_touched() {
    let (public, touched) = sign_with_security_key(&key(3), 1, b"x");
    let (_, untouched) = sign_with_security_key(&key(3), 0, b"x");
    let line = ssh_key::PublicKey::from(public).to_openssh().expect("a key");
    let signers = signers(&format!("alice@example.org {line}\n"));
    assert!(signers.verify(NAMESPACE, b"x", &touched, now()).is_ok());
    assert!(matches!(signers.verify(NAMESPACE, b"y", &touched, now()), Err(SignatureError::Tampered { .. })));
    insta::assert_snapshot!(said(signers.verify(NAMESPACE, b"x", &untouched, now())));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_of_the_file_panic(text in "[a-z@*?!,\" \t\n\r=#\\\\\\-]{0,120}|\\PC{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let with_key = format!("{text} {}", public(&key(1)));
        for bytes in [text.as_bytes(), with_key.as_bytes(), &bytes] {
            if let Err(problems) = AllowedSigners::parse_in("x", bytes, &TimeZone::UTC) {
                prop_assert!(!problems.plain().is_empty());
            }
        }
    }

    #[test]
    fn what_is_cut_from_or_changed_in_a_signature_never_counts(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let alice = key(1);
        let signers = signers(&format!("alice@example.org {}\n", public(&alice)));
        let good = sign(&alice, NAMESPACE, b"x");
        let mut bad = good.clone();
        let at = at.index(bad.trim_ascii_end().len());
        if cut { bad.truncate(at) } else { bad[at] = byte }
        let same = bad == good || bad.iter().filter(|b| !b.is_ascii_whitespace()).eq(good.iter().filter(|b| !b.is_ascii_whitespace()));
        if !same {
            prop_assert!(signers.verify(NAMESPACE, b"x", &bad, now()).is_err());
        }
    }

    #[test]
    fn garbage_is_no_signature(bytes in prop::collection::vec(any::<u8>(), 0..200), armored in any::<bool>()) {
        let signers = signers(&format!("alice@example.org {}\n", public(&key(1))));
        let body: String = bytes.iter().map(|byte| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef0123456789+/=\n"[usize::from(*byte) % 46])).collect();
        let text = format!("-----BEGIN SSH SIGNATURE-----\nU1NIU0lH{body}\n-----END SSH SIGNATURE-----\n");
        let bytes = if armored { text.as_bytes() } else { &bytes };
        prop_assert!(signers.verify(NAMESPACE, b"x", bytes, now()).is_err());
    }
}
