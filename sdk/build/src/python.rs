//! Steps in Python: componentize-py puts an interpreter and the modules that are imported into one component.
//!
//! WASI stays in it: without, `print`, `time.time()`, `uuid.uuid4()` and an `open` that must fail would all end the step
//! with no text. The runner has nothing behind it but a clock and random numbers that a replay repeats.

use crate::project::run;
use crate::{Error, Language, Project, files, tools, world};
use std::path::{Path, PathBuf};
use std::process::Command;

const TOOL: &str = "componentize-py";

/// What the component starts with; not the name of any module of an author.
const ENTRY: &str = "_runner_entry";

/// Builds the component.
pub(crate) fn build(project: &Project) -> Result<Vec<u8>, Error> {
    let source = project.source();
    let module = module(project)?;
    let work = project.target().join("python");
    files::fresh_folder(&work)?;
    world::write(project, &work.join("wit"))?;
    let entry = format!(
        "import {module}\nfrom runner_sdk.world import world\n\nWitWorld = world({module}, \"{}\")\n",
        project.name
    );
    files::write(&work.join(format!("{ENTRY}.py")), &entry)?;

    let tool = tool(project)?;
    let packages = packages(project, &work)?;
    // Copies, since the interpreter writes what it compiled beside what it imports.
    let modules = source.parent().unwrap_or(&project.folder);
    let copies = [work.join("modules"), work.join("sdk")];
    // What is built, installed or vendored beside the modules is none of them.
    let beside: &[&str] =
        if modules == project.folder { &["target", "sdk", "node_modules"] } else { Default::default() };
    files::copy(modules, &copies[0], beside)?;
    files::copy(&project.sdk, &copies[1], &[])?;
    let made = work.join("step.wasm");
    let mut command = Command::new(tool);
    command.arg("--quiet").arg("--wit-path").arg(work.join("wit")).args([
        "--world",
        world::WORLD,
        "componentize",
    ]);
    for folder in [&work].into_iter().chain(&copies) {
        command.arg("--python-path").arg(folder);
    }
    command.arg("--output").arg(&made).arg(ENTRY);
    // Else it takes whatever the Python of this shell has installed.
    command.env("VIRTUAL_ENV", packages).env("RUST_BACKTRACE", "0").env("PYTHONHASHSEED", "0");
    run(command).map_err(|error| readable(error, &[&work, modules, &project.sdk]))?;
    files::read(&made)
}

/// The module of the source file, which must be one that can be imported by name.
fn module(project: &Project) -> Result<String, Error> {
    let source = project.source();
    files::read(&source)?;
    let name = source.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = name.strip_suffix(".py").unwrap_or_default();
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if stem.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && stem.chars().all(letter) {
        return Ok(stem.to_owned());
    }
    Err(Error::Project {
        file: project.folder.join(crate::project::FILE),
        why: format!(
            "`source`: `{}` is no name of a Python module, as `src/step.py` is",
            name.escape_debug()
        ),
    })
}

fn tool(project: &Project) -> Result<PathBuf, Error> {
    let of_user = std::env::home_dir().map(|home| home.join(".local/bin"));
    let own = [project.folder.join(".venv/bin"), project.folder.join(".venv/Scripts")];
    let found = tools::find_in(TOOL, own).or_else(|| tools::of_path(TOOL));
    found.or_else(|| tools::find_in(TOOL, of_user)).ok_or_else(|| Error::Missing {
        language: Language::Python,
        what: format!("`{TOOL}`, which makes a component of Python modules"),
        how: "in the project's folder: python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.0\n\
              hint: or anywhere on the PATH: pipx install componentize-py==0.25.0"
            .to_owned(),
    })
}

/// The virtual environment that packages are taken from: the project's, or an empty one.
fn packages(project: &Project, work: &Path) -> Result<PathBuf, Error> {
    let own = project.folder.join(".venv");
    if own.is_dir() {
        return Ok(own);
    }
    let empty = work.join("no-packages");
    files::make_folder(&empty.join("lib/python3/site-packages"))?;
    Ok(empty)
}

/// What Python said, and not what the tool's own Rust and Python said around it; with the folders that it sees as `/0`,
/// `/1` under their names here.
fn readable(error: Error, folders: &[&Path]) -> Error {
    let Error::Tool { program, output } = error else { return error };
    let said = output.split_once("AssertionError: ").map_or(&*output, |(_, said)| said);
    let said = said.split("\n\nCaused by:").next().unwrap_or(said);
    let mut output = said.trim_end().to_owned();
    for (index, folder) in folders.iter().enumerate() {
        output = output.replace(&format!("\"/{index}/"), &format!("\"{}/", folder.display()));
    }
    Error::Tool { program, output }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_said_is_shown_with_the_files_of_the_author() {
        let output = "warning: x\nTraceback (most recent call last):\n  File \"/usr/bin/componentize-py\", line 8\n\
                      AssertionError:   File \"/1/step.py\", line 2\n    def\n       ^\nSyntaxError: invalid syntax\n\n\n\
                      Caused by:\n    SyntaxError: invalid syntax (step.py, line 2)";
        let error = Error::Tool { program: TOOL.into(), output: output.to_owned() };
        let readable = readable(error, &[Path::new("/w/target/python"), Path::new("/w/src")]);
        assert_eq!(
            readable.to_string(),
            "`componentize-py` failed:\n  File \"/w/src/step.py\", line 2\n    def\n       ^\nSyntaxError: invalid \
             syntax"
        );
    }
}
