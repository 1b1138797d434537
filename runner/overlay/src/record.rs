//! A change as what it would leave: made on the tree of what differs, and nowhere else.

use crate::node::{Below, Content, Folder, FolderMetadata, Laid, Metadata, Node};
use crate::observe::{About, Whose};
use crate::unknown::{conflict, failure, missing, unknown};
use crate::view::View;
use runner_artifact::Tree;
use runner_model::{Attributes, Change, Digest, Failure, FailureKind, ReleaseId, RemotePath, State};
use runner_transport::{Observed, Within};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a change leaves.
pub(crate) struct Recorded {
    /// What is at which place, in this order.
    pub(crate) puts: Vec<(RemotePath, Node)>,
    /// What becomes of a release's account.
    pub(crate) account: Option<Account>,
    /// What the change answers.
    pub(crate) answer: u64,
}

/// What becomes of the account of a release, by the physical release root.
#[derive(Debug, Clone)]
pub(crate) enum Account {
    Laid { root: RemotePath, id: ReleaseId, size: u64 },
    Removed { root: RemotePath, id: String },
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().saturating_mul(1000)
}

/// A name that a number may stand for, as `stat` would tell it.
fn named(wanted: &Option<String>, after: &str) -> Option<String> {
    let number = wanted.as_deref() == Some(after) && after.bytes().all(|b| b.is_ascii_digit());
    match (number, after) {
        (false, after) => Some(after.to_owned()),
        (true, "0") => Some("root".to_owned()),
        (true, _) => None,
    }
}

/// The mode of a folder after `chmod`, which leaves the bits above the permissions as they are, where it is GNU's.
fn folder_mode(wanted: Option<u32>, now: u32) -> Option<u32> {
    match wanted {
        None => Some(now),
        Some(wanted) if now & 0o6000 & !wanted == 0 => Some(wanted),
        Some(_) => None,
    }
}

impl View {
    /// What the change would leave. Fails where it could not be made, as far as reading tells.
    pub(crate) async fn recorded(&self, change: &Change, within: Within<'_>) -> Result<Recorded, Failure> {
        let what = &self.what(change.verb(), change.path());
        let Observed { before, after, .. } = self.observed(change, within).await?;
        let about = match self.about(what, change, &within).await {
            Ok(about) => about,
            // Gone with the folder that it was in.
            Err(failure)
                if failure.kind == FailureKind::NotFound
                    && matches!(change, Change::Remove { .. } | Change::RemoveTree { .. }) =>
            {
                return Ok(Recorded { puts: vec![], account: None, answer: 0 });
            }
            Err(failure) => return Err(failure),
        };
        self.all_spared(what, change, &within).await?;
        self.allowed(what, change, &about, &before, &after).await?;
        let path = about.place.path.clone();
        let mut account = None;
        let mut answer = 0;
        let puts = match change {
            Change::Write { content, size, attributes, .. } => {
                if !self.store.has_file(content, *size) {
                    let why = "its content is not in the artifact store";
                    return Err(failure(FailureKind::Other, what, why));
                }
                let content = Content::Stored { digest: *content, size: *size };
                vec![(path, self.file(what, content, &about, &before, &after, attributes).await?)]
            }
            Change::WriteSecret { attributes, .. } => {
                let State::File { digest, size, .. } = &after else {
                    return Err(unknown(what, "what it would leave"));
                };
                let content = Content::Secret { digest: *digest, size: *size };
                vec![(path, self.file(what, content, &about, &before, &after, attributes).await?)]
            }
            Change::Mkdir { attributes, .. } => {
                self.folders(what, &about, &before, &after, attributes).await?
            }
            Change::Symlink { points_to, .. } => {
                let whose = self.whose(what, &about.place.folder).await?;
                vec![(path, Node::Link { points_to: points_to.clone(), metadata: ours(whose, Some(0o777)) })]
            }
            Change::Rename { .. } => {
                let Some(to) = &about.to else { return Err(missing(what, "nothing is there")) };
                if to.path.is_within(&path) {
                    return Err(failure(
                        FailureKind::Other,
                        what,
                        "the target's `mv` moves nothing into itself",
                    ));
                }
                vec![(path, Node::Absent), (to.path.clone(), (*about.place.node).clone())]
            }
            Change::Remove { .. } => vec![(path, Node::Absent)],
            Change::RemoveTree { .. } => {
                account = of_release(&about.place.folder, &path)
                    .map(|(root, id)| Account::Removed { root, id: id.to_owned() });
                vec![(path, Node::Absent)]
            }
            Change::SetAttributes { attributes, .. } => {
                vec![(path, self.dressed_node(what, &about, &before, &after, attributes).await?)]
            }
            Change::Unpack { path: written, attributes, .. } => {
                let State::Directory { tree: Some(digest), .. } = &after else {
                    return Err(unknown(what, "which tree it would lay out"));
                };
                let tree = self.manifest(what, digest).await?;
                if before == State::Absent {
                    account = self.laid_release(written, &about, &tree);
                }
                vec![(path, self.unpacked(what, *digest, &about, &before, &after, attributes).await?)]
            }
            Change::Archive { .. } => {
                let whose = self.whose(what, &about.place.folder).await?;
                let why = format!("`{}` is an archive that was not made", change.path());
                let content = Content::Unknown(why);
                vec![(path, Node::File { content, metadata: ours(whose, Some(0o600)) })]
            }
            Change::Unarchive { archive, .. } => {
                answer = 1;
                let why = format!("`{}` would be put back from `{archive}`", change.path());
                vec![(path, Node::Unknown(why))]
            }
        };
        Ok(Recorded { puts, account, answer })
    }

