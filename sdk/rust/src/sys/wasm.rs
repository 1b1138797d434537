//! The real host: thin, inlined conversions to and from what `wit-bindgen` made of the contract. One function per
//! import and nothing that holds them together, so that the linker drops each one that a step does not use.

use crate::bindings::cluster::runner::step::sockets;
use crate::bindings::runner::step as wit;
use crate::types::{
    Attributes, Effect, Entry, EntryKind, Header, Link, Mark, Output, Release, Response, Service,
    ServiceAction, Standing,
};
use crate::{Error, ErrorKind, Result};

pub(crate) use wit::log::{debug, error, info, progress, warn};
pub(crate) use wit::run_info::{
    environment, operation_key, previous_release, release_id, run_id, step_id, subject, variable,
};
pub(crate) use wit::timer::now;

pub(crate) fn sleep(milliseconds: u32) -> Result<()> {
    Ok(wit::timer::sleep(milliseconds)?)
}

impl From<wit::types::Error> for Error {
    fn from(error: wit::types::Error) -> Self {
        use wit::types::ErrorKind as K;
        let kind = match error.kind {
            K::Denied => ErrorKind::Denied,
            K::Unreachable => ErrorKind::Unreachable,
            K::Timeout => ErrorKind::Timeout,
            K::NotFound => ErrorKind::NotFound,
            K::Conflict => ErrorKind::Conflict,
            K::CommandFailed => ErrorKind::CommandFailed,
            K::Invalid => ErrorKind::Invalid,
            K::Cancelled => ErrorKind::Cancelled,
            K::Other => ErrorKind::Other,
        };
        Self { kind, message: error.message, detail: error.detail }
    }
}

impl From<Error> for wit::types::Error {
    fn from(error: Error) -> Self {
        use wit::types::ErrorKind as K;
        let kind = match error.kind {
            ErrorKind::Denied => K::Denied,
            ErrorKind::Unreachable => K::Unreachable,
            ErrorKind::Timeout => K::Timeout,
            ErrorKind::NotFound => K::NotFound,
            ErrorKind::Conflict => K::Conflict,
            ErrorKind::CommandFailed => K::CommandFailed,
            ErrorKind::Invalid => K::Invalid,
            ErrorKind::Cancelled => K::Cancelled,
            ErrorKind::Other => K::Other,
        };
        Self { kind, message: error.message, detail: error.detail }
    }
}

impl From<Effect> for wit::types::Effect {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Read => Self::Read,
            Effect::Change => Self::Change,
            Effect::Signal => Self::Signal,
            Effect::Leave => Self::Leave,
            Effect::Join => Self::Join,
            Effect::Opaque => Self::Opaque,
        }
    }
}

impl From<Standing> for wit::types::Standing {
    fn from(standing: Standing) -> Self {
        let service = match standing.service {
            Service::In => wit::types::Service::InService,
            Service::Draining => wit::types::Service::Draining,
            Service::Out => wit::types::Service::Out,
        };
        Self { service, healthy: standing.healthy, connections: standing.connections }
    }
}

impl From<ServiceAction> for wit::targets::ServiceAction {
    fn from(action: ServiceAction) -> Self {
        match action {
            ServiceAction::Start => Self::Start,
            ServiceAction::Stop => Self::Stop,
            ServiceAction::Restart => Self::Restart,
            ServiceAction::Reload => Self::Reload,
            ServiceAction::ReloadOrRestart => Self::ReloadOrRestart,
        }
    }
}

impl From<wit::types::Entry> for Entry {
    fn from(entry: wit::types::Entry) -> Self {
        use wit::types::EntryKind as K;
        let kind = match entry.kind {
            K::File => EntryKind::File,
            K::Directory => EntryKind::Directory,
            K::Symlink => EntryKind::Symlink,
            K::Other => EntryKind::Other,
        };
        let wit::types::Entry { name, size, mode, owner, group, modified, .. } = entry;
        Self { name, kind, size, mode, owner, group, modified }
    }
}

