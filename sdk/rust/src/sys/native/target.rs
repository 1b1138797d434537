//! Targets in memory.

use super::{Artifact, Secret};
use crate::testing::{Machine, Node, Socket, State, Stored, What, with};
use crate::types::{Attributes, Effect, Entry, Link, Release, ServiceAction};
use crate::{Error, Result};

#[derive(Debug)]
pub(crate) struct Target(pub(super) String);

pub(crate) fn current() -> Target {
    Target(with(|state| state.current.clone()))
}

pub(crate) fn named(name: &str) -> Result<Target> {
    with(|state| {
        state.call("targets", "named", name, |granted| granted.target(name))?;
        state.machine(name).map(|_| Target(name.to_owned()))
    })
}

/// Makes the answers of a change: what the machine says, and the line that records it.
fn change<T>(
    target: &Target,
    name: &str,
    path: &str,
    more: &str,
    work: impl FnOnce(&mut Machine) -> Result<T>,
    changed: impl FnOnce(&T) -> bool,
) -> Result<(T, bool)> {
    with(|state| {
        let answer = work(state.verb(&target.0, name, "write", path)?)?;
        let what = format!("{}: {name} {path}{more}", target.0);
        let changed = state.changed(changed(&answer), what);
        Ok((answer, changed))
    })
}

fn changes(
    target: &Target,
    name: &str,
    path: &str,
    more: &str,
    work: impl FnOnce(&mut Machine) -> Result<bool>,
) -> Result<bool> {
    change(target, name, path, more, work, |changed| *changed).map(|(_, changed)| changed)
}

impl Target {
    fn look<T>(&self, name: &str, path: &str, work: impl FnOnce(&mut Machine) -> Result<T>) -> Result<T> {
        with(|state| work(state.verb(&self.0, name, "read", path)?))
    }