    /// Fails where something that is excepted is in what the change is about.
    async fn all_spared(&self, what: &str, change: &Change, within: &Within<'_>) -> Result<(), Failure> {
        match change {
            Change::Rename { path, to } => {
                self.spared_below(what, path, within.writes).await?;
                self.spared_below(what, to, within.writes).await
            }
            Change::RemoveTree { path } | Change::Unpack { path, .. } | Change::Unarchive { path, .. } => {
                self.spared_below(what, path, within.writes).await
            }
            Change::Archive { path, .. } => self.spared_below(what, path, within.reads).await,
            _ => Ok(()),
        }
    }

    /// Fails where the target's system would refuse what can be observed.
    async fn allowed(
        &self,
        what: &str,
        change: &Change,
        about: &About,
        before: &State,
        after: &State,
    ) -> Result<(), Failure> {
        let tools: &[&str] = match change {
            Change::Archive { into, .. } => match into.as_str() {
                into if into.ends_with(".zst") => &["tar", "zstd"],
                into if into.ends_with(".gz") => &["tar", "gzip"],
                _ => &["tar", "sha256sum"],
            },
            Change::Unpack { .. } | Change::Unarchive { .. } => &["tar"],
            _ => &[],
        };
        for tool in tools {
            if !self.reads.has(tool).await? {
                return Err(missing(what, &format!("{tool} is missing on the target")));
            }
        }
        let me = self.me(what).await?;
        if let (Some((_, owner, group)), false) = (owned(after), me.is_root()) {
            let (now_owner, now_group) = match owned(before) {
                Some((_, owner, group)) if matches!(change, Change::SetAttributes { .. }) => (owner, group),
                _ => (me.user.as_str(), group),
            };
            if matches!(change, Change::SetAttributes { .. }) && now_owner != me.user {
                return Err(conflict(what, "the target's system refuses it to whoever is not its owner"));
            }
            if owner != now_owner || group != now_group && group != me.group {
                return Err(unknown(what, "whether the target lets this user give it to another one"));
            }
        }
        match change {
            Change::SetAttributes { .. } => return Ok(()),
            Change::Mkdir { .. } if *before != State::Absent => return Ok(()),
            Change::Rename { path, .. } => {
                self.alone(what, path, &about.place.node).await?;
                if let Some(to) = &about.to {
                    self.may_change_in(what, &to.folder).await?;
                }
            }
            Change::RemoveTree { path } => {
                self.alone(what, path, &about.place.node).await?;
                let is_closed = matches!(before, State::Directory { tree: None, .. })
                    || !about.place.node.is_open_to_its_owner();
                if !me.is_root() && is_closed {
                    return Err(unknown(what, "whether the target lets this user remove all in it"));
                }
            }
            Change::Archive { .. } if !me.is_root() => {
                let from = about.from.as_ref().map_or(&about.place.node, |from| &from.node);
                if let Node::Folder(Folder { metadata: FolderMetadata::Known(metadata), .. }) = &**from {
                    self.may(what, metadata, 0o1, "no permission to enter it").await?;
                }
                let file_is_closed = match &**from {
                    Node::File { metadata, .. } => self.may(what, metadata, 0o4, "").await.is_err(),
                    _ => false,
                };
                if file_is_closed || !from.is_open_to_its_owner() {
                    return Err(unknown(what, "whether the target lets this user read all in it"));
                }
            }
            _ => {}
        }
        self.may_change_in(what, &about.place.folder).await
    }

