//! Finds a compiler for steps.

use crate::{Error, env, tools};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What steps are compiled for.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's compiler for the web (package `rustc-web`), whose sources are in `rust-web-src`.
const DEBIAN: &str = "/usr/bin/rustc";

/// A compiler for steps, and what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Toolchain {
    pub(crate) rustc: PathBuf,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It has the standard library of the target.
    Installed,
    /// It builds the standard library from these sources; `linker` because Debian's package has none.
    FromSource { sources: PathBuf, linker: PathBuf },
}

impl Toolchain {
    /// The compiler of the active toolchain, when it has the target; else Debian's `rustc-web`, which builds the
    /// standard library from `rust-web-src` and links with the active toolchain's `rust-lld`, or with `wasm-ld`.
    /// Fails with [`Error::NoToolchain`], which names both ways.
    pub(crate) fn find() -> Result<Self, Error> {
        let rustc = std::env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
        let active = match print(&rustc, &["--target", TARGET, "--print", "target-libdir"]) {
            Ok(libraries) if has_std(Path::new(&libraries)) => {
                return Ok(Self { rustc, kind: Kind::Installed });
            }
            Ok(_) => format!("`{}` has no standard library for {TARGET}", rustc.display()),
            Err(why) => why,
        };
        match debian(&rustc) {
            Ok(kind) => Ok(Self { rustc: DEBIAN.into(), kind }),
            Err(debian) => Err(Error::NoToolchain { active, debian }),
        }
    }
}

fn debian(active: &Path) -> Result<Kind, String> {
    let sysroot = print(Path::new(DEBIAN), &["--print", "sysroot"])?;
    let sources = Path::new(&sysroot).join("lib/rustlib/src/rust");
    if !sources.join("library/std/Cargo.toml").is_file() {
        return Err(format!("`{}` is missing (package rust-web-src)", sources.display()));
    }
    let linker = rust_lld(active)
        .or_else(|| tools::newest("wasm-ld"))
        .ok_or("neither `rust-lld` nor `wasm-ld` is installed")?;
    Ok(Kind::FromSource { sources, linker })
}

/// The linker that rustup's toolchains carry.
fn rust_lld(rustc: &Path) -> Option<PathBuf> {
    let sysroot = print(rustc, &["--print", "sysroot"]).ok()?;
    let hosts = std::fs::read_dir(Path::new(&sysroot).join("lib/rustlib")).ok()?;
    hosts.flatten().map(|host| host.path().join("bin/rust-lld")).find(|lld| lld.is_file())
}

fn has_std(libraries: &Path) -> bool {
    std::fs::read_dir(libraries).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_str().is_some_and(|n| n.starts_with("libstd-")))
    })
}

fn print(rustc: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(rustc);
    env::clean(&mut command);
    let output = command
        .args(arguments)
        .output()
        .map_err(|error| format!("cannot start `{}`: {error}", rustc.display()))?;
    if !output.status.success() {
        return Err(format!(
            "`{}` failed: {}",
            rustc.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
