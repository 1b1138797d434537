//! One framed shell, kept running: requests go in one after another without waiting, answers come back in order.

use crate::frame::{Demux, Piece};
use crate::host::{Hold, Host, Login, Pipes};
use crate::script::{self, Line};
use runner_model::{Failure, FailureKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// More than any answer of a framed shell has; long ones have channels of their own.
const ANSWER_MAX: usize = 64 << 20;

/// More than anybody prints before a shell is ready.
const BANNER_MAX: usize = 256 << 10;

/// How a request was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// 0, or one of the statuses that the prelude lists, or one of a program that it called.
    pub(crate) status: u32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The shell or the connection ended; with its last words.
    Ended(String),
    /// The deadline passed; the shell was given up.
    Timeout,
    /// The answer was larger than any should be.
    Flooded,
}

struct Job {
    /// Comes before `q NUMBER`.
    setup: String,
    line: Line,
    waiter: Waiter,
}

struct Waiter {
    deadline: Instant,
    answer: oneshot::Sender<Result<Answer, Lost>>,
}

/// A shell of one user. Dropped: its stdin ends, and so does it.
#[derive(Debug)]
pub(crate) struct Shell {
    jobs: mpsc::UnboundedSender<Job>,
    /// Somebody had no answer. The task that serves the shell ends a little later.
    given_up: AtomicBool,
}

impl Shell {
    /// Opens a shell and starts listening to it. The first request need not wait for it to be ready.
    pub(crate) async fn open(host: &dyn Host, login: Login<'_>, limit: Duration) -> Result<Self, Failure> {
        let opened = tokio::time::timeout(limit, host.open(login)).await;
        let mut pipes = opened.map_err(|_| {
            Failure::new(FailureKind::Timeout, format!("open a shell: nothing came within {limit:?}"))
        })??;
        if let Login::Sudo(_) = login {
            pipes = take_over(pipes, limit).await?;
        }
        Ok(Self::listen(pipes))
    }

    fn listen(pipes: Pipes) -> Self {
        let (jobs, queue) = mpsc::unbounded_channel();
        tokio::spawn(serve(pipes, queue));
        Self { jobs, given_up: AtomicBool::new(false) }
    }

    /// Whether requests may still be answered.
    pub(crate) fn is_open(&self) -> bool {
        !self.jobs.is_closed() && !self.given_up.load(Ordering::Relaxed)
    }

    /// Sends a request, after `setup` on the same line. Once sent it is carried out even when nobody waits any more.
    pub(crate) async fn ask(&self, setup: &str, line: Line, limit: Duration) -> Result<Answer, Lost> {
        let (answer, wait) = oneshot::channel();
        let waiter = Waiter { deadline: Instant::now() + limit, answer };
        self.jobs
            .send(Job { setup: setup.to_owned(), line, waiter })
            .map_err(|_| Lost::Ended(String::new()))?;
        let answer = wait.await.unwrap_or_else(|_| Err(Lost::Ended(String::new())));
        if answer.is_err() {
            self.given_up.store(true, Ordering::Relaxed);
        }
        answer
    }
}

/// Carries requests to a shell and answers back, until either end is gone.
async fn serve(pipes: Pipes, queue: mpsc::UnboundedReceiver<Job>) {
    let Pipes { stdin, stdout, stderr, _hold: hold } = pipes;
    let (sent, waiting) = mpsc::unbounded_channel();
    let nonce = nonce();
    // Two sides that do not wait for each other: a shell that prints much before it reads on blocks neither.
    let mut writer = std::pin::pin!(write(stdin, queue, &nonce, sent));
    let mut reader = std::pin::pin!(read(stdout, stderr, waiting, &nonce));
    let hold: Hold = hold;
    tokio::select! {
        () = &mut writer => {
            // Nobody will ask any more; what was asked is still answered.
            reader.await;
        }
        () = &mut reader => {}
    }
    drop(hold);
}

async fn write(
    mut stdin: Box<dyn AsyncWrite + Send + Unpin>,
    mut queue: mpsc::UnboundedReceiver<Job>,
    nonce: &str,
    sent: mpsc::UnboundedSender<(u64, Waiter)>,
) {
    let mut bytes = format!("N='{nonce}'\n").into_bytes();
    let mut number = 0;
    loop {
        // Whatever is waiting goes out in one piece.
        while let Ok(job) = queue.try_recv() {
            number += 1;
            bytes.extend_from_slice(format!("{}q {number} ", job.setup).as_bytes());
            bytes.extend_from_slice(job.line.bytes());
            bytes.push(b'\n');
            if sent.send((number, job.waiter)).is_err() {
                return;
            }
        }
        if !bytes.is_empty() {
            if stdin.write_all(&bytes).await.is_err() || stdin.flush().await.is_err() {
                // A shell that ended before anything was asked of it, as where nobody may log in: the first one to ask is
                // told what it said.
                if number == 0
                    && let Some(job) = queue.recv().await
                {
                    let _ = sent.send((1, job.waiter));
                }
                return;
            }
            bytes.clear();
        }
        let Some(job) = queue.recv().await else { return };
        number += 1;
        bytes.extend_from_slice(format!("{}q {number} ", job.setup).as_bytes());
        bytes.extend_from_slice(job.line.bytes());
        bytes.push(b'\n');
        if sent.send((number, job.waiter)).is_err() {
            return;
        }
    }
}

/// One of the two streams of answers.
struct Stream {
    pipe: Box<dyn AsyncRead + Send + Unpin>,
    demux: Demux,
    buffer: Vec<u8>,
    payload: Vec<u8>,
}

