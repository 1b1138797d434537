//! What one invocation is part of, and what it may reach: everything that the host functions act through.
//!
//! The sandbox names the things it needs as traits; the executor of this process gives it connections, a journal and
//! a workspace, and a test gives it what it likes.

use super::clock::Origin;
use super::gate::{Gate, Touch};
use super::record::{Acts, Record};
use async_trait::async_trait;
use runner_artifact::WorkspacePath;
use runner_engine::EventSender;
use runner_model::grant::{Ask, Granted, Layers};
use runner_model::{
    Acting, Digest, Failure, FailureKind, ReleaseId, RemotePath, Request, RunId, SecretName, StepId,
    TargetName,
};
use runner_secret::Vault;
use runner_transport::{Places, Within};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long an effect whose intent is written may still take to end by itself after a cancel. A verb that is cut off
/// leaves its target in doubt; most end sooner than anyone can press a key again.
const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// What `run-info` answers; fixed while the invocation lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunInfo {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepId,
    /// The target that the step runs for; `localhost` for a step that runs once.
    pub target: TargetName,
    /// The target that it acts on: the same, except where the plan says `on`.
    pub current: TargetName,
    /// 1 for the first try.
    pub attempt: u32,
    /// The environment's name.
    pub environment: String,
    /// The release of this run, when it is known.
    pub release: Option<ReleaseId>,
    /// What was live on the subject when the run began.
    pub previous: Option<ReleaseId>,
    /// The target on whose behalf the step runs; `None` for a step that runs once.
    pub subject: Option<TargetName>,
    /// The subject's variables.
    pub variables: BTreeMap<String, String>,
}

impl RunInfo {
    /// The same for every attempt at this step, on this target, in this run.
    pub fn operation_key(&self) -> String {
        format!("{}/{}/{}", self.run, self.step, self.target)
    }
}

/// The machines of the inventory.
#[async_trait]
pub trait Machines: Send + Sync {
    /// Whether the inventory has it.
    fn has(&self, name: &TargetName) -> bool;
    /// The verbs of the machine, acting as this user; connects when that has not happened.
    async fn acting(
        &self,
        name: &TargetName,
        user: &Acting,
    ) -> Result<Arc<dyn runner_transport::Target>, Failure>;
}

/// An answer to a request, of whatever status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpAnswer {
    /// As in RFC 9110.
    pub status: u16,
    /// In the order of the answer, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The first 1 MiB; what is not UTF-8 is replaced.
    pub body: String,
    /// There was more.
    pub truncated: bool,
}

/// A request that is granted.
#[derive(Debug, Clone)]
pub struct Sending {
    /// All that was put into it.
    pub request: Request,
    /// Its URL, parsed.
    pub url: url::Url,
    /// Whether the grant spells out the address, which then need not be one that names may lead to.
    pub named_literally: bool,
}

/// Where the paths of a call may physically be. What is read and what is written is kept apart: a grant to read one
/// folder must never widen where a link may lead a write.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Reach {
    reads: Spots,
    writes: Spots,
    /// What the step may write to, whichever of the two a call is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    written: Vec<RemotePath>,
}

/// One of the two lists.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Spots {
    granted: Vec<RemotePath>,
    except: Vec<RemotePath>,
}

impl Spots {
    fn as_places<'a>(&'a self, written: &'a [RemotePath]) -> Places<'a> {
        Places { granted: &self.granted, written, except: &self.except }
    }
}

impl Reach {
    /// Takes in what the answer to an ask allows. Asks that are not about paths add nothing.
    pub(crate) fn add(&mut self, ask: &Ask<'_>, granted: Granted) {
        let spots = match ask {
            Ask::Read(_) | Ask::ReadTree(_) => &mut self.reads,
            Ask::Write(_) | Ask::WriteTree(_) | Ask::Socket { .. } => &mut self.writes,
            _ => return,
        };
        spots.granted.extend(granted.prefixes);
        spots.except.extend(granted.except);
        self.written.extend(granted.written);
    }

    /// What the answer to one ask allows.
    pub(crate) fn of(ask: &Ask<'_>, granted: Granted) -> Self {
        let mut reach = Self::default();
        reach.add(ask, granted);
        reach
    }

