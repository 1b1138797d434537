//! `runner-guests CRATE… [--to FOLDER]`: builds steps to components, for authors and scripts.

use runner_guests::{Build, Toolchain};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

const USAGE: &str = "\
Builds crates of steps to WebAssembly components.

usage: runner-guests CRATE... [--to FOLDER]

  CRATE        a folder with a Cargo.toml, or the Cargo.toml
  --to FOLDER  where NAME.wasm is written; without, `target` of each crate";

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match arguments().and_then(|(crates, to)| build(&crates, to.as_deref())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<(Vec<PathBuf>, Option<PathBuf>), Failure> {
    let (mut crates, mut to) = (Vec::new(), None);
    let mut arguments = env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--to") => to = Some(arguments.next().ok_or("`--to` needs a folder")?.into()),
            Some(option) if option.starts_with('-') => return Err(USAGE.into()),
            _ => crates.push(PathBuf::from(argument)),
        }
    }
    if crates.is_empty() { Err(USAGE.into()) } else { Ok((crates, to)) }
}

fn build(crates: &[PathBuf], to: Option<&Path>) -> Result<(), Failure> {
    eprintln!("compiler: {}", Toolchain::find()?.describe());
    for path in crates {
        let manifest = if path.is_dir() { path.join("Cargo.toml") } else { path.clone() };
        let target = manifest.with_file_name("target");
        for guest in Build::new(&manifest, &target).run()? {
            let folder = to.unwrap_or(&target);
            fs::create_dir_all(folder)?;
            let file = folder.join(format!("{}.wasm", guest.name));
            fs::write(&file, &guest.component)?;
            writeln!(std::io::stdout(), "{}", file.display())?;
        }
    }
    Ok(())
}
