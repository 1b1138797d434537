//! The layers that all must grant what a step asks for.

use super::ask::Ask;
use super::denial::{Denial, Layer};
use super::files::WorkspacePath;
use super::origin::Authority;
use super::set::{GrantSet, SshGrant};
use super::ssh::Verb;
use crate::policy::{Ceiling, EnvironmentPolicy};
use crate::{EffectClass, RemotePath};

/// The grants of one step on one target: bound, filled in, and to be checked at every call.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// What the module declares, bound to the step's parameters.
    pub manifest: GrantSet,
    /// The step's `allow`; `None`: it says nothing.
    pub allow: Option<GrantSet>,
    /// What `plan.lock` accepted, with `as:USER` for what the step becomes.
    pub lock: GrantSet,
    /// The operator's policy for this environment; `None`: there is no policy.
    pub policy: Option<EnvironmentPolicy>,
    /// What vettings of the module let it do at most.
    pub ceilings: Vec<Ceiling>,
    /// Paths on the target that belong to the runner, beside every `.runner`: `<root>/.runner` of this target, so that
    /// the folders above it cannot be moved or removed as a whole.
    pub reserved: Vec<RemotePath>,
    /// Files of the workspace that no step may write: the plan and its lock.
    pub reserved_files: Vec<WorkspacePath>,
}

/// What comes with a yes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Granted {
    /// For a path: where it may physically be, below any of these. No prefix is below another.
    pub prefixes: Vec<RemotePath>,
    /// For a path: where it may physically not be. A path with a segment `.runner` is refused beside these.
    pub except: Vec<RemotePath>,
    /// For a path: what the step may write to.
    pub written: Vec<RemotePath>,
    /// For a request: the grant spells out the address that is connected to, so that [`super::address_allowed`] may
    /// allow what a name must not lead to.
    pub named_literally: bool,
}

/// The name of the runner's own folders, on targets and beside the plan.
const OWN_FOLDER: &str = ".runner";
/// What the names of files begin with that the runner is making on a target: a step that could swap one while it is
/// made would lead the runner elsewhere.
const IN_THE_MAKING: &str = ".runner-";

impl Layers {
    /// A manifest and a lock, with no `allow` and no policy.
    pub fn new(manifest: GrantSet, lock: GrantSet) -> Self {
        Self { manifest, lock, ..Self::default() }
    }

    /// Whether all layers grant it.
    ///
    /// # Errors
    /// The first layer that does not, and what mends it there.
    pub fn check(&self, ask: &Ask<'_>) -> Result<Granted, Denial> {
        if let Some(why) = ask.makes_no_sense() {
            return Err(Denial::by_the_runner(ask, why));
        }
        if self.is_reserved(ask) {
            return Err(Denial::by_the_runner(ask, "that belongs to the runner, and no grant covers it"));
        }
        if let Some(policy) = &self.policy
            && let Some(ban) = ban(&policy.deny, ask)
        {
            return Err(Denial::banned(ask, &policy.environment, &policy.file, &ban));
        }
        let layers = self.layers(ask);
        for (layer, grants) in &layers {
            if !covers(grants, ask) {
                return Err(Denial::not_granted(ask, layer.clone(), other_class(grants, ask)));
            }
        }
        Ok(self.granted(ask, &layers))
    }

    /// The layers that have a say. The user is the plan's choice: neither the module nor what narrows it is asked.
    fn layers(&self, ask: &Ask<'_>) -> Vec<(Layer, &GrantSet)> {
        let mut layers = Vec::with_capacity(4);
        if !matches!(ask, Ask::As(_)) {
            layers.push((Layer::Manifest, &self.manifest));
            layers.extend(self.allow.as_ref().map(|allow| (Layer::Allow, allow)));
        }
        layers.push((Layer::Lock, &self.lock));
        if let Some(policy) = &self.policy
            && let Some(allow) = &policy.allow
        {
            let layer = Layer::Policy { environment: policy.environment.clone(), file: policy.file.clone() };
            layers.push((layer, allow));
        }
        layers.extend(self.ceilings.iter().map(|ceiling| (Layer::ceiling(ceiling), &ceiling.grants)));
        layers
    }

