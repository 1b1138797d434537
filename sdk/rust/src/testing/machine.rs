//! A target in memory: paths and what is at them.

use super::{Answer, Files, Socket};
use crate::{Attributes, Entry, EntryKind, Error, Link, Mark, Release, Result};
use std::collections::{BTreeMap, VecDeque};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    File(Vec<u8>),
    Directory,
    Symlink(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) what: What,
    pub(crate) mode: u32,
    pub(crate) owner: String,
    pub(crate) group: String,
    modified: u64,
}

/// A release that the host keeps account of.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    id: String,
    sequence: u64,
    mark: Mark,
}

#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) services: BTreeMap<String, bool>,
    pub(crate) facts: BTreeMap<String, String>,
    pub(crate) vars: BTreeMap<String, String>,
    pub(crate) disk_free: u64,
    pub(crate) answers: BTreeMap<Vec<String>, VecDeque<Answer>>,
    pub(crate) sockets: BTreeMap<String, Socket>,
    pub(crate) now: u64,
    /// What each archive holds: paths below what was archived, the empty one for itself.
    archived: BTreeMap<String, BTreeMap<String, Node>>,
    known: BTreeMap<String, Vec<Known>>,
}

impl Default for Machine {
    fn default() -> Self {
        let facts = [("os", "linux"), ("arch", "x86_64"), ("user", "deploy"), ("init", "systemd")];
        Self {
            nodes: BTreeMap::new(),
            services: BTreeMap::new(),
            facts: facts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            vars: BTreeMap::new(),
            disk_free: 1 << 40,
            answers: BTreeMap::new(),
            sockets: BTreeMap::new(),
            now: 0,
            archived: BTreeMap::new(),
            known: BTreeMap::new(),
        }
    }
}

impl Node {
    pub(crate) fn entry(&self, name: &str) -> Entry {
        let (kind, size) = match &self.what {
            What::File(content) => (EntryKind::File, content.len() as u64),
            What::Directory => (EntryKind::Directory, 0),
            What::Symlink(_) => (EntryKind::Symlink, 0),
        };
        Entry {
            name: name.to_owned(),
            kind,
            size,
            mode: self.mode,
            owner: self.owner.clone(),
            group: self.group.clone(),
            modified: self.modified,
        }
    }

    /// Answers whether that changed anything.
    fn become_(&mut self, attributes: &Attributes) -> bool {
        let before = (self.mode, self.owner.clone(), self.group.clone());
        self.mode = attributes.mode.unwrap_or(self.mode);
        self.owner = attributes.owner.clone().unwrap_or_else(|| self.owner.clone());
        self.group = attributes.group.clone().unwrap_or_else(|| self.group.clone());
        before != (self.mode, self.owner.clone(), self.group.clone())
    }
}

pub(crate) fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((parent, name)) => (parent, name),
        None => ("/", path),
    }
}

impl Machine {
    fn node(&self, what: What) -> Node {
        let mode = match what {
            What::File(_) => 0o644,
            What::Directory => 0o755,
            What::Symlink(_) => 0o777,
        };
        Node { what, mode, owner: "deploy".to_owned(), group: "deploy".to_owned(), modified: self.now }
    }

    /// Puts it there, whatever is there now, with the folders that it is in.
    pub(crate) fn put(&mut self, path: &str, what: What) {
        let (parent, name) = split(path);
        if parent != "/" && !self.nodes.contains_key(parent) {
            self.put(parent, What::Directory);
        }
        if !name.is_empty() {
            self.archived.remove(path);
            let node = self.node(what);
            self.nodes.insert(path.to_owned(), node);
        }
    }

    pub(crate) fn know(&mut self, root: &str, id: &str, mark: Mark) {
        let known = self.known.entry(root.to_owned()).or_default();
        if known.iter().all(|release| release.id != id) {
            let sequence = known.iter().map(|release| release.sequence).max().unwrap_or(0) + 1;
            known.push(Known { id: id.to_owned(), sequence, mark });
        }
    }

