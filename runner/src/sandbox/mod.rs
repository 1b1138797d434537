//! The sandbox: one fresh instance per invocation, with no more rights than its grant.
//!
//! Every host function does the same four things in the same order: check the grant, record, act, record the answer.
//! A denial is an answer, never a trap; a limit ends the invocation alone.

pub mod bindings;
pub mod engine;
pub mod handles;
pub mod limits;