    fn is_reserved(&self, ask: &Ask<'_>) -> bool {
        let within = |path: &RemotePath| {
            path.segments().any(|segment| segment == OWN_FOLDER || segment.starts_with(IN_THE_MAKING))
                || self.reserved.iter().any(|reserved| path.is_within(reserved))
        };
        match ask {
            Ask::Read(path) | Ask::Write(path) | Ask::Socket { path, .. } => within(path),
            Ask::ReadTree(path) | Ask::WriteTree(path) => {
                within(path) || self.reserved.iter().any(|reserved| reserved.is_within(path))
            }
            Ask::File { write, path } => path.parse().is_ok_and(|path: WorkspacePath| {
                path.segments().any(|segment| segment.eq_ignore_ascii_case(OWN_FOLDER))
                    || (*write
                        && (path.as_str() == "."
                            || self.reserved_files.iter().any(|reserved| {
                                path.is_within_ignoring_case(reserved)
                                    || reserved.is_within_ignoring_case(&path)
                            })))
            }),
            _ => false,
        }
    }

    fn granted(&self, ask: &Ask<'_>, layers: &[(Layer, &GrantSet)]) -> Granted {
        let named_literally = match ask {
            Ask::Http { .. } => {
                layers.iter().all(|(layer, grants)| match layer {
                    // A policy or a review may well allow a whole origin without meaning to vouch for its address.
                    Layer::Policy { .. } | Layer::Ceiling { .. } => true,
                    _ => grants
                        .http
                        .iter()
                        .any(|grant| covers_request(&grant.0, ask) && grant.0.named_address().is_some()),
                })
            }
            _ => false,
        };
        if let Ask::Socket { path, .. } = ask {
            let mut except = self.reserved.clone();
            let denied = self.policy.iter().flat_map(|policy| &policy.deny.ssh);
            except.extend(denied.filter_map(SshGrant::socket).cloned());
            let written = common(layers, SshGrant::writes);
            return Granted { prefixes: vec![(*path).clone()], except, written, named_literally };
        }
        let Some(prefixes) = prefixes_of(ask) else {
            return Granted { named_literally, ..Granted::default() };
        };
        let mut except = self.reserved.clone();
        if let Some(policy) = &self.policy {
            except.extend(policy.deny.ssh.iter().filter_map(prefixes).cloned());
        }
        Granted {
            prefixes: common(layers, prefixes),
            except,
            written: common(layers, SshGrant::writes),
            named_literally,
        }
    }
}

/// The prefixes that all layers have in common.
fn common(layers: &[(Layer, &GrantSet)], prefixes: Prefixes) -> Vec<RemotePath> {
    let mut sets =
        layers.iter().map(|(_, grants)| grants.ssh.iter().filter_map(prefixes).collect::<Vec<_>>());
    let first = sets.next().unwrap_or_default();
    minimal(sets.fold(first, |left, right| meet(&left, &right)))
}

type Prefixes = fn(&SshGrant) -> Option<&RemotePath>;

/// How the prefixes are found that are about such a path.
fn prefixes_of(ask: &Ask<'_>) -> Option<Prefixes> {
    match ask {
        Ask::Read(_) | Ask::ReadTree(_) => Some(SshGrant::reads),
        Ask::Write(_) | Ask::WriteTree(_) => Some(SshGrant::writes),
        _ => None,
    }
}

