//! Asks a program for the inventory. It runs on this machine as whoever runs the runner: in the plan's folder, without a
//! shell, with nothing of the environment but what is named. It is ended, with all that it started, when it takes too
//! long or prints too much.

use super::fail::Fail;
use super::talk;
use runner_model::diagnostic::{Code, Problem};
use runner_model::inventory::MAX_ANSWER_BYTES;
use runner_model::plan::AskedFor;
use runner_model::text::shown;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// How much of what it prints for people is shown.
const TAIL: usize = 4096;

/// How it ended.
struct Ended {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Why there is no answer.
enum Trouble {
    Start(io::Error),
    Read(io::Error),
    TooLong(Vec<u8>),
    TooMuch,
    /// With the exit code of whoever was interrupted.
    Interrupted(u8),
}

/// What the program prints. Says on stderr that it runs.
pub(super) fn ask(
    asked: &AskedFor,
    folder: &Path,
    environment: &str,
    place: impl Fn(Code, String) -> Problem,
) -> Result<Vec<u8>, Fail> {
    talk(&format!("asking `{}` for the inventory of `{environment}`\n", asked.command));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fail::internal(format_args!("cannot start: {error}")))?;
    let fail = |what: String, stderr: &[u8], hint: String| {
        let problem = place(Code::BadValue, format!("the inventory's command {what}"));
        let said = tail(stderr);
        let hint = if said.is_empty() { hint } else { format!("{hint}\nit said:\n{said}") };
        Err(problem.hint(hint).into())
    };
    match runtime.block_on(run(asked, folder)) {
        Ok(ended) if ended.status.success() => {
            // What it warns of is for whoever runs it.
            let said = tail(&ended.stderr);
            if !said.is_empty() {
                talk(&format!("`{}` says:\n{said}\n", asked.command));
            }
            Ok(ended.stdout)
        }
        Ok(ended) => {
            let how = match (ended.status.code(), ended.status.signal()) {
                (Some(code), _) => format!("ended with {code}"),
                (None, signal) => format!("was ended by signal {}", signal.unwrap_or_default()),
            };
            let hint = format!("run `{}` in the plan's folder, and mend what it says", asked.command);
            fail(how, &ended.stderr, hint)
        }
        Err(Trouble::Start(error)) => {
            let program = program(asked, folder);
            let hint = match error.kind() {
                io::ErrorKind::NotFound if program.exists() => {
                    "what its first line names behind `#!` is not there: correct that line".to_owned()
                }
                io::ErrorKind::NotFound => {
                    "a program with a `/` in its name is looked for in the plan's folder, another one in `PATH`".to_owned()
                }
                io::ErrorKind::PermissionDenied => format!("`chmod +x {}`", shown(&program.display().to_string())),
                _ => "does it begin with a line such as `#!/bin/sh`?".to_owned(),
            };
            fail(format!("cannot be started: {error}"), b"", hint)
        }
        Err(Trouble::Read(error)) => {
            fail(format!("cannot be read from: {error}"), b"", "try again".to_owned())
        }
        Err(Trouble::TooLong(stderr)) => {
            let hint =
                "let it answer sooner, or give it more time: `timeout = \"5m\"` beside `command`".to_owned();
            fail(format!("did not end within {}", asked.timeout), &stderr, hint)
        }
        Err(Trouble::Interrupted(code)) => Err(Fail::interrupted(code)),
        Err(Trouble::TooMuch) => {
            let hint = "let it print the hosts of this environment only".to_owned();
            fail(format!("printed more than {} MiB", MAX_ANSWER_BYTES >> 20), b"", hint)
        }
    }
}

/// One with a `/` in its name is meant from the plan's folder; the other ones are looked up in `PATH`.
fn program(asked: &AskedFor, folder: &Path) -> PathBuf {
    let program = asked.command.argv.first().map(String::as_str).unwrap_or_default();
    if program.contains('/') {
        let path = folder.join(program);
        std::path::absolute(&path).unwrap_or(path)
    } else {
        PathBuf::from(program)
    }
}

async fn run(asked: &AskedFor, folder: &Path) -> Result<Ended, Trouble> {
    let mut command = Command::new(program(asked, folder));
    command.args(asked.command.argv.iter().skip(1)).current_dir(folder).env_clear().process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    for (name, value) in std::env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let usual = matches!(text, "PATH" | "HOME" | "LANG" | "LANGUAGE") || text.starts_with("LC_");
        if usual || asked.command.env.iter().any(|named| named == text) {
            command.env(name, value);
        }
    }
    let child = command.spawn().map_err(Trouble::Start)?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let mut stderr = Vec::new();
    let interrupted = signals().map_err(Trouble::Read)?;
    let ended = tokio::select! {
        ended = tokio::time::timeout(asked.timeout.as_duration(), collect(child, &mut stderr)) => ended,
        code = interrupted => Ok(Err(Trouble::Interrupted(code))),
    };
    // Whatever it has left behind goes with it.
    drop(group);
    match ended {
        Ok(Ok((status, stdout))) => Ok(Ended { status, stdout, stderr }),
        Ok(Err(trouble)) => Err(trouble),
        Err(_) => Err(Trouble::TooLong(stderr)),
    }
}

/// Ctrl-C and the like, which the program's own process group does not see.
fn signals() -> io::Result<impl Future<Output = u8>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => 130,
            _ = terminate.recv() => 143,
        }
    })
}

/// Waits for its end, and for that of its output.
async fn collect(mut child: Child, stderr: &mut Vec<u8>) -> Result<(ExitStatus, Vec<u8>), Trouble> {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let mut stdout = Vec::new();
    let read = async {
        if let Some(mut out) = out {
            let limit = MAX_ANSWER_BYTES + 1;
            (&mut out).take(limit).read_to_end(&mut stdout).await.map_err(Trouble::Read)?;
            if stdout.len() as u64 == limit {
                return Err(Trouble::TooMuch);
            }
        }
        Ok(())
    };
    let talk = async {
        match err {
            Some(err) => last_of(err, stderr).await.map_err(Trouble::Read),
            None => Ok(()),
        }
    };
    tokio::try_join!(read, talk)?;
    let status = child.wait().await.map_err(Trouble::Read)?;
    Ok((status, stdout))
}

/// The end of what is printed, however much that is.
async fn last_of(mut from: impl AsyncRead + Unpin, last: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match from.read(&mut buffer).await? {
            0 => return Ok(()),
            read => last.extend_from_slice(&buffer[..read]),
        }
        let too_much = last.len().saturating_sub(TAIL);
        last.drain(..too_much);
    }
}

/// A process group that ends with this.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Gone already is what it should be.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// The last lines, without what a terminal would obey.
fn tail(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(20)..];
    last.iter().map(|line| format!("  {}", shown(line))).collect::<Vec<_>>().join("\n")
}
