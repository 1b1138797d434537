//! Trees on a target: listing, digest, and copying them into the artifact store.

use crate::Within;
use crate::channel::{Bounds, Input, Keep, Request, Sink};
use crate::held::Held;
use crate::listing::{self, Listed};
use crate::machine::refusal;
use crate::script::Line;
use crate::shell::{Answer, nonce};
use crate::user::{User, split};
use async_trait::async_trait;
use runner_artifact::{Node, Store, Tree};
use runner_model::{Acting, Digest, Failure, FailureKind, RemotePath};
use std::io::Read as _;
use std::sync::Arc;
use tokio::sync::mpsc;

impl User {
    /// The manifest of a folder. Refused where others than trusted users could have swapped parts of it meanwhile.
    pub(crate) async fn tree_of(
        &self,
        what: &str,
        path: &RemotePath,
        held: Held<'_>,
    ) -> Result<Tree, Failure> {
        let listed = self.list(what, path, held).await?;
        self.only_trusted(what, &listed).await?;
        Ok(listed.tree)
    }

    pub(crate) async fn list(
        &self,
        what: &str,
        path: &RemotePath,
        held: Held<'_>,
    ) -> Result<Listed, Failure> {
        let (folder, base) = split(path);
        let mark = nonce();
        let line = Line::new("v_tree").arg(folder).arg(base).arg(&mark);
        let mut keep = Keep::default();
        let bounds = Bounds { limit: self.machine.limits().data, cancel: None };
        let ended = self.exchange(what, held, Request::new(&line), &mut keep, bounds).await?;
        if ended.status != 0 {
            return Err(refusal(what, &Answer { status: ended.status, out: tail(keep.out), err: keep.err }));
        }
        let listed = listed(what, keep.out, mark).await?;
        let own = |path: &str| path.split('/').any(|segment| segment == ".runner");
        let inner = listed.tree.entries().find(|(inner, _)| own(inner.as_str()));
        match inner.filter(|_| !own(path.as_str())) {
            Some((inner, _)) => Err(Failure::new(
                FailureKind::Denied,
                format!("{what}: `{inner}` in it belongs to the runner"),
            )),
            None => Ok(listed),
        }
    }

    /// Refuses a tree with folders that somebody else may change.
    async fn only_trusted(&self, what: &str, listed: &Listed) -> Result<(), Failure> {
        let own = self.ready(what).await?.facts;
        let login = self.machine.ready(&Acting::Login).await?.facts;
        let users = ["0", own.get("uid"), login.get("uid")];
        let groups = [own.get("private"), login.get("private")];
        let open = listed.folders.iter().find(|(_, mode, uid, gid)| {
            let by_group = mode & 0o020 != 0 && !groups.contains(&gid.as_str());
            !users.contains(&uid.as_str()) || ((by_group || mode & 0o002 != 0) && mode & 0o1000 == 0)
        });
        match open {
            Some((name, mode, uid, _)) => Err(Failure::new(
                FailureKind::Denied,
                format!(
                    "{what}: others may change the folder `{}` in it (user id {uid}, mode {mode:04o})",
                    if name.is_empty() { "." } else { name.as_str() }
                ),
            )
            .with_detail("let the step act as the owner of that folder, with `become`")),
            None => Ok(()),
        }
    }

    pub(crate) async fn do_fetch(&self, path: &RemotePath, within: Within<'_>) -> Result<Digest, Failure> {
        let what = self.what("fetch", path);
        let held = within.reading();
        held.covers(&what, path)?;
        let (folder, base) = split(path);
        let line = Line::new("v_cat").arg(&folder).arg(&base);
        let named = what.clone();
        let whole = move |store: &Store, reader: Reader| {
            store.put_reader(reader).map(|(digest, _)| digest).map_err(|error| stored(&named, &error))
        };
        match self.stream(&what, held, &line, Input::None, whole).await {
            Ok(digest) => return Ok(digest),
            Err(Stopped::Status(answer)) if answer.status == 48 => {}
            Err(Stopped::Status(answer)) => return Err(refusal(&what, &answer)),
            Err(Stopped::Failure(failure)) => return Err(failure),
        }
        let tree = self.tree_of(&what, path, held).await?;
        // Only what the store lacks is sent, one file after the other in one stream; the listing tells their sizes.
        let store = Arc::clone(&self.machine.shared.store);
        let missing: Vec<(String, Digest, u64)> = store
            .missing(&tree)
            .into_iter()
            .filter_map(|(at, node)| match node {
                Node::File { digest, size, .. } => Some((at.as_str().to_owned(), *digest, *size)),
                _ => None,
            })
            .collect();
        if !missing.is_empty() {
            let names: Vec<u8> =
                missing.iter().flat_map(|(at, ..)| format!("./{at}\0").into_bytes()).collect();
            let line = Line::new("v_cats").arg(&folder).arg(&base);
            let changed = what.clone();
            let split = move |store: &Store, mut reader: Reader| {
                for (at, digest, size) in missing {
                    let found = store.put_reader(reader.by_ref().take(size));
                    let (found, _) = found.map_err(|error| stored(&changed, &error))?;
                    if found != digest {
                        let why = format!("{changed}: `{}` changed while it was read", at.escape_debug());
                        return Err(Failure::new(FailureKind::Conflict, why));
                    }
                }
                Ok(())
            };
            match self.stream(&what, held, &line, Input::Bytes(names), split).await {
                Ok(()) => {}
                Err(Stopped::Status(answer)) => return Err(refusal(&what, &answer)),
                Err(Stopped::Failure(failure)) => return Err(failure),
            }
        }
        blocking(move || store.put_tree(&tree)).await?.map_err(|error| stored(&what, &error))
    }

