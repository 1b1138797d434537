//! A line of grants: what is read writes itself as it is read, and covers no more when it is read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use runner_model::grant::{Ask, Capability, GrantSet, Layers, List};
use runner_model::RemotePath;

/// Reads each line as a grant of the list.
fn grants(list: List, text: &str) -> Option<GrantSet> {
    let lines = || text.lines();
    match list {
        List::Ssh => GrantSet::from_lists(lines(), [], []),
        List::Files => GrantSet::from_lists([], lines(), []),
        List::Http => GrantSet::from_lists([], [], lines()),
        List::Secrets => GrantSet::default().with_secrets(lines()),
    }
    .ok()
}

fuzz_target!(|text: &str| {
    for list in [List::Ssh, List::Files, List::Http, List::Secrets] {
        for line in text.lines() {
            if let Ok(capability) = Capability::parse(list, line) {
                let shown = capability.to_string();
                let again = Capability::parse(list, &shown).expect("a capability reads what it writes");
                assert_eq!(again.to_string(), shown);
            }
        }
        let Some(set) = grants(list, text) else { continue };
        let shown: Vec<String> = set.texts().into_iter().map(|(_, text)| text).collect();
        let again = grants(list, &shown.join("\n")).expect("grants read what they write");
        let shown_again: Vec<String> = again.texts().into_iter().map(|(_, text)| text).collect();
        assert_eq!(shown, shown_again);
        let layers = Layers::new(set, again);
        for path in ["/", "/srv/shop", "/etc/passwd", "/srv/shop/.runner/x"] {
            let path: RemotePath = path.parse().expect("a path");
            if path.segments().any(|segment| segment == ".runner") {
                assert!(layers.check(&Ask::Read(&path)).is_err(), "`.runner` is the runner's");
            }
            let _ = layers.check(&Ask::Read(&path)).map_err(|denial| denial.to_string());
            let _ = layers.check(&Ask::WriteTree(&path)).map_err(|denial| denial.to_string());
        }
        for write in [false, true] {
            let ask = Ask::File { write, path: "src/main.rs" };
            let _ = layers.check(&ask).map_err(|denial| denial.to_string());
        }
    }
});
