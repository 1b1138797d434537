//! The journal of a run that goes on: many append, one thread writes, one `fdatasync` serves all who wait.

use crate::chain::{Chain, Line, encode};
use crate::entry::{Entry, Header, INLINE_MAX, Payload};
use crate::reader::{Damage, Record};
use jiff::Timestamp;
use runner_artifact::Store;
use runner_model::{Digest, Failure, FailureKind, Verdict};
use serde_json::Value;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::oneshot;

/// The name of the file in the folder of a run.
pub const FILE: &str = "journal.jsonl";

/// The largest payload that is carried to a target, in bytes of its JSON.
const CARRIED_MAX: u64 = 1 << 20;

/// Why something could not be recorded. From then on nothing is: the run must stop before its next effect.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("{what} `{}`: {source}", .path.display())]
    Io {
        /// The verb.
        what: &'static str,
        /// What it was about.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// A payload could not be stored.
    #[error("store a payload of the journal: {0}")]
    Payload(Arc<runner_artifact::Error>),
    /// An entry has no JSON.
    #[error("write an entry of the journal as JSON: {0}")]
    Encode(Arc<serde_json::Error>),
    /// The journal was closed before.
    #[error("append to the journal: it is closed")]
    Closed,
}

impl Error {
    /// The operating system refused.
    pub fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), source: Arc::new(source) }
    }
}

/// Why nobody can go on with a run.
#[derive(Debug, thiserror::Error)]
pub enum NotResumed {
    /// Its journal cannot be read or written.
    #[error(transparent)]
    Io(Error),
    /// A line of it is not what was written.
    #[error(transparent)]
    Damaged(Damage),
    /// Whoever runs it has not ended.
    #[error("the run still goes on: `{}` is held by another process", .0.display())]
    GoesOn(PathBuf),
}

/// Takes the journal for this process alone. The operating system gives it back, however the process ends.
fn own(file: &File, path: &Path) -> Result<(), NotResumed> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(NotResumed::GoesOn(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(NotResumed::Io(Error::io("lock the journal", path, error))),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let detail =
            "without its journal a run must not go on: free some space or mend the disk, and run again";
        Self::new(FailureKind::Other, &error).with_detail(detail)
    }
}

/// The journal of a run that goes on. Share it behind an `Arc`.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    store: Arc<Store>,
    began: Instant,
    /// Milliseconds from the beginning of the run to `began`.
    before: u64,
    path: PathBuf,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
}

/// What waits to be written.
#[derive(Debug, Default)]
struct Queue {
    chain: Chain,
    bytes: Vec<u8>,
    /// Payloads that must be on the disk when the lines are.
    payloads: Vec<Digest>,
    waiting: Vec<oneshot::Sender<Result<(), Error>>>,
    /// The first error; there is no second.
    failed: Option<Error>,
    closed: bool,
    /// Nobody will append any more.
    ended: bool,
}

