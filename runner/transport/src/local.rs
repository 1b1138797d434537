//! This machine as a target: the same script in a local `sh`. No ssh is involved, and it never says that it was.

use crate::Forward;
use crate::host::{CHANNELS, Hold, Host, Login, Pipes};
use crate::script;
use async_trait::async_trait;
use runner_model::{Failure, FailureKind};
use std::ffi::OsString;
use std::process::Stdio;
use std::sync::Arc;
use tokio::process::Command;
use tokio::sync::Semaphore;

/// A shell on this machine.
#[derive(Debug)]
pub(crate) struct Local {
    /// The program that speaks POSIX sh, with what comes before `-c`: `["sh"]`, or `["busybox", "ash"]` in a test.
    shell: Vec<OsString>,
    channels: Arc<Semaphore>,
}

impl Local {
    pub(crate) fn new() -> Self {
        Self::with_shell(["sh"])
    }

    pub(crate) fn with_shell(shell: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            shell: shell.into_iter().map(Into::into).collect(),
            channels: Arc::new(Semaphore::new(CHANNELS)),
        }
    }
}

#[async_trait]
impl Host for Local {
    async fn connect(&self) -> Result<bool, Failure> {
        Ok(false)
    }

    async fn open(&self, login: Login<'_>) -> Result<Pipes, Failure> {
        let closed = |_| Failure::new(FailureKind::Cancelled, "open a shell: the connection is closed");
        let permit = Arc::clone(&self.channels).acquire_owned().await.map_err(closed)?;
        let mut command = match login {
            Login::Own => {
                let (program, rest) = self
                    .shell
                    .split_first()
                    .ok_or_else(|| Failure::new(FailureKind::Other, "open a shell: no shell is named"))?;
                let mut command = Command::new(program);
                command.args(rest).arg("-c").arg(script::program(None));
                command
            }
            Login::Sudo(user) => {
                let mut command = Command::new("sudo");
                command.args(["-n", "-u", user.as_str(), "--", "sh"]);
                command
            }
        };
        command.env_clear().env("LANG", "C.UTF-8");
        for name in ["PATH", "HOME", "USER"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let spawned = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C at the terminal is for the runner, which then ends what it started.
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let mut child = spawned.map_err(|error| {
            let program = command.as_std().get_program().to_string_lossy().into_owned();
            Failure::new(FailureKind::Unreachable, format!("start `{program}` on this machine: {error}"))
        })?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Failure::new(FailureKind::Other, "start a shell on this machine: it has no pipes"));
        };
        let hold = Hold { _child: Box::new(child), _permit: permit };
        Ok(Pipes { stdin: Box::new(stdin), stdout: Box::new(stdout), stderr: Box::new(stderr), _hold: hold })
    }

    async fn why_lost(&self) -> Failure {
        Failure::new(FailureKind::Unreachable, "the shell on this machine ended before it had answered")
    }

    async fn forward(&self, _host: &str, _port: u16) -> Result<Forward, Failure> {
        Ok(Forward::Direct)
    }

    async fn reach(&self, _path: &str) -> Result<Forward, Failure> {
        Ok(Forward::Direct)
    }

    async fn close(&self) {
        self.channels.close();
    }
}
