//! A pattern of arguments and a command: what a pattern lets through keeps its promises.
//!
//! The first line is the pattern, each further one an argument.

#![no_main]

use libfuzzer_sys::fuzz_target;
use runner_model::EffectClass;
use runner_model::grant::{Ask, GrantSet, Layers};
use runner_model::policy::{EnvironmentPolicy, Trust};
use std::collections::BTreeMap;

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let pattern = lines.next().unwrap_or_default();
    let argv: Vec<String> = lines.map(str::to_owned).collect();
    let Ok(set) = GrantSet::from_lists([&*format!("exec-read:{pattern}")], [], []) else { return };
    let env = BTreeMap::new();
    let ask = Ask::Exec { class: EffectClass::Read, argv: &argv, env: &env };
    let layers = Layers::new(set.clone(), set.clone());
    if layers.check(&ask).is_err() {
        return;
    }
    // Without quotes the words of a pattern are what stands between its spaces.
    if pattern.chars().all(|c| !"'\"\\$".contains(c)) {
        let words: Vec<&str> = pattern.split_whitespace().collect();
        let open = words.last() == Some(&"**");
        let fixed = words.len() - usize::from(open);
        assert!(argv.len() == fixed || (open && argv.len() > fixed), "{pattern:?} let {argv:?} through");
        for (word, argument) in words[..fixed].iter().zip(&argv) {
            match word.strip_suffix('*') {
                Some("") => assert!(!argument.is_empty() && !argument.starts_with('-'), "{argument:?} is no `*`"),
                Some(option) => assert!(argument.starts_with(option), "{argument:?} is no {word:?}"),
                None => assert_eq!(word, argument),
            }
        }
    }
    let other = Ask::Exec { class: EffectClass::Opaque, argv: &argv, env: &env };
    assert!(layers.check(&other).is_err(), "the class belongs to the grant");
    // A ban is read more widely than a grant: what a grant lets through, the same words ban.
    let policy = EnvironmentPolicy {
        environment: "production".parse().expect("a name"),
        file: "policy.toml".to_owned(),
        inventory_commands: true,
        allow: None,
        deny: set,
        modules: Vec::new(),
        trust: Trust::default(),
        ceilings: BTreeMap::new(),
    };
    let banned = Layers { policy: Some(policy), ..layers };
    assert!(banned.check(&ask).is_err(), "{pattern:?} allows {argv:?} and does not ban it");
});
