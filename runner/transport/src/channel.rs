//! Channels of their own: for work that takes long, for bytes, and for commands. What runs there is ended on the
//! target when it is not waited for any more: dropping a channel does not do that.

use crate::frame::{Demux, Piece};
use crate::held::Held;
use crate::host::{Hold, Login, Pipes};
use crate::machine::Machine;
use crate::script::Line;
use crate::shell::{Lost, nonce, take_over};
use crate::user::User;
use async_trait::async_trait;
use runner_model::{Acting, Failure, FailureKind};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

/// How long a process group gets to end by itself.
const GRACE: Duration = Duration::from_secs(3);
/// How many records of a request are kept: scripts send a handful.
const RECORDS_MAX: usize = 64;
/// How much is read or sent at once.
const CHUNK: usize = 64 << 10;

/// What is sent on a channel after its request.
pub(crate) enum Input {
    /// Nothing: stdin ends at once.
    None,
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file of this machine, from its beginning; it does not change.
    File(std::fs::File),
}

impl Input {
    /// In bytes.
    fn size(&self) -> std::io::Result<u64> {
        Ok(match self {
            Self::None => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(file) => file.metadata()?.len(),
        })
    }
}

/// A channel with the prelude that waits for a request.
pub(crate) struct Channel {
    pipes: Pipes,
    /// What must come before it.
    next: String,
}

impl Channel {
    /// A new one.
    pub(crate) fn new(pipes: Pipes) -> Self {
        Self { pipes, next: String::new() }
    }
}

/// A request to a channel of its own.
pub(crate) struct Request<'a> {
    /// Script text for this request only.
    pub(crate) setup: &'a str,
    pub(crate) line: &'a Line,
    pub(crate) input: Input,
    /// It starts programs of the step's choice, which may leave others behind that still hold the channel's ends.
    pub(crate) foreign: bool,
}

impl<'a> Request<'a> {
    /// A request of the prelude's own tools, without input.
    pub(crate) fn new(line: &'a Line) -> Self {
        Self { setup: "", line, input: Input::None, foreign: false }
    }

    /// The line that the shell evaluates, and what must be the next one after the input: nothing of the input can ever
    /// be taken for a request, however much of it a verb leaves unread. Empty: none may follow.
    fn written(&self, nonce: &str, setup: &str) -> std::io::Result<(Vec<u8>, String)> {
        let mut line = format!("N='{nonce}'\n{setup}group; ").into_bytes();
        let (before, after, next) = match self.input.size()? {
            _ if self.foreign => (String::new(), "; exit".to_owned(), String::new()),
            0 => (String::new(), " </dev/null".to_owned(), "true\n".to_owned()),
            size => {
                let next = crate::shell::nonce();
                (format!("head -c {size} | "), format!("; again {next}"), format!("{next}\n"))
            }
        };
        line.extend_from_slice(before.as_bytes());
        line.extend_from_slice(b"q 1 m ");
        line.extend_from_slice(self.line.bytes());
        line.extend_from_slice(after.as_bytes());
        line.push(b'\n');
        Ok((line, next))
    }
}

/// Takes what a channel prints.
#[async_trait]
pub(crate) trait Sink: Send {
    /// Some of stdout.
    async fn out(&mut self, bytes: Vec<u8>);
    /// Some of stderr.
    async fn err(&mut self, bytes: Vec<u8>);
}

/// Keeps it all, up to a limit.
#[derive(Debug, Default)]
pub(crate) struct Keep {
    pub(crate) out: Vec<u8>,
    pub(crate) err: Vec<u8>,
}

/// The listing of a million files is smaller.
const KEEP_MAX: usize = 256 << 20;

#[async_trait]
impl Sink for Keep {
    async fn out(&mut self, bytes: Vec<u8>) {
        if self.out.len() < KEEP_MAX {
            self.out.extend(bytes);
        }
    }

