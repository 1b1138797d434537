//! Putting back what was there before a change. It first looks: what neither the change left nor was there before is not
//! touched.

use crate::change::{held, mode, owner};
use crate::channel::temporary;
use crate::held::Held;
use crate::machine::refusal;
use crate::observe::conflict;
use crate::script::Line;
use crate::user::{User, split};
use crate::{Applied, Intent, Kept, Undo, Undone, Within};
use runner_model::{Acting, Attributes, Change, Digest, Failure, FailureKind, RemotePath, State};

/// What stands at a path.
struct Stands {
    state: State,
    /// Its owner and group by number.
    numbers: (String, String),
}

/// Where a copy is kept.
struct Copy {
    path: RemotePath,
    /// The folder of the run, which it is in.
    own: RemotePath,
}

/// How it is put back.
enum Way {
    /// By this request.
    By(Line),
    /// By this request, which needs the copy.
    WithCopy(Line),
    /// Not at all.
    Not(Undone),
}

impl User {
    /// What is at a path; `whole`: with the digest of all that is in a folder, where it has one.
    pub(crate) async fn stands(
        &self,
        what: &str,
        path: &RemotePath,
        held: Held<'_>,
        whole: bool,
    ) -> Result<(State, (String, String)), Failure> {
        let seen = match self.see(what, path, held, "v_saw").await {
            Ok(seen) => seen,
            // It is gone with the folder that it was in.
            Err(failure) if failure.kind == FailureKind::NotFound => {
                return Ok((State::Absent, Default::default()));
            }
            Err(failure) => return Err(failure),
        };
        let mut state = seen.state();
        if let State::Directory { tree, .. } = &mut state
            && whole
        {
            *tree = match self.list(what, path, held).await {
                Ok(listed) => Some(listed.tree.digest()),
                // A socket or an odd name in it has no digest.
                Err(failure) if matches!(failure.kind, FailureKind::Invalid | FailureKind::Other) => None,
                Err(failure) => return Err(failure),
            };
        }
        Ok((state, seen.numbers()))
    }

    pub(crate) async fn do_undo(
        &self,
        undo: &Undo,
        within: Within<'_>,
        intent: Intent<'_>,
    ) -> Result<Undone, Failure> {
        let path = undo.change.path();
        let what = self.what(&format!("undo {}", undo.change.verb()), path);
        let held = held(&what, &undo.change, &within)?;
        if let Change::Archive { .. } = undo.change {
            return Ok(Undone::Nothing);
        }
        if let Change::Unpack { .. } | Change::Unarchive { .. } = undo.change {
            self.sweep(&what, path, held).await?;
        }
        let now = self.now(&what, undo, path, held).await?;
        let way = match &undo.change {
            Change::Rename { to, .. } => {
                let there = self.now(&what, undo, to, held).await?;
                match (&now.state, &there.state) {
                    (_, State::Absent) if self.is(undo, &now, &undo.before) => Way::Not(Undone::Nothing),
                    (State::Absent, _) if self.is(undo, &there, &undo.before) => {
                        let (folder, base) = split(to);
                        let (old_folder, old_base) = split(path);
                        let line = Line::new("v_rename").arg(folder).arg(base);
                        Way::By(line.arg(old_folder).arg(old_base))
                    }
                    (State::Absent, _) => Way::Not(Undone::Conflict(there.state)),
                    _ => Way::Not(Undone::Conflict(now.state)),
                }
            }
            _ if self.is(undo, &now, &undo.before) && !self.differs_within(&what, undo, held).await? => {
                Way::Not(Undone::Nothing)
            }
            _ if !self.is(undo, &now, &undo.after) => {
                Way::Not(Undone::Conflict(self.sealed(undo, now.state)))
            }
            _ => self.way(&what, undo, now.state.clone(), held).await?,
        };
        let (line, key) = match way {
            Way::Not(undone) => return Ok(undone),
            Way::By(line) => (line, None),
            Way::WithCopy(line) => match self.lacks(&what, undo).await? {
                Some(why) => return Ok(Undone::NoCopy(why)),
                None => (line, undo.key.as_ref()),
            },
        };
        let limit = self.machine.limits().data;
        let answer = self.call_with_copy(&what, held, Some(intent), key, line, limit).await?;
        match (&undo.change, answer.status) {
            (_, 0) => {}
            // Somebody has put something into it a moment ago.
            (Change::Mkdir { .. }, 42) => return Ok(Undone::Conflict(undo.after.clone())),
            _ => return Err(refusal(&what, &answer)),
        }
        let restored = self.now(&what, undo, path, held).await?;
        match differences(&undo.before, &restored, |now| self.sealed(undo, now)) {
            differs if differs.is_empty() => Ok(Undone::Restored),
            differs => {
                let lines: Vec<String> = differs.into_iter().map(|(_, line)| line).collect();
                Err(conflict(&what, "it was put back, but not all of it is as it was")
                    .with_detail(lines.join("\n")))
            }
        }
    }

