//! The engine against a scripted executor, in paused time: hours pass in milliseconds, and every order is exact.

#![expect(clippy::unwrap_used, reason = "a test ends where something it relies on is missing")]

mod cancel;
mod cluster;
mod fake;
mod fleet;
mod flow;
mod random;
mod rules;
