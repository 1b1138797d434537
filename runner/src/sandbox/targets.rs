//! `targets`: machines and their typed verbs.

use super::bindings::wit::targets::{Host, HostTarget, ServiceAction};
use super::bindings::wit::types;
use super::change::arguments;
use super::context::{Context, Reach};
use super::gate::Touch;
use super::handles::{Artifact, Secret, Target, remote_path};
use super::record::{Effect, Past};
use super::state::{Answer, State};
use super::text;
use runner_model::grant::Ask;
use runner_model::{
    Attributes, Change, Digest, EffectClass, Entry, Failure, FailureKind, Link, RemotePath, TargetName,
    UserName,
};
use runner_transport::{Intent, Target as Verbs};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use wasmtime::component::Resource;

/// The folder in a release root, and beside a plan, that belongs to the host.
const OWN_FOLDER: &str = ".runner";
/// What the names begin with of what the host is making.
const IN_THE_MAKING: &str = ".runner-";

/// A verb that may go ahead.
struct Ready {
    verbs: Arc<dyn Verbs>,
    path: RemotePath,
    within: Reach,
}

fn invalid(message: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Invalid, message)
}

impl State {
    /// The name of the machine behind a handle.
    pub(crate) fn machine(&self, on: &Resource<Target>) -> wasmtime::Result<TargetName> {
        Ok(self.table.get(on)?.name.clone())
    }
}

impl Context {
    /// Parses, checks, and finds the machine's verbs for a verb that reads.
    async fn ready_to_read(&self, on: &TargetName, path: &str, whole: bool) -> Result<Ready, Failure> {
        let path = remote_path(path)?;
        let ask = if whole { Ask::ReadTree(&path) } else { Ask::Read(&path) };
        let within = Reach::of(&ask, self.allow(&ask)?);
        Ok(Ready { verbs: self.verbs(on).await?, path, within })
    }

    /// Text as content in the store.
    pub(crate) async fn store_bytes(&self, bytes: Vec<u8>) -> Result<(Digest, u64), Failure> {
        let store = self.store.clone();
        self.blocking(move || {
            let size = bytes.len() as u64;
            Ok((store.put_bytes(&bytes)?, size))
        })
        .await
    }

    /// What a handle of something in the store stands for.
    pub(crate) async fn artifact(&self, digest: Digest) -> Result<Artifact, Failure> {
        let store = self.store.clone();
        self.blocking(move || {
            let tree = store.is_tree(&digest);
            let size = if tree { store.tree_size(&digest)? } else { store.size(&digest)? };
            Ok(Artifact { digest, size, tree })
        })
        .await
    }
}

impl State {
    /// A verb that reads: check, act, record.
    async fn read_verb<T, F>(
        &mut self,
        name: &'static str,
        on: &Resource<Target>,
        path: String,
        whole: bool,
        act: impl FnOnce(Ready) -> F + Send,
    ) -> Answer<T>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T, Failure>> + Send,
    {
        let on = self.machine(on)?;
        let call = self.call(name, EffectClass::Read, Some(&on), json!({ "path": path }))?;
        let context = self.context.clone();
        let look = async {
            let ready = context.ready_to_read(&on, &path, whole).await?;
            context.or_cancelled(act(ready)).await
        };
        self.read_call(&call, look).await
    }
}

/// Attributes that make sense.
fn attributes(attributes: types::Attributes) -> Result<Attributes, Failure> {
    let attributes = Attributes::from(attributes);
    if let Some(mode) = attributes.mode.filter(|mode| *mode > 0o7777) {
        return Err(invalid(format_args!("mode {mode:#o} has more than permission bits")));
    }
    for name in attributes.owner.iter().chain(&attributes.group) {
        name.parse::<UserName>().map_err(|error| invalid(format_args!("owner and group: {error}")))?;
    }
    Ok(attributes)
}

/// Whether the host keeps something under this name, or is making it.
fn is_own(name: &str) -> bool {
    name == OWN_FOLDER || name.starts_with(IN_THE_MAKING)
}

