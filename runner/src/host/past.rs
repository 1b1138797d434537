//! What earlier parts of a run did, as its journal has it: for whoever goes on with the run, or does it again.

use crate::sandbox::context::Changed;
use crate::sandbox::record::{Acts, Call, Doubt, Past};
use runner_artifact::Store;
use runner_journal::{Answer, Entry, Left, Payload, Record, Told, UndoEnd};
use runner_model::{
    Act, Digest, EffectClass, EffectKey, Event, Fact, Failure, FailureKind, ReleaseId, Service, State,
    StepId, TargetFacts, TargetName,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names an invocation.
pub type InvocationKey = (StepId, TargetName, u32);

/// All invocations of a run so far, and what its targets said.
#[derive(Debug, Default)]
pub struct PastRun {
    /// By step, target and attempt.
    pub invocations: BTreeMap<InvocationKey, PastInvocation>,
    /// In the order in which they began.
    pub order: Vec<InvocationKey>,
    /// What was live on each target when the run began.
    pub live: BTreeMap<TargetName, Option<ReleaseId>>,
    /// How the run found each target in its cluster.
    pub stood: BTreeMap<TargetName, Service>,
    /// What targets said of themselves.
    pub facts: BTreeMap<TargetName, TargetFacts>,
    /// Effects, in the order in which they began.
    pub effects: Vec<EffectKey>,
    /// How undos ended that somebody made already; `None`: it was begun, and nobody knows more.
    pub undone: BTreeMap<EffectKey, Option<UndoEnd>>,
    /// Effects of attempts of which only the effects are known, and the calls that were answered with them.
    pub taken: BTreeMap<EffectKey, EffectKey>,
    /// The journal was lost, and is what the targets kept.
    pub from_targets: bool,
}

/// One invocation.
#[derive(Debug)]
pub struct PastInvocation {
    /// The component.
    pub module: Digest,
    /// What it was given.
    pub params: Value,
    /// What else it could learn, and its limits.
    pub about: Option<Value>,
    /// Its calls, by number.
    pub calls: BTreeMap<u32, PastCall>,
    /// How it ended, and the fuel that it used; `None`: it did not.
    pub ended: Option<(Result<Value, Failure>, u64)>,
    /// Only its effects are known: the rest was lost, and the targets kept these.
    pub partial: bool,
}

/// One call.
#[derive(Debug, Clone)]
pub struct PastCall {
    /// What it does to the world.
    pub class: EffectClass,
    /// The function.
    pub call: String,
    /// What it was given.
    pub args: Value,
    /// What it gave; `None`: it is in doubt.
    pub answer: Option<Result<Value, Failure>>,
    /// Of an effect.
    pub effect: Option<PastEffect>,
}

/// What only an effect has.
#[derive(Debug, Clone)]
pub struct PastEffect {
    /// In words.
    pub told: Option<Told>,
    /// What was there.
    pub before: Option<State>,
    /// What was to be there.
    pub after: Option<State>,
    /// What undoes it: a command, a request, the digest of a file.
    pub undo: Option<Value>,
    /// As whom it was done, and where it might be.
    pub acts: Acts,
    /// What it left, as far as it was not known before.
    pub left: Left,
}

impl PastRun {
    /// Reads what is recorded. Payloads come from the store.
    ///
    /// # Errors
    /// A payload is not there any more, or is corrupted.
    pub fn read(record: &Record, store: &Store) -> Result<Self, Failure> {
        let mut run = Self::default();
        for recorded in &record.entries {
            run.add(&recorded.entry, store)?;
        }
        for invocation in run.invocations.values_mut() {
            invocation.forget_what_was_cancelled();
        }
        Ok(run)
    }

    /// The same for whoever goes on with it.
    ///
    /// # Errors
    /// As [`PastRun::read`].
    pub fn to_go_on_with(record: &Record, store: &Store) -> Result<Self, Failure> {
        let mut run = Self::read(record, store)?;
        run.invocations.values_mut().for_each(PastInvocation::doubt_what_was_lost);
        Ok(run)
    }

    fn add(&mut self, entry: &Entry, store: &Store) -> Result<(), Failure> {
        match entry {
            Entry::Event(stamped) => {
                if let Event::Connected { target, live, .. } = &stamped.event {
                    self.live.entry(target.clone()).or_insert_with(|| live.clone());
                }
            }
            Entry::Facts { target, facts } => {
                let Value::Object(facts) = facts.load(store)? else { return Ok(()) };
                let known = self.facts.entry(target.clone()).or_default();
                known.extend(
                    facts.into_iter().filter_map(|(name, value)| Some((name.parse::<Fact>().ok()?, value))),
                );
            }
            Entry::InvocationStarted { step, target, attempt, module, params, about } => {
                let key = (step.clone(), target.clone(), *attempt);
                let invocation = PastInvocation {
                    module: *module,
                    params: params.load(store)?,
                    about: about.as_ref().map(|about| about.load(store)).transpose()?,
                    calls: BTreeMap::new(),
                    ended: None,
                    partial: false,
                };
                self.order.push(key.clone());
                self.invocations.insert(key, invocation);
            }
            Entry::Call { key, class, call, args, answer } => {
                let answer = Some(load(answer, store)?);
                let call = PastCall {
                    class: *class,
                    call: call.clone(),
                    args: args.load(store)?,
                    answer,
                    effect: None,
                };
                self.put(key, call);
            }
            Entry::Intent { key, class, call, args, told, before, after, undo, acts } => {
                self.begun(key);
                let acts: Option<Value> = acts.as_ref().map(|acts| acts.load(store)).transpose()?;
                let acts = acts.map(serde_json::from_value::<Acts>).transpose().map_err(|error| {
                    Failure::new(FailureKind::Other, format_args!("read as whom an effect was done: {error}"))
                })?;
                let effect = Some(PastEffect {
                    told: told.as_deref().cloned(),
                    before: before.clone(),
                    after: after.clone(),
                    undo: undo.as_ref().map(|undo| undo.load(store)).transpose()?,
                    acts: acts.unwrap_or_default(),
                    left: Left::default(),
                });
                // One that is in doubt and was begun again is where it was begun last.
                if self.call(key).is_some_and(|call| call.effect.is_some()) {
                    self.effects.retain(|known| known != key);
                }
                self.effects.push(key.clone());
                let call = PastCall {
                    class: *class,
                    call: call.clone(),
                    args: args.load(store)?,
                    answer: None,
                    effect,
                };
                self.put(key, call);
            }
            Entry::Outcome { key, answer, left } => {
                let answer = load(answer, store)?;
                if let Some(call) = self.of(key).and_then(|invocation| invocation.calls.get_mut(&key.number))
                {
                    call.answer = Some(answer);
                    if let Some((effect, left)) = call.effect.as_mut().zip(left.as_deref()) {
                        effect.left = left.clone();
                    }
                }
            }
            Entry::Taken { key, of, answer } => {
                let answer = load(answer, store)?;
                let Some(effect) = self.call(of).cloned() else { return Ok(()) };
                if let Some(known) = self.of(of).and_then(|invocation| invocation.calls.get_mut(&of.number)) {
                    known.answer.get_or_insert_with(|| answer.clone());
                }
                self.begun(key);
                self.put(key, PastCall { answer: Some(answer), effect: None, ..effect });
                self.taken.insert(of.clone(), key.clone());
            }
            Entry::Undo { key, .. } => {
                self.undone.insert(key.clone(), None);
            }
            Entry::Undone { key, end } => {
                self.undone.insert(key.clone(), Some(end.clone()));
            }
            Entry::Resumed { from_targets, .. } => self.from_targets |= from_targets,
            Entry::InvocationEnded { step, target, attempt, answer, fuel } => {
                let answer = load(answer, store)?;
                let key = (step.clone(), target.clone(), *attempt);
                if let Some(invocation) = self.invocations.get_mut(&key) {
                    invocation.ended = Some((answer, *fuel));
                }
            }
            Entry::Stood { target, standing } => {
                self.stood.entry(target.clone()).or_insert(standing.service);
            }
            Entry::Header(_) | Entry::Mark { .. } | Entry::Marked { .. } | Entry::Closed { .. } => {}
        }
        Ok(())
    }

    /// An effect of an invocation that nothing else is known of.
    fn begun(&mut self, key: &EffectKey) {
        let invocation = (key.step.clone(), key.target.clone(), key.attempt);
        if !self.invocations.contains_key(&invocation) {
            self.order.push(invocation.clone());
            let partial = PastInvocation {
                module: Digest::of(""),
                params: Value::Null,
                about: None,
                calls: BTreeMap::new(),
                ended: None,
                partial: true,
            };
            self.invocations.insert(invocation, partial);
        }
    }

    fn of(&mut self, key: &EffectKey) -> Option<&mut PastInvocation> {
        self.invocations.get_mut(&(key.step.clone(), key.target.clone(), key.attempt))
    }

    fn put(&mut self, key: &EffectKey, call: PastCall) {
        if let Some(invocation) = self.of(key) {
            let in_doubt = |known: &PastCall| known.effect.is_some() && known.answer.is_none();
            // That somebody could not look at an effect in doubt says nothing of it.
            if call.effect.is_none() && invocation.calls.get(&key.number).is_some_and(in_doubt) {
                return;
            }
            invocation.calls.insert(key.number, call);
        }
    }

    /// How many attempts at a step are over for good: the next one is made anew. One that was cut off or cancelled is not
    /// over, and one that ended well is told again.
    pub fn attempts_over(&self, step: &StepId, target: &TargetName) -> u32 {
        match self.attempts(step, target).next_back() {
            None => 0,
            Some((
                attempt,
                PastInvocation { ended: Some((Err(_), _)), .. } | PastInvocation { partial: true, .. },
            )) => attempt,
            Some((attempt, _)) => attempt.saturating_sub(1),
        }
    }

    /// Whether the last attempt at a step ended well.
    pub fn ended_well(&self, step: &StepId, target: &TargetName) -> bool {
        let last = self.attempts(step, target).next_back();
        last.is_some_and(|(_, one)| matches!(one.ended, Some((Ok(_), _))))
    }

    /// What attempts changed that are over, by step and target.
    pub fn changed_before(&self) -> impl Iterator<Item = (StepId, TargetName, Changed)> {
        self.invocations.iter().filter_map(|((step, target, attempt), invocation)| {
            // One that ended well has seen to all that was changed before it.
            let mut well =
                self.attempts(step, target).filter(|(_, one)| matches!(one.ended, Some((Ok(_), _))));
            let well = well.next_back().map_or(0, |(attempt, _)| attempt);
            if *attempt > self.attempts_over(step, target) || *attempt <= well {
                return None;
            }
            let changed = invocation.calls.values().filter_map(|call| match &call.effect.as_ref()?.told {
                Some(Told { on, act: Act::Change { path, .. } }) => Some((on.clone()?, path.clone())),
                Some(Told { act: Act::Workspace { path }, .. }) => Some((target.clone(), path.clone())),
                _ => None,
            });
            Some((step.clone(), target.clone(), changed.collect()))
        })
    }

    /// Of an invocation of which only effects are known, in this attempt or another: one like this call, that was not
    /// taken yet.
    pub fn effect_like(
        &self,
        call: &Call,
        args: &Value,
        taken: &BTreeMap<EffectKey, EffectKey>,
    ) -> Option<EffectKey> {
        // What an attempt took of one before is among its calls: only the last one is gone on with. Each machine tells of
        // its own attempts, so that none of them hides what another one keeps.
        let on = args.get("on").and_then(Value::as_str);
        let attempt = self.last_partial(&call.key.step, &call.key.target, on);
        let (step, target) = (&call.key.step, &call.key.target);
        let invocation = self.invocations.get(&(step.clone(), target.clone(), attempt))?;
        let known = invocation.calls.iter().map(|(number, past)| {
            let (step, target) = (step.clone(), target.clone());
            (EffectKey { step, target, attempt, number: *number }, past)
        });
        known
            .into_iter()
            .find(|(key, past)| past.is(call.call, args) && !taken.contains_key(key))
            .map(|(key, _)| key)
    }

    /// An effect and all that is known of it.
    pub fn effect(&self, key: &EffectKey) -> Option<(&PastCall, &PastEffect)> {
        let invocation = self.invocations.get(&(key.step.clone(), key.target.clone(), key.attempt))?;
        let call = invocation.calls.get(&key.number)?;
        Some((call, call.effect.as_ref()?))
    }

    /// The last attempt that this machine has told of, where only effects are known.
    fn last_partial(&self, step: &StepId, target: &TargetName, on: Option<&str>) -> u32 {
        let of_machine = |one: &PastInvocation| one.calls.values().any(|call| call.machine() == on);
        let mut partial = self.attempts(step, target).filter(|(_, one)| one.partial && of_machine(one));
        partial.next_back().map_or(0, |(attempt, _)| attempt)
    }

    /// A call.
    pub fn call(&self, key: &EffectKey) -> Option<&PastCall> {
        let invocation = self.invocations.get(&(key.step.clone(), key.target.clone(), key.attempt))?;
        invocation.calls.get(&key.number)
    }

    /// The number of the last attempt at a step; 0: there was none.
    pub fn last_attempt(&self, step: &StepId, target: &TargetName) -> u32 {
        self.attempts(step, target).next_back().map_or(0, |(attempt, _)| attempt)
    }

    /// The attempts at a step on a target, the first one first.
    fn attempts(
        &self,
        step: &StepId,
        target: &TargetName,
    ) -> impl DoubleEndedIterator<Item = (u32, &PastInvocation)> {
        let key = |attempt| (step.clone(), target.clone(), attempt);
        self.invocations.range(key(0)..=key(u32::MAX)).map(|((.., attempt), one)| (*attempt, one))
    }

    /// Whether nothing is known of an invocation but its effects.
    pub fn is_partial(&self, key: &EffectKey) -> bool {
        let invocation = self.invocations.get(&(key.step.clone(), key.target.clone(), key.attempt));
        invocation.is_some_and(|invocation| invocation.partial)
    }

    /// How many attempts at a step ended, well or not.
    pub fn attempts_ended(&self, step: &StepId, target: &TargetName) -> u32 {
        let last = self.last_attempt(step, target);
        let ended = self.invocations.get(&(step.clone(), target.clone(), last));
        match ended {
            Some(PastInvocation { ended: None, partial: false, .. }) => last.saturating_sub(1),
            _ => last,
        }
    }

    /// Effects of which nobody knows whether they were done, of invocations that are gone on with, in their order.
    pub fn in_doubt(&self) -> impl Iterator<Item = (EffectKey, &PastCall)> {
        self.order.iter().flat_map(move |key| {
            let (step, target, attempt) = key.clone();
            let open = move |number: &u32, call: &PastCall| {
                let (step, target, attempt) = key.clone();
                if call.answer.is_some() {
                    return false;
                }
                let last = match self.invocations[key].partial {
                    true => self.last_partial(&step, &target, call.machine()),
                    false => self.last_attempt(&step, &target),
                };
                attempt == last
                    && !self.taken.contains_key(&EffectKey { step, target, attempt, number: *number })
            };
            self.invocations[key].calls.iter().filter(move |(number, call)| open(number, call)).map(
                move |(number, call)| {
                    let (step, target) = (step.clone(), target.clone());
                    (EffectKey { step, target, attempt, number: *number }, call)
                },
            )
        })
    }
}

impl PastEffect {
    /// What is known of it, where its outcome is not.
    pub fn doubt(&self) -> Doubt {
        Doubt {
            before: self.before.clone(),
            after: self.after.clone(),
            replaced: self.undo.as_ref().and_then(|digest| digest.as_str()?.parse().ok()),
            folders: self.acts.folders,
            assumed: None,
        }
    }
}

impl PastCall {
    /// The machine that it was about.
    fn machine(&self) -> Option<&str> {
        self.args.get("on").and_then(Value::as_str)
    }

    /// Whether it is this call.
    pub fn is(&self, call: &str, args: &Value) -> bool {
        self.call == call && comparable(self.args.clone()) == comparable(args.clone())
    }
}

impl PastInvocation {
    /// What a cancelled invocation asked after the cancel is not what it asks when it goes on; and an effect that was cut
    /// off by it may have happened.
    fn forget_what_was_cancelled(&mut self) {
        let is_cancelled = |answer: &Option<Result<Value, Failure>>| matches!(answer, Some(Err(failure)) if failure.kind == FailureKind::Cancelled);
        if let Some((Err(failure), _)) = &self.ended
            && matches!(failure.kind, FailureKind::Cancelled | FailureKind::Unknown)
        {
            self.ended = None;
        }
        let first = self.calls.iter().find(|(_, call)| is_cancelled(&call.answer)).map(|(number, _)| *number);
        let Some(first) = first else { return };
        self.ended = None;
        self.calls.retain(|number, call| *number < first || (*number == first && call.effect.is_some()));
        if let Some(call) = self.calls.get_mut(&first) {
            call.answer = None;
        }
    }

    /// An effect of which nobody knows the end, since the run was cut off or its target was not heard of again, is where the
    /// invocation is gone on with: what it did on learning that is not what it does now.
    fn doubt_what_was_lost(&mut self) {
        if matches!(self.ended, Some((Ok(_), _))) {
            return;
        }
        let failed = self.ended.is_some();
        let lost = |call: &PastCall| match &call.answer {
            None => true,
            Some(Err(failure)) => {
                failed && matches!(failure.kind, FailureKind::Unreachable | FailureKind::Timeout)
            }
            Some(Ok(_)) => false,
        };
        let first = self.calls.iter().find(|(_, call)| call.effect.is_some() && lost(call)).map(|(n, _)| *n);
        let Some(first) = first else { return };
        self.ended = None;
        self.calls.retain(|number, _| *number <= first);
        if let Some(call) = self.calls.get_mut(&first) {
            call.answer = None;
        }
    }

    /// What the record has of a call; `args`: what it is given now, as it would be recorded.
    ///
    /// # Errors
    /// It has another call in its place.
    pub fn of(&self, call: &Call, args: &Value) -> Result<Past, Failure> {
        let Some(past) = self.calls.get(&call.key.number) else {
            return match &self.ended {
                None => Ok(Past::New),
                Some(_) => Err(diverged(call, "the end of the invocation", &called(call.call, args))),
            };
        };
        if !past.is(call.call, args) {
            return Err(diverged(call, &called(&past.call, &past.args), &called(call.call, args)));
        }
        Ok(match (&past.answer, &past.effect) {
            (Some(answer), _) => Past::Answered(answer.clone()),
            (None, Some(effect)) => Past::InDoubt(effect.doubt()),
            (None, None) => Past::New,
        })
    }
}

fn load(answer: &Answer, store: &Store) -> Result<Result<Value, Failure>, Failure> {
    Ok(match answer {
        Answer::Ok(payload) => Ok(Payload::load(payload, store)?),
        Answer::Failed(failure) => Err(failure.clone()),
    })
}

/// A call as messages show it.
pub fn called(call: &str, args: &Value) -> String {
    format!("{call} {args}")
}

/// The record and the module differ.
fn diverged(call: &Call, recorded: &str, got: &str) -> Failure {
    let EffectKey { step, target, attempt, number } = &call.key;
    let message = format!(
        "the module diverges from its record: call {number} of step `{step}` on {target}, attempt {attempt}"
    );
    Failure::new(FailureKind::Unknown, message)
        .with_detail(format_args!("recorded: {recorded}\ngot:      {got}"))
}

/// Arguments without the digests of secrets, whose key is gone with the process that made them.
fn comparable(args: Value) -> Value {
    match args {
        Value::Object(mut fields) => {
            if fields.contains_key("parts") {
                fields.remove("digest");
            }
            fields.into_iter().map(|(key, value)| (key, comparable(value))).collect()
        }
        Value::Array(values) => values.into_iter().map(comparable).collect(),
        other => other,
    }
}

/// What whoever goes on with a run knows of its past, and what somebody who looked says of what is in doubt.
#[derive(Debug, Clone, Default)]
pub struct Continued {
    /// The past.
    pub run: Arc<PastRun>,
    /// What somebody who looked says of effects in doubt: of a step, on a target or on all; the last word counts.
    pub assumed: Vec<(StepId, Option<TargetName>, bool)>,
    /// The same of all others.
    pub assume: Option<bool>,
}

impl Continued {
    /// What somebody says who looked.
    pub fn assumed_of(&self, key: &EffectKey) -> Option<bool> {
        let mut said = self.assumed.iter().rev();
        let of_it = said.find(|(step, target, _)| {
            *step == key.step && target.as_ref().is_none_or(|target| *target == key.target)
        });
        of_it.map(|(.., done)| *done).or(self.assume)
    }
}

#[cfg(test)]
mod tests;
