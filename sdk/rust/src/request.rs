//! Requests to granted origins.

use crate::command::milliseconds;
use crate::types::{Effect, Response};
use crate::{Artifact, Result, Secret, Target, sys};
use std::time::Duration;

/// A request in the making. Nothing happens, and nothing can fail, before [`Request::send`] or [`Request::download`].
/// TLS is always verified; redirects are answers, not followed.
///
/// ```
/// # use runner_sdk::{Request, testing::{HttpAnswer, World}};
/// # let world = World::new();
/// # world.http("GET", "http://shop.example.org/health", HttpAnswer::status(503));
/// # world.enter(|| {
/// let answer = Request::get("http://shop.example.org/health").send()?;
/// assert_eq!(answer.status, 503); // a status is not an error
/// # Ok::<_, runner_sdk::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "nothing happens before `send`"]
pub struct Request(sys::Request);

impl Request {
    /// `method` in upper case; `url` absolute, http or https, without user and password.
    pub fn new(method: &str, url: &str, effect: Effect) -> Self {
        Self(sys::Request::new(method, url, effect))
    }

    /// A `GET`, which only reads.
    pub fn get(url: &str) -> Self {
        Self::new("GET", url, Effect::Read)
    }

    /// Adds a header. `host` is invalid: see [`Request::connect_to`].
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.0.header(name, value);
        self
    }

    /// Adds a header whose value never shows in the log or the journal.
    pub fn header_secret(mut self, name: &str, value: &Secret) -> Self {
        self.0.header_secret(name, &value.0);
        self
    }

    /// Sets the body; without, there is none. Of the three, the last call counts.
    pub fn body(mut self, text: &str) -> Self {
        self.0.body(text);
        self
    }

    /// The same with a secret.
    pub fn body_secret(mut self, content: &Secret) -> Self {
        self.0.body_secret(&content.0);
        self
    }

    /// The same with a file.
    pub fn body_artifact(mut self, content: &Artifact) -> Self {
        self.0.body_artifact(&content.0);
        self
    }

    /// Sends it through this target's connection, so that `127.0.0.1` is the target's own.
    pub fn via(mut self, target: &Target) -> Self {
        self.0.via(&target.0);
        self
    }

    /// Connects to this address; the URL's authority stays in Host, SNI and the grant.
    pub fn connect_to(mut self, address: &str) -> Self {
        self.0.connect_to(address);
        self
    }

    /// For all of it; without, 30 seconds.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.0.timeout(milliseconds(time));
        self
    }

    /// What undoes it. Required for `change`, `leave` and `join`.
    pub fn undo_with(mut self, undo: Self) -> Self {
        self.0.undo_with(undo.0);
        self
    }

    /// Twice is as good as once: a resume in doubt sends it again instead of asking.
    pub fn repeatable(mut self) -> Self {
        self.0.repeatable();
        self
    }

    /// Sends it and reads the answer. May be called more than once.
    ///
    /// # Errors
    /// `denied`, `unreachable`, `timeout`, `cancelled`, `invalid`.
    pub fn send(&self) -> Result<Response> {
        self.0.send()
    }

    /// Stores the body of a 2xx answer.
    ///
    /// # Errors
    /// As [`Request::send`]; `other` for any other status.
    pub fn download(&self) -> Result<Artifact> {
        self.0.download().map(Artifact)
    }
}
