//! Undoing what a run really did: its effects backwards, each only where what it left still stands. What runs on a target is
//! asked again, in order, when its files are as they were.

use super::Host;
use super::leave::{Leave, Of, Wanted, alone, is_hidden};
use super::past::{PastCall, PastEffect, PastRun};
use crate::sandbox::context::{Sending, cancelled};
use runner_engine::LAST_GRACE;
use runner_journal::{Entry, Told, UndoEnd};
use runner_model::grant::Ask;
use runner_model::{
    Act, Acting, Change, Command, Digest, EffectClass, EffectKey, Failure, FailureKind, HIDDEN, RemotePath,
    Request, ServiceAction, State, StepId, TargetName,
};
use runner_transport::{Intent, OutputSink, Target, Undo, Undone, Within};
use serde_json::Value;
use std::sync::{Arc, PoisonError};
use tokio_util::sync::CancellationToken;

/// What became of one effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undoing {
    /// Which.
    pub key: EffectKey,
    /// The machine; `None`: the plan's folder, or a request.
    pub on: Option<TargetName>,
    /// What had been done.
    pub act: Act,
    /// What the undo came to.
    pub end: UndoEnd,
}

/// An effect that is to be undone.
struct Done<'a> {
    key: &'a EffectKey,
    call: &'a PastCall,
    effect: &'a PastEffect,
    told: Told,
    /// The journal was lost, and the target kept this.
    told_by_target: bool,
}

/// What was not begun.
const INTERRUPTED: &str = "interrupted before it was undone: undo the run again";

/// What a command says that undoes something goes nowhere: its status is what counts.
struct Silent;

impl OutputSink for Silent {
    fn line(&self, _: bool, _: &str) {}
}

fn failed(failure: Failure) -> UndoEnd {
    UndoEnd::Failed { failure }
}

fn manual(what: impl std::fmt::Display) -> UndoEnd {
    UndoEnd::Manual { what: what.to_string() }
}

/// Waits for an undo; when it was cut off and does not end in time, it is not known how it ended.
async fn until<T>(cut: &CancellationToken, undo: impl Future<Output = T>) -> Result<T, UndoEnd> {
    let given_up = async {
        cut.cancelled().await;
        tokio::time::sleep(LAST_GRACE).await;
    };
    tokio::select! {
        biased;
        undone = undo => Ok(undone),
        () = given_up => Err(failed(cancelled())),
    }
}

impl Host {
    /// Undoes those effects of a run that are wanted, machine by machine, the one that was touched last first, and tells of
    /// each as it comes. After `hold` no other one is begun.
    pub(super) async fn undo_some(
        &self,
        run: &PastRun,
        wanted: impl Fn(&EffectKey) -> bool,
        (hold, cut): (&CancellationToken, &CancellationToken),
        tell: &mut (dyn FnMut(&Undoing) + Send),
    ) -> Vec<Undoing> {
        let mut all = Vec::new();
        for machine in machines(run) {
            let done = effects(run, machine.as_ref()).into_iter().filter(|done| wanted(done.key));
            let (signals, changes): (Vec<_>, Vec<_>) =
                done.partition(|done| done.call.class == EffectClass::Signal);
            for done in changes.iter().rev() {
                // What was done before something that could not be undone may be what that stands on.
                let undoing = match (hold.is_cancelled(), self.is_stuck(machine.as_ref())) {
                    (true, _) => done.ended(manual(INTERRUPTED)),
                    (_, true) => done.ended(manual("left alone: what was done after it could not be undone")),
                    _ => {
                        until(cut, self.undo_one(run, done, cut)).await.unwrap_or_else(|end| done.ended(end))
                    }
                };
                if matches!(undoing.end, UndoEnd::Failed { .. }) {
                    self.stuck.lock().unwrap_or_else(PoisonError::into_inner).insert(machine.clone());
                }
                tell(&undoing);
                all.push(undoing);
            }
            for done in last_of_each(&signals) {
                let undoing = match (hold.is_cancelled(), self.is_stuck(machine.as_ref())) {
                    (true, _) => done.ended(manual(INTERRUPTED)),
                    (_, true) => done.ended(manual("ask it again when the rest is undone")),
                    _ => {
                        until(cut, self.ask_again(run, done, cut)).await.unwrap_or_else(|end| done.ended(end))
                    }
                };
                tell(&undoing);
                all.push(undoing);
            }
        }
        all
    }

