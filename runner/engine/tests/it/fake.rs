//! An executor that does what a script says, and takes its time as told.

use async_trait::async_trait;
use runner_engine::{About, Executor, Invocation, Invoked, Report, Signal, Signals, events, run};
use runner_model::{
    End, Event, Failure, FailureKind, Mark, OnFailure, Phase, ReleaseId, Retry, Runs, Schedule,
    ScheduledStep, Service, Stamped, Standing, StepId, Tally, TargetEnd, TargetName,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// What an invocation does.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Passes after so many milliseconds.
    Pass(u64),
    /// Fails after so many milliseconds.
    Fail(u64, FailureKind),
    /// Panics.
    Panic,
    /// Runs for ever, and does not heed a cancellation.
    Deaf,
}

/// The executor.
#[derive(Default)]
pub(crate) struct Fake {
    /// What invocations do, by step and target, one after another; the last one is repeated.
    pub(crate) acts: Mutex<BTreeMap<(String, String), VecDeque<Act>>>,
    /// What connecting does, by target.
    pub(crate) links: BTreeMap<String, Act>,
    /// What marking fails with.
    pub(crate) mark_fails: bool,
    /// Attempts that an earlier part of the run made, by step.
    pub(crate) over: BTreeMap<StepId, u32>,
    pub(crate) seen: Mutex<Vec<Invocation>>,
    pub(crate) marks: Mutex<Vec<(String, Mark)>>,
    pub(crate) connecting: Mutex<(usize, usize)>,
    /// The cluster, where there is one.
    pub(crate) cluster: Mutex<Cluster>,
    /// What taking the lock fails with.
    pub(crate) locked_by_others: bool,
    /// When the lock is lost, in milliseconds.
    pub(crate) lost_at: Option<u64>,
    /// It is not taken any more.
    pub(crate) forgone: AtomicBool,
    /// Whoever asks learns that it is lost.
    pub(crate) lost_silently: bool,
    /// Targets on which nothing is expected to change.
    pub(crate) settled: BTreeSet<String>,
    /// Steps that are denied something while their target is in service.
    pub(crate) denied: BTreeSet<String>,
    /// Targets whose undo fails.
    pub(crate) stuck: BTreeSet<String>,
    /// What was asked of watchdogs, and what was undone, in order.
    pub(crate) told: Mutex<Vec<String>>,
}

/// A cluster that can be asked, and that keeps in mind how few were in service.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) standings: BTreeMap<String, Standing>,
    pub(crate) found: BTreeMap<String, Service>,
    /// The fewest that were in service at any moment.
    pub(crate) fewest: usize,
    /// Who was put back.
    pub(crate) joined: Vec<String>,
    /// It cannot be asked.
    pub(crate) is_down: bool,
    /// Targets that cannot be taken out.
    pub(crate) stay: BTreeSet<String>,
}

impl Cluster {
    pub(crate) fn of(targets: &[TargetName]) -> Self {
        let standings: BTreeMap<String, Standing> =
            targets.iter().map(|target| (target.to_string(), Standing::served())).collect();
        Self { fewest: standings.len(), standings, ..Self::default() }
    }

    fn count(&mut self) {
        let serving = self.standings.values().filter(|standing| standing.serves()).count();
        self.fewest = self.fewest.min(serving);
    }
}

impl Fake {
    pub(crate) fn on(self, step: &str, target: &str, acts: impl IntoIterator<Item = Act>) -> Self {
        self.acts.lock().unwrap().insert((step.into(), target.into()), acts.into_iter().collect());
        self
    }

    pub(crate) fn link(mut self, target: &str, act: Act) -> Self {
        self.links.insert(target.into(), act);
        self
    }

    /// Neither is to happen while the target serves.
    fn tell_of_watchdog(&self, what: &str, target: &TargetName) {
        let cluster = self.cluster.lock().unwrap();
        let serves = cluster.standings.get(target.as_str()).is_some_and(Standing::serves);
        drop(cluster);
        self.tell(&if serves { format!("in service: {what}") } else { what.to_owned() }, target);
    }

