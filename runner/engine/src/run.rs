//! One run from its first event to its last.
//!
//! Connections are opened from the start, beside `prepare`; then come the phases. What the rules leave open is
//! settled here:
//!
//! - A run is *halted* when more targets failed or were unreachable than `max-failures` allows, when a step that runs
//!   once failed, or when no target is left. Then no phase and no batch begins but `always`. Before the rollout,
//!   targets stop at their next step: what is staged harms nobody. In the rollout, the targets of the batch go on
//!   to the end of their steps: a target that is left halfway is what a halt is to prevent.
//! - A target that failed goes no further, and its release is marked bad if a step of the rollout had begun on it.
//! - Failures within `max-failures` let the run go on to `finish`, but its verdict is not `done`.
//! - After the first signal nothing begins but `always`; what runs may end within [`GRACE`](crate::GRACE), and is
//!   cancelled then. After the second one everything is.

use crate::brakes::SHORT_GRACE;
use crate::connecting::open;
use crate::events::milliseconds;
use crate::gate::{look, look_again};
use crate::rollback::rollback;
use crate::shared::Run;
use crate::{EventSender, Executor, Signals, flow};
use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use runner_model::{
    EnvironmentName, Event, Limited, Phase, PlanName, ReleaseId, RunId, Runs, Schedule, ScheduledStep,
    TargetEnd, TargetName, Verdict,
};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How many targets are asked at a time what is live, and for how long each.
const ASKED_AT_ONCE: usize = 32;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What a run is called.
#[derive(Debug, Clone)]
pub struct About {
    /// Its id.
    pub run: RunId,
    /// The plan.
    pub plan: PlanName,
    /// What the plan says about itself.
    pub summary: Option<String>,
    /// The environment that it releases to.
    pub environment: EnvironmentName,
    /// What it is limited to.
    pub limit: Option<Limited>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// All of it.
    pub verdict: Verdict,
    /// Each target, in the order of the schedule.
    pub targets: Vec<TargetReport>,
}

/// How a run ended on one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetReport {
    /// The target.
    pub target: TargetName,
    /// In what state it is left.
    pub end: TargetEnd,
    /// What is live there; `None` when nothing is or it is not known.
    pub live: Option<ReleaseId>,
    /// Whether that is known.
    pub live_known: bool,
}

/// Carries out the schedule and says how it ended. The first event is `RunStarted`, the last one `RunFinished`.
pub async fn run(
    about: About,
    schedule: Schedule,
    executor: Arc<dyn Executor>,
    events: EventSender,
    signals: Signals,
) -> Report {
    let started = Instant::now();
    let targets = all_targets(&schedule);
    events.send(Event::RunStarted {
        run: about.run.clone(),
        plan: about.plan,
        summary: about.summary,
        environment: about.environment,
        limit: about.limit,
        targets: targets.clone(),
        steps: schedule.overview(),
    });
    let run = Arc::new(Run::new(&schedule, &targets, executor, events.clone()));
    let work = async {
        // Connections are opened while the phases run, by this one task, and are given up when the run is over.
        let linking = async { tokio::join!(open(&run, &targets), lock(&run, &targets)) };
        let fenced = async {
            let failure = run.executor.lock_lost().await;
            run.lost_lock(failure);
        };
        tokio::select! {
            _ = async { linking.await; fenced.await; std::future::pending::<()>().await } => {}
            () = phases(&run, &schedule) => {}
        }
        reports(&run, &schedule, &targets).await
    };
    let targets = tokio::select! {
        targets = work => targets,
        never = run.brakes.listen(signals, &events) => match never {},
    };
    for TargetReport { target, end, live, live_known } in targets.clone() {
        events.send(Event::TargetFinished { target, end, live, live_known });
    }
    let verdict = run.brakes.first().map_or_else(|| run.board().verdict(), |signal| signal.verdict());
    events.send(Event::RunFinished { run: about.run, verdict, milliseconds: milliseconds(started) });
    Report { verdict, targets }
}

