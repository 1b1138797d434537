//! The nested cargo.

use crate::toolchain::{Kind, Toolchain};
use crate::{Error, Language, TARGET, componentize, env};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The profile of steps: small, and one codegen unit so that the bytes are the same everywhere. Given on the command
/// line, so that every crate is built with it, whatever its own manifest says.
const PROFILE: [&str; 6] = [
    "profile.step.inherits='release'",
    "profile.step.opt-level='s'",
    "profile.step.lto=true",
    "profile.step.codegen-units=1",
    "profile.step.panic='abort'",
    "profile.step.strip=true",
];

/// A step, built.
#[derive(Debug, Clone)]
pub struct Guest {
    /// The name of its library, with dashes: that of its package.
    pub name: String,
    /// The component.
    pub component: Vec<u8>,
}

/// A build of one crate, or of some crates of a workspace.
#[derive(Debug, Clone)]
pub struct Build {
    manifest: PathBuf,
    target_dir: PathBuf,
    packages: Vec<String>,
}

impl Build {
    /// Of the crate or workspace with this `Cargo.toml`. All builds that share a target folder share the standard
    /// library in it, where that is built from source (a minute); it must not be the outer cargo's own target folder,
    /// which is locked: take [`outer_target_dir`]`.join("guests")`.
    pub fn new(manifest: impl Into<PathBuf>, target_dir: impl Into<PathBuf>) -> Self {
        Self { manifest: manifest.into(), target_dir: target_dir.into(), packages: Vec::new() }
    }

    /// Builds this package of the workspace; may be called for several. Without, cargo's default members are built.
    #[must_use]
    pub fn package(mut self, name: impl Into<String>) -> Self {
        self.packages.push(name.into());
        self
    }

    /// Builds, and answers with the components, sorted by name.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run(&self) -> Result<Vec<Guest>, Error> {
        let toolchain = Toolchain::find()?;
        let mut command = self.command(&toolchain)?;
        let output = command.output().map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => Error::Missing {
                language: Language::Rust,
                what: "`cargo`".to_owned(),
                how: "rustup.rs installs it, and the compiler".to_owned(),
            },
            _ => Error::Start { program: command.get_program().into(), source },
        })?;
        if !output.status.success() {
            return Err(Error::Cargo {
                manifest: self.manifest.clone(),
                output: String::from_utf8_lossy(&output.stderr).into_owned(),
            });
        }
        let mut guests = Vec::new();
        for path in modules(&String::from_utf8_lossy(&output.stdout)) {
            let core = std::fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
            let name =
                path.file_stem().map(|stem| stem.to_string_lossy().replace('_', "-")).unwrap_or_default();
            guests.push(Guest { name, component: componentize(&path, &core)? });
        }
        if guests.is_empty() {
            return Err(Error::NoGuest { manifest: self.manifest.clone() });
        }
        guests.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(guests)
    }

    fn command(&self, toolchain: &Toolchain) -> Result<Command, Error> {
        let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
        let mut command = Command::new(cargo);
        env::clean(&mut command);
        command
            .args(["build", "--lib", "--profile", "step", "--target", TARGET])
            .arg("--message-format=json-render-diagnostics")
            .arg("--manifest-path")
            .arg(&self.manifest)
            .arg("--target-dir")
            .arg(&self.target_dir)
            .args(PROFILE.iter().flat_map(|line| ["--config", line]))
            .args(self.packages.iter().flat_map(|name| ["--package", name]))
            .env("RUSTC", &toolchain.rustc)
            .env("CARGO_ENCODED_RUSTFLAGS", self.flags(toolchain)?.join("\u{1f}"))
            .env("CARGO_INCREMENTAL", "0");
        if let Kind::FromSource { linker, .. } = &toolchain.kind {
            command
                .args(["-Z", "build-std=std,panic_abort"])
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        Ok(command)
    }

    /// Names every folder that a panic message could name in a way that is the same on all machines.
    fn flags(&self, toolchain: &Toolchain) -> Result<Vec<String>, Error> {
        let manifest = absolute(&self.manifest)?;
        let mut folders = Vec::new();
        // The folder of a crate outside of any workspace, then (the last match counts) the workspaces around it.
        for folder in manifest.ancestors().skip(1).filter(|folder| folder.join("Cargo.lock").is_file()) {
            folders.push((folder.to_owned(), "/src"));
        }
        if let Some(home) = cargo_home() {
            folders.push((home.clone(), "/cargo"));
            // The name of a registry's folder has a hash of its address in it.
            for source in ["registry/src", "git/checkouts"] {
                let entries = std::fs::read_dir(home.join(source)).into_iter().flatten().flatten();
                folders.extend(entries.map(|entry| (entry.path(), "/crates")));
            }
        }
        if let Kind::FromSource { sources, .. } = &toolchain.kind {
            folders.push((sources.clone(), "/rust"));
            folders.extend(sources.canonicalize().ok().map(|real| (real, "/rust")));
        }
        Ok(folders.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect())
    }
}

/// The target folder of the cargo that runs this build script or test, found from a path inside it: `OUT_DIR` of a
/// build script (`TARGET/PROFILE/build/…`), the executable of a test (`TARGET/PROFILE/deps/…`).
///
/// By place, since cargo marks (`CACHEDIR.TAG`) only a folder that it made itself.
pub fn outer_target_dir(inside: &Path) -> Option<PathBuf> {
    let of_profile = |folder: &&Path| folder.ends_with("build") || folder.ends_with("deps");
    inside.ancestors().find(of_profile)?.ancestors().nth(2).map(Path::to_owned)
}

/// The modules that cargo's messages name, one JSON object a line.
fn modules(messages: &str) -> Vec<PathBuf> {
    let files = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter_map(|message| message["filenames"].as_array().cloned())
        .flatten();
    files
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .filter(|file| file.extension().is_some_and(|end| end == "wasm"))
        .collect()
}

fn cargo_home() -> Option<PathBuf> {
    match std::env::var_os("CARGO_HOME") {
        Some(home) => Some(home.into()),
        None => std::env::home_dir().map(|home| home.join(".cargo")),
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::outer_target_dir;
    use std::path::Path;

    #[test]
    fn the_outer_target_folder_is_found_by_place() {
        let found =
            |inside: &str| outer_target_dir(Path::new(inside)).map(|folder| folder.display().to_string());
        assert_eq!(
            found("/home/build/web/target/debug/build/steps-0a/out").as_deref(),
            Some("/home/build/web/target")
        );
        assert_eq!(found("/src/t/release/deps/cli-0a").as_deref(), Some("/src/t"));
        assert_eq!(found("/usr/bin/cli"), None);
    }
}
