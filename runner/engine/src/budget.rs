//! Who is in service, and how many may leave.

use runner_model::{Failure, FailureKind, Standing, TargetName};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::watch;

/// The account of it. Whoever leaves is counted out before the cluster is told, and counted in when it is back.
#[derive(Debug)]
pub(crate) struct Budget {
    /// How many stay in service.
    keeps: usize,
    state: watch::Sender<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Targets that requests are sent to, and that pass their checks.
    serving: BTreeSet<TargetName>,
    /// Targets that the run has taken out and works on: they may come back.
    at_work: BTreeSet<TargetName>,
}

/// Whether a target may leave.
enum Leave {
    Now { served: bool },
    Later { serving: usize },
    Never { serving: usize },
}

impl Budget {
    pub(crate) fn new(keeps: usize) -> Self {
        Self { keeps, state: watch::Sender::new(State::default()) }
    }

    /// The cluster said how targets stand. Of those that are on their way out or back, it may not know yet.
    pub(crate) fn observed(&self, standings: &BTreeMap<TargetName, Standing>) {
        self.state.send_modify(|state| {
            for (target, standing) in standings.iter().filter(|(target, _)| !state.at_work.contains(*target))
            {
                match standing.serves() {
                    true => state.serving.insert(target.clone()),
                    false => state.serving.remove(target),
                };
            }
        });
    }

    /// Waits until a target may leave, and counts it out. `waits` is told once if it has to wait. Answers whether it served.
    ///
    /// # Errors
    /// It never may: too few others are in service, and nobody is at work who would come back.
    pub(crate) async fn leave(
        &self,
        target: &TargetName,
        waits: impl FnOnce(usize, usize),
    ) -> Result<bool, Failure> {
        let mut waits = Some(waits);
        let mut changes = self.state.subscribe();
        loop {
            changes.mark_unchanged();
            match self.try_leave(target) {
                Leave::Now { served } => return Ok(served),
                Leave::Never { serving } => return Err(self.never(target, serving)),
                Leave::Later { serving } => {
                    if let Some(waits) = waits.take() {
                        waits(serving, self.keeps);
                    }
                }
            }
            // The sender lives as long as `self`: an error cannot come.
            if changes.changed().await.is_err() {
                return Err(self.never(target, 0));
            }
        }
    }

    fn try_leave(&self, target: &TargetName) -> Leave {
        let mut answer = Leave::Now { served: false };
        self.state.send_if_modified(|state| {
            let serving = state.serving.len();
            // Whoever serves nobody is missed by nobody.
            if state.serving.contains(target) && serving <= self.keeps {
                answer = match state.at_work.is_empty() {
                    true => Leave::Never { serving },
                    false => Leave::Later { serving },
                };
                return false;
            }
            answer = Leave::Now { served: state.serving.remove(target) };
            state.at_work.insert(target.clone());
            true
        });
        answer
    }

    fn never(&self, target: &TargetName, serving: usize) -> Failure {
        let message = format!(
            "take {target} out of service: only {serving} targets are in service, and `min-in-service` keeps {}",
            self.keeps
        );
        Failure::new(FailureKind::Conflict, message)
    }

    /// Somebody works on a target that is out, and may bring it back.
    pub(crate) fn works_on(&self, target: &TargetName) {
        self.state.send_modify(|state| {
            if !state.serving.contains(target) {
                state.at_work.insert(target.clone());
            }
        });
    }

    /// A target serves again.
    pub(crate) fn back(&self, target: &TargetName) {
        self.state.send_modify(|state| {
            state.at_work.remove(target);
            state.serving.insert(target.clone());
        });
    }

    /// A target stays out, and nobody works on it any more.
    pub(crate) fn given_up(&self, target: &TargetName) {
        self.state.send_modify(|state| {
            state.at_work.remove(target);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn target(number: usize) -> TargetName {
        format!("web-{number}").parse().expect("a name")
    }

    fn all_serve(count: usize, keeps: usize) -> Budget {
        let budget = Budget::new(keeps);
        budget.observed(&(1..=count).map(|number| (target(number), Standing::served())).collect());
        budget
    }

    /// Whether it may leave at once; `None`: it waits.
    fn leaves(budget: &Budget, number: usize) -> Option<bool> {
        budget.leave(&target(number), |_, _| {}).now_or_never().map(|answer| answer.is_ok())
    }

    #[test]
    fn as_many_leave_as_are_not_kept_and_the_next_one_waits() {
        let budget = all_serve(4, 2);
        assert_eq!((leaves(&budget, 1), leaves(&budget, 2)), (Some(true), Some(true)));
        assert_eq!(leaves(&budget, 3), None);
        budget.back(&target(1));
        assert_eq!(leaves(&budget, 3), Some(true));
    }

    #[test]
    fn nobody_waits_for_those_who_do_not_come_back() {
        let budget = all_serve(3, 2);
        assert_eq!(leaves(&budget, 1), Some(true));
        budget.given_up(&target(1));
        assert_eq!(leaves(&budget, 2), Some(false));
        let failure =
            budget.leave(&target(2), |_, _| {}).now_or_never().expect("at once").expect_err("never");
        assert!(failure.message.contains("only 2 targets are in service, and `min-in-service` keeps 2"));
    }

    #[test]
    fn who_serves_nobody_may_always_leave() {
        let budget = all_serve(2, 2);
        let out = BTreeMap::from([(target(2), Standing { healthy: false, ..Standing::served() })]);
        budget.observed(&out);
        assert_eq!(leaves(&budget, 2), Some(true));
    }

    #[test]
    fn what_is_observed_says_nothing_of_those_on_their_way() {
        let budget = all_serve(2, 1);
        assert_eq!(leaves(&budget, 1), Some(true));
        budget.observed(&BTreeMap::from([(target(1), Standing::served())]));
        assert_eq!(leaves(&budget, 2), None, "the first one has not come back");
    }
}