    async fn err(&mut self, bytes: Vec<u8>) {
        if self.err.len() < 64 << 10 {
            self.err.extend(bytes);
        }
    }
}

/// How the work on a channel ended.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// Of the verb.
    pub(crate) status: u32,
    /// What the script told beside: `ended`, `placed`.
    pub(crate) told: HashMap<String, String>,
}

/// What bounds the work.
#[derive(Clone, Copy)]
pub(crate) struct Bounds<'a> {
    pub(crate) limit: Duration,
    pub(crate) cancel: Option<&'a CancellationToken>,
}

impl User {
    /// Runs one request on a channel of its own. The prefixes always travel. Fails when there is no end to report.
    pub(crate) async fn exchange(
        &self,
        what: &str,
        held: Held<'_>,
        request: Request<'_>,
        sink: &mut dyn Sink,
        bounds: Bounds<'_>,
    ) -> Result<Ended, Failure> {
        let trusted = self.trusted(what).await?;
        let deadline = tokio::time::Instant::now() + bounds.limit;
        let named = |failure: Failure| Failure { message: format!("{what}: {}", failure.message), ..failure };
        let channel = tokio::select! {
            channel = self.channel() => channel.map_err(named)?,
            () = tokio::time::sleep_until(deadline) => {
                return Err(Failure::new(FailureKind::Timeout, format!("{what}: no channel was free in time")));
            }
            () = cancelled(bounds.cancel) => return Err(cancelled_failure(what)),
        };
        let nonce = nonce();
        let setup = format!("{trusted}{}{}", held.setup(), request.setup);
        let (line, next) = request.written(&nonce, &setup).map_err(|error| {
            Failure::new(FailureKind::Other, format!("{what}: what is to be sent cannot be read: {error}"))
        })?;
        let Channel { pipes, next: first } = channel;
        let sending = Sending {
            line: [first.into_bytes(), line].concat(),
            input: request.input,
            ends: next.is_empty(),
        };
        let Pipes { stdin, stdout, stderr, _hold: hold } = pipes;
        let mut work = Work {
            out: Side::new(stdout, &nonce),
            err: Side::new(stderr, &nonce),
            ended: Ended::default(),
            guard: Guard { machine: Arc::clone(&self.machine), acting: self.acting.clone(), groups: vec![] },
        };
        let mut stdin = Some(stdin);
        let why = tokio::select! {
            why = work.run(&mut stdin, sending, sink) => why,
            () = tokio::time::sleep_until(deadline) => Some(Stop::Timeout),
            () = cancelled(bounds.cancel) => Some(Stop::Cancelled),
        };
        let hold: Hold = hold;
        match why {
            None => {
                work.guard.groups.clear();
                // What failed may have left some of its input, and then the shell exits.
                if let Some(stdin) = stdin.filter(|_| work.ended.status == 0) {
                    let Side { pipe: stdout, .. } = work.out;
                    let Side { pipe: stderr, .. } = work.err;
                    let pipes = Pipes { stdin, stdout, stderr, _hold: hold };
                    self.machine.keep_idle(self.acting.clone(), Channel { pipes, next });
                }
                Ok(work.ended)
            }
            Some(Stop::Broken) => {
                Err(self.machine.lost(what, Lost::Ended(String::new()), bounds.limit).await)
            }
            Some(stop) => {
                let groups = std::mem::take(&mut work.guard.groups);
                // The channel goes first: a local wrapper could not be told from one that is only not yet reaped.
                drop(hold);
                drop(work);
                let gone = end_groups(&self.machine, &self.acting, &groups).await;
                let state = if gone {
                    "what it had started on the target was ended"
                } else {
                    "what it had started on the target may still run there"
                };
                Err(match stop {
                    Stop::Cancelled => cancelled_failure(what),
                    _ => Failure::new(
                        FailureKind::Timeout,
                        format!("{what}: it took longer than {} s", bounds.limit.as_secs_f32()),
                    ),
                }
                .with_detail(state))
            }
        }
    }

