//! `secrets`: no plan can give a secret to a step yet, so every name is unknown, and no handle exists that the other
//! functions could be called with.

use super::bindings::wit::secrets::{Host, HostSecret};
use super::handles::Secret;
use super::state::{Answer, State};
use super::text;
use runner_model::{EffectClass, Failure, FailureKind};
use serde_json::json;
use wasmtime::component::Resource;

impl Host for State {
    async fn get(&mut self, name: String) -> Answer<Resource<Secret>> {
        let name = text::line(&name, 256);
        let call = self.call("secrets.get", EffectClass::Read, None, json!({ "name": name }))?;
        let failure = Failure::new(
            FailureKind::NotFound,
            format_args!("secret `{name}`: the plan gives no secrets to this step"),
        )
        .with_detail("this version of the runner does not support secrets in plans");
        let answer = self.context.not_cancelled().and(Err(failure));
        Ok(self.looked_as(&call, answer, |_| json!(null)))
    }
}

impl HostSecret for State {
    async fn wrap(
        &mut self,
        this: Resource<Secret>,
        _: String,
        _: String,
    ) -> wasmtime::Result<Resource<Secret>> {
        match *self.table.get(&this)? {}
    }

    async fn append(
        &mut self,
        this: Resource<Secret>,
        _: Resource<Secret>,
    ) -> wasmtime::Result<Resource<Secret>> {
        match *self.table.get(&this)? {}
    }

    async fn base64(&mut self, this: Resource<Secret>) -> wasmtime::Result<Resource<Secret>> {
        match *self.table.get(&this)? {}
    }

    async fn url_encode(&mut self, this: Resource<Secret>) -> wasmtime::Result<Resource<Secret>> {
        match *self.table.get(&this)? {}
    }

    async fn drop(&mut self, this: Resource<Secret>) -> wasmtime::Result<()> {
        match self.table.delete(this)? {}
    }
}
