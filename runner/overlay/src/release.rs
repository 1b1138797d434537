//! The releases of a root once the changes were made.

use crate::node::{Below, Folder, Node};
use crate::record::Account;
use crate::unknown::unknown;
use crate::view::{Kind, View, only};
use crate::way::Bounds;
use runner_model::{Failure, FailureKind, Mark, Release, ReleaseId, RemotePath, RunId};
use runner_transport::{Accounts, Within};
use std::sync::Arc;

/// A release root.
struct Root {
    /// Where it is once the changes were made.
    place: RemotePath,
    /// What is there on the target.
    real: Option<RemotePath>,
}

/// What became last of the account of this release.
fn last_of<'a>(made: &'a [Account], place: &RemotePath, release: &ReleaseId) -> Option<&'a Account> {
    made.iter().rev().find(|account| match account {
        Account::Laid { root, id, .. } => root == place && id == release,
        Account::Removed { root, id } => root == place && id == release.as_str(),
    })
}

impl View {
    /// All releases, newest first; `accounts`: what became of them in this run.
    pub(crate) async fn releases(
        &self,
        root: &RemotePath,
        within: Within<'_>,
        accounts: &[Account],
        run: &RunId,
    ) -> Result<Vec<Release>, Failure> {
        let what = &format!("list the releases below `{root}` on {}", self.reads.name());
        if self.tree.is_as_it_is() {
            return self.reads.releases(root, within).await;
        }
        let Some(Root { place, real }) = self.root_of(what, root, within).await? else { return Ok(vec![]) };
        let place = &place;
        let mut found = match &real {
            Some(real) => self.reads.releases(real, only(real)).await?,
            None => vec![],
        };
        let mut last = found.iter().map(|release| release.sequence).max().unwrap_or(0);
        for account in accounts {
            match account {
                Account::Laid { root, id, size } if root == place => {
                    last += 1;
                    found.retain(|release| release.id != *id);
                    found.push(Release {
                        id: id.clone(),
                        sequence: last,
                        mark: Mark::Untried,
                        live: false,
                        size: *size,
                        by: run.clone(),
                    });
                }
                Account::Removed { root, id } if root == place => {
                    found.retain(|release| release.id.as_str() != id);
                }
                Account::Laid { .. } | Account::Removed { .. } => {}
            }
        }
        let live = self.live(what, place).await?;
        let mut releases = Vec::new();
        for mut release in found {
            if !self.is_laid_out(what, place, release.id.as_str()).await? {
                continue;
            }
            release.live = live.as_deref() == Some(release.id.as_str());
            releases.push(release);
        }
        releases.sort_by_key(|release| std::cmp::Reverse(release.sequence));
        Ok(releases)
    }

    /// The same with all that the accounts tell. That of a release which was not laid out is made up by nobody.
    pub(crate) async fn accounts(
        &self,
        root: &RemotePath,
        within: Within<'_>,
        made: &[Account],
    ) -> Result<Accounts, Failure> {
        let what = &format!("read the accounts of releases below `{root}` on {}", self.reads.name());
        if self.tree.is_as_it_is() {
            return self.reads.accounts(root, within).await;
        }
        let Some(Root { place, real }) = self.root_of(what, root, within).await? else {
            return Ok(Accounts::default());
        };
        let Accounts { live: was, live_since, releases: found } = match &real {
            Some(real) => self.reads.accounts(real, only(real)).await?,
            None => Accounts::default(),
        };
        let live = self.live(what, &place).await?.and_then(|live| live.parse::<ReleaseId>().ok());
        let mut releases = Vec::new();
        for mut laid in found {
            if self.is_laid_out(what, &place, laid.id.as_str()).await?
                && last_of(made, &place, &laid.id).is_none()
            {
                laid.live = live.as_ref() == Some(&laid.id);
                releases.push(laid);
            }
        }
        for account in made {
            if let Account::Laid { root, id, .. } = account
                && *root == place
                && matches!(last_of(made, &place, id), Some(Account::Laid { .. }))
            {
                return Err(unknown(what, &format!("the release {id} would be laid out before")));
            }
        }
        // When a link would be made is not known before.
        let live_since = live_since.filter(|_| live == was && self.is_real(&place, "current"));
        Ok(Accounts { live, live_since, releases })
    }