/// The targets of the schedule, and those that only some steps name. `localhost` needs no connection unless the
/// inventory has it.
fn all_targets(schedule: &Schedule) -> Vec<TargetName> {
    let mut all = schedule.targets.clone();
    for target in schedule.steps.iter().flat_map(|step| step.runs.targets()) {
        if !target.is_localhost() && !all.contains(target) {
            all.push(target.clone());
        }
    }
    all
}

/// Takes the lock as soon as it is known which targets answer.
async fn lock(run: &Run, all: &[TargetName]) {
    run.links.all_known(&run.brakes).await;
    if run.brakes.begin(Phase::Stage).is_cancelled() {
        run.forgo_lock();
        return;
    }
    let up: Vec<TargetName> = all.iter().filter(|target| run.links.is_up(target)).cloned().collect();
    let locked = tokio::select! {
        locked = run.executor.lock(&up) => locked,
        () = run.brakes.begin(Phase::Stage).cancelled() => {
            run.forgo_lock();
            return;
        }
    };
    let locked = match locked {
        Ok(()) => true,
        Err(failure) => {
            run.events.send(Event::LockRefused { failure: failure.clone() });
            run.board().refuse(failure);
            false
        }
    };
    run.locked.send_replace(Some(locked));
}

async fn phases(run: &Arc<Run>, schedule: &Schedule) {
    for phase in [Phase::Prepare, Phase::Stage] {
        if !run.goes_on() {
            break;
        }
        whole(run, schedule, phase).await;
    }
    // Who is unreachable counts before the first batch, even where no step has met it yet; and where one is, all
    // are told in one go.
    let count = run.goes_on() || run.board().misses_targets();
    if count {
        run.links.all_known(&run.brakes).await;
        let mut locked = run.locked.subscribe();
        let _ = locked.wait_for(Option::is_some).await;
    }
    if run.board().is_refused() {
        return;
    }
    let steps: Arc<[ScheduledStep]> = schedule.phase(Phase::Rollout).cloned().collect();
    let batches = batches(schedule, &steps);
    rollout(run, &steps, &batches).await;
    rollback(run, &batches).await;
    if run.goes_on() {
        whole(run, schedule, Phase::Finish).await;
    }
    whole(run, schedule, Phase::Always).await;
}

/// A phase in which all targets are worked on together.
async fn whole(run: &Arc<Run>, schedule: &Schedule, phase: Phase) {
    let steps: Arc<[ScheduledStep]> = schedule.phase(phase).cloned().collect();
    if steps.is_empty() || run.brakes.begin(phase).is_cancelled() {
        return;
    }
    let mut members: Vec<TargetName> = Vec::new();
    for step in steps.iter() {
        if let Runs::EachTarget(targets) = &step.runs {
            for target in targets {
                // In `always`, a target takes part as long as it answers: a flow that ends at once would not come to
                // the steps that run once.
                let takes_part = match phase {
                    Phase::Always => run.links.up(&run.brakes, target).await,
                    _ => run.board().is_well(target),
                };
                if takes_part && !members.contains(target) {
                    members.push(target.clone());
                }
            }
        }
    }
    let started = Instant::now();
    run.events.send(Event::PhaseStarted { phase });
    flow::together(run, phase, steps, members).await;
    run.events.send(Event::PhaseFinished { phase, milliseconds: milliseconds(started) });
}