    fn next(&self, invocation: &Invocation) -> Act {
        let key = (invocation.step.to_string(), invocation.target.to_string());
        let mut acts = self.acts.lock().unwrap();
        match acts.get_mut(&key) {
            Some(acts) if acts.len() > 1 => acts.pop_front().unwrap(),
            Some(acts) => acts.front().cloned().unwrap_or(Act::Pass(10)),
            None => Act::Pass(10),
        }
    }

    fn tell(&self, what: &str, target: &TargetName) {
        self.told.lock().unwrap().push(format!("{what} {target}"));
    }

    /// The outputs that were handed to a step on a target at its first attempt.
    pub(crate) fn handed(&self, step: &str, target: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let call =
            seen.iter().find(|call| call.step.as_str() == step && call.target.as_str() == target).unwrap();
        call.outputs.iter().map(|(step, value)| format!("{}={}", step.as_str(), value["on"])).collect()
    }
}

#[async_trait]
impl Executor for Fake {
    fn attempts_over(&self, step: &StepId, _: &TargetName) -> u32 {
        self.over.get(step).copied().unwrap_or_default()
    }

    fn was_begun(&self, step: &StepId) -> bool {
        self.over.contains_key(step)
    }

    async fn connect(&self, target: &TargetName) -> Result<Option<ReleaseId>, Failure> {
        {
            let mut connecting = self.connecting.lock().unwrap();
            connecting.0 += 1;
            connecting.1 = connecting.1.max(connecting.0);
        }
        let act = self.links.get(target.as_str()).cloned().unwrap_or(Act::Pass(5));
        let answer = match act {
            Act::Pass(ms) => {
                sleep(Duration::from_millis(ms)).await;
                Ok(Some("old".parse().unwrap()))
            }
            Act::Fail(ms, kind) => {
                sleep(Duration::from_millis(ms)).await;
                Err(Failure::new(kind, "no route to host"))
            }
            Act::Panic => panic!("connect panics"),
            Act::Deaf => std::future::pending().await,
        };
        self.connecting.lock().unwrap().0 -= 1;
        answer
    }

    async fn invoke(&self, invocation: Invocation, cancel: CancellationToken) -> Invoked {
        let denied = self.denied.contains(invocation.step.as_str())
            && self
                .cluster
                .lock()
                .unwrap()
                .standings
                .get(invocation.target.as_str())
                .is_some_and(Standing::serves);
        let act = if denied { Act::Fail(1, FailureKind::Denied) } else { self.next(&invocation) };
        let on = invocation.target.to_string();
        self.seen.lock().unwrap().push(invocation);
        let (ms, result) = match act {
            Act::Pass(ms) => (ms, Ok(json!({ "on": on }))),
            Act::Fail(ms, kind) => (ms, Err(Failure::new(kind, "scripted"))),
            Act::Panic => panic!("invoke panics"),
            Act::Deaf => std::future::pending().await,
        };
        let result: Result<Value, Failure> = tokio::select! {
            () = sleep(Duration::from_millis(ms)) => result,
            () = cancel.cancelled() => {
                sleep(Duration::from_millis(1)).await;
                Err(Failure::new(FailureKind::Cancelled, "told to end"))
            }
        };
        Invoked { result, unknown: None, stderr: String::new(), tally: Tally::default(), in_service: denied }
    }

    async fn mark(&self, target: &TargetName, mark: Mark) -> Result<(), Failure> {
        sleep(Duration::from_millis(1)).await;
        self.marks.lock().unwrap().push((target.to_string(), mark));
        if self.mark_fails { Err(Failure::new(FailureKind::Other, "disk full")) } else { Ok(()) }
    }

    fn last_known_live(&self, _target: &TargetName) -> Option<ReleaseId> {
        Some("new".parse().unwrap())
    }

