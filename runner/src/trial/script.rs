//! What the test says that commands, requests, sockets and units answer. What it does not say ends the run, with the lines
//! to add to the test.

use runner_artifact::Store;
use runner_model::source::Span;
use runner_model::trial::{CommandAnswer, RequestAnswer, SocketAnswer, Trial};
use runner_model::{Content, Failure, FailureKind, RemotePath, Request};
use runner_secret::Vault;
use std::sync::{Mutex, PoisonError};

/// What is read as text is no larger than this.
const TEXT_MAX: u64 = 1 << 20;

/// The answers of a test.
pub(super) struct Script {
    commands: Answers<CommandAnswer>,
    requests: Answers<RequestAnswer>,
    sockets: Answers<SocketAnswer>,
    /// What the next effect fails with once it is done.
    losing: Mutex<Option<Failure>>,
}

/// Answers of one kind, and which of them were given.
struct Answers<T> {
    all: Vec<T>,
    given: Mutex<Vec<bool>>,
}

impl<T: Clone> Answers<T> {
    fn new(all: &[T]) -> Self {
        Self { all: all.to_vec(), given: Mutex::new(vec![false; all.len()]) }
    }

    /// The first that fits and was not given yet; else the last that fits.
    fn next(&self, fits: impl Fn(&T) -> bool) -> Option<&T> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting: Vec<usize> = (0..self.all.len()).filter(|at| fits(&self.all[*at])).collect();
        let at = fitting.iter().copied().find(|at| !given[*at]).or_else(|| fitting.last().copied())?;
        given[at] = true;
        self.all.get(at)
    }

    fn unused(&self) -> Vec<&T> {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        self.all.iter().zip(given.iter()).filter(|(_, given)| !**given).map(|(answer, _)| answer).collect()
    }
}

impl Script {
    pub(super) fn new(trial: &Trial) -> Self {
        Self {
            commands: Answers::new(&trial.commands),
            requests: Answers::new(&trial.requests),
            sockets: Answers::new(&trial.sockets),
            losing: Mutex::default(),
        }
    }

    /// The next effect is done, and its answer is lost.
    pub(super) fn lose(&self, failure: Option<Failure>) {
        *self.losing.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// The answer of an effect that is done, unless it is lost.
    pub(super) fn lost<T>(&self, answer: T) -> Result<T, Failure> {
        match self.losing.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(failure) => Err(failure),
            None => Ok(answer),
        }
    }

    /// Answers that nobody asked for, and where they are.
    pub(super) fn unused(&self) -> Vec<(String, Span)> {
        let commands = self.commands.unused().into_iter();
        let commands =
            commands.map(|answer| (format!("ran `{}`", shell_words::join(&answer.argv)), answer.span));
        let requests = self.requests.unused().into_iter();
        let requests =
            requests.map(|answer| (format!("sent `{} {}`", answer.method, answer.url), answer.span));
        let sockets = self.sockets.unused().into_iter();
        let sockets = sockets.map(|answer| (format!("asked `{}`", answer.path), answer.span));
        commands.chain(requests).chain(sockets).collect()
    }

    /// What carried content is, as text.
    pub(super) fn text_of(&self, content: &Content, store: &Store, vault: &Vault) -> Result<String, Failure> {
        Ok(match content {
            Content::Text(text) => text.clone(),
            Content::Secret(secret) => vault.reveal(secret)?.to_string(),
            Content::Artifact(digest) => {
                String::from_utf8_lossy(&store.read_bytes(digest, TEXT_MAX)?).into_owned()
            }
        })
    }

    /// What a command answers that is given this to read.
    pub(super) fn command(
        &self,
        argv: &[String],
        stdin: Option<&str>,
        vault: &Vault,
    ) -> Result<&CommandAnswer, Failure> {
        let fits = |answer: &CommandAnswer| {
            answer.argv == argv
                && answer.stdin.as_deref().is_none_or(|text| text == stdin.unwrap_or_default())
        };
        self.commands.next(fits).ok_or_else(|| {
            let words =
                argv.iter().map(|word| text(&vault.hide(word.as_str()))).collect::<Vec<_>>().join(", ");
            let mut block = format!("[[command]]\nargv = [{words}]\n");
            if self.commands.all.iter().any(|answer| answer.argv == argv) {
                block.push_str(&format!("stdin = {}\n", text(&vault.hide(stdin.unwrap_or_default()))));
            }
            block.push_str("stdout = \"\"\n");
            let command = vault.hide(shell_words::join(argv));
            unsaid(&format!("what the command `{}` answers", runner_model::text::shown(&command)), &block)
        })
    }

    /// What a request is answered with.
    pub(super) fn request(
        &self,
        request: &Request,
        store: &Store,
        vault: &Vault,
    ) -> Result<&RequestAnswer, Failure> {
        let sent = request.body.as_ref().map(|body| self.text_of(body, store, vault)).transpose()?;
        let mut headers = request.headers.clone();
        for (name, secret) in &request.secret_headers {
            headers.push((name.clone(), vault.reveal(secret)?.to_string()));
        }
        let has = |name: &str, value: &str| {
            headers.iter().any(|(sent, with)| sent.eq_ignore_ascii_case(name) && with == value)
        };
        let is = |answer: &RequestAnswer| answer.method == request.method && answer.url == request.url;
        let fits = |answer: &RequestAnswer| {
            is(answer)
                && answer.sent.as_deref().is_none_or(|text| text == sent.as_deref().unwrap_or_default())
                && answer.sent_headers.iter().all(|(name, value)| has(name, value))
        };
        self.requests.next(fits).ok_or_else(|| {
            let (method, url) = (text(&request.method), text(&vault.hide(request.url.as_str())));
            let mut block = format!("[[request]]\nmethod = {method}\nurl = {url}\n");
            if self.requests.all.iter().any(is) {
                block.push_str(&format!("sent = {}\n", text(&vault.hide(sent.unwrap_or_default()))));
                for (name, value) in &headers {
                    block.push_str(&format!(
                        "sent-headers.{} = {}\n",
                        text(name),
                        text(&vault.hide(value.as_str()))
                    ));
                }
            }
            block.push_str("status = 200\nbody = \"\"\n");
            let what = vault.hide(format!("what `{} {}` is answered with", request.method, request.url));
            unsaid(&runner_model::text::shown(&what), &block)
        })
    }

    /// What a socket answers.
    pub(super) fn socket(&self, path: &RemotePath, said: &str, vault: &Vault) -> Result<String, Failure> {
        let fits = |answer: &SocketAnswer| {
            answer.path == *path && answer.said.as_deref().is_none_or(|text| text == said)
        };
        self.sockets.next(fits).map(|answer| answer.answer.clone()).ok_or_else(|| {
            let (at, said) = (text(path.as_str()), text(&vault.hide(said)));
            let block = format!("[[socket]]\npath = {at}\nsaid = {said}\nanswer = \"\"\n");
            unsaid(&format!("what the socket `{path}` answers"), &block)
        })
    }

    /// A unit of which the test says nothing.
    pub(super) fn no_unit(&self, unit: &str) -> Failure {
        let block = format!("[target]\nservices = {{ {} = \"active\" }}\n", text(unit));
        unsaid(&format!("how the unit `{unit}` is"), &block)
    }
}

fn unsaid(what: &str, block: &str) -> Failure {
    Failure::new(FailureKind::Unknown, format_args!("the test does not say {what}")).with_detail(block)
}

/// Text as TOML has it: a string of JSON is one of TOML.
fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
