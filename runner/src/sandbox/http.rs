//! `http`: requests to granted origins. The grant is for the URL; where the connection goes is checked apart, before
//! and after the name is looked up.

use super::bindings::wit::http::{Header, Host, HostRequest, Response};
use super::bindings::wit::types::Effect as Class;
use super::context::{Context, Download, HttpAnswer, Sending};
use super::doubt::Became;
use super::handles::{Artifact, Request, Secret, Target};
use super::record::{Acts, Effect, Past};
use super::state::{Answer, State};
use runner_model::grant::{Ask, Granted};
use runner_model::{Content, EffectClass, Failure, FailureKind, Request as FinalRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wasmtime::component::Resource;

/// What a part of a builder costs beside its text.
const PART: usize = 64;

impl State {
    /// Adds something to a request in the making, and accounts for it.
    fn build_request(
        &mut self,
        this: &Resource<Request>,
        bytes: usize,
        add: impl FnOnce(&mut Request),
    ) -> wasmtime::Result<()> {
        self.hold(bytes + PART)?;
        let request = self.table.get_mut(this)?;
        request.held += bytes + PART;
        add(request);
        Ok(())
    }

    /// Checks, records, sends, records. `act` says what becomes of the answer.
    async fn send_request<T, F>(
        &mut self,
        name: &'static str,
        request: &Request,
        act: impl FnOnce(Sending) -> F,
        assumed: Option<T>,
    ) -> wasmtime::Result<Result<T, Failure>>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T, Failure>>,
    {
        let finished = request.finish();
        let arguments = match &finished {
            Ok((finished, _)) => serde_json::to_value(finished).unwrap_or(Value::Null),
            Err(_) => json!({ "request": request.title() }),
        };
        let call = self.call(name, request.effect, request.via.as_ref(), arguments)?;
        let doubt = match self.past(&call)? {
            Past::Answered(answer) => {
                let answer = self.read_back(&call, answer)?;
                match (&answer, request.effect.mutates()) {
                    (Ok(_), true) => self.tally.signals += 1,
                    _ => self.tally.reads += 1,
                }
                return Ok(answer);
            }
            Past::InDoubt(doubt) => Some(doubt),
            Past::New => None,
        };
        let context = self.context.clone();
        let ready = finished.and_then(|(finished, url)| {
            context.not_cancelled()?;
            let granted = allowed(&context, &finished, &url)?;
            let undo = finished.undo.as_ref().map(|undo| {
                let url = runner_model::grant::parse_url(&undo.url)?;
                allowed(&context, undo, &url)
            });
            let undo = undo.transpose()?.is_none_or(|granted| granted.named_literally);
            let acts = Acts { named_literally: granted.named_literally && undo, ..Acts::default() };
            let sending = Sending { request: finished, url, named_literally: granted.named_literally };
            Ok((sending, acts))
        });
        let (sending, acts) = match ready {
            Ok(ready) => ready,
            Err(failure) => {
                let failure = self.context.vault.hide_failure(failure);
                self.context.record.looked(&call, &Err(failure.clone()));
                self.tally.reads += 1;
                return Ok(Err(failure));
            }
        };
        if !sending.request.effect.mutates() {
            let answer = context.or_cancelled(act(sending)).await;
            let recorded = answer.as_ref().map(|answer| json!(answer)).map_err(Clone::clone);
            self.context.record.looked(&call, &recorded);
            self.tally.reads += 1;
            return Ok(answer);
        }
        let effect = Effect::Request(Box::new(sending.request.clone()));
        if let Some(doubt) = doubt {
            let again = sending.request.repeatable || sending.request.effect == EffectClass::Signal;
            match (doubt.of_other(&effect, sending.request.via.as_ref(), again), assumed) {
                (Ok(Became::Undone), _) => {}
                (Ok(Became::Done), Some(answer)) => {
                    self.tally.signals += 1;
                    context.record.settled(&call, json!(answer));
                    return Ok(Ok(answer));
                }
                (Ok(Became::Done), None) => {
                    let message = format!("`{}` was sent, and its answer is lost", request.title());
                    return Ok(Err(Failure::new(FailureKind::Unknown, message)));
                }
                (Err(failure), _) => return Ok(Err(failure)),
            }
        }
        let result = match context.record.intend(&call, &effect, acts).await {
            Err(failure) => Err(failure),
            Ok(pending) => {
                let sent = context.to_the_end(act(sending)).await;
                self.ended(pending, sent, |answer| json!(answer))
            }
        };
        Ok(result)
    }
}

/// Whether a request, its undo, and where they connect to are granted.
fn allowed(context: &Context, request: &FinalRequest, url: &url::Url) -> Result<Granted, Failure> {
    let granted = context.allow(&Ask::of_request(request, url))?;
    if let Some(via) = &request.via {
        context.may_reach(via)?;
    }
    context.may_use(request.secrets())?;
    Ok(granted)
}

impl From<HttpAnswer> for Response {
    fn from(answer: HttpAnswer) -> Self {
        let HttpAnswer { status, headers, body, truncated } = answer;
        let headers = headers.into_iter().map(|(name, value)| Header { name, value }).collect();
        Self { status, headers, body, truncated, skipped: false }
    }
}

impl HttpAnswer {
    /// What stands in for an answer that nobody has.
    pub(crate) fn none() -> Self {
        Self { status: 204, headers: Vec::new(), body: String::new(), truncated: false }
    }
}

impl Host for State {}

impl HostRequest for State {
    async fn new(
        &mut self,
        method: String,
        url: String,
        effect: Class,
    ) -> wasmtime::Result<Resource<Request>> {
        let mut request = Request::new(method, url, effect.into());
        request.held = request.method.len() + request.url.len() + PART;
        self.hold(request.held)?;
        self.push(request)
    }

    async fn header(&mut self, this: Resource<Request>, name: String, value: String) -> wasmtime::Result<()> {
        self.build_request(&this, name.len() + value.len(), |request| request.headers.push((name, value)))
    }

    async fn header_secret(
        &mut self,
        this: Resource<Request>,
        name: String,
        value: Resource<Secret>,
    ) -> wasmtime::Result<()> {
        let value = self.sealed(&value)?;
        self.build_request(&this, name.len() + value.cost(), |request| {
            request.secret_headers.push((name, value));
        })
    }

    async fn body(&mut self, this: Resource<Request>, text: String) -> wasmtime::Result<()> {
        self.build_request(&this, text.len(), |request| request.body = Some(Content::Text(text)))
    }

    async fn body_secret(
        &mut self,
        this: Resource<Request>,
        content: Resource<Secret>,
    ) -> wasmtime::Result<()> {
        let content = self.sealed(&content)?;
        self.build_request(&this, content.cost(), |request| request.body = Some(Content::Secret(content)))
    }

    async fn body_artifact(
        &mut self,
        this: Resource<Request>,
        content: Resource<Artifact>,
    ) -> wasmtime::Result<()> {
        let digest = self.table.get(&content)?.digest;
        self.build_request(&this, 0, |request| request.body = Some(Content::Artifact(digest)))
    }

    async fn via(&mut self, this: Resource<Request>, target: Resource<Target>) -> wasmtime::Result<()> {
        let name = self.machine(&target)?;
        self.table.get_mut(&this)?.via = Some(name);
        Ok(())
    }

    async fn connect_to(&mut self, this: Resource<Request>, address: String) -> wasmtime::Result<()> {
        self.build_request(&this, address.len(), |request| request.connect_to = Some(address))
    }

    async fn timeout(&mut self, this: Resource<Request>, milliseconds: u32) -> wasmtime::Result<()> {
        self.table.get_mut(&this)?.timeout = milliseconds;
        Ok(())
    }

    async fn undo_with(&mut self, this: Resource<Request>, undo: Resource<Request>) -> wasmtime::Result<()> {
        let undo = self.table.delete(undo)?;
        let request = self.table.get_mut(&this)?;
        request.held += undo.held;
        request.undo = Some(Box::new(undo));
        Ok(())
    }

    async fn repeatable(&mut self, this: Resource<Request>) -> wasmtime::Result<()> {
        self.table.get_mut(&this)?.repeatable = true;
        Ok(())
    }

    async fn send(&mut self, this: Resource<Request>) -> Answer<Response> {
        let request = self.table.get(&this)?.clone();
        let context = self.context.clone();
        let send = |sending: Sending| async move { context.http.send(&context, &sending).await };
        let answer = self.send_request("http.send", &request, send, Some(HttpAnswer::none())).await?;
        let listed = self.context.rehearsal.is_some() && request.effect.mutates();
        Ok(self.answer(answer)?.map(|answer| Response { skipped: listed, ..answer.into() }))
    }

    async fn download(&mut self, this: Resource<Request>) -> Answer<Resource<Artifact>> {
        let request = self.table.get(&this)?.clone();
        let context = self.context.clone();
        let title = request.title();
        let download = |sending: Sending| async move {
            match context.http.download(&context, &sending).await? {
                Download::Stored(digest) => context.artifact(digest).await,
                Download::Status(status) => Err(Failure::new(
                    FailureKind::Other,
                    format_args!("download `{title}`: the answer has status {status}"),
                )),
            }
        };
        let artifact = self.send_request("http.download", &request, download, None).await?;
        let artifact = self.answer(artifact)?;
        self.give(artifact)
    }

    async fn drop(&mut self, this: Resource<Request>) -> wasmtime::Result<()> {
        let held = self.table.delete(this)?.held;
        self.release(held);
        Ok(())
    }
}
