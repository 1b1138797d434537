//! Builds the standard modules to components. The one build entry: dev and release builds of the host, and every test,
//! embed the same bytes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

/// The names of the standard modules; `NAME` is the crate `runner-step-NAME` in `steps/NAME`.
const MODULES: [&str; 25] = [
    "backup",
    "build",
    "cluster-commands",
    "command",
    "cron",
    "db-backup",
    "db-restore",
    "distribute",
    "files",
    "git-checkout",
    "haproxy",
    "health-file",
    "load-test",
    "nginx-upstream",
    "opcache-reset",
    "package",
    "prune",
    "restart",
    "restore",
    "smoke-test",
    "switch",
    "template",
    "user-command",
    "wait-for",
    "watch",
];

/// What the modules are made of, as seen from the root of the workspace.
const SOURCES: [&str; 12] = [
    "Cargo.lock",
    "Cargo.toml",
    "sdk/build/src",
    "sdk/rust/Cargo.toml",
    "sdk/rust/src",
    "steps/commands/Cargo.toml",
    "steps/commands/src",
    "steps/conditions/Cargo.toml",
    "steps/conditions/src",
    "steps/databases/Cargo.toml",
    "steps/databases/src",
    "wit",
];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Cargo shows the stderr of a build script that failed.
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?);
    let root = here.ancestors().nth(2).ok_or("no workspace around steps/builtin")?;
    watch(root);

    // Beside the outer cargo's folders, so that dev, release and tests share one standard library and one set of steps;
    // not in them, since the outer cargo holds their lock.
    let target = runner_guests::outer_target_dir(&out).unwrap_or_else(|| out.clone()).join("guests");
    let mut build = runner_guests::Build::new(root.join("Cargo.toml"), target);
    for name in MODULES {
        build = build.package(format!("runner-step-{name}"));
    }
    let guests = build.run()?;

    let mut code = String::from("&[\n");
    for name in MODULES {
        let guest = guests
            .iter()
            .find(|guest| guest.name == format!("runner-step-{name}"))
            .ok_or_else(|| format!("cargo built no module `{name}`"))?;
        let path = out.join(format!("{name}.wasm"));
        fs::write(&path, &guest.component)?;
        let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&guest.component));
        writeln!(
            code,
            "    Module {{ name: {name:?}, digest: \"sha256:{digest}\", bytes: include_bytes!({path:?}) }},"
        )?;
    }
    code.push_str("]\n");
    fs::write(out.join("modules.rs"), code)?;
    Ok(())
}

fn watch(root: &Path) {
    let steps = MODULES.iter().flat_map(|name| {
        ["Cargo.toml", "DOCUMENTATION.md", "src"].map(|part| format!("steps/{name}/{part}"))
    });
    for path in SOURCES.into_iter().map(str::to_owned).chain(steps) {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    // What decides which compiler is taken.
    println!("cargo::rerun-if-env-changed=RUSTUP_TOOLCHAIN");
    println!("cargo::rerun-if-env-changed=CARGO_HOME");
}
