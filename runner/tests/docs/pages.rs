//! Pages of the book, and the fenced blocks in them.

use super::repository;
use std::path::{Path, PathBuf};

/// A fenced block of a page.
#[derive(Debug)]
pub(crate) struct Block {
    /// The line of the opening fence, from 1.
    pub(crate) line: usize,
    /// What the fence says: `toml`, `console`.
    pub(crate) language: String,
    /// The file that it is the content of: the name in backticks that ends the line before it, with a colon.
    pub(crate) file: Option<String>,
    /// Whether it goes to the end of that file: the line before it says "to the end of".
    pub(crate) appended: bool,
    /// What it holds.
    pub(crate) text: String,
}

impl Block {
    /// Writes the file that it is the content of, or the end of.
    pub(crate) fn write(&self, folder: &Path, change: impl Fn(&str) -> String) {
        let Some(name) = &self.file else { return };
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let before = if self.appended { read(&path) + "\n" } else { String::new() };
        std::fs::write(&path, before + &change(&self.text)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// Every page: README and CONTRIBUTING, `docs/`, and what examples and the SDKs say of themselves.
pub(crate) fn all() -> Vec<PathBuf> {
    let root = repository();
    let mut pages = Vec::new();
    for name in ["README.md", "CONTRIBUTING.md"] {
        pages.push(root.join(name));
    }
    let sdks = std::fs::read_dir(root.join("sdk")).expect("a folder");
    let of_sdks = sdks.map(|sdk| sdk.expect("an entry").path().join("README.md"));
    pages.extend(of_sdks.filter(|page| page.is_file()));
    for folder in ["docs", "examples"] {
        collect(&root.join(folder), &mut pages);
    }
    pages.sort();
    pages
}

fn collect(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
}

/// A page's text.
pub(crate) fn read(page: &Path) -> String {
    std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

/// The fenced blocks of a page.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut last = "";
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                let file = last.strip_suffix("`:").and_then(|said| Some(said.rsplit_once('`')?.1.to_owned()));
                let (language, appended) = (language.to_owned(), last.contains("to the end of `"));
                open = Some(Block { line: index + 1, language, file, appended, text: String::new() });
                last = "";
            }
            (Some(_), Some("")) => blocks.extend(open.take()),
            (Some(block), _) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) if !line.trim().is_empty() => last = line,
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

#[test]
fn links_between_pages_lead_somewhere() {
    for page in all() {
        let text = read(&page);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") || path.contains("::") || !path.contains(['/', '.']) {
                continue;
            }
            let folder = page.parent().expect("a folder");
            assert!(folder.join(path).exists(), "{}: `{link}` leads nowhere", page.display());
        }
    }
}