impl Journal {
    /// Begins the journal of a run in its folder, which is made when it is missing (0700). The header is on the disk
    /// when this returns.
    ///
    /// # Errors
    /// There is a journal already, or it cannot be written.
    pub fn create(folder: &Path, store: Arc<Store>, header: Header) -> Result<Self, Error> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| Error::io("make the folder", folder, error))?;
        let path = folder.join(FILE);
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path);
        let mut file = file.map_err(|error| Error::io("begin the journal", &path, error))?;
        file.lock().map_err(|error| Error::io("lock the journal", &path, error))?;
        let json =
            encode(&Entry::Header(Box::new(header))).map_err(|error| Error::Encode(Arc::new(error)))?;
        let mut chain = Chain::default();
        let line = chain.seal(0, &json).text + "\n";
        let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_all());
        written.map_err(|error| Error::io("begin the journal", &path, error))?;
        File::open(folder).and_then(|at| at.sync_all()).map_err(|error| Error::io("sync", folder, error))?;
        Self::on(file, path, store, chain, 0)
    }

    /// Goes on with the journal in this folder: a torn last line is taken off, the rest is as it was. Answers what is in it;
    /// the first thing appended is [`Entry::Resumed`].
    ///
    /// # Errors
    /// It cannot be read or written, a line of it is broken, or the run still goes on.
    pub fn resume(folder: &Path, store: Arc<Store>) -> Result<(Self, Record), NotResumed> {
        let path = folder.join(FILE);
        let io = |what, error| NotResumed::Io(Error::io(what, &path, error));
        let file = OpenOptions::new().read(true).append(true).open(&path);
        let file = file.map_err(|error| io("open the journal", error))?;
        own(&file, &path)?;
        let record = Record::load(&path).map_err(NotResumed::Damaged)?;
        let torn = match record.damage {
            None => 0,
            Some(Damage::Torn { .. }) => {
                let all = file.metadata().map_err(|error| io("stat", error))?.len();
                file.set_len(record.whole).map_err(|error| io("shorten the journal", error))?;
                all.saturating_sub(record.whole)
            }
            Some(damage) => return Err(NotResumed::Damaged(damage)),
        };
        // It goes on where it ended, or later: what is in it says nothing of the time between.
        let last = record.entries.last().map_or(0, |last| last.at);
        let passed = Timestamp::now().duration_since(record.header.started).unsigned_abs();
        let passed = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).max(last);
        let journal = Self::on(file, path, store, record.chain(), passed).map_err(NotResumed::Io)?;
        let resumed = Entry::Resumed { started: Timestamp::now(), torn, from_targets: false };
        journal.append(&resumed).map_err(NotResumed::Io)?;
        Ok((journal, record))
    }

    fn on(file: File, path: PathBuf, store: Arc<Store>, chain: Chain, before: u64) -> Result<Self, Error> {
        let queue = Mutex::new(Queue { chain, ..Queue::default() });
        let shared = Arc::new(Shared { queue, filled: Condvar::new() });
        let writer =
            Writer { file, path: path.clone(), shared: Arc::clone(&shared), store: Arc::clone(&store) };
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run());
        let thread = thread.map_err(|error| Error::io("start a thread for", &path, error))?;
        Ok(Self { shared, store, began: Instant::now(), before, path, writer: Mutex::new(Some(thread)) })
    }

    /// A payload that is in the store and not in its entry, as whoever has no store needs it; `None` where it is in the
    /// entry, or too large to be carried.
    pub fn carried(&self, payload: &Payload) -> Option<String> {
        let Payload::Stored { digest, size } = payload else { return None };
        let json = self.store.read_bytes(digest, CARRIED_MAX.min(*size)).ok()?;
        String::from_utf8(json).ok()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Prepares a value for an entry: what is larger than 4 KiB goes to the store. It is on the disk when a line that
    /// is appended later is durable.
    ///
    /// # Errors
    /// It cannot be stored; then nothing is appended any more.
    pub fn payload(&self, value: Value) -> Result<Payload, Error> {
        let json = serde_json::to_string(&value).map_err(|error| Error::Encode(Arc::new(error)))?;
        if json.len() <= INLINE_MAX {
            return Ok(Payload::Inline(value));
        }
        let stored = self.store.put_bytes(json.as_bytes()).map_err(|error| Error::Payload(Arc::new(error)));
        let mut queue = self.shared.lock();
        match stored {
            Ok(digest) => {
                queue.payloads.push(digest);
                Ok(Payload::Stored { digest, size: json.len() as u64 })
            }
            Err(error) => {
                queue.failed.get_or_insert_with(|| error.clone());
                Err(error)
            }
        }
    }

    /// Appends an entry, in the order of the calls, and does not wait.
    ///
    /// # Errors
    /// An entry before it could not be written, or the journal is closed.
    pub fn append(&self, entry: &Entry) -> Result<Line, Error> {
        self.line(entry, false).map(|(line, _)| line)
    }

    /// Appends an entry and returns when it, all before it and their payloads are on the disk. The line is what the
    /// target is given. Dropping the future does not take the entry back.
    ///
    /// # Errors
    /// It, or one before it, could not be written, or the journal is closed.
    pub async fn append_durable(&self, entry: &Entry) -> Result<Line, Error> {
        let (line, written) = self.line(entry, true)?;
        if let Some(written) = written {
            written.await.unwrap_or(Err(Error::Closed))?;
        }
        Ok(line)
    }

    /// Returns when all that was appended so far is on the disk: whoever reads the file now finds it.
    ///
    /// # Errors
    /// Something of it could not be written.
    pub async fn sync(&self) -> Result<(), Error> {
        let (sender, written) = oneshot::channel();
        self.shared.lock().waiting.push(sender);
        self.shared.filled.notify_one();
        written.await.unwrap_or(Err(Error::Closed))
    }

    /// Ends the journal; returns the hash of its last line, which the report of the run shows.
    ///
    /// # Errors
    /// Something could not be written, or it was closed before.
    pub async fn close(&self, verdict: Verdict) -> Result<Digest, Error> {
        let (line, written) = self.line(&Entry::Closed { verdict }, true)?;
        if let Some(written) = written {
            written.await.unwrap_or(Err(Error::Closed))?;
        }
        Ok(line.hash)
    }

    /// The first error, when there was one: the run must not go on.
    pub fn failure(&self) -> Option<Error> {
        self.shared.lock().failed.clone()
    }

    fn line(&self, entry: &Entry, durable: bool) -> Result<(Line, Option<Written>), Error> {
        let json = encode(entry).map_err(|error| Error::Encode(Arc::new(error)))?;
        let mut queue = self.shared.lock();
        if let Some(error) = &queue.failed {
            return Err(error.clone());
        }
        if queue.closed {
            return Err(Error::Closed);
        }
        queue.closed = matches!(entry, Entry::Closed { .. });
        let at = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let at = at.saturating_add(self.before);
        let line = queue.chain.seal(at, &json);
        queue.bytes.extend_from_slice(line.text.as_bytes());
        queue.bytes.push(b'\n');
        let written = durable.then(|| {
            let (sender, receiver) = oneshot::channel();
            queue.waiting.push(sender);
            receiver
        });
        drop(queue);
        self.shared.filled.notify_one();
        Ok((line, written))
    }
}