impl From<&Attributes> for wit::types::Attributes {
    fn from(attributes: &Attributes) -> Self {
        let Attributes { mode, owner, group } = attributes.clone();
        Self { mode, owner, group }
    }
}

impl From<&Link> for wit::types::Link {
    fn from(link: &Link) -> Self {
        let Link { path, points_to } = link.clone();
        Self { path, points_to }
    }
}

impl From<wit::releases::Release> for Release {
    fn from(release: wit::releases::Release) -> Self {
        let mark = match release.mark {
            wit::releases::Mark::Good => Mark::Good,
            wit::releases::Mark::Bad => Mark::Bad,
            wit::releases::Mark::Untried => Mark::Untried,
        };
        Self { id: release.id, sequence: release.sequence, mark, live: release.live, size: release.size }
    }
}

fn entries(list: Vec<wit::types::Entry>) -> Vec<Entry> {
    list.into_iter().map(Entry::from).collect()
}

#[derive(Debug)]
pub(crate) struct Target(wit::targets::Target);

pub(crate) fn current() -> Target {
    Target(wit::targets::current())
}

pub(crate) fn named(name: &str) -> Result<Target> {
    Ok(Target(wit::targets::named(name)?))
}

impl Target {
    pub(crate) fn name(&self) -> String {
        self.0.name()
    }
    pub(crate) fn fact(&self, name: &str) -> Result<String> {
        Ok(self.0.fact(name)?)
    }
    pub(crate) fn stat(&self, path: &str) -> Result<Option<Entry>> {
        Ok(self.0.stat(path)?.map(Entry::from))
    }
    pub(crate) fn read_dir(&self, path: &str) -> Result<Vec<Entry>> {
        Ok(entries(self.0.read_dir(path)?))
    }
    pub(crate) fn read_link(&self, path: &str) -> Result<String> {
        Ok(self.0.read_link(path)?)
    }
    pub(crate) fn read(&self, path: &str) -> Result<String> {
        Ok(self.0.read(path)?)
    }
    pub(crate) fn digest(&self, path: &str) -> Result<String> {
        Ok(self.0.digest(path)?)
    }
    pub(crate) fn disk_free(&self, path: &str) -> Result<u64> {
        Ok(self.0.disk_free(path)?)
    }
    pub(crate) fn fetch(&self, path: &str) -> Result<Artifact> {
        Ok(Artifact(self.0.fetch(path)?))
    }
    pub(crate) fn exchange(&self, path: &str, text: &str, effect: Effect) -> Result<String> {
        Ok(sockets::exchange(&self.0, path, text, effect.into())?)
    }
    pub(crate) fn service_is_active(&self, unit: &str) -> Result<bool> {
        Ok(self.0.service_is_active(unit)?)
    }
    pub(crate) fn write(&self, path: &str, text: &str, attributes: &Attributes) -> Result<bool> {
        Ok(self.0.write(path, text, &attributes.into())?)
    }
    pub(crate) fn write_secret(&self, path: &str, content: &Secret, attributes: &Attributes) -> Result<bool> {
        Ok(self.0.write_secret(path, &content.0, &attributes.into())?)
    }
    pub(crate) fn put(&self, path: &str, content: &Artifact, attributes: &Attributes) -> Result<bool> {
        Ok(self.0.put(path, &content.0, &attributes.into())?)
    }
    pub(crate) fn mkdir(&self, path: &str, attributes: &Attributes) -> Result<bool> {
        Ok(self.0.mkdir(path, &attributes.into())?)
    }
    pub(crate) fn symlink(&self, path: &str, points_to: &str) -> Result<bool> {
        Ok(self.0.symlink(path, points_to)?)
    }
    pub(crate) fn rename(&self, old_path: &str, new_path: &str) -> Result<()> {
        Ok(self.0.rename(old_path, new_path)?)
    }
    pub(crate) fn remove(&self, path: &str) -> Result<bool> {
        Ok(self.0.remove(path)?)
    }
    pub(crate) fn remove_tree(&self, path: &str) -> Result<bool> {
        Ok(self.0.remove_tree(path)?)
    }
    pub(crate) fn set_attributes(&self, path: &str, attributes: &Attributes) -> Result<bool> {
        Ok(self.0.set_attributes(path, &attributes.into())?)
    }
    pub(crate) fn unpack(
        &self,
        path: &str,
        tree: &Artifact,
        links: &[Link],
        reuse: Option<&str>,
        attributes: &Attributes,
    ) -> Result<bool> {
        let links: Vec<_> = links.iter().map(Into::into).collect();
        Ok(self.0.unpack(path, &tree.0, &links, reuse, &attributes.into())?)
    }
    pub(crate) fn archive(&self, path: &str, into: &str) -> Result<u64> {
        Ok(self.0.archive(path, into)?)
    }
    pub(crate) fn unarchive(&self, archive: &str, path: &str, attributes: &Attributes) -> Result<bool> {
        Ok(self.0.unarchive(archive, path, &attributes.into())?)
    }
    pub(crate) fn service(&self, unit: &str, action: ServiceAction) -> Result<()> {
        Ok(self.0.service(unit, action.into())?)
    }
}