    /// Whether something on the machine could not be undone.
    fn is_stuck(&self, machine: Option<&TargetName>) -> bool {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner).contains(&machine.cloned())
    }

    async fn undo_one(&self, run: &PastRun, done: &Done<'_>, cut: &CancellationToken) -> Undoing {
        match run.undone.get(done.key) {
            Some(Some(end @ (UndoEnd::Done | UndoEnd::Nothing | UndoEnd::Kept))) => {
                return done.ended(end.clone());
            }
            // Of a file what is there tells; of all else nothing does.
            Some(None) if !matches!(done.told.act, Act::Change { .. } | Act::Workspace { .. }) => {
                return done.ended(manual("its undo was cut off in the middle: see what came of it"));
            }
            _ => {}
        }
        let how = match self.what_undoes(run, done) {
            Ok(how) => how,
            Err(end) => return done.ended(end),
        };
        match self.leave(run, done.of(), how.wanted()).await {
            Ok(leave) => self.recorded(done, self.carry_out(done, how, leave, cut)).await,
            Err(failure) => done.ended(refused(failure)),
        }
    }

    /// Asks something again that had been asked.
    async fn ask_again(&self, run: &PastRun, done: &Done<'_>, cut: &CancellationToken) -> Undoing {
        let again = match again(done) {
            Ok(again) => again,
            Err(end) => return done.ended(end),
        };
        match self.leave(run, done.of(), again.wanted()).await {
            Ok(leave) => self.recorded(done, self.signal_again(done, again, leave, cut)).await,
            Err(failure) => done.ended(refused(failure)),
        }
    }

    /// Intent, act, outcome: the undo of an effect is one itself.
    async fn recorded(&self, done: &Done<'_>, act: impl Future<Output = UndoEnd>) -> Undoing {
        let entry = Entry::Undo { key: done.key.clone(), told: Box::new(done.told.clone()) };
        let end = match self.journal.append_durable(&entry).await {
            Ok(_) => act.await,
            Err(error) => return done.ended(failed(error.into())),
        };
        let entry = Entry::Undone { key: done.key.clone(), end: end.clone() };
        match self.journal.append(&entry) {
            Ok(_) => done.ended(end),
            Err(error) => done.ended(failed(error.into())),
        }
    }

    /// How an effect is undone, or why it is not.
    fn what_undoes(&self, run: &PastRun, done: &Done<'_>) -> Result<How, UndoEnd> {
        let args = || done.call.args.clone();
        let Told { act, .. } = &done.told;
        match act {
            Act::Change { .. } => {
                let change: Change = serde_json::from_value(without_machine(args()))
                    .map_err(|error| manual(format_args!("its record cannot be read: {error}")))?;
                if matches!(change, Change::Archive { .. }) || self.holds_what_is_kept(run, done, &change) {
                    return Err(UndoEnd::Kept);
                }
                if done.call.args.to_string().contains(HIDDEN) {
                    return Err(manual("a secret is in its path or its link, and in no record"));
                }
                if let Some(State::Symlink { points_to }) = &done.effect.before
                    && points_to.contains(HIDDEN)
                {
                    return Err(manual("a secret is in the link that was there, and in no record"));
                }
                let no_copy = done.effect.left.no_copy.as_ref().or(done.effect.acts.no_copy.as_ref());
                if let Some(why) = no_copy {
                    return Err(manual(format_args!("there is no copy of what was there: {why}")));
                }
                Ok(How::Change(Box::new(change)))
            }
            Act::Command { line, .. } => {
                let command: Command = serde_json::from_value(without_machine(args()))
                    .map_err(|error| manual(format_args!("its record cannot be read: {error}")))?;
                if command.keep {
                    return Err(UndoEnd::Kept);
                }
                if never_began(done.call) {
                    return Err(UndoEnd::Nothing);
                }
                match command.undo.clone() {
                    // It could be given a secret, or run what nobody granted.
                    Some(undo) if done.told_by_target => Err(manual(format_args!(
                        "only the target's account of it is left; `{}` undoes it",
                        undo.argv.join(" ")
                    ))),
                    Some(_)
                        if is_hidden(&done.call.args["undo"]) || is_hidden(&done.call.args["skip-if"]) =>
                    {
                        Err(manual("a secret is in the command that undoes it, and in no record"))
                    }
                    Some(undo) => Ok(How::Command { command: Box::new(command), undo }),
                    None => Err(manual(format_args!("undo what `{line}` did"))),
                }
            }
            Act::Request { method, url } => {
                if never_began(done.call) {
                    return Err(UndoEnd::Nothing);
                }
                let undo = done.effect.undo.clone().map(serde_json::from_value::<Request>);
                match undo {
                    // What a target says does not send requests from here.
                    _ if done.told_by_target => Err(manual(format_args!(
                        "undo what `{method} {url}` did: only the target's account of it is left"
                    ))),
                    Some(_) if done.effect.undo.as_ref().is_some_and(is_hidden) => {
                        Err(manual("a secret is in the request that undoes it, and in no record"))
                    }
                    Some(Ok(undo)) if matches!(done.call.answer, Some(Ok(_))) => {
                        Ok(How::Request(Box::new(undo)))
                    }
                    Some(_) => {
                        Err(manual(format_args!("see whether `{method} {url}` was answered, and undo it")))
                    }
                    None => Err(manual(format_args!("undo what `{method} {url}` did"))),
                }
            }
            // What a target says writes nothing here.
            Act::Workspace { path } if done.told_by_target || done.told.on.is_some() => {
                Err(manual(format_args!("only a target's account of `{path}` is left")))
            }
            Act::Workspace { path } => Ok(How::Workspace {
                path: path.clone(),
                before: done.effect.undo.as_ref().and_then(|digest| digest.as_str()?.parse().ok()),
                after: done.call.args.get("content").and_then(|digest| digest.as_str()?.parse().ok()),
            }),
            Act::Socket { path } => Err(manual(format_args!("undo what was asked of the socket `{path}`"))),
            Act::Service { .. } => Err(UndoEnd::Nothing),
        }
    }

    /// Whether a folder was made for something that an undo keeps.
    fn holds_what_is_kept(&self, run: &PastRun, done: &Done<'_>, change: &Change) -> bool {
        let Change::Mkdir { path, .. } = change else { return false };
        effects(run, done.told.on.as_ref()).iter().filter_map(kept_path).any(|kept| kept.is_within(path))
    }

    async fn carry_out(&self, done: &Done<'_>, how: How, leave: Leave, cut: &CancellationToken) -> UndoEnd {
        let end = match how {
            How::Change(change) => self.undo_change(done, *change, leave).await,
            How::Command { command, undo } => self.undo_command(done, &command, &undo, leave, cut).await,
            How::Request(undo) => self.send(*undo, leave).await,
            How::Workspace { path, before, after } => self.undo_workspace(&path, before, after),
        };
        end.unwrap_or_else(failed)
    }

    /// The verbs of the machine of an effect.
    async fn verbs_of(&self, done: &Done<'_>, acting: &Acting) -> Result<Arc<dyn Target>, Failure> {
        let none = || Failure::new(FailureKind::Other, "its record names no machine");
        let on = done.told.on.as_ref().ok_or_else(none)?;
        Ok(self.fleet.connection(on).await?.acting(acting))
    }

    async fn undo_change(&self, done: &Done<'_>, change: Change, leave: Leave) -> Result<UndoEnd, Failure> {
        let PastEffect { before, after, left, acts, .. } = done.effect;
        let (Some(before), Some(after)) = (before.clone(), left.after.clone().or_else(|| after.clone()))
        else {
            return Ok(manual("its record has not what was there before"));
        };
        let made_folders = if left.made_folders > 0 { left.made_folders } else { acts.folders };
        let key = acts.key.clone();
        let undo = Undo { change, before, after, key, made_folders };
        let verbs = self.verbs_of(done, &leave.acting).await?;
        let line = line(done);
        Ok(match verbs.undo(&undo, leave.reach.as_within(), Intent::new(&line)).await? {
            Undone::Restored => UndoEnd::Done,
            Undone::Nothing => UndoEnd::Nothing,
            Undone::Conflict(now) => UndoEnd::Conflict { why: format!("now it is {}", short(&now)) },
            Undone::NoCopy(why) => manual(format_args!("{why}; it was {}", short(&undo.before))),
        })
    }

    async fn undo_command(
        &self,
        done: &Done<'_>,
        command: &Command,
        undo: &Command,
        Leave { acting, reach, .. }: Leave,
        cut: &CancellationToken,
    ) -> Result<UndoEnd, Failure> {
        let verbs = self.verbs_of(done, &acting).await?;
        if !matches!(done.call.answer, Some(Ok(_))) {
            // It may have happened, in part or not at all: only its check can tell.
            let Some(check) = &command.skip_if else {
                return Ok(manual(format_args!(
                    "see whether it was done; `{}` undoes it",
                    undo.argv.join(" ")
                )));
            };
            let seen = self.run_silently(&*verbs, check, reach.as_within(), None, cut).await?;
            if seen != 0 {
                return Ok(UndoEnd::Nothing);
            }
        }
        let line = line(done);
        let status =
            self.run_silently(&*verbs, undo, reach.as_within(), Some(Intent::new(&line)), cut).await?;
        if status == 0 || undo.accept.contains(&status) {
            return Ok(UndoEnd::Done);
        }
        let message = format!("`{}` ended with status {status}", undo.argv.join(" "));
        Err(Failure::new(FailureKind::CommandFailed, message))
    }

    async fn run_silently(
        &self,
        verbs: &dyn Target,
        command: &Command,
        within: Within<'_>,
        intent: Option<Intent<'_>>,
        cut: &CancellationToken,
    ) -> Result<u32, Failure> {
        let ran = verbs.run(command, within, intent, &Silent, cut).await?;
        Ok(ran.status)
    }

    async fn send(&self, request: Request, leave: Leave) -> Result<UndoEnd, Failure> {
        let url = runner_model::grant::parse_url(&request.url)?;
        let title = format!("{} {url}", request.method);
        let sending = Sending { request, url, named_literally: leave.named_literally };
        let answer = self.requests.send_with(&self.vault, &sending).await?;
        if (200..300).contains(&answer.status) {
            return Ok(UndoEnd::Done);
        }
        Err(Failure::new(
            FailureKind::Other,
            format_args!("`{title}` was answered with status {}", answer.status),
        ))
    }

    fn undo_workspace(
        &self,
        path: &str,
        before: Option<Digest>,
        after: Option<Digest>,
    ) -> Result<UndoEnd, Failure> {
        let workspace = self.workspace.snapshot();
        let path = path.parse()?;
        let now = match workspace.stat(&path)? {
            Some(_) => workspace.digest(&path).ok(),
            None => None,
        };
        Ok(match before {
            before if now == before => UndoEnd::Nothing,
            _ if now != after => UndoEnd::Conflict { why: "it was changed since".to_owned() },
            Some(before) if self.store.has(&before) => {
                workspace.save(&path, &before)?;
                UndoEnd::Done
            }
            Some(_) => manual(format_args!("put back what `{path}` was: nobody has it any more")),
            None => {
                workspace.remove(&path)?;
                UndoEnd::Done
            }
        })
    }

    /// Asks again what was asked: what runs must see the files that are there now.
    async fn signal_again(
        &self,
        done: &Done<'_>,
        again: Again,
        leave: Leave,
        cut: &CancellationToken,
    ) -> UndoEnd {
        let asked = async {
            let line = line(done);
            match again {
                Again::Service(unit, action) => {
                    let verbs = self.verbs_of(done, &leave.acting).await?;
                    verbs.service(&unit, action, Intent::new(&line)).await?;
                    Ok(UndoEnd::Done)
                }
                Again::Command(command) => {
                    let verbs = self.verbs_of(done, &leave.acting).await?;
                    let within = leave.reach.as_within();
                    let status =
                        self.run_silently(&*verbs, &command, within, Some(Intent::new(&line)), cut).await?;
                    if status == 0 || command.accept.contains(&status) {
                        return Ok(UndoEnd::Done);
                    }
                    let message = format!("`{}` ended with status {status}", command.argv.join(" "));
                    Err(Failure::new(FailureKind::CommandFailed, message))
                }
                Again::Request(request) => self.send(*request, leave).await,
            }
        };
        asked.await.unwrap_or_else(failed)
    }
}