    async fn live(&self, _target: &TargetName) -> Result<Option<ReleaseId>, Failure> {
        sleep(Duration::from_millis(1)).await;
        Ok(Some("new".parse().unwrap()))
    }

    fn release(&self) -> Option<ReleaseId> {
        Some("new".parse().unwrap())
    }

    async fn lock(&self, _: &[TargetName]) -> Result<(), Failure> {
        sleep(Duration::from_millis(1)).await;
        match self.locked_by_others {
            true => Err(Failure::new(FailureKind::Conflict, "locked by alice")),
            false => Ok(()),
        }
    }

    async fn lock_lost(&self) -> Failure {
        match self.lost_at {
            Some(at) => sleep(Duration::from_millis(at)).await,
            None => std::future::pending().await,
        }
        Failure::new(FailureKind::Conflict, "bob has the lock")
    }

    fn forgo_lock(&self) {
        self.forgone.store(true, Ordering::Relaxed);
    }

    async fn has_lock(&self) -> Result<(), Failure> {
        match self.lost_silently {
            true => Err(Failure::new(FailureKind::Conflict, "bob has the lock")),
            false => Ok(()),
        }
    }

    async fn is_settled(&self, target: &TargetName) -> bool {
        self.settled.contains(target.as_str())
    }

    async fn observe(&self, targets: &[TargetName]) -> Result<BTreeMap<TargetName, Standing>, Failure> {
        sleep(Duration::from_millis(1)).await;
        let mut cluster = self.cluster.lock().unwrap();
        if cluster.is_down {
            return Err(Failure::new(FailureKind::Unreachable, "no balancer"));
        }
        let mut seen = BTreeMap::new();
        for target in targets {
            let standing = cluster.standings[target.as_str()];
            cluster.found.entry(target.to_string()).or_insert(standing.service);
            seen.insert(target.clone(), standing);
        }
        Ok(seen)
    }

    fn stood(&self, target: &TargetName) -> Option<Service> {
        self.cluster.lock().unwrap().found.get(target.as_str()).copied()
    }

    async fn leave(&self, target: &TargetName, cancel: CancellationToken) -> Result<(), Failure> {
        if self.cluster.lock().unwrap().stay.contains(target.as_str()) {
            return Err(Failure::new(FailureKind::Timeout, "connections go on"));
        }
        {
            let mut cluster = self.cluster.lock().unwrap();
            let standing = cluster.standings.get_mut(target.as_str()).unwrap();
            standing.service = Service::Draining;
            cluster.count();
        }
        tokio::select! {
            () = sleep(Duration::from_millis(3)) => {}
            () = cancel.cancelled() => return Err(Failure::new(FailureKind::Cancelled, "told to end")),
        }
        self.cluster.lock().unwrap().standings.get_mut(target.as_str()).unwrap().service = Service::Out;
        Ok(())
    }

    async fn join(&self, target: &TargetName, _: CancellationToken) -> Result<(), Failure> {
        sleep(Duration::from_millis(2)).await;
        let mut cluster = self.cluster.lock().unwrap();
        *cluster.standings.get_mut(target.as_str()).unwrap() = Standing::served();
        cluster.joined.push(target.to_string());
        Ok(())
    }

    async fn arm(&self, target: &TargetName) -> Result<(), Failure> {
        self.tell_of_watchdog("arm", target);
        Ok(())
    }

    async fn confirm(&self, target: &TargetName) -> Result<(), Failure> {
        self.tell_of_watchdog("confirm", target);
        Ok(())
    }

    async fn disarm(&self, target: &TargetName) -> Result<(), Failure> {
        self.tell("disarm", target);
        Ok(())
    }