    async fn file(
        &self,
        what: &str,
        content: Content,
        about: &About,
        before: &State,
        after: &State,
        attributes: &Attributes,
    ) -> Result<Node, Failure> {
        let Some((mode, owner, group)) = owned(after) else {
            return Err(unknown(what, "what it would leave"));
        };
        let mut metadata = known(mode, owner, group, attributes);
        let whose = self.whose(what, &about.place.folder).await?;
        // The file is always a new one; only root can give it to the old one's owner.
        if !whose.root && matches!(before, State::File { .. }) {
            metadata.owner = attributes.owner.as_ref().map_or(Some(whose.user), |_| metadata.owner);
            metadata.group = attributes.group.as_ref().map_or(Some(whose.group), |_| metadata.group);
        }
        Ok(Node::File { content, metadata })
    }

    /// The folder, and those on the way that are missing.
    async fn folders(
        &self,
        what: &str,
        about: &About,
        before: &State,
        after: &State,
        attributes: &Attributes,
    ) -> Result<Vec<(RemotePath, Node)>, Failure> {
        if matches!(before, State::Directory { .. }) {
            let node = self.dressed_node(what, about, before, after, attributes).await?;
            return Ok(vec![(about.place.path.clone(), node)]);
        }
        let whose = self.whose(what, &about.place.folder).await?;
        let Some((_, owner, group)) = owned(after) else {
            return Err(unknown(what, "what it would leave"));
        };
        let made = 0o755 | whose.inherited;
        let mut at = about.place.folder.clone();
        let plain = ours(whose, Some(made));
        let mut puts = Vec::new();
        for (index, name) in about.names.iter().enumerate() {
            at = at.join(name).map_err(|bad| unknown(what, &bad.to_string()))?;
            let metadata = match index + 1 == about.names.len() {
                true => Metadata {
                    mode: folder_mode(attributes.mode, made),
                    owner: named(&attributes.owner, owner),
                    group: named(&attributes.group, group),
                    modified: now(),
                },
                false => plain.clone(),
            };
            puts.push((at.clone(), Node::empty_folder(metadata)));
        }
        Ok(puts)
    }

