//! One machine as seen by a run: its shells, one for each user, and what was learned of it.

use crate::channel::Channel;
use crate::host::{Host, Login};
use crate::lock::Fence;
use crate::masked::Masked;
use crate::payload::Payloads;
use crate::release::Signature;
use crate::script::Line;
use crate::shell::{Answer, Lost, Shell};
use crate::user::{User, odd};
use crate::{
    Connection, Disarmed, Examination, Examined, Fired, LockAnswer, LockRequest, LockState, RunPlace, Target,
    Watchdog, Within,
};
use async_trait::async_trait;
use runner_artifact::Store;
use runner_model::{Acting, Failure, FailureKind, RemotePath, RunId, TargetName, UndoKey, UserName};
use runner_secret::Vault;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// Longest waits.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For a connection, its authentication included.
    pub connect: Duration,
    /// For a verb that moves no data.
    pub verb: Duration,
    /// For a verb that reads, sends or archives data.
    pub data: Duration,
    /// For a service to reach its state.
    pub service: Duration,
    /// For a socket to answer and close.
    pub socket: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            verb: Duration::from_secs(60),
            data: Duration::from_secs(3600),
            service: Duration::from_secs(90),
            socket: Duration::from_secs(10),
        }
    }
}

/// How long the end of processes on a target is waited for that nobody else waits for.
const ENDING: Duration = Duration::from_secs(5);

/// How many sockets are asked at the same time. A daemon lets few wait, HAProxy ten for all who ask, and whoever comes
/// later is turned away.
const EXCHANGES: usize = 4;

/// When the second channel is asked for: sshd has said by then what it says after a login.
const SECOND_CHANNEL: Duration = Duration::from_millis(3);

/// What all connections of a run share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) payloads: Payloads,
    pub(crate) limits: Limits,
    /// What the names begin with under which this runner notes its process groups.
    pub(crate) prefix: String,
}

impl Shared {
    pub(crate) fn new(store: Arc<Store>, vault: Arc<Vault>, limits: Limits) -> Self {
        Self { store, vault, payloads: Payloads::default(), limits, prefix: crate::shell::nonce() }
    }
}

/// What the first request learned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) of: BTreeMap<String, String>,
    /// Programs, and where they are.
    pub(crate) has: BTreeMap<String, String>,
}

impl Facts {
    fn parse(text: &[u8]) -> Self {
        let mut facts = Self::default();
        for line in String::from_utf8_lossy(text).lines() {
            match line.split_once(' ') {
                None if line.starts_with('/') => {
                    let program = line.rsplit('/').next().unwrap_or_default();
                    facts.has.insert(program.to_owned(), line.to_owned());
                }
                Some((name, value)) => {
                    facts.of.insert(name.to_owned(), value.to_owned());
                }
                None => {}
            }
        }
        facts
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.of.get(name).map_or("", String::as_str)
    }
}

/// A user's shell and what is known of the user.
struct Seat {
    shell: Arc<Shell>,
    facts: Arc<Facts>,
}

#[derive(Default)]
struct Slot {
    seat: Option<Seat>,
    /// sudo gives no shell: why. It is not asked again.
    refused: Option<Failure>,
}

/// A machine. All its users' verbs go through it.
pub(crate) struct Machine {
    name: TargetName,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) service_command: Option<Vec<String>>,
    slots: Mutex<HashMap<Acting, Arc<tokio::sync::Mutex<Slot>>>>,
    /// The run's folder.
    place: Mutex<Option<Place>>,
    root: Mutex<Option<RemotePath>>,
    signature: Mutex<Option<Signature>>,
    /// The lock that the run has taken here.
    pub(crate) fence: Mutex<Option<Fence>>,
    /// A channel that is done with its request and can take another of the same user. Never more than one: every
    /// channel counts among the connection's few.
    idle: Mutex<Option<(Acting, Channel)>>,
    closed: AtomicBool,
    sent: AtomicU64,
    /// The number of the last watchdog of the run that somebody here was told of that it has fired.
    pub(crate) fired: AtomicU64,
    /// What ends processes that nobody waits for any more.
    pub(crate) ending: TaskTracker,
    /// Exchanges over sockets at a time.
    pub(crate) exchanges: Semaphore,
}

/// The folder of the run.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Where it is, and its name, for a login shell that is opened anew.
    runs: RemotePath,
    run: String,
    /// Where it really is, wherever links lead.
    pub(crate) real: RemotePath,
}

/// A shell that is ready, and the facts of its user.
#[derive(Clone)]
pub(crate) struct Ready {
    pub(crate) shell: Arc<Shell>,
    pub(crate) facts: Arc<Facts>,
}

