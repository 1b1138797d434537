//! Verbs on targets, over OpenSSH and locally, behind one trait.
//!
//! This crate checks no grants and keeps no journal: it carries out what it is told, safely (see [`Within`]), and
//! writes the intent that it is handed on the target before it acts. Nothing in it knows wasm or the plan.

mod change;
mod channel;
mod command;
mod doctor;
mod frame;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod held;
mod host;
mod keep;
mod listing;
mod local;
mod lock;
mod machine;
mod masked;
mod observe;
mod payload;
mod release;
mod resume;
mod script;
mod shell;
mod socket;
mod ssh;
mod target;
#[cfg(test)]
mod tests;
mod transport;
mod tree;
mod unarchive;
mod undo;
mod unpack;
mod user;
mod watchdog;

pub use doctor::{ActsAs, BETTER, Examination, Examined, PROGRAMS, Root};
pub use lock::{LockAnswer, LockRequest, LockState, Owner, Take};
pub use machine::Limits;
pub use release::{Accounts, Laid};
pub use transport::{Kex, SshTarget, Transport};
pub use watchdog::{Asked, Disarmed, Fired, PutBack, Watchdog};

use async_trait::async_trait;
use runner_model::{
    Acting, Change, Command, Digest, Entry, Exchange, Failure, Mark, Release, ReleaseId, RemotePath, RunId,
    ServiceAction, State, TargetName, UndoKey, UserName,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A connection to one machine: one per target and run, shared by all its invocations.
#[async_trait]
pub trait Connection: Send + Sync {
    /// The target's name in the inventory.
    fn name(&self) -> &TargetName;

    /// Makes the folder of this run's intents on the target (`<root>/.runner/runs/<run>`, or `~/.runner/<plan>/runs/<run>`
    /// without a root), or goes on in it. Called once, before the first effect.
    async fn begin(&self, place: &RunPlace) -> Result<(), Failure>;

    /// What the run has written here so far, line by line, this runner's intents included; `None` when it is nothing.
    /// After [`Connection::begin`].
    async fn intents(&self) -> Result<Option<Vec<u8>>, Failure>;

    /// The runs that have a folder here, the newest last. No run need have begun.
    async fn runs(&self, root: Option<&RemotePath>, plan: &str) -> Result<Vec<RunId>, Failure>;

    /// Ends the process groups that an earlier runner of this run has left here, and waits until they are gone. Answers
    /// how many there were. What a service's command started is left alone, and so is what has made a group of its own;
    /// what users have noted that are neither the login user nor one of `users` is not believed. After
    /// [`Connection::begin`]. Fails with `conflict` when some of it still runs.
    async fn end_left(&self, users: &BTreeSet<UserName>) -> Result<u32, Failure>;

    /// Takes the lock of the root (`<root>/.runner/lock`, or where [`Connection::begin`] fell back to). From then on every
    /// request of this connection that writes is refused by the target, with `conflict`, as soon as a newer epoch is
    /// there or this one is gone, lines of [`Target::note`] included. After [`Connection::begin`].
    async fn lock(&self, request: &LockRequest) -> Result<LockAnswer, Failure>;

    /// Writes under the lock that this process has already, under another name of the machine: from then on requests of
    /// this connection are refused as above. `epoch`: which one it has. After [`Connection::begin`], in the same root.
    async fn share_lock(&self, epoch: u64) -> Result<(), Failure>;

    /// Lets the lease begin anew. `conflict`: another run has taken the lock, and nothing can be written any more.
    async fn renew(&self, lease: Duration) -> Result<(), Failure>;

    /// Gives the lock back, if one was taken; what it tells of its owner stays. `conflict` as above.
    async fn release(&self) -> Result<(), Failure>;

    /// What is known of the lock; `None`: it was never taken. No run need have begun.
    async fn lock_state(&self, root: Option<&RemotePath>, plan: &str) -> Result<Option<LockState>, Failure>;

    /// The epoch that requests of this connection carry.
    fn fence(&self) -> Option<u64>;

    /// Arms a watchdog: unless it is disarmed in time, it puts a link back on its own, whatever becomes of the runner and
    /// of the network. One that this run had armed before is disarmed first; where that one has fired and nobody here was
    /// told of it, the failure is a `conflict`. When this returns, the watchdog runs. After [`Connection::begin`].
    async fn arm(&self, watchdog: &Watchdog) -> Result<(), Failure>;

    /// Disarms the last watchdog of the run, whoever armed it. Once this says that it is disarmed it never fires. Of one
    /// that fires just now the end is waited for. May be asked again. After [`Connection::begin`].
    async fn disarm(&self) -> Result<Disarmed, Failure>;

    /// What the last watchdog of the run has done, if it has fired; of one that fires just now the end is waited for.
    /// After [`Connection::begin`].
    async fn watchdog(&self) -> Result<Option<Fired>, Failure>;

    /// What a run would need of the machine, and what is there; changes nothing. No run need have begun.
    async fn examine(&self, asked: &Examination) -> Result<Examined, Failure>;

    /// The verbs, acting as this user. Cheap: the user's remote shell starts with its first verb.
    fn acting(&self, user: &Acting) -> Arc<dyn Target>;

    /// Bytes of payload sent so far, compressed as they went.
    fn bytes_sent(&self) -> u64;

    /// Ends the remote shells and the connection. Never hangs.
    async fn close(&self);
}

/// Where a run keeps its account on a target.
#[derive(Debug, Clone)]
pub struct RunPlace {
    /// The release root of this target; `None` when the plan makes no release.
    pub root: Option<RemotePath>,
    /// The plan's name.
    pub plan: String,
    /// The run.
    pub run: RunId,
    /// What it executes; kept with each release that it lays out, for a later rollback.
    pub executes: Executes,
    /// The person or the machine that it runs for, kept with each of these releases, too; empty: not told.
    pub who: String,
    /// When it began, as RFC 3339, likewise.
    pub made_at: String,
}

/// What a run executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Executes {
    /// Of the plan's text.
    pub plan: Digest,
    /// Of the lock's text, which has the modules' digests.
    pub lock: Digest,
}

