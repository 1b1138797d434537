//! `runner module new` and `runner module build`: from nothing to a component that a plan can use.

use super::args::{Build, New};
use super::fail::Fail;
use super::files::write_whole;
use super::load::loader;
use super::{out, talk};
use crate::module::reach::Reach;
use crate::written::shown;
use runner_guests::{Project, scaffold};
use runner_model::Digest;
use runner_model::text::shown as shown_text;
use runner_model::words::size;
use std::path::PathBuf;

pub(crate) fn new(args: &New) -> Result<(), Fail> {
    let folder = args.folder.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    scaffold::new(&folder, &args.name, args.language).map_err(Fail::usage)?;
    let name = shown(&folder);
    talk(&format!(
        "`{name}` has a step in {}: `{}` is where to begin\nnext: cd {name}, and README.md has what to install once, and the \
         commands from here to a plan that runs\n",
        args.language.word(),
        shown(&folder.join(args.language.source()))
    ));
    Ok(())
}

pub(crate) fn build(args: &Build) -> Result<(), Fail> {
    let project = Project::read(&args.folder).map_err(|error| {
        let fail = Fail::usage(error);
        match args.folder.join(runner_guests::project::FILE).exists() {
            true => fail,
            false => fail.hint("name the step's folder; `runner module new NAME --lang LANGUAGE` makes one"),
        }
    })?;
    talk(&format!("building `{}`, in {}\n", project.name, project.language.word()));
    let bytes = project.build().map_err(Fail::usage)?;
    // What is written is what a plan can use: an author learns here what is wrong, and not from whoever takes it live.
    let module = loader()?.load_bytes(&bytes, Digest::of(&bytes)).map_err(|error| {
        Fail::usage(format_args!(
            "what was built cannot be used as a module: {}",
            shown_text(&error.to_string())
        ))
    })?;
    let manifest = &module.manifest;
    if manifest.name != project.name {
        let (says, is) = (shown_text(&manifest.name), &project.name);
        return Err(Fail::usage(format_args!(
            "the step calls itself `{says}`, and `step.toml` calls it `{is}`"
        ))
        .hint("make them the same: plans, registries and signatures know a module by its name"));
    }
    let file = args.to.clone().unwrap_or_else(|| project.component_file());
    write_whole(&file, &bytes)
        .map_err(|error| Fail::internal(format_args!("cannot write `{}`: {error}", shown(&file))))?;
    talk(&format!(
        "{} {}, {}, {}\n",
        manifest.name,
        manifest.version,
        size(bytes.len() as u64),
        module.digest
    ));
    for can in &manifest.capabilities.abilities().can {
        talk(&format!("  asks for: {}\n", shown_text(can)));
    }
    if let Some(cannot) = Reach::of(&module.imports).cannot() {
        talk(&format!("  {cannot}\n"));
    }
    out(&format!("{}\n", file.display()))
}
