//! Which targets are released to, in which order, and what keeps them serving meanwhile.

use super::{Check, list};
use crate::diagnostic::Code;
use crate::grant::SshGrant;
use crate::plan::{Goal, OnFailure, Strategy, batches};
use crate::quantity::Period;
use crate::resolved::ResolvedStep;
use crate::source::Spanned;
use crate::suggest::closest;
use crate::words::duration;
use crate::{LabelName, Phase, TargetName};
use serde_json::Value;
use std::collections::BTreeSet;

/// How long a service may take to reach its state, where nothing else is said.
const SERVICE_MS: u64 = 90_000;

impl Check<'_> {
    /// The targets of the rollout, and its batches.
    pub(super) fn strategy(&mut self) {
        let Some(strategy) = &self.plan.strategy else {
            if self.plan.gaps.strategy {
                self.guess_the_targets();
                return;
            }
            let needs = self.plan.stage.first().or(self.plan.rollout.first());
            if let Some(step) = needs {
                self.push(
                    self.problem(Code::Missing, step.span, "the plan has no `[strategy]`")
                        .because("this step runs on each target of the rollout")
                        .hint(
                            "add `[strategy]` with `role = \"web\"`: the role of the targets to release to",
                        ),
                );
            }
            return;
        };
        let with_role = self.inventory.with_role(strategy.role.as_str());
        let targets: Vec<TargetName> =
            with_role.map(|target| target.name.clone()).filter(|name| !self.is_left_out(name)).collect();
        if targets.is_empty() && self.guesses {
            self.guess_the_targets();
            return;
        }
        if targets.is_empty() {
            let roles = self.inventory.roles();
            let names = || roles.iter().map(|role| role.as_str());
            let hint = match closest(strategy.role.as_str(), names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if roles.is_empty() => {
                    format!(
                        "add `roles = [\"{}\"]` to the targets in `{}`",
                        strategy.role.value,
                        self.inventory.source.name()
                    )
                }
                None => format!("`{}` has the roles {}", self.inventory.source.name(), list(names())),
            };
            let message = format!(
                "no target of `{}` has the role `{}`: there is nothing to release to",
                self.inventory.source.name(),
                strategy.role.value
            );
            self.push(self.problem(Code::Targets, strategy.role.span, message).hint(hint));
        }
        let default = [Goal::Count(1), Goal::Percent(100)];
        let mut goals: Vec<Goal> = match &strategy.batches {
            Some(goals) => goals.iter().map(|goal| goal.value).collect(),
            None => default.to_vec(),
        };
        let mut targets = targets;
        if let Some(first) = self.first(strategy, &targets) {
            targets[..=first].rotate_right(1);
            // Alone, whatever the batches say.
            if goals.first() != Some(&Goal::Count(1)) {
                goals.insert(0, Goal::Count(1));
            }
        }
        self.resolved.batches = batches(&targets, &goals);
        let reached: usize = self.resolved.batches.iter().map(Vec::len).sum();
        if let Some(goals) = strategy.batches.as_ref().filter(|_| reached < targets.len() && !self.guesses) {
            let last = goals.last().map_or(goals.span, |last| last.span);
            let message = format!("the last batch reaches {reached} of {} targets", targets.len());
            self.push(
                self.problem(Code::Targets, last, message)
                    .because("the others would never be released to")
                    .hint("end `batches` with `\"100%\"`"),
            );
        }
        self.resolved.max_failures = strategy.max_failures.as_ref().map_or(0, |max| max.value);
        if let Some(max) = strategy.max_failures.as_ref()
            && !targets.is_empty()
            && !self.guesses
            && self.inventory.left_out.is_empty()
            && usize::try_from(max.value).is_ok_and(|max| max >= targets.len())
        {
            let message = format!("`max-failures` is {}, and there are {} targets", max.value, targets.len());
            self.push(
                self.problem(Code::Targets, max.span, message)
                    .because("the rollout would go on when every target failed")
                    .hint("choose a number below the number of targets")
                    .warning(),
            );
        }
        self.resolved.on_failure = strategy.on_failure.as_ref().map_or(OnFailure::Stop, |what| what.value);
        self.resolved.pause = strategy.pause.as_ref().map(|pause| pause.value);
        self.resolved.confirm_timeout = strategy.confirm_timeout.as_ref().map(|time| time.value);
        self.min_in_service(strategy);
        self.resolved.rollout = targets;
    }

    /// The place of the target that goes first.
    fn first(&self, strategy: &Strategy, targets: &[TargetName]) -> Option<usize> {
        let label = strategy.first.as_ref()?;
        let with_label: Vec<&TargetName> = self
            .inventory
            .with_role(strategy.role.as_str())
            .filter(|target| target.labels.contains(&label.value))
            .map(|target| &target.name)
            .collect();
        match with_label.as_slice() {
            [] if self.guesses => None,
            [] => {
                self.nobody_goes_first(strategy, label);
                None
            }
            // `--limit` may leave it out.
            [one] => targets.iter().position(|target| target == *one),
            several => {
                let names = list(several.iter().map(|name| name.as_str()));
                let message = format!(
                    "the label `{}` is on {} targets of the role `{}`: {names}",
                    label.value,
                    several.len(),
                    strategy.role.value
                );
                let hint = format!(
                    "let one of them have it in `{}`, or name a label that only one has",
                    self.inventory.source.name()
                );
                self.push(
                    self.problem(Code::Targets, label.span, message)
                        .because("one target goes first, alone")
                        .hint(hint),
                );
                None
            }
        }
    }

    /// No target of the role has the label.
    fn nobody_goes_first(&self, strategy: &Strategy, label: &Spanned<LabelName>) {
        let (role, file) = (&strategy.role.value, self.inventory.source.name());
        let of_role = self.inventory.with_role(role.as_str());
        let known: BTreeSet<&str> =
            of_role.flat_map(|target| &target.labels).map(LabelName::as_str).collect();
        let elsewhere = self.inventory.targets.iter().find(|target| target.labels.contains(&label.value));
        let hint = match (closest(label.value.as_str(), known), elsewhere) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some(other)) => {
                format!(
                    "`{}` has it, and is not one of the role `{role}`: give it to one that is",
                    other.name
                )
            }
            (None, None) => {
                format!("add `labels = [\"{}\"]` to the target in `{file}` that is to go first", label.value)
            }
        };
        let message = format!("no target of the role `{role}` has the label `{}`", label.value);
        self.push(self.problem(Code::Targets, label.span, message).hint(hint));
    }

    /// How many targets stay in service. One must be able to leave, or nothing could ever be rolled out.
    fn min_in_service(&mut self, strategy: &Strategy) {
        let Some(goal) = &strategy.min_in_service else { return };
        if self.plan.cluster.is_none() {
            if !self.plan.gaps.cluster {
                self.push(
                    self.problem(Code::Missing, goal.span, "`min-in-service` needs `[cluster]`")
                        .because("nobody would know which targets are in service")
                        .hint(
                            "add `[cluster]` with `uses = \"std/haproxy\"` and `on`, the role of the load \
                             balancer; or remove it",
                        ),
                );
            }
            return;
        }
        let fleet = self.inventory.with_role(strategy.role.as_str()).count();
        let stay = match goal.value {
            Goal::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
            share @ Goal::Percent(_) => share.of(fleet),
        };
        self.resolved.min_in_service = stay;
        if stay < fleet || fleet == 0 || self.guesses {
            return;
        }
        let role = &strategy.role.value;
        let message = match (goal.value, fleet) {
            (_, 1) => format!("`min-in-service` keeps the only target of the role `{role}` in service"),
            (Goal::Percent(_), _) => {
                format!("`min-in-service` keeps all {fleet} targets of the role `{role}` in service")
            }
            (Goal::Count(count), _) => {
                format!("`min-in-service` is {count}, and the role `{role}` has {fleet} targets")
            }
        };
        let why = match goal.value {
            Goal::Percent(percent) if percent < 100 && fleet > 1 => {
                format!("{percent}% of {fleet} is rounded up to {stay}: no target could ever leave")
            }
            _ => "no target could ever leave, and none could be released to".to_owned(),
        };
        let hint = match (fleet - 1, goal.value) {
            (0, _) => {
                format!("remove it, so that this one may leave, or give the role `{role}` to a second target")
            }
            (most, Goal::Count(_)) => format!("write {most} or less, so that one target may leave"),
            (most, Goal::Percent(_)) => {
                let share = most * 100 / fleet;
                format!("write {most} or less, or \"{share}%\" or less, so that one target may leave")
            }
        };
        self.push(self.problem(Code::Targets, goal.span, message).because(why).hint(hint));
    }

    /// A target must not take itself back while its rollout goes on as it may.
    pub(super) fn confirm_timeout(&self) {
        let Some(strategy) = &self.plan.strategy else { return };
        let Some(timeout) = &strategy.confirm_timeout else { return };
        if self.resolved.release.is_none() && !self.plan.gaps.release {
            self.push(
                self.problem(Code::Missing, timeout.span, "`confirm-timeout` needs `[release]`")
                    .because("without one there is no `current` that a target could take back")
                    .hint("remove it, or add `[release]` with `root = \"/srv/shop\"`"),
            );
            return;
        }
        let of_rollout = self.resolved.steps.iter().filter(|step| step.phase == Phase::Rollout);
        let waits: Vec<(&ResolvedStep, u64)> =
            of_rollout.map(|step| (step, self.may_take(step))).filter(|(_, wait)| *wait > 0).collect();
        let sum = waits.iter().fold(0_u64, |sum, (_, wait)| sum.saturating_add(*wait));
        if sum <= timeout.as_millis() {
            return;
        }
        let parts: Vec<String> =
            waits.iter().map(|(step, wait)| format!("`{}` {}", step.id, duration(*wait))).collect();
        // What no time can be longer than cannot be written either.
        let needed = Period::from_millis(sum).to_string();
        let hint = match needed.parse::<Period>() {
            Ok(_) => {
                format!(
                    "write `confirm-timeout = \"{needed}\"` or more, or give these steps a shorter `timeout`"
                )
            }
            Err(_) => "give these steps a shorter `timeout`, or fewer retries".to_owned(),
        };
        let message = format!(
            "`confirm-timeout` is {}, and the rollout of a target may take {}",
            timeout.value,
            duration(sum)
        );
        self.push(self.problem(Code::Conflict, timeout.span, message).because(parts.join(", ")).hint(hint));
    }

    /// How long a step may take with all its tries, as far as that is said: by its `timeout`, by its own deadline, or by
    /// what a service may take. In milliseconds.
    fn may_take(&self, step: &ResolvedStep) -> u64 {
        let written = self.plan.rollout.iter().find(|written| written.id.value == step.id);
        let timeout = written.and_then(|written| written.timeout.as_ref().or(written.limits.time.as_ref()));
        let timeout = timeout.map(|timeout| timeout.as_millis());
        let with = Value::from(step.manifest.complete(&step.with));
        let own =
            ["deadline", "timeout"].iter().find_map(|name| with.get(name)?.as_str()?.parse::<Period>().ok());
        let asks = step.grants.iter().any(|of_root| of_root.grants.ssh.iter().any(SshGrant::is_of_service));
        let once = match (timeout, own) {
            (Some(timeout), _) => timeout,
            (None, Some(own)) => own.as_millis().min(step.limits.time.as_millis()),
            (None, None) if asks => SERVICE_MS.min(step.limits.time.as_millis()),
            (None, None) => return 0,
        };
        let Some(retry) = step.retry else { return once };
        let tries = once.saturating_mul(u64::from(retry.times) + 1);
        tries.saturating_add(retry.delay_ms.saturating_mul(u64::from(retry.times)))
    }

    /// Takes all targets for those of the rollout, so that the steps can be looked at.
    fn guess_the_targets(&mut self) {
        self.guesses = true;
        let names = self.inventory.targets.iter().map(|target| target.name.clone());
        self.resolved.rollout = names.collect();
        if self.resolved.rollout.is_empty() {
            self.resolved.rollout.push(TargetName::localhost());
        }
        self.resolved.batches = vec![self.resolved.rollout.clone()];
    }
}
