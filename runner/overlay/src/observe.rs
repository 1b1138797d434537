//! What a change would find and leave where earlier changes were: the rules of `observe.rs` of the transport, computed.
//!
//! Where nothing was changed the real target is asked, and what a rule needs of its own tools is asked with a path that
//! is not there.

use crate::node::{Content, Node};
use crate::unknown::{conflict, failure, missing, unknown};
use crate::view::{Kind, View, only};
use crate::way::{Bounds, Place, covered};
use runner_model::{Attributes, Change, Digest, EntryKind, Failure, FailureKind, RemotePath, State};
use runner_transport::{Observed, Places, Within};
use std::sync::Arc;

/// A place in the root where nothing is, for a look at what a change is made of.
const ELSEWHERE: &str = "/.runner-dry-run-asks-what-a-change-is-made-of";

/// Who something new belongs to.
pub(crate) struct Whose {
    pub(crate) user: String,
    pub(crate) group: String,
    pub(crate) root: bool,
    /// The set-group-id bit, where a new folder has it from the one that it is in.
    pub(crate) inherited: u32,
}

/// What a change is about: its places once the changes before it were made.
pub(crate) struct About {
    /// Where it writes.
    pub(crate) place: Place,
    /// The names of the folders that it would make on the way, and its own.
    pub(crate) names: Vec<String>,
    /// The new name of a rename.
    pub(crate) to: Option<Place>,
    /// What it reads.
    pub(crate) from: Option<Place>,
}

impl About {
    /// Whether the real target can answer.
    fn as_it_is(&self) -> bool {
        [Some(&self.place), self.to.as_ref(), self.from.as_ref()].into_iter().flatten().all(Place::as_it_is)
    }
}

impl View {
    /// Finds the places of a change, in the order in which the real target looks at them.
    pub(crate) async fn about(
        &self,
        what: &str,
        change: &Change,
        within: &Within<'_>,
    ) -> Result<About, Failure> {
        let whole = matches!(
            change,
            Change::RemoveTree { .. }
                | Change::Rename { .. }
                | Change::Unpack { .. }
                | Change::Unarchive { .. }
        );
        let writes = Bounds { places: within.writes, below: false, own: whole };
        let reads = Bounds { places: within.reads, below: false, own: true };
        let from = match change {
            Change::Archive { path, .. } | Change::Unarchive { archive: path, .. } => {
                Some(self.find(what, path, reads).await?)
            }
            _ => None,
        };
        if let (Change::Archive { path, .. }, Some(from)) = (change, &from) {
            self.packable(what, path, from).await?;
        }
        let (place, names) = match change {
            Change::Mkdir { path, .. } => self.near(what, path, writes).await?,
            _ => match (self.find(what, change.path(), writes).await, change) {
                (Ok(place), _) => (place, vec![]),
                // What it reads is looked at first.
                (Err(failure), Change::Unarchive { .. }) => {
                    self.sound(what, change, from.as_ref()).await?;
                    return Err(failure);
                }
                (Err(failure), _) => return Err(failure),
            },
        };
        let to = match change {
            // Without anything to rename, the new name is not looked at.
            Change::Rename { to, .. } if self.is_there(what, &place).await? => {
                Some(self.find(what, to, writes).await?)
            }
            _ => None,
        };
        Ok(About { place, names, to, from })
    }

    /// What the change would find and leave.
    pub(crate) async fn observed(&self, change: &Change, within: Within<'_>) -> Result<Observed, Failure> {
        let what = &self.what(change.verb(), change.path());
        if self.tree.is_as_it_is() {
            return self.reads.observe(change, within).await;
        }
        for path in [Some(change.path()), change.also_writes()].into_iter().flatten() {
            covered(what, path, &within.writes)?;
        }
        if let Some(path) = change.reads() {
            covered(what, path, &within.reads)?;
        }
        let gone = matches!(change, Change::Remove { .. } | Change::RemoveTree { .. });
        let about = match self.about(what, change, &within).await {
            Ok(about) => about,
            // What is to be gone is gone with the folder that it was in.
            Err(failure) if gone && failure.kind == FailureKind::NotFound => {
                return Ok(Observed { before: State::Absent, after: State::Absent, folders: 0 });
            }
            Err(failure) => {
                // What it is made of is judged before the place is looked at.
                if !is_unarchive(change) {
                    self.asked_elsewhere(what, change).await?;
                }
                return Err(failure);
            }
        };
        // In a folder of another group or mode, what is new is another one too.
        if about.as_it_is() && !self.tree.at(&about.place.folder).is_dressed() {
            return self.reads.observe(change, within).await;
        }
        self.computed(what, change, &about, &within).await
    }

