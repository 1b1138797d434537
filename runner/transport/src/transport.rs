//! Where connections come from.

use crate::Connection;
use crate::local::Local;
use crate::machine::{Connected, Limits, Machine, Shared};
use crate::ssh::Ssh;
use runner_artifact::Store;
use runner_model::{Failure, TargetName};
use runner_secret::Vault;
use std::path::PathBuf;
use std::sync::Arc;

/// How a target is reached over SSH. What is `None` is left to the user's own ssh configuration.
#[derive(Debug, Clone)]
pub struct SshTarget {
    /// The target's name in the inventory.
    pub name: TargetName,
    /// A host name, an address, or an alias of the ssh configuration.
    pub address: String,
    /// Who logs in.
    pub user: Option<String>,
    /// The port of the server.
    pub port: Option<u16>,
    /// Jump hosts, as `ssh -J` takes them.
    pub jump: Option<String>,
    /// A file of ssh configuration that is read before the user's own.
    pub config: Option<PathBuf>,
    /// A file of known hosts that takes the place of the user's own.
    pub known_hosts: Option<PathBuf>,
    /// A private key that is tried instead of the agent's and the usual ones.
    pub identity: Option<PathBuf>,
    /// Which key exchange is used.
    pub kex: Kex,
    /// The service command, with `${action}` and `${unit}`; `None`: systemctl.
    pub service_command: Option<Vec<String>>,
}

/// The key exchange of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kex {
    /// What ssh and its configuration choose; for a new OpenSSH one that withstands quantum computers.
    #[default]
    Default,
    /// `curve25519-sha256`: a seventh of the processor time, and not safe against a recording that is broken later.
    Fast,
}

/// Makes connections that share an artifact store and what was packed for one target already.
#[derive(Debug, Clone)]
pub struct Transport {
    shared: Arc<Shared>,
}

impl Transport {
    /// Connections that read and fill this store.
    pub fn new(store: Arc<Store>, limits: Limits) -> Self {
        Self::with_secrets(store, limits, Arc::default())
    }

    /// The same with these secrets: put where a request says, and hidden in everything that comes from a target.
    pub fn with_secrets(store: Arc<Store>, limits: Limits, vault: Arc<Vault>) -> Self {
        Self { shared: Arc::new(Shared::new(store, vault, limits)) }
    }

    /// A machine over SSH. Returns when it has answered its first request.
    ///
    /// # Errors
    /// `unreachable` with what was the matter and what mends it, `invalid` when the inventory is.
    pub async fn ssh(&self, target: SshTarget) -> Result<Arc<dyn Connection>, Failure> {
        let (name, service_command) = (target.name.clone(), target.service_command.clone());
        let host =
            Arc::new(Ssh::new(target, self.shared.limits.connect, self.shared.vault.variables().to_vec())?);
        let machine = Machine::new(name, host, Arc::clone(&self.shared), service_command);
        connected(machine).await
    }

    /// This machine, under a name of the inventory or as `localhost`. Checks that its shell answers.
    ///
    /// # Errors
    /// The shell cannot be started or lacks a tool.
    pub async fn local(
        &self,
        name: TargetName,
        service_command: Option<Vec<String>>,
    ) -> Result<Arc<dyn Connection>, Failure> {
        let machine = Machine::new(name, Arc::new(Local::new()), Arc::clone(&self.shared), service_command);
        connected(machine).await
    }
}

async fn connected(machine: Machine) -> Result<Arc<dyn Connection>, Failure> {
    let machine = Arc::new(machine);
    machine.connect().await?;
    Ok(Arc::new(Connected(machine)))
}
