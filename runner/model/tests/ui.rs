//! Every message that a person can see about a plan or an inventory: `x.toml` beside `x.err`.
//!
//! `UPDATE_UI=1 cargo test -p runner-model --test ui` writes the `.err` files anew; read each of them as the person
//! who gets to see it.

use runner_model::diagnostic::Style;
use runner_model::{Digest, Inventory, LoadedModule, Manifest, ModuleRef, Modules, Plan, Problems, check};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const STYLE: Style = Style { colour: false, width: 110 };

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
    problems.render(STYLE)
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

/// The modules that checked plans can use.
fn modules() -> BTreeMap<ModuleRef, LoadedModule> {
    let all: Vec<Manifest> = serde_json::from_str(include_str!("ui/modules.json")).expect("manifests");
    let loaded =
        |manifest: Manifest| LoadedModule { digest: Digest::of(&manifest.name), manifest, pinned: None };
    let mut modules: BTreeMap<_, _> = all
        .into_iter()
        .map(|manifest| (ModuleRef::Builtin(manifest.name.clone()), loaded(manifest)))
        .collect();
    let own = modules[&ModuleRef::Builtin("command".to_owned())].clone();
    modules.insert(ModuleRef::Path("steps/own.wasm".to_owned()), own);
    modules
}

/// The first lines of a case say what it is checked with: `# inventory: x.toml`, `# var: name=value`.
fn directives<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines()
        .map_while(|line| line.strip_prefix("# "))
        .filter_map(move |line| line.strip_prefix(key)?.strip_prefix(": "))
}

#[test]
fn what_does_not_fit_together_is_said_with_place_cause_and_mend() {
    let loaded = modules();
    let failed = BTreeMap::from([(
        ModuleRef::Path("steps/broken.wasm".to_owned()),
        "it is not a component: it is a core module".to_owned(),
    )]);
    let builtin: Vec<&str> = loaded
        .keys()
        .filter_map(|module| match module {
            ModuleRef::Builtin(name) => Some(name.as_str()),
            ModuleRef::Path(_) | ModuleRef::Oci(_) => None,
        })
        .collect();
    let modules = Modules { loaded: &loaded, failed: &failed, builtin: &builtin };
    compare("check", |name, bytes, case| {
        let text = std::str::from_utf8(bytes).expect("a case in UTF-8");
        let (plan, mut all) = match Plan::read(name, bytes) {
            Ok(read) => read,
            Err(problems) => panic!("{name} belongs into `ui/plan`:\n{problems}"),
        };
        let inventory = directives(text, "inventory").next().unwrap_or("staging.toml");
        let file = case.with_file_name("inventory").join(inventory);
        let (inventory, more) = Inventory::read(inventory, &std::fs::read(file).expect("an inventory"));
        all.extend(more);
        let environment =
            directives(text, "environment").next().unwrap_or("staging").parse().expect("a name");
        let given = directives(text, "var").map(|var| var.split_once('=').expect("name=value"));
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let checked = check(&plan, &environment, &inventory, modules, &given);
        all.extend(match checked {
            Ok(resolved) => resolved.warnings,
            Err(problems) => problems,
        });
        let all = all.or(None::<()>).expect_err("no value was given");
        (!all.is_empty()).then(|| render(&all))
    });
}