    /// A channel with the prelude, ready for a request: the one that an earlier request left, or a new one.
    async fn channel(&self) -> Result<Channel, Failure> {
        if let Some(idle) = self.machine.take_idle(&self.acting) {
            return Ok(idle);
        }
        let pipes = match &self.acting {
            Acting::Login => self.machine.host.open(Login::Own).await?,
            Acting::As(user) => {
                let pipes = self.machine.host.open(Login::Sudo(user)).await?;
                take_over(pipes, self.machine.limits().verb).await?
            }
        };
        Ok(Channel::new(pipes))
    }

    /// Script text that tells whose folders are safe.
    async fn trusted(&self, what: &str) -> Result<String, Failure> {
        let own = self.ready(what).await?.facts;
        let login = self.machine.ready(&Acting::Login).await?.facts;
        Ok(format!(
            "{}{}{}Y={}; U=' 0 {} {} '; G=' {} {} '; ",
            self.machine.fence_for(&self.acting),
            self.machine.likely(),
            self.machine.noting(),
            crate::script::quoted(own.has.get("setsid").map_or("", String::as_str)),
            own.get("uid"),
            login.get("uid"),
            own.get("private"),
            login.get("private")
        ))
    }
}

fn cancelled_failure(what: &str) -> Failure {
    Failure::new(FailureKind::Cancelled, format!("{what}: the run was cancelled"))
}

async fn cancelled(token: Option<&CancellationToken>) {
    match token {
        Some(token) => token.cancelled().await,
        None => std::future::pending().await,
    }
}

enum Stop {
    Timeout,
    Cancelled,
    Broken,
}

struct Side {
    pipe: Box<dyn AsyncRead + Send + Unpin>,
    demux: Demux,
    buffer: Vec<u8>,
    /// The nonce was seen: before it, a login shell may have printed a banner.
    begun: bool,
    done: bool,
}

impl Side {
    fn new(pipe: Box<dyn AsyncRead + Send + Unpin>, nonce: &str) -> Self {
        Self { pipe, demux: Demux::new(nonce), buffer: vec![0; CHUNK], begun: false, done: false }
    }

    async fn fill(&mut self) -> bool {
        match self.pipe.read(&mut self.buffer).await {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.demux.feed(&self.buffer[..count]);
                true
            }
        }
    }
}

struct Work {
    out: Side,
    err: Side,
    ended: Ended,
    guard: Guard,
}

/// What goes to a shell.
struct Sending {
    line: Vec<u8>,
    input: Input,
    /// Stdin ends after it.
    ends: bool,
}

impl Work {
    /// `None`: it ended and said how.
    async fn run(
        &mut self,
        stdin: &mut Option<Box<dyn AsyncWrite + Send + Unpin>>,
        sending: Sending,
        sink: &mut dyn Sink,
    ) -> Option<Stop> {
        let machine = Arc::clone(&self.guard.machine);
        let mut sending = std::pin::pin!(send(stdin, sending, &machine));
        let mut sent = false;
        loop {
            self.take_out(sink).await;
            self.take_err(sink).await;
            if self.out.done && self.err.done {
                // Stdin comes back if all was sent; nobody waits for what was not read.
                tokio::select! {
                    biased;
                    () = &mut sending, if !sent => {}
                    () = std::future::ready(()) => {}
                }
                return None;
            }
            let more = tokio::select! {
                more = self.out.fill(), if !self.out.done => more,
                more = self.err.fill(), if !self.err.done => more,
                () = &mut sending, if !sent => {
                    sent = true;
                    true
                }
            };
            if !more {
                return Some(Stop::Broken);
            }
        }
    }

    async fn take_out(&mut self, sink: &mut dyn Sink) {
        while let Some(piece) = self.out.demux.next() {
            match piece {
                Piece::Payload(bytes) if self.out.begun => sink.out(bytes).await,
                Piece::Payload(_) => {}
                Piece::Record { word, value } => match word.as_str() {
                    "group" => self.out.begun = true,
                    "1" => {
                        self.ended.status = value.parse().unwrap_or(255);
                        self.out.done = true;
                    }
                    _ => {}
                },
            }
        }
    }

