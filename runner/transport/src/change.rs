//! Changes, each a request that writes its intent and then acts.

use crate::channel::{Bounds, Input, Keep, Request, temporary};
use crate::held::Held;
use crate::machine::refusal;
use crate::script::Line;
use crate::shell::Answer;
use crate::tree::{blocking, stored};
use crate::undo::applied;
use crate::user::{User, odd, split};
use crate::{Applied, Intent, Within};
use runner_model::{Attributes, Change, Digest, Failure, RemotePath, Secret, State, UndoKey};
use std::sync::Arc;

/// Text up to here travels in the request; a shell reads its requests byte by byte.
const INLINE_MAX: u64 = 4096;

impl User {
    pub(crate) async fn do_apply(
        &self,
        change: &Change,
        before: &State,
        within: Within<'_>,
        intent: Intent<'_>,
    ) -> Result<Applied, Failure> {
        let path = change.path();
        let what = self.what(change.verb(), path);
        let held = held(&what, change, &within)?;
        let (folder, base) = split(path);
        let line = match change {
            Change::Write { content, size, attributes, .. } => {
                return self.write(&what, path, (*content, *size), attributes, before, held, intent).await;
            }
            Change::WriteSecret { content, attributes, .. } => {
                return self.write_secret(&what, path, content, attributes, before, held, intent).await;
            }
            Change::Unpack { path, tree, links, reuse, attributes } => {
                let how = crate::unpack::Unpack { path, tree, links, reuse: reuse.as_ref(), attributes };
                return self.unpack(&what, &how, before, held, intent).await;
            }
            Change::Unarchive { path, archive, attributes } => {
                let how = crate::unarchive::Unarchive { path, archive, attributes };
                return self.unarchive(&what, &how, before, held, intent).await;
            }
            Change::Archive { path: from, into } => {
                return self.archive(&what, from, into, held, intent).await;
            }
            Change::Mkdir { attributes, .. } => {
                Line::new("v_mkdir").arg(folder).arg(base).arg(mode(attributes.mode)).arg(owner(attributes))
            }
            Change::Symlink { points_to, .. } => {
                Line::new("v_symlink").arg(folder).arg(base).arg(temporary()).arg(points_to)
            }
            Change::Rename { to, .. } => {
                let (new_folder, new_base) = split(to);
                Line::new("v_rename").arg(folder).arg(base).arg(new_folder).arg(new_base)
            }
            Change::Remove { .. } => kept("v_remove", intent).arg(folder).arg(base),
            Change::RemoveTree { .. } => kept("v_rmtree", intent).arg(folder).arg(base),
            Change::SetAttributes { attributes, .. } => {
                Line::new("v_dress").arg(folder).arg(base).arg(mode(attributes.mode)).arg(owner(attributes))
            }
        };
        let limit = match change {
            // A copy on another file system takes as long as it is large.
            Change::Remove { .. } | Change::RemoveTree { .. } => self.machine.limits().data,
            _ => self.machine.limits().verb,
        };
        let answer = self.call(&what, held, Some(intent), line, limit).await?;
        match (answer.status, change) {
            // What is to be gone is gone with the folder that it was in.
            (0, _) => Ok(applied(&answer.out)),
            (41, Change::Remove { .. } | Change::RemoveTree { .. }) => Ok(Applied::default()),
            _ => Err(refusal(&what, &answer)),
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one for each thing that a write has; named at its only call"
    )]
    async fn write(
        &self,
        what: &str,
        path: &RemotePath,
        (content, size): (Digest, u64),
        attributes: &Attributes,
        before: &State,
        held: Held<'_>,
        intent: Intent<'_>,
    ) -> Result<Applied, Failure> {
        let looks = self.looks(what, path, attributes, before, 0o644).await?;
        let begin = |verb: &str| looks.begin(verb, intent);
        let store = Arc::clone(&self.machine.shared.store);
        if size <= INLINE_MAX {
            let bytes = blocking(move || store.read_bytes(&content, INLINE_MAX))
                .await?
                .map_err(|error| stored(what, &error))?;
            if !bytes.contains(&0) {
                self.machine.count_sent(bytes.len() as u64);
                let line = begin("v_write").arg(bytes);
                // A copy of what it replaces may be of any size.
                let limits = self.machine.limits();
                let limit = if intent.undo.is_some() { limits.data } else { limits.verb };
                let answer = self.call(what, held, Some(intent), line, limit).await?;
                return done(what, &answer);
            }
        }
        let store = Arc::clone(&self.machine.shared.store);
        let (file, _) = store.open_file(&content).map_err(|error| stored(what, &error))?;
        let line = begin("v_put").arg(content.hex());
        self.intend(what, intent).await?;
        let answer = self.long(what, held, intent.undo, &line, Input::File(file)).await?;
        done(what, &answer)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one for each thing that a write has; named at its only call"
    )]
    async fn write_secret(
        &self,
        what: &str,
        path: &RemotePath,
        content: &Secret,
        attributes: &Attributes,
        before: &State,
        held: Held<'_>,
        intent: Intent<'_>,
    ) -> Result<Applied, Failure> {
        let looks = self.looks(what, path, attributes, before, 0o600).await?;
        let value = self.machine.shared.vault.reveal(content)?;
        // By stdin, however short it is: in the request it would be an argument of `printf`, which some shells run as a
        // program.
        let line = looks.begin("v_put", intent).arg(Digest::of(value.as_bytes()).hex());
        self.intend(what, intent).await?;
        let answer =
            self.long(what, held, intent.undo, &line, Input::Bytes(value.as_bytes().to_vec())).await?;
        done(what, &answer)
    }

    /// How a file will look that takes the place of `before`; `new`: the mode of one that is new.
    async fn looks(
        &self,
        what: &str,
        path: &RemotePath,
        attributes: &Attributes,
        before: &State,
        new: u32,
    ) -> Result<Looks, Failure> {
        let (folder, base) = split(path);
        let (old_mode, old_owner) = match before {
            State::File { mode, owner, group, .. } => (Some(*mode), Some((owner.clone(), group.clone()))),
            _ => (None, None),
        };
        let bits = attributes.mode.or(old_mode).unwrap_or(new);
        // A mode that open(2) can give spares a process.
        let (umask, chmod) =
            if bits & 0o7111 == 0 { (!bits & 0o666, "-".to_owned()) } else { (0o077, format!("{bits:o}")) };
        let mut whose = attributes.clone();
        if self.ready(what).await?.facts.get("uid") == "0"
            && let Some((owner, group)) = old_owner
        {
            // Only root can keep another owner.
            whose.owner.get_or_insert(owner);
            whose.group.get_or_insert(group);
        }
        Ok(Looks { folder, base, umask, chmod, owner: owner(&whose) })
    }

    async fn archive(
        &self,
        what: &str,
        from: &RemotePath,
        into: &RemotePath,
        held: Held<'_>,
        intent: Intent<'_>,
    ) -> Result<Applied, Failure> {
        let (folder, base) = split(from);
        let (into_folder, into_base) = split(into);
        let zip = crate::unarchive::packer(into);
        self.has_packer(what, zip).await.map_err(|failure| {
            failure.with_detail(format!("install {zip} there, or let the archive's name end with `.tar`"))
        })?;
        let line = Line::new("v_archive")
            .arg(folder)
            .arg(base)
            .arg(into_folder)
            .arg(into_base)
            .arg(temporary())
            .word(zip);
        self.intend(what, intent).await?;
        let answer = self.long(what, held, None, &line, Input::None).await?;
        if answer.status != 0 {
            return Err(refusal(what, &answer));
        }
        let size = String::from_utf8_lossy(&answer.out).trim().parse::<u64>();
        let size = size.map_err(|_| odd(what, &answer))?;
        Ok(Applied { size, ..Applied::default() })
    }

    /// A request on a channel of its own whose answer is kept; about the copy of this key, if it has one.
    pub(crate) async fn long(
        &self,
        what: &str,
        held: Held<'_>,
        key: Option<&UndoKey>,
        line: &Line,
        input: Input,
    ) -> Result<Answer, Failure> {
        let mut keep = Keep::default();
        let copy = self.machine.copy(what, key)?;
        let bounds = Bounds { limit: self.machine.limits().data, cancel: None };
        let request = Request { setup: &copy, input, ..Request::new(line) };
        let ended = self.exchange(what, held, request, &mut keep, bounds).await?;
        Ok(Answer { status: ended.status, out: keep.out, err: keep.err })
    }
}

