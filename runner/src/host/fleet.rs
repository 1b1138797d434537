//! The machines of a run and the connections to them: one per target, made when first needed, shared by all steps.

use crate::sandbox::context::Machines;
use async_trait::async_trait;
use runner_model::inventory::{ConnectionKind, KeyExchange, SshSettings};
use runner_model::source::Spanned;
use runner_model::{Acting, Failure, FailureKind, Resolved, RunId, Target as Entry, TargetName};
use runner_transport::{Connection, Executes, Kex, RunPlace, SshTarget, Target, Transport};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OnceCell, watch};

/// A connection that is there, or will be.
type Slot = Arc<OnceCell<Arc<dyn Connection>>>;

/// Whoever makes connections: a test's own, or those of the inventory.
#[async_trait]
pub trait Connect: Send + Sync {
    /// Connects to this target.
    async fn connect(&self, target: &Entry) -> Result<Arc<dyn Connection>, Failure>;
}

/// The machines of a run.
pub(super) struct Fleet {
    resolved: Arc<Resolved>,
    run: RunId,
    /// `None`: nothing is kept on targets, since nothing is done there.
    executes: Option<Executes>,
    /// An earlier part of the run may have left processes there.
    continues: bool,
    connect: Arc<dyn Connect>,
    /// For whom the run is, and when it began, as RFC 3339: kept with what it lays out.
    who: String,
    began: String,
    connections: Mutex<BTreeMap<TargetName, Slot>>,
    locked: watch::Sender<Locked>,
}

/// On which machines steps may act.
#[derive(Debug, Clone)]
enum Locked {
    /// The lock is still being taken.
    Waiting,
    /// On these, whose lock the run has.
    These(BTreeSet<TargetName>),
    /// On all: nothing is changed.
    All,
    /// On none: the lock was refused.
    None,
}

impl Fleet {
    pub(super) fn new(
        resolved: Arc<Resolved>,
        run: RunId,
        (executes, continues): (Option<Executes>, bool),
        connect: Arc<dyn Connect>,
        (who, began): (String, String),
    ) -> Self {
        let locked = watch::Sender::new(if executes.is_some() { Locked::Waiting } else { Locked::All });
        Self {
            resolved,
            run,
            executes,
            continues,
            connect,
            who,
            began,
            connections: Mutex::default(),
            locked,
        }
    }

    /// The lock of these machines was taken; `None`: it was not.
    pub(super) fn locked(&self, names: Option<BTreeSet<TargetName>>) {
        self.locked.send_replace(names.map_or(Locked::None, Locked::These));
    }

    /// Waits until it is known whether a step may act on a machine: nothing is written where another run may be at it.
    async fn may_act_on(&self, name: &TargetName) -> Result<(), Failure> {
        if !self.resolved.is_machine(name) {
            return Ok(());
        }
        let mut locked = self.locked.subscribe();
        let known = locked.wait_for(|locked| !matches!(locked, Locked::Waiting)).await;
        match known.as_deref() {
            Ok(Locked::All) => Ok(()),
            Ok(Locked::These(names)) if names.contains(name) => Ok(()),
            _ => Err(Failure::new(
                FailureKind::Conflict,
                format_args!("the run has no lock of {name}: no step may act on it"),
            )
            .with_detail("it did not answer when the lock was taken, or somebody else has it: run it again when it answers")),
        }
    }

    fn slot(&self, name: &TargetName) -> Slot {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(connections.entry(name.clone()).or_default())
    }

    fn entry(&self, name: &TargetName) -> Result<Entry, Failure> {
        match self.resolved.target(name) {
            Some(entry) => Ok(entry.clone()),
            None if name.is_localhost() => Ok(Entry::localhost()),
            None => {
                Err(Failure::new(FailureKind::NotFound, format_args!("no target `{name}` in the inventory")))
            }
        }
    }

