//! The manifest of a release: one text for each tree, and no path in it that leads out.

#![no_main]

use libfuzzer_sys::fuzz_target;
use runner_artifact::{Tree, listing};

fuzz_target!(|bytes: &[u8]| {
    let _ = listing::parse_sha256sum(bytes);
    let Ok(tree) = Tree::parse(bytes) else { return };
    let text = tree.to_text();
    let again = Tree::parse(text.as_bytes()).expect("a manifest reads what it writes");
    assert_eq!((again.digest(), again.to_text()), (tree.digest(), text));
    for (path, _) in tree.entries() {
        assert!(!path.as_str().starts_with('/'), "{path}");
        assert!(path.segments().all(|segment| !["", ".", ".."].contains(&segment)), "{path}");
    }
    let _ = (tree.size(), tree.check_links().map_err(|link| link.to_string()), listing::check_list(&tree));
});