/// Where a link may point to: anything but into the host's folder, which would be a second name for it.
fn points_to(text: String) -> Result<String, Failure> {
    if text.is_empty() || text.len() >= 4096 || text.chars().any(char::is_control) {
        return Err(invalid(format_args!("a link cannot point to `{}`", text::line(&text, 200))));
    }
    if let Some(own) = text.split('/').find(|segment| is_own(segment)) {
        return Err(Failure::new(
            FailureKind::Denied,
            format_args!("a link to `{text}`: `{own}` belongs to the runner"),
        ));
    }
    Ok(text)
}

/// A link in a tree.
fn link(link: types::Link) -> Result<Link, Failure> {
    let path = link.path.parse::<runner_artifact::TreePath>().map_err(invalid)?;
    if path.segments().any(|segment| segment == OWN_FOLDER) {
        return Err(Failure::new(FailureKind::Denied, format_args!("`{OWN_FOLDER}` belongs to the runner")));
    }
    Ok(Link { path: path.as_str().to_owned(), points_to: points_to(link.points_to)? })
}

/// The name of a unit: never an option, a path or a pattern.
fn unit(name: &str) -> Result<(), Failure> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "@._:-\\".contains(c);
    if name.is_empty() || name.len() > 255 || name.starts_with(['-', '.']) || !name.chars().all(allowed) {
        return Err(invalid(format_args!("`{}` cannot be the name of a unit", text::line(name, 100))));
    }
    Ok(())
}

impl Host for State {
    async fn current(&mut self) -> wasmtime::Result<Resource<Target>> {
        let name = self.context.info.current.clone();
        self.push(Target { name })
    }

    async fn named(&mut self, name: String) -> Answer<Resource<Target>> {
        let call =
            self.call("targets.named", EffectClass::Read, None, json!({ "name": text::line(&name, 256) }))?;
        let context = self.context.clone();
        let find = async {
            context.not_cancelled()?;
            let name: TargetName = name.parse().map_err(invalid)?;
            // The grant comes first: who has none does not learn who is in the inventory.
            context.may_reach(&name)?;
            if !context.machines.has(&name) {
                let message = format!("no target `{name}` in the inventory");
                return Err(Failure::new(FailureKind::NotFound, message));
            }
            Ok(name)
        };
        match self.read_call(&call, find).await? {
            Ok(name) => Ok(Ok(self.push(Target { name })?)),
            Err(error) => Ok(Err(error)),
        }
    }
}

impl HostTarget for State {
    async fn name(&mut self, on: Resource<Target>) -> wasmtime::Result<String> {
        Ok(self.machine(&on)?.to_string())
    }

    async fn fact(&mut self, on: Resource<Target>, name: String) -> Answer<String> {
        let on = self.machine(&on)?;
        let call = self.call(
            "targets.fact",
            EffectClass::Read,
            Some(&on),
            json!({ "name": text::line(&name, 256) }),
        )?;
        let context = self.context.clone();
        let fact = async { context.verbs(&on).await?.fact(&name).await };
        self.read_call(&call, context.or_cancelled(fact)).await
    }

    async fn stat(&mut self, on: Resource<Target>, path: String) -> Answer<Option<types::Entry>> {
        let act = |r: Ready| async move { r.verbs.stat(&r.path, r.within.as_within()).await };
        let entry = self.read_verb("targets.stat", &on, path, false, act).await?;
        Ok(entry.map(|entry: Option<Entry>| entry.map(Into::into)))
    }

    async fn read_dir(&mut self, on: Resource<Target>, path: String) -> Answer<Vec<types::Entry>> {
        let act = |r: Ready| async move { r.verbs.read_dir(&r.path, r.within.as_within()).await };
        let entries = self.read_verb("targets.read-dir", &on, path, false, act).await?;
        Ok(entries.map(|entries: Vec<Entry>| entries.into_iter().map(Into::into).collect()))
    }

    async fn read_link(&mut self, on: Resource<Target>, path: String) -> Answer<String> {
        let act = |r: Ready| async move { r.verbs.read_link(&r.path, r.within.as_within()).await };
        self.read_verb("targets.read-link", &on, path, false, act).await
    }

    async fn read(&mut self, on: Resource<Target>, path: String) -> Answer<String> {
        let act = |r: Ready| async move { r.verbs.read(&r.path, r.within.as_within()).await };
        self.read_verb("targets.read", &on, path, false, act).await
    }

