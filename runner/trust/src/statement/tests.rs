//! What a statement looks like, and what is none.

use super::*;
use jiff::Timestamp;
use proptest::prelude::*;
use runner_model::grant::GrantSet;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn vetting() -> Vetting {
    Vetting {
        component: Digest::of("the component"),
        name: Some("greet 1.2.0".to_owned()),
        reviewer: "security@example.org".to_owned(),
        reviewed_at: at("2026-06-01T12:00:00Z"),
        expires: at("2027-06-01T00:00:00Z"),
        ceiling: GrantSet::from_lists(["write:/srv", "service:nginx reload"], ["read:src"], [])
            .and_then(|set| set.with_secrets(["db-password"]))
            .expect("grants"),
        note: Some("read line by line".to_owned()),
    }
}

fn revocation() -> Revocation {
    Revocation {
        of: Digest::of("a vetting"),
        reason: "it follows links out of its folder".to_owned(),
        revoked_at: at("2026-07-01T12:00:00Z"),
    }
}

#[test]
fn a_statement_reads_back_what_it_writes() {
    let bytes = vetting().to_bytes().expect("well formed");
    insta::assert_snapshot!(String::from_utf8(bytes.clone()).expect("text"));
    assert_eq!(Statement::parse(&bytes), Ok(Statement::Vetting(vetting())));
    let bytes = revocation().to_bytes().expect("well formed");
    insta::assert_snapshot!(String::from_utf8(bytes.clone()).expect("text"));
    assert_eq!(Statement::parse(&bytes), Ok(Statement::Revocation(revocation())));
}

#[test]
fn what_is_no_vetting_is_refused_with_the_reason() {
    let good = String::from_utf8(vetting().to_bytes().expect("well formed")).expect("text");
    let digest = Digest::of("the component").hex();
    let one = format!("{{\"digest\": {{\"sha256\": \"{digest}\"}}}}");
    let mut report = String::new();
    for (from, to) in [
        ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"),
        ("runner:vetting/v1", "runner:vetting/v2"),
        ("runner:vetting/v1", "runner:revocation/v1"),
        (digest.as_str(), "BA78"),
        ("\"subject\": [", &format!("\"subject\": [{one},") as &str),
        ("\"sha256\"", "\"sha512\""),
        ("\"reviewer\": \"security@example.org\",", ""),
        (
            "\"reviewer\": \"security@example.org\",",
            "\"reviewer\": \"a\", \"reviewer\": \"security@example.org\",",
        ),
        ("security@example.org", "*@example.org"),
        ("security@example.org", "two words"),
        ("2027-06-01T00:00:00Z", "2026-06-01T00:00:00Z"),
        ("2027-06-01T00:00:00Z", "never"),
        ("write:/srv", "wriet:/srv"),
        ("write:/srv", "write:/srv/${target.name}"),
        ("\"secrets\"", "\"sockets\""),
        ("read line by line", "\\u001b[2J"),
        ("greet 1.2.0", ""),
        ("\"note\"", "\"except\""),
    ] {
        assert!(good.contains(from), "{from}");
        let error = Vetting::parse(good.replacen(from, to, 1).as_bytes()).expect_err(to);
        report.push_str(&format!("{error}\n"));
    }
    for bytes in [&b""[..], b"[]", b"{}", &[0xff], &vec![b' '; LONGEST + 1]] {
        report.push_str(&format!("{}\n", Statement::parse(bytes).expect_err("none")));
    }
    let unknown = good.replacen("runner:vetting/v1", "https://slsa.dev/provenance/v1", 1);
    report.push_str(&format!("{}\n", Statement::parse(unknown.as_bytes()).expect_err("none")));
    insta::assert_snapshot!(report);
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    let vettings = [
        Vetting { reviewer: String::new(), ..vetting() },
        Vetting { note: Some("a\nb".to_owned()), ..vetting() },
        Vetting { expires: vetting().reviewed_at, ..vetting() },
        Vetting {
            ceiling: GrantSet::from_lists(["read:/srv/${target.name}"], [], []).expect("grants"),
            ..vetting()
        },
        Vetting { note: Some("x".repeat(2001)), ..vetting() },
    ];
    for vetting in vettings {
        assert!(vetting.to_bytes().is_err(), "{vetting:?}");
    }
    assert!(Revocation { reason: String::new(), ..revocation() }.to_bytes().is_err());
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(at in any::<prop::sample::Index>(), with in "\\PC{0,6}|[\"{}\\[\\],:]{0,6}", bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = Statement::parse(&bytes).map_err(|error| error.to_string());
        let good = String::from_utf8(vetting().to_bytes().expect("well formed")).expect("text");
        let place = at.index(good.len());
        let changed = format!("{}{with}{}", &good[..place], &good[place..]);
        if let Ok(Statement::Vetting(read)) = Statement::parse(changed.as_bytes()) {
            prop_assert_eq!(Statement::parse(&read.to_bytes().expect("well formed")), Ok(Statement::Vetting(read)));
        }
    }
}
