//! Every plan and inventory of the examples and of the documentation is read as it stands.

use runner_model::{Inventory, Plan};
use std::path::{Path, PathBuf};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() && !path.ends_with("target") {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
}

#[test]
fn every_plan_and_inventory_of_the_examples_is_good() {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples"), &mut found);
    let (mut plans, mut inventories) = (0, 0);
    for path in found {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path).expect("text");
        let begins = |key: &str| text.lines().any(|line| line.trim_end() == format!("{key} = 1"));
        if begins("plan") {
            Plan::parse(&name, text.as_bytes()).unwrap_or_else(|problems| panic!("{problems}"));
            plans += 1;
        } else if begins("inventory") {
            Inventory::parse(&name, text.as_bytes()).unwrap_or_else(|problems| panic!("{problems}"));
            inventories += 1;
        }
    }
    assert!(plans > 0 && inventories > 0, "{plans} plans and {inventories} inventories");
}
