//! From a path on the command line to a plan that is checked for one environment. Everything that is wrong with the
//! plan, its inventory, its modules and the policy is found here, before anything is touched.

mod policy;

pub(crate) use policy::policy;

use super::fail::Fail;
use super::{inventory_command, permitted, stale, vars_files};
use crate::host::Kept;
use crate::module::fetch::Registries;
use crate::module::find::{Choice, Found, Used, find};
use crate::module::judge::Judge;
use crate::module::load::{LoadError, Loader, Module};
use crate::module::source::{Source, standard};
use crate::sandbox::engine;
use crate::written::{read, shown};
use runner_artifact::Store;
use runner_model::check::{LoadedModule, Modules, check};
use runner_model::diagnostic::{Code, Problem};
use runner_model::inventory::Form;
use runner_model::lock::{Lock, LockedEnvironment};
use runner_model::plan::{AskedFor, InventoryCommand, InventorySource, ModuleSource};
use runner_model::policy::EnvironmentPolicy;
use runner_model::{
    Digest, EnvironmentName, Inventory, Limit, ModuleName, ModuleRef, Plan, Problems, Resolved, text,
};
use runner_trust::Evidence;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A plan as it is written, before an environment is chosen.
#[derive(Clone)]
pub(crate) struct Written {
    /// The plan.
    pub(crate) plan: Plan,
    /// The plan's file, as the user named it.
    pub(crate) file: PathBuf,
    /// The folder that the plan is in.
    pub(crate) folder: PathBuf,
    /// Of the plan's file.
    pub(crate) digest: Digest,
    /// What is wrong with the plan, as far as its own text shows it. Reported with what the check finds.
    pub(crate) problems: Problems,
    /// The lock's text, of a plan of another time.
    lock_of_then: Option<Vec<u8>>,
}

/// A plan for one environment, with its modules.
pub(crate) struct Loaded {
    /// The plan.
    pub(crate) written: Written,
    /// The environment.
    pub(crate) environment: EnvironmentName,
    /// What the operator's policy says of it; `None`: there is no policy.
    pub(crate) policy: Option<EnvironmentPolicy>,
    /// The engine that the modules are compiled for.
    pub(crate) engine: wasmtime::Engine,
    /// The modules that can be used.
    pub(crate) modules: BTreeMap<ModuleRef, Module>,
    /// What they were loaded from.
    pub(crate) sources: BTreeMap<ModuleRef, Source>,
    /// What others say of them, where the policy asks for that.
    pub(crate) said: BTreeMap<ModuleRef, Evidence>,
    described: BTreeMap<ModuleRef, LoadedModule>,
    failed: BTreeMap<ModuleRef, String>,
}

/// A plan that is checked for one environment.
pub(crate) struct Checked {
    /// What it means.
    pub(crate) resolved: Resolved,
    /// The same for the targets that `--limit` chooses; `None`: for all of them.
    pub(crate) limited: Option<Limited>,
    /// Of the inventory, with all the files that it is made of.
    pub(crate) inventory: Digest,
    /// What the program said that was asked for the inventory; `None`: it is a file.
    pub(crate) answer: Option<Answer>,
}

/// What a program said that was asked for the inventory.
pub(crate) struct Answer {
    /// The program.
    pub(crate) command: InventoryCommand,
    /// What it printed.
    pub(crate) bytes: Vec<u8>,
}

/// Whether a program may be run for an inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Programs<'a> {
    /// Those that the lock accepted: for what runs a plan.
    Accepted,
    /// All that the policy does not deny: for what looks at a plan, and for the lock itself.
    Any,
    /// None: this is what it said when the run began.
    Answered(&'a [u8]),
}

/// An inventory that was read, as far as it can be.
struct Read {
    inventory: Inventory,
    digest: Digest,
    answer: Option<Answer>,
}

/// A plan that is checked for some of its targets. What it may touch is for the lock to say, which is for all of them.
pub(crate) struct Limited {
    /// What was said.
    pub(crate) limit: Limit,
    /// What it means.
    pub(crate) resolved: Resolved,
}

impl Checked {
    /// The plan as it is run.
    pub(crate) fn for_run(&self) -> &Resolved {
        self.limited.as_ref().map_or(&self.resolved, |limited| &limited.resolved)
    }

    /// The same, and nothing else.
    pub(crate) fn into_run(self) -> Resolved {
        self.limited.map_or(self.resolved, |limited| limited.resolved)
    }
}

