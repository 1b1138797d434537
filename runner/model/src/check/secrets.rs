//! Which secrets each step is given: every name leads to a source, and the module asks for each of them.

use super::{Check, list};
use crate::diagnostic::{Code, Problem, Problems};
use crate::grant::{GrantSet, SecretGrant};
use crate::plan::{Plan, SecretEntry, SecretSource, Step};
use crate::resolved::RootGrants;
use crate::suggest::closest;
use crate::{EnvironmentName, SecretName};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// The secrets of a plan in an environment: its own sources win.
fn entries<'p>(plan: &'p Plan, environment: &EnvironmentName) -> BTreeMap<&'p SecretName, &'p SecretEntry> {
    let own = plan.environment.get(environment).map(|environment| &environment.secrets);
    plan.secrets.iter().chain(own.into_iter().flatten()).collect()
}

/// Where the values come from.
pub(super) fn sources(plan: &Plan, environment: &EnvironmentName) -> BTreeMap<SecretName, SecretSource> {
    entries(plan, environment).into_iter().map(|(name, entry)| (name.clone(), entry.source.clone())).collect()
}

/// Warns of secrets that no step is given.
pub(super) fn report_unused(plan: &Plan, environment: &EnvironmentName, problems: &RefCell<Problems>) {
    let given: BTreeSet<&SecretName> =
        plan.uses().flat_map(|step| &step.secrets).map(|given| &given.secret.value).collect();
    for (name, entry) in entries(plan, environment) {
        if !given.contains(name) {
            let message = format!("no step is given the secret `{name}`");
            let problem = Problem::at(Code::Unused, &plan.source, entry.name, message);
            let hint = format!("write `secrets = [\"{name}\"]` at the step that needs it, or remove it");
            problems.borrow_mut().push(problem.hint(hint).warning());
        }
    }
}

impl Check<'_> {
    /// What the module calls each secret, and what the plan calls it. `None`: a name leads nowhere.
    pub(super) fn given_secrets(&self, step: &Step) -> Option<BTreeMap<SecretName, SecretName>> {
        let gaps = &self.plan.gaps;
        let mut good = !gaps.given_secrets.contains(&step.id.value);
        let known = &self.resolved.secrets;
        let mut given = BTreeMap::new();
        for one in &step.secrets {
            let name = &one.secret.value;
            if known.contains_key(name) {
                given.insert(one.local.value.clone(), name.clone());
                continue;
            }
            good = false;
            if gaps.secrets.has(name.as_str()) {
                continue;
            }
            let names = || known.keys().map(SecretName::as_str);
            let hint = match closest(name.as_str(), names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => {
                    format!("say where it comes from: `[secrets]` with `{name} = {{ env = \"…\" }}`")
                }
                None => format!("there are {}; or say in `[secrets]` where it comes from", list(names())),
            };
            let message = format!("the plan has no secret `{name}`");
            self.push(self.problem(Code::UnknownName, one.secret.span, message).hint(hint));
        }
        good.then_some(given)
    }

    /// Puts the plan's names and sources in the place of the module's names.
    pub(super) fn lead_to_the_plan(
        &self,
        step: &Step,
        given: &BTreeMap<SecretName, SecretName>,
        grants: &mut GrantSet,
    ) -> bool {
        let mut good = true;
        let mut led: Vec<SecretGrant> = Vec::new();
        for grant in std::mem::take(&mut grants.secrets) {
            let asked = grant.to_string();
            let names: Vec<&SecretName> = match asked.as_str() {
                "*" => given.values().collect(),
                _ if grant.is_symbolic() => {
                    let span = step.with.place("").unwrap_or(step.uses.span);
                    let message = format!("the name of the secret `{asked}` is not known before the run");
                    let problem = self.problem(Code::BadValue, span, message);
                    self.push(
                        problem
                            .because("secrets are fetched before anything else happens")
                            .hint("write the name, or a `${var.…}`"),
                    );
                    good = false;
                    continue;
                }
                name => match given.iter().find(|(local, _)| local.as_str() == name) {
                    Some((_, secret)) => vec![secret],
                    None => {
                        let message = format!(
                            "the module `{}` needs the secret `{name}`, which the step is not given",
                            step.uses.value
                        );
                        let hint = format!("write `secrets = [\"{name}\"]` at the step");
                        self.push(self.problem(Code::Missing, step.uses.span, message).hint(hint));
                        good = false;
                        continue;
                    }
                },
            };
            for name in names {
                if let Some(source) = self.resolved.secrets.get(name) {
                    let grant = SecretGrant::one(name.clone(), source);
                    if !led.contains(&grant) {
                        led.push(grant);
                    }
                }
            }
        }
        grants.secrets = led;
        good
    }

    /// Whether the module asks for every secret that the step is given: one that it does not ask for it could never use.
    pub(super) fn all_are_asked_for(&self, step: &Step, all: &[RootGrants]) -> bool {
        let mut good = true;
        for one in &step.secrets {
            let Some(source) = self.resolved.secrets.get(&one.secret.value) else { continue };
            let granted = SecretGrant::one(one.secret.value.clone(), source);
            if !all.iter().any(|of_root| of_root.grants.secrets.contains(&granted)) {
                let message = format!(
                    "the module `{}` does not ask for the secret `{}`",
                    step.uses.value, one.local.value
                );
                self.push(
                    self.problem(Code::BadValue, one.local.span, message)
                        .because("with these parameters it uses no secret of this name")
                        .hint(
                            "name it in the parameter that is for it, call it what the module calls it \
                             (`secrets = { its-name = \"…\" }`), or remove it",
                        ),
                );
                good = false;
            }
        }
        good
    }
}