    /// Streams stdout of a verb into the store.
    async fn stream<T: Send + 'static>(
        &self,
        what: &str,
        held: Held<'_>,
        line: &Line,
        input: Input,
        take: impl FnOnce(&Store, Reader) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Stopped> {
        let (sender, receiver) = mpsc::channel(8);
        let store = Arc::clone(&self.machine.shared.store);
        let mut sink = Stream { to: Some(sender), err: Vec::new(), first: Vec::new() };
        let writing =
            tokio::task::spawn_blocking(move || take(&store, Reader { from: receiver, chunk: Vec::new() }));
        let bounds = Bounds { limit: self.machine.limits().data, cancel: None };
        let request = Request { input, ..Request::new(line) };
        let ended = self.exchange(what, held, request, &mut sink, bounds).await;
        if !matches!(&ended, Ok(ended) if ended.status == 0)
            && let Some(to) = &sink.to
        {
            // Then nothing is stored.
            let _ = to.send(Err(std::io::Error::other("it ended early"))).await;
        }
        sink.to = None;
        let written = writing.await;
        let ended = ended.map_err(Stopped::Failure)?;
        if ended.status != 0 {
            return Err(Stopped::Status(Answer { status: ended.status, out: sink.first, err: sink.err }));
        }
        match written {
            Ok(Ok(taken)) => Ok(taken),
            Ok(Err(failure)) => Err(Stopped::Failure(failure)),
            Err(error) => Err(Stopped::Failure(Failure::new(FailureKind::Other, format!("{what}: {error}")))),
        }
    }
}

enum Stopped {
    Failure(Failure),
    Status(Answer),
}

/// The end of an output, where a refusal's words are.
fn tail(mut out: Vec<u8>) -> Vec<u8> {
    let cut = out.len().saturating_sub(400);
    out.drain(..cut);
    match out.iter().rposition(|&b| b == b'\n' || b == 0) {
        Some(end) if end + 1 < out.len() => out.split_off(end + 1),
        _ => out,
    }
}

/// Reads a listing off the async threads.
pub(crate) async fn listed(what: &str, printed: Vec<u8>, mark: String) -> Result<Listed, Failure> {
    blocking(move || listing::tree(&printed, &mark))
        .await?
        .map_err(|why| Failure::new(FailureKind::Invalid, format!("{what}: {why}")))
}

/// Work for the processor.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::new(FailureKind::Other, error))
}

/// The artifact store failed.
pub(crate) fn stored(what: &str, error: &runner_artifact::Error) -> Failure {
    Failure::new(FailureKind::Other, format!("{what}: {error}")).with_detail(error.mend())
}

struct Stream {
    to: Option<mpsc::Sender<std::io::Result<Vec<u8>>>>,
    err: Vec<u8>,
    /// The first bytes, for a refusal's words.
    first: Vec<u8>,
}

#[async_trait]
impl Sink for Stream {
    async fn out(&mut self, bytes: Vec<u8>) {
        if self.first.len() < 400 {
            self.first.extend_from_slice(&bytes[..bytes.len().min(400)]);
        }
        if let Some(to) = &self.to {
            let _ = to.send(Ok(bytes)).await;
        }
    }

    async fn err(&mut self, bytes: Vec<u8>) {
        if self.err.len() < 16 << 10 {
            self.err.extend(bytes);
        }
    }
}

/// The receiving end as a reader for a blocking thread.
struct Reader {
    from: mpsc::Receiver<std::io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
}

impl std::io::Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.chunk.is_empty() {
            match self.from.blocking_recv() {
                Some(next) => self.chunk = next?,
                None => return Ok(0),
            }
        }
        let count = self.chunk.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.chunk[..count]);
        self.chunk.drain(..count);
        Ok(count)
    }
}