impl Written {
    /// Reads the plan.
    pub(crate) fn read(file: &Path) -> Result<Self, Fail> {
        let bytes = read(file).map_err(|problems| match file.exists() {
            true => Fail::from(problems),
            false => Fail::usage(format_args!("there is no plan `{}`", shown(file)))
                .hint("name the plan's file: `runner check deploy/plan.toml`; without, it is `plan.toml` of this folder"),
        })?;
        let (plan, problems) = Plan::read(&shown(file), &bytes)?;
        let folder = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let (file, digest) = (file.to_owned(), Digest::of(&bytes));
        Ok(Self { plan, file, folder, digest, problems, lock_of_then: None })
    }

    /// The plan that a release was laid out by, in the place of the one that is here today.
    fn of_then(today: &Self, kept: &Kept) -> Result<Self, Fail> {
        let bytes = kept.plan.as_bytes();
        let (plan, problems) = Plan::read(&format!("{} of `{}`", shown(&today.file), kept.release), bytes)?;
        let (file, folder) = (today.file.clone(), today.folder.clone());
        let lock_of_then = Some(kept.lock.clone().into_bytes());
        Ok(Self { plan, file, folder, digest: Digest::of(bytes), problems, lock_of_then })
    }

    /// The environment that is meant: the one that was named, or the only one.
    pub(crate) fn environment(&self, named: Option<&EnvironmentName>) -> Result<EnvironmentName, Fail> {
        if let Some(name) = named {
            // The check says whether the plan has it, with all else that is wrong.
            return Ok(name.clone());
        }
        let mut names = self.plan.environment.keys();
        match (names.next(), names.next()) {
            (Some(only), None) => Ok(only.clone()),
            _ if self.problems.has_errors() => Err(self.problems.clone().into()),
            _ => {
                let names: Vec<String> =
                    self.plan.environment.keys().map(|name| format!("`{name}`")).collect();
                Err(Fail::usage(format_args!(
                    "which environment? `{}` has {}",
                    self.file.display(),
                    names.join(", ")
                ))
                .hint("name one with `--environment`"))
            }
        }
    }

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
            Some(ModuleSource::Oci(module)) => Ok(ModuleRef::Oci(module.clone())),
            Some(_) => {
                Err(Fail::usage(format_args!("`{name}` is of no registry: the lock takes it as it is")))
            }
            None => Err(Fail::usage(format_args!("`[modules]` has no `{name}`"))),
        };
        names.iter().map(named).collect()
    }

    /// The lock's file: `plan.lock` for `plan.toml`.
    pub(crate) fn lock_file(&self) -> PathBuf {
        self.file.with_extension("lock")
    }

    /// The lock's text; `None`: there is none.
    pub(crate) fn lock_text(&self) -> Result<Option<Vec<u8>>, Fail> {
        if let Some(text) = &self.lock_of_then {
            return Ok(Some(text.clone()));
        }
        let file = self.lock_file();
        match std::fs::symlink_metadata(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            _ => Ok(Some(read(&file)?)),
        }
    }

    /// The lock; `None`: there is none.
    pub(crate) fn lock(&self) -> Result<Option<Lock>, Fail> {
        let Some(text) = self.lock_text()? else { return Ok(None) };
        match Lock::parse(&shown(&self.lock_file()), &text) {
            Ok(lock) => Ok(Some(lock)),
            Err(problems) => {
                // A merge that stopped is the usual reason.
                let mend = "it is not made by hand: `runner lock` writes it anew, to be reviewed";
                let mut hinted = Problems::new();
                for problem in problems {
                    let has = problem.mend().is_some();
                    hinted.push(if has { problem } else { problem.hint(mend) });
                }
                Err(hinted.into())
            }
        }
    }
}

impl Loaded {
    /// Reads the plan, and loads the modules that it uses in the environment that was named, or in the only one.
    pub(crate) fn read(file: &Path, named: Option<&EnvironmentName>) -> Result<Self, Fail> {
        let written = Written::read(file)?;
        let environment = written.environment(named)?;
        // A lock that cannot be read is reported by whoever needs what it accepted: of modules of registries, which ones.
        let lock = match written.lock() {
            Err(broken) if !written.of_registries(&[])?.is_empty() => return Err(broken),
            lock => lock.ok().flatten(),
        };
        let choice = Choice::Locked(lock.as_ref().and_then(|lock| lock.environment(&environment)));
        Self::load(written, environment, &choice)
    }