/// Where an effect left something that an undo keeps.
fn kept_path(done: &Done<'_>) -> Option<RemotePath> {
    let args = without_machine(done.call.args.clone());
    match &done.told.act {
        Act::Change { .. } => match serde_json::from_value(args).ok()? {
            Change::Archive { into, .. } => Some(into),
            _ => None,
        },
        Act::Command { .. } => {
            let command: Command = serde_json::from_value(args).ok()?;
            command.stdout_to.filter(|_| command.keep)
        }
        _ => None,
    }
}

/// What is asked again.
enum Again {
    Service(String, ServiceAction),
    Command(Box<Command>),
    Request(Box<Request>),
}

impl Again {
    fn wanted(&self) -> Wanted<'_> {
        match self {
            Self::Service(unit, action) => Wanted::Ask(Ask::Service { unit, action: *action }),
            Self::Command(command) => Wanted::Commands(vec![&**command]),
            Self::Request(request) => Wanted::Request(request),
        }
    }
}

/// What is asked again of something that was asked, or why nothing is.
fn again(done: &Done<'_>) -> Result<Again, UndoEnd> {
    let hidden = is_hidden(&alone(done.call));
    let unread =
        |error| failed(Failure::new(FailureKind::Other, format_args!("its record cannot be read: {error}")));
    match &done.told.act {
        Act::Service { unit, action: ServiceAction::Stop } => Err(manual(format_args!(
            "start `{unit}`, if it ran before: the run stopped it and came no further"
        ))),
        Act::Service { unit, action } => Ok(Again::Service(unit.clone(), *action)),
        Act::Command { .. } if done.told_by_target => {
            Err(manual("run it again: only the target's account of it is left"))
        }
        Act::Request { .. } if done.told_by_target => {
            Err(manual("send it again: only the target's account of it is left"))
        }
        Act::Command { .. } | Act::Request { .. } if hidden => {
            Err(manual("ask it again: a secret is in it, and in no record"))
        }
        Act::Command { .. } => {
            let command = serde_json::from_value(without_machine(done.call.args.clone())).map_err(unread)?;
            Ok(Again::Command(Box::new(command)))
        }
        Act::Request { .. } => {
            let request = serde_json::from_value(without_machine(done.call.args.clone())).map_err(unread)?;
            Ok(Again::Request(Box::new(request)))
        }
        Act::Socket { path } => Err(manual(format_args!("ask the socket `{path}` again what it was asked"))),
        Act::Change { .. } | Act::Workspace { .. } => Err(UndoEnd::Nothing),
    }
}

