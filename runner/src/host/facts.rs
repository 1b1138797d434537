//! What targets say of themselves, for `${target.facts.NAME}`: asked once in a run, when a step first refers to it, and
//! in the journal from then on. An answer that is not what the fact must be fails the step; it gets nowhere.

use super::fleet::Fleet;
use super::past::PastRun;
use super::record::JournalRecord;
use runner_model::{Acting, Fact, Failure, FailureKind, Resolved, TargetFacts, TargetName};
use runner_transport::Within;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The facts of all targets of a run.
#[derive(Default)]
pub(super) struct Known {
    targets: Mutex<BTreeMap<TargetName, Arc<tokio::sync::Mutex<TargetFacts>>>>,
}

impl Known {
    /// With what targets said in an earlier part of the run.
    pub(super) fn of_before(run: &PastRun) -> Self {
        let known = run.facts.iter();
        let known =
            known.map(|(target, facts)| (target.clone(), Arc::new(tokio::sync::Mutex::new(facts.clone()))));
        Self { targets: Mutex::new(known.collect()) }
    }

    /// These facts of a target. Who asks for the same ones at the same time waits for the first answer.
    pub(super) async fn of(
        &self,
        target: &TargetName,
        wanted: &BTreeSet<Fact>,
        fleet: &Fleet,
        resolved: &Resolved,
        record: &JournalRecord,
    ) -> Result<TargetFacts, Failure> {
        if wanted.is_empty() {
            return Ok(TargetFacts::new());
        }
        let slot = {
            let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(targets.entry(target.clone()).or_default())
        };
        let mut known = slot.lock().await;
        let mut learned = TargetFacts::new();
        for fact in wanted.iter().filter(|fact| !known.contains_key(*fact)) {
            learned.insert(fact.clone(), ask(target, fact, fleet, resolved).await?);
        }
        if !learned.is_empty() {
            record.learned(target, &learned);
            known.extend(learned);
        }
        Ok(known.clone())
    }
}

/// One answer.
async fn ask(
    target: &TargetName,
    fact: &Fact,
    fleet: &Fleet,
    resolved: &Resolved,
) -> Result<serde_json::Value, Failure> {
    let what = format!("learn `{fact}` of {target}");
    let verbs = fleet.connection(target).await?.acting(&Acting::Login);
    let answer = match (fact.asked_as(), resolved.root(target)) {
        (Some(name), _) => verbs.fact(&name).await?,
        (None, Some(root)) => {
            verbs.disk_free(root, Within::both(std::slice::from_ref(root))).await?.to_string()
        }
        (None, None) => {
            return Err(Failure::new(
                FailureKind::NotFound,
                format_args!("{what}: the plan has no release root"),
            ));
        }
    };
    let has_command = resolved.target(target).is_some_and(|target| target.service_command.is_some());
    let answer = match fact {
        Fact::ServiceManager if has_command => "service-command".to_owned(),
        Fact::ServiceManager if answer == "systemd" => answer,
        Fact::ServiceManager => "none".to_owned(),
        _ => answer,
    };
    fact.value(&answer).map_err(|bad| {
        Failure::new(FailureKind::Invalid, format_args!("{what}: {bad}")).with_detail(format_args!(
            "correct it on the target, or do not refer to `${{target.facts.{fact}}}`"
        ))
    })
}