/// Batch after batch.
async fn rollout(run: &Arc<Run>, steps: &Arc<[ScheduledStep]>, batches: &[Vec<TargetName>]) {
    if steps.is_empty() || !run.goes_on() {
        return;
    }
    let started = Instant::now();
    run.events.send(Event::PhaseStarted { phase: Phase::Rollout });
    let of = u32::try_from(batches.len()).unwrap_or(u32::MAX);
    let mut is_first = true;
    for (number, batch) in (1..).zip(batches) {
        if !run.goes_on() {
            break;
        }
        let members: Vec<_> = batch.iter().filter(|target| run.board().is_well(target)).cloned().collect();
        if members.is_empty() {
            continue;
        }
        if !std::mem::take(&mut is_first) {
            pause(run).await;
        }
        if !run.goes_on() || !look(run).await {
            break;
        }
        run.events.send(Event::BatchStarted { number, of, targets: members.clone() });
        flow::together(run, Phase::Rollout, Arc::clone(steps), members).await;
    }
    if run.goes_on() {
        look_again(run, &batches.concat()).await;
    }
    run.events.send(Event::PhaseFinished { phase: Phase::Rollout, milliseconds: milliseconds(started) });
}

/// Between two batches.
async fn pause(run: &Run) {
    if run.pause.is_zero() {
        return;
    }
    let milliseconds = u64::try_from(run.pause.as_millis()).unwrap_or(u64::MAX);
    run.events.send(Event::Paused { milliseconds });
    tokio::select! {
        () = run.brakes.begin(Phase::Rollout).cancelled() => {}
        () = tokio::time::sleep(run.pause) => {}
    }
}

/// The batches of the schedule, and last, together, the targets outside of them that steps of the rollout name:
/// those of another role than the strategy's.
fn batches(schedule: &Schedule, steps: &[ScheduledStep]) -> Vec<Vec<TargetName>> {
    let mut batches = schedule.batches.clone();
    let mut others: Vec<TargetName> = Vec::new();
    for step in steps {
        if let Runs::EachTarget(targets) = &step.runs {
            for target in targets {
                if !others.contains(target) && !batches.iter().any(|batch| batch.contains(target)) {
                    others.push(target.clone());
                }
            }
        }
    }
    if !others.is_empty() {
        batches.push(others);
    }
    batches
}

/// In what state each target is left.
async fn reports(run: &Arc<Run>, schedule: &Schedule, targets: &[TargetName]) -> Vec<TargetReport> {
    let has = |phase, target: &TargetName| {
        schedule.phase(phase).any(|step| match &step.runs {
            Runs::EachTarget(targets) => targets.contains(target),
            Runs::Once(_) => false,
        })
    };
    let rolls_out = schedule.phase(Phase::Rollout).next().is_some();
    futures_util::stream::iter(targets)
        .map(|target| {
            let in_batch = rolls_out && schedule.batches.iter().any(|batch| batch.contains(target));
            let rolls = in_batch || has(Phase::Rollout, target);
            let end = run.board().end(target, has(Phase::Stage, target), rolls);
            async move {
                let live = live(run, target, &end).await;
                let live_known = live.is_some();
                TargetReport { target: target.clone(), end, live: live.flatten(), live_known }
            }
        })
        .buffered(ASKED_AT_ONCE)
        .collect()
        .await
}

/// What is live on a target at the end; the outer `None`: nobody knows. Nobody waits for it after the second signal: then
/// only a target that was not touched is known to have what it had.
async fn live(run: &Run, target: &TargetName, end: &TargetEnd) -> Option<Option<ReleaseId>> {
    if !run.links.is_up(target) || matches!(end, TargetEnd::Unreachable { .. }) {
        return None;
    }
    let before = || if run.board().is_touched(target) { None } else { Some(run.board().live(target)) };
    if run.brakes.halt().is_cancelled() {
        return before();
    }
    let asked = AssertUnwindSafe(run.executor.live(target)).catch_unwind();
    let given_up = async {
        run.brakes.halt().cancelled().await;
        tokio::time::sleep(SHORT_GRACE).await;
    };
    tokio::select! {
        answer = timeout(ANSWER_WITHIN, asked) => match answer {
            Ok(Ok(answer)) => answer.ok(),
            Ok(Err(_panic)) => before(),
            Err(_elapsed) => None,
        },
        () = given_up => before(),
    }
}
