//! The inventory of an environment: which targets there are, how they are reached, and what is known of them.
//!
//! [`InventoryFile`] is what is written, key by key, and what the reference and the schema are made of. [`Inventory`]
//! is what it means: each target with what it takes from its groups and from `[defaults]`.

mod ansible;
mod answer;
mod host;
mod merge;
mod read;
mod service;

pub use ansible::{Form, VarsFile, Whose};
pub use answer::MAX_ANSWER_BYTES;
pub use host::{BadHost, Host};
pub use service::{BadServiceCommand, ServiceCommand};

use crate::source::{Source, Span, Spanned};
use crate::{GroupName, LabelName, RemotePath, RoleName, TargetName, UserName, VarName};
use schemars::JsonSchema;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The inventory of an environment: its targets and how they are reached.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct InventoryFile {
    /// The version of the inventory language. Always 1, in the first line.
    #[schemars(extend("const" = 1))]
    pub inventory: u32,
    /// What holds for every target that neither says it itself nor has a group that does.
    #[schemars(default)]
    pub defaults: Settings,
    /// How ssh is run, beside what the user's own `~/.ssh/config` says.
    #[schemars(default)]
    pub ssh: SshSettings,
    /// Targets that have something in common.
    #[schemars(default)]
    pub group: BTreeMap<GroupName, Group>,
    /// The machines, by name. Their order is the order in which they are released to.
    pub target: BTreeMap<TargetName, TargetEntry>,
}

/// What can be said of one target, of a group, or in `[defaults]`: a target's own key wins over its group's, and that
/// over the default.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// The user that logs in. Left out: what the ssh configuration says.
    pub user: Option<Spanned<UserName>>,
    /// The port of ssh. Left out: what the ssh configuration says.
    #[schemars(range(min = 1))]
    pub port: Option<Spanned<u16>>,
    /// The host to connect through, as in ssh's `ProxyJump`: `user@bastion.example.org:22`; several with commas.
    pub jump: Option<Spanned<String>>,
    /// The user that steps act as, through `sudo -n`. It is a grant: the lock records it.
    #[schemars(rename = "become")]
    pub acts_as: Option<Spanned<UserName>>,
    /// The release root on the target, in place of the plan's.
    pub root: Option<Spanned<RemotePath>>,
    /// Variables, for `${target.vars.NAME}` and for steps that ask for them. A target has its own, those of its groups
    /// and the default ones.
    #[schemars(default)]
    pub vars: BTreeMap<VarName, Spanned<Value>>,
    /// The command that starts and stops services where no systemd runs: a program and its arguments, with
    /// `${action}` and `${unit}` filled in. It is a grant: the lock records it.
    pub service_command: Option<Spanned<ServiceCommand>>,
    /// How the target is reached: `"ssh"`, or `"local"` for this machine. Left out: `"ssh"`, and `"local"` for a target
    /// that is named `localhost`.
    pub connection: Option<Spanned<ConnectionKind>>,
}

/// Targets that have something in common. Two groups of a target that say different things are an error.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Group {
    /// The names of its targets.
    pub targets: Vec<Spanned<TargetName>>,
    /// Roles of all its targets, beside their own.
    #[schemars(default)]
    pub roles: Vec<Spanned<RoleName>>,
    /// Labels of all its targets, beside their own.
    #[schemars(default)]
    pub labels: Vec<Spanned<LabelName>>,
    /// What holds for all its targets.
    #[schemars(flatten)]
    pub settings: Settings,
}

/// One machine.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TargetEntry {
    /// A host name, an IP address, or a `Host` of the ssh configuration. Left out: the target's name.
    pub address: Option<Spanned<Host>>,
    /// The host for `${target.address}`, where HTTP reaches the target by another name than ssh. Left out: `address`.
    pub http_address: Option<Spanned<Host>>,
    /// What the target is for: a plan's `[strategy] role` and a step's `on` name one.
    #[schemars(default)]
    pub roles: Vec<Spanned<RoleName>>,
    /// Words to choose the target by.
    #[schemars(default)]
    pub labels: Vec<Spanned<LabelName>>,
    /// What holds for this target.
    #[schemars(flatten)]
    pub settings: Settings,
}

/// How a target is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionKind {
    /// Over OpenSSH.
    #[default]
    Ssh,
    /// It is this machine: steps run as the user that runs `runner`.
    Local,
}

/// Which key exchange ssh uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyExchange {
    /// What ssh prefers: today a post-quantum one.
    #[default]
    Default,
    /// `curve25519-sha256`: connects in a fraction of the processor time, and is not post-quantum.
    Fast,
}