    async fn digest(&mut self, on: Resource<Target>, path: String) -> Answer<String> {
        let act = |r: Ready| async move { r.verbs.digest(&r.path, r.within.as_within()).await };
        let digest = self.read_verb("targets.digest", &on, path, true, act).await?;
        Ok(digest.map(|digest: Digest| digest.to_string()))
    }

    async fn disk_free(&mut self, on: Resource<Target>, path: String) -> Answer<u64> {
        let act = |r: Ready| async move { r.verbs.disk_free(&r.path, r.within.as_within()).await };
        self.read_verb("targets.disk-free", &on, path, false, act).await
    }

    async fn fetch(&mut self, on: Resource<Target>, path: String) -> Answer<Resource<Artifact>> {
        let context = self.context.clone();
        let act = |r: Ready| async move {
            let digest = r.verbs.fetch(&r.path, r.within.as_within()).await?;
            context.artifact(digest).await
        };
        let artifact = self.read_verb("targets.fetch", &on, path, true, act).await?;
        self.give(artifact)
    }

    async fn service_is_active(&mut self, on: Resource<Target>, name: String) -> Answer<bool> {
        let on = self.machine(&on)?;
        let arguments = json!({ "unit": text::line(&name, 256) });
        let call = self.call("targets.service-is-active", EffectClass::Read, Some(&on), arguments)?;
        let context = self.context.clone();
        let active = async {
            unit(&name)?;
            context.allow(&Ask::ServiceState { unit: &name })?;
            context.verbs(&on).await?.service_is_active(&name).await
        };
        self.read_call(&call, context.or_cancelled(active)).await
    }

    async fn write(
        &mut self,
        on: Resource<Target>,
        path: String,
        text: String,
        wanted: types::Attributes,
    ) -> Answer<bool> {
        let context = self.context.clone();
        let change = async {
            let (path, attributes) = (remote_path(&path)?, attributes(wanted)?);
            let (content, size) = context.store_bytes(text.into_bytes()).await?;
            Ok(Change::Write { path, content, size, attributes })
        }
        .await;
        self.bool_change("targets.write", &on, &path, change).await
    }

    async fn write_secret(
        &mut self,
        on: Resource<Target>,
        path: String,
        content: Resource<Secret>,
        wanted: types::Attributes,
    ) -> Answer<bool> {
        let content = self.sealed(&content)?;
        let change = remote_path(&path)
            .and_then(|path| Ok(Change::WriteSecret { path, content, attributes: attributes(wanted)? }));
        self.bool_change("targets.write-secret", &on, &path, change).await
    }

    async fn put(
        &mut self,
        on: Resource<Target>,
        path: String,
        content: Resource<Artifact>,
        wanted: types::Attributes,
    ) -> Answer<bool> {
        let artifact = *self.table.get(&content)?;
        let change = (|| {
            let (path, attributes) = (remote_path(&path)?, attributes(wanted)?);
            if artifact.tree {
                return Err(invalid(format_args!("put `{path}`: the artifact is a tree; use `unpack`")));
            }
            Ok(Change::Write { path, content: artifact.digest, size: artifact.size, attributes })
        })();
        self.bool_change("targets.put", &on, &path, change).await
    }

    async fn mkdir(&mut self, on: Resource<Target>, path: String, wanted: types::Attributes) -> Answer<bool> {
        let change =
            remote_path(&path).and_then(|path| Ok(Change::Mkdir { path, attributes: attributes(wanted)? }));
        self.bool_change("targets.mkdir", &on, &path, change).await
    }

    async fn symlink(&mut self, on: Resource<Target>, path: String, to: String) -> Answer<bool> {
        let change =
            remote_path(&path).and_then(|path| Ok(Change::Symlink { path, points_to: points_to(to)? }));
        self.bool_change("targets.symlink", &on, &path, change).await
    }

    async fn rename(&mut self, on: Resource<Target>, old_path: String, new_path: String) -> Answer<()> {
        let change =
            remote_path(&old_path).and_then(|path| Ok(Change::Rename { path, to: remote_path(&new_path)? }));
        let arguments = self::arguments(&change, || json!({ "path": old_path, "to": new_path }));
        Ok(self.change_verb("targets.rename", &on, arguments, change).await?.map(|_| ()))
    }

    async fn remove(&mut self, on: Resource<Target>, path: String) -> Answer<bool> {
        let change = remote_path(&path).map(|path| Change::Remove { path });
        self.bool_change("targets.remove", &on, &path, change).await
    }

