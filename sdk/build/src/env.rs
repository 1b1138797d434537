//! The environment of the nested cargo: what the user set stays, what an outer cargo, clippy or a test run left
//! behind goes. A leftover `RUSTFLAGS` would change the bytes, a leftover `CARGO_TARGET_DIR` would wait for a lock that
//! the outer cargo holds.

use std::ffi::OsStr;
use std::process::Command;

/// Cargo's own settings that say where things come from, and nothing about what is built.
const KEPT: [&str; 6] =
    ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_", "CARGO_SOURCE_"];

/// What cargo sets for build scripts, beside `CARGO_*`, and what steers the compiler.
const TAKEN: [&str; 15] = [
    "DEBUG",
    "HOST",
    "LD_LIBRARY_PATH",
    "MAKEFLAGS",
    "NUM_JOBS",
    "OPT_LEVEL",
    "OUT_DIR",
    "PROFILE",
    "RUSTC",
    "RUSTC_BOOTSTRAP",
    "RUSTC_LINKER",
    "RUSTDOC",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "TARGET",
];

pub(crate) fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if is_leftover(&name) {
            command.env_remove(name);
        }
    }
}

fn is_leftover(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    if KEPT.iter().any(|kept| name == *kept || (kept.ends_with('_') && name.starts_with(kept))) {
        return false;
    }
    name == "CARGO"
        || name.starts_with("CARGO_")
        || name.starts_with("__CARGO_")
        || name.starts_with("RUSTC_WRAPPER")
        || name.starts_with("RUSTC_WORKSPACE_WRAPPER")
        || name.starts_with("CLIPPY_")
        || TAKEN.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_go_and_the_users_settings_stay() {
        for name in
            ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO", "__CARGO_X", "OUT_DIR"]
        {
            assert!(is_leftover(OsStr::new(name)), "{name}");
        }
        for name in
            ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_REGISTRIES_X_INDEX", "PATH", "RUSTUP_TOOLCHAIN"]
        {
            assert!(!is_leftover(OsStr::new(name)), "{name}");
        }
    }
}
