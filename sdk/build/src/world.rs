//! A world of a project's own: `base` and the interfaces that its `step.toml` names, for languages whose tools import
//! all that a world names. So the component's import list proves what it can touch.

use crate::scaffold::WIT;
use crate::{Error, Project, files};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::path::Path;

/// The world's name.
pub(crate) const WORLD: &str = "runner-project";

/// Interfaces whose resources others use, with nothing but these: what is in the place of one that a project does not
/// name, and that comes along. So a step that names `targets` has no function that packs a file beside the plan.
const HANDLES: [(&str, &str); 3] = [("artifacts", "artifact"), ("secrets", "secret"), ("targets", "target")];

/// The name of an interface of `runner:step`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interface(&'static str);

impl Interface {
    /// All of them, sorted. `types` and `log` are in every world.
    pub fn all() -> impl Iterator<Item = Self> {
        let mut names: Vec<_> = wit().filter_map(|(file, _)| file.strip_suffix(".wit")).collect();
        names.sort_unstable();
        names.into_iter().filter(|name| *name != "world").map(Self)
    }

    /// As `step.toml` has it.
    pub fn name(self) -> &'static str {
        self.0
    }
}

impl<'de> Deserialize<'de> for Interface {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = String::deserialize(deserializer)?;
        Self::all().find(|interface| interface.name() == written).ok_or_else(|| {
            let known: Vec<_> = Self::all().map(|interface| format!("`{}`", interface.name())).collect();
            let meant =
                closest(&written).map_or_else(|| ".".to_owned(), |name| format!("; did you mean `{name}`?"));
            let written = written.escape_debug();
            D::Error::custom(format!(
                "there is no interface `{written}`{meant} There are {}",
                known.join(", ")
            ))
        })
    }
}

/// The contract, a file for each interface.
fn wit() -> impl Iterator<Item = (&'static str, &'static str)> {
    WIT.files().filter_map(|file| Some((file.path().to_str()?, file.contents_utf8()?)))
}

/// What somebody who wrote this most likely meant.
fn closest(written: &str) -> Option<&'static str> {
    let near = |name: &str| strsim::osa_distance(&written.to_lowercase().replace('_', "-"), name);
    // Nobody types more than that, and the comparison is quadratic.
    let names = Interface::all().map(Interface::name).filter(|_| written.len() <= 64);
    names
        .map(|name| (near(name), name))
        .filter(|(far, name)| *far <= name.len() / 3)
        .min()
        .map(|(_, name)| name)
}

/// Writes the contract and the project's world into this folder, for tools that take a folder of WIT.
pub(crate) fn write(project: &Project, folder: &Path) -> Result<(), Error> {
    let contract = folder.join("deps").join("step");
    files::make_folder(&contract)?;
    for (file, text) in wit() {
        let named = |interface: &str| project.imports.iter().any(|import| import.name() == interface);
        let text = match HANDLES.iter().find(|(interface, _)| file.strip_suffix(".wit") == Some(interface)) {
            Some((interface, resource)) if !named(interface) => &handle(interface, resource),
            _ => text,
        };
        files::write(&contract.join(file), text)?;
    }
    files::write(&folder.join("world.wit"), &of(&project.imports))
}

fn handle(interface: &str, resource: &str) -> String {
    format!("package runner:step@0.1.0;\n\ninterface {interface} {{\n  resource {resource};\n}}\n")
}

fn of(imports: &[Interface]) -> String {
    let lines: String = imports
        .iter()
        .map(|interface| format!("  import runner:step/{}@0.1.0;\n", interface.name()))
        .collect();
    format!("package runner:project;\n\nworld {WORLD} {{\n  include runner:step/base@0.1.0;\n{lines}}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_has_a_file_of_its_name() {
        let names: Vec<_> = Interface::all().map(Interface::name).collect();
        assert_eq!(names.len(), 12);
        for (file, text) in wit().filter(|(file, _)| *file != "world.wit") {
            let name = file.strip_suffix(".wit").unwrap();
            assert!(names.contains(&name) && text.contains(&format!("\ninterface {name} {{")), "{file}");
        }
    }

    #[test]
    fn what_others_use_of_an_interface_is_its_handle() {
        for (file, text) in wit() {
            for line in text.lines().filter_map(|line| line.trim().strip_prefix("use ")) {
                let Some((interface, names)) = line.split_once(".{") else { panic!("{file}: {line}") };
                let handle = HANDLES.iter().find(|(known, _)| *known == interface);
                let whole =
                    interface == "types" || handle.is_some_and(|(_, handle)| names == format!("{handle}}};"));
                assert!(whole, "{file}: {line}");
            }
        }
    }

    #[test]
    fn what_is_near_is_suggested_and_nothing_else() {
        assert_eq!(closest("target"), Some("targets"));
        assert_eq!(closest("run_info"), Some("run-info"));
        assert_eq!(closest("HTTP"), Some("http"));
        assert_eq!(closest("network"), None);
    }

    #[test]
    fn a_world_has_what_its_project_names() {
        let imports: Vec<_> = Interface::all().filter(|interface| interface.name() == "targets").collect();
        assert_eq!(
            of(&imports),
            "package runner:project;\n\nworld runner-project {\n  include runner:step/base@0.1.0;\n  import \
             runner:step/targets@0.1.0;\n}\n"
        );
    }
}
