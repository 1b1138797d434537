//! Where a path leads once the changes were made: through links that are really there, and through those that would be.
//!
//! The rules are those of `paths.sh` of the transport: the folder of a path is entered physically, where it leads is held
//! against the grants, and what is there is not followed.

use crate::node::{Folder, FolderMetadata, Node};
use crate::unknown::{conflict, denied, missing, unknown};
use crate::view::{Kind, View};
use runner_model::{Entry, EntryKind, Failure, FailureKind, HIDDEN, RemotePath};
use runner_transport::Places;
use std::sync::Arc;

/// How many links are followed, as the kernel does.
const HOPS: u32 = 40;

/// Where a path physically is, and what is there.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The folder that it is in; of the root, itself.
    pub(crate) folder: RemotePath,
    /// With its own name, which is not followed.
    pub(crate) path: RemotePath,
    pub(crate) node: Arc<Node>,
    /// No link is on the way.
    pub(crate) straight: bool,
}

impl Place {
    /// Whether the real target answers for this path as it is: nothing on the way or in it was changed.
    pub(crate) fn as_it_is(&self) -> bool {
        self.straight && matches!(&*self.node, Node::Real(path) if *path == self.path)
    }
}

/// What a path of a request is held against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds<'a> {
    pub(crate) places: Places<'a>,
    /// The request is about all below its path.
    pub(crate) below: bool,
    /// It is held against what is excepted by the name `.runner`, too.
    pub(crate) own: bool,
}

/// Where a folder leads.
enum Way {
    To(RemotePath),
    Missing,
    NotFolder,
}

/// Folder and name.
fn split(path: &RemotePath) -> (RemotePath, Option<&str>) {
    match path.parent() {
        Some(parent) => (parent, path.name()),
        None => (RemotePath::root(), None),
    }
}

fn joined(what: &str, folder: &RemotePath, name: &str) -> Result<RemotePath, Failure> {
    folder.join(name).map_err(|bad| unknown(what, &bad.to_string()))
}

/// Refuses a path that no granted prefix covers as it is written.
pub(crate) fn covered(what: &str, path: &RemotePath, places: &Places<'_>) -> Result<(), Failure> {
    let below = |prefix: &RemotePath| path.is_within(prefix);
    if places.granted.iter().any(below) && !places.except.iter().any(below) {
        return Ok(());
    }
    Err(denied(what, &format!("`{path}` is outside of what is granted")))
}

fn is_own(path: &RemotePath) -> bool {
    path.segments().any(|segment| segment == ".runner" || segment.starts_with(".runner-"))
}

impl View {
    /// Finds the place of a path, as the verbs do that need its folder.
    pub(crate) async fn find(
        &self,
        what: &str,
        path: &RemotePath,
        bounds: Bounds<'_>,
    ) -> Result<Place, Failure> {
        covered(what, path, &bounds.places)?;
        let (folder, name) = split(path);
        match self.enter(what, &folder).await? {
            Way::To(place) => self.held(what, &folder, place, name, name, bounds).await,
            Way::Missing => Err(missing(what, &format!("no folder {folder}"))),
            Way::NotFolder => Err(conflict(what, &format!("{folder} is not a folder"))),
        }
    }

    /// The same for a path whose folders may be missing: the nearest one above that is there, and the names from there
    /// down to the path's own.
    pub(crate) async fn near(
        &self,
        what: &str,
        path: &RemotePath,
        bounds: Bounds<'_>,
    ) -> Result<(Place, Vec<String>), Failure> {
        covered(what, path, &bounds.places)?;
        let (mut folder, name) = split(path);
        let mut names: Vec<String> = name.into_iter().map(str::to_owned).collect();
        loop {
            match self.enter(what, &folder).await? {
                Way::To(place) => {
                    let rest = names.join("/");
                    let first = names.first().map(String::as_str);
                    let whole = (!rest.is_empty()).then_some(rest.as_str());
                    let place = self.held(what, &folder, place, first, whole, bounds).await?;
                    return Ok((place, names));
                }
                Way::NotFolder => return Err(conflict(what, &format!("{folder} is not a folder"))),
                Way::Missing => {
                    let (above, last) = split(&folder);
                    let Some(last) = last else {
                        return Err(missing(what, &format!("no folder {folder}")));
                    };
                    names.insert(0, last.to_owned());
                    folder = above;
                }
            }
        }
    }

    /// Holds a place against the grants; `rest`: the way from the folder to what the request is about.
    async fn held(
        &self,
        what: &str,
        written: &RemotePath,
        folder: RemotePath,
        name: Option<&str>,
        rest: Option<&str>,
        bounds: Bounds<'_>,
    ) -> Result<Place, Failure> {
        let straight = folder == *written;
        let path = match name {
            Some(name) => joined(what, &folder, name)?,
            None => folder.clone(),
        };
        let about = match rest {
            Some(rest) => joined(what, &folder, rest)?,
            None => folder.clone(),
        };
        if !straight {
            self.inside(what, written, &folder, &path, &bounds.places).await?;
        }
        self.trusted(what, &folder).await?;
        self.spared(what, &about, bounds).await?;
        let node = self.tree.at(&path);
        Ok(Place { folder, path, node, straight })
    }

