//! `runner lock`.

use super::args::Lock as Args;
use super::fail::Fail;
use super::files::replace;
use super::load::{Loaded, Programs, Written};
use super::talk;
use crate::module::find::Choice;
use crate::written::shown;
use runner_model::lock::{Lock, LockedEnvironment};
use runner_model::{Digest, EnvironmentName, ModuleRef, Pinned, Resolved};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn run(args: &Args) -> Result<(), Fail> {
    let written = Written::read(&args.plan)?;
    let environments: Vec<EnvironmentName> = match &args.environment {
        Some(name) => vec![name.clone()],
        None => written.plan.environment.keys().cloned().collect(),
    };
    let mut problems = written.problems.clone();
    let mut checked = Vec::new();
    let file = written.lock_file();
    let before = written.lock();
    let known = before.as_ref().ok().and_then(Option::as_ref);
    let update = match &args.update {
        None => BTreeSet::new(),
        Some(module) => written.of_registries(module.as_slice())?,
    };
    // A plan that is refused anyway asks no registry.
    if problems.has_errors() && !written.of_registries(&[])?.is_empty() {
        return Err(problems.into());
    }
    for environment in &environments {
        let pinned = pinned(known, environment);
        let choice = match args.check {
            true => Choice::Locked(known.and_then(|lock| lock.environment(environment))),
            false => Choice::Anew { before: &pinned, update: &update, may_move: args.allow_moved },
        };
        let loaded = Loaded::load(written.clone(), environment.clone(), &choice)?;
        for (reference, module) in &loaded.modules {
            say(reference, pinned.get(reference), module.pinned.as_ref());
        }
        match loaded.check(&args.vars, None, Programs::Any) {
            Ok(plan) => checked.push(plan.resolved),
            Err(Fail::Invalid(more)) => problems.extend(more),
            Err(other) => return Err(other),
        }
    }
    problems.or(Some(()))?;
    if args.check {
        let lock = before?;
        for resolved in &checked {
            Lock::verify(lock.as_ref(), resolved, &shown(&file))
                .map_err(|why| super::stale(why, &written.file))?;
        }
        talk(&format!("`{}` is what the plan asks for\n", shown(&file)));
        return Ok(());
    }
    // A lock that does not read is mended by writing it anew; what it said of other environments is gone with it.
    let mut lock = match before {
        Ok(lock) => lock.unwrap_or_default(),
        Err(_) if args.environment.is_none() => Lock::default(),
        Err(broken) => return Err(broken),
    };
    lock.retain(|name| written.plan.environment.contains_key(name));
    asks_for_no_more(&lock, &checked, args.accept)?;
    for resolved in checked {
        lock.set(resolved.environment.clone(), LockedEnvironment::build(&resolved));
    }
    let text = lock.to_toml();
    if std::fs::read_to_string(&file).is_ok_and(|old| old == text) {
        talk(&format!("`{}` is as it was\n", shown(&file)));
        return Ok(());
    }
    replace(&file, &text)
        .map_err(|error| Fail::internal(format_args!("cannot write `{}`: {error}", shown(&file))))?;
    let names: Vec<String> = environments.iter().map(|name| format!("`{name}`")).collect();
    talk(&format!(
        "wrote `{}` for {}: review it, and commit it with the plan\n",
        shown(&file),
        names.join(", ")
    ));
    Ok(())
}

/// What a lock pins so far: for this environment, else for another one, so that both get the same.
fn pinned(lock: Option<&Lock>, environment: &EnvironmentName) -> BTreeMap<ModuleRef, Pinned> {
    let Some(lock) = lock else { return BTreeMap::new() };
    let own = lock.environment(environment).into_iter();
    let all = lock.environments().map(|(_, locked)| locked).chain(own);
    let modules = all.flat_map(|locked| &locked.modules);
    modules.filter_map(|(reference, module)| Some((reference.clone(), module.pinned.clone()?))).collect()
}

/// Says which one of a registry is locked, where that is news.
fn say(reference: &ModuleRef, before: Option<&Pinned>, now: Option<&Pinned>) {
    match (before, now) {
        (None, Some(now)) => talk(&format!("`{reference}` is {now}\n")),
        (Some(before), Some(now)) if before.tag == now.tag && before != now => {
            talk(&format!("`{reference}`: {now}, {} -> {}\n", before.manifest, now.manifest));
        }
        (Some(before), Some(now)) if before != now => talk(&format!("`{reference}`: {before} -> {now}\n")),
        _ => {}
    }
}

/// Refuses an update of a module by which a step would get more than a review accepted. `accept`: what was asked for is
/// let; where a digest is given, only if it is that.
fn asks_for_no_more(lock: &Lock, checked: &[Resolved], accept: Option<Option<Digest>>) -> Result<(), Fail> {
    // A registry could serve something else to whoever asks the second time.
    let (mut detail, mut asked) = (String::new(), String::new());
    for resolved in checked {
        let Some(before) = lock.environment(&resolved.environment) else { continue };
        let now = LockedEnvironment::build(resolved);
        for gained in before.gained(&now) {
            detail.push_str(&format!("{}, {gained}", resolved.environment));
        }
        asked.push_str(&now.digest().to_string());
    }
    let digest = Digest::of(asked);
    match accept {
        _ if detail.is_empty() => return Ok(()),
        Some(None) => return Ok(()),
        Some(Some(given)) if given == digest => return Ok(()),
        _ => {}
    }
    let message = match accept {
        None => "a module is another one than in the lock, and asks for more",
        Some(_) => "a module asks for something else than what is accepted",
    };
    Err(Fail::refused(message).detail(detail).hint(format_args!(
        "to let it, the same with `--accept={digest}`; where the older one is at hand, `runner module diff OLD NEW` shows all"
    )))
}
