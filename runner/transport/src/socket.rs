//! One request to a daemon's socket on a target, such as HAProxy's: checked where it is, then reached through the
//! connection itself, or with `socat` where that is not allowed or another user must ask.

use crate::channel::{Bounds, Input, Request, Sink};
use crate::held::Held;
use crate::machine::refusal;
use crate::script::Line;
use crate::shell::Answer;
use crate::user::{User, odd, split};
use crate::{Forward, Intent, Within};
use async_trait::async_trait;
use runner_model::{Acting, Exchange, Failure, FailureKind, RemotePath};
use std::io::Read as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// What is kept of the words of socat.
const ERRORS_MAX: usize = 4 << 10;
/// The longest answer.
const ANSWER_MAX: usize = 1 << 20;

impl User {
    pub(crate) async fn do_socket(
        &self,
        exchange: &Exchange,
        within: Within<'_>,
        intent: Option<Intent<'_>>,
    ) -> Result<String, Failure> {
        let path = &exchange.path;
        let what = self.what("ask the socket", path);
        let held = within.writing();
        held.covers(&what, path)?;
        let answer = match self.acting {
            Acting::Login => self.through_connection(&what, exchange, held, intent).await?,
            Acting::As(_) => {
                self.has_socat(&what, "the connection itself reaches sockets only as the login user").await?;
                if let Some(intent) = intent {
                    self.intend(&what, intent).await?;
                }
                self.socat(&what, exchange, held).await?
            }
        };
        if answer.len() > ANSWER_MAX {
            let why = format!("{what}: it answers with more than 1 MiB");
            return Err(Failure::new(FailureKind::Invalid, why));
        }
        String::from_utf8(answer)
            .map_err(|_| Failure::new(FailureKind::Invalid, format!("{what}: its answer is not UTF-8")))
    }

    async fn through_connection(
        &self,
        what: &str,
        exchange: &Exchange,
        held: Held<'_>,
        intent: Option<Intent<'_>>,
    ) -> Result<Vec<u8>, Failure> {
        // Nothing is connected to before it is known to be safe.
        let real = self.checked(what, &exchange.path, held, None).await?;
        let socket = match self.machine.host.reach(&real).await? {
            Forward::Direct => real.into(),
            Forward::Socket(socket) => socket,
        };
        // It is never closed: an error cannot come.
        let _turn = self.machine.exchanges.acquire().await;
        let stream = UnixStream::connect(&socket).await.map_err(|error| nobody(what, &error))?;
        // ssh takes every connection, and closes one that sshd refused or where nobody listens. By the time that two more
        // requests were answered on the same connection it has heard of it: only then is the text handed over, so that
        // it is never sent twice.
        self.checked(what, &exchange.path, held, None).await?;
        self.checked(what, &exchange.path, held, intent).await?;
        let Some((stream, early)) = open(stream).map_err(|error| nobody(what, &error))? else {
            let why = "nobody listens at it, or the target's sshd does not forward to it: let \
                       `AllowStreamLocalForwarding` be `yes` or `local` in its sshd_config";
            self.has_socat(what, why).await?;
            return self.socat(what, exchange, held).await;
        };
        match tokio::time::timeout(
            self.machine.limits().socket,
            talk(stream, early, exchange.text.as_bytes()),
        )
        .await
        {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                Err(Failure::new(FailureKind::Conflict, format!("{what}: it broke off: {error}")))
            }
            Err(_) => Err(self.late(what)),
        }
    }

    /// Where the socket really is, wherever links lead. The intent is written before it is looked at.
    async fn checked(
        &self,
        what: &str,
        path: &RemotePath,
        held: Held<'_>,
        intent: Option<Intent<'_>>,
    ) -> Result<String, Failure> {
        let (folder, base) = split(path);
        let line = Line::new("v_socket").arg(folder).arg(base);
        let answer = self.call(what, held, intent, line, self.machine.limits().verb).await?;
        if answer.status != 0 {
            return Err(barred(what, &answer));
        }
        let real = std::str::from_utf8(&answer.out).ok().map(|real| real.trim_end_matches('\n'));
        match real.filter(|real| real.parse::<RemotePath>().is_ok()) {
            Some(real) => Ok(real.to_owned()),
            None => Err(odd(what, &answer)),
        }
    }

    fn late(&self, what: &str) -> Failure {
        let limit = self.machine.limits().socket.as_secs_f32();
        Failure::new(FailureKind::Timeout, format!("{what}: it did not end its answer within {limit} s"))
    }

    async fn has_socat(&self, what: &str, why: &str) -> Result<(), Failure> {
        if self.do_fact("has:socat").await? == "true" {
            return Ok(());
        }
        Err(Failure::new(FailureKind::Conflict, format!("{what}: it cannot be reached"))
            .with_detail(format!("{why}; or install socat there")))
    }

    async fn socat(&self, what: &str, exchange: &Exchange, held: Held<'_>) -> Result<Vec<u8>, Failure> {
        let (folder, base) = split(&exchange.path);
        let line = Line::new("v_socat").arg(folder).arg(base).arg((ANSWER_MAX + 1).to_string());
        let input = Input::Bytes(exchange.text.clone().into_bytes());
        let mut heard = Heard::default();
        let bounds = Bounds { limit: self.machine.limits().socket, cancel: None };
        let request = Request { input, ..Request::new(&line) };
        let ended = match self.exchange(what, held, request, &mut heard, bounds).await {
            Err(failure) if failure.kind == FailureKind::Timeout => return Err(self.late(what)),
            ended => ended?,
        };
        let answer = Answer { status: ended.status, out: heard.out, err: heard.err };
        match answer.status {
            0 => Ok(answer.out),
            // socat ends badly when what it still has is cut off.
            53 if answer.out.len() > ANSWER_MAX => Ok(answer.out),
            53 if !answer.out.is_empty() => {
                let why = format!("{what}: it broke off in the midst of its answer");
                Err(Failure::new(FailureKind::Conflict, why))
            }
            53 => {
                let said = String::from_utf8_lossy(&answer.err).trim().to_owned();
                Err(Failure::new(FailureKind::Conflict, format!("{what}: nobody listens at it"))
                    .with_detail(said))
            }
            _ => Err(barred(what, &answer)),
        }
    }
}

