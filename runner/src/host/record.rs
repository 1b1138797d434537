//! The journal as the sandbox sees it: calls with their answers, intents before they happen, outcomes after.

use super::faults::{Boundary, Faults};
use super::past::{Continued, PastCall, PastEffect, PastInvocation};
use crate::sandbox::record::{Acts, Call, Doubt, Effect, Outcome, Past, Pending, Record};
use async_trait::async_trait;
use runner_engine::EventSender;
use runner_journal::{Answer, Entry, Header, Journal, Left, Payload, Told};
use runner_model::{
    Act, Acting, Digest, EffectClass, EffectEnd, EffectKey, Effected, Event, Failure, Mark, ReleaseId,
    Standing, State, StepId, TargetFacts, TargetName, Verdict,
};
use runner_secret::Vault;
use runner_transport::{Applied, Kept};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Keeps the account of a run, and tells its reporters of each effect that is over.
pub(super) struct JournalRecord {
    pub(super) journal: Arc<Journal>,
    pub(super) vault: Arc<Vault>,
    pub(super) events: EventSender,
    /// What earlier parts of the run did.
    pub(super) before: Continued,
    /// What is done is only planned.
    pub(super) dry: bool,
    pub(super) faults: Arc<Faults>,
    /// Where copies may have been kept for undos, and process groups noted, and whose they are.
    pub(super) kept: Mutex<BTreeSet<(TargetName, Acting)>>,
    /// Effects of earlier parts that were taken for calls of this one.
    pub(super) taken: Mutex<BTreeMap<EffectKey, EffectKey>>,
    /// What the run is an execution of, without what only this machine needs to know.
    pub(super) header: Header,
    /// What was live on each machine when the run began.
    pub(super) live: Mutex<BTreeMap<TargetName, Option<ReleaseId>>>,
    /// Lines that the next intent takes to a machine.
    pub(super) waiting: Arc<Mutex<BTreeMap<TargetName, Vec<String>>>>,
}

impl JournalRecord {
    /// A line that nobody waits for. A journal that cannot be written fails the next effect, and with it the run.
    fn append(&self, entry: impl FnOnce(&Journal) -> Result<Entry, runner_journal::Error>) {
        if let Err(error) = entry(&self.journal).and_then(|entry| self.journal.append(&entry).map(|_| ())) {
            tracing::error!("{error}");
        }
    }

    /// What is known of a call where only effects are known: typed verbs tell by themselves whether they are done.
    fn known_effect(&self, call: &Call) -> Past {
        // A gate is observed and gone through anew.
        if call.key.step == StepId::cluster() {
            return Past::New;
        }
        // These two cannot tell by themselves: what they were to read is gone, or what they make has another name.
        let asks = matches!(call.call, "targets.rename" | "targets.archive");
        let tells = call.call.starts_with("targets.") && call.class == EffectClass::Change && !asks;
        if !call.class.mutates() || tells {
            return Past::New;
        }
        // Targets keep nothing of what is sent elsewhere.
        if self.before.run.from_targets && call.is_request() {
            return Past::InDoubt(Doubt { assumed: self.before.assumed_of(&call.key), ..Doubt::default() });
        }
        if self.before.run.order.is_empty() {
            return Past::New;
        }
        let args = self.vault.hide_json(call.with_machine());
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(key) = self.before.run.effect_like(call, &args, &taken) else { return Past::New };
        match self.before.run.call(&key) {
            Some(PastCall { answer: Some(Ok(answer)), .. }) => {
                taken.insert(key.clone(), call.key.clone());
                self.take(call, &key, answer.clone());
                Past::Answered(Ok(answer.clone()))
            }
            // A step that had failed is tried again.
            Some(PastCall { answer: Some(Err(_)), .. }) | None => Past::New,
            Some(PastCall { effect, .. }) => {
                taken.insert(key.clone(), call.key.clone());
                let doubt = effect.as_ref().map(PastEffect::doubt).unwrap_or_default();
                Past::InDoubt(Doubt { assumed: self.before.assumed_of(&key), ..doubt })
            }
        }
    }