    /// Removes what was laid out beside the path by a runner that did not come to give it its name.
    async fn sweep(&self, what: &str, path: &RemotePath, held: Held<'_>) -> Result<(), Failure> {
        let (folder, base) = split(path);
        let key = Digest::of(&base).short();
        let line = Line::new("m").and(&Line::new("v_sweep").arg(folder).arg(base).arg(key));
        let answer = self.call(what, held, None, line, self.machine.limits().data).await?;
        match answer.status {
            // The folder is gone, or never was.
            0 | 41 => Ok(()),
            _ => Err(refusal(what, &answer)),
        }
    }

    async fn now(
        &self,
        what: &str,
        undo: &Undo,
        path: &RemotePath,
        held: Held<'_>,
    ) -> Result<Stands, Failure> {
        let (state, numbers) = self.stands(what, path, held, whole(&undo.change)).await?;
        Ok(Stands { state, numbers })
    }

    /// As a record keeps it: the digest of a secret is a keyed one, and its size is not told.
    fn sealed(&self, undo: &Undo, state: State) -> State {
        match (&undo.change, state) {
            (Change::WriteSecret { .. }, State::File { digest, mode, owner, group, .. }) => {
                let digest = self.machine.shared.vault.keyed(&digest);
                State::File { digest, size: 0, mode, owner, group }
            }
            (_, state) => state,
        }
    }

    /// Whether this state, as it was recorded, is what stands there.
    fn is(&self, undo: &Undo, now: &Stands, recorded: &State) -> bool {
        // What has no digest may be anything.
        let untold = |state: &State| matches!(state, State::Directory { tree: None, .. });
        if whole(&undo.change) && (untold(&now.state) || untold(recorded)) {
            return false;
        }
        differences(recorded, now, |now| self.sealed(undo, now)).is_empty()
    }

    /// What puts it back, from `now`, which is what the change left.
    async fn way(&self, what: &str, undo: &Undo, now: State, held: Held<'_>) -> Result<Way, Failure> {
        let path = undo.change.path();
        let (folder, base) = split(path);
        let begin = |verb: &str| Line::new(verb).arg(&folder).arg(&base);
        Ok(match (&undo.change, &undo.before) {
            (Change::Mkdir { .. }, State::Absent) => {
                let count = undo.made_folders.max(1);
                if !self.hold_only_each_other(what, path, count, held).await? {
                    return Ok(Way::Not(Undone::Conflict(now)));
                }
                Way::By(begin("v_unmkdir").word(&count.to_string()))
            }
            (_, State::Absent) => match now {
                State::Directory { .. } => Way::By(begin("v_out").arg(temporary())),
                _ => Way::By(begin("v_remove")),
            },
            (_, State::Symlink { points_to }) => Way::By(begin("v_relink").arg(temporary()).arg(points_to)),
            (
                Change::Mkdir { .. } | Change::SetAttributes { .. },
                State::File { mode: bits, owner: user, group, .. }
                | State::Directory { mode: bits, owner: user, group, .. },
            ) => {
                let (State::File { owner: its, group: whose, .. }
                | State::Directory { owner: its, group: whose, .. }) = &now
                else {
                    return Ok(Way::Not(Undone::Conflict(now)));
                };
                // Only root may give things away, so what is as it was is left alone.
                let whose = Attributes {
                    mode: None,
                    owner: (its != user).then(|| user.clone()),
                    group: (whose != group).then(|| group.clone()),
                };
                Way::By(begin("v_dress").arg(mode(Some(*bits))).arg(owner(&whose)))
            }
            (Change::Remove { .. }, State::Directory { mode: bits, owner: user, group, .. }) => {
                let whose = Attributes { mode: None, owner: Some(user.clone()), group: Some(group.clone()) };
                Way::By(begin("v_mkdir").arg(mode(Some(*bits))).arg(owner(&whose)))
            }
            (_, State::Directory { mode: bits, .. }) => {
                Way::WithCopy(begin("v_back").arg(temporary()).word("t").arg(mode(Some(*bits))))
            }
            (_, State::File { .. } | State::Other) => {
                Way::WithCopy(begin("v_back").arg(temporary()).word("f").word("-"))
            }
        })
    }

