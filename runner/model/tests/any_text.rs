//! Whatever is in a file: it is read or refused, never more than that.

use proptest::prelude::*;
use runner_model::diagnostic::Style;
use runner_model::policy::Policy;
use runner_model::{Inventory, Lock, Plan, Problems};

/// Everything that a person could be shown is made, so that none of it panics either.
fn show(problems: &Problems) {
    for problem in problems {
        let _ =
            (problem.to_string(), problem.line_and_column(), serde_json::to_string(problem).expect("JSON"));
    }
    let rendered = problems.render(Style { colour: false, width: 80 });
    assert!(rendered.chars().all(|c| !c.is_control() || c == '\n' || c == '\t' || c == '\r'), "{rendered:?}");
    assert!(!problems.plain().is_empty());
}

fn read(bytes: &[u8]) {
    for problems in [
        Plan::parse("plan.toml", bytes).err(),
        Inventory::parse("staging.toml", bytes).err(),
        Policy::parse("policy.toml", bytes).err(),
        Lock::parse("plan.lock", bytes).err(),
    ]
    .into_iter()
    .flatten()
    {
        show(&problems);
    }
}

/// Pieces that plans are made of, so that more than the first line is reached.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("plan = 1\n".to_owned()),
        Just("inventory = 1\n".to_owned()),
        Just("name = \"shop\"\n".to_owned()),
        "(\\[|\\[\\[)(environment|release|strategy|prepare|rollout|group|target|ssh|limits|vars|modules)(\\.[a-z]{1,3})?(\\]|\\]\\])\n",
        "(id|uses|with|on|once|retry|batches|role|root|shared|address|jump|port|service-command|targets|allow) = ",
        "\"[^\"\\\\\n]{0,12}\"\n",
        "\"\\$\\{[a-z.]{0,12}\\}?\"\n",
        "(\\[|\\{|\\}|\\]|,|=|-?[0-9]{1,20}|true|inf|nan|1979-05-27)\n?",
        "\\PC{0,8}",
        "[\u{0}-\u{ff}\u{202e}]{0,4}",
    ]
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,200}") {
        read(text.as_bytes());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read(&bytes);
    }

    #[test]
    fn text_that_looks_like_a_plan_is_read_or_refused(pieces in proptest::collection::vec(piece(), 0..30)) {
        read(pieces.concat().as_bytes());
    }

    #[test]
    fn a_good_plan_with_a_change_somewhere_is_read_or_refused(at in 0_usize..1200, with in "\\PC{0,3}", cut in 0_usize..9) {
        let good = include_str!("ui/plan/good.toml");
        let mut text: Vec<char> = good.chars().collect();
        let at = at.min(text.len());
        let end = (at + cut).min(text.len());
        text.splice(at..end, with.chars());
        read(text.into_iter().collect::<String>().as_bytes());
    }
}

#[test]
fn a_file_of_ten_megabytes_is_refused_with_the_limit() {
    let bytes = vec![b'#'; 10 * 1024 * 1024];
    let problems = Plan::parse("plan.toml", &bytes).expect_err("too large");
    insta::assert_snapshot!(problems.plain(), @r"
    plan.toml: the file has 10485760 bytes, more than the 1048576 (1 MiB) that are read
      hint: is it the right file? what is large belongs into an artifact
    ");
}

#[test]
fn very_many_problems_are_all_counted() {
    use std::fmt::Write as _;
    let mut text = String::from("plan = 1\n");
    for number in 0..40_000 {
        let _ = writeln!(text, "unknown-key-{number} = 1");
    }
    let problems = Plan::parse("plan.toml", text.as_bytes()).expect_err("unknown keys");
    assert_eq!(problems.len(), 40_002);
    show(&problems);
}
