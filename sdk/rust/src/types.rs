//! Plain data that host calls take and give.

/// What a command or a request does to the world. The runner lists, journals, resumes and undoes by it, and a grant
/// names it: an effect that the grant does not name is denied.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// Changes files or data. Needs an undo.
    Change,
    /// Makes something that runs look again: restart, reload, purge.
    Signal,
    /// Takes the target out of service. Needs an undo.
    Leave,
    /// Puts the target back into service. Needs an undo.
    Join,
    /// None of these: cannot be previewed, undone or resumed.
    #[default]
    Opaque,
}

impl Effect {
    /// The word for it in grants.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Change => "change",
            Self::Signal => "signal",
            Self::Leave => "leave",
            Self::Join => "join",
            Self::Opaque => "opaque",
        }
    }

    /// Whether the step must say how it is undone.
    pub fn needs_undo(self) -> bool {
        matches!(self, Self::Change | Self::Leave | Self::Join)
    }
}

/// What a path leads to; symbolic links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The last component of the path.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// In bytes; 0 for what is not a file.
    pub size: u64,
    /// Permission bits, as in `0o644`.
    pub mode: u32,
    /// The name, or the number in decimal where there is none. Empty in the workspace.
    pub owner: String,
    /// As the owner.
    pub group: String,
    /// Milliseconds since 1970-01-01 UTC. 0 in the workspace.
    pub modified: u64,
}

impl Entry {
    /// Whether it is a folder.
    pub fn is_directory(&self) -> bool {
        self.kind == EntryKind::Directory
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == EntryKind::File
    }
}

/// Who owns a file and who may do what with it. `None`: as it is, or what the verb says for something new.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// Permission bits, as in `0o644`; at most `0o7777`.
    pub mode: Option<u32>,
    /// A user's name, or a number in decimal.
    pub owner: Option<String>,
    /// A group's name, or a number in decimal.
    pub group: Option<String>,
}

impl Attributes {
    /// All as it is.
    pub fn keep() -> Self {
        Self::default()
    }

    /// These permission bits.
    pub fn mode(mode: u32) -> Self {
        Self { mode: Some(mode), ..Self::default() }
    }
}

/// Who owns all that is in a tree or an archive, which has modes of its own. `None`: as it is; of what is new, the acting
/// user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owned {
    /// A user's name, or a number in decimal.
    pub owner: Option<String>,
    /// A group's name, or a number in decimal.
    pub group: Option<String>,
}

impl Owned {
    /// All as it is.
    pub fn keep() -> Self {
        Self::default()
    }
}

impl From<&Owned> for Attributes {
    fn from(owned: &Owned) -> Self {
        let Owned { owner, group } = owned.clone();
        Self { mode: None, owner, group }
    }
}

/// A symbolic link in a tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// Where it is, relative to the tree.
    pub path: String,
    /// What is written in it.
    pub points_to: String,
}

/// What to ask of the init system, in systemd's words.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceAction {
    /// Run it.
    Start,
    /// End it.
    Stop,
    /// End it and run it again.
    #[default]
    Restart,
    /// Have it read its configuration again.
    Reload,
    /// Reload where it can, else restart.
    ReloadOrRestart,
}

impl ServiceAction {
    /// The word for it in grants.
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

/// What became of a release on a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// All its rollout steps passed here at least once.
    Good,
    /// A rollout step failed here since it was last good.
    Bad,
    /// It was laid out and never went through a rollout.
    Untried,
}

/// One version laid out on a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The name of its folder in `releases/`.
    pub id: String,
    /// The order in which releases were laid out here; grows, never reused.
    pub sequence: u64,
    /// Whether it proved itself.
    pub mark: Mark,
    /// Whether `current` points to it.
    pub live: bool,
    /// In bytes, of all its files.
    pub size: u64,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// Exit status; 128 + n for death by signal n.
    pub status: u32,
    /// The first 256 KiB.
    pub stdout: String,
    /// The first 256 KiB.
    pub stderr: String,
    /// There was more.
    pub truncated: bool,
    /// It was not run: its check held, or this is a dry run. Then the status is 0.
    pub skipped: bool,
}

/// One line of the head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// In lower case.
    pub name: String,
    /// As it was sent.
    pub value: String,
}

/// An answer, of whatever status: a status is not an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// As in RFC 9110.
    pub status: u16,
    /// In the order of the answer.
    pub headers: Vec<Header>,
    /// The first 1 MiB.
    pub body: String,
    /// There was more.
    pub truncated: bool,
    /// It was not sent: this is a dry run and the effect is not `read`. Then the status is 204.
    pub skipped: bool,
}

impl Response {
    /// The value of the first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|h| h.value.as_str())
    }
}

/// Whether requests are sent to a target.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// They are.
    In,
    /// No new ones, and what goes on may end.
    Draining,
    /// None are.
    Out,
}

/// How a target stands in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Standing {
    /// Whether requests are sent to it.
    pub service: Service,
    /// Whether it passes the cluster's own checks; true where the cluster has none.
    pub healthy: bool,
    /// Connections, or requests, that go on; `None`: the cluster does not say.
    pub connections: Option<u32>,
}

impl Standing {
    /// In service or not, and all that a cluster says which knows no more.
    pub fn of(service: Service) -> Self {
        Self { service, healthy: true, connections: None }
    }
}
