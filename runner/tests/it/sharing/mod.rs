//! Modules that others made: what an update may ask for, where modules come from, and who answers for them.

mod people;
mod project;
mod registries;
mod sigstore;
mod tampered;
mod trust;
mod updates;