    /// As the verbs of a machine take it.
    pub fn as_within(&self) -> Within<'_> {
        let (reads, writes) = (self.reads.as_places(&self.written), self.writes.as_places(&self.written));
        Within { reads, writes }
    }
}

/// What became of a download.
#[derive(Debug, Clone)]
pub enum Download {
    /// The body of a 2xx answer, in the store.
    Stored(Digest),
    /// Any other status.
    Status(u16),
}

/// Whoever sends requests. The grant was checked; the addresses that a name leads to are checked here.
#[async_trait]
pub trait Http: Send + Sync {
    /// Sends the request and reads the answer. Redirects are answers.
    async fn send(&self, context: &Context, sending: &Sending) -> Result<HttpAnswer, Failure>;
    /// The same, with the body into the store.
    async fn download(&self, context: &Context, sending: &Sending) -> Result<Download, Failure>;
}

/// What a step changed, kept until an invocation of it ends well, so that a retry still answers `true` for what an
/// earlier, failed attempt did: a restart behind `if changed` is then never lost.
#[derive(Debug, Default)]
pub struct Marks(Mutex<BTreeMap<(StepId, TargetName), Changed>>);

/// What was changed: paths, on machines.
pub type Changed = BTreeSet<(TargetName, String)>;

impl Marks {
    /// Whether an earlier, failed invocation of this step changed this path of this machine.
    pub(crate) fn has(&self, info: &RunInfo, on: &TargetName, path: &str) -> bool {
        let marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        marks
            .get(&(info.step.clone(), info.target.clone()))
            .is_some_and(|changed| changed.contains(&(on.clone(), path.to_owned())))
    }

    /// Takes in what an earlier part of the run changed in attempts that are over.
    pub fn remember(&self, step: StepId, target: TargetName, changed: Changed) {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        marks.entry((step, target)).or_default().extend(changed);
    }

    /// Takes over what an invocation changed: kept when it failed, forgotten when it ended well.
    pub fn settle(&self, info: &RunInfo, changed: BTreeSet<(TargetName, String)>, ended_well: bool) {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (info.step.clone(), info.target.clone());
        if ended_well {
            marks.remove(&key);
        } else if !changed.is_empty() {
            marks.entry(key).or_default().extend(changed);
        }
    }
}

/// The artifacts of a run, and which of them steps gave out. A digest alone opens nothing: the user's store holds
/// what other runs and other plans made.
#[derive(Debug, Default)]
pub struct Given {
    sets: Mutex<(BTreeSet<Digest>, BTreeSet<Digest>)>,
}