    pub(crate) fn children<'a>(&'a self, path: &str) -> impl Iterator<Item = (&'a str, &'a Node)> {
        let prefix = if path == "/" { "/".to_owned() } else { format!("{path}/") };
        self.nodes.iter().filter_map(move |(at, node)| {
            let name = at.strip_prefix(&prefix)?;
            (!name.is_empty() && !name.contains('/')).then_some((name, node))
        })
    }

    fn below<'a>(&'a self, path: &str) -> impl Iterator<Item = (&'a str, &'a Node)> {
        let prefix = format!("{path}/");
        self.nodes.iter().filter_map(move |(at, node)| Some((at.strip_prefix(&prefix)?, node)))
    }

    pub(crate) fn folder(&self, path: &str) -> Result<()> {
        match self.nodes.get(path).map(|node| &node.what) {
            _ if path == "/" => Ok(()),
            Some(What::Directory) => Ok(()),
            Some(_) => Err(Error::conflict(format!("`{path}` is not a folder"))),
            None => Err(Error::not_found(format!("`{path}` does not exist"))),
        }
    }

    pub(crate) fn at(&self, path: &str) -> Result<&Node> {
        self.nodes.get(path).ok_or_else(|| Error::not_found(format!("`{path}` does not exist")))
    }

    pub(crate) fn write(
        &mut self,
        path: &str,
        content: Vec<u8>,
        new: u32,
        attributes: &Attributes,
    ) -> Result<bool> {
        self.folder(split(path).0)?;
        let what = What::File(content);
        let changed = match self.nodes.get_mut(path) {
            Some(node) if node.what == What::Directory => {
                return Err(Error::conflict(format!("`{path}` is a folder")));
            }
            Some(node) => {
                let changed = node.what != what;
                node.what = what;
                changed
            }
            None => {
                let node = Node { mode: new, ..self.node(what) };
                self.nodes.insert(path.to_owned(), node);
                true
            }
        };
        Ok(self.nodes.get_mut(path).is_some_and(|node| node.become_(attributes)) || changed)
    }

    pub(crate) fn mkdir(&mut self, path: &str, attributes: &Attributes) -> Result<bool> {
        let mut changed = false;
        match self.folder(path) {
            Err(error) if error.is(crate::ErrorKind::NotFound) => {
                self.put(path, What::Directory);
                changed = true;
            }
            other => other?,
        }
        Ok(self.nodes.get_mut(path).is_some_and(|node| node.become_(attributes)) || changed)
    }

    pub(crate) fn symlink(&mut self, path: &str, to: &str) -> Result<bool> {
        self.folder(split(path).0)?;
        match self.nodes.get(path).map(|node| &node.what) {
            Some(What::Symlink(now)) if now == to => return Ok(false),
            Some(What::Symlink(_)) | None => {}
            Some(_) => return Err(Error::conflict(format!("`{path}` is not a symbolic link"))),
        }
        self.put(path, What::Symlink(to.to_owned()));
        Ok(true)
    }

    pub(crate) fn rename(&mut self, old: &str, new: &str) -> Result<()> {
        self.at(old)?;
        self.folder(split(new).0)?;
        if self.nodes.contains_key(new) {
            return Err(Error::conflict(format!("`{new}` exists")));
        }
        let below: Vec<String> = self.below(old).map(|(path, _)| path.to_owned()).collect();
        for path in below {
            if let Some(node) = self.nodes.remove(&format!("{old}/{path}")) {
                self.nodes.insert(format!("{new}/{path}"), node);
            }
        }
        if let Some(node) = self.nodes.remove(old) {
            self.nodes.insert(new.to_owned(), node);
        }
        let moves = |at: &String| at == old || at.starts_with(&format!("{old}/"));
        let archives: Vec<String> = self.archived.keys().filter(|at| moves(at)).cloned().collect();
        for at in archives {
            if let Some(held) = self.archived.remove(&at) {
                self.archived.insert(format!("{new}{}", &at[old.len()..]), held);
            }
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self, path: &str) -> Result<bool> {
        if self.below(path).next().is_some() {
            return Err(Error::conflict(format!("`{path}` is not empty")));
        }
        Ok(self.nodes.remove(path).is_some())
    }

    pub(crate) fn remove_tree(&mut self, path: &str) -> bool {
        let below: Vec<String> = self.below(path).map(|(below, _)| format!("{path}/{below}")).collect();
        for path in below {
            self.nodes.remove(&path);
        }
        self.nodes.remove(path).is_some()
    }

    pub(crate) fn set_attributes(&mut self, path: &str, attributes: &Attributes) -> Result<bool> {
        if matches!(self.at(path)?.what, What::Symlink(_)) {
            return Err(Error::conflict(format!("`{path}` is a symbolic link")));
        }
        Ok(self.nodes.get_mut(path).is_some_and(|node| node.become_(attributes)))
    }

    pub(crate) fn unpack(
        &mut self,
        path: &str,
        tree: &Files,
        links: &[Link],
        attributes: &Attributes,
    ) -> Result<bool> {
        self.folder(split(path).0)?;
        let mut wanted: BTreeMap<String, What> =
            tree.iter().map(|(at, content)| (at.clone(), What::File(content.clone()))).collect();
        for link in links {
            let hidden = format!("{}/", link.path);
            wanted.retain(|at, _| *at != link.path && !at.starts_with(&hidden));
            wanted.insert(link.path.clone(), What::Symlink(link.points_to.clone()));
        }
        let leaves = self.below(path).filter(|(_, node)| node.what != What::Directory);
        let held: BTreeMap<String, What> =
            leaves.map(|(at, node)| (at.to_owned(), node.what.clone())).collect();
        let exists = self.nodes.contains_key(path);
        if exists && held == wanted {
            return Ok(false);
        }
        if exists && !held.is_empty() {
            return Err(Error::conflict(format!("`{path}` holds other things")));
        }
        self.put(path, What::Directory);
        for (at, what) in wanted {
            self.put(&format!("{path}/{at}"), what);
        }
        let prefix = format!("{path}/");
        for (at, node) in &mut self.nodes {
            if at == path || at.starts_with(&prefix) {
                node.become_(attributes);
            }
        }
        let (parent, id) = split(path);
        if let Some(root) = parent.strip_suffix("/releases") {
            let (root, id) = (root.to_owned(), id.to_owned());
            self.know(&root, &id, Mark::Untried);
        }
        Ok(true)
    }

    pub(crate) fn archive(&mut self, path: &str, into: &str) -> Result<u64> {
        if matches!(self.at(path)?.what, What::Symlink(_)) {
            return Err(Error::conflict(format!("`{path}` is neither a folder nor a file")));
        }
        self.folder(split(into).0)?;
        if self.nodes.contains_key(into) {
            return Err(Error::conflict(format!("`{into}` exists")));
        }
        let mut content = match &self.at(path)?.what {
            What::File(bytes) => bytes.clone(),
            _ => Vec::new(),
        };
        for (at, node) in self.below(path) {
            content.extend_from_slice(at.as_bytes());
            if let What::File(bytes) = &node.what {
                content.extend_from_slice(bytes);
            }
        }
        let size = content.len() as u64;
        if size > self.disk_free {
            return Err(Error::conflict(format!("archive `{into}`: no space left on device")));
        }
        let held = self.tree(path);
        self.put(into, What::File(content));
        self.archived.insert(into.to_owned(), held);
        Ok(size)
    }

    /// What is at the path and below it.
    fn tree(&self, path: &str) -> BTreeMap<String, Node> {
        let below = self.below(path).map(|(at, node)| (format!("/{at}"), node.clone()));
        self.nodes.get(path).map(|node| (String::new(), node.clone())).into_iter().chain(below).collect()
    }

    pub(crate) fn unarchive(&mut self, archive: &str, path: &str, attributes: &Attributes) -> Result<bool> {
        self.folder(split(path).0)?;
        let Some(mut held) = self.archived.get(archive).cloned() else {
            return Err(Error::conflict(format!("`{archive}` is damaged or no archive")));
        };
        if self.nodes.get(path).is_some_and(|node| matches!(node.what, What::Symlink(_))) {
            return Err(Error::conflict(format!("`{path}` is a symbolic link, which is not followed")));
        }
        held.values_mut().for_each(|node| {
            node.become_(attributes);
        });
        let facts = |tree: &BTreeMap<String, Node>| -> Vec<_> {
            let of = |(at, node): (&String, &Node)| {
                (at.clone(), node.what.clone(), node.mode, node.owner.clone(), node.group.clone())
            };
            tree.iter().map(of).collect()
        };
        if facts(&held) == facts(&self.tree(path)) {
            return Ok(false);
        }
        self.remove_tree(path);
        self.nodes.extend(held.into_iter().map(|(at, node)| (format!("{path}{at}"), node)));
        Ok(true)
    }

    fn size_below(&self, prefix: &str) -> u64 {
        let below = self.nodes.iter().filter(|(path, _)| path.starts_with(prefix));
        below.map(|(_, node)| if let What::File(bytes) = &node.what { bytes.len() as u64 } else { 0 }).sum()
    }

    /// Newest first.
    pub(crate) fn releases(&self, root: &str) -> Vec<Release> {
        let live = self.nodes.get(&format!("{root}/current")).and_then(|node| match &node.what {
            What::Symlink(to) => Some(split(to).1.to_owned()),
            _ => None,
        });
        let known = self.known.get(root).into_iter().flatten();
        let complete =
            known.filter(|release| self.nodes.contains_key(&format!("{root}/releases/{}", release.id)));
        let mut releases: Vec<Release> = complete
            .map(|Known { id, sequence, mark }| Release {
                live: live.as_ref() == Some(id),
                id: id.clone(),
                sequence: *sequence,
                mark: *mark,
                size: self.size_below(&format!("{root}/releases/{id}/")),
            })
            .collect();
        releases.sort_by_key(|release| std::cmp::Reverse(release.sequence));
        releases
    }
}
