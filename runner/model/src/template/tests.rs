use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn template(text: &str) -> Template {
    Template::parse(text).expect(text)
}

/// `var.*` is known, `target.*` comes later, and nothing else is there.
fn scope(reference: &Reference) -> Lookup {
    match reference {
        Reference::Var(name) => match name.as_str() {
            "text" => Lookup::Value(json!("a$")),
            "tricky" => Lookup::Value(json!("${plan.name}")),
            "number" => Lookup::Value(json!(5)),
            "list" => Lookup::Value(json!(["a", "b"])),
            _ => Lookup::Unknown { suggestion: Some("var.text".to_owned()) },
        },
        Reference::Target(_) => Lookup::Symbolic,
        _ => Lookup::Unknown { suggestion: None },
    }
}

#[test]
fn every_reference_reads_back_what_it_prints() {
    for text in [
        "var.a-b_c",
        "plan.name",
        "environment",
        "run.id",
        "release.root",
        "release.id",
        "release.artifact",
        "release.shared",
        "release.keep",
        "target.name",
        "target.address",
        "target.host",
        "target.port",
        "target.user",
        "target.vars.x",
        "target.facts.os",
        "target.facts.disk-free",
        "target.facts.has-zstd",
        "package.artifact",
        "smoke-test.body",
    ] {
        let reference: Reference = text.parse().expect(text);
        assert_eq!(reference.to_string(), text);
    }
}

