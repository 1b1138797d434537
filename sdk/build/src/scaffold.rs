//! A new step's folder: the template of its language, and the SDK that it is built with, for the contract that this
//! program knows.

use crate::{Error, Language, Project, project};
use include_dir::{Dir, DirEntry, include_dir};
use std::io::Write as _;
use std::path::{Path, PathBuf};

pub(crate) static WIT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../wit");
static C: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../c");
static GO: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../go");
static JS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../js");
static PYTHON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../python");
static RUST: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../rust");
/// What a new step has in every language: a test, and a plan to try it.
static COMMON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../template");
static ZIG: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../zig");

/// Makes the folder of a step in a language. Answers the files, relative to it.
///
/// # Errors
/// The name is none, something is there already, or it cannot be written.
pub fn new(folder: &Path, name: &str, language: Language) -> Result<Vec<PathBuf>, Error> {
    project::check_name(name).map_err(|why| Error::Project { file: folder.join(project::FILE), why })?;
    let occupied = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if occupied || (folder.exists() && !folder.is_dir()) {
        return Err(Error::Occupied { folder: folder.to_owned() });
    }
    let (sdk, template, into) = parts(language);
    let mut files = Vec::new();
    for (path, content) in below(template_of(sdk, template)).into_iter().chain(below(&COMMON)) {
        let text = String::from_utf8_lossy(content).replace("{{name}}", name);
        files.push((path, text.into_bytes()));
    }
    let of_sdk = below(sdk).into_iter().filter(|(path, _)| is_sdk(path));
    files.extend(of_sdk.map(|(path, content)| (Path::new(into).join(path), content.to_vec())));
    for (path, content) in below(&WIT) {
        files.push((Path::new(into).join("wit").join(path), content.to_vec()));
    }
    for (path, content) in &files {
        write(&folder.join(path), content)?;
    }
    // What was made is read as what it is to be: a template that is not one shows in every test.
    Project::read(folder)?;
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

/// The SDK of a language, the folder of its template in it, and where the SDK is in a step's folder.
fn parts(language: Language) -> (&'static Dir<'static>, &'static str, &'static str) {
    match language {
        Language::C => (&C, "template", "sdk"),
        Language::Go => (&GO, "template", "sdk"),
        Language::JavaScript => (&JS, "template-js", "sdk"),
        Language::Python => (&PYTHON, "template", "sdk"),
        Language::Rust => (&RUST, "template", "sdk/rust"),
        Language::TypeScript => (&JS, "template-ts", "sdk"),
        Language::Zig => (&ZIG, "template", "sdk"),
    }
}

fn template_of(sdk: &'static Dir<'static>, name: &str) -> &'static Dir<'static> {
    // Compiled in: that it is there is what tests see.
    sdk.get_dir(name).unwrap_or_else(|| unreachable!("the SDK has no `{name}`"))
}

/// The files of a folder and of all below it, relative to it, sorted.
fn below(folder: &'static Dir<'static>) -> Vec<(PathBuf, &'static [u8])> {
    fn collect(folder: &'static Dir<'static>, base: &Path, into: &mut Vec<(PathBuf, &'static [u8])>) {
        for entry in folder.entries() {
            match entry {
                DirEntry::Dir(folder) => collect(folder, base, into),
                DirEntry::File(file) => {
                    let path = file.path().strip_prefix(base).unwrap_or(file.path());
                    into.push((path.to_owned(), file.contents()));
                }
            }
        }
    }
    let mut files = Vec::new();
    collect(folder, folder.path(), &mut files);
    files.sort();
    files
}

/// What belongs to a step's folder: not the templates, not the SDK's own tests, and nothing that a build or an interpreter
/// left behind.
fn is_sdk(path: &Path) -> bool {
    let mut parts = path.iter().map(|part| part.to_string_lossy());
    !parts.any(|part| {
        part.starts_with("template")
            || part.ends_with("_test.go")
            || ["__pycache__", "node_modules", "target", "wit"].contains(&part.as_ref())
    })
}

/// Writes a file that is not there. In a folder that others may write to, one of them may have put a link there in the
/// meantime: it is neither followed nor replaced.
fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(content).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_folder_has_the_step_its_sdk_and_the_contract_and_nothing_else() {
        for language in Language::ALL {
            let place = tempfile::tempdir().expect("a folder");
            let folder = place.path().join("say-hello");
            let files = new(&folder, "say-hello", language).unwrap_or_else(|error| panic!("{error}"));
            let project = Project::read(&folder).expect("a project");
            assert_eq!((project.name.as_str(), project.language), ("say-hello", language));
            assert!(project.source().is_file(), "{}: {files:?}", language.word());
            assert!(files.iter().any(|file| file.ends_with("wit/world.wit")), "{files:?}");
            for file in &files {
                let bytes = std::fs::read(folder.join(file)).expect("it was written");
                assert!(
                    !String::from_utf8_lossy(&bytes).contains("{{"),
                    "{}: {}",
                    language.word(),
                    file.display()
                );
                assert!(
                    !file.iter().any(|part| part == "__pycache__" || part == "template")
                        && !file.to_string_lossy().ends_with("_test.go"),
                    "{}",
                    file.display()
                );
            }
            let again = new(&folder, "say-hello", language).expect_err("it is there");
            assert!(matches!(again, Error::Occupied { .. }), "{again}");
        }
    }

    /// So that no name is a keyword there, or hides something that the source uses.
    #[test]
    fn the_name_is_nothing_but_text_in_the_source() {
        let source = |name: &str, language| {
            let place = tempfile::tempdir().expect("a folder");
            new(place.path(), name, language).unwrap_or_else(|error| panic!("{error}"));
            let project = Project::read(place.path()).expect("a project");
            std::fs::read_to_string(project.source()).expect("it was written")
        };
        for language in Language::ALL {
            let usual = source("say-hello", language);
            for name in ["log", "class", "release"] {
                let quoted = format!("\"{name}\"");
                assert_eq!(
                    source(name, language),
                    usual.replace("\"say-hello\"", &quoted),
                    "{}",
                    language.word()
                );
            }
        }
    }

    #[test]
    fn a_module_of_go_is_not_called_as_a_package_of_go() {
        let place = tempfile::tempdir().expect("a folder");
        new(place.path(), "log", Language::Go).unwrap_or_else(|error| panic!("{error}"));
        let text = std::fs::read_to_string(place.path().join("go.mod")).expect("it was written");
        assert!(text.lines().any(|line| line == "module steps/log"), "{text}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_somebody_planted_is_not_written_through() {
        let place = tempfile::tempdir().expect("a folder");
        let [theirs, nothing, link] = ["theirs", "nothing", "step.toml"].map(|name| place.path().join(name));
        std::fs::write(&theirs, "theirs").expect("a file");
        for to in [&theirs, &nothing] {
            std::os::unix::fs::symlink(to, &link).expect("a link");
            let error = write(&link, b"ours").expect_err("something is there");
            assert!(
                error.to_string().starts_with(&format!("cannot write `{}`: ", link.display())),
                "{error}"
            );
            std::fs::remove_file(&link).expect("it is there");
        }
        assert_eq!(std::fs::read(&theirs).expect("it is there"), b"theirs");
        assert!(!nothing.exists());
    }

    #[test]
    fn a_name_that_is_none_makes_nothing() {
        let place = tempfile::tempdir().expect("a folder");
        for name in ["", "Hello", "../x", "1st", "a b", "é"] {
            let folder = place.path().join("x");
            assert!(matches!(new(&folder, name, Language::Rust), Err(Error::Project { .. })), "{name}");
            assert!(!folder.exists());
        }
    }
}
