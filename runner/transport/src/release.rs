//! The accounts of releases on a target, in `<root>/.runner/releases`.

use crate::channel::temporary;
use crate::machine::{Machine, refusal};
use crate::script::Line;
use crate::user::User;
use crate::{Intent, RunPlace, Within};
use runner_model::{Digest, Failure, FailureKind, Mark, Release, ReleaseId, RemotePath, RunId};
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

/// The longest account, in bytes, that is believed.
const LINE_MAX: usize = 64 << 10;
/// The longest text that a run tells of itself.
const TOLD_MAX: usize = 4 << 10;

/// What is kept of a release on its target, in one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Account {
    /// Counted up on the target when the release gets its name.
    pub(crate) sequence: u64,
    pub(crate) release: ReleaseId,
    pub(crate) mark: Mark,
    /// Of the tree as it was laid out, links included.
    pub(crate) tree: Digest,
    /// Of the artifact.
    pub(crate) artifact: Digest,
    /// In bytes, of all its files.
    pub(crate) size: u64,
    /// Who made it.
    pub(crate) by: Maker,
    /// The person or the machine that the run was for. As the two below, older runners did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) who: Option<String>,
    /// When that run began, as RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) made_at: Option<String>,
    /// When it got the mark, if it ever got one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) marked: Option<Marked>,
}

/// The last mark that a release was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Marked {
    /// Seconds since 1970, by this machine's clock.
    pub(crate) at: u64,
    pub(crate) by_run: RunId,
}

/// What the accounts of a run's releases say of the run.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    pub(crate) by: Maker,
    pub(crate) who: Option<String>,
    pub(crate) made_at: Option<String>,
}

impl Signature {
    pub(crate) fn new(what: &str, place: &RunPlace) -> Result<Self, Failure> {
        let told = |text: &str| match text.len() {
            0 => Ok(None),
            1..=TOLD_MAX => Ok(Some(text.to_owned())),
            _ => {
                let why = format!("{what}: who makes it and when may take {TOLD_MAX} bytes each");
                Err(Failure::new(FailureKind::Invalid, why))
            }
        };
        let by = Maker { run: place.run.clone(), plan: place.executes.plan, lock: place.executes.lock };
        Ok(Self { by, who: told(&place.who)?, made_at: told(&place.made_at)? })
    }
}

/// The run that laid a release out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Maker {
    pub(crate) run: RunId,
    /// Of its plan.
    pub(crate) plan: Digest,
    /// Of its lock.
    pub(crate) lock: Digest,
}

impl Account {
    /// The rest of the object after the sequence, which the target puts in.
    pub(crate) fn without_sequence(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        text.split_once(',').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
    }
}

/// The releases of a root, as their accounts tell it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accounts {
    /// What `current` leads to; it may have no account.
    pub live: Option<ReleaseId>,
    /// When the link `current` was made, in seconds since 1970; `None`: nothing is live, or nobody can tell.
    pub live_since: Option<u64>,
    /// The newest first.
    pub releases: Vec<Laid>,
}

/// A release, as its account tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Laid {
    /// The name of its folder.
    pub id: ReleaseId,
    /// The order in which releases were laid out; never reused.
    pub sequence: u64,
    /// Whether it proved itself.
    pub mark: Mark,
    /// Whether `current` leads to it.
    pub live: bool,
    /// In bytes, of all its files.
    pub size: u64,
    /// Of the tree as it was laid out, links included.
    pub tree: Digest,
    /// Of the artifact.
    pub artifact: Digest,
    /// The run that laid it out.
    pub by: RunId,
    /// Of that run's plan.
    pub plan: Digest,
    /// Of that run's lock.
    pub lock: Digest,
    /// [`RunPlace::who`] of that run, if it told.
    pub who: Option<String>,
    /// [`RunPlace::made_at`] of that run, if it told.
    pub made_at: Option<String>,
}

/// All accounts of a root, as they are kept.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) live: Option<String>,
    pub(crate) live_since: Option<u64>,
    pub(crate) all: Vec<Account>,
}

impl Machine {
    /// The release whose folder this is, when it is one of the run's root.
    pub(crate) fn release_at(&self, path: &RemotePath) -> Option<ReleaseId> {
        let releases = self.root()?.join("releases").ok()?;
        if path.parent()? != releases {
            return None;
        }
        path.name()?.parse().ok()
    }
}

impl User {
    /// All accounts, for a look at `<root>/releases` that these places allow.
    pub(crate) async fn ledger(&self, root: &RemotePath, within: Within<'_>) -> Result<Ledger, Failure> {
        self.ledger_with(root, within, "").await
    }

