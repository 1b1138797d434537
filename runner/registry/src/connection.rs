//! One registry, spoken to: requests with credentials, redirects, and answers with a limit.

use crate::access::{Action, Challenge, TOKEN_MAX, TokenRequest, basic, bearer, token};
use crate::credentials::{Credentials, Secret, Source};
use crate::error::{Error, said};
use crate::place::Guard;
use crate::tls::{Clients, failed, speaks_no_tls};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use bytes::Bytes;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LINK, LOCATION, RETRY_AFTER,
};
use reqwest::{Client, Method, Response, StatusCode};
use runner_model::oci::{Repository, is_loopback};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use url::Url;

/// How many redirects in a row are followed.
const HOPS: usize = 5;
/// How often something is read again from a registry that is busy, and how long it may ask to be left alone.
const AGAIN: usize = 3;
const LEFT_ALONE_MAX: Duration = Duration::from_secs(30);
/// How much of an answer that says no is read.
const REFUSAL_MAX: u64 = 64 * 1024;

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) connect: Duration,
    /// With nothing coming.
    pub(crate) idle: Duration,
    /// For sending what is pushed.
    pub(crate) total: Duration,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Ask<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) action: Action,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) accept: &'static str,
    /// With its media type.
    pub(crate) body: Option<(&'static str, Bytes)>,
    /// For messages: "a download".
    pub(crate) what: &'static str,
}

impl<'a> Ask<'a> {
    pub(crate) fn get(repository: &'a Repository, url: Url, accept: &'static str) -> Self {
        Self {
            repository,
            action: Action::Pull,
            method: Method::GET,
            url,
            accept,
            body: None,
            what: "a download",
        }
    }

    pub(crate) fn push(repository: &'a Repository, method: Method, url: Url) -> Self {
        Self { repository, action: Action::Push, method, url, accept: "*/*", body: None, what: "an upload" }
    }

    pub(crate) fn with(mut self, media_type: &'static str, body: Bytes) -> Self {
        self.body = Some((media_type, body));
        self
    }
}

/// An answer, whose body was not read yet.
#[derive(Debug)]
pub(crate) struct Answer {
    response: Response,
    host: String,
    idle: Duration,
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Whether the same may be answered otherwise in a moment.
    fn is_busy(&self) -> bool {
        matches!(self.status().as_u16(), 429 | 502..=504)
    }

    /// How long it asks to be left alone, in whole seconds, as most do.
    fn asks_to_wait(&self) -> Option<Duration> {
        let value = self.headers().get(RETRY_AFTER)?.to_str().ok()?;
        value.trim().parse().ok().map(Duration::from_secs)
    }

