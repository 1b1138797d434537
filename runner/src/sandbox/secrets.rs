//! `secrets`: handles on values that the step may use and never sees. A handle is what a value is made of; the value
//! itself is put in where it is carried out, and nowhere here.

use super::bindings::wit::secrets::{Host, HostSecret};
use super::context::Context;
use super::handles::Secret;
use super::state::{Answer, State};
use super::text;
use runner_model::grant::Ask;
use runner_model::{EffectClass, Failure, FailureKind, Secret as Made, SecretName};
use serde_json::json;
use wasmtime::component::Resource;

impl Context {
    /// The secret that the module calls so, when the step is given it and may use it.
    fn given_secret(&self, name: &str) -> Result<Made, Failure> {
        self.not_cancelled()?;
        let known = name.parse::<SecretName>().ok().and_then(|name| self.secrets.get(&name));
        let Some((secret, source)) = known else {
            let failure = Failure::new(
                FailureKind::Denied,
                format_args!("use the secret `{name}`: the plan does not give it to the step"),
            );
            return Err(
                failure.with_detail(format_args!("add it at the step in the plan:\nsecrets = [\"{name}\"]"))
            );
        };
        self.allow(&Ask::Secret { name: secret, source })?;
        if !self.vault.has(secret) {
            let message = format!("the secret `{secret}` was not fetched before the run");
            return Err(Failure::new(FailureKind::NotFound, message));
        }
        Ok(Made::named(secret.clone()))
    }

    /// Whether the step is given all these secrets and may use them. Asked where they are used: on a resume a handle may
    /// come out of a record.
    pub(crate) fn may_use(&self, names: Vec<&SecretName>) -> Result<(), Failure> {
        for name in names {
            let Some((_, source)) = self.secrets.values().find(|(given, _)| given == name) else {
                let message = format!("use the secret `{name}`: the plan does not give it to the step");
                return Err(Failure::new(FailureKind::Denied, message));
            };
            self.allow(&Ask::Secret { name, source })?;
        }
        Ok(())
    }
}

impl State {
    /// Gives the guest a handle.
    fn push_secret(&mut self, secret: Made) -> wasmtime::Result<Resource<Secret>> {
        let held = secret.cost();
        self.hold(held)?;
        self.push(Secret { made: secret, held })
    }

    /// What a handle stands for, as it is carried out and recorded: with the digest of its value.
    pub(crate) fn sealed(&self, secret: &Resource<Secret>) -> wasmtime::Result<Made> {
        Ok(self.context.vault.sealed(&self.table.get(secret)?.made))
    }

    fn made(&self, secret: &Resource<Secret>) -> wasmtime::Result<Made> {
        Ok(self.table.get(secret)?.made.clone())
    }
}

impl Host for State {
    async fn get(&mut self, name: String) -> Answer<Resource<Secret>> {
        let name = text::line(&name, 256);
        let call = self.call("secrets.get", EffectClass::Read, None, json!({ "name": name }))?;
        let context = self.context.clone();
        match self.read_call(&call, async { context.given_secret(&name) }).await? {
            Ok(secret) => Ok(Ok(self.push_secret(secret)?)),
            Err(error) => Ok(Err(error)),
        }
    }
}

impl HostSecret for State {
    async fn wrap(
        &mut self,
        this: Resource<Secret>,
        before: String,
        after: String,
    ) -> wasmtime::Result<Resource<Secret>> {
        let secret = self.made(&this)?.wrapped(before, after);
        self.push_secret(secret)
    }

    async fn append(
        &mut self,
        this: Resource<Secret>,
        other: Resource<Secret>,
    ) -> wasmtime::Result<Resource<Secret>> {
        let secret = self.made(&this)?.appended(&self.table.get(&other)?.made);
        self.push_secret(secret)
    }

    async fn base64(&mut self, this: Resource<Secret>) -> wasmtime::Result<Resource<Secret>> {
        let secret = self.made(&this)?.base64();
        self.push_secret(secret)
    }

    async fn url_encode(&mut self, this: Resource<Secret>) -> wasmtime::Result<Resource<Secret>> {
        let secret = self.made(&this)?.url_encoded();
        self.push_secret(secret)
    }

    async fn drop(&mut self, this: Resource<Secret>) -> wasmtime::Result<()> {
        let held = self.table.delete(this)?.held;
        self.release(held);
        Ok(())
    }
}
