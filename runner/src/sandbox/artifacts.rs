//! `artifacts`: data in the store, by handle. The store is shared by all runs of a user, so a digest opens only what
//! this run made: by this step in this invocation, or given out by an earlier step.

use super::bindings::wit::artifacts::{Host, HostArtifact};
use super::bindings::wit::types;
use super::handles::Artifact;
use super::record::Call;
use super::state::{Answer, State};
use super::text;
use super::workspace::granted;
use runner_model::{Digest, EffectClass, Failure, FailureKind};
use serde_json::{Value, json};
use std::sync::Arc;
use wasmtime::component::Resource;

/// The largest content that crosses into or out of a guest's memory.
const BYTES: u64 = 16 * 1024 * 1024;

impl State {
    /// Records where an artifact comes from, and gives the guest its handle.
    pub(crate) async fn hand_out(
        &mut self,
        call: &Call,
        find: impl Future<Output = Result<Artifact, Failure>>,
    ) -> Answer<Resource<Artifact>> {
        let artifact = self.read_call(call, find).await?;
        self.give(artifact)
    }

    /// The handle of something that this run made.
    pub(crate) fn give(&mut self, artifact: Result<Artifact, types::Error>) -> Answer<Resource<Artifact>> {
        match artifact {
            Ok(artifact) => {
                self.context.given.made(artifact.digest);
                self.opened.insert(artifact.digest);
                Ok(Ok(self.push(artifact)?))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    /// Whether a digest may be opened. One that may not and one that is not there look the same.
    fn may_open(&self, digest: &str) -> Result<Digest, Failure> {
        self.context.not_cancelled()?;
        let digest: Digest = digest
            .parse()
            .map_err(|error| Failure::new(FailureKind::Invalid, format_args!("open: {error}")))?;
        if self.opened.contains(&digest) || self.context.given.is_given(&digest) {
            return Ok(digest);
        }
        Err(Failure::new(
            FailureKind::NotFound,
            format_args!("open `{digest}`: no step of this run has given out an artifact of this digest"),
        ))
    }
}

impl Host for State {
    async fn pack(&mut self, path: String, exclude: Vec<String>) -> Answer<Resource<Artifact>> {
        let arguments = json!({ "path": text::line(&path, 4096), "exclude": exclude });
        let call = self.call("artifacts.pack", EffectClass::Read, None, arguments)?;
        let context = self.context.clone();
        let packed = async {
            let path = granted(&context, &path, false)?;
            let workspace = Arc::clone(&context.workspace);
            let digest = context.blocking(move || workspace.pack(&path, &exclude)).await?;
            context.artifact(digest).await
        };
        self.hand_out(&call, packed).await
    }

    async fn open(&mut self, digest: String) -> Answer<Resource<Artifact>> {
        let arguments = json!({ "digest": text::line(&digest, 128) });
        let call = self.call("artifacts.open", EffectClass::Read, None, arguments)?;
        let (context, digest) = (self.context.clone(), self.may_open(&digest));
        self.hand_out(&call, async { context.artifact(digest?).await }).await
    }

    async fn from_bytes(&mut self, content: Vec<u8>) -> Answer<Resource<Artifact>> {
        let call =
            self.call("artifacts.from-bytes", EffectClass::Read, None, json!({ "size": content.len() }))?;
        let context = self.context.clone();
        let stored = async {
            if content.len() as u64 > BYTES {
                let message = format!("from-bytes: {} bytes, and at most 16 MiB are taken", content.len());
                return Err(Failure::new(FailureKind::Invalid, message));
            }
            let (digest, _) = context.store_bytes(content).await?;
            context.artifact(digest).await
        };
        self.hand_out(&call, stored).await
    }
}

impl HostArtifact for State {
    async fn digest(&mut self, this: Resource<Artifact>) -> wasmtime::Result<String> {
        Ok(self.table.get(&this)?.digest.to_string())
    }

    async fn size(&mut self, this: Resource<Artifact>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&this)?.size)
    }

    async fn bytes(&mut self, this: Resource<Artifact>) -> Answer<Vec<u8>> {
        let artifact = *self.table.get(&this)?;
        let call =
            self.call("artifacts.bytes", EffectClass::Read, None, json!({ "artifact": artifact.digest }))?;
        let context = self.context.clone();
        // The record has its digest, and the store its bytes.
        let before = self.recorded::<Value>(&call)?;
        if let Some(Err(failure)) = before {
            return self.answer(Err(failure));
        }
        let answer = if artifact.tree {
            let message = format!("bytes of `{}`: it is a tree", artifact.digest);
            Err(Failure::new(FailureKind::Conflict, message))
        } else {
            let store = Arc::clone(&context.store);
            context.blocking(move || Ok(store.read_bytes(&artifact.digest, BYTES)?)).await
        };
        let answer = answer.and_then(|bytes| match context.vault.is_in(&bytes) {
            false => Ok(bytes),
            true => Err(Failure::new(
                FailureKind::Denied,
                format_args!(
                    "bytes of `{}`: a secret of this run is in it, which no step may see",
                    artifact.digest
                ),
            )),
        });
        if before.is_some() {
            return self.answer(answer);
        }
        // The digest says which bytes the guest was given.
        self.looked_as(&call, answer, |bytes| json!({ "size": bytes.len() }))
    }

    async fn save(&mut self, this: Resource<Artifact>, path: String) -> Answer<bool> {
        let digest = self.table.get(&this)?.digest;
        self.save_to_workspace("artifacts.save", path, Ok(digest)).await
    }

    async fn drop(&mut self, this: Resource<Artifact>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
