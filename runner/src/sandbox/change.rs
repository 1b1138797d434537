//! A change of a machine. It is asked first what is there and what will be. When the two are the same, nothing is written
//! and nothing is journaled as an effect; otherwise the intent is on disk here before the request leaves, and on the
//! target before it acts.

use super::context::{Context, Reach};
use super::doubt::Became;
use super::gate::Touch;
use super::handles::Target;
use super::record::{Call, Doubt, Effect, Outcome, Past};
use super::state::{Answer, State};
use super::text;
use runner_model::grant::Ask;
use runner_model::{Attributes, Change, EffectClass, Entry, Failure, FailureKind, RemotePath, TargetName};
use runner_transport::{Applied, Intent, Target as Verbs};
use serde_json::{Value, json};
use std::sync::Arc;
use wasmtime::component::Resource;

/// Why there is no copy of what was there before an effect that was cut off in the middle and done again.
const AGAIN: &str = "it was cut off in the middle, and done again; what was there before may be in the folder `undo` of the run";

impl State {
    /// A change whose answer is whether the target differs.
    pub(super) async fn bool_change(
        &mut self,
        name: &'static str,
        on: &Resource<Target>,
        path: &str,
        change: Result<Change, Failure>,
    ) -> Answer<bool> {
        let arguments = arguments(&change, || json!({ "path": path }));
        Ok(self.change_verb(name, on, arguments, change).await?.map(|changed| changed.differs))
    }

    /// A verb that changes something: look, then intent, act and outcome; or the answer that it got before.
    pub(super) async fn change_verb(
        &mut self,
        name: &'static str,
        on: &Resource<Target>,
        arguments: Value,
        change: Result<Change, Failure>,
    ) -> Answer<Changed> {
        let on = self.machine(on)?;
        let call = self.call(name, EffectClass::Change, Some(&on), arguments)?;
        let doubt = match self.past(&call)? {
            Past::Answered(answer) => return self.changed_before(&call, &on, change.ok().as_ref(), answer),
            Past::InDoubt(doubt) => Some(doubt),
            Past::New => None,
        };
        let context = self.context.clone();
        let observed = context.observe(&on, change.clone()).await;
        let observed = match (&doubt, change) {
            (Some(doubt), Ok(change)) => match context.became(&on, &change, doubt, &observed).await {
                Ok(Became::Done) => {
                    let changed = context.as_done(&on, &change).await;
                    if let Ok(changed) = &changed {
                        self.count_change(&on, &change);
                        context.record.settled(&call, changed.as_json(&change));
                    }
                    return self.answer(changed);
                }
                Ok(Became::Undone) => observed,
                Err(failure) => return self.answer(Err(failure)),
            },
            _ => observed,
        };
        let (change, observed) = match observed {
            Ok(observed) => observed,
            Err(failure) => return Ok(self.looked(&call, Err(failure))?.map(|()| Changed::default())),
        };
        if observed.before == observed.after && doubt.is_none() {
            let marked = self.context.marks.has(&self.context.info, &on, change.path().as_str());
            let same = self.looked(&call, Ok(marked))?;
            return Ok(same.map(|differs| Changed { differs, size: 0 }));
        }
        if let Err(failure) = self.context.not_in_service(&on, Touch::Change(&change)) {
            return Ok(self.looked(&call, Err(failure))?.map(|()| Changed::default()));
        }
        let result = self.apply(&call, &on, change, observed, doubt).await;
        self.answer(result)
    }

    /// A change that an earlier part of the run made, or found made, or failed to make.
    fn changed_before(
        &mut self,
        call: &Call,
        on: &TargetName,
        change: Option<&Change>,
        answer: Result<Value, Failure>,
    ) -> Answer<Changed> {
        let changed = match self.read_back::<Value>(call, answer)? {
            Ok(Value::Number(size)) => Ok(Changed { differs: true, size: size.as_u64().unwrap_or_default() }),
            Ok(differs) => Ok(Changed { differs: differs == Value::Bool(true), size: 0 }),
            Err(failure) => Err(failure),
        };
        match (&changed, change) {
            (Ok(Changed { differs: true, .. }), Some(change)) => self.count_change(on, change),
            _ => self.tally.reads += 1,
        }
        self.answer(changed)
    }

