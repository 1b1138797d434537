//! What this invocation is part of. Fixed while it lives; always granted; never fails.

use crate::sys;

/// Names this run and its folder.
pub fn run_id() -> String {
    sys::run_id()
}

/// The id of this step in the plan.
pub fn step_id() -> String {
    sys::step_id()
}

/// The environment that is released to: "staging".
pub fn environment() -> String {
    sys::environment()
}

/// The release that this run makes; `None` when the plan makes none.
pub fn release_id() -> Option<String> {
    sys::release_id()
}

/// The release that was live on the subject when the run began.
pub fn previous_release() -> Option<String> {
    sys::previous_release()
}

/// The target on whose behalf the step runs: differs from [`crate::Target::current`] where the plan says `on`. `None`
/// for a step that runs once.
pub fn subject() -> Option<String> {
    sys::subject()
}

/// A variable of the subject, from the inventory.
pub fn variable(name: &str) -> Option<String> {
    sys::variable(name)
}

/// The same for every attempt at this step, on this subject, in this run, also after a resume: an idempotency key.
pub fn operation_key() -> String {
    sys::operation_key()
}
