//! Modules that others made: what an update may ask for, where modules come from, and who answers for them.

#[expect(dead_code, unreachable_pub, reason = "shared by several tests; each uses a part")]
#[path = "../support/mod.rs"]
mod support;

mod project;
mod updates;