impl Machine {
    pub(crate) fn new(
        name: TargetName,
        host: Arc<dyn Host>,
        shared: Arc<Shared>,
        service_command: Option<Vec<String>>,
    ) -> Self {
        Self {
            name,
            host,
            shared,
            service_command,
            slots: Mutex::default(),
            place: Mutex::default(),
            root: Mutex::default(),
            signature: Mutex::default(),
            fence: Mutex::default(),
            idle: Mutex::default(),
            closed: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            fired: AtomicU64::new(0),
            ending: TaskTracker::new(),
            exchanges: Semaphore::new(EXCHANGES),
        }
    }

    pub(crate) fn name(&self) -> &TargetName {
        &self.name
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// The release root of the run.
    pub(crate) fn root(&self) -> Option<RemotePath> {
        self.root.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who lays releases out.
    pub(crate) fn signature(&self) -> Option<Signature> {
        self.signature.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Script text that tells which folders will be asked about.
    pub(crate) fn likely(&self) -> String {
        self.root().map(|root| format!("K={}; ", crate::script::quoted(root.as_str()))).unwrap_or_default()
    }

    /// The folder of the run.
    pub(crate) fn place(&self) -> Option<Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Script text that tells where process groups are noted.
    pub(crate) fn noting(&self) -> String {
        let tell = |place: Place| {
            let folder = format!("{}/groups", place.real);
            format!("GD={}; GN={}; ", crate::script::quoted(&folder), self.shared.prefix)
        };
        self.place().map(tell).unwrap_or_default()
    }

    /// Script text that tells where a copy is kept.
    pub(crate) fn copy(&self, what: &str, key: Option<&UndoKey>) -> Result<String, Failure> {
        let Some(key) = key else { return Ok(String::new()) };
        let place = self.place().ok_or_else(|| {
            Failure::new(FailureKind::Other, format!("{what}: no run has begun on the target"))
        })?;
        Ok(format!("UD={}; UK={key}; ", crate::script::quoted(&format!("{}/undo", place.real))))
    }

    pub(crate) fn count_sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn keep_idle(&self, acting: Acting, channel: Channel) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.closed.load(Ordering::Relaxed) {
            *idle = Some((acting, channel));
        }
    }

    /// Nothing is kept from here on.
    fn close_idle(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        self.closed.store(true, Ordering::Relaxed);
        idle.take();
    }

    /// The idle channel if it is this user's; another user's is closed, to make room.
    pub(crate) fn take_idle(&self, acting: &Acting) -> Option<Channel> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        idle.filter(|(owner, _)| owner == acting).map(|(_, channel)| channel)
    }

    fn slot(&self, acting: &Acting) -> Arc<tokio::sync::Mutex<Slot>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(acting.clone()).or_default())
    }

    /// Connects, with the first request.
    pub(crate) async fn connect(self: &Arc<Self>) -> Result<(), Failure> {
        if self.host.connect().await? {
            // Nearly every run needs a second channel, and it costs nothing while the first one is waited for. Asking for
            // it makes the first one come sooner: sshd holds a small answer back until its last one was acknowledged
            // (Nagle's algorithm), which a client with nothing to say puts off for 40 milliseconds.
            let machine = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(SECOND_CHANNEL).await;
                if let Ok(pipes) = machine.host.open(Login::Own).await {
                    machine.keep_idle(Acting::Login, Channel::new(pipes));
                }
            });
        }
        self.ready(&Acting::Login).await.map(|_| ())
    }

    /// The user's shell, started with its first verb and again after it was lost.
    pub(crate) async fn ready(&self, acting: &Acting) -> Result<Ready, Failure> {
        let slot = self.slot(acting);
        let mut slot = slot.lock().await;
        if let Some(seat) = slot.seat.as_ref().filter(|seat| seat.shell.is_open()) {
            return Ok(Ready { shell: Arc::clone(&seat.shell), facts: Arc::clone(&seat.facts) });
        }
        if let Some(refused) = &slot.refused {
            return Err(refused.clone());
        }
        let started = match acting {
            Acting::Login => self.start(Login::Own, "", "").await,
            Acting::As(user) => {
                // Who logged in is trusted, so it must be known first.
                let login = Box::pin(self.ready(&Acting::Login)).await?;
                self.start(Login::Sudo(user), login.facts.get("uid"), login.facts.get("private"))
                    .await
                    .map_err(|failure| self.without_shell(user.as_str(), login.facts.get("user"), failure))
            }
        };
        let ready = match started {
            Ok(ready) => ready,
            Err(failure) => {
                if failure.kind == FailureKind::Denied {
                    slot.refused = Some(failure.clone());
                }
                return Err(failure);
            }
        };
        slot.seat = Some(Seat { shell: Arc::clone(&ready.shell), facts: Arc::clone(&ready.facts) });
        Ok(ready)
    }

    async fn start(&self, login: Login<'_>, uid: &str, group: &str) -> Result<Ready, Failure> {
        let limit = self.limits().verb;
        let what = format!("start a shell on {}", self.name);
        if let Login::Sudo(_) = login {
            // To make room.
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        let shell = Shell::open(&*self.host, login, limit).await?;
        let place = self.place();
        // The first answer takes what a banner printed with it.
        let first = shell.ask("", Line::new("true"), limit);
        let likely = self.likely();
        let hello = shell.ask(&likely, Line::new("hello").arg(uid).arg(group), limit);
        let begin = async {
            match (&place, login) {
                (Some(Place { runs, run, .. }), Login::Own) => {
                    Some(shell.ask("", self.begin_line(runs, run), limit).await)
                }
                (Some(_), Login::Sudo(_)) => Some(shell.ask(&self.noting(), Line::new("mark"), limit).await),
                (None, _) => None,
            }
        };
        let (first, hello, begin) = tokio::join!(first, hello, begin);
        for answer in [first].into_iter().chain(begin) {
            self.expect(&what, answer).await?;
        }
        let facts = Arc::new(Facts::parse(&self.expect(&what, hello).await?.out));
        Ok(Ready { shell: Arc::new(shell), facts })
    }

    fn begin_line(&self, runs: &RemotePath, run: &str) -> Line {
        Line::new("v_begin").arg(runs.as_str()).arg(run).word(&self.shared.prefix)
    }

    fn without_shell(&self, user: &str, login: &str, failure: Failure) -> Failure {
        if failure.kind != FailureKind::Denied {
            return failure;
        }
        Failure::new(
            FailureKind::Denied,
            format!("act as `{user}` on {}: `sudo -n -u {user} -- sh` was refused", self.name),
        )
        .with_detail(format!(
            "{}\nonly commands and services work without a shell; to allow it, add on the target with `visudo`:\n\
             {login} ALL=({user}) NOPASSWD: /bin/sh, /usr/bin/sh",
            failure.detail
        ))
    }

    /// An answer with status 0.
    async fn expect(&self, what: &str, answer: Result<Answer, Lost>) -> Result<Answer, Failure> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(lost) => return Err(self.lost(what, lost, self.limits().verb).await),
        };
        if answer.status == 0 { Ok(answer) } else { Err(refusal(what, &answer)) }
    }

    /// Why there was no answer.
    pub(crate) async fn lost(&self, what: &str, lost: Lost, limit: Duration) -> Failure {
        // A channel of the same connection may be as dead.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        match lost {
            Lost::Timeout => Failure::new(
                FailureKind::Timeout,
                format!("{what}: no answer within {} s; the shell there was given up", limit.as_secs_f32()),
            ),
            Lost::Flooded => {
                Failure::new(FailureKind::Invalid, format!("{what}: the answer is larger than any should be"))
            }
            Lost::Ended(words) => {
                let why = self.host.why_lost().await;
                let detail = format!("{}\n{words}", why.detail);
                Failure::new(why.kind, format!("{what}: {}", why.message)).with_detail(detail.trim())
            }
        }
    }
}

