//! Where a language's own tools are.

use crate::Project;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program of the first of these folders that has it.
pub(crate) fn find_in(program: &str, folders: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
    folders.into_iter().map(|folder| folder.join(program)).find(|file| is_executable(file))
}

/// The program of the folders of `PATH`.
pub(crate) fn of_path(program: &str) -> Option<PathBuf> {
    find_in(program, std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()))
}

#[cfg(unix)]
fn is_executable(file: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &std::path::Path) -> bool {
    file.is_file()
}

/// How to come by zig.
pub(crate) const GET_ZIG: &str = "in the project's folder: python3 -m venv .venv && .venv/bin/pip install ziglang==0.17.0\n\
     hint: or from ziglang.org/download, on the PATH";

/// The program `zig`, or the one of the wheel `ziglang`, `python-zig`: of the project before that of the `PATH`.
pub(crate) fn zig(project: &Project) -> Option<PathBuf> {
    const NAMES: [&str; 2] = ["zig", "python-zig"];
    let own = project.folder.join(".venv/bin");
    NAMES.iter().find_map(|name| find_in(name, [own.clone()])).or_else(|| NAMES.into_iter().find_map(of_path))
}

/// A call of zig whose caches are in this folder.
pub(crate) fn zig_command(zig: &Path, work: &Path) -> Command {
    let mut command = Command::new(zig);
    // Of the wheel's own, which would write it beside itself.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("ZIG_LOCAL_CACHE_DIR", work.join("zig-cache"));
    command.env("ZIG_GLOBAL_CACHE_DIR", work.join("zig-cache"));
    command
}

/// What a program says of its version, without the words before it; empty when it does not say.
pub(crate) fn version(program: &Path, before: &str) -> String {
    let mut command = Command::new(program);
    crate::env::clean(command.arg("version"));
    let said = command.output().map(|output| output.stdout).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    said.trim().trim_start_matches(before).split(' ').next().unwrap_or_default().escape_debug().to_string()
}

/// `NAME`, or the newest `NAME-19` of the `PATH`.
pub(crate) fn newest(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten())
        .filter_map(|entry| {
            let version = match entry.file_name().to_str()?.strip_prefix(name)? {
                "" => u32::MAX,
                rest => rest.strip_prefix('-')?.parse().ok()?,
            };
            Some((version, entry.path()))
        });
    found.max().map(|(_, path)| path)
}
