//! The accounts of releases on a target, in `<root>/.runner/releases`.

use crate::channel::temporary;
use crate::machine::{Machine, refusal};
use crate::script::Line;
use crate::user::User;
use crate::{Intent, Within};
use runner_model::{Digest, Failure, FailureKind, Mark, Release, ReleaseId, RemotePath, RunId};
use serde::{Deserialize, Serialize};

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

/// All accounts of a root.
pub(crate) struct Accounts {
    pub(crate) live: Option<String>,
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
    pub(crate) async fn accounts(&self, root: &RemotePath, within: Within<'_>) -> Result<Accounts, Failure> {
        let what = self.what("list the releases below", root);
        let invalid = |error| Failure::new(FailureKind::Invalid, format!("{what}: {error}"));
        let held = within.reading();
        held.covers(&what, &root.join("releases").map_err(invalid)?)?;
        let ready = self.ready(&what).await?;
        let limit = self.machine.limits().verb;
        let line = Line::new("v_releases").arg(root.as_str());
        let answer = match ready.shell.ask(&held.setup(), line, limit).await {
            Ok(answer) => answer,
            Err(lost) => return Err(self.machine.lost(&what, lost, limit).await),
        };
        match answer.status {
            0 => {}
            41 => return Ok(Accounts { live: None, all: vec![] }),
            _ => return Err(refusal(&what, &answer)),
        }
        let text = String::from_utf8_lossy(&answer.out);
        let mut lines = text.lines();
        let live = lines.next().filter(|live| !live.is_empty()).map(str::to_owned);
        // A line that cannot be read is of a release that was not finished.
        let mut all: Vec<Account> = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
        all.sort_by_key(|account| std::cmp::Reverse(account.sequence));
        Ok(Accounts { live, all })
    }

    pub(crate) async fn do_releases(
        &self,
        root: &RemotePath,
        within: Within<'_>,
    ) -> Result<Vec<Release>, Failure> {
        let accounts = self.accounts(root, within).await?;
        let live = accounts.live;
        let release = |account: Account| Release {
            live: live.as_deref() == Some(account.release.as_str()),
            id: account.release,
            sequence: account.sequence,
            mark: account.mark,
            size: account.size,
            by: account.by.run,
        };
        Ok(accounts.all.into_iter().map(release).collect())
    }

    pub(crate) async fn do_mark(
        &self,
        root: &RemotePath,
        release: &ReleaseId,
        mark: Mark,
        intent: Intent<'_>,
    ) -> Result<(), Failure> {
        let what = format!("mark the release {release} on {}", self.machine.name());
        let found = self.accounts(root, Within::both(std::slice::from_ref(root))).await?;
        let found = found.all.into_iter().find(|account| account.release == *release);
        let Some(mut account) = found else {
            return Err(Failure::new(FailureKind::NotFound, format!("{what}: it is not there")));
        };
        if account.mark == mark {
            return Ok(());
        }
        account.mark = mark;
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