/// What a verb's status and words mean.
pub(crate) fn refusal(what: &str, answer: &Answer) -> Failure {
    let said = String::from_utf8_lossy(&answer.out);
    let errors = String::from_utf8_lossy(&answer.err);
    let (said, errors) = (said.trim(), errors.trim());
    let lost = if answer.status == 52 { crate::lock::fenced(said) } else { String::new() };
    let no_space = errors.contains("No space left") || errors.contains("quota exceeded");
    let (kind, reason) = match answer.status {
        40 => (FailureKind::Denied, said),
        41 => (FailureKind::NotFound, if said.is_empty() { "nothing is there" } else { said }),
        _ if no_space => (FailureKind::Conflict, "no space is left on the target's disk"),
        42 => (FailureKind::Conflict, if said.is_empty() { "something else is there" } else { said }),
        43 => (FailureKind::Invalid, said),
        46 => (FailureKind::Denied, "a link leads out of what is granted"),
        45 | 48 => (FailureKind::Conflict, said),
        47 => (FailureKind::Conflict, if said.is_empty() { "the target's system refused it" } else { said }),
        49 => (FailureKind::Other, said),
        51 => (FailureKind::NotFound, said),
        52 => (FailureKind::Conflict, &*lost),
        _ => (FailureKind::Other, if said.is_empty() { "it failed on the target" } else { said }),
    };
    let mend = match answer.status {
        40 if said.contains("is missing on the target") => "install coreutils there",
        40 => {
            "a path is only safe when no other user can change the way to it: tighten the owner or mode of that \
             folder, or let the step act as its owner with `become`"
        }
        47 => "let the step act as a user who may, with `become`",
        52 => "nothing more is written by this run; see `runner lock status`",
        _ => "",
    };
    let detail = [errors, mend].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n");
    Failure::new(kind, format!("{what}: {reason}")).with_detail(detail)
}

