//! What the targets know of their releases, for `releases` and `rollback`.

use super::asked::AT_ONCE;
use super::carry_out::{inventory_folder, open_store};
use super::fail::Fail;
use super::load::{Checked, Loaded};
use crate::host::{Connect as _, Connections, Kept};
use futures_util::{StreamExt as _, stream};
use runner_model::{Acting, Failure, FailureKind, Mark, ReleaseId, RemotePath, Resolved, TargetName};
use runner_transport::{Accounts, Laid, Limits, Target, Transport, Within};
use std::sync::Arc;

/// A target and what it knows.
pub(super) struct Known {
    pub(super) target: TargetName,
    pub(super) root: RemotePath,
    pub(super) accounts: Result<Accounts, Failure>,
    verbs: Option<Arc<dyn Target>>,
    connection: Option<Arc<dyn runner_transport::Connection>>,
}

/// Asks all targets of the rollout.
pub(super) async fn survey(loaded: &Loaded, checked: &Checked) -> Result<Vec<Known>, Fail> {
    let resolved = checked.for_run();
    if resolved.release.is_none() {
        return Err(Fail::usage(format_args!(
            "`{}` makes no release: there is none to go back to",
            resolved.plan
        ))
        .hint("`[release]` with a `root` says where releases are"));
    }
    let folder = inventory_folder(loaded, resolved);
    let transport = Transport::new(open_store()?, Limits::default());
    let connections = Connections::new(transport, resolved.ssh.clone(), folder);
    let asked = resolved.rollout.iter().map(|name| ask(resolved, name.clone(), &connections));
    Ok(stream::iter(asked).buffered(AT_ONCE).filter_map(async |known| known).collect().await)
}

async fn ask(resolved: &Resolved, target: TargetName, connections: &Connections) -> Option<Known> {
    let (entry, root) = (resolved.target(&target)?, resolved.root(&target)?.clone());
    let connection = match connections.connect(entry).await {
        Ok(connection) => connection,
        Err(failure) => {
            return Some(Known { target, root, accounts: Err(failure), verbs: None, connection: None });
        }
    };
    let verbs = connection.acting(&Acting::Login);
    let accounts = verbs.accounts(&root, Within::both(std::slice::from_ref(&root))).await;
    Some(Known { target, root, accounts, verbs: Some(verbs), connection: Some(connection) })
}

impl Known {
    /// What is live.
    pub(super) fn live(&self) -> Option<&ReleaseId> {
        self.accounts.as_ref().ok()?.live.as_ref()
    }

    /// The release of this name.
    pub(super) fn release(&self, id: &ReleaseId) -> Option<&Laid> {
        self.accounts.as_ref().ok()?.releases.iter().find(|laid| laid.id == *id)
    }

    /// The good release before the live one. What failed here is none to go back to.
    pub(super) fn previous(&self) -> Option<&Laid> {
        let accounts = self.accounts.as_ref().ok()?;
        let live = accounts.releases.iter().find(|laid| laid.live);
        let before = |laid: &&Laid| live.is_none_or(|live| laid.sequence < live.sequence);
        accounts.releases.iter().filter(before).find(|laid| laid.mark == Mark::Good)
    }

    /// Whether what is live is good.
    pub(super) fn is_good(&self) -> bool {
        self.live().and_then(|live| self.release(live)).is_some_and(|live| live.mark == Mark::Good)
    }

    /// Whether the tree of a release is what was laid out.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) async fn is_whole(&self, laid: &Laid) -> Result<bool, Failure> {
        let folder = self.root.join("releases").and_then(|releases| releases.join(laid.id.as_str()));
        let folder = folder.map_err(|error| Failure::new(FailureKind::Invalid, error))?;
        let digest = self.verbs()?.digest(&folder, Within::both(std::slice::from_ref(&self.root))).await?;
        Ok(digest == laid.tree)
    }

    /// What was kept with a release.
    ///
    /// # Errors
    /// Nothing was, or what the target says makes no sense.
    pub(super) async fn kept(&self, id: &ReleaseId) -> Result<Kept, Failure> {
        let within = Within::both(std::slice::from_ref(&self.root));
        let text = self.verbs()?.kept(&self.root, id, within).await?.ok_or_else(|| {
            let message = format!("{} has kept no plan with the release `{id}`", self.target);
            Failure::new(FailureKind::NotFound, message)
                .with_detail("it was laid out by an older runner, or never proved itself here")
        })?;
        Kept::parse(&text, id).map_err(|failure| Failure {
            message: format!("{}: {}", self.target, failure.message),
            ..failure
        })
    }

    fn verbs(&self) -> Result<&dyn Target, Failure> {
        let unreached =
            || Failure::new(FailureKind::Unreachable, format_args!("{} was not reached", self.target));
        self.verbs.as_deref().ok_or_else(unreached)
    }

    pub(super) async fn close(&self) {
        if let Some(connection) = &self.connection {
            connection.close().await;
        }
    }
}
