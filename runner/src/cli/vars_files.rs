//! The files of variables beside an Ansible inventory: `group_vars/GROUP` and `host_vars/HOST`, as Ansible looks for them.

use crate::written::{read, shown};
use runner_model::Problems;
use runner_model::diagnostic::{Code, Problem};
use runner_model::inventory::{VarsFile, Whose};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// How many files there may be. More of them are another folder than what it looks like.
const MOST: usize = 10_000;
/// How deep folders may stand in each other.
const DEEPEST: usize = 8;
/// The endings of such files, in the order in which they are looked for; none at all comes before them.
const ENDINGS: [&str; 3] = ["yml", "yaml", "json"];

/// All of them, in the order in which they are read, and those that cannot be read.
pub(super) fn beside(inventory: &Path) -> (Vec<VarsFile>, Problems) {
    let mut found = Found::default();
    let folder = inventory.parent().unwrap_or(Path::new(""));
    found.folder(&folder.join("group_vars"), Whose::Group);
    found.folder(&folder.join("host_vars"), Whose::Host);
    (found.files, found.problems)
}

#[derive(Default)]
struct Found {
    files: Vec<VarsFile>,
    problems: Problems,
}

impl Found {
    fn folder(&mut self, folder: &Path, whose: fn(String) -> Whose) {
        // By name, and then in the order in which Ansible looks for them: it reads the first one only.
        let mut by_name: BTreeMap<String, Vec<(usize, PathBuf)>> = BTreeMap::new();
        for (name, path) in self.entries(folder) {
            let ending = name
                .rsplit_once('.')
                .and_then(|(stem, ending)| Some((stem, ENDINGS.iter().position(|known| *known == ending)?)));
            let (name, rank) = match ending {
                Some((stem, at)) if !path.is_dir() => (stem.to_owned(), at + 1),
                _ => (name, 0),
            };
            by_name.entry(name).or_default().push((rank, path));
        }
        for (name, mut paths) in by_name {
            paths.sort();
            let mut paths = paths.into_iter();
            let Some((_, first)) = paths.next() else { continue };
            if first.is_dir() {
                self.below(&first, &whose(name.clone()), 0);
            } else {
                self.file(&first, whose(name.clone()));
            }
            self.files.extend(paths.map(|(_, hidden)| VarsFile {
                whose: whose(name.clone()),
                name: shown(&hidden),
                bytes: Vec::new(),
                hidden_by: Some(shown(&first)),
            }));
        }
    }

    /// The files of a group's own folder, sorted by name.
    fn below(&mut self, folder: &Path, whose: &Whose, depth: usize) {
        for (name, path) in self.entries(folder) {
            let ending = name.rsplit_once('.').map(|(_, ending)| ending);
            let is_folder = path.is_dir();
            if name.starts_with('.') || name.ends_with('~') {
                continue;
            }
            match ending {
                None if is_folder && depth < DEEPEST => self.below(&path, whose, depth + 1),
                None if !is_folder => self.file(&path, whose.clone()),
                Some(ending) if !is_folder && ENDINGS.contains(&ending) => self.file(&path, whose.clone()),
                _ => {}
            }
        }
    }

    fn file(&mut self, path: &Path, whose: Whose) {
        if self.files.len() >= MOST {
            let message = format!("there are more than {MOST} files in `group_vars` and `host_vars`");
            self.problems.push(
                Problem::with_file(Code::TooLarge, shown(path), message).hint("is it the right folder?"),
            );
            return;
        }
        match read(path) {
            Ok(bytes) => self.files.push(VarsFile { whose, name: shown(path), bytes, hidden_by: None }),
            Err(problems) => self.problems.extend(problems),
        }
    }

    /// What is in a folder, sorted by name. One that is not there is empty.
    fn entries(&mut self, folder: &Path) -> Vec<(String, PathBuf)> {
        let listed = match fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
            listed => listed.and_then(Iterator::collect::<std::io::Result<Vec<fs::DirEntry>>>),
        };
        match listed {
            Ok(entries) => {
                let name = |entry: fs::DirEntry| Some((entry.file_name().into_string().ok()?, entry.path()));
                let mut entries: Vec<_> = entries.into_iter().filter_map(name).collect();
                entries.sort();
                entries
            }
            Err(error) => {
                let message = format!("cannot be read: {error}");
                self.problems.push(Problem::with_file(Code::Missing, shown(folder), message));
                Vec::new()
            }
        }
    }
}