    async fn undo(&self, target: &TargetName, _: CancellationToken) -> Result<(), Failure> {
        sleep(Duration::from_millis(4)).await;
        self.tell("undo", target);
        match self.stuck.contains(target.as_str()) {
            true => Err(Failure::new(FailureKind::Conflict, "one thing could not be undone")),
            false => Ok(()),
        }
    }

    async fn undo_rest(&self, _: CancellationToken) -> BTreeMap<Option<TargetName>, Failure> {
        self.told.lock().unwrap().push("undo the rest".to_owned());
        BTreeMap::new()
    }
}

pub(crate) fn target(name: &str) -> TargetName {
    name.parse().unwrap()
}

pub(crate) fn targets(names: &[&str]) -> Vec<TargetName> {
    names.iter().map(|name| target(name)).collect()
}

pub(crate) fn step(phase: Phase, id: &str, on: &[&str]) -> ScheduledStep {
    let runs = Runs::EachTarget(targets(on));
    ScheduledStep { id: id.parse().unwrap(), phase, runs, retry: None, timeout_ms: None, no_return: false }
}

pub(crate) fn once(phase: Phase, id: &str, on: &str) -> ScheduledStep {
    ScheduledStep { runs: Runs::Once(target(on)), ..step(phase, id, &[]) }
}

pub(crate) fn retried(step: ScheduledStep, times: u32, delay_ms: u64) -> ScheduledStep {
    ScheduledStep { retry: Some(Retry { times, delay_ms }), ..step }
}

/// `package`, `send`, `switch` and `test` on these batches, and an `always` step here.
pub(crate) fn usual(batches: &[&[&str]], max_failures: u32) -> Schedule {
    let all: Vec<&str> = batches.iter().flat_map(|batch| batch.iter().copied()).collect();
    Schedule {
        targets: targets(&all),
        batches: batches.iter().map(|batch| targets(batch)).collect(),
        steps: vec![
            once(Phase::Prepare, "package", "localhost"),
            step(Phase::Stage, "send", &all),
            step(Phase::Rollout, "switch", &all),
            step(Phase::Rollout, "test", &all),
            once(Phase::Finish, "tell", "localhost"),
            once(Phase::Always, "clean", "localhost"),
        ],
        max_failures,
        release: true,
        cluster: None,
        pause_ms: 0,
        on_failure: OnFailure::Stop,
        watched: false,
    }
}

/// What came of a run.
pub(crate) struct Played {
    pub(crate) events: Vec<Stamped>,
    pub(crate) report: Report,
    pub(crate) fake: Arc<Fake>,
}

/// Runs the schedule; each signal comes so many milliseconds after the start.
pub(crate) fn play(schedule: &Schedule, fake: Fake, signals: &[(u64, Signal)]) -> Played {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let played = runtime.block_on(async {
        let fake = Arc::new(fake);
        let (sender, mut receiver) = events();
        let (source, listener) = Signals::channel();
        let signals = signals.to_vec();
        let about = About {
            run: "r-1".parse().unwrap(),
            plan: "shop".parse().unwrap(),
            summary: None,
            environment: "test".parse().unwrap(),
            limit: None,
        };
        let pull = async {
            let mut at = 0;
            for (ms, signal) in signals {
                sleep(Duration::from_millis(ms - at)).await;
                at = ms;
                let _ = source.send(signal);
            }
            std::future::pending::<()>().await;
        };
        let report = tokio::select! {
            report = run(about, schedule.clone(), fake.clone(), sender, listener) => report,
            () = pull => unreachable!(),
        };
        let mut events = Vec::new();
        while let Some(event) = receiver.next().await {
            events.push(event);
        }
        Played { events, report, fake }
    });
    if let Err(broken) = invariants(schedule, &played) {
        panic!("{broken}\n{}", played.story().join("\n"));
    }
    played
}

impl Played {
    /// The events as short lines with their times.
    pub(crate) fn story(&self) -> Vec<String> {
        self.events
            .iter()
            .filter_map(|stamped| Some(format!("{} {}", stamped.at, line(&stamped.event)?)))
            .collect()
    }

