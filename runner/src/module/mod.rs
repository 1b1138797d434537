//! Modules: from a reference in a plan to a component that can be run.
//!
//! What a module is, what it asks for and what it says of itself is found out here, before anything of it runs with
//! any capability.

pub mod beside;
pub mod compile;
pub mod describe;
pub mod fetch;
pub mod find;
pub mod imports;
pub mod judge;
pub mod kept;
pub mod load;
pub mod reach;
pub mod shape;
mod signature;
pub mod source;
