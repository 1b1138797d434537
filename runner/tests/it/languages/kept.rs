//! The components of contract 0.1, as they were when it was frozen: this runner runs them, and so must every later one.

use super::{Candidate, manifest, suite};
use std::path::Path;

fn kept() -> Vec<Candidate> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/languages/kept/0.1");
    let mut all: Vec<Candidate> = std::fs::read_dir(&folder)
        .expect("the kept components")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().replace(".wasm.zst", "");
            let bytes = zstd::decode_all(std::fs::File::open(&path).expect("a file")).expect("zstd");
            Candidate { name, bytes }
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

#[test]
fn the_components_of_contract_0_1_do_what_they_did() {
    let kept = kept();
    let names: Vec<&str> = kept.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["c", "go", "javascript", "python", "rust", "typescript", "zig"]);
    manifest::same(&kept);
    suite::passes(&kept);
}
