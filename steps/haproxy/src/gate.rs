//! In, out, and the waiting. Each looks first, and does only what is not so yet.

use crate::admin::{Admin, Seen, State, Word};
use crate::{OnTimeout, Params};
use runner_sdk::{Attributes, Context, Error, Result, Service, Standing, Target, timer};
use std::time::Duration;

/// How often HAProxy is asked while something is waited for.
const PAUSE: Duration = Duration::from_millis(500);

/// Where the target serves in one backend, it serves; it is healthy where all say so.
pub(crate) fn observe(admin: &Admin<'_>) -> Result<Standing> {
    let mut standing = Standing { service: Service::Out, healthy: true, connections: Some(0) };
    for (_, seen) in look(admin)? {
        standing.service = standing.service.min(seen.service);
        standing.healthy &= seen.healthy;
        standing.connections = standing.connections.map(|sum| sum.saturating_add(seen.connections));
    }
    Ok(standing)
}

fn look<'a>(admin: &Admin<'a>) -> Result<Vec<(&'a Word, Seen)>> {
    admin.backends().iter().map(|backend| Ok((backend, admin.see(backend)?))).collect()
}

pub(crate) fn leave(admin: &Admin<'_>, params: &Params) -> Result<()> {
    let before = look(admin)?;
    let mut drained = Vec::new();
    for (backend, seen) in &before {
        if seen.service == Service::In {
            let put_back = |error: Error| put_back(admin, &drained, error);
            admin.set(backend, State::Drain).map_err(put_back)?;
            drained.push(*backend);
        }
    }
    let left = until(params.timeout.get(), || {
        let sessions: u32 =
            look(admin)?.iter().fold(0, |sum, (_, seen)| sum.saturating_add(seen.connections));
        Ok(if sessions == 0 { None } else { Some(sessions) })
    });
    let left = left.map_err(|error| put_back(admin, &drained, error))?;
    if let (Some(left), OnTimeout::Fail) = (left, params.on_timeout) {
        let error = Error::timeout(format!("{left} connections have not ended within {}", params.timeout));
        let error = error.with_detail("a longer `timeout`, or on-timeout = \"cut\", which cuts them off");
        return Err(put_back(admin, &drained, error));
    }
    for (backend, seen) in &before {
        if seen.service != Service::Out {
            admin.set(backend, State::Maint)?;
            if left.is_some() {
                admin.cut(backend)?;
            }
            runner_sdk::info!("took {} out of service", admin.of(backend));
        }
    }
    if let Some(left) = left {
        runner_sdk::warn!("cut off {left} connections that had not ended within {}", params.timeout);
    }
    if before.iter().any(|(_, seen)| seen.service != Service::Out) { keep(admin, params) } else { Ok(()) }
}

/// What began to drain serves again: an error leaves the target as it was.
fn put_back(admin: &Admin<'_>, drained: &[&Word], error: Error) -> Error {
    for backend in drained {
        if let Err(why) = admin.set(backend, State::Ready) {
            runner_sdk::error!("{} keeps draining: {why}", admin.of(backend));
        }
    }
    error
}

pub(crate) fn join(admin: &Admin<'_>, params: &Params) -> Result<()> {
    let mut changed = false;
    for (backend, seen) in look(admin)? {
        if seen.service != Service::In {
            admin.set(backend, State::Ready)?;
            runner_sdk::info!("put {} back into service", admin.of(backend));
            changed = true;
        }
    }
    if changed {
        keep(admin, params)?;
    }
    let sick = until(params.healthy_within.get(), || {
        Ok(look(admin)?.into_iter().find(|(_, seen)| !(seen.healthy && seen.service == Service::In)))
    })?;
    match sick {
        None => Ok(()),
        Some((backend, _)) => {
            let of = admin.of(backend);
            Err(Error::timeout(format!(
                "{of} does not pass its health check within {}",
                params.healthy_within
            ))
            .with_detail("what its check says: echo \"show stat\" | socat stdio SOCKET, column last_chk"))
        }
    }
}

/// Asks again and again until nothing is left to wait for; what is left when the time is up.
fn until<T>(time: Duration, mut left: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let began = timer::now();
    loop {
        let Some(waits) = left()? else { return Ok(None) };
        if timer::now().since(began) >= time {
            return Ok(Some(waits));
        }
        timer::sleep(PAUSE)?;
    }
}

/// Writes down how all servers stand, for the next reload of HAProxy.
fn keep(admin: &Admin<'_>, params: &Params) -> Result<()> {
    let Some(file) = &params.state_file else { return Ok(()) };
    let states = admin.all_states()?;
    Target::current()
        .write(file, &states, &Attributes::keep())
        .map(drop)
        .context(|| "the state of the servers would not survive a reload of HAProxy".to_owned())
}
