//! `releases`: the host's own account of what is laid out below a release root. A step reads it; only the host writes.

use super::bindings::wit::releases::{Host, Release};
use super::context::{Context, Reach};
use super::handles::{Target, remote_path};
use super::state::{Answer, State};
use runner_model::grant::Ask;
use runner_model::{EffectClass, Failure, Mark, Release as Known};
use serde_json::json;
use wasmtime::component::Resource;

impl Context {
    async fn known_releases(&self, on: &runner_model::TargetName, root: &str) -> Result<Vec<Known>, Failure> {
        let root = remote_path(root)?;
        let ask = Ask::Read(&root);
        let reach = Reach::of(&ask, self.allow(&ask)?);
        let verbs = self.verbs(on).await?;
        self.or_cancelled(verbs.releases(&root, reach.as_within())).await
    }
}

/// The good release before the live one, by sequence.
fn previous(releases: &[Known]) -> Option<&Known> {
    let live = releases.iter().find(|release| release.live)?;
    releases
        .iter()
        .filter(|release| release.mark == Mark::Good && release.sequence < live.sequence)
        .max_by_key(|release| release.sequence)
}

impl Host for State {
    async fn all(&mut self, target: Resource<Target>, root: String) -> Answer<Vec<Release>> {
        let on = self.machine(&target)?;
        let call = self.call("releases.all", EffectClass::Read, Some(&on), json!({ "root": root }))?;
        let context = self.context.clone();
        let known = self.read_call(&call, context.known_releases(&on, &root)).await?;
        Ok(known.map(|releases| releases.into_iter().map(Into::into).collect()))
    }

    async fn previous(&mut self, target: Resource<Target>, root: String) -> Answer<Option<Release>> {
        let on = self.machine(&target)?;
        let call = self.call("releases.previous", EffectClass::Read, Some(&on), json!({ "root": root }))?;
        let context = self.context.clone();
        let known = async { Ok(previous(&context.known_releases(&on, &root).await?).cloned()) };
        Ok(self.read_call(&call, known).await?.map(|release| release.map(Into::into)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(sequence: u64, mark: Mark, live: bool) -> Known {
        Known {
            id: format!("r{sequence}").parse().expect("an id"),
            sequence,
            mark,
            live,
            size: 1,
            by: "r-1".parse().expect("an id"),
        }
    }

    #[test]
    fn the_previous_release_is_the_good_one_before_the_live_one() {
        let releases = [
            release(5, Mark::Good, false),
            release(4, Mark::Good, true),
            release(3, Mark::Bad, false),
            release(2, Mark::Good, false),
            release(1, Mark::Good, false),
        ];
        assert_eq!(previous(&releases).expect("there is one").sequence, 2);
        assert_eq!(previous(&releases[2..]), None, "nothing is live");
        assert_eq!(previous(&[release(1, Mark::Good, true)]), None);
    }
}
