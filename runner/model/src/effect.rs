//! What a step may do to the world, as data: the same values are checked, journaled, sent to the target and undone.

use crate::{Digest, RemotePath, Secret};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The class of an effect: how it is listed, resumed and undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffectClass {
    /// Changes nothing.
    Read,
    /// Changes files or data.
    Change,
    /// Makes something that runs look again.
    Signal,
    /// Takes a target out of service.
    Leave,
    /// Puts a target back into service.
    Join,
    /// None of these.
    Opaque,
}

impl EffectClass {
    /// Whether an intent is written before it.
    pub fn mutates(self) -> bool {
        self != Self::Read
    }

    /// Whether the step must say how it is undone.
    pub fn needs_undo(self) -> bool {
        matches!(self, Self::Change | Self::Leave | Self::Join)
    }
}

/// Who owns a file and who may do what with it; `None`: as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Attributes {
    /// Permission bits, at most `0o7777`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// A user's name, or a number in decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// A group's name, or a number in decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// A symbolic link in a tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Link {
    /// Where it is, relative to the tree.
    pub path: String,
    /// What is written in it.
    pub points_to: String,
}

/// A typed verb that changes a target. Content travels by digest: the bytes are in the artifact store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Change {
    /// Makes the file have this content, atomically.
    Write {
        /// The file.
        path: RemotePath,
        /// Of what it will hold.
        content: Digest,
        /// Of the content, in bytes.
        size: u64,
        /// Who may do what with it.
        attributes: Attributes,
    },
    /// Makes the file have the value of a secret, atomically.
    WriteSecret {
        /// The file.
        path: RemotePath,
        /// What it will hold.
        content: Secret,
        /// Who may do what with it.
        attributes: Attributes,
    },
    /// Makes the folder and its parents exist.
    Mkdir {
        /// The folder.
        path: RemotePath,
        /// Who may do what with it; its parents get none.
        attributes: Attributes,
    },
    /// Makes the path a symbolic link, by renaming a new link over an old one.
    Symlink {
        /// The link.
        path: RemotePath,
        /// What is written in it.
        points_to: String,
    },
    /// Renames within one file system.
    Rename {
        /// What is renamed.
        path: RemotePath,
        /// Its new name; nothing is there.
        to: RemotePath,
    },
    /// Makes the file, link or empty folder be gone.
    Remove {
        /// What will be gone.
        path: RemotePath,
    },
    /// Makes the folder and all in it be gone.
    RemoveTree {
        /// What will be gone, with all in it.
        path: RemotePath,
    },
    /// Makes the file or folder have these attributes.
    SetAttributes {
        /// A file or a folder.
        path: RemotePath,
        /// What they will be.
        attributes: Attributes,
    },
    /// Makes the folder hold exactly the tree and the links.
    Unpack {
        /// The folder.
        path: RemotePath,
        /// Of the tree that it will hold.
        tree: Digest,
        /// Links that take the place of what the tree has at their paths.
        links: Vec<Link>,
        /// A folder from which what is unchanged is copied.
        reuse: Option<RemotePath>,
        /// Owner and group of all that is in it.
        attributes: Attributes,
    },
    /// Archives a folder or a file into a new file. Kept by an undo.
    Archive {
        /// What is archived.
        path: RemotePath,
        /// The archive.
        into: RemotePath,
    },
    /// Makes the folder or file equal to what an archive holds.
    Unarchive {
        /// The folder or file.
        path: RemotePath,
        /// The archive.
        archive: RemotePath,
        /// Owner and group of all that is in it.
        attributes: Attributes,
    },
}

impl Change {
    /// The path that it writes to: what `write:` grants are matched against, beside [`Change::also_writes`].
    pub fn path(&self) -> &RemotePath {
        match self {
            Self::Write { path, .. }
            | Self::WriteSecret { path, .. }
            | Self::Mkdir { path, .. }
            | Self::Symlink { path, .. }
            | Self::Rename { path, .. }
            | Self::Remove { path }
            | Self::RemoveTree { path }
            | Self::SetAttributes { path, .. }
            | Self::Unpack { path, .. }
            | Self::Unarchive { path, .. }
            | Self::Archive { into: path, .. } => path,
        }
    }

    /// A second path that it writes to.
    pub fn also_writes(&self) -> Option<&RemotePath> {
        match self {
            Self::Rename { to, .. } => Some(to),
            _ => None,
        }
    }

    /// A path that it reads: what `read:` grants are matched against.
    pub fn reads(&self) -> Option<&RemotePath> {
        match self {
            Self::Archive { path, .. } => Some(path),
            Self::Unpack { reuse, .. } => reuse.as_ref(),
            Self::Unarchive { archive, .. } => Some(archive),
            _ => None,
        }
    }

    /// The verb's name, as in the WIT.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Write { .. } => "write",
            Self::WriteSecret { .. } => "write-secret",
            Self::Mkdir { .. } => "mkdir",
            Self::Symlink { .. } => "symlink",
            Self::Rename { .. } => "rename",
            Self::Remove { .. } => "remove",
            Self::RemoveTree { .. } => "remove-tree",
            Self::SetAttributes { .. } => "set-attributes",
            Self::Unpack { .. } => "unpack",
            Self::Archive { .. } => "archive",
            Self::Unarchive { .. } => "unarchive",
        }
    }
}

/// What is at a path of a target, as far as undo and resume need to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum State {
    /// Nothing.
    Absent,
    /// A regular file.
    File {
        /// Of its content.
        digest: Digest,
        /// In bytes.
        size: u64,
        /// Permission bits.
        mode: u32,
        /// The name, or the number in decimal.
        owner: String,
        /// As the owner.
        group: String,
    },
    /// A folder.
    Directory {
        /// Of its manifest, where the verb is about all that is in it.
        tree: Option<Digest>,
        /// Permission bits.
        mode: u32,
        /// The name, or the number in decimal.
        owner: String,
        /// As the owner.
        group: String,
    },
    /// A symbolic link.
    Symlink {
        /// What is written in it.
        points_to: String,
    },
    /// A device, a socket or a pipe.
    Other,
}

