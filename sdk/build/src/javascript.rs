//! Steps in JavaScript and TypeScript: esbuild makes one module of the source, the SDK and what they import, and
//! componentize-qjs puts it into a component with QuickJS. The types of TypeScript are checked first.
//!
//! WASI stays in it: without, `Date.now()` would end the step with no text. The runner has nothing behind it but a clock
//! that a replay repeats.

use crate::project::run;
use crate::{Error, Language, Project, files, tools, world};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What turns modules into one, and types into nothing.
const BUNDLE: &str = "esbuild";
/// What makes a component of a module.
const COMPONENT: &str = "componentize-qjs";
/// What checks types.
const TYPES: &str = "tsc";

/// Builds the component.
pub(crate) fn build(project: &Project) -> Result<Vec<u8>, Error> {
    files::read(&project.source())?;
    let work = project.target().join(project.language.word());
    let [bundle, component] = [tool(project, BUNDLE)?, tool(project, COMPONENT)?];
    files::fresh_folder(&work)?;
    world::write(project, &work.join("wit"))?;
    if project.language == Language::TypeScript {
        check_types(project, &work)?;
    }

    let entry = work.join("entry.js");
    let source = json!(project.source());
    let name = json!(project.name);
    let text = format!(
        "import step from {source};\nimport {{ world }} from \"runner-sdk/src/world.ts\";\n\nexport const {{ \
         describe, run }} = world(step, {name});\n"
    );
    files::write(&entry, &text)?;
    let module = work.join("step.js");
    let mut command = Command::new(bundle);
    // Relative, since `a=b` would be the input `b` for the output `a`.
    let entry = entry.strip_prefix(&project.folder).unwrap_or(&entry);
    command
        .current_dir(&project.folder)
        .arg(entry)
        .args(["--bundle", "--format=esm", "--target=es2023", "--charset=utf8", "--external:runner:step/*"])
        .args(["--color=false", "--log-level=warning"])
        .arg(format!("--alias:runner-sdk={}", project.sdk.display()))
        .arg(format!("--outfile={}", module.display()));
    run(command).map_err(without_shim)?;

    let made = work.join("step.wasm");
    let mut command = Command::new(component);
    command.current_dir(&project.folder).arg("--wit").arg(work.join("wit")).args(["--world", world::WORLD]);
    command.arg("--js").arg(&module).arg("--module-root").arg(&work).arg("--sync").arg("--output").arg(&made);
    run(command).map_err(|error| readable(error, &module))?;
    files::read(&made)
}

/// The types of the source, against those of the SDK, with the author's `tsconfig.json` where there is one.
fn check_types(project: &Project, work: &Path) -> Result<(), Error> {
    let own = project.folder.join("tsconfig.json");
    let mut config = json!({
        "compilerOptions": {
            "strict": true, "noEmit": true, "allowImportingTsExtensions": true, "skipLibCheck": true,
            "target": "es2023", "lib": ["es2024"], "module": "esnext", "moduleResolution": "bundler", "types": [],
            "paths": { "runner-sdk": [project.sdk.join("src/index.ts")] },
        },
        "files": [project.source()],
        "include": [],
    });
    if own.is_file() {
        config["extends"] = json!(own);
    }
    let file = work.join("tsconfig.json");
    files::write(&file, &config.to_string())?;
    let mut command = Command::new(tool(project, TYPES)?);
    command.current_dir(&project.folder).arg("--project").arg(&file).args(["--pretty", "false"]);
    run(command)
}

/// Of the project, of its SDK, or of the PATH. What npm installs is run by node.
fn tool(project: &Project, name: &str) -> Result<PathBuf, Error> {
    let missing = |what: &str, how: &str| Error::Missing {
        language: project.language,
        what: what.to_owned(),
        how: how.to_owned(),
    };
    if tools::of_path("node").is_none() {
        return Err(missing("`node`, which runs its tools", "on Debian: apt-get install nodejs npm"));
    }
    let folders = [&project.folder, &project.sdk].map(|folder| folder.join("node_modules/.bin"));
    let (what, package) = match name {
        BUNDLE => ("`esbuild`, which makes one module of many", "esbuild@0.28.2"),
        COMPONENT => ("`componentize-qjs`, which makes a component of a module", "componentize-qjs@0.4.5"),
        _ => ("`tsc`, which checks types", "typescript@7.0.2"),
    };
    let how = format!(
        "in the project's folder: npm install --save-dev {package}\nhint: or anywhere on the PATH: npm install \
         --global {package}"
    );
    tools::find_in(name, folders).or_else(|| tools::of_path(name)).ok_or_else(|| missing(what, &how))
}

/// What esbuild said, without what its starter in node adds.
fn without_shim(error: Error) -> Error {
    let Error::Tool { program, output } = error else { return error };
    let said = output.split("\n\nnode:child_process").next().unwrap_or(&output);
    Error::Tool { program, output: said.trim().to_owned() }
}

/// What QuickJS said, with what mends it where that is known.
fn readable(error: Error, module: &Path) -> Error {
    let Error::Tool { program, output } = error else { return error };
    let said = output.rsplit_once("Error: : ").map_or(&*output, |(_, said)| said);
    // A module that is not there, or one that is there for its handles alone.
    let interface = ["resolving module 'runner:step/", "in module 'runner:step/"]
        .iter()
        .find_map(|before| said.split_once(before)?.1.split_once('@'))
        .map(|(interface, _)| interface);
    let output = match interface {
        Some(name) => {
            format!("the step uses the interface `{name}`: add \"{name}\" to `imports` in step.toml")
        }
        // Its only folder is the one of the module.
        None => said.trim().replace("/step.js:", &format!("{}:", module.display())),
    };
    Error::Tool { program, output }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(output: &str) -> String {
        let error = Error::Tool { program: COMPONENT.into(), output: output.to_owned() };
        readable(error, Path::new("/w/target/step.js")).to_string()
    }

    #[test]
    fn an_interface_that_the_world_lacks_is_told() {
        let output = "componentize-qjs\n  WIT:    own\nError: : Failed to evaluate user JavaScript module: Failed to \
                      declare JavaScript module: Error: Error resolving module 'runner:step/commands@0.1.0' from \
                      '/js/b.js': filesystem module not found";
        assert_eq!(
            said(output),
            "`componentize-qjs` failed:\nthe step uses the interface `commands`: add \"commands\" to `imports` in \
             step.toml"
        );
    }

    #[test]
    fn what_else_goes_wrong_is_shown_with_the_file_of_the_bundle() {
        let output = "componentize-qjs\n  JS:     b.js\nError: : Failed to evaluate user JavaScript module: Error: no\n    \
                      at <anonymous> (/step.js:2:1)\n";
        assert_eq!(
            said(output),
            "`componentize-qjs` failed:\nFailed to evaluate user JavaScript module: Error: no\n    at <anonymous> \
             (/w/target/step.js:2:1)"
        );
    }
}