    async fn computed(
        &self,
        what: &str,
        change: &Change,
        about: &About,
        within: &Within<'_>,
    ) -> Result<Observed, Failure> {
        let place = &about.place;
        match change {
            Change::Write { content, size, attributes, .. } => {
                self.asked_elsewhere(what, change).await?;
                self.observed_write(what, place, (*content, *size), attributes, 0o644).await
            }
            Change::WriteSecret { content, attributes, .. } => {
                self.asked_elsewhere(what, change).await?;
                let value = self.vault.reveal(content)?;
                let content = (Digest::of(value.as_bytes()), value.len() as u64);
                self.observed_write(what, place, content, attributes, 0o600).await
            }
            Change::Mkdir { attributes, .. } => {
                self.asked_elsewhere(what, change).await?;
                let whose = self.whose(what, &place.folder).await?;
                let before = match about.names.len() {
                    0 | 1 => self.state(what, &place.node).await?,
                    _ => State::Absent,
                };
                let after = match &before {
                    State::Absent => State::Directory {
                        tree: None,
                        mode: attributes.mode.unwrap_or(0o755 | whose.inherited),
                        owner: attributes.owner.clone().unwrap_or(whose.user),
                        group: attributes.group.clone().unwrap_or(whose.group),
                    },
                    State::Directory { .. } => dressed(what, &before, attributes)?,
                    _ => return Err(conflict(what, "something else than a folder is there")),
                };
                Ok(Observed { before, after, folders: 0 })
            }
            Change::Symlink { points_to, .. } => {
                self.asked_elsewhere(what, change).await?;
                let before = match self.link_state(what, place).await? {
                    before @ (State::Absent | State::Symlink { .. }) => before,
                    _ => return Err(conflict(what, "something else than a symbolic link is there")),
                };
                let points_to = self.vault.hide(points_to.as_str());
                Ok(Observed { before, after: State::Symlink { points_to }, folders: 0 })
            }
            Change::Rename { path, to } => {
                let before = self.existing(what, path, place).await?;
                if let Some(new) = &about.to
                    && self.is_there(what, new).await?
                {
                    return Err(conflict(what, &format!("`{to}` exists")));
                }
                Ok(Observed { before, after: State::Absent, folders: 0 })
            }
            Change::Remove { .. } => {
                let before = self.state(what, &place.node).await?;
                if matches!(before, State::Directory { .. })
                    && !self.entries(what, &place.node).await?.is_empty()
                {
                    return Err(conflict(what, "the folder is not empty"));
                }
                Ok(Observed { before, after: State::Absent, folders: 0 })
            }
            Change::RemoveTree { path } => {
                let before = self.with_tree(what, path, place, within).await?;
                Ok(Observed { before, after: State::Absent, folders: 0 })
            }
            Change::SetAttributes { path, attributes } => {
                self.asked_elsewhere(what, change).await?;
                match self.existing(what, path, place).await? {
                    before @ (State::File { .. } | State::Directory { .. }) => {
                        let after = dressed(what, &before, attributes)?;
                        Ok(Observed { before, after, folders: 0 })
                    }
                    State::Symlink { .. } => {
                        Err(conflict(what, "it is a symbolic link, which is not followed"))
                    }
                    _ => Err(conflict(what, "it is neither a file nor a folder")),
                }
            }
            Change::Unpack { path, attributes, .. } => {
                self.observed_unpack(what, path, change, place, attributes, within).await
            }
            Change::Unarchive { path, .. } => {
                self.sound(what, change, about.from.as_ref()).await?;
                let before = match self.with_tree(what, path, place, within).await? {
                    State::Symlink { .. } => {
                        return Err(conflict(what, "it is a symbolic link, which is not followed"));
                    }
                    State::Other => return Err(conflict(what, "it is neither a file nor a folder")),
                    before => before,
                };
                // What is in it is not known before it is unpacked.
                Ok(Observed { before, after: State::Other, folders: 0 })
            }
            Change::Archive { into, .. } => {
                self.asked_elsewhere(what, change).await?;
                if self.is_there(what, place).await? {
                    return Err(conflict(what, &format!("`{into}` exists")));
                }
                // Its bytes are not known before it is made.
                Ok(Observed { before: State::Absent, after: State::Other, folders: 0 })
            }
        }
    }

