//! Requests in memory: the test scripts how they are answered.

use super::{Artifact, Secret, Target, from_bytes, next};
use crate::testing::{Content, Granted, HttpAnswer, SentRequest, State, with};
use crate::types::{Effect, Response};
use crate::{Error, ErrorKind, Result};

#[derive(Debug)]
pub(crate) struct Request(SentRequest);

impl Request {
    pub(crate) fn new(method: &str, url: &str, effect: Effect) -> Self {
        Self(SentRequest {
            method: method.to_owned(),
            url: url.to_owned(),
            effect,
            headers: Vec::new(),
            body: None,
            via: None,
            connect_to: None,
            timeout: 30_000,
            undo: None,
            repeatable: false,
        })
    }
    pub(crate) fn header(&mut self, name: &str, value: &str) {
        self.0.headers.push((name.to_owned(), value.to_owned()));
    }
    pub(crate) fn header_secret(&mut self, name: &str, value: &Secret) {
        self.header(name, &value.0);
    }
    pub(crate) fn body(&mut self, text: &str) {
        self.0.body = Some(Content::Text(text.to_owned()));
    }
    pub(crate) fn body_secret(&mut self, content: &Secret) {
        self.body(&content.0);
    }
    pub(crate) fn body_artifact(&mut self, content: &Artifact) {
        self.0.body = Some(Content::Artifact(content.0.clone()));
    }
    pub(crate) fn via(&mut self, target: &Target) {
        self.0.via = Some(target.0.clone());
    }
    pub(crate) fn connect_to(&mut self, address: &str) {
        self.0.connect_to = Some(address.to_owned());
    }
    pub(crate) fn timeout(&mut self, milliseconds: u32) {
        self.0.timeout = milliseconds;
    }
    pub(crate) fn undo_with(&mut self, undo: Self) {
        self.0.undo = Some(Box::new(undo.0));
    }
    pub(crate) fn repeatable(&mut self) {
        self.0.repeatable = true;
    }
    pub(crate) fn send(&self) -> Result<Response> {
        with(|state| send(state, &self.0))
    }
    pub(crate) fn download(&self) -> Result<Artifact> {
        let answer = self.send()?;
        if !(200..300).contains(&answer.status) {
            return Err(Error::other(format!("{} {}: status {}", self.0.method, self.0.url, answer.status)));
        }
        from_bytes(answer.body.as_bytes())
    }
}

fn send(state: &mut State, request: &SentRequest) -> Result<Response> {
    let shown = format!("{} {}", request.method, request.url);
    if request.effect.needs_undo() && request.undo.is_none() {
        return Err(Error::invalid(format!("{shown}: a {} needs its undo", request.effect.word())));
    }
    if request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        return Err(Error::invalid(format!("{shown}: the header `host` is the URL's; use `connect-to`")));
    }
    let class = request.effect.word();
    let place = request.via.clone().map_or_else(|| "http".to_owned(), |target| format!("http via {target}"));
    let at = request.connect_to.as_deref();
    let granted =
        |granted: &Granted| granted.http(class, &request.method, &request.url, at, request.via.is_some());
    state.call(&place, "send", &request.url, granted)?;
    state.requests.push(request.clone());
    if request.effect != Effect::Read {
        state.effects.push(format!("{place}: send [{class}] {shown}"));
    }
    let key = (request.method.clone(), request.url.clone());
    let answer = next(state.http.get_mut(&key));
    let unreachable = || Error::new(ErrorKind::Unreachable, format!("{shown}: connection refused"));
    let HttpAnswer(answer) = answer.ok_or_else(unreachable)?;
    answer
}