    /// Whether the folder is empty, and each of those above that were made with it holds nothing but the next.
    async fn hold_only_each_other(
        &self,
        what: &str,
        path: &RemotePath,
        count: u32,
        held: Held<'_>,
    ) -> Result<bool, Failure> {
        match self.entries(what, path, held).await {
            Ok(entries) if entries.is_empty() => {}
            Ok(_) => return Ok(false),
            // Its mode keeps its owner out: when it is to go, it goes only if it is empty.
            Err(failure) if failure.kind == FailureKind::Conflict => {}
            Err(failure) => return Err(failure),
        }
        let mut folder = path.clone();
        for _ in 1..count {
            let Some(parent) = folder.parent() else { return Ok(false) };
            if self.entries(what, &parent, held).await?.len() > 1 {
                return Ok(false);
            }
            folder = parent;
        }
        Ok(true)
    }

    /// Whether a folder that stands as it did before differs from its copy in modes or owners within, which no state
    /// tells. A copy that was put back is gone, or is the same.
    async fn differs_within(&self, what: &str, undo: &Undo, held: Held<'_>) -> Result<bool, Failure> {
        let (Change::Unarchive { path, .. }, State::Directory { .. }) = (&undo.change, &undo.before) else {
            return Ok(false);
        };
        let Some(Copy { path: copy, own }) = self.copy_of(what, undo)? else { return Ok(false) };
        let was = match self.list(what, &copy, Within::both(&[own]).reading()).await {
            Ok(listed) => listed,
            Err(failure) if failure.kind == FailureKind::NotFound => return Ok(false),
            // Why it is of no use is told by who looks for one.
            Err(failure) if failure.kind == FailureKind::Conflict => return Ok(true),
            Err(failure) => return Err(failure),
        };
        Ok(!self.list(what, path, held).await?.is_equal_to(&was))
    }

    /// Where the copy is to be, if one was asked for.
    fn copy_of(&self, what: &str, undo: &Undo) -> Result<Option<Copy>, Failure> {
        let Some(key) = &undo.key else { return Ok(None) };
        let place = self.machine.place().ok_or_else(|| {
            Failure::new(FailureKind::Other, format!("{what}: no run has begun on the target"))
        })?;
        let name = if matches!(undo.before, State::Directory { .. }) { "t" } else { "f" };
        let path = place
            .real
            .join(&format!("undo/{key}/{name}"))
            .map_err(|bad| Failure::new(FailureKind::Invalid, format!("{what}: {bad}")))?;
        Ok(Some(Copy { path, own: place.real }))
    }

    /// Why the copy is of no use, if it is of none: missing, or not what was there.
    async fn lacks(&self, what: &str, undo: &Undo) -> Result<Option<String>, Failure> {
        let Some(Copy { path: copy, own }) = self.copy_of(what, undo)? else {
            return Ok(Some("no copy was kept".to_owned()));
        };
        let (state, numbers) = match self.stands(what, &copy, Within::both(&[own]).reading(), true).await {
            Ok(stands) => stands,
            Err(failure) if failure.kind == FailureKind::Conflict => return Ok(Some(failure.message)),
            Err(failure) => return Err(failure),
        };
        if state == State::Absent {
            return Ok(Some(format!("its copy `{copy}` is gone")));
        }
        // Modes and owners are looked at when it is back: a folder may have been opened for its owner.
        let same = differences(&undo.before, &Stands { state, numbers }, |now| self.sealed(undo, now))
            .iter()
            .all(|(what, _)| !matches!(*what, "kind" | "content"));
        Ok((!same).then(|| format!("its copy `{copy}` is not what was there when the change was decided on")))
    }