/// What is not granted, or not any more, is for a person who may.
fn refused(failure: Failure) -> UndoEnd {
    match failure.kind {
        FailureKind::Denied => manual(format_args!("it may not be done by the runner: {failure}")),
        _ => failed(failure),
    }
}

impl How {
    fn wanted(&self) -> Wanted<'_> {
        match self {
            Self::Change(change) => Wanted::Change(change),
            Self::Command { command, undo } => {
                Wanted::Commands(command.skip_if.iter().map(|check| &**check).chain([&**undo]).collect())
            }
            Self::Request(undo) => Wanted::Request(undo),
            Self::Workspace { path, .. } => Wanted::Ask(Ask::File { write: true, path }),
        }
    }
}

/// How an effect is undone.
enum How {
    Change(Box<Change>),
    Command { command: Box<Command>, undo: Box<Command> },
    Request(Box<Request>),
    Workspace { path: String, before: Option<Digest>, after: Option<Digest> },
}

impl<'a> Done<'a> {
    fn of(&'a self) -> Of<'a> {
        Of { key: self.key, on: self.told.on.as_ref(), effect: self.effect }
    }

    fn ended(&self, end: UndoEnd) -> Undoing {
        let Told { on, act } = self.told.clone();
        Undoing { key: self.key.clone(), on, act, end }
    }
}

/// What the target keeps of an undo.
fn line(done: &Done<'_>) -> String {
    let EffectKey { step, target, attempt, number } = done.key;
    serde_json::json!({ "undo": { "step": step, "target": target, "attempt": attempt, "number": number } })
        .to_string()
}

/// The machines of a run's effects, the one that was touched last first.
fn machines(run: &PastRun) -> Vec<Option<TargetName>> {
    let mut machines = Vec::new();
    for key in run.effects.iter().rev() {
        let on = run.effect(key).and_then(|(_, effect)| effect.told.as_ref()?.on.clone());
        if !machines.contains(&on) {
            machines.push(on);
        }
    }
    machines
}

fn effects<'a>(run: &'a PastRun, machine: Option<&TargetName>) -> Vec<Done<'a>> {
    run.effects
        .iter()
        .filter_map(|key| {
            // A gate is gone through, not undone: only the cluster knows how a target stands.
            if key.step == StepId::cluster() {
                return None;
            }
            let (call, effect) = run.effect(key)?;
            let told = effect.told.clone()?;
            let told_by_target = run.is_partial(key);
            (told.on.as_ref() == machine).then_some(Done { key, call, effect, told, told_by_target })
        })
        .collect()
}