/// The first words of a verb that keeps a copy, if the intent asks for one.
pub(crate) fn kept(verb: &str, intent: Intent<'_>) -> Line {
    match intent.undo {
        Some(_) => Line::new("keeping").word(verb),
        None => Line::new(verb),
    }
}

/// What a verb answered.
pub(crate) fn done(what: &str, answer: &Answer) -> Result<Applied, Failure> {
    if answer.status == 0 { Ok(applied(&answer.out)) } else { Err(refusal(what, answer)) }
}

/// A file that is about to be written.
struct Looks {
    folder: String,
    base: String,
    umask: u32,
    chmod: String,
    owner: String,
}

impl Looks {
    /// The words that every verb which writes a file begins with.
    fn begin(&self, verb: &str, intent: Intent<'_>) -> Line {
        kept(verb, intent)
            .arg(&self.folder)
            .arg(&self.base)
            .arg(temporary())
            .arg(format!("{:03o}", self.umask))
            .arg(&self.chmod)
            .arg(&self.owner)
    }
}

/// What the paths of a change are held against on the target, after a look at how they are written.
pub(crate) fn held<'a>(what: &str, change: &Change, within: &Within<'a>) -> Result<Held<'a>, Failure> {
    let held = within.writing();
    for path in [Some(change.path()), change.also_writes()].into_iter().flatten() {
        held.covers(what, path)?;
    }
    if let Some(path) = change.reads() {
        held.covers_second(what, path)?;
    }
    Ok(match change {
        Change::RemoveTree { .. }
        | Change::Rename { .. }
        | Change::Unpack { .. }
        | Change::Unarchive { .. } => held.whole(),
        _ => held,
    })
}

/// As `chmod` takes it; `-` for none. With fewer than five digits it would leave a folder's own set-group-id bit.
pub(crate) fn mode(mode: Option<u32>) -> String {
    mode.map_or_else(|| "-".to_owned(), |mode| format!("{mode:05o}"))
}

/// As `chown` takes it; `-` for nobody.
pub(crate) fn owner(attributes: &Attributes) -> String {
    match (&attributes.owner, &attributes.group) {
        (None, None) => "-".to_owned(),
        (Some(owner), None) => owner.clone(),
        (None, Some(group)) => format!(":{group}"),
        (Some(owner), Some(group)) => format!("{owner}:{group}"),
    }
}
