//! What steps say about rolling back.

use super::Check;
use crate::Phase;
use crate::diagnostic::{Code, Problem};
use crate::plan::Step;
use crate::resolved::ResolvedStep;
use crate::schedule::Runs;
use crate::template::{Reference, ReleaseField};

impl Check<'_> {
    /// A run that ends has nothing left to roll back.
    pub(super) fn no_return(&self) {
        for (phase, step) in self.plan.steps() {
            let Some(flag) = step.no_return.as_ref().filter(|flag| flag.value) else { continue };
            if matches!(phase, Phase::Finish | Phase::Always) {
                let message = format!("`no-return` means nothing in `{}`", phase.word());
                self.push(
                    self.problem(Code::Conflict, flag.span, message)
                        .because(match phase {
                            Phase::Finish => {
                                "the rollout is over when it begins: nothing is rolled back after it"
                            }
                            _ => "it runs at the very end: nothing is rolled back after it",
                        })
                        .hint("remove it"),
                );
            }
        }
    }

    /// What tests a target that was taken back changes nothing, and knows nothing of the release that is gone.
    pub(super) fn after_undo(&self) {
        for (phase, step) in self.plan.steps() {
            let Some(flag) = step.after_undo.as_ref().filter(|flag| flag.value) else { continue };
            let problem = |message: &str| self.problem(Code::Conflict, flag.span, message);
            if phase != Phase::Rollout {
                let message = format!("`after-undo` means nothing in `{}`", phase.word());
                self.push(
                    problem(&message)
                        .because("only targets of the rollout are taken back one by one")
                        .hint("remove it, or move the step to `[[rollout]]`"),
                );
                continue;
            }
            if let Some(named) = of_this_release(step) {
                let message =
                    format!("`after-undo` tests the release before, and `with` names `${{{named}}}`");
                self.push(
                    problem(&message)
                        .because("that is of the release which was taken back by then")
                        .hint("test what holds of every release in a step of its own"),
                );
            }
            let Some(resolved) = self.resolved.steps.iter().find(|known| known.id == step.id.value) else {
                continue;
            };
            if let Some(wrong) = self.not_a_test(resolved, &problem) {
                self.push(wrong);
            }
        }
    }

    fn not_a_test(&self, step: &ResolvedStep, problem: &dyn Fn(&str) -> Problem) -> Option<Problem> {
        if !matches!(step.runs, Runs::EachTarget(_)) {
            return Some(
                problem("`after-undo` means nothing for a step that runs once")
                    .because("it tests each target that was taken back")
                    .hint("remove it, or `once`"),
            );
        }
        let changes = step.grants.iter().any(|of_root| !of_root.grants.only_reads());
        changes.then(|| {
            problem("`after-undo` is for steps that change nothing")
                .because(format!("`{}` may do more here than read", step.uses))
                .hint("only a step whose grants all read can test a target that was taken back")
        })
    }
}

/// What the parameters of a step name that only the release of the run has.
fn of_this_release(step: &Step) -> Option<&Reference> {
    let is_of_it = |reference: &&Reference| match reference {
        Reference::Release(field) => matches!(field, ReleaseField::Id | ReleaseField::Artifact),
        Reference::Output { .. } => true,
        _ => false,
    };
    step.with.value.references().into_iter().find(is_of_it)
}