    /// Removes what this user keeps in the folder of the run.
    pub(crate) async fn do_forget(&self) -> Result<(), Failure> {
        let what = format!("remove the undo copies on {}", self.machine.name());
        let Some(place) = self.machine.place() else { return Ok(()) };
        let ready = match self.ready(&what).await {
            Ok(ready) => ready,
            // Who has no shell has no copies.
            Err(failure) if failure.kind == FailureKind::Denied => return Ok(()),
            Err(failure) => return Err(failure),
        };
        let held = Within::default().reading();
        let login = Self { machine: std::sync::Arc::clone(&self.machine), acting: Acting::Login };
        let limit = self.machine.limits().data;
        for folder in ["undo", "groups"] {
            let folder = format!("{}/{folder}", place.real);
            // Nobody else may list it.
            let answer = login.call(&what, held, None, Line::new("v_owned").arg(&folder), limit).await?;
            if answer.status != 0 {
                return Err(refusal(&what, &answer));
            }
            let all = String::from_utf8_lossy(&answer.out);
            let own = all.lines().filter_map(|line| {
                let (uid, name) = line.split_once(" ./")?;
                (uid == ready.facts.get("uid")).then_some(name)
            });
            for names in own.collect::<Vec<_>>().chunks(NAMES) {
                let line = Line::new("m").and(&Line::new("v_forget").arg(&folder).args(names));
                let answer = self.call(&what, held, None, line, limit).await?;
                if answer.status != 0 {
                    return Err(refusal(&what, &answer));
                }
            }
        }
        Ok(())
    }
}

/// How many names go into one request.
const NAMES: usize = 200;

/// The change is about all that is in a folder.
fn whole(change: &Change) -> bool {
    matches!(change, Change::RemoveTree { .. } | Change::Unpack { .. } | Change::Unarchive { .. })
}

/// In what a state, as it was recorded, differs from what stands there, as a record would keep it.
fn differences(
    recorded: &State,
    now: &Stands,
    sealed: impl Fn(State) -> State,
) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let mut differs = |what: &'static str, was: &str, is: &str| {
        if was != is {
            lines.push((what, format!("{what}: {was} before, {is} now")));
        }
    };
    // An owner may have been recorded by number.
    let named = |was: &str, number: &str, name: &str| {
        if was == number { number.to_owned() } else { name.to_owned() }
    };
    let sealed = sealed(now.state.clone());
    match (recorded, &now.state) {
        (
            State::File { digest, size, mode, owner, group },
            State::File { digest: its, size: length, mode: bits, owner: user, group: team },
        ) => {
            let keyed = match &sealed {
                State::File { digest, .. } => digest,
                _ => its,
            };
            // What was observed in this run is as it is, what was read from a record is keyed.
            if (digest, size) != (its, length) && (digest != keyed || *size != 0) {
                differs("content", &digest.short(), &keyed.short());
            }
            differs("mode", &format!("{mode:04o}"), &format!("{bits:04o}"));
            differs("owner", owner, &named(owner, &now.numbers.0, user));
            differs("group", group, &named(group, &now.numbers.1, team));
        }
        (
            State::Directory { tree, mode, owner, group },
            State::Directory { tree: its, mode: bits, owner: user, group: team },
        ) => {
            if let (Some(tree), Some(its)) = (tree, its) {
                differs("content", &tree.short(), &its.short());
            }
            differs("mode", &format!("{mode:04o}"), &format!("{bits:04o}"));
            differs("owner", owner, &named(owner, &now.numbers.0, user));
            differs("group", group, &named(group, &now.numbers.1, team));
        }
        (State::Symlink { points_to }, State::Symlink { points_to: its }) => {
            differs("points to", points_to, its);
        }
        (recorded, now) => differs("kind", kind(recorded), kind(now)),
    }
    lines
}

fn kind(state: &State) -> &'static str {
    match state {
        State::Absent => "nothing",
        State::File { .. } => "a file",
        State::Directory { .. } => "a folder",
        State::Symlink { .. } => "a symbolic link",
        State::Other => "something else",
    }
}

/// What a verb answered that may have kept a copy or made folders.
pub(crate) fn applied(printed: &[u8]) -> Applied {
    let mut applied = Applied::default();
    for line in String::from_utf8_lossy(printed).lines() {
        match line.split_once(' ') {
            Some(("made", count)) => applied.made_folders = count.parse().unwrap_or_default(),
            Some(("copy", "made")) => applied.copy = Kept::Made,
            Some(("copy", why)) => {
                if let Some(why) = why.strip_prefix("no ") {
                    applied.copy = Kept::Impossible(why.to_owned());
                }
            }
            _ => {}
        }
    }
    applied
}