    pub(crate) fn name(&self) -> String {
        self.0.clone()
    }
    pub(crate) fn fact(&self, name: &str) -> Result<String> {
        with(|state| {
            state.call(&self.0, "fact", name, |_| Ok(()))?;
            let facts = &state.machine(&self.0)?.facts;
            let unsaid = name.starts_with("has:").then(|| "false".to_owned());
            let found = facts.get(name).cloned().or(unsaid);
            found.ok_or_else(|| Error::not_found(format!("fact `{name}`")))
        })
    }
    pub(crate) fn stat(&self, path: &str) -> Result<Option<Entry>> {
        self.look("stat", path, |machine| {
            Ok(machine.nodes.get(path).map(|node| node.entry(path.rsplit('/').next().unwrap_or(path))))
        })
    }
    pub(crate) fn read_dir(&self, path: &str) -> Result<Vec<Entry>> {
        self.look("read-dir", path, |machine| {
            machine.folder(path)?;
            Ok(machine.children(path).map(|(name, node)| node.entry(name)).collect())
        })
    }
    pub(crate) fn read_link(&self, path: &str) -> Result<String> {
        self.look("read-link", path, |machine| match &machine.at(path)?.what {
            What::Symlink(to) => Ok(to.clone()),
            _ => Err(Error::conflict(format!("`{path}` is not a symbolic link"))),
        })
    }
    pub(crate) fn read(&self, path: &str) -> Result<String> {
        self.look("read", path, |machine| match &machine.at(path)?.what {
            What::File(content) => String::from_utf8(content.clone())
                .map_err(|_| Error::invalid(format!("read `{path}`: it is not UTF-8"))),
            _ => Err(Error::conflict(format!("`{path}` is not a file"))),
        })
    }
    pub(crate) fn digest(&self, path: &str) -> Result<String> {
        let artifact = self.take("digest", path)?;
        Ok(artifact.0)
    }
    pub(crate) fn disk_free(&self, path: &str) -> Result<u64> {
        self.look("disk-free", path, |machine| Ok(machine.disk_free))
    }
    pub(crate) fn fetch(&self, path: &str) -> Result<Artifact> {
        self.take("fetch", path)
    }
    fn take(&self, name: &str, path: &str) -> Result<Artifact> {
        let stored = self.look(name, path, |machine| {
            let content = |node: &Node| match &node.what {
                What::File(content) => content.clone(),
                _ => Vec::new(),
            };
            let node = machine.at(path)?;
            if node.what != What::Directory {
                return Ok(Stored::File(content(node)));
            }
            let prefix = format!("{path}/");
            let below = machine.nodes.iter().filter(|(_, node)| matches!(node.what, What::File(_)));
            let files =
                below.filter_map(|(at, node)| Some((at.strip_prefix(&prefix)?.to_owned(), content(node))));
            Ok(Stored::Tree(files.collect()))
        })?;
        Ok(Artifact(with(|state| state.store(stored))))
    }
    pub(crate) fn exchange(&self, path: &str, text: &str, effect: Effect) -> Result<String> {
        const MOST: usize = 1 << 20;
        if effect == Effect::Change {
            return Err(Error::invalid(format!("exchange `{path}`: nothing undoes what a socket was told")));
        }
        let socket = with(|state| -> Result<Socket> {
            State::check_path("exchange", path)?;
            state.call(&self.0, "exchange", path, |granted| granted.socket(effect.word(), path))?;
            let socket = state.machine(&self.0)?.sockets.get(path).cloned();
            let socket =
                socket.ok_or_else(|| Error::not_found(format!("exchange `{path}`: no such socket")))?;
            if effect != Effect::Read {
                let said = text.trim_end();
                state.effects.push(format!("{}: exchange [{}] {path}: {said}", self.0, effect.word()));
            }
            Ok(socket)
        })?;
        // Outside of the world, so that the other side may look at it.
        let answer = socket.ask(text)?;
        match answer.len() > MOST {
            true => Err(Error::invalid(format!("exchange `{path}`: the answer is larger than {MOST} bytes"))),
            false => Ok(answer),
        }
    }
    pub(crate) fn service_is_active(&self, unit: &str) -> Result<bool> {
        with(|state| {
            state.call(&self.0, "service-is-active", unit, |granted| granted.service(unit, None))?;
            Ok(state.machine(&self.0)?.services.get(unit).copied().unwrap_or(false))
        })
    }
    pub(crate) fn write(&self, path: &str, text: &str, attributes: &Attributes) -> Result<bool> {
        let content = text.as_bytes().to_vec();
        changes(self, "write", path, "", |machine| machine.write(path, content, 0o644, attributes))
    }
    pub(crate) fn write_secret(&self, path: &str, content: &Secret, attributes: &Attributes) -> Result<bool> {
        let content = content.0.as_bytes().to_vec();
        changes(self, "write-secret", path, "", |machine| machine.write(path, content, 0o600, attributes))
    }
    pub(crate) fn put(&self, path: &str, content: &Artifact, attributes: &Attributes) -> Result<bool> {
        let content = content.bytes()?;
        changes(self, "put", path, "", |machine| machine.write(path, content, 0o644, attributes))
    }
    pub(crate) fn mkdir(&self, path: &str, attributes: &Attributes) -> Result<bool> {
        changes(self, "mkdir", path, "", |machine| machine.mkdir(path, attributes))
    }
    pub(crate) fn symlink(&self, path: &str, points_to: &str) -> Result<bool> {
        changes(self, "symlink", path, &format!(" -> {points_to}"), |machine| {
            machine.symlink(path, points_to)
        })
    }
    pub(crate) fn rename(&self, old_path: &str, new_path: &str) -> Result<()> {
        with(|state| state.verb(&self.0, "rename", "write", new_path).map(drop))?;
        let more = format!(" -> {new_path}");
        change(self, "rename", old_path, &more, |machine| machine.rename(old_path, new_path), |()| true)
            .map(drop)
    }
    pub(crate) fn remove(&self, path: &str) -> Result<bool> {
        changes(self, "remove", path, "", |machine| machine.remove(path))
    }
    pub(crate) fn remove_tree(&self, path: &str) -> Result<bool> {
        changes(self, "remove-tree", path, "", |machine| Ok(machine.remove_tree(path)))
    }
    pub(crate) fn set_attributes(&self, path: &str, attributes: &Attributes) -> Result<bool> {
        changes(self, "set-attributes", path, "", |machine| machine.set_attributes(path, attributes))
    }
    pub(crate) fn unpack(
        &self,
        path: &str,
        tree: &Artifact,
        links: &[Link],
        reuse: Option<&str>,
        attributes: &Attributes,
    ) -> Result<bool> {
        if let Some(reuse) = reuse {
            self.look("unpack", reuse, |machine| machine.folder(reuse))?;
        }
        let files = match with(|state| state.artifact(&tree.0).cloned())? {
            Stored::Tree(files) => files,
            Stored::File(_) => {
                return Err(Error::conflict(format!("unpack `{path}`: the artifact is a file")));
            }
        };
        let more = reuse.map(|reuse| format!(" (reuse {reuse})")).unwrap_or_default();
        changes(self, "unpack", path, &more, |machine| machine.unpack(path, &files, links, attributes))
    }
    pub(crate) fn archive(&self, path: &str, into: &str) -> Result<u64> {
        self.look("archive", path, |machine| machine.at(path).map(drop))?;
        let work = |machine: &mut Machine| machine.archive(path, into);
        change(self, "archive", into, &format!(" of {path}"), work, |_| true).map(|(size, _)| size)
    }
    pub(crate) fn unarchive(&self, archive: &str, path: &str, attributes: &Attributes) -> Result<bool> {
        self.look("unarchive", archive, |machine| machine.at(archive).map(drop))?;
        changes(self, "unarchive", path, &format!(" from {archive}"), |machine| {
            machine.unarchive(archive, path, attributes)
        })
    }
    pub(crate) fn service(&self, unit: &str, action: ServiceAction) -> Result<()> {
        let word = action.word();
        with(|state| {
            state.call(&self.0, "service", unit, |granted| granted.service(unit, Some(word)))?;
            let services = &mut state.machine(&self.0)?.services;
            let Some(active) = services.get_mut(unit) else {
                return Err(Error::not_found(format!("unit `{unit}` is not known")));
            };
            *active = action != ServiceAction::Stop;
            state.effects.push(format!("{}: service {unit} {word}", self.0));
            Ok(())
        })
    }
}

pub(crate) fn releases(target: &Target, root: &str) -> Result<Vec<Release>> {
    target.look("releases", root, |machine| Ok(machine.releases(root)))
}

pub(crate) fn previous(target: &Target, root: &str) -> Result<Option<Release>> {
    target.look("previous", root, |machine| {
        let releases = machine.releases(root);
        let live = releases.iter().find(|release| release.live).map(|release| release.sequence);
        let before = |release: &Release| live.is_some_and(|live| release.sequence < live);
        Ok(releases.into_iter().find(|release| before(release) && release.mark == crate::Mark::Good))
    })
}
