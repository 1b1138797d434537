//! By whose leave an undo acts. A journal is only a file beside the plan, or what a target says: what is in it is held
//! against the lock and today's policy once more, as if the step asked for it now.

use super::Host;
use super::past::{PastCall, PastEffect, PastRun};
use crate::sandbox::context::Reach;
use runner_model::grant::{Ask, Layers, parse_url};
use runner_model::{
    Acting, Change, Command, EffectKey, Failure, FailureKind, HIDDEN, Request, ResolvedStep, Runs,
    SecretName, StepId, TargetName,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// As whom something may be done, and where it may be.
pub(super) struct Leave {
    pub(super) acting: Acting,
    pub(super) reach: Reach,
    pub(super) named_literally: bool,
}

/// What is to be done.
pub(super) enum Wanted<'a> {
    Change(&'a Change),
    /// Of a command what undoes it, or it again; with its check.
    Commands(Vec<&'a Command>),
    Request(&'a Request),
    Ask(Ask<'a>),
}

/// An effect that something is to be done about.
#[derive(Clone, Copy)]
pub(super) struct Of<'a> {
    pub(super) key: &'a EffectKey,
    pub(super) on: Option<&'a TargetName>,
    pub(super) effect: &'a PastEffect,
}

impl Host {
    /// Whether this may be done.
    ///
    /// # Errors
    /// It is not granted, or not any more; or what the step might do cannot be told.
    pub(super) async fn leave(
        &self,
        run: &PastRun,
        of: Of<'_>,
        wanted: Wanted<'_>,
    ) -> Result<Leave, Failure> {
        let acts = &of.effect.acts;
        let EffectKey { step: id, target, .. } = of.key;
        let once =
            |id: &StepId| self.resolved.step(id).is_some_and(|step| matches!(step.runs, Runs::Once(_)));
        let outputs = run.outputs(target, once);
        let step = self.step(id)?;
        let layers = self.layers(step, target, &outputs).await.map_err(|failure| {
            Failure::new(
                FailureKind::Denied,
                format_args!("what the step may do cannot be told any more: {failure}"),
            )
        })?;
        let current = step.acts_on(target);
        let acting = self.resolved.acting(step, current);
        if let Some(on) = of.on {
            if acting != acts.acting() {
                let message = "it was done as another user than the step acts as";
                return Err(Failure::new(FailureKind::Denied, message));
            }
            if let Acting::As(user) = &acting {
                layers.check(&Ask::As(user))?;
            }
            if on != current {
                layers.check(&Ask::Target(on))?;
            }
        }
        let (mut reach, mut named_literally) = (Reach::default(), false);
        let mut asked = |ask: Ask<'_>| -> Result<(), Failure> {
            let granted = layers.check(&ask)?;
            named_literally |= granted.named_literally;
            reach.add(&ask, granted);
            Ok(())
        };
        match wanted {
            Wanted::Change(change) => {
                Ask::of_change(change).into_iter().try_for_each(&mut asked)?;
                if let Change::WriteSecret { content, .. } = change {
                    self.may_use(step, &layers, content.names())?;
                }
            }
            Wanted::Commands(commands) => {
                for command in commands {
                    Ask::of_command(command).into_iter().try_for_each(&mut asked)?;
                    self.may_use(step, &layers, command.secrets())?;
                }
            }
            Wanted::Request(request) => {
                asked(Ask::of_request(request, &parse_url(&request.url)?))?;
                if let Some(via) = request.via.as_ref().filter(|via| *via != current) {
                    layers.check(&Ask::Target(via))?;
                }
                self.may_use(step, &layers, request.secrets())?;
            }
            Wanted::Ask(ask) => asked(ask)?,
        }
        Ok(Leave { acting, reach, named_literally: named_literally && acts.named_literally })
    }

    /// Whether the step is given these secrets, and may use them.
    fn may_use(&self, step: &ResolvedStep, layers: &Layers, names: Vec<&SecretName>) -> Result<(), Failure> {
        for name in names {
            let given = step.secrets.values().any(|given| given == name);
            let source = self.resolved.secrets.get(name).filter(|_| given).map(ToString::to_string);
            let source = source.ok_or_else(|| {
                let message = format!("use the secret `{name}`: the plan does not give it to the step");
                Failure::new(FailureKind::Denied, message)
            })?;
            layers.check(&Ask::Secret { name, source: &source })?;
        }
        Ok(())
    }
}

impl PastRun {
    /// What steps gave out that one for this target may refer to.
    fn outputs(&self, target: &TargetName, once: impl Fn(&StepId) -> bool) -> BTreeMap<StepId, Value> {
        let ended = self.invocations.iter().filter_map(|((step, on, _), one)| {
            let (Ok(outputs), _) = one.ended.as_ref()? else { return None };
            Some((step, on, outputs))
        });
        let known = ended.filter(|(step, on, _)| *on == target || once(step));
        known.map(|(step, _, value)| (step.clone(), value.clone())).collect()
    }
}

/// Whether a secret was hidden in what is recorded where nothing tells which one: done again, it would be another thing.
pub(super) fn is_hidden(recorded: &Value) -> bool {
    match recorded {
        Value::String(text) => text.contains(HIDDEN),
        Value::Array(all) => all.iter().any(is_hidden),
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            match (name.as_str(), value, fields.get("secret-env")) {
                // What is in there for a secret is named beside it.
                ("env", Value::Object(env), Some(Value::Object(secrets))) => {
                    env.iter().any(|(name, value)| !secrets.contains_key(name) && is_hidden(value))
                }
                _ => is_hidden(value),
            }
        }),
        _ => false,
    }
}

/// A call without what undoes it, which is a thing of its own.
pub(super) fn alone(call: &PastCall) -> Value {
    let mut args = call.args.clone();
    if let Value::Object(fields) = &mut args {
        fields.remove("undo");
    }
    args
}
