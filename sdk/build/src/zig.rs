//! Steps in Zig: freestanding, so that nothing but the step and the SDK is in the module.

use crate::{Error, Language, Project, contract, files, tools};
use std::ffi::OsString;
use std::path::PathBuf;

/// What the SDK is written for: the language still changes.
const VERSION: &str = "0.17.";

/// Builds the component.
pub(crate) fn build(project: &Project) -> Result<Vec<u8>, Error> {
    let zig = find(project)?;
    let work = project.target().join("zig");
    files::make_folder(&work)?;
    let made = work.join("step.wasm");
    let source = project.source();
    files::read(&source)?;

    let mut command = tools::zig_command(&zig, &work);
    let (mut root, mut sdk, mut out) =
        (OsString::from("-Mroot="), OsString::from("-Mrunner="), OsString::from("-femit-bin="));
    root.push(&source);
    sdk.push(project.sdk.join("runner.zig"));
    out.push(&made);
    command.args([
        "build-exe",
        "-target",
        "wasm32-freestanding",
        "-fno-entry",
        "-rdynamic",
        "-O",
        "ReleaseSafe",
    ]);
    command.args(["-fstrip", "--dep", "runner"]).args([root, sdk, out]);
    crate::project::run(command)?;
    contract::componentize(&made)
}

/// A `zig` of the version that the SDK is written for.
fn find(project: &Project) -> Result<PathBuf, Error> {
    let missing =
        |what: String| Error::Missing { language: Language::Zig, what, how: tools::GET_ZIG.to_owned() };
    let zig = tools::zig(project).ok_or_else(|| missing("`zig` 0.17".to_owned()))?;
    let version = tools::version(&zig, "");
    match version.starts_with(VERSION) {
        true => Ok(zig),
        false => Err(missing(format!("`zig` 0.17 (`{}` is {})", zig.display(), version))),
    }
}