/// What it says, bounded: one byte too many is kept, which tells that there was more.
#[derive(Default)]
struct Heard {
    out: Vec<u8>,
    err: Vec<u8>,
}

#[async_trait]
impl Sink for Heard {
    async fn out(&mut self, bytes: Vec<u8>) {
        let room = (ANSWER_MAX + 1).saturating_sub(self.out.len());
        self.out.extend(bytes.into_iter().take(room));
    }

    async fn err(&mut self, bytes: Vec<u8>) {
        let room = ERRORS_MAX.saturating_sub(self.err.len());
        self.err.extend(bytes.into_iter().take(room));
    }
}

/// The connection with what was said on it before anything was asked; `None` when the other end has closed it.
fn open(stream: UnixStream) -> std::io::Result<Option<(UnixStream, Vec<u8>)>> {
    // The system is asked, not what the runtime has noticed so far.
    let mut stream = stream.into_std()?;
    let mut early = vec![0; 4 << 10];
    match stream.read(&mut early) {
        Ok(0) => Ok(None),
        Ok(count) => {
            early.truncate(count);
            Ok(Some((UnixStream::from_std(stream)?, early)))
        }
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            Ok(Some((UnixStream::from_std(stream)?, Vec::new())))
        }
        Err(error) => Err(error),
    }
}

fn nobody(what: &str, error: &std::io::Error) -> Failure {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => FailureKind::NotFound,
        _ => FailureKind::Conflict,
    };
    Failure::new(kind, format!("{what}: nobody listens at it: {error}"))
}

/// A refusal, with what mends it.
fn barred(what: &str, answer: &Answer) -> Failure {
    let failure = refusal(what, answer);
    if answer.status != 47 {
        return failure;
    }
    failure.with_detail("make the user a member of the socket's group, or let the step act as a user who is one, with `become`")
}

async fn talk(mut stream: UnixStream, mut answer: Vec<u8>, text: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(text).await?;
    // Not closed halfway: some daemons then answer no more.
    let limit = u64::try_from(ANSWER_MAX + 1).unwrap_or(u64::MAX);
    (&mut stream).take(limit).read_to_end(&mut answer).await?;
    Ok(answer)
}
