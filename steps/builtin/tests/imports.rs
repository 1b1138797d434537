//! The import list of a module proves what it can touch: what is not in it does not exist for the module.

use wit_component::DecodedWasm;

/// The imports of a component, function by function: `targets.[method]target.stat`, without package and version.
fn imports(component: &[u8]) -> Vec<String> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component).expect("a component")
    else {
        panic!("not a component");
    };
    let mut found = Vec::new();
    for (key, item) in &resolve.worlds[world].imports {
        let name = resolve.name_world_key(key);
        match item {
            wit_parser::WorldItem::Interface { id, .. } => {
                let interface = name.strip_prefix("runner:step/").and_then(|name| name.split('@').next());
                let interface = interface.unwrap_or_else(|| panic!("`{name}` is not of the contract"));
                let functions = resolve.interfaces[*id].functions.keys();
                found.extend(functions.map(|function| format!("{interface}.{function}")));
            }
            wit_parser::WorldItem::Type { .. } => {}
            wit_parser::WorldItem::Function(_) => panic!("`{name}` is not of the contract"),
        }
    }
    found.sort();
    found
}

/// What a module touches, without the log, which is always granted.
fn touches(name: &str) -> Vec<String> {
    let module = runner_steps::find(name).expect(name);
    imports(module.bytes).into_iter().filter(|import| !import.starts_with("log.")).collect()
}

