//! `sockets`: programs on a target that are asked and told over a socket. The class that the step declares is part of what
//! the grant is asked for.

use super::bindings::wit::sockets::Host;
use super::bindings::wit::types::Effect as Class;
use super::context::{Context, Reach};
use super::doubt::Became;
use super::gate::Touch;
use super::handles::{Target, remote_path};
use super::record::{Effect, Past};
use super::state::{Answer, State};
use super::text;
use runner_model::grant::Ask;
use runner_model::{EffectClass, Exchange, Failure, FailureKind, StepId, TargetName};
use runner_transport::{Intent, Target as Verbs};
use serde_json::json;
use std::sync::Arc;
use wasmtime::component::Resource;

/// An exchange that may go ahead.
struct Ready {
    verbs: Arc<dyn Verbs>,
    exchange: Exchange,
    within: Reach,
}

impl Context {
    async fn ready_to_exchange(
        &self,
        on: &TargetName,
        (path, text, effect): (&str, String, EffectClass),
    ) -> Result<Ready, Failure> {
        self.not_cancelled()?;
        let exchange = Exchange { path: remote_path(path)?, text, effect };
        let is_gate = matches!(effect, EffectClass::Leave | EffectClass::Join);
        if is_gate && self.info.step != StepId::cluster() {
            let message = format!(
                "ask the socket `{}`: only a cluster takes targets out and puts them back",
                exchange.path
            );
            return Err(Failure::new(FailureKind::Invalid, message)
                .with_detail("nothing would undo it: use its module in `[cluster]`"));
        }
        let ask = Ask::of_exchange(&exchange);
        let within = Reach::of(&ask, self.allow(&ask)?);
        let title = format!("ask the socket {}", exchange.path);
        self.not_in_service(on, Touch::Command(&title, effect))?;
        Ok(Ready { verbs: self.verbs(on).await?, exchange, within })
    }
}

impl Host for State {
    async fn exchange(
        &mut self,
        on: Resource<Target>,
        path: String,
        said: String,
        effect: Class,
    ) -> Answer<String> {
        let on = self.machine(&on)?;
        let effect = EffectClass::from(effect);
        let arguments = json!({ "path": text::line(&path, 4096), "text": said, "effect": effect });
        let call = self.call("sockets.exchange", effect, Some(&on), arguments)?;
        let doubt = match self.past(&call)? {
            Past::Answered(answer) if effect.mutates() => return self.signalled_before(&call, answer),
            Past::Answered(answer) => {
                self.tally.reads += 1;
                let answer = self.read_back(&call, answer)?;
                return self.answer(answer);
            }
            Past::InDoubt(doubt) => Some(doubt),
            Past::New => None,
        };
        let context = self.context.clone();
        let ready = context.or_cancelled(context.ready_to_exchange(&on, (&path, said, effect))).await;
        let Ready { verbs, exchange, within } = match ready {
            Ok(ready) => ready,
            Err(failure) => return self.looked(&call, Err(failure)),
        };
        if !effect.mutates() {
            let asked = verbs.exchange(&exchange, within.as_within(), None);
            let answer = context.or_cancelled(asked).await;
            return self.looked(&call, answer);
        }
        let done = Effect::Exchange(Box::new(exchange.clone()));
        if let Some(doubt) = &doubt {
            match doubt.of_other(&done, Some(&on), effect == EffectClass::Signal) {
                Ok(Became::Undone) => {}
                Ok(Became::Done) => {
                    self.tally.signals += 1;
                    self.context.record.settled(&call, json!(""));
                    return self.answer(Ok(String::new()));
                }
                Err(failure) => return self.answer(Err(failure)),
            }
        }
        let result = match context.record.intend(&call, &done, context.acts(within.clone(), 0)).await {
            Err(failure) => Err(failure),
            Ok(pending) => {
                let line = pending.line().to_owned();
                let asked = verbs.exchange(&exchange, within.as_within(), Some(Intent::new(&line)));
                let asked = context.to_the_end(asked).await;
                self.ended(pending, asked, |answer| json!(answer))
            }
        };
        self.answer(result)
    }
}