pub(crate) fn releases(target: &Target, root: &str) -> Result<Vec<Release>> {
    Ok(wit::releases::all(&target.0, root)?.into_iter().map(Release::from).collect())
}

pub(crate) fn previous(target: &Target, root: &str) -> Result<Option<Release>> {
    Ok(wit::releases::previous(&target.0, root)?.map(Release::from))
}

#[derive(Debug)]
pub(crate) struct Artifact(wit::artifacts::Artifact);

pub(crate) fn pack(path: &str, exclude: &[String]) -> Result<Artifact> {
    Ok(Artifact(wit::artifacts::pack(path, exclude)?))
}

pub(crate) fn open(digest: &str) -> Result<Artifact> {
    Ok(Artifact(wit::artifacts::open(digest)?))
}

pub(crate) fn from_bytes(content: &[u8]) -> Result<Artifact> {
    Ok(Artifact(wit::artifacts::from_bytes(content)?))
}

impl Artifact {
    pub(crate) fn digest(&self) -> String {
        self.0.digest()
    }
    pub(crate) fn size(&self) -> u64 {
        self.0.size()
    }
    pub(crate) fn bytes(&self) -> Result<Vec<u8>> {
        Ok(self.0.bytes()?)
    }
    pub(crate) fn save(&self, path: &str) -> Result<bool> {
        Ok(self.0.save(path)?)
    }
}

#[derive(Debug)]
pub(crate) struct Secret(wit::secrets::Secret);

pub(crate) fn secret(name: &str) -> Result<Secret> {
    Ok(Secret(wit::secrets::get(name)?))
}

impl Secret {
    pub(crate) fn wrap(&self, before: &str, after: &str) -> Self {
        Self(self.0.wrap(before, after))
    }
    pub(crate) fn append(&self, other: &Self) -> Self {
        Self(self.0.append(&other.0))
    }
    pub(crate) fn base64(&self) -> Self {
        Self(self.0.base64())
    }
    pub(crate) fn url_encode(&self) -> Self {
        Self(self.0.url_encode())
    }
}

#[derive(Debug)]
pub(crate) struct Command(wit::commands::Command);

