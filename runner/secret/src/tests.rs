use super::*;
use proptest::prelude::*;
use runner_model::HIDDEN;

fn name(text: &str) -> SecretName {
    text.parse().expect("a name")
}

fn value(text: &str) -> Value {
    Value::new(Zeroizing::new(text.as_bytes().to_vec())).expect("a value")
}

fn vault(values: &[&str]) -> Vault {
    let values = values.iter().enumerate();
    Vault::new(values.map(|(number, text)| (name(&format!("s{number}")), value(text))).collect())
}

fn revealed(vault: &Vault, secret: &Secret) -> String {
    vault.reveal(secret).expect("revealed").as_str().to_owned()
}

#[test]
fn what_is_made_of_a_secret_is_made_of_its_value() {
    let vault = vault(&["hunter2 é", "second"]);
    let (first, second) = (Secret::named(name("s0")), Secret::named(name("s1")));
    let bearer = first.clone().wrapped("Bearer ".to_owned(), "!".to_owned());
    assert_eq!(revealed(&vault, &bearer), "Bearer hunter2 é!");
    assert_eq!(revealed(&vault, &first.clone().appended(&second)), "hunter2 ésecond");
    assert_eq!(revealed(&vault, &first.clone().url_encoded()), "hunter2%20%C3%A9");
    let basic = second.wrapped("user:".to_owned(), String::new()).base64();
    assert_eq!(revealed(&vault, &basic), "dXNlcjpzZWNvbmQ=");
    let unknown = vault.reveal(&Secret::named(name("other"))).expect_err("not there");
    assert!(unknown.message.contains("`other`"), "{unknown}");
}

#[test]
fn what_cannot_be_hidden_cannot_be_a_value() {
    let bad = |bytes: &[u8]| Value::new(Zeroizing::new(bytes.to_vec())).expect_err("bad");
    assert_eq!(bad(b""), BadValue::Empty);
    assert_eq!(bad(b"\n\r\n"), BadValue::Empty);
    assert_eq!(bad(b"12345\n"), BadValue::Short);
    assert_eq!(bad(b"12345\0"), BadValue::Nul);
    assert_eq!(bad(b"\xff12345"), BadValue::NotText);
    assert_eq!(bad(&vec![b'x'; LARGEST + 1]), BadValue::Large);
    assert_eq!(value("123456\r\n\n").text(), "123456");
    assert_eq!(format!("{:?}", value("123456")), "***");
}

#[test]
fn usual_forms_are_hidden() {
    let secret = "p@ss \"w'ord\\/1";
    let vault = vault(&[secret]);
    let base64 = |text: &str| STANDARD.encode(text);
    for text in [
        secret.to_owned(),
        serde_json::to_string(secret).expect("JSON"),
        format!("{secret:?}"),
        "p%40ss%20%22w%27ord%5C%2F1".to_owned(),
        "p%40ss%20%22w%27ord%5c%2f1".to_owned(),
        "p%40ss+%22w%27ord%5C%2F1".to_owned(),
        "'p@ss \"w'\\''ord\\/1'".to_owned(),
    ] {
        let hidden = vault.hide(format!("<{text}>"));
        assert!(hidden.contains(HIDDEN) && !hidden.contains("ord"), "{text}: {hidden}");
    }
    for around in ["", "a", "ab", "abc", "user:"] {
        let text = base64(&format!("{around}{secret}{around}"));
        let hidden = vault.hide(text.clone());
        assert!(hidden.contains(HIDDEN), "{text}: {hidden}");
        // At either end a letter may be left that is of the neighbour too: two bits.
        assert!(hidden.len() <= HIDDEN.len() + 2 * around.len() * 4 / 3 + 8, "{text}: {hidden}");
    }
}

#[test]
fn every_line_of_a_key_is_hidden_by_itself() {
    let vault = vault(&["-----BEGIN KEY-----\nAAAABBBBCCCC\n  DDDDEEEEFFFF\nxy\n-----END KEY-----"]);
    assert_eq!(vault.hide("line: DDDDEEEEFFFF, AAAABBBBCCCC"), "line: ***, ***");
    assert_eq!(vault.hide("xy"), "xy");
}

#[test]
fn an_encoding_of_several_secrets_is_hidden_once_it_was_used() {
    let vault = vault(&["abcdef", "ghijkl"]);
    let both = Secret::named(name("s0")).appended(&Secret::named(name("s1"))).base64().base64();
    let made = revealed(&vault, &both);
    assert_eq!(vault.hide(format!("x {made} y")), "x *** y");
}

#[test]
fn what_could_not_be_hidden_is_not_made() {
    let vault = vault(&["abcdef"]);
    let made = |number: u32| {
        vault.reveal(&Secret::named(name("s0")).wrapped(number.to_string(), String::new()).base64())
    };
    let refused = (0..20_000).find_map(|number| made(number).err()).expect("there is an end to it");
    assert!(refused.message.contains("more was made"), "{refused}");
    let last = made(0).expect("what is hidden already is still made");
    assert_eq!(vault.hide(format!("<{}>", last.as_str())), "<***>");
}

#[test]
fn digests_say_nothing_and_are_equal_for_equal_values() {
    let (one, other) = (vault(&["hunter22"]), vault(&["hunter22"]));
    let secret = Secret::named(name("s0"));
    let sealed = one.sealed(&secret).digest.expect("a digest");
    assert_eq!(one.sealed(&secret).digest, Some(sealed));
    assert_eq!(one.keyed(&Digest::of("hunter22")), sealed);
    assert_ne!(other.sealed(&secret).digest, Some(sealed), "another run has another key");
    assert_ne!(sealed, Digest::of("hunter22"));
}

#[test]
fn json_is_hidden_through_and_through() {
    let vault = vault(&["hunter22"]);
    let hidden =
        vault.hide_json(serde_json::json!({ "hunter22": ["a hunter22", { "b": "hunter22" }], "c": 1 }));
    assert_eq!(hidden, serde_json::json!({ "***": ["a ***", { "b": "***" }], "c": 1 }));
}

proptest! {
    /// The reference: mark every byte that an occurrence covers, then write each marked stretch as one `***`.
    #[test]
    fn a_stream_is_hidden_the_same_however_it_is_cut(
        text in "[abc]{0,60}",
        secrets in proptest::collection::vec("[abc]{6,9}", 1..4),
        cuts in proptest::collection::vec(1usize..7, 1..40),
    ) {
        let mask = Arc::new(Mask::of(secrets.iter().map(|secret| secret.as_bytes().to_vec()).collect()));
        let mut marked = vec![false; text.len()];
        for secret in &secrets {
            for at in 0..text.len() {
                if text[at..].starts_with(secret.as_str()) {
                    marked[at..at + secret.len()].fill(true);
                }
            }
        }
        let mut expected = String::new();
        for (at, letter) in text.char_indices() {
            match marked[at] {
                false => expected.push(letter),
                true if at == 0 || !marked[at - 1] => expected.push_str(HIDDEN),
                true => {}
            }
        }
        let mut stream = Stream::new(Arc::clone(&mask));
        let (mut out, mut rest) = (Vec::new(), text.as_bytes());
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            out.extend(stream.feed(now).into_bytes());
            rest = later;
        }
        out.extend(stream.feed(rest).into_bytes());
        out.extend(stream.finish().into_bytes());
        prop_assert_eq!(String::from_utf8(out).expect("text"), expected.clone());
        prop_assert_eq!(mask.hide(&text), expected);
    }
}
