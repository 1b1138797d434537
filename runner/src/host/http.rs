//! Requests of steps: from this machine, or through the connection of a target.

use super::fleet::Fleet;
use crate::sandbox::context::{Context, Download, Http, HttpAnswer, Sending};
use async_trait::async_trait;
use runner_artifact::Store;
use runner_model::{Failure, FailureKind};
use std::sync::Arc;

/// Sends the requests of a run.
pub(super) struct Requests {
    #[expect(dead_code, reason = "the client is not there yet")]
    fleet: Arc<Fleet>,
    #[expect(dead_code, reason = "the client is not there yet")]
    store: Arc<Store>,
}

impl Requests {
    pub(super) fn new(fleet: Arc<Fleet>, store: Arc<Store>) -> Result<Self, Failure> {
        Ok(Self { fleet, store })
    }
}

#[async_trait]
impl Http for Requests {
    async fn send(&self, _: &Context, sending: &Sending) -> Result<HttpAnswer, Failure> {
        Err(Failure::new(
            FailureKind::Other,
            format_args!("{}: the HTTP client is not there yet", sending.url),
        ))
    }

    async fn download(&self, _: &Context, sending: &Sending) -> Result<Download, Failure> {
        Err(Failure::new(
            FailureKind::Other,
            format_args!("{}: the HTTP client is not there yet", sending.url),
        ))
    }
}
