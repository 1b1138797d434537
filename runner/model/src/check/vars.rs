//! The variables of a plan, and what `--var` says.

use crate::VarName;
use crate::diagnostic::{Code, Problem, Problems};
use crate::plan::Plan;
use crate::suggest::closest;
use crate::template::{Reference, Template};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// The value of each variable. One that was given has the type of the plan's.
pub(super) fn bind(
    plan: &Plan,
    given: &BTreeMap<String, String>,
    problems: &RefCell<Problems>,
) -> BTreeMap<VarName, Value> {
    let mut vars: BTreeMap<VarName, Value> =
        plan.vars.iter().map(|(name, variable)| (name.clone(), variable.value.clone())).collect();
    for (name, text) in given {
        let place = format!("--var {}", name.escape_debug());
        let Some((known, value)) = vars.iter_mut().find(|(known, _)| known.as_str() == name) else {
            let near = closest(name, plan.vars.keys().map(VarName::as_str));
            let message = format!("the plan has no variable `{}`", name.escape_debug());
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    format!("add `{} = \"…\"` to `[vars]` in `{}`", name.escape_debug(), plan.source.name())
                }
            };
            problems.borrow_mut().push(Problem::with_file(Code::UnknownName, place, message).hint(hint));
            continue;
        };
        match like(value, text) {
            Some(new) => *value = new,
            None => {
                let text: String = text.chars().take(60).collect();
                let message =
                    format!("`{}` is not {}, as `{known}` is in the plan", text.escape_debug(), a(value));
                problems.borrow_mut().push(Problem::with_file(Code::WrongType, place, message));
            }
        }
    }
    vars
}

/// The text as a value of the same type.
fn like(value: &Value, text: &str) -> Option<Value> {
    match value {
        Value::String(_) => Some(Value::String(text.to_owned())),
        other => serde_json::from_str(text).ok().filter(|new| a(new) == a(other)),
    }
}

fn a(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "`true` or `false`",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "a whole number",
        Value::String(_) => "text",
        Value::Array(_) => "a JSON array",
        Value::Object(_) => "a JSON object",
    }
}

/// Warns of variables and modules that nothing refers to: most often a reference was misspelled or forgotten.
pub(super) fn report_unused(plan: &Plan, problems: &RefCell<Problems>) {
    let mut used: BTreeSet<String> = BTreeSet::new();
    let mut note = |reference: &Reference| {
        if let Reference::Var(name) = reference {
            used.insert(name.clone());
        }
    };
    for step in plan.uses() {
        step.with.value.references().into_iter().for_each(&mut note);
        for grant in step
            .allow
            .iter()
            .flat_map(|allow| [&allow.ssh, &allow.files, &allow.http, &allow.secrets])
            .flatten()
        {
            if let Ok(template) = Template::parse(grant) {
                template.references().for_each(&mut note);
            }
        }
    }
    if let Some(release) = &plan.release {
        let templates = [Some(&release.root), release.artifact.as_ref(), release.version.as_ref()];
        for template in templates.into_iter().flatten().chain(&release.shared) {
            template.references().for_each(&mut note);
        }
    }
    for (name, variable) in &plan.vars {
        if !used.contains(name.as_str()) {
            problems.borrow_mut().push(
                Problem::at(
                    Code::Unused,
                    &plan.source,
                    variable.name,
                    format!("the variable `{name}` is never used"),
                )
                .hint(format!("refer to it as `${{var.{name}}}`, or remove it"))
                .warning(),
            );
        }
    }
    for (name, source) in &plan.modules {
        let uses = |uses: &str| uses.split('/').next() == Some(name.as_str());
        if !plan.uses().any(|step| uses(&step.uses)) {
            problems.borrow_mut().push(
                Problem::at(
                    Code::Unused,
                    &plan.source,
                    source.span,
                    format!("no step uses the module `{name}`"),
                )
                .hint("remove it")
                .warning(),
            );
        }
    }
}
