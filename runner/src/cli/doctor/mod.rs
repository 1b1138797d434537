//! `runner doctor`: what a run needs and does not have, each with what mends it. It asks over the same connections as a
//! run, of all targets at once, and changes nothing.

mod findings;
mod local;
mod targets;

use super::args::Doctor;
use super::carry_out::open_store;
use super::fail::{Fail, INVALID, REFUSED, UNREACHABLE};
use super::load::{Loaded, Programs};
use super::{out, talk};
use crate::host::Connections;
use findings::{Finding, Findings, Level};
use runner_transport::{Limits, Transport};
use std::time::Duration;

/// Who is asked has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) fn run(args: &Doctor) -> Result<u8, Fail> {
    let loaded = Loaded::read(&args.which.plan, args.which.environment.as_ref())?;
    let checked = loaded.check(&args.which.vars, args.which.limit.as_ref(), Programs::Any)?;
    let mut findings = Findings::default();
    for warning in checked.resolved.warnings.iter() {
        let mend = warning.mend().unwrap_or_default();
        findings.add(Finding::new(Level::Warning, "plan", warning.to_string(), mend));
    }
    local::examine(&mut findings, &loaded, &checked)?;
    let folder = super::carry_out::inventory_folder(&loaded, &checked.resolved);
    let resolved = checked.into_run();
    let store = open_store()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Fail::internal(format_args!("cannot start: {error}")))?;
    let limits = Limits { connect: PATIENCE, verb: PATIENCE, ..Limits::default() };
    let connections = Connections::new(Transport::new(store, limits), resolved.ssh.clone(), folder);
    let count = targets::count(&resolved);
    talk(&format!("asking {count} {}\n", if count == 1 { "target" } else { "targets" }));
    runtime.block_on(targets::examine(&mut findings, &resolved, &connections));
    let title = format!(
        "{} to {}: {count} {}",
        resolved.plan,
        resolved.environment,
        if count == 1 { "target" } else { "targets" }
    );
    out(&if args.json { findings.json(&resolved, count) } else { findings.text(&title) })?;
    Ok(match findings.worst() {
        Some(Level::Error) if findings.unreachable() => UNREACHABLE,
        Some(Level::Error) => REFUSED,
        _ => 0,
    })
}

/// What a command would end with, as a finding; a plan that is invalid ends this one too.
fn refused(
    area: &'static str,
    result: Result<(), Fail>,
    findings: &mut Findings,
    good: &str,
) -> Result<(), Fail> {
    match result {
        Ok(()) => findings.good(area, good),
        Err(fail) if fail.exit_code() == INVALID => return Err(fail),
        Err(fail) => {
            let (message, mend) = fail.said_and_mend();
            findings.add(Finding::new(Level::Error, area, message, mend));
        }
    }
    Ok(())
}

/// What the operator's policy says, as a finding.
fn policy(findings: &mut Findings, loaded: &Loaded, resolved: &runner_model::Resolved) -> Result<(), Fail> {
    let asked = runner_model::LockedEnvironment::build(resolved);
    let good = match &loaded.policy {
        Some(policy) => format!("{} lets the plan do what it needs", policy.file),
        None => "there is none".to_owned(),
    };
    let permitted = super::permitted(loaded.policy.as_ref(), resolved, &asked);
    refused("policy", permitted, findings, &good)
}