    /// The same; `since`, if it is not empty: with the time at which what is live became so.
    async fn ledger_with(
        &self,
        root: &RemotePath,
        within: Within<'_>,
        since: &str,
    ) -> Result<Ledger, Failure> {
        let what = self.what("list the releases below", root);
        let invalid = |error| Failure::new(FailureKind::Invalid, format!("{what}: {error}"));
        let held = within.reading();
        held.covers(&what, &root.join("releases").map_err(invalid)?)?;
        let ready = self.ready(&what).await?;
        let limit = self.machine.limits().verb;
        let line = Line::new("v_releases").arg(root.as_str()).arg(since);
        let answer = match ready.shell.ask(&held.setup(), line, limit).await {
            Ok(answer) => answer,
            Err(lost) => return Err(self.machine.lost(&what, lost, limit).await),
        };
        match answer.status {
            0 => {}
            41 => return Ok(Ledger::default()),
            _ => return Err(refusal(&what, &answer)),
        }
        let text = String::from_utf8_lossy(&answer.out);
        let mut lines = text.lines();
        let (since, live) = lines.next().and_then(|line| line.split_once(' ')).unwrap_or_default();
        let live = Some(live).filter(|live| !live.is_empty()).map(str::to_owned);
        let live_since = since.parse().ok();
        // A line that cannot be read is of a release that was not finished.
        let lines = lines.filter(|line| line.len() <= LINE_MAX);
        let mut all: Vec<Account> = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
        all.sort_by_key(|account| std::cmp::Reverse(account.sequence));
        Ok(Ledger { live, live_since, all })
    }

    pub(crate) async fn do_accounts(
        &self,
        root: &RemotePath,
        within: Within<'_>,
    ) -> Result<Accounts, Failure> {
        let ledger = self.ledger_with(root, within, "since").await?;
        let live: Option<ReleaseId> = ledger.live.and_then(|live| live.parse().ok());
        let laid = |account: Account| Laid {
            live: live.as_ref() == Some(&account.release),
            id: account.release,
            sequence: account.sequence,
            mark: account.mark,
            size: account.size,
            tree: account.tree,
            artifact: account.artifact,
            by: account.by.run,
            plan: account.by.plan,
            lock: account.by.lock,
            who: account.who,
            made_at: account.made_at,
        };
        let releases = ledger.all.into_iter().map(laid).collect();
        Ok(Accounts { live_since: ledger.live_since.filter(|_| live.is_some()), live, releases })
    }

    pub(crate) async fn do_releases(
        &self,
        root: &RemotePath,
        within: Within<'_>,
    ) -> Result<Vec<Release>, Failure> {
        let ledger = self.ledger(root, within).await?;
        let live = ledger.live;
        let release = |account: Account| Release {
            live: live.as_deref() == Some(account.release.as_str()),
            id: account.release,
            sequence: account.sequence,
            mark: account.mark,
            size: account.size,
            by: account.by.run,
        };
        Ok(ledger.all.into_iter().map(release).collect())
    }

    pub(crate) async fn do_mark(
        &self,
        root: &RemotePath,
        release: &ReleaseId,
        mark: Mark,
        intent: Intent<'_>,
    ) -> Result<(), Failure> {
        let what = format!("mark the release {release} on {}", self.machine.name());
        let found = self.ledger(root, Within::both(std::slice::from_ref(root))).await?;
        let found = found.all.into_iter().find(|account| account.release == *release);
        let Some(mut account) = found else {
            return Err(Failure::new(FailureKind::NotFound, format!("{what}: it is not there")));
        };
        if account.mark == mark {
            return Ok(());
        }
        account.mark = mark;
        if let Some(run) = self.machine.signature().map(|signature| signature.by.run) {
            let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            account.marked = Some(Marked { at, by_run: run });
        }
        let text = serde_json::to_string(&account)
            .map_err(|error| Failure::new(FailureKind::Other, format!("{what}: {error}")))?;
        let ready = self.ready(&what).await?;
        let limit = self.machine.limits().verb;
        let line = Line::new("j").arg(intent.line).word("v_account").arg(root.as_str()).arg(release.as_str());
        let line = line.arg(temporary()).arg(text);
        let setup = Within::both(std::slice::from_ref(root)).reading().setup();
        let setup = format!("{}{setup}", self.machine.fence_for(&self.acting));
        match ready.shell.ask(&setup, line, limit).await {
            Ok(answer) if answer.status == 0 => Ok(()),
            Ok(answer) => Err(refusal(&what, &answer)),
            Err(lost) => Err(self.machine.lost(&what, lost, limit).await),
        }
    }
}
