use super::*;
use proptest::prelude::*;

fn laid_out(text: &str) -> String {
    format("plan.toml", text.as_bytes()).unwrap_or_else(|problems| panic!("{problems}"))
}

const UGLY: &str = r#"

# A file that has seen hands.
plan=1
name   =  'shop'
  summary = 'say "hi"'   # said


"quoted"={a=1,b  = [ 1,2 ],c={}}
path = 'C:\dir'
text = """
  as it
 is"""
long = ["a long word to fill the line", "another long word for the line", "and a third one that is too much", "x", "y", "z"]
short = [
  1,
  2 ]
said = [ # of the list
  # above the first
  1, # beside the first
  2
  # below the last
]
a . b . c = 0x1F
# the end of the first part

[ environment . staging ]   # where
inventory="staging.toml"
[environment."b c"]


inventory = { command=["./hosts.sh", "--list", "--environment", "staging", "--region", "eu-central-1"], env = ["AWS_PROFILE"] }
# about the step

# more about it
[[rollout]]
id="x"


[[rollout]]
    id="y"
    with={a=1}
  # nothing more"#;

#[test]
fn a_file_has_one_layout() {
    insta::assert_snapshot!(laid_out(UGLY));
}

#[test]
fn a_layout_is_kept_and_so_is_what_is_given_without_one() {
    for text in [
        UGLY,
        "",
        "\n\n",
        "# only a comment",
        "a = 1\r\nb = 2\r\n",
        "\u{feff}a = 1",
        "[a]\n[b]\n[a.c]\nx = 1\n",
    ] {
        let once = laid_out(text);
        assert_eq!(laid_out(&once), once, "{text:?}");
    }
    assert_eq!(laid_out("a = 1\r\nb = 2\r\n"), "a = 1\nb = 2\n");
    assert_eq!(laid_out("# only a comment"), "# only a comment\n");
    assert_eq!(laid_out("\n\n"), "");
}

#[test]
fn the_files_of_this_project_are_laid_out() {
    for (name, text) in [
        ("examples/web/plan.toml", include_str!("../../../../examples/web/plan.toml")),
        ("examples/web/production.toml", include_str!("../../../../examples/web/production.toml")),
    ] {
        assert_eq!(laid_out(text), text, "{name}");
    }
}

#[test]
fn what_is_no_toml_is_refused_with_its_place() {
    let said = |text: &[u8]| format("plan.toml", text).expect_err("refused").plain();
    assert!(said(b"a = 1\nb = [\n").starts_with("plan.toml:"), "{}", said(b"a = 1\nb = [\n"));
    assert!(said(b"a = 1\na = 2\n").starts_with("plan.toml:2:1: "), "{}", said(b"a = 1\na = 2\n"));
    assert!(said(b"\xff").contains("UTF-8"));
    // Order is meaning, and these keys cannot be printed in theirs.
    insta::assert_snapshot!(said(b"a.x = 1\nb = 2\na.y = 3\n"));
}

/// Files with everything that TOML has, a comment everywhere, and odd space.
fn any_file() -> impl Strategy<Value = String> {
    let space = "[ \t]{0,2}";
    let scalar = prop_oneof![
        "[0-9]{1,3}".prop_map(|digits| format!("1{digits}")),
        Just("true".to_owned()),
        Just("1979-05-27T07:32:00Z".to_owned()),
        Just("-inf".to_owned()),
        "[a-z$\\{\\}. #]{0,12}".prop_map(|text| format!("'{text}'")),
        "[a-z #]{0,12}".prop_map(|text| format!("\"{text}\\t\\u00e9\"")),
        "[a-z\n #\"]{0,10}[a-z]".prop_map(|text| format!("\"\"\"\n{text}\"\"\"")),
        "[a-z\n #\\\\]{0,10}".prop_map(|text| format!("'''{text}'''")),
    ];
    let value = scalar.prop_recursive(3, 20, 5, move |inner| {
        let gap = prop_oneof![
            Just(String::new()),
            Just("\n\n  ".to_owned()),
            Just(" # c\n ".to_owned()),
            Just("\n # d\n # e\n".to_owned())
        ];
        let element = (gap.clone(), inner.clone(), gap.clone()).prop_map(|(a, b, c)| format!("{a}{b}{c}"));
        prop_oneof![
            (prop::collection::vec(element, 0..5), gap, any::<bool>()).prop_map(|(elements, gap, comma)| {
                let comma = if comma && !elements.is_empty() { "," } else { "" };
                format!("[{}{comma}{gap}]", elements.join(","))
            }),
            prop::collection::vec(inner, 0..4).prop_map(|values| {
                let pairs = values.iter().enumerate().map(|(index, value)| format!("k{index} ={value}"));
                format!("{{{}}}", pairs.collect::<Vec<_>>().join(" , "))
            }),
        ]
    });
    let pair = (space, space, value, "( # beside)?", "(\n|\n\n\n| \n# above\n|\n#\n\n)")
        .prop_map(|(a, b, v, c, d)| (format!("{a}KEY{b}={b}{v}{c}"), d));
    let table = (prop::collection::vec(pair, 0..5), 0..4_u8, "( # header)?");
    prop::collection::vec(table, 0..5).prop_map(|tables| {
        let mut text = String::new();
        for (number, (pairs, kind, comment)) in tables.into_iter().enumerate() {
            match kind {
                0 if number == 0 => {}
                1 => text.push_str(&format!("[[ list . l{} ]]{comment}\n", number % 2)),
                2 => text.push_str(&format!("  [t{number}.\"a b\" .x]{comment}\n")),
                _ => text.push_str(&format!("[t{number}]{comment}\n")),
            }
            for (index, (pair, after)) in pairs.into_iter().enumerate() {
                let key = match index % 3 {
                    0 => format!("k{index}"),
                    1 => format!("\"k {index}\""),
                    _ => format!("d{index} . 'x'"),
                };
                text.push_str(&pair.replacen("KEY", &key, 1));
                text.push_str(&after);
            }
        }
        text
    })
}

/// All words that comments of [`any_file`] are made of, sorted.
fn comments(text: &str) -> usize {
    ["# c", "# d", "# e", "# beside", "# above", "# header"]
        .iter()
        .map(|word| text.matches(word).count())
        .sum()
}

proptest! {
    #[test]
    fn a_layout_says_the_same_and_is_laid_out(text in any_file()) {
        if let Ok(once) = format("plan.toml", text.as_bytes()) {
            prop_assert_eq!(same::difference(&text, &once), None);
            prop_assert_eq!(comments(&text), comments(&once), "{}", once);
            let twice = format("plan.toml", once.as_bytes()).map_err(|p| TestCaseError::fail(p.to_string()))?;
            prop_assert_eq!(&twice, &once);
        } else {
            // What is made here is TOML, unless a name came twice.
            prop_assert!(toml::from_str::<toml::Table>(&text).is_err(), "{}", text);
        }
    }

    #[test]
    fn any_text_is_laid_out_or_refused(text in "([a-c]|[=\\[\\]{},.#\"'\n ]){0,40}") {
        if let Ok(once) = format("plan.toml", text.as_bytes()) {
            prop_assert_eq!(same::difference(&text, &once), None);
            prop_assert_eq!(format("plan.toml", once.as_bytes()).ok(), Some(once));
        }
    }
}