    async fn remove_tree(&mut self, on: Resource<Target>, path: String) -> Answer<bool> {
        let change = remote_path(&path).map(|path| Change::RemoveTree { path });
        self.bool_change("targets.remove-tree", &on, &path, change).await
    }

    async fn set_attributes(
        &mut self,
        on: Resource<Target>,
        path: String,
        wanted: types::Attributes,
    ) -> Answer<bool> {
        let change = remote_path(&path)
            .and_then(|path| Ok(Change::SetAttributes { path, attributes: attributes(wanted)? }));
        self.bool_change("targets.set-attributes", &on, &path, change).await
    }

    async fn unpack(
        &mut self,
        on: Resource<Target>,
        path: String,
        tree: Resource<Artifact>,
        links: Vec<types::Link>,
        reuse: Option<String>,
        wanted: types::Attributes,
    ) -> Answer<bool> {
        let artifact = *self.table.get(&tree)?;
        let change = (|| {
            let (path, attributes) = (remote_path(&path)?, attributes(wanted)?);
            if !artifact.tree {
                return Err(invalid(format_args!("unpack `{path}`: the artifact is a file; use `put`")));
            }
            if attributes.mode.is_some() {
                return Err(invalid(format_args!("unpack `{path}`: a tree has its own modes")));
            }
            let links = links.into_iter().map(link).collect::<Result<_, _>>()?;
            let reuse = reuse.as_deref().map(remote_path).transpose()?;
            Ok(Change::Unpack { path, tree: artifact.digest, links, reuse, attributes })
        })();
        self.bool_change("targets.unpack", &on, &path, change).await
    }

    async fn archive(&mut self, on: Resource<Target>, path: String, into: String) -> Answer<u64> {
        let change =
            remote_path(&path).and_then(|path| Ok(Change::Archive { path, into: remote_path(&into)? }));
        let arguments = self::arguments(&change, || json!({ "path": path, "into": into }));
        Ok(self.change_verb("targets.archive", &on, arguments, change).await?.map(|changed| changed.size))
    }

    async fn unarchive(
        &mut self,
        on: Resource<Target>,
        archive: String,
        path: String,
        wanted: types::Attributes,
    ) -> Answer<bool> {
        let change = (|| {
            let (path, attributes) = (remote_path(&path)?, attributes(wanted)?);
            if attributes.mode.is_some() {
                return Err(invalid(format_args!("unarchive `{path}`: an archive has its own modes")));
            }
            Ok(Change::Unarchive { path, archive: remote_path(&archive)?, attributes })
        })();
        self.bool_change("targets.unarchive", &on, &path, change).await
    }

    async fn service(&mut self, on: Resource<Target>, name: String, action: ServiceAction) -> Answer<()> {
        let on = self.machine(&on)?;
        let action = runner_model::ServiceAction::from(action);
        let arguments = json!({ "unit": text::line(&name, 256), "action": action.word() });
        let call = self.call("targets.service", EffectClass::Signal, Some(&on), arguments)?;
        // One that is in doubt is sent again.
        if let Past::Answered(answer) = self.past(&call)? {
            return self.signalled_before(&call, answer);
        }
        let context = self.context.clone();
        let ready = async {
            unit(&name)?;
            context.allow(&Ask::Service { unit: &name, action })?;
            context.not_in_service(&on, Touch::Service(&name, action))?;
            context.verbs(&on).await
        };
        let verbs = match context.or_cancelled(ready).await {
            Ok(verbs) => verbs,
            Err(failure) => return self.looked(&call, Err(failure)),
        };
        let effect = Effect::Service { unit: name.clone(), action };
        let acts = context.acts(Reach::default(), 0);
        let result = match context.record.intend(&call, &effect, acts).await {
            Err(failure) => Err(failure),
            Ok(pending) => {
                let line = pending.line().to_owned();
                let asked = context.to_the_end(verbs.service(&name, action, Intent::new(&line))).await;
                self.ended(pending, asked, |()| Value::Null)
            }
        };
        self.answer(result)
    }

    async fn drop(&mut self, on: Resource<Target>) -> wasmtime::Result<()> {
        self.table.delete(on)?;
        Ok(())
    }
}