/// Where the paths of a request may physically be: what it reads, and what it writes, each held against its own list.
///
/// The parent folder is entered with `cd -P`, and where that leads must be inside the physical form of a granted
/// prefix and outside of that of every exception; an ancestor that somebody else than root, the login user or the
/// acting user may write to is refused. A link never leads into a folder `.runner`, and no tree that holds one is
/// read, moved or removed, unless the path of the request says `.runner` itself: steps cannot say it, the host can.
#[derive(Debug, Clone, Copy, Default)]
pub struct Within<'a> {
    /// For what is read: the path of verbs that read, what an archive packs, what is reused, the folder of a command.
    pub reads: Places<'a>,
    /// For what is written: the path of changes, where a command's output goes.
    pub writes: Places<'a>,
}

/// Prefixes of paths.
#[derive(Debug, Clone, Copy, Default)]
pub struct Places<'a> {
    /// A path must be below one of these.
    pub granted: &'a [RemotePath],
    /// What the step may write to, whether it reads or writes now: a link there may be its own, so that to where a granted
    /// prefix leads only one is followed that root has made where nobody else can, and not where root acts.
    pub written: &'a [RemotePath],
    /// And below none of these; of a tree, none of these may be in it.
    pub except: &'a [RemotePath],
}

impl<'a> Within<'a> {
    /// The same places for reading and writing, with no exception.
    pub fn both(granted: &'a [RemotePath]) -> Self {
        let places = Places { granted, ..Places::default() };
        Self { reads: places, writes: places }
    }
}

/// What comes before an effect, in the same request.
#[derive(Debug, Clone, Copy)]
pub struct Intent<'a> {
    /// A journal line that is appended to the run's file on the target.
    pub line: &'a str,
    /// Under what key a copy is kept of what a change destroys; `None`: none is.
    pub undo: Option<&'a UndoKey>,
}

