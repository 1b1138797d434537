//! Machines, with typed verbs.

use crate::types::{Attributes, Effect, Entry, Link, Owned, Release, ServiceAction};
use crate::{Artifact, Result, Secret, sys};

/// A machine. All verbs fail with `denied`, `unreachable`, `timeout` or `cancelled`; more is said at each.
///
/// What reads needs a grant `read:PREFIX`, what changes one `write:PREFIX`, [`Target::service`] one
/// `service:UNIT ACTION`; facts are free. A change answers `true` when the target differs from how this step last left
/// it: because this call changed it, or because an earlier invocation of this step did and then failed. So
/// `if changed { restart }` never loses a restart.
#[derive(Debug)]
pub struct Target(pub(crate) sys::Target);

impl Target {
    /// The target that this step acts on; `localhost` when the plan names none.
    pub fn current() -> Self {
        Self(sys::current())
    }

    /// Another target of the inventory, or `localhost`. Does not connect. Needs the grant `target:NAME`.
    ///
    /// # Errors
    /// `denied`, `not-found`.
    pub fn named(name: &str) -> Result<Self> {
        sys::named(name).map(Self)
    }

    /// Sends a text to the socket at this path, and answers all that comes back until the other side closes: at most
    /// 1 MiB, within 10 seconds. Needs the grant `socket-CLASS:PATH`; the effect is anything but a change. In a dry run,
    /// what is no read is answered with an empty text.
    ///
    /// # Errors
    /// `not-found` when there is no such socket, `conflict` when something else is there or nobody listens, `timeout`,
    /// and `invalid` when the answer is larger or not UTF-8.
    pub fn exchange(&self, path: &str, text: &str, effect: Effect) -> Result<String> {
        self.0.exchange(path, text, effect)
    }

    /// Its name in the inventory.
    pub fn name(&self) -> String {
        self.0.name()
    }

    /// One fact, probed once per run: `os`, `arch`, `distribution`, `user`, `hostname`, `init`, `has:<program>`.
    ///
    /// # Errors
    /// `not-found` for a fact that is not known.
    pub fn fact(&self, name: &str) -> Result<String> {
        self.0.fact(name)
    }

    /// Whether the program is installed.
    ///
    /// # Errors
    /// Those of all verbs.
    pub fn has(&self, program: &str) -> Result<bool> {
        Ok(self.fact(&format!("has:{program}"))? == "true")
    }

    /// What is at the path; `None` when there is nothing.
    ///
    /// # Errors
    /// Those of all verbs.
    pub fn stat(&self, path: &str) -> Result<Option<Entry>> {
        self.0.stat(path)
    }

    /// What is in the folder, sorted by name (bytewise).
    ///
    /// # Errors
    /// `not-found`, or `conflict` when it is not a folder.
    pub fn read_dir(&self, path: &str) -> Result<Vec<Entry>> {
        self.0.read_dir(path)
    }

    /// Where the symbolic link points to, as it is written.
    ///
    /// # Errors
    /// `not-found`, or `conflict` when it is not a link.
    pub fn read_link(&self, path: &str) -> Result<String> {
        self.0.read_link(path)
    }

    /// The text of a file of up to 1 MiB.
    ///
    /// # Errors
    /// `not-found`; `invalid` when it is larger or not UTF-8: then [`Target::fetch`].
    pub fn read(&self, path: &str) -> Result<String> {
        self.0.read(path)
    }

    /// Of a file's content, or of a folder's manifest; equal to that of the artifact that [`Target::fetch`] gives.
    ///
    /// # Errors
    /// `not-found`.
    pub fn digest(&self, path: &str) -> Result<String> {
        self.0.digest(path)
    }

    /// Bytes that the user may still write to the file system of the path.
    ///
    /// # Errors
    /// `not-found`.
    pub fn disk_free(&self, path: &str) -> Result<u64> {
        self.0.disk_free(path)
    }

    /// Copies a file or a folder into the artifact store.
    ///
    /// # Errors
    /// `not-found`.
    pub fn fetch(&self, path: &str) -> Result<Artifact> {
        self.0.fetch(path).map(Artifact)
    }

    /// Whether the unit runs. Needs the grant `service:UNIT is-active`, which every other action includes.
    ///
    /// # Errors
    /// Those of all verbs.
    pub fn service_is_active(&self, unit: &str) -> Result<bool> {
        self.0.service_is_active(unit)
    }

    /// The releases below a release root that are complete, newest first. Needs `read:ROOT`.
    ///
    /// # Errors
    /// Those of all verbs.
    pub fn releases(&self, root: &str) -> Result<Vec<Release>> {
        sys::releases(&self.0, root)
    }