    /// Who answered.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// Some more of the body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        match tokio::time::timeout(self.idle, self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(failed(&self.host, &self.host, "a download", &error, self.idle)),
            Err(_) => Err(Error::Timeout {
                host: self.host.clone(),
                what: "nothing came".to_owned(),
                after: self.idle,
            }),
        }
    }

    /// The whole body, which is refused as soon as it has more than `limit` bytes.
    pub(crate) async fn read(mut self, limit: u64, what: &str) -> Result<Vec<u8>, Error> {
        let too_large = |of| Error::TooLarge { what: format!("{what} of `{}`", self.host), of, limit };
        if self.length().is_some_and(|length| length > limit) {
            return Err(too_large(self.length()));
        }
        let refused = too_large(None);
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if (bytes.len() + chunk.len()) as u64 > limit {
                return Err(refused);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// The page that follows this one, when the answer says that there is one.
    pub(crate) fn next_page(&self) -> Result<Option<Url>, Error> {
        let here = self.response.url();
        for value in self.headers().get_all(LINK) {
            let Ok(text) = value.to_str() else { continue };
            let Some((target, rest)) = text.trim().strip_prefix('<').and_then(|text| text.split_once('>'))
            else {
                continue;
            };
            if !rest.split(';').any(|part| matches!(part.trim(), "rel=next" | "rel=\"next\"")) {
                continue;
            }
            let next = here
                .join(target)
                .map_err(|error| Error::bad_answer(&self.host, "the next page of a list", error))?;
            if next.origin() != here.origin() {
                return Err(Error::bad_answer(
                    &self.host,
                    "the next page of a list",
                    "it is at another host",
                ));
            }
            return Ok(Some(next));
        }
        Ok(None)
    }
}

/// A registry, and what is known of it.
#[derive(Debug)]
pub(crate) struct Connection {
    authority: String,
    clients: Clients,
    guard: Guard,
    times: Times,
    credentials: Credentials,
    base: OnceCell<Url>,
    /// What was answered when the registry asked who we are, by repository: its path and what was done with it.
    known: Mutex<HashMap<(String, Action), HeaderValue>>,
}

impl Connection {
    pub(crate) fn new(
        authority: &str,
        authorities: &[PathBuf],
        credentials: &Credentials,
        times: Times,
    ) -> Result<Self, Error> {
        let url = url_of("https", authority)?;
        let guard = Guard::new(url.host());
        Ok(Self {
            authority: authority.to_owned(),
            clients: Clients::new(&guard, authorities, times.connect)?,
            guard,
            times,
            credentials: credentials.clone(),
            base: OnceCell::new(),
            known: Mutex::default(),
        })
    }

    /// The URL of something in a repository.
    pub(crate) async fn url(&self, repository: &Repository, rest: &str) -> Result<Url, Error> {
        let base = self.base().await?;
        base.join(&format!("/v2/{}/{rest}", repository.path()))
            .map_err(|error| Error::bad_answer(&self.authority, "a request", error))
    }

    /// Where it is spoken to: in plain HTTP only when it is on this machine and speaks no TLS.
    async fn base(&self) -> Result<&Url, Error> {
        let find = || async {
            let secure = url_of("https", &self.authority)?;
            if !is_loopback(&self.authority) {
                return Ok(secure);
            }
            match self.wait(self.clients.secure.get(secure.clone()).send(), self.times.idle).await? {
                Ok(_) => Ok(secure),
                Err(error) if speaks_no_tls(&error) => url_of("http", &self.authority),
                Err(error) => {
                    Err(failed(&self.authority, &self.authority, "a request", &error, self.times.connect))
                }
            }
        };
        self.base.get_or_try_init(find).await
    }

    async fn wait<T>(&self, work: impl Future<Output = T>, limit: Duration) -> Result<T, Error> {
        tokio::time::timeout(limit, work).await.map_err(|_| Error::Timeout {
            host: self.authority.clone(),
            what: "no answer".to_owned(),
            after: limit,
        })
    }

    fn client(&self, url: &Url) -> &Client {
        if url.scheme() == "http" { &self.clients.plain } else { &self.clients.secure }
    }

    /// Sends a request. What is read from a registry that is busy is asked for again; what is written is not: it could have
    /// been done.
    pub(crate) async fn send(&self, ask: Ask<'_>) -> Result<Answer, Error> {
        let is_read = matches!(ask.method, Method::GET | Method::HEAD);
        let mut waits = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(500))
            .with_max_times(AGAIN)
            .build();
        loop {
            let answer = self.once(&ask).await?;
            match waits.next() {
                Some(wait) if is_read && answer.is_busy() => {
                    tokio::time::sleep(answer.asks_to_wait().unwrap_or(wait).min(LEFT_ALONE_MAX)).await;
                }
                _ => return Ok(answer),
            }
        }
    }

    /// Sends a request once, says who we are when that is asked, and follows redirects of what is read.
    async fn once(&self, ask: &Ask<'_>) -> Result<Answer, Error> {
        let home = self.base().await?.origin();
        let mut url = ask.url.clone();
        let (mut told, mut hops) = (false, 0);
        loop {
            let at_home = url.origin() == home;
            let host = authority_of(&url);
            let mut request =
                self.client(&url).request(ask.method.clone(), url.clone()).header(ACCEPT, ask.accept);
            // Wherever else it leads, it leads without what proves who we are.
            if at_home && let Some(header) = self.known(ask) {
                request = request.header(AUTHORIZATION, header);
            }
            let mut limit = self.times.idle;
            if let Some((media_type, body)) = &ask.body {
                limit = self.times.total;
                request = request.header(CONTENT_TYPE, *media_type).body(body.clone());
            } else if matches!(ask.method, Method::POST | Method::PUT) {
                request = request.header(reqwest::header::CONTENT_LENGTH, "0");
            }
            let response = self.wait(request.send(), limit).await?;
            let response = response
                .map_err(|error| failed(&self.authority, &host, ask.what, &error, self.times.connect))?;
            let answer = Answer { response, host, idle: self.times.idle };
            match answer.status() {
                StatusCode::UNAUTHORIZED if at_home && !told => {
                    told = true;
                    self.tell(ask, answer).await?;
                }
                status if status.is_redirection() && matches!(ask.method, Method::GET | Method::HEAD) => {
                    hops += 1;
                    if hops > HOPS {
                        return Err(Error::bad_answer(
                            &self.authority,
                            "a redirect",
                            "it leads from one to the next",
                        ));
                    }
                    let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
                    let location = location.ok_or_else(|| {
                        Error::bad_answer(&self.authority, "a redirect", "it does not say where it leads")
                    })?;
                    url = self.lead(ask.what, &url, location)?;
                }
                _ => return Ok(answer),
            }
        }
    }

    /// Where the registry leads, when it may.
    pub(crate) fn lead(&self, what: &'static str, from: &Url, location: &str) -> Result<Url, Error> {
        let refused = |why: String| Error::Elsewhere {
            host: self.authority.clone(),
            what,
            place: location.chars().take(200).collect(),
            why,
        };
        let url = from.join(location).map_err(|error| refused(format!("which is no URL: {error}")))?;
        let plain = self.base.get().is_some_and(|base| base.scheme() == "http");
        match url.scheme() {
            "https" => {}
            "http" if plain && is_loopback(&authority_of(&url)) => {}
            "http" => return Err(refused("which is not TLS".to_owned())),
            _ => return Err(refused("which is not HTTP".to_owned())),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("which has a name or password in it".to_owned()));
        }
        self.guard.judge(&url).map_err(|nearer| refused(nearer.to_string()))?;
        Ok(url)
    }

    fn known(&self, ask: &Ask<'_>) -> Option<HeaderValue> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(ask.repository.path().to_owned(), ask.action)).cloned()
    }

    /// Finds what answers the question who we are; an error when there is nothing.
    async fn tell(&self, ask: &Ask<'_>, answer: Answer) -> Result<(), Error> {
        let key = (ask.repository.path().to_owned(), ask.action);
        let used = self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        let (secret, source) = self.credentials.find(ask.repository).await?;
        let header = match (Challenge::of(answer.headers()), &secret) {
            (Some(_), Secret::Bearer(token)) => bearer(token),
            (Some(Challenge::Basic), Secret::Password(user, password)) => basic(user, password),
            (Some(Challenge::Bearer { realm, service }), _) => {
                Some(self.ask_for_token(ask, &realm, service.as_deref(), &secret, &source).await?)
            }
            _ => None,
        };
        match header {
            // It was refused a moment ago.
            Some(header) if Some(&header) != used.as_ref() => {
                self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, header);
                Ok(())
            }
            _ => Err(self.unauthorized(ask, source, &reason(answer).await)),
        }
    }

    async fn ask_for_token(
        &self,
        ask: &Ask<'_>,
        realm: &str,
        service: Option<&str>,
        secret: &Secret,
        source: &Source,
    ) -> Result<HeaderValue, Error> {
        const WHAT: &str = "a token request";
        let realm = self.lead(WHAT, self.base().await?, realm)?;
        let host = authority_of(&realm);
        let token_request = TokenRequest::new(realm, service, ask.action, ask.repository, secret);
        let client = self.client(&token_request.url);
        let mut request = match &token_request.form {
            None => client.get(token_request.url.clone()),
            Some(form) => client
                .post(token_request.url.clone())
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.as_bytes().to_vec()),
        };
        if let Some(header) = token_request.authorization {
            request = request.header(AUTHORIZATION, header);
        }
        let response = self.wait(request.send(), self.times.idle).await?;
        let response =
            response.map_err(|error| failed(&self.authority, &host, WHAT, &error, self.times.connect))?;
        let answer = Answer { response, host: host.clone(), idle: self.times.idle };
        match answer.status() {
            StatusCode::OK => token(&host, &answer.read(TOKEN_MAX, "the token").await?),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => {
                Err(self.unauthorized(ask, source.clone(), &reason(answer).await))
            }
            status if status.is_redirection() => {
                Err(Error::bad_answer(&host, "a token", "it is a redirect, and credentials follow none"))
            }
            status => Err(Error::Refused {
                host,
                action: ask.action.phrase(),
                path: ask.repository.path().to_owned(),
                status: status.as_u16(),
                said: reason(answer).await,
            }),
        }
    }

    fn unauthorized(&self, ask: &Ask<'_>, credentials: Source, reason: &str) -> Error {
        Error::Unauthorized {
            registry: ask.repository.registry().to_owned(),
            path: ask.repository.path().to_owned(),
            action: ask.action.phrase(),
            credentials: Box::new(credentials),
            said: reason.to_owned(),
        }
    }

    /// What an answer that is not the hoped for one means; `what` was asked for.
    pub(crate) async fn refused(&self, ask: &Ask<'_>, answer: Answer, what: impl Into<String>) -> Error {
        let status = answer.status();
        let host = answer.host().to_owned();
        let said = reason(answer).await;
        match status {
            StatusCode::NOT_FOUND => {
                Error::Unknown { repository: ask.repository.clone(), what: what.into(), said }
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let source = match self.credentials.find(ask.repository).await {
                    Ok((_, source)) => source,
                    Err(error) => return error,
                };
                self.unauthorized(ask, source, &said)
            }
            status => Error::Refused {
                host,
                action: ask.action.phrase(),
                path: ask.repository.path().to_owned(),
                status: status.as_u16(),
                said,
            },
        }
    }
}

/// Why an answer says no, in its own words, as the end of a message.
async fn reason(answer: Answer) -> String {
    #[derive(Deserialize)]
    struct Envelope {
        errors: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let Ok(body) = answer.read(REFUSAL_MAX, "the refusal").await else { return String::new() };
    // Anything else is a page for browsers.
    let Ok(envelope) = serde_json::from_slice::<Envelope>(&body) else { return String::new() };
    let text = |entry: &Entry| format!("{} {}", entry.code, entry.message).trim().to_owned();
    said(&envelope.errors.iter().map(text).collect::<Vec<_>>().join("; "))
}

fn url_of(scheme: &str, authority: &str) -> Result<Url, Error> {
    Url::parse(&format!("{scheme}://{authority}/v2/"))
        .map_err(|error| Error::bad_answer(authority, "a name of a registry", error))
}

/// Host, and port where it is not the usual one.
fn authority_of(url: &Url) -> String {
    url[url::Position::BeforeHost..url::Position::AfterPort].to_owned()
}
