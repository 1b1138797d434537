//! What each step may do: the module's grants, bound to the plan's values, and what `allow` narrows them to.

use super::{Check, Placed};
use crate::diagnostic::Code;
use crate::grant::{GrantError, GrantSet};
use crate::plan::{Step, part_of};
use crate::resolved::{RootGrants, StepScope};
use crate::source::Spanned;
use crate::template::Template;
use crate::{Manifest, RemotePath, SecretName};
use std::collections::BTreeMap;
use std::str::FromStr;

impl Check<'_> {
    /// The module's grants for each distinct release root of the targets that the step acts on.
    pub(super) fn grants(
        &self,
        step: &Step,
        placed: &Placed,
        manifest: &Manifest,
        secrets: &BTreeMap<SecretName, SecretName>,
    ) -> Option<Vec<RootGrants>> {
        let mut all = Vec::new();
        let mut good = true;
        for root in self.roots(placed) {
            let scope =
                StepScope { resolved: &self.resolved, root: root.as_ref(), target: None, facts: None };
            let with = manifest.complete(&step.with.value).resolve_partly(&scope).ok()?;
            match manifest.capabilities.bind(&with) {
                Ok(mut grants) => {
                    good &= self.lead_to_the_plan(step, secrets, &mut grants);
                    good &= self.fit_targets(step, placed, root.as_ref(), &grants);
                    all.push(RootGrants { root, grants });
                }
                Err(error) => {
                    let written = error.pointers.iter().find_map(|at| step.with.places.get(at).copied());
                    let near = || step.with.place(error.pointers.first()?);
                    let span = written.or_else(near).unwrap_or(step.uses.span);
                    self.push(self.problem(Code::BadValue, span, error.to_string()).maybe_hint(error.hint));
                    return None;
                }
            }
        }
        if good {
            good = self.all_are_asked_for(step, &all);
        }
        good.then_some(all)
    }

    /// Whether what the inventory says of each target fits into the grants: that is known now, so it is refused now.
    fn fit_targets(
        &self,
        step: &Step,
        placed: &Placed,
        root: Option<&RemotePath>,
        grants: &GrantSet,
    ) -> bool {
        let mut good = true;
        for name in placed.runs.targets() {
            if !placed.acts_on(name).any(|on| self.resolved.root(on) == root) {
                continue;
            }
            let target = self.resolved.targets.get(name);
            let scope = StepScope { resolved: &self.resolved, root, target, facts: None };
            if let Err(error) = grants.resolve(&scope) {
                good = false;
                let span = step.with.place("").unwrap_or(step.uses.span);
                self.push(
                    self.problem(Code::BadValue, span, format!("on `{name}`, {error}"))
                        .maybe_hint(error.hint),
                );
            }
        }
        good
    }

    /// The distinct release roots of the targets that a step acts on; one `None` where the plan has no release.
    fn roots(&self, placed: &Placed) -> Vec<Option<RemotePath>> {
        let acted_on = if placed.on.is_empty() { placed.runs.targets() } else { &placed.on };
        let mut roots: Vec<_> = acted_on.iter().map(|target| self.resolved.root(target).cloned()).collect();
        roots.sort_unstable();
        roots.dedup();
        roots
    }

    /// What a step narrows its grants to, as far as it is known now; `None` inside: it does not. `None`: something is
    /// wrong with it.
    pub(super) fn allow(&self, step: &Step) -> Option<Option<GrantSet>> {
        let Some(allow) = &step.allow else { return Some(None) };
        let scope = StepScope { resolved: &self.resolved, root: None, target: None, facts: None };
        let ssh = self.list(step, &allow.ssh, |grant: &crate::grant::SshGrant| grant.resolve(&scope));
        let files = self.list(step, &allow.files, |grant: &crate::grant::FileGrant| grant.resolve(&scope));
        let http = self.list(step, &allow.http, |grant: &crate::grant::HttpGrant| grant.resolve(&scope));
        let secrets =
            self.list(step, &allow.secrets, |grant: &crate::grant::SecretGrant| grant.resolve(&scope));
        Some(Some(GrantSet { ssh: ssh?, files: files?, http: http?, secrets: secrets? }))
    }

    fn list<T: FromStr<Err = GrantError>>(
        &self,
        step: &Step,
        texts: &[Spanned<String>],
        resolve: impl Fn(&T) -> Result<T, GrantError>,
    ) -> Option<Vec<T>> {
        // All are looked at, so that all problems are found.
        let grants: Vec<_> = texts.iter().map(|text| self.allowed(step, text, &resolve)).collect();
        grants.into_iter().collect()
    }

    fn allowed<T: FromStr<Err = GrantError>>(
        &self,
        step: &Step,
        text: &Spanned<String>,
        resolve: &impl Fn(&T) -> Result<T, GrantError>,
    ) -> Option<T> {
        let refuse = |error: GrantError| {
            self.push(self.problem(Code::BadValue, text.span, error.to_string()).maybe_hint(error.hint));
        };
        let grant = text.parse::<T>().map_err(refuse).ok()?;
        let mut good = true;
        if let Ok(template) = Template::parse(text) {
            for (range, reference) in template.spans() {
                let written = format!("${{{reference}}}");
                let span = part_of(&self.plan.source, text.span, text, range.start, &written);
                if let Some(problem) = self.wrong_reference(step, reference, span) {
                    self.push(problem);
                    good = false;
                }
            }
        }
        if !good {
            return None;
        }
        resolve(&grant).map_err(refuse).ok()
    }
}