    /// The short lines without their times.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.events.iter().filter_map(|stamped| line(&stamped.event)).collect()
    }

    /// When a line was told.
    pub(crate) fn at(&self, wanted: &str) -> u64 {
        let found = self.events.iter().find(|stamped| line(&stamped.event).as_deref() == Some(wanted));
        found.unwrap_or_else(|| panic!("no `{wanted}` in\n{}", self.story().join("\n"))).at
    }

    pub(crate) fn told(&self, wanted: &str) -> bool {
        self.lines().iter().any(|line| line == wanted)
    }

    pub(crate) fn end(&self, name: &str) -> &TargetEnd {
        &self.report.targets.iter().find(|report| report.target.as_str() == name).unwrap().end
    }

    /// How the targets ended, in a word each.
    pub(crate) fn ends(&self) -> Vec<String> {
        self.report
            .targets
            .iter()
            .map(|report| match &report.end {
                TargetEnd::Done => "done".into(),
                TargetEnd::Untouched => "untouched".into(),
                TargetEnd::Failed { step, .. } => format!("failed {}", step.as_str()),
                TargetEnd::Unreachable { .. } => "unreachable".into(),
                TargetEnd::Stopped { step: Some(step) } => format!("stopped {}", step.as_str()),
                TargetEnd::Stopped { step: None } => "stopped".into(),
                TargetEnd::RolledBack { .. } => "rolled back".into(),
                TargetEnd::RollbackFailed { .. } => "rollback failed".into(),
            })
            .collect()
    }
}

fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::StepStarted { step, target, attempt: 1 } => format!("+ {step} {target}"),
        Event::StepStarted { step, target, attempt } => format!("+ {step} {target} #{attempt}"),
        Event::StepFinished { step, target, end, .. } => match end {
            End::Ok => format!("- {step} {target}"),
            End::Unknown { why } => format!("? {step} {target}: {why}"),
            End::Failed { .. } => format!("x {step} {target}"),
            End::Cancelled => format!("c {step} {target}"),
        },
        Event::PhaseStarted { phase } => phase.word().to_owned(),
        Event::BatchStarted { number, .. } => format!("batch {number}"),
        Event::Halted { failures, allowed } => format!("halted {failures}/{allowed}"),
        Event::Cancelling => "cancelling".into(),
        Event::Connected { target, .. } => format!("up {target}"),
        Event::Unreachable { target, .. } => format!("down {target}"),
        Event::ServiceAwaited { target, serving, keeps, .. } => format!("waits {target} {serving}/{keeps}"),
        Event::ServiceLeft { target, .. } => format!("out {target}"),
        Event::ServiceJoined { target, .. } => format!("in {target}"),
        Event::ClusterLost { .. } => "cluster lost".into(),
        Event::Paused { milliseconds } => format!("pause {milliseconds}"),
        Event::Undone { step, target, .. } => format!("undone {step} {target}"),
        Event::RollbackStarted { targets } => format!("rollback of {}", targets.len()),
        Event::RollbackOff { why } => format!("no rollback: {why}"),
        Event::TargetRolledBack { target, .. } => format!("back {target}"),
        Event::RollbackFailed { failure, .. } => format!("not back: {failure}"),
        Event::LockAwaited { failure } => format!("waits: {failure}"),
        Event::LockRefused { failure } => format!("refused: {failure}"),
        Event::LockLost { failure } => format!("lock lost: {failure}"),
        _ => return None,
    })
}