    async fn take_err(&mut self, sink: &mut dyn Sink) {
        while let Some(piece) = self.err.demux.next() {
            match piece {
                Piece::Payload(bytes) if self.err.begun => sink.err(bytes).await,
                Piece::Payload(_) => {}
                Piece::Record { word, value } => match word.as_str() {
                    "group" => {
                        self.err.begun = true;
                        if self.guard.groups.len() < RECORDS_MAX {
                            self.guard.groups.push(value);
                        }
                    }
                    "1" => self.err.done = true,
                    // The target may say as much as it likes.
                    _ if self.ended.told.len() < RECORDS_MAX => {
                        self.ended.told.insert(word, value);
                    }
                    _ => {}
                },
            }
        }
    }
}

/// Sends it all, then gives stdin back, or ends it. Whoever does not read it all is not at fault.
async fn send(
    pipe: &mut Option<Box<dyn AsyncWrite + Send + Unpin>>,
    Sending { line, input, ends }: Sending,
    machine: &Machine,
) {
    let Some(mut stdin) = pipe.take() else { return };
    if stdin.write_all(&line).await.is_err() {
        return;
    }
    match input {
        Input::None => {}
        Input::Bytes(bytes) => {
            for chunk in bytes.chunks(CHUNK) {
                if stdin.write_all(chunk).await.is_err() {
                    return;
                }
                machine.count_sent(chunk.len() as u64);
            }
        }
        Input::File(file) => {
            let mut file = tokio::fs::File::from_std(file);
            let mut chunk = vec![0; CHUNK];
            loop {
                match file.read(&mut chunk).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => {
                        if stdin.write_all(&chunk[..count]).await.is_err() {
                            return;
                        }
                        machine.count_sent(count as u64);
                    }
                }
            }
        }
    }
    if ends {
        let _ = stdin.shutdown().await;
    } else if stdin.flush().await.is_ok() {
        *pipe = Some(stdin);
    }
}

/// Ends the groups when the work is given up without waiting.
struct Guard {
    machine: Arc<Machine>,
    acting: Acting,
    groups: Vec<String>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.groups.is_empty() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (machine, acting) = (Arc::clone(&self.machine), self.acting.clone());
            let groups = std::mem::take(&mut self.groups);
            let ending = machine.ending.clone();
            ending.spawn_on(async move { end_groups(&machine, &acting, &groups).await }, &runtime);
        }
    }
}

/// TERM, then KILL. Answers whether all of them are gone.
pub(crate) async fn end_groups(machine: &Machine, acting: &Acting, groups: &[String]) -> bool {
    let Ok(ready) = machine.ready(acting).await else { return false };
    let signal = async |name: &str, group: &str| {
        let line = Line::new("end").word(name).word(group);
        match ready.shell.ask("", line, GRACE).await {
            Ok(answer) => Some(answer.out.is_empty()),
            Err(_) => None,
        }
    };
    let mut all_gone = true;
    // The command's own group was told of last, and the wrapper's ends with it.
    for group in groups.iter().rev().filter(|group| group.bytes().all(|b| b.is_ascii_digit())) {
        let mut gone = false;
        for (name, patience) in [("TERM", GRACE), ("KILL", GRACE)] {
            let until = tokio::time::Instant::now() + patience;
            let mut next = name;
            loop {
                match signal(next, group).await {
                    Some(true) => gone = true,
                    Some(false) => {}
                    None => return false,
                }
                if gone || tokio::time::Instant::now() > until {
                    break;
                }
                next = "0";
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            if gone {
                break;
            }
        }
        all_gone &= gone;
    }
    all_gone
}

/// A fresh name for a temporary file.
pub(crate) fn temporary() -> String {
    format!(".runner-{}", &nonce()[..16])
}