    /// What is there with other attributes.
    async fn dressed_node(
        &self,
        what: &str,
        about: &About,
        before: &State,
        after: &State,
        attributes: &Attributes,
    ) -> Result<Node, Failure> {
        let (Some((old, ..)), Some((_, owner, group))) = (owned(before), owned(after)) else {
            return Err(unknown(what, "what it would leave"));
        };
        let given = attributes.owner.is_some() || attributes.group.is_some();
        let is_folder = matches!(after, State::Directory { .. });
        let mode = match (is_folder, attributes.mode) {
            (true, wanted) => folder_mode(wanted, old),
            (false, Some(wanted)) => Some(wanted),
            // Whoever gives a file away takes these bits from it.
            (false, None) if given && old & 0o6000 != 0 => None,
            (false, None) => Some(old),
        };
        let node = self.plain(what, &about.place.node).await?;
        let modified = self.entry(what, &node, "").await?.map_or_else(now, |entry| entry.modified);
        let metadata = Metadata {
            mode,
            owner: named(&attributes.owner, owner),
            group: named(&attributes.group, group),
            modified,
        };
        Ok(match (&*node, is_folder) {
            (Node::File { content, .. }, _) => Node::File { content: content.clone(), metadata },
            (Node::Real(path), false) => Node::File { content: Content::Real(path.clone()), metadata },
            (Node::Real(path), true) => Node::Folder(Folder {
                metadata: FolderMetadata::Known(metadata),
                below: Below::Real(path.clone()),
                changed: BTreeMap::new(),
            }),
            (Node::Folder(folder), _) => {
                Node::Folder(Folder { metadata: FolderMetadata::Known(metadata), ..folder.clone() })
            }
            _ => return Err(unknown(what, "what it would leave")),
        })
    }

    async fn unpacked(
        &self,
        what: &str,
        tree: Digest,
        about: &About,
        before: &State,
        after: &State,
        attributes: &Attributes,
    ) -> Result<Node, Failure> {
        let Some((mode, owner, group)) = owned(after) else {
            return Err(unknown(what, "what it would leave"));
        };
        let mut metadata = known(mode, owner, group, attributes);
        if *before == State::Absent && self.whose(what, &about.place.folder).await?.inherited != 0 {
            // Not every `tar` leaves the group to all in it that comes of the set-group-id bit.
            metadata.group = attributes.group.as_ref().and(metadata.group);
        }
        let below = match before {
            State::Absent => Below::Laid(Laid { tree, at: String::new(), metadata: metadata.clone() }),
            _ if attributes.owner.is_none() && attributes.group.is_none() => {
                return Ok((*about.place.node).clone());
            }
            _ => Below::Unknown(format!("all in `{}` would be given to others", about.place.path)),
        };
        Ok(Node::Folder(Folder {
            metadata: FolderMetadata::Known(metadata),
            below,
            changed: BTreeMap::new(),
        }))
    }

    /// The account of what is laid out, where it is a release of the run's root.
    fn laid_release(&self, written: &RemotePath, about: &About, tree: &Tree) -> Option<Account> {
        let releases = self.root.as_ref()?.join("releases").ok()?;
        if written.parent()? != releases {
            return None;
        }
        let id = written.name()?.parse().ok()?;
        Some(Account::Laid { root: about.place.folder.parent()?, id, size: tree.size() })
    }
}

/// The release root that the account of a release is in, whose folder this is.
fn of_release<'p>(folder: &RemotePath, path: &'p RemotePath) -> Option<(RemotePath, &'p str)> {
    if folder.name() != Some("releases") {
        return None;
    }
    Some((folder.parent()?, path.name()?))
}

fn owned(state: &State) -> Option<(u32, &str, &str)> {
    match state {
        State::File { mode, owner, group, .. } | State::Directory { mode, owner, group, .. } => {
            Some((*mode, owner, group))
        }
        State::Absent | State::Symlink { .. } | State::Other => None,
    }
}

fn known(mode: u32, owner: &str, group: &str, attributes: &Attributes) -> Metadata {
    Metadata {
        mode: Some(mode),
        owner: named(&attributes.owner, owner),
        group: named(&attributes.group, group),
        modified: now(),
    }
}

fn ours(whose: Whose, mode: Option<u32>) -> Metadata {
    Metadata { mode, owner: Some(whose.user), group: Some(whose.group), modified: now() }
}

/// The tree of what differs with what a change leaves.
pub(crate) fn put(what: &str, tree: &Arc<Node>, puts: Vec<(RemotePath, Node)>) -> Result<Arc<Node>, Failure> {
    let mut tree = (**tree).clone();
    for (place, node) in puts {
        tree = tree.with(&place, node).ok_or_else(|| conflict(what, "what was there is gone meanwhile"))?;
    }
    Ok(Arc::new(tree))
}