    /// Where a link has led, a grant must lead, too; and not into what belongs to the runner.
    async fn inside(
        &self,
        what: &str,
        written: &RemotePath,
        folder: &RemotePath,
        path: &RemotePath,
        places: &Places<'_>,
    ) -> Result<(), Failure> {
        // Each link on the way is where only those can swap it who may.
        self.lead(what, written, &[]).await?;
        let own = self.written_to(what, places).await?;
        let mut granted = false;
        for prefix in places.granted {
            let (above, name) = split(prefix);
            let Some(name) = name else {
                granted = true;
                break;
            };
            let Some(above) = self.lead(what, &above, &own).await? else { continue };
            let is_it = *path == joined(what, &above, name)?;
            if is_it || self.lead(what, prefix, &own).await?.is_some_and(|led| folder.is_within(&led)) {
                granted = true;
                break;
            }
        }
        if !granted {
            return Err(denied(what, &format!("it leads to {folder}, which is outside of what is granted")));
        }
        if !is_own(written) && is_own(folder) {
            return Err(denied(what, &format!("it leads to {folder}, which belongs to the runner")));
        }
        Ok(())
    }

    /// Where a step may write, by the names that it has without links.
    async fn written_to(&self, what: &str, places: &Places<'_>) -> Result<Vec<RemotePath>, Failure> {
        let mut own = Vec::new();
        for written in places.written {
            let (above, name) = split(written);
            let Some(name) = name else {
                own.push(RemotePath::root());
                continue;
            };
            let above = match self.lead(what, &above, &[]).await {
                Ok(above) => above,
                Err(failure) if failure.kind == FailureKind::Unknown => return Err(failure),
                // Nothing is written where the way is not safe.
                Err(_) => continue,
            };
            let Some(above) = above else { continue };
            let place = joined(what, &above, name)?;
            if self.is_roots_link(what, &place).await?
                && let Ok(Some(led)) = self.lead(what, &place, &[]).await
            {
                own.push(led);
            }
            own.push(place);
        }
        Ok(own)
    }

    /// Whether root has made this link where nobody else can, and does not act.
    async fn is_roots_link(&self, what: &str, place: &RemotePath) -> Result<bool, Failure> {
        let roots = |entry: Option<Entry>| entry.filter(|entry| entry.owner == "root");
        // What a dry run would have made is not root's, unless root acts.
        let node = self.tree.at(place);
        if !matches!(*node, Node::Real(_)) || self.me(what).await?.is_root() {
            return Ok(false);
        }
        let link = roots(self.entry(what, &node, "").await?);
        if link.is_none_or(|link| link.kind != EntryKind::Symlink) {
            return Ok(false);
        }
        let folder = roots(self.entry(what, &self.tree.at(&split(place).0), "").await?);
        Ok(folder.is_some_and(|folder| folder.mode & 0o022 == 0))
    }

    /// What is excepted is neither where the request acts nor, when it is about all below, in it.
    async fn spared(&self, what: &str, about: &RemotePath, bounds: Bounds<'_>) -> Result<(), Failure> {
        // A folder `.runner` is told by its name, so only what is about whole trees needs to be told of it.
        let told = |except: &&RemotePath| bounds.own || except.name() != Some(".runner");
        for except in bounds.places.except.iter().filter(told) {
            let (above, name) = split(except);
            let above = self.lead(what, &above, &[]).await?;
            let place = match name {
                Some(name) => above.map(|above| joined(what, &above, name)).transpose()?,
                None => above,
            };
            for place in [place, self.lead(what, except, &[]).await?].into_iter().flatten() {
                if about.is_within(&place) || bounds.below && place.is_within(about) {
                    return Err(denied(what, &format!("{except} is excepted from what is granted")));
                }
            }
        }
        Ok(())
    }

    /// Where a folder leads, as `cd -P` goes.
    async fn enter(&self, what: &str, folder: &RemotePath) -> Result<Way, Failure> {
        let (above, name) = split(folder);
        let Some(name) = name else { return Ok(Way::To(folder.clone())) };
        let mut hops = HOPS;
        let Some(above) = self.follow(what, RemotePath::root(), above.as_str(), &mut hops).await? else {
            return Ok(Way::Missing);
        };
        let place = joined(what, &above, name)?;
        let way = match self.step(what, &above, &place).await? {
            Kind::Absent => Way::Missing,
            Kind::Folder => Way::To(place),
            Kind::File | Kind::Other => Way::NotFolder,
            Kind::Link(points_to) => {
                let led = self.follow(what, above, &points_to, &mut hops).await?;
                led.map_or(Way::NotFolder, Way::To)
            }
        };
        match &way {
            Way::To(place) if !self.may_enter(what, place).await? => {
                Err(conflict(what, &format!("no permission to enter {folder}")))
            }
            _ => Ok(way),
        }
    }

