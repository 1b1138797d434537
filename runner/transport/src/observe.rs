//! What a change would find and leave. Nothing here writes.

use crate::change::held;
use crate::held::Held;
use crate::listing::{self, Stat};
use crate::machine::refusal;
use crate::script::Line;
use crate::user::{User, odd, split};
use crate::{Observed, Within};
use runner_model::{Attributes, Change, Digest, EntryKind, Failure, FailureKind, Link, RemotePath, State};

/// What was seen at a path.
pub(crate) struct Seen {
    /// Of the folder that it is in, or of the nearest one above that exists.
    folder: Stat,
    /// How many folders are missing between that one and the path.
    missing: u32,
    pub(crate) found: Option<(Stat, Option<Digest>, Option<String>)>,
}

/// Who a new file belongs to, and who may give files away.
struct Whose {
    user: String,
    group: String,
    root: bool,
}

impl User {
    pub(crate) async fn do_observe(&self, change: &Change, within: Within<'_>) -> Result<Observed, Failure> {
        let path = change.path();
        let what = self.what(change.verb(), path);
        let held = held(&what, change, &within)?;
        check(&what, change)?;
        match change {
            Change::Write { content, size, attributes, .. } => {
                self.observe_write(&what, path, (*content, *size), attributes, 0o644, held).await
            }
            Change::WriteSecret { content, attributes, .. } => {
                let value = self.machine.shared.vault.reveal(content)?;
                let content = (Digest::of(value.as_bytes()), value.len() as u64);
                self.observe_write(&what, path, content, attributes, 0o600, held).await
            }
            Change::Mkdir { attributes, .. } => {
                let seen = self.see(&what, path, held, "v_near").await?;
                let whose = self.whose(&what, &seen.folder).await?;
                let before = seen.state();
                let inherited = seen.folder.mode & 0o2000;
                let after = match &before {
                    State::Absent => State::Directory {
                        tree: None,
                        mode: attributes.mode.unwrap_or(0o755 | inherited),
                        owner: attributes.owner.clone().unwrap_or(whose.user),
                        group: attributes.group.clone().unwrap_or(whose.group),
                    },
                    State::Directory { .. } => seen.dressed(attributes),
                    _ => return Err(conflict(&what, "something else than a folder is there")),
                };
                let folders = if before == State::Absent { seen.missing + 1 } else { 0 };
                Ok(Observed { before, after, folders })
            }
            Change::Symlink { points_to, .. } => {
                let (folder, base) = split(path);
                let line = Line::new("v_saw_link").arg(folder).arg(base);
                let answer = self.call(&what, held, None, line, self.machine.limits().verb).await?;
                let before = match answer.status {
                    0 => {
                        let text = String::from_utf8_lossy(&answer.out);
                        State::Symlink { points_to: text.strip_suffix('\n').unwrap_or(&text).to_owned() }
                    }
                    // Without words: the folder is there.
                    41 if answer.out.is_empty() => State::Absent,
                    _ => return Err(refusal(&what, &answer)),
                };
                Ok(Observed { before, after: State::Symlink { points_to: points_to.clone() }, folders: 0 })
            }
            Change::Rename { to, .. } => {
                let before = self.existing(&what, path, held).await?.state();
                if self.see(&what, to, held, "v_saw").await?.found.is_some() {
                    return Err(conflict(&what, &format!("`{to}` exists")));
                }
                Ok(Observed { before, after: State::Absent, folders: 0 })
            }
            Change::Remove { .. } => {
                let seen = self.missing_is_absent(&what, path, held).await?;
                if matches!(seen, State::Directory { .. })
                    && !self.entries(&what, path, held).await?.is_empty()
                {
                    return Err(conflict(&what, "the folder is not empty"));
                }
                Ok(Observed { before: seen, after: State::Absent, folders: 0 })
            }
            Change::RemoveTree { .. } => {
                let mut before = self.missing_is_absent(&what, path, held).await?;
                if let State::Directory { tree, .. } = &mut before {
                    *tree = match self.list(&what, path, held).await {
                        Ok(listed) => Some(listed.tree.digest()),
                        // A socket or an odd name in it has no digest, and is no reason not to remove it.
                        Err(failure) if matches!(failure.kind, FailureKind::Invalid | FailureKind::Other) => {
                            None
                        }
                        Err(failure) => return Err(failure),
                    };
                }
                Ok(Observed { before, after: State::Absent, folders: 0 })
            }
            Change::SetAttributes { attributes, .. } => {
                let seen = self.existing(&what, path, held).await?;
                match seen.state() {
                    before @ (State::File { .. } | State::Directory { .. }) => {
                        Ok(Observed { before, after: seen.dressed(attributes), folders: 0 })
                    }
                    State::Symlink { .. } => {
                        Err(conflict(&what, "it is a symbolic link, which is not followed"))
                    }
                    _ => Err(conflict(&what, "it is neither a file nor a folder")),
                }
            }
            Change::Unpack { tree, links, attributes, .. } => {
                self.observe_unpack(&what, path, tree, links, attributes, held).await
            }
            Change::Unarchive { archive, .. } => {
                self.sound(&what, archive, held).await?;
                let seen = self.see(&what, path, held, "v_saw").await?;
                let mut before = seen.state();
                match &mut before {
                    State::Absent | State::File { .. } => {}
                    State::Directory { tree, .. } => {
                        *tree = match self.list(&what, path, held).await {
                            Ok(listed) => Some(listed.tree.digest()),
                            Err(failure)
                                if matches!(failure.kind, FailureKind::Invalid | FailureKind::Other) =>
                            {
                                None
                            }
                            Err(failure) => return Err(failure),
                        };
                    }
                    State::Symlink { .. } => {
                        return Err(conflict(&what, "it is a symbolic link, which is not followed"));
                    }
                    State::Other => return Err(conflict(&what, "it is neither a file nor a folder")),
                }
                // What is in it is not known before it is unpacked.
                Ok(Observed { before, after: State::Other, folders: 0 })
            }
            Change::Archive { path: from, into } => {
                let is = async |verb: &str, path: &RemotePath, held| {
                    let (folder, base) = split(path);
                    let line = Line::new(verb).arg(folder).arg(base);
                    self.call(&what, held, None, line, self.machine.limits().verb).await
                };
                let answer = is("v_packable", from, within.reading().whole()).await?;
                match answer.status {
                    0 => {}
                    42 => return Err(conflict(&what, &format!("`{from}` is neither a folder nor a file"))),
                    41 => {
                        let message = format!("{what}: nothing is at `{from}`");
                        return Err(Failure::new(FailureKind::NotFound, message));
                    }
                    _ => return Err(refusal(&what, &answer)),
                }
                let answer = is("v_nothing", into, held).await?;
                match answer.status {
                    0 => {}
                    42 => return Err(conflict(&what, &format!("`{into}` exists"))),
                    _ => return Err(refusal(&what, &answer)),
                }
                // Its bytes are not known before it is made.
                Ok(Observed { before: State::Absent, after: State::Other, folders: 0 })
            }
        }
    }