    /// Keeps here and, with the next intent, on the machine that a call was answered with an earlier effect.
    fn take(&self, call: &Call, of: &EffectKey, value: Value) {
        let entry = answer(&self.journal, &self.vault, Ok(value)).and_then(|answer| {
            let entry = Entry::Taken { key: call.key.clone(), of: of.clone(), answer };
            Ok((self.journal.append(&entry)?, entry))
        });
        match (entry, &call.on) {
            (Ok((line, entry)), Some(on)) => {
                let lines = carried(&self.journal, &entry).into_iter().chain([line.text]).collect();
                self.goes_with_the_next(on, lines);
            }
            (Ok(_), None) => {}
            (Err(error), _) => tracing::error!("{error}"),
        }
    }

    /// Lines that a machine is given with the next intent for it.
    fn goes_with_the_next(&self, on: &TargetName, lines: Vec<String>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.entry(on.clone()).or_insert_with(|| self.first_lines(on)).extend(lines);
    }

    /// What a machine is given with the first intent.
    fn first_lines(&self, on: &TargetName) -> Vec<String> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner).get(on).cloned().flatten();
        vec![Carried::Header(Box::new(self.header.clone())).line(), Carried::Live(live).line()]
    }

    /// What goes to a machine with the intent: the header of the run with the first one, and the outcomes of what was done
    /// there since the last one. From these a run can be gone on with whose journal is lost.
    fn for_target(&self, on: Option<&TargetName>, carried: Vec<String>, intent: String) -> String {
        let Some(on) = on else { return intent };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = waiting.entry(on.clone()).or_insert_with(|| self.first_lines(on)).clone();
        lines.extend(carried);
        lines.push(intent);
        lines.join("\n")
    }

    /// A machine was found so when the run began.
    pub(super) fn found(&self, target: &TargetName, live: Option<ReleaseId>) {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).insert(target.clone(), live);
    }

    /// Where something was kept of the run for its undo, and by whom: also by its earlier parts.
    pub(super) fn kept(&self) -> BTreeSet<(TargetName, Acting)> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let run = &self.before.run;
        for (_, effect) in run.effects.iter().filter_map(|key| run.effect(key)) {
            let on = effect.told.as_ref().and_then(|told| told.on.clone());
            kept.extend(on.map(|on| (on, effect.acts.acting())));
        }
        kept
    }

    /// What an earlier part of the run did of an invocation.
    fn past_of(&self, step: &StepId, target: &TargetName, attempt: u32) -> Option<&PastInvocation> {
        self.before.run.invocations.get(&(step.clone(), target.clone(), attempt))
    }

    /// An invocation begins, or goes on.
    pub(super) fn started(
        &self,
        step: &StepId,
        target: &TargetName,
        attempt: u32,
        module: Digest,
        (params, about): (Value, Value),
    ) {
        if self.past_of(step, target, attempt).is_some() {
            return;
        }
        self.append(|journal| {
            Ok(Entry::InvocationStarted {
                step: step.clone(),
                target: target.clone(),
                attempt,
                module,
                params: journal.payload(self.vault.hide_json(params))?,
                about: Some(journal.payload(self.vault.hide_json(about))?),
            })
        });
    }

    /// A target said this of itself.
    pub(super) fn learned(&self, target: &TargetName, facts: &TargetFacts) {
        let facts = facts.iter().map(|(fact, value)| (fact.to_string(), value.clone())).collect();
        self.append(|journal| {
            Ok(Entry::Facts { target: target.clone(), facts: journal.payload(Value::Object(facts))? })
        });
    }

    /// The run found a target so in its cluster.
    pub(super) fn stood(&self, target: &TargetName, standing: Standing) {
        self.append(|_| Ok(Entry::Stood { target: target.clone(), standing }));
    }

    /// The release of the run is about to be marked. Answers the line that the target keeps.
    pub(super) async fn will_mark(
        &self,
        target: &TargetName,
        release: &ReleaseId,
        mark: Mark,
    ) -> Result<String, Failure> {
        self.faults.at(Boundary::BeforeIntent).await;
        let entry = Entry::Mark { target: target.clone(), release: release.clone(), mark };
        let line = self.journal.append_durable(&entry).await?.text;
        self.faults.at(Boundary::AfterIntent).await;
        Ok(self.for_target(Some(target), Vec::new(), line))
    }

    /// It was marked, or not.
    pub(super) fn marked(&self, target: &TargetName, result: &Result<(), Failure>) {
        self.faults.now(Boundary::AfterAct);
        let result = result.clone().map(|()| Value::Null);
        self.append(|journal| {
            Ok(Entry::Marked { target: target.clone(), answer: answer(journal, &self.vault, result)? })
        });
        self.faults.now(Boundary::AfterOutcome);
    }

    /// An invocation ended.
    pub(super) fn ended(
        &self,
        step: &StepId,
        target: &TargetName,
        attempt: u32,
        result: &Result<Value, Failure>,
        fuel: u64,
    ) {
        if self.past_of(step, target, attempt).is_some_and(|past| past.ended.is_some()) {
            return;
        }
        self.append(|journal| {
            Ok(Entry::InvocationEnded {
                step: step.clone(),
                target: target.clone(),
                attempt,
                answer: answer(journal, &self.vault, result.clone())?,
                fuel,
            })
        });
    }
}