    /// Fails where something is excepted in what a change is about as a whole.
    pub(crate) async fn spared_below(
        &self,
        what: &str,
        path: &RemotePath,
        places: Places<'_>,
    ) -> Result<(), Failure> {
        self.find(what, path, Bounds { places, below: true, own: true }).await.map(|_| ())
    }

    /// What a write of this content would find and leave; `new`: the mode of a file that is new.
    async fn observed_write(
        &self,
        what: &str,
        place: &Place,
        (content, size): (Digest, u64),
        attributes: &Attributes,
        new: u32,
    ) -> Result<Observed, Failure> {
        let before = self.state(what, &place.node).await?;
        let whose = self.whose(what, &place.folder).await?;
        let after = match &before {
            State::File { digest, mode, owner, group, .. } => {
                let wanted = |wanted: &Option<String>, now: &String, ours: &String| match wanted {
                    Some(_) => given(what, wanted, now),
                    // Only root can give the new file to the old one's owner.
                    None if whose.root || *digest == content => Ok(now.clone()),
                    None => Ok(ours.clone()),
                };
                State::File {
                    digest: content,
                    size,
                    mode: attributes.mode.unwrap_or(*mode),
                    owner: wanted(&attributes.owner, owner, &whose.user)?,
                    group: wanted(&attributes.group, group, &whose.group)?,
                }
            }
            State::Absent | State::Symlink { .. } => State::File {
                digest: content,
                size,
                mode: attributes.mode.unwrap_or(new),
                owner: attributes.owner.clone().unwrap_or(whose.user),
                group: attributes.group.clone().unwrap_or(whose.group),
            },
            State::Directory { .. } => return Err(conflict(what, "a folder is there")),
            State::Other => return Err(conflict(what, "a device, a socket or a pipe is there")),
        };
        Ok(Observed { before, after, folders: 0 })
    }

    async fn observed_unpack(
        &self,
        what: &str,
        path: &RemotePath,
        change: &Change,
        place: &Place,
        attributes: &Attributes,
        within: &Within<'_>,
    ) -> Result<Observed, Failure> {
        // The real target puts the links into the tree, and the manifest of that into the store.
        let wanted = match self.asked_elsewhere(what, change).await?.map(|seen| seen.after) {
            Some(State::Directory { tree: Some(tree), .. }) => tree,
            _ => return Err(unknown(what, "which tree it would lay out")),
        };
        let whose = self.whose(what, &place.folder).await?;
        let found = self.state(what, &place.node).await?;
        let (before, mode, owner, group) = match found {
            State::Absent => (State::Absent, 0o755 | whose.inherited, whose.user, whose.group),
            State::Directory { mode, owner, group, .. } => {
                self.spared_below(what, path, within.writes).await?;
                let tree = self.manifest_of(what, path, &place.node, crate::whole::For::Comparing, false);
                if tree.await?.digest() != wanted {
                    return Err(conflict(what, "the folder is there and holds other things"));
                }
                let before =
                    State::Directory { tree: Some(wanted), mode, owner: owner.clone(), group: group.clone() };
                (before, mode, owner, group)
            }
            _ => return Err(conflict(what, "something else than a folder is there")),
        };
        let (owner, group) = match before {
            State::Absent => {
                (attributes.owner.clone().unwrap_or(owner), attributes.group.clone().unwrap_or(group))
            }
            _ => (given(what, &attributes.owner, &owner)?, given(what, &attributes.group, &group)?),
        };
        Ok(Observed {
            before,
            after: State::Directory { tree: Some(wanted), mode, owner, group },
            folders: 0,
        })
    }