impl Given {
    /// Remembers what a step of this run made.
    pub(crate) fn made(&self, digest: Digest) {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner).0.insert(digest);
    }

    /// Whether a step of this run gave it out.
    pub(crate) fn is_given(&self, digest: &Digest) -> bool {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner).1.contains(digest)
    }

    /// Gives out every artifact of this run whose digest stands in the outputs of a step that ended well.
    pub fn give_out(&self, outputs: &Value) {
        match outputs {
            Value::String(text) => {
                if let Ok(digest) = text.parse::<Digest>() {
                    let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
                    if sets.0.contains(&digest) {
                        sets.1.insert(digest);
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.give_out(value)),
            Value::Object(values) => values.values().for_each(|value| self.give_out(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Everything that the host functions of one invocation act through.
pub struct Context {
    /// What it is part of.
    pub info: RunInfo,
    /// The module, as messages name it.
    pub module: String,
    /// Where its lines and its progress go.
    pub events: EventSender,
    /// When this is cancelled, every call that can fail fails with `cancelled`.
    pub cancel: CancellationToken,
    /// The user that it acts as on its target.
    pub acting: Acting,
    /// The machines.
    pub machines: Arc<dyn Machines>,
    /// Where its clocks and random numbers come from.
    pub origin: Origin,
    /// The journal.
    pub record: Arc<dyn Record>,
    /// What earlier attempts changed.
    pub marks: Arc<Marks>,
    /// The artifacts of this run.
    pub given: Arc<Given>,
    /// The store.
    pub store: Arc<runner_artifact::Store>,
    /// The plan's folder, as this invocation sees it.
    pub workspace: Arc<runner_artifact::Snapshot>,
    /// Whoever sends requests.
    pub http: Arc<dyn Http>,
    /// The values of the run's secrets.
    pub vault: Arc<Vault>,
    /// The secrets that the step is given, by what the module calls them: the name in the plan, and where it comes from.
    pub secrets: BTreeMap<SecretName, (SecretName, String)>,
    /// What the step may do.
    pub layers: Arc<Layers>,
    /// Whoever knows which targets are in service; `None`: nobody does, or it is the cluster itself that asks.
    pub gate: Option<Arc<dyn Gate>>,
    /// Whether people want to see what changes make different.
    pub diff: bool,
    /// Whether a sleep takes its time: in a dry run and in a replay it only moves the clock.
    pub waits: bool,
    /// In a dry run: what it keeps in mind of the workspace. Machines and requests are rehearsed behind their traits.
    pub rehearsal: Option<Arc<Rehearsal>>,
}

/// Files of the workspace that a dry run would have written.
#[derive(Debug, Default)]
pub struct Rehearsal(Mutex<Vec<WorkspacePath>>);

impl Rehearsal {
    /// This would have been written.
    pub(crate) fn wrote(&self, path: WorkspacePath) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(path);
    }

    /// Whether what is at a path is what it would be.
    pub(crate) fn knows(&self, path: &WorkspacePath) -> Result<(), Failure> {
        let written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match written.iter().find(|written| written.is_within(path) || path.is_within(written)) {
            None => Ok(()),
            Some(written) => Err(Failure::new(
                FailureKind::Unknown,
                format_args!("read `{path}` of the plan's folder, after `{written}` would have been written"),
            )),
        }
    }
}

impl Context {
    /// Whether the step may do this; a denial names the layer that refuses and the line that mends it.
    pub(crate) fn allow(&self, ask: &Ask<'_>) -> Result<Granted, Failure> {
        Ok(self.layers.check(ask)?)
    }

    /// Whether this may be done to a machine now.
    pub(crate) fn not_in_service(&self, on: &TargetName, touch: Touch<'_>) -> Result<(), Failure> {
        self.gate.as_ref().map_or(Ok(()), |gate| gate.allows(on, touch))
    }

    /// Does something to a machine that leads to nothing that is in service there.
    pub(crate) async fn beside_what_serves<T, F>(
        &self,
        on: &TargetName,
        within: &Reach,
        act: impl FnOnce(Reach) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut within = within.clone();
        let spared = self.gate.as_ref().map(|gate| gate.spared(on)).unwrap_or_default();
        let none_serves = spared.is_empty();
        within.writes.except.extend(spared);
        let done = act(within).await;
        if let (Err(Failure { kind: FailureKind::Denied, .. }), false, Some(gate)) =
            (&done, none_serves, &self.gate)
        {
            gate.led_there();
        }
        done
    }

    /// As whom an effect is done that may be there.
    pub(crate) fn acts(&self, reach: Reach, folders: u32) -> Acts {
        let user = match &self.acting {
            Acting::Login => None,
            Acting::As(user) => Some(user.clone()),
        };
        Acts { user, reach, folders, ..Acts::default() }
    }

    /// The same with a place for a copy of what it destroys.
    pub(crate) fn acts_with_copy(&self, reach: Reach, folders: u32) -> Acts {
        let short: String = self.info.step.as_str().chars().take(32).collect();
        // Letters, digits and a dot are a key.
        let key = format!("{short}.{:016x}", rand::random::<u64>()).parse().ok();
        Acts { key, ..self.acts(reach, folders) }
    }

    /// Whether the step may reach a machine: its own, or one that is granted by name. Asked at every use: on a resume a
    /// handle may come out of a record.
    pub(crate) fn may_reach(&self, on: &TargetName) -> Result<(), Failure> {
        if *on != self.info.current {
            self.allow(&Ask::Target(on))?;
        }
        Ok(())
    }

    /// The verbs of a machine, as the user that the step acts as.
    pub(crate) async fn verbs(&self, on: &TargetName) -> Result<Arc<dyn runner_transport::Target>, Failure> {
        self.may_reach(on)?;
        if let Acting::As(user) = &self.acting {
            self.allow(&Ask::As(user))?;
        }
        self.or_cancelled(self.machines.acting(on, &self.acting)).await
    }

    /// Waits for something that changes nothing, or for the cancel.
    pub(crate) async fn or_cancelled<T>(
        &self,
        future: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(cancelled()),
            result = future => result,
        }
    }

    /// Waits for an effect whose intent is written. After a cancel it may still end by itself for a while; `None`:
    /// it did not.
    pub(crate) async fn to_the_end<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(future);
        tokio::select! {
            result = &mut future => return Some(result),
            () = self.cancel.cancelled() => {}
        }
        tokio::time::timeout(CANCEL_GRACE, future).await.ok()
    }

    /// Runs what blocks (files, digests) on a thread for that.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let work = tokio::task::spawn_blocking(work);
        self.or_cancelled(async {
            work.await
                .unwrap_or_else(|error| Err(Failure::new(FailureKind::Other, format_args!("a bug: {error}"))))
        })
        .await
    }

    /// A cancelled run begins nothing.
    pub(crate) fn not_cancelled(&self) -> Result<(), Failure> {
        if self.cancel.is_cancelled() { Err(cancelled()) } else { Ok(()) }
    }
}

/// What every call that can fail answers after a cancel.
pub(crate) fn cancelled() -> Failure {
    Failure::new(FailureKind::Cancelled, "the run was cancelled")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> RunInfo {
        RunInfo {
            run: "r-7".parse().expect("a run"),
            step: "config".parse().expect("a step"),
            target: "web-1".parse().expect("a target"),
            current: "web-1".parse().expect("a target"),
            attempt: 1,
            environment: "staging".to_owned(),
            release: None,
            previous: None,
            subject: None,
            variables: BTreeMap::new(),
        }
    }

    #[test]
    fn a_grant_to_read_adds_no_place_to_write() {
        let path = |text: &str| text.parse::<RemotePath>().expect("a path");
        let granted = |prefix: &str, except: &str| Granted {
            prefixes: vec![path(prefix)],
            except: vec![path(except)],
            ..Granted::default()
        };
        let (etc, shop) = (path("/etc/x"), path("/srv/shop/x"));
        let mut reach = Reach::of(&Ask::ReadTree(&etc), granted("/etc", "/etc/keys"));
        reach.add(&Ask::WriteTree(&shop), granted("/srv/shop", "/srv/shop/.runner"));
        reach.add(&Ask::As(&"root".parse().expect("a name")), granted("/", "/x"));
        let within = reach.as_within();
        assert_eq!(
            (within.reads.granted, within.reads.except),
            (&[path("/etc")][..], &[path("/etc/keys")][..])
        );
        assert_eq!(within.writes.granted, [path("/srv/shop")]);
        assert_eq!(within.writes.except, [path("/srv/shop/.runner")]);
    }

    #[test]
    fn what_a_failed_attempt_changed_is_remembered_until_one_ends_well() {
        let (marks, info) = (Marks::default(), info());
        let on: TargetName = "web-1".parse().expect("a target");
        let changed = || BTreeSet::from([(on.clone(), "/etc/shop.conf".to_owned())]);
        assert!(!marks.has(&info, &on, "/etc/shop.conf"));
        marks.settle(&info, changed(), false);
        marks.settle(&info, BTreeSet::new(), false);
        assert!(marks.has(&info, &on, "/etc/shop.conf"));
        assert!(!marks.has(&info, &on, "/etc/other.conf"));
        marks.settle(&info, BTreeSet::new(), true);
        assert!(!marks.has(&info, &on, "/etc/shop.conf"));
    }

    #[test]
    fn only_artifacts_of_this_run_are_given_out() {
        let given = Given::default();
        let (ours, foreign) = (Digest::of("ours"), Digest::of("foreign"));
        given.made(ours);
        assert!(!given.is_given(&ours), "made is not given out");
        given.give_out(&serde_json::json!({ "a": [ours, foreign], "b": "text" }));
        assert!(given.is_given(&ours));
        assert!(!given.is_given(&foreign), "naming a digest does not make it one of this run");
    }
}
