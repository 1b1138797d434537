//! What an invocation acts through that is done again: nothing. Whatever comes this far was not in the record.

use crate::sandbox::Origin;
use crate::sandbox::context::{Context, Download, Http, HttpAnswer, Machines, RunInfo, Sending};
use crate::sandbox::record::Record;
use async_trait::async_trait;
use runner_artifact::{Store, Workspace};
use runner_model::grant::Layers;
use runner_model::{Acting, Failure, FailureKind, TargetName};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What all invocations share.
pub(super) struct World {
    pub(super) store: Arc<Store>,
    pub(super) origin: Origin,
}

impl World {
    /// A context in which only the record answers.
    pub(super) fn context(
        self,
        info: RunInfo,
        module: String,
        record: Arc<dyn Record>,
    ) -> Result<Context, Failure> {
        let nothing = Arc::new(Nothing);
        // A folder of files by digest: nothing of it is ever read.
        let workspace = Workspace::open(self.store.root(), Arc::clone(&self.store))
            .map_err(|error| Failure::new(FailureKind::Other, error))?;
        let (events, _) = runner_engine::events();
        Ok(Context {
            info,
            module,
            events,
            cancel: CancellationToken::new(),
            acting: Acting::Login,
            machines: nothing.clone(),
            origin: self.origin,
            record,
            marks: Arc::default(),
            given: Arc::default(),
            store: self.store,
            workspace: Arc::new(workspace.snapshot()),
            http: nothing,
            vault: Arc::default(),
            secrets: Default::default(),
            layers: Arc::new(Layers::default()),
            gate: None,
            diff: false,
            waits: false,
            rehearsal: None,
        })
    }
}

struct Nothing;

fn no_world() -> Failure {
    Failure::new(FailureKind::Unknown, "a replay has no world")
}

#[async_trait]
impl Machines for Nothing {
    fn has(&self, _: &TargetName) -> bool {
        false
    }

    async fn acting(&self, _: &TargetName, _: &Acting) -> Result<Arc<dyn runner_transport::Target>, Failure> {
        Err(no_world())
    }
}

#[async_trait]
impl Http for Nothing {
    async fn send(&self, _: &Context, _: &Sending) -> Result<HttpAnswer, Failure> {
        Err(no_world())
    }

    async fn download(&self, _: &Context, _: &Sending) -> Result<Download, Failure> {
        Err(no_world())
    }
}