impl Command {
    pub(crate) fn new(argv: &[String], effect: Effect) -> Self {
        Self(wit::commands::Command::new(argv, effect.into()))
    }
    pub(crate) fn env(&mut self, name: &str, value: &str) {
        self.0.env(name, value);
    }
    pub(crate) fn env_secret(&mut self, name: &str, value: &Secret) {
        self.0.env_secret(name, &value.0);
    }
    pub(crate) fn stdin(&mut self, text: &str) {
        self.0.stdin(text);
    }
    pub(crate) fn stdin_secret(&mut self, content: &Secret) {
        self.0.stdin_secret(&content.0);
    }
    pub(crate) fn stdin_artifact(&mut self, content: &Artifact) {
        self.0.stdin_artifact(&content.0);
    }
    pub(crate) fn stdin_file(&mut self, path: &str) {
        self.0.stdin_file(path);
    }
    pub(crate) fn decompress(&mut self) {
        self.0.decompress();
    }
    pub(crate) fn compress(&mut self) {
        self.0.compress();
    }
    pub(crate) fn keep(&mut self) {
        self.0.keep();
    }
    pub(crate) fn stdout_to(&mut self, path: &str) {
        self.0.stdout_to(path);
    }
    pub(crate) fn directory(&mut self, path: &str) {
        self.0.directory(path);
    }
    pub(crate) fn timeout(&mut self, milliseconds: u32) {
        self.0.timeout(milliseconds);
    }
    pub(crate) fn accept(&mut self, status: u32) {
        self.0.accept(status);
    }
    pub(crate) fn skip_if(&mut self, check: Self) {
        self.0.skip_if(check.0);
    }
    pub(crate) fn undo_with(&mut self, undo: Self) {
        self.0.undo_with(undo.0);
    }
    pub(crate) fn repeatable(&mut self) {
        self.0.repeatable();
    }
    pub(crate) fn run(&self, on: &Target) -> Result<Output> {
        let wit::commands::Output { status, stdout, stderr, truncated, skipped } = self.0.run(&on.0)?;
        Ok(Output { status, stdout, stderr, truncated, skipped })
    }
}

#[derive(Debug)]
pub(crate) struct Request(wit::http::Request);

impl Request {
    pub(crate) fn new(method: &str, url: &str, effect: Effect) -> Self {
        Self(wit::http::Request::new(method, url, effect.into()))
    }
    pub(crate) fn header(&mut self, name: &str, value: &str) {
        self.0.header(name, value);
    }
    pub(crate) fn header_secret(&mut self, name: &str, value: &Secret) {
        self.0.header_secret(name, &value.0);
    }
    pub(crate) fn body(&mut self, text: &str) {
        self.0.body(text);
    }
    pub(crate) fn body_secret(&mut self, content: &Secret) {
        self.0.body_secret(&content.0);
    }
    pub(crate) fn body_artifact(&mut self, content: &Artifact) {
        self.0.body_artifact(&content.0);
    }
    pub(crate) fn via(&mut self, target: &Target) {
        self.0.via(&target.0);
    }
    pub(crate) fn connect_to(&mut self, address: &str) {
        self.0.connect_to(address);
    }
    pub(crate) fn timeout(&mut self, milliseconds: u32) {
        self.0.timeout(milliseconds);
    }
    pub(crate) fn undo_with(&mut self, undo: Self) {
        self.0.undo_with(undo.0);
    }
    pub(crate) fn repeatable(&mut self) {
        self.0.repeatable();
    }
    pub(crate) fn send(&self) -> Result<Response> {
        let wit::http::Response { status, headers, body, truncated, skipped } = self.0.send()?;
        let headers = headers.into_iter().map(|h| Header { name: h.name, value: h.value }).collect();
        Ok(Response { status, headers, body, truncated, skipped })
    }
    pub(crate) fn download(&self) -> Result<Artifact> {
        Ok(Artifact(self.0.download()?))
    }
}

pub(crate) mod workspace {
    use super::{Entry, Result, entries, wit};

    pub(crate) fn stat(path: &str) -> Result<Option<Entry>> {
        Ok(wit::workspace::stat(path)?.map(Entry::from))
    }
    pub(crate) fn read_dir(path: &str) -> Result<Vec<Entry>> {
        Ok(entries(wit::workspace::read_dir(path)?))
    }
    pub(crate) fn read(path: &str) -> Result<String> {
        Ok(wit::workspace::read(path)?)
    }
    pub(crate) fn digest(path: &str) -> Result<String> {
        Ok(wit::workspace::digest(path)?)
    }
    pub(crate) fn write(path: &str, text: &str) -> Result<bool> {
        Ok(wit::workspace::write(path, text)?)
    }
}
