//! Steps in Zig: freestanding, so that nothing but the step and the SDK is in the module.

use crate::{Error, Language, Project, contract, files, tools};
use std::ffi::OsString;

/// Builds the component.
pub(crate) fn build(project: &Project) -> Result<Vec<u8>, Error> {
    let zig = tools::zig(project).ok_or_else(|| Error::Missing {
        language: Language::Zig,
        what: "`zig` 0.17".to_owned(),
        how: tools::GET_ZIG.to_owned(),
    })?;
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