/// How ssh is run, beside what the user's own `~/.ssh/config` says.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SshSettings {
    /// A further ssh configuration file, relative to the inventory. It is read before the user's own.
    pub config: Option<Spanned<PathBuf>>,
    /// The file of known host keys, relative to the inventory, in place of `~/.ssh/known_hosts`. Host keys are always
    /// checked, and never added.
    pub known_hosts: Option<Spanned<PathBuf>>,
    /// The key exchange: `"default"`, or `"fast"` for less processor time without post-quantum security.
    pub kex: Option<Spanned<KeyExchange>>,
    /// The private key to log in with, relative to the inventory. Left out: the agent's, and what the ssh
    /// configuration says.
    pub identity: Option<Spanned<PathBuf>>,
}

/// The targets of an environment.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The file.
    pub source: Source,
    /// In the order of the file.
    pub targets: Vec<Target>,
    /// How ssh is run.
    pub ssh: SshSettings,
    /// Not all of the file could be read, which has been reported: a target or a role may be missing.
    pub(crate) has_gaps: bool,
    /// Targets that this run is not for.
    pub(crate) left_out: BTreeSet<TargetName>,
}

/// A machine, with what it takes from its groups and from `[defaults]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Its name.
    pub name: TargetName,
    /// Where its name is written.
    pub span: Span,
    /// The host that ssh connects to.
    pub address: Host,
    /// The host to speak HTTP to.
    pub http_address: Host,
    /// What it is for, sorted.
    pub roles: Vec<RoleName>,
    /// Words to choose it by, sorted.
    pub labels: Vec<LabelName>,
    /// The groups that it is in, by name.
    pub groups: Vec<String>,
    /// The user that logs in; `None`: up to ssh.
    pub user: Option<UserName>,
    /// The port of ssh; `None`: up to ssh.
    pub port: Option<u16>,
    /// The private key to log in with, in place of the one of [`SshSettings`].
    pub identity: Option<PathBuf>,
    /// The host to connect through.
    pub jump: Option<String>,
    /// The user that steps act as.
    pub acts_as: Option<UserName>,
    /// The release root, in place of the plan's.
    pub root: Option<RemotePath>,
    /// Variables.
    pub vars: BTreeMap<VarName, Value>,
    /// The command that starts and stops services.
    pub service_command: Option<ServiceCommand>,
    /// How it is reached.
    pub connection: ConnectionKind,
}

impl Target {
    /// The machine that the runner runs on, where no inventory entry describes it.
    pub fn localhost() -> Self {
        Self {
            name: TargetName::localhost(),
            span: Span::default(),
            address: Host::localhost(),
            http_address: Host::localhost(),
            roles: Vec::new(),
            labels: Vec::new(),
            groups: Vec::new(),
            user: None,
            port: None,
            identity: None,
            jump: None,
            acts_as: None,
            root: None,
            vars: BTreeMap::new(),
            service_command: None,
            connection: ConnectionKind::Local,
        }
    }

    /// Whether it has the role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own.as_str() == role)
    }
}

impl Inventory {
    /// One that could not be read at all, which has been reported: for finding out what else is wrong with the plan.
    /// `name`: the file as problems name it.
    pub fn unread(name: &str) -> Self {
        Self {
            source: Source::new(name, ""),
            targets: Vec::new(),
            ssh: SshSettings::default(),
            has_gaps: true,
            left_out: BTreeSet::new(),
        }
    }

    /// The same for a run that is not for these targets: no step runs for one of them, whatever roles they have. They
    /// are still there for [`Inventory::target`].
    #[must_use]
    pub fn without(mut self, targets: BTreeSet<TargetName>) -> Self {
        self.left_out = targets;
        self
    }

    /// The target of this name.
    pub fn target(&self, name: &str) -> Option<&Target> {
        self.targets.iter().find(|target| target.name.as_str() == name)
    }

    /// The targets of a role, in the order of the file.
    pub fn with_role<'a>(&'a self, role: &'a str) -> impl Iterator<Item = &'a Target> {
        self.targets.iter().filter(move |target| target.has_role(role))
    }

    /// All roles that a target has, sorted.
    pub fn roles(&self) -> Vec<&RoleName> {
        let mut roles: Vec<_> = self.targets.iter().flat_map(|target| &target.roles).collect();
        roles.sort_unstable();
        roles.dedup();
        roles
    }
}