    /// What the real target says of a change that is the same but for its place, where nothing is: so what it is made of
    /// is judged by the one who would carry it out. `None`: nothing can be said without the place.
    async fn asked_elsewhere(&self, what: &str, change: &Change) -> Result<Option<Observed>, Failure> {
        let elsewhere: RemotePath = ELSEWHERE.parse().map_err(|bad| unknown(what, &format!("{bad}")))?;
        let mut change = change.clone();
        match &mut change {
            Change::Write { path, .. }
            | Change::WriteSecret { path, .. }
            | Change::Mkdir { path, .. }
            | Change::Symlink { path, .. }
            | Change::SetAttributes { path, .. }
            | Change::Unarchive { path, .. } => *path = elsewhere.clone(),
            Change::Unpack { path, reuse, .. } => {
                *path = elsewhere.clone();
                *reuse = None;
            }
            Change::Archive { path, into } => {
                *path = elsewhere.clone();
                let known = [".tar.zst", ".tar.gz", ".tar"];
                let end = known.iter().find(|end| into.as_str().ends_with(*end)).unwrap_or(&"");
                *into =
                    format!("{ELSEWHERE}{end}").parse().map_err(|bad| unknown(what, &format!("{bad}")))?;
            }
            Change::Rename { .. } | Change::Remove { .. } | Change::RemoveTree { .. } => return Ok(None),
        }
        let everywhere = [RemotePath::root()];
        match self.reads.observe(&change, Within::both(&everywhere)).await {
            Ok(seen) => Ok(Some(seen)),
            // That nothing is there was to be expected.
            Err(failure) if failure.kind == FailureKind::NotFound && !is_unarchive(&change) => Ok(None),
            Err(failure) => {
                let why = failure.message.split_once(": ").map_or("", |(_, why)| why);
                Err(Failure { message: format!("{what}: {why}"), ..failure.clone() })
            }
        }
    }

    /// Fails where what is to be archived is neither a folder nor a file.
    async fn packable(&self, what: &str, path: &RemotePath, from: &Place) -> Result<(), Failure> {
        match self.kind(what, &from.node).await? {
            Kind::File | Kind::Folder => Ok(()),
            Kind::Absent => Err(missing(what, &format!("nothing is at `{path}`"))),
            Kind::Link(_) | Kind::Other => {
                Err(conflict(what, &format!("`{path}` is neither a folder nor a file")))
            }
        }
    }

    /// Fails where the archive cannot be unpacked: it is read, whole.
    async fn sound(&self, what: &str, change: &Change, archive: Option<&Place>) -> Result<(), Failure> {
        let Some(archive) = archive else { return Ok(()) };
        let Change::Unarchive { path, attributes, .. } = change else { return Ok(()) };
        match &*self.plain(what, &archive.node).await? {
            Node::Real(real) => {
                let change = Change::Unarchive {
                    path: path.clone(),
                    archive: real.clone(),
                    attributes: attributes.clone(),
                };
                self.asked_elsewhere(what, &change).await.map(|_| ())
            }
            Node::File { content: Content::Unknown(why), .. } | Node::Unknown(why) => Err(unknown(what, why)),
            Node::File { .. } => Err(unknown(what, "what is in an archive that is not there yet")),
            Node::Absent | Node::Laid(_) => Err(missing(what, "no archive is there")),
            Node::Link { .. } => Err(conflict(what, "it is a symbolic link, which is not followed")),
            Node::Folder(_) => Err(failure(FailureKind::Other, what, "it is a folder")),
        }
    }

    async fn is_there(&self, what: &str, place: &Place) -> Result<bool, Failure> {
        Ok(match &*place.node {
            Node::File { .. } | Node::Folder(_) | Node::Link { .. } => true,
            Node::Absent => false,
            _ => self.entry(what, &place.node, "").await?.is_some(),
        })
    }

