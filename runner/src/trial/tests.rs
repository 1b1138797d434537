//! What tests write of calls is what calls are called.

use runner_model::trial::CALLS;
use std::collections::BTreeSet;
use std::path::Path;

/// Every name of a call in the sources of the sandbox.
fn called() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sandbox");
    let mut names = BTreeSet::new();
    for file in std::fs::read_dir(folder).expect("the sandbox").flatten() {
        let text = std::fs::read_to_string(file.path()).unwrap_or_default();
        for (at, _) in text.match_indices('"') {
            let word = text[at + 1..].split('"').next().unwrap_or_default();
            let plain = |c: char| c.is_ascii_lowercase() || c == '-';
            let interfaces = [
                "targets",
                "commands",
                "http",
                "sockets",
                "secrets",
                "artifacts",
                "workspace",
                "releases",
                "timer",
            ];
            if let Some((interface, name)) = word.split_once('.')
                && interfaces.contains(&interface)
                && !name.is_empty()
                && name.chars().all(plain)
            {
                names.insert(word.to_owned());
            }
        }
    }
    names
}

#[test]
fn faults_can_be_at_every_call_that_can_fail() {
    let mut known: BTreeSet<String> = CALLS.iter().map(|call| (*call).to_owned()).collect();
    // A clock cannot fail.
    assert!(known.insert("timer.now".to_owned()));
    assert_eq!(known, called());
}