fn answer(
    journal: &Journal,
    vault: &Vault,
    answer: Result<Value, Failure>,
) -> Result<Answer, runner_journal::Error> {
    Ok(match answer {
        Ok(value) => Answer::Ok(journal.payload(vault.hide_json(value))?),
        Err(failure) => Answer::Failed(vault.hide_failure(failure)),
    })
}

/// What the journal keeps of an effect beside its call.
struct States {
    before: Option<State>,
    after: Option<State>,
    undo: Option<Value>,
}

impl States {
    fn of(effect: &Effect) -> Self {
        let nothing = Self { before: None, after: None, undo: None };
        match effect {
            Effect::Change { before, after, .. } => {
                Self { before: Some((**before).clone()), after: Some((**after).clone()), ..nothing }
            }
            Effect::Command(command) => Self { undo: to_json(command.undo.as_ref()), ..nothing },
            Effect::Request(request) => Self { undo: to_json(request.undo.as_ref()), ..nothing },
            // What was in the workspace before is in the arguments of no call: it is kept as what the undo would
            // put back.
            Effect::Workspace { before, .. } => Self { undo: to_json(before.as_ref()), ..nothing },
            Effect::Service { .. } | Effect::Exchange(_) => nothing,
        }
    }
}

/// What goes to a machine beside lines of the journal, for whoever goes on with the run from there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carried {
    /// What the run is an execution of, without its seed.
    Header(Box<Header>),
    /// The run ended well, or is undone: nobody goes on with it.
    Closed(Verdict),
    /// What was live there when the run began.
    Live(Option<ReleaseId>),
    /// The JSON of a payload that is in no line.
    Payload(String),
    /// What it takes to make this release live again is kept with it.
    Kept(ReleaseId),
}

impl Carried {
    pub(super) fn line(&self) -> String {
        serde_json::json!(self).to_string()
    }
}

/// Payloads of an entry that are not in its line.
fn carried(journal: &Journal, entry: &Entry) -> Vec<String> {
    let payloads: Vec<&Payload> = match entry {
        Entry::Intent { args, undo, acts, .. } => undo.iter().chain(acts.as_deref()).chain([args]).collect(),
        Entry::Outcome { answer: Answer::Ok(payload), .. }
        | Entry::Taken { answer: Answer::Ok(payload), .. } => {
            vec![payload]
        }
        _ => Vec::new(),
    };
    payloads
        .into_iter()
        .filter_map(|payload| Some(Carried::Payload(journal.carried(payload)?).line()))
        .collect()
}

/// What an undo needs to know beside the intent; mostly nothing.
fn left(applied: Applied) -> Option<Box<Left>> {
    let Applied { copy, made_folders, after, size: _ } = applied;
    let no_copy = match copy {
        Kept::Impossible(why) => Some(why),
        Kept::NotNeeded | Kept::Made => None,
    };
    let left = Left { after, made_folders, no_copy };
    (left != Left::default()).then(|| Box::new(left))
}

fn to_json(value: Option<impl serde::Serialize>) -> Option<Value> {
    value.and_then(|value| serde_json::to_value(value).ok())
}

