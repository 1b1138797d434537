//! Where each step runs: once or on each target, on which ones, and on whose behalf.

use super::{Check, Placed, list};
use crate::diagnostic::{Code, Problem};
use crate::manifest::Occurs;
use crate::plan::{ModuleRef, Step};
use crate::schedule::Runs;
use crate::source::Spanned;
use crate::suggest::closest;
use crate::{Phase, Target, TargetName};

impl Check<'_> {
    pub(super) fn place_steps(&mut self) {
        for (phase, step) in self.plan.steps() {
            let Some(module) = self.module(step) else { continue };
            let Some(manifest) = self.manifest(&module) else { continue };
            let placed = if self.plan.gaps.places.contains(&step.id.value) {
                Some((self.guess(manifest.runs), None))
            } else {
                self.runs(phase, step, manifest.runs)
            };
            if let Some((runs, on)) = placed {
                let on = on.into_iter().collect();
                self.placed.insert(step.id.value.clone(), Placed { phase, module, runs, on });
            }
        }
        self.place_cluster();
    }

    /// The module of a step, when it is there.
    pub(super) fn module(&self, step: &Step) -> Option<ModuleRef> {
        let module = match self.plan.find_module(&step.uses) {
            Ok(module) => module,
            Err(_) if self.plan.gaps.modules.has(step.uses.split('/').next().unwrap_or_default()) => {
                return None;
            }
            Err(none) => {
                self.push(self.problem(Code::UnknownName, step.uses.span, none.message).hint(none.hint));
                return None;
            }
        };
        // One that there is not is no module that failed: what was meant helps more.
        let is_known = |name: &String| self.modules.builtin.contains(&name.as_str());
        let is_there = !matches!(&module, ModuleRef::Builtin(name) if !is_known(name));
        if let Some(why) = self.modules.failed.get(&module).filter(|_| is_there) {
            let mut problem = match &module {
                ModuleRef::Builtin(_) => {
                    let message = format!("the module `{}` cannot be used: {why}", step.uses.value);
                    self.problem(Code::Module, step.uses.span, message)
                }
                ModuleRef::Path(path) => {
                    let shown = path.escape_debug();
                    let message =
                        format!("the module `{}`, `{shown}`, cannot be used: {why}", step.uses.value);
                    self.problem(Code::Module, step.uses.span, message).hint(format!(
                        "build the step again, or let `{}` in `[modules]` name its component",
                        step.uses.value
                    ))
                }
                ModuleRef::Oci(module) => {
                    let message =
                        format!("the module `{}`, `{module}`, cannot be used: {why}", step.uses.value);
                    self.problem(Code::Module, step.uses.span, message)
                }
            };
            let entry = self.plan.modules.iter().find(|(name, _)| name.as_str() == step.uses.value);
            if let Some((_, source)) = entry {
                problem = problem.also(source.span, "this is where it comes from");
            }
            self.push(problem);
            return None;
        }
        if self.manifest(&module).is_none() {
            let entry = step.uses.split('/').next().unwrap_or_default();
            let problem = match &module {
                ModuleRef::Builtin(name) => {
                    let near = closest(name, self.modules.builtin.iter().copied());
                    let hint = match near {
                        Some(near) => format!("did you mean `{entry}/{near}`?"),
                        None => {
                            format!("the standard modules are {}", list(self.modules.builtin.iter().copied()))
                        }
                    };
                    let message = format!("there is no standard module `{}`", name.escape_debug());
                    self.problem(Code::UnknownName, step.uses.span, message).hint(hint)
                }
                ModuleRef::Path(path) => {
                    let message =
                        format!("the module `{entry}` was not loaded from `{}`", path.escape_debug());
                    self.problem(Code::Module, step.uses.span, message)
                }
                ModuleRef::Oci(module) => {
                    let message = format!("the module `{entry}` was not loaded from `{module}`");
                    self.problem(Code::Module, step.uses.span, message)
                }
            };
            self.push(problem);
            return None;
        }
        Some(module)
    }

    /// Where a step may well run that does not say so, so that its parameters can be looked at.
    fn guess(&self, module: Occurs) -> Runs {
        match module {
            Occurs::Once => Runs::Once(TargetName::localhost()),
            Occurs::EachTarget => Runs::EachTarget(self.resolved.rollout.clone()),
        }
    }

    fn runs(&self, phase: Phase, step: &Step, module: Occurs) -> Option<(Runs, Option<TargetName>)> {
        let once = match (module, &step.once) {
            (Occurs::Once, Some(once)) if !once.value => {
                let message = format!("`{}` runs once, on no target in particular", step.uses.value);
                self.push(
                    self.problem(Code::Conflict, once.span, message)
                        .because("its module says so")
                        .hint("remove `once = false`"),
                );
                return None;
            }
            (Occurs::Once, _) => true,
            (Occurs::EachTarget, once) => once.as_ref().is_some_and(|once| once.value),
        };
        let named = match &step.on {
            Some(on) => {
                let mut targets = self.named(on)?;
                if once && self.inventory.target(on).is_some_and(|target| self.is_left_out(&target.name)) {
                    let message = format!("the step runs on `{}`, which `--limit` leaves out", on.value);
                    self.push(
                        self.problem(Code::Targets, on.span, message)
                            .because("what it gives out may be needed by others")
                            .hint(format!("let `--limit` name it too: add `,{}`", on.value)),
                    );
                    return None;
                }
                targets.retain(|target| !self.is_left_out(target));
                if targets.is_empty() {
                    // Whoever needs its outputs runs on the same targets, and does not run either.
                    return None;
                }
                Some((on, targets))
            }
            None => None,
        };
        if once { self.once(phase, step, named) } else { self.each(phase, step, named) }
    }

    /// The targets that `on` names: one by its name, or those of a role.
    pub(super) fn named(&self, on: &Spanned<String>) -> Option<Vec<TargetName>> {
        if let Some(target) = self.inventory.target(on) {
            let with_role: Vec<_> =
                self.inventory.with_role(on).filter(|other| other.name != target.name).collect();
            if let Some(other) = with_role.first() {
                let message = format!("`{}` is a target, and also a role of `{}`", on.value, other.name);
                self.push(
                    self.problem(Code::Conflict, on.span, message)
                        .hint("give the role or the target another name"),
                );
                return None;
            }
            return Some(vec![target.name.clone()]);
        }
        let targets: Vec<_> = self.inventory.with_role(on).map(|target| target.name.clone()).collect();
        if !targets.is_empty() {
            return Some(targets);
        }
        if TargetName::localhost().as_str() == on.value {
            return Some(vec![TargetName::localhost()]);
        }
        if self.inventory.has_gaps {
            return None;
        }
        let file = self.inventory.source.name();
        let roles = self.inventory.roles();
        let names = || {
            let targets = self.inventory.targets.iter().map(|target: &Target| target.name.as_str());
            roles.iter().map(|role| role.as_str()).chain(targets).chain(["localhost"])
        };
        let hint = match closest(on, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if roles.is_empty() => format!("no target of `{file}` has a role"),
            None => format!("`{file}` has the roles {}", list(roles.iter().map(|role| role.as_str()))),
        };
        let message = format!("`{file}` has no target and no role `{}`", on.escape_debug());
        self.push(self.problem(Code::UnknownName, on.span, message).hint(hint));
        None
    }

    /// A step that runs once: on the target that `on` names, on the first one of the rollout where a step that would
    /// run on each is told to run `once`, else here.
    fn once(
        &self,
        phase: Phase,
        step: &Step,
        named: Option<Named<'_>>,
    ) -> Option<(Runs, Option<TargetName>)> {
        let narrowed = step.once.as_ref().is_some_and(|once| once.value);
        let target = match named {
            Some((_, targets)) if targets.len() == 1 || narrowed => {
                // In the rollout, the first batch comes first.
                let first = self.resolved.rollout.iter().find(|target| targets.contains(target));
                first.or(targets.first())?.clone()
            }
            Some((_, targets)) if self.guesses => targets.first()?.clone(),
            Some((on, targets)) => {
                let message = format!(
                    "the role `{}` has {} targets, and `{}` runs once",
                    on.value,
                    targets.len(),
                    step.uses.value
                );
                self.push(self.problem(Code::Targets, on.span, message).hint(format!(
                    "name one of them, as in `on = \"{}\"`, or add `once = true` for the first",
                    targets[0]
                )));
                return None;
            }
            None if narrowed && matches!(phase, Phase::Stage | Phase::Rollout) => {
                self.resolved.rollout.first()?.clone()
            }
            None => TargetName::localhost(),
        };
        Some((Runs::Once(target), None))
    }

    /// A step that runs on each target.
    fn each(
        &self,
        phase: Phase,
        step: &Step,
        named: Option<Named<'_>>,
    ) -> Option<(Runs, Option<TargetName>)> {
        let rollout = &self.resolved.rollout;
        if !matches!(phase, Phase::Stage | Phase::Rollout) {
            let Some((_, targets)) = named else {
                self.push(self.needs_on(phase, step));
                return None;
            };
            return Some((Runs::EachTarget(targets), None));
        }
        let Some((on, targets)) = named else {
            // Without targets, or without a strategy, that has been reported.
            return (!rollout.is_empty()).then(|| (Runs::EachTarget(rollout.clone()), None));
        };
        if self.guesses {
            return Some((Runs::EachTarget(targets), None));
        }
        let (inside, outside): (Vec<_>, Vec<_>) =
            targets.into_iter().partition(|target| rollout.contains(target));
        match (inside.as_slice(), outside.as_slice()) {
            (_, []) => Some((Runs::EachTarget(inside), None)),
            ([], [one]) if !rollout.is_empty() => {
                Some((Runs::EachTarget(rollout.clone()), Some(one.clone())))
            }
            ([], [_]) => None,
            ([], several) => {
                let message =
                    format!("the role `{}` has {} targets outside the rollout", on.value, several.len());
                self.push(
                    self.problem(Code::Targets, on.span, message)
                        .because("for each target of the rollout the step can act on one")
                        .hint(format!("write one step for each of them, as in `on = \"{}\"`", several[0])),
                );
                None
            }
            (_, [outsider, ..]) => {
                let message = format!("the role `{}` has targets inside and outside the rollout", on.value);
                self.push(
                    self.problem(Code::Targets, on.span, message)
                        .because(format!("`{outsider}` is not in the rollout"))
                        .hint("write one step for those in the rollout and one for the others"),
                );
                None
            }
        }
    }

    fn needs_on(&self, phase: Phase, step: &Step) -> Problem {
        let role = self.plan.strategy.as_ref().map_or("web", |strategy| strategy.role.as_str());
        let message =
            format!("`{}` runs on each target, and `{}` has none of its own", step.uses.value, phase.word());
        self.problem(Code::Targets, step.uses.span, message).because("it is not said on which targets").hint(
            format!(
                "add `on = \"{role}\"` for each target of that role, or `once = true` to run it once, here"
            ),
        )
    }
}

/// What `on` says, and the targets that it means.
type Named<'a> = (&'a Spanned<String>, Vec<TargetName>);
