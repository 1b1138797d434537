//! Modules that others made: what an update may ask for, where modules come from, and who answers for them.

mod project;
mod updates;
