//! Whether the parameters of a step are what its module takes, on every target that it runs for.

use super::{Check, Placed, list};
use crate::diagnostic::{Code, Problem};
use crate::plan::{Step, below, part_of};
use crate::resolved::StepScope;
use crate::shape::{Misfit, Shape, Symbolic, Why, or};
use crate::suggest::closest;
use crate::template::{Reference, ReleaseField, ValueTemplate, WhyUnresolved};
use crate::{Manifest, TargetName};
use jsonschema::JsonType;
use serde_json::Value;
use std::collections::BTreeMap;

impl Check<'_> {
    /// The parameters with what is known now filled in; `None` when something is wrong with them.
    pub(super) fn parameters(
        &self,
        step: &Step,
        placed: &Placed,
        manifest: &Manifest,
    ) -> Option<ValueTemplate> {
        let shape = match Shape::new(&manifest.parameters) {
            Ok(shape) => shape,
            Err(error) => {
                let message = format!(
                    "the module `{}` says nothing usable about its parameters: {error}",
                    step.uses.value
                );
                self.push(self.problem(Code::Module, step.uses.span, message));
                return None;
            }
        };
        // What is granted, what a review sees and what the module gets is then the same.
        let with = manifest.complete(&step.with.value);
        let targets = placed.runs.targets();
        // With the same values on each target, one says it all.
        let differs = step.with.value.references().into_iter().any(depends_on_target);
        let looked_at = if differs { targets } else { targets.get(..1).unwrap_or_default() };
        let mut good = true;
        let mut misfits: BTreeMap<Misfit, Vec<&TargetName>> = BTreeMap::new();
        for target in looked_at {
            let scope = StepScope {
                resolved: &self.resolved,
                root: placed.acts_on(target).next().and_then(|on| self.resolved.root(on)),
                target: self.resolved.targets.get(target),
                facts: None,
            };
            match with.resolve_partly(&scope) {
                Ok(value) => {
                    let mut symbolic = Symbolic::new();
                    let specimen = self.specimen(&value, "", &mut symbolic);
                    for misfit in shape.misfits_around(&specimen, &symbolic) {
                        misfits.entry(misfit).or_default().push(target);
                    }
                }
                Err(error) => {
                    good = false;
                    // What is unknown here has been reported, or follows from a release that has been.
                    if let WhyUnresolved::NotText { is } = error.why {
                        let place = step.with.place(&error.pointer).unwrap_or(step.span);
                        let written = format!("${{{}}}", error.reference);
                        let span = part_of(&self.plan.source, place, "", 0, &written);
                        self.push(
                            self.problem(
                                Code::BadReference,
                                span,
                                format!("`{written}` is {is}, and cannot stand inside text"),
                            )
                            .hint(format!("write `\"{written}\"` alone, without text around it")),
                        );
                    }
                }
            }
        }
        for (misfit, on) in &misfits {
            good = false;
            if is_misspelled(misfit, misfits.keys()) {
                continue;
            }
            let some = (on.len() < looked_at.len()).then(|| list(on.iter().map(|target| target.as_str())));
            self.misfit(step, manifest, misfit, some.as_deref());
        }
        if !good {
            return None;
        }
        let scope = StepScope { resolved: &self.resolved, root: None, target: None, facts: None };
        with.resolve_partly(&scope).ok()
    }

    /// JSON with something of the right type in the place of each value that is not known yet.
    fn specimen(&self, value: &ValueTemplate, pointer: &str, symbolic: &mut Symbolic) -> Value {
        match value {
            ValueTemplate::Null => Value::Null,
            ValueTemplate::Bool(boolean) => Value::Bool(*boolean),
            ValueTemplate::Number(number) => Value::Number(number.clone()),
            ValueTemplate::Text(template) => match (template.as_text(), template.as_reference()) {
                (Some(text), _) => Value::String(text.to_owned()),
                (None, reference) => {
                    let is = reference.map_or(Some(JsonType::String), |reference| self.type_of(reference));
                    symbolic.insert(pointer.to_owned(), is);
                    match is {
                        Some(JsonType::Array) => Value::Array(Vec::new()),
                        Some(JsonType::Boolean) => Value::Bool(true),
                        Some(JsonType::Integer | JsonType::Number) => Value::from(0),
                        Some(JsonType::Object) => Value::Object(serde_json::Map::new()),
                        Some(JsonType::Null) => Value::Null,
                        Some(JsonType::String) | None => Value::String(String::new()),
                    }
                }
            },
            ValueTemplate::Array(values) => values
                .iter()
                .enumerate()
                .map(|(index, value)| self.specimen(value, &format!("{pointer}/{index}"), symbolic))
                .collect(),
            ValueTemplate::Object(values) => Value::Object(
                values
                    .iter()
                    .map(|(name, value)| {
                        (name.clone(), self.specimen(value, &below(pointer, name), symbolic))
                    })
                    .collect(),
            ),
        }
    }

    /// The type of a value that is known only in the run.
    fn type_of(&self, reference: &Reference) -> Option<JsonType> {
        match reference {
            Reference::RunId | Reference::Release(ReleaseField::Id | ReleaseField::Artifact) => {
                Some(JsonType::String)
            }
            Reference::TargetFact(fact) => Some(fact.json_type()),
            Reference::Output { step, output } => {
                let manifest = self.manifest(&self.placed.get(step)?.module)?;
                let schema = manifest.outputs.get("properties")?.get(output)?;
                schema.get("type")?.as_str()?.parse().ok()
            }
            _ => None,
        }
    }

    /// Reports one thing that does not fit. `on`: the targets where it does not, when it does on others.
    fn misfit(&self, step: &Step, manifest: &Manifest, misfit: &Misfit, on: Option<&str>) {
        let place = step.with.place(&misfit.pointer).unwrap_or(step.span);
        let name = misfit.pointer.trim_start_matches('/').replace('/', ".");
        let description = describe(&manifest.parameters, &misfit.pointer);
        let problem = match &misfit.why {
            Why::Missing(missing) => {
                let whole = misfit.pointer.is_empty();
                let span = if step.with.places.is_empty() { step.uses.span } else { place };
                let owner = if whole { &step.uses.value } else { &name };
                let what = if whole { "the parameter " } else { "" };
                let about = describe(&manifest.parameters, &below(&misfit.pointer, missing));
                let problem =
                    self.problem(Code::Parameters, span, format!("`{owner}` needs {what}`{missing}`"));
                problem.maybe_hint(about.map(|about| format!("`{missing}`: {about}")))
            }
            Why::Unexpected(names) => {
                for (unexpected, _) in names {
                    self.push(self.unexpected(step, manifest, &misfit.pointer, unexpected));
                }
                return;
            }
            Why::MissingOneOf(missing) => {
                let subject = if name.is_empty() { &step.uses.value } else { &name };
                let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
                self.problem(Code::Parameters, place, format!("`{subject}` needs {}", or(&names)))
                    .maybe_hint(description.map(|about| format!("`{subject}`: {about}")))
            }
            Why::Other { says, meant } => {
                let subject = if name.is_empty() { "`with`".to_owned() } else { format!("`{name}`") };
                self.problem(Code::Parameters, place, format!("{subject} {says}"))
                    .maybe_hint(description.map(|about| format!("{subject}: {about}")))
                    .maybe_hint(meant.as_ref().map(|meant| format!("did you mean `\"{meant}\"`?")))
            }
        };
        self.push(match on {
            Some(on) => problem.because(format!("for {on}")),
            None => problem,
        });
    }

    fn unexpected(&self, step: &Step, manifest: &Manifest, pointer: &str, name: &str) -> Problem {
        let at = below(pointer, name);
        let span = step.with.keys.get(&at).copied().or_else(|| step.with.place(&at)).unwrap_or(step.span);
        let known: Vec<&str> = properties(&manifest.parameters, pointer)
            .map(|properties| properties.keys().map(String::as_str).collect())
            .unwrap_or_default();
        let owner = match pointer.trim_start_matches('/') {
            "" => step.uses.value.clone(),
            table => table.replace('/', "."),
        };
        let hint = match closest(name, known.iter().copied()) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if known.is_empty() && pointer.is_empty() => Some(format!("`{owner}` takes no parameters")),
            None if known.is_empty() => None,
            None => Some(format!("`{owner}` takes {}", list(known.iter().copied()))),
        };
        let message = format!("`{owner}` has no parameter `{}`", name.escape_debug());
        self.problem(Code::Parameters, span, message).maybe_hint(hint)
    }
}

