//! `runner module push` and `pull`: modules between teams, through registries.

use super::args::{Pull, Push};
use super::fail::Fail;
use super::files::write_whole;
use super::load::{loader, registries};
use super::module_sign::attach_signature;
use super::{out, talk};
use crate::module::find::source_of;
use crate::module::load::{LoadError, Module};
use crate::module::source::{Origin, Source};
use crate::written::shown;
use runner_guests::Project;
use runner_model::ModuleRef;
use runner_model::oci::{BadModule, OciModule, Reference, Tag};
use runner_model::words::size;
use runner_registry::{Metadata, Overwrite, source_date_epoch};
use std::path::{Path, PathBuf};

/// A module that cannot be had.
pub(super) fn unusable(what: &str, error: &LoadError) -> Fail {
    let fail = Fail::refused(format_args!("the module `{what}`: {error}"));
    match error.mend() {
        Some(mend) => fail.hint(mend),
        None => fail,
    }
}

pub(crate) fn push(args: &Push) -> Result<(), Fail> {
    let file = component_of(&args.what)?;
    let source = source_of(&ModuleRef::Path(file.display().to_string()), &registries())
        .map_err(|error| unusable(&shown(&file), &error))?;
    let module = loader()?.load(&source).map_err(|error| unusable(&shown(&file), &error))?;
    let reference: Reference =
        args.to.trim_start_matches("oci:").parse().map_err(|error| not_a_reference(&error))?;
    let (repository, manifest) = (reference.repository(), &module.manifest);
    if manifest.name != repository.name() {
        return Err(Fail::usage(format_args!(
            "the module calls itself `{}`, and `{repository}` is another name",
            runner_model::text::shown(&manifest.name)
        ))
        .hint("who uses it would be refused: push it to a path that ends with its name"));
    }
    let tag = match reference.tag() {
        Some(tag) => tag.clone(),
        None => manifest.version.parse::<Tag>().map_err(|error| not_a_reference(&error))?,
    };
    if semver::Version::parse(tag.as_str()).is_ok() && tag.as_str() != manifest.version {
        return Err(Fail::usage(format_args!(
            "the tag is `{tag}`, and the module says that it is {}",
            manifest.version
        ))
        .hint(format_args!("leave the tag out, or give the module the version {tag} and build it again")));
    }
    let registries = registries();
    let overwrite = if args.move_tag { Overwrite::Yes } else { Overwrite::No };
    let metadata = metadata(&module)?;
    let pushed = registries
        .push(repository, &tag, source.bytes.to_vec(), &metadata, overwrite)
        .map_err(|error| unusable(&args.to, &error.into()))?;
    if let Some(key) = &args.sign {
        attach_signature(&registries, repository, &pushed.manifest, &source.bytes, key)?;
    }
    let what = if pushed.unchanged { "is there already" } else { "pushed" };
    talk(&format!("`{repository}:{tag}` {what}: {}, {}\n", size(source.bytes.len() as u64), source.digest));
    out(&format!("{repository}@{}\n", pushed.manifest))
}

pub(super) fn not_a_reference(error: &runner_model::oci::NotAReference) -> Fail {
    Fail::usage(error).hint(&error.mend)
}

fn bad_module(error: BadModule) -> Fail {
    let mend = error.mend();
    Fail::usage(error).hint(mend)
}

/// The component that is meant: a file, or what was built in a step's folder.
fn component_of(what: &Path) -> Result<PathBuf, Fail> {
    if !what.is_dir() {
        return Ok(what.to_owned());
    }
    let project = Project::read(what).map_err(Fail::usage)?;
    let file = project.component_file();
    if file.is_file() {
        return Ok(file);
    }
    Err(Fail::usage(format_args!("`{}` is not there", shown(&file)))
        .hint(format_args!("build it first: runner module build {}", shown(what))))
}

/// What a registry is told of a module.
fn metadata(module: &Module) -> Result<Metadata, Fail> {
    let ty = module.component.component_type();
    let engine = loader()?.engine().clone();
    Ok(Metadata {
        title: module.manifest.name.clone(),
        version: Some(module.manifest.version.clone()),
        summary: Some(module.manifest.summary.clone()),
        exports: ty.exports(&engine).map(|(name, _)| name.to_owned()).collect(),
        imports: ty.imports(&engine).map(|(name, _)| name.to_owned()).collect(),
        created: source_date_epoch().map_err(Fail::usage)?,
        ..Metadata::default()
    })
}

pub(crate) fn pull(args: &Pull) -> Result<(), Fail> {
    let module: OciModule = args.from.trim_start_matches("oci:").parse().map_err(bad_module)?;
    let registries = registries();
    let source = source_of(&ModuleRef::Oci(module.clone()), &registries)
        .map_err(|error| unusable(&args.from, &error))?;
    if let Origin::Registry { repository, pinned } = &source.origin {
        // What is said of it is kept with it, so that a policy can be asked without a network.
        registries
            .evidence(repository, &pinned.manifest, true)
            .map_err(|error| unusable(&args.from, &error))?;
        let tag = if pinned.tag.is_empty() { String::new() } else { format!(":{}", pinned.tag) };
        talk(&format!("`{repository}{tag}`: {}, {}\n", size(source.bytes.len() as u64), source.digest));
        talk(&format!("  the registry's manifest is {}\n", pinned.manifest));
    }
    match &args.to {
        Some(file) => keep(&source, file),
        None => Ok(()),
    }
}

fn keep(source: &Source, file: &Path) -> Result<(), Fail> {
    write_whole(file, &source.bytes)
        .map_err(|error| Fail::internal(format_args!("cannot write `{}`: {error}", shown(file))))?;
    out(&format!("{}\n", file.display()))
}
