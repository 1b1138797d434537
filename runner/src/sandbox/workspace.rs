//! `workspace`: files beside the plan, under the folders that are granted. What a path may be, and that no link is
//! followed, is the business of [`runner_artifact::Workspace`].

use super::bindings::wit::types;
use super::bindings::wit::workspace::Host;
use super::context::Context;
use super::doubt::Became;
use super::record::{Acts, Effect, Outcome, Past};
use super::state::{Answer, State};
use super::text;
use runner_artifact::{Snapshot, WorkspacePath};
use runner_model::grant::Ask;
use runner_model::{Digest, EffectClass, EntryKind, Failure, FailureKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::sync::Arc;

/// The longest path that is recorded as it was given.
const PATH: usize = 4096;

/// Parses a path and checks the grant.
pub(crate) fn granted(context: &Context, path: &str, write: bool) -> Result<WorkspacePath, Failure> {
    context.not_cancelled()?;
    let path: WorkspacePath = path.parse()?;
    context.allow(&Ask::File { write, path: path.as_str() })?;
    if let Some(rehearsal) = &context.rehearsal {
        rehearsal.knows(&path)?;
    }
    Ok(path)
}

impl State {
    /// A call that reads: check, act on a thread for files, record.
    async fn look_at<T: Serialize + DeserializeOwned + Send + 'static>(
        &mut self,
        name: &'static str,
        path: String,
        act: impl FnOnce(&Snapshot, &WorkspacePath) -> Result<T, Failure> + Send + 'static,
    ) -> Answer<T> {
        let call = self.call(name, EffectClass::Read, None, json!({ "path": text::line(&path, PATH) }))?;
        let context = self.context.clone();
        let look = async {
            let path = granted(&context, &path, false)?;
            let workspace = Arc::clone(&context.workspace);
            context.blocking(move || act(&workspace, &path)).await
        };
        self.read_call(&call, look).await
    }

    /// A call that makes a path of the workspace equal to something in the store.
    pub(crate) async fn save_to_workspace(
        &mut self,
        name: &'static str,
        path: String,
        content: Result<Digest, Failure>,
    ) -> Answer<bool> {
        let arguments = match &content {
            Ok(digest) => json!({ "path": text::line(&path, PATH), "content": digest }),
            Err(_) => json!({ "path": text::line(&path, PATH) }),
        };
        let call = self.call(name, EffectClass::Change, None, arguments)?;
        let doubt = match self.past(&call)? {
            Past::Answered(answer) => {
                let answer = self.read_back(&call, answer)?;
                if let Ok(true) = answer {
                    self.tally.changes += 1;
                    self.changed.insert((self.context.info.current.clone(), path));
                }
                return self.answer(answer);
            }
            Past::InDoubt(doubt) => Some(doubt),
            Past::New => None,
        };
        let context = self.context.clone();
        let ready = async {
            let (path, content) = (granted(&context, &path, true)?, content?);
            let (workspace, at) = (Arc::clone(&context.workspace), path.clone());
            let before = context
                .blocking(move || match workspace.stat(&at)? {
                    // Into the store, for an undo.
                    Some(entry) if entry.kind == EntryKind::File => workspace.pack(&at, &[]).map(Some),
                    // What cannot be digested differs from what can.
                    Some(_) => Ok(workspace.digest(&at).ok()),
                    None => Ok(None),
                })
                .await?;
            Ok((path, content, before))
        };
        let (path, content, before) = match ready.await {
            Ok(ready) => ready,
            Err(failure) => return self.looked(&call, Err(failure)),
        };
        let became = doubt.map(|doubt| doubt.of_file(path.as_str(), before.as_ref(), &content)).transpose();
        match became {
            Ok(Some(Became::Done)) => {
                context.record.settled(&call, json!(true));
                self.tally.changes += 1;
                self.changed.insert((context.info.current.clone(), path.as_str().to_owned()));
                return self.answer(Ok(true));
            }
            Ok(Some(Became::Undone) | None) => {}
            Err(failure) => return self.answer(Err(failure)),
        }
        if before == Some(content) {
            let marked = context.marks.has(&context.info, &context.info.current, path.as_str());
            return self.looked(&call, Ok(marked));
        }
        let effect = Effect::Workspace { path: path.as_str().to_owned(), before, after: content };
        let result = match context.record.intend(&call, &effect, Acts::default()).await {
            Err(failure) => Err(failure),
            Ok(pending) => {
                self.changed.insert((context.info.current.clone(), path.as_str().to_owned()));
                if let Some(rehearsal) = &context.rehearsal {
                    rehearsal.wrote(path);
                    self.tally.changes += 1;
                    pending.end(Outcome::Done(json!(true)));
                    return self.answer(Ok(true));
                }
                let workspace = Arc::clone(&context.workspace);
                let saved = tokio::task::spawn_blocking(move || workspace.save(&path, &content)).await;
                let saved = saved.unwrap_or_else(|error| {
                    Err(Failure::new(FailureKind::Other, format_args!("a bug: {error}")))
                });
                match saved {
                    Ok(changed) => {
                        self.tally.changes += u32::from(changed);
                        pending.end(Outcome::Done(json!(changed)));
                        Ok(changed)
                    }
                    Err(failure) => {
                        pending.end(Outcome::Failed(failure.clone()));
                        Err(failure)
                    }
                }
            }
        };
        self.answer(result)
    }
}

impl Host for State {
    async fn stat(&mut self, path: String) -> Answer<Option<types::Entry>> {
        let answer = self.look_at("workspace.stat", path, |workspace, path| workspace.stat(path)).await?;
        Ok(answer.map(|entry| entry.map(Into::into)))
    }

    async fn read_dir(&mut self, path: String) -> Answer<Vec<types::Entry>> {
        let answer =
            self.look_at("workspace.read-dir", path, |workspace, path| workspace.read_dir(path)).await?;
        Ok(answer.map(|entries| entries.into_iter().map(Into::into).collect()))
    }

    async fn read(&mut self, path: String) -> Answer<String> {
        let vault = Arc::clone(&self.context.vault);
        let read = move |workspace: &Snapshot, path: &WorkspacePath| Ok(vault.hide(workspace.read(path)?));
        self.look_at("workspace.read", path, read).await
    }

    async fn digest(&mut self, path: String) -> Answer<String> {
        let answer = self.look_at("workspace.digest", path, |workspace, path| workspace.digest(path)).await?;
        Ok(answer.map(|digest| digest.to_string()))
    }

    async fn write(&mut self, path: String, text: String) -> Answer<bool> {
        let content = self.context.clone().store_bytes(text.into_bytes()).await.map(|(digest, _)| digest);
        self.save_to_workspace("workspace.write", path, content).await
    }
}