/// Whether a missing parameter is there, misspelled: then the unknown one says enough.
fn is_misspelled<'m>(misfit: &Misfit, all: impl Iterator<Item = &'m Misfit>) -> bool {
    let missing = match &misfit.why {
        Why::Missing(missing) => std::slice::from_ref(missing),
        Why::MissingOneOf(missing) => missing,
        _ => return false,
    };
    let here = all.filter(|other| other.pointer == misfit.pointer);
    let unexpected = here.filter_map(|other| match &other.why {
        Why::Unexpected(names) => Some(names),
        _ => None,
    });
    unexpected.flatten().any(|(name, _)| closest(name, missing.iter().map(String::as_str)).is_some())
}

/// Whether the value of a reference can differ between the targets of a step.
fn depends_on_target(reference: &Reference) -> bool {
    matches!(
        reference,
        Reference::Target(_) | Reference::TargetVar(_) | Reference::Release(ReleaseField::Root)
    )
}

/// The properties that a schema knows at a JSON pointer of the value.
fn properties<'s>(schema: &'s Value, pointer: &str) -> Option<&'s serde_json::Map<String, Value>> {
    schema_at(schema, pointer)?.get("properties")?.as_object()
}

/// The first line of what a schema says about the value at a JSON pointer.
fn describe(schema: &Value, pointer: &str) -> Option<String> {
    let text = schema_at(schema, pointer)?.get("description")?.as_str()?;
    let line = text.split("\n\n").next()?.split_whitespace().collect::<Vec<_>>().join(" ");
    (!pointer.is_empty() && !line.is_empty()).then_some(line)
}

/// The schema of the value at a JSON pointer, as far as `properties` and `items` lead there.
fn schema_at<'s>(schema: &'s Value, pointer: &str) -> Option<&'s Value> {
    pointer.split('/').skip(1).try_fold(schema, |schema, segment| {
        let name = segment.replace("~1", "/").replace("~0", "~");
        schema.get("properties").and_then(|properties| properties.get(&name)).or_else(|| schema.get("items"))
    })
}
