//! The modules of a plan: which ones are meant, where their bytes come from, and whether the operator's policy lets them
//! be used. All of it before anything of them is compiled.

use super::trust::Judge;
use super::{Written, cache_folder};
use crate::cli::fail::Fail;
use crate::module::fetch::Registries;
use crate::module::load::LoadError;
use crate::module::source::Source;
use runner_artifact::Store;
use runner_model::oci::OciModule;
use runner_model::policy::{Ceiling, EnvironmentPolicy};
use runner_model::text::shown;
use runner_model::{LockedEnvironment, ModuleName, ModuleRef, Pinned};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What was found of each module that a plan uses.
#[derive(Default)]
pub(super) struct Found {
    /// Where its bytes are from.
    pub(super) sources: BTreeMap<ModuleRef, Result<Source, LoadError>>,
    /// What reviews let it do at most.
    pub(super) ceilings: BTreeMap<ModuleRef, Vec<Ceiling>>,
}

/// Which module of a registry is meant.
pub(crate) enum Choice<'a> {
    /// The one that the lock names.
    Locked(Option<&'a LockedEnvironment>),
    /// The one that a lock names already, else the newest that fits.
    Anew {
        /// What the lock names so far, of this environment or of another one.
        before: &'a BTreeMap<ModuleRef, Pinned>,
        /// Those that are looked for again.
        update: &'a BTreeSet<ModuleRef>,
        /// Whether a version may name something else than it did.
        may_move: bool,
    },
    /// The one that a lock of another time names: that of today where it is still that, else from the store.
    Then(Option<&'a LockedEnvironment>, &'a Store),
}

impl Written {
    /// The modules that these entries of `[modules]` stand for.
    ///
    /// # Errors
    /// The plan has no such entry, or it is of no registry.
    pub(crate) fn of_registries(&self, names: &[ModuleName]) -> Result<BTreeSet<ModuleRef>, Fail> {
        let all =
            self.plan.module_refs().into_keys().filter(|reference| matches!(reference, ModuleRef::Oci(_)));
        if names.is_empty() {
            return Ok(all.collect());
        }
        let named = |name: &ModuleName| match self.plan.modules.get(name).map(|entry| &entry.value) {
            Some(runner_model::plan::ModuleSource::Oci(module)) => Ok(ModuleRef::Oci(module.clone())),
            Some(_) => {
                Err(Fail::usage(format_args!("`{name}` is of no registry: the lock takes it as it is")))
            }
            None => Err(Fail::usage(format_args!("`[modules]` has no `{name}`"))),
        };
        names.iter().map(named).collect()
    }
}

/// Finds the modules that a plan uses.
pub(super) fn find(
    written: &Written,
    policy: Option<&EnvironmentPolicy>,
    choice: &Choice<'_>,
) -> Result<Found, Fail> {
    let (registries, judge) = (Lazy::default(), Judge::new(policy)?);
    let (mut found, mut refused) = (Found::default(), Vec::new());
    for reference in written.plan.module_refs().into_keys() {
        let admitted = judge.admits(&reference, &written.folder);
        let source =
            admitted.and_then(|()| of(&reference, written, choice, &registries)).and_then(|source| {
                let fresh = matches!(choice, Choice::Anew { .. });
                let evidence =
                    judge.wants_evidence().then(|| evidence(&source, &registries, fresh)).transpose()?;
                let ceilings = judge.judge(&source, evidence.unwrap_or_default())?;
                found.ceilings.insert(reference.clone(), ceilings);
                Ok(source)
            });
        match source {
            // Of a file and of the standard modules the check speaks, with the place in the plan.
            Err(error)
                if matches!(reference, ModuleRef::Oci(_)) || matches!(error, LoadError::Refused(_)) =>
            {
                refused.push((reference, error));
            }
            source => {
                found.sources.insert(reference, source);
            }
        }
    }
    refuse(&refused)?;
    Ok(found)
}

/// Refuses what cannot be had, or must not be used.
pub(super) fn refuse(refused: &[(ModuleRef, LoadError)]) -> Result<(), Fail> {
    match refused {
        [] => Ok(()),
        [(reference, error)] => {
            let message = format!("the module `{}`: {error}", shown(&reference.to_string()));
            let mend = error.mend().unwrap_or_default();
            Err(Fail::refused(message).hint(mend))
        }
        many => {
            let mut detail = String::new();
            for (reference, error) in many {
                detail.push_str(&format!("{}: {error}\n", shown(&reference.to_string())));
                for line in error.mend().iter().flat_map(|mend| mend.lines()) {
                    detail.push_str(&format!("  hint: {line}\n"));
                }
            }
            Err(Fail::refused(format_args!("{} modules cannot be used", many.len())).detail(detail))
        }
    }
}

/// Registries, opened when the first one is needed.
#[derive(Default)]
pub(crate) struct Lazy(OnceCell<Registries>);

impl Lazy {
    pub(crate) fn get(&self) -> Result<&Registries, LoadError> {
        if self.0.get().is_none() {
            let opened = Registries::open(cache_folder().as_deref())?;
            return Ok(self.0.get_or_init(|| opened));
        }
        self.0.get().ok_or(LoadError::NotChosen)
    }
}

