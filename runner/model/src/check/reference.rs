//! Whether each `${…}` in the parameters of a step can be followed from where it stands.

use super::{Check, Placed, list};
use crate::diagnostic::{Code, Problem};
use crate::plan::{Step, below, part_of};
use crate::schedule::Runs;
use crate::source::Span;
use crate::suggest::closest;
use crate::template::{Reference, ReleaseField, TargetField, Template, ValueTemplate};
use crate::{Fact, Phase, StepId, Target};

impl Check<'_> {
    /// Reports the references of a step that lead nowhere; whether there are none.
    pub(super) fn references(&self, step: &Step) -> bool {
        let mut good = true;
        each_text(&step.with.value, "", &mut |pointer, template| {
            let place = step.with.place(pointer).unwrap_or(step.span);
            let text = template.to_string();
            for (range, reference) in template.spans() {
                let written = text.get(range.clone()).unwrap_or_default();
                let span = part_of(&self.plan.source, place, &text, range.start, written);
                if let Some(problem) = self.wrong_reference(step, reference, span) {
                    self.push(problem);
                    good = false;
                }
            }
        });
        good
    }

    pub(super) fn no_variable(&self, span: Span, name: &str) -> Problem {
        let near = closest(name, self.plan.vars.keys().map(|var| var.as_str()));
        let hint = match near {
            Some(near) => format!("did you mean `${{var.{near}}}`?"),
            None => format!("add `{name} = \"…\"` to `[vars]`"),
        };
        self.problem(Code::BadReference, span, format!("there is no variable `{name}`")).hint(hint)
    }

    pub(super) fn wrong_reference(&self, step: &Step, reference: &Reference, span: Span) -> Option<Problem> {
        if step.id.value == StepId::cluster()
            && let Some(problem) = self.too_late_for_the_cluster(reference, span)
        {
            return Some(problem);
        }
        match reference {
            Reference::Var(name) => {
                let known = self.plan.vars.keys().any(|var| var.as_str() == name);
                (!known && !self.plan.gaps.vars.has(name)).then(|| self.no_variable(span, name))
            }
            Reference::PlanName | Reference::Environment | Reference::RunId => None,
            Reference::Release(field) => self.wrong_release(step, *field, reference, span),
            Reference::Target(field) => self.wrong_target(step, *field, span),
            Reference::TargetVar(name) => self.wrong_target_var(step, name, span),
            Reference::TargetFact(fact) => self.wrong_target_fact(fact, reference, span),
            Reference::Output { step: from, output } => {
                self.wrong_output(step, from, output, reference, span)
            }
        }
    }

    fn wrong_release(
        &self,
        step: &Step,
        field: ReleaseField,
        reference: &Reference,
        span: Span,
    ) -> Option<Problem> {
        let written = format!("`${{{reference}}}`");
        let Some(release) = &self.plan.release else {
            if self.plan.gaps.release {
                return None;
            }
            return Some(
                self.problem(
                    Code::BadReference,
                    span,
                    format!("{written} needs `[release]`, and the plan has none"),
                )
                .hint("add `[release]` with `root = \"/srv/shop\"`"),
            );
        };
        if !matches!(field, ReleaseField::Id | ReleaseField::Artifact) {
            return None;
        }
        if release.artifact.is_none() {
            if self.plan.gaps.release {
                return None;
            }
            return Some(
                self.problem(
                    Code::BadReference,
                    span,
                    format!("{written} needs an artifact, and `[release]` names none"),
                )
                .hint("add `artifact = \"${package.artifact}\"` to `[release]`"),
            );
        }
        // Where the artifact itself is wrong, that has been reported.
        let artifact = self.resolved.release.as_ref()?.artifact.as_ref()?;
        self.not_there_yet(step, &artifact.step, &written, span)
    }

    /// `from` must have ended well before `step` begins, for every target that `step` runs for.
    fn not_there_yet(&self, step: &Step, from: &StepId, written: &str, span: Span) -> Option<Problem> {
        let number = |id: &StepId| self.plan.steps().position(|(_, other)| other.id.value == *id);
        let (this, that) = (number(&step.id.value)?, number(from)?);
        let bad = |message: String| self.problem(Code::BadReference, span, message);
        if this == that {
            return Some(bad(format!("{written} refers to the step that it stands in")));
        }
        if that > this {
            return Some(
                bad(format!("{written} is not there yet: `{from}` runs after `{}`", step.id.value))
                    .hint(format!("move `{from}` before `{}`, or refer to an earlier step", step.id.value)),
            );
        }
        let in_always = self.plan.always.iter().any(|other| other.id.value == step.id.value);
        if in_always {
            return Some(
                bad(format!("{written} cannot be used in `always`"))
                    .because(format!(
                        "`always` runs whatever happened, and `{from}` may not have run or may have failed"
                    ))
                    .hint("refer only to variables, the plan, the environment, the target and the run here"),
            );
        }
        None
    }

    fn wrong_target(&self, step: &Step, field: TargetField, span: Span) -> Option<Problem> {
        if field != TargetField::User || self.guesses_of(step) {
            return None;
        }
        let without: Vec<_> =
            self.targets_of(step).into_iter().filter(|target| target.user.is_none()).collect();
        if without.is_empty() {
            return None;
        }
        let names = list(without.iter().map(|target| target.name.as_str()));
        Some(
            self.problem(
                Code::BadReference,
                span,
                format!("the inventory does not say the `user` of {names}"),
            )
            .hint("add `user = \"deploy\"` to `[defaults]` of the inventory"),
        )
    }

    fn wrong_target_var(&self, step: &Step, name: &str, span: Span) -> Option<Problem> {
        if self.guesses_of(step) {
            return None;
        }
        let targets = self.targets_of(step);
        let has = |target: &&Target| target.vars.keys().any(|var| var.as_str() == name);
        let without: Vec<_> = targets.iter().copied().filter(|target| !has(target)).collect();
        let first = without.first()?;
        let file = self.inventory.source.name();
        let known = targets.iter().flat_map(|target| target.vars.keys()).map(|var| var.as_str());
        let near = closest(name, known).map(|near| format!("did you mean `${{target.vars.{near}}}`?"));
        let message = if without.len() == targets.len() {
            format!("no target that this step runs for has a variable `{name}`")
        } else {
            format!("{} no variable `{name}`", have(&without))
        };
        let hint = if first.name.is_localhost() && self.inventory.target(first.name.as_str()).is_none() {
            format!("`localhost` is not in `{file}`: add it there with `vars`, or say `on`")
        } else {
            format!(
                "add `vars = {{ {name} = \"…\" }}` to `[target.{}]` or to `[defaults]` in `{file}`",
                first.name
            )
        };
        Some(
            self.problem(Code::BadReference, span, message)
                .hint(hint)
                .maybe_hint(near.filter(|_| without.len() == targets.len())),
        )
    }

    /// The free disk is that of the release root.
    fn wrong_target_fact(&self, fact: &Fact, reference: &Reference, span: Span) -> Option<Problem> {
        if *fact != Fact::DiskFree || self.plan.release.is_some() || self.plan.gaps.release {
            return None;
        }
        let message = format!("`${{{reference}}}` needs `[release]`, and the plan has none");
        Some(
            self.problem(Code::BadReference, span, message)
                .hint("add `[release]` with `root = \"/srv/shop\"`"),
        )
    }

    fn wrong_output(
        &self,
        step: &Step,
        from: &StepId,
        output: &str,
        reference: &Reference,
        span: Span,
    ) -> Option<Problem> {
        let written = format!("`${{{reference}}}`");
        if !self.plan.steps().any(|(_, other)| other.id.value == *from) {
            if self.plan.gaps.steps.has(from.as_str()) {
                return None;
            }
            let near = closest(from.as_str(), self.plan.steps().map(|(_, other)| other.id.as_str()));
            let hint = match near {
                Some(near) => format!("did you mean `${{{near}.{output}}}`?"),
                None => "a reference begins with the id of an earlier step, or with `var`, `plan`, `environment`, `run`, \
                         `release` or `target`"
                    .to_owned(),
            };
            return Some(
                self.problem(Code::BadReference, span, format!("there is no step `{from}`")).hint(hint),
            );
        }
        if let Some(problem) = self.not_there_yet(step, from, &written, span) {
            return Some(problem);
        }
        // What is not placed has been reported itself.
        let source = self.placed.get(from)?;
        self.unknown_output(source, from, output, span).or_else(|| {
            let this = self.placed.get(&step.id.value)?;
            self.of_another_target(this, source, step, from, &written, span)
        })
    }

    fn unknown_output(&self, source: &Placed, from: &StepId, output: &str, span: Span) -> Option<Problem> {
        let schema = &self.manifest(&source.module)?.outputs;
        let known: Vec<&str> = schema.get("properties")?.as_object()?.keys().map(String::as_str).collect();
        if known.contains(&output) {
            return None;
        }
        let hint = match closest(output, known.iter().copied()) {
            Some(near) => format!("did you mean `${{{from}.{near}}}`?"),
            None if known.is_empty() => format!("`{from}` gives out nothing"),
            None => format!("`{from}` gives out {}", list(known.iter().copied())),
        };
        Some(
            self.problem(Code::BadReference, span, format!("the step `{from}` has no output `{output}`"))
                .hint(hint),
        )
    }

    /// What a step gives out on one target is for that target alone.
    fn of_another_target(
        &self,
        this: &Placed,
        source: &Placed,
        step: &Step,
        from: &StepId,
        written: &str,
        span: Span,
    ) -> Option<Problem> {
        let gaps = &self.plan.gaps.places;
        if self.guesses || gaps.contains(from) || gaps.contains(&step.id.value) {
            return None;
        }
        let Runs::EachTarget(sources) = &source.runs else { return None };
        match &this.runs {
            Runs::Once(_) => Some(
                self.problem(Code::BadReference, span, format!("{written} has a value for each target"))
                    .because(format!(
                        "`{from}` runs on each of {} targets, and `{}` runs once",
                        sources.len(),
                        step.id.value
                    ))
                    .hint(format!("refer to a step that runs once, or give `{from}` the key `once = true`")),
            ),
            Runs::EachTarget(targets) => {
                let missing: Vec<_> = targets.iter().filter(|target| !sources.contains(target)).collect();
                let first = missing.first()?;
                Some(
                    self.problem(Code::BadReference, span, format!("{written} has no value on `{first}`"))
                        .because(format!("`{from}` does not run there"))
                        .hint(format!(
                            "let both steps run on the same targets: compare their `on`{}",
                            other_phase(this, source)
                        )),
                )
            }
        }
    }

    /// Whether it is not known for sure on which targets the step runs.
    fn guesses_of(&self, step: &Step) -> bool {
        self.guesses || self.plan.gaps.places.contains(&step.id.value)
    }

    /// The targets that a step runs for.
    pub(super) fn targets_of(&self, step: &Step) -> Vec<&Target> {
        let Some(placed) = self.placed.get(&step.id.value) else { return Vec::new() };
        placed.runs.targets().iter().filter_map(|name| self.resolved.targets.get(name)).collect()
    }
}

fn have(targets: &[&Target]) -> String {
    let names = list(targets.iter().map(|target| target.name.as_str()));
    if targets.len() == 1 { format!("the target {names} has") } else { format!("the targets {names} have") }
}

fn other_phase(this: &Placed, source: &Placed) -> &'static str {
    if this.phase != source.phase && !matches!(this.phase, Phase::Stage | Phase::Rollout) {
        ", and that `on` names the role of the rollout"
    } else {
        ""
    }
}

/// Calls `with` for each string, with its JSON pointer.
pub(super) fn each_text<'t>(
    value: &'t ValueTemplate,
    pointer: &str,
    with: &mut dyn FnMut(&str, &'t Template),
) {
    match value {
        ValueTemplate::Null | ValueTemplate::Bool(_) | ValueTemplate::Number(_) => {}
        ValueTemplate::Text(template) => with(pointer, template),
        ValueTemplate::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                each_text(value, &format!("{pointer}/{index}"), with);
            }
        }
        ValueTemplate::Object(values) => {
            for (name, value) in values {
                each_text(value, &below(pointer, name), with);
            }
        }
    }
}