    /// What is kept of a release that is there now.
    pub(crate) async fn kept(
        &self,
        root: &RemotePath,
        release: &ReleaseId,
        within: Within<'_>,
        made: &[Account],
    ) -> Result<Option<String>, Failure> {
        let what = &format!("read the plan of the release {release} on {}", self.reads.name());
        if self.tree.is_as_it_is() {
            return self.reads.kept(root, release, within).await;
        }
        let Some(Root { place, real }) = self.root_of(what, root, within).await? else { return Ok(None) };
        match (last_of(made, &place, release), real) {
            (Some(Account::Laid { .. }), _) => Err(unknown(what, "it would be laid out before")),
            (Some(Account::Removed { .. }), _) | (None, None) => Ok(None),
            (None, Some(real)) => self.reads.kept(&real, release, only(&real)).await,
        }
    }

    /// Where a release root is; `None`: nowhere.
    async fn root_of(
        &self,
        what: &str,
        root: &RemotePath,
        within: Within<'_>,
    ) -> Result<Option<Root>, Failure> {
        let folder = root.join("releases").map_err(|bad| unknown(what, &bad.to_string()))?;
        let bounds = Bounds { places: within.reads, below: false, own: false };
        let place = match self.find(what, &folder, bounds).await {
            Ok(place) => place.folder,
            Err(failure) if failure.kind == FailureKind::NotFound => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let real = match &*self.tree.at(&place) {
            Node::Real(real) | Node::Folder(Folder { below: Below::Real(real), .. }) => Some(real.clone()),
            Node::Folder(Folder { below: Below::Unknown(why), .. }) | Node::Unknown(why) => {
                return Err(unknown(what, why));
            }
            _ => None,
        };
        Ok(Some(Root { place, real }))
    }

    /// Whether the dry run has changed nothing at this name.
    fn is_real(&self, place: &RemotePath, name: &str) -> bool {
        place.join(name).is_ok_and(|path| matches!(&*self.tree.at(&path), Node::Real(_)))
    }

    /// The name of the release that `current` leads to.
    async fn live(&self, what: &str, root: &RemotePath) -> Result<Option<String>, Failure> {
        let current = root.join("current").map_err(|bad| unknown(what, &bad.to_string()))?;
        let Kind::Link(points_to) = self.kind(what, &self.tree.at(&current)).await? else {
            return Ok(None);
        };
        let Some(led) = self.led(what, root, &points_to).await? else { return Ok(None) };
        let releases = root.join("releases").map_err(|bad| unknown(what, &bad.to_string()))?;
        let is_release = led != releases && led.is_within(&releases);
        Ok(led.name().filter(|_| is_release).map(str::to_owned))
    }

    /// Whether the release's folder is there.
    async fn is_laid_out(&self, what: &str, root: &RemotePath, id: &str) -> Result<bool, Failure> {
        let releases = self.led(what, root, "releases").await?;
        let Some(releases) = releases else { return Ok(false) };
        let place = releases.join(id).map_err(|bad| unknown(what, &bad.to_string()))?;
        let node: Arc<Node> = self.tree.at(&place);
        Ok(match &*node {
            // What is put back into it is not known; that it is there is.
            Node::Unknown(_) => true,
            _ => match self.kind(what, &node).await? {
                Kind::Folder => true,
                Kind::Link(points_to) => self.led(what, &releases, &points_to).await?.is_some(),
                Kind::Absent | Kind::File | Kind::Other => false,
            },
        })
    }
}