/// What holds for every run.
pub(crate) fn invariants(schedule: &Schedule, played: &Played) -> Result<(), String> {
    let events = &played.events;
    let phases: BTreeMap<&StepId, Phase> = schedule.steps.iter().map(|step| (&step.id, step.phase)).collect();
    let is_once =
        |id: &StepId| schedule.steps.iter().any(|step| step.id == *id && matches!(step.runs, Runs::Once(_)));
    let mut running: Vec<(&StepId, &TargetName)> = Vec::new();
    let mut lost: Vec<&TargetName> = Vec::new();
    let mut finished: Vec<&TargetName> = Vec::new();
    let mut begun_once: Vec<&StepId> = Vec::new();
    let mut last_failure: BTreeMap<&TargetName, &StepId> = BTreeMap::new();
    let (mut at, mut phase, mut batch) = (0, None, 0);
    let (mut halted, mut cancelling) = (false, false);
    let mut members: Vec<TargetName> = Vec::new();
    let ensure = |holds: bool, what: String| if holds { Ok(()) } else { Err(what) };

    ensure(matches!(events.first().map(|s| &s.event), Some(Event::RunStarted { .. })), "no start".into())?;
    ensure(matches!(events.last().map(|s| &s.event), Some(Event::RunFinished { .. })), "no end".into())?;
    for stamped in events {
        ensure(stamped.at >= at, format!("time goes back at {}", stamped.at))?;
        at = stamped.at;
        match &stamped.event {
            Event::PhaseStarted { phase: next } => {
                ensure(phase < Some(*next), format!("{next:?} after {phase:?}"))?;
                ensure(running.is_empty(), format!("{next:?} begins while {running:?} run"))?;
                phase = Some(*next);
                members.clear();
            }
            Event::BatchStarted { number, targets, .. } => {
                ensure(running.is_empty(), format!("batch {number} begins while {running:?} run"))?;
                ensure(*number > batch && !halted && !cancelling, format!("batch {number} must not begin"))?;
                let failures = u32::try_from(lost.len()).unwrap();
                ensure(
                    failures <= schedule.max_failures,
                    format!("batch {number} after {failures} failures"),
                )?;
                batch = *number;
                members.clone_from(targets);
            }
            Event::StepStarted { step, target, attempt } => {
                let of = phases[step];
                ensure(phase == Some(of), format!("{step} in {phase:?}"))?;
                ensure(!cancelling || of == Phase::Always, format!("{step} begins after a signal"))?;
                ensure(of == Phase::Always || !lost.contains(&target), format!("{step} on lost {target}"))?;
                if of == Phase::Rollout && !is_once(step) {
                    ensure(members.contains(target), format!("{target} is not in batch {batch}"))?;
                }
                let first = played.fake.over.get(step).copied().unwrap_or_default() + 1;
                if is_once(step) && *attempt == first {
                    ensure(!begun_once.contains(&step), format!("{step} runs twice"))?;
                    begun_once.push(step);
                }
                ensure(
                    *attempt == first || last_failure.get(target) == Some(&step),
                    format!("{step} #{attempt}"),
                )?;
                running.push((step, target));
            }
            Event::StepFinished { step, target, end, .. } => {
                let place = running.iter().position(|pair| *pair == (step, target));
                running.remove(place.ok_or(format!("{step} on {target} ends without a start"))?);
                if matches!(end, End::Failed { .. }) {
                    last_failure.insert(target, step);
                    if phases[step] < Phase::Finish
                        && schedule.targets.contains(target)
                        && !lost.contains(&target)
                    {
                        lost.push(target);
                    }
                }
            }
            Event::StepRetried { target, .. } => lost.retain(|lost| *lost != target),
            Event::Unreachable { target, .. } => lost.push(target),
            Event::Halted { .. } => {
                ensure(!halted, "halted twice".into())?;
                halted = true;
            }
            Event::Cancelling => cancelling = true,
            Event::TargetFinished { target, .. } => {
                ensure(running.is_empty() && !finished.contains(&target), format!("{target} ends twice"))?;
                finished.push(target);
            }
            _ => {}
        }
    }
    for target in &schedule.targets {
        ensure(finished.contains(&target), format!("{target} does not end"))?;
    }
    ensure(finished.len() == played.report.targets.len(), "the report and the events differ".into())
}