    /// The good release before the live one, by sequence. Needs `read:ROOT`.
    ///
    /// # Errors
    /// Those of all verbs.
    pub fn previous_release(&self, root: &str) -> Result<Option<Release>> {
        sys::previous(&self.0, root)
    }

    /// Makes the file have this text, atomically. No mode: as it is, 0o644 when new.
    ///
    /// # Errors
    /// `not-found` when the folder is missing, `conflict` when a folder is in the way.
    pub fn write(&self, path: &str, text: &str, attributes: &Attributes) -> Result<bool> {
        self.0.write(path, text, attributes)
    }

    /// The same with a secret as the text. No mode: as it is, 0o600 when new.
    ///
    /// # Errors
    /// As [`Target::write`].
    pub fn write_secret(&self, path: &str, content: &Secret, attributes: &Attributes) -> Result<bool> {
        self.0.write_secret(path, &content.0, attributes)
    }

    /// The same with an artifact, which must be a file.
    ///
    /// # Errors
    /// As [`Target::write`].
    pub fn put(&self, path: &str, content: &Artifact, attributes: &Attributes) -> Result<bool> {
        self.0.put(path, &content.0, attributes)
    }

    /// Makes the folder and its parents exist. The attributes are for the last one; no mode: as it is, 0o755 when new.
    ///
    /// # Errors
    /// `conflict` when something else is in the way.
    pub fn mkdir(&self, path: &str, attributes: &Attributes) -> Result<bool> {
        self.0.mkdir(path, attributes)
    }

    /// Makes the path a symbolic link to `points_to`, by renaming a new link over an old one.
    ///
    /// # Errors
    /// `conflict` when something else than a link is there.
    pub fn symlink(&self, path: &str, points_to: &str) -> Result<bool> {
        self.0.symlink(path, points_to)
    }

    /// Renames, within one file system.
    ///
    /// # Errors
    /// `not-found`, or `conflict` when `new_path` exists.
    pub fn rename(&self, old_path: &str, new_path: &str) -> Result<()> {
        self.0.rename(old_path, new_path)
    }

    /// Makes the file, link or empty folder be gone.
    ///
    /// # Errors
    /// `conflict` when the folder is not empty.
    pub fn remove(&self, path: &str) -> Result<bool> {
        self.0.remove(path)
    }

    /// Makes the folder and all in it be gone. Links are removed, not followed.
    ///
    /// # Errors
    /// Those of all verbs.
    pub fn remove_tree(&self, path: &str) -> Result<bool> {
        self.0.remove_tree(path)
    }

    /// Makes the file or folder at the path have these attributes; a link is not followed.
    ///
    /// # Errors
    /// `not-found`, or `conflict` for a link.
    pub fn set_attributes(&self, path: &str, attributes: &Attributes) -> Result<bool> {
        self.0.set_attributes(path, attributes)
    }

    /// Makes the folder hold exactly the tree of the artifact and the links (a link takes the place of what the tree
    /// has at its path), verified by digest in a temporary folder and then renamed into place. What is unchanged is
    /// copied from the folder `reuse`, an earlier release.
    ///
    /// # Errors
    /// `conflict` when the folder holds other things.
    pub fn unpack(
        &self,
        path: &str,
        tree: &Artifact,
        links: &[Link],
        reuse: Option<&str>,
        owned: &Owned,
    ) -> Result<bool> {
        self.0.unpack(path, &tree.0, links, reuse, &owned.into())
    }

    /// Archives the folder or file `path` into the new file `into` (`.tar.zst`, `.tar.gz` or `.tar`), reads it back and
    /// compares it before it gets its name. Answers the size of the archive in bytes. Kept by an undo.
    ///
    /// # Errors
    /// `conflict` when `into` exists or the disk has no room.
    pub fn archive(&self, path: &str, into: &str) -> Result<u64> {
        self.0.archive(path, into)
    }

    /// Makes the folder or file at the path equal to what an archive that [`Target::archive`] made holds: it is read whole
    /// and checked first, then unpacked beside it and renamed into place; what was there is removed last. Links stay
    /// links; owners are those of the archive as far as the acting user may set them, where `owned` names no others.
    /// `false`: it was equal already, but for times.
    ///
    /// # Errors
    /// `not-found`; `conflict` when the archive is damaged, something else than a folder or a file is at the path or the
    /// disk has no room; `denied` when something in the archive would leave the folder.
    pub fn unarchive(&self, archive: &str, path: &str, owned: &Owned) -> Result<bool> {
        self.0.unarchive(archive, path, &owned.into())
    }

    /// Asks the init system. Returns when the unit has reached the state.
    ///
    /// # Errors
    /// `not-found` for a unit that is not known; `timeout` or `other` when it does not reach the state.
    pub fn service(&self, unit: &str, action: ServiceAction) -> Result<()> {
        self.0.service(unit, action)
    }
}
