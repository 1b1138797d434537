//! Lines for people, shown live and kept in the report under this invocation. Always granted; never fails.
//!
//! The macros [`crate::debug!`], [`crate::info!`], [`crate::warn!`] and [`crate::error!`] take a format string.

use crate::sys;

/// For the author of the step; shown with `-v`.
pub fn debug(message: &str) {
    sys::debug(message);
}

/// What the step is doing.
pub fn info(message: &str) {
    sys::info(message);
}

/// Something to look at that does not stop the step.
pub fn warn(message: &str) {
    sys::warn(message);
}

/// Something failed. Log it only where it is not also the error that `run` returns.
pub fn error(message: &str) {
    sys::error(message);
}

/// Moves the progress bar of this invocation. `total` 0: not known. `what` is the unit in the plural: "rows".
pub fn progress(done: u32, total: u32, what: &str) {
    sys::progress(done, total, what);
}

/// Logs a line for the author of the step, as [`log::debug`](debug).
#[macro_export]
macro_rules! debug { ($($argument:tt)*) => { $crate::log::debug(&::std::format!($($argument)*)) } }

/// Logs what the step is doing, as [`log::info`](info).
#[macro_export]
macro_rules! info { ($($argument:tt)*) => { $crate::log::info(&::std::format!($($argument)*)) } }

/// Logs something to look at, as [`log::warn`](warn).
#[macro_export]
macro_rules! warn { ($($argument:tt)*) => { $crate::log::warn(&::std::format!($($argument)*)) } }

/// Logs something that failed, as [`log::error`](error).
#[macro_export]
macro_rules! error { ($($argument:tt)*) => { $crate::log::error(&::std::format!($($argument)*)) } }