fn of(
    reference: &ModuleRef,
    written: &Written,
    choice: &Choice<'_>,
    registries: &Lazy,
) -> Result<Source, LoadError> {
    let ModuleRef::Oci(module) = reference else {
        let today = local(reference, &written.folder);
        let Choice::Then(locked, store) = choice else { return today };
        let digest =
            locked.and_then(|locked| locked.modules.get(reference)).ok_or(LoadError::NotLocked)?.digest;
        return match today {
            Ok(source) if source.digest == digest => Ok(source),
            _ => crate::module::kept::of_then(reference, &digest, &written.folder, store),
        };
    };
    match choice {
        Choice::Locked(locked) | Choice::Then(locked, _) => {
            let locked =
                locked.and_then(|locked| locked.modules.get(reference)).ok_or(LoadError::NotChosen)?;
            let pinned = locked.pinned.as_ref().ok_or(LoadError::NotChosen)?;
            if !module.takes(pinned) {
                return Err(LoadError::OtherLocked { locked: pinned.to_string() });
            }
            let source = registries.get()?.fetch(&module.repository, pinned)?;
            match source.digest == locked.digest {
                true => Ok(source),
                false => Err(LoadError::Contradiction { locked: locked.digest, found: source.digest }),
            }
        }
        Choice::Anew { before, update, may_move } => {
            let known = before.get(reference).filter(|known| module.takes(known));
            let pinned = match known {
                Some(known) if !update.contains(reference) => known.clone(),
                Some(known) => registries.get()?.choose(module, Some(known), *may_move)?,
                // The plan asks for others than it did.
                None => registries.get()?.choose(module, nearest(before, module), *may_move)?,
            };
            Ok(registries.get()?.fetch(&module.repository, &pinned)?)
        }
    }
}

/// Of what a lock has of the same repository, the newest version that the plan would still take.
fn nearest<'p>(before: &'p BTreeMap<ModuleRef, Pinned>, module: &OciModule) -> Option<&'p Pinned> {
    let of_same = |reference: &ModuleRef| match reference {
        ModuleRef::Oci(other) => other.repository == module.repository,
        _ => false,
    };
    let fitting = before.iter().filter(|(reference, pinned)| of_same(reference) && module.takes(pinned));
    fitting.map(|(_, pinned)| pinned).max_by_key(|pinned| semver::Version::parse(&pinned.tag).ok())
}

/// What others say of a module.
pub(crate) fn evidence(
    source: &Source,
    registries: &Lazy,
    fresh: bool,
) -> Result<runner_trust::Evidence, LoadError> {
    use crate::module::source::Origin;
    match &source.origin {
        Origin::Builtin => Ok(runner_trust::Evidence::default()),
        Origin::File(file) => super::trust::beside(file),
        Origin::Registry { repository, pinned } => {
            registries.get()?.evidence(repository, &pinned.manifest, fresh)
        }
    }
}

/// A module that is in no registry. `plan`: the folder that paths are relative to.
fn local(reference: &ModuleRef, plan: &Path) -> Result<Source, LoadError> {
    match reference {
        ModuleRef::Builtin(name) => Source::builtin(name),
        ModuleRef::Path(path) => Source::file(&plan.join(path)),
        ModuleRef::Oci(_) => Err(LoadError::NotChosen),
    }
}

/// A module that somebody names on the command line: of a registry, as it has it now.
pub(crate) fn named(reference: &ModuleRef, registries: &Lazy) -> Result<Source, LoadError> {
    match reference {
        ModuleRef::Oci(module) => newest(module, registries),
        other => local(other, Path::new(".")),
    }
}

fn newest(module: &OciModule, registries: &Lazy) -> Result<Source, LoadError> {
    let pinned = registries.get()?.choose(module, None, false)?;
    Ok(registries.get()?.fetch(&module.repository, &pinned)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_model::Digest;

    #[test]
    fn a_changed_requirement_is_held_against_the_newest_that_it_would_still_take() {
        let module = |wanted: &str| -> OciModule {
            format!("registry.example.org/team/greet@{wanted}").parse().expect("a module")
        };
        let locked = |wanted: &str, tag: &str| {
            let pinned = Pinned { tag: tag.to_owned(), manifest: Digest::of(tag) };
            (ModuleRef::Oci(module(wanted)), pinned)
        };
        let other = ModuleRef::Oci("registry.example.org/other@1".parse().expect("a module"));
        let before = BTreeMap::from([
            locked("1", "1.10.0"),
            locked("1.2", "1.9.0"),
            locked("2", "2.1.0"),
            (other, Pinned { tag: "1.99.0".to_owned(), manifest: Digest::of("other") }),
        ]);
        let found = |wanted: &str| nearest(&before, &module(wanted)).map(|pinned| pinned.tag.as_str());
        assert_eq!(found("1.1"), Some("1.10.0"));
        assert_eq!(found("2.0"), Some("2.1.0"));
        assert_eq!(found("3"), None);
    }
}
