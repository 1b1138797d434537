//! Requests of a test: none is sent. They are checked as in a run before they come here.

use super::script::Script;
use crate::sandbox::context::{Context, Download, Http, HttpAnswer, Sending};
use async_trait::async_trait;
use runner_model::Failure;
use runner_model::trial::RequestAnswer;
use std::sync::Arc;

/// Whoever answers in the place of the network.
pub(super) struct Requests(pub(super) Arc<Script>);

impl Requests {
    fn answer(&self, context: &Context, sending: &Sending) -> Result<&RequestAnswer, Failure> {
        self.0.request(&sending.request, &context.store, &context.vault)
    }

    fn lost<T>(&self, sending: &Sending, answer: T) -> Result<T, Failure> {
        if sending.request.effect.mutates() { self.0.lost(answer) } else { Ok(answer) }
    }
}

#[async_trait]
impl Http for Requests {
    async fn send(&self, context: &Context, sending: &Sending) -> Result<HttpAnswer, Failure> {
        let answer = self.answer(context, sending)?;
        let hide = |text: &String| context.vault.hide(text.as_str());
        let headers = answer.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), hide(value)));
        let answer = HttpAnswer {
            status: answer.status,
            headers: headers.collect(),
            body: hide(&answer.body),
            truncated: false,
        };
        self.lost(sending, answer)
    }

    async fn download(&self, context: &Context, sending: &Sending) -> Result<Download, Failure> {
        let answer = self.answer(context, sending)?;
        let download = if (200..300).contains(&answer.status) {
            Download::Stored(context.store.put_bytes(answer.body.as_bytes())?)
        } else {
            Download::Status(answer.status)
        };
        self.lost(sending, download)
    }
}
