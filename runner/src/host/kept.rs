//! What is kept with a release on its targets: all that it takes to make it live once more, when the plan of today is
//! another one and whoever ran that of then is gone.

use runner_model::{Digest, EnvironmentName, Failure, FailureKind, ReleaseId, StepId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The version of the form.
const FORM: u32 = 1;

/// The plan, the lock and the values that a release went live with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Kept {
    form: u32,
    /// The release.
    pub release: ReleaseId,
    /// Its artifact.
    pub artifact: Digest,
    /// The environment.
    pub environment: EnvironmentName,
    /// The plan's text.
    pub plan: String,
    /// The lock's text, which has the digests of the modules.
    pub lock: String,
    /// What `--var` said.
    pub vars: BTreeMap<String, String>,
    /// What the steps before the rollout gave out, for this target.
    pub outputs: BTreeMap<StepId, Value>,
}

impl Kept {
    /// Of a release that proved itself.
    pub fn new(
        (release, artifact): (ReleaseId, Digest),
        environment: EnvironmentName,
        (plan, lock): (String, String),
        vars: BTreeMap<String, String>,
        outputs: BTreeMap<StepId, Value>,
    ) -> Self {
        Self { form: FORM, release, artifact, environment, plan, lock, vars, outputs }
    }

    /// As it is kept.
    pub fn text(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// As a target answers it: it may say anything.
    ///
    /// # Errors
    /// It is not what was kept, or of another release.
    pub fn parse(text: &str, release: &ReleaseId) -> Result<Self, Failure> {
        let refuse = |why: &dyn std::fmt::Display| {
            let message = format!("what was kept with the release `{release}` cannot be used: {why}");
            Failure::new(FailureKind::Invalid, message)
        };
        let kept: Self = serde_json::from_str(text).map_err(|error| refuse(&error))?;
        if kept.form != FORM {
            return Err(refuse(&format_args!("it has the form {}, and this runner knows {FORM}", kept.form)));
        }
        if kept.release != *release {
            return Err(refuse(&format_args!("it is of `{}`", kept.release)));
        }
        Ok(kept)
    }

    /// Names all that a review accepted of it: targets must agree on this, whatever else they say.
    pub fn digest(&self) -> Digest {
        let Self { form, release, artifact, environment, plan, lock, vars, outputs: _ } = self;
        Digest::of(serde_json::json!([form, release, artifact, environment, plan, lock, vars]).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        let release = ("r-1".parse().expect("an id"), Digest::of("artifact"));
        let vars = BTreeMap::from([("version".to_owned(), "1".to_owned())]);
        let outputs = BTreeMap::from([("package".parse().expect("an id"), serde_json::json!({ "size": 1 }))]);
        let texts = ("plan = 1".to_owned(), "lock = 1".to_owned());
        Kept::new(release, "production".parse().expect("a name"), texts, vars, outputs)
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let kept = kept();
        assert_eq!(Kept::parse(&kept.text(), &kept.release), Ok(kept));
    }

    #[test]
    fn what_a_target_says_of_another_release_or_in_another_form_is_refused() {
        let kept = kept();
        let other = "r-2".parse().expect("an id");
        let said = |text: &str, release| Kept::parse(text, release).expect_err("refused").message;
        assert!(said(&kept.text(), &other).contains("it is of `r-1`"));
        let newer = kept.text().replace("\"form\":1", "\"form\":2");
        assert!(said(&newer, &kept.release).contains("the form 2"));
        assert!(said("{", &kept.release).contains("cannot be used"));
    }

    #[test]
    fn targets_need_not_agree_on_what_is_their_own() {
        let (one, mut other) = (kept(), kept());
        other.outputs.clear();
        assert_eq!(one.digest(), other.digest());
        other.lock.push(' ');
        assert_ne!(one.digest(), other.digest());
    }
}
