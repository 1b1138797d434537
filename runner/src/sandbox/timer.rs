//! `timer`: time that a replay repeats. Both functions are recorded with their answers.

use super::bindings::wit::timer::Host;
use super::state::{Answer, State, now};
use runner_model::EffectClass;
use serde_json::json;
use std::time::Duration;

impl Host for State {
    async fn now(&mut self) -> wasmtime::Result<u64> {
        let call = self.call("timer.now", EffectClass::Read, None, json!({}))?;
        if let Some(Ok(milliseconds)) = self.recorded(&call)? {
            self.behind = None;
            self.recorded_now = Some(Duration::from_millis(milliseconds));
            return Ok(milliseconds);
        }
        let real = now();
        // While a run lies still, no time passes in it: else every deadline of a step that was cut off would be over.
        let behind = *self.behind.get_or_insert_with(|| match self.recorded_now {
            Some(recorded) => real.saturating_sub(recorded),
            None => Duration::ZERO,
        });
        let now = real.saturating_sub(behind).saturating_add(self.slept);
        let milliseconds = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.context.record.looked(&call, &Ok(json!(milliseconds)));
        Ok(milliseconds)
    }

    async fn sleep(&mut self, milliseconds: u32) -> Answer<()> {
        let call =
            self.call("timer.sleep", EffectClass::Read, None, json!({ "milliseconds": milliseconds }))?;
        let context = self.context.clone();
        let time = Duration::from_millis(milliseconds.into());
        if !context.waits {
            self.slept = self.slept.saturating_add(time);
        }
        let sleep = context.or_cancelled(async {
            if context.waits {
                tokio::time::sleep(time).await;
            }
            Ok(())
        });
        self.read_call(&call, sleep).await
    }
}
