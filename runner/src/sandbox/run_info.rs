//! `run-info`: what the invocation is part of. Fixed while it lives, so nothing of it is recorded by itself: the
//! journal's head has it all.

use super::bindings::wit::run_info::Host;
use super::state::State;
use runner_model::TargetName;

impl Host for State {
    async fn run_id(&mut self) -> wasmtime::Result<String> {
        Ok(self.context.info.run.to_string())
    }

    async fn step_id(&mut self) -> wasmtime::Result<String> {
        Ok(self.context.info.step.to_string())
    }

    async fn environment(&mut self) -> wasmtime::Result<String> {
        Ok(self.context.info.environment.clone())
    }

    async fn release_id(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.context.info.release.as_ref().map(ToString::to_string))
    }

    async fn previous_release(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.context.info.previous.as_ref().map(ToString::to_string))
    }

    async fn subject(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.context.info.subject.as_ref().map(TargetName::to_string))
    }

    async fn variable(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        Ok(self.context.info.variables.get(&name).cloned())
    }

    async fn operation_key(&mut self) -> wasmtime::Result<String> {
        Ok(self.context.info.operation_key())
    }
}
