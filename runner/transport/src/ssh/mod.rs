//! A machine over OpenSSH: one master process per target and run, which the system's `ssh` is, so that whatever the
//! user has set up for it holds here too.

mod config;
mod diagnosis;
#[cfg(test)]
mod tests;

use crate::host::{CHANNELS, Hold, Host, Login, Pipes};
use crate::{Forward, SshTarget, script};
use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable as _};
use diagnosis::{Cause, Diagnosis};
use openssh::{ForwardType, Session, Socket, Stdio};
use runner_model::{Failure, FailureKind};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::{Mutex, Semaphore};

/// How often a server that is too busy to answer is asked again.
const RETRIES: usize = 7;
/// How long a channel that sshd refuses is asked for again: another one may be about to end.
const REFUSED: Duration = Duration::from_secs(3);

/// One target.
pub(crate) struct Ssh {
    target: SshTarget,
    limit: Duration,
    /// Variables of the runner that are no business of ssh: secrets come from them.
    hidden: Vec<String>,
    channels: Arc<Semaphore>,
    link: Mutex<Link>,
}

#[derive(Default)]
struct Link {
    session: Option<Arc<Session>>,
    /// Where the sockets of forwards are; only this user can enter it.
    sockets: Option<TempDir>,
    /// By where they lead: `host:port`, or the path of a socket.
    forwards: HashMap<String, PathBuf>,
    closed: bool,
}

impl Ssh {
    pub(crate) fn new(target: SshTarget, limit: Duration, hidden: Vec<String>) -> Result<Self, Failure> {
        config::check(&target)?;
        Ok(Self {
            target,
            limit,
            hidden,
            channels: Arc::new(Semaphore::new(CHANNELS)),
            link: Mutex::default(),
        })
    }

    /// The session; connects where there is none.
    async fn session(&self) -> Result<Arc<Session>, Failure> {
        let mut link = self.link.lock().await;
        if link.closed {
            return Err(Failure::new(FailureKind::Cancelled, "the connection was closed"));
        }
        if let Some(session) = &link.session {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(self.establish().await?);
        // What leads through the old one goes with its folder.
        link.forwards.clear();
        link.sockets = None;
        link.session = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Connects; again, a little later, while the server only turns connections away because it has too many.
    async fn establish(&self) -> Result<Session, Failure> {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(3))
            .with_max_times(RETRIES)
            .with_jitter();
        let attempts = (|| self.connect_once())
            .retry(backoff)
            .when(|diagnosis: &Diagnosis| diagnosis.cause == Cause::TurnedAway);
        // All attempts share the time, and each ssh has a shorter one of its own.
        let outcome = match tokio::time::timeout(self.limit * 2, attempts).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Diagnosis::new(Cause::TimedOut, String::new())),
        };
        outcome.map_err(|diagnosis| diagnosis.failure(&self.target))
    }

    async fn connect_once(&self) -> Result<Session, Diagnosis> {
        let local = |error: std::io::Error| Diagnosis::new(Cause::Local, error.to_string());
        let dir = private_dir().map_err(local)?;
        let log = dir.path().join("log");
        let file = dir.path().join("config");
        std::fs::write(&file, config::text(&self.target, self.limit)).map_err(local)?;
        let mut command = Command::new("ssh");
        command.arg("-E").arg(&log).arg("-S").arg(dir.path().join("master"));
        // It ends by itself soon after a runner that was killed; a runner that ends well ends it at once.
        command.args(["-M", "-f", "-N", "-o", "ControlPersist=60s"]);
        self.destination(&mut command, &file);
        let status = run(&mut command, self.limit + Duration::from_secs(2)).await?;
        if status {
            return Ok(Session::new_native_mux(dir));
        }
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        let diagnosis = Diagnosis::of(&said);
        if diagnosis.cause == Cause::Jump {
            return Err(self.ask_jump_host(&file, &log, diagnosis).await);
        }
        Err(diagnosis)
    }

    fn destination(&self, command: &mut Command, file: &Path) {
        for name in &self.hidden {
            command.env_remove(name);
        }
        command.arg("-F").arg(file);
        if let Some(port) = self.target.port {
            command.arg("-p").arg(port.to_string());
        }
        if let Some(user) = &self.target.user {
            command.arg("-l").arg(user);
        }
        if let Some(jump) = &self.target.jump {
            command.arg("-J").arg(jump);
        }
        command.arg("--").arg(&self.target.address);
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        // A Ctrl-C at the terminal is for the runner, which then ends what it started.
        command.stderr(std::process::Stdio::null()).process_group(0).kill_on_drop(true);
    }

    /// A master hides what the ssh to its jump host says. One that is none does not, so it fails once more, aloud.
    async fn ask_jump_host(&self, file: &Path, log: &Path, silent: Diagnosis) -> Diagnosis {
        let Ok(said) = std::fs::File::create(log) else { return silent };
        let mut command = Command::new("ssh");
        command.args(["-N", "-T", "-o", "ControlMaster=no", "-o", "ControlPath=none"]);
        self.destination(&mut command, file);
        command.stderr(said);
        match run(&mut command, self.limit + Duration::from_secs(2)).await {
            Ok(_) => Diagnosis::of_jump(&std::fs::read_to_string(log).unwrap_or_default()),
            Err(_) => silent,
        }
    }
}