    /// The state as far as it is about links: what a file holds does not matter.
    async fn link_state(&self, what: &str, place: &Place) -> Result<State, Failure> {
        match &*self.plain(what, &place.node).await? {
            Node::File { .. } | Node::Folder(_) => Ok(State::Other),
            Node::Real(path) if self.reads.kind(path).await? == Some(EntryKind::File) => Ok(State::Other),
            _ => self.state(what, &place.node).await,
        }
    }

    async fn existing(&self, what: &str, path: &RemotePath, place: &Place) -> Result<State, Failure> {
        match self.state(what, &place.node).await? {
            State::Absent => Err(missing(what, &format!("nothing is at `{path}`"))),
            state => Ok(state),
        }
    }

    /// The state, of a folder with the digest of all in it.
    async fn with_tree(
        &self,
        what: &str,
        path: &RemotePath,
        place: &Place,
        within: &Within<'_>,
    ) -> Result<State, Failure> {
        let mut state = self.state(what, &place.node).await?;
        if let State::Directory { tree, .. } = &mut state {
            self.spared_below(what, path, within.writes).await?;
            *tree = match &*place.node {
                // Where it was renamed from, the real target looks at it itself.
                Node::Real(real) => {
                    let change = Change::RemoveTree { path: real.clone() };
                    match self.reads.observe(&change, only(real)).await?.before {
                        State::Directory { tree, .. } => tree,
                        _ => None,
                    }
                }
                _ => self.found_tree(what, path, &place.node).await?,
            };
        }
        Ok(state)
    }

    /// Who something new in this folder belongs to.
    pub(crate) async fn whose(&self, what: &str, folder: &RemotePath) -> Result<Whose, Failure> {
        let me = self.me(what).await?;
        let root = me.is_root();
        let node = self.tree.at(folder);
        let Some(entry) = self.entry(what, &node, "").await? else {
            return Err(missing(what, &format!("no folder {folder}")));
        };
        // In a folder with the set-group-id bit, what is new has the folder's group.
        let inherited = entry.mode & 0o2000;
        let group = if inherited == 0 { me.group } else { entry.group };
        Ok(Whose { user: me.user, group, root, inherited })
    }

    /// The folder that something would be made or removed in lets the acting user do so.
    pub(crate) async fn may_change_in(&self, what: &str, folder: &RemotePath) -> Result<(), Failure> {
        if self.me(what).await?.is_root() {
            return Ok(());
        }
        let node: Arc<Node> = self.tree.at(folder);
        let Some(entry) = self.entry(what, &node, "").await? else { return Ok(()) };
        let metadata = crate::node::Metadata {
            mode: Some(entry.mode),
            owner: Some(entry.owner),
            group: Some(entry.group),
            modified: entry.modified,
        };
        self.may(what, &metadata, 0o2, "the target's system refuses it").await
    }
}

fn is_unarchive(change: &Change) -> bool {
    matches!(change, Change::Unarchive { .. })
}

/// An owner or group that was asked for, where `now` is what it is: a number stays with the name that it is the number of.
fn given(what: &str, wanted: &Option<String>, now: &str) -> Result<String, Failure> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let Some(wanted) = wanted else { return Ok(now.to_owned()) };
    if !is_number(wanted) || is_number(now) {
        return Ok(wanted.clone());
    }
    match (wanted.as_str(), now) {
        ("0", "root") => Ok(now.to_owned()),
        ("0", _) | (_, "root") => Ok(wanted.clone()),
        _ => Err(unknown(what, &format!("whether {now} is number {wanted}"))),
    }
}

/// The same with these attributes.
fn dressed(what: &str, before: &State, attributes: &Attributes) -> Result<State, Failure> {
    let mut state = before.clone();
    if let State::File { mode, owner, group, .. } | State::Directory { mode, owner, group, .. } = &mut state {
        *mode = attributes.mode.unwrap_or(*mode);
        *owner = given(what, &attributes.owner, owner)?;
        *group = given(what, &attributes.group, group)?;
    }
    Ok(state)
}