/// A machine behind the trait.
pub(crate) struct Connected(pub(crate) Arc<Machine>);

#[async_trait]
impl Connection for Connected {
    fn name(&self) -> &TargetName {
        self.0.name()
    }

    async fn begin(&self, place: &RunPlace) -> Result<(), Failure> {
        let machine = &self.0;
        let ready = machine.ready(&Acting::Login).await?;
        let what = format!("make the folder of the run on {}", machine.name);
        machine.root.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&place.root);
        let signature = Signature::new(&what, place)?;
        *machine.signature.lock().unwrap_or_else(PoisonError::into_inner) = Some(signature);
        let mut tried = Vec::new();
        // Where the login user may not write to the root, as when another user owns it, the home serves.
        for folder in crate::resume::folders(&ready.facts, place.root.as_ref(), &place.plan) {
            let line = machine.begin_line(&folder, place.run.as_str());
            let setup = Within::both(std::slice::from_ref(&folder)).writing().setup();
            let setup = format!("{}{setup}", machine.likely());
            let answer = ready.shell.ask(&setup, line, machine.limits().verb).await;
            match machine.expect(&what, answer).await {
                Ok(answer) => {
                    let real = String::from_utf8_lossy(&answer.out);
                    let real = real.trim_end_matches('\n').parse().map_err(|_| odd(&what, &answer))?;
                    let place = Place { runs: folder, run: place.run.as_str().to_owned(), real };
                    *machine.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
                    return Ok(());
                }
                Err(failure) if failure.kind == FailureKind::Conflict => tried.push(failure),
                Err(failure) => return Err(failure),
            }
        }
        Err(tried.pop().unwrap_or_else(|| {
            Failure::new(
                FailureKind::Conflict,
                format!("{what}: the login user has no home, and the plan no root"),
            )
        }))
    }

    async fn intents(&self) -> Result<Option<Vec<u8>>, Failure> {
        self.0.login().do_intents().await
    }

    async fn runs(&self, root: Option<&RemotePath>, plan: &str) -> Result<Vec<RunId>, Failure> {
        self.0.login().do_runs(root, plan).await
    }

    async fn end_left(&self, users: &BTreeSet<UserName>) -> Result<u32, Failure> {
        self.0.end_left(users).await
    }

    async fn arm(&self, watchdog: &Watchdog) -> Result<(), Failure> {
        self.0.arm(watchdog).await.map_err(|failure| self.0.shared.vault.hide_failure(failure))
    }

    async fn disarm(&self) -> Result<Disarmed, Failure> {
        self.0.disarm().await.map_err(|failure| self.0.shared.vault.hide_failure(failure))
    }

    async fn watchdog(&self) -> Result<Option<Fired>, Failure> {
        self.0.watchdog().await.map_err(|failure| self.0.shared.vault.hide_failure(failure))
    }

    async fn examine(&self, asked: &Examination) -> Result<Examined, Failure> {
        self.0.login().do_examine(asked).await
    }

    async fn lock(&self, request: &LockRequest) -> Result<LockAnswer, Failure> {
        self.0.login().do_lock(request).await
    }

    async fn share_lock(&self, epoch: u64) -> Result<(), Failure> {
        self.0.share_lock(epoch)
    }

    async fn renew(&self, lease: Duration) -> Result<(), Failure> {
        self.0.login().do_renew(lease).await
    }

    async fn release(&self) -> Result<(), Failure> {
        self.0.login().do_release().await
    }

    async fn lock_state(&self, root: Option<&RemotePath>, plan: &str) -> Result<Option<LockState>, Failure> {
        self.0.login().do_lock_state(root, plan).await
    }

    fn fence(&self) -> Option<u64> {
        self.0.epoch()
    }

    fn acting(&self, user: &Acting) -> Arc<dyn Target> {
        let target = User { machine: Arc::clone(&self.0), acting: user.clone() };
        let vault = &self.0.shared.vault;
        match vault.is_empty() {
            true => Arc::new(target),
            false => Arc::new(Masked { target, vault: Arc::clone(vault) }),
        }
    }

    fn bytes_sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    async fn close(&self) {
        self.0.ending.close();
        let ended = tokio::time::timeout(ENDING, self.0.ending.wait());
        if ended.await.is_err() {
            tracing::warn!(target = %self.0.name, "what a command had started there may still run");
        }
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.0.close_idle();
        let limit = Duration::from_secs(5);
        if tokio::time::timeout(limit, self.0.host.close()).await.is_err() {
            tracing::debug!(target = %self.0.name, "the connection did not close in time");
        }
    }
}