/// What a path leads to; symbolic links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, a socket or a pipe.
    Other,
}

/// A file, a folder or a link, on a target or in the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// The last component of the path.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// In bytes; 0 for what is not a file.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// The name, or the number in decimal where there is none. Empty in the workspace.
    pub owner: String,
    /// As the owner.
    pub group: String,
    /// Milliseconds since 1970-01-01 UTC. 0 in the workspace.
    pub modified: u64,
}

/// What to ask of the init system, in systemd's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceAction {
    /// Run it.
    Start,
    /// End it.
    Stop,
    /// End it and run it again.
    Restart,
    /// Have it read its configuration again.
    Reload,
    /// Reload where it can, else restart.
    ReloadOrRestart,
}

impl ServiceAction {
    /// The word that systemctl, grants and service commands take.
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload => "reload",
            Self::ReloadOrRestart => "reload-or-restart",
        }
    }
}

/// What is shown in the place of the value of a secret.
pub const HIDDEN: &str = "***";

/// Something that a command or a request carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// Text, as it is.
    Text(String),
    /// A file in the artifact store.
    Artifact(Digest),
    /// The value of a secret.
    Secret(Secret),
}

/// A command on a target: all that was put into it before it was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Command {
    /// The program and its arguments; no shell sees them.
    pub argv: Vec<String>,
    /// What the step declared it to be.
    pub effect: EffectClass,
    /// Variables beside PATH, HOME, USER and LANG. Those in `secret-env` are here as [`HIDDEN`]: what a grant must
    /// let them be is anything.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The variables whose values are secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_env: BTreeMap<String, Secret>,
    /// What it reads; `None`: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Content>,
    /// A file on the target that it reads, in the place of `stdin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin_file: Option<RemotePath>,
    /// That file is unpacked on the way.
    #[serde(default, skip_serializing_if = "is_false")]
    pub decompress: bool,
    /// A file on the target that gets its stdout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout_to: Option<RemotePath>,
    /// Its stdout is packed on the way.
    #[serde(default, skip_serializing_if = "is_false")]
    pub compress: bool,
    /// The working folder; `None`: the user's home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<RemotePath>,
    /// Milliseconds until the whole process group is killed.
    pub timeout: u32,
    /// Exit statuses beside 0 that are not failures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<u32>,
    /// Run first: when it ends with 0, the effect is already there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip_if: Option<Box<Command>>,
    /// What undoes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Box<Command>>,
    /// All that it leaves is the file that gets its stdout, and an undo keeps it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keep: bool,
    /// Twice is as good as once.
    #[serde(default)]
    pub repeatable: bool,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// An HTTP request: all that was put into it before it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Request {
    /// In upper case.
    pub method: String,
    /// Absolute, http or https, without user and password.
    pub url: String,
    /// What the step declared it to be.
    pub effect: EffectClass,
    /// In the order in which they were added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Headers whose values are secrets; they come after the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secret_headers: Vec<(String, Secret)>,
    /// What is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Content>,
    /// The target through whose connection it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<crate::TargetName>,
    /// The address to connect to in place of the URL's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_to: Option<String>,
    /// Milliseconds for all of it.
    pub timeout: u32,
    /// What undoes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Box<Request>>,
    /// Twice is as good as once.
    #[serde(default)]
    pub repeatable: bool,
}

/// A request to a socket on a target, and all that comes back until the other side closes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Exchange {
    /// The socket.
    pub path: RemotePath,
    /// What is sent.
    pub text: String,
    /// What the step declared it to be.
    pub effect: EffectClass,
}

impl Content {
    fn secrets(&self) -> Vec<&crate::SecretName> {
        match self {
            Self::Secret(secret) => secret.names(),
            Self::Text(_) | Self::Artifact(_) => Vec::new(),
        }
    }
}

impl Command {
    /// The secrets that it is given itself: those of its check and its undo are theirs.
    pub fn secrets(&self) -> Vec<&crate::SecretName> {
        let env = self.secret_env.values().flat_map(Secret::names);
        env.chain(self.stdin.iter().flat_map(Content::secrets)).collect()
    }
}

impl Request {
    /// The secrets that it carries itself: those of its undo are that one's.
    pub fn secrets(&self) -> Vec<&crate::SecretName> {
        let headers = self.secret_headers.iter().flat_map(|(_, secret)| secret.names());
        headers.chain(self.body.iter().flat_map(Content::secrets)).collect()
    }
}

/// Names one effect in the journal, in every language and on every machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct EffectKey {
    /// The step.
    pub step: crate::StepId,
    /// The target that the step ran for.
    pub target: crate::TargetName,
    /// 1 for the first try.
    pub attempt: u32,
    /// 1 for the first call of the invocation.
    pub number: u32,
}

/// What became of a release on a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// All its rollout steps passed.
    Good,
    /// A rollout step failed since it was last good.
    Bad,
    /// It never went through a rollout.
    Untried,
}

/// One version laid out on a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Release {
    /// The name of its folder.
    pub id: crate::ReleaseId,
    /// The order in which releases were laid out; never reused.
    pub sequence: u64,
    /// Whether it proved itself.
    pub mark: Mark,
    /// Whether `current` points to it.
    pub live: bool,
    /// In bytes, of all its files.
    pub size: u64,
    /// The run that laid it out.
    pub by: crate::RunId,
}