#[test]
fn no_module_imports_more_than_it_uses() {
    let expected: [(&str, &[&str]); 14] = [
        (
            "backup",
            &[
                "releases.all",
                "run-info.release-id",
                "targets.[method]target.archive",
                "targets.[method]target.digest",
                "targets.[method]target.disk-free",
                "targets.[method]target.fact",
                "targets.[method]target.mkdir",
                "targets.[method]target.name",
                "targets.[method]target.read",
                "targets.[method]target.read-dir",
                "targets.[method]target.read-link",
                "targets.[method]target.remove",
                "targets.[method]target.remove-tree",
                "targets.[method]target.rename",
                "targets.[method]target.stat",
                "targets.[method]target.write",
                "targets.current",
                "timer.now",
            ],
        ),
        (
            "command",
            &[
                "commands.[constructor]command",
                "commands.[method]command.accept",
                "commands.[method]command.directory",
                "commands.[method]command.env",
                "commands.[method]command.repeatable",
                "commands.[method]command.run",
                "commands.[method]command.skip-if",
                "commands.[method]command.stdin",
                "commands.[method]command.timeout",
                "commands.[method]command.undo-with",
                "targets.[method]target.name",
                "targets.current",
            ],
        ),
        (
            "cron",
            &[
                "targets.[method]target.name",
                "targets.[method]target.remove",
                "targets.[method]target.write",
                "targets.current",
            ],
        ),
        (
            "db-backup",
            &[
                "commands.[constructor]command",
                "commands.[method]command.compress",
                "commands.[method]command.decompress",
                "commands.[method]command.env-secret",
                "commands.[method]command.keep",
                "commands.[method]command.repeatable",
                "commands.[method]command.run",
                "commands.[method]command.stdin-file",
                "commands.[method]command.stdout-to",
                "commands.[method]command.timeout",
                "secrets.get",
                "targets.[method]target.digest",
                "targets.[method]target.disk-free",
                "targets.[method]target.fact",
                "targets.[method]target.mkdir",
                "targets.[method]target.name",
                "targets.[method]target.read-dir",
                "targets.[method]target.remove",
                "targets.[method]target.rename",
                "targets.[method]target.stat",
                "targets.current",
                "timer.now",
            ],
        ),
        (
            "db-restore",
            &[
                "commands.[constructor]command",
                "commands.[method]command.accept",
                "commands.[method]command.compress",
                "commands.[method]command.decompress",
                "commands.[method]command.env-secret",
                "commands.[method]command.keep",
                "commands.[method]command.repeatable",
                "commands.[method]command.run",
                "commands.[method]command.stdin-file",
                "commands.[method]command.stdout-to",
                "commands.[method]command.timeout",
                "secrets.get",
                "targets.[method]target.digest",
                "targets.[method]target.fact",
                "targets.[method]target.mkdir",
                "targets.[method]target.name",
                "targets.[method]target.read-dir",
                "targets.[method]target.remove",
                "targets.[method]target.rename",
                "targets.[method]target.stat",
                "targets.current",
                "timer.now",
            ],
        ),
        (
            "distribute",
            &[
                "artifacts.open",
                "releases.all",
                "run-info.release-id",
                "targets.[method]target.mkdir",
                "targets.[method]target.name",
                "targets.[method]target.stat",
                "targets.[method]target.unpack",
                "targets.current",
            ],
        ),
        (
            "files",
            &[
                "artifacts.pack",
                "targets.[method]target.mkdir",
                "targets.[method]target.name",
                "targets.[method]target.put",
                "targets.[method]target.remove",
                "targets.[method]target.remove-tree",
                "targets.[method]target.symlink",
                "targets.[method]target.write",
                "targets.current",
                "workspace.stat",
            ],
        ),
        (
            "package",
            &["artifacts.[method]artifact.digest", "artifacts.[method]artifact.size", "artifacts.pack"],
        ),
        (
            "prune",
            &[
                "releases.all",
                "run-info.previous-release",
                "run-info.release-id",
                "targets.[method]target.name",
                "targets.[method]target.read-link",
                "targets.[method]target.remove-tree",
                "targets.[method]target.stat",
                "targets.current",
            ],
        ),
        (
            "restart",
            &[
                "releases.all",
                "run-info.previous-release",
                "targets.[method]target.name",
                "targets.[method]target.read-link",
                "targets.[method]target.service",
                "targets.[method]target.service-is-active",
                "targets.[method]target.stat",
                "targets.current",
            ],
        ),
        (
            "restore",
            &[
                "targets.[method]target.archive",
                "targets.[method]target.digest",
                "targets.[method]target.fact",
                "targets.[method]target.mkdir",
                "targets.[method]target.name",
                "targets.[method]target.read",
                "targets.[method]target.read-dir",
                "targets.[method]target.remove",
                "targets.[method]target.stat",
                "targets.[method]target.unarchive",
                "targets.current",
                "timer.now",
            ],
        ),
        (
            "smoke-test",
            &[
                "http.[constructor]request",
                "http.[method]request.connect-to",
                "http.[method]request.header",
                "http.[method]request.send",
                "http.[method]request.timeout",
                "http.[method]request.via",
                "targets.current",
                "timer.now",
                "timer.sleep",
            ],
        ),
        (
            "switch",
            &[
                "releases.all",
                "run-info.previous-release",
                "run-info.release-id",
                "targets.[method]target.name",
                "targets.[method]target.read-link",
                "targets.[method]target.stat",
                "targets.[method]target.symlink",
                "targets.current",
            ],
        ),
        (
            "template",
            &[
                "run-info.environment",
                "run-info.previous-release",
                "run-info.release-id",
                "run-info.run-id",
                "run-info.subject",
                "run-info.variable",
                "targets.[method]target.name",
                "targets.[method]target.read",
                "targets.[method]target.stat",
                "targets.[method]target.write",
                "targets.current",
                "workspace.read",
            ],
        ),
    ];
    assert_eq!(runner_steps::MODULES.len(), expected.len());
    for (name, functions) in expected {
        assert_eq!(touches(name), functions, "{name}");
    }
}

#[test]
fn a_module_carries_no_folder_of_the_machine_that_built_it() {
    let home = std::env::home_dir().expect("a home");
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/").trim_end_matches("steps/builtin/");
    for module in runner_steps::MODULES {
        let text = String::from_utf8_lossy(module.bytes);
        for folder in [here, home.to_str().expect("UTF-8"), "/usr/"] {
            assert!(!text.contains(folder), "{} contains `{folder}`", module.name);
        }
    }
}
