//! Every message that a person can see about a plan or an inventory: `x.toml` beside `x.err`.
//!
//! `UPDATE_UI=1 cargo test -p runner-model --test ui` writes the `.err` files anew; read each of them as the person
//! who gets to see it.

use runner_model::diagnostic::Look;
use runner_model::{Inventory, Plan, Problems};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const LOOK: Look = Look { colour: false, width: 110 };

fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui").join(folder);
    let mut cases: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "no case in {}", folder.display());
    cases
}

/// Runs every case of a folder and compares what it says with the `.err` file beside it.
fn compare(folder: &str, says: impl Fn(&str, &[u8], &Path) -> Option<String>) {
    let update = std::env::var_os("UPDATE_UI").is_some();
    let mut wrong = String::new();
    for case in cases(folder) {
        let name = case.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8");
        let bytes = std::fs::read(&case).expect("a readable case");
        let said = says(name, &bytes, &case).unwrap_or_else(|| "nothing is wrong\n".to_owned());
        let golden = case.with_extension("err");
        if update {
            std::fs::write(&golden, &said).expect("a writable case");
            continue;
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if expected != said {
            let _ = writeln!(wrong, "== {name}\n-- expected\n{expected}-- said\n{said}");
        }
    }
    assert!(wrong.is_empty(), "messages have changed (UPDATE_UI=1 writes them anew):\n{wrong}");
}

fn render(problems: &Problems) -> String {
    problems.render(LOOK)
}

#[test]
fn what_is_wrong_in_a_plan_is_said_with_place_cause_and_mend() {
    compare("plan", |name, bytes, _| Plan::parse(name, bytes).err().map(|problems| render(&problems)));
}

#[test]
fn what_is_wrong_in_an_inventory_is_said_with_place_cause_and_mend() {
    compare("inventory", |name, bytes, _| {
        Inventory::parse(name, bytes).err().map(|problems| render(&problems))
    });
}