#[async_trait]
impl Record for JournalRecord {
    fn past(&self, call: &Call) -> Result<Past, Failure> {
        let EffectKey { step, target, attempt, number } = &call.key;
        let Some(invocation) = self.past_of(step, target, *attempt) else {
            return Ok(self.known_effect(call));
        };
        let past = invocation.of(call, &self.vault.hide_json(call.with_machine()))?;
        Ok(match past {
            Past::InDoubt(doubt) => {
                Past::InDoubt(Doubt { assumed: self.before.assumed_of(&call.key), ..doubt })
            }
            Past::Answered(answer) => {
                let told = invocation.calls.get(number).and_then(|call| call.effect.as_ref()?.told.clone());
                if let Some(Told { on, act }) = told {
                    self.tell_again(call, on, act, &answer);
                }
                Past::Answered(answer)
            }
            Past::New => self.known_effect(call),
        })
    }

    fn settled(&self, call: &Call, answer: Value) {
        if self.before.run.effect(&call.key).is_none() {
            // Its intent has another key, of an attempt of which only the effects are known.
            let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match taken.into_iter().find(|(_, key)| *key == call.key) {
                Some((of, _)) => self.take(call, &of, answer),
                None => self.looked(call, &Ok(answer)),
            }
            return;
        }
        self.append(|journal| {
            let answer = self::answer(journal, &self.vault, Ok(answer))?;
            Ok(Entry::Outcome { key: call.key.clone(), answer, left: None })
        });
        let EffectKey { step, target, attempt, number } = &call.key;
        let told = self
            .past_of(step, target, *attempt)
            .and_then(|past| past.calls.get(number)?.effect.as_ref()?.told.clone());
        if let Some(Told { on, act }) = told {
            self.tell_again(call, on, act, &Ok(Value::Null));
        }
    }

    fn looked(&self, call: &Call, answered: &Result<Value, Failure>) {
        self.append(|journal| {
            Ok(Entry::Call {
                key: call.key.clone(),
                class: call.class,
                call: call.call.to_owned(),
                args: arguments(journal, &self.vault, call)?,
                answer: answer(journal, &self.vault, answered.clone())?,
            })
        });
    }

    async fn intend(&self, call: &Call, effect: &Effect, acts: Acts) -> Result<Box<dyn Pending>, Failure> {
        self.faults.at(Boundary::BeforeIntent).await;
        let (journal, vault) = (&self.journal, &self.vault);
        if let Some(on) = call.kept_by() {
            let keeps = (on.clone(), acts.acting());
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(keeps);
        }
        let kept = States::of(effect);
        let mut told = effected(call, effect);
        told.hide(|text| vault.hide(text));
        let entry = Entry::Intent {
            key: call.key.clone(),
            class: call.class,
            call: call.call.to_owned(),
            args: arguments(journal, vault, call)?,
            told: Some(Box::new(Told { on: told.on.clone(), act: told.act.clone() })),
            before: kept.before,
            after: kept.after,
            undo: kept.undo.map(|undo| journal.payload(vault.hide_json(undo))).transpose()?,
            acts: to_json(Some(acts)).map(|acts| journal.payload(acts).map(Box::new)).transpose()?,
        };
        let line = journal.append_durable(&entry).await?;
        let carried = carried(journal, &entry);
        let kept_by = call.kept_by();
        self.faults.at(Boundary::AfterIntent).await;
        Ok(Box::new(Intended {
            dry: self.dry,
            faults: Arc::clone(&self.faults),
            journal: Arc::clone(journal),
            vault: Arc::clone(vault),
            events: self.events.clone(),
            line: self.for_target(kept_by, carried, line.text),
            kept_by: kept_by.cloned(),
            waiting: Arc::clone(&self.waiting),
            begun: Instant::now(),
            effected: Some(Box::new(told)),
        }))
    }
}

impl JournalRecord {
    /// Reports show all of a run, also what an earlier part of it did.
    fn tell_again(&self, call: &Call, on: Option<TargetName>, act: Act, answer: &Result<Value, Failure>) {
        let EffectKey { step, target, attempt, number } = call.key.clone();
        let end = match answer {
            Ok(_) => EffectEnd::Done,
            Err(failure) => EffectEnd::Failed { failure: failure.clone() },
        };
        let (class, milliseconds, difference) = (call.class, 0, None);
        let effected =
            Effected { step, target, attempt, number, on, class, act, end, milliseconds, difference };
        self.events.send(Event::Effect(Box::new(effected)));
    }
}

/// The arguments with the machine that they are about.
fn arguments(journal: &Journal, vault: &Vault, call: &Call) -> Result<Payload, runner_journal::Error> {
    journal.payload(vault.hide_json(call.with_machine()))
}

