//! The release that a plan makes.

use super::Check;
use crate::diagnostic::{Code, Problem};
use crate::plan::{ReleaseTable, part_of};
use crate::release::{ArtifactOutput, ReleaseSpec, release_id};
use crate::source::Spanned;
use crate::template::{Lookup, Reference, Template, WhyUnresolved};
use crate::{Digest, RemotePath};
use serde_json::Value;

/// How many good releases are kept where the plan does not say.
const DEFAULT_KEEP: u32 = 5;

impl Check<'_> {
    pub(super) fn release(&self) -> Option<ReleaseSpec> {
        let table = self.plan.release.as_ref()?;
        let root = self.bound(&table.root, "root").and_then(|text| self.release_root(table, &text));
        let shared: Vec<_> = table.shared.iter().map(|shared| self.shared(shared)).collect();
        let version = table.version.as_ref().map(|version| self.version(version));
        let artifact = table.artifact.as_ref().map(|artifact| self.artifact(artifact));
        let shared: Vec<String> = shared.into_iter().collect::<Option<_>>()?;
        self.nested(table, &shared);
        Some(ReleaseSpec {
            root: root?,
            artifact: artifact.map_or(Some(None), |artifact| artifact.map(Some))?,
            shared,
            keep: table.keep.as_ref().map_or(DEFAULT_KEEP, |keep| keep.value),
            version: version.map_or(Some(None), |version| version.map(Some))?,
        })
    }

    /// Text in which only what is known before the run may be referred to.
    fn bound(&self, template: &Spanned<Template>, key: &str) -> Option<String> {
        let scope = |reference: &Reference| match reference {
            Reference::Var(name) => match self.resolved.vars.iter().find(|(var, _)| var.as_str() == name) {
                Some((_, value)) => Lookup::Value(value.clone()),
                None => Lookup::Unknown { suggestion: None },
            },
            Reference::PlanName => Lookup::Value(self.resolved.plan.as_str().into()),
            Reference::Environment => Lookup::Value(self.resolved.environment.as_str().into()),
            _ => Lookup::Symbolic,
        };
        match template.resolve(&scope) {
            Ok(Value::String(text)) => Some(text),
            Ok(_) => {
                let message = format!("`{key}` must be text");
                self.push(
                    self.problem(Code::WrongType, template.span, message)
                        .because("the variable is something else"),
                );
                None
            }
            Err(error) => {
                let written = format!("${{{}}}", error.reference);
                let text = template.to_string();
                let span = part_of(&self.plan.source, template.span, &text, error.offset, &written);
                if let Reference::Var(name) = &error.reference
                    && self.plan.gaps.vars.has(name)
                {
                    return None;
                }
                self.push(match (&error.reference, error.why) {
                    (Reference::Var(name), WhyUnresolved::Unknown { .. }) => self.no_variable(span, name),
                    (_, why) => self
                        .problem(
                            Code::BadReference,
                            span,
                            format!("`{written}` cannot stand in `{key}`: it {why}"),
                        )
                        .hint("`${var.NAME}`, `${plan.name}` and `${environment}` can"),
                });
                None
            }
        }
    }

    fn release_root(&self, table: &Spanned<ReleaseTable>, text: &str) -> Option<RemotePath> {
        match text.parse::<RemotePath>() {
            Ok(root) if root == RemotePath::root() => {
                let problem = self.problem(Code::BadValue, table.root.span, "`/` cannot be the release root");
                self.push(
                    problem
                        .because("`releases`, `shared` and `current` are made in it")
                        .hint("write `root = \"/srv/shop\"`"),
                );
                None
            }
            Ok(root) => Some(root),
            Err(error) => {
                self.push(self.problem(Code::BadValue, table.root.span, error.to_string()));
                None
            }
        }
    }

    /// A relative path below the release; with a slash at the end it is a folder.
    fn shared(&self, template: &Spanned<Template>) -> Option<String> {
        let text = self.bound(template, "shared")?;
        let path = text.strip_suffix('/').unwrap_or(&text);
        let why = if text.is_empty() {
            Some("it is empty")
        } else if text.starts_with('/') {
            Some("it must be relative to the release")
        } else if text.chars().any(char::is_control) {
            Some("it has a control character in it")
        } else if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            Some("`.`, `..` and empty segments are not allowed")
        } else if path.split('/').next() == Some(".runner") {
            Some("`.runner` belongs to the runner")
        } else {
            // The longest names that a path on a target can have.
            RemotePath::root().join(path).is_err().then_some("it is too long")
        };
        if let Some(why) = why {
            let message = match text.as_str() {
                "" => "an empty path cannot be shared".to_owned(),
                text => format!("`{}` cannot be shared: {why}", text.escape_debug()),
            };
            self.push(
                self.problem(Code::BadValue, template.span, message)
                    .hint("write `shared = [\"config.php\", \"uploads/\"]`"),
            );
            return None;
        }
        Some(text)
    }

    /// A link cannot be inside another one.
    fn nested(&self, table: &ReleaseTable, shared: &[String]) {
        let path = |text: &String| text.trim_end_matches('/').to_owned();
        for (index, (inner, place)) in shared.iter().map(path).zip(&table.shared).enumerate() {
            for (outer, other) in shared.iter().map(path).zip(&table.shared).take(index) {
                let (problem, at, also) = if inner == outer {
                    (format!("`{inner}` is shared twice"), place.span, other.span)
                } else if inner.starts_with(&format!("{outer}/")) {
                    (
                        format!("`{inner}` is inside `{outer}`, which is shared already"),
                        place.span,
                        other.span,
                    )
                } else if outer.starts_with(&format!("{inner}/")) {
                    (
                        format!("`{outer}` is inside `{inner}`, which is shared already"),
                        other.span,
                        place.span,
                    )
                } else {
                    continue;
                };
                self.push(
                    self.problem(Code::Duplicate, at, problem).also(also, "here").hint("remove one of them"),
                );
            }
        }
    }

    fn version(&self, template: &Spanned<Template>) -> Option<String> {
        let text = self.bound(template, "version")?;
        match release_id(Some(&text), &Digest::of(""), &[]) {
            Ok(_) => Some(text),
            Err(_) => {
                let message = format!("`{}` cannot stand in front of a release's id", text.escape_debug());
                self.push(self.problem(Code::BadValue, template.span, message).because(
                    "1 to 51 letters, digits, `-`, `_` and `.`, beginning with a letter or a digit",
                ));
                None
            }
        }
    }

    fn artifact(&self, template: &Spanned<Template>) -> Option<ArtifactOutput> {
        const HINT: &str =
            "write `artifact = \"${package.artifact}\"` for the step `package` of `[[prepare]]`";
        let Some(Reference::Output { step, output }) = template.as_reference() else {
            self.push(
                self.problem(
                    Code::BadReference,
                    template.span,
                    "`artifact` must be the output of a step, and no more",
                )
                .hint(HINT),
            );
            return None;
        };
        let artifact = ArtifactOutput { step: step.clone(), output: output.clone() };
        if self.plan.prepare.iter().any(|prepare| prepare.id.value == *step) {
            return Some(artifact);
        }
        let elsewhere = self.plan.steps().find(|(_, other)| other.id.value == *step);
        let problem: Problem = match elsewhere {
            Some((phase, _)) => self
                .problem(
                    Code::BadReference,
                    template.span,
                    format!("the step `{step}` is in `{}`", phase.word()),
                )
                .because("the artifact must be there before a target is touched")
                .hint(format!("move `{step}` to `[[prepare]]`")),
            None => {
                let near =
                    crate::suggest::closest(step.as_str(), self.plan.prepare.iter().map(|s| s.id.as_str()));
                self.problem(Code::UnknownName, template.span, format!("`[[prepare]]` has no step `{step}`"))
                    .hint(
                        near.map_or(HINT.to_owned(), |near| format!("did you mean `${{{near}.{output}}}`?")),
                    )
            }
        };
        self.push(problem);
        None
    }
}