/// Whether it ended well. What does not end in time is killed.
async fn run(command: &mut Command, limit: Duration) -> Result<bool, Diagnosis> {
    let mut child = command.spawn().map_err(|error| Diagnosis::new(Cause::Local, error.to_string()))?;
    match tokio::time::timeout(limit, child.wait()).await {
        Ok(Ok(status)) => Ok(status.success()),
        Ok(Err(error)) => Err(Diagnosis::new(Cause::Local, error.to_string())),
        Err(_) => {
            let _ = child.start_kill();
            Err(Diagnosis::new(Cause::TimedOut, String::new()))
        }
    }
}

/// A folder that only this user can enter, with a path that is short enough for a socket in it: some 100 bytes with
/// the suffix that ssh adds while it makes one.
fn private_dir() -> std::io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("runner-");
    let places = ["XDG_RUNTIME_DIR", "TMPDIR"].into_iter().filter_map(std::env::var_os).map(PathBuf::from);
    for place in places.filter(|place| place.is_absolute() && place.as_os_str().len() <= 48) {
        if let Ok(dir) = builder.tempdir_in(place) {
            return Ok(dir);
        }
    }
    builder.tempdir_in("/tmp")
}

#[async_trait]
impl Host for Ssh {
    async fn connect(&self) -> Result<bool, Failure> {
        self.session().await.map(|_| true)
    }