/// What reporters learn of an effect; in doubt until its end is known.
fn effected(call: &Call, effect: &Effect) -> Effected {
    let (act, difference) = match effect {
        Effect::Change { change, before, difference, .. } => {
            (Act::of_change(change, matches!(**before, State::Absent)), difference.clone())
        }
        Effect::Service { unit, action } => (Act::Service { unit: unit.clone(), action: *action }, None),
        Effect::Command(command) => (Act::of_command(command), None),
        Effect::Request(request) => (Act::of_request(request), None),
        Effect::Exchange(exchange) => (Act::Socket { path: exchange.path.to_string() }, None),
        Effect::Workspace { path, .. } => (Act::Workspace { path: path.clone() }, None),
    };
    let EffectKey { step, target, attempt, number } = call.key.clone();
    let (on, class) = (call.on.clone(), call.class);
    let end = EffectEnd::InDoubt;
    Effected { step, target, attempt, number, on, class, act, end, milliseconds: 0, difference }
}

/// An effect whose intent is on disk.
struct Intended {
    /// The machine that keeps the intent.
    kept_by: Option<TargetName>,
    waiting: Arc<Mutex<BTreeMap<TargetName, Vec<String>>>>,
    dry: bool,
    faults: Arc<Faults>,
    journal: Arc<Journal>,
    vault: Arc<Vault>,
    events: EventSender,
    line: String,
    begun: Instant,
    /// Taken when its end is told.
    effected: Option<Box<Effected>>,
}

impl Intended {
    fn outcome(
        &self,
        key: EffectKey,
        on: Option<TargetName>,
        answered: Result<Value, Failure>,
        left: Option<Box<Left>>,
    ) {
        let went = answered.is_ok();
        let entry = answer(&self.journal, &self.vault, answered)
            .map(|answer| Entry::Outcome { key, answer, left })
            .and_then(|entry| self.journal.append(&entry).map(|line| (line, carried(&self.journal, &entry))));
        match entry {
            Ok((line, carried)) => {
                if let Some(on) = on {
                    let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    let lines = waiting.entry(on).or_default();
                    // What went with an intent that was heard of need not go again.
                    if went {
                        lines.retain(|line| !self.line.lines().any(|sent| sent == line));
                    }
                    lines.extend(carried.into_iter().chain([line.text]));
                }
            }
            Err(error) => tracing::error!("{error}"),
        }
    }

    /// Ends it, once. An intent without an outcome is in doubt, and that is what the journal rightly says of one that was
    /// abandoned.
    fn close(&mut self, outcome: Outcome) {
        let Some(mut effected) = self.effected.take() else { return };
        self.faults.now(Boundary::AfterAct);
        let Effected { step, target, attempt, number, .. } = &*effected;
        let key =
            EffectKey { step: step.clone(), target: target.clone(), attempt: *attempt, number: *number };
        let on = self.kept_by.clone();
        effected.end = match outcome {
            Outcome::Done(value) => {
                self.outcome(key, on, Ok(value), None);
                if self.dry { EffectEnd::Planned } else { EffectEnd::Done }
            }
            Outcome::Applied(value, applied) => {
                self.outcome(key, on, Ok(value), left(applied));
                if self.dry { EffectEnd::Planned } else { EffectEnd::Done }
            }
            Outcome::Failed(failure) => {
                self.outcome(key, on, Err(failure.clone()), None);
                EffectEnd::Failed { failure }
            }
            Outcome::Abandoned => EffectEnd::InDoubt,
        };
        self.faults.now(Boundary::AfterOutcome);
        // As everywhere else: what the journal hides, no report shows.
        effected.hide(|text| self.vault.hide(text));
        effected.milliseconds = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.events.send(Event::Effect(effected));
    }
}

impl Pending for Intended {
    fn line(&self) -> &str {
        &self.line
    }

    fn end(mut self: Box<Self>, outcome: Outcome) {
        self.close(outcome);
    }
}

impl Drop for Intended {
    fn drop(&mut self) {
        if let Some(Effected { step, target, .. }) = self.effected.as_deref() {
            // The invocation was given up in the middle of the effect.
            tracing::warn!("{step}/{target}: an effect was given up while it went on");
            self.close(Outcome::Abandoned);
        }
    }
}