    /// Loads the modules that the plan uses in an environment.
    pub(crate) fn load(
        written: Written,
        environment: EnvironmentName,
        choice: &Choice<'_>,
    ) -> Result<Self, Fail> {
        // Of an environment that the plan does not have, or not whole, the check speaks, and not the policy: what no policy
        // was asked about is not touched.
        let is_there = written.plan.environment(environment.as_str()).is_ok();
        let mut policy = if is_there { policy(&environment)? } else { None };
        let Found { sources, said, ceilings, refused } = match is_there {
            true => {
                let judge = Judge::new(policy.as_ref())?;
                find(&Used::of(&written.plan, &written.folder), choice, &judge, &registries())
            }
            false => Found::default(),
        };
        refuse(&refused)?;
        if let Some(policy) = &mut policy {
            policy.ceilings = ceilings;
        }
        let loader = loader()?;
        let kept = sources
            .iter()
            .filter_map(|(reference, source)| Some((reference.clone(), source.as_ref().ok()?.clone())))
            .collect();
        let (mut modules, mut described, mut failed) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut refused = Vec::new();
        for (reference, loaded) in loader.load_all(sources) {
            match loaded {
                Ok(module) => {
                    let known = LoadedModule {
                        digest: module.digest,
                        manifest: module.manifest.clone(),
                        pinned: module.pinned.clone(),
                    };
                    described.insert(reference.clone(), known);
                    modules.insert(reference, module);
                }
                // Nothing in the plan mends what a registry serves.
                Err(error) if matches!(reference, ModuleRef::Oci(_)) => refused.push((reference, error)),
                Err(error) => {
                    failed.insert(reference, error.to_string());
                }
            }
        }
        refuse(&refused)?;
        let engine = loader.engine().clone();
        Ok(Self { written, environment, policy, engine, modules, sources: kept, said, described, failed })
    }

    /// A plan of another time, in the place of the one in this file; its modules are those that its lock names.
    pub(crate) fn of_then(&self, kept: &Kept, store: &Store) -> Result<Self, Fail> {
        let written = Written::of_then(&self.written, kept)?;
        let name = format!("{} of `{}`", shown(&written.lock_file()), kept.release);
        let lock = Lock::parse(&name, kept.lock.as_bytes())?;
        let choice = Choice::Then(lock.environment(&kept.environment), store);
        Self::load(written, kept.environment.clone(), &choice)
    }

    /// What was accepted of the plan, where that is still the plan and the operator's policy lets it be.
    pub(crate) fn accepted(&self, resolved: &Resolved) -> Result<LockedEnvironment, Fail> {
        let lock = self.written.lock()?;
        let locked = Lock::verify(lock.as_ref(), resolved, &shown(&self.written.lock_file()))
            .map_err(|why| stale(why, &self.written.file))?;
        permitted(self.policy.as_ref(), resolved, locked)?;
        Ok(locked.clone())
    }

    /// Checks the plan for its environment.
    pub(crate) fn check(
        &self,
        vars: &[(String, String)],
        limit: Option<&Limit>,
        programs: Programs<'_>,
    ) -> Result<Checked, Fail> {
        let mut problems = self.written.problems.clone();
        let name = self.environment.as_str();
        if self.written.plan.environment(name).is_err() {
            // Nothing was loaded for it.
            problems.extend(self.written.plan.misnamed(name).unwrap_or_default());
            return Err(problems.into());
        }
        let given: BTreeMap<String, String> = vars.iter().cloned().collect();
        let read = self.inventory(&given, programs, &mut problems)?;
        let Read { inventory, digest, answer } = read;
        let builtin: Vec<&str> = standard().collect();
        let modules = Modules { loaded: &self.described, failed: &self.failed, builtin: &builtin };
        let resolved = match check(&self.written.plan, &self.environment, &inventory, modules, &given) {
            Ok(resolved) => Some(resolved),
            Err(more) => {
                problems.extend(more);
                None
            }
        };
        let (mut resolved, warnings) = problems.or(resolved)?;
        resolved.warnings.extend(warnings);
        let limited = match limit {
            None => None,
            Some(limit) => {
                let kept = limit
                    .choose(&inventory, &resolved.rollout)
                    .map_err(|none| Fail::usage(&none).hint(none.hint()))?;
                let left_out =
                    resolved.rollout.iter().filter(|name| !kept.contains(*name)).cloned().collect();
                let inventory = inventory.without(left_out);
                let resolved = check(&self.written.plan, &self.environment, &inventory, modules, &given)?;
                Some(Limited { limit: limit.clone(), resolved })
            }
        };
        Ok(Checked { resolved, limited, inventory: digest, answer })
    }

