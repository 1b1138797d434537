//! Where the cluster is asked, and about whom.

use super::{Check, Placed, list};
use crate::diagnostic::{Code, Problem};
use crate::manifest::World;
use crate::plan::Step;
use crate::schedule::Runs;
use crate::source::Span;
use crate::template::{Reference, ReleaseField};
use crate::{Phase, StepId, TargetName};

impl Check<'_> {
    /// The cluster's module, the targets that it is asked about, and those where it is asked.
    pub(super) fn place_cluster(&mut self) {
        let Some(cluster) = &self.plan.cluster else { return };
        let Some(module) = self.module(cluster) else { return };
        if let Some((runs, on)) = self.asked_about(cluster) {
            // Who is not asked is not touched, and counts as in service.
            let role = self
                .plan
                .strategy
                .iter()
                .flat_map(|strategy| self.inventory.with_role(strategy.role.as_str()));
            let others = role.count().saturating_sub(runs.targets().len());
            self.resolved.min_in_service = self.resolved.min_in_service.saturating_sub(others);
            let placed = Placed { phase: Phase::Rollout, module, runs, on };
            self.placed.insert(cluster.id.value.clone(), placed);
        }
    }

    fn asked_about(&self, cluster: &Step) -> Option<(Runs, Vec<TargetName>)> {
        let Some(strategy) = &self.plan.strategy else {
            if !self.plan.gaps.strategy {
                let problem = self.problem(Code::Missing, cluster.span, "`[cluster]` needs `[strategy]`");
                self.push(
                    problem.because("it is asked about the targets of the rollout").hint(
                        "add `[strategy]` with `role = \"web\"`: the role of the targets to release to",
                    ),
                );
            }
            return None;
        };
        // Without `on`, that has been reported.
        let on = cluster.on.as_ref()?;
        let balancers = self.named(on)?;
        let fleet: Vec<TargetName> =
            self.inventory.with_role(strategy.role.as_str()).map(|target| target.name.clone()).collect();
        if self.guesses {
            return Some((Runs::EachTarget(self.resolved.rollout.clone()), balancers));
        }
        let (inside, outside): (Vec<_>, Vec<_>) = balancers.into_iter().partition(|on| fleet.contains(on));
        match (inside.is_empty(), outside.is_empty()) {
            // Whoever `--limit` leaves out is not acted on, but a load balancer still counts it.
            (true, _) => Some((Runs::EachTarget(fleet), outside)),
            (false, true) if inside.len() == fleet.len() => {
                Some((Runs::EachTarget(self.resolved.rollout.clone()), Vec::new()))
            }
            (false, _) => {
                let message = format!("`on` names {}, which the rollout goes to", list_of(&inside));
                self.push(
                    self.problem(Code::Targets, on.span, message)
                        .because(
                            "the cluster is asked at load balancers, or at each target of the rollout itself",
                        )
                        .hint(format!(
                            "name the load balancers, or the role `{}` for each target itself",
                            strategy.role.value
                        )),
                );
                None
            }
        }
    }

    /// Whether the module is one for clusters where one is needed, and a step elsewhere.
    pub(super) fn fits_its_place(&self, step: &Step, world: World) -> bool {
        let wanted = if step.id.value == StepId::cluster() { World::Cluster } else { World::Step };
        if world == wanted {
            return true;
        }
        let uses = &step.uses;
        let (message, hint) = match wanted {
            World::Cluster => (
                format!("the module `{}` is a step: it does not know who is in service", uses.value),
                "use a module for clusters, as `std/haproxy` is",
            ),
            World::Step => (
                format!("the module `{}` is for `[cluster]`, and no step", uses.value),
                "use it in `[cluster]`: the runner asks it around each target's rollout",
            ),
        };
        self.push(self.problem(Code::Module, uses.span, message).hint(hint));
        false
    }

    /// What the cluster is told must be the same before, in and after the rollout.
    pub(super) fn too_late_for_the_cluster(&self, reference: &Reference, span: Span) -> Option<Problem> {
        let known = match reference {
            Reference::Output { .. } | Reference::RunId => false,
            Reference::Release(field) => !matches!(field, ReleaseField::Id | ReleaseField::Artifact),
            _ => true,
        };
        let message = || format!("`${{{reference}}}` cannot be used in `[cluster]`");
        (!known).then(|| {
            self.problem(Code::BadReference, span, message())
                .because("it is asked before, in and after the rollout, and must be told the same each time")
                .hint("refer only to variables, the plan, the environment and the target here")
        })
    }
}

fn list_of(targets: &[TargetName]) -> String {
    list(targets.iter().map(TargetName::as_str))
}