impl<'a> Intent<'a> {
    /// An intent that keeps no copy.
    pub fn new(line: &'a str) -> Self {
        Self { line, undo: None }
    }
}

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// The size of the archive for [`Change::Archive`], whether anything differed (0 or 1) for [`Change::Unarchive`], else 0.
    pub size: u64,
    /// What became of the copy that an undo needs.
    pub copy: Kept,
    /// How many folders [`Change::Mkdir`] made, parents included.
    pub made_folders: u32,
    /// What [`Change::Unarchive`] left, which nobody knows before.
    pub after: Option<State>,
}

/// What became of the copy that an undo needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Kept {
    /// The state before says all, or no copy was asked for.
    #[default]
    NotNeeded,
    /// It is in the run's folder on the target.
    Made,
    /// The acting user cannot reach that folder: why. The change was made all the same.
    Impossible(String),
}

/// A change that is to be undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undo {
    /// What was done.
    pub change: Change,
    /// What was there before. Of a secret, with the digest and size as a record may keep them.
    pub before: State,
    /// What was there afterwards: for [`Change::Unarchive`], [`Applied::after`].
    pub after: State,
    /// Where the copy is, if one was kept.
    pub key: Option<UndoKey>,
    /// [`Applied::made_folders`], or [`Observed::folders`] where that is not known.
    pub made_folders: u32,
}

/// How an undo ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undone {
    /// What was there before is there again.
    Restored,
    /// It was there already, or the change is one that is never undone.
    Nothing,
    /// Neither what was there before nor what the change had left: this is there. Nothing was touched.
    Conflict(State),
    /// What an undo needs is missing: why. Nothing was touched.
    NoCopy(String),
}

/// What a command printed while it ran. Lines are raw: whoever shows them escapes them.
pub trait OutputSink: Send + Sync {
    /// A line of stdout or stderr, without its end.
    fn line(&self, stderr: bool, line: &str);
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Exit status; 128 + n for death by signal n.
    pub status: u32,
    /// The first 256 KiB.
    pub stdout: String,
    /// The first 256 KiB.
    pub stderr: String,
    /// There was more.
    pub truncated: bool,
}

/// What a change would find and leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// What is there now.
    pub before: State,
    /// What will be there. Equal to `before`: there is nothing to do.
    pub after: State,
    /// How many folders [`Change::Mkdir`] would make, parents included: for an undo that does not know what it did make.
    pub folders: u32,
}

/// The verbs of one machine, as one user. All are cancelled by dropping the future or by `cancel`; what they started
/// remotely is then ended remotely. All fail with `unreachable`, `timeout`, `cancelled` or `denied` (an unsafe path).
#[async_trait]
pub trait Target: Send + Sync {
    /// The target's name.
    fn name(&self) -> &TargetName;

