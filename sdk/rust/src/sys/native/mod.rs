//! The host in memory: calls go to the [`crate::testing::World`] that the thread is in.

mod command;
mod data;
mod request;
mod target;
pub(crate) mod workspace;

pub(crate) use command::Command;
pub(crate) use data::{Artifact, Secret, from_bytes, open, pack, secret};
pub(crate) use request::Request;
pub(crate) use target::{Target, current, named, previous, releases};

use crate::Result;
use crate::testing::with;
use std::collections::VecDeque;

fn line(level: &str, message: &str) {
    with(|state| state.log.push(format!("{level}: {message}")));
}

pub(crate) fn debug(message: &str) {
    line("debug", message);
}
pub(crate) fn info(message: &str) {
    line("info", message);
}
pub(crate) fn warn(message: &str) {
    line("warn", message);
}
pub(crate) fn error(message: &str) {
    line("error", message);
}
pub(crate) fn progress(done: u32, total: u32, what: &str) {
    line("progress", &format!("{done}/{total} {what}"));
}

pub(crate) fn run_id() -> String {
    "r-1".to_owned()
}
pub(crate) fn step_id() -> String {
    "step".to_owned()
}
pub(crate) fn environment() -> String {
    "test".to_owned()
}
pub(crate) fn release_id() -> Option<String> {
    with(|state| state.release_id.clone())
}
pub(crate) fn previous_release() -> Option<String> {
    with(|state| state.previous_release.clone())
}
pub(crate) fn subject() -> Option<String> {
    with(|state| Some(state.subject().to_owned()))
}
pub(crate) fn variable(name: &str) -> Option<String> {
    with(|state| state.targets.get(state.subject())?.vars.get(name).cloned())
}
pub(crate) fn operation_key() -> String {
    with(|state| format!("r-1/step/{}", state.current))
}

pub(crate) fn now() -> u64 {
    with(|state| state.time())
}
pub(crate) fn sleep(milliseconds: u32) -> Result<()> {
    with(|state| {
        state.call("timer", "sleep", &milliseconds.to_string(), |_| Ok(()))?;
        state.pass(milliseconds);
        Ok(())
    })
}

/// The next one of some scripted answers; the last one stays.
fn next<T: Clone>(answers: Option<&mut VecDeque<T>>) -> Option<T> {
    let answers = answers?;
    if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
}