    /// What is at a place in a folder on the way; nothing, where the folder may not be entered.
    async fn step(&self, what: &str, folder: &RemotePath, place: &RemotePath) -> Result<Kind, Failure> {
        if !self.may_enter(what, folder).await? {
            return Ok(Kind::Absent);
        }
        match self.kind(what, &self.tree.at(place)).await {
            Err(failure) if failure.kind == FailureKind::Conflict => Ok(Kind::Absent),
            found => found,
        }
    }

    /// Whether the mode of a folder that would be there lets the acting user in. A real one says so itself.
    async fn may_enter(&self, what: &str, folder: &RemotePath) -> Result<bool, Failure> {
        let node = self.tree.at(folder);
        let Node::Folder(Folder { metadata: FolderMetadata::Known(metadata), .. }) = &*node else {
            return Ok(true);
        };
        match self.may(what, metadata, 0o1, "").await {
            Ok(()) => Ok(true),
            Err(failure) if failure.kind == FailureKind::Conflict => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// The folder that a link in another one leads to; `None`: to none.
    pub(crate) async fn led(
        &self,
        what: &str,
        from: &RemotePath,
        points_to: &str,
    ) -> Result<Option<RemotePath>, Failure> {
        self.follow(what, from.clone(), points_to, &mut HOPS.clone()).await
    }

    /// The folder that a text leads to from another one; `None`: to none.
    async fn follow(
        &self,
        what: &str,
        from: RemotePath,
        text: &str,
        hops: &mut u32,
    ) -> Result<Option<RemotePath>, Failure> {
        let mut at = if text.starts_with('/') { RemotePath::root() } else { from };
        let mut todo: Vec<String> = text.rsplit('/').map(str::to_owned).collect();
        while let Some(name) = todo.pop() {
            match name.as_str() {
                "" | "." => {}
                ".." => at = at.parent().unwrap_or_else(RemotePath::root),
                name => {
                    let place = joined(what, &at, name)?;
                    match self.step(what, &at, &place).await? {
                        Kind::Folder => at = place,
                        Kind::Link(points_to) => {
                            if *hops == 0 {
                                return Ok(None);
                            }
                            *hops -= 1;
                            if points_to.starts_with('/') {
                                at = RemotePath::root();
                            }
                            todo.extend(points_to.rsplit('/').map(str::to_owned));
                        }
                        Kind::Absent | Kind::File | Kind::Other => return Ok(None),
                    }
                }
            }
        }
        Ok(Some(at))
    }

    /// Where a prefix leads, whether or not all of it is there: as `walk` of the transport goes. `None`: by a link that a step
    /// may have made, which may write in one of these places.
    async fn lead(
        &self,
        what: &str,
        path: &RemotePath,
        own: &[RemotePath],
    ) -> Result<Option<RemotePath>, Failure> {
        let mut at = RemotePath::root();
        let mut todo: Vec<String> = path.as_str().rsplit('/').map(str::to_owned).collect();
        let mut hops = HOPS;
        while let Some(name) = todo.pop() {
            match name.as_str() {
                "" | "." => {}
                ".." => at = at.parent().unwrap_or_else(RemotePath::root),
                name => {
                    let place = joined(what, &at, name)?;
                    match self.kind(what, &self.tree.at(&place)).await? {
                        Kind::Link(points_to) => {
                            if own.iter().any(|own| place.is_within(own))
                                && !self.is_roots_link(what, &place).await?
                            {
                                return Ok(None);
                            }
                            if hops == 0 {
                                return Err(conflict(what, "too many symbolic links"));
                            }
                            hops -= 1;
                            self.trusted(what, &at).await?;
                            if points_to.starts_with('/') {
                                at = RemotePath::root();
                            }
                            todo.extend(points_to.rsplit('/').map(str::to_owned));
                        }
                        _ => at = place,
                    }
                }
            }
        }
        Ok(Some(at))
    }

    /// Refuses a folder in which others could put something in the place of something else.
    async fn trusted(&self, what: &str, folder: &RemotePath) -> Result<(), Failure> {
        let mut at = RemotePath::root();
        let mut real = None;
        let names: Vec<&str> = folder.segments().collect();
        for depth in 0..=names.len() {
            if depth > 0 {
                at = joined(what, &at, names[depth - 1])?;
            }
            match &*self.tree.at(&at) {
                Node::Real(path) => real = Some(path.clone()),
                Node::Folder(folder) => match &folder.metadata {
                    FolderMetadata::Real(path) => real = Some(path.clone()),
                    FolderMetadata::Known(metadata) => self.safe(what, &at, metadata).await?,
                },
                Node::Laid(laid) => {
                    let metadata = crate::node::Metadata { mode: Some(0o755), ..laid.metadata.clone() };
                    self.safe(what, &at, &metadata).await?;
                }
                Node::Absent | Node::File { .. } | Node::Link { .. } | Node::Unknown(_) => {}
            }
        }
        match real {
            Some(real) => self.reads.enter(&real).await,
            None => Ok(()),
        }
    }
}

/// Text of a link in which a secret was hidden leads nobody knows where.
pub(crate) fn readable(what: &str, points_to: String) -> Result<String, Failure> {
    if points_to.contains(HIDDEN) {
        return Err(unknown(what, "a link on the way may hold a secret"));
    }
    Ok(points_to)
}