    /// The connection to a target. A failure is not kept: whoever comes next tries again.
    pub(super) async fn connection(&self, name: &TargetName) -> Result<Arc<dyn Connection>, Failure> {
        let slot = self.slot(name);
        let connection = slot
            .get_or_try_init(|| async {
                let connection = self.connect.connect(&self.entry(name)?).await?;
                if let Some(executes) = self.executes {
                    let place = RunPlace {
                        root: self.resolved.root(name).cloned(),
                        plan: self.resolved.plan.to_string(),
                        run: self.run.clone(),
                        executes,
                        who: self.who.clone(),
                        made_at: self.began.clone(),
                    };
                    connection.begin(&place).await?;
                    if self.continues {
                        let ended = connection.end_left(&self.resolved.users(name)).await?;
                        tracing::debug!(target = %name, ended, "process groups that the run had left");
                    }
                }
                Ok::<_, Failure>(connection)
            })
            .await?;
        Ok(Arc::clone(connection))
    }

    /// Another connection to a target, beside the one of the run: whoever confirms that a target can be reached must not ask
    /// over one that was there before.
    pub(super) async fn another(&self, name: &TargetName) -> Result<Arc<dyn Connection>, Failure> {
        self.connect.connect(&self.entry(name)?).await
    }

    /// Bytes sent to a target so far.
    pub(super) fn bytes_sent(&self, name: &TargetName) -> u64 {
        self.slot(name).get().map_or(0, |connection| connection.bytes_sent())
    }

    /// Ends all connections.
    pub(super) async fn close(&self) {
        let slots: Vec<Slot> = {
            let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *connections).into_values().collect()
        };
        let closing = slots.iter().filter_map(|slot| slot.get()).map(|connection| connection.close());
        futures_util::future::join_all(closing).await;
    }
}

#[async_trait]
impl Machines for Fleet {
    fn has(&self, name: &TargetName) -> bool {
        name.is_localhost() || self.resolved.target(name).is_some()
    }

    async fn acting(&self, name: &TargetName, user: &Acting) -> Result<Arc<dyn Target>, Failure> {
        self.may_act_on(name).await?;
        Ok(self.connection(name).await?.acting(user))
    }
}

/// Connections as the inventory describes them.
pub struct Connections {
    transport: Transport,
    ssh: SshSettings,
    folder: PathBuf,
}

impl Connections {
    /// Connections of this transport, with the `[ssh]` of an inventory in this folder.
    pub fn new(transport: Transport, ssh: SshSettings, inventory_folder: PathBuf) -> Self {
        Self { transport, ssh, folder: inventory_folder }
    }

    /// A file that the inventory names.
    fn file(&self, path: Option<&Spanned<PathBuf>>) -> Option<PathBuf> {
        path.map(|path| self.folder.join(&path.value))
    }

    fn ssh_target(&self, target: &Entry, service_command: Option<Vec<String>>) -> SshTarget {
        SshTarget {
            name: target.name.clone(),
            address: target.address.as_str().to_owned(),
            user: target.user.as_ref().map(ToString::to_string),
            port: target.port,
            jump: target.jump.clone(),
            config: self.file(self.ssh.config.as_ref()),
            known_hosts: self.file(self.ssh.known_hosts.as_ref()),
            identity: match &target.identity {
                Some(own) if own.starts_with("~") => Some(home(own)),
                Some(own) => Some(self.folder.join(own)),
                None => self.file(self.ssh.identity.as_ref()),
            },
            kex: match self.ssh.kex.as_ref().map(|kex| kex.value) {
                Some(KeyExchange::Fast) => Kex::Fast,
                Some(KeyExchange::Default) | None => Kex::Default,
            },
            service_command,
        }
    }
}

/// `~/.ssh/key` of whoever runs this.
fn home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

#[async_trait]
impl Connect for Connections {
    async fn connect(&self, target: &Entry) -> Result<Arc<dyn Connection>, Failure> {
        let service_command = target.service_command.as_ref().map(|command| command.written().to_vec());
        match target.connection {
            ConnectionKind::Local => self.transport.local(target.name.clone(), service_command).await,
            ConnectionKind::Ssh => self.transport.ssh(self.ssh_target(target, service_command)).await,
        }
    }
}