    async fn open(&self, login: Login<'_>) -> Result<Pipes, Failure> {
        let closed = |_| Failure::new(FailureKind::Cancelled, "the connection was closed");
        let permit = Arc::clone(&self.channels).acquire_owned().await.map_err(closed)?;
        let command = match login {
            Login::Own => script::login_command(),
            Login::Sudo(user) => format!("exec sudo -n -u {} -- sh", script::quoted(user.as_str())),
        };
        let until = tokio::time::Instant::now() + REFUSED;
        let mut again = true;
        let mut child = loop {
            let session = self.session().await?;
            let mut channel = Arc::clone(&session).arc_raw_command(&command);
            channel.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let refused = match channel.spawn().await {
                Ok(child) => break child,
                Err(refused) => refused,
            };
            if session.check().await.is_err() {
                // The master died unnoticed while nothing was asked of it: a new one serves as well.
                self.forget(&session).await;
                if std::mem::take(&mut again) {
                    continue;
                }
                return Err(self.lost().await);
            }
            if tokio::time::Instant::now() > until {
                return Err(Failure::new(
                    FailureKind::Unreachable,
                    format!("the sshd of {} refused another channel: {refused}", self.target.name),
                )
                .with_detail(format!(
                    "the runner opens up to {CHANNELS} channels on a connection; let `MaxSessions` in the target's \
                     sshd_config be 10, its default, or more"
                )));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin().take(), child.stdout().take(), child.stderr().take())
        else {
            return Err(Failure::new(FailureKind::Other, "open a channel: it has no pipes"));
        };
        let hold = Hold { _child: Box::new(child), _permit: permit };
        Ok(Pipes { stdin: Box::new(stdin), stdout: Box::new(stdout), stderr: Box::new(stderr), _hold: hold })
    }

    async fn why_lost(&self) -> Failure {
        let session = self.link.lock().await.session.clone();
        if let Some(session) = session {
            let alive = tokio::time::timeout(Duration::from_secs(5), session.check()).await;
            if matches!(alive, Ok(Ok(()))) {
                return Failure::new(
                    FailureKind::Unreachable,
                    format!("the shell on {} ended before it had answered", self.target.name),
                )
                .with_detail(
                    "it must be allowed to run `sh`: no `nologin` shell, no forced command in authorized_keys",
                );
            }
            self.forget(&session).await;
        }
        self.lost().await
    }

    async fn forward(&self, host: &str, port: u16) -> Result<Forward, Failure> {
        let to = Socket::TcpSocket { host: host.to_owned().into(), port };
        self.forward_to(format!("{host}:{port}"), to).await
    }

    async fn reach(&self, path: &str) -> Result<Forward, Failure> {
        self.forward_to(path.to_owned(), Socket::UnixSocket { path: PathBuf::from(path).into() }).await
    }

    async fn close(&self) {
        self.channels.close();
        let session: Weak<Session> = {
            let mut link = self.link.lock().await;
            link.closed = true;
            link.forwards.clear();
            link.session.take().map(|session| Arc::downgrade(&session)).unwrap_or_default()
        };
        // The last channel that ends takes the session with it, and the session its master.
        let until = tokio::time::Instant::now() + Duration::from_secs(2);
        while session.strong_count() > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Ssh {
    async fn forward_to(&self, place: String, to: Socket<'static>) -> Result<Forward, Failure> {
        let what = format!("forward to {place} from {}", self.target.name);
        let session = self.session().await?;
        let mut link = self.link.lock().await;
        if let Some(socket) = link.forwards.get(&place) {
            return Ok(Forward::Socket(socket.clone()));
        }
        let local = |error: std::io::Error| Failure::new(FailureKind::Other, format!("{what}: {error}"));
        let name = link.forwards.len();
        let dir = match &link.sockets {
            Some(dir) => dir,
            None => link.sockets.insert(private_dir().map_err(local)?),
        };
        let socket = dir.path().join(format!("f{name}"));
        let request = session.request_port_forward(ForwardType::Local, Socket::from(socket.as_path()), to);
        match tokio::time::timeout(self.limit, request).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                return Err(Failure::new(FailureKind::Unreachable, format!("{what}: {error}")).with_detail(
                    "the target's sshd must allow it: `AllowTcpForwarding yes` or `local` in its sshd_config",
                ));
            }
            Err(_) => return Err(Failure::new(FailureKind::Timeout, format!("{what}: ssh did not answer"))),
        }
        link.forwards.insert(place, socket.clone());
        Ok(Forward::Socket(socket))
    }

    /// The next verb connects anew.
    async fn forget(&self, session: &Arc<Session>) {
        let mut link = self.link.lock().await;
        if link.session.as_ref().is_some_and(|current| Arc::ptr_eq(current, session)) {
            link.session = None;
            link.forwards.clear();
        }
    }

    async fn lost(&self) -> Failure {
        Failure::new(FailureKind::Unreachable, format!("the connection to {} was lost", self.target.name)).with_detail(
            "its ssh process ended, or the network did; what was under way on the target may or may not be done",
        )
    }
}