    /// What a write of this content would find and leave; `new`: the mode of a file that is new.
    async fn observe_write(
        &self,
        what: &str,
        path: &RemotePath,
        (content, size): (Digest, u64),
        attributes: &Attributes,
        new: u32,
        held: Held<'_>,
    ) -> Result<Observed, Failure> {
        let seen = self.see(what, path, held, "v_saw").await?;
        let whose = self.whose(what, &seen.folder).await?;
        let before = seen.state();
        let after = match &before {
            State::File { digest, mode, owner, group, .. } => {
                let wanted = |given: &Option<String>, now: &str, ours: &str, number: &str| match given {
                    Some(given) if given == number => now.to_owned(),
                    Some(given) => given.clone(),
                    // Only root can give the new file to the old one's owner.
                    None if whose.root || *digest == content => now.to_owned(),
                    None => ours.to_owned(),
                };
                let (uid, gid) = seen.numbers();
                State::File {
                    digest: content,
                    size,
                    mode: attributes.mode.unwrap_or(*mode),
                    owner: wanted(&attributes.owner, owner, &whose.user, &uid),
                    group: wanted(&attributes.group, group, &whose.group, &gid),
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

    async fn observe_unpack(
        &self,
        what: &str,
        path: &RemotePath,
        tree: &Digest,
        links: &[Link],
        attributes: &Attributes,
        held: Held<'_>,
    ) -> Result<Observed, Failure> {
        let wanted = self.wanted(what, tree, links).await?;
        let seen = self.see(what, path, held, "v_saw").await?;
        let whose = self.whose(what, &seen.folder).await?;
        let digest = Some(wanted.digest());
        let (before, mode, owner, group) = match seen.state() {
            State::Absent => {
                let inherited = seen.folder.mode & 0o2000;
                (State::Absent, 0o755 | inherited, whose.user, whose.group)
            }
            State::Directory { mode, owner, group, .. } => {
                let listed = self.list(what, path, held).await?;
                let found = listed.tree.digest();
                if Some(found) != digest {
                    return Err(conflict(what, "the folder is there and holds other things")
                        .with_detail(difference(&wanted, &listed.tree)));
                }
                let before =
                    State::Directory { tree: digest, mode, owner: owner.clone(), group: group.clone() };
                (before, mode, owner, group)
            }
            _ => return Err(conflict(what, "something else than a folder is there")),
        };
        let (uid, gid) = seen.numbers();
        let given = |given: &Option<String>, now: String, number: &str| match given {
            Some(given) if given != number => given.clone(),
            _ => now,
        };
        let after = State::Directory {
            tree: digest,
            mode,
            owner: given(&attributes.owner, owner, &uid),
            group: given(&attributes.group, group, &gid),
        };
        Ok(Observed { before, after, folders: 0 })
    }

    async fn existing(&self, what: &str, path: &RemotePath, held: Held<'_>) -> Result<Seen, Failure> {
        let seen = self.see(what, path, held, "v_saw").await?;
        if seen.found.is_none() {
            return Err(Failure::new(FailureKind::NotFound, format!("{what}: nothing is at `{path}`")));
        }
        Ok(seen)
    }

    async fn missing_is_absent(
        &self,
        what: &str,
        path: &RemotePath,
        held: Held<'_>,
    ) -> Result<State, Failure> {
        match self.see(what, path, held, "v_saw").await {
            Ok(seen) => Ok(seen.state()),
            Err(failure) if failure.kind == FailureKind::NotFound => Ok(State::Absent),
            Err(failure) => Err(failure),
        }
    }

    /// Asks what is at the path, with its digest.
    pub(crate) async fn see(
        &self,
        what: &str,
        path: &RemotePath,
        held: Held<'_>,
        verb: &str,
    ) -> Result<Seen, Failure> {
        let (folder, base) = split(path);
        let line = Line::new(verb).arg(folder).arg(base);
        let answer = self.call(what, held, None, line, self.machine.limits().data).await?;
        if answer.status != 0 {
            return Err(refusal(what, &answer));
        }
        let seen = || {
            let mut parts = answer.out.splitn(3, |&b| b == b'\n');
            let mut stat = || listing::stat_line(std::str::from_utf8(parts.next()?).ok()?);
            let folder = stat()?;
            let Some(found) = stat() else {
                let way =
                    answer.out.split(|&b| b == b'\n').nth(1).and_then(|line| line.strip_prefix(b"missing "));
                let missing = way.map_or(0, |way| 1 + way.iter().filter(|&&b| b == b'/').count());
                return Some(Seen { folder, missing: u32::try_from(missing).ok()?, found: None });
            };
            let rest = parts.next().unwrap_or_default();
            let (digest, link) = match found.kind {
                EntryKind::File => (Some(listing::sum(rest)?), None),
                EntryKind::Symlink => {
                    let rest = rest.strip_suffix(b"\n").unwrap_or(rest);
                    (None, Some(String::from_utf8_lossy(rest).into_owned()))
                }
                _ => (None, None),
            };
            Some(Seen { folder, missing: 0, found: Some((found, digest, link)) })
        };
        seen().ok_or_else(|| odd(what, &answer))
    }

    async fn whose(&self, what: &str, folder: &Stat) -> Result<Whose, Failure> {
        let facts = self.ready(what).await?.facts;
        // In a folder with the set-group-id bit, what is new has the folder's group.
        let group =
            if folder.mode & 0o2000 == 0 { facts.get("group").to_owned() } else { folder.group.clone() };
        Ok(Whose { user: facts.get("user").to_owned(), group, root: facts.get("uid") == "0" })
    }
}

impl Seen {
    pub(crate) fn state(&self) -> State {
        let Some((stat, digest, link)) = &self.found else { return State::Absent };
        let (owner, group) = (stat.owner.clone(), stat.group.clone());
        match (stat.kind, digest, link) {
            (EntryKind::File, Some(digest), _) => {
                State::File { digest: *digest, size: stat.size, mode: stat.mode, owner, group }
            }
            (EntryKind::Directory, ..) => State::Directory { tree: None, mode: stat.mode, owner, group },
            (EntryKind::Symlink, _, Some(points_to)) => State::Symlink { points_to: points_to.clone() },
            _ => State::Other,
        }
    }

    pub(crate) fn numbers(&self) -> (String, String) {
        self.found.as_ref().map(|(stat, ..)| (stat.uid.clone(), stat.gid.clone())).unwrap_or_default()
    }

    /// The same with these attributes.
    fn dressed(&self, attributes: &Attributes) -> State {
        let (uid, gid) = self.numbers();
        let mut state = self.state();
        if let State::File { mode, owner, group, .. } | State::Directory { mode, owner, group, .. } =
            &mut state
        {
            *mode = attributes.mode.unwrap_or(*mode);
            if let Some(given) = attributes.owner.as_ref().filter(|given| **given != uid) {
                given.clone_into(owner);
            }
            if let Some(given) = attributes.group.as_ref().filter(|given| **given != gid) {
                given.clone_into(group);
            }
        }
        state
    }
}

pub(crate) fn conflict(what: &str, why: &str) -> Failure {
    Failure::new(FailureKind::Conflict, format!("{what}: {why}"))
}

/// Refuses what could not be carried out anyway, or would be something else on the target.
fn check(what: &str, change: &Change) -> Result<(), Failure> {
    let invalid = |why: String| Err(Failure::new(FailureKind::Invalid, format!("{what}: {why}")));
    let attributes = match change {
        Change::Write { attributes, .. }
        | Change::WriteSecret { attributes, .. }
        | Change::Mkdir { attributes, .. }
        | Change::SetAttributes { attributes, .. } => attributes,
        Change::Unpack { attributes, .. } | Change::Unarchive { attributes, .. } => {
            if attributes.mode.is_some() {
                return invalid("a mode makes no sense for a tree, which has its own".to_owned());
            }
            attributes
        }
        Change::Symlink { points_to, .. } => {
            if points_to.is_empty() || points_to.contains('\0') || points_to.len() >= 4096 {
                return invalid("a link points to 1 to 4095 bytes without NUL".to_owned());
            }
            return Ok(());
        }
        Change::Archive { into, .. } => {
            let known = [".tar.zst", ".tar.gz", ".tar"];
            if !known.iter().any(|end| into.as_str().ends_with(end)) {
                return invalid(format!("an archive's name ends with one of {}", known.join(", ")));
            }
            return Ok(());
        }
        _ => return Ok(()),
    };
    if let Some(mode) = attributes.mode.filter(|mode| *mode > 0o7777) {
        return invalid(format!("{mode:o} is not a mode"));
    }
    for name in [&attributes.owner, &attributes.group].into_iter().flatten() {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@$+".contains(c);
        if name.is_empty() || name.len() > 64 || name.starts_with('-') || !name.chars().all(plain) {
            return invalid(format!("`{}` is not a name of a user or group", name.escape_debug()));
        }
    }
    Ok(())
}

/// A few paths at which two trees differ.
pub(crate) fn difference(wanted: &runner_artifact::Tree, found: &runner_artifact::Tree) -> String {
    const SHOWN: usize = 5;
    let mut lines = Vec::new();
    for (path, node) in wanted.entries() {
        match found.get(path.as_str()) {
            None => lines.push(format!("missing: {path}")),
            Some(other) if other != node => lines.push(format!("differs: {path}")),
            Some(_) => {}
        }
    }
    lines.extend(
        found
            .entries()
            .filter(|(path, _)| wanted.get(path.as_str()).is_none())
            .map(|(path, _)| format!("extra: {path}")),
    );
    let more = lines.len().saturating_sub(SHOWN);
    lines.truncate(SHOWN);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}
