//! A step's own folder: `step.toml` says in which language it is written and where its source is.

use crate::{Build, Error, Guest, Interface, Language, c, go, javascript, python, zig};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The file that makes a folder a step's.
pub const FILE: &str = "step.toml";

/// A step's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The folder, absolute.
    pub folder: PathBuf,
    /// The step's name, as its manifest has it; the component is `NAME.wasm`.
    pub name: String,
    /// What it is written in.
    pub language: Language,
    /// The file that has the step, relative to the folder; the language's usual one when `step.toml` does not say.
    pub source: PathBuf,
    /// The folder of the language's SDK, absolute: `sdk` when `step.toml` does not say.
    pub sdk: PathBuf,
    /// The interfaces that the component may import, sorted; for languages where this must be said.
    pub imports: Vec<Interface>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Written {
    name: String,
    language: Language,
    source: Option<PathBuf>,
    sdk: Option<PathBuf>,
    imports: Option<Vec<Interface>>,
}

impl Project {
    /// Reads the `step.toml` of a folder.
    ///
    /// # Errors
    /// [`Error::Project`], with line and column, or [`Error::Read`].
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let file = folder.join(FILE);
        let read = |source| Error::Read { path: file.clone(), source };
        let text = std::fs::read_to_string(&file).map_err(read)?;
        let wrong = |why: String| Error::Project { file: file.clone(), why };
        let written: Written = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        check_name(&written.name).map_err(wrong)?;
        if written.imports.is_some() && !written.language.names_imports() {
            let word = written.language.word();
            return Err(wrong(format!(
                "a step in {word} has no `imports`: it imports what it uses, and nothing else"
            )));
        }
        let mut imports = written.imports.unwrap_or_default();
        imports.sort();
        imports.dedup();
        let folder = std::path::absolute(folder).map_err(read)?;
        if folder.to_str().is_none() {
            // Compilers are told it in files that are UTF-8.
            return Err(wrong("the path of its folder must be UTF-8".to_owned()));
        }
        Ok(Self {
            sdk: folder.join(written.sdk.unwrap_or_else(|| "sdk".into())),
            source: written.source.unwrap_or_else(|| written.language.source().into()),
            folder,
            name: written.name,
            language: written.language,
            imports,
        })
    }

    /// Builds the component, with the language's own tools. What they leave behind is below [`Project::target`].
    ///
    /// # Errors
    /// [`Error::Missing`] for a tool that is not installed, and all else that can go wrong in a build.
    pub fn build(&self) -> Result<Vec<u8>, Error> {
        match self.language {
            Language::C => c::build(self),
            Language::Go => go::build(self),
            Language::Zig => zig::build(self),
            Language::JavaScript | Language::TypeScript => javascript::build(self),
            Language::Python => python::build(self),
            Language::Rust => self.own(Build::new(self.folder.join("Cargo.toml"), self.target()).run()?),
        }
    }

    /// Of what cargo built, the step that `step.toml` names.
    fn own(&self, guests: Vec<Guest>) -> Result<Vec<u8>, Error> {
        let names: Vec<_> = guests.iter().map(|guest| format!("`{}`", guest.name)).collect();
        let found = guests.into_iter().find(|guest| guest.name == self.name);
        found.map(|guest| guest.component).ok_or_else(|| Error::Project {
            file: self.folder.join(FILE),
            why: format!(
                "the step is called {} in Cargo.toml, and in step.toml `{}`: make the names the same",
                names.join(" and "),
                self.name
            ),
        })
    }

    /// The source file, absolute.
    pub fn source(&self) -> PathBuf {
        self.folder.join(&self.source)
    }

    /// Where a build may write: `target` of the folder.
    pub fn target(&self) -> PathBuf {
        self.folder.join("target")
    }

    /// Where the component is, when nobody wants it somewhere else: `NAME.wasm` in [`Project::target`].
    pub fn component_file(&self) -> PathBuf {
        self.target().join(format!("{}.wasm", self.name))
    }
}

/// Whether a step can have this name, which is also that of its files.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    /// With `try-` before it, it is the name of a plan, and those have at most 64.
    const LONGEST: usize = 60;
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(letter) {
        return Err(format!(
            "`{}` is no name for a step: small letters, digits and `-`",
            name.escape_debug()
        ));
    }
    if name.len() > LONGEST {
        return Err(format!("`{name}` is too long for a name of a step: at most {LONGEST} characters"));
    }
    match name {
        "runner-sdk" => Err("`runner-sdk` is the name of the SDK: call the step otherwise".to_owned()),
        _ => Ok(()),
    }
}

/// Runs a tool to its end, with the environment of an outer cargo taken away. Fails with [`Error::Start`], or with
/// [`Error::Tool`] and all that it said.
pub(crate) fn run(mut command: Command) -> Result<(), Error> {
    crate::env::clean(&mut command);
    let program = PathBuf::from(command.get_program());
    let output = command.output().map_err(|source| Error::Start { program: program.clone(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(Error::Tool { program, output: String::from_utf8_lossy(&said).trim_end().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_of_another_name_is_told_with_both_names() {
        let project = Project {
            folder: "/w".into(),
            name: "config".to_owned(),
            language: Language::Rust,
            source: "src/lib.rs".into(),
            sdk: "/w/sdk".into(),
            imports: vec![],
        };
        let guest = |name: &str| Guest { name: name.to_owned(), component: name.into() };
        assert_eq!(project.own(vec![guest("config"), guest("other")]).expect("it is there"), b"config");
        let error = project.own(vec![guest("other")]).expect_err("another name");
        assert_eq!(
            error.to_string(),
            "`/w/step.toml` is not as it must be: the step is called `other` in Cargo.toml, and in step.toml `config`: \
             make the names the same"
        );
    }
}
