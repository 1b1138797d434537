//! The releases of a root once the changes were made.

use crate::node::{Below, Folder, Node};
use crate::record::Account;
use crate::unknown::unknown;
use crate::view::{Kind, View, only};
use crate::way::Bounds;
use runner_model::{Failure, FailureKind, Mark, Release, RemotePath, RunId};
use runner_transport::Within;
use std::sync::Arc;

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
        let folder = root.join("releases").map_err(|bad| unknown(what, &bad.to_string()))?;
        let bounds = Bounds { places: within.reads, below: false, own: false };
        let place = match self.find(what, &folder, bounds).await {
            Ok(place) => place,
            Err(failure) if failure.kind == FailureKind::NotFound => return Ok(vec![]),
            Err(failure) => return Err(failure),
        };
        let place = &place.folder;
        let node = self.tree.at(place);
        let mut found = match &*node {
            Node::Real(real) | Node::Folder(Folder { below: Below::Real(real), .. }) => {
                self.reads.releases(real, only(real)).await?
            }
            Node::Folder(Folder { below: Below::Unknown(why), .. }) | Node::Unknown(why) => {
                return Err(unknown(what, why));
            }
            _ => vec![],
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
