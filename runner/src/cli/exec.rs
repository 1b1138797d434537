//! `runner exec`.

use super::args::Exec;
use super::carry_out::{Order, carry_out};
use super::fail::Fail;
use super::load::{Loaded, Programs};
use super::warn;
use std::time::Duration;

pub(crate) fn run(args: &Exec) -> Result<u8, Fail> {
    let loaded = Loaded::read(&args.which.plan, args.which.environment.as_ref())?;
    let checked = loaded.check(&args.which.vars, args.which.limit.as_ref(), Programs::Accepted)?;
    warn(&checked.resolved.warnings);
    let locked = loaded.accepted(&checked.resolved)?;
    let vars = args.which.vars.clone();
    carry_out(Order {
        loaded,
        checked,
        locked,
        vars,
        shown: &args.shown,
        resumed: None,
        dry: args.dry_run,
        wait: args.wait.map_or(Duration::ZERO, |wait| wait.as_duration()),
        back: None,
    })
}