    /// Keeps in mind that the target may differ now.
    fn count_change(&mut self, on: &TargetName, change: &Change) {
        self.tally.changes += 1;
        self.changed.insert((on.clone(), change.path().as_str().to_owned()));
    }

    /// Intent, act, outcome.
    async fn apply(
        &mut self,
        call: &Call,
        on: &TargetName,
        change: Change,
        seen: Observation,
        doubt: Option<Doubt>,
    ) -> Result<Changed, Failure> {
        let context = self.context.clone();
        context.not_cancelled()?;
        let Observation { verbs, within, before, after, folders } = seen;
        let difference = if context.diff {
            Some(context.difference(&verbs, &change, &within, &before, &after).await)
        } else {
            None
        };
        let recorded = |state: runner_model::State| Box::new(recorded(&context, &change, state));
        let mut acts = context.acts_with_copy(within.clone(), folders);
        let mut was = recorded(before.clone());
        if let Some(doubt) = &doubt {
            // An undo goes back to what was there before it was begun the first time.
            acts.folders = acts.folders.max(doubt.folders);
            if let Some(first) = doubt.before.clone().filter(|first| *first != *was) {
                *was = first;
                acts.no_copy = Some(AGAIN.to_owned());
            }
        }
        let effect = Effect::Change {
            change: Box::new(change.clone()),
            before: was,
            after: recorded(after),
            difference,
        };
        let key = acts.key.clone();
        let pending = context.record.intend(call, &effect, acts).await?;
        // From here on the target may differ, whatever is answered.
        let touched = (on.clone(), change.path().as_str().to_owned());
        let first = self.changed.insert(touched.clone());
        let line = pending.line().to_owned();
        let intent = Intent { line: &line, undo: key.as_ref() };
        let apply = context.beside_what_serves(on, &within, async |within| {
            verbs.apply(&change, &before, within.as_within(), intent).await
        });
        let applied = context.to_the_end(apply).await;
        match applied {
            // Only what was unpacked could be compared.
            Some(Ok(Applied { size: 0, .. }))
                if matches!(change, Change::Unarchive { .. }) && doubt.is_none() =>
            {
                if first {
                    self.changed.remove(&touched);
                }
                let differs = context.marks.has(&context.info, on, change.path().as_str());
                pending.end(Outcome::Done(json!(differs)));
                Ok(Changed { differs, size: 0 })
            }
            Some(Ok(applied)) => {
                self.tally.changes += 1;
                if let Some(gate) = &context.gate {
                    gate.changed(on, &change);
                }
                let changed = Changed { differs: true, size: applied.size };
                pending.end(Outcome::Applied(changed.as_json(&change), applied));
                Ok(changed)
            }
            Some(Err(failure)) => {
                pending.end(Outcome::Failed(failure.clone()));
                Err(failure)
            }
            None => {
                pending.end(Outcome::Abandoned);
                Err(super::context::cancelled())
            }
        }
    }
}

impl Context {
    /// Checks a change against the grants, and asks the machine what it would find and leave.
    async fn observe(
        &self,
        on: &TargetName,
        change: Result<Change, Failure>,
    ) -> Result<(Change, Observation), Failure> {
        self.not_cancelled()?;
        let change = change?;
        let mut within = Reach::default();
        for ask in Ask::of_change(&change) {
            within.add(&ask, self.allow(&ask)?);
        }
        if let Change::WriteSecret { content, .. } = &change {
            self.may_use(content.names())?;
        }
        let verbs = self.verbs(on).await?;
        let seen = self.or_cancelled(verbs.observe(&change, within.as_within())).await?;
        let folders = seen.folders;
        Ok((change, Observation { verbs, within, before: seen.before, after: seen.after, folders }))
    }
}