    /// The inventory of an environment, as far as it can be read.
    fn inventory(
        &self,
        given: &BTreeMap<String, String>,
        programs: Programs<'_>,
        problems: &mut Problems,
    ) -> Result<Read, Fail> {
        let unread =
            |name: &str| Read { inventory: Inventory::unread(name), digest: Digest::of(b""), answer: None };
        let entry = match self.written.plan.environment(self.environment.as_str()) {
            Ok((_, entry)) => entry,
            // The check says so, unless it follows from what was said before.
            Err(_) => return Ok(unread(self.written.plan.source.name())),
        };
        let file = match &entry.inventory {
            InventorySource::File(file) => file,
            // A program is not run for a plan that is refused anyway.
            InventorySource::Command(asked) if problems.has_errors() => {
                return Ok(unread(&answer_of(&asked.command)));
            }
            InventorySource::Command(asked) => {
                let bytes = self.ask(asked, given, programs)?;
                let (inventory, more) = Inventory::read_answer(&answer_of(&asked.command), &bytes);
                problems.extend(more);
                let digest = Digest::of(&bytes);
                let answer = Some(Answer { command: asked.command.clone(), bytes });
                return Ok(Read { inventory, digest, answer });
            }
        };
        let path = self.written.folder.join(&file.value);
        let bytes = match read(&path) {
            Ok(bytes) => bytes,
            Err(none) => {
                // The place is where the plan names the file.
                let why = none.iter().next().map(|problem| problem.message().to_owned()).unwrap_or_default();
                let why = format!("the inventory `{}` {why}", shown(&path));
                let problem = Problem::at(Code::BadValue, &self.written.plan.source, file.span, why);
                problems.push(problem.hint("the path is relative to the plan"));
                return Ok(unread(&shown(&path)));
            }
        };
        let (name, digest) = (shown(&path), Digest::of(&bytes));
        let (read, digest) = match Form::of(&name, &bytes) {
            Form::Toml => (Inventory::read(&name, &bytes), digest),
            form => {
                let (files, more) = vars_files::beside(&path);
                problems.extend(more);
                let parts = files.iter().map(|file| (file.name.as_str(), Digest::of(&file.bytes)));
                let parts: Vec<_> = std::iter::once((name.as_str(), digest)).chain(parts).collect();
                let digest = Digest::of(serde_json::json!(parts).to_string());
                (Inventory::read_ansible(&name, &bytes, form, &files), digest)
            }
        };
        problems.extend(read.1);
        Ok(Read { inventory: read.0, digest, answer: None })
    }

    /// What the program says that is asked for the inventory, where policy and lock let it run.
    fn ask(
        &self,
        asked: &AskedFor,
        given: &BTreeMap<String, String>,
        programs: Programs<'_>,
    ) -> Result<Vec<u8>, Fail> {
        if let Some(refused) = self.policy.as_ref().and_then(|policy| policy.refuses_command(&asked.command))
        {
            return Err(Fail::refused(&refused).hint(&refused.detail));
        }
        if let Programs::Answered(bytes) = programs {
            return Ok(bytes.to_vec());
        }
        if programs == Programs::Accepted {
            let (lock, file) = (self.written.lock()?, shown(&self.written.lock_file()));
            Lock::verify_inventory(lock.as_ref(), &self.environment, &asked.command, given, &file)
                .map_err(|why| stale(why, &self.written.file))?;
        }
        inventory_command::ask(asked, &self.written.folder, self.environment.as_str(), |code, message| {
            Problem::at(code, &self.written.plan.source, asked.span, message)
        })
    }
}

/// The answer of a program as problems name it.
fn answer_of(command: &InventoryCommand) -> String {
    format!("{command} (answer)")
}

/// Refuses what cannot be had, or must not be used.
fn refuse(refused: &[(ModuleRef, LoadError)]) -> Result<(), Fail> {
    match refused {
        [] => Ok(()),
        [(reference, error)] => {
            let message = format!("the module `{}`: {error}", text::shown(&reference.to_string()));
            let mend = error.mend().unwrap_or_default();
            Err(Fail::refused(message).hint(mend))
        }
        many => {
            let mut detail = String::new();
            for (reference, error) in many {
                detail.push_str(&format!("{}: {error}\n", text::shown(&reference.to_string())));
                for line in error.mend().iter().flat_map(|mend| mend.lines()) {
                    detail.push_str(&format!("  hint: {line}\n"));
                }
            }
            Err(Fail::refused(format_args!("{} modules cannot be used", many.len())).detail(detail))
        }
    }
}

/// Registries, where what is fetched is kept for the next time.
pub(crate) fn registries() -> Registries {
    Registries::new(cache_folder())
}

/// Whoever loads modules, and keeps what was compiled for the next time.
pub(crate) fn loader() -> Result<Loader, Fail> {
    let engine = engine::engine()
        .map_err(|error| Fail::internal(format_args!("the sandbox cannot start: {error}")))?;
    Ok(Loader::in_cache(&engine, cache_folder().as_deref()))
}

/// Where artifacts and compiled modules are kept; `None`: the user has no home.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    cache.map(|folder| folder.join("runner"))
}

/// A path from the environment; relative ones are ignored, as the XDG specification says.
fn set(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}
