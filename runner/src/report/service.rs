//! What is told of the lock, of targets that leave the cluster and come back, and of a rollback: the same words in
//! every report.

use runner_model::words::{count, duration, names};
use runner_model::{Event, Service, TargetName};

/// The event in words; `None`: it is another one.
pub(super) fn words(event: &Event) -> Option<String> {
    Some(match event {
        Event::LockAwaited { failure } => format!("waits for the lock: {}", failure.message),
        Event::LockRefused { failure } => format!("not begun: {failure}"),
        Event::LockLost { failure } => format!("stopped, nothing more is changed: {failure}"),
        Event::ServiceObserved { standings } => {
            let serving = standings.values().filter(|standing| standing.serves()).count();
            let others = |service| {
                let these = standings.iter().filter(|(_, standing)| standing.service == service);
                names(these.map(|(target, _)| target.as_str()))
            };
            let mut words = format!("in service: {serving} of {}", count(standings.len(), "target"));
            for service in [Service::Draining, Service::Out] {
                if standings.values().any(|standing| standing.service == service) {
                    words.push_str(&format!("; {}: {}", service.words(), others(service)));
                }
            }
            let sick = standings.iter().filter(|(_, at)| at.service == Service::In && !at.healthy);
            let sick: Vec<&str> = sick.map(|(target, _)| target.as_str()).collect();
            if !sick.is_empty() {
                words.push_str(&format!("; in service, and failing its checks: {}", names(sick)));
            }
            words
        }
        Event::ServiceAwaited { target, serving, fleet, keeps } => format!(
            "{target}  waits for its turn: {serving} of {fleet} in service, `min-in-service` keeps {keeps}"
        ),
        Event::ServiceLeft { target, milliseconds } => {
            format!("{target}  taken out of service in {}", duration(*milliseconds))
        }
        Event::ClusterLost { failure } => format!("no further batch begins: {failure}"),
        Event::ServiceJoined { target, milliseconds } => {
            format!("{target}  back in service after {}", duration(*milliseconds))
        }
        Event::Paused { milliseconds } => format!("pause: the next batch in {}", duration(*milliseconds)),
        Event::RollbackStarted { targets } if targets.is_empty() => "rolling back".to_owned(),
        Event::RollbackStarted { targets } => {
            format!("rolling back: {}", names(targets.iter().map(TargetName::as_str)))
        }
        Event::RollbackOff { why } => format!("not rolled back: {why}"),
        Event::Undone { on, target, step, act, stays } => {
            let place = on.as_ref().unwrap_or(target);
            match stays {
                None => format!("{place}  {step}: undone: {}", act.words()),
                Some(why) => format!("{place}  {step}: not undone: {}: {why}", act.words()),
            }
        }
        Event::TargetRolledBack { target, milliseconds } => {
            format!("{target}  rolled back in {}", duration(*milliseconds))
        }
        Event::RollbackFailed { target: Some(target), failure } => {
            format!("{target}  not rolled back: {failure}")
        }
        Event::RollbackFailed { target: None, failure } => format!("not all rolled back here: {failure}"),
        _ => return None,
    })
}

/// Whether it is bad news.
pub(super) fn is_bad(event: &Event) -> bool {
    matches!(
        event,
        Event::LockRefused { .. }
            | Event::LockLost { .. }
            | Event::ClusterLost { .. }
            | Event::RollbackOff { .. }
            | Event::RollbackFailed { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_model::{Act, Failure, FailureKind, ServiceAction, Standing};

    #[test]
    fn each_is_one_short_line() {
        let target = |name: &str| name.parse::<TargetName>().unwrap();
        let sick = Standing { healthy: false, ..Standing::served() };
        let standings = [("web-1", Standing::served()), ("web-2", Standing::out()), ("web-3", sick)]
            .map(|(n, s)| (target(n), s));
        let undone = |stays| Event::Undone {
            step: "switch".parse().unwrap(),
            target: target("web-2"),
            on: None,
            act: Act::Service { unit: "nginx".to_owned(), action: ServiceAction::Restart },
            stays,
        };
        let failure = || Failure::new(FailureKind::Conflict, "run r-2 of ann holds the lock");
        let events = [
            Event::LockAwaited { failure: failure() },
            Event::LockRefused { failure: failure() },
            Event::LockLost { failure: failure() },
            Event::ServiceObserved { standings: standings.into() },
            Event::ServiceAwaited { target: target("web-1"), serving: 6, fleet: 8, keeps: 6 },
            Event::ServiceLeft { target: target("web-1"), milliseconds: 1200 },
            Event::ClusterLost { failure: failure() },
            Event::ServiceJoined { target: target("web-1"), milliseconds: 300 },
            Event::Paused { milliseconds: 60_000 },
            Event::RollbackStarted { targets: vec![target("web-2"), target("web-1")] },
            Event::RollbackOff { why: "`migrate` has begun, a step with `no-return`".to_owned() },
            undone(None),
            undone(Some("it is kept".to_owned())),
            Event::TargetRolledBack { target: target("web-2"), milliseconds: 900 },
            Event::RollbackFailed { target: Some(target("web-1")), failure: failure() },
            Event::RollbackFailed { target: None, failure: failure() },
        ];
        let lines: Vec<String> = events.iter().filter_map(words).collect();
        assert_eq!(lines.len(), events.len());
        insta::assert_snapshot!(lines.join("\n"));
        assert_eq!(words(&Event::Cancelling), None);
    }
}