/// Each service, with what it was asked last, and each other thing, once.
fn last_of_each<'s, 'a>(signals: &'s [Done<'a>]) -> Vec<&'s Done<'a>> {
    let mut last: Vec<&Done<'a>> = Vec::new();
    for done in signals {
        last.retain(|known| match (&known.told.act, &done.told.act) {
            (Act::Service { unit: known, .. }, Act::Service { unit, .. }) => known != unit,
            _ => known.call.args != done.call.args || known.call.call != done.call.call,
        });
        last.push(done);
    }
    last
}

/// Whether an effect failed before anything of it could happen.
fn never_began(call: &PastCall) -> bool {
    let kinds = [FailureKind::Denied, FailureKind::Invalid];
    matches!(&call.answer, Some(Err(failure)) if kinds.contains(&failure.kind))
}

/// Arguments are recorded with the machine that they are about.
fn without_machine(mut args: Value) -> Value {
    if let Value::Object(fields) = &mut args {
        fields.remove("on");
    }
    args
}

fn short(state: &State) -> String {
    match state {
        State::Absent => "gone".to_owned(),
        State::File { mode, .. } => format!("another file, mode {mode:o}"),
        State::Directory { mode, .. } => format!("another folder, mode {mode:o}"),
        State::Symlink { points_to } => format!("a link to {points_to}"),
        State::Other => "something else".to_owned(),
    }
}