type Written = oneshot::Receiver<Result<(), Error>>;

impl Drop for Journal {
    /// Writes what waits. A run that ends without `close` leaves a journal that says so: it has no `closed`.
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.filled.notify_one();
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A panic of the writer has already failed all who waited.
            let _ = writer.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while the queue is half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one thread that writes.
struct Writer {
    file: File,
    path: PathBuf,
    shared: Arc<Shared>,
    store: Arc<Store>,
}

impl Writer {
    fn run(mut self) {
        // Reused, so that a long run does not allocate for each batch.
        let mut bytes = Vec::new();
        loop {
            let mut queue = self.shared.lock();
            while queue.bytes.is_empty() && queue.waiting.is_empty() && !queue.ended {
                queue = self.shared.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            bytes.clear();
            std::mem::swap(&mut bytes, &mut queue.bytes);
            let waiting = std::mem::take(&mut queue.waiting);
            let ended = queue.ended;
            let sync = !waiting.is_empty() || ended;
            let payloads = if sync { std::mem::take(&mut queue.payloads) } else { Vec::new() };
            let failed = queue.failed.clone();
            drop(queue);
            // After an error nothing is written, not even what would fit: a hole in the chain is worse than its end.
            let result = match failed {
                Some(error) => Err(error),
                None => self.write(&bytes, sync, &payloads),
            };
            if let Err(error) = &result {
                self.shared.lock().failed.get_or_insert_with(|| error.clone());
            }
            for waiter in waiting {
                // Whoever has gone does not want to know.
                let _ = waiter.send(result.clone());
            }
            if ended {
                return;
            }
        }
    }

    fn write(&mut self, bytes: &[u8], sync: bool, payloads: &[Digest]) -> Result<(), Error> {
        for digest in payloads {
            self.store.sync(digest).map_err(|error| Error::Payload(Arc::new(error)))?;
        }
        self.file.write_all(bytes).map_err(|error| Error::io("write the journal", &self.path, error))?;
        if sync {
            // Never tried again: after a failure the kernel forgets what it could not write, and says that all is well.
            self.file.sync_data().map_err(|error| Error::io("sync the journal", &self.path, error))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
