//! `runner-guests STEP… [--to FOLDER]`: builds steps to components, for authors and scripts.

use runner_guests::{Build, Language, Project, Toolchain, project};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

const USAGE: &str = "\
Builds steps to WebAssembly components.

usage: runner-guests STEP... [--to FOLDER]

  STEP         a folder with a step.toml or a Cargo.toml, or the Cargo.toml
  --to FOLDER  where NAME.wasm is written; without, `target` of each step";

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match arguments().and_then(|(steps, to)| build(&steps, to.as_deref())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<(Vec<PathBuf>, Option<PathBuf>), Failure> {
    let (mut steps, mut to) = (Vec::new(), None);
    let mut arguments = env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--to") => to = Some(arguments.next().ok_or("`--to` needs a folder")?.into()),
            Some(option) if option.starts_with('-') => return Err(USAGE.into()),
            _ => steps.push(PathBuf::from(argument)),
        }
    }
    if steps.is_empty() { Err(USAGE.into()) } else { Ok((steps, to)) }
}

fn build(steps: &[PathBuf], to: Option<&Path>) -> Result<(), Failure> {
    for path in steps {
        if path.join(project::FILE).is_file() {
            let project = Project::read(path)?;
            if project.language != Language::Rust {
                write(to.unwrap_or(&project.target()), &project.name, &project.build()?)?;
                continue;
            }
        }
        eprintln!("compiler: {}", Toolchain::find()?.describe());
        let manifest = if path.is_dir() { path.join("Cargo.toml") } else { path.clone() };
        let target = manifest.with_file_name("target");
        for guest in Build::new(&manifest, &target).run()? {
            write(to.unwrap_or(&target), &guest.name, &guest.component)?;
        }
    }
    Ok(())
}

fn write(folder: &Path, name: &str, component: &[u8]) -> Result<(), Failure> {
    fs::create_dir_all(folder)?;
    let file = folder.join(format!("{name}.wasm"));
    fs::write(&file, component)?;
    writeln!(std::io::stdout(), "{}", file.display())?;
    Ok(())
}
