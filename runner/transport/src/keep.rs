//! A text that is kept with the account of a release, in `<root>/.runner/releases/<id>.plan`.
//!
//! It may be large, and a shell reads its requests byte by byte: so it is sent on a channel of its own.

use crate::channel::{Input, temporary};
use crate::machine::refusal;
use crate::script::Line;
use crate::user::User;
use crate::{Intent, Within};
use runner_model::{Digest, Failure, FailureKind, ReleaseId, RemotePath};

/// The longest text.
const TEXT_MAX: usize = 1 << 20;

impl User {
    pub(crate) async fn do_keep(
        &self,
        root: &RemotePath,
        release: &ReleaseId,
        text: &str,
        intent: Intent<'_>,
    ) -> Result<(), Failure> {
        let what = format!("keep the plan of the release {release} on {}", self.machine.name());
        let invalid = |why: &str| Failure::new(FailureKind::Invalid, format!("{what}: {why}"));
        if text.len() > TEXT_MAX {
            return Err(invalid("it is larger than 1 MiB"));
        }
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
            return Err(invalid(&format!("it is not JSON: {error}")));
        }
        let line = Line::new("v_keep").arg(root.as_str()).arg(release.as_str());
        let line = line.arg(temporary()).arg(Digest::of(text).hex());
        let held = Within::both(std::slice::from_ref(root)).writing();
        self.intend(&what, intent).await?;
        let answer = self.long(&what, held, None, &line, Input::Bytes(text.as_bytes().to_vec())).await?;
        if answer.status == 0 { Ok(()) } else { Err(refusal(&what, &answer)) }
    }

    pub(crate) async fn do_kept(
        &self,
        root: &RemotePath,
        release: &ReleaseId,
        within: Within<'_>,
    ) -> Result<Option<String>, Failure> {
        let what = format!("read the plan of the release {release} on {}", self.machine.name());
        let invalid = |why: &str| Failure::new(FailureKind::Invalid, format!("{what}: {why}"));
        let held = within.reading();
        held.covers(&what, &root.join("releases").map_err(|bad| invalid(&bad.to_string()))?)?;
        let line = Line::new("v_kept").arg(root.as_str()).arg(release.as_str());
        let line = line.arg((TEXT_MAX + 1).to_string());
        let answer = self.call(&what, held, None, line, self.machine.limits().verb).await?;
        match answer.status {
            0 => {}
            41 => return Ok(None),
            _ => return Err(refusal(&what, &answer)),
        }
        if answer.out.len() > TEXT_MAX {
            return Err(invalid("it is larger than 1 MiB"));
        }
        String::from_utf8(answer.out).map(Some).map_err(|_| invalid("it is not UTF-8"))
    }
}
