//! The machine of a test: an overlay over one with nothing on it. Files, folders and links are as the test says and as the
//! step leaves them; units, commands and sockets answer from the test.

mod bare;
mod seed;
mod verbs;

use super::script::Script;
pub(super) use seed::tree;

use bare::Bare;
use runner_artifact::Store;
use runner_model::trial::{Trial, Unit};
use runner_model::{Digest, Fact, Failure, Mark, ReleaseId, RemotePath, TargetName, UserName};
use runner_overlay::{Left, Overlay};
use runner_secret::Vault;
use runner_transport::Target;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use verbs::Verbs;

/// When all happens, in milliseconds since 1970: 2026-01-01. Tests have no clock.
pub(super) const MOMENT: u64 = 1_767_225_600_000;
/// Bytes that are free where a test does not say.
const FREE: u64 = 1 << 40;

/// A machine that is made up.
pub(super) struct Machine {
    name: TargetName,
    /// Who logs in.
    user: UserName,
    facts: BTreeMap<Fact, Value>,
    store: Arc<Store>,
    vault: Arc<Vault>,
    overlay: Arc<Overlay>,
    script: Arc<Script>,
    state: Mutex<State>,
}

/// What changes beside files.
#[derive(Default)]
struct State {
    services: BTreeMap<String, Unit>,
    marks: BTreeMap<(RemotePath, ReleaseId), Mark>,
    /// What archives hold, by the digest of their own content.
    archives: BTreeMap<Digest, Digest>,
}

/// All that is on a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct There {
    /// By path, without times.
    pub(super) files: BTreeMap<RemotePath, Left>,
    pub(super) services: BTreeMap<String, Unit>,
}

impl Machine {
    pub(super) fn new(
        name: TargetName,
        trial: &Trial,
        (store, vault, script): (Arc<Store>, Arc<Vault>, Arc<Script>),
        run: runner_model::RunId,
    ) -> Self {
        let made = &trial.machine;
        let overlay = Overlay::new(Arc::clone(&store), Arc::clone(&vault), run, made.root.clone());
        let state = State { services: made.services.clone(), ..State::default() };
        Self {
            name,
            user: made.user.clone(),
            facts: made.facts.clone(),
            store,
            vault,
            overlay: Arc::new(overlay),
            script,
            state: Mutex::new(state),
        }
    }

    pub(super) fn name(&self) -> &TargetName {
        &self.name
    }

    /// The verbs as a user; `None`: as whoever logs in.
    pub(super) fn acting(self: &Arc<Self>, user: Option<&UserName>) -> Arc<dyn Target> {
        Arc::new(Verbs { over: self.overlay.over(self.bare(self.called(user))), machine: Arc::clone(self) })
    }

    fn called(&self, user: Option<&UserName>) -> String {
        user.unwrap_or(&self.user).as_str().to_owned()
    }

    fn bare(&self, user: String) -> Arc<dyn Target> {
        let free = self.facts.get(&Fact::DiskFree).and_then(Value::as_u64).unwrap_or(FREE);
        Arc::new(Bare { name: self.name.clone(), user, store: Arc::clone(&self.store), free })
    }

    /// All that is there now.
    pub(super) async fn there(&self) -> Result<There, Failure> {
        let mut files = self.overlay.everything(self.bare("root".to_owned())).await?;
        for left in files.values_mut() {
            left.entry.modified = MOMENT;
        }
        Ok(There { files, services: self.state().services.clone() })
    }

    /// What it says of itself.
    pub(super) fn fact(&self, fact: &Fact) -> Value {
        let known = |fact: &Fact| match fact {
            Fact::Os => "linux".into(),
            Fact::Arch => "x86_64".into(),
            Fact::Distribution => "debian".into(),
            Fact::User => self.user.as_str().into(),
            Fact::Hostname => self.name.as_str().into(),
            Fact::Init | Fact::ServiceManager => "systemd".into(),
            Fact::DiskFree => FREE.into(),
            Fact::Has(_) => true.into(),
        };
        self.facts.get(fact).cloned().unwrap_or_else(|| known(fact))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