/// What is below a prefix of both.
fn meet<'a>(left: &[&'a RemotePath], right: &[&'a RemotePath]) -> Vec<&'a RemotePath> {
    let both = |a: &'a RemotePath, b: &'a RemotePath| match (a.is_within(b), b.is_within(a)) {
        (true, _) => Some(a),
        (_, true) => Some(b),
        _ => None,
    };
    left.iter().flat_map(|a| right.iter().filter_map(move |b| both(a, b))).collect()
}

/// The prefixes without those that are below another one.
fn minimal(mut prefixes: Vec<&RemotePath>) -> Vec<RemotePath> {
    // A path sorts before what is below it.
    prefixes.sort();
    prefixes.dedup();
    let mut minimal: Vec<RemotePath> = Vec::new();
    for prefix in prefixes {
        if !minimal.iter().any(|kept| prefix.is_within(kept)) {
            minimal.push(prefix.clone());
        }
    }
    minimal
}

/// Whether one of the grants covers it.
pub(super) fn covers(grants: &GrantSet, ask: &Ask<'_>) -> bool {
    let ssh = |covers: &dyn Fn(&Verb) -> bool| grants.ssh.iter().any(|grant| covers(&grant.0));
    match ask {
        Ask::Read(path) | Ask::ReadTree(path) => {
            grants.ssh.iter().filter_map(SshGrant::reads).any(|prefix| path.is_within(prefix))
        }
        Ask::Write(path) | Ask::WriteTree(path) => {
            grants.ssh.iter().filter_map(SshGrant::writes).any(|prefix| path.is_within(prefix))
        }
        Ask::Service { unit, action } => ssh(&|verb| verb.covers_service(unit, Some(*action))),
        Ask::ServiceState { unit } => ssh(&|verb| verb.covers_service(unit, None)),
        Ask::Target(name) => {
            ssh(&|verb| matches!(verb, Verb::Target(granted) if granted.covers(|granted| granted == *name)))
        }
        Ask::As(user) => {
            ssh(&|verb| matches!(verb, Verb::As(granted) if granted.covers(|granted| granted == *user)))
        }
        Ask::Socket { class, path } => ssh(
            &|verb| matches!(verb, Verb::Socket { class: of, path: at } if of == class && at.now() == Some(*path)),
        ),
        Ask::Exec { class, argv, env } => {
            ssh(&|verb| matches!(verb, Verb::Exec(exec) if exec.covers(*class, argv, env)))
        }
        Ask::File { write, path } => path
            .parse()
            .is_ok_and(|path: WorkspacePath| grants.files.iter().any(|grant| grant.0.covers(*write, &path))),
        Ask::Secret { name, source } => grants.secrets.iter().any(|grant| grant.0.covers(name, source)),
        Ask::Http { .. } => grants.http.iter().any(|grant| covers_request(&grant.0, ask)),
    }
}

fn covers_request(grant: &super::http::Requests, ask: &Ask<'_>) -> bool {
    let Ask::Http { class, method, url, at, via_target } = ask else { return false };
    match at.map(Authority::read) {
        None => grant.covers(*class, method, url, None, *via_target),
        Some(Ok(at)) => grant.covers(*class, method, url, Some(&at), *via_target),
        Some(Err(_)) => false,
    }
}

/// The class under which the grants would cover it.
fn other_class(grants: &GrantSet, ask: &Ask<'_>) -> Option<EffectClass> {
    match ask {
        Ask::Exec { argv, env, .. } => grants.ssh.iter().find_map(|grant| match &grant.0 {
            Verb::Exec(exec) if exec.covers_but_for_the_class(argv, env) => Some(exec.class),
            _ => None,
        }),
        Ask::Socket { path, .. } => grants.ssh.iter().find_map(|grant| match &grant.0 {
            Verb::Socket { class, path: at } if at.now() == Some(*path) => Some(*class),
            _ => None,
        }),
        Ask::Http { method, url, at, via_target, .. } => {
            let at = at.and_then(|at| Authority::read(at).ok());
            let covers = |grant: &&super::HttpGrant| {
                grant.0.covers_but_for_the_class(method, url, at.as_ref(), *via_target)
            };
            grants.http.iter().find(covers).map(|grant| grant.0.class)
        }
        _ => None,
    }
}

/// The ban that means it. Bans are read more widely than grants: what could be meant is denied.
pub(super) fn ban(deny: &GrantSet, ask: &Ask<'_>) -> Option<String> {
    let ssh =
        |bans: &dyn Fn(&SshGrant) -> bool| deny.ssh.iter().find(|grant| bans(grant)).map(SshGrant::to_string);
    let meets = |path: &RemotePath, tree: bool, banned: Option<&RemotePath>| {
        banned.is_some_and(|banned| path.is_within(banned) || (tree && banned.is_within(path)))
    };
    match ask {
        Ask::Read(path) => ssh(&|grant| meets(path, false, grant.reads())),
        Ask::ReadTree(path) => ssh(&|grant| meets(path, true, grant.reads())),
        Ask::Write(path) => ssh(&|grant| meets(path, false, grant.writes())),
        Ask::WriteTree(path) => ssh(&|grant| meets(path, true, grant.writes())),
        // Whatever class a ban names: what is said to a socket shows none.
        Ask::Socket { path, .. } => ssh(&|grant| meets(path, false, grant.socket())),
        Ask::Exec { argv, .. } => ssh(&|grant| matches!(&grant.0, Verb::Exec(exec) if exec.bans(argv))),
        Ask::File { write, path } => {
            let path: WorkspacePath = path.parse().ok()?;
            let bans = |grant: &&super::FileGrant| {
                grant.0.write == *write
                    && grant.0.path.now().is_some_and(|banned| path.is_within_ignoring_case(banned))
            };
            deny.files.iter().find(bans).map(ToString::to_string)
        }
        Ask::Http { method, url, .. } => {
            deny.http.iter().find(|grant| grant.0.bans(method, url)).map(ToString::to_string)
        }
        Ask::Secret { name, source } => {
            deny.secrets.iter().find(|grant| grant.0.covers(name, source)).map(ToString::to_string)
        }
        Ask::Service { .. } | Ask::ServiceState { .. } | Ask::Target(_) | Ask::As(_) => {
            let one = |grant: &&SshGrant| {
                covers(&GrantSet { ssh: vec![(*grant).clone()], ..GrantSet::default() }, ask)
            };
            deny.ssh.iter().find(one).map(ToString::to_string)
        }
    }
}
