//! The modules of a plan: which ones are meant, where their bytes come from, and whether the operator's policy lets them
//! be used. All of it before anything of them is compiled.

use super::beside::beside;
use super::fetch::Registries;
use super::judge::Judge;
use super::kept;
use super::load::LoadError;
use super::source::{Origin, Source};
use runner_artifact::Store;
use runner_model::oci::OciModule;
use runner_model::policy::Ceiling;
use runner_model::{LockedEnvironment, ModuleRef, Pinned, Plan};
use runner_trust::Evidence;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The modules that a plan uses.
pub struct Used<'a> {
    references: BTreeSet<ModuleRef>,
    folder: &'a Path,
}

impl<'a> Used<'a> {
    /// Those of a plan in this folder, which paths of modules are relative to.
    pub fn of(plan: &Plan, folder: &'a Path) -> Self {
        Self { references: plan.module_refs().into_keys().collect(), folder }
    }
}

/// What was found of each module that a plan uses.
#[derive(Default)]
pub struct Found {
    /// Where its bytes are from; of a file and of a standard module, also why they cannot be had.
    pub sources: BTreeMap<ModuleRef, Result<Source, LoadError>>,
    /// What others say of it, where the policy asks for that.
    pub said: BTreeMap<ModuleRef, Evidence>,
    /// What reviews let it do at most.
    pub ceilings: BTreeMap<ModuleRef, Vec<Ceiling>>,
    /// What the policy does not let be used, and what a registry does not give: nothing in the plan mends that.
    pub refused: Vec<(ModuleRef, LoadError)>,
}

/// Which module of a registry is meant.
pub enum Choice<'a> {
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

/// Finds the modules that a plan uses: asks the judge whether they may come from where they are, gets their bytes, and asks
/// the judge about these.
pub fn find(used: &Used<'_>, choice: &Choice<'_>, judge: &Judge<'_>, registries: &Registries) -> Found {
    let fresh = matches!(choice, Choice::Anew { .. });
    let mut found = Found::default();
    for reference in &used.references {
        let source = judge
            .admits(reference, used.folder)
            .and_then(|()| of(reference, used.folder, choice, registries))
            .and_then(|source| {
                let said =
                    judge.wants_evidence().then(|| evidence(&source, registries, fresh)).transpose()?;
                let said = said.unwrap_or_default();
                let trusted = judge.trusted(&source, &said)?.unwrap_or_default();
                Ok((source, said, trusted.ceilings))
            });
        match source {
            Ok((source, said, ceilings)) => {
                found.said.insert(reference.clone(), said);
                found.ceilings.insert(reference.clone(), ceilings);
                found.sources.insert(reference.clone(), Ok(source));
            }
            Err(error)
                if matches!(reference, ModuleRef::Oci(_)) || matches!(error, LoadError::Refused(_)) =>
            {
                found.refused.push((reference.clone(), error));
            }
            Err(error) => {
                found.sources.insert(reference.clone(), Err(error));
            }
        }
    }
    found
}

fn of(
    reference: &ModuleRef,
    folder: &Path,
    choice: &Choice<'_>,
    registries: &Registries,
) -> Result<Source, LoadError> {
    let ModuleRef::Oci(module) = reference else {
        let today = local(reference, folder);
        let Choice::Then(locked, store) = choice else { return today };
        let digest =
            locked.and_then(|locked| locked.modules.get(reference)).ok_or(LoadError::NotLocked)?.digest;
        return match today {
            Ok(source) if source.digest == digest => Ok(source),
            _ => kept::of_then(reference, &digest, folder, store),
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
            let source = registries.fetch(&module.repository, pinned)?;
            match source.digest == locked.digest {
                true => Ok(source),
                false => Err(LoadError::Contradiction { locked: locked.digest, found: source.digest }),
            }
        }
        Choice::Anew { before, update, may_move } => {
            let known = before.get(reference).filter(|known| module.takes(known));
            let pinned = match known {
                Some(known) if !update.contains(reference) => known.clone(),
                Some(known) => registries.choose(module, Some(known), *may_move)?,
                // The plan asks for others than it did.
                None => registries.choose(module, nearest(before, module), *may_move)?,
            };
            Ok(registries.fetch(&module.repository, &pinned)?)
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
pub fn evidence(source: &Source, registries: &Registries, fresh: bool) -> Result<Evidence, LoadError> {
    match &source.origin {
        Origin::Builtin => Ok(Evidence::default()),
        Origin::File(file) => source.said_in.as_deref().map_or_else(|| beside(file), kept::said),
        Origin::Registry { repository, pinned } => registries.evidence(repository, &pinned.manifest, fresh),
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
pub fn source_of(reference: &ModuleRef, registries: &Registries) -> Result<Source, LoadError> {
    match reference {
        ModuleRef::Oci(module) => newest(module, registries),
        other => local(other, Path::new(".")),
    }
}

fn newest(module: &OciModule, registries: &Registries) -> Result<Source, LoadError> {
    let pinned = registries.choose(module, None, false)?;
    Ok(registries.fetch(&module.repository, &pinned)?)
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
