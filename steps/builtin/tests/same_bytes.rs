//! The same sources give the same bytes in another folder, so that `plan.lock` holds on every machine.

use std::path::{Path, PathBuf};
use std::{fs, io};

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_file() {
            fs::copy(from, to)?;
        } else if entry.file_name() != "target" {
            copy(&from, &to)?;
        }
    }
    Ok(())
}

#[test]
fn a_module_does_not_depend_on_the_folder_that_it_is_built_in() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).expect("a workspace");
    let other = tempfile::tempdir().expect("a folder");
    let other = other.path().join("deeper/and deeper");
    for folder in ["sdk", "steps", "wit"] {
        copy(&root.join(folder), &other.join(folder)).expect(folder);
    }
    fs::copy(root.join("Cargo.lock"), other.join("Cargo.lock")).expect("the lock");

    // The same workspace, without the members that were not copied.
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("the manifest");
    let (before, rest) = manifest.split_once("members = [").expect("members");
    let (_, after) = rest.split_once(']').expect("the end of the members");
    let names: Vec<String> = runner_steps::MODULES.iter().map(|module| module.name.to_owned()).collect();
    let members: Vec<String> = names.iter().map(|name| format!("\"steps/{name}\"")).collect();
    let members = members.join(", ");
    fs::write(other.join("Cargo.toml"), format!("{before}members = [\"sdk/rust\", {members}]{after}"))
        .expect("the manifest");

    let executable = std::env::current_exe().expect("this test");
    let target: PathBuf =
        runner_guests::outer_target_dir(&executable).expect("a target folder").join("guests");
    let mut build = runner_guests::Build::new(other.join("Cargo.toml"), target);
    for name in &names {
        build = build.package(format!("runner-step-{name}"));
    }
    let guests = build.run().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(guests.len(), names.len());
    for (guest, module) in guests.iter().zip(runner_steps::MODULES) {
        assert_eq!(guest.name, format!("runner-step-{}", module.name));
        assert!(guest.component == module.bytes, "{} differs", module.name);
    }
}
