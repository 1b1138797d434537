//! `runner exec`.

use super::args::Exec;
use super::carry_out::{Order, carry_out};
use super::fail::Fail;
use super::load::{self, Loaded, Programs, shown};
use super::{permitted, stale, warn};
use runner_model::lock::Lock;
use std::time::Duration;

pub(crate) fn run(args: &Exec) -> Result<u8, Fail> {
    let loaded = Loaded::read(&args.which.plan)?;
    let environment = loaded.environment(args.which.environment.as_ref())?;
    let checked =
        loaded.check(&environment, &args.which.vars, args.which.limit.as_ref(), Programs::Accepted)?;
    warn(&checked.resolved.warnings);
    let policy = load::policy(&environment)?;
    let lock = loaded.lock()?;
    let locked = Lock::verify(lock.as_ref(), &checked.resolved, &shown(&loaded.lock_file()))
        .map_err(|why| stale(why, &loaded.file))?;
    permitted(policy.as_ref(), &checked.resolved, locked)?;
    let locked = locked.clone();
    let vars = args.which.vars.clone();
    carry_out(Order {
        loaded,
        checked,
        locked,
        policy,
        vars,
        shown: &args.shown,
        resumed: None,
        dry: args.dry_run,
        wait: args.wait.map_or(Duration::ZERO, |wait| wait.as_duration()),
        back: None,
    })
}