#[test]
fn a_wrong_reference_says_what_was_meant() {
    let hint = |text: &str| {
        let error = Template::parse(text).expect_err(text);
        format!("{}..{}: {error}\nhint: {}", error.offset, error.offset + error.length, error.hint())
    };
    insta::assert_snapshot!(hint("at ${release.rot}/x"), @r"
    3..17: there is no `release.rot`
    hint: did you mean `${release.root}`?
    ");
    insta::assert_snapshot!(hint("é${enviroment}"), @r"
    2..15: there is no `enviroment`
    hint: did you mean `${environment}`?
    ");
    insta::assert_snapshot!(hint("${release}"), @r"
    0..10: there is no `release`
    hint: did you mean `${release.root}`?
    ");
    insta::assert_snapshot!(hint("${var.x"), @r"
    0..7: `${` has no `}`
    hint: write `$${` for the two characters themselves
    ");
    insta::assert_snapshot!(hint("${}"), @r"
    0..3: a reference is empty
    hint: a reference is written like `${var.NAME}`, `${release.root}`, `${target.name}` or `${STEP.OUTPUT}`
    ");
    insta::assert_snapshot!(hint("${ var.x }"), @r"
    0..10: ` var.x ` is not a reference: `${scope.name}` with letters, digits, `-` and `_`
    hint: a reference is written like `${var.NAME}`, `${release.root}`, `${target.name}` or `${STEP.OUTPUT}`
    ");
    insta::assert_snapshot!(hint("${target.facts.distro}"), @r"
    0..22: there is no `target.facts.distro`
    hint: facts of a target are `os`, `arch`, `distribution`, `user`, `hostname`, `init`, `service-manager`, `disk-free` and `has-PROGRAM`
    ");
    insta::assert_snapshot!(hint("${target.facts.archh}"), @r"
    0..21: there is no `target.facts.archh`
    hint: did you mean `${target.facts.arch}`?
    ");
    insta::assert_snapshot!(hint("${a.b.c}"), @r"
    0..8: there is no `a.b.c`
    hint: a reference is written like `${var.NAME}`, `${release.root}`, `${target.name}` or `${STEP.OUTPUT}`
    ");
}

#[test]
fn dollars_before_a_brace_come_in_pairs() {
    let pieces = |text: &str| template(text).pieces().to_vec();
    let text = |text: &str| Piece::Text(text.to_owned());
    let x = || Piece::Reference(Reference::Var("x".to_owned()));
    assert_eq!(pieces("$${var.x}"), [text("${var.x}")]);
    assert_eq!(pieces("$$${var.x}"), [text("$"), x()]);
    assert_eq!(pieces("$$$${var.x}"), [text("$${var.x}")]);
    assert_eq!(pieces("$5 {a} $$ }$"), [text("$5 {a} $$ }$")]);
    assert_eq!(pieces("${var.x}${var.x}"), [x(), x()]);
}

#[test]
fn a_string_that_is_one_reference_keeps_the_type() {
    assert_eq!(template("${var.list}").resolve(&scope), Ok(json!(["a", "b"])));
    assert_eq!(template("${var.number}").resolve(&scope), Ok(json!(5)));
    assert_eq!(template("x${var.number}").resolve(&scope), Ok(json!("x5")));
    let error = template("x-${var.list}").resolve(&scope).expect_err("an array inside text");
    assert_eq!(error.to_string(), "`${var.list}` is an array, and cannot stand inside text");
    assert_eq!(error.offset, 2);
}

#[test]
fn what_is_filled_in_is_never_read_again() {
    let once = template("${var.tricky}/${target.name}").resolve_partly(&scope).expect("known or later");
    let ValueTemplate::Text(once) = once else { panic!("text stays text") };
    assert_eq!(once.to_string(), "$${plan.name}/${target.name}");
    assert_eq!(once.references().count(), 1);
    assert_eq!(Template::parse(&once.to_string()), Ok(once));
    assert_eq!(template("${var.tricky}").resolve(&scope), Ok(json!("${plan.name}")));
    // The dollar at the end of the value must not become part of the reference behind it.
    let once = template("${var.text}${target.name}").resolve_partly(&scope).expect("known or later");
    let Value::String(printed) = Value::from(once) else { panic!("text stays text") };
    assert_eq!(printed, "a$$${target.name}");
}

#[test]
fn what_is_missing_is_named_with_its_place() {
    let value = ValueTemplate::parse(&json!({"with": {"a/b": ["ok", "x ${var.txt}"]}})).expect("well formed");
    let error = value.resolve(&scope).expect_err("no such variable");
    assert_eq!((error.pointer.as_str(), error.offset), ("/with/a~1b/1", 2));
    assert_eq!(error.why, WhyUnresolved::Unknown { suggestion: Some("var.text".to_owned()) });

    let value = ValueTemplate::parse(&json!(["${var.text}${target.name}"])).expect("well formed");
    let error = value.resolve(&scope).expect_err("not known yet");
    assert_eq!((error.pointer.as_str(), error.offset), ("/0", 11));
    assert_eq!(error.to_string(), "`${target.name}` is known only while the plan runs");

    let error = ValueTemplate::parse(&json!({"a": [1, "${b"]})).expect_err("not closed");
    assert_eq!((error.pointer.as_str(), error.error.offset), ("/a/1", 0));
}

#[test]
fn spans_point_at_the_references() {
    let written = "$${é} ${var.x}/${target.name}";
    let parsed = template(written);
    let found: Vec<&str> = parsed.spans().map(|(span, _)| &written[span]).collect();
    assert_eq!(found, ["${var.x}", "${target.name}"]);
}

proptest! {
    #[test]
    fn printing_gives_back_what_was_read(text in "([$]{0,4}[{]?(var\\.a|target.name|b)?[}]?[é $]?){0,5}") {
        if let Ok(parsed) = Template::parse(&text) {
            prop_assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn any_text_can_be_written(before in "[${}a]{0,8}", after in "[${}a]{0,8}") {
        let mut built = Template::literal(before);
        built.push(Piece::Reference(Reference::PlanName));
        built.push(Piece::Text(after));
        prop_assert_eq!(Template::parse(&built.to_string()), Ok(built));
    }

    #[test]
    fn nothing_makes_the_parser_panic(text in "\\PC{0,40}") {
        let _ = Template::parse(&text);
    }
}