    /// A fact, probed once per connection: `os`, `arch`, `distribution`, `user`, `hostname`, `init`, `has:<program>`
    /// (`true` or `false`). `not-found` for one that is not known.
    async fn fact(&self, name: &str) -> Result<String, Failure>;
    /// What is at the path; `None` when there is nothing.
    async fn stat(&self, path: &RemotePath, within: Within<'_>) -> Result<Option<Entry>, Failure>;
    /// What is in the folder, sorted by name, bytewise.
    async fn read_dir(&self, path: &RemotePath, within: Within<'_>) -> Result<Vec<Entry>, Failure>;
    /// What is written in the link.
    async fn read_link(&self, path: &RemotePath, within: Within<'_>) -> Result<String, Failure>;
    /// The text of a file of up to 1 MiB; `invalid` when it is larger or not UTF-8.
    async fn read(&self, path: &RemotePath, within: Within<'_>) -> Result<String, Failure>;
    /// Of a file's content, or of a folder's manifest.
    async fn digest(&self, path: &RemotePath, within: Within<'_>) -> Result<Digest, Failure>;
    /// Bytes that the user may still write to the file system of the path.
    async fn disk_free(&self, path: &RemotePath, within: Within<'_>) -> Result<u64, Failure>;
    /// Copies a file or a folder into the artifact store.
    async fn fetch(&self, path: &RemotePath, within: Within<'_>) -> Result<Digest, Failure>;
    /// Whether the unit runs.
    async fn service_is_active(&self, unit: &str) -> Result<bool, Failure>;

    /// What the change would find and leave; writes nothing. Fails as the change itself would (`conflict`, `not-found`).
    async fn observe(&self, change: &Change, within: Within<'_>) -> Result<Observed, Failure>;
    /// Appends the intent, keeps a copy of what the change destroys if the intent has a key for it, then makes the change.
    /// `before` is what [`Target::observe`] saw. A disk without room for the copy is a `conflict`: nothing was changed.
    async fn apply(
        &self,
        change: &Change,
        before: &State,
        within: Within<'_>,
        intent: Intent<'_>,
    ) -> Result<Applied, Failure>;
    /// Puts back what was there before the change, if what the change left still stands: content, mode, owner, group and
    /// links. The intent is appended before anything is put back. A failure after that says what is not as it was.
    async fn undo(&self, undo: &Undo, within: Within<'_>, intent: Intent<'_>) -> Result<Undone, Failure>;
    /// Writes a line into the run's file on the target, with nothing that happens.
    async fn note(&self, line: &str) -> Result<(), Failure>;
    /// Removes the copies of this run that belong to this user, and what was noted of its process groups.
    async fn forget(&self) -> Result<(), Failure>;
    /// Appends the intent, then asks the init system, or runs the inventory's service command. Returns when the unit
    /// has reached the state.
    async fn service(&self, unit: &str, action: ServiceAction, intent: Intent<'_>) -> Result<(), Failure>;
    /// Appends the intent, if any, then runs the command (not its `skip_if`) under a wrapper that owns its process
    /// group. Any exit status is an `Ok`. `not-found`: no such program.
    async fn run(
        &self,
        command: &Command,
        within: Within<'_>,
        intent: Option<Intent<'_>>,
        sink: &dyn OutputSink,
        cancel: &CancellationToken,
    ) -> Result<Output, Failure>;

    /// The complete releases below the root, newest first; none where nothing is there. `<root>/releases` must be in
    /// these places, wherever links lead.
    async fn releases(&self, root: &RemotePath, within: Within<'_>) -> Result<Vec<Release>, Failure>;
    /// The same with all that the accounts of these releases tell. What a run told of itself is raw: whoever shows it
    /// escapes it.
    async fn accounts(&self, root: &RemotePath, within: Within<'_>) -> Result<Accounts, Failure>;
    /// Keeps a JSON text of up to 1 MiB with the account of a release, in the place of the one that was kept before; with
    /// the account it goes, and comes back. `not-found`: the release has no account.
    async fn keep(
        &self,
        root: &RemotePath,
        release: &ReleaseId,
        text: &str,
        intent: Intent<'_>,
    ) -> Result<(), Failure>;
    /// What [`Target::keep`] has kept of a release that has an account, if it has. Nothing of it was looked at: the target
    /// may have written anything. Places as for [`Target::releases`].
    async fn kept(
        &self,
        root: &RemotePath,
        release: &ReleaseId,
        within: Within<'_>,
    ) -> Result<Option<String>, Failure>;
    /// Marks a release; nothing, not even the intent, when it already has the mark.
    async fn mark(
        &self,
        root: &RemotePath,
        release: &ReleaseId,
        mark: Mark,
        intent: Intent<'_>,
    ) -> Result<(), Failure>;
    /// Appends the intent, if any, sends the text to a socket on the target and answers all that comes back until the other
    /// side closes: at most 1 MiB of UTF-8 (else `invalid`), within 10 s. The socket is in the places that are written to.
    /// `conflict`: it is no socket, nobody listens, or it cannot be reached.
    async fn exchange(
        &self,
        exchange: &Exchange,
        within: Within<'_>,
        intent: Option<Intent<'_>>,
    ) -> Result<String, Failure>;
    /// Where on this machine a socket is that leads to `host:port` as seen from the target.
    async fn forward(&self, host: &str, port: u16) -> Result<Forward, Failure>;
}

/// A socket on this machine whose other end is near a target; open as long as the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forward {
    /// Connect as usual: the target is this machine.
    Direct,
    /// A Unix socket in a folder that only this user can enter.
    Socket(PathBuf),
}
