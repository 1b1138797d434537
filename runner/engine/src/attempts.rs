//! One step on one target: attempts, their deadline, what is told about them.

use crate::brakes::{LAST_GRACE, SHORT_GRACE};
use crate::events::milliseconds;
use crate::gate::{Barred, Passage};
use crate::shared::Run;
use crate::{Invocation, Invoked};
use futures_util::FutureExt as _;
use runner_model::{End, Event, Failure, FailureKind, Phase, ScheduledStep, Tally, TargetName};
use serde_json::Value;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How a step ended on a target, after its last attempt.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// With these outputs.
    Passed(Value),
    /// For this reason.
    Failed(Failure),
    /// The run was cancelled before or while it ran.
    Stopped {
        /// Whether an attempt had begun.
        begun: bool,
    },
}

/// Runs the step on the target until it passes, or may not be tried again.
pub(crate) async fn attempts(
    run: &Run,
    step: &ScheduledStep,
    target: &TargetName,
    mut passage: Option<&mut Passage<'_>>,
) -> Outcome {
    let begin = run.brakes.begin(step.phase);
    if matches!(step.phase, Phase::Stage | Phase::Rollout) {
        run.board().begin();
    }
    if let Err(failure) = run.begins(step).await {
        return Outcome::Failed(failure);
    }
    let tries = step.retry.map_or(1, |retry| retry.times.saturating_add(1));
    // Whoever goes on with a run has all tries again.
    let mut over = run.executor.attempts_over(&step.id, target);
    let mut attempt = over + 1;
    loop {
        if begin.is_cancelled() {
            return Outcome::Stopped { begun: false };
        }
        let (outcome, in_service) = attempt_once(run, step, target, attempt).await;
        let failure = match outcome {
            Outcome::Failed(failure) if in_service => match leave(passage.as_deref_mut()).await {
                Ok(true) => {
                    let (step, target) = (step.id.clone(), target.clone());
                    run.events.send(Event::StepRetried { step, target, attempt, failure, delay: 0 });
                    // It was no try of its own.
                    (over, attempt) = (over + 1, attempt + 1);
                    continue;
                }
                Ok(false) => return Outcome::Failed(failure),
                Err(Barred::Failed(failure)) => return Outcome::Failed(failure),
                Err(Barred::Stopped) => return Outcome::Stopped { begun: true },
            },
            Outcome::Failed(failure) => failure,
            ended => return ended,
        };
        let Some(retry) = step.retry.filter(|_| attempt - over < tries && worth_another(&failure)) else {
            return Outcome::Failed(failure);
        };
        if begin.is_cancelled() {
            return Outcome::Failed(failure);
        }
        run.events.send(Event::StepRetried {
            step: step.id.clone(),
            target: target.clone(),
            attempt,
            failure: failure.clone(),
            delay: retry.delay_ms,
        });
        tokio::select! {
            biased;
            () = begin.cancelled() => return Outcome::Failed(failure),
            () = sleep(Duration::from_millis(retry.delay_ms)) => attempt += 1,
        }
    }
}

/// Takes the target out of service, if it was left in it.
async fn leave(passage: Option<&mut Passage<'_>>) -> Result<bool, Barred> {
    match passage {
        Some(passage) => passage.leave().await,
        None => Ok(false),
    }
}

/// Whether the same call could end in another way. A grant that is missing stays missing, and so does a mistake.
fn worth_another(failure: &Failure) -> bool {
    let kinds = [FailureKind::Denied, FailureKind::Invalid, FailureKind::Cancelled, FailureKind::Unknown];
    !kinds.contains(&failure.kind)
}

/// How an attempt ended, and whether it was denied something since its target is in service.
async fn attempt_once(run: &Run, step: &ScheduledStep, target: &TargetName, attempt: u32) -> (Outcome, bool) {
    let (id, target) = (step.id.clone(), target.clone());
    run.events.send(Event::StepStarted { step: id.clone(), target: target.clone(), attempt });
    let started = Instant::now();
    let outputs = run.board().outputs(&target);
    let invocation = Invocation { step: id.clone(), target: target.clone(), attempt, outputs };
    let cut = run.brakes.cut(step.phase);
    let cancel = cut.child_token();
    let call = AssertUnwindSafe(run.executor.invoke(invocation, cancel.clone())).catch_unwind();
    tokio::pin!(call);

    let deadline = async {
        match step.timeout_ms {
            Some(limit) => sleep(Duration::from_millis(limit)).await,
            None => std::future::pending().await,
        }
    };
    let mut timed_out = false;
    let answer = tokio::select! {
        biased;
        answer = &mut call => Some(answer),
        () = given_up(run, &cancel) => None,
        () = deadline => {
            timed_out = true;
            cancel.cancel();
            tokio::select! {
                biased;
                answer = &mut call => Some(answer),
                () = given_up(run, &cancel) => None,
            }
        }
    };
    let invoked = match answer {
        Some(Ok(invoked)) => invoked,
        Some(Err(panic)) => nothing(Failure::new(
            FailureKind::Other,
            format_args!("step `{}` ended in a bug of the runner: {}", id.as_str(), words(panic.as_ref())),
        )),
        None => nothing(Failure::new(
            FailureKind::Cancelled,
            format_args!("step `{}` did not end when it was told to", id.as_str()),
        )),
    };

    let in_service = invoked.in_service;
    let (end, outcome) = match invoked.result {
        // What is done is done, even if it was to be stopped meanwhile.
        Ok(value) => match invoked.unknown {
            None => (End::Ok, Outcome::Passed(value)),
            Some(why) => (End::Unknown { why }, Outcome::Passed(value)),
        },
        Err(_) if cut.is_cancelled() => (End::Cancelled, Outcome::Stopped { begun: true }),
        Err(failure) => {
            let failure = if timed_out { late(step, failure) } else { failure };
            let end = End::Failed { failure: failure.clone(), stderr: invoked.stderr };
            (end, Outcome::Failed(failure))
        }
    };
    run.events.send(Event::StepFinished {
        step: id,
        target,
        attempt,
        end,
        milliseconds: milliseconds(started),
        tally: invoked.tally,
    });
    (outcome, in_service)
}

/// Waits until an invocation that was cancelled has had its time to end well.
async fn given_up(run: &Run, cancel: &CancellationToken) {
    cancel.cancelled().await;
    tokio::select! {
        () = sleep(LAST_GRACE) => {}
        () = async { run.brakes.halt().cancelled().await; sleep(SHORT_GRACE).await } => {}
    }
}

fn nothing(failure: Failure) -> Invoked {
    Invoked {
        result: Err(failure),
        unknown: None,
        stderr: String::new(),
        tally: Tally::default(),
        in_service: false,
    }
}

/// The failure of an invocation whose time was up; what it said itself is kept, since it may tell where it hung.
fn late(step: &ScheduledStep, failure: Failure) -> Failure {
    let limit = Duration::from_millis(step.timeout_ms.unwrap_or_default());
    let late = Failure::new(
        FailureKind::Timeout,
        format_args!("step `{}` did not end within {limit:?}", step.id.as_str()),
    );
    match failure.kind {
        FailureKind::Cancelled => late,
        _ => late.with_detail(failure.message),
    }
}

/// What a panic says.
pub(crate) fn words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}