/// What the machine said before a change.
struct Observation {
    verbs: Arc<dyn Verbs>,
    within: Reach,
    before: runner_model::State,
    after: runner_model::State,
    /// How many folders it will make.
    folders: u32,
}

/// What a change answers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Changed {
    /// Whether the target differs from how the step last left it.
    pub(super) differs: bool,
    /// Of an archive.
    pub(super) size: u64,
}

/// What a change is recorded with: all that it is, for its undo; what does not parse with what it was given.
pub(super) fn arguments(change: &Result<Change, Failure>, given: impl FnOnce() -> Value) -> Value {
    match change {
        Ok(change) => serde_json::to_value(change).unwrap_or(Value::Null),
        Err(_) => {
            let Value::Object(given) = given() else { return Value::Null };
            let short =
                |value: Value| value.as_str().map_or(Value::Null, |given| text::line(given, 4096).into());
            given.into_iter().map(|(name, value)| (name, short(value))).collect()
        }
    }
}

impl Changed {
    /// As it is recorded.
    fn as_json(self, change: &Change) -> Value {
        if matches!(change, Change::Archive { .. }) { json!(self.size) } else { json!(self.differs) }
    }
}

impl Context {
    /// What became of a change that is in doubt, where this was observed now.
    async fn became(
        &self,
        on: &TargetName,
        change: &Change,
        doubt: &Doubt,
        observed: &Result<(Change, Observation), Failure>,
    ) -> Result<Became, Failure> {
        match (change, observed) {
            // An archive gets its name when it is whole.
            (Change::Archive { .. }, Ok(_)) => Ok(Became::Undone),
            (Change::Archive { into, .. }, Err(failure)) if failure.kind == FailureKind::Conflict => {
                match self.archived(on, into).await? {
                    Some(_) => Ok(Became::Done),
                    None => Err(failure.clone()),
                }
            }
            // What was to be renamed is gone: is it where it was to go?
            (Change::Rename { to, .. }, Err(failure)) if failure.kind == FailureKind::NotFound => {
                let look = Change::SetAttributes { path: to.clone(), attributes: Attributes::default() };
                let (_, there) = self.observe(on, Ok(look)).await?;
                let arrived = Doubt { after: doubt.before.clone(), ..doubt.clone() };
                arrived.of_change(on, change, &there.before)
            }
            (_, Ok((_, seen))) => doubt.of_change(on, change, &recorded(self, change, seen.before.clone())),
            (_, Err(failure)) => match doubt.assumed() {
                Some(became) => Ok(became),
                None => Err(failure.clone()),
            },
        }
    }

    /// The answer of a change that was done before anybody heard of it.
    async fn as_done(&self, on: &TargetName, change: &Change) -> Result<Changed, Failure> {
        let size = match change {
            Change::Archive { into, .. } => self.archived(on, into).await?.map_or(0, |entry| entry.size),
            _ => 0,
        };
        Ok(Changed { differs: true, size })
    }

    /// The archive that a change was to make.
    async fn archived(&self, on: &TargetName, into: &RemotePath) -> Result<Option<Entry>, Failure> {
        let reach = Reach::of(&Ask::Write(into), self.allow(&Ask::Write(into))?);
        // What may be written may be looked at for this.
        let within = reach.as_within();
        let within = runner_transport::Within { reads: within.writes, ..within };
        self.verbs(on).await?.stat(into, within).await
    }
}

/// A state as a record keeps it.
fn recorded(context: &Context, change: &Change, state: runner_model::State) -> runner_model::State {
    match change {
        Change::WriteSecret { .. } => without_content(context, state),
        _ => state,
    }
}

/// A file with a secret in it as a record keeps it: who can guess its content must not be able to tell, nor how long it is.
/// What was there before may be an older secret.
fn without_content(context: &Context, state: runner_model::State) -> runner_model::State {
    match state {
        runner_model::State::File { digest, mode, owner, group, .. } => {
            runner_model::State::File { digest: context.vault.keyed(&digest), size: 0, mode, owner, group }
        }
        other => other,
    }
}