impl Stream {
    fn new(pipe: Box<dyn AsyncRead + Send + Unpin>, nonce: &str) -> Self {
        Self { pipe, demux: Demux::new(nonce), buffer: vec![0; 16 << 10], payload: Vec::new() }
    }

    /// Reads once. `false`: the stream has ended.
    async fn fill(&mut self) -> bool {
        match self.pipe.read(&mut self.buffer).await {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.demux.feed(&self.buffer[..count]);
                true
            }
        }
    }

    /// The payload and the status of the answer with this number, when all of it is there.
    fn answer(&mut self, number: u64) -> Option<(Vec<u8>, u32)> {
        while let Some(piece) = self.demux.next() {
            match piece {
                Piece::Payload(bytes) => self.payload.extend(bytes),
                Piece::Record { word, value } => {
                    if word == number.to_string() {
                        return Some((std::mem::take(&mut self.payload), value.parse().unwrap_or(255)));
                    }
                    // What was printed before the shell was ready, such as a banner, is nobody's.
                    self.payload.clear();
                }
            }
        }
        None
    }
}

/// What a shell said that ended before it had answered, such as why nobody may log in.
async fn last_words(out: &mut Stream, err: &mut Stream) -> String {
    let mut words = Vec::new();
    for stream in [err, out] {
        let _ =
            tokio::time::timeout(Duration::from_millis(200), async { while stream.fill().await {} }).await;
        words.append(&mut stream.payload);
        words.append(&mut stream.demux.rest());
    }
    String::from_utf8_lossy(&words).trim().chars().take(400).collect()
}

async fn read(
    stdout: Box<dyn AsyncRead + Send + Unpin>,
    stderr: Box<dyn AsyncRead + Send + Unpin>,
    mut waiting: mpsc::UnboundedReceiver<(u64, Waiter)>,
    nonce: &str,
) {
    let mut out = Stream::new(stdout, nonce);
    let mut err = Stream::new(stderr, nonce);
    while let Some((number, waiter)) = waiting.recv().await {
        let mut output = None;
        let mut errors = None;
        let lost = loop {
            if output.is_none() {
                output = out.answer(number);
            }
            if errors.is_none() {
                errors = err.answer(number);
            }
            if output.is_some() && errors.is_some() {
                break None;
            }
            if out.payload.len() + err.payload.len() > ANSWER_MAX {
                break Some(Lost::Flooded);
            }
            let more = tokio::select! {
                more = out.fill(), if output.is_none() => more,
                more = err.fill(), if errors.is_none() => more,
                () = tokio::time::sleep_until(waiter.deadline) => break Some(Lost::Timeout),
            };
            if !more {
                break Some(Lost::Ended(last_words(&mut out, &mut err).await));
            }
        };
        let answer = match (lost, output, errors) {
            (None, Some((out, status)), Some((err, _))) => Ok(Answer { status, out, err }),
            (lost, ..) => Err(lost.unwrap_or_else(|| Lost::Ended(String::new()))),
        };
        let broken = answer.is_err();
        let _ = waiter.answer.send(answer);
        if broken {
            // The others that wait find their channel closed.
            return;
        }
    }
}

/// Text that nobody on the target can guess.
pub(crate) fn nonce() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

/// Makes a bare `sh` ours. Answers why not with what it said.
pub(crate) async fn take_over(mut pipes: Pipes, limit: Duration) -> Result<Pipes, Failure> {
    let token = format!("runner-{}", nonce());
    let ready = format!("{token}\n");
    let mut seen = Vec::new();
    let attempt = async {
        let _ = pipes.stdin.write_all(script::takeover(&token).as_bytes()).await;
        let mut chunk = [0; 1024];
        loop {
            match pipes.stdout.read(&mut chunk).await {
                Ok(0) | Err(_) => break,
                Ok(count) => seen.extend_from_slice(&chunk[..count]),
            }
            if seen.len() > BANNER_MAX {
                let why = "start a shell of another user: it printed more than any banner has";
                return Err(Failure::new(FailureKind::Invalid, why));
            }
            if seen.windows(ready.len()).any(|w| w == ready.as_bytes()) {
                return Ok(());
            }
        }
        let mut said = Vec::new();
        let _ = (&mut pipes.stderr).take(4096).read_to_end(&mut said).await;
        Err(Failure::new(FailureKind::Denied, "start a shell of another user: sudo refused")
            .with_detail(String::from_utf8_lossy(&said).trim()))
    };
    match tokio::time::timeout(limit, attempt).await {
        Ok(Ok(())) => Ok(pipes),
        Ok(Err(failure)) => Err(failure),
        Err(_) => Err(Failure::new(
            FailureKind::Timeout,
            format!("start a shell of another user: sudo did not answer within {limit:?}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn the_first_to_ask_is_told_what_a_shell_said_that_had_ended_before() {
        let (stdin, gone) = tokio::io::duplex(64);
        drop(gone);
        let (mut says, stderr) = tokio::io::duplex(64);
        says.write_all(b"This account is not available.\n").await.expect("there is room");
        drop(says);
        let permit = Arc::new(Semaphore::new(1)).acquire_owned().await.expect("open");
        let hold = Hold { _child: Box::new(()), _permit: permit };
        let stdout = Box::new(tokio::io::empty());
        let pipes = Pipes { stdin: Box::new(stdin), stdout, stderr: Box::new(stderr), _hold: hold };
        let shell = Shell::listen(pipes);
        // Until what serves it has found that nothing can be written.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        let lost = shell.ask("", Line::new("x"), Duration::from_secs(5)).await.expect_err("it has ended");
        assert_eq!(lost, Lost::Ended("This account is not available.".to_owned()));
    }
}
